//! The stock `mariadb` client on all three nodes at once.

use plait_tests::cluster::{Cluster, run};
use plait_tests::need;
use plait_tests::sql::{Answer, Session, client};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn the_stock_client_works_on_every_node() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("client");
    let mut on = [1, 2, 3].map(|node| Session::open(&cluster, node));
    on[0].rows("CREATE TABLE book (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, title VARCHAR(60) NOT NULL, price INT)");
    on[1].rows("INSERT INTO book (title, price) VALUES ('Faust', 9), ('Emma', 12)");
    on[2].rows("INSERT INTO book (title, price) VALUES ('Ulysses', 15)");
    assert_eq!(on[0].rows("SELECT COUNT(*), SUM(price) FROM book"), ["3\t36"]);
    on[0].rows("UPDATE book SET price = price + 1 WHERE title = 'Emma'");
    assert_eq!(on[2].rows("SELECT price FROM book WHERE title = 'Emma'"), ["13"]);
    on[1].rows("DELETE FROM book WHERE price > 14");
    assert_eq!(on[0].rows("SELECT title FROM book ORDER BY title"), ["Emma", "Faust"]);

    // A transaction is seen whole, and not before its commit.
    on[0].rows("BEGIN");
    on[0].rows("INSERT INTO book (title, price) VALUES ('Nana', 7)");
    assert_eq!(on[1].rows("SELECT COUNT(*) FROM book"), ["2"]);
    on[0].rows("COMMIT");
    assert_eq!(on[1].rows("SELECT COUNT(*) FROM book"), ["3"]);
    on[0].rows("BEGIN");
    on[0].rows("DELETE FROM book WHERE title = 'Nana'");
    on[0].rows("ROLLBACK");
    assert_eq!(on[2].rows("SELECT COUNT(*) FROM book WHERE title = 'Nana'"), ["1"]);

    // Errors by MySQL's numbers; none of them harms the session.
    for (statement, code) in [
        ("SELEC 1", 1064),
        ("SELECT * FROM nosuch", 1146),
        ("INSERT INTO book (id, title) VALUES (1, NULL)", 1048),
        ("SELECT nosuch FROM book", 1054),
    ] {
        assert_eq!(on[0].run(statement).error(), Some(code), "{statement}");
    }
    assert_eq!(on[0].rows("SELECT 1 + 1"), ["2"]);

    let size = on[0].rows("SHOW STATUS LIKE 'wsrep_cluster_size'");
    assert_eq!(size, ["wsrep_cluster_size\t3"]);
    let state = on[2].rows("SHOW STATUS LIKE 'wsrep_local_state_comment'");
    assert_eq!(state, ["wsrep_local_state_comment\tSynced"]);
    cluster.down();
}

#[test]
fn the_later_of_two_writers_of_a_row_loses() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("conflict");
    let (mut a, mut b) = (Session::open(&cluster, 1), Session::open(&cluster, 2));
    a.rows("CREATE TABLE t (id INT PRIMARY KEY, v INT)");
    a.rows("INSERT INTO t VALUES (1, 0)");
    for session in [&mut a, &mut b] {
        session.rows("BEGIN");
        assert_eq!(session.rows("SELECT v FROM t WHERE id = 1"), ["0"]);
    }
    a.rows("UPDATE t SET v = v + 1 WHERE id = 1");
    a.rows("COMMIT");
    // It may be told at once or at its commit; it is told.
    let update = b.run("UPDATE t SET v = v + 1 WHERE id = 1");
    let lost = if update.is_ok() { b.run("COMMIT") } else { update };
    assert_eq!(lost.error(), Some(1213), "{lost:?}");
    b.run("ROLLBACK");
    assert_eq!(b.rows("SELECT v FROM t WHERE id = 1"), ["1"]);
    cluster.down();
}

/// Two transactions each read what the other writes. At SERIALIZABLE, and with locking reads, one must lose.
#[test]
fn no_write_skew() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("skew");
    let mut sessions = [Session::open(&cluster, 1), Session::open(&cluster, 3)];
    sessions[0].rows("CREATE TABLE duty (who INT PRIMARY KEY, here INT)");
    sessions[0].rows("INSERT INTO duty VALUES (0, 1), (1, 1)");
    for (isolation, lock) in [("SERIALIZABLE", ""), ("REPEATABLE READ", " FOR UPDATE")] {
        for round in 0..10 {
            sessions[0].rows("UPDATE duty SET here = 1");
            for session in &mut sessions {
                session.rows(&format!("SET SESSION TRANSACTION ISOLATION LEVEL {isolation}"));
                session.rows("BEGIN");
                let here = session.rows(&format!("SELECT who FROM duty WHERE here = 1{lock}"));
                assert_eq!(here.len(), 2, "both are here before either goes");
            }
            let done: Vec<bool> = sessions
                .iter_mut()
                .enumerate()
                .map(|(who, session)| {
                    let update = session.run(&format!("UPDATE duty SET here = 0 WHERE who = {who}"));
                    let answer = if update.is_ok() { session.run("COMMIT") } else { update };
                    if !answer.is_ok() {
                        assert_eq!(answer.error(), Some(1213), "{answer:?}");
                        session.run("ROLLBACK");
                    }
                    answer.is_ok()
                })
                .collect();
            assert_eq!(done.iter().filter(|done| **done).count(), 1, "{isolation}{lock}, round {round}");
        }
    }
    cluster.down();
}

/// Each node hands out ids of its own class, and none twice, also across a kill.
#[test]
fn ids_are_unique_and_of_their_nodes_class() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("ids");
    Session::open(&cluster, 1).rows("CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, node INT)");
    let mut seen = BTreeSet::new();
    for round in 0..3 {
        for node in [1_u8, 2, 3] {
            let mut session = Session::open(&cluster, node);
            for _ in 0..5 {
                session.rows(&format!("INSERT INTO t (node) VALUES ({node})"));
                let id: i64 = session.rows("SELECT LAST_INSERT_ID()")[0].parse().expect("a number");
                assert_eq!(id % 3, i64::from(node) % 3, "n{node} gave {id}");
                assert!(seen.insert(id), "{id} was given twice");
            }
            // The newest row goes; its id must not come again.
            session
                .rows(&format!("DELETE FROM t WHERE node = {node} AND id = {}", seen.last().expect("some")));
        }
        if round < 2 {
            cluster.plait(&["kill", "n2"]).ok();
            cluster.plait(&["start", "n2"]).ok();
            cluster.note();
            cluster.whole();
        }
    }
    cluster.down();
}

#[test]
fn a_file_of_statements_runs_and_a_wrong_password_does_not() {
    if !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("file");
    let mut one = client(&cluster, 2);
    let ran = run(
        one.args([
            "-e",
            "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1),(2); SELECT COUNT(*) FROM t",
        ]),
        Duration::from_secs(30),
    )
    .ok();
    assert_eq!(ran.out.trim(), "2");
    let mut wrong = client(&cluster, 2);
    let ran = run(wrong.args(["--password=wrong", "-e", "SELECT 1"]), Duration::from_secs(30));
    assert!(ran.code != Some(0) && ran.err.contains("1045"), "{ran}");
    let mut elsewhere = client(&cluster, 2);
    let ran = run(elsewhere.args(["-e", "USE nosuch"]), Duration::from_secs(30));
    assert!(ran.code != Some(0) && ran.err.contains("1049"), "{ran}");
    assert!(matches!(Session::open(&cluster, 1).run("SELECT 1"), Answer::Rows(_)));
    cluster.down();
}
