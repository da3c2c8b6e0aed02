//! A change of a disk or wire format does not go unnoticed (rule 45).
//!
//! Each format document holds one line
//!
//! ```text
//! format-hash: 0123456789abcdef of crates/log/src/block.rs, crates/log/src/frame.rs
//! ```
//!
//! with the hash of the code that defines the format. When that code changes,
//! somebody has to look at the document and at the format's version, and then
//! write the new hash down. Comments, blanks and tests do not count.

use super::{Finding, House};
use crate::rust::Source;
use crate::tree::Tree;

const DOCUMENTS: [&str; 4] =
    ["docs/format-backup.md", "docs/format-kv-snapshot.md", "docs/format-log.md", "docs/wire.md"];
const MARK: &str = "format-hash:";

pub(super) fn check(house: &House<'_>) -> Vec<Finding> {
    DOCUMENTS.iter().filter_map(|document| check_document(house.tree, document)).collect()
}

fn check_document(tree: &Tree, document: &str) -> Option<Finding> {
    let text = tree.file(document)?.text();
    let Some((at, line)) = text.lines().enumerate().find(|(_, line)| line.contains(MARK)) else {
        let message = format!("lacks its line `{MARK} <hex> of <files that define the format>`");
        return Some(Finding::new("format-hash", document, 0, message));
    };
    let finding = |message: String| Some(Finding::new("format-hash", document, at + 1, message));
    let (_, rest) = line.split_once(MARK)?;
    let Some((written, files)) = rest.split_once(" of ") else {
        return finding(format!("write `{MARK} <hex> of <files>`"));
    };
    let names: Vec<&str> = files.split([',', ' ', '`']).filter(|name| !name.is_empty()).collect();
    let mut hash = Hash::default();
    for name in &names {
        let Some(file) = tree.file(name) else {
            return finding(format!("`{name}` does not exist; name the files of the format"));
        };
        hash.add_code(file.text());
    }
    let found = format!("{:016x}", hash.0);
    if written.trim().trim_matches('`') == found {
        return None;
    }
    finding(format!(
        "the format's code has changed. Bring this document up to date; if bytes changed, raise \
         the format's version (rule 45); then write `{MARK} {found} of {}`",
        names.join(", ")
    ))
}

/// FNV-1a, 64 bits: against oversight, not against malice.
struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    fn add_code(&mut self, text: &str) {
        let source = Source::parse(text);
        for token in source.tokens.iter().filter(|token| !token.is_test) {
            for byte in token.text.bytes().chain([b' ']) {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }
}
