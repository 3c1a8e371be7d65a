//! Definitions as MySQL writes them: types, literals, SHOW CREATE TABLE.
//!
//! What is written here reads back as the same definition; dumps rest on that.

use super::ddl::{LONGTEXT, MEDIUMTEXT, TEXT, long};
use crate::foreign;
use crate::request::{Column, ColumnType, IndexPart, TableDef};
use crate::value::Value;
use std::fmt::Write as _;

/// A column's type as MySQL writes it.
pub fn type_name(kind: ColumnType) -> String {
    match kind {
        ColumnType::Int { bits: 8 } => "tinyint".into(),
        ColumnType::Int { bits: 16 } => "smallint".into(),
        ColumnType::Int { bits: 24 } => "mediumint".into(),
        ColumnType::Int { bits: 32 } => "int".into(),
        ColumnType::Int { .. } => "bigint".into(),
        ColumnType::Text { chars_max: LONGTEXT } => "longtext".into(),
        ColumnType::Text { chars_max: MEDIUMTEXT } => "mediumtext".into(),
        ColumnType::Text { chars_max: TEXT } => "text".into(),
        ColumnType::Text { chars_max } => format!("varchar({chars_max})"),
        ColumnType::Bytes { bytes_max: LONGTEXT } => "longblob".into(),
        ColumnType::Bytes { bytes_max: MEDIUMTEXT } => "mediumblob".into(),
        ColumnType::Bytes { bytes_max: TEXT } => "blob".into(),
        ColumnType::Bytes { bytes_max } => format!("varbinary({bytes_max})"),
        ColumnType::Decimal { digits, scale } => format!("decimal({digits},{scale})"),
        ColumnType::UInt { bits } => format!("{} unsigned", type_name(ColumnType::Int { bits })),
        ColumnType::Double => "double".into(),
        ColumnType::Float => "float".into(),
        ColumnType::DateTime { digits: 0 } => "datetime".into(),
        ColumnType::DateTime { digits } => format!("datetime({digits})"),
        ColumnType::Timestamp { digits: 0 } => "timestamp".into(),
        ColumnType::Timestamp { digits } => format!("timestamp({digits})"),
        ColumnType::Date => "date".into(),
        ColumnType::Time => "time".into(),
    }
}

/// A column's whole type as MySQL writes it.
pub fn type_of(column: &Column) -> String {
    let Some(members) = &column.members else { return type_name(column.kind) };
    let names: Vec<_> = members.names.iter().map(|name| format!("'{}'", name.replace('\'', "''"))).collect();
    format!("{}({})", if members.set { "set" } else { "enum" }, names.join(","))
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A value as a literal.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Int(_) | Value::UInt(_) | Value::Dec(_) | Value::Double(_) => format!("'{value}'"),
        Value::Text(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        Value::Bytes(bytes) => bytes.iter().fold("0x".to_owned(), |mut out, byte| {
            let _ = write!(out, "{byte:02X}");
            out
        }),
    }
}

/// The statement that would make this table again. `next_id`: the least that it may hand out.
pub fn show_create(def: &TableDef, next_id: Option<i64>) -> String {
    let mut lines = Vec::new();
    for (at, column) in def.columns.iter().enumerate() {
        let mut line = format!("  {} {}", quoted(&column.name), type_of(column));
        if !column.nullable {
            line += " NOT NULL";
        } else if matches!(column.kind, ColumnType::Timestamp { .. }) {
            // An old server takes a timestamp that does not say so for one that may not be NULL.
            line += " NULL";
        }
        let stamp = def.stamps.iter().find(|stamp| stamp.column == at);
        let now = match column.kind {
            ColumnType::DateTime { digits } | ColumnType::Timestamp { digits } if digits > 0 => {
                format!("CURRENT_TIMESTAMP({digits})")
            }
            _ => "CURRENT_TIMESTAMP".to_owned(),
        };
        match &column.default {
            _ if stamp.is_some_and(|stamp| stamp.default) => line += &format!(" DEFAULT {now}"),
            Some(value) => line += &format!(" DEFAULT {}", literal(value)),
            // MySQL leaves it out where a TEXT or BLOB could have none other.
            None if column.nullable && !long(column.kind) => line += " DEFAULT NULL",
            None => {}
        }
        if stamp.is_some_and(|stamp| stamp.on_update) {
            line += &format!(" ON UPDATE {now}");
        }
        if def.auto_increment == Some(at) {
            line += " AUTO_INCREMENT";
        }
        lines.push(line);
    }
    if !def.primary.is_empty() {
        let key: Vec<_> = def.primary.iter().map(|at| quoted(&def.columns[*at].name)).collect();
        lines.push(format!("  PRIMARY KEY ({})", key.join(",")));
    }
    for index in &def.indexes {
        let part = |part: &IndexPart| {
            let name = quoted(&def.columns[part.column].name);
            if part.prefix == 0 { name } else { format!("{name}({})", part.prefix) }
        };
        let parts: Vec<_> = index.parts.iter().map(part).collect();
        let unique = if index.unique { "UNIQUE " } else { "" };
        lines.push(format!("  {unique}KEY {} ({})", quoted(&index.name), parts.join(",")));
    }
    // As InnoDB lists them.
    let mut keys: Vec<_> = def.foreign.iter().collect();
    keys.sort_by(|one, other| one.name.cmp(&other.name));
    lines.extend(keys.into_iter().map(|key| format!("  {}", foreign::shown(def, key))));
    let name = quoted(&def.name);
    let body = lines.join(",\n");
    // As MySQL leaves it out where counting begins.
    let ids = next_id.filter(|id| *id > 1).map_or_else(String::new, |id| format!(" AUTO_INCREMENT={id}"));
    format!("CREATE TABLE {name} (\n{body}\n) ENGINE=InnoDB{ids} DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin")
}
