//! SQL as a client sees it: scripts of statements with what must come back, one after the other.
//!
//! A line `name> statement` is run in the session of that name; what follows, up to the next such line, is what came
//! back. With `PLAIT_GOLDEN=write` the scripts are written anew, and the difference is the review.
//! Beside the scripts, a law: however small the slices are in which a statement is run, it answers the same.

mod kept;
mod starts;

use super::text::{EXPR_DEPTH_MAX, TREE_DEPTH_MAX};
use crate::session::{Context, Progress, Session};
use crate::{Client, Error, Local, Request, Settings, StepResult, Store, Value};
use plait_base::{BootEpoch, Bytes, Mono, Now, ProposalId, Seqno, Slot, Wall};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One node with its store; operations are ordered as soon as they are asked for.
struct Node {
    store: Store,
    local: Local,
    sessions: BTreeMap<String, Session>,
    proposals: u64,
    /// Units of work that a slice has.
    slice: u32,
    may_read: Result<(), String>,
}

impl Node {
    fn new(slice: u32) -> Node {
        Node {
            store: Store::new(Settings::default(), 1),
            local: Local::new(Slot::ALL[0]),
            sessions: BTreeMap::new(),
            proposals: 0,
            slice,
            may_read: Ok(()),
        }
    }

    fn apply(&mut self, op: &Bytes) -> crate::Verdict {
        self.proposals += 1;
        let id = ProposalId { slot: Slot::ALL[0], epoch: BootEpoch(1), counter: self.proposals };
        let seqno = self.store.applied().next();
        let verdict = loop {
            if let Some(verdict) = self.store.apply(seqno, id, op, &mut 1000) {
                break verdict;
            }
        };
        self.store.publish();
        verdict
    }

    fn request(&mut self, name: &str, request: Request) -> (Result<crate::Reply, Error>, Seqno) {
        let mut session = self.sessions.remove(name).unwrap_or_else(|| {
            let mut session = Session::new(Slot::ALL[0]);
            let client = Client {
                user: "plait".into(),
                host: "127.0.0.1".into(),
                database: Some("shop".into()),
                home: String::new(),
                connection: 7,
                found_rows: name == "found",
            };
            session.start(Request::Attach(client)).expect("a new session is idle");
            self.drive(&mut session).0.expect("the database is known");
            session
        });
        session.start(request).expect("one request at a time");
        let answer = self.drive(&mut session);
        self.sessions.insert(name.into(), session);
        answer
    }

    fn drive(&mut self, session: &mut Session) -> (Result<crate::Reply, Error>, Seqno) {
        let status = || {
            let row = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            vec![
                row("wsrep_cluster_size", "3"),
                row("wsrep_local_state_comment", "Synced"),
                row("wsrep_ready", "ON"),
            ]
        };
        let may_read = self.may_read.clone();
        loop {
            let now = Now { mono: Mono(1), wall: Wall(1_709_210_096_789_000) };
            let applied = self.store.applied();
            let alone = Context::alone(now);
            let ctx =
                Context { may_read: may_read.clone(), status: &status, connection: 7, applied, ..alone };
            let mut budget = self.slice;
            match session.run(&self.store, &mut self.local, &ctx, &mut budget) {
                Progress::Yield => {}
                Progress::Wait(_) => unreachable!("all sessions here are one client's"),
                Progress::Order(op) => {
                    let verdict = self.apply(&op);
                    session.resume(Ok(verdict));
                }
                Progress::Reply { reply, depends_on, .. } => return (reply, depends_on),
            }
        }
    }

    fn sql(&mut self, name: &str, text: &str) -> Result<crate::Reply, Error> {
        self.request(name, Request::Sql { text: text.into(), multi: name == "multi" }).0
    }

