//! CREATE TABLE: from a parsed definition to the kernel's.
//!
//! What the kernel can't keep is refused by its name; only what has no effect on data (an engine's name) is let go.

use super::alter::Alter;
use super::check;
use super::compile::{Compiler, names, unsupported};
use super::convert::into_column;
use super::tree::table_name;
use super::vars::Vars;
use crate::error::Error;
use crate::foreign;
use crate::index;
use crate::request::{
    Check, Column, ColumnType, ForeignKey, Form, IndexDef, IndexPart, Members, Referential, Stamp, TableDef,
};
use crate::session::Context;
use crate::value::Value;
use sqlparser::ast::{self, ColumnOption, DataType, TableConstraint};
use sqlparser::tokenizer::Token;
use std::sync::Arc;

pub fn refuse(code: u16, state: &'static str, message: impl Into<String>) -> Error {
    Error::Sql { code, state, message: message.into() }
}

/// Longest text in characters, by the kind's name; as MySQL's bounds of bytes over four bytes a character.
pub const TEXT: u32 = 65_535;
pub const MEDIUMTEXT: u32 = 16_777_215;
pub const LONGTEXT: u32 = u32::MAX;

/// `CREATE TABLE name LIKE other`, if it is that.
pub fn like(tree: &ast::CreateTable) -> Result<Option<Alter>, Error> {
    let (ast::CreateTableLikeKind::Parenthesized(like) | ast::CreateTableLikeKind::Plain(like)) =
        match &tree.like {
            Some(like) => like,
            None => return Ok(None),
        };
    if tree.temporary || tree.or_replace || like.defaults.is_some() {
        return unsupported("this form of CREATE TABLE … LIKE");
    }
    Alter::like(&like.name, table_name(&tree.name)?, tree.if_not_exists).map(Some)
}

pub fn create(tree: ast::CreateTable, vars: &mut Vars, ctx: &Context<'_>) -> Result<TableDef, Error> {
    let name = vars.table(&table_name(&tree.name)?)?.to_owned();
    if tree.temporary {
        return unsupported("temporary tables");
    }
    if tree.or_replace {
        return unsupported("CREATE OR REPLACE TABLE");
    }
    if tree.query.is_some() {
        return unsupported("CREATE TABLE … SELECT");
    }
    if tree.partition_by.is_some() {
        return unsupported("PARTITION BY");
    }
    let options = options(&tree.table_options, &name, vars)?;
    let mut draft = Draft::default();
    for def in &tree.columns {
        let spec = column(&def.name, &def.data_type, def.options.iter().map(|def| &def.option), vars, ctx)?;
        draft.def.columns.push(spec.column.clone());
        draft.keys_of(draft.def.columns.len() - 1, &spec, vars)?;
    }
    for constraint in &tree.constraints {
        draft.constraint(constraint, vars)?;
    }
    draft.def.name = name;
    draft.def.if_not_exists = tree.if_not_exists;
    draft.def.unchecked = !vars.foreign_checks();
    draft.def.ids_from = options.ids_from;
    draft.def.comment = options.comment.unwrap_or_default();
    draft.finished()
}

/// A definition under way.
#[derive(Debug, Default)]
pub struct Draft {
    pub def: TableDef,
    /// Foreign keys that are new, by their place, and the name of the key that is made for one.
    foreign: Vec<(usize, Option<String>)>,
    /// Conditions that are new; they may name columns that come after them.
    checks: Vec<(Option<usize>, ast::CheckConstraint)>,
}

impl Draft {
    pub fn of(def: TableDef) -> Draft {
        Draft { def, ..Draft::default() }
    }
}

/// A column as it is written in a definition.
pub struct ColumnSpec {
    pub column: Column,
    primary: bool,
    unique: bool,
    auto_increment: bool,
    now: bool,
    on_update: bool,
    foreign: Option<ast::ForeignKeyConstraint>,
    checks: Vec<ast::CheckConstraint>,
}

impl ColumnSpec {
    /// Whether its default is the time of the statement.
    pub fn stamped(&self) -> bool {
        self.now
    }
}

