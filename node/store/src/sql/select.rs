//! SELECT: walk, choose, group, sort, put out; each in slices.
//!
//! Sorting and grouping go on while rows come, in ordered maps, so that no long step waits at the end. A walk in key
//! order that is wanted in key order is not sorted at all, and ends with its LIMIT.

use super::access::access;
use super::compile::{Columns, Compiler, Gathered, Tables, unsupported};
use super::datum::Datum;
use super::expr::{Checks, Comparison, Expr, Row};
use super::group::{Aggregate, Tally};
use super::join::{From, Join, Level, Turned};
use super::kind::Kinds;
use super::rows::{Kept, Source};
use super::schema;
use super::sub::{Answered, Sub, settle};
use super::tree::{Factor, Item, SelectTree};
use super::vars::Vars;
use crate::error::Error;
use crate::request::{ColumnHead, ColumnType, Rows, StepResult};
use crate::row;
use crate::session::{Context, Env, Turn};
use crate::table::TableInfo;
use crate::txn::Walk;
use crate::value::Value;
use sqlparser::ast::{self, Expr as Ast};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A select under way.
#[derive(Debug, Clone)]
pub struct Select {
    /// `None`: there is no table, and one row without columns.
    join: Option<Join>,
    /// Of one table whose rows are seen as they are walked over, once that is known to be enough.
    source: Option<Source>,
    filter: Option<Expr>,
    subs: Vec<Sub>,
    answers: Vec<Answered>,
    /// A row that waits for subqueries: its cells, the number of the next one.
    waiting: Option<(Vec<Value>, usize)>,
    /// The subquery under way.
    asking: Option<Box<Select>>,
    /// It looks at the row around it.
    correlated: bool,
    groups: Option<Groups>,
    out: Out,
    heads: Vec<ColumnHead>,
    checks: Checks,
    settled: bool,
    walked: bool,
}

/// What a query is planned in.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub vars: &'a Vars,
    pub ctx: &'a Context<'a>,
    pub tables: Option<Tables<'a>>,
    /// All tables, with how many rows they have.
    pub list: Option<&'a dyn Fn() -> Vec<(Arc<TableInfo>, u64)>>,
    /// The columns of the query around it.
    pub outer: Option<Columns<'a>>,
}

