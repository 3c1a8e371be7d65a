//! Definitions as MySQL writes them: types, literals, SHOW CREATE TABLE.
//!
//! What is written here reads back as the same definition; dumps rest on that.

use super::ddl::{LONGTEXT, MEDIUMTEXT, TEXT, long};
use crate::foreign;
use crate::request::{Column, ColumnType, Form, IndexPart, TableDef};
use crate::value::Value;
use std::fmt::Write as _;

/// A kind as MariaDB writes it.
fn type_name(kind: ColumnType, form: Form) -> String {
    let width = |own: u8| if let Form::Width(width) = form { width } else { own };
    match kind {
        ColumnType::Int { bits: 8 } => format!("tinyint({})", width(4)),
        ColumnType::Int { bits: 16 } => format!("smallint({})", width(6)),
        ColumnType::Int { bits: 24 } => format!("mediumint({})", width(9)),
        ColumnType::Int { bits: 32 } => format!("int({})", width(11)),
        ColumnType::Int { .. } => format!("bigint({})", width(20)),
        ColumnType::UInt { bits } => {
            let own = match bits {
                8 => 3,
                16 => 5,
                24 => 8,
                32 => 10,
                _ => 20,
            };
            format!("{} unsigned", type_name(ColumnType::Int { bits }, Form::Width(width(own))))
        }
        ColumnType::Text { chars_max } if form == Form::Fixed => format!("char({chars_max})"),
        ColumnType::Bytes { bytes_max } if form == Form::Fixed => format!("binary({bytes_max})"),
        ColumnType::Text { chars_max: LONGTEXT } => "longtext".into(),
        ColumnType::Text { chars_max: MEDIUMTEXT } => "mediumtext".into(),
        ColumnType::Text { chars_max: TEXT } => "text".into(),
        ColumnType::Text { chars_max } => format!("varchar({chars_max})"),
        ColumnType::Bytes { bytes_max: LONGTEXT } => "longblob".into(),
        ColumnType::Bytes { bytes_max: MEDIUMTEXT } => "mediumblob".into(),
        ColumnType::Bytes { bytes_max: TEXT } => "blob".into(),
        ColumnType::Bytes { bytes_max } => format!("varbinary({bytes_max})"),
        ColumnType::Decimal { digits, scale } => format!("decimal({digits},{scale})"),
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
    let Some(members) = &column.members else { return type_name(column.kind, column.form) };
    let names: Vec<_> = members.names.iter().map(|name| format!("'{}'", name.replace('\'', "''"))).collect();
    format!("{}({})", if members.set { "set" } else { "enum" }, names.join(","))
}

pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as a literal of one line.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' => out += "''",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\0' => out += "\\0",
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

fn comment(comment: &str, sign: &str) -> String {
    if comment.is_empty() { String::new() } else { format!(" COMMENT{sign}{}", text(comment)) }
}

/// A value as a literal.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Int(_) | Value::UInt(_) | Value::Dec(_) | Value::Double(_) => format!("'{value}'"),
        Value::Text(value) => text(value),
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
        line += &comment(&column.comment, " ");
        for check in def.checks.iter().filter(|check| check.column == Some(at)) {
            line += &format!(" CHECK ({})", check.condition);
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
            let name = if part.prefix == 0 { name } else { format!("{name}({})", part.prefix) };
            if part.desc { name + " DESC" } else { name }
        };
        let parts: Vec<_> = index.parts.iter().map(part).collect();
        let unique = if index.unique { "UNIQUE " } else { "" };
        let comment = comment(&index.comment, " ");
        lines.push(format!("  {unique}KEY {} ({}){comment}", quoted(&index.name), parts.join(",")));
    }
    // As InnoDB lists them.
    let mut keys: Vec<_> = def.foreign.iter().collect();
    keys.sort_by(|one, other| one.name.cmp(&other.name));
    lines.extend(keys.into_iter().map(|key| format!("  {}", foreign::shown(def, key))));
    for check in def.checks.iter().filter(|check| check.column.is_none()) {
        lines.push(format!("  CONSTRAINT {} CHECK ({})", quoted(&check.name), check.condition));
    }
    let name = quoted(&def.name);
    let body = lines.join(",\n");
    // As MySQL leaves it out where counting begins.
    let ids = next_id.filter(|id| *id > 1).map_or_else(String::new, |id| format!(" AUTO_INCREMENT={id}"));
    let comment = comment(&def.comment, "=");
    format!(
        "CREATE TABLE {name} (\n{body}\n) ENGINE=InnoDB{ids} DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin{comment}"
    )
}
