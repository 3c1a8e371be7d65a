//! Sessions: short stories of what a client sees.

use super::kit::*;
use crate::*;
use plait_base::{ProposalId, Seqno};

fn value(cluster: &mut Cluster, node: u8, id: i64) -> Option<i64> {
    let mut session = cluster.session(node);
    let reply = cluster.run(&mut session, vec![get("t", id)]).expect("it may read");
    pairs_of(&reply.results[0]).first().map(|(_, v)| *v)
}

fn bank() -> (Cluster, Session, Session) {
    let mut cluster = Cluster::with(&[pairs("t")]);
    let (mut a, b) = (cluster.session(1), cluster.session(2));
    cluster.run(&mut a, vec![insert("t", 1, 10), insert("t", 2, 20)]).expect("the table is empty");
    (cluster, a, b)
}

/// Opens the path that a test takes by hand: the request runs until it wants something ordered.
fn until_order(cluster: &mut Cluster, session: &mut Session, request: Request) -> plait_base::Bytes {
    session.start(request).expect("nothing is under way");
    match cluster.nodes[session.slot().at()].run(session) {
        Progress::Order(op) => op,
        other => panic!("an operation was expected, not {other:?}"),
    }
}

#[test]
fn the_first_to_commit_wins_and_the_other_begins_again() {
    let (mut cluster, mut a, mut b) = bank();
    cluster.begin(&mut a, Isolation::RepeatableRead);
    cluster.begin(&mut b, Isolation::RepeatableRead);
    cluster.run(&mut a, vec![add("t", 1, 1)]).expect("nobody is in its way");
    cluster.run(&mut b, vec![add("t", 1, 5)]).expect("nobody is in its way yet");
    let reply = cluster.commit(&mut b).expect("it is first");
    assert_eq!(reply.seqno, Some(Seqno(3)));
    let error = cluster.commit(&mut a).expect_err("it is second");
    assert_eq!(
        error,
        Error::Conflict { table: "t".into(), key: "1".into(), read_at: Seqno(2), winner: Seqno(3) }
    );
    assert!(!a.in_transaction());
    assert_eq!(value(&mut cluster, 3, 1), Some(15));
}

#[test]
fn a_write_that_has_lost_already_is_refused_at_once_and_ends_the_transaction() {
    let (mut cluster, mut a, mut b) = bank();
    cluster.begin(&mut a, Isolation::RepeatableRead);
    cluster.run(&mut a, vec![get("t", 1)]).expect("it may read");
    cluster.run(&mut b, vec![add("t", 1, 5)]).expect("nobody is in its way");
    let answer = cluster.ask(&mut a, Request::Run(vec![add("t", 1, 1)]));
    assert!(matches!(answer.reply, Err(Error::Conflict { winner: Seqno(3), .. })));
    assert_eq!(answer.depends_on, Seqno(3));
    assert!(!a.in_transaction());
}

#[test]
fn the_snapshot_is_that_of_the_first_read_not_of_begin() {
    let (mut cluster, mut a, mut b) = bank();
    cluster.begin(&mut a, Isolation::RepeatableRead);
    cluster.run(&mut b, vec![update("t", 1, 99)]).expect("nobody is in its way");
    let reply = cluster.run(&mut a, vec![get("t", 1)]).expect("it may read");
    assert_eq!(pairs_of(&reply.results[0]), [(1, 99)]);
    cluster.run(&mut b, vec![update("t", 1, 100)]).expect("nobody is in its way");
    let reply = cluster.run(&mut a, vec![get("t", 1), scan("t")]).expect("it may read");
    assert_eq!(pairs_of(&reply.results[0]), [(1, 99)]);
    assert_eq!(pairs_of(&reply.results[1]), [(1, 99), (2, 20)]);
}

