//! Values, and transactions written as lists of steps.

use bytes::Bytes;
use plait_proto::client::v1 as wire;
use std::fmt;

/// One cell of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Bytes),
}

impl Value {
    pub fn int(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            // SUM and COUNT of SQL travel as text.
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Int(n) => (*n).into(),
            Value::Text(text) => text.as_str().into(),
            Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("NULL"),
            Value::Int(n) => write!(f, "{n}"),
            Value::Text(text) => f.write_str(text),
            Value::Bytes(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
        }
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Value::Int(n)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<Value> for wire::Value {
    fn from(value: Value) -> wire::Value {
        use wire::value::Kind;
        let kind = match value {
            Value::Null => Kind::Null(true),
            Value::Int(n) => Kind::Int(n),
            Value::Text(text) => Kind::Text(text),
            Value::Bytes(bytes) => Kind::Bytes(bytes),
        };
        wire::Value { kind: Some(kind) }
    }
}

impl From<wire::Value> for Value {
    /// A value without a kind is NULL.
    fn from(value: wire::Value) -> Value {
        use wire::value::Kind;
        match value.kind {
            None | Some(Kind::Null(_)) => Value::Null,
            Some(Kind::Int(n)) => Value::Int(n),
            Some(Kind::Text(text)) => Value::Text(text),
            Some(Kind::Bytes(bytes)) => Value::Bytes(bytes),
        }
    }
}

/// How much of other transactions one may see.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    ReadCommitted,
    /// Snapshot isolation.
    #[default]
    RepeatableRead,
    Serializable,
}

impl From<Isolation> for wire::Isolation {
    fn from(isolation: Isolation) -> wire::Isolation {
        match isolation {
            Isolation::ReadCommitted => wire::Isolation::ReadCommitted,
            Isolation::RepeatableRead => wire::Isolation::RepeatableRead,
            Isolation::Serializable => wire::Isolation::Serializable,
        }
    }
}

/// A whole transaction: its steps run in order in one snapshot and are committed together, or not at all.
///
/// ```
/// # use plait_client::Script;
/// let transfer = Script::new()
///     .check("accounts", [7], "balance", 10, i64::MAX)
///     .add("accounts", [7], "balance", -10)
///     .add("accounts", [9], "balance", 10);
/// assert!(transfer.writes());
/// ```
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Script {
    pub(crate) isolation: Isolation,
    pub(crate) steps: Vec<wire::Step>,
}

fn values<V: Into<Value>>(items: impl IntoIterator<Item = V>) -> Vec<wire::Value> {
    items.into_iter().map(|item| item.into().into()).collect()
}

impl Script {
    pub fn new() -> Script {
        Script::default()
    }

    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Script {
        self.isolation = isolation;
        self
    }

    #[must_use]
    fn step(mut self, kind: wire::step::Kind) -> Script {
        self.steps.push(wire::Step { kind: Some(kind) });
        self
    }

    /// Reads a row.
    #[must_use]
    pub fn get<V: Into<Value>>(self, table: &str, key: impl IntoIterator<Item = V>) -> Script {
        self.step(wire::step::Kind::Get(wire::Get { table: table.into(), key: values(key), lock: false }))
    }

    /// Reads a row as `FOR UPDATE`: the transaction fails if somebody else writes it before the commit.
    #[must_use]
    pub fn get_locked<V: Into<Value>>(self, table: &str, key: impl IntoIterator<Item = V>) -> Script {
        self.step(wire::step::Kind::Get(wire::Get { table: table.into(), key: values(key), lock: true }))
    }

    /// Reads rows with `from <= key < to` in key order, at most `limit`; an empty bound is open.
    #[must_use]
    pub fn scan<V: Into<Value>>(
        self,
        table: &str,
        from: impl IntoIterator<Item = V>,
        to: impl IntoIterator<Item = V>,
        limit: u64,
    ) -> Script {
        let (from, to) = (values(from), values(to));
        self.step(wire::step::Kind::Scan(wire::Scan { table: table.into(), from, to, limit, lock: false }))
    }

    /// Reads a whole table.
    #[must_use]
    pub fn scan_all(self, table: &str, limit: u64) -> Script {
        self.scan(table, [] as [i64; 0], [] as [i64; 0], limit)
    }

    /// Fails if the row is there. `Null` in an auto-increment column asks for an id.
    #[must_use]
    pub fn insert<V: Into<Value>>(self, table: &str, row: impl IntoIterator<Item = V>) -> Script {
        let row = Some(wire::Row { values: values(row) });
        self.step(wire::step::Kind::Insert(wire::Insert { table: table.into(), row }))
    }

    /// Inserts or replaces.
    #[must_use]
    pub fn put<V: Into<Value>>(self, table: &str, row: impl IntoIterator<Item = V>) -> Script {
        let row = Some(wire::Row { values: values(row) });
        self.step(wire::step::Kind::Put(wire::Put { table: table.into(), row }))
    }

    /// Sets one column of a row.
    #[must_use]
    pub fn set<V: Into<Value>>(
        self,
        table: &str,
        key: impl IntoIterator<Item = V>,
        column: &str,
        to: impl Into<Value>,
    ) -> Script {
        let change = wire::change::Kind::To(to.into().into());
        self.update(table, values(key), column, change)
    }

    /// Adds to one integer column of a row.
    #[must_use]
    pub fn add<V: Into<Value>>(
        self,
        table: &str,
        key: impl IntoIterator<Item = V>,
        column: &str,
        n: i64,
    ) -> Script {
        self.update(table, values(key), column, wire::change::Kind::Add(n))
    }

    fn update(self, table: &str, key: Vec<wire::Value>, column: &str, kind: wire::change::Kind) -> Script {
        let set = vec![wire::Change { column: column.into(), kind: Some(kind) }];
        self.step(wire::step::Kind::Update(wire::Update { table: table.into(), key, set }))
    }

    #[must_use]
    pub fn delete<V: Into<Value>>(self, table: &str, key: impl IntoIterator<Item = V>) -> Script {
        self.step(wire::step::Kind::Delete(wire::Delete { table: table.into(), key: values(key) }))
    }

    /// The transaction fails, with nothing written, unless that column holds an integer in `least..=most`.
    #[must_use]
    pub fn check<V: Into<Value>>(
        self,
        table: &str,
        key: impl IntoIterator<Item = V>,
        column: &str,
        least: i64,
        most: i64,
    ) -> Script {
        let (table, key, column) = (table.into(), values(key), column.into());
        self.step(wire::step::Kind::Check(wire::Check { table, key, column, least, most }))
    }

    /// Whether it may change anything. What changes nothing may be asked again at will.
    pub fn writes(&self) -> bool {
        use wire::step::Kind;
        !self
            .steps
            .iter()
            .all(|step| matches!(step.kind, None | Some(Kind::Get(_) | Kind::Scan(_) | Kind::Check(_))))
    }

    pub(crate) fn wire(&self) -> wire::Script {
        wire::Script { isolation: wire::Isolation::from(self.isolation).into(), steps: self.steps.clone() }
    }
}

/// What one step or statement gave.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Names of the columns; none if the step returns no rows.
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
    pub affected: u64,
    /// The first id that was handed out, or 0.
    pub insert_id: i64,
}

impl From<wire::Result> for Rows {
    fn from(result: wire::Result) -> Rows {
        let rows =
            result.rows.into_iter().map(|row| row.values.into_iter().map(Value::from).collect()).collect();
        Rows { columns: result.columns, rows, affected: result.affected, insert_id: result.insert_id }
    }
}
