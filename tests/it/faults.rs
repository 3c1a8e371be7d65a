//! A minority refuses; a majority goes on; no read is stale; and what no node can apply is named, not lost.

use plait_tests::cluster::Cluster;
use plait_tests::sql::{Answer, Session};
use plait_tests::{need, wait};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// Runs it until it does; what is refused meanwhile must be one of the retryable refusals.
fn eventually(session: &mut Session, statement: &str) -> Vec<String> {
    wait::until(statement, SOON, || match session.run(statement) {
        Answer::Rows(rows) => Ok(rows),
        Answer::Error(code, text) if [1047, 1205, 1213].contains(&code) => Err(text),
        other => panic!("{statement}: {other:?}"),
    })
}

#[test]
fn a_node_alone_neither_writes_nor_reads() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("alone");
    let mut on_n1 = Session::open(&cluster, 1);
    on_n1.rows("CREATE TABLE t (id INT PRIMARY KEY, v INT)");
    on_n1.rows("INSERT INTO t VALUES (1, 10)");
    cluster.plait(&["cut", "n1|n2,n3"]).ok();

    // Nothing is acknowledged from the instant the cut stands; and once the lease is out, nothing is read.
    let mut on_n2 = Session::open(&cluster, 2);
    eventually(&mut on_n2, "UPDATE t SET v = 11 WHERE id = 1");
    match on_n1.run("SELECT v FROM t WHERE id = 1") {
        Answer::Rows(rows) => panic!("a stale read: {rows:?} after another node wrote 11"),
        Answer::Error(code, text) => assert_eq!(code, 1047, "{text}"),
        Answer::Gone(text) => panic!("a read needs no hang-up: {text}"),
    }
    let mut other = Session::open(&cluster, 1);
    let write = other.run("UPDATE t SET v = 99 WHERE id = 1");
    assert!(!write.is_ok(), "a write was acknowledged by a node alone: {write:?}");

    cluster.plait(&["heal"]).ok();
    cluster.whole();
    let mut on_n1 = Session::open(&cluster, 1);
    assert_eq!(eventually(&mut on_n1, "SELECT v FROM t WHERE id = 1"), ["11"]);
    cluster.down();
}

#[test]
fn two_of_three_go_on_and_the_third_catches_up() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("two");
    let mut session = Session::open(&cluster, 1);
    session.rows("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200))");
    cluster.plait(&["kill", "n3"]).ok();
    for id in 0..200 {
        eventually(&mut session, &format!("INSERT INTO t VALUES ({id}, REPEAT('x', 150))"));
    }
    cluster.plait(&["start", "n3"]).ok();
    cluster.note();
    cluster.whole();
    let mut on_n3 = Session::open(&cluster, 3);
    assert_eq!(eventually(&mut on_n3, "SELECT COUNT(*) FROM t"), ["200"]);
    cluster.down();
}

/// Whoever may read is waited for; so a node that is always late may not read for as long as others write.
#[test]
fn a_slow_node_is_not_waited_for() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("slow");
    let leader = cluster.leader();
    let (slow, quick) = if leader == 3 { (1, 2) } else { (3, 3 - leader) };
    let mut session = Session::open(&cluster, leader);
    session.rows("CREATE TABLE t (id INT PRIMARY KEY, n INT)");
    session.rows("INSERT INTO t VALUES (1, 0)");
    let delayed = |peer| cluster.plait(&["slow", &format!("n{slow}-n{peer}"), "--delay", "120ms"]).ok();
    delayed(leader);
    delayed(quick);
    let serves = |node: u8| cluster.status()["nodes"][usize::from(node) - 1]["serves"] == true;
    wait::until("the slow node has no lease", SOON, || {
        eventually(&mut session, "UPDATE t SET n = n + 1 WHERE id = 1");
        if serves(slow) { Err("it has one".to_owned()) } else { Ok(()) }
    });
    assert!(serves(leader) && serves(quick));
    cluster.plait(&["heal"]).ok();
    cluster.whole();
    let n = session.rows("SELECT n FROM t");
    assert_eq!(Session::open(&cluster, slow).rows("SELECT n FROM t"), n);
    cluster.down();
}

/// A write that was answered on one node is seen by the next read on any other.
#[test]
fn no_read_is_stale() {
    if need::program("mariadb") {
        let cluster = Cluster::up("stale");
        none_is_stale(&cluster);
        cluster.down();
    }
}

/// The same where nobody has a lease; there a node that is gone holds no write up, and one alone reads nothing.
#[test]
fn no_read_by_the_read_index_is_stale() {
    if !need::program("mariadb") {
        return;
    }
    let mut cluster = Cluster::new("index");
    cluster.set("read", "index");
    cluster.start();
    none_is_stale(&cluster);
    let mut on_n1 = Session::open(&cluster, 1);
    on_n1.rows("DROP TABLE t");
    cluster.plait(&["cut", "n1|n2,n3"]).ok();
    assert_eq!(on_n1.run("SELECT 1 FROM plait_ready").error(), Some(1047));
    cluster.plait(&["heal"]).ok();
    cluster.whole();
    cluster.down();
}

