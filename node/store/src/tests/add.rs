//! Additions that are ordered as statements: they lose against nobody, and what they cannot do the statement says.

use super::kit::*;
use crate::*;
use plait_base::{Bytes, Seqno};

fn sql(text: &str) -> Request {
    Request::Sql { text: text.into(), multi: true }
}

fn asked(cluster: &mut Cluster, session: &mut Session, text: &str) -> Result<Reply, Error> {
    cluster.ask(session, sql(text)).reply
}

/// Runs a request up to the operation that it wants ordered.
fn until_order(cluster: &mut Cluster, session: &mut Session, request: Request) -> Bytes {
    session.start(request).expect("nothing is under way");
    match cluster.nodes[session.slot().at()].run(session) {
        Progress::Order(op) => op,
        other => panic!("an operation was expected, not {other:?}"),
    }
}

fn is_addition(op: &Bytes) -> bool {
    matches!(Op::decode(op), Ok(Op::Add(_)))
}

/// A table of counters: `tiny` has eight bits, `bare` no sign, `n` is found by, `u` tells rows apart.
fn counters() -> Cluster {
    let mut cluster = Cluster::new(Settings::default());
    let mut session = cluster.session(1);
    let made = "CREATE TABLE shop.c (id INT PRIMARY KEY, v BIGINT, tiny TINYINT DEFAULT 120, \
                bare INT UNSIGNED DEFAULT 3, n INT DEFAULT 0, u INT, KEY (n), UNIQUE KEY (u)); \
                INSERT INTO shop.c (id, v, u) VALUES (1, 10, 1), (2, NULL, 2)";
    asked(&mut cluster, &mut session, made).expect("the table can be made");
    cluster
}

#[test]
fn additions_of_three_nodes_to_one_row_all_happen() {
    plant();
    let mut cluster = counters();
    let add = || sql("UPDATE shop.c SET v = v + 1, n = n - 2 WHERE id = 1");
    let mut sessions: Vec<Session> = (1..=3).map(|n| cluster.session(n)).collect();
    let ops: Vec<Bytes> =
        sessions.iter_mut().map(|session| until_order(&mut cluster, session, add())).collect();
    for (session, op) in sessions.iter_mut().zip(ops) {
        assert!(is_addition(&op));
        let verdict = cluster.order(op);
        session.resume(Ok(verdict));
        let answer = cluster.finish(session);
        let reply = answer.reply.expect("nothing is in its way");
        assert_eq!(affected(&reply.results[0]), 1);
        assert_eq!(
            (reply.seqno, answer.depends_on),
            (Some(Seqno(cluster.log.len() as u64)), reply.seqno.unwrap_or_default())
        );
    }
    let mut session = cluster.session(2);
    let reply =
        asked(&mut cluster, &mut session, "SELECT v, n FROM shop.c WHERE n = -6").expect("it may read");
    assert_eq!(pairs_of(&reply.results[0]), [(13, -6)]);
}

#[test]
fn who_read_the_row_under_lock_loses_against_an_addition() {
    let mut cluster = counters();
    let (mut a, mut b) = (cluster.session(1), cluster.session(2));
    asked(&mut cluster, &mut a, "BEGIN; SELECT v FROM shop.c WHERE id = 1 FOR UPDATE").expect("it may read");
    asked(&mut cluster, &mut b, "UPDATE shop.c SET v = v + 1 WHERE id = 1").expect("nothing is in its way");
    let lost = asked(&mut cluster, &mut a, "UPDATE shop.c SET v = 0 WHERE id = 1");
    assert!(matches!(lost, Err(error) if error.retry()));
}

