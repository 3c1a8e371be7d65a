//! Dates and times as texts: what MySQL reads as one, and the one form in which it is kept.
//!
//! Intuition: a date that is written with all its digits is ordered by its bytes as it is by the calendar, so a text
//! is all that a column of dates has to hold.
//! Invariant: what is kept of one column has one length, so its order is that of time.
//! What it is not: MySQL's TIME of more than a day or less than none; there are no zones but UTC.

use super::time::{civil, days};
use crate::request::ColumnType;

/// Days, hours and so on as written; the fraction in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub date: Option<(i64, i64, i64)>,
    pub clock: Option<(i64, i64, i64)>,
    pub micros: i64,
}

fn number(text: &str, longest: usize) -> Option<i64> {
    let fits = !text.is_empty() && text.len() <= longest && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// Days of a month, by the calendar.
pub fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn date_of(year: i64, month: i64, day: i64) -> Option<(i64, i64, i64)> {
    let real = (1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day);
    (real && (1..=9999).contains(&year)).then_some((year, month, day))
}

fn clock_of(hour: i64, minute: i64, second: i64) -> Option<(i64, i64, i64)> {
    (hour < 24 && minute < 60 && second < 60).then_some((hour, minute, second))
}

impl Moment {
    /// `2024-02-29 12:34:56.5`, `2024-2-9`, `20240229123456`, `12:34:56`; `None` if it is none that there is.
    pub fn parse(text: &str) -> Option<Moment> {
        let text = text.trim();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let micros = match fraction.len() {
            0 => 0,
            _ => number(format!("{fraction:0<6}").get(..6)?, 6)?,
        };
        if whole.bytes().all(|b| b.is_ascii_digit()) {
            let part = |from: usize, to: usize| number(whole.get(from..to)?, 4);
            let date = date_of(part(0, 4)?, part(4, 6)?, part(6, 8)?)?;
            let clock = match whole.len() {
                8 => None,
                14 => Some(clock_of(part(8, 10)?, part(10, 12)?, part(12, 14)?)?),
                _ => return None,
            };
            return Some(Moment { date: Some(date), clock, micros });
        }
        let (date, clock) = match whole.split_once([' ', 'T']) {
            Some((date, clock)) => (Some(date), Some(clock)),
            None if whole.contains(':') => (None, Some(whole)),
            None => (Some(whole), None),
        };
        let date = match date {
            None => None,
            Some(text) => {
                let parts: Vec<_> = text.split(['-', '/']).collect();
                let [year, month, day] = parts[..] else { return None };
                Some(date_of(number(year, 4)?, number(month, 2)?, number(day, 2)?)?)
            }
        };
        let clock = match clock {
            None => None,
            Some(text) => {
                let mut parts = text.split(':').map(|part| number(part, 2));
                let (hour, minute) = (parts.next()??, parts.next()??);
                let second = parts.next().unwrap_or(Some(0))?;
                if parts.next().is_some() {
                    return None;
                }
                Some(clock_of(hour, minute, second)?)
            }
        };
        Some(Moment { date, clock, micros })
    }

    /// Microseconds since 1970, UTC; a time without a date is of that day.
    pub fn micros(&self) -> i64 {
        let (year, month, day) = self.date.unwrap_or((1970, 1, 1));
        let (hour, minute, second) = self.clock.unwrap_or_default();
        ((days(year, month, day) * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + self.micros
    }

    pub fn of_micros(micros: i64) -> Moment {
        let (secs, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        let of_day = secs.rem_euclid(86_400);
        Moment {
            date: Some(civil(secs.div_euclid(86_400))),
            clock: Some((of_day / 3600, of_day / 60 % 60, of_day % 60)),
            micros: fraction,
        }
    }

    pub fn date_text(&self) -> Option<String> {
        self.date.map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}"))
    }

    pub fn clock_text(&self, digits: u8) -> String {
        let (hour, minute, second) = self.clock.unwrap_or_default();
        let clock = format!("{hour:02}:{minute:02}:{second:02}");
        if digits == 0 {
            return clock;
        }
        format!("{clock}.{:.width$}", format!("{:06}", self.micros), width = usize::from(digits.min(6)))
    }

    /// As a column of this kind keeps it, rounded to its digits; `None` if a part is missing.
    pub fn kept(&self, kind: ColumnType) -> Option<String> {
        let rounded = |digits: u8| {
            let step = 10_i64.pow(6 - u32::from(digits.min(6)));
            let micros = self.micros() + step / 2;
            let moment = Moment::of_micros(micros - micros.rem_euclid(step));
            moment.date.filter(|(year, ..)| *year <= 9999).map(|_| moment)
        };
        match kind {
            ColumnType::Date => self.date_text(),
            ColumnType::Time => self.clock.map(|_| self.clock_text(0)),
            ColumnType::DateTime { digits } | ColumnType::Timestamp { digits } => {
                self.date?;
                let moment = rounded(digits)?;
                Some(format!("{} {}", moment.date_text()?, moment.clock_text(digits)))
            }
            _ => None,
        }
    }

    /// As a constant that is compared with a column of this kind: no digit is rounded away.
    pub fn compared(&self, kind: ColumnType) -> Option<String> {
        match kind {
            ColumnType::DateTime { digits } | ColumnType::Timestamp { digits } => {
                let precise = self.micros % 10_i64.pow(6 - u32::from(digits.min(6))) != 0;
                Some(format!("{} {}", self.date_text()?, self.clock_text(if precise { 6 } else { digits })))
            }
            ColumnType::Date if self.clock.is_some_and(|clock| clock != (0, 0, 0)) => {
                Some(format!("{} {}", self.date_text()?, self.clock_text(0)))
            }
            kind => self.kept(kind),
        }
    }
}

/// Whether a column's values are moments.
pub fn is_moment(kind: ColumnType) -> bool {
    use ColumnType::{Date, DateTime, Time, Timestamp};
    matches!(kind, Date | Time | DateTime { .. } | Timestamp { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_kept_in_one_form() {
        let second = ColumnType::DateTime { digits: 0 };
        let cases = [
            ("2024-2-9", ColumnType::Date, Some("2024-02-09")),
            ("2024-02-30", ColumnType::Date, None),
            ("2023-02-29", ColumnType::Date, None),
            ("20240229", ColumnType::Date, Some("2024-02-29")),
            ("2024-02-29 1:2:3", second, Some("2024-02-29 01:02:03")),
            ("2024-02-29T01:02", second, Some("2024-02-29 01:02:00")),
            ("2024-12-31 23:59:59.5", second, Some("2025-01-01 00:00:00")),
            (
                "2024-12-31 23:59:59.1234567",
                ColumnType::DateTime { digits: 3 },
                Some("2024-12-31 23:59:59.123"),
            ),
            ("2024-12-31", second, Some("2024-12-31 00:00:00")),
            ("12:34:56", ColumnType::Time, Some("12:34:56")),
            ("25:00:00", ColumnType::Time, None),
            ("12:34:56", second, None),
            ("x", second, None),
            ("", second, None),
            ("2024-01-01 00:00:00 x", second, None),
        ];
        for (text, kind, want) in cases {
            let kept = Moment::parse(text).and_then(|moment| moment.kept(kind));
            assert_eq!(kept.as_deref(), want, "{text} as {kind:?}");
        }
    }
}
