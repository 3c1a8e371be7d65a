//! CREATE TABLE, there and back: from a parsed definition to the kernel's, and from that to `SHOW CREATE TABLE`.
//!
//! What the kernel can't keep is refused by its name; only what has no effect on data (an engine's name, a comment)
//! is let go.

use super::compile::{Compiler, names, unsupported};
use super::convert::into_column;
use super::tree::table_name;
use super::vars::Vars;
use crate::error::Error;
use crate::request::{Column, ColumnType, TableDef};
use crate::session::Context;
use crate::value::Value;
use sqlparser::ast::{self, ColumnOption, DataType, TableConstraint};
use sqlparser::tokenizer::Token;
use std::fmt::Write as _;

fn refuse(code: u16, state: &'static str, message: impl Into<String>) -> Error {
    Error::Sql { code, state, message: message.into() }
}

/// Longest text in characters, by the kind's name; as MySQL's bounds of bytes over four bytes a character.
const TEXT: u32 = 65_535;
const MEDIUMTEXT: u32 = 16_777_215;
const LONGTEXT: u32 = u32::MAX;

pub fn create(tree: ast::CreateTable, vars: &Vars, ctx: &Context<'_>) -> Result<TableDef, Error> {
    let name = vars.table(&table_name(&tree.name)?)?.to_owned();
    if tree.temporary {
        return unsupported("temporary tables");
    }
    if tree.or_replace {
        return unsupported("CREATE OR REPLACE TABLE");
    }
    if tree.query.is_some() || tree.columns.is_empty() && tree.like.is_some() {
        return unsupported("CREATE TABLE … SELECT and … LIKE");
    }
    if tree.partition_by.is_some() {
        return unsupported("PARTITION BY");
    }
    options(&tree.table_options)?;
    let mut columns = Vec::new();
    let mut primary: Option<Vec<usize>> = None;
    let mut auto_increment = None;
    for (at, def) in tree.columns.iter().enumerate() {
        let mut column = Column {
            name: def.name.value.clone(),
            kind: kind(&def.data_type)?,
            nullable: true,
            default: None,
        };
        for option in &def.options {
            match &option.option {
                ColumnOption::Null => column.nullable = true,
                ColumnOption::NotNull => column.nullable = false,
                ColumnOption::Comment(_) => {}
                ColumnOption::Default(tree) => column.default = default(&column, tree, vars, ctx)?,
                ColumnOption::PrimaryKey(_) => set_primary(&mut primary, vec![at])?,
                ColumnOption::Unique(_) => return unsupported("UNIQUE (keys other than the primary key)"),
                ColumnOption::ForeignKey(_) => return unsupported("FOREIGN KEY"),
                ColumnOption::Check(_) => return unsupported("CHECK"),
                ColumnOption::Generated { .. } => return unsupported("generated columns"),
                ColumnOption::OnUpdate(_) => return unsupported("ON UPDATE"),
                ColumnOption::CharacterSet(set) => charset(&set.to_string())?,
                ColumnOption::Collation(name) => collation(&name.to_string())?,
                ColumnOption::DialectSpecific(tokens) if is_word(tokens, "AUTO_INCREMENT") => {
                    if auto_increment.replace(at).is_some() {
                        return Err(one_auto_column());
                    }
                }
                other => return unsupported(format!("the column option {other}")),
            }
        }
        columns.push(column);
    }
    for constraint in &tree.constraints {
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                let places = key
                    .columns
                    .iter()
                    .map(|column| key_column(&columns, column))
                    .collect::<Result<_, _>>()?;
                set_primary(&mut primary, places)?;
            }
            TableConstraint::Unique(_) => return unsupported("UNIQUE (keys other than the primary key)"),
            TableConstraint::Index(_) => {
                return unsupported("KEY and INDEX (keys other than the primary key)");
            }
            TableConstraint::ForeignKey(_) => return unsupported("FOREIGN KEY"),
            TableConstraint::Check(_) => return unsupported("CHECK"),
            TableConstraint::FulltextOrSpatial(_) => return unsupported("FULLTEXT and SPATIAL keys"),
            other => return unsupported(other.to_string()),
        }
    }
    let primary = primary.unwrap_or_default();
    if primary.iter().any(|at| long(columns[*at].kind)) {
        return Err(refuse(
            1170,
            "42000",
            "BLOB/TEXT column in a key: give it a length, as VARCHAR or VARBINARY",
        ));
    }
    if auto_increment.is_some_and(|at| primary.first() != Some(&at)) {
        return Err(one_auto_column());
    }
    if let Some(at) = auto_increment {
        columns[at].nullable = false;
    }
    Ok(TableDef { name, columns, primary, auto_increment, if_not_exists: tree.if_not_exists })
}