pub fn column<'o>(
    name: &ast::Ident,
    data_type: &DataType,
    options: impl Iterator<Item = &'o ColumnOption>,
    vars: &Vars,
    ctx: &Context<'_>,
) -> Result<ColumnSpec, Error> {
    let members = members(data_type)?;
    let (name, kind, form) = (name.value.clone(), kind(data_type)?, form(data_type));
    let column = Column { name, kind, form, nullable: true, members, ..Column::default() };
    let mut spec = ColumnSpec {
        column,
        primary: false,
        unique: false,
        auto_increment: false,
        now: false,
        on_update: false,
        foreign: None,
        checks: Vec::new(),
    };
    for option in options {
        match option {
            ColumnOption::Null => spec.column.nullable = true,
            ColumnOption::NotNull => spec.column.nullable = false,
            ColumnOption::Comment(comment) => spec.column.comment.clone_from(comment),
            ColumnOption::Default(tree) if is_now(tree) && is_stamp(spec.column.kind) => spec.now = true,
            ColumnOption::Default(tree) => spec.column.default = default(&spec.column, tree, vars, ctx)?,
            ColumnOption::PrimaryKey(_) => spec.primary = true,
            ColumnOption::Unique(_) => spec.unique = true,
            // As MariaDB does; MySQL 8 reads it and forgets it.
            ColumnOption::ForeignKey(key) => spec.foreign = Some(key.clone()),
            ColumnOption::Check(check) => spec.checks.push(check.clone()),
            ColumnOption::Generated { .. } => return unsupported("generated columns"),
            ColumnOption::OnUpdate(tree) if is_now(tree) && is_stamp(spec.column.kind) => {
                spec.on_update = true
            }
            ColumnOption::OnUpdate(_) => return unsupported("ON UPDATE"),
            ColumnOption::CharacterSet(set) => charset(&set.to_string())?,
            // The statement was looked through for them, see `Vars::collation`.
            ColumnOption::Collation(_) => {}
            ColumnOption::DialectSpecific(tokens) if is_word(tokens, "AUTO_INCREMENT") => {
                spec.auto_increment = true;
                spec.column.nullable = false;
            }
            other => return unsupported(format!("the column option {other}")),
        }
    }
    Ok(spec)
}

impl Draft {
    /// The keys that stand with the column at `at`.
    pub fn keys_of(&mut self, at: usize, spec: &ColumnSpec, vars: &Vars) -> Result<(), Error> {
        self.def.stamps.retain(|stamp| stamp.column != at);
        if spec.now || spec.on_update {
            self.def.stamps.push(Stamp { column: at, default: spec.now, on_update: spec.on_update });
        }
        if spec.primary {
            self.primary(vec![at])?;
        }
        if spec.unique {
            self.index(None, vec![IndexPart { column: at, ..IndexPart::default() }], true, String::new())?;
        }
        if spec.auto_increment && self.def.auto_increment.replace(at).is_some_and(|other| other != at) {
            return Err(one_auto_column());
        }
        self.def.checks.retain(|check| check.column != Some(at));
        for check in &spec.checks {
            // One with a name is the table's, as in MySQL.
            let column = check.name.is_none().then_some(at);
            self.checks.push((column, check.clone()));
        }
        match &spec.foreign {
            Some(key) => self.foreign_key(key, vec![at], vars),
            None => Ok(()),
        }
    }

    fn primary(&mut self, places: Vec<usize>) -> Result<(), Error> {
        if !self.def.primary.is_empty() {
            return Err(refuse(1068, "42000", "Multiple primary key defined"));
        }
        self.def.primary = places;
        Ok(())
    }

    /// Adds a key; one without a name is called after its first column.
    pub fn index(
        &mut self,
        name: Option<&str>,
        parts: Vec<IndexPart>,
        unique: bool,
        comment: String,
    ) -> Result<(), Error> {
        let Some(first) = parts.first() else {
            return Err(Error::Syntax { why: "a key has a column".into() });
        };
        let taken = |name: &str| self.def.indexes.iter().any(|index| index.name.eq_ignore_ascii_case(name));
        let name = match name {
            Some(name) if taken(name) => {
                return Err(refuse(1061, "42000", format!("Duplicate key name '{name}'")));
            }
            Some(name) => name.to_owned(),
            None => {
                let base = &self.def.columns[first.column].name;
                let numbered = (2..).map(|n| format!("{base}_{n}"));
                let mut names = std::iter::once(base.clone()).chain(numbered);
                names.find(|name| !taken(name)).expect("the numbers do not end")
            }
        };
        self.def.indexes.push(IndexDef { name, parts, unique, comment });
        Ok(())
    }

