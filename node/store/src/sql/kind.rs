//! What kind of column an expression makes: for the heads of a result, before any row is known.

use super::datum::Datum;
use super::decimal::SCALE_MAX;
use super::expr::{Arith, Expr, Target};
use super::function::Yields;
use super::group::{Aggregate, What, avg_scale};
use super::moment::is_moment;
use crate::request::{ColumnHead, ColumnType};

const BIGINT: ColumnType = ColumnType::Int { bits: 64 };
/// Digits of a decimal as clients are told.
const DIGITS_MAX: u8 = 65;

/// Columns and aggregates that an expression's places mean.
#[derive(Debug, Clone, Copy)]
pub struct Kinds<'a> {
    pub heads: &'a [ColumnHead],
    pub aggregates: &'a [Aggregate],
}

/// Digits before the point and behind it, as far as an expression's kind tells.
fn digits(kind: ColumnType) -> Option<(u8, u8)> {
    match kind {
        ColumnType::Int { bits } | ColumnType::UInt { bits } => Some((if bits > 32 { 19 } else { 10 }, 0)),
        ColumnType::Decimal { digits, scale } => Some((digits.saturating_sub(scale), scale)),
        _ => None,
    }
}

fn decimal(whole: u8, scale: u8) -> ColumnType {
    let scale = scale.min(SCALE_MAX);
    ColumnType::Decimal { digits: whole.saturating_add(scale).min(DIGITS_MAX), scale }
}

impl Kinds<'_> {
    pub fn of(&self, expr: &Expr) -> ColumnType {
        match expr {
            Expr::Const(datum) => of_datum(datum),
            // A column that is there beyond those announced holds the new row of an insert.
            Expr::Column(at) => self.heads.get(*at).map_or(BIGINT, |head| head.kind),
            Expr::Outer(_) => ColumnType::Text { chars_max: 255 },
            Expr::Sub(_, kind) => *kind,
            Expr::Aggregate(at) => self.of_aggregate(&self.aggregates[*at]),
            Expr::And(_)
            | Expr::Or(_)
            | Expr::Xor(_)
            | Expr::Not(_)
            | Expr::Compare(..)
            | Expr::Bits(..)
            | Expr::Invert(_)
            | Expr::IsNull(_)
            | Expr::Is(..)
            | Expr::In(_)
            | Expr::InSub(..)
            | Expr::Between(_)
            | Expr::Like { .. } => BIGINT,
            Expr::Negate(inner) => self.number(inner),
            Expr::Arith(how, pair) => {
                let (a, b) = (self.number(&pair[0]), self.number(&pair[1]));
                let (Some((a_whole, a_scale)), Some((b_whole, b_scale))) = (digits(a), digits(b)) else {
                    return if *how == Arith::Whole { BIGINT } else { ColumnType::Double };
                };
                let integer = |kind| matches!(kind, ColumnType::Int { .. } | ColumnType::UInt { .. });
                let integers = integer(a) && integer(b);
                let unsigned = [a, b].iter().any(|kind| matches!(kind, ColumnType::UInt { .. }));
                match how {
                    _ if integers && unsigned && *how != Arith::Div => ColumnType::UInt { bits: 64 },
                    Arith::Whole => BIGINT,
                    Arith::Div => decimal(a_whole.saturating_add(b_scale), avg_scale(a_scale)),
                    _ if integers => BIGINT,
                    Arith::Mul => decimal(a_whole.saturating_add(b_whole), a_scale.saturating_add(b_scale)),
                    Arith::Rem => decimal(a_whole.max(b_whole), a_scale.max(b_scale)),
                    Arith::Add | Arith::Sub => {
                        decimal(a_whole.max(b_whole).saturating_add(1), a_scale.max(b_scale))
                    }
                }
            }
            Expr::Case { arms, other, .. } => {
                let values = arms.iter().map(|(_, then)| then).chain(other.as_deref());
                self.widest(values)
            }
            Expr::Cast(target, inner) => match *target {
                Target::Signed => BIGINT,
                Target::Unsigned => ColumnType::UInt { bits: 64 },
                Target::Moment(kind) => kind,
                Target::Text { chars_max } => {
                    ColumnType::Text { chars_max: chars_max.unwrap_or_else(|| width(self.of(inner))) }
                }
                Target::Bytes { bytes_max } => {
                    ColumnType::Bytes { bytes_max: bytes_max.unwrap_or_else(|| width(self.of(inner))) }
                }
                Target::Decimal { digits, scale } => ColumnType::Decimal { digits, scale },
                Target::Double => ColumnType::Double,
            },
            Expr::Call(function, args) => match function.yields {
                Yields::Int => BIGINT,
                Yields::Moment(kind) => kind,
                Yields::Text => {
                    let chars_max = args.iter().map(|arg| width(self.of(arg))).fold(0, u32::saturating_add);
                    ColumnType::Text { chars_max }
                }
                Yields::First if function.name == "NULLIF" => self.of(&args[0]),
                Yields::First => self.number(&args[0]),
                Yields::Widest => self.widest(args.iter()),
            },
        }
    }

    /// As a number: a text is calculated with as a double.
    fn number(&self, expr: &Expr) -> ColumnType {
        match self.of(expr) {
            kind @ (ColumnType::Int { .. } | ColumnType::UInt { .. } | ColumnType::Decimal { .. }) => kind,
            _ => ColumnType::Double,
        }
    }

    fn widest<'e>(&self, exprs: impl Iterator<Item = &'e Expr>) -> ColumnType {
        let null = |expr: &&Expr| expr.constant().is_some_and(Datum::is_null);
        let kinds = exprs.filter(|expr| !null(expr)).map(|expr| self.of(expr));
        kinds.reduce(wider).unwrap_or(ColumnType::Text { chars_max: 0 })
    }

    fn of_aggregate(&self, aggregate: &Aggregate) -> ColumnType {
        match aggregate.what {
            What::Rows | What::Count => BIGINT,
            What::Min | What::Max => self.of(&aggregate.arg),
            What::Sum => match digits(self.number(&aggregate.arg)) {
                // Room for 2^64 of them.
                Some((whole, scale)) => decimal(whole.saturating_add(22), scale),
                None => ColumnType::Double,
            },
            What::Avg => match digits(self.number(&aggregate.arg)) {
                Some((whole, scale)) => decimal(whole, avg_scale(scale)),
                None => ColumnType::Double,
            },
        }
    }
}