#[test]
fn read_committed_sees_each_statement_anew_and_still_loses_no_update() {
    let (mut cluster, mut a, mut b) = bank();
    cluster.begin(&mut a, Isolation::ReadCommitted);
    cluster.run(&mut a, vec![get("t", 1)]).expect("it may read");
    cluster.run(&mut b, vec![update("t", 1, 50)]).expect("nobody is in its way");
    let reply = cluster.run(&mut a, vec![add("t", 1, 1), get("t", 1)]).expect("it sees the new row");
    assert_eq!(pairs_of(&reply.results[1]), [(1, 51)]);
    assert_eq!(a.snapshot(), None);
    // Another row is written in between, at a later snapshot than the first one.
    cluster.run(&mut b, vec![update("t", 2, 60)]).expect("nobody is in its way");
    cluster.run(&mut a, vec![add("t", 2, 1)]).expect("it sees the new row");
    cluster.commit(&mut a).expect("each row was read when it was newest");
    assert_eq!((value(&mut cluster, 3, 1), value(&mut cluster, 3, 2)), (Some(51), Some(61)));

    cluster.begin(&mut a, Isolation::ReadCommitted);
    cluster.run(&mut a, vec![add("t", 1, 1)]).expect("nobody is in its way");
    cluster.run(&mut b, vec![add("t", 1, 1)]).expect("nobody is in its way");
    cluster.run(&mut a, vec![add("t", 2, 1)]).expect("nobody is in its way");
    assert!(matches!(cluster.commit(&mut a), Err(Error::Conflict { .. })));
}

#[test]
fn a_transaction_reads_what_it_wrote() {
    let (mut cluster, mut a, _) = bank();
    cluster.begin(&mut a, Isolation::RepeatableRead);
    let steps =
        vec![insert("t", 3, 30), delete("t", 1), update("t", 2, 21), scan("t"), get("t", 1), get("t", 3)];
    let reply = cluster.run(&mut a, steps).expect("nobody is in its way");
    assert_eq!(pairs_of(&reply.results[3]), [(2, 21), (3, 30)]);
    assert_eq!(pairs_of(&reply.results[4]), []);
    assert_eq!(pairs_of(&reply.results[5]), [(3, 30)]);
    let reply = cluster.ask(&mut a, Request::Rollback).reply.expect("it can be rolled back");
    assert!(!reply.in_transaction);
    assert_eq!(value(&mut cluster, 1, 1), Some(10));
}

#[test]
fn a_failed_statement_leaves_the_transaction_open_and_takes_back_its_own_writes_alone() {
    let (mut cluster, mut a, _) = bank();
    cluster.begin(&mut a, Isolation::RepeatableRead);
    cluster.run(&mut a, vec![update("t", 1, 11)]).expect("nobody is in its way");
    let error = cluster.run(&mut a, vec![update("t", 1, 12), insert("t", 3, 3), insert("t", 2, 0)]);
    assert_eq!(
        error,
        Err(Error::DuplicateKey { table: "t".into(), index: "PRIMARY".into(), key: "2".into() })
    );
    assert!(a.in_transaction());
    let reply = cluster.run(&mut a, vec![scan("t")]).expect("it goes on");
    assert_eq!(pairs_of(&reply.results[0]), [(1, 11), (2, 20)]);
    cluster.commit(&mut a).expect("nobody is in its way");
    assert_eq!(value(&mut cluster, 2, 1), Some(11));
}

