//! Functions of values, one line each in a table. A new one is a line there and the few lines that do it.
//!
//! What depends on the session or the moment (`NOW()`, `USER()`) is a constant of the statement and lives in
//! `compile`; aggregates live in `group`.

use super::datum::{Datum, Number};
use super::decimal::{Decimal, SCALE_MAX};
use super::eval::arith;
use super::expr::{Arith, Checks, out_of_range};
use crate::error::Error;
use crate::request::ColumnType;
use std::cmp::Ordering;

/// What a function yields, for the column that announces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Yields {
    /// A date or time.
    Moment(ColumnType),
    Int,
    Text,
    /// As its first argument.
    First,
    /// Whatever holds all of its arguments.
    Widest,
}

type Call = for<'a> fn(&[Datum<'a>], &Checks) -> Result<Datum<'a>, Error>;

pub struct Function {
    pub name: &'static str,
    pub args_min: usize,
    pub args_max: usize,
    pub yields: Yields,
    pub call: Call,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

pub const fn function(
    name: &'static str,
    args_min: usize,
    args_max: usize,
    yields: Yields,
    call: Call,
) -> Function {
    Function { name, args_min, args_max, yields, call }
}

/// What an operator over an unsigned integer yields, which must be one too; behind it the expression in MySQL's words.
pub static UNSIGNED: Function = function("UNSIGNED", 2, 2, Yields::First, |args, _| {
    let fits = match &args[0] {
        Datum::Int(n) => *n >= 0,
        Datum::Dec(n) => n.as_whole().is_none_or(|n| u64::try_from(n).is_ok()),
        _ => true,
    };
    if fits {
        return Ok(args[0].clone());
    }
    Err(out_of_range("BIGINT UNSIGNED", &args[1].to_text().unwrap_or_default()))
});

/// As many as one likes.
const ANY: usize = usize::MAX;

/// By name, which is compared without regard to case.
static FUNCTIONS: &[Function] = &[
    function("ABS", 1, 1, Yields::First, abs),
    function("ASCII", 1, 1, Yields::Int, ascii),
    function("BIT_LENGTH", 1, 1, Yields::Int, |a, _| Ok(bytes(a, |b| Datum::Int(b.len() as i64 * 8)))),
    function("CEIL", 1, 1, Yields::First, |a, c| whole(&a[0], c, |n| -n.neg().floor(), f64::ceil)),
    function("CEILING", 1, 1, Yields::First, |a, c| whole(&a[0], c, |n| -n.neg().floor(), f64::ceil)),
    function("CHAR_LENGTH", 1, 1, Yields::Int, |a, _| Ok(text(a, |t| Datum::Int(t.chars().count() as i64)))),
    function("CHARACTER_LENGTH", 1, 1, Yields::Int, |a, _| {
        Ok(text(a, |t| Datum::Int(t.chars().count() as i64)))
    }),
    function("COALESCE", 1, ANY, Yields::Widest, coalesce),
    function("CONCAT", 1, ANY, Yields::Text, concat),
    function("CONCAT_WS", 2, ANY, Yields::Text, concat_ws),
    function("FIELD", 2, ANY, Yields::Int, field),
    function("FIND_IN_SET", 2, 2, Yields::Int, find_in_set),
    function("FLOOR", 1, 1, Yields::First, |a, c| whole(&a[0], c, Decimal::floor, f64::floor)),
    function("GREATEST", 2, ANY, Yields::Widest, |a, c| extreme(a, c, Ordering::Greater)),
    function("HEX", 1, 1, Yields::Text, hex),
    function("IFNULL", 2, 2, Yields::Widest, coalesce),
    function("INSTR", 2, 2, Yields::Int, |a, _| Ok(position(&a[0], &a[1], 1))),
    function("ISNULL", 1, 1, Yields::Int, |a, _| Ok(Datum::truth(a[0].is_null()))),
    function("LCASE", 1, 1, Yields::Text, |a, _| Ok(text(a, |t| Datum::text(t.to_lowercase())))),
    function("LEAST", 2, ANY, Yields::Widest, |a, c| extreme(a, c, Ordering::Less)),
    function("LEFT", 2, 2, Yields::Text, left),
    function("LENGTH", 1, 1, Yields::Int, |a, _| Ok(bytes(a, |b| Datum::Int(b.len() as i64)))),
    function("LOCATE", 2, 3, Yields::Int, locate),
    function("LOWER", 1, 1, Yields::Text, |a, _| Ok(text(a, |t| Datum::text(t.to_lowercase())))),
    function("LPAD", 3, 3, Yields::Text, |a, c| pad(a, c, true)),
    function("LTRIM", 1, 1, Yields::Text, |a, _| {
        Ok(text(a, |t| Datum::text(t.trim_start_matches(' ').to_owned())))
    }),
    function("MOD", 2, 2, Yields::First, |a, c| arith(Arith::Rem, &a[0], &a[1], c)),
    function("NULLIF", 2, 2, Yields::First, nullif),
    function("OCTET_LENGTH", 1, 1, Yields::Int, |a, _| Ok(bytes(a, |b| Datum::Int(b.len() as i64)))),
    function("REPEAT", 2, 2, Yields::Text, repeat),
    function("REPLACE", 3, 3, Yields::Text, replace),
    function("REVERSE", 1, 1, Yields::Text, |a, _| {
        Ok(text(a, |t| Datum::text(t.chars().rev().collect::<String>())))
    }),
    function("RIGHT", 2, 2, Yields::Text, right),
    function("ROUND", 1, 2, Yields::First, round),
    function("RPAD", 3, 3, Yields::Text, |a, c| pad(a, c, false)),
    function("RTRIM", 1, 1, Yields::Text, |a, _| {
        Ok(text(a, |t| Datum::text(t.trim_end_matches(' ').to_owned())))
    }),
    function("SIGN", 1, 1, Yields::Int, sign),
    function("STRCMP", 2, 2, Yields::Int, strcmp),
    function("SUBSTR", 2, 3, Yields::Text, substring),
    function("SUBSTRING", 2, 3, Yields::Text, substring),
    function("TRIM", 1, 1, Yields::Text, |a, _| Ok(text(a, |t| Datum::text(t.trim_matches(' ').to_owned())))),
    function("TRUNCATE", 2, 2, Yields::First, truncate),
    function("UCASE", 1, 1, Yields::Text, |a, _| Ok(text(a, |t| Datum::text(t.to_uppercase())))),
    function("UNHEX", 1, 1, Yields::Text, unhex),
    function("UPPER", 1, 1, Yields::Text, |a, _| Ok(text(a, |t| Datum::text(t.to_uppercase())))),
];

/// Longest text that a function makes, in bytes; MySQL's bound is `max_allowed_packet`. A longer one is NULL with a
/// warning, as there.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// The place of the first value among the others, from 1; 0 if it is not there.
fn field<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    for (at, other) in args.iter().enumerate().skip(1) {
        if !args[0].is_null() && checks.compare(&args[0], other)? == Some(Ordering::Equal) {
            return Ok(Datum::Int(at as i64));
        }
    }
    Ok(Datum::Int(0))
}

