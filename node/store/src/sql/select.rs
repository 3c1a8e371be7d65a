//! SELECT: walk, choose, group, sort, put out; each in slices.
//!
//! Sorting and grouping go on while rows come, so that no long step waits at the end. A walk in key
//! order that is wanted in key order is not sorted at all, and ends with its LIMIT.

use super::access::access;
use super::compile::{Columns, Compiler, Gathered, List, Tables, unsupported};
use super::datum::Datum;
use super::expr::{Checks, Expr, Row};
use super::from::{
    ands, bound, by_member, columns_in, full_group_by, has_aggregate, in_key_order, merged, note_column,
    picked, plain, position, tables,
};
use super::group::Tally;
use super::join::{From, Join, Level, Turned};
use super::kind::Kinds;
use super::out::{Groups, Made, Out, spent, take};
use super::rows::{Kept, Source};
use super::sorted::Sorted;
use super::sub::{Asked, settle};
use super::tree::{Item, SelectTree};
use super::vars::Vars;
use crate::error::Error;
use crate::request::{ColumnHead, Form, Rows, StepResult};
use crate::row;
use crate::session::{Context, Env, Turn};
use crate::txn::Walk;
use crate::value::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A select under way.
#[derive(Debug, Clone)]
pub struct Select {
    /// `None`: there is no table, and one row without columns.
    pub(super) join: Option<Join>,
    /// Of one table whose rows are seen as they are walked over, once that is known to be enough.
    source: Option<Source>,
    /// The columns of that table which something looks at.
    wanted: Vec<bool>,
    /// Those of the row under way; room that is used again.
    cells: Vec<Value>,
    pub(super) filter: Option<Expr>,
    pub(super) asked: Asked,
    /// A row that waits for subqueries.
    waiting: Option<Vec<Value>>,
    /// It looks at the row around it.
    correlated: bool,
    pub(super) groups: Option<Groups>,
    pub(super) out: Out,
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
    pub list: Option<List<'a>>,
    /// The columns of the query around it.
    pub outer: Option<Columns<'a>>,
}

