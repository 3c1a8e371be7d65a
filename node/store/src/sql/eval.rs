//! Evaluation: what an expression is for one row.
//!
//! The dispatch holds little but calls: an expression is evaluated by recursion, and what a frame holds is held once
//! a level ([`EXPR_DEPTH_MAX`](super::text::EXPR_DEPTH_MAX) levels at most).

use super::datum::{Datum, Fit, Number};
use super::decimal::Decimal;
use super::expr::{Arith, Bits, Checks, Comparison, Expr, Row, Target, out_of_range, truncated};
use super::function::Function;
use super::moment::Moment;
use super::sub::Answered;
use crate::error::Error;
use std::cmp::Ordering;

type Evaluated<'a> = Result<Datum<'a>, Error>;

impl Expr {
    pub fn eval<'a>(&'a self, row: Row<'a>, checks: &Checks) -> Evaluated<'a> {
        match self {
            Expr::Const(datum) => Ok(borrow(datum)),
            Expr::Column(at) => Ok(Datum::of(&row.cells[*at])),
            Expr::Aggregate(at) => Ok(borrow(&row.aggregates[*at])),
            Expr::And(parts) => fold(parts, false, row, checks),
            Expr::Or(parts) => fold(parts, true, row, checks),
            Expr::Xor(pair) => with_pair(pair, row, checks, xor),
            Expr::Compare(how, pair) => {
                with_pair(pair, row, checks, |a, b, checks| compare(*how, a, b, checks))
            }
            Expr::Arith(how, pair) => with_pair(pair, row, checks, |a, b, checks| arith(*how, a, b, checks)),
            Expr::Bits(how, pair) => with_pair(pair, row, checks, |a, b, checks| bits(*how, a, b, checks)),
            Expr::Not(part) => with(part, row, checks, not),
            Expr::Negate(part) => with(part, row, checks, negate),
            Expr::Invert(part) => with(part, row, checks, invert),
            Expr::IsNull(part) => with(part, row, checks, |datum, _| Ok(Datum::truth(datum.is_null()))),
            Expr::Is(want, part) => {
                with(part, row, checks, |datum, checks| Ok(Datum::truth(checks.truth(datum)? == Some(*want))))
            }
            Expr::Cast(target, part) => {
                with(part, row, checks, |datum, checks| cast(*target, datum, checks).map(Datum::into_owned))
            }
            Expr::In(parts) => is_in(parts, row, checks),
            Expr::Between(parts) => between(parts, row, checks),
            Expr::Like { text, pattern, escape } => is_like(text, pattern, *escape, row, checks),
            Expr::Case { operand, arms, other } => {
                case(operand.as_deref(), arms, other.as_deref(), row, checks)
            }
            Expr::Call(function, args) => called(function, args, row, checks),
            Expr::Outer(_) => unreachable!("a subquery is bound to a row before it runs"),
            Expr::Sub(at, _) => match &row.subs[*at] {
                Answered::One(datum) => Ok(borrow(datum)),
                _ => unreachable!("a subquery has run before its answer is asked for"),
            },
            Expr::InSub(sought, at) => in_sub(sought, *at, row, checks),
        }
    }
}

fn with<'a>(
    part: &'a Expr,
    row: Row<'a>,
    checks: &Checks,
    of: impl FnOnce(&Datum, &Checks) -> Evaluated<'static>,
) -> Evaluated<'a> {
    of(&part.eval(row, checks)?, checks)
}

fn with_pair<'a>(
    pair: &'a [Expr; 2],
    row: Row<'a>,
    checks: &Checks,
    of: impl FnOnce(&Datum, &Datum, &Checks) -> Evaluated<'static>,
) -> Evaluated<'a> {
    let left = pair[0].eval(row, checks)?;
    of(&left, &pair[1].eval(row, checks)?, checks)
}

fn xor(a: &Datum, b: &Datum, checks: &Checks) -> Evaluated<'static> {
    let (a, b) = (checks.truth(a)?, checks.truth(b)?);
    Ok(a.zip(b).map_or(Datum::Null, |(a, b)| Datum::truth(a != b)))
}

