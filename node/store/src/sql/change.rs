//! UPDATE and DELETE: first the rows are found, then they are changed, so that a row that a change moves is not met
//! again.

use super::access::access;
use super::compile::{Columns, Compiler};
use super::expr::{Checks, Expr};
use super::insert::{Assigned, assigned, is_default, place_of, stamped};
use super::rows::{Kept, Source};
use super::select::{Direction, bound, push_sort_key};
use super::tree::ChangeTree;
use crate::error::Error;
use crate::request::{Done, StepResult};
use crate::row;
use crate::session::{Env, Turn};
use crate::sql::expr::Row;
use crate::table::TableInfo;
use crate::txn::Walk;
use crate::value::Value;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// An update or delete under way.
#[derive(Debug)]
pub struct Change {
    info: Arc<TableInfo>,
    source: Source,
    filter: Option<Expr>,
    /// `None`: rows are deleted.
    set: Option<Vec<(usize, Assigned)>>,
    order: Vec<(Expr, Direction)>,
    limit: u64,
    /// Key and row by sort key and number.
    #[allow(clippy::type_complexity)]
    found: BTreeMap<(Vec<u8>, u64), (Vec<u8>, Vec<Value>)>,
    /// Rows found so far.
    count: u64,
    searching: bool,
    matched: u64,
    changed: u64,
    kept: Kept,
    checks: Checks,
}

impl Change {
    pub fn new(tree: &ChangeTree, info: Arc<TableInfo>, env: &Env<'_>) -> Result<Change, Error> {
        let names = Columns { database: &env.vars.home, table: &tree.table.alias, heads: &info.heads };
        let compiler = |clause| Compiler::new(env.vars, env.ctx, Some(names), clause);
        let filter = tree.filter.as_ref().map(|tree| compiler("where clause").compile(tree)).transpose()?;
        let mut order = Vec::new();
        for (tree, direction) in &tree.order {
            order.push((compiler("order clause").compile(tree)?, *direction));
        }
        let set = match &tree.set {
            None => None,
            Some(list) => {
                let mut set = Vec::with_capacity(list.len());
                for (name, tree) in list {
                    let at = place_of(&info, name, "field list")?;
                    let value = if is_default(tree) {
                        Assigned::Default
                    } else {
                        Assigned::Of(compiler("field list").compile(tree)?)
                    };
                    set.push((at, value));
                }
                Some(set)
            }
        };
        let limit = bound(&tree.limit, u64::MAX, &mut compiler("limit"))?;
        Ok(Change {
            source: Source::new(Arc::clone(&info), access(&info, filter.as_ref()), false),
            info,
            filter,
            set,
            order,
            limit,
            found: BTreeMap::new(),
            count: 0,
            searching: true,
            matched: 0,
            changed: 0,
            kept: Kept::default(),
            checks: Checks::strict(),
        })
    }

    pub fn run(&mut self, env: &mut Env<'_>) -> Turn {
        match self.slice(env) {
            Ok(true) => {
                self.report(env);
                Turn::Done(Ok(()))
            }
            Ok(false) => Turn::Yield,
            Err(error) => Turn::Done(Err(error)),
        }
    }

    fn report(&mut self, env: &mut Env<'_>) {
        let found_rows = self.set.is_some() && env.vars.client.found_rows;
        let affected = if found_rows { self.matched } else { self.changed };
        let info = if self.set.is_some() {
            let warnings = self.checks.warnings.borrow().len();
            format!("Rows matched: {}  Changed: {}  Warnings: {warnings}", self.matched, self.changed)
        } else {
            String::new()
        };
        env.vars.warnings = self.checks.warnings.take();
        env.vars.row_count = affected as i64;
        env.results.push(StepResult::Done(Done { affected, insert_id: 0, info }));
    }

    /// Goes on; whether it is done.
    fn slice(&mut self, env: &mut Env<'_>) -> Result<bool, Error> {
        if self.searching && self.limit > 0 {
            let Change { source, filter, order, limit, found, count, kept, checks, .. } = self;
            let walk = source.walk(env, &mut |key, bytes| {
                checks.next_row();
                let cells = row::kept(bytes);
                let row = Row::of(&cells);
                if let Some(filter) = filter
                    && !filter.chooses(row, checks)?
                {
                    return Ok(ControlFlow::Continue(()));
                }
                let mut sort = Vec::new();
                for (expr, direction) in order.iter() {
                    push_sort_key(&mut sort, &expr.eval(row, checks)?, *direction);
                }
                kept.row(&cells)?;
                kept.bytes(key.len() as u64 + 64)?;
                *count += 1;
                found.insert((sort, *count), (key.to_vec(), cells));
                if order.is_empty() && found.len() as u64 == *limit {
                    return Ok(ControlFlow::Break(()));
                }
                if found.len() as u64 > *limit {
                    found.pop_last();
                }
                Ok(ControlFlow::Continue(()))
            })?;
            if walk == Walk::Yield {
                return Ok(false);
            }
        }
        self.searching = false;
        while let Some((_, (key, cells))) = self.found.pop_first() {
            self.matched += 1;
            self.changed += u64::from(self.one(env, key, cells)?);
            *env.budget = env.budget.saturating_sub(1);
            if *env.budget == 0 && !self.found.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Changes one row; whether that changed anything.
    fn one(&mut self, env: &mut Env<'_>, key: Vec<u8>, mut cells: Vec<Value>) -> Result<bool, Error> {
        let Some(set) = &self.set else { return env.txn.delete(env.store, &self.info, key) };
        self.checks.next_row();
        let before = (!self.info.def.stamps.is_empty()).then(|| cells.clone());
        // From left to right, each seeing what those before it made, as MySQL has it.
        for (at, value) in set {
            cells[*at] = assigned(&self.info, *at, value, &cells, &self.checks)?;
        }
        if let Some(before) = before {
            stamped(&self.info, &before, &mut cells, set, env.ctx.now.wall);
        }
        env.txn.replace(env.store, &self.info, key, &cells)
    }
}
