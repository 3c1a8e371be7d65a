//! What a session is asked and what it answers.

use crate::rowlist::RowList;
use crate::value::Value;
use plait_base::Seqno;
use std::sync::Arc;

/// How much of other transactions one may see, and what is certified for it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isolation {
    /// A fresh snapshot for each statement; written rows are certified against the statement that wrote them.
    ReadCommitted,
    /// One snapshot, taken by the first read: snapshot isolation. Written rows are certified.
    #[default]
    RepeatableRead,
    /// As above, and every row and range that was read is certified too.
    Serializable,
}

/// One request of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    Begin {
        isolation: Isolation,
    },
    /// Steps of the open transaction; without one, the steps are a transaction of their own.
    Run(Vec<Step>),
    Commit,
    Rollback,
    /// Begin, run, commit in one.
    Script {
        isolation: Isolation,
        steps: Vec<Step>,
    },
    CreateTable(Box<TableDef>),
    DropTable {
        name: String,
        if_exists: bool,
    },
    /// SQL text: one statement, or several if the client asked for that. If a later one of several fails, the
    /// answer is `Error::After` with what the earlier ones gave.
    Sql {
        text: String,
        multi: bool,
    },
    /// Looks at one statement and keeps it, to be executed with values for its `?`. The reply names it.
    Prepare(String),
    /// Runs a prepared statement.
    Execute {
        number: u32,
        params: Vec<Param>,
    },
    /// Forgets a prepared statement; one that isn't there is no error.
    Close(u32),
    /// A client takes (or takes over) the session: what was open is rolled back, what was set is forgotten. A door
    /// sends it after a login and for MySQL's COM_RESET_CONNECTION; a session without one works too, as nobody's.
    Attach(Client),
}

/// A value for a `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Param {
    Null,
    Int(i64),
    UInt(u64),
    /// The bits of a floating point number.
    Double(u64),
    Text(String),
    Bytes(Vec<u8>),
}

/// What a client is told of a statement that was prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    pub number: u32,
    pub params: u16,
    /// Of its rows, as far as they are known before it runs; empty for one that gives none.
    pub columns: Vec<ColumnHead>,
}

/// Whom a session belongs to: what `USER()`, `DATABASE()` and `CONNECTION_ID()` answer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Client {
    pub user: String,
    /// Where the client comes from, as an address.
    pub host: String,
    /// `None`: none is chosen yet. One that there isn't is refused with 1049.
    pub database: Option<String>,
    /// The name of the one database that there is; empty: `shop`.
    pub home: String,
    pub connection: u32,
    /// Affected rows count what was found, not what was changed (MySQL's CLIENT_FOUND_ROWS).
    pub found_rows: bool,
}

/// One step of a transaction, by primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `lock`: as `FOR UPDATE`, what was read is certified.
    Get {
        table: String,
        key: Vec<Value>,
        lock: bool,
    },
    /// Rows with `from <= key < to` in key order; an empty bound is open, a shorter key is a prefix. A limit of 0
    /// is none.
    Scan {
        table: String,
        from: Vec<Value>,
        to: Vec<Value>,
        limit: u64,
        lock: bool,
    },
    /// Fails with `DuplicateKey` if the row is there. `Null` in the auto-increment column asks for an id.
    Insert {
        table: String,
        row: Vec<Value>,
    },
    /// Inserts or replaces.
    Put {
        table: String,
        row: Vec<Value>,
    },
    /// Changes columns of a row; a row that is not there is affected 0 times.
    Update {
        table: String,
        key: Vec<Value>,
        set: Vec<(String, Change)>,
    },
    Delete {
        table: String,
        key: Vec<Value>,
    },
    /// The transaction fails with `Unmet` unless the column of that row holds an integer in `least..=most`.
    Check {
        table: String,
        key: Vec<Value>,
        column: String,
        least: i64,
        most: i64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    To(Value),
    /// Adds to an integer; `OutOfRange` if it does not fit.
    Add(i64),
}

/// What a column may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColumnType {
    /// A signed integer of this many bits: 8, 16, 24, 32 or 64.
    Int {
        bits: u8,
    },
    /// Text of at most this many characters.
    Text {
        chars_max: u32,
    },
    /// Bytes, at most this many.
    Bytes {
        bytes_max: u32,
    },
    /// An integer without a sign of this many bits: 8, 16, 24, 32 or 64.
    UInt {
        bits: u8,
    },
    /// A decimal number of so many digits, `scale` of them behind the point. In results written as `Value::Text`.
    Decimal {
        digits: u8,
        scale: u8,
    },
    /// A floating point number. In results written as `Value::Text`.
    Double,
    /// One of 32 bits.
    Float,
    /// A moment, as a text with all its digits; so many of them behind the point of the seconds.
    DateTime {
        digits: u8,
    },
    Timestamp {
        digits: u8,
    },
    Date,
    Time,
}

impl Default for ColumnType {
    fn default() -> ColumnType {
        ColumnType::Int { bits: 64 }
    }
}

/// What a definition says of a kind beyond what its columns may hold.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    #[default]
    Plain,
    /// CHAR, whose blanks at the end are none and are not kept, or BINARY, which is filled up with zero bytes.
    Fixed,
    /// An integer with a display width of its own: `TINYINT(1)`, which drivers take for a boolean.
    Width(u8),
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: ColumnType,
    pub form: Form,
    pub nullable: bool,
    /// `None`: no default (which for a nullable column is `NULL`).
    pub default: Option<Value>,
    /// The only texts that it may hold.
    pub members: Option<Arc<Members>>,
    pub comment: String,
}

