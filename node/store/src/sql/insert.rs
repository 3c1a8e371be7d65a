//! INSERT and REPLACE: one row after the other, each with an id of this node's class where one is asked for.

use super::compile::{Columns, Compiler};
use super::convert::{default_of, into_column, now};
use super::datum::Datum;
use super::expr::{Checks, Expr, Row};
use super::select::Select;
use super::tree::{InsertTree, OnDuplicate};
use crate::error::Error;
use crate::key;
use crate::request::{Done, StepResult};
use crate::row;
use crate::session::{Env, Turn};
use crate::table::TableInfo;
use crate::value::Value;
use plait_base::Wall;
use sqlparser::ast::Expr as Ast;
use std::sync::Arc;

/// An insert under way.
#[derive(Debug)]
pub struct Insert {
    pub(super) info: Arc<TableInfo>,
    /// The place in the table of each value of a row.
    columns: Vec<usize>,
    /// What happens to a row that is there; `None`: nothing special.
    on_duplicate: Option<Vec<(usize, Assigned)>>,
    /// What gives the rows, until it has run; and its rows.
    pub(super) select: Option<Box<Select>>,
    given: Vec<Vec<Value>>,
    /// The next row.
    at: usize,
    done: Done,
    /// The id that the last row brought along, if it drew none.
    explicit: i64,
    checks: Checks,
    duplicates: u64,
}

/// A value that an assignment gives.
#[derive(Debug)]
pub enum Assigned {
    Of(Expr),
    Default,
}

/// Whether a tree is the word `DEFAULT`.
pub fn is_default(tree: &Ast) -> bool {
    matches!(tree, Ast::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("DEFAULT"))
}

/// The place of a column that is named in a list.
pub fn place_of(info: &TableInfo, name: &str, clause: &str) -> Result<usize, Error> {
    info.column(name).ok_or_else(|| Error::NoColumn { column: name.into(), place: clause.into() })
}

fn count_differs(row: usize) -> Error {
    Error::Sql {
        code: 1136,
        state: "21S01",
        message: format!("Column count doesn't match value count at row {row}"),
    }
}

impl Insert {
    pub fn new(tree: &InsertTree, info: Arc<TableInfo>, env: &Env<'_>) -> Result<Insert, Error> {
        let mut columns = Vec::new();
        for name in &tree.columns {
            let at = place_of(&info, name, "field list")?;
            if columns.contains(&at) {
                let message = format!("Column '{name}' specified twice");
                return Err(Error::Sql { code: 1110, state: "42000", message });
            }
            columns.push(at);
        }
        // `INSERT INTO t () VALUES ()` is a row of defaults.
        let all_default =
            tree.columns.is_empty() && tree.rows.iter().all(Vec::is_empty) && tree.source.is_none();
        if tree.columns.is_empty() && !all_default {
            columns = (0..info.def.columns.len()).collect();
        }
        if let Some(at) = tree.rows.iter().position(|row| row.len() != columns.len()) {
            return Err(count_differs(at + 1));
        }
        let on_duplicate = match &tree.on_duplicate {
            OnDuplicate::Update(list) => {
                let names =
                    Columns { database: &env.vars.home, table: &tree.table.alias, heads: &info.heads };
                let mut compiler = Compiler::new(env.vars, env.ctx, Some(names), "field list");
                compiler.new_row = Some(info.def.columns.len());
                let mut set = Vec::new();
                for (name, tree) in list {
                    let value = if is_default(tree) {
                        Assigned::Default
                    } else {
                        Assigned::Of(compiler.compile(tree)?)
                    };
                    set.push((place_of(&info, name, "field list")?, value));
                }
                Some(set)
            }
            _ => None,
        };
        Ok(Insert {
            info,
            columns,
            on_duplicate,
            select: None,
            given: Vec::new(),
            at: 0,
            done: Done::default(),
            explicit: 0,
            checks: Checks::strict(),
            duplicates: 0,
        })
    }

    /// Rows come from this query.
    pub fn of(mut self, select: Select) -> Result<Insert, Error> {
        if select.heads().len() != self.columns.len() {
            return Err(count_differs(1));
        }
        self.select = Some(Box::new(select));
        Ok(self)
    }

