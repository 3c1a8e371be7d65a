//! Who is given a lease, as far as the leader's table alone decides it.

use super::*;

const L: Duration = Duration::from_millis(300);

fn table() -> (Grants, Lengths) {
    let lengths =
        Lengths { lease: L, drift_per_mille: 25, lag_max: 8192, late_max: Duration::from_millis(20) };
    (Grants::elected(Mono(0), &lengths), lengths)
}

fn node() -> Slot {
    Slot::new(2).expect("a slot")
}

/// Asks, and takes the grant if there is one.
fn ask(grants: &mut Grants, lengths: &Lengths, at_ms: u64, epoch: u64, applied: u64, commit: u64) -> bool {
    let now = Mono(0) + Duration::from_millis(at_ms);
    let kept = grants.keeps_up(now, node(), BootEpoch(epoch), Index(applied), Index(commit));
    if kept {
        grants.grant(now, node(), BootEpoch(epoch), lengths);
    }
    kept
}

#[test]
fn whoever_a_new_leader_finds_in_place_is_trusted_for_two_asks() {
    let (mut grants, lengths) = table();
    assert!(ask(&mut grants, &lengths, 0, 1, 5, 90));
    assert!(ask(&mut grants, &lengths, 100, 1, 20, 100));
    assert!(!ask(&mut grants, &lengths, 200, 1, 80, 110), "90 was committed two asks ago");
    assert!(grants.is_behind(node()));
    assert!(ask(&mut grants, &lengths, 300, 1, 100, 120));
}

#[test]
fn a_new_start_shows_first_that_it_keeps_up() {
    let (mut grants, lengths) = table();
    assert!(ask(&mut grants, &lengths, 0, 1, 90, 90));
    for life in 2..9 {
        let at_ms = life * 235;
        assert!(!ask(&mut grants, &lengths, at_ms, life, 40, 100), "it has its checkpoint only");
        assert!(!ask(&mut grants, &lengths, at_ms + 100, life, 60, 110));
    }
    assert!(!ask(&mut grants, &lengths, 2200, 9, 40, 120));
    assert!(!ask(&mut grants, &lengths, 2300, 9, 119, 130));
    assert!(ask(&mut grants, &lengths, 2400, 9, 120, 140));
}

#[test]
fn a_new_start_that_has_everything_is_granted_at_once() {
    let (mut grants, lengths) = table();
    assert!(ask(&mut grants, &lengths, 0, 1, 90, 90));
    assert!(ask(&mut grants, &lengths, 50, 2, 90, 90));
}

fn slot(n: u8) -> Slot {
    Slot::new(n).expect("a slot")
}

/// Ten entries of which each follower reports every one so many milliseconds after its commit; then both ask. Which of
/// them is slow?
fn round(grants: &mut Grants, lengths: &Lengths, begin_ms: u64, first: u64, late_ms: [u64; 2]) -> [bool; 2] {
    let at = |ms: u64| Mono(0) + Duration::from_millis(begin_ms + ms);
    let mut reports = Vec::new();
    for n in 0..10 {
        grants.committed(at(n), Index(first + n));
        reports.extend([2, 3].into_iter().zip(late_ms).map(|(node, late)| (n + late, node, first + n)));
    }
    reports.sort_unstable();
    for (ms, node, index) in reports {
        grants.report(at(ms), slot(1), slot(node), Index(index));
    }
    [2, 3].map(|node| grants.is_slow(at(100), slot(1), slot(node), lengths))
}

#[test]
fn a_follower_that_is_always_late_where_the_other_is_not_is_slow() {
    let (mut grants, lengths) = table();
    assert_eq!(round(&mut grants, &lengths, 0, 1, [1, 1]), [false, false]);
    assert_eq!(round(&mut grants, &lengths, 100, 11, [1, 50]), [false, true]);
    assert_eq!(round(&mut grants, &lengths, 200, 21, [1, 50]), [false, true]);
    assert_eq!(round(&mut grants, &lengths, 300, 31, [1, 2]), [false, false], "it has recovered");
    assert_eq!(round(&mut grants, &lengths, 400, 41, [50, 50]), [false, false], "the way is long");
}

#[test]
fn one_quick_answer_clears_a_follower_and_silence_does_not() {
    let (mut grants, lengths) = table();
    let at = |ms: u64| Mono(0) + Duration::from_millis(ms);
    for (ms, index) in [(0, 1), (90, 2)] {
        grants.committed(at(ms), Index(index));
        grants.report(at(ms + 1), slot(1), slot(2), Index(index));
    }
    // It stood still for 80 ms, and catches up.
    grants.report(at(80), slot(1), slot(3), Index(1));
    grants.report(at(92), slot(1), slot(3), Index(2));
    assert!(!grants.is_slow(at(100), slot(1), slot(3), &lengths));
    // Nothing was committed since: there is nothing to be late with.
    assert!(!grants.is_slow(at(200), slot(1), slot(3), &lengths));
    grants.committed(at(210), Index(3));
    grants.report(at(211), slot(1), slot(2), Index(3));
    assert!(grants.is_slow(at(300), slot(1), slot(3), &lengths), "90 ms, and not a word");
    // A new process of it is not blamed for that.
    grants.keeps_up(at(310), slot(3), BootEpoch(2), Index(2), Index(3));
    assert!(!grants.is_slow(at(310), slot(1), slot(3), &lengths));
}

#[test]
fn the_only_follower_is_never_slow() {
    let (mut grants, lengths) = table();
    let at = |ms: u64| Mono(0) + Duration::from_millis(ms);
    grants.committed(at(0), Index(1));
    grants.report(at(80), slot(1), slot(2), Index(1));
    assert!(!grants.is_slow(at(100), slot(1), slot(2), &lengths));
    // The other was quick, and died.
    grants.committed(at(110), Index(2));
    grants.report(at(111), slot(1), slot(3), Index(2));
    for n in 3..12 {
        grants.committed(at(n * 50), Index(n));
        grants.report(at(n * 50 + 40), slot(1), slot(2), Index(n));
    }
    assert!(!grants.is_slow(at(600), slot(1), slot(2), &lengths), "it is needed, however slow");
}