fn one_auto_column() -> Error {
    let why =
        "Incorrect table definition; there can be only one auto column and it must lead the primary key";
    refuse(1075, "42000", why)
}

fn set_primary(primary: &mut Option<Vec<usize>>, places: Vec<usize>) -> Result<(), Error> {
    match primary.replace(places) {
        None => Ok(()),
        Some(_) => Err(refuse(1068, "42000", "Multiple primary key defined")),
    }
}

fn key_column(columns: &[Column], column: &ast::IndexColumn) -> Result<usize, Error> {
    let by = &column.column;
    if by.options.sort == Some(ast::OrderBySort::Desc) {
        return unsupported("DESC in a key");
    }
    let name = match &by.expr {
        ast::Expr::Identifier(ident) => &ident.value,
        ast::Expr::Function(_) => return unsupported("a key of the first characters of a column"),
        other => return unsupported(format!("the key part {other}")),
    };
    let at = columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    at.ok_or_else(|| refuse(1072, "42000", format!("Key column '{name}' doesn't exist in table")))
}

fn is_word(tokens: &[Token], text: &str) -> bool {
    matches!(tokens, [Token::Word(word)] if word.value.eq_ignore_ascii_case(text))
}

/// Whether it is a kind that MySQL keeps outside of its rows.
fn long(kind: ColumnType) -> bool {
    match kind {
        ColumnType::Text { chars_max } => chars_max >= TEXT,
        ColumnType::Bytes { bytes_max } => bytes_max >= TEXT,
        _ => false,
    }
}

fn default(
    column: &Column,
    tree: &ast::Expr,
    vars: &Vars,
    ctx: &Context<'_>,
) -> Result<Option<Value>, Error> {
    let bad = || refuse(1067, "42000", format!("Invalid default value for '{}'", column.name));
    let tree = match tree {
        ast::Expr::Nested(_) => return unsupported("expressions as default values"),
        ast::Expr::Function(_) => return unsupported("functions as default values"),
        other => other,
    };
    let datum = Compiler::new(vars, ctx, None, "default").value(tree).map_err(|_| bad())?;
    match into_column(column, datum).map_err(|_| bad())? {
        Value::Null if column.nullable => Ok(None),
        Value::Null => Err(bad()),
        value => Ok(Some(value)),
    }
}

fn kind(data_type: &DataType) -> Result<ColumnType, Error> {
    let int = |bits| Ok(ColumnType::Int { bits });
    let chars = |length: &Option<ast::CharacterLength>, otherwise: Option<u32>, most: u32| match length {
        None => match otherwise {
            Some(chars_max) => Ok(ColumnType::Text { chars_max }),
            None => Err(Error::Syntax { why: format!("{data_type} wants a length") }),
        },
        Some(ast::CharacterLength::IntegerLength { length, .. }) => match u32::try_from(*length) {
            Ok(chars_max) if chars_max <= most => Ok(ColumnType::Text { chars_max }),
            _ => Err(too_long(*length, most)),
        },
        Some(ast::CharacterLength::Max) => unsupported("VARCHAR(MAX)"),
    };
    let bytes = |length: Option<u64>, most: u32| match length.map(u32::try_from) {
        None => Ok(ColumnType::Bytes { bytes_max: 1 }),
        Some(Ok(bytes_max)) if bytes_max <= most => Ok(ColumnType::Bytes { bytes_max }),
        _ => Err(too_long(length.unwrap_or(0), most)),
    };
    match data_type {
        DataType::TinyInt(_) | DataType::TinyIntUnsigned(_) | DataType::Bool | DataType::Boolean => int(8),
        DataType::SmallInt(_) | DataType::SmallIntUnsigned(_) | DataType::Int2(_) => int(16),
        DataType::MediumInt(_) | DataType::MediumIntUnsigned(_) => int(24),
        DataType::Int(_)
        | DataType::Integer(_)
        | DataType::Int4(_)
        | DataType::IntUnsigned(_)
        | DataType::IntegerUnsigned(_) => int(32),
        DataType::BigInt(_) | DataType::BigIntUnsigned(_) | DataType::Int8(_) => int(64),
        DataType::Char(length) | DataType::Character(length) => chars(length, Some(1), 255),
        DataType::Varchar(length)
        | DataType::CharVarying(length)
        | DataType::CharacterVarying(length)
        | DataType::Nvarchar(length) => chars(length, None, 16_383),
        DataType::TinyText => Ok(ColumnType::Text { chars_max: 255 }),
        DataType::Text => Ok(ColumnType::Text { chars_max: TEXT }),
        DataType::MediumText => Ok(ColumnType::Text { chars_max: MEDIUMTEXT }),
        DataType::LongText => Ok(ColumnType::Text { chars_max: LONGTEXT }),
        DataType::Binary(length) => bytes(*length, 255),
        DataType::Varbinary(Some(ast::BinaryLength::IntegerLength { length })) => {
            bytes(Some(*length), 65_532)
        }
        DataType::TinyBlob => Ok(ColumnType::Bytes { bytes_max: 255 }),
        DataType::Blob(_) => Ok(ColumnType::Bytes { bytes_max: TEXT }),
        DataType::MediumBlob => Ok(ColumnType::Bytes { bytes_max: MEDIUMTEXT }),
        DataType::LongBlob => Ok(ColumnType::Bytes { bytes_max: LONGTEXT }),
        other => unsupported(format!("columns of type {other}")),
    }
}

