//! Table definitions: what is accepted, and their form in a checkpoint.

use crate::error::Error;
use crate::foreign;
use crate::op::{COLUMNS_MAX, read_table_def, table_def};
use crate::request::{Column, ColumnType, Members, TableDef};
use crate::row;
use crate::sql::{self, SCALE_MAX};
use crate::table::{Marks, Table, TableHead, TableId, TableInfo};
use plait_base::Seqno;
use plait_base::codec::{self, Reader, Writer};

/// Longest name of a table or column, in characters; MySQL's bound.
pub(crate) const NAME_CHARS_MAX: usize = 64;

fn refuse(code: u16, state: &'static str, message: String) -> Error {
    Error::Sql { code, state, message }
}

/// A definition as it is kept: checked, the key's columns not nullable, whatever the client wished for when the
/// table exists left out.
pub fn normal(def: &TableDef) -> Result<TableDef, Error> {
    let mut def = TableDef { if_not_exists: false, unchecked: false, ids_from: 0, ..def.clone() };
    if def.columns.is_empty() {
        return Err(refuse(1113, "42000", "A table must have at least 1 column".into()));
    }
    if def.columns.len() > COLUMNS_MAX {
        return Err(refuse(1117, "HY000", format!("Too many columns; at most {COLUMNS_MAX} are allowed")));
    }
    for name in std::iter::once(&def.name).chain(def.columns.iter().map(|c| &c.name)) {
        if name.is_empty() {
            return Err(refuse(1166, "42000", "a table or column must have a name".into()));
        }
        if name.chars().count() > NAME_CHARS_MAX {
            let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
            return Err(refuse(1059, "42000", format!("Identifier name '{shown}…' is too long")));
        }
    }
    for (at, column) in def.columns.iter().enumerate() {
        if def.columns[..at].iter().any(|other| other.name.eq_ignore_ascii_case(&column.name)) {
            return Err(refuse(1060, "42S21", format!("Duplicate column name '{}'", column.name)));
        }
        if let Some(members) = &column.members {
            texts(column, members)?;
        }
        match column.kind {
            ColumnType::Int { bits: 8 | 16 | 24 | 32 | 64 }
            | ColumnType::Text { .. }
            | ColumnType::Bytes { .. } => {}
            ColumnType::Int { bits } => {
                let why = format!("column '{}' would have an integer of {bits} bits", column.name);
                return Err(Error::Misuse { why });
            }
            ColumnType::UInt { bits: 8 | 16 | 24 | 32 | 64 }
            | ColumnType::Double
            | ColumnType::Float
            | ColumnType::Date
            | ColumnType::Time
            | ColumnType::DateTime { digits: 0..=6 }
            | ColumnType::Timestamp { digits: 0..=6 } => {}
            ColumnType::UInt { bits } => {
                let why = format!("column '{}' would have an integer of {bits} bits", column.name);
                return Err(Error::Misuse { why });
            }
            ColumnType::Decimal { digits, scale }
                if (1..=38).contains(&digits) && scale <= SCALE_MAX.min(digits) => {}
            ColumnType::Decimal { .. } => {
                let message = format!(
                    "Too big precision or scale specified for '{}'. Maximum is 38 digits, 30 behind the point",
                    column.name
                );
                return Err(refuse(1426, "42000", message));
            }
            ColumnType::DateTime { .. } | ColumnType::Timestamp { .. } => {
                let message = format!("Too-big precision specified for '{}'. Maximum is 6", column.name);
                return Err(refuse(1426, "42000", message));
            }
        }
    }
    for (at, place) in def.primary.iter().enumerate() {
        let Some(column) = def.columns.get_mut(*place) else {
            return Err(refuse(1072, "42000", format!("Key column {place} doesn't exist in table")));
        };
        column.nullable = false;
        if def.primary[..at].contains(place) {
            return Err(refuse(1060, "42S21", format!("Duplicate column name '{}'", column.name)));
        }
    }
    for column in &def.columns {
        if column.default.as_ref().is_some_and(|value| row::fits(column, value).is_err()) {
            return Err(refuse(1067, "42000", format!("Invalid default value for '{}'", column.name)));
        }
    }
    if let Some(place) = def.auto_increment {
        let leads = crate::index::leads(&def, place);
        if !leads
            || def.columns.len() <= place
            || !matches!(def.columns[place].kind, ColumnType::Int { .. } | ColumnType::UInt { .. })
        {
            let why = "there can be only one auto column, an integer, and it must lead a key";
            return Err(refuse(1075, "42000", why.into()));
        }
        if def.columns[place].default.is_some() {
            return Err(refuse(
                1067,
                "42000",
                format!("Invalid default value for '{}'", def.columns[place].name),
            ));
        }
    }
    if def.stamps.iter().any(|stamp| stamp.column >= def.columns.len()) {
        return Err(Error::Misuse { why: "a stamp belongs to a column".into() });
    }
    indexes(&mut def)?;
    foreign::own(&def)?;
    comments(&def)?;
    sql::admit_checks(&def)?;
    Ok(def)
}

/// Longest comment of a table, and of a column or a key, in characters; MySQL's bounds.
const TABLE_COMMENT_MAX: usize = 2048;
const COMMENT_MAX: usize = 1024;

