//! Counts against a committed baseline: 5 % slack, counts only, never times.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

/// What a count may exceed its baseline by.
const SLACK: f64 = 1.05;
/// Below this a count is noise of the run's ends.
const COUNT_MIN: f64 = 0.05;

/// The counts of ours that are gated, by name.
fn counts(report: &Value) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    let rows = report["entries"].as_array().into_iter().flatten();
    for row in rows.filter(|row| is_ours(row)) {
        for field in ["instructions", "allocations", "messages"] {
            let name = format!("{}, batch {}, {field}", row["system"], row["batch"]);
            counts.insert(name.replace('"', ""), row[field].as_f64().unwrap_or(f64::NAN));
        }
    }
    for row in report["resp"].as_array().into_iter().flatten() {
        for field in ["instructions", "allocations"] {
            let name = format!("RESP {}, P={}, {field}", row["request"], row["pipeline"]);
            counts.insert(name.replace('"', ""), row[field].as_f64().unwrap_or(f64::NAN));
        }
    }
    for row in report["idle"].as_array().into_iter().flatten().filter(|row| is_ours(row)) {
        let name = format!("{}, idle instructions", row["system"]).replace('"', "");
        counts.insert(name, row["instructions"].as_f64().unwrap_or(f64::NAN));
    }
    for row in report["memory"].as_array().into_iter().flatten().filter(|row| is_ours(row)) {
        for state in ["fresh", "elected"] {
            let bytes = row[state].as_f64().unwrap_or(f64::NAN);
            counts.insert(format!("bytes per {state} member"), bytes);
        }
    }
    counts
}

fn is_ours(row: &Value) -> bool {
    row["system"].as_str().is_some_and(|name| name.starts_with("raftlet"))
}

/// Fails when a count is above its baseline, missing, or new.
pub(crate) fn check(report: &Value, file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let baseline: BTreeMap<String, f64> =
        serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let measured = counts(report);
    let mut wrong = Vec::new();
    for (name, limit) in &baseline {
        match measured.get(name) {
            Some(count) if *count <= limit * SLACK || *count <= COUNT_MIN => {}
            Some(count) => wrong.push(format!("{name}: {count:.3}, baseline {limit:.3}")),
            None => wrong.push(format!("{name}: not measured, baseline {limit:.3}")),
        }
    }
    for name in measured.keys().filter(|name| !baseline.contains_key(*name)) {
        wrong.push(format!("{name}: not in the baseline; run with --update"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Writes the counts as the new baseline.
pub(crate) fn update(report: &Value, file: &Path) -> Result<(), String> {
    let measured = counts(report);
    if measured.is_empty() || measured.values().any(|count| count.is_nan()) {
        return Err("a count is missing; the baseline stays".to_owned());
    }
    let text = serde_json::to_string_pretty(&json!(measured)).map_err(|error| error.to_string())?;
    std::fs::write(file, text + "\n").map_err(|error| error.to_string())
}
