//! What happened, in words; written down only when somebody will read it.
//!
//! A run is a function of its plan, so a hunt goes without a story, and the run that failed is simply run again
//! with one.

use serde::Serialize;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Faults, elections, deaths, what clients were told, the verdict.
    Story,
    /// Every input and output.
    Events,
}

#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub at_ns: u64,
    /// `n1`, `client 4`, `world`.
    pub who: String,
    pub what: String,
    /// The fault that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<u32>,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>10.6}  {:<9} {}", self.at_ns as f64 / 1e9, self.who, self.what)
    }
}

/// Lines kept; an event log of a long run is cut at its beginning.
const LINES_MAX: usize = 400_000;

#[derive(Debug)]
pub struct Story {
    pub level: Level,
    pub lines: std::collections::VecDeque<Line>,
    pub dropped: u64,
}

impl Story {
    pub fn new(level: Level) -> Story {
        Story { level, lines: Default::default(), dropped: 0 }
    }

    pub fn tell(&mut self, at_ns: u64, who: impl Into<String>, what: String, fault: Option<u32>) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines.push_back(Line { at_ns, who: who.into(), what, fault });
    }
}
