//! A history as Jepsen writes it: one operation a line, invocations and completions in the order in which they happened.
//!
//! A process does one thing at a time. One whose last outcome is unknown may still be at it, so its number is never used
//! again: its client goes on as that number plus the number of clients.

use crate::outcome::Outcome;
use crate::run::{Cause, End};
use crate::txn::Txn;
use serde_json::{Map, Value, json};

/// Completions by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub ok: u64,
    pub fail: u64,
    pub info: u64,
}

impl Counts {
    pub fn all(self) -> u64 {
        self.ok + self.fail + self.info
    }
}

#[derive(Debug)]
struct Client {
    process: u64,
    /// `f` and node of what it has begun and not ended.
    open: Option<(&'static str, String)>,
}

#[derive(Debug)]
pub struct History {
    clients: Vec<Client>,
    index: u64,
    /// Nanoseconds of the last line; a later one is never earlier.
    time: u64,
    counts: Counts,
    last: bool,
}

impl History {
    pub fn new(clients: usize) -> History {
        let clients = (0..clients as u64).map(|process| Client { process, open: None }).collect();
        History { clients, index: 0, time: 0, counts: Counts::default(), last: false }
    }

    /// All is over and healed: what is read from here on must show whatever was acknowledged.
    pub fn last_reads(&mut self) {
        self.last = true;
    }

    /// Panics if the client is still at its last operation.
    pub fn invoke(&mut self, time_ns: u64, client: usize, node: &str, txn: &Txn) -> String {
        let line = self.line(time_ns, self.clients[client].process.into(), "invoke", txn.f, &txn.value);
        let open = self.clients[client].open.replace((txn.f, node.to_owned()));
        assert_eq!(open, None, "client {client} does one thing at a time");
        with_node(line, node)
    }

    /// Panics if the client has begun nothing.
    pub fn complete(&mut self, time_ns: u64, client: usize, end: &End) -> String {
        let (f, node) = self.clients[client].open.take().expect("what ends has begun");
        let process = self.clients[client].process;
        match end.outcome {
            Outcome::Yes => self.counts.ok += 1,
            Outcome::No => self.counts.fail += 1,
            Outcome::Unknown => {
                self.counts.info += 1;
                self.clients[client].process += self.clients.len() as u64;
            }
        }
        let mut line = self.line(time_ns, process.into(), end.outcome.word(), f, &end.value);
        if let Some(error) = &end.error {
            let told = match end.cause {
                Some(Cause::Refused(code)) => format!("{code}: {error}"),
                _ => error.clone(),
            };
            line.insert("error".to_owned(), told.into());
        }
        with_node(line, &node)
    }

    /// Something was done to the cluster, not by it.
    pub fn nemesis(&mut self, time_ns: u64, f: &str, value: &Value) -> String {
        let line = self.line(time_ns, "nemesis".into(), "info", f, value);
        Value::Object(line).to_string()
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn line(
        &mut self,
        time_ns: u64,
        process: Value,
        kind: &str,
        f: &str,
        value: &Value,
    ) -> Map<String, Value> {
        self.time = self.time.max(time_ns);
        let line = json!({
            "index": self.index, "time": self.time, "process": process, "type": kind, "f": f, "value": value,
        });
        self.index += 1;
        match line {
            Value::Object(mut line) => {
                if self.last {
                    line.insert("final".to_owned(), true.into());
                }
                line
            }
            _ => unreachable!("it was written as an object"),
        }
    }
}

fn with_node(mut line: Map<String, Value>, node: &str) -> String {
    line.insert("node".to_owned(), node.into());
    Value::Object(line).to_string()
}
