//! The score of a member of a sorted set.
//!
//! A double that is a number: infinities are, NaN isn't. There is one zero;
//! Redis forgets the sign of its own as soon as a small set holds it.
//!
//! Not here: how a score is written (`double.rs`).

use std::cmp::Ordering;

use bytes::{BufMut, BytesMut};

use crate::value::element::{self, Beside};

/// A double that is a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score(f64);

/// Holds because a score is not NaN.
impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal)
    }
}

impl Score {
    /// What a member of a plain set counts as.
    pub(crate) const ONE: Self = Self(1.0);
    /// What an undefined sum or product counts as in combined sets.
    pub(crate) const ZERO: Self = Self(0.0);

    /// `value` as a score, unless it is NaN.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        // Adding zero takes the sign off a negative one.
        (!value.is_nan()).then_some(Self(value + 0.0))
    }

    /// Reads a score as clients send it.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let value = strtod(text)?;
        let is_too_large = value.is_infinite() && text.iter().any(u8::is_ascii_digit);
        let is_too_small = value == 0.0 && has_nonzero_digit(text);
        if is_too_large || is_too_small { None } else { Self::new(value) }
    }

    /// Reads a number to sort by, where blanks may come first and an empty text
    /// is 0.
    pub(crate) fn parse_number(text: &[u8]) -> Option<Self> {
        if text.is_empty() { Some(Self::ZERO) } else { Self::parse(text.trim_ascii_start()) }
    }

    /// Reads a bound of a range, where nothing is too large or too small and
    /// an empty text is 0.
    pub(crate) fn parse_bound(text: &[u8]) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::ZERO);
        }
        Self::new(strtod(text.trim_ascii_start())?)
    }

    /// The number.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }

    /// The sum, unless it is infinity less infinity.
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        Self::new(self.0 + other.0)
    }

    /// The product, unless it is zero times infinity.
    pub(crate) fn times(self, other: Self) -> Option<Self> {
        Self::new(self.0 * other.0)
    }
}

/// C's `strtod` on a whole text without blanks before it.
fn strtod(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let (sign, magnitude) = match text.as_bytes() {
        [b'-', ..] => (-1.0, text.get(1..)?),
        [b'+', ..] => (1.0, text.get(1..)?),
        _ => (1.0, text),
    };
    if let Some(digits) = magnitude.strip_prefix("0x").or_else(|| magnitude.strip_prefix("0X")) {
        return Some(sign * hexadecimal(digits)?);
    }
    // Rust's grammar is C's for the rest, except that a second sign passed here
    // would be taken.
    if magnitude.starts_with(['+', '-']) {
        return None;
    }
    Some(sign * magnitude.parse::<f64>().ok()?)
}

/// C's hexadecimal floating point, behind the `0x`.
fn hexadecimal(text: &str) -> Option<f64> {
    let (digits, exponent) = match text.split_once(['p', 'P']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let mut mantissa = 0_u64;
    let mut binary_exponent = i64::from(exponent);
    for (position, digit) in whole.chars().chain(part.chars()).enumerate() {
        let digit = u64::from(digit.to_digit(16)?);
        if mantissa >> 59 == 0 {
            mantissa = mantissa << 4 | digit;
        } else {
            // Beyond precision: only whether anything is there matters.
            mantissa |= u64::from(digit != 0);
            binary_exponent = binary_exponent.saturating_add(4);
        }
        if position >= whole.len() {
            binary_exponent = binary_exponent.saturating_sub(4);
        }
    }
    let exponent = i32::try_from(binary_exponent.clamp(-2_000, 2_000)).unwrap_or_default();
    // In halves, because a power of two alone may not be representable.
    let half = exponent / 2;
    #[expect(clippy::cast_precision_loss, reason = "rounded to nearest, as strtod does")]
    let mantissa = mantissa as f64;
    Some(mantissa * 2.0_f64.powi(half) * 2.0_f64.powi(exponent - half))
}

/// Whether the digits before an exponent make something other than zero.
fn has_nonzero_digit(text: &[u8]) -> bool {
    let is_hexadecimal = text.iter().any(|byte| byte.eq_ignore_ascii_case(&b'x'));
    let exponent = if is_hexadecimal { b'p' } else { b'e' };
    let digits = text.iter().take_while(|byte| !byte.eq_ignore_ascii_case(&exponent));
    digits.clone().any(|byte| byte.is_ascii_hexdigit() && *byte != b'0')
}

/// Members with scores.
impl Beside for Score {
    fn put(key: &[u8], beside: &Self, into: &mut BytesMut) {
        into.put_u64_le(beside.value().to_bits());
        element::put_bytes(key, into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<f64> {
        Score::parse(text.as_bytes()).map(Score::value)
    }

    /// As a Redis 7.0.15 takes and refuses them.
    #[test]
    fn scores_are_read_as_redis_reads_them() {
        for (text, value) in [
            ("1", 1.0),
            ("-1.5", -1.5),
            ("+2", 2.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1_000.0),
            ("0e999999", 0.0),
            ("inf", f64::INFINITY),
            ("+Inf", f64::INFINITY),
            ("-infinity", f64::NEG_INFINITY),
            ("0x10", 16.0),
            ("-0X.8p1", -1.0),
            ("0x1.8p1", 3.0),
            ("0x1ffffffffffffffffp-64", 2.0),
            ("5e-324", 5e-324),
        ] {
            assert_eq!(parsed(text), Some(value), "{text}");
        }
        let refused = [
            "",
            " 1",
            "1 ",
            "nan",
            "1e400",
            "-1e400",
            "1e-400",
            "0x1p-9999",
            "+",
            "--1",
            "+-1",
            "0x",
            "0x.p1",
            "0xg",
            "1e",
            "one",
            "1_0",
        ];
        for text in refused {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }

    #[test]
    fn bounds_may_be_beyond_every_score() {
        let bound = |text: &str| Score::parse_bound(text.as_bytes()).map(Score::value);
        assert_eq!(bound("1e400"), Some(f64::INFINITY));
        assert_eq!(bound("1e-400"), Some(0.0));
        assert_eq!(bound(""), Some(0.0));
        assert_eq!(bound("  7"), Some(7.0));
        assert_eq!(bound("nan"), None);
        assert_eq!(bound(" "), None);
    }

    #[test]
    fn there_is_one_zero_and_no_undefined_score() {
        assert!(Score::new(-0.0).is_some_and(|zero| zero.value().is_sign_positive()));
        assert_eq!(Score::new(f64::NAN), None);
        let infinite = Score::new(f64::INFINITY).unwrap();
        assert_eq!(infinite.plus(Score::new(f64::NEG_INFINITY).unwrap()), None);
        assert_eq!(infinite.times(Score::ZERO), None);
    }
}
