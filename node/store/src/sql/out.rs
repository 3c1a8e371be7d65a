//! What a SELECT does with a row that it chose: into its group, into its place in the order, or out.
//!
//! Sorting and grouping go on while rows come, in ordered maps, so that no long step waits at the end.

use super::datum::Datum;
use super::expr::{Checks, Expr, Row};
use super::group::{Aggregate, Tally};
use super::rows::Kept;
use super::sub::Answered;
use crate::error::Error;
use crate::request::{ColumnHead, ColumnType};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::ops::ControlFlow;

#[derive(Debug, Clone)]
pub(super) struct Groups {
    pub(super) keys: Vec<Expr>,
    pub(super) aggregates: Vec<Aggregate>,
    pub(super) having: Option<Expr>,
    /// By the sortable bytes of the keys: the group's first row, and a tally for each aggregate.
    pub(super) found: BTreeMap<Vec<u8>, (Vec<Value>, Vec<Tally>)>,
    /// Whether all rows are in, and groups are being put out.
    pub(super) closed: bool,
    pub(super) kept: Kept,
}

/// What is put out, in which order, and how much of it.
#[derive(Debug, Clone)]
pub(super) struct Out {
    pub(super) items: Vec<Expr>,
    /// Each is a column, and none stands there twice: what it holds may leave the row.
    pub(super) plain: bool,
    pub(super) order: Vec<(Expr, Direction)>,
    pub(super) seen: Option<BTreeSet<Vec<u8>>>,
    pub(super) skip: u64,
    pub(super) limit: u64,
    /// Rows that came before, as they came.
    pub(super) rows: Vec<Vec<Value>>,
    /// The same, by sort key and number, if an order is asked for.
    pub(super) sorted: BTreeMap<(Vec<u8>, u64), Vec<Value>>,
    pub(super) count: u64,
    pub(super) kept: Kept,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
}

