//! A moment as MySQL writes it, in UTC. The days are counted as in Howard Hinnant's "chrono-compatible low-level
//! date algorithms".

use plait_base::Wall;

const MICROS: i64 = 1_000_000;
const DAY_SECS: i64 = 86_400;

/// Year, month, day of a day counted from 1970-01-01.
pub fn civil(days: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, so that a leap day is the last of its year.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Counts a day from 1970-01-01.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

pub fn date(wall: Wall) -> String {
    let (year, month, day) = civil(wall.0.div_euclid(MICROS).div_euclid(DAY_SECS));
    format!("{year:04}-{month:02}-{day:02}")
}

pub fn time(wall: Wall) -> String {
    let secs = wall.0.div_euclid(MICROS).rem_euclid(DAY_SECS);
    format!("{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)
}

pub fn date_time(wall: Wall) -> String {
    format!("{} {}", date(wall), time(wall))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_they_were() {
        let cases = [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (1_709_251_199, "2024-02-29 23:59:59"),
            (-1, "1969-12-31 23:59:59"),
        ];
        for (secs, want) in cases {
            assert_eq!(date_time(Wall(secs * MICROS + 999)), want);
            let (year, month, day) = civil(secs.div_euclid(DAY_SECS));
            assert_eq!(days(year, month, day), secs.div_euclid(DAY_SECS));
        }
    }
}