#[test]
fn a_statement_of_its_own_is_tried_again_four_times_and_a_script_never() {
    let (mut cluster, mut a, mut b) = bank();
    for whole in [false, true] {
        // By itself an addition would be ordered as a statement and lose against nobody.
        let steps = vec![add("t", 1, 1), get("t", 1)];
        let request = match whole {
            false => Request::Run(steps),
            true => Request::Script { isolation: Isolation::RepeatableRead, steps },
        };
        let mut op = until_order(&mut cluster, &mut a, request);
        let mut tries = 1;
        let error = loop {
            cluster.run(&mut b, vec![add("t", 1, 1)]).expect("it wins each time");
            let verdict = cluster.order(op);
            assert!(matches!(verdict, Verdict::Refused(Error::Conflict { .. })));
            a.resume(Ok(verdict));
            match cluster.nodes[0].run(&mut a) {
                Progress::Order(again) => op = again,
                Progress::Reply { reply, depends_on, .. } => {
                    assert_eq!(depends_on, cluster.nodes[0].store.applied());
                    break reply.expect_err("it lost each time");
                }
                Progress::Yield | Progress::Wait(_) => unreachable!("the kit goes on by itself"),
            }
            tries += 1;
        };
        assert!(matches!(error, Error::Conflict { .. }));
        assert_eq!(tries, if whole { 1 } else { 1 + RETRIES_MAX });
    }
    assert_eq!(value(&mut cluster, 3, 1), Some(10 + 6));
}

/// The winner is applied here and not yet published: a fresh snapshot would lose again.
#[test]
fn a_retry_waits_until_the_winner_is_published() {
    let (mut cluster, mut a, mut b) = bank();
    let winner = until_order(&mut cluster, &mut b, Request::Run(vec![add("t", 1, 5)]));
    let n = cluster.log.len() as u64 + 1;
    cluster.log.push(winner.clone());
    for node in &mut cluster.nodes {
        node.store.apply(Seqno(n), proposal(n), &winner, &mut 100).expect("there is enough budget");
    }
    a.start(Request::Run(vec![add("t", 1, 1), get("t", 1)])).expect("nothing is under way");
    let node = &mut cluster.nodes[0];
    let ctx = context();
    for _ in 0..20 {
        assert_eq!(a.run(&node.store, &mut node.local, &ctx, &mut 100), Progress::Yield);
    }
    cluster.nodes.iter_mut().for_each(|node| node.store.publish());
    cluster.finish(&mut a).reply.expect("it sees the winner's row");
    assert_eq!(value(&mut cluster, 1, 1), Some(16));
}

#[test]
fn write_skew_is_refused_where_reads_are_certified() {
    for (isolation, lock, allowed) in [
        (Isolation::RepeatableRead, false, true),
        (Isolation::RepeatableRead, true, false),
        (Isolation::ReadCommitted, true, false),
        (Isolation::Serializable, false, false),
    ] {
        for ranged in [false, true] {
            let (mut cluster, mut a, mut b) = bank();
            let look = || match (ranged, lock) {
                (false, true) => vec![get_locked("t", 1), get_locked("t", 2)],
                (false, false) => vec![get("t", 1), get("t", 2)],
                (true, lock) => {
                    vec![Step::Scan { table: "t".into(), from: vec![], to: vec![], limit: 0, lock }]
                }
            };
            cluster.begin(&mut a, isolation);
            cluster.begin(&mut b, isolation);
            cluster.run(&mut a, look()).expect("it may read");
            cluster.run(&mut b, look()).expect("it may read");
            cluster.run(&mut a, vec![update("t", 1, 0)]).expect("nobody is in its way");
            cluster.run(&mut b, vec![update("t", 2, 0)]).expect("nobody is in its way");
            cluster.commit(&mut a).expect("it is first");
            assert_eq!(cluster.commit(&mut b).is_ok(), allowed, "{isolation:?} lock={lock} ranged={ranged}");
        }
    }
}

