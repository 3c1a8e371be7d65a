//! ALTER TABLE, CREATE and DROP INDEX, TRUNCATE, RENAME TABLE: from a statement, and the definition that there is,
//! to the one that is to be.
//!
//! The changes of one statement are made one after the other on a draft; what becomes of the cells of a row is
//! written down beside it. The whole is one ordered operation.

use super::compile::{names, unsupported};
use super::convert::now;
use super::ddl::{self, ColumnSpec, Draft, Options, column, comment_of, default, refuse};
use super::select::Place;
use super::statement::listed;
use super::tree::{TableRef, table_name};
use super::vars::Vars;
use super::view::{self, View};
use crate::error::Error;
use crate::foreign;
use crate::op::{self, Op, Source};
use crate::request::{Check, Column, ColumnType, Form, TableDef};
use crate::session::Context;
use crate::store::Store;
use crate::table::TableInfo;
use crate::txn::Txn;
use crate::value::{Decimal, Real, Value};
use sqlparser::ast::{
    self, AlterColumnOperation, AlterTableOperation as Change, MySQLColumnPosition as Position,
};
use std::cell::RefCell;

/// A statement that changes the definition of one table.
#[derive(Debug)]
pub struct Alter {
    pub table: TableRef,
    what: What,
}

#[derive(Debug)]
enum What {
    /// The changes, and those of the table's options.
    Changes(Vec<Change>, Options),
    AddIndex(Box<ast::CreateIndex>),
    DropIndex(String),
    Truncate,
    Rename(TableRef),
    View(Box<View>),
    /// A new, empty table with this one's definition.
    Like {
        name: TableRef,
        if_not_exists: bool,
    },
}

impl Alter {
    /// `options`: the table's, as those of a CREATE TABLE.
    pub fn table(
        tree: ast::AlterTable,
        options: Option<&ast::Statement>,
        vars: &mut Vars,
    ) -> Result<Alter, Error> {
        let plain = !tree.only && tree.location.is_none() && tree.on_cluster.is_none();
        if tree.if_exists || !plain || tree.table_type.is_some() {
            return unsupported("the clauses of this ALTER TABLE");
        }
        let table = table_name(&tree.name)?;
        let options = match options {
            Some(ast::Statement::CreateTable(tree)) => ddl::options(&tree.table_options, &table.name, vars)?,
            _ => Options::default(),
        };
        Ok(Alter { table, what: What::Changes(tree.operations, options) })
    }

    pub fn add_index(tree: ast::CreateIndex) -> Result<Alter, Error> {
        let plain = !tree.concurrently && !tree.r#async && tree.include.is_empty() && tree.with.is_empty();
        if !plain || tree.nulls_distinct.is_some() || tree.predicate.is_some() {
            return unsupported("the clauses of this CREATE INDEX");
        }
        Ok(Alter { table: table_name(&tree.table_name)?, what: What::AddIndex(Box::new(tree)) })
    }

    pub fn drop_index(name: &ast::ObjectName, table: &ast::ObjectName) -> Result<Alter, Error> {
        let name = names(name)?.join(".");
        Ok(Alter { table: table_name(table)?, what: What::DropIndex(name) })
    }

    pub fn truncate(tree: ast::Truncate) -> Result<Alter, Error> {
        let plain = tree.partitions.is_none() && !tree.if_exists && tree.identity.is_none();
        match &tree.table_names[..] {
            [table] if plain && tree.cascade.is_none() && tree.on_cluster.is_none() => {
                Ok(Alter { table: table_name(&table.name)?, what: What::Truncate })
            }
            _ => unsupported("this form of TRUNCATE"),
        }
    }

    pub fn rename(old: &ast::ObjectName, new: &ast::ObjectName) -> Result<Alter, Error> {
        Ok(Alter { table: table_name(old)?, what: What::Rename(table_name(new)?) })
    }

    pub fn like(old: &ast::ObjectName, name: TableRef, if_not_exists: bool) -> Result<Alter, Error> {
        Ok(Alter { table: table_name(old)?, what: What::Like { name, if_not_exists } })
    }

