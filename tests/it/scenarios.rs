//! What Galera's own test suites do with two and three nodes, judged more strictly: docs/scenarios.md has the table.
//! What three connections show is in `clients/scenarios.py`; here is what needs a process to end, freeze or begin anew.

use crate::tools::{python, script};
use plait_tests::cluster::Cluster;
use plait_tests::sql::{Answer, Session};
use plait_tests::{need, wait};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// Every order of three.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// Runs it until it does; what is refused meanwhile must be one of the retryable refusals.
fn eventually(session: &mut Session, statement: &str) -> Vec<String> {
    wait::until(statement, SOON, || match session.run(statement) {
        Answer::Rows(rows) => Ok(rows),
        Answer::Error(code, text) if [1047, 1205, 1213].contains(&code) => Err(text),
        other => panic!("{statement}: {other:?}"),
    })
}

/// All nodes serve with equal hash chains, and each gives these rows.
#[track_caller]
fn each_gives(cluster: &Cluster, statement: &str, expected: &[&str]) {
    cluster.note();
    cluster.whole();
    for node in [1, 2, 3] {
        assert_eq!(Session::open(cluster, node).rows(statement), expected, "n{node}: {statement}");
    }
}

/// A node's account of itself.
fn account(cluster: &Cluster, node: u8) -> Value {
    cluster.status()["nodes"][usize::from(node) - 1]["account"].clone()
}

fn member(cluster: &Cluster, node: u8) -> String {
    account(cluster, node)["member"].as_str().expect("a node that runs is a member").to_owned()
}

/// Fills the table `t (id INT PRIMARY KEY, v TEXT)` with so many rows of 1,000 bytes from this id on.
fn fill(session: &mut Session, first: u32, rows: u32) {
    for chunk in (first..first + rows).step_by(100) {
        let end = (chunk + 100).min(first + rows);
        let values: Vec<String> = (chunk..end).map(|id| format!("({id}, REPEAT('x', 1000))")).collect();
        eventually(session, &format!("INSERT INTO t VALUES {}", values.join(",")));
    }
}

fn table(cluster: &Cluster) -> Session {
    let mut session = Session::open(cluster, 1);
    session.rows("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)");
    session
}

/// Stops a node and takes its files away.
fn wipe(cluster: &Cluster, node: u8) {
    let name = NODES[usize::from(node) - 1];
    cluster.plait(&["stop", name]).ok();
    std::fs::remove_dir_all(cluster.dir().join(name)).expect("the node's directory");
}

#[test]
fn three_connections() {
    if !python("pymysql") {
        return;
    }
    let cluster = Cluster::up("scenarios");
    let before = cluster.note();
    let text = concat!(include_str!("clients/nodes.py"), "\n", include_str!("clients/scenarios.py"));
    script(&cluster, "scenarios", text);
    assert!(before.iter().all(|process| process.alive()), "a process ended");
    cluster.whole();
    cluster.down();
}

/// 17, galera_autoinc_sst: ids are distinct while a node gets a copy of everything, and it never gives one twice.
#[test]
fn ids_are_distinct_while_a_node_is_seeded_anew() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("ids-anew");
    let mut on = [1, 2, 3].map(|node| Session::open(&cluster, node));
    on[0].rows("CREATE TABLE i (id BIGINT AUTO_INCREMENT PRIMARY KEY, node INT)");
    let mut given = BTreeSet::new();
    let mut insert = |session: &mut Session, node: u8| -> u64 {
        eventually(session, &format!("INSERT INTO i (node) VALUES ({node})"));
        let id: u64 = session.rows("SELECT LAST_INSERT_ID()")[0].parse().expect("a number");
        assert_eq!(id % 3, u64::from(node) % 3, "n{node} gave {id}");
        assert!(given.insert(id), "{id} was given twice");
        id
    };
    let before = (0..20).map(|_| insert(&mut on[2], 3)).max().expect("twenty ids");
    // Its rows go, so that only the mark tells what was given.
    on[0].rows("DELETE FROM i");
    wipe(&cluster, 3);
    let start = cluster.begin(&["start", "n3"]);
    let mut meanwhile = 0;
    while start.process().is_some() || meanwhile < 40 {
        insert(&mut on[0], 1);
        insert(&mut on[1], 2);
        meanwhile += 2;
    }
    start.end(SOON).ok();
    on[2] = Session::open(&cluster, 3);
    let after = insert(&mut on[2], 3);
    assert!(after > before, "n3 gave {after} after {before}");
    for node in [1, 2, 3] {
        insert(&mut on[usize::from(node) - 1], node);
    }
    let count = (meanwhile + 4).to_string();
    each_gives(&cluster, "SELECT COUNT(*), COUNT(DISTINCT id) FROM i", &[&format!("{count}\t{count}")]);
    assert_eq!(member(&cluster, 3), "n3.2");
    cluster.down();
}