#[test]
fn a_phantom_is_refused_at_serializable() {
    let (mut cluster, mut a, mut b) = bank();
    cluster.begin(&mut a, Isolation::Serializable);
    let part =
        Step::Scan { table: "t".into(), from: vec![2.into()], to: vec![10.into()], limit: 0, lock: false };
    cluster.run(&mut a, vec![part.clone(), insert("t", 100, 1)]).expect("nobody is in its way");
    cluster.run(&mut b, vec![insert("t", 1000, 1)]).expect("outside the range");
    cluster.run(&mut b, vec![insert("t", 9, 1)]).expect("inside the range");
    assert!(matches!(cluster.commit(&mut a), Err(Error::Conflict { .. })));
    // A limit ends the range at the last row that was seen.
    cluster.begin(&mut a, Isolation::Serializable);
    let first = Step::Scan { table: "t".into(), from: vec![], to: vec![], limit: 1, lock: false };
    cluster.run(&mut a, vec![first, insert("t", 101, 1)]).expect("nobody is in its way");
    cluster.run(&mut b, vec![insert("t", 8, 1)]).expect("behind what was read");
    cluster.commit(&mut a).expect("nothing that it read has changed");
}

#[test]
fn a_transaction_that_only_read_needs_no_order() {
    let (mut cluster, mut a, mut b) = bank();
    cluster.begin(&mut a, Isolation::Serializable);
    cluster.run(&mut a, vec![get("t", 1)]).expect("it may read");
    cluster.run(&mut b, vec![add("t", 1, 1)]).expect("nobody is in its way");
    cluster.run(&mut a, vec![get("t", 1)]).expect("it reads its snapshot");
    let before = cluster.log.len();
    assert_eq!(cluster.commit(&mut a).expect("it saw one prefix").seqno, None);
    assert_eq!(cluster.log.len(), before);
}

#[test]
fn a_reply_names_the_newest_position_it_rests_on() {
    let (mut cluster, mut a, mut b) = bank(); // create at 1, insert at 2
    let rests_on = |cluster: &mut Cluster, step: Step| {
        let mut session = cluster.session(1);
        cluster.ask(&mut session, Request::Run(vec![step])).depends_on
    };
    cluster.run(&mut b, vec![update("t", 2, 21)]).expect("nobody is in its way"); // 3
    assert_eq!(rests_on(&mut cluster, get("t", 1)), Seqno(2));
    assert_eq!(rests_on(&mut cluster, get("t", 2)), Seqno(3));
    assert_eq!(rests_on(&mut cluster, get("t", 7)), Seqno(1), "the table alone");
    assert_eq!(rests_on(&mut cluster, scan("t")), Seqno(3));
    cluster.run(&mut b, vec![delete("t", 2)]).expect("it is there"); // 4
    assert_eq!(rests_on(&mut cluster, get("t", 2)), Seqno(4), "an absence rests on its tombstone");
    assert_eq!(rests_on(&mut cluster, scan("t")), Seqno(4));
    assert_eq!(rests_on(&mut cluster, get("u", 2)), Seqno(1), "no table: the catalogue");
    assert_eq!(rests_on(&mut cluster, insert("t", 1, 0)), Seqno(2), "a duplicate rests on the row");
    cluster
        .ask(&mut a, Request::DropTable { name: "t".into(), if_exists: false })
        .reply
        .expect("it is there");
    assert_eq!(rests_on(&mut cluster, get("t", 2)), Seqno(5));
    let answer = cluster.ask(&mut a, Request::CreateTable(pairs("t").into()));
    assert_eq!(answer.depends_on, Seqno(6), "a commit rests on itself");
    // A refused definition rests on its own position.
    let answer = cluster.ask(&mut a, Request::CreateTable(pairs("t").into()));
    assert_eq!(answer.reply, Err(Error::TableExists { table: "t".into() }));
    assert_eq!(answer.depends_on, Seqno(7));
}

#[test]
fn a_node_that_may_not_read_takes_no_snapshot_and_serves_no_old_one() {
    let (mut cluster, mut a, mut b) = bank();
    cluster.begin(&mut a, Isolation::RepeatableRead);
    cluster.run(&mut a, vec![get("t", 1)]).expect("it may read");
    cluster.nodes[0].may_read = false;
    cluster.nodes[1].may_read = false;
    for session in [&mut a, &mut b] {
        let error = cluster.run(session, vec![get("t", 1)]).expect_err("it may not read");
        assert_eq!(error, Error::NotPrimary { why: "it is alone".into() });
        assert!(!session.in_transaction());
    }
    cluster.begin(&mut a, Isolation::RepeatableRead);
    cluster.commit(&mut a).expect("an empty transaction reads nothing");
}

