//! Each planted bug is seen by a property above, or that property proves nothing.
//!
//! A bug is on in a whole process, so each is tried in one of its own: this test starts the test binary again.

use crate::zoo::{Bug, set};
use std::process::Command;

const CHOICE: &str = "PLAIT_STORE_BUG";

#[allow(clippy::disallowed_methods)]
pub fn plant() {
    if let Ok(name) = std::env::var(CHOICE) {
        set(Some(Bug::parse(&name).expect("the parent names a bug")));
    }
}

fn must_fail(bug: Bug) -> &'static str {
    match bug {
        Bug::LastSeenAtCommit | Bug::SameOriginSkipped | Bug::CertWindowOffByOne => SERIAL,
        Bug::ReadKeysDropped | Bug::RangesDropped | Bug::TombstonesForgotten => SERIAL,
        Bug::HashOrder | Bug::ClockRead => "tests::oracle::every_verdict_is_the_naive_one",
        Bug::UniqueNotCertified => "tests::indexes::apply_checks_unique_values_again",
        Bug::AdditionLost => "tests::add::additions_of_three_nodes_to_one_row_all_happen",
        Bug::SnapshotMovesBlindly => "tests::queues::a_snapshot_moves_on_while_what_was_read_stands",
        Bug::WaiterForgotten => "queue::tests::each_in_turn",
        Bug::ParentNotCertified => "tests::foreign::of_two_that_would_leave_an_orphan_the_second_is_refused",
        Bug::LockNotFenced => "tests::named::who_lost_a_lock_commits_nothing_under_it",
        Bug::ReplayBlind => "tests::replay::who_would_be_answered_otherwise_is_refused",
        Bug::IdMarkLost => "tests::ids::no_id_is_handed_out_twice_nor_outside_its_class",
    }
}

const SERIAL: &str = "tests::serial::transactions_are_as_isolated_as_their_level_says";

#[test]
fn every_bug_is_seen() {
    let binary = std::env::current_exe().expect("a test runs from a file");
    for bug in Bug::ALL {
        assert_eq!(Bug::parse(bug.name()), Some(*bug));
        let run = Command::new(&binary)
            .args(["--exact", must_fail(*bug)])
            .env(CHOICE, bug.name())
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")
            .output()
            .expect("the test binary can be started");
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(said.contains("running 1 test"), "{}: {said}", bug.name());
        assert!(!run.status.success(), "{} was not seen by {}", bug.name(), must_fail(*bug));
    }
}