/// 28, galera_gcs_fc_limit: while one node is frozen the two others keep committing, on both.
#[test]
fn a_frozen_node_holds_nobody_up() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("frozen");
    table(&cluster);
    let mut rows = 0;
    for frozen in [1, 2, 3] {
        cluster.plait(&["pause", NODES[frozen - 1]]).ok();
        let others: Vec<u8> = [1, 2, 3].into_iter().filter(|node| usize::from(*node) != frozen).collect();
        let mut on: Vec<Session> = others.iter().map(|node| Session::open(&cluster, *node)).collect();
        // The first may wait for another leader, or for the frozen one's lease to run out.
        eventually(&mut on[0], "SELECT COUNT(*) FROM t");
        eventually(&mut on[1], "SELECT COUNT(*) FROM t");
        // More than upstream's limit of 16 write-sets, and all of them are done at once.
        for _ in 0..100 {
            for session in &mut on {
                session.rows(&format!("INSERT INTO t VALUES ({rows}, 'x')"));
                rows += 1;
            }
        }
        assert_eq!(on[0].rows("SELECT COUNT(*) FROM t"), on[1].rows("SELECT COUNT(*) FROM t"));
        cluster.plait(&["resume", NODES[frozen - 1]]).ok();
        each_gives(&cluster, "SELECT COUNT(*) FROM t", &[&rows.to_string()]);
    }
    cluster.down();
}

/// 29, galera_kill_nochanges, _smallchanges, _largechanges: a node is killed, nothing, a little or much is written, and
/// it comes back with its own files.
#[test]
fn a_killed_node_gets_what_it_missed() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("missed");
    table(&cluster);
    let mut rows = 0;
    for (node, changes) in [(1_u8, 0), (2, 10), (3, 10_000)] {
        let mut other = Session::open(&cluster, node % 3 + 1);
        cluster.plait(&["kill", NODES[usize::from(node) - 1]]).ok();
        fill(&mut other, rows, changes);
        rows += changes;
        cluster.plait(&["start", NODES[usize::from(node) - 1]]).ok();
        each_gives(&cluster, "SELECT COUNT(*), COUNT(DISTINCT id) FROM t", &[&format!("{rows}\t{rows}")]);
        assert_eq!(member(&cluster, node), format!("n{node}.1"), "it is who it was");
    }
    cluster.down();
}

/// 30, galera_shutdown_nonprim: a node that is alone ends in good order, and the cluster comes back.
#[test]
fn a_node_alone_is_stopped_in_good_order() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("stop-alone");
    let mut session = table(&cluster);
    fill(&mut session, 0, 10);
    cluster.plait(&["kill", "n1"]).ok();
    cluster.plait(&["kill", "n2"]).ok();
    let mut alone = Session::open(&cluster, 3);
    wait::until("n3 knows that it is alone", SOON, || {
        let ready = alone.rows("SHOW STATUS LIKE 'wsrep_ready'");
        if ready == ["wsrep_ready\tOFF"] { Ok(()) } else { Err(format!("{ready:?}")) }
    });
    let process = cluster.process(3).expect("it runs");
    cluster.plait(&["stop", "n3"]).ok();
    assert!(!process.alive(), "it has ended");
    let node = cluster.status()["nodes"][2].clone();
    assert_eq!(node["process"], "stopped", "not crashed: {node}");
    for node in NODES {
        cluster.plait(&["start", node, "--no-wait"]).ok();
    }
    each_gives(&cluster, "SELECT COUNT(*) FROM t", &["10"]);
    cluster.down();
}