/// The texts of an ENUM, or of a SET, whose values are some of them with commas between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    pub names: Vec<String>,
    pub set: bool,
}

impl Members {
    /// A text as it is kept: one of these, or for a SET some of them, each once and in their order.
    pub fn kept(&self, text: &str) -> Option<String> {
        if !self.set {
            return self.names.iter().find(|name| *name == text).cloned();
        }
        let chosen: Vec<&str> = if text.is_empty() { Vec::new() } else { text.split(',').collect() };
        if !chosen.iter().all(|one| self.names.iter().any(|name| name == one)) {
            return None;
        }
        let kept = self.names.iter().map(String::as_str).filter(|name| chosen.contains(name));
        Some(kept.collect::<Vec<_>>().join(","))
    }

    /// MySQL's refusal of another.
    pub(crate) fn misfit(column: &Column) -> crate::Error {
        let message = format!("Data truncated for column '{}' at row 1", column.name);
        crate::Error::Sql { code: 1265, state: "01000", message }
    }
}

/// A table as its creator wants it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct TableDef {
    pub name: String,
    pub columns: Vec<Column>,
    /// Places in `columns` that make the primary key, in key order. Empty: a hidden row id is the key.
    pub primary: Vec<usize>,
    /// The column that is filled with ids of this node's class when it is inserted as `NULL`.
    pub auto_increment: Option<usize>,
    /// The keys beside the primary one.
    pub indexes: Vec<IndexDef>,
    /// Columns that are given the time of the statement.
    pub stamps: Vec<Stamp>,
    pub foreign: Vec<ForeignKey>,
    pub checks: Vec<Check>,
    /// Of a view, which has no rows: what is put in its place, as SQL.
    pub query: Option<String>,
    pub comment: String,
    pub if_not_exists: bool,
    /// The least id that is handed out; 0: the first that there is. Said once, and not kept.
    pub ids_from: i64,
    /// What its foreign keys name is not looked at (MySQL's `foreign_key_checks = 0`).
    pub unchecked: bool,
}

/// A condition that no row of a table may fail; one that is not known to be false is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its column's if it stands with one.
    pub name: String,
    /// The column that it stands with, and with which it goes.
    pub column: Option<usize>,
    /// SQL, with the names of columns in quotes.
    pub condition: String,
}

/// Columns that are NULL, or whose values stand in a row of another table, the parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    pub name: String,
    /// Places in the table's columns.
    pub columns: Vec<usize>,
    /// By its name, which another table may take over: it need not be there when this one is made.
    pub parent: String,
    /// The parent's columns, by their names, in the order of `columns`.
    pub parent_columns: Vec<String>,
    pub on_delete: Referential,
    pub on_update: Referential,
}

/// What becomes of a parent's children when it goes, or takes other values.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Referential {
    /// It does not. At once as `Restrict`, and only shown otherwise.
    #[default]
    NoAction,
    Restrict,
    /// They go, or take its new values.
    Cascade,
    SetNull,
}

/// A column that holds when its row was made or changed, as the statement says that did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub column: usize,
    /// `DEFAULT CURRENT_TIMESTAMP`.
    pub default: bool,
    /// `ON UPDATE CURRENT_TIMESTAMP`.
    pub on_update: bool,
}

/// A secondary key.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct IndexDef {
    pub name: String,
    /// In key order.
    pub parts: Vec<IndexPart>,
    /// No two rows may have the same values in it; rows with a NULL in it are free.
    pub unique: bool,
    pub comment: String,
}

/// A column of a secondary key.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct IndexPart {
    /// Place in the table's columns.
    pub column: usize,
    /// Only so many characters (or bytes) of a text stand in the key; 0: all of it.
    pub prefix: u32,
    /// `DESC`, which is shown: the key is kept ascending all the same, and only that order is walked.
    pub desc: bool,
}

/// Rows with the names of their columns.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Rows {
    pub columns: Vec<ColumnHead>,
    pub rows: RowList,
}

/// How a column of a result is announced to a client.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ColumnHead {
    pub name: String,
    pub table: String,
    pub kind: ColumnType,
    pub form: Form,
    pub members: Option<Arc<Members>>,
}

/// What one step or statement did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Done {
    pub affected: u64,
    /// The first id that was handed out, or 0.
    pub insert_id: i64,
    /// Statement's own message (MySQL's info string), usually empty.
    pub info: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepResult {
    Rows(Rows),
    Done(Done),
}

/// A successful answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// One for each step or statement, in order.
    pub results: Vec<StepResult>,
    /// Where the commit stands in the order, if this request committed something.
    pub seqno: Option<Seqno>,
    /// Whether a transaction is open after this.
    pub in_transaction: bool,
    /// Whether a statement outside a transaction commits by itself; a session begins so, SQL can change it.
    pub autocommit: bool,
    /// How many warnings the last statement left for `SHOW WARNINGS`.
    pub warnings: u16,
    /// In answer to [`Request::Prepare`].
    pub prepared: Option<Prepared>,
}

impl Default for Reply {
    fn default() -> Reply {
        Reply {
            results: Vec::new(),
            seqno: None,
            in_transaction: false,
            autocommit: true,
            warnings: 0,
            prepared: None,
        }
    }
}
