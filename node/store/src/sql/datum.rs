//! What an expression yields, and MySQL's conversions between its kinds.
//!
//! Rows hold integers, text and bytes; expressions also make exact decimals and floating point numbers. A text that
//! meets a number is read as a number, as far as it is one.
//! Collation: text is compared by its bytes (`utf8mb4_bin`): case counts, trailing blanks do not. Keys are ordered so
//! too, and a comparison that said otherwise would see rows that an access by key does not.

use super::decimal::Decimal;
use crate::key::padded;
use crate::request::Param;
use crate::value::{Real, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

#[derive(Debug, Clone)]
pub enum Datum<'a> {
    Null,
    Int(i64),
    Dec(Decimal),
    Double(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

/// A number in one of the three forms in which one is calculated with.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    Int(i64),
    Dec(Decimal),
    Double(f64),
}

/// How much of a text was a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    Whole,
    /// Something follows the number, or there is none.
    Part,
}

impl<'a> Datum<'a> {
    pub fn of(value: &'a Value) -> Datum<'a> {
        match value {
            Value::Null => Datum::Null,
            Value::Int(n) => Datum::Int(*n),
            Value::UInt(n) => Datum::Dec(Decimal::from(*n)),
            Value::Dec(n) => Datum::Dec(*n),
            Value::Double(n) => Datum::Double(n.get()),
            Value::Text(text) => Datum::Text(Cow::Borrowed(text)),
            Value::Bytes(bytes) => Datum::Bytes(Cow::Borrowed(bytes)),
        }
    }

    pub fn of_param(param: Param) -> Datum<'static> {
        match param {
            Param::Null => Datum::Null,
            Param::Int(n) => Datum::Int(n),
            Param::UInt(n) => super::eval::unsigned(n),
            Param::Double(bits) if !f64::from_bits(bits).is_finite() => Datum::Null,
            Param::Double(bits) => Datum::Double(f64::from_bits(bits)),
            Param::Text(text) => Datum::text(text),
            Param::Bytes(bytes) => Datum::Bytes(bytes.into()),
        }
    }

    pub fn text(text: impl Into<Cow<'a, str>>) -> Datum<'a> {
        Datum::Text(text.into())
    }

    pub fn truth(yes: bool) -> Datum<'a> {
        Datum::Int(yes.into())
    }

    /// Of memory, about.
    pub fn bytes(&self) -> usize {
        size_of::<Datum>()
            + match self {
                Datum::Text(text) => text.len(),
                Datum::Bytes(bytes) => bytes.len(),
                _ => 0,
            }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    pub fn into_owned(self) -> Datum<'static> {
        match self {
            Datum::Null => Datum::Null,
            Datum::Int(n) => Datum::Int(n),
            Datum::Dec(n) => Datum::Dec(n),
            Datum::Double(n) => Datum::Double(n),
            Datum::Text(text) => Datum::Text(Cow::Owned(text.into_owned())),
            Datum::Bytes(bytes) => Datum::Bytes(Cow::Owned(bytes.into_owned())),
        }
    }

    /// With no more digits than are shown.
    pub fn shown(&self) -> Cow<'_, Datum<'a>> {
        match self {
            Datum::Dec(n) if n.hides() => Cow::Owned(Datum::Dec(n.shown())),
            other => Cow::Borrowed(other),
        }
    }

    /// As a cell of a row.
    pub fn into_value(self) -> Value {
        match self {
            Datum::Null => Value::Null,
            Datum::Int(n) => Value::Int(n),
            Datum::Dec(n) => Value::Dec(n.shown()),
            Datum::Double(n) => Real::new(n).map_or(Value::Null, Value::Double),
            Datum::Text(text) => Value::Text(text.into_owned()),
            Datum::Bytes(bytes) => Value::Bytes(bytes.into_owned()),
        }
    }

