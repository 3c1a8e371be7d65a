//! One transaction: how it begins, what it says next, and what it reports.

use crate::settings::Isolation;
use serde_json::Value;

/// Rows as the text protocol has them.
pub type Rows = Vec<Vec<Option<String>>>;

/// What a statement that was done came back with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Got {
    pub rows: Rows,
    /// Rows that it changed.
    pub affected: u64,
    /// The id that it made, 0 if none.
    pub insert_id: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Each statement commits by itself; there is no COMMIT.
    Autocommit,
    Transaction,
}

/// What a transaction wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Do {
    Sql(String),
    Commit,
    /// It gives up by itself, with the reason; whatever it did is to be undone. With autocommit only where its one
    /// statement changed nothing.
    Rollback(String),
}

/// The statements of a transaction, one after the other.
pub trait Script: Send {
    /// The next statement, from what the last one came back with; `None` at the first.
    fn step(&mut self, last: Option<&Got>) -> Do;
    /// What it did and saw; asked once, after it was committed.
    fn value(&mut self) -> Value;
}

pub struct Txn {
    pub begin: Begin,
    pub isolation: Isolation,
    /// Jepsen's `f`.
    pub f: &'static str,
    /// The value of its invocation: what it will read is null.
    pub value: Value,
    /// It changes nothing, so that an answer that never came is no unknown outcome.
    pub reads_only: bool,
    pub script: Box<dyn Script>,
}

impl std::fmt::Debug for Txn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({:?}, {})", self.f, self.value, self.begin, self.isolation.sql())
    }
}

/// A number if it is one. Whatever else a server sends is kept as its text, for the judge to stumble over.
pub(crate) fn number(cell: Option<&str>) -> Value {
    match cell {
        None => Value::Null,
        Some(text) => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
    }
}

/// The one cell of a row that a key finds; null if there is no row.
pub(crate) fn one_cell(rows: &Rows) -> Result<Option<&str>, Value> {
    match rows.as_slice() {
        [] => Ok(None),
        [row] if row.len() == 1 => Ok(row[0].as_deref()),
        more => Err(Value::from(format!("one key found {more:?}"))),
    }
}
