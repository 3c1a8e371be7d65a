//! Expressions: compiled once for a statement, then evaluated for each row.
//!
//! Columns are places in a row, names are gone, and what is the same for the whole statement (`NOW()`, `@@x`) is a
//! constant. Truth has three values: NULL stands for *unknown*, and a row is chosen only if its condition is true.
//! Not here: names (`compile`), evaluation (`eval`), aggregates (`group`).

use super::datum::{Datum, Fit, Number};
use super::function::Function;
use super::sub::Answered;
use crate::error::Error;
use crate::request::ColumnType;
use crate::value::Value;
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;

#[derive(Debug, Clone)]
pub enum Expr {
    Const(Datum<'static>),
    Column(usize),
    /// The value of an aggregate of the group that is being put out.
    Aggregate(usize),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Xor(Box<[Expr; 2]>),
    Not(Box<Expr>),
    Compare(Comparison, Box<[Expr; 2]>),
    Arith(Arith, Box<[Expr; 2]>),
    Bits(Bits, Box<[Expr; 2]>),
    Negate(Box<Expr>),
    Invert(Box<Expr>),
    IsNull(Box<Expr>),
    /// `IS TRUE`, `IS FALSE`: never NULL.
    Is(bool, Box<Expr>),
    /// The first is looked for among the others.
    In(Vec<Expr>),
    Between(Box<[Expr; 3]>),
    Like {
        text: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<char>,
    },
    /// The operand, if there is one; pairs of condition and value; the value if none fits.
    Case {
        operand: Option<Box<Expr>>,
        arms: Vec<(Expr, Expr)>,
        other: Option<Box<Expr>>,
    },
    Cast(Target, Box<Expr>),
    Call(&'static Function, Vec<Expr>),
    /// A column of the row around a subquery.
    Outer(usize),
    /// The one value that a subquery answers, of this kind.
    Sub(usize, ColumnType),
    /// Whether a value is among those that a subquery answers.
    InSub(Box<Expr>, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Eq,
    NotEq,
    Less,
    LessEq,
    More,
    MoreEq,
    /// `<=>`: NULL equals NULL.
    Same,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arith {
    Add,
    Sub,
    Mul,
    Div,
    /// `DIV`: without the fraction.
    Whole,
    Rem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    And,
    Or,
    Xor,
    Left,
    Right,
}

/// What a value is cast to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Signed,
    Unsigned,
    Text { chars_max: Option<u32> },
    Bytes { bytes_max: Option<u32> },
    Decimal { digits: u8, scale: u8 },
    Double,
    Moment(ColumnType),
}

/// A warning of the statement under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub level: &'static str,
    pub code: u16,
    pub message: String,
}

/// Warnings that one statement keeps for `SHOW WARNINGS`; MySQL's `max_error_count`.
pub const WARNINGS_MAX: usize = 64;

/// How strict the statement is, and what it warned of.
#[derive(Debug, Default, Clone)]
pub struct Checks {
    /// What a read would warn of, a write refuses.
    strict: bool,
    pub warnings: RefCell<Vec<Warning>>,
    /// Bytes of the texts that were made for the row under way.
    made_bytes: Cell<u64>,
}

/// Texts that the expressions of one row may make, all together, in bytes. Default 64 MiB; more is refused with
/// `TooLarge`. One text is bounded by itself (`function`), but not how many of them there are.
const MADE_BYTES_MAX: u64 = 64 << 20;

impl Checks {
    /// Those of a statement that writes.
    pub fn strict() -> Checks {
        Checks { strict: true, ..Checks::default() }
    }

    /// Another row is begun.
    pub fn next_row(&self) {
        self.made_bytes.set(0);
    }

    /// Counts a text that was made.
    pub fn made(&self, bytes: usize) -> Result<(), Error> {
        let got = self.made_bytes.get().saturating_add(bytes as u64);
        self.made_bytes.set(got);
        if got > MADE_BYTES_MAX {
            return Err(Error::TooLarge {
                what: "what the expressions of one row make, in bytes,",
                got,
                max: MADE_BYTES_MAX,
            });
        }
        Ok(())
    }

    pub fn warn(&self, level: &'static str, code: u16, message: String) {
        let mut warnings = self.warnings.borrow_mut();
        if warnings.len() < WARNINGS_MAX {
            warnings.push(Warning { level, code, message });
        }
    }

    /// A value was not what it should have been: an error in a write, a warning in a read.
    pub fn doubt(
        &self,
        code: u16,
        state: &'static str,
        message: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        if self.strict {
            return Err(Error::Sql { code, state, message: message() });
        }
        self.warn("Warning", code, message());
        Ok(())
    }

    /// `datum` as a number; `None` for NULL.
    pub fn number(&self, datum: &Datum) -> Result<Option<Number>, Error> {
        let Some((number, fit)) = datum.to_number() else { return Ok(None) };
        if fit == Fit::Part {
            self.doubt(1292, "22007", || truncated("DOUBLE", datum))?;
        }
        Ok(Some(number))
    }

    pub fn truth(&self, datum: &Datum) -> Result<Option<bool>, Error> {
        match datum {
            Datum::Text(_) | Datum::Bytes(_) => Ok(self.number(datum)?.map(|n| n.to_f64() != 0.0)),
            other => Ok(other.is_true()),
        }
    }

    pub fn compare(&self, a: &Datum, b: &Datum) -> Result<Option<Ordering>, Error> {
        let Some((order, fit)) = a.compare(b) else { return Ok(None) };
        if fit == Fit::Part {
            let text = if matches!(a, Datum::Text(_) | Datum::Bytes(_)) { a } else { b };
            self.doubt(1292, "22007", || truncated("DOUBLE", text))?;
        }
        Ok(Some(order))
    }
}

/// MySQL's words for a text that is no number.
pub fn truncated(kind: &str, datum: &Datum) -> String {
    let shown: String = datum.to_text().unwrap_or_default().chars().take(64).collect();
    format!("Truncated incorrect {kind} value: '{shown}'")
}

/// What an expression is evaluated over.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    pub cells: &'a [Value],
    pub aggregates: &'a [Datum<'static>],
    /// What the subqueries answered.
    pub subs: &'a [Answered],
}

