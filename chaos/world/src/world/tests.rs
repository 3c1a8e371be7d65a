//! The world itself: the same plan gives the same run, and a calm one is valid.

use super::diagram::Message;
use crate::plan;
use crate::run::{Verdict, run, run_listing, run_watched};
use plait_consensus::Sign;

#[test]
fn a_calm_run_is_valid_and_busy() {
    let plan = plan::draw(1, "calm").expect("the profile exists");
    let report = run(&plan, false, None).expect("the harness is sound");
    assert_eq!(report.verdict, Verdict::Valid, "{:?}", report.violations);
    assert!(report.counts.yes > 200, "{:?}", report.counts);
    assert_eq!(report.counts.deaths, 0);
}

#[test]
fn one_plan_has_one_run() {
    let plan = plan::draw(5, "swarm-std").expect("the profile exists");
    let (a, b) = (run(&plan, true, None), run(&plan, true, None));
    let (a, b) = (a.expect("the harness is sound"), b.expect("the harness is sound"));
    assert_eq!(a.checkpoints, b.checkpoints);
    assert_eq!(a.hash, b.hash);
    let other = run(&plan::draw(6, "swarm-std").expect("the profile exists"), true, None);
    assert_ne!(a.hash, other.expect("the harness is sound").hash);
}

#[test]
fn a_story_changes_nothing() {
    let plan = plan::draw(8, "swarm-std").expect("the profile exists");
    let silent = run(&plan, true, None).expect("the harness is sound");
    let told = run(&plan, true, Some(super::Level::Events)).expect("the harness is sound");
    assert_eq!(silent.hash, told.hash);
    assert!(!told.story.is_empty());
}

#[test]
fn the_way_of_each_write_set_is_known() {
    let plan = plan::draw(3, "calm").expect("the profile exists");
    let diagram = run_watched(&plan).expect("the harness is sound").diagram.expect("it was watched");
    let placed: Vec<_> = diagram.ops.iter().filter_map(|op| Some((op, op.seqno?))).collect();
    let mut forwarded = 0;
    for (op, seqno) in &placed {
        let way: Vec<_> = diagram.way(*seqno).into_iter().map(|at| &diagram.messages[at]).collect();
        let place = diagram.ordered[seqno].0;
        let says = |m: &Message, word: Sign| {
            m.places.iter().any(|(sign, first, last)| {
                *sign == word && *last >= place && (word != Sign::Append || *first <= place)
            })
        };
        let of = |word: Sign| way.iter().filter(|m| says(m, word)).count();
        let all = [Sign::Append, Sign::AppendAck, Sign::Stable].map(of);
        assert_eq!(all, [2, 2, 2], "seqno {seqno} at {place}: {way:?}");
        let first = way.iter().map(|m| m.from_ns).min().expect("it is not empty");
        assert!(op.from_ns <= first && first < op.to_ns, "seqno {seqno} of {op:?}: {way:?}");
        // Before the answer, the leader has heard from one follower at least.
        let heard = |m: &Message| says(m, Sign::AppendAck) && m.to_ns.is_some_and(|at| at <= op.to_ns);
        assert!(way.iter().any(|m| heard(m)), "seqno {seqno} of {op:?}: {way:?}");
        let forwards = way.iter().filter(|m| !m.forwards.is_empty() && m.from == op.slot).count();
        let leads = way.iter().any(|m| says(m, Sign::Append) && m.from == op.slot);
        assert_eq!(forwards, usize::from(!leads), "seqno {seqno} of {op:?}: {way:?}");
        forwarded += forwards;
    }
    assert!(placed.len() > 200 && forwarded > 50, "{} placed, {forwarded} forwarded", placed.len());
}

#[test]
fn a_plan_that_lists_its_transactions_has_the_same_run() {
    for seed in 1..=6 {
        let mut plan = plan::draw(seed, "swarm-std").expect("the profile exists");
        let free = run(&plan, true, None).expect("the harness is sound");
        plan.ops = Some(run_listing(&plan).expect("the harness is sound").ops);
        let listed = run(&plan, true, None).expect("the harness is sound");
        // How the end is looked at depends on when the last client has come to rest.
        let both = free.checkpoints.len().min(listed.checkpoints.len()) - 2;
        assert!(both > 10, "seed {seed}");
        assert_eq!(free.checkpoints[..both], listed.checkpoints[..both], "seed {seed}");
        // One that is struck takes no other with it.
        let struck = plan.ops.as_mut().expect("it was just put there").remove(20);
        let rest = run_listing(&plan).expect("the harness is sound").ops;
        assert!(!rest.iter().any(|op| op.op == struck.op) && rest.len() > 300, "seed {seed}");
    }
}
