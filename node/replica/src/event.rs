//! What happened, in the field's words; one vocabulary for log line, story, time line and metric.

use std::fmt;

/// *State* events are few and always kept; *flow* events come with every transaction and are kept in a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    State,
    Flow,
}

/// The sum of the rooms' events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Placeholder,
}

impl Event {
    pub fn class(&self) -> Class {
        Class::State
    }

    /// The event's name in `events.ndjson`, as in `elected`.
    pub fn name(&self) -> &'static str {
        "placeholder"
    }

    /// Its facts, in a fixed order.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.fields().iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}