/// The place of a text in a list with commas.
fn find_in_set<'a>(args: &[Datum<'a>], _: &Checks) -> Result<Datum<'a>, Error> {
    let (Some(sought), Some(list)) = (args[0].to_text(), args[1].to_text()) else { return Ok(Datum::Null) };
    let at = list.split(',').position(|one| one == sought).filter(|_| !list.is_empty());
    Ok(Datum::Int(at.map_or(0, |at| at as i64 + 1)))
}

pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS
        .iter()
        .chain(super::calendar::FUNCTIONS)
        .find(|function| function.name.eq_ignore_ascii_case(name))
}

/// The first argument as text; NULL stays NULL.
fn text<'a>(args: &[Datum], of: impl FnOnce(&str) -> Datum<'a>) -> Datum<'a> {
    args[0].to_text().map_or(Datum::Null, |text| of(&text))
}

/// The first argument as bytes; NULL stays NULL.
fn bytes<'a>(args: &[Datum], of: impl FnOnce(&[u8]) -> Datum<'a>) -> Datum<'a> {
    args[0].to_bytes().map_or(Datum::Null, |bytes| of(&bytes))
}

/// An argument as an integer; `None` for NULL.
fn int(arg: &Datum, checks: &Checks) -> Result<Option<i64>, Error> {
    Ok(checks.number(arg)?.map(|n| n.to_i64().unwrap_or(if n.to_f64() < 0.0 { i64::MIN } else { i64::MAX })))
}

