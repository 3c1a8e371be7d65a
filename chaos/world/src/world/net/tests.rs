//! Lanes keep their order; rules do what they say and nothing to each other's draws.

use super::*;
use proptest::prelude::*;

fn slot(n: u8) -> Slot {
    Slot::new(n).expect("1, 2 or 3")
}

fn net() -> Net {
    let plan = NetPlan { delay_us: 100, jitter_us: 500, ns_per_byte: 1, client_delay_us: 0, connect_us: 0 };
    Net::new(7, plan)
}

fn frame(from: u8, to: u8, lane: Lane) -> Frame {
    Frame {
        from: slot(from),
        to: slot(to),
        lane,
        bytes: Bytes::from_static(b"x"),
        spoiled: false,
        drawn: None,
        lives: (1, 1),
    }
}

fn dues(net: &mut Net, frames: usize) -> Vec<Option<u64>> {
    (0..frames).map(|i| net.send(i as u64 * 10_000, &frame(1, 2, Lane::Bulk)).due_ns[0]).collect()
}

#[test]
fn a_lane_keeps_its_order_and_lanes_do_not_wait_for_each_other() {
    let mut net = net();
    let bulk = dues(&mut net, 500);
    assert!(bulk.windows(2).all(|w| w[0] < w[1]), "a lane without a rule keeps its order");
    let fast = net.send(0, &frame(1, 2, Lane::Fast)).due_ns[0].expect("nothing is lost");
    assert!(fast < bulk[499].expect("nothing is lost"), "another lane overtakes");
}

#[test]
fn a_cut_goes_one_way() {
    let mut net = net();
    net.add(slot(1), slot(2), (0, 0), Rule::Cut);
    assert_eq!(net.send(0, &frame(1, 2, Lane::Fast)).due_ns, [None, None]);
    assert!(net.send(0, &frame(2, 1, Lane::Fast)).due_ns[0].is_some());
    assert!(net.is_cut(slot(1), slot(2)) && !net.is_cut(slot(2), slot(1)) && !net.open(slot(1), slot(2)));
    net.heal(0);
    assert!(net.open(slot(1), slot(2)));
}

#[test]
fn what_was_held_back_comes_when_the_last_hold_is_lifted() {
    let mut net = net();
    net.add(slot(1), slot(2), (0, 0), Rule::Hold);
    net.add(slot(1), slot(2), (1, 1), Rule::Hold);
    for _ in 0..5 {
        assert_eq!(net.send(0, &frame(1, 2, Lane::Bulk)).due_ns, [None, None]);
    }
    assert!(net.heal(0).is_empty());
    assert_eq!(net.heal(1).len(), 5);
}

proptest! {
    /// Taking one fault out leaves every frame that it did not touch where it was.
    #[test]
    fn a_rule_moves_no_other_draw(per_mille in 1_u64..900) {
        let mut with = net();
        with.add(slot(1), slot(2), (0, 0), Rule::Loss { per_mille: 300 });
        with.add(slot(1), slot(2), (1, 1), Rule::Loss { per_mille });
        let mut without = net();
        without.add(slot(1), slot(2), (0, 0), Rule::Loss { per_mille: 300 });
        for i in 0..400 {
            let a = with.send(i, &frame(1, 2, Lane::Fast));
            let b = without.send(i, &frame(1, 2, Lane::Fast));
            prop_assert_eq!(a.faults.contains(&Some(0)), b.faults.contains(&Some(0)));
        }
    }

    #[test]
    fn losses_come_at_about_their_rate(per_mille in 50_u64..950) {
        let mut net = net();
        net.add(slot(1), slot(2), (0, 0), Rule::Loss { per_mille });
        let lost = dues(&mut net, 4000).iter().filter(|d| d.is_none()).count() as u64;
        let expected = per_mille * 4;
        prop_assert!(lost.abs_diff(expected) < 150, "{} of 4,000 lost, expected about {}", lost, expected);
    }
}

#[test]
fn a_bit_that_flips_is_one_of_the_frames_own() {
    let mut net = net();
    net.add(slot(1), slot(2), (0, 0), Rule::Flip { per_mille: 500 });
    let frame = frame(1, 2, Lane::Bulk);
    let flips: Vec<Option<u64>> = (0..200).map(|n| net.send(n * 1_000_000, &frame).flip).collect();
    assert!(flips.iter().flatten().all(|bit| *bit < 8), "the frame has one byte");
    let spoiled = flips.iter().flatten().count();
    assert!((60..140).contains(&spoiled), "{spoiled} of 200");
}

#[test]
fn a_narrow_link_takes_its_time_and_loses_what_would_wait_too_long() {
    let mut net = net();
    net.add(slot(1), slot(2), (0, 0), Rule::Throttle { bytes_per_s: 1000 });
    let hundred = Frame { bytes: Bytes::from(vec![0; 100]), ..frame(1, 2, Lane::Fast) };
    let dues: Vec<Option<u64>> = (0..10).map(|_| net.send(0, &hundred).due_ns[0]).collect();
    for (n, due) in dues.iter().enumerate() {
        // A hundred bytes are 100 ms; the link's own delay is below 1 ms.
        let whole_ms = due.map(|due| due / 1_000_000);
        assert_eq!(whole_ms, (n < 6).then_some((n as u64 + 1) * 100), "frame {n}");
    }
    let bulk = net.send(0, &frame(1, 2, Lane::Bulk));
    assert_eq!(bulk.due_ns, [None, None], "lanes share what the link carries");
    let later = net.send(1_000_000_000, &hundred).due_ns[0];
    assert_eq!(later.map(|due| due / 1_000_000), Some(1100), "what was lost costs nothing");
    assert!(
        net.send(0, &frame(2, 1, Lane::Fast)).due_ns[0].is_some_and(|due| due < 1_000_000),
        "the other way"
    );
    net.heal(0);
    assert!(net.send(2_000_000_000, &hundred).due_ns[0].is_some_and(|due| due < 2_001_000_000));
}
