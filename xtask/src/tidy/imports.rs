//! `use` declarations stand in three blocks: std, others, ours.
//!
//! A region is a run of private `use` items of one scope with nothing but
//! blank lines, comments and attributes between. In a region each block has
//! one origin, and origins come in order. rustfmt sorts inside a block but
//! groups only on nightly, so it is held here.
//!
//! Not here: `pub use`, which is a table of contents in an order of its own.

use super::{Finding, House};
use crate::rust::{Kind, Source, Token};

const CRATES: [&str; 9] = [
    "raftlet",
    "raftlet_core",
    "raftlet_log",
    "raftlet_net",
    "raftlet_kv",
    "raftlet_check",
    "raftlet_sim",
    "raftlet_server",
    "xtask",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Std,
    Others,
    Ours,
}

/// One `use` item.
struct Import {
    origin: Origin,
    first_line: usize,
    last_line: usize,
    /// Token position behind its `;`.
    end: usize,
}

pub(super) fn check(house: &House<'_>) -> Vec<Finding> {
    house.tree.rust().flat_map(|file| check_file(&file.path, file.text())).collect()
}

fn check_file(path: &str, text: &str) -> Vec<Finding> {
    let source = Source::parse(text);
    let is_blank: Vec<bool> = text.lines().map(|line| line.trim().is_empty()).collect();
    let mut findings = Vec::new();
    let mut previous: Option<Import> = None;
    for (at, _) in source.tokens.iter().enumerate() {
        let Some(import) = import_at(&source.tokens, at) else {
            continue;
        };
        if let Some(before) = previous.filter(|before| is_adjacent(&source.tokens, before, at)) {
            let between = is_blank.get(before.last_line..import.first_line - 1).unwrap_or_default();
            let is_new_block = between.contains(&true);
            let message = match (is_new_block, before.origin.cmp(&import.origin)) {
                (_, std::cmp::Ordering::Greater) => "imports go std, then others, then ours",
                (true, std::cmp::Ordering::Equal) => {
                    "imports of one origin stand in one block: std, others, ours"
                }
                (false, std::cmp::Ordering::Less) => "a blank line between std, others and ours",
                _ => "",
            };
            if !message.is_empty() {
                findings.push(Finding::new("imports", path, import.first_line, message));
            }
        }
        previous = Some(import);
    }
    findings
}

/// The private `use` item that starts at `at`.
fn import_at(tokens: &[Token<'_>], at: usize) -> Option<Import> {
    let first = tokens.get(at).filter(|token| token.text == "use" && token.kind == Kind::Word)?;
    // `pub use` and `pub(crate) use` are not sorted; `use<'a>` is a bound.
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    if before.is_some_and(|token| !matches!(token.text, ";" | "}" | "{" | "]")) {
        return None;
    }
    let mut root = tokens.get(at + 1)?;
    if root.text == "::" {
        root = tokens.get(at + 2)?;
    }
    let length = tokens.get(at..)?.iter().position(|token| token.text == ";")?;
    let last = tokens.get(at + length)?;
    Some(Import {
        origin: origin(root.text, tokens),
        first_line: first.line,
        last_line: last.line,
        end: at + length + 1,
    })
}

fn origin(root: &str, tokens: &[Token<'_>]) -> Origin {
    let is_declared = |name: &str| {
        tokens
            .windows(2)
            .any(|pair| matches!(pair, [word, module] if word.text == "mod" && module.text == name))
    };
    match root {
        "std" | "core" | "alloc" => Origin::Std,
        "crate" | "self" | "super" => Origin::Ours,
        name if CRATES.contains(&name) || is_declared(name) => Origin::Ours,
        _ => Origin::Others,
    }
}

/// Nothing but attributes between the end of `before` and the token at `at`.
fn is_adjacent(tokens: &[Token<'_>], before: &Import, at: usize) -> bool {
    let between = tokens.get(before.end..at).unwrap_or_default();
    let (Some(first), Some(last)) = (between.first(), between.last()) else {
        return true;
    };
    first.text == "#"
        && last.text == "]"
        && between.iter().all(|token| !matches!(token.text, ";" | "{" | "}" | "mod" | "fn"))
}
