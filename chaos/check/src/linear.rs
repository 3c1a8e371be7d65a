//! Each register is linearizable: its operations fit into one order in which each takes effect at one instant
//! between its begin and its end.
//!
//! Why it must hold: the store is strictly serializable for writes and for single-snapshot reads (DESIGN law 8),
//! and linearizability is that, seen one key at a time.
//! Method: Wing and Gong, with Lowe's memo of (what was placed, value). Values are unique, so an unknown write that
//! nobody ever saw can be left out: put it back anywhere before a write that nobody saw either, or drop it, and the
//! rest still fits. A read that fits the present value can be placed at once, for it changes nothing.

use plait_base::map::Map;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read(i64),
    Write(i64),
    /// Changed the first value to the second.
    Swap(i64, i64),
}

/// One operation on one register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    pub op: u64,
    pub begun_ns: u64,
    /// `u64::MAX`: the outcome is unknown; it may take effect at any later time, or never.
    pub ended_ns: u64,
    pub kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Linearizable,
    Not(Stuck),
    /// The search was given up.
    Undecided,
}

/// Where the longest order that was found ends, and what could come next and does not fit.
#[derive(Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Operations placed.
    pub after: usize,
    /// What the register holds then.
    pub value: i64,
    pub open: Vec<Done>,
}

impl std::fmt::Display for Stuck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Stuck { after, value, open } = self;
        write!(f, "after {after} operations the register holds {value}, and none of these fits: ")?;
        for (i, done) in open.iter().enumerate() {
            let what = match done.kind {
                Kind::Read(v) => format!("reads {v}"),
                Kind::Write(v) => format!("writes {v}"),
                Kind::Swap(a, b) => format!("changes {a} to {b}"),
            };
            let end = match done.ended_ns {
                u64::MAX => "?".to_owned(),
                ns => format!("{:.4}", ns as f64 / 1e9),
            };
            let sign = if i > 0 { "; " } else { "" };
            let begin = done.begun_ns as f64 / 1e9;
            write!(f, "{sign}transaction {} {what} ({begin:.4}–{end} s)", done.op)?;
        }
        Ok(())
    }
}

/// States looked at before the search is given up.
const STATES_MAX: usize = 300_000;
/// Of what does not fit, so much is told.
const OPEN_MAX: usize = 6;
/// Operations that may lie between the first one not placed and the last one that could be.
const WINDOW_MAX: usize = 128;

/// Judges the history of one register that held `initial` at first.
pub fn check(initial: i64, history: &[Done]) -> Verdict {
    let ops = prepare(history);
    let mut seen: Map<(usize, u128, i64), ()> = Map::keyed(0);
    let mut states = 0;
    // (first not placed, placed beyond it, value)
    let mut stack = vec![(0_usize, 0_u128, initial)];
    let mut best = (0_usize, 0_u32, initial, 0_u128);
    let mut too_wide = false;
    while let Some((mut first, mut placed, value)) = stack.pop() {
        settle(&ops, &mut first, &mut placed, value);
        if first == ops.len() || only_unknown(&ops, first, placed) {
            return Verdict::Linearizable;
        }
        if seen.insert((first, placed, value), ()).is_some() {
            continue;
        }
        states += 1;
        if states > STATES_MAX {
            return Verdict::Undecided;
        }
        if (first, placed.count_ones()) > (best.0, best.1) {
            best = (first, placed.count_ones(), value, placed);
        }
        let deadline = deadline(&ops, first, placed);
        for at in (first..ops.len())
            .take_while(|at| ops[*at].begun_ns <= deadline)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            if at - first >= WINDOW_MAX {
                too_wide = true;
                continue;
            }
            if placed >> (at - first) & 1 == 1 {
                continue;
            }
            let after = match ops[at].kind {
                Kind::Read(_) => continue,
                Kind::Write(v) => v,
                Kind::Swap(from, to) if from == value => to,
                Kind::Swap(..) => continue,
            };
            let (mut f, mut p) = (first, placed | 1 << (at - first));
            slide(&mut f, &mut p);
            stack.push((f, p, after));
        }
    }
    if too_wide { Verdict::Undecided } else { Verdict::Not(stuck(&ops, best.0, best.3, best.2)) }
}

/// By begin, and without what can be left out.
fn prepare(history: &[Done]) -> Vec<Done> {
    let mut seen: Map<i64, ()> = Map::keyed(0);
    for done in history {
        if let Kind::Read(v) | Kind::Swap(v, _) = done.kind {
            seen.insert(v, ());
        }
    }
    let mut ops: Vec<Done> = history
        .iter()
        .filter(|done| match done.kind {
            Kind::Write(v) | Kind::Swap(_, v) => done.ended_ns != u64::MAX || seen.contains_key(&v),
            Kind::Read(_) => true,
        })
        .copied()
        .collect();
    ops.sort_by_key(|done| (done.begun_ns, done.ended_ns, done.op));
    ops
}

fn slide(first: &mut usize, placed: &mut u128) {
    let run = placed.trailing_ones();
    *first += run as usize;
    *placed = placed.checked_shr(run).unwrap_or(0);
}

/// The earliest end among what is not placed: nothing that begins later can come before it.
fn deadline(ops: &[Done], first: usize, placed: u128) -> u64 {
    let mut deadline = u64::MAX;
    for (at, done) in ops.iter().enumerate().skip(first) {
        if done.begun_ns > deadline {
            break;
        }
        if at - first >= WINDOW_MAX || placed >> (at - first) & 1 == 0 {
            deadline = deadline.min(done.ended_ns);
        }
    }
    deadline
}

/// Places every read that fits now.
fn settle(ops: &[Done], first: &mut usize, placed: &mut u128, value: i64) {
    loop {
        slide(first, placed);
        let deadline = deadline(ops, *first, *placed);
        let fits = (*first..ops.len().min(*first + WINDOW_MAX))
            .take_while(|at| ops[*at].begun_ns <= deadline)
            .find(|at| *placed >> (at - *first) & 1 == 0 && ops[*at].kind == Kind::Read(value));
        match fits {
            Some(at) => *placed |= 1 << (at - *first),
            None => return,
        }
    }
}

fn only_unknown(ops: &[Done], first: usize, placed: u128) -> bool {
    ops.iter().enumerate().skip(first).all(|(at, done)| {
        done.ended_ns == u64::MAX || at - first < WINDOW_MAX && placed >> (at - first) & 1 == 1
    })
}

fn stuck(ops: &[Done], first: usize, placed: u128, value: i64) -> Stuck {
    let deadline = deadline(ops, first, placed);
    let open = (first..ops.len())
        .take_while(|at| ops[*at].begun_ns <= deadline)
        .filter(|at| at - first >= WINDOW_MAX || placed >> (at - first) & 1 == 0)
        .take(OPEN_MAX)
        .map(|at| ops[at]);
    Stuck { after: first + placed.count_ones() as usize, value, open: open.collect() }
}

pub mod search;

#[cfg(test)]
mod tests;
