//! Paths that documents name exist, and no text names what a clone lacks.
//!
//! In Markdown: relative links, and words in backticks that look like a path
//! of this repository. In the essays (`//!`) of Rust files: words in backticks
//! that end in `.rs`, matched by their end. Paths under a crate or folder that
//! does not exist at all yet are let pass.
//!
//! Not here: rules, decisions and sections (`citations.rs`).

use super::{Finding, House};
use crate::rust::Source;
use crate::tree::{File, Tree};

/// Folders at the top; a word that starts with one is a path.
const TOPS: [&str; 8] =
    ["crates/", "docs/", "xtask/", ".ci/", ".cargo/", "bench/", "fuzz/", "tools/"];

/// What exists on somebody's machine only. Split so that this file, too, is
/// free of them.
const MACHINE: [(&str, &str); 5] = [
    ("/wor", "k/"),
    ("/tmp/", "wt"),
    ("../sha", "red"),
    ("/ro", "ot/"),
    ("[sou", "rce.crates-io]"),
];

pub(super) fn check(house: &House<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in house.tree.files() {
        machine_paths(file, &mut findings);
        if file.has_extension("md") {
            markdown(house.tree, file, &mut findings);
        } else if file.is_rust() {
            essay(house.tree, file, &mut findings);
        }
    }
    findings
}

fn machine_paths(file: &File, findings: &mut Vec<Finding>) {
    if file.path.ends_with("Cargo.lock") {
        return;
    }
    for (at, line) in file.text().lines().enumerate() {
        for (head, tail) in MACHINE {
            let word = format!("{head}{tail}");
            if line.contains(&word) {
                let message = format!("`{word}` means nothing in a fresh clone");
                findings.push(Finding::new("machine-words", &file.path, at + 1, message));
            }
        }
    }
}

fn markdown(tree: &Tree, file: &File, findings: &mut Vec<Finding>) {
    let mut is_fenced = false;
    for (at, line) in file.text().lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
            continue;
        }
        if is_fenced {
            continue;
        }
        let words = quoted(line).filter(|word| looks_like_path(word));
        for word in words {
            if !exists(tree, &file.path, word, true) {
                let message = format!("`{word}` does not exist");
                findings.push(Finding::new("named-paths", &file.path, at + 1, message));
            }
        }
        for target in links(line) {
            if !exists(tree, &file.path, target, false) {
                let message = format!("link to `{target}`, which does not exist");
                findings.push(Finding::new("named-paths", &file.path, at + 1, message));
            }
        }
    }
}

fn essay(tree: &Tree, file: &File, findings: &mut Vec<Finding>) {
    let source = Source::parse(file.text());
    let essays = source.comments.iter().filter(|comment| comment.text.starts_with("//!"));
    for comment in essays {
        for word in quoted(comment.text).filter(|word| is_rust_path(word)) {
            let ending = format!("/{word}");
            let is_known =
                tree.rust().any(|other| other.path == word || other.path.ends_with(&ending));
            if !is_known && !is_future(tree, word) {
                let message = format!("no file is called `{word}`");
                findings.push(Finding::new("named-paths", &file.path, comment.line, message));
            }
        }
    }
}

fn is_rust_path(word: &str) -> bool {
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "_-/.".contains(c));
    // `foo.rs` is how one says "some file".
    is_plain && word.ends_with(".rs") && !word.starts_with('.') && !word.starts_with("foo")
}

/// The words between pairs of backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn looks_like_path(word: &str) -> bool {
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "_-/.:".contains(c));
    let is_document = word.ends_with(".md") && !word.contains('/');
    is_plain && (is_document || TOPS.iter().any(|top| word.starts_with(top)))
}

/// The targets of `[text](target)` that point into the repository.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', '#', ' ']).next()?;
        let is_outside = target.contains("://") || target.starts_with("mailto:");
        (!is_outside && !target.is_empty()).then_some(target)
    })
}

fn exists(tree: &Tree, from: &str, word: &str, is_from_root: bool) -> bool {
    let word = word.split(':').next().unwrap_or_default().trim_end_matches('/');
    let beside = resolve(from, word);
    tree.has(&beside) || (is_from_root && tree.has(word)) || is_future(tree, word)
}

/// Under a crate or top folder of which nothing exists yet.
fn is_future(tree: &Tree, path: &str) -> bool {
    let mut parts = path.split('/');
    let top = parts.next().unwrap_or_default();
    match (top, parts.next()) {
        ("crates", Some(name)) => !tree.has_directory(&format!("crates/{name}")),
        ("bench" | "fuzz", _) => !tree.has_directory(top),
        _ => false,
    }
}

/// `word` as seen from the folder of `from`.
fn resolve(from: &str, word: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in word.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}
