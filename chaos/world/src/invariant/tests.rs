//! Each invariant can fail: what it must catch, in the smallest case.

use super::*;
use plait_base::{BootEpoch, Mono, Outcome, Seqno, Slot};
use plait_replica::{Counters, Reads, State};

fn look(slot: u8, change: impl Fn(&mut Look)) -> Look {
    let status = Status {
        member: None,
        epoch: BootEpoch(1),
        state: State::Synced,
        term: 1,
        leader: None,
        voters: Vec::new(),
        learners: Vec::new(),
        commit_index: 10,
        applied_index: 10,
        durable_index: 10,
        stable_index: 10,
        log_first_index: 1,
        log_bytes: 0,
        seqno: Seqno(5),
        chain: "00000000000000aa".to_owned(),
        refused_entry: None,
        reads: Reads::Lease,
        lease_until: None,
        sessions: 0,
        proposals: 0,
        checkpoint_generation: 0,
        checkpoint_seqno: Seqno(0),
        counters: Counters::default(),
    };
    let mut look = Look { slot: Slot::new(slot).expect("1, 2 or 3"), life: 1, mono: Mono(100), status };
    change(&mut look);
    look
}

fn seen(judge: &mut Judge, looks: [Option<Look>; 3]) -> Vec<String> {
    judge.look(&looks);
    judge.violations.iter().map(|v| v.invariant.clone()).collect()
}

#[test]
fn a_healthy_cluster_breaks_nothing() {
    let mut judge = Judge::default();
    let looks = [1, 2, 3].map(|n| Some(look(n, |l| l.status.lease_until = Some(Mono(200)))));
    assert!(seen(&mut judge, looks).is_empty());
    assert_eq!((judge.chains.compared, judge.leases.usable), (2, 3));
}

#[test]
fn two_leaders_in_a_term() {
    let leads = |n: u8| Some(look(n, |l| l.status.leader = Slot::new(n)));
    assert_eq!(seen(&mut Judge::default(), [leads(1), leads(2), None]), ["leader"]);
}

#[test]
fn two_chains_at_one_seqno() {
    let other = look(2, |l| l.status.chain = "00000000000000ab".to_owned());
    assert_eq!(seen(&mut Judge::default(), [Some(look(1, |_| {})), Some(other), None]), ["chain"]);
}

#[test]
fn one_proposal_at_two_places() {
    let id = |counter| plait_base::ProposalId { slot: Slot::ALL[0], epoch: BootEpoch(1), counter };
    let mut judge = Judge::default();
    judge.ordered(Slot::ALL[0], 5, 9, id(1), "done");
    judge.ordered(Slot::ALL[1], 5, 9, id(1), "done");
    judge.ordered(Slot::ALL[1], 6, 9, id(2), "done");
    assert!(judge.violations.is_empty());
    judge.ordered(Slot::ALL[0], 6, 9, id(2), "lost");
    judge.ordered(Slot::ALL[0], 7, 10, id(1), "done");
    let what: Vec<_> = judge.violations.iter().map(|v| v.what.as_str()).collect();
    assert!(
        what[0].contains("another verdict") && what[1].contains("ordered at seqno 5 and again at 7"),
        "{what:?}"
    );
}

#[test]
fn an_index_that_goes_back() {
    let mut judge = Judge::default();
    judge.look(&[Some(look(1, |_| {})), None, None]);
    let back = look(1, |l| (l.status.commit_index, l.status.applied_index) = (9, 9));
    assert_eq!(seen(&mut judge, [Some(back.clone()), None, None]), ["commit"]);
    let mut judge = Judge::default();
    judge.look(&[Some(look(1, |_| {})), None, None]);
    let restarted = Look { life: 2, ..back };
    assert!(seen(&mut judge, [Some(restarted), None, None]).is_empty(), "a restart may forget");
}

#[test]
fn applied_before_committed() {
    let ahead = look(1, |l| l.status.applied_index = 11);
    assert_eq!(seen(&mut Judge::default(), [Some(ahead), None, None]), ["commit"]);
}