    pub fn constraint(&mut self, constraint: &TableConstraint, vars: &Vars) -> Result<(), Error> {
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                let parts = self.parts(&key.columns)?;
                if parts.iter().any(|part| part.prefix > 0) {
                    return unsupported("a primary key of the first characters of a column");
                }
                if parts.iter().any(|part| part.desc) {
                    return unsupported("DESC in a primary key");
                }
                self.primary(parts.iter().map(|part| part.column).collect())
            }
            TableConstraint::Unique(key) => {
                let name = key.index_name.as_ref().or(key.name.as_ref());
                let parts = self.parts(&key.columns)?;
                let comment = comment_of(&key.index_options);
                self.index(name.map(|name| name.value.as_str()), parts, true, comment)
            }
            TableConstraint::Index(key) => {
                let parts = self.parts(&key.columns)?;
                let name = key.name.as_ref().map(|name| name.value.as_str());
                self.index(name, parts, false, comment_of(&key.index_options))
            }
            TableConstraint::ForeignKey(key) => {
                let mut columns = Vec::new();
                for name in &key.columns {
                    let own = |column: &Column| column.name.eq_ignore_ascii_case(&name.value);
                    let at = self.def.columns.iter().position(own).ok_or_else(|| {
                        let message = format!("Key column '{}' doesn't exist in table", name.value);
                        refuse(1072, "42000", message)
                    })?;
                    columns.push(at);
                }
                self.foreign_key(key, columns, vars)
            }
            TableConstraint::Check(check) => {
                self.checks.push((None, check.clone()));
                Ok(())
            }
            TableConstraint::FulltextOrSpatial(_) => unsupported("FULLTEXT and SPATIAL keys"),
            other => unsupported(other.to_string()),
        }
    }

    fn foreign_key(
        &mut self,
        key: &ast::ForeignKeyConstraint,
        columns: Vec<usize>,
        vars: &Vars,
    ) -> Result<(), Error> {
        if key.characteristics.is_some() {
            return unsupported("DEFERRABLE foreign keys");
        }
        if !matches!(key.match_kind, None | Some(ast::ConstraintReferenceMatchKind::Simple)) {
            return unsupported("MATCH FULL and MATCH PARTIAL");
        }
        let action = |action: &Option<ast::ReferentialAction>| match action {
            None | Some(ast::ReferentialAction::NoAction) => Ok(Referential::NoAction),
            Some(ast::ReferentialAction::Restrict) => Ok(Referential::Restrict),
            Some(ast::ReferentialAction::Cascade) => Ok(Referential::Cascade),
            Some(ast::ReferentialAction::SetNull) => Ok(Referential::SetNull),
            // As InnoDB answers.
            Some(ast::ReferentialAction::SetDefault) => {
                Err(refuse(1215, "HY000", "Cannot add foreign key constraint: SET DEFAULT"))
            }
        };
        let name = key.name.as_ref().map(|name| name.value.clone());
        let index = name.clone().or_else(|| key.index_name.as_ref().map(|name| name.value.clone()));
        self.foreign.push((self.def.foreign.len(), index));
        self.def.foreign.push(ForeignKey {
            name: name.unwrap_or_default(),
            columns,
            parent: vars.table(&table_name(&key.foreign_table)?)?.to_owned(),
            parent_columns: key.referred_columns.iter().map(|name| name.value.clone()).collect(),
            on_delete: action(&key.on_delete)?,
            on_update: action(&key.on_update)?,
        });
        Ok(())
    }

    /// Gives each new foreign key a name, if it has none, and a key to look for children by, if there is none yet.
    fn keys_of_foreign(&mut self) -> Result<(), Error> {
        for (at, index) in std::mem::take(&mut self.foreign) {
            if self.def.foreign[at].name.is_empty() {
                let prefix = format!("{}_ibfk_", self.def.name);
                let numbers = self.def.foreign.iter().filter_map(|key| key.name.strip_prefix(&prefix));
                let last = numbers.filter_map(|number| number.parse::<u64>().ok()).max().unwrap_or(0);
                self.def.foreign[at].name = format!("{prefix}{}", last + 1);
            }
            let columns = self.def.foreign[at].columns.clone();
            if foreign::path(&self.def, &columns).is_none() {
                let parts = columns
                    .iter()
                    .map(|column| IndexPart { column: *column, ..IndexPart::default() })
                    .collect();
                self.index(index.as_deref(), parts, false, String::new())?;
            }
        }
        Ok(())
    }

    /// Gives each new condition its name and writes it down.
    fn conditions(&mut self) -> Result<(), Error> {
        for (column, tree) in std::mem::take(&mut self.checks) {
            if tree.enforced == Some(false) {
                return unsupported("NOT ENFORCED");
            }
            let checks = &self.def.checks;
            let taken = |name: &str| checks.iter().any(|other| other.column.is_none() && other.name == name);
            let name = match (column, tree.name) {
                (Some(at), _) => self.def.columns[at].name.clone(),
                (None, Some(name)) => name.value,
                (None, None) => {
                    let mut names = (1..).map(|n| format!("CONSTRAINT_{n}"));
                    names.find(|name| !taken(name)).expect("the numbers do not end")
                }
            };
            let condition = check::written(&tree.expr, &self.def.columns);
            self.def.checks.push(Check { name, column, condition });
        }
        Ok(())
    }

    pub fn parts(&self, columns: &[ast::IndexColumn]) -> Result<Vec<IndexPart>, Error> {
        columns.iter().map(|column| key_part(&self.def.columns, column)).collect()
    }

    /// The definition, if it is one that can be kept.
    pub fn finished(mut self) -> Result<TableDef, Error> {
        self.keys_of_foreign()?;
        self.conditions()?;
        let def = &mut self.def;
        let whole = |column: usize, prefix: u32| prefix == 0 && long(def.columns[column].kind);
        let parts = def.indexes.iter().flat_map(|index| &index.parts);
        if def.primary.iter().any(|at| whole(*at, 0))
            || parts.clone().any(|part| whole(part.column, part.prefix))
        {
            let why = "BLOB/TEXT column used in key specification without a key length";
            return Err(refuse(1170, "42000", why));
        }
        // The first characters are all there are.
        let columns = &def.columns;
        for part in def.indexes.iter_mut().flat_map(|index| &mut index.parts) {
            if matches!(columns[part.column].kind, ColumnType::Text { chars_max } if chars_max == part.prefix)
            {
                part.prefix = 0;
            }
        }
        if def.auto_increment.is_some_and(|at| !index::leads(def, at)) {
            return Err(one_auto_column());
        }
        if let Some(at) = def.auto_increment {
            def.columns[at].nullable = false;
        }
        Ok(self.def)
    }
}

