//! Patterns of `KEYS` and of `MATCH`, as Redis understands them.
//!
//! `*` any bytes, `?` any one, `[abc]`, `[a-z]`, `[^a]` one of these or none of
//! these, `\x` the byte x. A class that doesn't end reaches to the end of the
//! pattern. Work is bounded by the product of both lengths: after a mismatch
//! only the last star tries again.

/// Whether all of `text` fits `pattern`.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Behind the last star, and how much of the text it left the first time.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            if rest.is_empty() {
                return true;
            }
            pattern = rest;
            retry = Some((rest, text));
            continue;
        }
        let rest = match text.split_first() {
            None if pattern.is_empty() => return true,
            None => return false,
            Some((byte, left)) => fits_one(pattern, *byte).map(|rest| (rest, left)),
        };
        if let Some((rest, left)) = rest {
            (pattern, text) = (rest, left);
            continue;
        }
        // The star takes one byte more.
        let Some((behind, [_, left @ ..])) = retry else { return false };
        (pattern, text) = (behind, left);
        retry = Some((behind, left));
    }
}

/// The rest of a pattern whose first element fits `byte`.
fn fits_one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', b'^', class @ ..] => {
            let (is_in, rest) = class_holds(class, byte);
            (!is_in).then_some(rest)
        }
        [b'[', class @ ..] => {
            let (is_in, rest) = class_holds(class, byte);
            is_in.then_some(rest)
        }
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte).then_some(rest),
    }
}

/// Whether a class holds `byte`, and the pattern behind the class.
fn class_holds(class: &[u8], byte: u8) -> (bool, &[u8]) {
    let mut holds = false;
    let mut class = class;
    loop {
        class = match class {
            [] => return (holds, class),
            [b']', rest @ ..] => return (holds, rest),
            [b'\\', literal, rest @ ..] => {
                holds |= *literal == byte;
                rest
            }
            [low, b'-', high, rest @ ..] => {
                holds |= (*low.min(high)..=*low.max(high)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                holds |= *literal == byte;
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_fit_what_they_fit_in_redis() {
        for (pattern, yes, no) in [
            ("", &[""][..], &["a"][..]),
            ("*", &["", "abc"], &[]),
            ("a?c", &["abc", "a?c"], &["ac", "abbc"]),
            ("h*llo", &["hllo", "heeeello", "hllollo"], &["hell", "hlloo"]),
            ("*a*b", &["ab", "xaxb", "abab"], &["ba", "abx"]),
            ("**a", &["a", "ba"], &["", "ab"]),
            ("[ab]", &["a", "b"], &["c", "", "ab"]),
            ("[^ab]c", &["cc"], &["ac", "c"]),
            ("[a-c]x", &["ax", "cx"], &["dx"]),
            ("[c-a]x", &["ax", "cx"], &["dx"]),
            ("[\\]]", &["]"], &["\\"]),
            ("[a", &["a"], &["b"]),
            ("[a-", &["a", "-"], &["b"]),
            ("\\*", &["*"], &["a", "\\*"]),
            ("a\\", &["a\\"], &["a"]),
            ("[^]x", &["]x", "ax"], &["]", "x"]),
            ("[]x", &[], &["]", "x", "]x"]),
            ("[^a", &["-", "b"], &["a"]),
        ] {
            for text in yes {
                let fits = matches(pattern.as_bytes(), text.as_bytes());
                assert!(fits, "{pattern} does not fit {text}");
            }
            for text in no {
                assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} fits {text}");
            }
        }
    }

    #[test]
    fn a_pattern_of_many_stars_ends() {
        let pattern = "a*".repeat(1_000) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(5_000).as_bytes()));
    }
}
