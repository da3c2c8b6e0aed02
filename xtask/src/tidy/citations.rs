//! What code cites exists: rules, decisions, sections of the dissertation.
//!
//! - "rule 9", "rules 6-15": numbered lines of `docs/rules.md`.
//! - "D4": a file `0004-....md` in `docs/decisions/`.
//! - "§3.6.2": a line of `docs/dissertation-sections.md`; the sign § means
//!   Ongaro's dissertation wherever it stands.
//!
//! Citations are looked for in comments, in strings outside tests, and in
//! Markdown. Rules and decisions that no Rust file cites are remarked upon,
//! not refused.

use std::collections::BTreeSet;

use super::bans::is_test_file;
use super::{Finding, House};
use crate::rust::{Kind, Source};
use crate::tree::{File, Tree};

const RULES: &str = "docs/rules.md";
const DECISIONS: &str = "docs/decisions/";
/// Where golden scripts lie; their claims cite as tests do.
const SCRIPTS: &str = "crates/core/tests/scripts/";
pub(crate) const SECTIONS: &str = "docs/dissertation-sections.md";

/// What a text points at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Citation {
    Rule(u32),
    Decision(u32),
    Section(String),
}

/// A citation with its place.
#[derive(Debug)]
pub(crate) struct Cited {
    pub(crate) citation: Citation,
    pub(crate) line: usize,
    pub(crate) is_test: bool,
}

/// What may be cited.
struct Known {
    rules: BTreeSet<u32>,
    decisions: BTreeSet<u32>,
    sections: BTreeSet<String>,
}

impl Known {
    fn read(tree: &Tree) -> Self {
        let lines = |path: &str| tree.file(path).map_or("", |file| file.text()).lines();
        let decisions = tree.files().iter().filter_map(|file| file.path.strip_prefix(DECISIONS));
        Self {
            rules: lines(RULES).filter_map(leading_number).collect(),
            decisions: decisions.filter_map(|name| name.get(..4)?.parse().ok()).collect(),
            sections: lines(SECTIONS)
                .filter_map(|line| line.trim_start_matches("- ").strip_prefix('§'))
                .filter_map(|rest| rest.split(' ').next())
                .map(str::to_owned)
                .collect(),
        }
    }

    fn complaint(&self, citation: &Citation) -> Option<String> {
        match citation {
            Citation::Rule(number) => {
                (!self.rules.contains(number)).then(|| format!("rule {number} is not in {RULES}"))
            }
            Citation::Decision(number) => (!self.decisions.contains(number))
                .then(|| format!("D{number} has no file in {DECISIONS}")),
            Citation::Section(number) => (!self.sections.contains(number))
                .then(|| format!("§{number} is not a section of the dissertation ({SECTIONS})")),
        }
    }
}

pub(super) fn check(house: &House<'_>) -> Vec<Finding> {
    let known = Known::read(house.tree);
    let mut findings = gaps(house.tree, &known);
    for section in untested(house.tree, &known) {
        let message = format!("code follows §{section}, and no test or golden script names it");
        findings.push(Finding::new("citations", SECTIONS, 0, message));
    }
    for file in house.tree.files() {
        for cited in citations(file) {
            if let Some(message) = known.complaint(&cited.citation) {
                findings.push(Finding::new("citations", &file.path, cited.line, message));
            }
        }
    }
    findings
}

/// Code and golden scripts: what follows sections, and what tests them.
pub(crate) fn citing(tree: &Tree) -> impl Iterator<Item = &File> {
    let files = tree.files().iter();
    files.filter(|file| file.is_rust() || file.path.starts_with(SCRIPTS))
}

/// Known sections that code follows and no test names.
fn untested(tree: &Tree, known: &Known) -> BTreeSet<String> {
    let (mut followed, mut tested) = (BTreeSet::new(), BTreeSet::new());
    for cited in citing(tree).flat_map(citations) {
        if let Citation::Section(number) = cited.citation {
            let place = if cited.is_test { &mut tested } else { &mut followed };
            place.insert(number);
        }
    }
    followed.difference(&tested).filter(|it| known.sections.contains(*it)).cloned().collect()
}

/// Numbers are never reused, so the lists have no holes.
fn gaps(tree: &Tree, known: &Known) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, numbers) in [(RULES, &known.rules), (DECISIONS, &known.decisions)] {
        let holes = (1..).zip(numbers).find(|(expected, found)| expected != *found);
        if let Some((expected, _)) = holes {
            let message = format!("number {expected} is missing; numbers are kept for ever");
            findings.push(Finding::new("citations", path, 0, message));
        }
    }
    let names: Vec<&str> =
        tree.files().iter().filter_map(|file| file.path.strip_prefix(DECISIONS)).collect();
    let numbers: BTreeSet<&str> = names.iter().filter_map(|name| name.get(..4)).collect();
    if numbers.len() != names.len() {
        let message = "two decisions share a number";
        findings.push(Finding::new("citations", DECISIONS, 0, message));
    }
    findings
}

