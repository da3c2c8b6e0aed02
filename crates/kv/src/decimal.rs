//! Integers as decimal text, the one way Redis reads and writes them.
//!
//! Reading is strict: an optional minus, no plus, no blanks, no leading zero,
//! no minus zero, nothing outside 64 bits. `INCR` on a value and the lengths
//! of the protocol both depend on exactly this grammar.

/// Reads a whole slice as a signed integer, or says it is none.
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [] | [b'0', ..] => return None,
        _ => {}
    }
    let mut value = 0_i64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        let digit = i64::from(digit - b'0');
        // Downwards for both signs: the negative range is one longer.
        value = value.checked_mul(10)?.checked_sub(digit)?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// Reads a whole slice as an unsigned integer, or says it is none.
pub(crate) fn parse_u64(text: &[u8]) -> Option<u64> {
    parse_i64(text).and_then(|value| u64::try_from(value).ok())
}

/// Appends `value` as decimal text.
pub(crate) fn push_i64(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_u64(out, value.unsigned_abs());
}

/// Bytes of the longest number without a sign.
pub(crate) const DIGITS_MAX: usize = 20;

/// Appends `value` as decimal text.
pub(crate) fn push_u64(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0; DIGITS_MAX];
    let start = fill_back(&mut digits, value);
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Writes `value` as decimal text to the end of `places`, which are enough.
/// Returns where it starts.
pub(crate) fn fill_back(places: &mut [u8], mut value: u64) -> usize {
    let mut start = places.len();
    for place in places.iter_mut().rev() {
        *place = b'0' + u8::try_from(value % 10).unwrap_or_default();
        start -= 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    start
}

/// Appends a length as decimal text.
pub(crate) fn push_len(out: &mut Vec<u8>, len: usize) {
    // No supported target has a `usize` wider than 64 bits.
    push_u64(out, u64::try_from(len).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_exactly_what_redis_reads_as_an_integer() {
        for (text, value) in [
            ("0", 0),
            ("7", 7),
            ("-1", -1),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), Some(value), "{text}");
        }
        for text in [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "-01",
            " 1",
            "1 ",
            "1a",
            "0x1",
            "1.0",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999999",
        ] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn written_integers_read_back() {
        for value in [0, 1, -1, 9, 10, -10, 12_345_678_901, i64::MAX, i64::MIN] {
            let mut out = b"x".to_vec();
            push_i64(&mut out, value);
            assert_eq!(out, format!("x{value}").into_bytes());
            assert_eq!(parse_i64(&out[1..]), Some(value));
        }
    }
}
