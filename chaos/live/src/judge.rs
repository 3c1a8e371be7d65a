//! What a history comes to.

use plait_check::{Ask, Format, Model, Valid, Workload};
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Valid,
    Invalid,
    Unknown,
}

impl Word {
    pub fn word(self) -> &'static str {
        match self {
            Word::Valid => "valid",
            Word::Invalid => "invalid",
            Word::Unknown => "unknown",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub word: Word,
    /// In one line.
    pub why: String,
    /// All that the judge found.
    pub details: Value,
}

/// Judges a history of a workload (one JSON object a line) by a consistency model.
pub fn judge(history: &str, workload: &str, model: &str) -> Verdict {
    let unknown = |why: String| Verdict { word: Word::Unknown, why, details: Value::Null };
    let Some(workload) = Workload::parse(workload) else {
        return unknown(format!("no judge knows the workload '{workload}'"));
    };
    let Some(model) = Model::parse(model) else {
        return unknown(format!("no judge knows the consistency model '{model}'"));
    };
    let ask = Ask { workload, model, format: Some(Format::Json), total: None, exact: true };
    match plait_check::check(history.as_bytes(), &ask) {
        Err(bad) => unknown(format!("the history cannot be judged: {bad}")),
        Ok(verdict) => {
            let (word, why) = match verdict.valid {
                Valid::Yes => (Word::Valid, format!("at {}", model.name())),
                Valid::No => (Word::Invalid, verdict.types().join(", ")),
                Valid::Unknown => (Word::Unknown, verdict.why.clone().unwrap_or_default()),
            };
            Verdict { word, why, details: verdict.json() }
        }
    }
}
