//! What an answer, or its absence, says of a transaction.
//!
//! Invariant: *no* is only said where the server itself said that nothing was done, or where nothing that could do
//! anything was sent. Everything else is *unknown*.

use crate::txn::Got;

/// What came back for a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Done(Got),
    /// The server refused, with MySQL's error number.
    Refused {
        code: u16,
        text: String,
    },
    /// No answer: the connection broke, or the deadline passed. The connection is of no use any more.
    Lost(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Yes,
    No,
    Unknown,
}

impl Outcome {
    /// The type of a completion.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Yes => "ok",
            Outcome::No => "fail",
            Outcome::Unknown => "info",
        }
    }
}

/// Errors that say of a COMMIT, or of a statement that commits by itself, that nothing of it was done. Whatever is not
/// here (1180 "error during COMMIT", 1053 "shutdown in progress", 1317 "interrupted", 1105 "unknown error") leaves it open.
const DEFINITE: &[u16] = &[
    1020, // the row has changed since it was read (MariaDB with innodb_snapshot_isolation)
    1047, // the node is in no majority; Galera says so before it looks at the statement
    1048, 1054, 1062, 1064, 1146, 1264, 1364, 1366, 1406, // the statement or its values are at fault
    1205, // a lock was waited for too long
    1206, // too many locks
    1213, // a deadlock, or a conflict found by certification
    1216, 1217, 1451, 1452, 3819, 4025, // a foreign key or a CHECK
    1235, // not supported
    1290, 1792, 1836, // read only
    1644, // SIGNAL
];

pub(crate) fn is_definite(code: u16) -> bool {
    DEFINITE.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::is_definite;

    #[test]
    fn an_error_at_commit_that_leaves_it_open_is_no_refusal() {
        for code in [1180, 1053, 1317, 1105, 1158, 1927, 2013, 0] {
            assert!(!is_definite(code), "{code}");
        }
        for code in [1213, 1205, 1047, 1062] {
            assert!(is_definite(code), "{code}");
        }
    }
}
