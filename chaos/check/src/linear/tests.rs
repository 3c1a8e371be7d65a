//! The solver against the definition: every order tried, on small histories.

use super::*;
use proptest::prelude::*;

fn done(op: u64, begun_ns: u64, ended_ns: u64, kind: Kind) -> Done {
    Done { op, begun_ns, ended_ns, kind }
}

#[test]
fn a_read_of_the_old_value_after_the_answer_is_stale() {
    let history = [done(1, 0, 10, Kind::Write(1)), done(2, 11, 12, Kind::Read(0))];
    assert!(matches!(check(0, &history), Verdict::Not(why) if why.to_string().contains("reads 0")));
}

#[test]
fn new_then_old_is_not_linearizable_even_while_the_write_runs() {
    let history =
        [done(1, 0, 100, Kind::Write(1)), done(2, 10, 20, Kind::Read(1)), done(3, 30, 40, Kind::Read(0))];
    assert!(matches!(check(0, &history), Verdict::Not(_)));
}

#[test]
fn an_unknown_write_may_come_late_or_never() {
    let write = done(1, 0, u64::MAX, Kind::Write(1));
    assert_eq!(
        check(0, &[write, done(2, 10, 20, Kind::Read(0)), done(3, 30, 40, Kind::Read(1))]),
        Verdict::Linearizable
    );
    assert_eq!(check(0, &[write, done(2, 10, 20, Kind::Read(0))]), Verdict::Linearizable);
}

#[test]
fn of_two_swaps_from_one_value_one_is_a_lie() {
    let history = [done(1, 0, 50, Kind::Swap(0, 1)), done(2, 0, 50, Kind::Swap(0, 2))];
    assert!(matches!(check(0, &history), Verdict::Not(_)));
}

#[test]
fn a_long_history_is_judged_quickly() {
    let mut history = Vec::new();
    for i in 0..2000_u64 {
        history.push(done(i, i * 10, i * 10 + 25, Kind::Write(i as i64 + 1)));
        history.push(done(i + 10_000, i * 10 + 26, i * 10 + 29, Kind::Read(i as i64 + 1)));
    }
    // Overlapping writes and exact reads: some reads do not fit, or all do; either way it ends.
    assert_ne!(check(0, &history), Verdict::Undecided);
}

/// All orders of all subsets that must and may take effect.
fn brute(value: i64, left: &mut Vec<Done>) -> bool {
    if left.iter().all(|d| d.ended_ns == u64::MAX) {
        return true;
    }
    let deadline = left.iter().map(|d| d.ended_ns).min().unwrap_or(u64::MAX);
    for i in 0..left.len() {
        if left[i].begun_ns > deadline {
            continue;
        }
        let next = match left[i].kind {
            Kind::Read(v) if v == value => value,
            Kind::Write(v) => v,
            Kind::Swap(a, b) if a == value => b,
            _ => continue,
        };
        let taken = left.remove(i);
        let fits = brute(next, left);
        left.insert(i, taken);
        if fits {
            return true;
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_trying_every_order(
        shapes in prop::collection::vec((0_u64..30, 1_u64..15, 0_u8..4, 0_i64..6, any::<bool>()), 1..7),
        few in any::<bool>(),
    ) {
        let history: Vec<Done> = shapes
            .iter()
            .enumerate()
            .map(|(i, (begun, long, kind, seen, unknown))| {
                // Values that are written once, or a few that come again.
                let unique = if few { i as i64 % 2 + 1 } else { i as i64 + 1 };
                let kind = match kind {
                    0 | 1 => Kind::Read(*seen),
                    2 => Kind::Write(unique),
                    _ => Kind::Swap(*seen, unique),
                };
                let unknown = *unknown && !matches!(kind, Kind::Read(_));
                done(i as u64, *begun, if unknown { u64::MAX } else { begun + long }, kind)
            })
            .collect();
        let expected = brute(0, &mut history.clone());
        prop_assert_eq!(check(0, &history) == Verdict::Linearizable, expected, "{:?}", history);
        let searched = search::check(0, &history, 100_000);
        prop_assert_eq!(searched == Verdict::Linearizable, expected, "{:?}: {:?}", history, searched);
    }
}
