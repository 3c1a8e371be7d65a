//! Functions of dates and times. A text that is no moment gives NULL with a warning, as in MySQL.

use super::datum::Datum;
use super::expr::{Checks, truncated};
use super::function::{Function, Yields, function};
use super::moment::{Moment, month_days};
use super::time::days;
use crate::error::Error;
use crate::request::ColumnType;

const DATE_TIME: ColumnType = ColumnType::DateTime { digits: 0 };
const MICROS: i64 = 1_000_000;

/// `+ INTERVAL n unit` as the compiler writes it: moment, number, unit, sign.
pub const SHIFT: &str = "interval";

pub static FUNCTIONS: &[Function] = &[
    function("DATE", 1, 1, Yields::Moment(ColumnType::Date), |a, c| {
        of(a, c, |m| m.date_text().map_or(Datum::Null, Datum::text))
    }),
    function("TIME", 1, 1, Yields::Moment(ColumnType::Time), |a, c| {
        of(a, c, |m| Datum::text(m.clock_text(0)))
    }),
    function("TIMESTAMP", 1, 1, Yields::Moment(DATE_TIME), |a, c| {
        of(a, c, |m| m.kept(DATE_TIME).map_or(Datum::Null, Datum::text))
    }),
    function("YEAR", 1, 1, Yields::Int, |a, c| date(a, c, |(year, ..)| year)),
    function("MONTH", 1, 1, Yields::Int, |a, c| date(a, c, |(_, month, _)| month)),
    function("QUARTER", 1, 1, Yields::Int, |a, c| date(a, c, |(_, month, _)| (month + 2) / 3)),
    function("DAY", 1, 1, Yields::Int, |a, c| date(a, c, |(.., day)| day)),
    function("DAYOFMONTH", 1, 1, Yields::Int, |a, c| date(a, c, |(.., day)| day)),
    function("DAYOFYEAR", 1, 1, Yields::Int, |a, c| {
        date(a, c, |(y, m, d)| days(y, m, d) - days(y, 1, 1) + 1)
    }),
    function("DAYOFWEEK", 1, 1, Yields::Int, |a, c| {
        date(a, c, |(y, m, d)| (days(y, m, d) + 4).rem_euclid(7) + 1)
    }),
    function("WEEKDAY", 1, 1, Yields::Int, |a, c| date(a, c, |(y, m, d)| (days(y, m, d) + 3).rem_euclid(7))),
    function("TO_DAYS", 1, 1, Yields::Int, |a, c| date(a, c, |(y, m, d)| days(y, m, d) + 719_528)),
    function("LAST_DAY", 1, 1, Yields::Moment(ColumnType::Date), |a, c| {
        of(a, c, |m| match m.date {
            Some((y, m, _)) => Datum::text(format!("{y:04}-{m:02}-{:02}", month_days(y, m))),
            None => Datum::Null,
        })
    }),
    function("HOUR", 1, 1, Yields::Int, |a, c| clock(a, c, |(hour, ..)| hour)),
    function("MINUTE", 1, 1, Yields::Int, |a, c| clock(a, c, |(_, minute, _)| minute)),
    function("SECOND", 1, 1, Yields::Int, |a, c| clock(a, c, |(.., second)| second)),
    function("MICROSECOND", 1, 1, Yields::Int, |a, c| of(a, c, |m| Datum::Int(m.micros))),
    function("DATEDIFF", 2, 2, Yields::Int, |a, c| {
        let (Some(x), Some(y)) = (moment(&a[0], c)?, moment(&a[1], c)?) else { return Ok(Datum::Null) };
        let day = |m: Moment| m.micros().div_euclid(86_400 * MICROS);
        Ok(Datum::Int(day(x) - day(y)))
    }),
    function("DATE_FORMAT", 2, 2, Yields::Text, date_format),
    function("FROM_UNIXTIME", 1, 1, Yields::Moment(DATE_TIME), |a, c| {
        let Some(n) = c.number(&a[0])? else { return Ok(Datum::Null) };
        let secs = n.to_i64().filter(|secs| (0..253_402_300_800).contains(secs));
        let text = secs.and_then(|secs| Moment::of_micros(secs * MICROS).kept(DATE_TIME));
        Ok(text.map_or(Datum::Null, Datum::text))
    }),
    function("UNIX_TIMESTAMP", 1, 1, Yields::Int, |a, c| {
        of(a, c, |m| Datum::Int(m.micros().div_euclid(MICROS).max(0)))
    }),
    function("TIMESTAMPDIFF", 3, 3, Yields::Int, timestamp_diff),
    function(SHIFT, 4, 4, Yields::Moment(DATE_TIME), shift),
];

