//! Values into columns, as a strict MySQL does it: what does not fit is an error, not a nearby value.

use super::datum::{Datum, Fit, Number, leading_number};
use crate::error::Error;
use crate::request::{Column, ColumnType};
use crate::value::Value;

/// `datum` as `column` keeps it. Length, range and NULL are checked when the row is written (`row::check`).
pub fn into_column(column: &Column, datum: Datum) -> Result<Value, Error> {
    let bad = |kind| Error::BadValue {
        kind,
        value: datum.to_text().unwrap_or_default().chars().take(64).collect(),
        column: column.name.clone(),
    };
    let range = || Error::OutOfRange { column: column.name.clone() };
    Ok(match (column.kind, &datum) {
        (_, Datum::Null) => Value::Null,
        (ColumnType::Int { .. }, Datum::Int(n)) => Value::Int(*n),
        (ColumnType::Int { .. }, Datum::Dec(n)) => Value::Int(n.to_i64().ok_or_else(range)?),
        (ColumnType::Int { .. }, Datum::Double(n)) => {
            Value::Int(Number::Double(*n).to_i64().ok_or_else(range)?)
        }
        (ColumnType::Int { .. }, Datum::Text(_) | Datum::Bytes(_)) => {
            if let Some(n) = datum.exact() {
                return Ok(Value::Int(n.to_i64().ok_or_else(range)?));
            }
            let text = datum.to_text().unwrap_or_default();
            let (n, fit) = leading_number(&text);
            if fit == Fit::Whole {
                return Ok(Value::Int(Number::Double(n).to_i64().ok_or_else(range)?));
            }
            if text.trim_start().starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
                let message = format!("Data truncated for column '{}' at row 1", column.name);
                return Err(Error::Sql { code: 1265, state: "01000", message });
            }
            return Err(bad("integer"));
        }
        (ColumnType::Text { .. }, Datum::Bytes(bytes)) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => return Err(bad("string")),
        },
        (ColumnType::Text { .. }, _) => Value::Text(datum.to_text().unwrap_or_default().into_owned()),
        (ColumnType::Bytes { .. }, _) => Value::Bytes(datum.to_bytes().unwrap_or_default().into_owned()),
        (ColumnType::Decimal { .. } | ColumnType::Double | ColumnType::DateTime, _) => {
            return Err(bad("stored"));
        }
    })
}

/// What a column holds when an insert says nothing of it, or says `DEFAULT`.
pub fn default_of(column: &Column, auto_increment: bool) -> Result<Value, Error> {
    match &column.default {
        Some(value) => Ok(value.clone()),
        None if column.nullable || auto_increment => Ok(Value::Null),
        None => Err(Error::NoDefault { column: column.name.clone() }),
    }
}

/// Bytes that a cell takes in memory, about.
pub fn size_of(value: &Value) -> u64 {
    32 + match value {
        Value::Null | Value::Int(_) => 0,
        Value::Text(text) => text.len() as u64,
        Value::Bytes(bytes) => bytes.len() as u64,
    }
}