#[test]
fn a_session_has_one_request_at_a_time() {
    let (mut cluster, mut a, _) = bank();
    let op = until_order(&mut cluster, &mut a, Request::Run(vec![add("t", 1, 1)]));
    assert!(matches!(a.start(Request::Commit), Err(Error::Misuse { .. })));
    let verdict = cluster.order(op);
    a.resume(Ok(verdict));
    cluster.finish(&mut a).reply.expect("the first request was not disturbed");
}

#[test]
fn an_unknown_outcome_is_told_as_unknown_and_ends_the_session() {
    let (mut cluster, mut a, _) = bank();
    let unknown = Error::Unknown { id: proposal(9) };
    cluster.begin(&mut a, Isolation::RepeatableRead);
    cluster.run(&mut a, vec![add("t", 1, 1)]).expect("nobody is in its way");
    until_order(&mut cluster, &mut a, Request::Commit);
    a.resume(Err(unknown.clone()));
    let answer = cluster.finish(&mut a);
    assert_eq!(answer.reply, Err(unknown.clone()));
    assert!(answer.hangup);
    // Not so for ids: whether or not they were reserved, the row was not inserted.
    let mut cluster = Cluster::with(&[numbered("n")]);
    let mut b = cluster.session(1);
    until_order(&mut cluster, &mut b, Request::Run(vec![insert_new("n", 1)]));
    b.resume(Err(Error::Unknown { id: ProposalId { counter: 3, ..proposal(1) } }));
    let answer = cluster.finish(&mut b);
    assert!(matches!(answer.reply, Err(Error::TimedOut { .. })));
    assert!(!answer.hangup);
}

#[test]
fn a_definite_no_from_the_order_is_a_no_and_rolls_back() {
    let (mut cluster, mut a, _) = bank();
    cluster.begin(&mut a, Isolation::RepeatableRead);
    cluster.run(&mut a, vec![add("t", 1, 1)]).expect("nobody is in its way");
    until_order(&mut cluster, &mut a, Request::Commit);
    a.resume(Err(Error::NotPrimary { why: "it is alone".into() }));
    let answer = cluster.finish(&mut a);
    assert!(matches!(answer.reply, Err(Error::NotPrimary { .. })));
    assert!(!a.in_transaction() && !answer.hangup);
}

#[test]
fn a_table_that_changes_under_a_transaction_ends_it() {
    let (mut cluster, mut a, mut b) = bank();
    cluster.begin(&mut a, Isolation::RepeatableRead);
    cluster.run(&mut a, vec![add("t", 1, 1)]).expect("nobody is in its way");
    cluster
        .ask(&mut b, Request::DropTable { name: "t".into(), if_exists: false })
        .reply
        .expect("it is there");
    cluster.ask(&mut b, Request::CreateTable(pairs("t").into())).reply.expect("the name is free");
    assert_eq!(cluster.commit(&mut a), Err(Error::SchemaChanged { table: "t".into() }));
    // A snapshot from before the table: begin again and see it.
    cluster.begin(&mut a, Isolation::RepeatableRead);
    cluster.run(&mut a, vec![get("t", 1)]).expect("it may read");
    cluster.ask(&mut b, Request::CreateTable(pairs("u").into())).reply.expect("the name is free");
    assert_eq!(cluster.run(&mut a, vec![get("u", 1)]), Err(Error::SchemaChanged { table: "u".into() }));
    assert_eq!(cluster.run(&mut b, vec![get("w", 1)]), Err(Error::NoTable { table: "w".into() }));
}

