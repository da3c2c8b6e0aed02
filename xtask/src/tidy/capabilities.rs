//! What the table of capabilities names exists, and no method of a group's
//! handle is missing from it.
//!
//! A row of `docs/capabilities.md` names, in this order: a capability, methods
//! of `Group` (or types, with `::` or a capital), commands, examples, a golden
//! script, mutants.

use std::collections::BTreeSet;

use super::{Finding, House};

const TABLE: &str = "docs/capabilities.md";
const HANDLES: [&str; 2] =
    ["crates/raftlet/src/shard/handle.rs", "crates/raftlet/src/shard/handle/members.rs"];
const EXAMPLES: &str = "crates/raftlet/examples/";
const SCRIPTS: &str = "crates/core/tests/scripts/";
const MUTANTS: &str = "crates/core/src/mutants.rs";

pub(super) fn check(house: &House<'_>) -> Vec<Finding> {
    let text = |path: &str| house.tree.file(path).map_or("", |file| file.text());
    let table = text(TABLE);
    if table.is_empty() {
        return Vec::new();
    }
    let methods: BTreeSet<&str> = HANDLES.iter().flat_map(|path| methods(text(path))).collect();
    let mut named = BTreeSet::new();
    let mut findings = Vec::new();
    for (at, line) in table.lines().enumerate() {
        let Some([_, calls, _, examples, script, mutants]) = cells(line) else {
            continue;
        };
        let mut missing = |what: &str| {
            let message = format!("`{what}` does not exist");
            findings.push(Finding::new("capabilities", TABLE, at + 1, message));
        };
        for call in quoted(calls).filter(|call| call.starts_with(char::is_lowercase)) {
            named.insert(call);
            if !methods.contains(call) {
                missing(call);
            }
        }
        for example in quoted(examples) {
            if house.tree.file(&format!("{EXAMPLES}{example}.rs")).is_none() {
                missing(example);
            }
        }
        if script.contains('/') && house.tree.file(&format!("{SCRIPTS}{script}.txt")).is_none() {
            missing(script);
        }
        for mutant in mutants.split(", ").filter(|mutant| mutant.starts_with('M')) {
            if !text(MUTANTS).contains(&format!("\"{mutant}\"")) {
                missing(mutant);
            }
        }
    }
    for method in methods.difference(&named) {
        let message = format!("`{method}` of a group's handle is in no row");
        findings.push(Finding::new("capabilities", TABLE, 0, message));
    }
    findings
}

/// The cells of a row of six, headings apart.
fn cells(line: &str) -> Option<[&str; 6]> {
    let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
    let cells: Vec<&str> = inner.split(" | ").collect();
    let row: [&str; 6] = cells.try_into().ok()?;
    let [first, ..] = row;
    (first != "capability" && !first.starts_with("--")).then_some(row)
}

fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Public methods that take the handle.
fn methods(text: &str) -> impl Iterator<Item = &str> {
    // Up to the handle's last method; what follows are other types.
    let handle = text.split("impl<P: Ports> Clone for Group").next().unwrap_or_default();
    handle.lines().filter_map(|line| {
        let name = line.trim_start().strip_prefix("pub fn ")?;
        name.split(['(', '<']).next()
    })
}

#[cfg(test)]
mod tests {
    use super::{cells, methods, quoted};

    #[test]
    fn a_row_is_six_cells_and_its_words_are_those_in_backticks() {
        let row = cells("| a | `b`, `C::d` | – | `e` | f/g | M01, M02 |").expect("a row");
        assert_eq!(quoted(row[1]).collect::<Vec<_>>(), ["b", "C::d"]);
        assert!(
            cells("| capability | embedder | operator | example | golden | mutant |").is_none()
        );
        assert!(cells("| a | b |").is_none());
    }

    #[test]
    fn methods_of_other_types_are_not_the_handles() {
        let text =
            "    pub fn read<T>(\n    fn own(\nimpl<P: Ports> Clone for Group<P> {\n pub fn no(";
        assert_eq!(methods(text).collect::<Vec<_>>(), ["read"]);
    }
}
