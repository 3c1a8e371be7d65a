//! What a statement can fail with, sorted by what its caller may do next.

use plait_base::{Outcome, ProposalId, Seqno};

/// A failed statement. [`Error::outcome`] says whether it may have changed something, [`Error::retry`] whether the
/// same transaction, begun again, may succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another transaction wrote `key` after this one read it. Nothing was written; begin again.
    #[error(
        "row {key} of {table} was written at seqno {winner}, after this transaction read at {read_at}; begin the transaction again"
    )]
    Conflict { table: String, key: String, read_at: Seqno, winner: Seqno },
    /// The transaction's snapshot is older than what the cluster remembers of deleted rows.
    #[error(
        "the snapshot at seqno {read_at} is older than the horizon {horizon}; begin the transaction again"
    )]
    TooOld { read_at: Seqno, horizon: Seqno },
    /// The table was altered or dropped between the first statement and the commit.
    #[error("table {table} was altered while the transaction ran; begin it again")]
    SchemaChanged { table: String },
    /// A bound was reached before anything was proposed.
    #[error("{what} is at its bound of {max}; try again in a moment")]
    Busy { what: &'static str, max: u64 },
    /// Something was waited for, and it did not come in time; nothing was written.
    #[error("{what} did not come within {waited_ms} ms; nothing was written, try again")]
    TimedOut { what: &'static str, waited_ms: u64 },
    /// This node cannot serve now: it is alone, behind, or joining.
    #[error("this node does not serve now: {why}; use another node, or wait until it is Synced")]
    NotPrimary { why: String },

    #[error("Duplicate entry '{key}' for key '{table}.{index}'")]
    DuplicateKey { table: String, index: String, key: String },
    /// A foreign key's row that would have no parent.
    #[error("Cannot add or update a child row: a foreign key constraint fails (`{table}`, {constraint})")]
    NoParent { table: String, constraint: String },
    /// A foreign key's parent that would leave rows behind.
    #[error("Cannot delete or update a parent row: a foreign key constraint fails (`{table}`, {constraint})")]
    HasChildren { table: String, constraint: String },
    /// A row that fails a condition of its table.
    #[error("CONSTRAINT `{name}` failed for `{table}`")]
    Check { table: String, name: String },
    #[error("Table '{table}' doesn't exist")]
    NoTable { table: String },
    #[error("Table '{table}' already exists")]
    TableExists { table: String },
    #[error("Unknown column '{column}' in '{place}'")]
    NoColumn { column: String, place: String },
    #[error("Column '{column}' cannot be null")]
    NotNull { column: String },
    #[error("Field '{column}' doesn't have a default value")]
    NoDefault { column: String },
    #[error("Out of range value for column '{column}' at row 1")]
    OutOfRange { column: String },
    #[error("Data too long for column '{column}' at row 1")]
    TooLong { column: String },
    #[error("Incorrect {kind} value: '{value}' for column '{column}' at row 1")]
    BadValue { kind: &'static str, value: String, column: String },
    /// A `Check` step of a one-shot transaction did not hold; nothing was written.
    #[error("the check on {table} {key} does not hold: {column} is {found}")]
    Unmet { table: String, key: String, column: String, found: String },
    #[error("{what} is {got}, and at most {max} is allowed")]
    TooLarge { what: &'static str, got: u64, max: u64 },
    #[error("You have an error in your SQL syntax: {why}")]
    Syntax { why: String },
    /// A feature that this version does not have, named.
    #[error("this version of Plait doesn't yet support '{what}'")]
    Unsupported { what: String },
    /// Two transactions of one node wait for each other's rows.
    #[error("this transaction waits for one that waits for it; begin it again")]
    Deadlock,
    /// A named lock was given away while its holder's node was cut off. Nothing was written; the session is closed.
    #[error(
        "the lock '{name}' was given away while this node was out of touch with the others; connect again and take it anew"
    )]
    LockLost { name: String },
    #[error("{why}")]
    Misuse { why: String },
    /// An error with a MySQL code of its own that nothing here treats specially.
    #[error("{message}")]
    Sql { code: u16, state: &'static str, message: String },
    /// What is there, a row or another table, does not fit a definition; the code is the misfit's own.
    #[error("{why}")]
    Cells { code: u16, why: String },
    /// A defect of Plait met while planning or executing; the session is closed.
    #[error("internal error: {why}")]
    Internal { why: String },
    /// Of several statements in one request, `error` is the first one's that failed; `done` is what those before it
    /// gave, which stands (unless they were part of a transaction that the error rolled back).
    #[error("{error}")]
    After { done: Vec<crate::StepResult>, error: Box<Error> },

    /// The transaction was proposed and its verdict is not known here.
    #[error(
        "the outcome of transaction {id} is not known: it may have been committed or may yet be; look before trying again"
    )]
    Unknown { id: ProposalId },
}

