//! Exact decimal numbers: what MySQL calculates with as soon as a point or an average comes in.
//!
//! A number is `units / 10^scale`. Sums, products and comparisons are exact. A quotient shows four digits more than
//! its dividend, as MySQL's `div_precision_increment` has it, and is calculated with as many as fill MySQL's groups of
//! nine, the rest cut off: `1/3*3` is 0.999999999, of which four digits are shown, 1.0000.
//! What it is not: MySQL's 65 digits. This one has 38, and what does not fit is an error, never a wrong number.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Digits behind the point, at most; MySQL's bound.
pub const SCALE_MAX: u8 = 30;
/// Digits that a quotient shows beyond its dividend's.
const QUOTIENT_DIGITS: u8 = 4;
/// Digits that MySQL keeps in one word.
const GROUP: u8 = 9;

#[derive(Debug, Clone, Copy)]
pub struct Decimal {
    /// The units, the low half first: as one number they would make every cell and expression half as large again, since
    /// it wants a place at sixteen bytes.
    halves: [u64; 2],
    scale: u8,
    /// Digits behind the point that are shown, at most `scale`; what is beyond is only calculated with.
    shown: u8,
}

const fn power(n: u8) -> Option<i128> {
    10_i128.checked_pow(n as u32)
}

/// `units / by`, rounded half away from zero.
fn divided(units: i128, by: i128) -> i128 {
    let (quotient, rest) = (units / by, units % by);
    let away = rest.unsigned_abs() >= by.unsigned_abs().div_ceil(2);
    if !away {
        quotient
    } else if (units < 0) == (by < 0) {
        quotient + 1
    } else {
        quotient - 1
    }
}

#[allow(clippy::should_implement_trait, reason = "each says with `None` that its result does not fit")]
impl Decimal {
    pub fn new(units: i128, scale: u8) -> Decimal {
        assert!(scale <= SCALE_MAX, "a decimal has at most {SCALE_MAX} digits behind the point");
        Decimal::of(units, scale, scale)
    }

    fn of(units: i128, scale: u8, shown: u8) -> Decimal {
        Decimal { halves: [units as u64, (units >> 64) as u64], scale, shown }
    }

    pub fn scale(&self) -> u8 {
        self.scale
    }

    /// Whether it has digits that are not shown.
    pub fn hides(&self) -> bool {
        self.shown < self.scale
    }

    /// As it is shown.
    pub fn shown(self) -> Decimal {
        if self.hides() { self.round(self.shown) } else { self }
    }

    /// The same with all its digits to be shown.
    pub fn whole_shown(self) -> Decimal {
        Decimal { shown: self.scale, ..self }
    }

    /// The shortest decimal that reads as this double, with `scale` digits behind the point, rounded half away from
    /// zero; `None` if it does not fit.
    pub fn of_double(n: f64, scale: u8) -> Option<Decimal> {
        let text = format!("{n:e}");
        let (digits, exponent) = text.split_once('e')?;
        let exponent: i32 = exponent.parse().ok()?;
        let digits = Decimal::parse(digits)?;
        let scale = scale.min(SCALE_MAX);
        let up = exponent + i32::from(scale) - i32::from(digits.scale);
        let by = u8::try_from(up.unsigned_abs()).ok().and_then(power);
        let units = match (by, up >= 0) {
            _ if digits.units() == 0 => 0,
            (Some(by), true) => digits.units().checked_mul(by)?,
            (Some(by), false) => divided(digits.units(), by),
            (None, true) => return None,
            (None, false) => 0,
        };
        Some(Decimal::new(units, scale))
    }

    pub fn is_zero(&self) -> bool {
        self.units() == 0
    }

    /// Digits as MySQL counts them: all but leading zeros, and those behind the point in any case.
    pub fn digits(&self) -> u8 {
        let digits = self.units().unsigned_abs().checked_ilog10().map_or(1, |log| log as u8 + 1);
        digits.max(self.scale + 1)
    }