/// The comment among a key's options.
pub fn comment_of(options: &[ast::IndexOption]) -> String {
    let comment = options.iter().rev().find_map(|option| match option {
        ast::IndexOption::Comment(comment) => Some(comment.clone()),
        ast::IndexOption::Using(_) => None,
    });
    comment.unwrap_or_default()
}

fn one_auto_column() -> Error {
    let why = "Incorrect table definition; there can be only one auto column and it must be defined as a key";
    refuse(1075, "42000", why)
}

fn key_part(columns: &[Column], column: &ast::IndexColumn) -> Result<IndexPart, Error> {
    let by = &column.column;
    let desc = by.options.sort == Some(ast::OrderBySort::Desc);
    let (name, prefix) = match &by.expr {
        ast::Expr::Identifier(ident) => (&ident.value, 0),
        // `name(10)`: the parser takes it for a call.
        ast::Expr::Function(call) => {
            match (&call.name.0[..], call.args.to_string().trim_matches(['(', ')']).parse()) {
                ([ast::ObjectNamePart::Identifier(ident)], Ok(prefix)) if prefix > 0 => {
                    (&ident.value, prefix)
                }
                _ => return unsupported(format!("the key part {call}")),
            }
        }
        other => return unsupported(format!("the key part {other}")),
    };
    let at = columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    let at =
        at.ok_or_else(|| refuse(1072, "42000", format!("Key column '{name}' doesn't exist in table")))?;
    Ok(IndexPart { column: at, prefix, desc })
}

/// `CURRENT_TIMESTAMP` in one of its spellings.
fn is_now(tree: &ast::Expr) -> bool {
    if let ast::Expr::Nested(inner) = tree {
        return is_now(inner);
    }
    let text = tree.to_string().to_ascii_uppercase();
    let name = text.split('(').next().unwrap_or_default();
    matches!(name, "CURRENT_TIMESTAMP" | "NOW" | "LOCALTIME" | "LOCALTIMESTAMP")
}

