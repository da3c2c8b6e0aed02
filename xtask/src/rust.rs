//! Rust source, as far as the checks need to read it.
//!
//! [`Source`] splits a file into code tokens and comments. A ban then matches
//! words of code, never a word inside a string or an explanation. Each token
//! knows its line, its brace depth, and whether it stands in test-only code.
//!
//! Not here: types, macros, name resolution. A name that a macro builds is not
//! seen. Splitting is in `rust/lexer.rs`, paths such as `crate::a::{b, c}` are
//! expanded in `rust/paths.rs`.

mod lexer;
mod paths;

pub(crate) use lexer::{Kind, Token};
pub(crate) use paths::{PathUse, paths};

/// A comment with its markers, from `//` or `/*` on.
#[derive(Debug)]
pub(crate) struct Comment<'a> {
    pub(crate) line: usize,
    pub(crate) text: &'a str,
}

/// One file, taken apart.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) tokens: Vec<Token<'a>>,
    pub(crate) comments: Vec<Comment<'a>>,
}

impl<'a> Source<'a> {
    /// Never fails: what is not Rust comes out as odd tokens.
    pub(crate) fn parse(text: &'a str) -> Self {
        let (mut tokens, comments) = lexer::split(text);
        mark_tests(&mut tokens);
        Self { tokens, comments }
    }

    /// Positions at which the tokens read `pattern`, one word or sign each.
    pub(crate) fn find<'p>(&'p self, pattern: &'p [&str]) -> impl Iterator<Item = usize> + 'p {
        self.tokens.windows(pattern.len()).enumerate().filter_map(move |(at, window)| {
            let is_match = window
                .iter()
                .zip(pattern)
                .all(|(token, word)| token.is_code() && token.text == *word);
            is_match.then_some(at)
        })
    }
}

/// Marks the items behind `#[cfg(test)]` and `#[test]`.
fn mark_tests(tokens: &mut [Token<'_>]) {
    let mut at = 0;
    while at < tokens.len() {
        let Some(end) = test_attribute_end(tokens, at) else {
            at += 1;
            continue;
        };
        let end = item_end(tokens, end);
        for token in tokens.get_mut(at..end).unwrap_or_default() {
            token.is_test = true;
        }
        at = end;
    }
}

/// Where the attribute at `at` ends, if it is one that means "only in tests".
fn test_attribute_end(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let word = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text);
    if word(0) != "#" || word(1) != "[" {
        return None;
    }
    let end = attribute_end(tokens, at)?;
    let inside = tokens.get(at + 2..end)?;
    let is_test = match word(2) {
        "test" => word(3) == "]",
        "cfg" => {
            inside.iter().any(|token| token.text == "test")
                && inside.iter().all(|token| token.text != "not")
        }
        _ => false,
    };
    is_test.then_some(end)
}

fn attribute_end(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let mut open = 0_u32;
    for (offset, token) in tokens.get(at..)?.iter().enumerate() {
        match token.text {
            "[" => open += 1,
            "]" => {
                open -= 1;
                if open == 0 {
                    return Some(at + offset + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The end of the item that starts at `at`: its `;`, or the `}` of its body.
fn item_end(tokens: &[Token<'_>], at: usize) -> usize {
    let depth = tokens.get(at).map_or(0, |token| token.depth);
    // A `;` inside `[u8; 4]` ends nothing.
    let mut open = 0_u32;
    let rest = tokens.iter().enumerate().skip(at).filter(|(_, token)| token.is_code());
    for (position, token) in rest {
        match token.text {
            "(" | "[" => open += 1,
            ")" | "]" => open = open.saturating_sub(1),
            "}" | ";" if token.depth == depth && open == 0 => return position + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::{Kind, Source};

    #[test]
    fn words_in_strings_and_comments_are_not_code() {
        let source = Source::parse(
            "// unsafe in a comment\nlet a = \"unsafe\"; /* unsafe /* nested */ unsafe */ r#\"unsafe \"# '\\'' 'u'",
        );
        assert_eq!(source.find(&["unsafe"]).count(), 0);
        assert_eq!(source.comments.len(), 2);
    }

    #[test]
    fn a_lifetime_is_not_the_start_of_a_character() {
        let source = Source::parse("fn f<'a>(x: &'a str) -> &'a str { x } // it's over");
        assert_eq!(source.comments.len(), 1);
        assert!(source.tokens.iter().any(|token| token.kind == Kind::Word && token.text == "str"));
    }

    #[test]
    fn code_behind_cfg_test_is_marked_and_the_rest_is_not() {
        let source = Source::parse(
            "use a::b;\n#[cfg(test)]\nmod tests { fn f() { inner(); } }\n#[cfg(not(test))]\nfn outer() {}",
        );
        let marked = |word: &str| {
            source.tokens.iter().find(|token| token.text == word).map(|token| token.is_test)
        };
        assert_eq!(marked("inner"), Some(true));
        assert_eq!(marked("outer"), Some(false));
        assert_eq!(marked("b"), Some(false));
    }
}
