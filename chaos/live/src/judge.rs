//! What a history comes to.

use serde_json::{Value, json};

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
///
/// This build has no judge: nothing is known of any history.
pub fn judge(history: &str, _workload: &str, _model: &str) -> Verdict {
    let lines = history.lines().count();
    Verdict { word: Word::Unknown, why: "not judged".to_owned(), details: json!({ "lines": lines }) }
}
