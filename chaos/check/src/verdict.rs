//! What a judge says: valid, invalid with a witness, or unknown with the reason.

use crate::history::Tally;
use crate::model::{self, Model};
use serde_json::{Value as Json, json};

pub const SCHEMA: &str = "plait.check/1";

/// One edge of a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Places in [`Anomaly::operations`].
    pub from: usize,
    pub to: usize,
    /// `ww`, `wr`, `rw`, `process`, `realtime`.
    pub rel: &'static str,
    /// One sentence.
    pub why: String,
}

/// An operation of a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// `T1`, as the sentences call it.
    pub name: String,
    /// The history's own number for it, and its line in the file.
    pub index: i64,
    pub line: usize,
    pub process: i64,
    pub node: Option<String>,
    /// `ok`, `fail` or `info`.
    pub outcome: &'static str,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    pub name: &'static str,
    /// One sentence, or one for each edge.
    pub why: String,
    pub operations: Vec<Operation>,
    /// Empty unless the anomaly is a cycle.
    pub cycle: Vec<Edge>,
}

impl Anomaly {
    fn json(&self) -> Json {
        let operations: Vec<Json> = self
            .operations
            .iter()
            .map(|op| {
                json!({ "name": op.name, "index": op.index, "line": op.line, "process": op.process, "node": op.node,
                    "outcome": op.outcome, "value": op.value })
            })
            .collect();
        let name = |at: usize| self.operations.get(at).map_or("", |op| op.name.as_str());
        let cycle: Vec<Json> = self
            .cycle
            .iter()
            .map(|e| json!({ "from": name(e.from), "to": name(e.to), "rel": e.rel, "why": e.why }))
            .collect();
        json!({ "type": self.name, "models_broken": model::broken_by(&[self.name]), "cycle": cycle, "why": self.why,
            "operations": operations })
    }
}

/// Told in full, of one kind.
const TOLD_MAX: usize = 8;

/// Anomalies as they are found: counted all, told in full the first few of each kind.
#[derive(Debug, Default)]
pub struct Told {
    pub anomalies: Vec<Anomaly>,
    pub counts: Vec<(&'static str, usize)>,
}

impl Told {
    /// Counts one, and says whether it is still to be told.
    pub fn count(&mut self, name: &'static str) -> bool {
        match self.counts.iter_mut().find(|(n, _)| *n == name) {
            Some((_, n)) => {
                *n += 1;
                *n <= TOLD_MAX
            }
            None => {
                self.counts.push((name, 1));
                true
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Valid {
    Yes,
    No,
    Unknown,
}

#[derive(Debug, Clone)]
pub struct Verdict {
    pub workload: &'static str,
    pub model: Model,
    pub valid: Valid,
    /// Why nothing can be said.
    pub why: Option<String>,
    /// What breaks the model that was asked about, worst first.
    pub anomalies: Vec<Anomaly>,
    /// What was seen beside, which that model allows.
    pub allowed: Vec<Anomaly>,
    /// How often each was seen, where more often than is told.
    pub counts: Vec<(&'static str, usize)>,
    pub tally: Tally,
    /// What the judge could not use or assumed.
    pub notes: Vec<String>,
}

impl Verdict {
    /// Of all that was found; what the model forbids makes the history invalid.
    pub fn of(workload: &'static str, model: Model, tally: Tally, found: Vec<Anomaly>) -> Verdict {
        let (anomalies, allowed): (Vec<Anomaly>, Vec<Anomaly>) =
            found.into_iter().partition(|a| model.forbids(a.name));
        let valid = if anomalies.is_empty() { Valid::Yes } else { Valid::No };
        Verdict {
            workload,
            model,
            valid,
            why: None,
            anomalies,
            allowed,
            counts: Vec::new(),
            tally,
            notes: Vec::new(),
        }
    }

    pub fn unknown(workload: &'static str, model: Model, tally: Tally, why: impl Into<String>) -> Verdict {
        let mut verdict = Verdict::of(workload, model, tally, Vec::new());
        verdict.valid = Valid::Unknown;
        verdict.why = Some(why.into());
        verdict
    }

    pub fn exit_code(&self) -> u8 {
        match self.valid {
            Valid::Yes => 0,
            Valid::No => 1,
            Valid::Unknown => 3,
        }
    }

    /// The names of all that breaks the model, each once.
    pub fn types(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for anomaly in &self.anomalies {
            if !names.contains(&anomaly.name) {
                names.push(anomaly.name);
            }
        }
        names
    }

    pub fn json(&self) -> Json {
        let all: Vec<&str> = self.anomalies.iter().chain(&self.allowed).map(|a| a.name).collect();
        let (not, also_not) = model::boundary(&all);
        let valid = match self.valid {
            Valid::Yes => Json::Bool(true),
            Valid::No => Json::Bool(false),
            Valid::Unknown => "unknown".into(),
        };
        let list = |of: &[Anomaly]| of.iter().map(Anomaly::json).collect::<Vec<_>>();
        let Tally { ok, fail, info } = self.tally;
        let mut out = json!({
            "schema": SCHEMA, "workload": self.workload, "model": self.model.name(), "valid": valid,
            "anomaly_types": self.types(), "anomalies": list(&self.anomalies), "not": not, "also_not": also_not,
            "allowed": list(&self.allowed),
            "counts": { "operations": ok + fail + info, "ok": ok, "fail": fail, "info": info },
        });
        if let Some(why) = &self.why {
            out["why"] = why.as_str().into();
        }
        if !self.counts.is_empty() {
            out["seen"] = self.counts.iter().map(|(n, k)| ((*n).to_owned(), json!(k))).collect();
        }
        if !self.notes.is_empty() {
            out["notes"] = json!(self.notes);
        }
        out
    }
}
