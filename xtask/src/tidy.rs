//! What no compiler holds: the shape of the tree.
//!
//! Each rule is a function from the tree to findings, in a file of its own
//! under `tidy/`. A finding names the rule, the place and the remedy. There is
//! one way out, `xtask/exceptions.txt`: a line names rule, file and reason, and
//! a line that excuses nothing is itself a finding, so the list only shrinks.
//!
//! Invariants
//! - Tidy reads and never writes: a ratchet or a hash is changed by a person.
//! - Same tree, same output: files sorted, findings sorted.
//!
//! Not here: anything clippy or rustfmt can hold; see the lints in the root
//! `Cargo.toml` and `clippy.toml`.

use std::error::Error;
use std::fmt;
use std::path::Path;

use crate::tree::Tree;
use crate::workspace::{self, Package};

mod arrows;
mod bans;
mod capabilities;
pub(crate) mod citations;
mod documents;
mod formats;
mod imports;
mod modules;
mod scenarios;
mod shape;

#[cfg(test)]
mod tests;

/// Where the excused findings are listed.
const EXCEPTIONS: &str = "xtask/exceptions.txt";

/// One thing that is not as the house wants it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    /// From 1; 0 where the whole file is meant.
    line: usize,
    rule: &'static str,
    message: String,
}

impl Finding {
    fn new(rule: &'static str, path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {} [{}]", self.message, self.rule)
    }
}

/// What a run found, and what it has to remark.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) findings: Vec<Finding>,
    notes: Vec<String>,
    files: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        match self.findings.len() {
            0 => writeln!(f, "tidy: {} files, nothing to tidy", self.files),
            found => writeln!(f, "tidy: {} files, {found} to tidy", self.files),
        }
    }
}

/// What every rule gets to see.
struct House<'a> {
    tree: &'a Tree,
    packages: &'a [Package],
}

/// Checks the repository at `root` against every rule.
///
/// # Errors
/// When the tree or a manifest cannot be read.
pub(crate) fn check(root: &Path) -> Result<Outcome, Box<dyn Error>> {
    let tree = Tree::load(root)?;
    let packages = workspace::packages(root)?;
    let house = House { tree: &tree, packages: &packages };
    let rules: [fn(&House<'_>) -> Vec<Finding>; 10] = [
        arrows::check,
        bans::check,
        capabilities::check,
        citations::check,
        documents::check,
        formats::check,
        imports::check,
        modules::check,
        scenarios::check,
        shape::check,
    ];
    let found = rules.iter().flat_map(|rule| rule(&house)).collect();
    let mut findings = without_exceptions(&tree, found);
    findings.sort();
    findings.dedup();
    let mut notes = citations::uncited(&tree);
    notes.extend(scenarios::open(&tree));
    Ok(Outcome { findings, notes, files: tree.files().len() })
}

/// Drops what `xtask/exceptions.txt` excuses; adds what it excuses in vain.
fn without_exceptions(tree: &Tree, mut findings: Vec<Finding>) -> Vec<Finding> {
    let text = tree.file(EXCEPTIONS).map_or("", |file| file.text());
    let mut complaints = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        let (rule, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut complain = |message: &str| {
            complaints.push(Finding::new("exceptions", EXCEPTIONS, at + 1, message));
        };
        if words.next().is_none() {
            complain("an exception is `rule path reason`; without a reason it does not count");
            continue;
        }
        let before = findings.len();
        findings.retain(|finding| finding.rule != rule || finding.path != path);
        if findings.len() == before {
            complain("excuses nothing; delete the line");
        }
    }
    findings.extend(complaints);
    findings
}