    /// As text; `None` for NULL.
    pub fn to_text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Datum::Null => return None,
            Datum::Int(n) => Cow::Owned(n.to_string()),
            Datum::Dec(n) => Cow::Owned(n.to_string()),
            Datum::Double(n) => Cow::Owned(double(*n)),
            Datum::Text(text) => Cow::Borrowed(text),
            Datum::Bytes(bytes) => String::from_utf8_lossy(bytes),
        })
    }

    /// As bytes; `None` for NULL.
    pub fn to_bytes(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Datum::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
            other => other.to_text().map(|text| match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            }),
        }
    }

    /// As a number, and how well that fits; `None` for NULL. A text becomes a floating point number.
    pub fn to_number(&self) -> Option<(Number, Fit)> {
        Some(match self {
            Datum::Null => return None,
            Datum::Int(n) => (Number::Int(*n), Fit::Whole),
            Datum::Dec(n) => (Number::Dec(*n), Fit::Whole),
            Datum::Double(n) => (Number::Double(*n), Fit::Whole),
            Datum::Text(text) => {
                let (n, fit) = leading_number(text);
                (Number::Double(n), fit)
            }
            Datum::Bytes(bytes) => {
                let (n, fit) = leading_number(&String::from_utf8_lossy(bytes));
                (Number::Double(n), fit)
            }
        })
    }

    /// Compares as MySQL does: numbers as numbers, text as text, a text with a number as numbers. `None` if one is
    /// NULL. The second answer is whether a text was no number where one was wanted.
    pub fn compare(&self, other: &Datum) -> Option<(Ordering, Fit)> {
        use Datum::{Bytes, Int, Null, Text};
        Some(match (self, other) {
            (Null, _) | (_, Null) => return None,
            (Int(a), Int(b)) => (a.cmp(b), Fit::Whole),
            (Text(a), Text(b)) => (padded(a).as_bytes().cmp(padded(b).as_bytes()), Fit::Whole),
            (Text(a), Bytes(b)) => (a.as_bytes().cmp(b), Fit::Whole),
            (Bytes(a), Text(b)) => ((**a).cmp(b.as_bytes()), Fit::Whole),
            (Bytes(a), Bytes(b)) => (a.cmp(b), Fit::Whole),
            (a, b) => {
                // A text that is a plain number is compared exactly, which tells large integers apart.
                if let (Some(a), Some(b)) = (a.exact(), b.exact()) {
                    return Some((a.cmp(&b), Fit::Whole));
                }
                let ((a, fit_a), (b, fit_b)) = (a.to_number()?, b.to_number()?);
                let fit = if fit_a == Fit::Whole { fit_b } else { fit_a };
                (a.to_f64().partial_cmp(&b.to_f64()).unwrap_or(Ordering::Equal), fit)
            }
        })
    }

    /// As an exact number, if it is one or a text that reads as one.
    pub fn exact(&self) -> Option<Decimal> {
        match self {
            Datum::Int(n) => Some(Decimal::from(*n)),
            Datum::Dec(n) => Some(*n),
            Datum::Text(text) => Decimal::parse(text.trim_matches(' ')),
            Datum::Bytes(bytes) => Decimal::parse(std::str::from_utf8(bytes).ok()?.trim_matches(' ')),
            Datum::Null | Datum::Double(_) => None,
        }
    }

    /// Whether it counts as true; `None` for NULL.
    pub fn is_true(&self) -> Option<bool> {
        match self {
            Datum::Null => None,
            Datum::Int(n) => Some(*n != 0),
            Datum::Dec(n) => Some(!n.is_zero()),
            other => other.to_number().map(|(n, _)| n.to_f64() != 0.0),
        }
    }

    /// Appends bytes whose order is the order of values of one kind: for sorting and for grouping.
    pub fn push_sortable(&self, out: &mut Vec<u8>) {
        match self {
            Datum::Null => crate::key::push(out, &Value::Null),
            Datum::Int(n) => crate::key::push(out, &Value::Int(*n)),
            Datum::Text(text) => crate::key::push_text(out, text),
            Datum::Bytes(bytes) => crate::key::push_bytes(out, bytes),
            Datum::Dec(n) => {
                out.push(NUMBER);
                out.extend_from_slice(&n.shown().sortable());
            }
            Datum::Double(n) => {
                let bits = (if *n == 0.0 { 0.0 } else { *n }).to_bits();
                let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
                out.push(NUMBER);
                out.extend_from_slice(&ordered.to_be_bytes());
            }
        }
    }
}

/// The tag of decimals and doubles among sortable bytes: above those of the kinds that rows have.
const NUMBER: u8 = 8;

impl Number {
    pub fn to_f64(self) -> f64 {
        match self {
            Number::Int(n) => n as f64,
            Number::Dec(n) => n.to_f64(),
            Number::Double(n) => n,
        }
    }