    pub fn run(&mut self, tree: &InsertTree, env: &mut Env<'_>) -> Turn {
        if let Some(select) = &mut self.select {
            match select.rows(env) {
                Ok(Some(rows)) => (self.select, self.given) = (None, rows),
                Ok(None) => return Turn::Yield,
                Err(error) => return Turn::Done(Err(error)),
            }
        }
        let records = tree.rows.len() + self.given.len();
        loop {
            match env.cascade() {
                Ok(true) => {}
                Ok(false) => return Turn::Yield,
                Err(error) => return Turn::Done(Err(error)),
            }
            if self.at == records {
                break;
            }
            if *env.budget == 0 {
                return Turn::Yield;
            }
            *env.budget -= 1;
            match self.row(tree, env) {
                Ok(true) => self.at += 1,
                Ok(false) => return env.wants_ids.take().map_or(Turn::Yield, Turn::Ids),
                Err(error) => return Turn::Done(Err(error)),
            }
        }
        if self.done.insert_id != 0 {
            env.vars.last_insert_id = self.done.insert_id;
        } else {
            self.done.insert_id = self.explicit;
        }
        if records > 1 || tree.source.is_some() {
            let warnings = self.checks.warnings.borrow().len();
            self.done.info =
                format!("Records: {records}  Duplicates: {}  Warnings: {warnings}", self.duplicates);
        }
        env.vars.warnings = self.checks.warnings.take();
        env.vars.row_count = self.done.affected as i64;
        env.results.push(StepResult::Done(std::mem::take(&mut self.done)));
        Turn::Done(Ok(()))
    }

    /// Inserts the next row; `false`: it waits for an id, or for what follows from the rows that it replaces.
    fn row(&mut self, tree: &InsertTree, env: &mut Env<'_>) -> Result<bool, Error> {
        self.checks.next_row();
        let info = Arc::clone(&self.info);
        let auto = info.def.auto_increment;
        let mut cells: Vec<Option<Value>> = vec![None; info.def.columns.len()];
        if let Some(given) = self.given.get(self.at) {
            for (at, value) in self.columns.iter().zip(given) {
                cells[*at] = Some(into_column(&info.def.columns[*at], Datum::of(value))?);
            }
        }
        for (at, tree) in self.columns.iter().zip(tree.rows.get(self.at).into_iter().flatten()) {
            if is_default(tree) {
                continue;
            }
            let column = &info.def.columns[*at];
            let mut compiler = Compiler::new(env.vars, env.ctx, None, "field list");
            let expr = compiler.compile(tree)?;
            cells[*at] = Some(into_column(column, expr.eval(Row::EMPTY, &self.checks)?)?);
        }
        let mut row = Vec::with_capacity(cells.len());
        for (at, (cell, column)) in cells.into_iter().zip(&info.def.columns).enumerate() {
            row.push(match cell {
                Some(value) => value,
                None if info.def.stamps.iter().any(|stamp| stamp.column == at && stamp.default) => {
                    Value::Text(now(column.kind, env.ctx.now.wall))
                }
                None => default_of(column, auto == Some(at))?,
            });
        }
        let mut drew = 0;
        if let Some(at) = auto {
            match row[at] {
                Value::Null | Value::Int(0) => {
                    let Some(id) = env.next_id(&info) else { return Ok(false) };
                    (row[at], drew) = (Value::Int(id), id);
                    self.explicit = 0;
                }
                Value::Int(id) => self.explicit = id,
                _ => {}
            }
        }
        // A key is made from a row of the table's shape, so that is checked first.
        row::check(&info.def, &row)?;
        let key = if info.hidden_key() {
            let Some(id) = env.next_id(&info) else { return Ok(false) };
            key::encode(&[Value::Int(id)])
        } else {
            info.key_of(&row)
        };
        let inserted = match (&tree.on_duplicate, &self.on_duplicate) {
            (OnDuplicate::Replace, _) => {
                // As MySQL counts it: the rows that went and the row that came.
                for (_, rival) in env.txn.rivals(env.store, &info, &[&key], &row)? {
                    let gone = env.txn.delete(env.store, &info, rival)?;
                    self.done.affected += u64::from(gone);
                    self.duplicates += u64::from(gone);
                }
                // Who has children is no row that changes, but one that goes.
                if env.txn.has_children(env.store, &info) {
                    let gone = env.txn.delete(env.store, &info, key.clone())?;
                    self.done.affected += u64::from(gone);
                    self.duplicates += u64::from(gone);
                    if !env.cascade()? {
                        return Ok(false);
                    }
                }
                let there = env.txn.put(env.store, &info, key, &row)?;
                self.done.affected += 1 + u64::from(there);
                self.duplicates += u64::from(there);
                true
            }
            (OnDuplicate::Update(_), Some(_)) => {
                // The row that is in the way: of the primary key, else of the first unique one.
                let mut there = env.txn.get_to_write(env.store, &info, &key)?.map(|old| (key.clone(), old));
                if there.is_none() {
                    let rival = env.txn.rivals(env.store, &info, &[&key], &row)?.into_iter().next();
                    if let Some((_, rival)) = rival {
                        there = env.txn.get_to_write(env.store, &info, &rival)?.map(|old| (rival, old));
                    }
                }
                match there {
                    None => {
                        env.txn.insert(env.store, &info, key, &row)?;
                        self.done.affected += 1;
                        true
                    }
                    Some((key, old)) => {
                        self.update_there(env, &info, key, row::kept(&old), row)?;
                        false
                    }
                }
            }
            (OnDuplicate::Ignore, _) => match env.txn.insert(env.store, &info, key, &row) {
                Ok(()) => {
                    self.done.affected += 1;
                    true
                }
                Err(error @ Error::DuplicateKey { .. }) => {
                    self.checks.warn("Warning", 1062, error.to_string());
                    self.duplicates += 1;
                    false
                }
                Err(error @ (Error::NoParent { .. } | Error::Check { .. })) => {
                    self.checks.warn("Warning", error.code().0, error.mysql_text(&env.vars.home));
                    false
                }
                Err(error) => return Err(error),
            },
            _ => {
                env.txn.insert(env.store, &info, key, &row)?;
                self.done.affected += 1;
                true
            }
        };
        if inserted && drew != 0 && self.done.insert_id == 0 {
            self.done.insert_id = drew;
        }
        Ok(true)
    }