#[test]
fn a_definition_commits_what_was_open() {
    let (mut cluster, mut a, _) = bank();
    cluster.begin(&mut a, Isolation::RepeatableRead);
    cluster.run(&mut a, vec![add("t", 1, 1)]).expect("nobody is in its way");
    let reply = cluster.ask(&mut a, Request::CreateTable(pairs("u").into())).reply.expect("the name is free");
    assert!(!reply.in_transaction);
    assert_eq!(value(&mut cluster, 2, 1), Some(11));
    for (if_exists, known) in [(true, true), (false, false)] {
        let reply = cluster.ask(&mut a, Request::DropTable { name: "nix".into(), if_exists }).reply;
        assert_eq!(reply.is_ok(), known);
    }
}

#[test]
fn counts_are_those_of_mysql() {
    let (mut cluster, mut a, _) = bank();
    let steps = vec![
        update("t", 1, 10), // as it was
        update("t", 1, 11),
        update("t", 7, 1), // not there
        put("t", 1, 12),
        put("t", 3, 3),
        delete("t", 3),
        delete("t", 3),
    ];
    let reply = cluster.run(&mut a, steps).expect("nobody is in its way");
    let counts: Vec<_> = reply.results.iter().map(affected).collect();
    assert_eq!(counts, [0, 1, 0, 2, 1, 1, 0]);
}

#[test]
fn a_row_can_move_to_another_key() {
    let (mut cluster, mut a, _) = bank();
    let to = |id: i64| Step::Update {
        table: "t".into(),
        key: vec![1.into()],
        set: vec![("ID".into(), Change::To(id.into()))],
    };
    assert!(matches!(cluster.run(&mut a, vec![to(2)]), Err(Error::DuplicateKey { .. })));
    cluster.run(&mut a, vec![to(5)]).expect("the place is free");
    let reply = cluster.run(&mut a, vec![scan("t")]).expect("it may read");
    assert_eq!(pairs_of(&reply.results[0]), [(2, 20), (5, 10)]);
}

#[test]
fn bad_steps_are_refused_with_what_is_wrong() {
    let (mut cluster, mut a, _) = bank();
    let key = |key: Vec<Value>| Step::Get { table: "t".into(), key, lock: false };
    let row = |row: Vec<Value>| Step::Insert { table: "t".into(), row };
    let set = |column: &str, change| Step::Update {
        table: "t".into(),
        key: vec![1.into()],
        set: vec![(column.into(), change)],
    };
    let check =
        |least, most| Step::Check { table: "t".into(), key: vec![1.into()], column: "v".into(), least, most };
    for (step, code) in [
        (key(vec![]), 1105),
        (key(vec![1.into(), 2.into()]), 1105),
        (row(vec![1.into()]), 1136),
        (row(vec![Value::Null, 1.into()]), 1048),
        (row(vec!["x".into(), 1.into()]), 1366),
        (set("w", Change::Add(1)), 1054),
        (set("v", Change::Add(i64::MAX)), 1264),
        (set("v", Change::To("x".into())), 1366),
        (check(11, 20), 1644),
        (get("nix", 1), 1146),
    ] {
        let error = cluster.run(&mut a, vec![step.clone()]).expect_err("it is wrong");
        assert_eq!(error.code().0, code, "{step:?}: {error}");
    }
    cluster.run(&mut a, vec![check(10, 10)]).expect("it holds");
    let long = "x".repeat(5000);
    let text = TableDef {
        columns: vec![Column {
            name: "k".into(),
            kind: ColumnType::Text { chars_max: 10_000 },
            nullable: false,
            ..Column::default()
        }],
        ..pairs("long")
    };
    cluster.ask(&mut a, Request::CreateTable(text.into())).reply.expect("the name is free");
    let step = Step::Insert { table: "long".into(), row: vec![long.as_str().into()] };
    assert!(matches!(cluster.run(&mut a, vec![step]), Err(Error::TooLarge { .. })));
}