    /// Reads `[+-]digits[.digits]`, whole. Digits behind the point beyond 30 are rounded away. `None` if it is no
    /// such text or too large.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let kept = &fraction[..fraction.len().min(SCALE_MAX.into())];
        let mut units = 0_i128;
        for digit in whole.bytes().chain(kept.bytes()) {
            units = units.checked_mul(10)?.checked_add((digit - b'0').into())?;
        }
        if fraction.as_bytes().get(kept.len()).is_some_and(|digit| *digit >= b'5') {
            units = units.checked_add(1)?;
        }
        Some(Decimal::new(if negative { -units } else { units }, kept.len() as u8))
    }

    /// Both over the same power of ten; `None` if that does not fit.
    fn aligned(self, other: Decimal) -> Option<(i128, i128, u8)> {
        // To multiply so many digits is dear, and mostly there is nothing to do.
        if self.scale == other.scale {
            return Some((self.units(), other.units(), self.scale));
        }
        let scale = self.scale.max(other.scale);
        let up = |n: Decimal| n.units().checked_mul(power(scale - n.scale)?);
        Some((up(self)?, up(other)?, scale))
    }

    /// What `of` makes of both; if that does not fit, of what they show.
    fn with(self, other: Decimal, of: impl Fn(Decimal, Decimal) -> Option<Decimal>) -> Option<Decimal> {
        of(self, other).or_else(|| of(self.shown(), other.shown()))
    }

    pub fn add(self, other: Decimal) -> Option<Decimal> {
        self.with(other, |one, other| {
            let (a, b, scale) = one.aligned(other)?;
            Some(Decimal::of(a.checked_add(b)?, scale, one.shown.max(other.shown)))
        })
    }

    pub fn sub(self, other: Decimal) -> Option<Decimal> {
        self.add(other.neg())
    }

    pub fn mul(self, other: Decimal) -> Option<Decimal> {
        self.with(other, |one, other| {
            let units = one.units().checked_mul(other.units())?;
            let (all, shown) = (one.scale + other.scale, (one.shown + other.shown).min(SCALE_MAX));
            let scale = all.min(SCALE_MAX);
            Some(Decimal::of(divided(units, power(all - scale)?), scale, shown))
        })
    }

    /// `None` if it does not fit; the divisor is not zero.
    pub fn div(self, by: Decimal) -> Option<Decimal> {
        assert!(by.units() != 0, "a division by zero is NULL and is not asked for");
        // As `do_div_mod` of MySQL's `decimal.c` counts them.
        let full = |scale: u8| scale.div_ceil(GROUP) * GROUP;
        let (own, others) = (full(self.scale), full(by.scale));
        let more = QUOTIENT_DIGITS.saturating_sub(own - self.scale + others - by.scale);
        let scale = full(own + others + more).min(SCALE_MAX);
        let shown = (self.shown + QUOTIENT_DIGITS).min(SCALE_MAX);
        self.long(by, scale.max(shown), shown).or_else(|| self.shown().long(by.shown(), shown, shown))
    }

    /// Divides digit by digit, up to `scale` of them behind the point; fewer, but not fewer than are shown, if no
    /// more fit.
    fn long(self, by: Decimal, scale: u8, shown: u8) -> Option<Decimal> {
        let (mut quotient, mut rest) = (self.units() / by.units(), self.units() % by.units());
        // Of the quotient of the units.
        let mut digits = self.scale as i16 - i16::from(by.scale);
        while digits < scale.into() {
            let next = || {
                let ten = rest.checked_mul(10)?;
                let quotient = quotient.checked_mul(10)?.checked_add(ten / by.units())?;
                Some((quotient, ten % by.units()))
            };
            match next() {
                Some(next) => (quotient, rest) = next,
                None if digits >= shown.into() => break,
                None => return None,
            }
            digits += 1;
        }
        let scale = u8::try_from(digits).ok()?;
        match scale.checked_sub(SCALE_MAX) {
            None | Some(0) => Some(Decimal::of(quotient, scale, shown)),
            Some(over) => Some(Decimal::of(quotient / power(over)?, SCALE_MAX, shown)),
        }
    }

    /// The quotient without its fraction.
    pub fn div_whole(self, by: Decimal) -> Option<i128> {
        let (a, b, _) = self.aligned(by)?;
        Some(a / b)
    }

    /// What is left; it has the dividend's sign.
    pub fn rem(self, by: Decimal) -> Option<Decimal> {
        let (a, b, scale) = self.aligned(by)?;
        Some(Decimal::of(a % b, scale, self.shown.max(by.shown)))
    }

    pub fn neg(self) -> Decimal {
        // The lowest i128 never comes up: reading, adding and multiplying stop short of it.
        Decimal::of(self.units().checked_neg().unwrap_or(i128::MAX), self.scale, self.shown)
    }

    pub fn abs(self) -> Decimal {
        if self.units() < 0 { self.neg() } else { self }
    }

    /// With exactly `scale` digits behind the point, if there is room for them; rounded half away from zero.
    pub fn round(self, scale: u8) -> Decimal {
        let scale = scale.min(SCALE_MAX);
        if scale >= self.scale {
            let units = power(scale - self.scale).and_then(|by| self.units().checked_mul(by));
            return units.map_or(self, |units| Decimal::new(units, scale));
        }
        match power(self.scale - scale) {
            Some(by) => Decimal::new(divided(self.units(), by), scale),
            None => Decimal::new(0, scale),
        }
    }

    /// Rounded to tens, hundreds and so on: `places` digits before the point become zero.
    pub fn round_left(self, places: u32) -> Decimal {
        let whole = self.round(0).units();
        let by = 10_i128.checked_pow(places);
        let units = by.and_then(|by| divided(whole, by).checked_mul(by)).unwrap_or(0);
        Decimal::new(units, 0)
    }

    /// Without the digits behind the point.
    pub fn whole(self) -> i128 {
        self.units() / power(self.scale).expect("a scale of 30 has a power of ten")
    }

    pub fn floor(self) -> i128 {
        self.units().div_euclid(power(self.scale).expect("a scale of 30 has a power of ten"))
    }

    /// The nearest whole number, half away from zero; `None` if it is none of 64 bits.
    pub fn to_i64(self) -> Option<i64> {
        i64::try_from(self.round(0).units()).ok()
    }

    /// The number if it has no fraction.
    pub fn as_whole(self) -> Option<i128> {
        let by = power(self.scale).expect("a scale of 30 has a power of ten");
        (self.units() % by == 0).then_some(self.units() / by)
    }

    pub fn to_f64(self) -> f64 {
        if self.scale == 0 {
            return self.units() as f64;
        }
        self.whole_shown().to_string().parse().unwrap_or(f64::NAN)
    }

    /// Sixteen bytes before the point and sixteen behind it, whose order is the order of the numbers.
    pub fn sortable(self) -> [u8; 32] {
        let whole = self.floor();
        let by = power(self.scale).expect("a scale of 30 has a power of ten");
        let rest =
            self.units().rem_euclid(by) * power(SCALE_MAX - self.scale).expect("so has the rest of 30");
        let mut out = [0; 32];
        out[..16].copy_from_slice(&((whole as u128) ^ (1 << 127)).to_be_bytes());
        out[16..].copy_from_slice(&rest.to_be_bytes());
        out
    }
}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sortable().hash(state);
    }
}

