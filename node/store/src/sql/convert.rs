//! Values into columns, as a strict MySQL does it: what does not fit is an error, not a nearby value.

use super::datum::{Datum, Fit, Number, leading_number};
use super::decimal::Decimal;
use super::moment::Moment;
use crate::error::Error;
use crate::request::{Column, ColumnType, Form, Members};
use crate::value::{Real, Value};
use plait_base::Wall;

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
        _ if column.members.is_some() => member(column, &datum)?,
        (ColumnType::Int { .. }, Datum::Int(n)) => Value::Int(*n),
        (ColumnType::Int { .. }, _) => {
            let number = whole_number(column, &datum)?;
            Value::Int(i64::try_from(number).map_err(|_| range())?)
        }
        (ColumnType::Text { .. } | ColumnType::Bytes { .. }, _) if column.form == Form::Fixed => {
            fixed(column, &datum)?
        }
        (ColumnType::Text { .. }, Datum::Bytes(bytes)) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => return Err(bad("string")),
        },
        // As MySQL stores it, with the digits that it would not show.
        (ColumnType::Text { .. }, Datum::Dec(n)) => Value::Text(n.whole_shown().to_string()),
        (ColumnType::Text { .. }, _) => Value::Text(datum.to_text().unwrap_or_default().into_owned()),
        (ColumnType::Bytes { .. }, _) => Value::Bytes(datum.to_bytes().unwrap_or_default().into_owned()),
        (ColumnType::UInt { .. }, _) => {
            let number = whole_number(column, &datum)?;
            Value::unsigned(u64::try_from(number).map_err(|_| range())?)
        }
        (ColumnType::Decimal { scale, .. }, _) => {
            let exact = match (datum.exact(), datum.to_number()) {
                (Some(n), _) => Some(n),
                (None, Some((Number::Double(n), Fit::Whole))) => Decimal::of_double(n, scale),
                _ => return Err(bad("decimal")),
            };
            let rounded = exact.map(|n| n.round(scale)).filter(|n| n.scale() == scale);
            Value::Dec(rounded.ok_or_else(range)?)
        }
        (ColumnType::Double | ColumnType::Float, _) => {
            let Some((number, Fit::Whole)) = datum.to_number() else { return Err(bad("double")) };
            let n = number.to_f64();
            let n = match column.kind {
                // As it is written with the digits that 32 bits hold.
                ColumnType::Float => {
                    let short = n as f32;
                    if short.is_infinite() {
                        return Err(range());
                    }
                    short.to_string().parse().unwrap_or(f64::from(short))
                }
                _ => n,
            };
            Value::Double(Real::new(n).ok_or_else(range)?)
        }
        (kind, _) => {
            let text = datum.to_text().unwrap_or_default();
            let kept = Moment::parse(&text).and_then(|moment| moment.kept(kind));
            let Some(kept) = kept else {
                let name = match kind {
                    ColumnType::Date => "date",
                    ColumnType::Time => "time",
                    _ => "datetime",
                };
                let shown: String = text.chars().take(64).collect();
                let message =
                    format!("Incorrect {name} value: '{shown}' for column '{}' at row 1", column.name);
                return Err(Error::Sql { code: 1292, state: "22007", message });
            };
            Value::Text(kept)
        }
    })
}

/// A CHAR without the blanks at its end, a BINARY as long as it must be.
fn fixed(column: &Column, datum: &Datum) -> Result<Value, Error> {
    let plain = Column { form: Form::Plain, ..column.clone() };
    Ok(match (into_column(&plain, datum.clone())?, column.kind) {
        (Value::Text(mut text), _) => {
            text.truncate(text.trim_end_matches(' ').len());
            Value::Text(text)
        }
        (Value::Bytes(mut bytes), ColumnType::Bytes { bytes_max }) => {
            bytes.resize(bytes.len().max(bytes_max as usize), 0);
            Value::Bytes(bytes)
        }
        (other, _) => other,
    })
}

/// One of the texts of an ENUM, by itself or by its number; some of those of a SET, or its bits.
fn member(column: &Column, datum: &Datum) -> Result<Value, Error> {
    let members = column.members.as_ref().expect("the caller looked");
    let text = datum.to_text().unwrap_or_default();
    if let Some(kept) = members.kept(&text) {
        return Ok(Value::Text(kept));
    }
    let number = match datum {
        Datum::Text(_) | Datum::Bytes(_) => text.parse::<u64>().ok(),
        other => other.exact().and_then(Decimal::as_whole).and_then(|n| u64::try_from(n).ok()),
    };
    let found = number.and_then(|number| match members.set {
        false => members.names.get(usize::try_from(number.checked_sub(1)?).ok()?).cloned(),
        true if members.names.len() < 64 && number >> members.names.len() != 0 => None,
        true => {
            let chosen = members.names.iter().enumerate().filter(|(at, _)| number >> at & 1 == 1);
            Some(chosen.map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(","))
        }
    });
    found.map(Value::Text).ok_or_else(|| Members::misfit(column))
}

/// The whole number that a value is or is rounded to.
fn whole_number(column: &Column, datum: &Datum) -> Result<i128, Error> {
    let range = || Error::OutOfRange { column: column.name.clone() };
    let of = |number: Number| match number {
        Number::Int(n) => Ok(i128::from(n)),
        Number::Dec(n) => Ok(n.round(0).whole()),
        // Beyond this no kind of column goes, and a cast would cut.
        Number::Double(n) if n.abs() < 1e20 => Ok(n.round_ties_even() as i128),
        Number::Double(_) => Err(range()),
    };
    if let Some(n) = datum.exact() {
        return of(Number::Dec(n));
    }
    let text = match datum {
        Datum::Text(_) | Datum::Bytes(_) => datum.to_text().unwrap_or_default(),
        other => return of(other.to_number().map_or(Number::Int(0), |(number, _)| number)),
    };
    let (n, fit) = leading_number(&text);
    if fit == Fit::Whole {
        return of(Number::Double(n));
    }
    if text.trim_start().starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        let message = format!("Data truncated for column '{}' at row 1", column.name);
        return Err(Error::Sql { code: 1265, state: "01000", message });
    }
    let value = text.chars().take(64).collect();
    Err(Error::BadValue { kind: "integer", value, column: column.name.clone() })
}

/// The time of a statement as a column of moments keeps it.
pub fn now(kind: ColumnType, wall: Wall) -> String {
    // What is left of the second is cut off, not rounded.
    let digits = match kind {
        ColumnType::DateTime { digits } | ColumnType::Timestamp { digits } => digits.min(6),
        _ => 0,
    };
    let rest = wall.0.rem_euclid(10_i64.pow(6 - u32::from(digits)));
    Moment::of_micros(wall.0 - rest).kept(kind).unwrap_or_default()
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
        Value::Null | Value::Int(_) | Value::UInt(_) | Value::Double(_) => 0,
        Value::Dec(_) => 32,
        Value::Text(text) => text.len() as u64,
        Value::Bytes(bytes) => bytes.len() as u64,
    }
}
