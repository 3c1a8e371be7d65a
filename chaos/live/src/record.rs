//! What happened, written down as it happens: one lock, one clock, so that the order of lines is the order of times.

use crate::outage::{Outage, Outages};
use plait_load::{Cause, Counts, End, History, Outcome, Txn};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

pub struct Record {
    began: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    history: History,
    file: BufWriter<File>,
    /// The first line that could not be written; what is judged would be incomplete.
    broken: Option<String>,
    outages: Outages,
    errors: BTreeMap<String, u64>,
    nodes: Vec<Counts>,
}

/// What is left when all is over.
pub struct Recorded {
    /// All operations of the history, the last reads among them.
    pub counts: Counts,
    /// Refusals and unknown outcomes by the error's number, or in words.
    pub errors: BTreeMap<String, u64>,
    pub nodes: Vec<Counts>,
    pub outages: Vec<Outage>,
}

impl Record {
    /// `clients`: with those of the last reads.
    pub fn create(path: &Path, clients: usize, nodes: usize) -> std::io::Result<Record> {
        let inner = Inner {
            history: History::new(clients),
            file: BufWriter::new(File::create(path)?),
            broken: None,
            outages: Outages::new(nodes, 0),
            errors: BTreeMap::new(),
            nodes: vec![Counts::default(); nodes],
        };
        Ok(Record { began: Instant::now(), inner: Mutex::new(inner) })
    }

    fn now(&self) -> (MutexGuard<'_, Inner>, u64) {
        let inner = self.inner.lock().expect("nobody panics while it writes");
        // The time is read while the lock is held.
        let now = self.began.elapsed().as_nanos() as u64;
        (inner, now)
    }

    /// All has been healed: what is read from here on must show whatever was acknowledged.
    pub fn last_reads(&self) {
        self.now().0.history.last_reads();
    }

    pub fn invoke(&self, client: usize, node: &str, txn: &Txn) {
        let (mut inner, now) = self.now();
        let line = inner.history.invoke(now, client, node, txn);
        inner.write(&line);
    }

    /// `node` by its place.
    pub fn complete(&self, client: usize, node: usize, end: &End) {
        let (mut inner, now) = self.now();
        let line = inner.history.complete(now, client, end);
        inner.write(&line);
        let counts = &mut inner.nodes[node];
        match end.outcome {
            Outcome::Yes => {
                counts.ok += 1;
                inner.outages.success(node, now);
            }
            Outcome::No => counts.fail += 1,
            Outcome::Unknown => counts.info += 1,
        }
        if let Some(cause) = end.cause {
            let why = match cause {
                Cause::Refused(code) => code.to_string(),
                Cause::GaveUp => "gave up by itself".to_owned(),
                Cause::Lost => "no answer".to_owned(),
            };
            *inner.errors.entry(why).or_default() += 1;
        }
    }

    /// Something that was not even begun.
    pub fn late(&self, why: &str) {
        let (mut inner, _) = self.now();
        *inner.errors.entry(format!("late: {why}")).or_default() += 1;
    }

    pub fn fault_begins(&self, id: u32, f: &str, on: &str) -> u64 {
        let (mut inner, now) = self.now();
        let line = inner.history.nemesis(now, f, &Value::from(on));
        inner.write(&line);
        inner.outages.fault_begins(id, now);
        now / 1_000_000
    }

    pub fn fault_ends(&self, id: u32, f: &str, on: &str) -> u64 {
        let (mut inner, now) = self.now();
        let line = inner.history.nemesis(now, f, &Value::from(on));
        inner.write(&line);
        inner.outages.fault_ends(id, now);
        now / 1_000_000
    }

    /// Something that is no fault with an end, such as that all is healed.
    pub fn note(&self, f: &str, on: &str) {
        let (mut inner, now) = self.now();
        let line = inner.history.nemesis(now, f, &Value::from(on));
        inner.write(&line);
    }

    /// The outages so far; what comes later (last reads) is none of the faults' business.
    pub fn outages(&self) -> Vec<Outage> {
        let (mut inner, now) = self.now();
        let nodes = inner.nodes.len();
        std::mem::replace(&mut inner.outages, Outages::new(nodes, now)).finish(now)
    }

    /// The error says that the history on disk is not whole.
    pub fn finish(&self, outages: Vec<Outage>) -> Result<Recorded, String> {
        let (mut inner, _) = self.now();
        if let Err(why) = inner.file.flush() {
            inner.broken.get_or_insert(why.to_string());
        }
        match inner.broken.take() {
            Some(why) => Err(why),
            None => Ok(Recorded {
                counts: inner.history.counts(),
                errors: std::mem::take(&mut inner.errors),
                nodes: inner.nodes.clone(),
                outages,
            }),
        }
    }
}

impl Inner {
    fn write(&mut self, line: &str) {
        if let Err(why) = writeln!(self.file, "{line}") {
            self.broken.get_or_insert(why.to_string());
        }
    }
}