/// 31, galera_ist_restart_joiner: who comes back is killed again and again while it gets what it missed.
/// With a short log (galera_ist_gcache_rollover) what it missed is gone from the others' logs, and it gets a snapshot.
#[test]
fn a_node_is_killed_while_it_catches_up() {
    if !need::program("mariadb") {
        return;
    }
    for (test, log_bytes) in [("catch-up", "64MiB"), ("rollover", "256KiB")] {
        let mut cluster = Cluster::new(test);
        cluster.set("limits.checkpoint_log_bytes", log_bytes);
        cluster.set("limits.segment_bytes", "256KiB");
        cluster.start();
        let mut session = table(&cluster);
        cluster.plait(&["kill", "n3"]).ok();
        let missed = account(&cluster, 1)["commit_index"].as_u64().map(|index| index + 1);
        fill(&mut session, 0, 8_000);
        if log_bytes == "256KiB" {
            wait::until("what n3 needs next is in nobody's log", SOON, || {
                let first = [1, 2].map(|node| account(&cluster, node)["log_first_index"].as_u64());
                if first.iter().all(|first| *first > missed) { Ok(()) } else { Err(format!("{first:?}")) }
            });
        }
        for round in 0..5 {
            cluster.plait(&["start", "n3", "--no-wait"]).ok();
            cluster.note();
            // At another moment each time.
            wait::pass(Duration::from_millis(60 * round));
            cluster.plait(&["kill", "n3"]).ok();
            fill(&mut session, 8_000 + 100 * round as u32, 100);
        }
        cluster.plait(&["start", "n3"]).ok();
        each_gives(&cluster, "SELECT COUNT(*), COUNT(DISTINCT id) FROM t", &["8500\t8500"]);
        assert_eq!(member(&cluster, 3), "n3.1", "it is who it was");
        if log_bytes == "64MiB" {
            assert_eq!(account(&cluster, 3)["snapshots_received"], 0, "the tail of the log was enough");
        }
        cluster.down();
    }
}

/// 32, galera_gcache_recover: all are killed at once; who comes back needs no copy of everything.
#[test]
fn all_killed_come_back_by_their_logs() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("recover");
    let mut session = table(&cluster);
    fill(&mut session, 0, 6_000);
    // One is behind when the others go.
    cluster.plait(&["kill", "n2"]).ok();
    fill(&mut session, 6_000, 500);
    cluster.plait(&["kill", "n1"]).ok();
    cluster.plait(&["kill", "n3"]).ok();
    for node in ["n2", "n1", "n3"] {
        cluster.plait(&["start", node, "--no-wait"]).ok();
    }
    each_gives(&cluster, "SELECT COUNT(*), COUNT(DISTINCT id) FROM t", &["6500\t6500"]);
    for node in [1, 2, 3] {
        assert_eq!(member(&cluster, node), format!("n{node}.1"));
        assert_eq!(account(&cluster, node)["snapshots_received"], 0, "n{node}");
    }
    cluster.down();
}

/// 33, galera_sst: a copy of everything under load, with the joiner and then each who may give it killed on the way.
/// 34, galera_join_with_cc: so each of the others goes and comes while the joiner joins.
#[test]
fn a_node_is_seeded_under_load_and_either_side_is_killed() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("seed");
    let mut session = table(&cluster);
    fill(&mut session, 0, 8_000);
    wipe(&cluster, 3);
    let load = cluster.begin(&["load", "bank", "--for", "12s", "--clients", "4", "--json"]);
    for round in 0..3 {
        cluster.plait(&["start", "n3", "--no-wait"]).ok();
        cluster.note();
        wait::pass(Duration::from_millis(40 + 100 * round));
        cluster.plait(&["kill", "n3"]).ok();
    }
    cluster.plait(&["start", "n3", "--no-wait"]).ok();
    // Either of the two may be the one that gives the copy.
    for name in ["n1", "n2"] {
        cluster.plait(&["kill", name]).ok();
        cluster.plait(&["start", name, "--no-wait"]).ok();
        cluster.note();
    }
    let ran = load.end(Duration::from_secs(180));
    assert_eq!((ran.code, ran.json()["verdict"].as_str()), (Some(0), Some("valid")), "{ran}");
    each_gives(&cluster, "SELECT COUNT(*), COUNT(DISTINCT id) FROM t", &["8000\t8000"]);
    let joined = member(&cluster, 3);
    assert!(joined.starts_with("n3.") && joined != "n3.1", "it joined anew: {joined}");
    cluster.down();
}

/// 35, galera_split_brain: the quorum goes while a commit is on its way: neither *yes* nor 1213, and what is told to be
/// unknown is one of two things afterwards.
#[test]
fn an_unknown_outcome_is_no_deadlock() {
    if !need::program("mariadb") {
        return;
    }
    let mut cluster = Cluster::new("unknown");
    cluster.set("limits.commit_timeout", "2s");
    cluster.start();
    let mut session = table(&cluster);
    session.rows("BEGIN");
    session.rows("INSERT INTO t VALUES (1, 'on its way')");
    cluster.plait(&["pause", "n2"]).ok();
    cluster.plait(&["pause", "n3"]).ok();
    let commit = session.run("COMMIT");
    assert!(matches!(commit.error(), Some(1180 | 1205 | 1047)), "{commit:?}");
    let later = Session::open(&cluster, 1).run("INSERT INTO t VALUES (2, 'too late')");
    assert!(matches!(later.error(), Some(1205 | 1047)), "{later:?}");
    cluster.plait(&["resume", "n2"]).ok();
    cluster.plait(&["resume", "n3"]).ok();
    cluster.whole();
    let there = Session::open(&cluster, 2).rows("SELECT id FROM t");
    assert!(there.is_empty() || (commit.error() == Some(1180) && there == ["1"]), "{commit:?}: {there:?}");
    let expected: Vec<&str> = there.iter().map(String::as_str).collect();
    each_gives(&cluster, "SELECT id FROM t", &expected);
    cluster.down();
}