    pub fn view(view: View) -> Alter {
        Alter { table: view.name.clone(), what: What::View(Box::new(view)) }
    }

    /// The operation to be ordered; `None`: there is nothing to do.
    pub fn planned(
        &self,
        txn: &mut Txn,
        store: &Store,
        vars: &Vars,
        ctx: &Context<'_>,
    ) -> Result<Option<Op>, Error> {
        let What::View(view) = &self.what else {
            let info = txn.table(store, vars.table(&self.table)?)?;
            if info.is_view() && !matches!(self.what, What::Rename(_)) {
                return Err(view::not_of_type(vars, info.name(), "BASE TABLE"));
            }
            return self.op(&info, vars, ctx);
        };
        let shared = RefCell::new(txn);
        let find = |table: &TableRef| shared.borrow_mut().table(store, vars.table(table)?);
        let list = || listed(&mut shared.borrow_mut(), store);
        let place = Place { vars, ctx, tables: Some(&find), list: Some(&list), outer: None };
        let def = view.def(place)?;
        let there = shared.borrow_mut().table(store, &def.name);
        view.op(def, there, vars)
    }

    fn op(&self, info: &TableInfo, vars: &Vars, ctx: &Context<'_>) -> Result<Option<Op>, Error> {
        let cells = (0..info.def.columns.len()).map(Source::Column).collect();
        let mut draft = Altered { draft: Draft::of(info.def.clone()), cells };
        let mut ids_from = 0;
        match &self.what {
            What::Changes(changes, options) => {
                ids_from = options.ids_from;
                if let Some(comment) = &options.comment {
                    draft.draft.def.comment.clone_from(comment);
                }
                // What a foreign key needs may go in the same statement as the key, in any order.
                let goes = |change: &&Change| matches!(change, Change::DropForeignKey { .. });
                let (first, then): (Vec<_>, Vec<_>) = changes.iter().partition(goes);
                for change in first.into_iter().chain(then) {
                    draft.change(change, vars, ctx)?;
                }
            }
            What::AddIndex(tree) => {
                let name = tree.name.as_ref().map(names).transpose()?.map(|names| names.join("."));
                if tree.if_not_exists && name.as_ref().is_some_and(|name| draft.index(name).is_some()) {
                    return Ok(None);
                }
                let parts = draft.draft.parts(&tree.columns)?;
                draft.draft.index(name.as_deref(), parts, tree.unique, comment_of(&tree.index_options))?;
            }
            What::DropIndex(name) => draft.drop_index(name)?,
            What::View(_) => unreachable!("a view is planned by its query"),
            What::Truncate => {
                let def = TableDef { unchecked: !vars.foreign_checks(), ..info.def.clone() };
                let (table, schema_version) = (info.id, info.schema_version);
                return Ok(Some(Op::Alter(op::Alter { table, schema_version, def, cells: None })));
            }
            What::Rename(name) => draft.rename(vars.table(name)?),
            What::Like { name, if_not_exists } => {
                let name = vars.table(name)?.to_owned();
                // As in MySQL, without its foreign keys.
                let foreign = Vec::new();
                let def = TableDef { name, foreign, if_not_exists: *if_not_exists, ..info.def.clone() };
                return Ok(Some(Op::Create(def)));
            }
        }
        draft.keeps_keys(&info.def)?;
        let Altered { draft, cells } = draft;
        let mut def = crate::catalogue::normal(&draft.finished()?)?;
        if def.auto_increment.is_some() {
            def.ids_from = ids_from;
        }
        if def == info.def {
            return Ok(None);
        }
        def.unchecked = !vars.foreign_checks();
        let (table, schema_version) = (info.id, info.schema_version);
        Ok(Some(Op::Alter(op::Alter { table, schema_version, def, cells: Some(cells) })))
    }
}

/// A definition that is being altered, and where the cells of its columns come from.
struct Altered {
    draft: Draft,
    cells: Vec<Source>,
}