fn too_long<'a>(name: &str, checks: &Checks) -> Datum<'a> {
    let message =
        format!("Result of {name}() was larger than max_allowed_packet ({TEXT_BYTES_MAX}) - truncated");
    checks.warn("Warning", 1301, message);
    Datum::Null
}

fn abs<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    Ok(match checks.number(&args[0])? {
        None => Datum::Null,
        Some(Number::Int(n)) => match n.checked_abs() {
            Some(n) => Datum::Int(n),
            None => return Err(out_of_range("BIGINT", &format!("abs({n})"))),
        },
        Some(Number::Dec(n)) => Datum::Dec(n.abs()),
        Some(Number::Double(n)) => Datum::Double(n.abs()),
    })
}

fn ascii<'a>(args: &[Datum<'a>], _: &Checks) -> Result<Datum<'a>, Error> {
    Ok(bytes(args, |bytes| Datum::Int(bytes.first().copied().unwrap_or(0).into())))
}

fn whole<'a>(
    arg: &Datum<'a>,
    checks: &Checks,
    exact: impl Fn(Decimal) -> i128,
    double: impl Fn(f64) -> f64,
) -> Result<Datum<'a>, Error> {
    Ok(match checks.number(arg)? {
        None => Datum::Null,
        Some(Number::Int(n)) => Datum::Int(n),
        Some(Number::Dec(n)) => {
            let n = exact(n);
            i64::try_from(n).map_or_else(|_| Datum::Dec(Decimal::new(n, 0)), Datum::Int)
        }
        Some(Number::Double(n)) => Datum::Double(double(n)),
    })
}

fn coalesce<'a>(args: &[Datum<'a>], _: &Checks) -> Result<Datum<'a>, Error> {
    Ok(args.iter().find(|arg| !arg.is_null()).cloned().unwrap_or(Datum::Null))
}

fn nullif<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    let equal = checks.compare(&args[0].shown(), &args[1].shown())? == Some(Ordering::Equal);
    Ok(if equal { Datum::Null } else { args[0].clone() })
}

fn joined<'a>(name: &str, parts: &[&Datum], between: &[u8], checks: &Checks) -> Datum<'a> {
    let binary = parts.iter().any(|part| matches!(part, Datum::Bytes(_)));
    let mut out = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(between);
        }
        out.extend_from_slice(&part.to_bytes().unwrap_or_default());
        if out.len() > TEXT_BYTES_MAX {
            return too_long(name, checks);
        }
    }
    match String::from_utf8(out) {
        Ok(text) if !binary => Datum::text(text),
        Ok(text) => Datum::Bytes(text.into_bytes().into()),
        Err(bytes) => Datum::Bytes(bytes.into_bytes().into()),
    }
}

fn concat<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    if args.iter().any(Datum::is_null) {
        return Ok(Datum::Null);
    }
    Ok(joined("concat", &args.iter().collect::<Vec<_>>(), b"", checks))
}

fn concat_ws<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    let Some(between) = args[0].to_bytes() else { return Ok(Datum::Null) };
    let parts: Vec<_> = args[1..].iter().filter(|arg| !arg.is_null()).collect();
    Ok(joined("concat_ws", &parts, &between, checks))
}

