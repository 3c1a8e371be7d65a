//! Foreign keys across nodes: in no state is there a row without its parent, whoever raced with whom.

use super::kit::*;
use crate::*;
use plait_base::Seqno;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn sql(cluster: &mut Cluster, session: &mut Session, text: &str) -> Result<Reply, Error> {
    cluster.ask(session, Request::Sql { text: text.into(), multi: false }).reply
}

#[track_caller]
fn done(cluster: &mut Cluster, session: &mut Session, text: &str) -> Vec<StepResult> {
    sql(cluster, session, text).unwrap_or_else(|error| panic!("{text}: {error}")).results
}

/// `p` is the parent of `c`, which is the parent of `g`.
fn family() -> (Cluster, [Session; 3]) {
    let mut cluster = Cluster::new(Settings::default());
    let mut sessions = [1, 2, 3].map(|n| cluster.session(n));
    for text in [
        "CREATE TABLE p (id INT PRIMARY KEY, u INT, v INT DEFAULT 0, UNIQUE KEY (u))",
        "CREATE TABLE c (id INT PRIMARY KEY, p INT, u INT, FOREIGN KEY (p) REFERENCES p (id), \
         FOREIGN KEY (u) REFERENCES p (u) ON DELETE SET NULL ON UPDATE CASCADE)",
        "CREATE TABLE g (id INT PRIMARY KEY, c INT, FOREIGN KEY (c) REFERENCES c (id) ON DELETE CASCADE)",
        "INSERT INTO p VALUES (1, 1, 0), (2, 2, 0)",
    ] {
        done(&mut cluster, &mut sessions[0], text);
    }
    (cluster, sessions)
}

const LEVELS: [&str; 3] = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

/// The child first, then the parent's end; and the other way round.
#[test]
fn of_two_that_would_leave_an_orphan_the_second_is_refused() {
    plant();
    let pairs = [
        ("INSERT INTO c VALUES (1, 1, NULL)", "DELETE FROM p WHERE id = 1"),
        ("INSERT INTO c VALUES (1, NULL, 1)", "DELETE FROM p WHERE u = 1"),
        ("UPDATE c SET p = 1 WHERE id = 9", "UPDATE p SET id = 7 WHERE id = 1"),
        ("UPDATE c SET u = 1 WHERE id = 9", "UPDATE p SET u = 7 WHERE id = 1"),
        ("INSERT INTO g VALUES (1, 9)", "DELETE FROM c WHERE id = 9"),
        ("INSERT INTO c VALUES (1, 1, NULL)", "REPLACE INTO p VALUES (3, 1, 0)"),
    ];
    for (child, parent) in pairs {
        for level in LEVELS {
            for (first, second) in [(child, parent), (parent, child)] {
                let (mut cluster, [mut a, mut b, mut c]) = family();
                done(&mut cluster, &mut c, "INSERT INTO c VALUES (9, 2, 2)");
                for session in [&mut a, &mut b] {
                    done(&mut cluster, session, &format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}"));
                    done(&mut cluster, session, "BEGIN");
                }
                done(&mut cluster, &mut a, first);
                done(&mut cluster, &mut b, second);
                // So that it is not done once more.
                done(&mut cluster, &mut b, "SET @a = 1");
                done(&mut cluster, &mut a, "COMMIT");
                let lost = sql(&mut cluster, &mut b, "COMMIT");
                assert!(matches!(lost, Err(Error::Conflict { .. })), "{level}: {first}; {second}: {lost:?}");
                assert_eq!(lost.expect_err("it lost").code().0, 1213);
                whole(&mut cluster, &mut c);
            }
        }
    }
}

/// Who only uses a parent, and who only changes it, do not meet; nor do two who use it.
#[test]
fn a_parent_that_only_changes_holds_nobody_up() {
    let (mut cluster, [mut a, mut b, mut c]) = family();
    for session in [&mut a, &mut b, &mut c] {
        done(&mut cluster, session, "BEGIN");
    }
    done(&mut cluster, &mut a, "INSERT INTO c VALUES (1, 1, NULL)");
    done(&mut cluster, &mut b, "INSERT INTO c VALUES (2, 1, NULL)");
    done(&mut cluster, &mut c, "UPDATE p SET v = v + 1 WHERE id = 1");
    for session in [&mut c, &mut b, &mut a] {
        done(&mut cluster, session, "COMMIT");
    }
    // One that went and came again is there as well.
    done(&mut cluster, &mut a, "BEGIN");
    done(&mut cluster, &mut a, "INSERT INTO c VALUES (3, 2, NULL)");
    done(&mut cluster, &mut b, "DELETE FROM p WHERE id = 2");
    done(&mut cluster, &mut b, "INSERT INTO p VALUES (2, 2, 0)");
    done(&mut cluster, &mut a, "COMMIT");
}

/// By itself, a statement that lost is tried again, and then told what is.
#[test]
fn a_statement_by_itself_is_told_what_is() {
    let (mut cluster, [mut a, mut b, _]) = family();
    b.start(Request::Sql { text: "INSERT INTO c VALUES (1, 1, NULL)".into(), multi: false })
        .expect("nothing is under way");
    let Progress::Order(op) = cluster.nodes[1].run(&mut b) else { panic!("it wants to be ordered") };
    done(&mut cluster, &mut a, "DELETE FROM p WHERE id = 1");
    let verdict = cluster.order(op);
    b.resume(Ok(verdict));
    let answer = cluster.finish(&mut b);
    assert!(matches!(answer.reply, Err(Error::NoParent { .. })), "{:?}", answer.reply);
    assert!(answer.depends_on >= Seqno(5), "it rests on the parent's end");
}

