//! The shape of files: length, essay, name, weight, claims of golden scripts.
//!
//! A Rust file over [`LINES_MAX`] lines needs two things (rule 38): an essay
//! line `//! Long because ...`, and a line in `xtask/long-files.txt` with its
//! length at that time. That number is a ratchet: the file may shrink, never
//! grow, and once it is short again its line must go.
//!
//! Not here: length of functions (`clippy.toml`).

use super::{Finding, House};
use crate::tree::{File, Tree};

const LINES_MAX: usize = 600;
const BYTES_MAX: u64 = 256 << 10;
const LONG_FILES: &str = "xtask/long-files.txt";
/// Names that say "no home found" (rule 37: one home per idea).
const HOMELESS: [&str; 6] = ["utils", "util", "helpers", "helper", "common", "misc"];

pub(super) fn check(house: &House<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in house.tree.files() {
        weigh(file, &mut findings);
        name(file, &mut findings);
        if file.is_rust() && !file.text().starts_with("//!") {
            let message = "opens with an essay: `//!` on the first line says what and why";
            findings.push(Finding::new("essay", &file.path, 1, message));
        }
        if is_script(&file.path) && !file.text().starts_with("# ") {
            let message = "a golden script opens with its claim, `# ` and a sentence";
            findings.push(Finding::new("script-claim", &file.path, 1, message));
        }
    }
    measure(house.tree, &mut findings);
    findings
}

fn weigh(file: &File, findings: &mut Vec<Finding>) {
    if file.bytes > BYTES_MAX && !file.path.ends_with("Cargo.lock") {
        let kib = file.bytes >> 10;
        let message = format!("{kib} KiB; nothing here is over {} KiB", BYTES_MAX >> 10);
        findings.push(Finding::new("file-bytes", &file.path, 0, message));
    }
}

fn name(file: &File, findings: &mut Vec<Finding>) {
    if file.path.ends_with("/mod.rs") {
        let message = "write `foo.rs` beside `foo/`, not `foo/mod.rs`";
        findings.push(Finding::new("file-name", &file.path, 0, message));
    }
    let mut parts = file.path.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
    if let Some(part) = parts.find(|part| HOMELESS.contains(part)) {
        let message = format!("`{part}` names no idea; name the noun (`backoff.rs`, `ring.rs`)");
        findings.push(Finding::new("file-name", &file.path, 0, message));
    }
}

fn is_script(path: &str) -> bool {
    path.contains("/tests/scripts/") && path.ends_with(".txt")
}

fn measure(tree: &Tree, findings: &mut Vec<Finding>) {
    let listed = long_files(tree, findings);
    for file in tree.rust() {
        let lines = file.text().lines().count();
        let allowed = listed.iter().find(|(path, _)| *path == file.path).map(|(_, lines)| *lines);
        if lines <= LINES_MAX {
            continue;
        }
        let mut report = |message: String| {
            findings.push(Finding::new("file-lines", &file.path, 0, message));
        };
        if !file.text().lines().any(|line| line.starts_with("//! Long because ")) {
            report(format!("{lines} lines: split it, or say `//! Long because ...` in its essay"));
        }
        match allowed {
            None => report(format!(
                "{lines} lines, over {LINES_MAX}: split it, or list it in {LONG_FILES} as \
                 `{} {lines}`",
                file.path
            )),
            Some(allowed) if lines > allowed => {
                report(format!("grew to {lines} lines; {LONG_FILES} allows {allowed}"));
            }
            Some(_) => {}
        }
    }
}

/// The list of long files, each with the length it may have.
fn long_files<'a>(tree: &'a Tree, findings: &mut Vec<Finding>) -> Vec<(&'a str, usize)> {
    let text = tree.file(LONG_FILES).map_or("", |file| file.text());
    let mut listed = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut report = |message: &str| {
            findings.push(Finding::new("file-lines", LONG_FILES, at + 1, message));
        };
        let Some((path, lines)) = line.split_once(' ') else {
            report("a line is `path lines`");
            continue;
        };
        let Ok(allowed) = lines.trim().parse() else {
            report("a line is `path lines`");
            continue;
        };
        let now = tree.file(path).map_or(0, |file| file.text().lines().count());
        if now <= LINES_MAX {
            report("no longer a long file; delete the line");
        }
        listed.push((path, allowed));
    }
    listed
}
