//! The world itself: the same plan gives the same run, and a calm one is valid.

use crate::plan;
use crate::run::{Verdict, run, run_listing};

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
