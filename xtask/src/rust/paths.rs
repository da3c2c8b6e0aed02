//! Paths such as `std::{fs, net::TcpStream}`, expanded to one per leaf.
//!
//! Input: the tokens of a file. Output: every path of two or more segments, in
//! `use` declarations and in code alike. A glob ends in `*`; `self` at the end
//! of a group stands for the group's own path; `as` names are dropped.
//!
//! Not here: what a path resolves to (`tidy/modules.rs`).

use super::{Kind, Token};

/// One path, with where it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathUse<'a> {
    pub(crate) segments: Vec<&'a str>,
    pub(crate) line: usize,
    pub(crate) depth: usize,
    pub(crate) is_test: bool,
}

pub(crate) fn paths<'a>(tokens: &[Token<'a>]) -> Vec<PathUse<'a>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if token.kind != Kind::Word {
            at += 1;
            continue;
        }
        let mut leaves = Vec::new();
        at = tree(tokens, at, &[], &mut leaves);
        let kept = leaves.into_iter().filter(|segments| segments.len() > 1);
        found.extend(kept.map(|segments| PathUse {
            segments,
            line: token.line,
            depth: token.depth,
            is_test: token.is_test,
        }));
    }
    found
}

/// Reads one use-tree behind `prefix`; returns the position after it.
fn tree<'a>(
    tokens: &[Token<'a>],
    start: usize,
    prefix: &[&'a str],
    leaves: &mut Vec<Vec<&'a str>>,
) -> usize {
    let mut segments = prefix.to_vec();
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        match (token.kind, token.text) {
            (Kind::Word, "self") if !segments.is_empty() => {}
            (Kind::Word, word) => segments.push(word),
            (Kind::Sign, "*") if !segments.is_empty() => segments.push("*"),
            (Kind::Sign, "{") if !segments.is_empty() => {
                return group(tokens, at + 1, &segments, leaves);
            }
            // `Vec::<u8>` and the like: the path ends before the sign.
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_some_and(|token| token.text == "::") {
            at += 1;
        } else {
            break;
        }
    }
    leaves.push(segments);
    at
}

/// Reads `a, b::c, d as e }`; returns the position after the brace.
fn group<'a>(
    tokens: &[Token<'a>],
    start: usize,
    prefix: &[&'a str],
    leaves: &mut Vec<Vec<&'a str>>,
) -> usize {
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        match token.text {
            "}" => return at + 1,
            "," => at += 1,
            // The new name and the word itself say nothing about the path.
            "as" => at += 2,
            _ => at = tree(tokens, at, prefix, leaves).max(at + 1),
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use crate::rust::{Source, paths};

    fn joined(text: &str) -> Vec<String> {
        let source = Source::parse(text);
        paths(&source.tokens).iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn a_nested_group_is_expanded_to_its_leaves() {
        let found = joined("use std::{fs, io::{self, Read as _}, net::*};");
        assert_eq!(found, ["std::fs", "std::io", "std::io::Read", "std::net::*"]);
    }

    #[test]
    fn a_path_in_code_ends_at_its_last_segment() {
        let found = joined("let a = crate::ids::Index::new(1) + Vec::<u8>::new().len();");
        assert_eq!(found, ["crate::ids::Index::new"]);
    }
}