/// An argument as a moment; `None` for NULL and, with a warning, for what is none.
fn moment(arg: &Datum, checks: &Checks) -> Result<Option<Moment>, Error> {
    let Some(text) = arg.to_text() else { return Ok(None) };
    let moment = Moment::parse(&text);
    if moment.is_none() {
        checks.doubt(1292, "22007", || truncated("datetime", arg))?;
    }
    Ok(moment)
}

fn of<'a>(
    args: &[Datum<'a>],
    checks: &Checks,
    of: impl FnOnce(Moment) -> Datum<'a>,
) -> Result<Datum<'a>, Error> {
    Ok(moment(&args[0], checks)?.map_or(Datum::Null, of))
}

fn date<'a>(
    args: &[Datum<'a>],
    checks: &Checks,
    part: impl FnOnce((i64, i64, i64)) -> i64,
) -> Result<Datum<'a>, Error> {
    of(args, checks, |moment| moment.date.map_or(Datum::Null, |date| Datum::Int(part(date))))
}

fn clock<'a>(
    args: &[Datum<'a>],
    checks: &Checks,
    part: impl FnOnce((i64, i64, i64)) -> i64,
) -> Result<Datum<'a>, Error> {
    of(args, checks, |moment| Datum::Int(part(moment.clock.unwrap_or_default())))
}

/// Months or microseconds of a unit.
fn unit(name: &str) -> Option<(i64, i64)> {
    Some(match name {
        "YEAR" => (12, 0),
        "QUARTER" => (3, 0),
        "MONTH" => (1, 0),
        "WEEK" => (0, 7 * 86_400 * MICROS),
        "DAY" => (0, 86_400 * MICROS),
        "HOUR" => (0, 3_600 * MICROS),
        "MINUTE" => (0, 60 * MICROS),
        "SECOND" => (0, MICROS),
        "MICROSECOND" => (0, 1),
        _ => return None,
    })
}

fn unknown_unit(name: &str) -> Error {
    Error::Unsupported { what: format!("INTERVAL {name}") }
}

/// So many months later; a day that the month has not got is its last.
fn months_later((year, month, day): (i64, i64, i64), months: i64) -> Option<(i64, i64, i64)> {
    let all = (year * 12 + month - 1).checked_add(months)?;
    let (year, month) = (all.div_euclid(12), all.rem_euclid(12) + 1);
    (1..=9999).contains(&year).then(|| (year, month, day.min(month_days(year, month))))
}

