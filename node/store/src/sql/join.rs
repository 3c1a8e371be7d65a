//! Where the rows of a SELECT come from: one table, or several, each looked through for every row of those before it.
//!
//! Intuition: an odometer. The last wheel turns through the rows that fit the row so far; when it is round, the one
//! before it moves on by one. A LEFT JOIN's wheel that found nothing shows NULLs once.
//! Invariant: it stops between any two rows and goes on later; a condition that knows all its columns at a wheel is
//! asked there, and never earlier.
//! What it is not: an optimizer. Tables are joined in the order in which they are written; for each the narrowest key
//! is chosen anew for every row before it.

use super::access::{Access, access};
use super::compound::Union;
use super::datum::Datum;
use super::expr::{Checks, Expr, Row};
use super::from::columns_in;
use super::rows::Source;
use super::sub::Answered;
use crate::error::Error;
use crate::row;
use crate::session::Env;
use crate::table::TableInfo;
use crate::txn::Walk;
use crate::value::Value;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Rows that are taken from a table at a time.
const BATCH: usize = 64;

/// What one wheel turns through.
#[derive(Debug, Clone)]
pub enum From {
    Table(Arc<TableInfo>),
    /// A derived table; its rows once it has run.
    Derived(Box<Union>, Option<Arc<Vec<Vec<Value>>>>),
    /// Rows that were made when it was planned.
    Given(Arc<Vec<Vec<Value>>>),
}

#[derive(Debug, Clone)]
pub struct Level {
    pub from: From,
    /// Where its columns begin in a row, and how many they are.
    pub offset: usize,
    pub width: usize,
    /// Rows before it stay, with NULLs, if it has none for them.
    pub outer: bool,
    /// Whether a row of it belongs to the row before it.
    pub on: Option<Expr>,
    /// What can be asked of the row by now.
    pub post: Option<Expr>,
    source: Option<Source>,
    /// The next row of a derived table.
    at: usize,
    buffer: VecDeque<Vec<Value>>,
    ended: bool,
    matched: bool,
}

impl Level {
    pub fn new(from: From, offset: usize, width: usize, outer: bool, on: Option<Expr>) -> Level {
        let (source, buffer) = (None, VecDeque::new());
        Level {
            from,
            offset,
            width,
            outer,
            on,
            post: None,
            source,
            at: 0,
            buffer,
            ended: false,
            matched: false,
        }
    }

    /// The conditions that its rows must fulfil, as far as they may be looked for by them.
    fn keys(&self) -> impl Iterator<Item = &Expr> {
        let post = self.post.iter().filter(|_| !self.outer);
        self.on.iter().chain(post).flat_map(|expr| match expr {
            Expr::And(parts) => parts.iter(),
            one => std::slice::from_ref(one).iter(),
        })
    }

    /// Whether a row of it must fulfil something.
    pub fn asks_row(&self) -> bool {
        self.on.is_some() || self.post.is_some()
    }

    fn open(&mut self, before: &[Value], lock: bool) {
        self.buffer.clear();
        (self.at, self.ended, self.matched) = (0, false, false);
        let From::Table(info) = &self.from else { return };
        self.source = Some(Source::new(Arc::clone(info), self.access(info, before), lock));
    }

    /// Where its rows are looked for that belong to a row before it.
    pub fn access(&self, info: &TableInfo, before: &[Value]) -> Access {
        let keys: Vec<Expr> = self.keys().map(|key| bound(key, before, self.offset)).collect();
        access(info, (!keys.is_empty()).then_some(Expr::And(keys)).as_ref())
    }

