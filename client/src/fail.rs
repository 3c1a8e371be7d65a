//! What goes wrong, in three parts and a number: what happened, why (the evidence), what to do next.
//!
//! The numbers are the exit codes of DESIGN §9; scripts rely on them, so they never change their meaning.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What the process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A verdict is *invalid*, or a check failed.
    Invalid = 1,
    /// The command line or a config file says something that has no meaning.
    Usage = 2,
    /// A verdict is *unknown*: not enough evidence for yes or no.
    Unknown = 3,
    /// Something was waited for, and its deadline passed.
    TimedOut = 4,
    /// The machine is not fit: a port, a directory, a limit, a missing program.
    Unfit = 5,
    /// No such cluster or node, or it is in the wrong state for this.
    WrongState = 6,
    /// Refused, since it could lose data and was not asked for explicitly.
    Unsafe = 7,
    /// Our bug.
    Bug = 70,
    /// Ended by Ctrl-C (128 + SIGINT).
    Interrupted = 130,
}

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fail {
    pub code: Code,
    pub what: String,
    pub why: String,
    pub next: Vec<String>,
}

pub type Res<T> = Result<T, Fail>;

impl Fail {
    pub fn new(code: Code, what: impl Into<String>, why: impl Into<String>) -> Fail {
        Fail { code, what: what.into(), why: why.into(), next: Vec::new() }
    }

    pub fn usage(what: impl Into<String>, why: impl Into<String>) -> Fail {
        Fail::new(Code::Usage, what, why)
    }

    pub fn unfit(what: impl Into<String>, why: impl Into<String>) -> Fail {
        Fail::new(Code::Unfit, what, why)
    }

    pub fn state(what: impl Into<String>, why: impl Into<String>) -> Fail {
        Fail::new(Code::WrongState, what, why)
    }

    pub fn timeout(what: impl Into<String>, why: impl Into<String>) -> Fail {
        Fail::new(Code::TimedOut, what, why)
    }

    /// A node ended with this code of its own, where it has one: the command's code is the same.
    pub fn of_node(code: Option<i32>, what: impl Into<String>, why: impl Into<String>) -> Fail {
        let code = match code {
            Some(2) => Code::Usage,
            Some(5) => Code::Unfit,
            Some(7) => Code::Unsafe,
            Some(70) => Code::Bug,
            _ => Code::WrongState,
        };
        Fail::new(code, what, why)
    }

    pub fn bug(what: impl Into<String>, why: impl fmt::Display) -> Fail {
        Fail::new(Code::Bug, what, why.to_string())
            .next("this is a defect of Plait: please report it with the output of `plait doctor --json`")
    }

    /// One thing that the reader can do about it; each call adds one.
    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Fail {
        self.next.push(step.into());
        self
    }

    /// A file or directory that can't be used.
    pub fn file(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Fail {
        let fail = Fail::unfit(format!("can't {doing} {}", path.display()), error.to_string());
        match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                fail.next("choose a directory that you may write: `--data-dir DIR` or PLAIT_HOME=DIR")
            }
            std::io::ErrorKind::StorageFull => fail
                .next("free some space on that file system")
                .next("or put the cluster on another one: `--data-dir DIR`"),
            _ => fail.next("check that path, or choose another with `--data-dir DIR`"),
        }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "schema": "plait.error/1",
            "code": self.code as u8,
            "kind": self.code,
            "what": self.what,
            "why": self.why,
            "next": self.next,
        })
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if !self.why.is_empty() {
            let mut lines = self.why.lines();
            write!(f, "\n  why:  {}", lines.next().unwrap_or_default())?;
            lines.try_for_each(|line| write!(f, "\n        {line}"))?;
        }
        self.next
            .iter()
            .enumerate()
            .try_for_each(|(i, step)| write!(f, "\n  {} {step}", if i == 0 { "next:" } else { "  or:" }))
    }
}

impl std::error::Error for Fail {}

/// The nearest of the known words, if one is near enough to be a slip of the finger.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits between two words, an exchange of neighbours counted as one (Damerau, "optimal string alignment").
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_in_three_parts() {
        let fail = Fail::unfit("port 13311 is taken", "pid 7 (nginx) listens on it")
            .next("stop it: kill 7")
            .next("move the cluster: plait up --port-base 14300");
        assert_eq!(
            fail.to_string(),
            "port 13311 is taken\n  why:  pid 7 (nginx) listens on it\n  next: stop it: kill 7\n    or: move the cluster: plait up --port-base 14300"
        );
        assert_eq!(fail.json()["code"], 5);
    }

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let words = ["status", "start", "stop", "timing_scale"];
        assert_eq!(nearest("statsu", words), Some("status"));
        assert_eq!(nearest("timing_scal", words), Some("timing_scale"));
        assert_eq!(nearest("zebra", words), None);
    }
}
