//! Queries made of queries: UNION, parentheses, and WITH.
//!
//! A union is a table that is made on the spot and named by nobody: `SELECT * FROM (all of them) ORDER BY … LIMIT …`.
//! What WITH names is put, as a derived table, wherever the name stands; asked for twice it is run twice.
//! Not here: WITH RECURSIVE, INTERSECT, EXCEPT.

use super::compile::unsupported;
use super::convert::into_column;
use super::datum::Datum;
use super::kind::wider;
use super::out::spent;
use super::rows::Kept;
use super::select::{Place, Select};
use super::tree::{Factor, Item, Joined, SelectTree, blank_select, bounds, order, select};
use crate::error::Error;
use crate::request::{Column, ColumnHead, ColumnType};
use crate::session::Env;
use crate::value::Value;
use sqlparser::ast::{self, SetExpr, SetOperator, SetQuantifier};
use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;

/// What WITH has named so far, the last one first.
pub type Scope = Option<Arc<Named>>;

#[derive(Debug)]
pub struct Named {
    name: String,
    columns: Vec<String>,
    query: ast::Query,
    /// What it may name itself.
    before: Scope,
}

/// The query that a name means, if WITH gave it one: with the names of its columns, and what it may name itself.
pub fn named<'s>(scope: &'s Scope, name: &str) -> Option<(&'s ast::Query, &'s [String], &'s Scope)> {
    let mut at = scope;
    while let Some(named) = at {
        if named.name.eq_ignore_ascii_case(name) {
            return Some((&named.query, &named.columns, &named.before));
        }
        at = &named.before;
    }
    None
}

/// `AS t (a, b)`.
pub fn column_names(alias: &ast::TableAlias) -> Result<Vec<String>, Error> {
    if alias.at.is_some() || alias.columns.iter().any(|column| column.data_type.is_some()) {
        return unsupported("the alias of this table");
    }
    Ok(alias.columns.iter().map(|column| column.name.value.clone()).collect())
}

/// Any query as a SELECT. `texts`: the items of its first SELECT as they were written, if they were asked for.
pub fn query(mut query: ast::Query, texts: &[&str], scope: &Scope) -> Result<SelectTree, Error> {
    let mut scope = scope.clone();
    if let Some(with) = query.with.take() {
        if with.recursive {
            return unsupported("WITH RECURSIVE");
        }
        for cte in with.cte_tables {
            if cte.from.is_some() || cte.materialized.is_some() {
                return unsupported("the clauses of this WITH");
            }
            let (name, columns) = (cte.alias.name.value.clone(), column_names(&cte.alias)?);
            scope = Some(Arc::new(Named { name, columns, query: *cte.query, before: scope }));
        }
    }
    if !matches!(*query.body, SetExpr::SetOperation { .. } | SetExpr::Query(_)) {
        return select(query, texts, &scope);
    }
    let (order, (limit, offset)) = (order(query.order_by.take())?, bounds(query.limit_clause.take())?);
    let body = mem::replace(&mut query.body, blank_select().body.clone());
    if query != *blank_select() {
        return unsupported("FOR UPDATE of a UNION, and other clauses behind it");
    }
    let mut parts = parts(*body, texts, &scope)?;
    if parts.len() == 1 && order.is_empty() && limit.is_none() && offset.is_none() {
        return Ok(parts.remove(0).0);
    }
    let factor = Factor::Derived { parts, alias: String::new(), columns: Vec::new(), lateral: true };
    Ok(SelectTree {
        items: vec![Item::All(None)],
        from: vec![Joined { factor, on: None, using: Vec::new(), outer: false, turned: false }],
        filter: None,
        group: Vec::new(),
        having: None,
        order,
        limit,
        offset,
        distinct: false,
        lock: false,
        scope,
    })
}

/// The queries of a UNION, each with whether what came by then is to be there once.
fn parts(body: SetExpr, texts: &[&str], scope: &Scope) -> Result<Vec<(SelectTree, bool)>, Error> {
    // The parser nests a chain to the left: it is gone along without recursion.
    let mut rest = body;
    let mut behind = Vec::new();
    let first = loop {
        match rest {
            SetExpr::SetOperation { op: SetOperator::Union, set_quantifier, left, right } => {
                let once = match set_quantifier {
                    SetQuantifier::All => false,
                    SetQuantifier::None | SetQuantifier::Distinct => true,
                    other => return unsupported(format!("UNION {other}")),
                };
                behind.push((*right, once));
                rest = *left;
            }
            SetExpr::SetOperation { op, .. } => return unsupported(op.to_string()),
            other => break other,
        }
    };
    let mut parts = vec![(part(first, texts, scope)?, false)];
    while let Some((right, once)) = behind.pop() {
        parts.push((part(right, &[], scope)?, once));
    }
    Ok(parts)
}