fn extreme<'a>(args: &[Datum<'a>], checks: &Checks, wins: Ordering) -> Result<Datum<'a>, Error> {
    let mut best = &args[0];
    for arg in &args[1..] {
        match checks.compare(arg, best)? {
            None => return Ok(Datum::Null),
            Some(order) if order == wins => best = arg,
            Some(_) => {}
        }
    }
    // With a text among numbers the comparison is one of numbers, and so is the answer.
    let numbers = args.iter().any(|arg| matches!(arg, Datum::Int(_) | Datum::Dec(_) | Datum::Double(_)));
    if numbers && matches!(best, Datum::Text(_) | Datum::Bytes(_)) {
        return Ok(best.to_number().map_or(Datum::Null, |(number, _)| number.into()));
    }
    Ok(best.clone())
}

fn hex<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    if matches!(args[0], Datum::Text(_) | Datum::Bytes(_)) {
        return Ok(bytes(args, |bytes| {
            Datum::text(bytes.iter().map(|b| format!("{b:02X}")).collect::<String>())
        }));
    }
    Ok(int(&args[0], checks)?.map_or(Datum::Null, |n| Datum::text(format!("{n:X}"))))
}

/// The bytes of hexadecimal digits; `None` if they are none.
pub fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let padded = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
    if !padded.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..padded.len()).step_by(2).map(|at| u8::from_str_radix(&padded[at..at + 2], 16).ok()).collect()
}

fn unhex<'a>(args: &[Datum<'a>], _: &Checks) -> Result<Datum<'a>, Error> {
    Ok(text(args, |text| from_hex(text).map_or(Datum::Null, |bytes| Datum::Bytes(bytes.into()))))
}

/// Where `part` is in `text`, counted in characters from 1, searched from there on; 0 if it is not.
fn position<'a>(text: &Datum, part: &Datum, from: i64) -> Datum<'a> {
    let (Some(text), Some(part)) = (text.to_text(), part.to_text()) else { return Datum::Null };
    let Some(skip) = usize::try_from(from - 1).ok() else { return Datum::Int(0) };
    let chars = text.chars().count();
    if skip > chars {
        return Datum::Int(0);
    }
    let begin = text.char_indices().nth(skip).map_or(text.len(), |(at, _)| at);
    match text[begin..].find(&*part) {
        Some(at) => Datum::Int((skip + text[begin..begin + at].chars().count()) as i64 + 1),
        None => Datum::Int(0),
    }
}

fn locate<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    let from = match args.get(2) {
        Some(from) => int(from, checks)?,
        None => Some(1),
    };
    Ok(from.map_or(Datum::Null, |from| position(&args[1], &args[0], from)))
}

/// Characters `from..` (at most `count`) of a text.
fn part<'a>(text: &str, from: usize, count: usize) -> Datum<'a> {
    Datum::text(text.chars().skip(from).take(count).collect::<String>())
}

fn left<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    let Some(count) = int(&args[1], checks)? else { return Ok(Datum::Null) };
    Ok(text(args, |text| part(text, 0, usize::try_from(count).unwrap_or(0))))
}

fn right<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    let Some(count) = int(&args[1], checks)? else { return Ok(Datum::Null) };
    let count = usize::try_from(count).unwrap_or(0);
    Ok(text(args, |text| part(text, text.chars().count().saturating_sub(count), count)))
}

fn substring<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    let count = match args.get(2) {
        Some(count) => int(count, checks)?,
        None => Some(i64::MAX),
    };
    let (Some(from), Some(count)) = (int(&args[1], checks)?, count) else { return Ok(Datum::Null) };
    Ok(text(args, |text| {
        let chars = text.chars().count() as i64;
        let begin = match from {
            1.. => from - 1,
            0 => return Datum::text(""),
            _ => chars + from,
        };
        if begin < 0 || begin >= chars || count <= 0 {
            return Datum::text("");
        }
        part(text, begin as usize, usize::try_from(count).unwrap_or(usize::MAX))
    }))
}