/// 36, galera_pc_bootstrap: two of three are gone for good; one begins anew, and only if it is told so twice.
#[test]
fn one_node_begins_anew() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("anew");
    let mut session = table(&cluster);
    fill(&mut session, 0, 50);
    cluster.whole();
    cluster.down();
    for node in ["n1", "n3"] {
        std::fs::remove_dir_all(cluster.dir().join(node)).expect("the node's directory");
    }
    cluster.plait(&["bootstrap", "--node", "n2"]).refused(7);
    cluster.plait(&["bootstrap", "--node", "n2", "--i-accept-data-loss"]).ok();
    cluster.start();
    each_gives(&cluster, "SELECT COUNT(*) FROM t", &["50"]);
    fill(&mut Session::open(&cluster, 1), 50, 10);
    each_gives(&cluster, "SELECT COUNT(*) FROM t", &["60"]);
    cluster.down();
}

/// 37, galera_safe_to_bootstrap: a full stop in every order comes back by itself, in every order of starts.
#[test]
fn a_full_stop_in_every_order_comes_back() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("orders");
    table(&cluster);
    let mut rows = 0;
    for (round, stops) in ORDERS.iter().enumerate() {
        // Each order of starts, too, and never the same as that of the stops.
        let starts = ORDERS[(round + 1) % ORDERS.len()];
        for (done, node) in stops.iter().enumerate() {
            // Two of three still take a row; it must be there although the first to go never saw it.
            if done < 2 {
                fill(&mut Session::open(&cluster, stops[2] as u8 + 1), rows, 1);
                rows += 1;
            }
            cluster.plait(&["stop", NODES[*node]]).ok();
        }
        for node in starts {
            cluster.plait(&["start", NODES[node], "--no-wait"]).ok();
        }
        each_gives(&cluster, "SELECT COUNT(*) FROM t", &[&rows.to_string()]);
    }
    cluster.down();
}

/// 39, galera_var_dirty_reads: what a node that is cut off still answers, and what it refuses with 1047.
#[test]
fn what_a_node_without_quorum_answers() {
    if !need::program("mariadb") {
        return;
    }
    let mut cluster = Cluster::new("not-ready");
    cluster.set("limits.commit_timeout", "2s");
    cluster.start();
    let mut session = table(&cluster);
    fill(&mut session, 0, 1);
    session.rows("PREPARE p FROM 'SELECT id FROM t'");
    cluster.plait(&["cut", "n1|n2,n3"]).ok();
    for expected in ["wsrep_ready\tOFF", "wsrep_cluster_status\tnon-Primary"] {
        let name = expected.split('\t').next().expect("a name");
        wait::until("n1 knows that it is cut off", SOON, || {
            let told = session.rows(&format!("SHOW STATUS LIKE '{name}'"));
            if told == [expected] { Ok(()) } else { Err(format!("{told:?}")) }
        });
    }
    for (statement, rows) in [
        ("SELECT 1 + 1", vec!["2"]),
        ("SET @a = 5", vec![]),
        ("SELECT @a", vec!["5"]),
        ("SHOW VARIABLES LIKE 'wsrep_on'", vec!["wsrep_on\tON"]),
        ("USE shop", vec![]),
        ("BEGIN", vec![]),
        ("ROLLBACK", vec![]),
    ] {
        assert_eq!(session.rows(statement), rows, "{statement}");
    }
    for statement in
        ["SELECT id FROM t", "EXECUTE p", "INSERT INTO t VALUES (9, '')", "DELETE FROM t", "SHOW TABLES"]
    {
        assert_eq!(session.run(statement).error(), Some(1047), "{statement}");
    }
    cluster.plait(&["heal"]).ok();
    each_gives(&cluster, "SELECT id FROM t", &["0"]);
    assert_eq!(session.rows("EXECUTE p"), ["0"]);
    cluster.down();
}
