//! Golden scripts: group behaviour, written as prose and commands.
//!
//! Each file under `tests/scripts` opens with a claim (`# ...`) and holds
//! blocks of commands, `----`, and what they print. `UPDATE=1 cargo test -p
//! raftlet-core --test golden` rewrites the printed parts; review the change
//! as prose. The commands are listed in `script.rs`.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test reports and stops at its first surprise"
)]

mod disk;
mod forge;
mod members;
mod script;
mod telling;
mod words;
mod world;

use std::fs;
use std::path::{Path, PathBuf};

fn scripts_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            scripts_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            found.push(path);
        }
    }
}

#[test]
fn every_script_prints_what_it_claims() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let update = std::env::var_os("UPDATE").is_some();
    let mut found = Vec::new();
    scripts_below(&folder, &mut found);
    assert!(found.len() >= 10, "the scripts are gone from {}", folder.display());
    let mut wrong = Vec::new();
    for path in &found {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.starts_with("# "), "{} opens without a claim", path.display());
        let printed = script::run(&text);
        if printed == text {
            continue;
        }
        if update {
            fs::write(path, &printed).unwrap();
        } else {
            wrong.push(format!("{}\n{}", path.display(), first_difference(&text, &printed)));
        }
    }
    assert!(wrong.is_empty(), "{} of {} scripts:\n{}", wrong.len(), found.len(), wrong.join("\n"));
}

fn first_difference(text: &str, printed: &str) -> String {
    let mut lines = text.lines().zip(printed.lines()).enumerate();
    match lines.find(|(_, (claimed, printed))| claimed != printed) {
        Some((line, (claimed, printed))) => {
            format!("  line {}: claims {claimed:?}\n          prints {printed:?}", line + 1)
        }
        None => "  one is longer than the other".to_owned(),
    }
}
