//! `information_schema`: what tools ask about tables, as tables made on the spot.
//!
//! Each has the columns that the tools we know ask for, under MySQL's names; of what there is none here (views,
//! triggers, routines) the tables are there and empty.

use super::show::{key_mark, keys};
use super::vars::Vars;
use super::view;
use super::written::type_of;
use crate::foreign;
use crate::request::{Check, ColumnHead, ColumnType, ForeignKey};
use crate::table::TableInfo;
use crate::value::Value;
use std::sync::Arc;

/// The name of the schema.
pub const NAME: &str = "information_schema";

const TEXT: ColumnType = ColumnType::Text { chars_max: 1024 };
const INT: ColumnType = ColumnType::Int { bits: 64 };

/// A table of the one database, about how many rows it has, and the least id that it may hand out.
#[derive(Debug)]
pub struct Listed {
    pub info: Arc<TableInfo>,
    pub rows: u64,
    pub next_id: Option<i64>,
}

/// A table's columns, and its rows.
pub struct Made {
    pub heads: Vec<ColumnHead>,
    pub rows: Vec<Vec<Value>>,
}

/// A column that is a number has a `#` before its name.
fn made(names: &[&str], rows: Vec<Vec<Value>>) -> Made {
    let head = |name: &&str| ColumnHead {
        name: name.trim_start_matches('#').to_owned(),
        kind: if name.starts_with('#') { INT } else { TEXT },
        ..ColumnHead::default()
    };
    Made { heads: names.iter().map(head).collect(), rows }
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn yes(yes: bool) -> Value {
    text(if yes { "YES" } else { "NO" })
}

/// A table of the schema; `None`: there is none of that name. `tables`: those of the one database, with their rows.
pub fn table(name: &str, tables: &[Listed], vars: &Vars) -> Option<Made> {
    let home = || text(&*vars.home);
    let all = || tables.iter().map(|listed| &listed.info);
    Some(match name.to_ascii_uppercase().as_str() {
        "SCHEMATA" => {
            let row = |name: &str| {
                let charset = text("utf8mb4");
                vec![text("def"), text(name), charset, text("utf8mb4_bin"), Value::Null]
            };
            let names = [
                "CATALOG_NAME",
                "SCHEMA_NAME",
                "DEFAULT_CHARACTER_SET_NAME",
                "DEFAULT_COLLATION_NAME",
                "SQL_PATH",
            ];
            made(&names, vec![row(NAME), row(&vars.home)])
        }
        "TABLES" => {
            let row = |Listed { info, rows, next_id }: &Listed| {
                if info.is_view() {
                    let mut row = vec![text("def"), home(), text(info.name()), text("VIEW")];
                    row.resize(14, Value::Null);
                    row.push(text("VIEW"));
                    return row;
                }
                let count = Value::Int(*rows as i64);
                let auto = next_id.map_or(Value::Null, Value::Int);
                vec![
                    text("def"),
                    home(),
                    text(info.name()),
                    text("BASE TABLE"),
                    text("InnoDB"),
                    Value::Int(10),
                    text("Dynamic"),
                    count,
                    Value::Int(0),
                    Value::Int(0),
                    auto,
                    Value::Null,
                    text("utf8mb4_bin"),
                    text(""),
                    text(&*info.def.comment),
                ]
            };
            let names = [
                "TABLE_CATALOG",
                "TABLE_SCHEMA",
                "TABLE_NAME",
                "TABLE_TYPE",
                "ENGINE",
                "#VERSION",
                "ROW_FORMAT",
                "#TABLE_ROWS",
                "#DATA_LENGTH",
                "#INDEX_LENGTH",
                "#AUTO_INCREMENT",
                "CREATE_TIME",
                "TABLE_COLLATION",
                "CREATE_OPTIONS",
                "TABLE_COMMENT",
            ];
            made(&names, tables.iter().map(row).collect())
        }
        "COLUMNS" => {
            let names = [
                "TABLE_CATALOG",
                "TABLE_SCHEMA",
                "TABLE_NAME",
                "COLUMN_NAME",
                "#ORDINAL_POSITION",
                "COLUMN_DEFAULT",
                "IS_NULLABLE",
                "DATA_TYPE",
                "#CHARACTER_MAXIMUM_LENGTH",
                "#NUMERIC_PRECISION",
                "#NUMERIC_SCALE",
                "CHARACTER_SET_NAME",
                "COLLATION_NAME",
                "COLUMN_TYPE",
                "COLUMN_KEY",
                "EXTRA",
                "PRIVILEGES",
                "COLUMN_COMMENT",
                "GENERATION_EXPRESSION",
            ];
            made(
                &names,
                all().flat_map(|info| (0..info.def.columns.len()).map(|at| column(info, at, vars))).collect(),
            )
        }
        "STATISTICS" => {
            let mut rows = Vec::new();
            for Listed { info, rows: count, .. } in tables {
                for (name, unique, parts) in keys(&info.def) {
                    for (at, part) in parts.iter().enumerate() {
                        let column = &info.def.columns[part.column];
                        let prefix =
                            if part.prefix == 0 { Value::Null } else { Value::Int(part.prefix.into()) };
                        rows.push(vec![
                            text("def"),
                            home(),
                            text(info.name()),
                            Value::Int((!unique).into()),
                            home(),
                            text(name),
                            Value::Int(at as i64 + 1),
                            text(&*column.name),
                            text(if part.desc { "D" } else { "A" }),
                            Value::Int(*count as i64),
                            prefix,
                            text(if column.nullable { "YES" } else { "" }),
                            text("BTREE"),
                        ]);
                    }
                }
            }
            let names = [
                "TABLE_CATALOG",
                "TABLE_SCHEMA",
                "TABLE_NAME",
                "#NON_UNIQUE",
                "INDEX_SCHEMA",
                "INDEX_NAME",
                "#SEQ_IN_INDEX",
                "COLUMN_NAME",
                "COLLATION",
                "#CARDINALITY",
                "#SUB_PART",
                "NULLABLE",
                "INDEX_TYPE",
            ];
            made(&names, rows)
        }
        "TABLE_CONSTRAINTS" => {
            let mut rows = Vec::new();
            for info in all() {
                for (name, ..) in keys(&info.def).into_iter().filter(|(_, unique, _)| *unique) {
                    let kind = if name == crate::apply::PRIMARY { "PRIMARY KEY" } else { "UNIQUE" };
                    rows.push(vec![text("def"), home(), text(name), home(), text(info.name()), text(kind)]);
                }
                for key in &info.def.foreign {
                    let (name, kind) = (text(&*key.name), text("FOREIGN KEY"));
                    rows.push(vec![text("def"), home(), name, home(), text(info.name()), kind]);
                }
                for check in &info.def.checks {
                    let (name, kind) = (text(&*check.name), text("CHECK"));
                    rows.push(vec![text("def"), home(), name, home(), text(info.name()), kind]);
                }
            }
            let names = [
                "CONSTRAINT_CATALOG",
                "CONSTRAINT_SCHEMA",
                "CONSTRAINT_NAME",
                "TABLE_SCHEMA",
                "TABLE_NAME",
                "CONSTRAINT_TYPE",
            ];
            made(&names, rows)
        }
        "CHECK_CONSTRAINTS" => {
            let names = [
                "CONSTRAINT_CATALOG",
                "CONSTRAINT_SCHEMA",
                "TABLE_NAME",
                "CONSTRAINT_NAME",
                "LEVEL",
                "CHECK_CLAUSE",
            ];
            let row = |info: &Arc<TableInfo>, check: &Check| {
                let level = if check.column.is_some() { "Column" } else { "Table" };
                let (name, condition) = (text(&*check.name), text(&*check.condition));
                vec![text("def"), home(), text(info.name()), name, text(level), condition]
            };
            let rows = all().flat_map(|info| info.def.checks.iter().map(move |check| row(info, check)));
            made(&names, rows.collect())
        }
        "KEY_COLUMN_USAGE" => {
            let mut rows = Vec::new();
            for info in all() {
                for (name, _, parts) in keys(&info.def).into_iter().filter(|(_, unique, _)| *unique) {
                    for (at, part) in parts.iter().enumerate() {
                        let column = &info.def.columns[part.column].name;
                        let mut row =
                            vec![text("def"), home(), text(name), text("def"), home(), text(info.name())];
                        row.extend([text(&**column), Value::Int(at as i64 + 1)]);
                        row.extend([Value::Null, Value::Null, Value::Null, Value::Null]);
                        rows.push(row);
                    }
                }
                for key in &info.def.foreign {
                    for (at, (column, parent)) in key.columns.iter().zip(&key.parent_columns).enumerate() {
                        let (name, number) = (text(&*key.name), Value::Int(at as i64 + 1));
                        let column = text(&*info.def.columns[*column].name);
                        let mut row = vec![text("def"), home(), name, text("def"), home()];
                        row.extend([text(info.name()), column, number.clone(), number, home()]);
                        row.extend([text(&*key.parent), text(&**parent)]);
                        rows.push(row);
                    }
                }
            }
            let names = [
                "CONSTRAINT_CATALOG",
                "CONSTRAINT_SCHEMA",
                "CONSTRAINT_NAME",
                "TABLE_CATALOG",
                "TABLE_SCHEMA",
                "TABLE_NAME",
                "COLUMN_NAME",
                "#ORDINAL_POSITION",
                "#POSITION_IN_UNIQUE_CONSTRAINT",
                "REFERENCED_TABLE_SCHEMA",
                "REFERENCED_TABLE_NAME",
                "REFERENCED_COLUMN_NAME",
            ];
            made(&names, rows)
        }
        "REFERENTIAL_CONSTRAINTS" => {
            let names = [
                "CONSTRAINT_CATALOG",
                "CONSTRAINT_SCHEMA",
                "CONSTRAINT_NAME",
                "UNIQUE_CONSTRAINT_CATALOG",
                "UNIQUE_CONSTRAINT_SCHEMA",
                "UNIQUE_CONSTRAINT_NAME",
                "MATCH_OPTION",
                "UPDATE_RULE",
                "DELETE_RULE",
                "TABLE_NAME",
                "REFERENCED_TABLE_NAME",
            ];
            let row = |info: &Arc<TableInfo>, key: &ForeignKey| {
                let parent = all().find(|parent| parent.name() == key.parent);
                let unique = parent.and_then(|parent| foreign::parent_key(key, &parent.def));
                let mut row = vec![text("def"), home(), text(&*key.name), text("def"), home()];
                row.extend([unique.map_or(Value::Null, text), text("NONE")]);
                row.extend([key.on_update, key.on_delete].map(|action| text(foreign::rule(action))));
                row.extend([text(info.name()), text(&*key.parent)]);
                row
            };
            let rows = all().flat_map(|info| info.def.foreign.iter().map(move |key| row(info, key)));
            made(&names, rows.collect())
        }
        "FILES" => {
            let names = [
                "LOGFILE_GROUP_NAME",
                "FILE_NAME",
                "FILE_TYPE",
                "TABLESPACE_NAME",
                "ENGINE",
                "#TOTAL_EXTENTS",
                "#INITIAL_SIZE",
                "#EXTENT_SIZE",
                "EXTRA",
            ];
            made(&names, Vec::new())
        }
        "PARTITIONS" => {
            made(&["TABLE_SCHEMA", "TABLE_NAME", "PARTITION_NAME", "TABLESPACE_NAME"], Vec::new())
        }
        "VIEWS" => made(view::COLUMNS, all().filter_map(|info| view::row(info, vars)).collect()),
        "TRIGGERS" => {
            made(&["TRIGGER_SCHEMA", "TRIGGER_NAME", "EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE"], Vec::new())
        }
        "ROUTINES" => made(&["ROUTINE_SCHEMA", "ROUTINE_NAME", "ROUTINE_TYPE"], Vec::new()),
        "EVENTS" => made(&["EVENT_SCHEMA", "EVENT_NAME"], Vec::new()),
        "INNODB_CMP" => made(
            &[
                "#page_size",
                "#compress_ops",
                "#compress_ops_ok",
                "#compress_time",
                "#uncompress_ops",
                "#uncompress_time",
            ],
            Vec::new(),
        ),
        "INNODB_CMPMEM" => made(
            &[
                "#page_size",
                "#buffer_pool_instance",
                "#pages_used",
                "#pages_free",
                "#relocation_ops",
                "#relocation_time",
            ],
            Vec::new(),
        ),
        "ENGINES" => made(
            &["ENGINE", "SUPPORT", "COMMENT"],
            vec![vec![text("InnoDB"), text("DEFAULT"), text("Rows in memory, ordered by a majority")]],
        ),
        "CHARACTER_SETS" => made(
            &["CHARACTER_SET_NAME", "DEFAULT_COLLATE_NAME", "DESCRIPTION", "#MAXLEN"],
            vec![vec![text("utf8mb4"), text("utf8mb4_bin"), text("UTF-8"), Value::Int(4)]],
        ),
        "COLLATIONS" => made(
            &["COLLATION_NAME", "CHARACTER_SET_NAME", "#ID", "IS_DEFAULT"],
            vec![vec![text("utf8mb4_bin"), text("utf8mb4"), Value::Int(46), text("Yes")]],
        ),
        _ => return None,
    })
}

fn column(info: &TableInfo, at: usize, vars: &Vars) -> Vec<Value> {
    let column = &info.def.columns[at];
    let name = type_of(column);
    let plain = name.split(['(', ' ']).next().unwrap_or_default().to_owned();
    let (length, digits, scale) = match column.kind {
        ColumnType::Text { chars_max } => (Value::Int(chars_max.into()), Value::Null, Value::Null),
        ColumnType::Bytes { bytes_max } => (Value::Int(bytes_max.into()), Value::Null, Value::Null),
        ColumnType::Decimal { digits, scale } => {
            (Value::Null, Value::Int(digits.into()), Value::Int(scale.into()))
        }
        ColumnType::Int { bits } | ColumnType::UInt { bits } => {
            let digits = match (bits, column.kind) {
                (8, _) => 3,
                (16, _) => 5,
                (24, ColumnType::Int { .. }) => 7,
                (24, _) => 8,
                (32, _) => 10,
                (_, ColumnType::Int { .. }) => 19,
                _ => 20,
            };
            (Value::Null, Value::Int(digits), Value::Int(0))
        }
        _ => (Value::Null, Value::Null, Value::Null),
    };
    let is_text = matches!(column.kind, ColumnType::Text { .. });
    let of_text = |value: &str| if is_text { text(value) } else { Value::Null };
    let default = column.default.as_ref().map_or(Value::Null, |value| text(value.to_string()));
    let extra = if info.def.auto_increment == Some(at) { "auto_increment" } else { "" };
    vec![
        text("def"),
        text(&*vars.home),
        text(info.name()),
        text(&*column.name),
        Value::Int(at as i64 + 1),
        default,
        yes(column.nullable),
        text(plain),
        length,
        digits,
        scale,
        of_text("utf8mb4"),
        of_text("utf8mb4_bin"),
        text(name),
        text(key_mark(&info.def, at)),
        text(extra),
        text("select,insert,update,references"),
        text(&*column.comment),
        text(""),
    ]
}
