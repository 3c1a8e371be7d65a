//! Literals and the names of types in a CAST.

use super::compile::unsupported;
use super::datum::Datum;
use super::decimal::Decimal;
use super::expr::{Expr, Target};
use super::function::from_hex;
use crate::error::Error;
use crate::request::ColumnType;
use sqlparser::ast;
use std::borrow::Cow;

pub fn literal(value: &ast::Value) -> Result<Expr, Error> {
    use ast::Value::*;
    let text = |text: &str| Expr::text(text);
    Ok(match value {
        Null => Expr::Const(Datum::Null),
        Boolean(yes) => Expr::Const(Datum::truth(*yes)),
        Number(digits, _) => Expr::Const(number(digits)?),
        SingleQuotedString(s) | DoubleQuotedString(s) | NationalStringLiteral(s) => text(s),
        HexStringLiteral(digits) => match from_hex(digits) {
            Some(bytes) => Expr::Const(Datum::Bytes(Cow::Owned(bytes))),
            None => return Err(Error::Syntax { why: format!("x'{digits}' is no hexadecimal literal") }),
        },
        SingleQuotedByteStringLiteral(bits) => match bit_literal(bits) {
            Some(bytes) => Expr::Const(Datum::Bytes(Cow::Owned(bytes))),
            None => return Err(Error::Syntax { why: format!("b'{bits}' is no bit literal") }),
        },
        other => return Err(Error::Syntax { why: format!("{other} is no MySQL literal") }),
    })
}

/// `b'101'`: bits, the last one lowest.
fn bit_literal(bits: &str) -> Option<Vec<u8>> {
    if !bits.bytes().all(|bit| matches!(bit, b'0' | b'1')) {
        return None;
    }
    let width = bits.len().div_ceil(8) * 8;
    let padded = format!("{bits:0>width$}");
    (0..width).step_by(8).map(|at| u8::from_str_radix(&padded[at..at + 8], 2).ok()).collect()
}

/// An integer if it is one of 64 bits, a decimal if it has a point or is larger, a double if it has an exponent.
fn number(digits: &str) -> Result<Datum<'static>, Error> {
    if let Ok(n) = digits.parse::<i64>() {
        return Ok(Datum::Int(n));
    }
    if let Some(n) = Decimal::parse(digits) {
        return Ok(Datum::Dec(n));
    }
    let n = digits.parse::<f64>().ok().filter(|n| n.is_finite());
    n.map(Datum::Double).ok_or_else(|| Error::Sql {
        code: 1367,
        state: "22007",
        message: format!(
            "Illegal double '{}' value found during parsing",
            digits.chars().take(64).collect::<String>()
        ),
    })
}

/// What CAST makes.
pub fn target(data_type: &ast::DataType) -> Result<Target, Error> {
    use ast::DataType as T;
    let chars = |length: &Option<ast::CharacterLength>| match length {
        None => Ok(None),
        Some(ast::CharacterLength::IntegerLength { length, .. }) => {
            Ok(Some(u32::try_from(*length).unwrap_or(u32::MAX)))
        }
        Some(ast::CharacterLength::Max) => unsupported("CHAR(MAX)"),
    };
    Ok(match data_type {
        T::Signed | T::SignedInteger | T::Int(_) | T::Integer(_) | T::BigInt(_) => Target::Signed,
        T::Unsigned | T::UnsignedInteger => Target::Unsigned,
        T::Char(length) | T::Character(length) | T::Varchar(length) => {
            Target::Text { chars_max: chars(length)? }
        }
        T::Binary(length) => {
            Target::Bytes { bytes_max: length.map(|length| u32::try_from(length).unwrap_or(u32::MAX)) }
        }
        T::Decimal(info) | T::Dec(info) | T::Numeric(info) => {
            let (digits, scale) = match info {
                ast::ExactNumberInfo::None => (10, 0),
                ast::ExactNumberInfo::Precision(digits) => (*digits, 0),
                ast::ExactNumberInfo::PrecisionAndScale(digits, scale) => (*digits, *scale),
            };
            let bad = |what: &str| Error::Sql {
                code: 1426,
                state: "42000",
                message: format!(
                    "Too big {what} specified for 'CAST'. Maximum is 38 digits, 30 behind the point"
                ),
            };
            let digits =
                u8::try_from(digits).ok().filter(|n| (1..=38).contains(n)).ok_or_else(|| bad("precision"))?;
            let scale =
                u8::try_from(scale).ok().filter(|n| *n <= 30 && *n <= digits).ok_or_else(|| bad("scale"))?;
            Target::Decimal { digits, scale }
        }
        T::Date => Target::Moment(ColumnType::Date),
        T::Time(None, _) => Target::Moment(ColumnType::Time),
        T::Datetime(digits) | T::Timestamp(digits, _) => {
            let digits = digits.unwrap_or(0).min(6) as u8;
            Target::Moment(ColumnType::DateTime { digits })
        }
        T::Double(_) | T::Real | T::Float(_) | T::DoublePrecision => Target::Double,
        other => return unsupported(format!("CAST to {other}")),
    })
}
