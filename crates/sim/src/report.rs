//! What a person or a program is told at the end.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::batch::{Batch, Failure};
use raftlet::core::mutants::{self, Suite};
use raftlet_sim::core_tier::Outcome;

/// The result of a batch: a table, or one JSON object.
pub(crate) fn batch(batch: &Batch, as_json: bool) -> String {
    if as_json {
        return batch_json(batch).to_string();
    }
    let mut text = String::new();
    for (name, count) in batch.tally.iter() {
        let _ = writeln!(text, "{name:<36} {count:>12}");
    }
    let missed: Vec<&str> = missed(batch).collect();
    if !missed.is_empty() {
        let _ = writeln!(text, "never happened: {}", missed.join(", "));
    }
    for failure in &batch.failures {
        let _ = writeln!(
            text,
            "seed {} step {}: {}\n    replay: raftlet-sim core --trace {}",
            failure.seed, failure.step, failure.violation, failure.seed
        );
    }
    let _ = write!(
        text,
        "{} runs, {} steps, {} steps/s on {} threads, {} violations, trace {:016x}",
        batch.runs,
        batch.steps,
        batch.steps_per_s(),
        batch.jobs,
        batch.failures.len(),
        batch.trace_digest
    );
    text
}

fn batch_json(batch: &Batch) -> Value {
    let counters: Map<String, Value> =
        batch.tally.iter().map(|(name, count)| (name.to_owned(), json!(count))).collect();
    let hit: Vec<&str> =
        batch.tally.iter().filter(|(_, count)| *count > 0).map(|(name, _)| name).collect();
    json!({
        "tier": "core",
        "seed_first": batch.seeds.start,
        "seed_count": batch.seeds.end - batch.seeds.start,
        "seeds": batch.runs,
        "runs": batch.runs,
        "steps": batch.steps,
        "steps_per_s": batch.steps_per_s(),
        "jobs": batch.jobs,
        "wall_ms": u64::try_from(batch.wall.as_millis()).unwrap_or(u64::MAX),
        "trace_digest": format!("{:016x}", batch.trace_digest),
        "violation": batch.failures.first().map(failure_json),
        "violations": batch.failures.iter().map(failure_json).collect::<Vec<_>>(),
        "counters": counters,
        "sometimes_hit": hit,
        "sometimes_missed": missed(batch).collect::<Vec<_>>(),
    })
}

fn missed(batch: &Batch) -> impl Iterator<Item = &'static str> {
    let counts = batch.tally.iter();
    counts.filter(|(_, count)| *count == 0).map(|(name, _)| name)
}

fn failure_json(failure: &Failure) -> Value {
    json!({
        "seed": failure.seed,
        "step": failure.step,
        "invariant": failure.violation.invariant.id,
        "claim": failure.violation.invariant.claim,
        "detail": failure.violation.detail,
    })
}

/// One run, line by line.
pub(crate) fn story(outcome: &Outcome) -> String {
    let mut text = outcome.lines.join("\n");
    let end = match &outcome.violation {
        Some(violation) => violation.to_string(),
        None => "no violation".to_owned(),
    };
    let _ = write!(
        text,
        "\nseed {}, {} steps, trace {:016x}: {end}",
        outcome.seed, outcome.steps, outcome.trace_digest
    );
    text
}

/// The mutants built in.
pub(crate) fn mutants(as_json: bool) -> String {
    let list = mutants::built_in();
    if as_json {
        let list: Vec<Value> = list
            .iter()
            .map(|m| {
                let suite = suite(m.suite);
                json!({"id": m.id, "name": m.name, "invariant": m.invariant, "suite": suite})
            })
            .collect();
        return Value::from(list).to_string();
    }
    if list.is_empty() {
        return "no mutants: build with RUSTFLAGS=\"--cfg mutants\"".to_owned();
    }
    let rows: Vec<String> = list
        .iter()
        .map(|m| format!("{:<6} {:<10} {:<12} {}", m.id, m.invariant, suite(m.suite), m.name))
        .collect();
    rows.join("\n")
}

/// What notices a mutant: this program, or the tests of a package.
const fn suite(suite: Suite) -> &'static str {
    match suite {
        Suite::Simulation => "sim",
        Suite::Core => "raftlet-core",
        Suite::Driver => "raftlet",
        Suite::Log => "raftlet-log",
        Suite::Kv => "raftlet-kv",
    }
}
