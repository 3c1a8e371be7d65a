//! Who counts as sound, and from when.

use super::*;

const WHOLE: [bool; 3] = [true; 3];
const S: u64 = 1_000_000_000;

fn slot(n: u8) -> Slot {
    Slot::new(n).expect("a slot")
}

fn running() -> Stalls {
    let mut stalls = Stalls::default();
    Slot::ALL.into_iter().for_each(|slot| stalls.changed(slot, true, 0));
    stalls
}

fn late(stalls: &mut Stalls, at: u8, asked_ns: u64) -> bool {
    stalls.waited(slot(at), asked_ns, asked_ns + ANSWER_NS_MAX + 1, WHOLE, String::new).is_err()
}

#[test]
fn whatever_the_third_does_two_must_answer() {
    let mut stalls = running();
    stalls.fault_on(&FaultKind::Pause { node: 3 });
    assert!(late(&mut stalls, 1, 4 * S) && late(&mut stalls, 2, 4 * S));
    assert!(!late(&mut stalls, 3, 4 * S), "who stands still answers nobody");
    assert!(stalls.waited(slot(1), 4 * S, 4 * S + ANSWER_NS_MAX, WHOLE, String::new).is_ok());
    assert_eq!((stalls.judged, stalls.longest_ns), (3, ANSWER_NS_MAX + 1));
}

#[test]
fn nobody_is_judged_while_a_link_is_bad_or_soon_after() {
    let mut stalls = running();
    let cut = FaultKind::OneWay { from: 3, to: 1 };
    stalls.fault_on(&cut);
    assert!(!late(&mut stalls, 1, 4 * S));
    stalls.fault_off(&cut, 5 * S);
    assert!(!late(&mut stalls, 1, 6 * S), "it is still settling");
    assert!(late(&mut stalls, 1, 5 * S + SETTLED_NS + 1));
}

#[test]
fn one_alone_owes_nothing() {
    let mut stalls = running();
    stalls.fault_on(&FaultKind::Pause { node: 3 });
    stalls.changed(slot(2), false, S);
    assert!(!late(&mut stalls, 1, 4 * S));
    let mut stalls = running();
    stalls.fault_on(&FaultKind::Pause { node: 3 });
    let found = stalls.waited(slot(1), 4 * S, 9 * S, [true, false, true], String::new);
    assert!(found.is_ok(), "the other has not yet got its state back");
}
