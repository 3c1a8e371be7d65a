//! What a SELECT does with a row that it chose: into its group, into its place in the order, or out.
//!
//! Grouping goes on while rows come, in an ordered map, so that no long step waits at the end; sorting too, as soon as
//! they are many.
//! A row of which only columns are shown goes from the table to the client as it is kept: nothing of it is made a value.

use super::datum::Datum;
use super::expr::{Checks, Expr, Row};
use super::group::{Aggregate, Tally};
use super::rows::Kept;
use super::sorted::Sorted;
use super::sub::Answered;
use crate::error::Error;
use crate::key;
use crate::request::{ColumnHead, ColumnType};
use crate::row::{self, Cell};
use crate::rowlist::RowList;
use crate::value::Value;
use plait_base::codec::Writer;
use std::collections::btree_map::Entry;
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
    pub(super) rows: Made,
    /// The same, if an order is asked for.
    pub(super) sorted: Sorted,
    pub(super) kept: Kept,
    /// Rows go out without being looked at, but for these cells.
    pub(super) raw: Option<Raw>,
    /// Room for a key and for cells, used again for each row.
    pub(super) key: Vec<u8>,
    pub(super) cells: Vec<u8>,
}

/// Rows for the statement around this one, or for a client.
#[derive(Debug, Clone)]
pub(super) enum Made {
    Values(Vec<Vec<Value>>),
    Packed(RowList),
}

/// What is shown of rows that go out as they are kept: columns, ordered by columns.
#[derive(Debug, Clone, Default)]
pub(super) struct Raw {
    items: Vec<usize>,
    order: Vec<(usize, Direction)>,
    /// Where each cell of the row under way ends, up to the last that matters.
    ends: Vec<u32>,
}

impl Raw {
    /// `None`: an item or an order is more than a column, or of a kind that goes out in another form.
    pub(super) fn of(out: &Out, heads: &[ColumnHead]) -> Option<Raw> {
        let column = |expr: &Expr| if let Expr::Column(at) = expr { Some(*at) } else { None };
        let items: Vec<usize> = out.items.iter().map(column).collect::<Option<_>>()?;
        let order = out.order.iter().map(|(expr, direction)| Some((column(expr)?, *direction)));
        let order: Vec<_> = order.collect::<Option<_>>()?;
        let other =
            |kind| matches!(kind, ColumnType::Decimal { .. } | ColumnType::Double | ColumnType::Float);
        if heads.iter().any(|head| other(head.kind)) {
            return None;
        }
        let width = items.iter().chain(order.iter().map(|(at, _)| at)).max()? + 1;
        Some(Raw { items, order, ends: vec![0; width] })
    }

    /// Whether rows that are equal in what is shown are those that are equal in their order.
    fn ordered_by_all(&self) -> bool {
        let ordered = |at| self.order.iter().any(|(by, _)| by == at);
        self.items.iter().all(ordered) && self.order.iter().all(|(at, _)| self.items.contains(at))
    }

    fn cell<'r>(&self, row: &'r [u8], at: usize) -> &'r [u8] {
        let begin = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &row[begin..self.ends[at] as usize]
    }
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
    turned(&mut out[begin..], direction);
}