    /// Takes more rows; `false`: the budget is spent.
    fn fill(&mut self, env: &mut Env<'_>) -> Result<bool, Error> {
        let Level { from, source, at, buffer, ended, .. } = self;
        match from {
            From::Derived(..) | From::Given(_) => {
                let rows = match from {
                    From::Given(rows) | From::Derived(_, Some(rows)) => rows,
                    _ => unreachable!("a derived table has run before it is read"),
                };
                buffer.extend(rows.iter().skip(*at).take(BATCH).cloned());
                *at += buffer.len();
                *ended = *at >= rows.len();
                Ok(true)
            }
            From::Table(_) => {
                let source = source.as_mut().expect("a level is opened before it is read");
                let walk = source.walk(env, &mut |_, bytes| {
                    buffer.push_back(row::kept(bytes));
                    Ok(if buffer.len() == BATCH { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
                })?;
                *ended = walk == Walk::End;
                Ok(walk != Walk::Yield || !buffer.is_empty())
            }
        }
    }
}

/// A condition with the columns before `offset` known, the others counted from there.
fn bound(expr: &Expr, before: &[Value], offset: usize) -> Expr {
    let mut expr = expr.clone();
    expr.change(&mut |part| {
        if let Expr::Column(at) = part {
            *part = match at.checked_sub(offset) {
                Some(own) => Expr::Column(own),
                None => Expr::Const(Datum::of(&before[*at]).into_owned()),
            };
        }
    });
    expr
}

/// What a turn led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// [`Join::row`] is the next row.
    Row,
    Yield,
    End,
}

#[derive(Debug, Clone)]
pub struct Join {
    pub levels: Vec<Level>,
    pub row: Vec<Value>,
    depth: usize,
    begun: bool,
    pub lock: bool,
}

impl Join {
    pub fn new(levels: Vec<Level>, lock: bool) -> Join {
        Join { levels, row: Vec::new(), depth: 0, begun: false, lock }
    }

    /// Each condition is asked as soon as all its columns are there; those with subqueries, which come second here,
    /// at last.
    pub fn spread(&self, parts: Vec<Expr>) -> (Vec<Vec<Expr>>, Vec<Expr>) {
        let mut rest = Vec::new();
        let mut posts: Vec<Vec<Expr>> = self.levels.iter().map(|_| Vec::new()).collect();
        for part in parts {
            if part.asks() {
                rest.push(part);
                continue;
            }
            let needs = columns_in(std::iter::once(&part));
            let at = self.levels.iter().position(|level| level.offset + level.width >= needs);
            posts[at.unwrap_or(self.levels.len() - 1)].push(part);
        }
        (posts, rest)
    }

    pub fn next(&mut self, env: &mut Env<'_>, checks: &Checks, subs: &[Answered]) -> Result<Turned, Error> {
        if !self.begun {
            self.begun = true;
            self.levels[0].open(&[], self.lock);
        }
        loop {
            if *env.budget == 0 {
                return Ok(Turned::Yield);
            }
            let last = self.depth + 1 == self.levels.len();
            let level = &mut self.levels[self.depth];
            self.row.truncate(level.offset);
            match level.buffer.pop_front() {
                Some(cells) => {
                    *env.budget -= 1;
                    self.row.extend(cells);
                    checks.next_row();
                    if !chosen(&level.on, &self.row, checks, subs)? {
                        continue;
                    }
                    level.matched = true;
                }
                None if !level.ended => {
                    if !level.fill(env)? {
                        return Ok(Turned::Yield);
                    }
                    continue;
                }
                None if level.outer && !level.matched => {
                    level.matched = true;
                    self.row.extend(std::iter::repeat_n(Value::Null, level.width));
                }
                None if self.depth == 0 => return Ok(Turned::End),
                None => {
                    self.depth -= 1;
                    continue;
                }
            }
            if !chosen(&level.post, &self.row, checks, subs)? {
                continue;
            }
            if last {
                return Ok(Turned::Row);
            }
            self.depth += 1;
            self.levels[self.depth].open(&self.row, self.lock);
        }
    }
}

fn chosen(
    condition: &Option<Expr>,
    cells: &[Value],
    checks: &Checks,
    subs: &[Answered],
) -> Result<bool, Error> {
    let row = Row { subs, ..Row::of(cells) };
    condition.as_ref().map_or(Ok(true), |condition| condition.chooses(row, checks))
}