fn shift<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    let (Some(at), Some(count)) = (moment(&args[0], checks)?, checks.number(&args[1])?) else {
        return Ok(Datum::Null);
    };
    let (name, sign) = (args[2].to_text().unwrap_or_default(), checks.number(&args[3])?);
    let (months, micros) = unit(&name).ok_or_else(|| unknown_unit(&name))?;
    let sign = if sign.is_some_and(|sign| sign.to_f64() < 0.0) { -1 } else { 1 };
    let overflow = || {
        checks
            .doubt(1441, "22008", || "Datetime function: datetime field overflow".to_owned())
            .map(|()| Datum::Null)
    };
    let moved = if months > 0 {
        let by = count.to_i64().and_then(|n| n.checked_mul(months * sign));
        let date = at.date.zip(by).and_then(|(date, by)| months_later(date, by));
        date.map(|date| Moment { date: Some(date), ..at })
    } else {
        let exact = count.to_decimal().and_then(|n| n.mul(super::decimal::Decimal::from(micros)));
        let by = exact.and_then(|n| n.to_i64()).or_else(|| count.to_i64()?.checked_mul(micros));
        let micros = by.and_then(|by| at.micros().checked_add(by * sign));
        micros.map(Moment::of_micros).filter(|m| m.date.is_some_and(|(year, ..)| (1..=9999).contains(&year)))
    };
    let Some(moved) = moved else { return overflow() };
    // A date stays one if whole days are added.
    if at.clock.is_none() && (months > 0 || micros % (86_400 * MICROS) == 0) {
        return Ok(moved.date_text().map_or(Datum::Null, Datum::text));
    }
    let digits = if moved.micros > 0 { 6 } else { 0 };
    Ok(moved
        .date_text()
        .map_or(Datum::Null, |date| Datum::text(format!("{date} {}", moved.clock_text(digits)))))
}

fn timestamp_diff<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    let name = args[0].to_text().unwrap_or_default().to_ascii_uppercase();
    let (months, micros) = unit(&name).ok_or_else(|| unknown_unit(&name))?;
    let (Some(a), Some(b)) = (moment(&args[1], checks)?, moment(&args[2], checks)?) else {
        return Ok(Datum::Null);
    };
    if months == 0 {
        return Ok(Datum::Int((b.micros() - a.micros()) / micros));
    }
    let (Some(from), Some(to)) = (a.date, b.date) else { return Ok(Datum::Null) };
    let mut all = (to.0 - from.0) * 12 + to.1 - from.1;
    // A month counts once its day and time have come.
    let rest = |m: &Moment, day: i64| day * 86_400 * MICROS + m.micros().rem_euclid(86_400 * MICROS);
    let (begin, end) = (rest(&a, from.2), rest(&b, to.2));
    if all > 0 && end < begin {
        all -= 1;
    } else if all < 0 && end > begin {
        all += 1;
    }
    Ok(Datum::Int(all / months))
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

fn date_format<'a>(args: &[Datum<'a>], checks: &Checks) -> Result<Datum<'a>, Error> {
    let (Some(at), Some(format)) = (moment(&args[0], checks)?, args[1].to_text()) else {
        return Ok(Datum::Null);
    };
    let (year, month, day) = at.date.unwrap_or((1970, 1, 1));
    let (hour, minute, second) = at.clock.unwrap_or_default();
    let weekday = (days(year, month, day) + 3).rem_euclid(7) as usize;
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    let half = if hour < 12 { "AM" } else { "PM" };
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let Some(what) = chars.next() else { break };
        out += &match what {
            'Y' => format!("{year:04}"),
            'y' => format!("{:02}", year % 100),
            'm' => format!("{month:02}"),
            'c' => month.to_string(),
            'M' => MONTHS[month as usize - 1].to_owned(),
            'b' => MONTHS[month as usize - 1][..3].to_owned(),
            'd' => format!("{day:02}"),
            'e' => day.to_string(),
            'j' => format!("{:03}", days(year, month, day) - days(year, 1, 1) + 1),
            'H' => format!("{hour:02}"),
            'k' => hour.to_string(),
            'h' | 'I' => format!("{twelve:02}"),
            'l' => twelve.to_string(),
            'i' => format!("{minute:02}"),
            's' | 'S' => format!("{second:02}"),
            'f' => format!("{:06}", at.micros),
            'p' => half.to_owned(),
            'r' => format!("{twelve:02}:{minute:02}:{second:02} {half}"),
            'T' => format!("{hour:02}:{minute:02}:{second:02}"),
            'W' => WEEKDAYS[weekday].to_owned(),
            'a' => WEEKDAYS[weekday][..3].to_owned(),
            'w' => ((weekday + 1) % 7).to_string(),
            other => other.to_string(),
        };
        checks.made(out.len())?;
    }
    Ok(Datum::text(out))
}