fn not(datum: &Datum, checks: &Checks) -> Evaluated<'static> {
    Ok(checks.truth(datum)?.map_or(Datum::Null, |yes| Datum::truth(!yes)))
}

fn invert(datum: &Datum, checks: &Checks) -> Evaluated<'static> {
    Ok(checks.number(datum)?.map_or(Datum::Null, |n| unsigned(!word(n))))
}

fn is_in<'a>(parts: &'a [Expr], row: Row<'a>, checks: &Checks) -> Evaluated<'a> {
    let sought = parts[0].eval(row, checks)?;
    if let [_, only] = parts {
        return compare(Comparison::Eq, &sought, &only.eval(row, checks)?, checks);
    }
    let mut unknown = sought.is_null();
    for part in &parts[1..] {
        match checks.compare(&sought, &part.eval(row, checks)?)? {
            Some(Ordering::Equal) => return Ok(Datum::truth(true)),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown { Datum::Null } else { Datum::truth(false) })
}

fn in_sub<'a>(sought: &'a Expr, at: usize, row: Row<'a>, checks: &Checks) -> Evaluated<'a> {
    let sought = sought.eval(row, checks)?;
    let Answered::List(list) = &row.subs[at] else {
        unreachable!("a subquery has run before its answer is asked for")
    };
    let found = match list.has(&sought) {
        Ok(found) => found,
        Err(values) => {
            let mut found = (!list.has_null()).then_some(false);
            for value in values {
                if checks.compare(&sought, value)? == Some(Ordering::Equal) {
                    found = Some(true);
                    break;
                }
            }
            found
        }
    };
    Ok(found.map_or(Datum::Null, Datum::truth))
}

fn between<'a>(parts: &'a [Expr; 3], row: Row<'a>, checks: &Checks) -> Evaluated<'a> {
    let datum = parts[0].eval(row, checks)?;
    let low = compare_all(Comparison::MoreEq, &datum, &parts[1].eval(row, checks)?, checks)?.is_true();
    let high = compare_all(Comparison::LessEq, &datum, &parts[2].eval(row, checks)?, checks)?.is_true();
    Ok(match (low, high) {
        (Some(false), _) | (_, Some(false)) => Datum::truth(false),
        (Some(true), Some(true)) => Datum::truth(true),
        _ => Datum::Null,
    })
}

fn is_like<'a>(
    text: &'a Expr,
    pattern: &'a Expr,
    escape: Option<char>,
    row: Row<'a>,
    checks: &Checks,
) -> Evaluated<'a> {
    let (text, pattern) = (text.eval(row, checks)?, pattern.eval(row, checks)?);
    Ok(match (text.to_text(), pattern.to_text()) {
        (Some(text), Some(pattern)) => Datum::truth(like(&text, &pattern, escape)),
        _ => Datum::Null,
    })
}

fn case<'a>(
    operand: Option<&'a Expr>,
    arms: &'a [(Expr, Expr)],
    other: Option<&'a Expr>,
    row: Row<'a>,
    checks: &Checks,
) -> Evaluated<'a> {
    let operand = operand.map(|part| part.eval(row, checks)).transpose()?;
    for (when, then) in arms {
        let when = when.eval(row, checks)?;
        let fits = match &operand {
            Some(operand) => checks.compare(operand, &when)? == Some(Ordering::Equal),
            None => checks.truth(&when)? == Some(true),
        };
        if fits {
            return then.eval(row, checks);
        }
    }
    other.map_or(Ok(Datum::Null), |other| other.eval(row, checks))
}

fn called<'a>(function: &Function, args: &'a [Expr], row: Row<'a>, checks: &Checks) -> Evaluated<'a> {
    let mut values = Vec::with_capacity(args.len());
    for arg in args {
        values.push(arg.eval(row, checks)?);
    }
    let made = (function.call)(&values, checks)?;
    match &made {
        Datum::Text(text) => checks.made(text.len())?,
        Datum::Bytes(bytes) => checks.made(bytes.len())?,
        _ => {}
    }
    Ok(made)
}