/// Remarks: rules and decisions that no Rust file cites.
pub(super) fn uncited(tree: &Tree) -> Vec<String> {
    let known = Known::read(tree);
    let cited: BTreeSet<Citation> =
        tree.rust().flat_map(citations).map(|cited| cited.citation).collect();
    let rules = known.rules.iter().filter(|number| !cited.contains(&Citation::Rule(**number)));
    let decisions =
        known.decisions.iter().filter(|number| !cited.contains(&Citation::Decision(**number)));
    let mut notes = Vec::new();
    for (what, numbers) in [("rules", join(rules)), ("decisions", join(decisions))] {
        if !numbers.is_empty() {
            notes.push(format!("{what} cited by no Rust file: {numbers}"));
        }
    }
    notes
}

fn join<'a>(numbers: impl Iterator<Item = &'a u32>) -> String {
    numbers.map(u32::to_string).collect::<Vec<_>>().join(" ")
}

/// Everything that `file` cites.
pub(crate) fn citations(file: &File) -> Vec<Cited> {
    let mut found = Vec::new();
    let is_test_file = is_test_file(&file.path);
    let mut add = |text: &str, first_line: usize, is_test: bool| {
        for (offset, line) in text.lines().enumerate() {
            let cited = in_text(line).into_iter();
            found.extend(cited.map(|citation| Cited {
                citation,
                line: first_line + offset,
                is_test,
            }));
        }
    };
    if file.has_extension("md") {
        add(file.text(), 1, false);
    } else if file.path.starts_with(SCRIPTS) {
        let claims = file.text().lines().enumerate().filter(|(_, line)| line.starts_with('#'));
        claims.for_each(|(at, line)| add(line, at + 1, true));
    } else if file.is_rust() {
        let source = Source::parse(file.text());
        // A comment inside test code counts as the test's.
        let test_lines: BTreeSet<usize> =
            source.tokens.iter().filter(|token| token.is_test).map(|token| token.line).collect();
        let ends = (test_lines.first(), test_lines.last());
        let in_tests = |line: usize| match ends {
            (Some(first), Some(last)) => (*first..=*last).contains(&line),
            _ => false,
        };
        for comment in &source.comments {
            add(comment.text, comment.line, is_test_file || in_tests(comment.line));
        }
        let strings = source.tokens.iter().filter(|token| token.kind == Kind::Text);
        for token in strings.filter(|token| !token.is_test && !is_test_file) {
            add(token.text, token.line, false);
        }
    }
    found
}

/// The citations in one line of text.
fn in_text(line: &str) -> Vec<Citation> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices('§') {
        let rest = line.get(at..).unwrap_or_default().trim_start_matches('§');
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = rest.get(..end).unwrap_or_default().trim_end_matches('.');
        if !number.is_empty() {
            found.push(Citation::Section(number.to_owned()));
        }
    }
    for (at, word) in words(line) {
        let behind = line.get(at + word.len()..).unwrap_or_default();
        if matches!(word, "rule" | "rules" | "Rule" | "Rules") {
            found.extend(number_list(behind).into_iter().map(Citation::Rule));
        } else if let Some(digits) = word.strip_prefix('D') {
            // `D01` is a fault of the catalogue, not a decision.
            let is_decision = !digits.starts_with('0') && digits.len() <= 2;
            found.extend(digits.parse().ok().filter(|_| is_decision).map(Citation::Decision));
        }
    }
    found
}

fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_break = |c: char| !c.is_alphanumeric() && c != '_';
    let mut at = 0;
    line.split_inclusive(is_break).map(move |piece| {
        let start = at;
        at += piece.len();
        (start, piece.trim_end_matches(is_break))
    })
}

/// Reads ` 9`, ` 6-15`, ` 3, 5 and 7`: single numbers and both ends of ranges.
fn number_list(text: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    let mut rest = text;
    let separators = [" ", ", ", "–", "-", " and ", " or ", " to "];
    loop {
        let next = separators.iter().rev().find_map(|separator| {
            let behind = rest.strip_prefix(separator)?;
            behind.starts_with(|c: char| c.is_ascii_digit()).then_some(behind)
        });
        let Some(behind) = next else { return numbers };
        // Between the first word and the first number stands one blank only.
        let end = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
        let Some(number) = behind.get(..end).and_then(|digits| digits.parse().ok()) else {
            return numbers;
        };
        numbers.push(number);
        rest = behind.get(end..).unwrap_or_default();
    }
}

/// The number of a line `12. ...`.
fn leading_number(line: &str) -> Option<u32> {
    let (digits, rest) = line.split_once('.')?;
    rest.starts_with(' ').then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{Citation, in_text};

    #[test]
    fn lists_and_ranges_of_rules_are_read() {
        let found = in_text("holds by rules 6–15, 26 and 28 (rule 9), not rule of thumb");
        let numbers = [6, 15, 26, 28, 9].map(Citation::Rule);
        assert_eq!(found, numbers);
    }

    #[test]
    fn decisions_and_sections_are_told_from_their_likes() {
        let found = in_text("D4 and D12, not D01, ID4, D100 or DSYNC; see §3.6.2.");
        let section = Citation::Section("3.6.2".to_owned());
        assert_eq!(found, [section, Citation::Decision(4), Citation::Decision(12)]);
    }
}
