//! SELECT from one table: walk, choose, group, sort, put out; each in slices.
//!
//! Sorting and grouping go on while rows come, in ordered maps, so that no long step waits at the end. A walk in key
//! order that is wanted in key order is not sorted at all, and ends with its LIMIT.

use super::access::access;
use super::compile::{Columns, Compiler};
use super::datum::Datum;
use super::expr::{Checks, Expr, Row};
use super::group::{Aggregate, Tally};
use super::kind::Kinds;
use super::rows::{Kept, Source};
use super::tree::{Item, SelectTree};
use super::vars::Vars;
use crate::error::Error;
use crate::request::{ColumnHead, ColumnType, Rows, StepResult};
use crate::row;
use crate::session::{Context, Env, Turn};
use crate::table::TableInfo;
use crate::txn::Walk;
use crate::value::Value;
use sqlparser::ast::{self, Expr as Ast};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A select under way.
#[derive(Debug)]
pub struct Select {
    /// `None`: there is no table, and one row without columns.
    source: Option<Source>,
    filter: Option<Expr>,
    groups: Option<Groups>,
    out: Out,
    heads: Vec<ColumnHead>,
    checks: Checks,
    walked: bool,
}

#[derive(Debug)]
struct Groups {
    keys: Vec<Expr>,
    aggregates: Vec<Aggregate>,
    having: Option<Expr>,
    /// By the sortable bytes of the keys: the group's first row, and a tally for each aggregate.
    found: BTreeMap<Vec<u8>, (Vec<Value>, Vec<Tally>)>,
    /// Whether all rows are in, and groups are being put out.
    closed: bool,
    kept: Kept,
}