#[test]
fn definitions_that_cannot_be_are_refused() {
    let mut cluster = Cluster::with(&[]);
    let mut a = cluster.session(1);
    for (def, code) in [
        (TableDef { columns: vec![], primary: vec![], ..pairs("t") }, 1113),
        (TableDef { columns: vec![int("a"), int("A")], ..pairs("t") }, 1060),
        (TableDef { primary: vec![0, 0], ..pairs("t") }, 1060),
        (TableDef { primary: vec![2], ..pairs("t") }, 1072),
        (TableDef { auto_increment: Some(1), ..pairs("t") }, 1075),
        (TableDef { auto_increment: Some(9), ..pairs("t") }, 1075),
        (pairs(&"x".repeat(65)), 1059),
        (pairs(""), 1166),
    ] {
        let error = cluster.ask(&mut a, Request::CreateTable(def.into())).reply.expect_err("it cannot be");
        assert_eq!(error.code().0, code, "{error}");
    }
    assert!(cluster.log.is_empty(), "nothing of it was ordered");
}

#[test]
fn a_write_set_beyond_its_bound_is_refused_before_it_is_ordered() {
    let mut cluster = Cluster::new(Settings { writeset_bytes_max: 300, ..Settings::default() });
    let mut a = cluster.session(1);
    cluster.ask(&mut a, Request::CreateTable(pairs("t").into())).reply.expect("the name is free");
    let many = (0..50).map(|id| insert("t", id, 0)).collect();
    assert!(matches!(cluster.run(&mut a, many), Err(Error::TooLarge { max: 300, .. })));
    assert_eq!(cluster.log.len(), 1);
    cluster.run(&mut a, vec![insert("t", 1, 1)]).expect("a small one fits");
}

/// A million rows would be a second of work: no slice of it is longer than its budget.
#[test]
fn long_work_yields() {
    let mut cluster = Cluster::with(&[pairs("t")]);
    let mut a = cluster.session(1);
    let rows = 3000;
    cluster.run(&mut a, (0..rows).map(|id| insert("t", id, id)).collect()).expect("the table is empty");
    let node = &mut cluster.nodes[0];
    let ctx = context();
    a.start(Request::Run(vec![scan("t"), get("t", 5)])).expect("nothing is under way");
    let mut yields = 0;
    let reply = loop {
        let mut budget = 100;
        match a.run(&node.store, &mut node.local, &ctx, &mut budget) {
            Progress::Yield => yields += 1,
            Progress::Reply { reply, .. } => break reply.expect("it may read"),
            Progress::Order(_) | Progress::Wait(_) => panic!("reads are not ordered, and wait for nobody"),
        }
        assert_eq!(a.snapshot(), Some(Seqno(2)), "the rows stay while they are read");
    };
    assert!(yields >= rows / 100 - 1, "{yields}");
    assert_eq!(pairs_of(&reply.results[0]).len(), rows as usize);
    assert_eq!(a.snapshot(), None);
}

#[test]
fn a_gone_row_is_collected_when_nobody_can_see_it() {
    let (mut cluster, mut a, mut b) = bank();
    cluster.begin(&mut a, Isolation::RepeatableRead);
    cluster.run(&mut a, vec![get("t", 1)]).expect("it may read");
    cluster.run(&mut b, vec![update("t", 1, 11)]).expect("nobody is in its way");
    cluster.run(&mut b, vec![update("t", 1, 12)]).expect("nobody is in its way");
    let oldest = a.snapshot().expect("it has read");
    assert!(!cluster.nodes[0].store.collect(oldest, &mut 100));
    let reply = cluster.run(&mut a, vec![get("t", 1)]).expect("it may read");
    assert_eq!(pairs_of(&reply.results[0]), [(1, 10)]);
    assert_eq!(cluster.nodes[0].store.garbage(), 2);
    cluster.ask(&mut a, Request::Rollback).reply.expect("it is open");
    let applied = cluster.nodes[0].store.applied();
    assert!(!cluster.nodes[0].store.collect(applied, &mut 100));
    assert_eq!(cluster.nodes[0].store.garbage(), 0);
    assert_eq!(value(&mut cluster, 1, 1), Some(12));
}

