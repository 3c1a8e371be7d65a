//! Secondary keys across nodes: who loses, what a reply rests on, and that an index never says what the rows don't.

use super::kit::*;
use crate::*;
use plait_base::Seqno;
use proptest::prelude::*;

fn sql(cluster: &mut Cluster, session: &mut Session, text: &str) -> Result<Reply, Error> {
    cluster.ask(session, Request::Sql { text: text.into(), multi: false }).reply
}

fn done(cluster: &mut Cluster, session: &mut Session, text: &str) -> Vec<StepResult> {
    sql(cluster, session, text).unwrap_or_else(|error| panic!("{text}: {error}")).results
}

fn ids(cluster: &mut Cluster, session: &mut Session, text: &str) -> Vec<String> {
    let StepResult::Rows(rows) = done(cluster, session, text).remove(0) else {
        panic!("rows were asked for")
    };
    rows.rows.values().iter().map(|row| row[0].to_string()).collect()
}

fn table() -> (Cluster, [Session; 3]) {
    let mut cluster = Cluster::new(Settings::default());
    let mut sessions = [1, 2, 3].map(|n| cluster.session(n));
    let text = "CREATE TABLE t (id INT PRIMARY KEY, u INT, k INT, UNIQUE KEY (u), KEY (k))";
    done(&mut cluster, &mut sessions[0], text);
    (cluster, sessions)
}

/// Two nodes give the same unique value to two rows: the later in the order loses, and when it tries again by itself
/// it is told which.
#[test]
fn the_second_of_a_unique_value_loses() {
    let (mut cluster, [mut a, mut b, mut c]) = table();
    done(&mut cluster, &mut a, "BEGIN");
    done(&mut cluster, &mut b, "BEGIN");
    done(&mut cluster, &mut a, "INSERT INTO t VALUES (1, 7, 0)");
    done(&mut cluster, &mut b, "INSERT INTO t VALUES (2, 7, 0)");
    done(&mut cluster, &mut a, "COMMIT");
    let lost = sql(&mut cluster, &mut b, "COMMIT");
    assert!(matches!(lost, Err(Error::Conflict { .. })), "{lost:?}");
    let told = sql(&mut cluster, &mut c, "INSERT INTO t VALUES (3, 7, 0)");
    assert_eq!(told, Err(Error::DuplicateKey { table: "t".into(), index: "u".into(), key: "7".into() }));
    // Whoever was told so may rely on it.
    done(&mut cluster, &mut c, "BEGIN");
    assert!(sql(&mut cluster, &mut c, "INSERT INTO t VALUES (3, 7, 0)").is_err());
    done(&mut cluster, &mut c, "INSERT INTO t VALUES (3, 8, 0)");
    done(&mut cluster, &mut a, "DELETE FROM t WHERE id = 1");
    assert!(matches!(sql(&mut cluster, &mut c, "COMMIT"), Err(Error::Conflict { .. })));
}

/// What apply refuses by itself, whatever a node proposes: two rows in one place.
#[test]
fn apply_checks_unique_values_again() {
    plant();
    use crate::op::{RowChange, RowOp, WriteSet};
    let (mut cluster, [mut a, ..]) = table();
    done(&mut cluster, &mut a, "INSERT INTO t VALUES (1, 7, 0)");
    let row = |id: i64, u: i64| RowOp {
        table: 0,
        key: key::encode(&[id.into()]).into(),
        read_at: Seqno(2),
        change: RowChange::Insert(row::encode(&[id.into(), u.into(), 0.into()]).into()),
    };
    let set = |rows| {
        let tables = vec![(TableId(1), 1)];
        Op::WriteSet(WriteSet { read_at: Seqno(2), tables, rows, ..WriteSet::default() }).encode()
    };
    let verdict = cluster.order(set(vec![row(2, 7)]));
    assert!(matches!(verdict, Verdict::Refused(Error::DuplicateKey { .. })), "{verdict:?}");
    let verdict = cluster.order(set(vec![row(3, 9), row(4, 9)]));
    assert!(matches!(verdict, Verdict::Refused(Error::DuplicateKey { .. })), "{verdict:?}");
    assert!(matches!(cluster.order(set(vec![row(5, 9)])), Verdict::Done { .. }));
}

#[test]
fn what_was_read_through_a_key_is_certified() {
    for (begin, lock) in [("SERIALIZABLE", ""), ("REPEATABLE READ", " FOR UPDATE")] {
        // One comes in, one leaves, one changes: each makes the reader lose. One beside the range does not.
        for (other, loses) in [
            ("INSERT INTO t VALUES (9, 9, 5)", true),
            ("UPDATE t SET k = 6 WHERE id = 1", true),
            ("UPDATE t SET u = 77 WHERE id = 1", true),
            ("DELETE FROM t WHERE id = 1", true),
            ("INSERT INTO t VALUES (9, 9, 6)", false),
            ("UPDATE t SET u = 77 WHERE id = 3", false),
        ] {
            let (mut cluster, [mut a, mut b, _]) = table();
            done(&mut cluster, &mut a, "INSERT INTO t VALUES (1, 1, 5), (2, 2, 5), (3, 3, 7)");
            done(&mut cluster, &mut b, &format!("SET SESSION TRANSACTION ISOLATION LEVEL {begin}"));
            done(&mut cluster, &mut b, "BEGIN");
            assert_eq!(ids(&mut cluster, &mut b, &format!("SELECT id FROM t WHERE k = 5{lock}")), ["1", "2"]);
            done(&mut cluster, &mut b, "INSERT INTO t VALUES (50, 50, 50)");
            done(&mut cluster, &mut a, other);
            let commit = sql(&mut cluster, &mut b, "COMMIT");
            assert_eq!(
                matches!(commit, Err(Error::Conflict { .. })),
                loses,
                "{begin}{lock}: {other}: {commit:?}"
            );
        }
    }
}

