//! UPDATE and DELETE: first the rows are found, then they are changed, so that a row that a change moves is not met
//! again.

use super::access::access;
use super::addition::{addition, updated};
use super::compile::{Columns, Compiler, Gathered};
use super::expr::{Checks, Expr};
use super::from::{bound, by_member};
use super::insert::{Assigned, assigned, is_default, place_of, stamped};
use super::out::{Direction, push_sort_key};
use super::rows::{Kept, Source};
use super::select::Place;
use super::sub::{Answered, Asked, settle};
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
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The rows that are to be changed.
#[derive(Debug, Default)]
struct Found {
    /// Key, row and what the subqueries answered about it, by sort key and number.
    #[allow(clippy::type_complexity)]
    rows: BTreeMap<(Vec<u8>, u64), (Vec<u8>, Vec<Value>, Vec<Answered>)>,
    /// Rows found so far.
    count: u64,
    kept: Kept,
}

/// Rows that wait for subqueries, at a time.
const BATCH: usize = 64;

/// An update or delete under way.
#[derive(Debug)]
pub struct Change {
    pub(super) info: Arc<TableInfo>,
    pub(super) asked: Asked,
    /// Rows that were looked at and wait for subqueries, with their keys.
    waiting: VecDeque<(Vec<u8>, Vec<Value>)>,
    source: Option<Source>,
    pub(super) filter: Option<Expr>,
    /// `None`: rows are deleted.
    set: Option<Vec<(usize, Assigned)>>,
    order: Vec<(Expr, Direction)>,
    limit: u64,
    found: Found,
    searching: bool,
    /// Whether all rows were looked at.
    walked: bool,
    matched: u64,
    changed: u64,
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
            let expr = compiler("order clause").compile(tree)?;
            order.push((by_member(expr, &info.heads), *direction));
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
            asked: Asked::new(gathered.into_inner().subs),
            waiting: VecDeque::new(),
            source: None,
            info,
            filter,
            set,
            order,
            limit,
            found: Found::default(),
            searching: true,
            walked: false,
            matched: 0,
            changed: 0,
            checks: Checks::strict(),
        })
    }

    pub fn deletes(&self) -> bool {
        self.set.is_none()
    }

    pub fn run(&mut self, env: &mut Env<'_>) -> Turn {
        if env.alone
            && self.source.is_none()
            && self.limit == u64::MAX
            && let Some(set) = &self.set
            && let Some(add) = addition(&self.info, self.filter.as_ref(), set, env.ctx.now.wall)
            && !add.by.iter().any(|(at, _)| env.store.is_named(&self.info, *at))
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
        if self.searching && self.limit > 0 && !self.search(env)? {
            return Ok(false);
        }
        self.searching = false;
        loop {
            if !env.cascade()? {
                return Ok(false);
            }
            let Some((_, (key, cells, answers))) = self.found.rows.pop_first() else { return Ok(true) };
            self.matched += 1;
            self.changed += u64::from(self.one(env, key, cells, &answers)?);
            *env.budget = env.budget.saturating_sub(1);
            if *env.budget == 0 && !self.found.rows.is_empty() {
                return Ok(false);
            }
        }
    }

    /// Looks for the rows that are to be changed; whether all were found.
    fn search(&mut self, env: &mut Env<'_>) -> Result<bool, Error> {
        let asks = self.asked.correlated();
        loop {
            while let Some((_, cells)) = self.waiting.front() {
                if !self.asked.ask(env, cells)? {
                    return Ok(false);
                }
                let Some((key, cells)) = self.waiting.pop_front() else { break };
                if self.choose(&key, cells)?.is_break() {
                    return Ok(true);
                }
            }
            if self.walked {
                return Ok(true);
            }
            let mut source = self.source.take().expect("it was settled before");
            let walked = source.walk(env, &mut |key, bytes| {
                if !asks {
                    return self.choose(key, row::kept(bytes));
                }
                self.waiting.push_back((key.to_vec(), row::kept(bytes)));
                Ok(if self.waiting.len() == BATCH {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            });
            self.source = Some(source);
            match walked? {
                Walk::Yield => return Ok(false),
                Walk::Stopped if asks => {}
                Walk::End | Walk::Stopped => self.walked = true,
            }
        }
    }

    /// Keeps a row that is chosen; whether there may be more.
    fn choose(&mut self, key: &[u8], cells: Vec<Value>) -> Result<ControlFlow<()>, Error> {
        let Change { filter, order, limit, found, checks, asked, .. } = self;
        checks.next_row();
        let row = Row { subs: &asked.answers, ..Row::of(&cells) };
        if let Some(filter) = filter
            && !filter.chooses(row, checks)?
        {
            return Ok(ControlFlow::Continue(()));
        }
        let mut sort = Vec::new();
        for (expr, direction) in order.iter() {
            push_sort_key(&mut sort, &expr.eval(row, checks)?, *direction);
        }
        found.kept.row(&cells)?;
        found.kept.bytes(key.len() as u64 + 64 * (1 + asked.answers.len() as u64))?;
        found.count += 1;
        found.rows.insert((sort, found.count), (key.to_vec(), cells, asked.answers.clone()));
        if order.is_empty() && found.rows.len() as u64 == *limit {
            return Ok(ControlFlow::Break(()));
        }
        if found.rows.len() as u64 > *limit {
            found.rows.pop_last();
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Runs the subqueries, whose answers hold for all rows, and finds where to look. Whether it is done.
    fn settle(&mut self, env: &mut Env<'_>) -> Result<bool, Error> {
        if !self.asked.settle(env)? {
            return Ok(false);
        }
        let set = self.set.iter_mut().flatten().filter_map(|(_, value)| match value {
            Assigned::Of(expr) => Some(expr),
            Assigned::Default => None,
        });
        let order = self.order.iter_mut().map(|(expr, _)| expr);
        self.filter.iter_mut().chain(set).chain(order).for_each(|expr| settle(expr, &self.asked.answers));
        let access = access(&self.info, self.filter.as_ref());
        self.source = Some(Source::new(Arc::clone(&self.info), access, false));
        Ok(true)
    }

    /// Changes one row; whether that changed anything.
    fn one(
        &mut self,
        env: &mut Env<'_>,
        key: Vec<u8>,
        mut cells: Vec<Value>,
        answers: &[Answered],
    ) -> Result<bool, Error> {
        let Some(set) = &self.set else { return env.txn.delete(env.store, &self.info, key) };
        self.checks.next_row();
        let before = (!self.info.def.stamps.is_empty()).then(|| cells.clone());
        // From left to right, each seeing what those before it made, as MySQL has it.
        for (at, value) in set {
            cells[*at] = {
                let row = Row { subs: answers, ..Row::of(&cells) };
                assigned(&self.info, *at, value, row, &self.checks)?
            };
        }
        if let Some(before) = before {
            stamped(&self.info, &before, &mut cells, set, env.ctx.now.wall);
        }
        env.txn.replace(env.store, &self.info, key, &cells)
    }
}