#[test]
fn a_session_has_a_bound_of_prepared_statements() {
    let mut cluster = Cluster::with(&[pairs("t")]);
    let mut s = cluster.session(1);
    let prepare = |cluster: &mut Cluster, s: &mut Session, text: &str| {
        cluster.ask(s, Request::Prepare(text.into())).reply
    };
    let made = prepare(&mut cluster, &mut s, "SELECT v FROM t WHERE id = ?").expect("it is a statement");
    let made = made.prepared.expect("it was prepared");
    assert_eq!((made.params, made.columns[0].name.as_str()), (1, "v"));
    cluster.run(&mut s, vec![insert("t", 3, 4)]).expect("the row is new");
    let execute = |number, n| Request::Execute { number, params: vec![Param::Int(n)] };
    let StepResult::Rows(rows) = &cluster.ask(&mut s, execute(made.number, 3)).reply.unwrap().results[0]
    else {
        panic!("a select gives rows")
    };
    assert_eq!(rows.rows.values(), [vec![Value::Int(4)]]);
    // Beside an open transaction, and without one that it would begin.
    assert!(!s.in_transaction());
    cluster.ask(&mut s, Request::Close(made.number)).reply.expect("nothing to say");
    assert_eq!(cluster.ask(&mut s, execute(made.number, 3)).reply.unwrap_err().code().0, 1243);
    let refused = (0..5000).find_map(|_| prepare(&mut cluster, &mut s, "SELECT 1 FROM t").err());
    assert_eq!(refused.expect("there is a bound").code().0, 1461);
}

/// What Galera lets happen and this store does not, as long as nobody asks for it.
#[test]
fn galeras_anomalies_are_there_when_they_are_asked_for() {
    for galera in [false, true] {
        let (mut cluster, mut a, mut b) = bank();
        cluster.nodes.iter_mut().for_each(|node| node.galera = galera);
        // Both read 10 and write one more.
        for session in [&mut a, &mut b] {
            cluster.begin(session, Isolation::RepeatableRead);
            let reply = cluster.run(session, vec![get("t", 1)]).expect("it may read");
            assert_eq!(pairs_of(&reply.results[0]), [(1, 10)]);
        }
        cluster.run(&mut a, vec![update("t", 1, 11)]).expect("nobody is in its way");
        cluster.commit(&mut a).expect("it is first");
        let second = cluster.run(&mut b, vec![update("t", 1, 11)]).and_then(|_| cluster.commit(&mut b));
        assert_eq!(second.is_ok(), galera, "one of two increments is lost: {second:?}");
        // Each reads both rows under lock and writes one of them.
        for session in [&mut a, &mut b] {
            cluster.begin(session, Isolation::Serializable);
            cluster.run(session, vec![get_locked("t", 1), get_locked("t", 2)]).expect("it may read");
        }
        cluster.run(&mut a, vec![update("t", 1, 0)]).expect("nobody is in its way");
        cluster.run(&mut b, vec![update("t", 2, 0)]).expect("nobody is in its way");
        cluster.commit(&mut a).expect("it is first");
        let second = cluster.commit(&mut b);
        assert_eq!(second.is_ok(), galera, "the writes are skewed: {second:?}");
        // What was written is certified all the same.
        for session in [&mut a, &mut b] {
            cluster.begin(session, Isolation::RepeatableRead);
            cluster.run(session, vec![update("t", 1, 5)]).expect("nobody is in its way");
        }
        cluster.commit(&mut a).expect("it is first");
        assert!(matches!(cluster.commit(&mut b), Err(Error::Conflict { .. })));
    }
}
