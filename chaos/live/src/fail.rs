//! What ends a run before there is anything to judge: what, why, what next, and the exit code.

use std::fmt;

/// The exit codes of all of Plait's programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Usage = 2,
    TimedOut = 4,
    /// No cluster, no server, a file that can't be written.
    Unfit = 5,
}

#[derive(Debug, Clone, PartialEq, Eq)]
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

    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Fail {
        self.next.push(step.into());
        self
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "schema": "plait.error/1",
            "code": self.code as u8,
            "what": self.what,
            "why": self.why,
            "next": self.next,
        })
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  why:  {}", self.what, self.why)?;
        let steps = self.next.iter().enumerate();
        steps
            .into_iter()
            .try_for_each(|(i, step)| write!(f, "\n  {} {step}", if i == 0 { "next:" } else { "  or:" }))
    }
}

impl std::error::Error for Fail {}