impl Decimal {
    /// The number in units of its last digit.
    pub fn units(self) -> i128 {
        let [low, high] = self.halves;
        (u128::from(high) << 64 | u128::from(low)) as i128
    }

    /// What [`sortable`](Decimal::sortable) made of a number with so many digits behind the point.
    pub fn sorted(bytes: &[u8; 32], scale: u8) -> Option<Decimal> {
        let half = |at: usize| u128::from_be_bytes(bytes[at..at + 16].try_into().expect("sixteen bytes"));
        let (whole, rest) = ((half(0) ^ (1 << 127)) as i128, i128::try_from(half(16)).ok()?);
        let spare = power(SCALE_MAX.checked_sub(scale)?)?;
        let units = whole.checked_mul(power(scale)?)?.checked_add(rest / spare)?;
        Some(Decimal::new(units, scale))
    }
}

impl From<i64> for Decimal {
    fn from(n: i64) -> Decimal {
        Decimal::new(n.into(), 0)
    }
}

impl From<u64> for Decimal {
    fn from(n: u64) -> Decimal {
        Decimal::new(n.into(), 0)
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        match self.aligned(*other) {
            Some((a, b, _)) => a.cmp(&b),
            None => self.sortable().cmp(&other.sortable()),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Decimal) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, scale) = (self.shown().units(), self.shown().scale);
        let sign = if units < 0 { "-" } else { "" };
        let units = units.unsigned_abs();
        if scale == 0 {
            return write!(f, "{sign}{units}");
        }
        let by = 10_u128.pow(scale.into());
        write!(f, "{sign}{}.{:0width$}", units / by, units % by, width = scale.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal() -> impl Strategy<Value = Decimal> {
        (-1_000_000_i64..1_000_000, 0_u8..6).prop_map(|(units, scale)| Decimal::new(units.into(), scale))
    }

    fn dec(text: &str) -> Decimal {
        Decimal::parse(text).expect("a decimal")
    }

    #[test]
    fn it_calculates_as_mysql_does() {
        assert_eq!(dec("1.0").div(dec("3")).unwrap().to_string(), "0.33333");
        assert_eq!(dec("1").div(dec("7.000")).unwrap().to_string(), "0.1429");
        assert_eq!(dec("2").div(dec("-3")).unwrap().to_string(), "-0.6667");
        assert_eq!(dec("1.10").mul(dec("2.255")).unwrap().to_string(), "2.48050");
        assert_eq!(dec("7.5").rem(dec("2")).unwrap().to_string(), "1.5");
        assert_eq!(dec("-7").div_whole(dec("2")), Some(-3));
        assert_eq!(dec("2.5").round(0).to_string(), "3");
        assert_eq!(dec("-2.5").round(0).to_string(), "-3");
        assert_eq!(dec("1234").round_left(2).to_string(), "1200");
        assert_eq!(dec("-1.5").floor(), -2);
        assert_eq!(dec("-.5").to_string(), "-0.5");
        assert_eq!((dec("0.05").digits(), dec("123.4").digits()), (3, 4));
    }

    #[test]
    fn a_quotient_is_calculated_with_more_digits_than_it_shows() {
        let third = dec("1").div(dec("3")).unwrap();
        assert_eq!(
            (third.to_string(), third.whole_shown().to_string()),
            ("0.3333".into(), "0.333333333".into())
        );
        assert_eq!(third.mul(dec("3")).unwrap().to_string(), "1.0000");
        assert_eq!(third.add(third).unwrap().add(third).unwrap().to_string(), "1.0000");
        assert_eq!(third.div(dec("3")).unwrap().to_string(), "0.11111111");
        // MySQL cuts its last digit off, and here all of them are shown.
        assert_eq!(dec("2.00000").div(dec("3")).unwrap().to_string(), "0.666666666");
        let large = dec(&"9".repeat(33)).div(dec("7")).unwrap();
        assert_eq!(large.to_string(), "142857142857142857142857142857142.7143");
        let product = large.mul(dec("1.5")).unwrap();
        assert_eq!(product.to_string(), "214285714285714285714285714285714.07145");
    }

    #[test]
    fn a_double_is_the_shortest_decimal_that_reads_as_it() {
        let cases = [
            (4e8, 2, "400000000.00"),
            (1.005, 2, "1.01"),
            (-2.675, 2, "-2.68"),
            (1e-300, 2, "0.00"),
            (0.0, 0, "0"),
            (1e35, 2, "100000000000000000000000000000000000.00"),
            (123.456, 30, "123.456000000000000000000000000000"),
        ];
        for (n, scale, want) in cases {
            assert_eq!(Decimal::of_double(n, scale).map(|n| n.to_string()), Some(want.into()), "{n:e}");
        }
        assert!(Decimal::of_double(1e300, 0).is_none());
        assert!(Decimal::of_double(1e30, 30).is_none());
    }

    #[test]
    fn what_does_not_fit_is_nothing() {
        let most = Decimal::new(i128::MAX, 0);
        assert!(most.add(Decimal::from(1_i64)).is_none());
        assert!(most.mul(Decimal::from(2_i64)).is_none());
        assert!(Decimal::parse(&"9".repeat(40)).is_none());
        for text in ["", "-", ".", "1e3", "1 ", "a", "1.2.3", "--1"] {
            assert!(Decimal::parse(text).is_none(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn its_text_reads_as_itself(n in decimal()) {
            let again = dec(&n.to_string());
            prop_assert_eq!(again, n);
            prop_assert_eq!(again.scale(), n.scale());
        }

        #[test]
        fn its_order_is_that_of_the_numbers(a in decimal(), b in decimal()) {
            let want = a.to_f64().partial_cmp(&b.to_f64()).expect("no NaN");
            prop_assert_eq!(a.cmp(&b), want);
            prop_assert_eq!(a.sortable().cmp(&b.sortable()), want);
        }

        #[test]
        fn sums_and_quotients_are_near(a in decimal(), b in decimal()) {
            prop_assert!((a.add(b).unwrap().to_f64() - (a.to_f64() + b.to_f64())).abs() < 1e-6);
            if !b.is_zero() {
                let want = a.to_f64() / b.to_f64();
                prop_assert!((a.div(b).unwrap().to_f64() - want).abs() <= 1e-4 + want.abs() * 1e-9);
            }
        }
    }
}