fn cant_drop(name: &str) -> Error {
    refuse(1091, "42000", format!("Can't DROP '{name}'; check that column/key exists"))
}

impl Altered {
    fn index(&self, name: &str) -> Option<usize> {
        self.draft.def.indexes.iter().position(|index| index.name.eq_ignore_ascii_case(name))
    }

    fn drop_index(&mut self, name: &str) -> Result<(), Error> {
        if name.eq_ignore_ascii_case("PRIMARY") {
            return self.drop_primary();
        }
        let at = self.index(name).ok_or_else(|| cant_drop(name))?;
        self.draft.def.indexes.remove(at);
        Ok(())
    }

    /// A foreign key's name that MySQL made from the table's follows it.
    fn rename(&mut self, name: &str) {
        let def = &mut self.draft.def;
        let prefix = format!("{}_ibfk_", def.name);
        for key in &mut def.foreign {
            if let Some(number) = key.name.strip_prefix(&prefix) {
                key.name = format!("{name}_ibfk_{number}");
            }
        }
        name.clone_into(&mut def.name);
    }

    fn drop_foreign(&mut self, name: &str) -> Result<(), Error> {
        let at = self.draft.def.foreign.iter().position(|key| key.name.eq_ignore_ascii_case(name));
        self.draft.def.foreign.remove(at.ok_or_else(|| cant_drop(name))?);
        Ok(())
    }

    /// A key's, a foreign key's or a condition's; that of a column only goes with what the column says.
    fn drop_constraint(&mut self, name: &str) -> Result<(), Error> {
        if self.index(name).is_some() {
            return self.drop_index(name);
        }
        let checks = &mut self.draft.def.checks;
        let named = |check: &Check| check.column.is_none() && check.name.eq_ignore_ascii_case(name);
        if let Some(at) = checks.iter().position(named) {
            checks.remove(at);
            return Ok(());
        }
        self.drop_foreign(name)
    }

    /// Refuses to take away the key by which the children of a foreign key are found that stays.
    fn keeps_keys(&self, old: &TableDef) -> Result<(), Error> {
        let def = &self.draft.def;
        for key in def.foreign.iter().filter(|key| old.foreign.iter().any(|was| was.name == key.name)) {
            if foreign::path(def, &key.columns).is_none() {
                let was = old.foreign.iter().find(|was| was.name == key.name).map(|was| &was.columns);
                let name = match was.and_then(|columns| foreign::path(old, columns)) {
                    Some(foreign::Path::Index(at)) => &old.indexes[at].name,
                    _ => crate::apply::PRIMARY,
                };
                let message = format!("Cannot drop index '{name}': needed in a foreign key constraint");
                return Err(refuse(1553, "HY000", message));
            }
        }
        Ok(())
    }