    /// As an exact number; `None` for a floating point one.
    pub fn to_decimal(self) -> Option<Decimal> {
        match self {
            Number::Int(n) => Some(Decimal::from(n)),
            Number::Dec(n) => Some(n),
            Number::Double(_) => None,
        }
    }

    /// The nearest integer, half away from zero (a double's half to the even one, as MySQL does); `None` if it is
    /// none of 64 bits.
    pub fn to_i64(self) -> Option<i64> {
        match self {
            Number::Int(n) => Some(n),
            Number::Dec(n) => n.to_i64(),
            Number::Double(n) => {
                let n = n.round_ties_even();
                // 2^63 itself is out; as a floating point number it is exact.
                (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&n).then_some(n as i64)
            }
        }
    }
}

impl From<Number> for Datum<'_> {
    fn from(n: Number) -> Self {
        match n {
            Number::Int(n) => Datum::Int(n),
            Number::Dec(n) => Datum::Dec(n),
            Number::Double(n) => Datum::Double(n),
        }
    }
}

/// The number with which a text begins, after blanks; 0 if it begins with none.
pub fn leading_number(text: &str) -> (f64, Fit) {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r']);
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let begin = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let mut end = digits(begin);
    let mut any = end > begin;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        any |= fraction > end + 1;
        end = if any { fraction } else { end };
    }
    if !any {
        return (0.0, Fit::Part);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    let n = text[..end].parse::<f64>().unwrap_or(0.0);
    let n = n.clamp(f64::MIN, f64::MAX);
    let rest = text[end..].trim_end_matches([' ', '\t', '\n', '\r']);
    (n, if rest.is_empty() { Fit::Whole } else { Fit::Part })
}

/// A floating point number as MySQL writes it: the shortest digits that read as the same number, with an exponent
/// beyond fifteen places before or behind the point.
pub fn double(n: f64) -> String {
    if n == 0.0 {
        return if n.is_sign_negative() { "-0".into() } else { "0".into() };
    }
    let scientific = format!("{n:e}");
    let (digits, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the format's exponent is a number");
    if (-15..15).contains(&exponent) {
        return n.to_string();
    }
    format!("{digits}e{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn doubles_are_written_as_mysql_writes_them() {
        let cases = [
            (1e14, "100000000000000"),
            (1e15, "1e15"),
            (123_456_789_012_345_678.0, "1.2345678901234568e17"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-15, "0.000000000000001"),
            (1e-16, "1e-16"),
            (1.5e300, "1.5e300"),
            (-1e16, "-1e16"),
            (2.0, "2"),
            (0.0, "0"),
        ];
        for (n, want) in cases {
            assert_eq!(double(n), want);
        }
    }

    #[test]
    fn a_text_is_a_number_as_far_as_it_is_one() {
        let cases = [
            ("12", 12.0, Fit::Whole),
            (" 12 ", 12.0, Fit::Whole),
            ("12x", 12.0, Fit::Part),
            ("-1.5e1", -15.0, Fit::Whole),
            ("1e", 1.0, Fit::Part),
            ("1.e2", 100.0, Fit::Whole),
            (".5", 0.5, Fit::Whole),
            (".", 0.0, Fit::Part),
            ("", 0.0, Fit::Part),
            ("x", 0.0, Fit::Part),
        ];
        for (text, want, fit) in cases {
            assert_eq!(leading_number(text), (want, fit), "{text:?}");
        }
    }

    #[test]
    fn large_integers_are_told_apart_from_texts() {
        let (a, b) = (Datum::Int(9_007_199_254_740_993), Datum::text("9007199254740992"));
        assert_eq!(a.compare(&b).map(|(order, _)| order), Some(Ordering::Greater));
    }

    proptest! {
        #[test]
        fn sortable_doubles_are_sorted(a in -1e20..1e20_f64, b in -1e20..1e20_f64) {
            let (mut x, mut y) = (Vec::new(), Vec::new());
            Datum::Double(a).push_sortable(&mut x);
            Datum::Double(b).push_sortable(&mut y);
            prop_assert_eq!(x.cmp(&y), a.partial_cmp(&b).expect("no NaN"));
        }

        #[test]
        fn a_double_reads_as_itself(n in proptest::num::f64::NORMAL) {
            prop_assert_eq!(double(n).parse::<f64>().ok(), Some(n));
        }

        #[test]
        fn no_text_panics(text in ".{0,20}") {
            let _ = leading_number(&text);
            let _ = Decimal::parse(&text);
        }
    }
}