impl Error {
    pub fn outcome(&self) -> Outcome {
        match self {
            Error::Unknown { .. } => Outcome::Unknown,
            // Of the statement that failed: what came of those before it is told by `done`.
            Error::After { error, .. } => error.outcome(),
            _ => Outcome::No,
        }
    }

    /// Whether the same transaction, begun again, may succeed without anybody changing it.
    pub fn retry(&self) -> bool {
        matches!(
            self,
            Error::Conflict { .. }
                | Error::TooOld { .. }
                | Error::SchemaChanged { .. }
                | Error::Busy { .. }
                | Error::TimedOut { .. }
                | Error::Deadlock
                | Error::NotPrimary { .. }
        )
    }

    /// What a MySQL client is told: our words, behind those by which applications know what they may try again.
    /// `database`: the name of the one that there is, which MySQL writes before a table's.
    pub fn mysql_text(&self, database: &str) -> String {
        match self {
            Error::NoTable { table } => return format!("Table '{database}.{table}' doesn't exist"),
            Error::Check { table, name } => {
                return format!("CONSTRAINT `{name}` failed for `{database}`.`{table}`");
            }
            Error::NoParent { .. } | Error::HasChildren { .. } => {
                return self.to_string().replacen(" (`", &format!(" (`{database}`.`"), 1);
            }
            _ => {}
        }
        let known = match self.code().0 {
            1213 => "Deadlock found when trying to get lock; try restarting transaction",
            1205 => "Lock wait timeout exceeded; try restarting transaction",
            1047 => "WSREP has not yet prepared node for application use",
            _ => return self.to_string(),
        };
        format!("{known} ({self})")
    }

    /// MySQL's error number and SQLSTATE.
    pub fn code(&self) -> (u16, &'static str) {
        match self {
            Error::Conflict { .. } | Error::TooOld { .. } | Error::SchemaChanged { .. } | Error::Deadlock => {
                (1213, "40001")
            }
            Error::Busy { .. } | Error::TimedOut { .. } => (1205, "HY000"),
            Error::NotPrimary { .. } => (1047, "08S01"),
            Error::DuplicateKey { .. } => (1062, "23000"),
            Error::NoParent { .. } => (1452, "23000"),
            Error::HasChildren { .. } => (1451, "23000"),
            Error::Check { .. } => (4025, "23000"),
            Error::NoTable { .. } => (1146, "42S02"),
            Error::TableExists { .. } => (1050, "42S01"),
            Error::NoColumn { .. } => (1054, "42S22"),
            Error::NotNull { .. } => (1048, "23000"),
            Error::NoDefault { .. } => (1364, "HY000"),
            Error::OutOfRange { .. } => (1264, "22003"),
            Error::TooLong { .. } => (1406, "22001"),
            Error::BadValue { .. } => (1366, "22007"),
            Error::Unmet { .. } => (1644, "45000"),
            Error::LockLost { .. } => (1317, "70100"),
            Error::TooLarge { .. } => (1105, "HY000"),
            Error::Syntax { .. } => (1064, "42000"),
            Error::Unsupported { .. } => (1235, "42000"),
            Error::Misuse { .. } => (1105, "HY000"),
            Error::Sql { code, state, .. } => (*code, state),
            Error::Cells { code: code @ (1451 | 1452 | 4025), .. } => (*code, "23000"),
            Error::Cells { code: code @ (1091 | 1701), .. } => (*code, "42000"),
            Error::Cells { code, .. } => (*code, "HY000"),
            Error::Internal { .. } => (1815, "HY000"),
            Error::After { error, .. } => error.code(),
            Error::Unknown { .. } => (1180, "HY000"),
        }
    }
}