impl Select {
    /// Plans it over the tables as they are now.
    pub fn new(tree: &SelectTree, place: Place<'_>) -> Result<Select, Error> {
        let Place { vars, ctx, tables: find, list: all, outer } = place;
        let gathered = RefCell::new(Gathered::default());
        let (mut levels, only, own) = tables(tree, place)?;
        let heads: &[ColumnHead] = only.as_ref().map_or(&own, |info| &info.heads);
        let merged = merged(tree, &levels, heads)?;
        let columns = (!levels.is_empty()).then_some(Columns { database: &vars.home, table: "", heads });
        let compiler = |clause| {
            let mut compiler = Compiler::new(vars, ctx, columns, clause);
            (compiler.tables, compiler.outer, compiler.gathered) = (find, outer, Some(&gathered));
            (compiler.merged, compiler.list, compiler.scope) = (&merged.later, all, Some(&tree.scope));
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
        // Which of an inner join's rows stay is asked as well when all are there.
        let mut asked = Vec::new();
        for level in levels.iter_mut().filter(|level| level.on.as_ref().is_some_and(Expr::asks)) {
            let alone = gathered.borrow().subs.iter().all(|sub| !sub.correlated);
            match (level.outer, level.on.take()) {
                (false, Some(on)) => asked.push(on),
                (_, on) if alone => level.on = on,
                _ => return unsupported("subqueries in the ON of a LEFT JOIN that look at the row"),
            }
        }
        let filter = tree.filter.as_ref().map(|tree| compiler("where clause").compile(tree)).transpose()?;
        let filter = match asked.is_empty() {
            true => filter,
            false => Some(Expr::And(asked.into_iter().chain(filter).collect())),
        };
        let mut list = compiler("field list");
        list.aggregates = Some(Vec::new());
        let mut items = Vec::with_capacity(tree.items.len());
        let mut names = Vec::with_capacity(tree.items.len());
        let mut aliases = Vec::new();
        for item in &tree.items {
            match item {
                Item::All(of) => {
                    let own = |at: &usize| match of {
                        Some(of) => heads[*at].table == *of,
                        // What USING made one is shown once.
                        None => !merged.later.contains(at),
                    };
                    // In the order in which the tables were written, but for what USING made one.
                    let turned =
                        tree.from.get(1).is_some_and(|joined| joined.turned && joined.using.is_empty());
                    let first =
                        if turned { levels[1].offset..levels[1].offset + levels[1].width } else { 0..0 };
                    let rest = (0..heads.len()).filter(|at| !first.contains(at));
                    let places: Vec<usize> = first.clone().chain(rest).filter(own).collect();
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
            order.push((by_member(expr, heads), *direction));
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
                form: match item {
                    Expr::Column(at) => heads[*at].form,
                    _ => Form::Plain,
                },
                members: match item {
                    Expr::Column(at) => heads[*at].members.clone(),
                    _ => None,
                },
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

        let Gathered { subs, outer } = gathered.into_inner();
        let within = |level: &Level| matches!(&level.from, From::Derived(union, _) if union.correlated());
        let correlated = outer || levels.iter().any(within);
        if grouped && subs.iter().any(|sub| sub.correlated) {
            let after = items.iter().chain(order.iter().map(|(expr, _)| expr)).chain(&having);
            if after.chain(&keys).any(Expr::asks) {
                return unsupported("subqueries that look at the rows of a group");
            }
        }
        Ok(Select {
            join: (!levels.is_empty()).then(|| Join::new(levels, tree.lock)),
            source: None,
            wanted: Vec::new(),
            cells: Vec::new(),
            filter,
            asked: Asked::new(subs),
            waiting: None,
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
                plain: plain(&items),
                items,
                order,
                seen: tree.distinct.then(BTreeSet::new),
                skip,
                limit,
                rows: Made::Values(Vec::new()),
                sorted: Sorted::default(),
                kept: Kept::default(),
                raw: None,
                key: Vec::new(),
                cells: Vec::new(),
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

    /// Whether the walk over its only table puts out the order that is asked for.
    pub fn ordered_by_key(&self) -> bool {
        match self.join.as_ref().map(|join| &join.levels[..]) {
            Some([Level { from: From::Table(info), .. }]) if self.groups.is_none() => {
                let index = access(info, self.filter.as_ref()).index;
                in_key_order(&self.out.order, info, index)
            }
            _ => false,
        }
    }

    /// Nobody asks for more than whether there is a row.
    pub fn only_first(&mut self) {
        if self.groups.is_none() {
            self.out.limit = self.out.limit.min(1);
        }
    }

    /// Its answer if it has no table and no subquery, at once.
    pub fn answer(mut self, vars: &mut Vars) -> Result<StepResult, Error> {
        self.out.for_client();
        self.one_row()?;
        let mut all = u32::MAX;
        assert!(self.finish(&mut all)?, "one row is put out in one slice");
        Ok(self.result(vars))
    }

    pub fn run(&mut self, env: &mut Env<'_>) -> Turn {
        self.out.for_client();
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
        let done = self.slice(env)?;
        Ok(done.then(|| match &mut self.out.rows {
            Made::Values(rows) => mem::take(rows),
            Made::Packed(_) => unreachable!("a statement has its own rows, or gives them to a client"),
        }))
    }

    fn result(&mut self, vars: &mut Vars) -> StepResult {
        vars.warnings = self.checks.warnings.take();
        vars.row_count = -1;
        let columns = mem::take(&mut self.heads);
        let rows = match &mut self.out.rows {
            Made::Packed(rows) => mem::take(rows),
            Made::Values(_) => unreachable!("rows for a client were asked for"),
        };
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
            if let From::Derived(union, rows @ None) = &mut level.from {
                match union.rows(env)? {
                    Some(made) => *rows = Some(made.into()),
                    None => return Ok(false),
                }
            }
        }
        if !self.asked.settle(env)? {
            return Ok(false);
        }
        self.settled = true;
        let Out { sorted, limit, skip, .. } = &mut self.out;
        sorted.most = (*limit < u64::MAX).then(|| limit.saturating_add(*skip));
        let answers = mem::take(&mut self.asked.answers);
        if !answers.is_empty() {
            self.each_expr(&mut |expr| settle(expr, &answers));
        }
        self.asked.answers = answers;
        let asks = self.asked.correlated();
        let Some(join) = &mut self.join else { return Ok(true) };
        let parts = ands(self.filter.take());
        if let ([Level { from: From::Table(info), .. }], false) = (&join.levels[..], asks) {
            self.filter = (!parts.is_empty()).then_some(Expr::And(parts));
            let access = access(info, self.filter.as_ref());
            if let Some(Expr::And(parts)) = &mut self.filter {
                // What holds wherever the walk leads is not asked again.
                let mut places = 0..;
                parts.retain(|_| places.next().is_some_and(|at| !access.sure.has(at)));
                if parts.is_empty() {
                    self.filter = None;
                }
            }
            if self.groups.is_none() {
                if in_key_order(&self.out.order, info, access.index) {
                    self.out.order.clear();
                }
                self.out.as_kept(&self.heads);
            }
            self.source = Some(Source::new(Arc::clone(info), access, join.lock));
            let mut wanted = Vec::new();
            let mut note = |expr: &mut Expr| expr.visit(&mut |part| note_column(&mut wanted, part));
            match self.out.raw {
                Some(_) => self.filter.iter_mut().for_each(note),
                None => self.each_expr(&mut note),
            }
            self.wanted = wanted;
            return Ok(true);
        }
        let (posts, rest) = join.spread(parts);
        for (level, post) in join.levels.iter_mut().zip(posts) {
            level.post = (!post.is_empty()).then_some(Expr::And(post));
        }
        self.filter = (!rest.is_empty()).then_some(Expr::And(rest));
        Ok(true)
    }

    /// Takes in all rows; whether it is done.
    fn walk(&mut self, env: &mut Env<'_>) -> Result<bool, Error> {
        let Select { source, wanted, cells, filter, groups, out, checks, asked, .. } = self;
        if let Some(source) = source {
            let subs = &asked.answers[..];
            let walk = source.walk(env, &mut |_, bytes| {
                if out.raw.is_none() {
                    row::pick(bytes, wanted, cells);
                    return take(filter, groups, out, checks, subs, cells);
                }
                if let Some(filter) = filter {
                    row::pick(bytes, wanted, cells);
                    checks.next_row();
                    if !filter.chooses(Row { subs, ..Row::of(cells) }, checks)? {
                        return Ok(ControlFlow::Continue(()));
                    }
                }
                out.take_raw(bytes)
            })?;
            return Ok(walk != Walk::Yield);
        }
        let asks = asked.correlated();
        loop {
            let mut cells = match self.waiting.take() {
                Some(cells) => match self.asked.ask(env, &cells)? {
                    true => cells,
                    false => {
                        self.waiting = Some(cells);
                        return Ok(false);
                    }
                },
                None => {
                    let turned = match &mut self.join {
                        Some(join) => join.next(env, &self.checks, &self.asked.answers)?,
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
                        self.waiting = Some(cells);
                        continue;
                    }
                    cells
                }
            };
            let Select { filter, groups, out, checks, asked, .. } = self;
            if take(filter, groups, out, checks, &asked.answers, &mut cells)?.is_break() {
                return Ok(true);
            }
        }
    }

    /// Puts the values of the row around it in the place of their columns.
    pub fn bind(&mut self, cells: &[Value]) {
        for level in self.join.iter_mut().flat_map(|join| &mut join.levels) {
            if let From::Derived(union, _) = &mut level.from {
                union.bind(cells);
            }
        }
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
            take(&self.filter, &mut self.groups, &mut self.out, &self.checks, &[], &mut []).map(drop)?;
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
                let row = Row { cells: &first, aggregates: &values, subs: &self.asked.answers };
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
        while self.out.put_sorted() {
            if spent(budget) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
