//! What the catalogue of scenarios claims to be shown is shown by a test.
//!
//! `docs/scenarios.md` has a table per area. The first cell of a row is its
//! number (area and count, without gaps), the last names what shows it: golden
//! scripts as `folder/name`, Rust tests by their function, or `open`.
//!
//! Golden scripts, in turn, cite only numbers that the catalogue has.
//!
//! Not here: whether a test shows what its row says. That is read.

use std::collections::{BTreeMap, BTreeSet};

use super::bans::is_test_file;
use super::{Finding, House};
use crate::rust::{Kind, Source};
use crate::tree::Tree;

const CATALOGUE: &str = "docs/scenarios.md";
const SCRIPTS: &str = "crates/core/tests/scripts/";
const OPEN: &str = "open";

/// One line of a table.
struct Row<'a> {
    line: usize,
    area: char,
    count: u32,
    shown_by: Vec<&'a str>,
}

pub(super) fn check(house: &House<'_>) -> Vec<Finding> {
    let rows = rows(house.tree);
    let tests = test_functions(house.tree);
    let mut findings = gaps(&rows);
    for row in &rows {
        for name in row.shown_by.iter().filter(|name| **name != OPEN) {
            let script = format!("{SCRIPTS}{name}.txt");
            if !tests.contains(*name) && house.tree.file(&script).is_none() {
                let message = format!("`{name}` is neither a test nor a golden script");
                findings.push(Finding::new("scenarios", CATALOGUE, row.line, message));
            }
        }
    }
    findings.extend(unknown_citations(house.tree, &rows));
    findings
}

/// A remark: what is not shown by a test of its own yet.
pub(super) fn open(tree: &Tree) -> Option<String> {
    let rows = rows(tree);
    let open = rows.iter().filter(|row| row.shown_by.contains(&OPEN)).count();
    (open > 0).then(|| format!("scenarios: {open} of {} are open", rows.len()))
}

fn rows(tree: &Tree) -> Vec<Row<'_>> {
    let text = tree.file(CATALOGUE).map_or("", |file| file.text());
    text.lines().enumerate().filter_map(|(at, line)| row(at + 1, line)).collect()
}

fn row(line: usize, text: &str) -> Option<Row<'_>> {
    let cells: Vec<&str> = text.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
    let (area, count) = number(cells.first()?)?;
    let shown_by = cells.last()?.split(", ").collect();
    Some(Row { line, area, count, shown_by })
}

/// A number as the catalogue writes it: `E12`.
fn number(word: &str) -> Option<(char, u32)> {
    let area = word.chars().next().filter(|area| "ERCSLFK".contains(*area))?;
    let digits = word.get(1..).filter(|digits| digits.chars().all(|c| c.is_ascii_digit()))?;
    Some((area, digits.parse().ok()?))
}

/// Numbers are never reused: each area counts from one, in order.
fn gaps(rows: &[Row<'_>]) -> Vec<Finding> {
    let mut last: BTreeMap<char, u32> = BTreeMap::new();
    let mut findings = Vec::new();
    for row in rows {
        let expected = last.get(&row.area).map_or(1, |last| last + 1);
        if row.count != expected {
            let message = format!("{}{} where {}{expected} is next", row.area, row.count, row.area);
            findings.push(Finding::new("scenarios", CATALOGUE, row.line, message));
        }
        last.insert(row.area, row.count);
    }
    findings
}

/// Functions in test code; whether one is a test or its helper is not looked at.
fn test_functions(tree: &Tree) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for file in tree.rust() {
        let is_test = is_test_file(&file.path);
        let source = Source::parse(file.text());
        for pair in source.tokens.windows(2) {
            if let [keyword, name] = pair
                && keyword.text == "fn"
                && name.kind == Kind::Word
                && (is_test || keyword.is_test)
            {
                names.insert(name.text);
            }
        }
    }
    names
}

fn unknown_citations(tree: &Tree, rows: &[Row<'_>]) -> Vec<Finding> {
    let known: BTreeSet<(char, u32)> = rows.iter().map(|row| (row.area, row.count)).collect();
    let mut findings = Vec::new();
    let scripts = tree.files().iter().filter(|file| file.path.starts_with(SCRIPTS));
    for file in scripts {
        let claim = file.text().lines().take_while(|line| line.starts_with('#'));
        for (at, line) in claim.enumerate() {
            let words = line.split(|c: char| !c.is_ascii_alphanumeric());
            for word in
                words.filter(|word| number(word).is_some_and(|cited| !known.contains(&cited)))
            {
                let message = format!("{word} is not in {CATALOGUE}");
                findings.push(Finding::new("scenarios", &file.path, at + 1, message));
            }
        }
    }
    findings
}
