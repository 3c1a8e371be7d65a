//! SQL as a client sees it: scripts of statements with what must come back, one after the other.
//!
//! A line `name> statement` is run in the session of that name; what follows, up to the next such line, is what came
//! back. With `PLAIT_GOLDEN=write` the scripts are written anew, and the difference is the review.
//! Beside the scripts, a law: however small the slices are in which a statement is run, it answers the same.

use super::text::CHAIN_MAX;
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
            vec![row("wsrep_cluster_size", "3"), row("wsrep_local_state_comment", "Synced"), row("wsrep_ready", "ON")]
        };
        let may_read = self.may_read.clone();
        loop {
            let now = Now { mono: Mono(1), wall: Wall(1_709_210_096_789_000) };
            let ctx = Context { now, may_read: may_read.clone(), status: &status, connection: 7 };
            let mut budget = self.slice;
            match session.run(&self.store, &mut self.local, &ctx, &mut budget) {
                Progress::Yield => {}
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
                    for row in rows.rows {
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
            let _ = writeln!(out, "error {code} ({state}): {error}");
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
        let near = |text: &str| text.lines().skip(differs.saturating_sub(2)).take(6).collect::<Vec<_>>().join("\n  ");
        panic!("{name} line {}: came back\n  {}\nand should have been\n  {}", differs + 1, near(&now), near(script));
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
    clients,
    conversions,
    deletes,
    definitions,
    expressions,
    functions,
    inserts,
    isolation,
    keys,
    refusals,
    selects,
    shows,
    transactions,
    updates,
    variables,
);