fn is_stamp(kind: ColumnType) -> bool {
    matches!(kind, ColumnType::DateTime { .. } | ColumnType::Timestamp { .. })
}

fn is_word(tokens: &[Token], text: &str) -> bool {
    matches!(tokens, [Token::Word(word)] if word.value.eq_ignore_ascii_case(text))
}

/// Whether it is a kind that MySQL keeps outside of its rows.
pub fn long(kind: ColumnType) -> bool {
    match kind {
        ColumnType::Text { chars_max } => chars_max >= TEXT,
        ColumnType::Bytes { bytes_max } => bytes_max >= TEXT,
        _ => false,
    }
}

pub fn default(
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

/// The texts of an ENUM or a SET.
fn members(data_type: &DataType) -> Result<Option<Arc<Members>>, Error> {
    let names = match data_type {
        DataType::Enum(members, None) => {
            let name = |member: &ast::EnumMember| match member {
                ast::EnumMember::Name(name) => Ok(name.clone()),
                ast::EnumMember::NamedValue(..) => unsupported("numbers of an ENUM"),
            };
            members.iter().map(name).collect::<Result<Vec<_>, Error>>()?
        }
        DataType::Set(names) => names.clone(),
        _ => return Ok(None),
    };
    // Blanks at the end are none, as in MySQL.
    let names = names.iter().map(|name| name.trim_end_matches(' ').to_owned()).collect();
    Ok(Some(Arc::new(Members { names, set: matches!(data_type, DataType::Set(_)) })))
}

/// What a type's name says beyond what its columns may hold.
fn form(data_type: &DataType) -> Form {
    match data_type {
        DataType::Char(_) | DataType::Character(_) | DataType::Binary(_) => Form::Fixed,
        DataType::Bool | DataType::Boolean => Form::Width(1),
        DataType::TinyInt(Some(width))
        | DataType::SmallInt(Some(width))
        | DataType::Int2(Some(width))
        | DataType::MediumInt(Some(width))
        | DataType::Int(Some(width))
        | DataType::Integer(Some(width))
        | DataType::Int4(Some(width))
        | DataType::BigInt(Some(width))
        | DataType::Int8(Some(width))
        | DataType::TinyIntUnsigned(Some(width))
        | DataType::SmallIntUnsigned(Some(width))
        | DataType::Int2Unsigned(Some(width))
        | DataType::MediumIntUnsigned(Some(width))
        | DataType::IntUnsigned(Some(width))
        | DataType::IntegerUnsigned(Some(width))
        | DataType::Int4Unsigned(Some(width))
        | DataType::BigIntUnsigned(Some(width))
        | DataType::Int8Unsigned(Some(width)) => match u8::try_from(*width) {
            Ok(width @ 1..) => Form::Width(width),
            _ => Form::Plain,
        },
        _ => Form::Plain,
    }
}

fn kind(data_type: &DataType) -> Result<ColumnType, Error> {
    let int = |bits| Ok(ColumnType::Int { bits });
    let uint = |bits| Ok(ColumnType::UInt { bits });
    let decimal = |digits: u64, scale: i64| {
        // What is out of bounds is refused by the catalogue, with the column's name.
        let (digits, scale) =
            (u8::try_from(digits).unwrap_or(u8::MAX), u8::try_from(scale).unwrap_or(u8::MAX));
        Ok(ColumnType::Decimal { digits, scale })
    };
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
        DataType::TinyInt(_) | DataType::Bool | DataType::Boolean => int(8),
        DataType::SmallInt(_) | DataType::Int2(_) => int(16),
        DataType::MediumInt(_) => int(24),
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => int(32),
        DataType::BigInt(_) | DataType::Int8(_) => int(64),
        DataType::TinyIntUnsigned(_) => uint(8),
        DataType::SmallIntUnsigned(_) | DataType::Int2Unsigned(_) => uint(16),
        DataType::MediumIntUnsigned(_) => uint(24),
        DataType::IntUnsigned(_) | DataType::IntegerUnsigned(_) | DataType::Int4Unsigned(_) => uint(32),
        DataType::BigIntUnsigned(_) | DataType::Int8Unsigned(_) => uint(64),
        DataType::Decimal(info) | DataType::Dec(info) | DataType::Numeric(info) => match info {
            ast::ExactNumberInfo::None => Ok(ColumnType::Decimal { digits: 10, scale: 0 }),
            ast::ExactNumberInfo::Precision(digits) => decimal(*digits, 0),
            ast::ExactNumberInfo::PrecisionAndScale(digits, scale) => decimal(*digits, *scale),
        },
        DataType::Float(ast::ExactNumberInfo::Precision(digits)) if *digits > 24 => Ok(ColumnType::Double),
        DataType::Float(_) => Ok(ColumnType::Float),
        DataType::Double(_) | DataType::DoublePrecision | DataType::Real => Ok(ColumnType::Double),
        DataType::Date => Ok(ColumnType::Date),
        DataType::Time(None | Some(0), _) => Ok(ColumnType::Time),
        DataType::Datetime(digits) => Ok(ColumnType::DateTime { digits: digits.unwrap_or(0).min(99) as u8 }),
        DataType::Timestamp(digits, _) => {
            Ok(ColumnType::Timestamp { digits: digits.unwrap_or(0).min(99) as u8 })
        }
        // As MariaDB keeps it.
        DataType::JSON => Ok(ColumnType::Text { chars_max: LONGTEXT }),
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
        DataType::Enum(..) | DataType::Set(_) => {
            let names = members(data_type)?.map_or_else(Vec::new, |members| members.names.clone());
            let chars = names.iter().map(|name| name.chars().count() as u32);
            let chars_max = match data_type {
                DataType::Set(_) => chars.fold(0_u32, |all, one| all.saturating_add(one + 1)),
                _ => chars.max().unwrap_or(0),
            };
            Ok(ColumnType::Text { chars_max })
        }
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

/// What stands behind a definition and is more than a hint.
#[derive(Debug, Default)]
pub struct Options {
    /// The least id that is handed out; 0: nothing is said of it.
    pub ids_from: i64,
    pub comment: Option<String>,
}

pub fn options(options: &ast::CreateTableOptions, table: &str, vars: &mut Vars) -> Result<Options, Error> {
    let mut said = Options::default();
    let list = match options {
        ast::CreateTableOptions::None => return Ok(said),
        ast::CreateTableOptions::Plain(list) => list,
        other => return unsupported(format!("the table options {other}")),
    };
    for option in list {
        match option {
            ast::SqlOption::Comment(
                ast::CommentDef::WithEq(comment) | ast::CommentDef::WithoutEq(comment),
            ) => said.comment = Some(comment.clone()),
            ast::SqlOption::NamedParenthesizedList(list) if list.key.value.eq_ignore_ascii_case("ENGINE") => {
                let engine = list.name.as_ref().map_or("", |name| &name.value);
                let others = ["MyISAM", "MEMORY", "Aria"];
                if others.iter().any(|other| other.eq_ignore_ascii_case(engine)) {
                    // There is but one, whose tables do what is asked of any.
                    vars.note(1266, format!("Using storage engine InnoDB for table '{table}'"));
                } else if !engine.eq_ignore_ascii_case("InnoDB") {
                    return Err(refuse(1286, "42000", format!("Unknown storage engine '{engine}'")));
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
                    // Looked at before, see `Vars::collation`. Where and how pages lie, of which there are none; and hints of size.
                    "COLLATE" | "DEFAULT COLLATE" | "ROW_FORMAT" | "KEY_BLOCK_SIZE" | "STATS_PERSISTENT"
                    | "STATS_AUTO_RECALC" | "STATS_SAMPLE_PAGES" | "MAX_ROWS" | "MIN_ROWS"
                    | "AVG_ROW_LENGTH" | "PACK_KEYS" | "CHECKSUM" | "DELAY_KEY_WRITE" => {}
                    "AUTO_INCREMENT" => match value.parse::<i64>() {
                        Ok(first) if first >= 0 => said.ids_from = first,
                        _ => return unsupported(format!("AUTO_INCREMENT={value}")),
                    },
                    other => return unsupported(format!("the table option {other}")),
                }
            }
            other => return unsupported(format!("the table option {other}")),
        }
    }
    Ok(said)
}

fn charset(name: &str) -> Result<(), Error> {
    // All texts are kept as utf8mb4; of the others only a name is lost.
    let known = ["utf8mb4", "utf8mb3", "utf8", "ascii", "latin1", "binary"];
    if known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    unsupported(format!("CHARACTER SET {name}"))
}