fn comments(def: &TableDef) -> Result<(), Error> {
    let long = |comment: &str, max: usize| comment.len() > max && comment.chars().count() > max;
    let refused = |code, what: String, max: usize| {
        Err(refuse(code, "HY000", format!("Comment for {what} is too long (max = {max})")))
    };
    if long(&def.comment, TABLE_COMMENT_MAX) {
        return refused(1628, format!("table '{}'", def.name), TABLE_COMMENT_MAX);
    }
    if let Some(column) = def.columns.iter().find(|column| long(&column.comment, COMMENT_MAX)) {
        return refused(1629, format!("field '{}'", column.name), COMMENT_MAX);
    }
    match def.indexes.iter().find(|index| long(&index.comment, COMMENT_MAX)) {
        Some(index) => refused(1688, format!("index '{}'", index.name), COMMENT_MAX),
        None => Ok(()),
    }
}

/// Most texts of an ENUM, and of a SET. MySQL's bounds are the same.
const ENUM_MAX: usize = 65_535;
const SET_MAX: usize = 64;

fn texts(column: &Column, members: &Members) -> Result<(), Error> {
    let (name, max) = (&column.name, if members.set { SET_MAX } else { ENUM_MAX });
    if members.names.is_empty() || members.names.len() > max {
        let message = format!("Too many strings for column {name} and SET");
        return Err(refuse(1097, "HY000", message));
    }
    let mut seen = std::collections::BTreeSet::new();
    for text in &members.names {
        if !seen.insert(text) {
            let what = if members.set { "SET" } else { "ENUM" };
            let message = format!("Column '{name}' has duplicated value '{text}' in {what}");
            return Err(refuse(1291, "HY000", message));
        }
        if members.set && text.contains(',') {
            return Err(refuse(1367, "22007", format!("Illegal set '{text}' value found during parsing")));
        }
    }
    Ok(())
}

/// Most secondary keys of a table, and columns of a key. InnoDB's bounds are the same.
pub const INDEXES_MAX: usize = 64;
pub const INDEX_PARTS_MAX: usize = 16;

fn indexes(def: &mut TableDef) -> Result<(), Error> {
    if def.indexes.len() > INDEXES_MAX {
        let message = format!("Too many keys specified; max {INDEXES_MAX} keys allowed");
        return Err(refuse(1069, "42000", message));
    }
    for at in 0..def.indexes.len() {
        let (before, index) = (&def.indexes[..at], &def.indexes[at]);
        if index.name.is_empty() || index.name.eq_ignore_ascii_case("PRIMARY") {
            return Err(refuse(1280, "42000", format!("Incorrect index name '{}'", index.name)));
        }
        if index.name.chars().count() > NAME_CHARS_MAX {
            let shown: String = index.name.chars().take(NAME_CHARS_MAX).collect();
            return Err(refuse(1059, "42000", format!("Identifier name '{shown}…' is too long")));
        }
        if before.iter().any(|other| other.name.eq_ignore_ascii_case(&index.name)) {
            return Err(refuse(1061, "42000", format!("Duplicate key name '{}'", index.name)));
        }
        if index.parts.is_empty() || index.parts.len() > INDEX_PARTS_MAX {
            let message = format!("Too many key parts specified; max {INDEX_PARTS_MAX} parts allowed");
            return Err(refuse(1070, "42000", message));
        }
        for (n, part) in index.parts.iter().enumerate() {
            let Some(column) = def.columns.get(part.column) else {
                return Err(refuse(
                    1072,
                    "42000",
                    format!("Key column {} doesn't exist in table", part.column),
                ));
            };
            if index.parts[..n].iter().any(|other| other.column == part.column) {
                return Err(refuse(1060, "42S21", format!("Duplicate column name '{}'", column.name)));
            }
            let width = match column.kind {
                ColumnType::Text { chars_max } => chars_max,
                ColumnType::Bytes { bytes_max } => bytes_max,
                _ => 0,
            };
            if part.prefix > width {
                let why = "Incorrect prefix key; the used key part isn't a string, or the used length is \
                           longer than the key part";
                return Err(refuse(1089, "HY000", why.into()));
            }
        }
    }
    Ok(())
}

/// The export value of a table's definition and marks.
pub(crate) fn value(head: &TableHead) -> Vec<u8> {
    let mut w = Writer::with_capacity(128);
    w.varint(head.info.created.0).varint(head.info.schema_version.into()).varint(head.seqno.0);
    for mark in head.marks.0 {
        w.i64(mark);
    }
    table_def(&mut w, &head.info.def);
    w.0
}

pub(crate) fn read(id: TableId, value: &[u8]) -> Result<Table, codec::Error> {
    let mut r = Reader::new(value);
    let created = Seqno(r.varint()?);
    let version = r.varint()?;
    let schema_version = u32::try_from(version).map_err(|_| codec::Error::TooLarge {
        what: "a schema version",
        got: version,
        max: u32::MAX.into(),
    })?;
    let seqno = Seqno(r.varint()?);
    let marks = Marks([r.i64()?, r.i64()?, r.i64()?]);
    let def = read_table_def(&mut r)?;
    r.end()?;
    Ok(Table::new(TableInfo::new(id, schema_version, created, def), (seqno, marks)))
}