    fn drop_primary(&mut self) -> Result<(), Error> {
        match self.draft.def.primary.is_empty() {
            true => Err(cant_drop("PRIMARY")),
            false => {
                self.draft.def.primary.clear();
                Ok(())
            }
        }
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.draft.def.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    fn known(&self, name: &str) -> Result<usize, Error> {
        let table = &self.draft.def.name;
        let unknown = || refuse(1054, "42S22", format!("Unknown column '{name}' in '{table}'"));
        self.column(name).ok_or_else(unknown)
    }

    fn change(&mut self, change: &Change, vars: &Vars, ctx: &Context<'_>) -> Result<(), Error> {
        match change {
            Change::AddConstraint { constraint, .. } => self.draft.constraint(constraint, vars),
            Change::AddColumn { if_not_exists, column_def: def, column_position, .. } => {
                if self.column(&def.name.value).is_some() {
                    if *if_not_exists {
                        return Ok(());
                    }
                    let message = format!("Duplicate column name '{}'", def.name.value);
                    return Err(refuse(1060, "42S21", message));
                }
                let options = def.options.iter().map(|def| &def.option);
                let spec = column(&def.name, &def.data_type, options, vars, ctx)?;
                self.add(&spec, column_position.as_ref(), vars, ctx)
            }
            Change::DropColumn { column_names, if_exists, .. } => {
                for name in column_names {
                    match self.column(&name.value) {
                        Some(at) => self.drop(at)?,
                        None if *if_exists => {}
                        None => return Err(cant_drop(&name.value)),
                    }
                }
                Ok(())
            }
            Change::ModifyColumn { col_name, data_type, options, column_position } => {
                let spec = column(col_name, data_type, options.iter(), vars, ctx)?;
                self.redefine(&col_name.value, spec, column_position.as_ref(), vars)
            }
            Change::ChangeColumn { old_name, new_name, data_type, options, column_position } => {
                let spec = column(new_name, data_type, options.iter(), vars, ctx)?;
                self.redefine(&old_name.value, spec, column_position.as_ref(), vars)
            }
            Change::RenameColumn { old_column_name, new_column_name } => {
                let at = self.known(&old_column_name.value)?;
                self.draft.def.columns[at].name.clone_from(&new_column_name.value);
                Ok(())
            }
            Change::AlterColumn { column_name, op } => {
                let at = self.known(&column_name.value)?;
                let column = &mut self.draft.def.columns[at];
                match op {
                    AlterColumnOperation::SetDefault { value } => {
                        column.default = default(column, value, vars, ctx)?;
                    }
                    AlterColumnOperation::DropDefault => column.default = None,
                    other => return unsupported(format!("ALTER COLUMN {other}")),
                }
                Ok(())
            }
            Change::DropIndex { name } => self.drop_index(&name.value),
            Change::DropForeignKey { name, .. } => self.drop_foreign(&name.value),
            Change::DropConstraint { name, .. } => self.drop_constraint(&name.value),
            Change::DropPrimaryKey { .. } => self.drop_primary(),
            Change::RenameTable { table_name: name } => {
                let (ast::RenameTableNameKind::As(name) | ast::RenameTableNameKind::To(name)) = name;
                self.rename(vars.table(&table_name(name)?)?);
                Ok(())
            }
            // How an ALTER goes about it, and what others may do meanwhile, is not for the client to say here.
            Change::Algorithm { .. } | Change::Lock { .. } => Ok(()),
            other => unsupported(format!("ALTER TABLE {other}")),
        }
    }

    fn add(
        &mut self,
        spec: &ColumnSpec,
        position: Option<&Position>,
        vars: &Vars,
        ctx: &Context<'_>,
    ) -> Result<(), Error> {
        let value = match (&spec.column.default, spec.column.nullable) {
            (Some(value), _) => value.clone(),
            (None, true) => Value::Null,
            (None, false) if spec.stamped() => Value::Text(now(spec.column.kind, ctx.now.wall)),
            (None, false) => nothing(&spec.column),
        };
        self.draft.def.columns.push(spec.column.clone());
        self.cells.push(Source::Value(value));
        self.draft.keys_of(self.draft.def.columns.len() - 1, spec, vars)?;
        if self.draft.def.auto_increment == Some(self.draft.def.columns.len() - 1) {
            return unsupported("ADD of an AUTO_INCREMENT column");
        }
        self.place(self.draft.def.columns.len() - 1, position)
    }

    fn redefine(
        &mut self,
        old: &str,
        spec: ColumnSpec,
        position: Option<&Position>,
        vars: &Vars,
    ) -> Result<(), Error> {
        let at = self.known(old)?;
        let taken = self.column(&spec.column.name).is_some_and(|other| other != at);
        if taken {
            return Err(refuse(1060, "42S21", format!("Duplicate column name '{}'", spec.column.name)));
        }
        if self.draft.def.auto_increment == Some(at) {
            self.draft.def.auto_increment = None;
        }
        self.draft.def.columns[at] = spec.column.clone();
        self.draft.keys_of(at, &spec, vars)?;
        match position {
            Some(position) => self.place(at, Some(position)),
            None => Ok(()),
        }
    }

    /// Moves a column to its place; without one it stays.
    fn place(&mut self, at: usize, position: Option<&Position>) -> Result<(), Error> {
        let mut order: Vec<usize> = (0..self.cells.len()).filter(|other| *other != at).collect();
        let to = match position {
            None => return Ok(()),
            Some(Position::First) => 0,
            Some(Position::After(name)) => {
                let after = self.known(&name.value)?;
                order.iter().position(|other| *other == after).map_or(order.len(), |found| found + 1)
            }
        };
        order.insert(to, at);
        self.reorder(&order);
        Ok(())
    }

    fn drop(&mut self, at: usize) -> Result<(), Error> {
        if self.cells.len() == 1 {
            let message = "You can't delete all columns with ALTER TABLE; use DROP TABLE instead";
            return Err(refuse(1090, "42000", message));
        }
        let def = &mut self.draft.def;
        if let Some(key) = def.foreign.iter().find(|key| key.columns.contains(&at)) {
            let (column, key) = (&def.columns[at].name, &key.name);
            let message =
                format!("Cannot drop column '{column}': needed in a foreign key constraint '{key}'");
            return Err(refuse(1828, "HY000", message));
        }
        def.primary.retain(|column| *column != at);
        def.stamps.retain(|stamp| stamp.column != at);
        if def.auto_increment == Some(at) {
            def.auto_increment = None;
        }
        def.indexes.iter_mut().for_each(|index| index.parts.retain(|part| part.column != at));
        def.indexes.retain(|index| !index.parts.is_empty());
        def.checks.retain(|check| check.column != Some(at));
        let order: Vec<usize> = (0..self.cells.len()).filter(|other| *other != at).collect();
        self.reorder(&order);
        Ok(())
    }

    /// Puts the columns into another order, in which some may be missing that no key has.
    fn reorder(&mut self, order: &[usize]) {
        let def = &mut self.draft.def;
        let to = |old: usize| order.iter().position(|at| *at == old).expect("a key's column stays");
        def.primary.iter_mut().for_each(|column| *column = to(*column));
        def.indexes
            .iter_mut()
            .flat_map(|index| &mut index.parts)
            .for_each(|part| part.column = to(part.column));
        def.foreign.iter_mut().flat_map(|key| &mut key.columns).for_each(|column| *column = to(*column));
        def.auto_increment = def.auto_increment.map(to);
        def.stamps.iter_mut().for_each(|stamp| stamp.column = to(stamp.column));
        def.checks.iter_mut().for_each(|check| check.column = check.column.map(to));
        def.columns = order.iter().map(|at| def.columns[*at].clone()).collect();
        self.cells = order.iter().map(|at| self.cells[*at].clone()).collect();
    }
}

/// What a column that may not be NULL holds in the rows that were there before it.
fn nothing(column: &Column) -> Value {
    if let Some(members) = column.members.as_ref().filter(|members| !members.set) {
        return Value::Text(members.names[0].clone());
    }
    match column.kind {
        ColumnType::Text { .. } => Value::Text(String::new()),
        ColumnType::Bytes { bytes_max } if column.form == Form::Fixed => {
            Value::Bytes(vec![0; bytes_max as usize])
        }
        ColumnType::Bytes { .. } => Value::Bytes(Vec::new()),
        ColumnType::Int { .. } | ColumnType::UInt { .. } => Value::Int(0),
        ColumnType::Decimal { scale, .. } => Value::Dec(Decimal::new(0, scale)),
        ColumnType::Double | ColumnType::Float => Value::Double(Real::new(0.0).expect("zero is finite")),
        ColumnType::Time => "00:00:00".into(),
        // MySQL has a zero date here, and in strict mode refuses it.
        ColumnType::Date => "0001-01-01".into(),
        ColumnType::DateTime { digits } | ColumnType::Timestamp { digits } => {
            let fraction =
                if digits == 0 { String::new() } else { format!(".{}", "0".repeat(digits.into())) };
            Value::Text(format!("1970-01-01 00:00:00{fraction}"))
        }
    }
}