/// What was largest is smallest, if the order goes down.
fn turned(key: &mut [u8], direction: Direction) {
    if direction == Direction::Down {
        key.iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// Decimals and floating point numbers go out as texts.
fn written(row: &mut [Value]) {
    for cell in row.iter_mut().filter(|cell| matches!(cell, Value::Dec(_) | Value::Double(_))) {
        *cell = Value::Text(cell.to_string());
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
    cells: &mut [Value],
) -> Result<ControlFlow<()>, Error> {
    checks.next_row();
    let row = Row { subs, ..Row::of(cells) };
    if let Some(filter) = filter
        && !filter.chooses(row, checks)?
    {
        return Ok(ControlFlow::Continue(()));
    }
    let Some(groups) = groups else {
        return if out.plain { out.take_plain(cells, checks) } else { out.take(row, checks) };
    };
    let mut key = Vec::new();
    for expr in &groups.keys {
        expr.eval(row, checks)?.push_sortable(&mut key);
    }
    // Without keys there is one group, which need not be looked for.
    let place = if groups.keys.is_empty() && !groups.found.is_empty() {
        Entry::Occupied(groups.found.first_entry().expect("there is one"))
    } else {
        groups.found.entry(key)
    };
    let (_, tallies) = match place {
        Entry::Occupied(group) => group.into_mut(),
        Entry::Vacant(place) => {
            groups.kept.row(cells)?;
            groups.kept.bytes(place.key().len() as u64 + 64)?;
            let tallies = groups.aggregates.iter().map(|_| Tally::new()).collect();
            place.insert((cells.to_vec(), tallies))
        }
    };
    for (tally, aggregate) in tallies.iter_mut().zip(&groups.aggregates) {
        let bytes = tally.add(aggregate, row, checks)?;
        groups.kept.bytes(bytes)?;
    }
    Ok(ControlFlow::Continue(()))
}

impl Out {
    /// Its rows are those that a client is sent.
    pub(super) fn for_client(&mut self) {
        if matches!(self.rows, Made::Values(_)) {
            self.rows = Made::Packed(RowList::new(self.items.len()));
        }
    }

    /// Shows rows as they are kept, if that is all that is asked for.
    pub(super) fn as_kept(&mut self, heads: &[ColumnHead]) {
        if !matches!(self.rows, Made::Packed(_)) {
            return;
        }
        self.raw = Raw::of(self, heads);
        // What is sorted by all that is shown has equal rows side by side.
        if self.seen.is_some() && self.raw.as_ref().is_some_and(Raw::ordered_by_all) {
            self.seen = None;
            self.sorted.once = true;
        }
    }

    /// Whether it takes no more rows as they come.
    pub(super) fn full(&self) -> bool {
        let made = match &self.rows {
            Made::Values(rows) => rows.len(),
            Made::Packed(rows) => rows.len(),
        };
        self.limit == 0 || (self.order.is_empty() && made as u64 >= self.limit)
    }

    /// Whether a row is before the offset, and is only counted: nothing has to be known of it.
    fn passed(&mut self) -> bool {
        let passed = self.order.is_empty() && self.seen.is_none() && self.skip > 0;
        self.skip -= u64::from(passed);
        passed
    }

    pub(super) fn take(&mut self, row: Row<'_>, checks: &Checks) -> Result<ControlFlow<()>, Error> {
        if self.full() {
            return Ok(ControlFlow::Break(()));
        }
        if self.passed() {
            return Ok(ControlFlow::Continue(()));
        }
        let mut cells = Vec::with_capacity(self.items.len());
        self.key.clear();
        for item in &self.items {
            let datum = item.eval(row, checks)?;
            if self.seen.is_some() {
                datum.push_sortable(&mut self.key);
            }
            cells.push(datum.into_value());
        }
        if self.again()? {
            return Ok(ControlFlow::Continue(()));
        }
        self.sort_key(row, checks)?;
        self.put(cells)
    }

    /// The same for plain columns: texts leave the row as they are.
    fn take_plain(&mut self, row: &mut [Value], checks: &Checks) -> Result<ControlFlow<()>, Error> {
        if self.full() {
            return Ok(ControlFlow::Break(()));
        }
        if self.passed() {
            return Ok(ControlFlow::Continue(()));
        }
        self.key.clear();
        if self.seen.is_some() {
            for item in &self.items {
                item.eval(Row::of(row), checks)?.push_sortable(&mut self.key);
            }
        }
        if self.again()? {
            return Ok(ControlFlow::Continue(()));
        }
        self.sort_key(Row::of(row), checks)?;
        let mut cells = Vec::with_capacity(self.items.len());
        for item in &self.items {
            cells.push(match item {
                Expr::Column(at) if matches!(row[*at], Value::Text(_) | Value::Bytes(_)) => {
                    mem::replace(&mut row[*at], Value::Null)
                }
                item => item.eval(Row::of(row), checks)?.into_value(),
            });
        }
        self.put(cells)
    }

    /// The same for a row as it is kept, of which nothing is to be known but what is shown.
    pub(super) fn take_raw(&mut self, row: &[u8]) -> Result<ControlFlow<()>, Error> {
        if self.full() {
            return Ok(ControlFlow::Break(()));
        }
        if self.passed() {
            return Ok(ControlFlow::Continue(()));
        }
        let mut raw = self.raw.take().expect("the caller looked");
        row::ends(row, &mut raw.ends);
        let taken = self.take_cells(&raw, row);
        self.raw = Some(raw);
        taken
    }

    fn take_cells(&mut self, raw: &Raw, row: &[u8]) -> Result<ControlFlow<()>, Error> {
        self.key.clear();
        if self.seen.is_some() {
            raw.items.iter().for_each(|at| push_cell_sortable(&mut self.key, raw.cell(row, *at)));
            if self.again()? {
                return Ok(ControlFlow::Continue(()));
            }
        }
        let cells = raw.items.iter().map(|at| raw.cell(row, *at));
        if raw.order.is_empty() {
            if self.skip > 0 {
                self.skip -= 1;
                return Ok(ControlFlow::Continue(()));
            }
            let Made::Packed(rows) = &mut self.rows else { unreachable!("raw rows are for a client") };
            let before = rows.bytes();
            rows.push_cells(cells);
            self.kept.packed(rows.bytes() - before)?;
            return Ok(if self.full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        }
        self.key.clear();
        for (at, direction) in &raw.order {
            let begin = self.key.len();
            push_cell_sortable(&mut self.key, raw.cell(row, *at));
            turned(&mut self.key[begin..], *direction);
        }
        self.sorted.put(&self.key, cells, &mut self.kept)?;
        Ok(ControlFlow::Continue(()))
    }

    /// Whether DISTINCT has seen these values.
    fn again(&mut self) -> Result<bool, Error> {
        let Some(seen) = &mut self.seen else { return Ok(false) };
        self.kept.bytes(self.key.len() as u64 + 32)?;
        if seen.contains(&self.key) {
            return Ok(true);
        }
        seen.insert(self.key.clone());
        Ok(false)
    }

    fn sort_key(&mut self, row: Row<'_>, checks: &Checks) -> Result<(), Error> {
        self.key.clear();
        for (expr, direction) in &self.order {
            push_sort_key(&mut self.key, &expr.eval(row, checks)?, *direction);
        }
        Ok(())
    }

    /// A row into its place, or out.
    fn put(&mut self, mut cells: Vec<Value>) -> Result<ControlFlow<()>, Error> {
        if self.order.is_empty() && self.skip > 0 {
            self.skip -= 1;
            return Ok(ControlFlow::Continue(()));
        }
        if matches!(self.rows, Made::Packed(_)) {
            written(&mut cells);
        }
        if !self.order.is_empty() {
            let mut w = Writer(mem::take(&mut self.cells));
            w.0.clear();
            cells.iter().for_each(|value| row::push(&mut w, value));
            self.cells = w.0;
            self.sorted.put(&self.key, [&self.cells[..]], &mut self.kept)?;
            return Ok(ControlFlow::Continue(()));
        }
        match &mut self.rows {
            Made::Values(rows) => {
                self.kept.row(&cells)?;
                rows.push(cells);
            }
            Made::Packed(rows) => {
                let before = rows.bytes();
                rows.push(&cells);
                self.kept.packed(rows.bytes() - before)?;
            }
        }
        Ok(if self.full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Puts out a row of those that were sorted; whether there was one.
    pub(super) fn put_sorted(&mut self) -> bool {
        let Some(row) = self.sorted.next() else { return false };
        if self.skip > 0 {
            self.skip -= 1;
            return true;
        }
        match &mut self.rows {
            Made::Values(rows) => rows.push(row::kept(row)),
            Made::Packed(rows) => rows.push_cells([row]),
        }
        self.limit -= 1;
        self.limit > 0
    }
}

/// Appends a cell of a row as [`Datum::push_sortable`] appends its value.
fn push_cell_sortable(out: &mut Vec<u8>, mut cell: &[u8]) {
    match row::view(&mut cell).expect("a kept row was whole when it was applied") {
        Cell::Text(text) => key::push_text_bytes(out, text),
        Cell::Bytes(bytes) => key::push_bytes(out, bytes),
        Cell::Null => Datum::Null.push_sortable(out),
        Cell::Int(n) => Datum::Int(n).push_sortable(out),
        Cell::UInt(n) => Datum::of(&Value::UInt(n)).push_sortable(out),
        Cell::Dec(n) => Datum::Dec(n).push_sortable(out),
        Cell::Double(n) => Datum::Double(n.get()).push_sortable(out),
    }
}
