//! Numbers of 64 significant bits, as `INCRBYFLOAT` of Redis on x86 has them.
//!
//! Redis computes in C's `long double` and shows 17 decimals; what a client
//! reads back depends on how that rounds. Rust has no such type, so here it is
//! in integers: read from decimal text correctly rounded, added correctly
//! rounded, written exactly. Ties go to even.
//!
//! Not here: numbers in hexadecimal, which C reads too. Those so small that the
//! type has fewer bits for them are zero, which is also what would be shown.

use std::cmp::Ordering;

/// Text beyond this is no number, as in Redis.
const TEXT_BYTES_MAX: usize = 5 * 1024;

/// The exponents of the type, of a number below 1 with the point before its
/// first bit.
const EXPONENT_MIN: i64 = -16_381;
const EXPONENT_MAX: i64 = 16_384;

/// Decimal digits before the point, behind it where negative, of what is read.
const MAGNITUDE_MIN: i64 = -4_950;
const MAGNITUDE_MAX: i64 = 4_934;

/// Decimals that are shown.
const DECIMALS: u32 = 17;

/// A number, finite or not. Never "not a number".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LongDouble {
    is_negative: bool,
    size: Size,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Zero,
    /// `mantissa * 2^exponent`, the mantissa's highest bit set.
    Finite {
        mantissa: u64,
        exponent: i64,
    },
    Infinite,
}

impl LongDouble {
    /// The value of a missing key.
    pub(crate) const ZERO: Self = Self { is_negative: false, size: Size::Zero };

    /// Reads a whole text as a number, or says it is none.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= TEXT_BYTES_MAX {
            return None;
        }
        let (is_negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
            return Some(Self { is_negative, size: Size::Infinite });
        }
        let (digits, point) = digits(text)?;
        let size = if digits.is_zero() {
            Size::Zero
        } else {
            // Far outside the type, where powers of ten would only cost.
            let magnitude = point.checked_add(digits.decimal_len())?;
            if !(MAGNITUDE_MIN..=MAGNITUDE_MAX).contains(&magnitude) {
                return None;
            }
            match u32::try_from(point) {
                Ok(up) => rounded(&digits.times_power_of_10(up), 0, false)?,
                Err(_) => {
                    let down = u32::try_from(-point).ok()?;
                    quotient(&digits, &Natural::one().times_power_of_10(down))?
                }
            }
        };
        Some(Self { is_negative, size })
    }

    /// The sum; `None` if it is infinite or no number.
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        match (self.size, other.size) {
            (Size::Infinite, _) | (_, Size::Infinite) => None,
            (Size::Zero, _) => Some(other),
            (_, Size::Zero) => Some(self),
            (
                Size::Finite { mantissa: one, exponent: at },
                Size::Finite { mantissa: other_one, exponent: other_at },
            ) => {
                let low = at.min(other_at);
                let shifted = |mantissa, at: i64| {
                    Some(Natural::of(mantissa).times_power_of_2(u32::try_from(at - low).ok()?))
                };
                let (left, right) = (shifted(one, at)?, shifted(other_one, other_at)?);
                let (is_negative, sum) = if self.is_negative == other.is_negative {
                    (self.is_negative, left.plus(&right))
                } else {
                    match left.compare(&right) {
                        Ordering::Equal => return Some(Self::ZERO),
                        Ordering::Greater => (self.is_negative, left.minus(&right)),
                        Ordering::Less => (other.is_negative, right.minus(&left)),
                    }
                };
                Some(Self { is_negative, size: rounded(&sum, low, false)? })
            }
        }
    }

    /// The number with 17 decimals, without zeros at the end, as Redis shows
    /// it to people.
    pub(crate) fn text(self) -> Vec<u8> {
        let digits = match self.size {
            Size::Zero => return b"0".to_vec(),
            Size::Infinite => return if self.is_negative { b"-inf".into() } else { b"inf".into() },
            Size::Finite { mantissa, exponent } => {
                let scaled = Natural::of(mantissa).times_power_of_10(DECIMALS);
                let whole = match u32::try_from(exponent) {
                    Ok(up) => scaled.times_power_of_2(up),
                    Err(_) => scaled.over_power_of_2(u32::try_from(-exponent).unwrap_or(u32::MAX)),
                };
                whole.decimal()
            }
        };
        let decimals = usize::try_from(DECIMALS).unwrap_or_default();
        let padded = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, part) = padded.split_at(padded.len() - decimals);
        let part = part.trim_end_matches('0');
        let sign = if self.is_negative { "-" } else { "" };
        match (whole, part) {
            ("0", "") => b"0".to_vec(),
            (whole, "") => format!("{sign}{whole}").into_bytes(),
            (whole, part) => format!("{sign}{whole}.{part}").into_bytes(),
        }
    }
}

