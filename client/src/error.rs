//! Why a transaction has no yes, sorted by what its caller may do next.

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Yes,
    /// It did not happen and never will.
    No,
    /// It may have happened, or may still happen.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The node said no. With `retry`, the same transaction, begun again, may succeed.
    #[error("{message} (error {code}, SQLSTATE {sqlstate})")]
    Refused { code: u32, sqlstate: String, message: String, retry: bool },
    /// No node was asked, or nothing that was asked could change anything.
    #[error("no node could be asked: {why}")]
    Unreachable { why: String },
    /// It was asked and not answered, or the node itself does not know. Look before trying again.
    #[error("the outcome is not known: {why}")]
    Unknown { why: String },
}

impl Error {
    pub fn outcome(&self) -> Outcome {
        match self {
            Error::Refused { .. } | Error::Unreachable { .. } => Outcome::No,
            Error::Unknown { .. } => Outcome::Unknown,
        }
    }

    /// Whether the same transaction may be begun again. Never so for an unknown outcome: it could happen twice.
    pub fn retry(&self) -> bool {
        match self {
            Error::Refused { retry, .. } => *retry,
            Error::Unreachable { .. } => true,
            Error::Unknown { .. } => false,
        }
    }

    /// Whether the trouble is with the node that was asked rather than with the transaction: 1047 of MySQL, a lock
    /// or flow wait (1205), or no connection.
    pub(crate) fn elsewhere(&self) -> bool {
        matches!(self, Error::Refused { code: 1047 | 1205, .. } | Error::Unreachable { .. })
    }
}