fn too_long(got: u64, most: u32) -> Error {
    refuse(
        1074,
        "42000",
        format!("Column length too big (max = {most}, got {got}); use BLOB or TEXT instead"),
    )
}

fn options(options: &ast::CreateTableOptions) -> Result<(), Error> {
    let list = match options {
        ast::CreateTableOptions::None => return Ok(()),
        ast::CreateTableOptions::Plain(list) => list,
        other => return unsupported(format!("the table options {other}")),
    };
    for option in list {
        match option {
            ast::SqlOption::Comment(_) => {}
            ast::SqlOption::NamedParenthesizedList(list) if list.key.value.eq_ignore_ascii_case("ENGINE") => {
                let engine = list.name.as_ref().map_or("", |name| &name.value);
                if !engine.eq_ignore_ascii_case("InnoDB") {
                    return unsupported(format!("ENGINE={engine}"));
                }
            }
            ast::SqlOption::KeyValue { key, value } => {
                let key = names(key)?.join(" ").to_ascii_uppercase();
                let value = value.to_string();
                let value = value.trim_matches(['\'', '"', '`']);
                match key.as_str() {
                    "CHARSET" | "CHARACTER SET" | "DEFAULT CHARSET" | "DEFAULT CHARACTER SET" => {
                        charset(value)?
                    }
                    "COLLATE" | "DEFAULT COLLATE" => collation(value)?,
                    // Where and how pages lie, of which there are none; and hints of size.
                    "ROW_FORMAT" | "KEY_BLOCK_SIZE" | "STATS_PERSISTENT" | "STATS_AUTO_RECALC"
                    | "STATS_SAMPLE_PAGES" | "MAX_ROWS" | "MIN_ROWS" | "AVG_ROW_LENGTH" | "PACK_KEYS"
                    | "CHECKSUM" | "DELAY_KEY_WRITE" => {}
                    "AUTO_INCREMENT" if value == "1" || value == "0" => {}
                    other => return unsupported(format!("the table option {other}")),
                }
            }
            other => return unsupported(format!("the table option {other}")),
        }
    }
    Ok(())
}

fn charset(name: &str) -> Result<(), Error> {
    // All texts are kept as utf8mb4; of the others only a name is lost.
    let known = ["utf8mb4", "utf8mb3", "utf8", "ascii", "latin1", "binary"];
    if known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    unsupported(format!("CHARACTER SET {name}"))
}

/// Another collation would compare otherwise than keys are ordered here.
fn collation(name: &str) -> Result<(), Error> {
    if name.to_ascii_lowercase().ends_with("_bin") || name.eq_ignore_ascii_case("binary") {
        return Ok(());
    }
    unsupported(format!("COLLATE {name} (texts are compared by their bytes, utf8mb4_bin)"))
}

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
        ColumnType::Double => "double".into(),
        ColumnType::DateTime => "datetime".into(),
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A value as a literal.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Int(n) => format!("'{n}'"),
        Value::Text(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        Value::Bytes(bytes) => bytes.iter().fold("0x".to_owned(), |mut out, byte| {
            let _ = write!(out, "{byte:02X}");
            out
        }),
    }
}

/// The statement that would make this table again.
pub fn show_create(def: &TableDef) -> String {
    let mut lines = Vec::new();
    for (at, column) in def.columns.iter().enumerate() {
        let mut line = format!("  {} {}", quoted(&column.name), type_name(column.kind));
        if !column.nullable {
            line += " NOT NULL";
        }
        match &column.default {
            Some(value) => line += &format!(" DEFAULT {}", literal(value)),
            // MySQL leaves it out where a TEXT or BLOB could have none other.
            None if column.nullable && !long(column.kind) => line += " DEFAULT NULL",
            None => {}
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
    let name = quoted(&def.name);
    let body = lines.join(",\n");
    format!("CREATE TABLE {name} (\n{body}\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin")
}