fn borrow<'a>(datum: &'a Datum<'static>) -> Datum<'a> {
    match datum {
        Datum::Text(text) => Datum::text(&**text),
        Datum::Bytes(bytes) => Datum::Bytes((&**bytes).into()),
        other => other.clone(),
    }
}

/// AND (`ends` false) or OR (`ends` true): the first part that is `ends` decides.
fn fold<'a>(parts: &'a [Expr], ends: bool, row: Row<'a>, checks: &Checks) -> Result<Datum<'a>, Error> {
    let mut unknown = false;
    for part in parts {
        match checks.truth(&part.eval(row, checks)?)? {
            Some(truth) if truth == ends => return Ok(Datum::truth(ends)),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown { Datum::Null } else { Datum::truth(!ends) })
}

/// By what is shown of both, as MariaDB does it: `1/3 = 0.3333`.
pub fn compare(how: Comparison, a: &Datum, b: &Datum, checks: &Checks) -> Result<Datum<'static>, Error> {
    compare_all(how, &a.shown(), &b.shown(), checks)
}

fn compare_all(how: Comparison, a: &Datum, b: &Datum, checks: &Checks) -> Result<Datum<'static>, Error> {
    if how == Comparison::Same && (a.is_null() || b.is_null()) {
        return Ok(Datum::truth(a.is_null() && b.is_null()));
    }
    let Some(order) = checks.compare(a, b)? else { return Ok(Datum::Null) };
    Ok(Datum::truth(match how {
        Comparison::Eq | Comparison::Same => order.is_eq(),
        Comparison::NotEq => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessEq => order.is_le(),
        Comparison::More => order.is_gt(),
        Comparison::MoreEq => order.is_ge(),
    }))
}

impl Arith {
    pub fn sign(self) -> &'static str {
        match self {
            Arith::Add => "+",
            Arith::Sub => "-",
            Arith::Mul => "*",
            Arith::Div => "/",
            Arith::Whole => "DIV",
            Arith::Rem => "%",
        }
    }
}

pub fn arith(how: Arith, a: &Datum, b: &Datum, checks: &Checks) -> Result<Datum<'static>, Error> {
    let (Some(x), Some(y)) = (checks.number(a)?, checks.number(b)?) else { return Ok(Datum::Null) };
    let shown =
        || format!("{} {} {}", a.to_text().unwrap_or_default(), how.sign(), b.to_text().unwrap_or_default());
    if matches!(how, Arith::Div | Arith::Whole | Arith::Rem) && is_zero(y) {
        checks.doubt(1365, "22012", || "Division by 0".to_owned())?;
        return Ok(Datum::Null);
    }
    if let (Number::Int(x), Number::Int(y)) = (x, y) {
        let done = match how {
            Arith::Add => x.checked_add(y),
            Arith::Sub => x.checked_sub(y),
            Arith::Mul => x.checked_mul(y),
            Arith::Whole => x.checked_div(y),
            Arith::Rem => Some(x.wrapping_rem(y)),
            Arith::Div => {
                let quotient = Decimal::from(x).div(Decimal::from(y));
                return quotient.map(Datum::Dec).ok_or_else(|| out_of_range("DECIMAL", &shown()));
            }
        };
        return done.map(Datum::Int).ok_or_else(|| out_of_range("BIGINT", &shown()));
    }
    if let (Some(x), Some(y)) = (x.to_decimal(), y.to_decimal()) {
        let done = match how {
            Arith::Add => x.add(y),
            Arith::Sub => x.sub(y),
            Arith::Mul => x.mul(y),
            Arith::Div => x.div(y),
            Arith::Rem => x.rem(y),
            Arith::Whole => {
                let whole = x.div_whole(y).and_then(|n| i64::try_from(n).ok());
                return whole.map(Datum::Int).ok_or_else(|| out_of_range("BIGINT", &shown()));
            }
        };
        return done.map(Datum::Dec).ok_or_else(|| out_of_range("DECIMAL", &shown()));
    }
    let (x, y) = (x.to_f64(), y.to_f64());
    let done = match how {
        Arith::Add => x + y,
        Arith::Sub => x - y,
        Arith::Mul => x * y,
        Arith::Div => x / y,
        Arith::Rem => x % y,
        Arith::Whole => {
            let whole = Number::Double((x / y).trunc()).to_i64();
            return whole.map(Datum::Int).ok_or_else(|| out_of_range("BIGINT", &shown()));
        }
    };
    if done.is_finite() { Ok(Datum::Double(done)) } else { Err(out_of_range("DOUBLE", &shown())) }
}