    /// `ON DUPLICATE KEY UPDATE`: 2 if the row was changed, 0 if not, 1 for clients that count what was found.
    fn update_there(
        &mut self,
        env: &mut Env<'_>,
        info: &Arc<TableInfo>,
        key: Vec<u8>,
        old: Vec<Value>,
        new: Vec<Value>,
    ) -> Result<(), Error> {
        let set = self.on_duplicate.as_ref().expect("it was asked for");
        let width = old.len();
        let before = old.clone();
        let mut cells = old;
        cells.extend(new);
        for (at, value) in set {
            cells[*at] = assigned(info, *at, value, Row::of(&cells), &self.checks)?;
        }
        cells.truncate(width);
        stamped(info, &before, &mut cells, set, env.ctx.now.wall);
        let changed = env.txn.replace(env.store, info, key, &cells)?;
        self.done.affected += if changed { 2 } else { u64::from(env.vars.client.found_rows) };
        self.duplicates += 1;
        Ok(())
    }
}

/// `ON UPDATE CURRENT_TIMESTAMP`: a row that changes says when, unless the statement says it.
pub fn stamped(
    info: &TableInfo,
    before: &[Value],
    cells: &mut [Value],
    set: &[(usize, Assigned)],
    wall: Wall,
) {
    if before == cells {
        return;
    }
    for stamp in info.def.stamps.iter().filter(|stamp| stamp.on_update) {
        if !set.iter().any(|(at, _)| *at == stamp.column) {
            cells[stamp.column] = Value::Text(now(info.def.columns[stamp.column].kind, wall));
        }
    }
}

/// What an assignment makes of a column, over the row as it is by now.
pub fn assigned(
    info: &TableInfo,
    at: usize,
    value: &Assigned,
    row: Row<'_>,
    checks: &Checks,
) -> Result<Value, Error> {
    let column = &info.def.columns[at];
    match value {
        Assigned::Default => default_of(column, false),
        Assigned::Of(expr) => {
            let datum: Datum = expr.eval(row, checks)?;
            into_column(column, datum)
        }
    }
}
