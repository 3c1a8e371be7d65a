//! The solver against the definition: every serial order tried, on small histories.

use super::*;
use proptest::prelude::*;

/// Transactions of (reads, writes) over few keys; a read finds what some transaction wrote, or the initial state.
fn problem() -> impl Strategy<Value = Problem> {
    let one = (
        prop::collection::vec((0_u32..3, 0_usize..7), 0..3),
        prop::collection::btree_set(0_u32..3, 0..3),
        0_u32..20,
        1_u32..8,
        0_i64..3,
    );
    prop::collection::vec(one, 1..7).prop_map(|all| {
        let mut problem = Problem::default();
        for (at, (_, writes, begin, long, process)) in all.iter().enumerate() {
            let places = (begin * 100 + at as u32, (begin + long) * 100 + 50 + at as u32);
            problem.add(at, writes.iter().copied().collect(), places.0, places.1, *process, true);
        }
        for (at, (reads, ..)) in all.iter().enumerate() {
            for (key, from) in reads {
                let of = match problem.txns.get(*from) {
                    Some(other) if *from != at && other.writes.contains(key) => ReadOf::Txn(*from),
                    _ => ReadOf::Initial,
                };
                if !problem.txns[at].reads.iter().any(|(k, _)| k == key) {
                    problem.txns[at].reads.push((*key, of));
                }
            }
        }
        problem
    })
}

/// Whether some serial order gives every read what it found.
fn serializable(problem: &Problem, realtime: bool) -> bool {
    fn place(
        problem: &Problem,
        realtime: bool,
        left: &mut Vec<usize>,
        last: &mut BTreeMap<Id, usize>,
    ) -> bool {
        if left.is_empty() {
            return true;
        }
        for i in 0..left.len() {
            let at = left[i];
            let txn = &problem.txns[at];
            let reads = txn.reads.iter().all(|(key, of)| match of {
                ReadOf::Initial => !last.contains_key(key),
                ReadOf::Txn(writer) => last.get(key) == Some(writer),
            });
            let in_time = !realtime || left.iter().all(|o| problem.txns[*o].ended >= txn.invoked || *o == at);
            if !reads || !in_time {
                continue;
            }
            left.remove(i);
            let before = last.clone();
            txn.writes.iter().for_each(|key| _ = last.insert(*key, at));
            if place(problem, realtime, left, last) {
                return true;
            }
            *last = before;
            left.insert(i, at);
        }
        false
    }
    place(problem, realtime, &mut (0..problem.txns.len()).collect(), &mut BTreeMap::new())
}

/// Whether begins and commits can be put in one order such that each reads what was committed when it began, and no
/// two that wrote the same key overlap: snapshot isolation by its definition.
fn snapshot(problem: &Problem) -> bool {
    fn place(problem: &Problem, begun: &mut Vec<Option<usize>>, done: &mut Vec<usize>) -> bool {
        let n = problem.txns.len();
        if done.len() == n {
            return true;
        }
        for at in 0..n {
            if done.contains(&at) {
                continue;
            }
            let txn = &problem.txns[at];
            match begun[at] {
                None => {
                    let last = |key: &Id| {
                        done.iter().rev().find(|d| problem.txns[**d].writes.contains(key)).copied()
                    };
                    let reads = txn.reads.iter().all(|(key, of)| match of {
                        ReadOf::Initial => last(key).is_none(),
                        ReadOf::Txn(writer) => last(key) == Some(*writer),
                    });
                    if reads {
                        begun[at] = Some(done.len());
                        if place(problem, begun, done) {
                            return true;
                        }
                        begun[at] = None;
                    }
                }
                Some(since) => {
                    let overlaps = done[since..]
                        .iter()
                        .any(|d| problem.txns[*d].writes.iter().any(|k| txn.writes.contains(k)));
                    if !overlaps {
                        done.push(at);
                        if place(problem, begun, done) {
                            return true;
                        }
                        done.pop();
                    }
                }
            }
        }
        false
    }
    place(problem, &mut vec![None; problem.txns.len()], &mut Vec::new())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_trying_every_serial_order(problem in problem()) {
        for (time, realtime) in [(InTime::No, false), (InTime::Realtime, true)] {
            let wanted = serializable(&problem, realtime);
            let got = problem.solve(Wanted::Serializable, time);
            prop_assert_eq!(matches!(got, Answer::Yes), wanted, "{:?}: {:?}", time, got);
            if let Answer::No(core) = got {
                // What is left is a problem without an answer by itself.
                let mut small = problem.clone();
                for at in (0..problem.txns.len()).rev().filter(|at| !core.contains(at)) {
                    small = small.without(at..at + 1);
                }
                prop_assert!(!serializable(&small, realtime));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_trying_every_order_of_begins_and_commits(problem in problem()) {
        let wanted = snapshot(&problem);
        let got = problem.solve(Wanted::Snapshot, InTime::No);
        prop_assert_eq!(matches!(got, Answer::Yes), wanted, "{:?}", got);
    }
}