    /// What came back, in words.
    fn told(&mut self, name: &str, text: &str) -> String {
        let mut out = String::new();
        let (results, error) = match self.sql(name, text) {
            Ok(reply) => {
                let results = reply.results;
                let warnings = reply.warnings;
                if warnings > 0 {
                    let _ = writeln!(out, "warnings: {warnings}");
                }
                (results, None)
            }
            Err(Error::After { done, error }) => (done, Some(*error)),
            Err(error) => (Vec::new(), Some(error)),
        };
        for result in results {
            match result {
                StepResult::Rows(rows) => {
                    let names: Vec<_> = rows.columns.iter().map(|head| head.name.as_str()).collect();
                    let _ = writeln!(out, "{}", names.join(" | "));
                    for row in rows.rows.values() {
                        let cells: Vec<_> = row.iter().map(cell).collect();
                        let _ = writeln!(out, "= {}", cells.join(" | "));
                    }
                }
                StepResult::Done(done) => {
                    let _ = write!(out, "ok affected={}", done.affected);
                    if done.insert_id != 0 {
                        let _ = write!(out, " id={}", done.insert_id);
                    }
                    if !done.info.is_empty() {
                        let _ = write!(out, " {}", done.info);
                    }
                    out.push('\n');
                }
            }
        }
        if let Some(error) = error {
            let (code, state) = error.code();
            let _ = writeln!(out, "error {code} ({state}): {}", error.mysql_text("shop"));
        }
        out
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Text(text) => text.replace('\n', "\\n"),
        Value::Bytes(bytes) => bytes.iter().fold("0x".to_owned(), |out, byte| out + &format!("{byte:02x}")),
        other => other.to_string(),
    }
}

/// The script with what comes back now.
fn played(script: &str, slice: u32) -> String {
    let mut node = Node::new(slice);
    let mut out = String::new();
    let mut begun = false;
    for line in script.lines() {
        match line.split_once("> ").filter(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase())) {
            Some(("node", "cut off")) => {
                begun = true;
                node.may_read = Err("it has no lease".into());
                let _ = writeln!(out, "{line}");
            }
            Some(("node", _)) => {
                begun = true;
                node.may_read = Ok(());
                let _ = writeln!(out, "{line}");
            }
            Some((name, text)) => {
                begun = true;
                let _ = writeln!(out, "{line}");
                out += &node.told(name, text);
            }
            // A comment, or the blank line before one, belongs to the script.
            None if !begun || line.is_empty() || line.starts_with('#') => {
                let _ = writeln!(out, "{line}");
            }
            None => {}
        }
    }
    out
}

fn check(name: &str, script: &str) {
    let now = played(script, 1000);
    #[allow(clippy::disallowed_methods)] // It decides who writes the file, and nothing of what is in it.
    if std::env::var("PLAIT_GOLDEN").is_ok_and(|what| what == "write") {
        let path = format!("{}/scripts/sql/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, &now).expect("a script can be written");
        return;
    }
    if now != script {
        let differs = now.lines().zip(script.lines()).position(|(a, b)| a != b).unwrap_or(0);
        let near = |text: &str| {
            text.lines().skip(differs.saturating_sub(2)).take(6).collect::<Vec<_>>().join("\n  ")
        };
        panic!(
            "{name} line {}: came back\n  {}\nand should have been\n  {}",
            differs + 1,
            near(&now),
            near(script)
        );
    }
    assert_eq!(played(script, 1), now, "{name}: in slices of one unit it answers otherwise");
    assert_eq!(played(script, 7), now, "{name}: in slices of seven units it answers otherwise");
}

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() {
            check(stringify!($name), include_str!(concat!("../../scripts/sql/", stringify!($name))));
        })*
    };
}

scripts!(
    aggregates,
    blanks,
    checks,
    clients,
    comments,
    conversions,
    deletes,
    definitions,
    explains,
    expressions,
    foreign,
    functions,
    indexes,
    inserts,
    isolation,
    joins,
    keys,
    members,
    prepared,
    refusals,
    savepoints,
    selects,
    shows,
    transactions,
    types,
    unions,
    unsigned,
    updates,
    variables,
    views,
);

