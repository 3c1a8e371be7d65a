//! Who is given a lease, as far as the leader's table alone decides it.

use super::*;

const L: Duration = Duration::from_millis(300);

fn table() -> (Grants, Lengths) {
    let lengths = Lengths { lease: L, drift_per_mille: 25, lag_max: 8192 };
    (Grants::elected(Mono(0), &lengths), lengths)
}

fn node() -> Slot {
    Slot::new(2).expect("a slot")
}

/// Asks, and takes the grant if there is one.
fn ask(grants: &mut Grants, lengths: &Lengths, at_ms: u64, epoch: u64, applied: u64, commit: u64) -> bool {
    let now = Mono(0) + Duration::from_millis(at_ms);
    let kept = grants.keeps_up(node(), BootEpoch(epoch), Index(applied), Index(commit));
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
