//! UPDATE and DELETE: first the rows are found, then they are changed, so that a row that a change moves is not met
//! again.

use super::access::access;
use super::addition::{addition, updated};
use super::compile::{Columns, Compiler, Gathered, unsupported};
use super::expr::{Checks, Expr};
use super::from::bound;
use super::insert::{Assigned, assigned, is_default, place_of, stamped};
use super::out::{Direction, push_sort_key};
use super::rows::{Kept, Source};
use super::select::Place;
use super::sub::{Answered, Sub, settle};
use super::tree::ChangeTree;
use crate::error::Error;
use crate::op::Op;
use crate::request::{Done, StepResult};
use crate::row;
use crate::session::{Env, Turn};
use crate::sql::expr::Row;
use crate::table::TableInfo;
use crate::txn::Walk;
use crate::value::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// An update or delete under way.
#[derive(Debug)]
pub struct Change {
    info: Arc<TableInfo>,
    /// Until they have run.
    subs: Vec<Sub>,
    answers: Vec<Answered>,
    source: Option<Source>,
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
    pub fn new(tree: &ChangeTree, info: Arc<TableInfo>, place: Place<'_>) -> Result<Change, Error> {
        let names = Columns { database: &place.vars.home, table: &tree.table.alias, heads: &info.heads };
        let gathered = RefCell::new(Gathered::default());
        let compiler = |clause| {
            let mut compiler = Compiler::new(place.vars, place.ctx, Some(names), clause);
            (compiler.tables, compiler.list, compiler.gathered) = (place.tables, place.list, Some(&gathered));
            compiler
        };
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
        let settling = gathered.into_inner().subs;
        if settling.iter().any(|sub| sub.correlated) {
            return unsupported("subqueries of UPDATE and DELETE that look at the row");
        }
        Ok(Change {
            subs: settling,
            source: None,
            answers: Vec::new(),
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
        if env.alone
            && self.source.is_none()
            && self.limit == u64::MAX
            && let Some(set) = &self.set
            && let Some(add) = addition(&self.info, self.filter.as_ref(), set, env.ctx.now.wall)
        {
            return Turn::Order(Op::Add(add).encode());
        }
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
        let warnings = self.checks.warnings.borrow().len();
        env.vars.warnings = self.checks.warnings.take();
        env.results.push(if self.set.is_some() {
            updated(self.matched, self.changed, warnings, env.vars)
        } else {
            env.vars.row_count = self.changed as i64;
            StepResult::Done(Done { affected: self.changed, ..Done::default() })
        });
    }

    /// Goes on; whether it is done.
    fn slice(&mut self, env: &mut Env<'_>) -> Result<bool, Error> {
        if self.source.is_none() && !self.settle(env)? {
            return Ok(false);
        }
        if self.searching && self.limit > 0 {
            let Change { source, filter, order, limit, found, count, kept, checks, answers, .. } = self;
            let source = source.as_mut().expect("it was settled before");
            let walk = source.walk(env, &mut |key, bytes| {
                checks.next_row();
                let cells = row::kept(bytes);
                let row = Row { subs: answers, ..Row::of(&cells) };
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

    /// Runs the subqueries, whose answers hold for all rows, and finds where to look. Whether it is done.
    fn settle(&mut self, env: &mut Env<'_>) -> Result<bool, Error> {
        while let Some(sub) = self.subs.get_mut(self.answers.len()) {
            let Some(rows) = sub.select.rows(env)? else { return Ok(false) };
            self.answers.push(sub.answered(rows)?);
        }
        let set = self.set.iter_mut().flatten().filter_map(|(_, value)| match value {
            Assigned::Of(expr) => Some(expr),
            Assigned::Default => None,
        });
        let order = self.order.iter_mut().map(|(expr, _)| expr);
        self.filter.iter_mut().chain(set).chain(order).for_each(|expr| settle(expr, &self.answers));
        let access = access(&self.info, self.filter.as_ref());
        self.source = Some(Source::new(Arc::clone(&self.info), access, false));
        Ok(true)
    }

    /// Changes one row; whether that changed anything.
    fn one(&mut self, env: &mut Env<'_>, key: Vec<u8>, mut cells: Vec<Value>) -> Result<bool, Error> {
        let Some(set) = &self.set else { return env.txn.delete(env.store, &self.info, key) };
        self.checks.next_row();
        let before = (!self.info.def.stamps.is_empty()).then(|| cells.clone());
        // From left to right, each seeing what those before it made, as MySQL has it.
        for (at, value) in set {
            cells[*at] = {
                let row = Row { subs: &self.answers, ..Row::of(&cells) };
                assigned(&self.info, *at, value, row, &self.checks)?
            };
        }
        if let Some(before) = before {
            stamped(&self.info, &before, &mut cells, set, env.ctx.now.wall);
        }
        env.txn.replace(env.store, &self.info, key, &cells)
    }
}