/// Conditions over the columns of `two_keys()`'s table.
fn condition() -> impl Strategy<Value = String> {
    let number =
        prop_oneof![(-3..6_i64).prop_map(|n| n.to_string()), Just("1.5".into()), Just("NULL".into())];
    let text = "[a-c%_]{0,2}".prop_map(|text| format!("'{text}'"));
    let constant =
        prop_oneof![3 => number, 3 => text, 1 => Just("'2'".to_owned()), 1 => Just("-0.5".to_owned())];
    let column = prop_oneof![Just("a"), Just("b"), Just("v")];
    let sign = prop_oneof![Just("="), Just("<>"), Just("<"), Just("<="), Just(">"), Just(">="), Just("<=>")];
    let leaf = prop_oneof![
        5 => (column.clone(), sign.clone(), constant.clone()).prop_map(|(c, s, k)| format!("{c} {s} {k}")),
        2 => (constant.clone(), sign, column.clone()).prop_map(|(k, s, c)| format!("{k} {s} {c}")),
        2 => (column.clone(), proptest::collection::vec(constant.clone(), 1..4))
            .prop_map(|(c, list)| format!("{c} IN ({})", list.join(", "))),
        1 => (column.clone(), constant.clone(), constant.clone())
            .prop_map(|(c, low, high)| format!("{c} BETWEEN {low} AND {high}")),
        1 => (column, constant).prop_map(|(c, k)| format!("{c} LIKE {k}")),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            3 => proptest::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" AND "))),
            2 => proptest::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" OR "))),
            1 => inner.prop_map(|one| format!("NOT ({one})")),
        ]
    })
}

fn two_keys() -> Node {
    let mut node = Node::new(1000);
    node.sql("s", "CREATE TABLE t (a INT, b VARCHAR(5), v INT, PRIMARY KEY (a, b))")
        .expect("it is a definition");
    let mut row = 0;
    let mut rows = Vec::new();
    for a in -2..5 {
        for b in ["", "a", "ab", "b", "c%", "2"] {
            row += 1;
            rows.push(format!(
                "({a}, '{b}', {})",
                if row % 5 == 0 { "NULL".to_owned() } else { row.to_string() }
            ));
        }
    }
    node.sql("s", &format!("INSERT INTO t VALUES {}", rows.join(", "))).expect("they are rows");
    node
}