fn none_is_stale(cluster: &Cluster) {
    let mut sessions = [1, 2, 3].map(|node| Session::open(cluster, node));
    sessions[0].rows("CREATE TABLE t (id INT PRIMARY KEY, v INT)");
    sessions[0].rows("INSERT INTO t VALUES (1, 0)");
    for round in 1..=150 {
        let (writer, reader) = (round % 3, (round / 3 + round + 1) % 3);
        sessions[writer].rows(&format!("UPDATE t SET v = {round} WHERE id = 1"));
        let seen = sessions[reader].rows("SELECT v FROM t WHERE id = 1");
        assert_eq!(seen, [round.to_string()], "written on n{}, read on n{}", writer + 1, reader + 1);
    }
}

/// A defect of the machine: one entry of the log ends the process that applies it. Each node tries it twice, then
/// stays up, serves nothing and names the entry; a build that can apply it goes on from there.
#[test]
fn an_entry_that_no_node_can_apply_is_named_and_nothing_is_lost() {
    if !need::program("mariadb") {
        return;
    }
    let mut cluster = Cluster::new("bad-entry");
    cluster.plant("ApplyPanics");
    cluster.start();
    let log = std::fs::read_to_string(cluster.dir().join("logs/n1.log")).unwrap_or_default();
    if !need::met("zoo", log.contains("PLAIT_ZOO=ApplyPanics"), "is not built into plait-node (feature zoo)")
    {
        return;
    }
    let mut session = Session::open(&cluster, 2);
    eventually(&mut session, "CREATE TABLE t (id INT PRIMARY KEY)");
    let acknowledged =
        (0..500).take_while(|id| session.run(&format!("INSERT INTO t VALUES ({id})")).is_ok()).count();
    assert!(acknowledged < 500, "no entry ended n2");

    // Whoever is down is started again, until it stays up. The last one may never hear that the entry is committed,
    // since the two others take no part any more.
    let names_it = |node: &serde_json::Value| {
        let why = node["account"]["unready_because"].as_str().unwrap_or_default();
        why.contains("ended its process twice")
    };
    let naming: Vec<u8> = wait::until("two nodes name the entry", SOON, || {
        let status = cluster.status();
        let nodes = status["nodes"].as_array().expect("three nodes");
        for node in nodes.iter().filter(|node| node["process"] == "crashed") {
            cluster.plait(&["start", node["node"].as_str().expect("its name"), "--no-wait"]).ok();
        }
        let naming: Vec<u8> = (1..=3).filter(|n| names_it(&nodes[usize::from(*n) - 1])).collect();
        if naming.len() >= 2 { Ok(naming) } else { Err(status.to_string()) }
    });
    cluster.note();
    for node in naming {
        let ends =
            std::fs::read_to_string(cluster.dir().join(format!("n{node}/ended-by"))).expect("its notes");
        assert_eq!(ends.lines().count(), 2, "{ends}");
        let answer = Session::open(&cluster, node).run("SELECT COUNT(*) FROM t");
        assert_eq!(answer.error(), Some(1047), "{answer:?}");
    }

    // A build that can apply it.
    cluster.down();
    cluster.heal_build();
    cluster.start();
    cluster.whole();
    let mut session = Session::open(&cluster, 3);
    let there: usize = session.rows("SELECT COUNT(*) FROM t")[0].parse().expect("a number");
    assert!(
        (acknowledged..=acknowledged + 1).contains(&there),
        "{there} rows of {acknowledged} acknowledged"
    );
    cluster.down();
}

/// The lock of a node that is gone is given away; and what its holder had under way there cannot be.
#[test]
fn the_named_lock_of_a_killed_node_is_given_away() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("locks");
    let mut holder = Session::open(&cluster, 1);
    let mut other = Session::open(&cluster, 2);
    assert_eq!(holder.rows("SELECT GET_LOCK('job', 0)"), ["1"]);
    assert_eq!(other.rows("SELECT GET_LOCK('job', 0)"), ["0"]);
    cluster.plait(&["kill", "n1"]).ok();
    assert_eq!(other.rows("SELECT GET_LOCK('job', 100)"), ["1"]);
    cluster.plait(&["start", "n1"]).ok();
    let mut back = Session::open(&cluster, 1);
    assert_eq!(back.rows("SELECT GET_LOCK('job', 0)"), ["0"]);
    // An earlier start's locks go with it, whoever leads.
    assert_eq!(back.rows("SELECT GET_LOCK('mine', 0)"), ["1"]);
    cluster.plait(&["kill", "n1"]).ok();
    cluster.plait(&["start", "n1"]).ok();
    let mut again = Session::open(&cluster, 1);
    assert_eq!(again.rows("SELECT GET_LOCK('mine', 100)"), ["1"]);
    cluster.note();
    cluster.whole();
    cluster.down();
}