fn is_zero(n: Number) -> bool {
    match n {
        Number::Int(n) => n == 0,
        Number::Dec(n) => n.is_zero(),
        Number::Double(n) => n == 0.0,
    }
}

fn negate(datum: &Datum, checks: &Checks) -> Result<Datum<'static>, Error> {
    Ok(match checks.number(datum)? {
        None => Datum::Null,
        // The one integer without a counterpart becomes a decimal.
        Some(Number::Int(n)) => n.checked_neg().map_or(Datum::Dec(Decimal::from(n).neg()), Datum::Int),
        // 9223372036854775808 is no integer of 64 bits, and its negative is.
        Some(Number::Dec(n)) => match n.neg().as_whole().map(i64::try_from) {
            Some(Ok(i64::MIN)) if n.scale() == 0 => Datum::Int(i64::MIN),
            _ => Datum::Dec(n.neg()),
        },
        Some(Number::Double(n)) => Datum::Double(-n),
    })
}

/// A number as MySQL's bit operators see it: 64 bits without a sign.
fn word(n: Number) -> u64 {
    match n {
        Number::Int(n) => n as u64,
        Number::Dec(n) => {
            let whole = n.round(0).whole();
            i64::try_from(whole).map_or_else(|_| u64::try_from(whole).unwrap_or(u64::MAX), |n| n as u64)
        }
        Number::Double(n) if n < 0.0 => n.round_ties_even() as i64 as u64,
        Number::Double(n) => n.round_ties_even() as u64,
    }
}

/// 64 bits without a sign as a number.
pub fn unsigned(n: u64) -> Datum<'static> {
    i64::try_from(n).map_or_else(|_| Datum::Dec(Decimal::from(n)), Datum::Int)
}

fn bits(how: Bits, a: &Datum, b: &Datum, checks: &Checks) -> Evaluated<'static> {
    let (Some(a), Some(b)) = (checks.number(a)?, checks.number(b)?) else { return Ok(Datum::Null) };
    let (a, b) = (word(a), word(b));
    let shift = u32::try_from(b).unwrap_or(u32::MAX);
    Ok(unsigned(match how {
        Bits::And => a & b,
        Bits::Or => a | b,
        Bits::Xor => a ^ b,
        Bits::Left => a.checked_shl(shift).unwrap_or(0),
        Bits::Right => a.checked_shr(shift).unwrap_or(0),
    }))
}