/// Appends a value to a sort key.
pub fn push_sort_key(out: &mut Vec<u8>, datum: &Datum, direction: Direction) {
    let begin = out.len();
    datum.push_sortable(out);
    if direction == Direction::Down {
        out[begin..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// Decimals and floating point numbers go out as texts.
pub(super) fn written(heads: &[ColumnHead], rows: &mut [Vec<Value>]) {
    let plain = |kind| matches!(kind, ColumnType::Text { .. } | ColumnType::Bytes { .. });
    for (at, _) in heads.iter().enumerate().filter(|(_, head)| !plain(head.kind)) {
        for cell in rows.iter_mut().map(|row| &mut row[at]) {
            if matches!(cell, Value::Dec(_) | Value::Double(_)) {
                *cell = Value::Text(cell.to_string());
            }
        }
    }
}

/// Takes a unit; whether there are no more.
pub(super) fn spent(budget: &mut u32) -> bool {
    *budget = budget.saturating_sub(1);
    *budget == 0
}

/// A row of the table, through the filter into its group or out.
pub(super) fn take(
    filter: &Option<Expr>,
    groups: &mut Option<Groups>,
    out: &mut Out,
    checks: &Checks,
    subs: &[Answered],
    mut cells: Vec<Value>,
) -> Result<ControlFlow<()>, Error> {
    checks.next_row();
    let row = Row { subs, ..Row::of(&cells) };
    if let Some(filter) = filter
        && !filter.chooses(row, checks)?
    {
        return Ok(ControlFlow::Continue(()));
    }
    let Some(groups) = groups else {
        return if out.plain { out.take_plain(&mut cells, checks) } else { out.take(row, checks) };
    };
    let mut key = Vec::new();
    for expr in &groups.keys {
        expr.eval(row, checks)?.push_sortable(&mut key);
    }
    if !groups.found.contains_key(&key) {
        groups.kept.row(&cells)?;
        groups.kept.bytes(key.len() as u64 + 64)?;
        let tallies = groups.aggregates.iter().map(|_| Tally::new()).collect();
        groups.found.insert(key.clone(), (cells.clone(), tallies));
    }
    let (_, tallies) = groups.found.get_mut(&key).expect("it was just put there");
    for (tally, aggregate) in tallies.iter_mut().zip(&groups.aggregates) {
        let bytes = tally.add(aggregate, row, checks)?;
        groups.kept.bytes(bytes)?;
    }
    Ok(ControlFlow::Continue(()))
}

impl Out {
    /// Whether it takes no more rows as they come.
    pub(super) fn full(&self) -> bool {
        self.limit == 0 || (self.order.is_empty() && self.rows.len() as u64 >= self.limit)
    }

    pub(super) fn take(&mut self, row: Row<'_>, checks: &Checks) -> Result<ControlFlow<()>, Error> {
        if self.full() {
            return Ok(ControlFlow::Break(()));
        }
        // Without an order, rows before the offset are only counted.
        if self.order.is_empty() && self.seen.is_none() && self.skip > 0 {
            self.skip -= 1;
            return Ok(ControlFlow::Continue(()));
        }
        let mut cells = Vec::with_capacity(self.items.len());
        let mut distinct = Vec::new();
        for item in &self.items {
            let datum = item.eval(row, checks)?;
            if self.seen.is_some() {
                datum.push_sortable(&mut distinct);
            }
            cells.push(datum.into_value());
        }
        if self.again(distinct)? {
            return Ok(ControlFlow::Continue(()));
        }
        let key = self.sort_key(row, checks)?;
        self.put(key, cells)
    }

    /// The same for plain columns: texts leave the row as they are.
    fn take_plain(&mut self, row: &mut [Value], checks: &Checks) -> Result<ControlFlow<()>, Error> {
        if self.full() {
            return Ok(ControlFlow::Break(()));
        }
        if self.order.is_empty() && self.seen.is_none() && self.skip > 0 {
            self.skip -= 1;
            return Ok(ControlFlow::Continue(()));
        }
        let mut distinct = Vec::new();
        if self.seen.is_some() {
            for item in &self.items {
                item.eval(Row::of(row), checks)?.push_sortable(&mut distinct);
            }
        }
        if self.again(distinct)? {
            return Ok(ControlFlow::Continue(()));
        }
        let key = self.sort_key(Row::of(row), checks)?;
        let mut cells = Vec::with_capacity(self.items.len());
        for item in &self.items {
            cells.push(match item {
                Expr::Column(at) if matches!(row[*at], Value::Text(_) | Value::Bytes(_)) => {
                    mem::replace(&mut row[*at], Value::Null)
                }
                item => item.eval(Row::of(row), checks)?.into_value(),
            });
        }
        self.put(key, cells)
    }

    /// Whether DISTINCT has seen these values.
    fn again(&mut self, distinct: Vec<u8>) -> Result<bool, Error> {
        let Some(seen) = &mut self.seen else { return Ok(false) };
        self.kept.bytes(distinct.len() as u64 + 32)?;
        Ok(!seen.insert(distinct))
    }

    fn sort_key(&self, row: Row<'_>, checks: &Checks) -> Result<Vec<u8>, Error> {
        let mut key = Vec::new();
        for (expr, direction) in &self.order {
            push_sort_key(&mut key, &expr.eval(row, checks)?, *direction);
        }
        Ok(key)
    }

    /// A row into its place, or out.
    fn put(&mut self, key: Vec<u8>, cells: Vec<Value>) -> Result<ControlFlow<()>, Error> {
        if self.order.is_empty() {
            if self.skip > 0 {
                self.skip -= 1;
                return Ok(ControlFlow::Continue(()));
            }
            self.kept.row(&cells)?;
            self.rows.push(cells);
            return Ok(if self.full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        }
        self.kept.row(&cells)?;
        self.count += 1;
        self.sorted.insert((key, self.count), cells);
        if self.sorted.len() as u64 > self.limit.saturating_add(self.skip)
            && let Some((_, last)) = self.sorted.pop_last()
        {
            self.kept.gone(&last);
        }
        Ok(ControlFlow::Continue(()))
    }
}