/// Who finds a place empty that a row has left rests on its leaving.
#[test]
fn an_absence_rests_on_who_left() {
    let (mut cluster, [mut a, mut b, _]) = table();
    done(&mut cluster, &mut a, "INSERT INTO t VALUES (1, 1, 5)");
    done(&mut cluster, &mut a, "UPDATE t SET k = 6 WHERE id = 1");
    let left = cluster.nodes[0].store.applied();
    for node in &mut cluster.nodes {
        assert!(!node.store.collect(left, &mut 1000));
    }
    let text = "SELECT id FROM t WHERE k = 5".to_owned();
    let answer = cluster.ask(&mut b, Request::Sql { text, multi: false });
    assert_eq!(answer.depends_on, left);
}

fn copy(store: &Store) -> Store {
    let mut importer = Importer::new(Settings::default(), 99);
    let mut cursor = Vec::new();
    loop {
        let chunk = store.export(store.applied(), Seqno::ZERO, &cursor, 64, &mut 5);
        for (key, value) in &chunk.rows {
            importer
                .row(key, value.as_ref().expect("a whole export removes nothing"))
                .expect("it is readable");
        }
        match chunk.next {
            Some(next) => cursor = next,
            None => return importer.finish(&store.head()).expect("what was exported is whole"),
        }
    }
}

fn statement() -> impl Strategy<Value = String> {
    let n = || 0..5_i64;
    prop_oneof![
        4 => (n(), n(), n()).prop_map(|(id, u, k)| format!("INSERT INTO t VALUES ({id}, {u}, {k})")),
        1 => (n(), n()).prop_map(|(id, k)| format!("INSERT INTO t VALUES ({id}, NULL, {k})")),
        3 => (n(), n()).prop_map(|(id, u)| format!("UPDATE t SET u = {u} WHERE id = {id}")),
        3 => (n(), n()).prop_map(|(k, to)| format!("UPDATE t SET k = {to} WHERE k = {k}")),
        1 => (n(), n()).prop_map(|(id, to)| format!("UPDATE t SET id = {to} WHERE id = {id}")),
        2 => n().prop_map(|id| format!("DELETE FROM t WHERE id = {id}")),
        1 => (n(), n(), n()).prop_map(|(id, u, k)| format!("REPLACE INTO t VALUES ({id}, {u}, {k})")),
        2 => n().prop_map(|u| format!("SELECT id FROM t WHERE u = {u} FOR UPDATE")),
        3 => Just("BEGIN".to_owned()),
        3 => Just("COMMIT".to_owned()),
        1 => Just("ROLLBACK".to_owned()),
        1 => Just("SAVEPOINT a".to_owned()),
        1 => Just("ROLLBACK TO a".to_owned()),
        1 => Just("collect".to_owned()),
        1 => Just("copy".to_owned()),
        1 => Just("ALTER TABLE t ADD COLUMN x INT, DROP INDEX k, ADD INDEX k (k)".to_owned()),
        1 => Just("ALTER TABLE t DROP COLUMN x".to_owned()),
        1 => Just("ALTER TABLE t DROP INDEX k, ADD INDEX k (k, u)".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happens on three nodes, whatever one collects and another imports: they agree, no unique value is
    /// there twice, and each key finds what a walk over all rows finds, in transactions too.
    #[test]
    fn an_index_says_what_the_rows_say(
        script in proptest::collection::vec((0..3_usize, statement()), 1..60),
        slice in 1..9_u32,
    ) {
        let (mut cluster, mut sessions) = table();
        cluster.nodes[1].slice = slice;
        for (n, text) in script {
            match text.as_str() {
                "collect" => {
                    let open = sessions[n].snapshot();
                    let node = &mut cluster.nodes[n];
                    let oldest = open.unwrap_or(node.store.applied());
                    while node.store.collect(oldest, &mut 3) {}
                }
                // An import has no old versions, which an open transaction might want.
                "copy" if !sessions[n].in_transaction() => cluster.nodes[n].store = copy(&cluster.nodes[n].store),
                "copy" => {}
                _ => {
                    let outcome = sql(&mut cluster, &mut sessions[n], &text);
                    prop_assert!(!matches!(outcome, Err(Error::Internal { .. })), "{}: {:?}", text, outcome);
                }
            }
            for column in ["u", "k"] {
                for value in 0..5 {
                    let by_key = format!("SELECT id FROM t WHERE {column} = {value}");
                    let all = format!("SELECT id FROM t WHERE {column} + 0 = {value} ORDER BY id");
                    let by_key = sql(&mut cluster, &mut sessions[n], &by_key);
                    let all = sql(&mut cluster, &mut sessions[n], &all);
                    let (Ok(mut by_key), Ok(all)) = (by_key, all) else { continue };
                    if let StepResult::Rows(rows) = &mut by_key.results[0] {
                        let mut values = rows.rows.values();
                        values.sort();
                        rows.rows = values.into();
                        prop_assert!(column == "k" || rows.rows.len() <= 1, "{} is there twice: {:?}", value, rows);
                    }
                    prop_assert_eq!(by_key.results, all.results, "{} = {}", column, value);
                }
            }
        }
        let whole: Vec<_> = cluster.nodes.iter().map(|node| (node.store.chain(), node.store.state_digest())).collect();
        prop_assert!(whole.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