impl<'a> Row<'a> {
    pub const EMPTY: Row<'static> = Row { cells: &[], aggregates: &[], subs: &[] };

    pub fn of(cells: &'a [Value]) -> Row<'a> {
        Row { cells, aggregates: &[], subs: &[] }
    }
}

pub fn out_of_range(kind: &str, what: &str) -> Error {
    Error::Sql { code: 1690, state: "22003", message: format!("{kind} value is out of range in '{what}'") }
}

impl Expr {
    pub fn text(text: impl Into<String>) -> Expr {
        Expr::Const(Datum::text(text.into()))
    }

    /// Whether a row is chosen by this condition.
    pub fn chooses(&self, row: Row<'_>, checks: &Checks) -> Result<bool, Error> {
        let datum = self.eval(row, checks)?;
        Ok(checks.truth(&datum)? == Some(true))
    }

    /// The value if it is one already.
    pub fn constant(&self) -> Option<&Datum<'static>> {
        match self {
            Expr::Const(datum) => Some(datum),
            _ => None,
        }
    }

    /// Lets each part of the expression be changed, the whole last.
    pub fn change(&mut self, each: &mut dyn FnMut(&mut Expr)) {
        match self {
            Expr::Const(_) | Expr::Column(_) | Expr::Aggregate(_) | Expr::Outer(_) | Expr::Sub(..) => {}
            Expr::And(parts) | Expr::Or(parts) | Expr::In(parts) | Expr::Call(_, parts) => {
                parts.iter_mut().for_each(|part| part.change(each));
            }
            Expr::Xor(pair) | Expr::Compare(_, pair) | Expr::Arith(_, pair) | Expr::Bits(_, pair) => {
                pair.iter_mut().for_each(|part| part.change(each));
            }
            Expr::Between(parts) => parts.iter_mut().for_each(|part| part.change(each)),
            Expr::Not(part)
            | Expr::Negate(part)
            | Expr::Invert(part)
            | Expr::IsNull(part)
            | Expr::Is(_, part)
            | Expr::InSub(part, _)
            | Expr::Cast(_, part) => part.change(each),
            Expr::Like { text, pattern, .. } => {
                text.change(each);
                pattern.change(each);
            }
            Expr::Case { operand, arms, other } => {
                operand.iter_mut().chain(other).for_each(|part| part.change(each));
                for (when, then) in arms {
                    when.change(each);
                    then.change(each);
                }
            }
        }
        each(self);
    }

    /// Whether it waits for a subquery.
    pub fn asks(&self) -> bool {
        let mut asks = false;
        self.visit(&mut |part| asks |= matches!(part, Expr::Sub(..) | Expr::InSub(..)));
        asks
    }

    /// Whether this column is a part of it.
    pub fn looks_at(&self, column: usize) -> bool {
        let mut looks = false;
        self.visit(&mut |part| looks |= matches!(part, Expr::Column(at) if *at == column));
        looks
    }

    /// Shows each part of the expression, the whole first.
    pub fn visit<'e>(&'e self, each: &mut dyn FnMut(&'e Expr)) {
        each(self);
        match self {
            Expr::Const(_) | Expr::Column(_) | Expr::Aggregate(_) | Expr::Outer(_) | Expr::Sub(..) => {}
            Expr::And(parts) | Expr::Or(parts) | Expr::In(parts) | Expr::Call(_, parts) => {
                parts.iter().for_each(|part| part.visit(each));
            }
            Expr::Xor(pair) | Expr::Compare(_, pair) | Expr::Arith(_, pair) | Expr::Bits(_, pair) => {
                pair.iter().for_each(|part| part.visit(each));
            }
            Expr::Between(parts) => parts.iter().for_each(|part| part.visit(each)),
            Expr::Not(part)
            | Expr::Negate(part)
            | Expr::Invert(part)
            | Expr::IsNull(part)
            | Expr::Is(_, part)
            | Expr::InSub(part, _)
            | Expr::Cast(_, part) => part.visit(each),
            Expr::Like { text, pattern, .. } => {
                text.visit(each);
                pattern.visit(each);
            }
            Expr::Case { operand, arms, other } => {
                operand.iter().chain(other).for_each(|part| part.visit(each));
                for (when, then) in arms {
                    when.visit(each);
                    then.visit(each);
                }
            }
        }
    }
}