#[test]
fn what_cannot_be_done_is_said_as_the_statement_says_it() {
    let mut cluster = counters();
    let mut a = cluster.session(1);
    let fails = |cluster: &mut Cluster, a: &mut Session, text: &str| match asked(cluster, a, text) {
        Err(Error::After { .. }) | Ok(_) => panic!("it was done: {text}"),
        Err(error) => error,
    };
    let ordered = cluster.log.len();
    let error = fails(&mut cluster, &mut a, "UPDATE shop.c SET tiny = tiny + 8 WHERE id = 1");
    assert_eq!(error, Error::OutOfRange { column: "tiny".into() });
    let error = fails(&mut cluster, &mut a, "UPDATE shop.c SET v = v + 1, bare = bare - 4 WHERE id = 1");
    assert_eq!(error.code(), (1690, "22003"), "as the statement says it: {error}");
    assert_eq!(cluster.log.len() - ordered, 2, "both were tried as additions");
    for (text, expected) in [
        ("UPDATE shop.c SET v = v + 1 WHERE id = 9", 0),
        ("UPDATE shop.c SET v = v + 1 WHERE id = 2", 0),
        ("UPDATE shop.c SET v = v + 0 WHERE id = 1", 0),
        ("UPDATE shop.c SET tiny = tiny + 7, bare = 1 + bare WHERE 1 = id", 1),
    ] {
        let reply = asked(&mut cluster, &mut a, text).expect("it can be done");
        assert_eq!(affected(&reply.results[0]), expected, "{text}");
    }
}

#[test]
fn only_an_addition_by_itself_is_ordered_as_one() {
    let mut cluster = counters();
    let mut session = cluster.session(1);
    asked(&mut cluster, &mut session, "DELETE FROM shop.c WHERE id = 2").expect("it is there");
    for (text, expected) in [
        ("UPDATE shop.c SET v = v + 1 WHERE id = 1", true),
        ("UPDATE shop.c SET v = v + 1 WHERE id = 1 AND n = 0", false),
        ("UPDATE shop.c SET v = n + 1 WHERE id = 1", false),
        ("UPDATE shop.c SET v = v + 1 WHERE id = 1 LIMIT 1", false),
        ("UPDATE shop.c SET u = u + 1 WHERE id = 1", false),
        ("UPDATE shop.c SET id = id + 1 WHERE id = 1", false),
        ("UPDATE shop.c SET v = v + 1, v = v + 1 WHERE id = 1", false),
        ("UPDATE shop.c SET v = v + 1.5 WHERE id = 1", false),
        ("UPDATE shop.c SET v = v + 1 WHERE id = 1.5 OR id = 1", false),
    ] {
        let mut session = cluster.session(1);
        let op = until_order(&mut cluster, &mut session, sql(text));
        assert_eq!(is_addition(&op), expected, "{text}");
    }
    let mut session = cluster.session(1);
    asked(&mut cluster, &mut session, "BEGIN; UPDATE shop.c SET v = v + 1 WHERE id = 1")
        .expect("it is alone");
    let op = until_order(&mut cluster, &mut session, Request::Commit);
    assert!(!is_addition(&op), "in a transaction it is a part of the write-set");
}

#[test]
fn an_addition_that_a_sound_node_would_not_propose_changes_nothing() {
    let mut cluster = counters();
    let info = cluster.nodes[0].store.table("c", Seqno(2)).expect("it was made").clone();
    let add = |column, stamps| {
        let (table, schema_version) = (info.id, info.schema_version);
        Op::Add(op::Add {
            table,
            schema_version,
            key: Bytes::from(key::encode(&[1.into()])),
            by: vec![(column, 1)],
            stamps,
        })
        .encode()
    };
    for op in [add(0, vec![]), add(5, vec![]), add(99, vec![]), add(1, vec![(1, Bytes::from_static(&[0]))])] {
        assert!(matches!(cluster.order(op), Verdict::Refused(Error::Internal { .. })));
    }
    let old = op::Add { table: info.id, schema_version: 7, key: Bytes::new(), by: vec![], stamps: vec![] };
    assert!(matches!(cluster.order(Op::Add(old).encode()), Verdict::Refused(Error::SchemaChanged { .. })));
}
