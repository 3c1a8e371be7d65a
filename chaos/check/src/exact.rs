//! Is there an order at all? The exact answer for histories of registers that are not too long.
//!
//! Who read whose write is known; which of two writes of a key came first is not. Each such pair is a choice, and
//! either way it brings dependencies with it. The history satisfies the model if all choices can be made without a
//! circle: of dependencies for serializability (Papadimitriou's polygraph, "The serializability of concurrent database
//! updates", 1979), of dependencies with at most one anti-dependency in a row for snapshot isolation (Cerone, Gotsman,
//! 2016). Choices that the transitive closure leaves no other way are made first, again and again, as Cobra (Tan et
//! al., OSDI 2020) and PolySI (Huang et al., VLDB 2023) do; what is left is tried along an order that fits what is
//! known, and then by search.

use crate::txn::Id;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOf {
    Initial,
    /// Its place in [`Problem::txns`].
    Txn(usize),
}

#[derive(Debug, Clone)]
pub struct One {
    /// Whatever its asker calls it.
    pub name: usize,
    pub reads: Vec<(Id, ReadOf)>,
    pub writes: Vec<Id>,
    invoked: u32,
    ended: u32,
    process: i64,
    known: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Problem {
    pub txns: Vec<One>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Serializable,
    Snapshot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InTime {
    No,
    Process,
    Realtime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Yes,
    /// No order exists, and none for these transactions alone (names).
    No(Vec<usize>),
    /// The problem is too large, or the search was given up.
    Unknown(String),
}

/// Transactions of one problem.
pub const TXNS_MAX: usize = 1_500;
/// Choices that are made by trial before the search is given up.
const TRIALS_MAX: u32 = 3_000;
const DEPTH_MAX: u32 = 120;
/// Smaller problems that are tried for a smaller witness.
const SHRINKS_MAX: u32 = 400;

impl Problem {
    pub fn add(&mut self, name: usize, writes: Vec<Id>, invoked: u32, ended: u32, process: i64, known: bool) {
        self.txns.push(One { name, reads: Vec::new(), writes, invoked, ended, process, known });
    }

    pub fn solve(&self, wanted: Wanted, time: InTime) -> Answer {
        if self.txns.len() > TXNS_MAX {
            return Answer::Unknown(format!(
                "the exact solver takes at most {TXNS_MAX} transactions, and these are {}",
                self.txns.len()
            ));
        }
        // Most databases keep more than they promise: an order that also fits a stronger model is found sooner, for it
        // leaves fewer choices.
        let stronger = [
            (Wanted::Serializable, InTime::Realtime),
            (Wanted::Snapshot, InTime::Realtime),
            (Wanted::Serializable, InTime::Process),
        ];
        let implies = |(w, t): &(Wanted, InTime)| {
            (*w, *t) != (wanted, time)
                && (*w == Wanted::Serializable || wanted == Wanted::Snapshot)
                && (*t == InTime::Realtime || *t == time || time == InTime::No)
        };
        if stronger.iter().filter(|s| implies(s)).any(|(w, t)| self.fits(*w, *t) == Some(true)) {
            return Answer::Yes;
        }
        match self.fits(wanted, time) {
            Some(true) => Answer::Yes,
            Some(false) => Answer::No(self.core(wanted, time).txns.iter().map(|t| t.name).collect()),
            None => Answer::Unknown(format!("the exact solver gave up after {TRIALS_MAX} choices")),
        }
    }

    fn fits(&self, wanted: Wanted, time: InTime) -> Option<bool> {
        let Some(mut state) = State::new(self, wanted, time) else { return Some(false) };
        let mut trials = TRIALS_MAX;
        state.search(&mut trials, 0)
    }

    /// A part for which there is no order either, and from which nothing can be left out (within a bound on work).
    fn core(&self, wanted: Wanted, time: InTime) -> Problem {
        let mut small = self.clone();
        let mut left = SHRINKS_MAX;
        let mut chunk = small.txns.len().div_ceil(2);
        while chunk > 0 && left > 0 {
            let mut at = 0;
            let mut shrunk = false;
            while at < small.txns.len() && left > 0 {
                let end = (at + chunk).min(small.txns.len());
                let less = small.without(at..end);
                left -= 1;
                if less.fits(wanted, time) == Some(false) {
                    small = less;
                    shrunk = true;
                } else {
                    at = end;
                }
            }
            if !shrunk || chunk > small.txns.len() {
                if chunk == 1 && !shrunk {
                    break;
                }
                chunk = if chunk == 1 { 1 } else { chunk / 2 };
            }
        }
        small
    }

    /// Without some transactions, and without the reads of what they wrote.
    fn without(&self, gone: std::ops::Range<usize>) -> Problem {
        let place = |at: usize| if at < gone.start { at } else { at - gone.len() };
        let txns = self.txns.iter().enumerate().filter(|(at, _)| !gone.contains(at));
        let txns = txns.map(|(_, txn)| {
            let mut txn = txn.clone();
            txn.reads.retain(|(_, of)| !matches!(of, ReadOf::Txn(w) if gone.contains(w)));
            for (_, of) in &mut txn.reads {
                if let ReadOf::Txn(w) = of {
                    *w = place(*w);
                }
            }
            txn
        });
        Problem { txns: txns.collect() }
    }
}

/// Which nodes are reached from which.
#[derive(Clone)]
struct Closure {
    words: usize,
    after: Vec<u64>,
    before: Vec<u64>,
}

impl Closure {
    fn new(nodes: usize) -> Closure {
        let words = nodes.div_ceil(64);
        Closure { words, after: vec![0; nodes * words], before: vec![0; nodes * words] }
    }

    fn reaches(&self, a: usize, b: usize) -> bool {
        self.after[a * self.words + b / 64] >> (b % 64) & 1 == 1
    }

    fn row(rows: &[u64], words: usize, at: usize) -> Vec<u64> {
        let mut row = rows[at * words..(at + 1) * words].to_vec();
        row[at / 64] |= 1 << (at % 64);
        row
    }

    /// `false`: that would close a circle.
    fn link(&mut self, a: usize, b: usize) -> bool {
        if a == b || self.reaches(b, a) {
            return false;
        }
        if self.reaches(a, b) {
            return true;
        }
        let sources = Closure::row(&self.before, self.words, a);
        let targets = Closure::row(&self.after, self.words, b);
        let words = self.words;
        let spread = |rows: &mut [u64], to: &[u64], what: &[u64]| {
            for (w, bits) in to.iter().enumerate() {
                let mut bits = *bits;
                while bits != 0 {
                    let at = w * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    rows[at * words..(at + 1) * words].iter_mut().zip(what).for_each(|(x, y)| *x |= y);
                }
            }
        };
        spread(&mut self.after, &sources, &targets);
        spread(&mut self.before, &targets, &sources);
        true
    }
}

/// Two writers of a key, one of which came first.
#[derive(Debug, Clone, Copy)]
struct Choice {
    key: usize,
    a: usize,
    b: usize,
}

#[derive(Clone)]
struct State<'a> {
    problem: &'a Problem,
    wanted: Wanted,
    closure: Closure,
    open: Vec<Choice>,
    /// For each key, who read whose write.
    readers: std::rc::Rc<Vec<BTreeMap<usize, Vec<usize>>>>,
}

impl<'a> State<'a> {
    /// `None`: what is known is a circle already.
    fn new(problem: &'a Problem, wanted: Wanted, time: InTime) -> Option<State<'a>> {
        let n = problem.txns.len();
        let mut keys: BTreeMap<Id, usize> = BTreeMap::new();
        let mut writers: Vec<Vec<usize>> = Vec::new();
        let mut readers: Vec<BTreeMap<usize, Vec<usize>>> = Vec::new();
        let mut initial: Vec<Vec<usize>> = Vec::new();
        let all = problem.txns.iter().flat_map(|t| t.writes.iter().chain(t.reads.iter().map(|(key, _)| key)));
        for key in all {
            if !keys.contains_key(key) {
                keys.insert(*key, writers.len());
                writers.push(Vec::new());
                readers.push(BTreeMap::new());
                initial.push(Vec::new());
            }
        }
        for (at, txn) in problem.txns.iter().enumerate() {
            txn.writes.iter().for_each(|key| writers[keys[key]].push(at));
            for (key, of) in &txn.reads {
                match of {
                    ReadOf::Initial => initial[keys[key]].push(at),
                    ReadOf::Txn(writer) => readers[keys[key]].entry(*writer).or_default().push(at),
                }
            }
        }
        let nodes = if wanted == Wanted::Snapshot { 2 * n } else { n };
        let mut state = State {
            problem,
            wanted,
            closure: Closure::new(nodes),
            open: Vec::new(),
            readers: std::rc::Rc::new(readers),
        };
        let mut fits = true;
        let times: Vec<(u32, u32, bool)> =
            problem.txns.iter().map(|t| (t.invoked, t.ended, t.known)).collect();
        match time {
            InTime::No => {}
            InTime::Realtime => crate::order::sweep(&times, &mut |a, b| fits &= state.plain(a, b)),
            InTime::Process => {
                let mut last: BTreeMap<i64, usize> = BTreeMap::new();
                for (at, txn) in problem.txns.iter().enumerate() {
                    if let Some(before) = last.get(&txn.process) {
                        fits &= state.plain(*before, at);
                    }
                    if txn.known {
                        last.insert(txn.process, at);
                    }
                }
            }
        }
        for key in 0..writers.len() {
            for (writer, readers) in state.readers.clone()[key].iter() {
                fits &= readers.iter().all(|reader| state.plain(*writer, *reader));
            }
            for reader in &initial[key] {
                for writer in writers[key].iter().filter(|w| *w != reader) {
                    fits &= state.anti(*reader, *writer);
                }
            }
            for (i, a) in writers[key].iter().enumerate() {
                state.open.extend(writers[key][..i].iter().map(|b| Choice { key, a: *b, b: *a }));
            }
        }
        fits.then_some(state)
    }

    /// `a` wrote what `b` read or wrote over, or came before it in time.
    fn plain(&mut self, a: usize, b: usize) -> bool {
        match self.wanted {
            Wanted::Serializable => self.closure.link(a, b),
            Wanted::Snapshot => self.closure.link(2 * a, 2 * b) && self.closure.link(2 * a + 1, 2 * b),
        }
    }

    /// `b` wrote over what `a` read.
    fn anti(&mut self, a: usize, b: usize) -> bool {
        match self.wanted {
            Wanted::Serializable => self.closure.link(a, b),
            Wanted::Snapshot => self.closure.link(2 * a, 2 * b + 1),
        }
    }

    fn readers_of(&self, key: usize, writer: usize) -> &[usize] {
        self.readers[key].get(&writer).map_or(&[], Vec::as_slice)
    }

    /// Whether `first` before `second` closes no circle by itself.
    fn may(&self, key: usize, first: usize, second: usize) -> bool {
        let readers = || self.readers_of(key, first).iter().filter(|r| **r != second);
        match self.wanted {
            Wanted::Serializable => {
                !self.closure.reaches(second, first) && readers().all(|r| !self.closure.reaches(second, *r))
            }
            Wanted::Snapshot => {
                let back = |from: usize, to: usize| self.closure.reaches(from, to);
                !(back(2 * second, 2 * first) || back(2 * second, 2 * first + 1))
                    && readers().all(|r| !back(2 * second + 1, 2 * r))
            }
        }
    }

    fn choose(&mut self, key: usize, first: usize, second: usize) -> bool {
        if !self.plain(first, second) {
            return false;
        }
        let readers = self.readers.clone();
        let readers = readers[key].get(&first).map_or(&[][..], Vec::as_slice);
        readers.iter().filter(|r| **r != second).all(|r| self.anti(*r, second))
    }

    /// Makes every choice that has one way only. `false`: one has none.
    fn propagate(&mut self) -> bool {
        loop {
            let mut changed = false;
            let mut open = std::mem::take(&mut self.open);
            let mut fits = true;
            open.retain(|c| {
                if !fits {
                    return true;
                }
                let (ab, ba) = (self.may(c.key, c.a, c.b), self.may(c.key, c.b, c.a));
                let (first, second) = match (ab, ba) {
                    (true, true) => return true,
                    (true, false) => (c.a, c.b),
                    (false, true) => (c.b, c.a),
                    (false, false) => {
                        fits = false;
                        return true;
                    }
                };
                fits = self.choose(c.key, first, second);
                changed = true;
                false
            });
            self.open = open;
            if !fits {
                return false;
            }
            if !changed {
                return true;
            }
        }
    }

    /// All open choices along one order that fits what is known: what comes before by the closure comes first, and
    /// else what began first.
    fn along_an_order(&self) -> bool {
        let n = self.problem.txns.len();
        let step = if self.wanted == Wanted::Snapshot { 2 } else { 1 };
        let ancestors = |at: usize| {
            let words = self.closure.words;
            let row = &self.closure.before[at * step * words..(at * step + 1) * words];
            row.iter().map(|w| w.count_ones()).sum::<u32>()
        };
        // Whoever is reached from another has more ancestors than that one.
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by_key(|at| (ancestors(*at), self.problem.txns[*at].ended, *at));
        let mut place = vec![0; n];
        order.iter().enumerate().for_each(|(i, at)| place[*at] = i);
        let mut trial = self.clone();
        let mut open = std::mem::take(&mut trial.open);
        open.sort_by_key(|c| place[c.a].max(place[c.b]));
        open.iter().all(|c| {
            let (first, second) = if place[c.a] < place[c.b] { (c.a, c.b) } else { (c.b, c.a) };
            trial.choose(c.key, first, second)
        })
    }

    fn search(&mut self, trials: &mut u32, depth: u32) -> Option<bool> {
        if !self.propagate() {
            return Some(false);
        }
        if self.open.is_empty() || self.along_an_order() {
            return Some(true);
        }
        if depth >= DEPTH_MAX {
            return None;
        }
        // The choice that brings most with it.
        let weight = |c: &Choice| self.readers_of(c.key, c.a).len() + self.readers_of(c.key, c.b).len();
        let at = (0..self.open.len()).max_by_key(|i| weight(&self.open[*i]))?;
        let choice = self.open.swap_remove(at);
        let (a, b) = (choice.a, choice.b);
        let order = if self.problem.txns[a].ended <= self.problem.txns[b].ended {
            [(a, b), (b, a)]
        } else {
            [(b, a), (a, b)]
        };
        let mut undecided = false;
        for (first, second) in order {
            *trials = trials.checked_sub(1)?;
            let mut next = self.clone();
            if next.choose(choice.key, first, second) {
                match next.search(trials, depth + 1) {
                    Some(true) => return Some(true),
                    Some(false) => {}
                    None => undecided = true,
                }
            }
        }
        if undecided { None } else { Some(false) }
    }
}

#[cfg(test)]
mod tests;
