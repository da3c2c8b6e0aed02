//! Which crate may depend on which (rule 37), and on what of others.
//!
//! Invariants
//! - A crate of ours that the table does not name is a finding: a new crate is
//!   a decision.
//! - A crate in the table that does not exist is fine: it has nothing to say yet.
//! - Dev-dependencies are exempt; build-dependencies are not.
//!
//! Not here: cycles inside a crate (`modules.rs`).

use super::{Finding, House};

/// Every crate with those of ours that it may depend on. No other arrows.
const ARROWS: [(&str, &[&str]); 9] = [
    ("raftlet-core", &[]),
    ("raftlet", &["raftlet-core"]),
    ("raftlet-log", &["raftlet"]),
    ("raftlet-net", &["raftlet"]),
    ("raftlet-kv", &["raftlet"]),
    ("raftlet-check", &[]),
    ("raftlet-sim", &["raftlet", "raftlet-log", "raftlet-net", "raftlet-kv", "raftlet-check"]),
    ("raftlet-server", &["raftlet", "raftlet-log", "raftlet-net", "raftlet-kv", "raftlet-check"]),
    ("xtask", &[]),
];

/// All that `core` may have of others (D1).
const CORE_MAY_USE: [&str; 3] = ["bytes", "crc32c", "thiserror"];

/// Crates that must run under any executor, the simulator's included (D10).
const RUNTIME_FREE: [&str; 5] =
    ["raftlet-core", "raftlet", "raftlet-log", "raftlet-kv", "raftlet-check"];
const RUNTIMES: [&str; 5] = ["tokio", "async-std", "smol", "monoio", "compio"];

pub(super) fn check(house: &House<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in house.packages.iter().filter(|package| package.is_ours) {
        let name = package.name.as_str();
        let mut report = |message: String| {
            findings.push(Finding::new("arrows", &package.manifest, 0, message));
        };
        let Some(allowed) = arrows_from(name) else {
            report(format!("crate {name} has no place in the arrows of xtask/src/tidy/arrows.rs"));
            continue;
        };
        for dependency in package.dependencies.iter().map(String::as_str) {
            if arrows_from(dependency).is_some() && !allowed.contains(&dependency) {
                report(format!(
                    "{name} must not depend on {dependency}; see docs/rules.md rule 37"
                ));
            }
            let is_foreign = arrows_from(dependency).is_none();
            if name == "raftlet-core" && is_foreign && !CORE_MAY_USE.contains(&dependency) {
                report(format!("core may use only {}, not {dependency}", CORE_MAY_USE.join(", ")));
            }
            if RUNTIME_FREE.contains(&name) && RUNTIMES.contains(&dependency) {
                report(format!("{name} runs under any executor (D10), so not on {dependency}"));
            }
        }
    }
    findings
}

fn arrows_from(name: &str) -> Option<&'static [&'static str]> {
    ARROWS.iter().find(|(from, _)| *from == name).map(|(_, to)| *to)
}
