//! Aggregates: what `COUNT`, `SUM`, `MIN`, `MAX` and `AVG` keep while rows go by.

use super::datum::{Datum, Number};
use super::decimal::Decimal;
use super::expr::{Checks, Expr, Row, out_of_range};
use crate::error::Error;
use std::cmp::Ordering;
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// `COUNT(*)`: rows.
    Rows,
    /// Values that are not NULL.
    Count,
    Sum,
    Min,
    Max,
    Avg,
}

impl What {
    pub fn named(name: &str) -> Option<What> {
        let names = [
            ("COUNT", What::Count),
            ("SUM", What::Sum),
            ("MIN", What::Min),
            ("MAX", What::Max),
            ("AVG", What::Avg),
        ];
        names.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, what)| what)
    }
}

#[derive(Debug, Clone)]
pub struct Aggregate {
    pub what: What,
    pub distinct: bool,
    pub arg: Expr,
}

/// What one aggregate has seen of one group.
#[derive(Debug, Clone)]
pub struct Tally {
    rows: i64,
    sum: Option<Number>,
    best: Option<Datum<'static>>,
    /// The values seen, if each is to count once.
    seen: BTreeSet<Vec<u8>>,
}

/// A quotient of a sum has so many digits more.
const AVG_DIGITS: u8 = 4;

impl Tally {
    pub fn new() -> Tally {
        Tally { rows: 0, sum: None, best: None, seen: BTreeSet::new() }
    }

    /// Takes in a row. Answers how many bytes it keeps more than before.
    pub fn add(&mut self, aggregate: &Aggregate, row: Row<'_>, checks: &Checks) -> Result<u64, Error> {
        if aggregate.what == What::Rows {
            self.rows += 1;
            return Ok(0);
        }
        let datum = aggregate.arg.eval(row, checks)?;
        if datum.is_null() {
            return Ok(0);
        }
        let mut kept = 0;
        if aggregate.distinct {
            let mut key = Vec::new();
            datum.push_sortable(&mut key);
            kept = key.len() as u64 + 32;
            if !self.seen.insert(key) {
                return Ok(0);
            }
        }
        self.rows += 1;
        match aggregate.what {
            What::Rows | What::Count => {}
            What::Sum | What::Avg => {
                let number = checks.number(&datum)?.expect("it is not NULL");
                self.sum = Some(match self.sum {
                    None => exact(number),
                    Some(sum) => plus(sum, exact(number))?,
                });
            }
            What::Min | What::Max => {
                let wins = if aggregate.what == What::Min { Ordering::Less } else { Ordering::Greater };
                let better = match &self.best {
                    None => true,
                    Some(best) => checks.compare(&datum, best)? == Some(wins),
                };
                if better {
                    self.best = Some(datum.into_owned());
                }
            }
        }
        Ok(kept)
    }

    pub fn value(&self, aggregate: &Aggregate) -> Result<Datum<'static>, Error> {
        Ok(match aggregate.what {
            What::Rows | What::Count => Datum::Int(self.rows),
            What::Sum => self.sum.map_or(Datum::Null, Datum::from),
            What::Min | What::Max => self.best.clone().unwrap_or(Datum::Null),
            What::Avg => match self.sum {
                None => Datum::Null,
                Some(Number::Double(sum)) => Datum::Double(sum / self.rows as f64),
                Some(sum) => {
                    let sum = sum.to_decimal().expect("a sum that is no double is exact");
                    let avg = sum.div(Decimal::from(self.rows));
                    Datum::Dec(avg.ok_or_else(|| out_of_range("DECIMAL", "avg()"))?)
                }
            },
        })
    }
}

/// The digits behind the point of an average of values with so many.
pub fn avg_scale(scale: u8) -> u8 {
    (scale + AVG_DIGITS).min(super::decimal::SCALE_MAX)
}

/// A sum of integers is a decimal, so that it does not run over.
fn exact(n: Number) -> Number {
    match n {
        Number::Int(n) => Number::Dec(Decimal::from(n)),
        other => other,
    }
}

fn plus(a: Number, b: Number) -> Result<Number, Error> {
    if let (Number::Dec(a), Number::Dec(b)) = (a, b) {
        return a.add(b).map(Number::Dec).ok_or_else(|| out_of_range("DECIMAL", "sum()"));
    }
    let sum = a.to_f64() + b.to_f64();
    if sum.is_finite() { Ok(Number::Double(sum)) } else { Err(out_of_range("DOUBLE", "sum()")) }
}