fn of_datum(datum: &Datum) -> ColumnType {
    match datum {
        Datum::Null => ColumnType::Text { chars_max: 0 },
        Datum::Int(_) => BIGINT,
        Datum::Dec(n) => {
            let n = n.shown();
            ColumnType::Decimal { digits: n.digits(), scale: n.scale() }
        }
        Datum::Double(_) => ColumnType::Double,
        Datum::Text(text) => {
            ColumnType::Text { chars_max: u32::try_from(text.chars().count()).unwrap_or(u32::MAX) }
        }
        Datum::Bytes(bytes) => {
            ColumnType::Bytes { bytes_max: u32::try_from(bytes.len()).unwrap_or(u32::MAX) }
        }
    }
}

/// How many characters a value of a kind takes as text, at most.
fn width(kind: ColumnType) -> u32 {
    match kind {
        ColumnType::Int { .. } | ColumnType::UInt { .. } => 20,
        ColumnType::Text { chars_max } => chars_max,
        ColumnType::Bytes { bytes_max } => bytes_max,
        ColumnType::Decimal { digits, .. } => u32::from(digits) + 2,
        ColumnType::Double | ColumnType::Float => 23,
        ColumnType::DateTime { digits } | ColumnType::Timestamp { digits } => 20 + u32::from(digits),
        ColumnType::Date => 10,
        ColumnType::Time => 8,
    }
}

/// A kind that holds the values of both.
pub fn wider(a: ColumnType, b: ColumnType) -> ColumnType {
    use ColumnType::*;
    match (a, b) {
        (a, b) if a == b => a,
        (Int { .. }, Int { .. }) => BIGINT,
        (UInt { .. }, UInt { .. }) => UInt { bits: 64 },
        (Bytes { .. }, _) | (_, Bytes { .. }) => Bytes { bytes_max: width(a).max(width(b)) },
        (Text { .. }, _) | (_, Text { .. }) => Text { chars_max: width(a).max(width(b)) },
        (a, b) if is_moment(a) || is_moment(b) => Text { chars_max: width(a).max(width(b)) },
        (Double | Float, _) | (_, Double | Float) => Double,
        _ => match (digits(a), digits(b)) {
            (Some((a_whole, a_scale)), Some((b_whole, b_scale))) => {
                decimal(a_whole.max(b_whole), a_scale.max(b_scale))
            }
            _ => Double,
        },
    }
}