fn rows(node: &mut Node, text: &str) -> Vec<StepResult> {
    node.sql("s", text).unwrap_or_else(|error| panic!("{text}: {error}")).results
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Law: a condition chooses the same rows whether they are looked for by key or all are asked.
    #[test]
    fn access_by_key_changes_no_answer(condition in condition()) {
        let mut node = two_keys();
        let by_key = rows(&mut node, &format!("SELECT a, b FROM t WHERE {condition}"));
        let all = rows(&mut node, &format!("SELECT a, b FROM t WHERE ({condition}) IS TRUE"));
        prop_assert_eq!(by_key, all);
    }

    /// The same through secondary keys, some of a beginning alone, some with NULLs.
    #[test]
    fn access_by_a_secondary_key_changes_no_answer(condition in condition()) {
        let mut node = two_keys();
        rows(&mut node, "ALTER TABLE t ADD COLUMN id INT");
        rows(&mut node, "ALTER TABLE t DROP PRIMARY KEY, ADD KEY (v), ADD KEY (b(1), a), ADD UNIQUE (a, b)");
        rows(&mut node, "UPDATE t SET v = v + 1");
        let by_key = rows(&mut node, &format!("SELECT a, b FROM t WHERE {condition} ORDER BY a, b"));
        let all = rows(&mut node, &format!("SELECT a, b FROM t WHERE ({condition}) IS TRUE ORDER BY a, b"));
        prop_assert_eq!(by_key, all);
    }

    /// Law: ORDER BY with LIMIT is a window of the whole order.
    #[test]
    fn a_limit_is_a_window(limit in 0_usize..9, offset in 0_usize..45, order in 0_usize..4) {
        let mut node = two_keys();
        let order = ["a, b", "v, a, b", "b DESC, a", "a DESC, b DESC"][order];
        let whole = rows(&mut node, &format!("SELECT a, b FROM t ORDER BY {order}"));
        let part = rows(&mut node, &format!("SELECT a, b FROM t ORDER BY {order} LIMIT {limit} OFFSET {offset}"));
        let (StepResult::Rows(whole), StepResult::Rows(part)) = (&whole[0], &part[0]) else { panic!("rows were asked for") };
        let (whole, part) = (whole.rows.values(), part.rows.values());
        let end = (offset + limit).min(whole.len());
        prop_assert_eq!(&part[..], &whole[offset.min(end)..end]);
    }

    /// Whatever a client sends, it gets an answer, and the session goes on.
    #[test]
    fn no_text_breaks_a_session(words in proptest::collection::vec(word(), 1..14)) {
        let mut node = two_keys();
        let text = words.join(" ");
        match node.sql("multi", &text) {
            Err(Error::Internal { why }) => prop_assert!(false, "{}: {}", text, why),
            Err(Error::After { error, .. }) => prop_assert!(!matches!(*error, Error::Internal { .. }), "{}: {}", text, error),
            _ => {}
        }
        prop_assert!(node.sql("multi", "SELECT 1").is_ok());
    }

    #[test]
    fn no_bytes_break_a_session(text in "\\PC{0,60}") {
        let mut node = Node::new(1000);
        if let Err(Error::Internal { why }) = node.sql("multi", &text) {
            prop_assert!(false, "{}: {}", text, why);
        }
    }
}

/// A word of SQL, so that texts of them get far.
fn word() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "SELECT",
        "FROM",
        "t",
        "WHERE",
        "a",
        "b",
        "v",
        "*",
        ",",
        "(",
        ")",
        "=",
        "<",
        "+",
        "-",
        "/",
        "%",
        "1",
        "0",
        "'x'",
        "2.5",
        "1e3",
        "NULL",
        "AND",
        "OR",
        "NOT",
        "IN",
        "BETWEEN",
        "LIKE",
        "IS",
        "ORDER BY",
        "GROUP BY",
        "HAVING",
        "LIMIT",
        "OFFSET",
        "COUNT(*)",
        "SUM(v)",
        "AVG(a)",
        "DISTINCT",
        "INSERT INTO t VALUES",
        "UPDATE t SET",
        "DELETE FROM t",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        ";",
        "SHOW TABLES",
        "SET",
        "@x",
        "@@autocommit",
        "AS",
        "CASE",
        "WHEN",
        "THEN",
        "ELSE",
        "END",
        "CAST(",
        "AS SIGNED)",
        "CREATE TABLE u",
        "INT",
        "PRIMARY KEY",
        "DROP TABLE",
        "FOR UPDATE",
        "CONCAT(",
        "IF(",
        "DIV",
        "x'41'",
        "TRUE",
        "9223372036854775807",
        "ROUND(",
        "DESC",
        "ON DUPLICATE KEY UPDATE",
        "VALUES(a)",
        "DEFAULT",
        "LPAD(",
        "REPEAT(",
    ];
    (0..WORDS.len()).prop_map(|at| WORDS[at].to_owned())
}

