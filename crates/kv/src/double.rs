//! Numbers that need not be whole, as text, the one way Redis 7.0 writes them.
//!
//! C's `%.17g`: 17 significant digits, trailing zeros cut, with an exponent
//! only below 10^-4 and from 10^17 on. It reads back as the same number.

/// The text of `value`.
pub(crate) fn text(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".to_owned() } else { "-inf".to_owned() };
    }
    let scientific = format!("{value:.16e}");
    // Rust always writes the exponent, and exactly 17 digits before it.
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let significant = digits.trim_end_matches('0');
    if (-4..17).contains(&exponent) {
        return format!("{sign}{}", fixed(significant, exponent));
    }
    let (first, rest) = significant.split_at_checked(1).unwrap_or(("0", ""));
    let point = if rest.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{exponent_sign}{:02}", exponent.unsigned_abs())
}

/// Significant digits, the first of them at `10^exponent`, without one.
fn fixed(significant: &str, exponent: i32) -> String {
    if significant.is_empty() {
        return "0".to_owned();
    }
    match usize::try_from(exponent) {
        Ok(exponent) => {
            let whole_len = exponent + 1;
            match significant.split_at_checked(whole_len) {
                Some((whole, "")) => whole.to_owned(),
                Some((whole, part)) => format!("{whole}.{part}"),
                None => format!("{significant:0<whole_len$}"),
            }
        }
        Err(_) => {
            let zeros = usize::try_from(-exponent - 1).unwrap_or_default();
            format!("0.{}{significant}", "0".repeat(zeros))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    /// Expectations are what `printf("%.17g")` says.
    #[test]
    fn numbers_are_written_as_c_writes_them_in_17_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.10000000000000001"),
            (3.0e10, "30000000000"),
            (1.0e16, "10000000000000000"),
            (1.0e17, "1e+17"),
            (1.234e20, "1.234e+20"),
            (1.0e-4, "0.0001"),
            (1.0e-5, "1.0000000000000001e-05"),
            (123_456.789, "123456.789"),
            (1.0e300, "1.0000000000000001e+300"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "4.9406564584124654e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(text(value), expected);
        }
    }
}
