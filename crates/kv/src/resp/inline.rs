//! The telnet form of a request: one line, split on blanks, with quotes.
//!
//! `"..."` knows `\n \r \t \b \a`, `\xHH` and backslash before anything else;
//! `'...'` knows `\'` only. A closing quote must be followed by a blank or the
//! end of the line. Differs from Redis in one point: a zero byte is an
//! ordinary byte here, where Redis stops reading the line at it and then waits
//! for ever.

use bytes::Bytes;

use crate::resp::args::{Args, Span};

/// Quotes that don't close, or a closing quote in mid-word.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnbalancedQuotes;

/// Splits a line (without its line end). `None`: nothing but blanks.
pub(crate) fn split(line: &[u8]) -> Result<Option<Args>, UnbalancedQuotes> {
    // The words are never longer than the line they came from.
    let mut frame = Vec::with_capacity(line.len());
    let mut spans = Vec::new();
    let mut rest = line;
    loop {
        rest = skip_blanks(rest);
        if rest.is_empty() {
            break;
        }
        let start = frame.len();
        rest = take_word(rest, &mut frame)?;
        spans.extend(Span::new(start, frame.len()));
    }
    if spans.is_empty() {
        return Ok(None);
    }
    Ok(Some(Args::new(Bytes::from(frame), spans)))
}

/// Copies one word to `out` and returns what follows it.
fn take_word<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        match rest {
            [] => return Ok(rest),
            [b, ..] if is_blank(*b) => return Ok(rest),
            [b'"', after @ ..] => return end_of_quotes(take_double_quoted(after, out)?),
            [b'\'', after @ ..] => return end_of_quotes(take_single_quoted(after, out)?),
            [b, after @ ..] => {
                out.push(*b);
                rest = after;
            }
        }
    }
}

fn end_of_quotes(rest: &[u8]) -> Result<&[u8], UnbalancedQuotes> {
    match rest {
        [] => Ok(rest),
        [b, ..] if is_blank(*b) => Ok(rest),
        _ => Err(UnbalancedQuotes),
    }
}

fn take_double_quoted<'a>(
    mut rest: &'a [u8],
    out: &mut Vec<u8>,
) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        match rest {
            [] => return Err(UnbalancedQuotes),
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                out.push(hex_digit(*high) << 4 | hex_digit(*low));
                rest = after;
            }
            [b'\\', b, after @ ..] => {
                out.push(match b {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = after;
            }
            [b, after @ ..] => {
                out.push(*b);
                rest = after;
            }
        }
    }
}

fn take_single_quoted<'a>(
    mut rest: &'a [u8],
    out: &mut Vec<u8>,
) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        match rest {
            [] => return Err(UnbalancedQuotes),
            [b'\\', b'\'', after @ ..] => {
                out.push(b'\'');
                rest = after;
            }
            [b'\'', after @ ..] => return Ok(after),
            [b, after @ ..] => {
                out.push(*b);
                rest = after;
            }
        }
    }
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

/// What C's `isspace` calls a blank.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    text.get(blanks..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8]) -> Vec<Vec<u8>> {
        split(line)
            .expect("balanced")
            .map(|args| args.iter_from(0).map(<[u8]>::to_vec).collect())
            .unwrap_or_default()
    }

    #[test]
    fn splits_on_any_run_of_blanks() {
        assert_eq!(words(b"  set\tkey \x0b value  "), [&b"set"[..], b"key", b"value"]);
        assert!(words(b" \t ").is_empty());
        assert!(words(b"").is_empty());
    }

    #[test]
    fn quotes_keep_blanks_and_know_their_escapes() {
        assert_eq!(words(br#"echo "a b" 'c d'"#), [&b"echo"[..], b"a b", b"c d"]);
        assert_eq!(words(br#""\x41\xzz\n\r\t\a\b\q\"""#), [b"Axzz\n\r\t\x07\x08q\""]);
        assert_eq!(words(br"'a\'b\n'"), [b"a'b\\n"]);
        assert_eq!(words(br#"a"b c""#), [b"ab c"]);
        assert_eq!(words(br#""" ''"#), [b"", b""]);
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        for line in [&br#"set "a"#[..], br"set 'a", br#""a"b"#, br"'a'b", br#""\"#, br#""a\""#] {
            assert_eq!(split(line), Err(UnbalancedQuotes), "{}", line.escape_ascii());
        }
    }
}