/// What became of a foreign key is in the state, and whoever reads that goes on with it.
#[test]
fn a_state_that_was_read_in_knows_its_children() {
    let (mut cluster, [mut a, mut b, _]) = family();
    done(&mut cluster, &mut a, "INSERT INTO c VALUES (1, 1, 1)");
    done(&mut cluster, &mut a, "ALTER TABLE p RENAME TO q");
    let store = &cluster.nodes[1].store;
    let chunk = store.export(store.applied(), Seqno::ZERO, &[], usize::MAX, &mut u32::MAX.clone());
    let mut importer = Importer::new(Settings::default(), 3);
    for (key, value) in &chunk.rows {
        importer.row(key, value.as_ref().expect("nothing was removed")).expect("it reads");
    }
    cluster.nodes[1].store = importer.finish(&store.head()).expect("it is whole");
    cluster.nodes[1].local = Local::new(slot(2));
    let told = sql(&mut cluster, &mut b, "DELETE FROM q WHERE id = 1");
    assert!(matches!(told, Err(Error::HasChildren { .. })), "{told:?}");
    done(&mut cluster, &mut b, "DELETE FROM c");
    done(&mut cluster, &mut b, "DELETE FROM q WHERE id = 1");
    cluster.agree();
}

/// All rows of a table by one of its columns.
fn column(cluster: &mut Cluster, session: &mut Session, text: &str) -> Vec<String> {
    let StepResult::Rows(rows) = done(cluster, session, text).remove(0) else {
        panic!("rows were asked for")
    };
    rows.rows.values().iter().map(|row| row[0].to_string()).collect()
}

/// Every row has its parents.
#[track_caller]
fn whole(cluster: &mut Cluster, session: &mut Session) {
    for (child, parent) in [
        ("SELECT p FROM c WHERE p IS NOT NULL", "SELECT id FROM p"),
        ("SELECT u FROM c WHERE u IS NOT NULL", "SELECT u FROM p"),
        ("SELECT c FROM g WHERE c IS NOT NULL", "SELECT id FROM c"),
    ] {
        let parents: BTreeSet<String> = column(cluster, session, parent).into_iter().collect();
        let children = column(cluster, session, child);
        let orphan = children.iter().find(|parent| !parents.contains(*parent));
        assert_eq!(orphan, None, "{child}, {parent}");
    }
}

fn statement() -> impl Strategy<Value = String> {
    let id = || 1..4_i64;
    let some = || prop_oneof![3 => (1..4_i64).prop_map(|n| n.to_string()), 1 => Just("NULL".to_owned())];
    prop_oneof![
        2 => (id(), some()).prop_map(|(id, u)| format!("INSERT INTO p VALUES ({id}, {u}, 0)")),
        2 => (id(), some(), some()).prop_map(|(id, p, u)| format!("INSERT INTO c VALUES ({id}, {p}, {u})")),
        2 => (id(), some()).prop_map(|(id, c)| format!("INSERT INTO g VALUES ({id}, {c})")),
        1 => (id(), some()).prop_map(|(id, u)| format!("REPLACE INTO p VALUES ({id}, {u}, 1)")),
        2 => (id(), id()).prop_map(|(id, to)| format!("UPDATE p SET id = {to} WHERE id = {id}")),
        2 => (id(), some()).prop_map(|(id, u)| format!("UPDATE p SET u = {u} WHERE id = {id}")),
        2 => (id(), some(), some()).prop_map(|(id, p, u)| format!("UPDATE c SET p = {p}, u = {u} WHERE id = {id}")),
        1 => (id(), id()).prop_map(|(id, to)| format!("UPDATE c SET id = {to} WHERE id = {id}")),
        3 => id().prop_map(|id| format!("DELETE FROM p WHERE id = {id}")),
        3 => id().prop_map(|id| format!("DELETE FROM c WHERE id = {id}")),
        1 => Just("DELETE FROM p".to_owned()),
        1 => Just("DELETE FROM c".to_owned()),
        3 => Just("BEGIN".to_owned()),
        4 => Just("COMMIT".to_owned()),
        1 => Just("ROLLBACK".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_history_leaves_an_orphan(
        history in proptest::collection::vec((0..3_usize, statement()), 1..60),
        levels in proptest::collection::vec(0..3_usize, 3),
        slice in 1..5_u32,
    ) {
        let (mut cluster, mut sessions) = family();
        for (session, level) in sessions.iter_mut().zip(&levels) {
            let text = format!("SET SESSION TRANSACTION ISOLATION LEVEL {}", LEVELS[*level]);
            done(&mut cluster, session, &text);
        }
        cluster.nodes.iter_mut().for_each(|node| node.slice = slice);
        let mut looker = cluster.session(1);
        for (who, text) in &history {
            let reply = sql(&mut cluster, &mut sessions[*who], text);
            let known = matches!(
                &reply,
                Ok(_) | Err(
                    Error::Conflict { .. }
                        | Error::DuplicateKey { .. }
                        | Error::NoParent { .. }
                        | Error::HasChildren { .. }
                ) | Err(Error::Sql { code: 1761, .. })
            );
            prop_assert!(known, "{}: {:?}", text, reply);
            if reply.is_ok() {
                whole(&mut cluster, &mut looker);
            }
        }
        cluster.agree();
    }
}