fn cast<'a>(target: Target, datum: &'a Datum<'a>, checks: &Checks) -> Result<Datum<'a>, Error> {
    if datum.is_null() {
        return Ok(Datum::Null);
    }
    let cut = |kind: &str| checks.doubt(1292, "22007", || truncated(kind, datum));
    Ok(match target {
        Target::Signed | Target::Unsigned => {
            let exact = datum.exact();
            let Some((number, fit)) = exact.map(|n| (Number::Dec(n), Fit::Whole)).or(datum.to_number())
            else {
                return Ok(Datum::Null);
            };
            // A text is read up to its point or exponent: '1.9' is 1.
            let text = matches!(datum, Datum::Text(_) | Datum::Bytes(_));
            let whole = match number {
                Number::Int(n) => i128::from(n),
                Number::Dec(n) if text => n.whole(),
                Number::Dec(n) => n.round(0).whole(),
                Number::Double(n) if text => n.trunc() as i128,
                Number::Double(n) => n.round_ties_even() as i128,
            };
            if fit == Fit::Part || (text && exact.is_none_or(|n| n.as_whole().is_none())) {
                cut("INTEGER")?;
            }
            if target == Target::Signed {
                Datum::Int(whole.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
            } else if whole < 0 {
                unsigned(whole.max(i64::MIN.into()) as i64 as u64)
            } else {
                unsigned(u64::try_from(whole).unwrap_or(u64::MAX))
            }
        }
        Target::Moment(kind) => {
            let text = datum.to_text().unwrap_or_default();
            match Moment::parse(&text).and_then(|moment| moment.kept(kind)) {
                Some(kept) => Datum::text(kept),
                None => {
                    cut("datetime")?;
                    Datum::Null
                }
            }
        }
        Target::Text { chars_max } => {
            let text = datum.to_text().unwrap_or_default();
            match chars_max.and_then(|max| text.char_indices().nth(max as usize)) {
                Some((at, _)) => {
                    cut(&format!("CHAR({})", chars_max.unwrap_or(0)))?;
                    Datum::text(text[..at].to_owned())
                }
                None => Datum::Text(text),
            }
        }
        Target::Bytes { bytes_max } => {
            let bytes = datum.to_bytes().unwrap_or_default();
            match bytes_max.map(|max| max as usize).filter(|max| bytes.len() > *max) {
                Some(max) => {
                    cut(&format!("BINARY({max})"))?;
                    Datum::Bytes(bytes[..max].to_vec().into())
                }
                None => Datum::Bytes(bytes),
            }
        }
        Target::Decimal { digits, scale } => {
            let number = match (datum.exact(), datum.to_number()) {
                (Some(n), _) => n,
                (None, Some((Number::Double(n), fit))) => {
                    if fit == Fit::Part {
                        cut("DECIMAL")?;
                    }
                    // One that does not fit here is beyond all digits that there may be.
                    let most = if n < 0.0 { i128::MIN + 1 } else { i128::MAX };
                    Decimal::of_double(n, scale).unwrap_or(Decimal::new(most, 0))
                }
                _ => return Ok(Datum::Null),
            };
            let rounded = number.round(scale);
            let most = Decimal::new(10_i128.pow(digits.min(38).into()) - 1, scale);
            if rounded.scale() != scale || rounded.abs() > most {
                checks.doubt(1264, "22003", || "Out of range value for column 'CAST' at row 1".to_owned())?;
                return Ok(Datum::Dec(if number < Decimal::from(0_i64) { most.neg() } else { most }));
            }
            Datum::Dec(rounded)
        }
        Target::Double => checks.number(datum)?.map_or(Datum::Null, |n| Datum::Double(n.to_f64())),
    })
}

/// Whether a text is like a pattern: `%` stands for any characters, `_` for one, and the escape character (`\` if
/// none is given) takes the next one as it is. Linear in memory; a `%` is never tried again once a later one fits.
pub fn like(text: &str, pattern: &str, escape: Option<char>) -> bool {
    let escape = escape.unwrap_or('\\');
    let mut text = text.chars();
    let mut pattern = pattern.chars();
    // Where to go on after the last `%` took one character more.
    let mut again: Option<(std::str::Chars, std::str::Chars)> = None;
    loop {
        let before = pattern.clone();
        let fits = match pattern.next() {
            None => text.as_str().is_empty(),
            Some('%') => {
                if pattern.as_str().is_empty() {
                    return true;
                }
                again = Some((text.clone(), pattern.clone()));
                continue;
            }
            Some('_') => text.next().is_some(),
            Some(c) => {
                let want = if c == escape { pattern.next().unwrap_or(c) } else { c };
                text.next() == Some(want)
            }
        };
        if fits {
            if before.as_str().is_empty() {
                return true;
            }
            continue;
        }
        let Some((rest, after)) = &mut again else { return false };
        if rest.next().is_none() {
            return false;
        }
        (text, pattern) = (rest.clone(), after.clone());
    }
}
