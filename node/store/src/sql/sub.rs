//! Subqueries: a SELECT whose answer stands in another statement's expression.
//!
//! One that looks at nothing of the statement around it is run once, before it, and its answer becomes a constant.
//! One that looks at a row of it is run for each row that the other conditions left, in slices as everything.
//! Bound: it sees the tables of the query that it stands in, and not those around that one.

use super::datum::Datum;
use super::expr::Expr;
use super::select::Select;
use crate::error::Error;
use crate::session::Env;
use crate::value::Value;
use std::collections::BTreeSet;

/// What is asked of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One value, of one row at most.
    Scalar,
    Exists,
    /// All values, to look for one among them.
    List,
}

#[derive(Debug, Clone)]
pub struct Sub {
    pub kind: Kind,
    pub select: Box<Select>,
    /// It looks at the row around it.
    pub correlated: bool,
}

/// What it answered.
#[derive(Debug, Clone)]
pub enum Answered {
    /// It did not run yet.
    Not,
    One(Datum<'static>),
    List(List),
}

#[derive(Debug, Clone, Default)]
pub struct List {
    values: Vec<Datum<'static>>,
    /// The same by their sortable bytes, if all are of one kind that is equal exactly if these are.
    sorted: Option<(bool, BTreeSet<Vec<u8>>)>,
    null: bool,
}

/// A list that is no longer than this becomes one of constants, by which keys can be looked for.
const CONSTANTS_MAX: usize = 256;

impl List {
    fn new(rows: Vec<Vec<Value>>) -> List {
        let mut list = List::default();
        for row in &rows {
            match Datum::of(&row[0]) {
                Datum::Null => list.null = true,
                datum => list.values.push(datum.into_owned()),
            }
        }
        let ints = list.values.iter().all(|datum| matches!(datum, Datum::Int(_)));
        if ints || list.values.iter().all(|datum| matches!(datum, Datum::Text(_))) {
            list.sorted = Some((ints, list.values.iter().map(sortable).collect()));
        }
        list
    }

    /// Whether it has a value; `None`: nobody knows, for there are NULLs. `Err`: look at each.
    pub fn has(&self, sought: &Datum) -> Result<Option<bool>, &[Datum<'static>]> {
        if self.values.is_empty() && !self.null {
            return Ok(Some(false));
        }
        let found = match (&self.sorted, sought) {
            (_, Datum::Null) => return Ok(None),
            (Some((true, set)), Datum::Int(_)) | (Some((false, set)), Datum::Text(_)) => {
                set.contains(&sortable(sought))
            }
            _ => return Err(&self.values),
        };
        Ok(if found { Some(true) } else { (!self.null).then_some(false) })
    }

    pub fn has_null(&self) -> bool {
        self.null
    }
}

fn sortable(datum: &Datum) -> Vec<u8> {
    let mut out = Vec::new();
    datum.push_sortable(&mut out);
    out
}

impl Sub {
    /// What its rows answer.
    pub fn answered(&self, mut rows: Vec<Vec<Value>>) -> Result<Answered, Error> {
        Ok(match self.kind {
            Kind::Exists => Answered::One(Datum::truth(!rows.is_empty())),
            Kind::Scalar if rows.len() > 1 => {
                let message = "Subquery returns more than 1 row".into();
                return Err(Error::Sql { code: 1242, state: "21000", message });
            }
            Kind::Scalar => {
                let value = rows.pop().and_then(|mut row| row.pop()).unwrap_or(Value::Null);
                Answered::One(Datum::of(&value).into_owned())
            }
            Kind::List => Answered::List(List::new(rows)),
        })
    }
}

/// The subqueries of one statement, and what they answered.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    subs: Vec<Sub>,
    pub answers: Vec<Answered>,
    /// The one that is asked about the row under way, and how far it is.
    at: usize,
    under_way: Option<Box<Select>>,
}

impl Asked {
    pub fn new(subs: Vec<Sub>) -> Asked {
        let answers = subs.iter().map(|_| Answered::Not).collect();
        Asked { subs, answers, at: 0, under_way: None }
    }

    /// Whether one of them looks at the row around it.
    pub fn correlated(&self) -> bool {
        self.subs.iter().any(|sub| sub.correlated)
    }

    pub fn selects(&self) -> impl Iterator<Item = &Select> {
        self.subs.iter().map(|sub| &*sub.select)
    }

    /// Runs those that look at no row; whether it is done.
    pub fn settle(&mut self, env: &mut Env<'_>) -> Result<bool, Error> {
        for (sub, answer) in self.subs.iter_mut().zip(&mut self.answers) {
            if !sub.correlated && matches!(answer, Answered::Not) {
                match sub.select.rows(env)? {
                    Some(rows) => *answer = sub.answered(rows)?,
                    None => return Ok(false),
                }
            }
        }
        Ok(true)
    }

    /// Asks the others about a row; whether it is done. If not, it is to be called again for the same row.
    pub fn ask(&mut self, env: &mut Env<'_>, cells: &[Value]) -> Result<bool, Error> {
        while let Some(sub) = self.subs.get(self.at) {
            if sub.correlated {
                if *env.budget == 0 {
                    return Ok(false);
                }
                let mut asking = match self.under_way.take() {
                    Some(under_way) => under_way,
                    None => {
                        // To begin one costs a unit; to go on with it costs only what it does.
                        *env.budget -= 1;
                        let mut select = sub.select.clone();
                        select.bind(cells);
                        select
                    }
                };
                match asking.rows(env)? {
                    Some(rows) => self.answers[self.at] = sub.answered(rows)?,
                    None => {
                        self.under_way = Some(asking);
                        return Ok(false);
                    }
                }
            }
            self.at += 1;
        }
        self.at = 0;
        Ok(true)
    }
}

/// Puts an answer that holds for all rows in the place of its question.
pub fn settle(expr: &mut Expr, answers: &[Answered]) {
    expr.change(&mut |part| {
        let settled = match part {
            Expr::Sub(at, _) => match &answers[*at] {
                Answered::One(datum) => Some(Expr::Const(datum.clone())),
                _ => None,
            },
            Expr::InSub(sought, at) => match &answers[*at] {
                Answered::List(list) if (1..=CONSTANTS_MAX).contains(&list.values.len()) => {
                    let nulls = list.null.then_some(Expr::Const(Datum::Null));
                    let values = list.values.iter().cloned().map(Expr::Const);
                    let sought = std::mem::replace(&mut **sought, Expr::Const(Datum::Null));
                    Some(Expr::In(std::iter::once(sought).chain(values).chain(nulls).collect()))
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(settled) = settled {
            *part = settled;
        }
    });
}