/// What is put out, in which order, and how much of it.
#[derive(Debug)]
struct Out {
    items: Vec<Expr>,
    order: Vec<(Expr, Direction)>,
    seen: Option<BTreeSet<Vec<u8>>>,
    skip: u64,
    limit: u64,
    /// Rows that came before, as they came.
    rows: Vec<Vec<Value>>,
    /// The same, by sort key and number, if an order is asked for.
    sorted: BTreeMap<(Vec<u8>, u64), Vec<Value>>,
    count: u64,
    kept: Kept,
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

impl Select {
    /// Plans it over the table as it is now. `info`: its table, if it has one.
    pub fn new(
        tree: &SelectTree,
        info: Option<Arc<TableInfo>>,
        vars: &Vars,
        ctx: &Context<'_>,
    ) -> Result<Select, Error> {
        let heads = match (&info, &tree.from) {
            (Some(info), Some(table)) if table.alias == info.name() => Cow::Borrowed(&info.heads[..]),
            (Some(info), Some(table)) => {
                let aliased = |head: &ColumnHead| ColumnHead { table: table.alias.clone(), ..head.clone() };
                Cow::Owned(info.heads.iter().map(aliased).collect())
            }
            _ => Cow::Borrowed(&[][..]),
        };
        let columns = tree.from.as_ref().map(|table| Columns {
            database: &vars.home,
            table: &table.alias,
            heads: &heads,
        });
        let compiler = |clause| Compiler::new(vars, ctx, columns, clause);

        let filter = tree.filter.as_ref().map(|tree| compiler("where clause").compile(tree)).transpose()?;
        let mut list = compiler("field list");
        list.aggregates = Some(Vec::new());
        let mut items = Vec::new();
        let mut names = Vec::new();
        let mut aliases = Vec::new();
        for item in &tree.items {
            match item {
                Item::All(of) => {
                    let known = columns.filter(|columns| of.as_deref().is_none_or(|of| of == columns.table));
                    let Some(columns) = known else {
                        return match of {
                            Some(table) => Err(Error::Sql {
                                code: 1051,
                                state: "42S02",
                                message: format!("Unknown table '{table}'"),
                            }),
                            None => Err(Error::Sql {
                                code: 1096,
                                state: "HY000",
                                message: "No tables used".into(),
                            }),
                        };
                    };
                    items.extend((0..columns.heads.len()).map(Expr::Column));
                    names.extend(columns.heads.iter().map(|head| head.name.clone()));
                }
                Item::One { tree, name, alias } => {
                    items.push(list.compile(tree)?);
                    names.push(name.clone());
                    if *alias {
                        aliases.push((name.clone(), Arc::clone(tree)));
                    }
                }
            }
        }

        let mut order = Vec::new();
        let aggregates = list.aggregates.take();
        let mut last = compiler("order clause");
        (last.aggregates, last.aliases, last.aliases_first) = (aggregates, aliases, true);
        for (tree, direction) in &tree.order {
            let expr = match position(tree) {
                Some(place) => picked(&items, place, "order clause")?,
                None => last.compile(tree)?,
            };
            order.push((expr, *direction));
        }
        last.clause = "having clause";
        let having = tree.having.as_ref().map(|tree| last.compile(tree)).transpose()?;
        let mut by = compiler("group statement");
        by.aliases = mem::take(&mut last.aliases);
        let mut keys = Vec::new();
        for tree in &tree.group {
            keys.push(match position(tree) {
                Some(place) => picked(&items, place, "group statement")?,
                None => by.compile(tree)?,
            });
        }
        let aggregates = last.aggregates.take().unwrap_or_default();
        if keys.iter().any(has_aggregate) {
            return Err(Error::Sql {
                code: 1056,
                state: "42000",
                message: "Can't group on an aggregate".into(),
            });
        }

        let grouped = !keys.is_empty() || !aggregates.is_empty() || having.is_some();
        let heads_of = |items: &[Expr]| {
            let kinds = Kinds { heads: &heads, aggregates: &aggregates };
            let head = |(item, name): (&Expr, String)| ColumnHead {
                name,
                table: match item {
                    Expr::Column(at) => heads[*at].table.clone(),
                    _ => String::new(),
                },
                kind: kinds.of(item),
            };
            items.iter().zip(names).map(head).collect()
        };
        let out_heads = heads_of(&items);
        if grouped && vars.full_group_by() {
            let shown = items.iter().chain(order.iter().map(|(expr, _)| expr)).chain(&having);
            full_group_by(shown, &keys, info.as_deref(), &heads)?;
        }
        let (limit, skip) = (
            bound(&tree.limit, u64::MAX, &mut compiler("limit"))?,
            bound(&tree.offset, 0, &mut compiler("limit"))?,
        );

        let mut source = None;
        if let Some(info) = info {
            let access = access(&info, filter.as_ref());
            if !grouped && in_key_order(&order, &info, access.index) {
                order.clear();
            }
            source = Some(Source::new(info, access, tree.lock));
        }
        Ok(Select {
            source,
            filter,
            groups: grouped.then(|| Groups {
                keys,
                aggregates,
                having,
                found: BTreeMap::new(),
                closed: false,
                kept: Kept::default(),
            }),
            out: Out {
                items,
                order,
                seen: tree.distinct.then(BTreeSet::new),
                skip,
                limit,
                rows: Vec::new(),
                sorted: BTreeMap::new(),
                count: 0,
                kept: Kept::default(),
            },
            heads: out_heads,
            checks: Checks::default(),
            walked: false,
        })
    }

    pub fn heads(&self) -> &[ColumnHead] {
        &self.heads
    }

    /// Its answer if it has no table, at once.
    pub fn answer(mut self, vars: &mut Vars) -> Result<StepResult, Error> {
        self.one_row()?;
        let mut all = u32::MAX;
        assert!(self.finish(&mut all)?, "one row is put out in one slice");
        Ok(self.result(vars))
    }

    pub fn run(&mut self, env: &mut Env<'_>) -> Turn {
        match self.slice(env) {
            Ok(true) => {
                let result = self.result(env.vars);
                env.results.push(result);
                Turn::Done(Ok(()))
            }
            Ok(false) => Turn::Yield,
            Err(error) => Turn::Done(Err(error)),
        }
    }

    fn result(&mut self, vars: &mut Vars) -> StepResult {
        vars.warnings = self.checks.warnings.take();
        vars.row_count = -1;
        let columns = mem::take(&mut self.heads);
        let mut rows = mem::take(&mut self.out.rows);
        written(&columns, &mut rows);
        StepResult::Rows(Rows { columns, rows })
    }

