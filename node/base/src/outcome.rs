//! Three answers: yes, no, unknown. Never *no* for *unknown*.

/// What became of a request that may have changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It happened, and every later read anywhere sees it.
    Yes,
    /// It did not happen and never will.
    No,
    /// It may have happened, or may still happen.
    Unknown,
}