/// What is as deep as it may be is answered within the small stack of a test, and what is deeper is refused.
#[test]
fn depth_is_bounded() {
    let mut node = two_keys();
    let one = |node: &mut Node, text: &str| match &rows(node, text)[0] {
        StepResult::Rows(rows) => rows.rows.values()[0][0].clone(),
        StepResult::Done(_) => panic!("a row was asked for"),
    };
    let chain = vec!["a = 1"; TREE_DEPTH_MAX / 2].join(" OR ");
    assert_eq!(one(&mut node, &format!("SELECT COUNT(*) FROM t WHERE {chain}")), Value::Int(6));
    assert_eq!(
        one(&mut node, &format!("SELECT {chain} AS x FROM t GROUP BY x HAVING x ORDER BY x")),
        Value::Int(1)
    );
    let sum = vec!["1"; EXPR_DEPTH_MAX].join("+");
    assert_eq!(one(&mut node, &format!("SELECT {sum}")), Value::Int(EXPR_DEPTH_MAX as i64));
    let sum = vec!["a"; EXPR_DEPTH_MAX].join("+");
    assert_eq!(
        one(&mut node, &format!("SELECT {sum} FROM t WHERE a = 1 LIMIT 1")),
        Value::Int(EXPR_DEPTH_MAX as i64)
    );
    for (open, close) in [
        ("(", ")"),
        ("ABS(", ")"),
        ("IF(1, ", ", 0)"),
        ("CASE WHEN 1 THEN ", " END"),
        ("CAST(", " AS SIGNED)"),
    ] {
        let nested = format!("SELECT {}a{} FROM t WHERE a = 1 LIMIT 1", open.repeat(25), close.repeat(25));
        assert_eq!(one(&mut node, &nested), Value::Int(1), "{open}");
    }
    for length in [EXPR_DEPTH_MAX + 2, TREE_DEPTH_MAX, TREE_DEPTH_MAX + 2, 100 * TREE_DEPTH_MAX] {
        let sum = vec!["a"; length].join("+");
        let refused = node.sql("s", &format!("SELECT {sum} FROM t"));
        assert!(matches!(refused, Err(Error::TooLarge { .. })), "{length}: {refused:?}");
    }
}

/// However many texts a row asks for, and however long each may be, their sum is bounded.
#[test]
fn what_a_row_makes_is_bounded() {
    let mut node = two_keys();
    let many = vec!["REPEAT('x', 16000000)"; 20].join(", ");
    for text in [format!("SELECT {many}"), format!("SELECT CONCAT({many})"), format!("SELECT {many} FROM t")]
    {
        let refused = node.sql("s", &text);
        assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    }
    assert_eq!(
        rows(&mut node, "SELECT LENGTH(REPEAT('x', 16000000)) FROM t").len(),
        1,
        "each row begins anew"
    );
}

/// What a reply rests on is at least the newest row that it shows, and for an absence what took the row away.
#[test]
fn a_reply_names_what_it_rests_on() {
    let mut node = two_keys();
    let ask = |node: &mut Node, text: &str| {
        let (reply, rests_on) = node.request("s", Request::Sql { text: text.into(), multi: false });
        (reply, rests_on)
    };
    ask(&mut node, "UPDATE t SET v = 1 WHERE a = 1 AND b = 'a'").0.expect("it is there");
    let newest = node.store.applied();
    assert_eq!(ask(&mut node, "SELECT v FROM t WHERE a = 1 AND b = 'a'").1, newest);
    assert_eq!(ask(&mut node, "SELECT COUNT(*) FROM t").1, newest);
    assert!(ask(&mut node, "SELECT v FROM t WHERE a = 2 AND b = 'a'").1 < newest);
    ask(&mut node, "DELETE FROM t WHERE a = 3 AND b = 'a'").0.expect("it is there");
    let newest = node.store.applied();
    assert_eq!(ask(&mut node, "SELECT v FROM t WHERE a = 3 AND b = 'a'").1, newest);
    assert_eq!(
        ask(&mut node, "INSERT INTO t VALUES (1, 'a', 1)").1,
        Seqno(newest.0 - 1),
        "a duplicate rests on its row"
    );
    ask(&mut node, "DROP TABLE t").0.expect("it is there");
    let newest = node.store.applied();
    assert_eq!(ask(&mut node, "SELECT v FROM t").1, newest);
    assert_eq!(ask(&mut node, "SHOW TABLES").1, newest);
}