#[test]
fn a_usable_lease_behind_a_stable_index() {
    let behind = |until: u64| {
        look(2, |l| {
            l.status.applied_index = 9;
            l.status.stable_index = 9;
            l.status.lease_until = Some(Mono(until));
        })
    };
    let run = |until| seen(&mut Judge::default(), [Some(look(1, |_| {})), Some(behind(until)), None]);
    assert_eq!(run(101), ["lease"]);
    assert!(run(100).is_empty(), "a lease that is over promises nothing");
}

#[test]
fn the_ledger_remembers_what_was_promised() {
    let mut ledger = ledger::Ledger::default();
    let (yes, no, unknown) = (ledger.begin(), ledger.begin(), ledger.begin());
    for op in [yes, no, unknown] {
        ledger.writes(op);
    }
    ledger.end(yes, Outcome::Yes, 10).expect("nothing was read");
    ledger.end(no, Outcome::No, 10).expect("nothing was read");
    ledger.end(unknown, Outcome::Unknown, 10).expect("nothing was read");
    assert!(ledger.read(0, 3, &[], 5, 12).is_ok(), "a read that began before the answer may miss it");
    assert!(ledger.read(0, 3, &[], 11, 12).is_err_and(|why| why.contains("acknowledged")));
    assert!(ledger.read(0, 3, &[yes, no], 11, 12).is_err_and(|why| why.contains("refused")));
    assert!(ledger.read(0, 3, &[yes, unknown], 11, 20).is_ok());
    assert!(ledger.read(0, 3, &[yes], 21, 22).is_err_and(|why| why.contains("was read")));
    assert!(ledger.read(0, 3, &[yes, unknown, 77], 21, 22).is_err());
}

#[test]
fn a_refusal_after_the_row_was_read_is_a_lie() {
    let mut ledger = ledger::Ledger::default();
    let op = ledger.begin();
    ledger.writes(op);
    ledger.read(0, 1, &[op], 1, 2).expect("it may have been written");
    assert!(ledger.end(op, Outcome::No, 3).is_err());
}

#[test]
fn a_counter_is_bounded_from_both_sides() {
    let mut count = count::Count::default();
    for _ in 0..3 {
        count.begin();
    }
    count.acknowledged();
    count.refused();
    let floor = count.floor();
    assert!(count.clone().read(floor, 0).is_err());
    assert!(count.clone().read(floor, 3).is_err());
    count.read(floor, 2).expect("one unknown increment may have happened");
    assert!(count.clone().read(count.floor(), 1).is_err(), "a read never goes back");
}

#[test]
fn sums_ids_and_pairs() {
    let n2 = Slot::new(2).expect("a slot");
    let mut total = total::Total::of(30);
    assert!(total.read(n2, &[10, 20], 2).is_ok());
    assert!(total.read(n2, &[10, 21], 2).is_err() && total.read(n2, &[30], 2).is_err());
    let mut ids = ids::Ids::default();
    assert!(ids.seen(5, 1, n2).is_ok() && ids.seen(5, 1, n2).is_ok());
    assert!(ids.seen(5, 2, n2).is_err() && ids.seen(6, 3, n2).is_err());
    assert!(ids.seen(3, 9, Slot::ALL[2]).is_ok());
    assert!(skew::duty(n2, 1, &[1, 0]).is_ok() && skew::duty(n2, 1, &[0, 0]).is_err());
    assert!(skew::duty(n2, 1, &[1]).is_err());
    assert!(
        orders::no_orphan(n2, "order", &[1, 2], &[(7, 1), (8, 1)]).is_ok()
            && orders::no_orphan(n2, "order", &[1, 2], &[(7, 1), (8, 3)]).is_err()
    );
    assert!(
        seats::one_each(n2, &[(1, 7), (2, 8)]).is_ok() && seats::one_each(n2, &[(1, 7), (2, 7)]).is_err()
    );
    assert!(whole::sheet(n2, 2, &[7, 7]).is_ok());
    assert!(whole::sheet(n2, 2, &[7, 8]).is_err() && whole::sheet(n2, 3, &[7, 7]).is_err());
    assert!(skew::hall(n2, 1, &[4]).is_ok() && skew::hall(n2, 1, &[4, 5]).is_err());
}
