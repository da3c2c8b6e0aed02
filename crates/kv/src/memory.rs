//! Amounts of memory as Redis writes them: a number and perhaps a unit.

use crate::decimal;

/// A number of bytes: `b`, `k`, `m` and `g` count in powers of 1000, `kb`, `mb`
/// and `gb` in powers of 1024, in any case. `None`: it is nothing of the kind,
/// or more than 64 bits hold.
#[must_use]
pub fn parse_memory(text: &[u8]) -> Option<u64> {
    let digits_len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = text.split_at_checked(digits_len)?;
    let factor = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1_000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    decimal::parse_u64(digits)?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::parse_memory;

    #[test]
    fn units_are_those_of_redis() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("100b", Some(100)),
            ("1k", Some(1_000)),
            ("1Kb", Some(1_024)),
            ("3mb", Some(3 << 20)),
            ("2GB", Some(2 << 30)),
            ("", None),
            ("mb", None),
            ("-1", None),
            ("1 mb", None),
            ("1tb", None),
            ("99999999999999999999", None),
            ("99999999999gb", None),
        ] {
            assert_eq!(parse_memory(text.as_bytes()), bytes, "{text}");
        }
    }
}
