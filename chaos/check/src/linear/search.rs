//! The same question without a bound on how many operations overlap: the search of Wing and Gong in the form of
//! Lowe ("Testing for linearizability", 2017), with a memo of what was placed and the value it led to.
//!
//! Begins and ends lie in one list in the order of time. From its head the search places what has begun and fits; at an
//! end of something not placed it goes back. An operation of unknown outcome has no end: once everything that ended
//! is placed, the order fits. A read that fits is placed at once and for good, since it changes nothing.
//! The memo keeps 128-bit fingerprints of sets instead of the sets.
//!
//! Operations of unknown outcome are what makes such a search long, for each may come anywhere or never. Of several that
//! do the same only the one that began first is tried, since whatever the others could do it can do too; and one is
//! placed only where what comes next looks at its value, since else the order fits without it.

use super::{Done, Kind, Stuck, Verdict, prepare};
use plait_base::draw;
use plait_base::map::Map;

const NONE: usize = usize::MAX;

/// The list of begins (`2 i`) and ends (`2 i + 1`), from which pairs are taken out and put back.
struct List {
    next: Vec<usize>,
    before: Vec<usize>,
}

impl List {
    fn new(ops: &[Done]) -> List {
        let mut events: Vec<(u64, bool, usize)> = Vec::with_capacity(2 * ops.len());
        for (i, op) in ops.iter().enumerate() {
            events.push((op.begun_ns, false, 2 * i));
            if op.ended_ns != u64::MAX {
                events.push((op.ended_ns, true, 2 * i + 1));
            }
        }
        // At one instant what begins comes first: the two overlap.
        events.sort_unstable();
        // The last place is the head.
        let head = 2 * ops.len();
        let mut list = List { next: vec![NONE; head + 1], before: vec![NONE; head + 1] };
        let mut last = head;
        for (.., event) in events {
            list.next[last] = event;
            list.before[event] = last;
            last = event;
        }
        list
    }

    fn take(&mut self, event: usize) {
        let (before, next) = (self.before[event], self.next[event]);
        self.next[before] = next;
        if next != NONE {
            self.before[next] = before;
        }
    }

    fn put_back(&mut self, event: usize) {
        let (before, next) = (self.before[event], self.next[event]);
        self.next[before] = event;
        if next != NONE {
            self.before[next] = event;
        }
    }
}

/// Operations of unknown outcome by what they do, in the order in which they began.
struct Unknowns {
    class: Vec<usize>,
    members: Vec<Vec<usize>>,
    placed: Vec<usize>,
}

impl Unknowns {
    fn new(ops: &[Done]) -> Unknowns {
        let mut unknowns = Unknowns { class: vec![NONE; ops.len()], members: Vec::new(), placed: Vec::new() };
        for (at, op) in ops.iter().enumerate().filter(|(_, op)| op.ended_ns == u64::MAX) {
            let same = |members: &Vec<usize>| ops[members[0]].kind == op.kind;
            let class = unknowns.members.iter().position(same).unwrap_or_else(|| {
                unknowns.members.push(Vec::new());
                unknowns.placed.push(0);
                unknowns.members.len() - 1
            });
            unknowns.members[class].push(at);
            unknowns.class[at] = class;
        }
        unknowns
    }

    fn is(&self, op: usize) -> bool {
        self.class[op] != NONE
    }

    /// Whether it is the first of its kind that is not placed.
    fn is_next(&self, op: usize) -> bool {
        let class = self.class[op];
        self.members[class].get(self.placed[class]) == Some(&op)
    }
}

struct Placed {
    op: usize,
    /// Before it.
    value: i64,
    for_good: bool,
}

/// Judges one register's history; gives up after so many steps.
pub fn check(initial: i64, history: &[Done], steps_max: usize) -> Verdict {
    let ops = prepare(history);
    let sign = |op: usize| {
        let half = |n| u128::from(draw::draw(0, draw::stream("linear"), n, op as u64));
        half(0) << 64 | half(1)
    };
    let head = 2 * ops.len();
    let mut list = List::new(&ops);
    let mut unknowns = Unknowns::new(&ops);
    let mut seen: Map<(u128, bool, i64), ()> = Map::keyed(0);
    let (mut placed, mut set, mut value): (Vec<Placed>, u128, i64) = (Vec::new(), 0, initial);
    let mut ended_left = ops.iter().filter(|op| op.ended_ns != u64::MAX).count();
    let mut best = (0, initial, 0_usize);
    let mut open_at_best: Vec<Done> = Vec::new();
    let mut steps = 0;
    let mut event = list.next[head];
    loop {
        if ended_left == 0 {
            return Verdict::Linearizable;
        }
        steps += 1;
        if steps > steps_max {
            return Verdict::Undecided;
        }
        let op = event / 2;
        let unread = placed.last().is_some_and(|last| unknowns.is(last.op));
        let after = (event != NONE && event.is_multiple_of(2)).then(|| match ops[op].kind {
            _ if unknowns.is(op) && !unknowns.is_next(op) => None,
            Kind::Read(v) => (v == value).then_some(v),
            Kind::Write(_) if unread => None,
            Kind::Write(v) => Some(v),
            Kind::Swap(from, to) => (from == value).then_some(to),
        });
        match after {
            // After an operation of unknown outcome less may follow: that is another state.
            Some(Some(after)) if seen.insert((set ^ sign(op), unknowns.is(op), after), ()).is_none() => {
                let for_good = matches!(ops[op].kind, Kind::Read(_));
                placed.push(Placed { op, value, for_good });
                set ^= sign(op);
                value = after;
                list.take(2 * op);
                match unknowns.is(op) {
                    true => unknowns.placed[unknowns.class[op]] += 1,
                    false => {
                        list.take(2 * op + 1);
                        ended_left -= 1;
                    }
                }
                event = list.next[head];
            }
            Some(_) => event = list.next[event],
            // The end of something that is not placed, or of the list: another order must be tried.
            None => {
                if placed.len() >= best.0 {
                    best = (placed.len(), value, event);
                    open_at_best = open(&list, head, event, &ops);
                }
                loop {
                    let Some(last) = placed.pop() else {
                        return Verdict::Not(Stuck { after: best.0, value: best.1, open: open_at_best });
                    };
                    match unknowns.is(last.op) {
                        true => unknowns.placed[unknowns.class[last.op]] -= 1,
                        false => {
                            list.put_back(2 * last.op + 1);
                            ended_left += 1;
                        }
                    }
                    list.put_back(2 * last.op);
                    set ^= sign(last.op);
                    value = last.value;
                    event = list.next[2 * last.op];
                    if !last.for_good {
                        break;
                    }
                }
            }
        }
    }
}

/// What could have come next where the search got stuck.
fn open(list: &List, head: usize, until: usize, ops: &[Done]) -> Vec<Done> {
    let mut found = Vec::new();
    let mut event = list.next[head];
    while event != NONE && event != until && found.len() < super::OPEN_MAX {
        if event.is_multiple_of(2) {
            found.push(ops[event / 2]);
        }
        event = list.next[event];
    }
    found
}