#[derive(Debug, Clone)]
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
#[derive(Debug, Clone)]
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
    /// Plans it over the tables as they are now.
    pub fn new(tree: &SelectTree, place: Place<'_>) -> Result<Select, Error> {
        let Place { vars, ctx, tables, list: all, outer } = place;
        let gathered = RefCell::new(Gathered::default());
        let (mut levels, only, own) = self::tables(tree, place)?;
        let heads: &[ColumnHead] = only.as_ref().map_or(&own, |info| &info.heads);
        let merged = merged(tree, &levels, heads)?;
        let columns = (!levels.is_empty()).then_some(Columns { database: &vars.home, table: "", heads });
        let compiler = |clause| {
            let mut compiler = Compiler::new(vars, ctx, columns, clause);
            (compiler.tables, compiler.outer, compiler.gathered) = (tables, outer, Some(&gathered));
            (compiler.merged, compiler.list) = (&merged.later, all);
            compiler
        };
        for (level, joined) in levels.iter_mut().zip(&tree.from) {
            if let Some(tree) = &joined.on {
                level.on = Some(compiler("on clause").compile(tree)?);
            }
        }
        for (at, condition) in merged.on {
            levels[at].on = Some(condition);
        }
        if levels.iter().any(|level| level.on.as_ref().is_some_and(Expr::asks)) {
            return unsupported("subqueries in ON");
        }
        let filter = tree.filter.as_ref().map(|tree| compiler("where clause").compile(tree)).transpose()?;
        let mut list = compiler("field list");
        list.aggregates = Some(Vec::new());
        let mut items = Vec::new();
        let mut names = Vec::new();
        let mut aliases = Vec::new();
        for item in &tree.items {
            match item {
                Item::All(of) => {
                    let own = |at: &usize| match of {
                        Some(of) => heads[*at].table == *of,
                        // What USING made one is shown once.
                        None => !merged.later.contains(at),
                    };
                    let places: Vec<usize> = (0..heads.len()).filter(own).collect();
                    if places.is_empty() {
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
                    }
                    names.extend(places.iter().map(|at| heads[*at].name.clone()));
                    items.extend(places.into_iter().map(Expr::Column));
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
            let kinds = Kinds { heads, aggregates: &aggregates };
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
            full_group_by(shown, &keys, &levels, heads)?;
        }
        let (limit, skip) = (
            bound(&tree.limit, u64::MAX, &mut compiler("limit"))?,
            bound(&tree.offset, 0, &mut compiler("limit"))?,
        );

        let Gathered { subs, outer: correlated } = gathered.into_inner();
        if grouped && subs.iter().any(|sub| sub.correlated) {
            let after = items.iter().chain(order.iter().map(|(expr, _)| expr)).chain(&having);
            if after.chain(&keys).any(Expr::asks) {
                return unsupported("subqueries that look at the rows of a group");
            }
        }
        Ok(Select {
            join: (!levels.is_empty()).then(|| Join::new(levels, tree.lock)),
            source: None,
            filter,
            answers: subs.iter().map(|_| Answered::Not).collect(),
            subs,
            waiting: None,
            asking: None,
            correlated,
            settled: false,
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

    /// Whether it looks at the row around it.
    pub fn correlated(&self) -> bool {
        self.correlated
    }

    /// Nobody asks for more than whether there is a row.
    pub fn only_first(&mut self) {
        if self.groups.is_none() {
            self.out.limit = self.out.limit.min(1);
        }
    }

    /// Its answer if it has no table and no subquery, at once.
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

    /// Its rows, for the statement around it; `None`: it goes on later.
    pub fn rows(&mut self, env: &mut Env<'_>) -> Result<Option<Vec<Vec<Value>>>, Error> {
        Ok(self.slice(env)?.then(|| mem::take(&mut self.out.rows)))
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
        if !self.settled && !self.settle(env)? {
            return Ok(false);
        }
        if !self.walked {
            let enough = self.groups.is_none() && self.out.full();
            if !enough && !self.walk(env)? {
                return Ok(false);
            }
            self.walked = true;
        }
        self.finish(env.budget)
    }

    /// Runs what must have run before the first row: derived tables, and subqueries that look at no row. Whether it is
    /// done.
    fn settle(&mut self, env: &mut Env<'_>) -> Result<bool, Error> {
        for level in self.join.iter_mut().flat_map(|join| &mut join.levels) {
            if let From::Derived(select, rows @ None) = &mut level.from {
                match select.rows(env)? {
                    Some(made) => *rows = Some(made.into()),
                    None => return Ok(false),
                }
            }
        }
        for (sub, answer) in self.subs.iter_mut().zip(&mut self.answers) {
            if !sub.correlated && matches!(answer, Answered::Not) {
                match sub.select.rows(env)? {
                    Some(rows) => *answer = sub.answered(rows)?,
                    None => return Ok(false),
                }
            }
        }
        self.settled = true;
        let answers = mem::take(&mut self.answers);
        if !answers.is_empty() {
            self.each_expr(&mut |expr| settle(expr, &answers));
        }
        self.answers = answers;
        let asks = self.subs.iter().any(|sub| sub.correlated);
        let Some(join) = &mut self.join else { return Ok(true) };
        let parts = match self.filter.take() {
            Some(Expr::And(parts)) => parts,
            other => other.into_iter().collect(),
        };
        if let ([Level { from: From::Table(info), .. }], false) = (&join.levels[..], asks) {
            self.filter = (!parts.is_empty()).then_some(Expr::And(parts));
            let access = access(info, self.filter.as_ref());
            if self.groups.is_none() && in_key_order(&self.out.order, info, access.index) {
                self.out.order.clear();
            }
            self.source = Some(Source::new(Arc::clone(info), access, join.lock));
            return Ok(true);
        }
        // Each condition is asked as soon as all its columns are there; those with subqueries at last.
        let mut rest = Vec::new();
        let mut posts: Vec<Vec<Expr>> = join.levels.iter().map(|_| Vec::new()).collect();
        for part in parts {
            if part.asks() {
                rest.push(part);
                continue;
            }
            let needs = columns_in(std::iter::once(&part));
            let at = join.levels.iter().position(|level| level.offset + level.width >= needs);
            posts[at.unwrap_or(join.levels.len() - 1)].push(part);
        }
        for (level, post) in join.levels.iter_mut().zip(posts) {
            level.post = (!post.is_empty()).then_some(Expr::And(post));
        }
        self.filter = (!rest.is_empty()).then_some(Expr::And(rest));
        Ok(true)
    }

    /// Takes in all rows; whether it is done.
    fn walk(&mut self, env: &mut Env<'_>) -> Result<bool, Error> {
        let Select { source, filter, groups, out, checks, subs, answers, .. } = self;
        if let Some(source) = source {
            let walk = source
                .walk(env, &mut |_, bytes| take(filter, groups, out, checks, answers, row::kept(bytes)))?;
            return Ok(walk != Walk::Yield);
        }
        let asks = subs.iter().any(|sub| sub.correlated);
        loop {
            let cells = match self.waiting.take() {
                Some((cells, at)) => match self.ask(env, &cells, at)? {
                    None => cells,
                    Some(at) => {
                        self.waiting = Some((cells, at));
                        return Ok(false);
                    }
                },
                None => {
                    let turned = match &mut self.join {
                        Some(join) => join.next(env, &self.checks)?,
                        None if mem::replace(&mut self.walked, true) => Turned::End,
                        None => Turned::Row,
                    };
                    match turned {
                        Turned::End => return Ok(true),
                        Turned::Yield => return Ok(false),
                        Turned::Row => {}
                    }
                    let cells = self.join.as_ref().map_or_else(Vec::new, |join| join.row.clone());
                    if asks {
                        self.waiting = Some((cells, 0));
                        continue;
                    }
                    cells
                }
            };
            let Select { filter, groups, out, checks, answers, .. } = self;
            if take(filter, groups, out, checks, answers, cells)?.is_break() {
                return Ok(true);
            }
        }
    }

    /// Asks the subqueries from `at` on about a row; where to go on later, if it is not done.
    fn ask(&mut self, env: &mut Env<'_>, cells: &[Value], at: usize) -> Result<Option<usize>, Error> {
        for at in at..self.subs.len() {
            let sub = &self.subs[at];
            if !sub.correlated {
                continue;
            }
            if *env.budget == 0 {
                return Ok(Some(at));
            }
            *env.budget -= 1;
            let mut asking = self.asking.take().unwrap_or_else(|| {
                let mut select = sub.select.clone();
                select.bind(cells);
                select
            });
            match asking.rows(env)? {
                Some(rows) => self.answers[at] = sub.answered(rows)?,
                None => {
                    self.asking = Some(asking);
                    return Ok(Some(at));
                }
            }
        }
        Ok(None)
    }

    /// Puts the values of the row around it in the place of their columns.
    fn bind(&mut self, cells: &[Value]) {
        self.each_expr(&mut |expr| {
            expr.change(&mut |part| {
                if let Expr::Outer(at) = part {
                    *part = Expr::Const(Datum::of(&cells[*at]).into_owned());
                }
            });
        });
    }

    fn each_expr(&mut self, each: &mut dyn FnMut(&mut Expr)) {
        let levels = self.join.iter_mut().flat_map(|join| &mut join.levels);
        levels.flat_map(|level| level.on.iter_mut().chain(&mut level.post)).for_each(&mut *each);
        self.filter.iter_mut().for_each(&mut *each);
        if let Some(groups) = &mut self.groups {
            let args = groups.aggregates.iter_mut().map(|aggregate| &mut aggregate.arg);
            groups.keys.iter_mut().chain(args).chain(&mut groups.having).for_each(&mut *each);
        }
        let order = self.out.order.iter_mut().map(|(expr, _)| expr);
        self.out.items.iter_mut().chain(order).for_each(each);
    }

    fn one_row(&mut self) -> Result<(), Error> {
        if self.groups.is_some() || !self.out.full() {
            take(&self.filter, &mut self.groups, &mut self.out, &self.checks, &[], Vec::new()).map(drop)?;
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
                let row = Row { cells: &first, aggregates: &values, subs: &self.answers };
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
    subs: &[Answered],
    cells: Vec<Value>,
) -> Result<ControlFlow<()>, Error> {
    checks.next_row();
    let row = Row { subs, ..Row::of(&cells) };
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
    levels: &[Level],
    heads: &[ColumnHead],
) -> Result<(), Error> {
    let keyed = |column: usize| keys.iter().any(|key| matches!(key, Expr::Column(at) if *at == column));
    // Whoever is grouped by a table's primary key has one row of it in each group.
    let one_row = |column: usize| {
        levels.iter().any(|level| match &level.from {
            From::Table(info) if (level.offset..level.offset + level.width).contains(&column) => {
                !info.hidden_key() && info.def.primary.iter().all(|part| keyed(level.offset + part))
            }
            _ => false,
        })
    };
    for expr in shown {
        if keys.iter().any(|key| format!("{key:?}") == format!("{expr:?}")) {
            continue;
        }
        let mut stray = None;
        expr.visit(&mut |part| {
            if let Expr::Column(at) = part
                && !keyed(*at)
                && !one_row(*at)
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

/// The tables of a query, each with its place in a row, and all their columns.
/// If there is but one and it goes by its own name, its columns stand in its definition, and are not copied.
#[allow(clippy::type_complexity)]
fn tables(
    tree: &SelectTree,
    place: Place<'_>,
) -> Result<(Vec<Level>, Option<Arc<TableInfo>>, Vec<ColumnHead>), Error> {
    let mut levels: Vec<Level> = Vec::new();
    let mut heads: Vec<ColumnHead> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for joined in &tree.from {
        let (from, own, alias) = match &joined.factor {
            Factor::Table(table)
                if table.database.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(schema::NAME)) =>
            {
                let list = place.list.map_or_else(Vec::new, |list| list());
                let made = schema::table(&table.name, &list, place.vars).ok_or_else(|| Error::Sql {
                    code: 1109,
                    state: "42S02",
                    message: format!("Unknown table '{}' in information_schema", table.name),
                })?;
                (From::Given(made.rows.into()), made.heads, &table.alias)
            }
            Factor::Table(table) => {
                let find = place.tables.expect("a query with tables is planned where there are some");
                let info = find(table)?;
                if tree.from.len() == 1 && table.alias == info.name() {
                    let level = Level::new(From::Table(Arc::clone(&info)), 0, info.heads.len(), false, None);
                    return Ok((vec![level], Some(info), Vec::new()));
                }
                (From::Table(Arc::clone(&info)), info.heads.clone(), &table.alias)
            }
            Factor::Derived { tree, alias } => {
                let select = Select::new(tree, Place { outer: None, ..place })?;
                let heads = select.heads.clone();
                (From::Derived(Box::new(select), None), heads, alias)
            }
        };
        if names.contains(&alias.as_str()) {
            let message = format!("Not unique table/alias: '{alias}'");
            return Err(Error::Sql { code: 1066, state: "42000", message });
        }
        names.push(alias);
        levels.push(Level::new(from, heads.len(), own.len(), joined.outer, None));
        heads.extend(own.into_iter().map(|head| ColumnHead { table: alias.clone(), ..head }));
    }
    Ok((levels, None, heads))
}

/// What USING makes of columns with one name.
#[derive(Default)]
struct Merged {
    /// Those that are one with an earlier one.
    later: Vec<usize>,
    /// That they are equal, for each level.
    on: Vec<(usize, Expr)>,
}

fn merged(tree: &SelectTree, levels: &[Level], heads: &[ColumnHead]) -> Result<Merged, Error> {
    let mut merged = Merged::default();
    for (at, (joined, level)) in tree.from.iter().zip(levels).enumerate() {
        let mut equal = Vec::new();
        for name in &joined.using {
            let named = |place: &usize| heads[*place].name.eq_ignore_ascii_case(name);
            let before = (0..level.offset).filter(|place| !merged.later.contains(place)).find(named);
            let own = (level.offset..level.offset + level.width).find(named);
            let (Some(before), Some(own)) = (before, own) else {
                return Err(Error::NoColumn { column: name.clone(), place: "from clause".into() });
            };
            merged.later.push(own);
            let pair = Box::new([Expr::Column(before), Expr::Column(own)]);
            equal.push(Expr::Compare(Comparison::Eq, pair));
        }
        if !equal.is_empty() {
            merged.on.push((at, Expr::And(equal)));
        }
    }
    Ok(merged)
}