/// The digits of a decimal text as one number, and the power of ten it is to
/// be multiplied by.
fn digits(text: &[u8]) -> Option<(Natural, i64)> {
    let mut digits = Natural::zero();
    let mut point = 0_i64;
    let mut digits_len = 0;
    let mut is_behind_point = false;
    let mut rest = text;
    while let [byte, left @ ..] = rest {
        match byte {
            b'0'..=b'9' => {
                digits.times_small_plus(10, u32::from(byte - b'0'));
                digits_len += 1;
                point -= i64::from(is_behind_point);
            }
            b'.' if !is_behind_point => is_behind_point = true,
            _ => break,
        }
        rest = left;
    }
    if digits_len == 0 {
        return None;
    }
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', b'+', exponent @ ..] if exponent.first() != Some(&b'-') => number(exponent)?,
        [b'e' | b'E', exponent @ ..] => number(exponent)?,
        _ => return None,
    };
    Some((digits, point.checked_add(exponent)?))
}

/// An exponent, which may have leading zeros.
fn number(text: &[u8]) -> Option<i64> {
    if text.first() == Some(&b'+') {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `value * 2^exponent` in 64 bits. `is_more`: the value is a little more.
/// `None` if the type is too small for it.
fn rounded(value: &Natural, exponent: i64, is_more: bool) -> Option<Size> {
    let bits = i64::from(value.bits());
    let (mantissa, exponent) = if bits <= 64 {
        let shift = 64 - bits;
        let mantissa = value.low() << u32::try_from(shift).ok()?;
        (mantissa, exponent - shift)
    } else {
        let shift = u32::try_from(bits - 64).ok()?;
        let (mut mantissa, half, is_beyond) = value.cut(shift);
        let mut exponent = exponent + i64::from(shift);
        let is_odd = mantissa & 1 == 1;
        if half && (is_beyond || is_more || is_odd) {
            mantissa = mantissa.wrapping_add(1);
            if mantissa == 0 {
                mantissa = 1 << 63;
                exponent += 1;
            }
        }
        (mantissa, exponent)
    };
    let magnitude = exponent + 64;
    match magnitude {
        ..EXPONENT_MIN => Some(Size::Zero),
        EXPONENT_MIN..=EXPONENT_MAX => Some(Size::Finite { mantissa, exponent }),
        _ => None,
    }
}

/// `dividend / divisor` in 64 bits.
fn quotient(dividend: &Natural, divisor: &Natural) -> Option<Size> {
    // So far up that the quotient has more than 65 bits: then what is left
    // over only breaks ties.
    let shift =
        u32::try_from((i64::from(divisor.bits()) - i64::from(dividend.bits()) + 67).max(0)).ok()?;
    let mut left = dividend.times_power_of_2(shift);
    let mut quotient = Natural::zero();
    let extra = left.bits().saturating_sub(divisor.bits());
    let mut part = divisor.times_power_of_2(extra);
    for _ in 0..=extra {
        quotient = quotient.times_power_of_2(1);
        if left.compare(&part) != Ordering::Less {
            left = left.minus(&part);
            quotient.times_small_plus(1, 1);
        }
        part = part.half();
    }
    rounded(&quotient, -i64::from(shift), !left.is_zero())
}

/// A whole number without bound: digits of 32 bits, the lowest first, the
/// highest not zero.
#[derive(Clone, Debug)]
struct Natural(Vec<u32>);

#[expect(clippy::cast_possible_truncation, reason = "digits are cut to 32 bits on purpose")]
impl Natural {
    fn zero() -> Self {
        Self(Vec::new())
    }

    fn one() -> Self {
        Self(vec![1])
    }

    fn of(value: u64) -> Self {
        Self::trimmed(vec![value as u32, (value >> 32) as u32])
    }

    fn trimmed(mut digits: Vec<u32>) -> Self {
        while digits.last() == Some(&0) {
            digits.pop();
        }
        Self(digits)
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bits(&self) -> u32 {
        let highest = self.0.last().map_or(0, |digit| 32 - digit.leading_zeros());
        let lower = u32::try_from(self.0.len().saturating_sub(1)).unwrap_or(u32::MAX / 32);
        lower * 32 + highest
    }

    /// Decimal digits, one more at most.
    fn decimal_len(&self) -> i64 {
        i64::from(self.bits()) * 1_234 / 4_096 + 1
    }

    /// The lowest 64 bits.
    fn low(&self) -> u64 {
        let digit = |at: usize| u64::from(self.0.get(at).copied().unwrap_or_default());
        digit(0) | digit(1) << 32
    }

    fn bit(&self, at: u32) -> bool {
        let digit = usize::try_from(at / 32).ok().and_then(|at| self.0.get(at));
        digit.is_some_and(|digit| digit >> (at % 32) & 1 == 1)
    }

    /// The 64 bits from bit `at` on, the bit below them, and whether there is
    /// anything below that.
    fn cut(&self, at: u32) -> (u64, bool, bool) {
        let upper = self.floor_over_power_of_2(at);
        let is_beyond = (0..at.saturating_sub(1)).any(|at| self.bit(at));
        (upper.low(), self.bit(at.saturating_sub(1)), is_beyond)
    }

    fn times_small_plus(&mut self, factor: u32, plus: u32) {
        let mut carry = u64::from(plus);
        for digit in &mut self.0 {
            carry += u64::from(*digit) * u64::from(factor);
            *digit = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    fn times_power_of_10(&self, power: u32) -> Self {
        let mut product = self.clone();
        for _ in 0..power / 9 {
            product.times_small_plus(1_000_000_000, 0);
        }
        product.times_small_plus(10_u32.pow(power % 9), 0);
        product
    }

    fn times_power_of_2(&self, power: u32) -> Self {
        let mut digits = vec![0; usize::try_from(power / 32).unwrap_or_default()];
        let mut carry = 0_u64;
        for digit in &self.0 {
            carry |= u64::from(*digit) << (power % 32);
            digits.push(carry as u32);
            carry >>= 32;
        }
        digits.push(carry as u32);
        Self::trimmed(digits)
    }

    fn floor_over_power_of_2(&self, power: u32) -> Self {
        let skipped = self.0.get(usize::try_from(power / 32).unwrap_or(usize::MAX)..);
        let skipped = skipped.unwrap_or_default();
        let following = skipped.iter().skip(1).copied().chain([0]);
        let digits = skipped.iter().zip(following).map(|(digit, next)| {
            ((u64::from(*digit) | u64::from(next) << 32) >> (power % 32)) as u32
        });
        Self::trimmed(digits.collect())
    }

    /// Rounded to the nearest, ties to even.
    fn over_power_of_2(&self, power: u32) -> Self {
        let mut quotient = self.floor_over_power_of_2(power);
        let half = power > 0 && self.bit(power - 1);
        let is_beyond = (0..power.saturating_sub(1).min(self.bits())).any(|at| self.bit(at));
        if half && (is_beyond || quotient.bit(0)) {
            quotient = quotient.plus(&Self::one());
        }
        quotient
    }

    fn half(&self) -> Self {
        self.floor_over_power_of_2(1)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_len = self.0.len().cmp(&other.0.len());
        by_len.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    fn plus(&self, other: &Self) -> Self {
        let len = self.0.len().max(other.0.len());
        let mut carry = 0_u64;
        let mut digits = Vec::with_capacity(len + 1);
        for at in 0..len {
            let digit = |of: &Self| u64::from(of.0.get(at).copied().unwrap_or_default());
            carry += digit(self) + digit(other);
            digits.push(carry as u32);
            carry >>= 32;
        }
        digits.push(carry as u32);
        Self::trimmed(digits)
    }

    /// Of a number that is not larger.
    fn minus(&self, other: &Self) -> Self {
        let mut borrow = false;
        let mut digits = Vec::with_capacity(self.0.len());
        for (at, digit) in self.0.iter().enumerate() {
            let (less, first) = digit.overflowing_sub(other.0.get(at).copied().unwrap_or_default());
            let (less, second) = less.overflowing_sub(u32::from(borrow));
            borrow = first || second;
            digits.push(less);
        }
        Self::trimmed(digits)
    }

    fn decimal(&self) -> String {
        let mut left = self.clone();
        let mut parts = Vec::new();
        while !left.is_zero() {
            let mut rest = 0_u64;
            for digit in left.0.iter_mut().rev() {
                rest = rest << 32 | u64::from(*digit);
                *digit = (rest / 1_000_000_000) as u32;
                rest %= 1_000_000_000;
            }
            left = Self::trimmed(left.0);
            parts.push(rest);
        }
        let mut text = parts.pop().unwrap_or_default().to_string();
        for part in parts.into_iter().rev() {
            text.push_str(&format!("{part:09}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::LongDouble;

    fn sum(left: &str, right: &str) -> Option<String> {
        let number = |text: &str| LongDouble::parse(text.as_bytes()).expect("a number");
        let sum = number(left).plus(number(right))?;
        Some(String::from_utf8(sum.text()).unwrap())
    }

    /// Expectations are what a Redis 7.0.15 server answered.
    #[test]
    fn sums_are_those_of_redis() {
        for (left, right, expected) in [
            ("10.50", "0.1", "10.6"),
            ("1", "-1.1", "-0.1"),
            ("0.1", "-0.1", "0"),
            ("3e17", "0.1", "300000000000000000.09375"),
            ("1.23456789012345678901", "2.1", "3.33456789012345679"),
            ("123456789.123", "0.000001", "123456789.12300099999993108"),
            ("1e-17", "1e-18", "0.00000000000000001"),
            ("5e-18", "0", "0"),
            ("1.5e-17", "0", "0.00000000000000002"),
            ("12345678901234567890", "1", "12345678901234567891"),
            ("18446744073709551615", "1", "18446744073709551616"),
            ("1e30", "1", "1000000000000000000024696061952"),
            ("0.1", "0.2", "0.3"),
            ("100", "-99.99", "0.01"),
            ("1e-4940", "0", "0"),
            ("1e5", "1E+2", "100100"),
            (".5", "5.", "5.5"),
            ("-0", "0", "0"),
            ("017", "1", "18"),
            ("+1", "+1", "2"),
            ("9999999999999999999999", "0.00001", "10000000000000000000000"),
        ] {
            assert_eq!(sum(left, right).as_deref(), Some(expected), "{left} + {right}");
        }
        let large = sum("1e4000", "1").expect("within the type");
        assert!(large.starts_with("9999999999999999999965463873099623784932492"), "{large}");
        assert_eq!(sum("inf", "1"), None);
        assert_eq!(sum("1e4932", "1e4932"), None);
    }

    #[test]
    fn texts_that_are_no_number_are_refused() {
        for text in
            ["", " 1", "1 ", "a", "1a", ".", "-", "1e", "1e+-1", "nan", "--1", "1e5000", "1e-4960"]
        {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(LongDouble::parse("1".repeat(6_000).as_bytes()), None);
    }
}