    /// Goes on; whether it is done.
    fn slice(&mut self, env: &mut Env<'_>) -> Result<bool, Error> {
        if !self.walked {
            let Select { source, filter, groups, out, checks, .. } = self;
            let Some(source) = source.as_mut() else {
                self.one_row()?;
                return self.finish(env.budget);
            };
            let walk = if groups.is_none() && out.full() {
                Walk::Stopped
            } else {
                source.walk(env, &mut |_, bytes| {
                    let cells = row::kept(bytes);
                    take(filter, groups, out, checks, cells)
                })?
            };
            if walk == Walk::Yield {
                return Ok(false);
            }
            self.walked = true;
        }
        self.finish(env.budget)
    }

    fn one_row(&mut self) -> Result<(), Error> {
        if self.groups.is_some() || !self.out.full() {
            take(&self.filter, &mut self.groups, &mut self.out, &self.checks, Vec::new()).map(drop)?;
        }
        self.walked = true;
        Ok(())
    }

    /// Puts out the groups and what was sorted; whether it is done.
    fn finish(&mut self, budget: &mut u32) -> Result<bool, Error> {
        if let Some(groups) = &mut self.groups {
            // Without keys there is one group, even of no rows.
            if !mem::replace(&mut groups.closed, true) && groups.keys.is_empty() && groups.found.is_empty() {
                let tallies = groups.aggregates.iter().map(|_| Tally::new()).collect();
                groups.found.insert(Vec::new(), (Vec::new(), tallies));
            }
            while let Some((_, (first, tallies))) = groups.found.pop_first() {
                let mut values = Vec::with_capacity(tallies.len());
                for (tally, aggregate) in tallies.iter().zip(&groups.aggregates) {
                    values.push(tally.value(aggregate)?);
                }
                // A group of no rows has no first row; its columns are NULL.
                let width = self
                    .out
                    .items
                    .iter()
                    .chain(self.out.order.iter().map(|(expr, _)| expr))
                    .chain(&groups.having);
                let first = if first.is_empty() { vec![Value::Null; columns_in(width)] } else { first };
                self.checks.next_row();
                let row = Row { cells: &first, aggregates: &values };
                let chosen = match &groups.having {
                    Some(having) => having.chooses(row, &self.checks)?,
                    None => true,
                };
                if chosen && self.out.take(row, &self.checks)?.is_break() {
                    groups.found.clear();
                }
                if spent(budget) {
                    return Ok(false);
                }
            }
            self.groups = None;
        }
        while let Some((_, row)) = self.out.sorted.pop_first() {
            if self.out.skip > 0 {
                self.out.skip -= 1;
            } else {
                self.out.rows.push(row);
            }
            if spent(budget) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Decimals and floating point numbers go out as texts.
fn written(heads: &[ColumnHead], rows: &mut [Vec<Value>]) {
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
fn spent(budget: &mut u32) -> bool {
    *budget = budget.saturating_sub(1);
    *budget == 0
}

/// A row of the table, through the filter into its group or out.
fn take(
    filter: &Option<Expr>,
    groups: &mut Option<Groups>,
    out: &mut Out,
    checks: &Checks,
    cells: Vec<Value>,
) -> Result<ControlFlow<()>, Error> {
    checks.next_row();
    let row = Row::of(&cells);
    if let Some(filter) = filter
        && !filter.chooses(row, checks)?
    {
        return Ok(ControlFlow::Continue(()));
    }
    let Some(groups) = groups else { return out.take(row, checks) };
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
    fn full(&self) -> bool {
        self.limit == 0 || (self.order.is_empty() && self.rows.len() as u64 >= self.limit)
    }

    fn take(&mut self, row: Row<'_>, checks: &Checks) -> Result<ControlFlow<()>, Error> {
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
        if let Some(seen) = &mut self.seen {
            self.kept.bytes(distinct.len() as u64 + 32)?;
            if !seen.insert(distinct) {
                return Ok(ControlFlow::Continue(()));
            }
        }
        if self.order.is_empty() {
            if self.skip > 0 {
                self.skip -= 1;
                return Ok(ControlFlow::Continue(()));
            }
            self.kept.row(&cells)?;
            self.rows.push(cells);
            return Ok(if self.full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        }
        let mut key = Vec::new();
        for (expr, direction) in &self.order {
            push_sort_key(&mut key, &expr.eval(row, checks)?, *direction);
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

/// `ORDER BY 2`: the second item.
fn position(tree: &Ast) -> Option<&str> {
    match tree {
        Ast::Value(value) => match &value.value {
            ast::Value::Number(digits, _) => Some(digits),
            _ => None,
        },
        _ => None,
    }
}

fn picked(items: &[Expr], place: &str, clause: &str) -> Result<Expr, Error> {
    let at = place.parse::<usize>().ok().and_then(|at| at.checked_sub(1));
    at.and_then(|at| items.get(at))
        .cloned()
        .ok_or_else(|| Error::NoColumn { column: place.into(), place: clause.into() })
}

/// A LIMIT or OFFSET: a number that is not negative.
pub fn bound(tree: &Option<Ast>, otherwise: u64, compiler: &mut Compiler<'_>) -> Result<u64, Error> {
    let Some(tree) = tree else { return Ok(otherwise) };
    let datum = compiler.value(tree)?;
    let n = match datum {
        Datum::Int(n) => u64::try_from(n).ok(),
        Datum::Dec(n) => n.as_whole().and_then(|n| u64::try_from(n).ok()),
        _ => None,
    };
    n.ok_or_else(|| Error::Syntax { why: format!("LIMIT is a number that is not negative, not {tree}") })
}

fn has_aggregate(expr: &Expr) -> bool {
    let mut found = false;
    expr.visit(&mut |part| found |= matches!(part, Expr::Aggregate(_)));
    found
}

/// How many columns a row must have for these expressions.
fn columns_in<'e>(exprs: impl Iterator<Item = &'e Expr>) -> usize {
    let mut most = 0;
    for expr in exprs {
        expr.visit(&mut |part| {
            if let Expr::Column(at) = part {
                most = most.max(at + 1);
            }
        });
    }
    most
}

/// Whether a walk in key order puts out rows in this order already.
fn in_key_order(order: &[(Expr, Direction)], info: &TableInfo, index: Option<usize>) -> bool {
    // What stands in a key only in part says nothing of the order of the rest; behind its columns are the primary
    // key's.
    let parts = index.map_or(&[][..], |at| &info.def.indexes[at].parts);
    let sharp = parts.iter().take_while(|part| part.prefix == 0).map(|part| part.column);
    let all_sharp = parts.iter().all(|part| part.prefix == 0);
    let behind = info.def.primary.iter().copied().filter(|_| all_sharp);
    let key: Vec<usize> = sharp.chain(behind).collect();
    order.len() <= key.len()
        && order.iter().zip(&key).all(|((expr, direction), column)| {
            *direction == Direction::Up && matches!(expr, Expr::Column(at) if at == column)
        })
}

/// Refuses a column that has no one value in a group (MySQL's ONLY_FULL_GROUP_BY).
fn full_group_by<'e>(
    shown: impl Iterator<Item = &'e Expr>,
    keys: &[Expr],
    info: Option<&TableInfo>,
    heads: &[ColumnHead],
) -> Result<(), Error> {
    let keyed = |column: usize| keys.iter().any(|key| matches!(key, Expr::Column(at) if *at == column));
    // Whoever is grouped by the primary key is a group of one.
    if info.is_some_and(|info| !info.hidden_key() && info.def.primary.iter().all(|column| keyed(*column))) {
        return Ok(());
    }
    for expr in shown {
        if keys.iter().any(|key| format!("{key:?}") == format!("{expr:?}")) {
            continue;
        }
        let mut stray = None;
        expr.visit(&mut |part| {
            if let Expr::Column(at) = part
                && !keyed(*at)
            {
                stray = Some(*at);
            }
        });
        if let Some(at) = stray {
            let name = &heads[at].name;
            let (code, rule) = match keys.is_empty() {
                true => (1140, "there is no GROUP BY, and an aggregate makes one row of all"),
                false => (1055, "it is neither in GROUP BY nor in an aggregate"),
            };
            let message =
                format!("Column '{name}' has no one value in a group: {rule} (sql_mode=only_full_group_by)");
            return Err(Error::Sql { code, state: "42000", message });
        }
    }
    Ok(())
}