fn part(body: SetExpr, texts: &[&str], scope: &Scope) -> Result<SelectTree, Error> {
    match body {
        SetExpr::Query(inner) => query(*inner, texts, scope),
        body => {
            let whole = ast::Query { body: Box::new(body), ..blank_select().clone() };
            query(whole, texts, scope)
        }
    }
}

/// The rows of one query, or of several one after the other.
#[derive(Debug, Clone)]
pub struct Union {
    selects: Vec<Select>,
    heads: Vec<ColumnHead>,
    /// How many of them, from the first on, give each row once.
    once: usize,
    seen: BTreeSet<Vec<u8>>,
    /// The next query, its rows that were not yet taken, and those that were.
    at: usize,
    came: VecDeque<Vec<Value>>,
    rows: Vec<Vec<Value>>,
    kept: Kept,
}

impl Union {
    pub fn new(parts: &[(SelectTree, bool)], columns: &[String], place: Place<'_>) -> Result<Union, Error> {
        let mut selects = Vec::with_capacity(parts.len());
        for (tree, _) in parts {
            selects.push(Select::new(tree, place)?);
        }
        let mut heads = selects[0].heads().to_vec();
        for select in &selects[1..] {
            if select.heads().len() != heads.len() {
                let message = "The used SELECT statements have a different number of columns".into();
                return Err(Error::Sql { code: 1222, state: "21000", message });
            }
            for (head, other) in heads.iter_mut().zip(select.heads()) {
                head.kind = match (head.kind, other.kind) {
                    // NULL is of any kind.
                    (ColumnType::Text { chars_max: 0 }, kind) | (kind, ColumnType::Text { chars_max: 0 }) => {
                        kind
                    }
                    (a, b) => wider(a, b),
                };
                if head.members != other.members {
                    head.members = None;
                }
            }
        }
        if !columns.is_empty() && columns.len() != heads.len() {
            let message =
                "In definition of view, derived table or common table expression, SELECT list and column \
                           names list have different column counts"
                    .into();
            return Err(Error::Sql { code: 1353, state: "HY000", message });
        }
        heads.iter_mut().zip(columns).for_each(|(head, name)| head.name.clone_from(name));
        let once = parts.iter().rposition(|(_, once)| *once).map_or(0, |at| at + 1);
        let (seen, came, rows) = (BTreeSet::new(), VecDeque::new(), Vec::new());
        Ok(Union { selects, heads, once, seen, at: 0, came, rows, kept: Kept::default() })
    }

    pub fn heads(&self) -> &[ColumnHead] {
        &self.heads
    }

    /// Whether one of them looks at the row around it.
    pub fn correlated(&self) -> bool {
        self.selects.iter().any(Select::correlated)
    }

    pub fn selects(&self) -> &[Select] {
        &self.selects
    }

    pub fn bind(&mut self, cells: &[Value]) {
        self.selects.iter_mut().for_each(|select| select.bind(cells));
    }

    /// All rows; `None`: it goes on later.
    pub fn rows(&mut self, env: &mut Env<'_>) -> Result<Option<Vec<Vec<Value>>>, Error> {
        if let [only] = &mut self.selects[..] {
            return only.rows(env);
        }
        loop {
            while let Some(row) = self.came.pop_front() {
                self.take(row)?;
                if spent(env.budget) {
                    return Ok(None);
                }
            }
            if self.at == self.selects.len() {
                return Ok(Some(mem::take(&mut self.rows)));
            }
            match self.selects[self.at].rows(env)? {
                Some(rows) => self.came = rows.into(),
                None => return Ok(None),
            }
            self.at += 1;
        }
    }

    fn take(&mut self, mut row: Vec<Value>) -> Result<(), Error> {
        let select = &self.selects[self.at - 1];
        for ((cell, head), own) in row.iter_mut().zip(&self.heads).zip(select.heads()) {
            if head.kind != own.kind {
                let (name, kind) = (head.name.clone(), head.kind);
                let column = Column { name, kind, nullable: true, ..Column::default() };
                *cell = into_column(&column, Datum::of(cell))?;
            }
        }
        if self.at <= self.once {
            let mut key = Vec::new();
            row.iter().for_each(|cell| Datum::of(cell).push_sortable(&mut key));
            self.kept.bytes(key.len() as u64 + 32)?;
            if !self.seen.insert(key) {
                return Ok(());
            }
        }
        self.kept.row(&row)?;
        self.rows.push(row);
        Ok(())
    }
}