fn pad<'a>(args: &[Datum<'a>], checks: &Checks, in_front: bool) -> Result<Datum<'a>, Error> {
    let (Some(text), Some(fill)) = (args[0].to_text(), args[2].to_text()) else { return Ok(Datum::Null) };
    let Some(want) = int(&args[1], checks)?.and_then(|n| usize::try_from(n).ok()) else {
        return Ok(Datum::Null);
    };
    let have = text.chars().count();
    if want <= have {
        return Ok(part(&text, 0, want));
    }
    if want.saturating_mul(4) > TEXT_BYTES_MAX {
        return Ok(too_long(if in_front { "lpad" } else { "rpad" }, checks));
    }
    if fill.is_empty() {
        return Ok(Datum::text(""));
    }
    let filling: String = fill.chars().cycle().take(want - have).collect();
    Ok(Datum::text(if in_front { filling + &text } else { text.into_owned() + &filling }))
}

fn repeat<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    let Some(count) = int(&args[1], checks)? else { return Ok(Datum::Null) };
    let count = usize::try_from(count).unwrap_or(0);
    let Some(text) = args[0].to_text() else { return Ok(Datum::Null) };
    if text.len().saturating_mul(count) > TEXT_BYTES_MAX {
        return Ok(too_long("repeat", checks));
    }
    Ok(Datum::text(text.repeat(count)))
}

fn replace<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    let (Some(text), Some(from), Some(to)) = (args[0].to_text(), args[1].to_text(), args[2].to_text()) else {
        return Ok(Datum::Null);
    };
    if from.is_empty() {
        return Ok(Datum::text(text.into_owned()));
    }
    let finds = text.matches(&*from).count();
    if text.len() + finds.saturating_mul(to.len()) > TEXT_BYTES_MAX {
        return Ok(too_long("replace", checks));
    }
    Ok(Datum::text(text.replace(&*from, &to)))
}

fn round<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    let places = match args.get(1) {
        Some(places) => int(places, checks)?,
        None => Some(0),
    };
    let (Some(n), Some(places)) = (checks.number(&args[0])?, places) else { return Ok(Datum::Null) };
    let exact = |n: Decimal| match u8::try_from(places) {
        Ok(places) => n.round(places),
        Err(_) if places < 0 => n.round_left(places.unsigned_abs().min(40) as u32),
        Err(_) => n,
    };
    Ok(match n {
        Number::Int(n) if places >= 0 => Datum::Int(n),
        Number::Int(n) => match exact(Decimal::from(n)).to_i64() {
            Some(n) => Datum::Int(n),
            None => return Err(out_of_range("BIGINT", &format!("round({n},{places})"))),
        },
        Number::Dec(n) => Datum::Dec(exact(n)),
        Number::Double(n) => {
            let by = 10_f64.powi(places.clamp(-400, 400) as i32);
            let rounded = if by.is_finite() && by != 0.0 { (n * by).round_ties_even() / by } else { n };
            Datum::Double(if rounded.is_finite() { rounded } else { n })
        }
    })
}

fn truncate<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    let (Some(n), Some(places)) = (checks.number(&args[0])?, int(&args[1], checks)?) else {
        return Ok(Datum::Null);
    };
    if let (Some(n), true) = (n.to_decimal(), places >= 0) {
        let places = u8::try_from(places).unwrap_or(SCALE_MAX).min(n.scale());
        // Rounded toward zero: what the last places held is taken off first.
        let step = Decimal::new(1, places);
        let rest = n.rem(step).unwrap_or(Decimal::from(0_i64));
        return Ok(n.sub(rest).map_or(Datum::Null, |n| Datum::Dec(n.round(places))));
    }
    let by = 10_f64.powi(places.clamp(-400, 400) as i32);
    let cut = (n.to_f64() * by).trunc() / by;
    Ok(if cut.is_finite() { Datum::Double(cut) } else { Datum::Double(0.0) })
}

fn sign<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    Ok(checks.number(&args[0])?.map_or(Datum::Null, |n| {
        let n = n.to_f64();
        Datum::Int(i64::from(n > 0.0) - i64::from(n < 0.0))
    }))
}

fn strcmp<'a>(args: &[Datum<'a>], _: &Checks) -> Result<Datum<'a>, Error> {
    let (Some(a), Some(b)) = (args[0].to_bytes(), args[1].to_bytes()) else { return Ok(Datum::Null) };
    Ok(Datum::Int(match a.cmp(&b) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }))
}
