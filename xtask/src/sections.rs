//! Which sections of the dissertation code and tests cite.
//!
//! One line per section of `docs/dissertation-sections.md`: how often code
//! names it, how often tests and golden scripts do, and where first. A section
//! that code follows and no test names is a finding of `tidy`.
//!
//! Not here: whether a cited section exists (`tidy/citations.rs`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::tidy::citations::{Citation, SECTIONS, citations, citing};
use crate::tree::Tree;

/// Citations of one section.
#[derive(Default)]
struct Count {
    code: usize,
    tests: usize,
    first: String,
}

/// The table as text.
///
/// # Errors
/// When the tree cannot be read.
pub(crate) fn report(root: &Path) -> io::Result<String> {
    Ok(table(&Tree::load(root)?))
}

fn counts(tree: &Tree) -> BTreeMap<String, Count> {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for file in citing(tree) {
        for cited in citations(file) {
            let Citation::Section(number) = cited.citation else {
                continue;
            };
            let count = counts.entry(number).or_default();
            if cited.is_test {
                count.tests += 1;
            } else {
                count.code += 1;
            }
            if count.first.is_empty() {
                count.first = format!("{}:{}", file.path, cited.line);
            }
        }
    }
    counts
}

fn table(tree: &Tree) -> String {
    let counts = counts(tree);
    let mut text = format!("{:<8} {:>5} {:>5}  {}\n", "section", "code", "tests", "title, first");
    let listed = tree.file(SECTIONS).map_or("", |file| file.text());
    let mut uncited = Vec::new();
    for line in listed.lines() {
        let Some(rest) = line.trim_start_matches("- ").strip_prefix('§') else {
            continue;
        };
        let (number, title) = rest.split_once(' ').unwrap_or((rest, ""));
        let Some(count) = counts.get(number) else {
            uncited.push(format!("§{number}"));
            continue;
        };
        let Count { code, tests, first } = count;
        let _ =
            writeln!(text, "{:<8} {code:>5} {tests:>5}  {title} ({first})", format!("§{number}"));
    }
    let _ = writeln!(text, "not cited: {}", uncited.join(" "));
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::report;

    #[test]
    fn code_and_tests_are_counted_apart() {
        let root = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(root.path().join("docs")).expect("created");
        fs::write(
            root.path().join("docs/dissertation-sections.md"),
            "- §3.4 Election\n- §3.5 Log\n",
        )
        .expect("written");
        let code =
            "//! Elects (§3.4).\n\n#[cfg(test)]\nmod tests {\n    // §3.4\n    fn f() {}\n}\n";
        fs::write(root.path().join("a.rs"), code).expect("written");
        let table = report(root.path()).expect("a report");
        assert!(table.contains("§3.4         1     1  Election (a.rs:1)"), "{table}");
        assert!(table.contains("not cited: §3.5"), "{table}");
    }
}
