//! Which runs make the table, and how it is told.
//!
//! Invariant: a run that fails is a row with `null` and the reason, never a
//! row that is not there.

use bench_report::{Spread, Table, missing, short};
use serde_json::{Value, json};

use crate::job::{Job, Kind, System};
use crate::probe::Marginal;

/// Groups of the rows with many.
const MANY: u64 = 1000;
/// Rounds of wall time, interleaved.
const ROUNDS: usize = 5;

/// Measures everything, tells it, and returns the report.
pub(crate) fn measure(quick: bool) -> Value {
    let dir = match tempfile::tempdir() {
        Ok(dir) => dir,
        Err(error) => return missing("core", &format!("no temporary directory: {error}")),
    };
    let measure = |job: Job| {
        eprintln!("core: {job:?}");
        job.marginal(dir.path())
    };
    let mut report = json!({ "table": "core", "command_bytes": 256 });
    report["entries"] = commits(quick, &measure);
    report["resp"] = requests(&measure);
    report["members"] = member_cost(quick, &measure);
    report["groups"] = many_groups(quick, &measure);
    report["idle"] = idle(quick, &measure);
    report["memory"] = memory(quick);
    report
}

type Measure<'a> = &'a dyn Fn(Job) -> Result<Marginal, String>;

fn row(system: &str, outcome: Result<Marginal, String>) -> Value {
    match outcome {
        Ok(Marginal { instructions, allocations, messages }) => json!({
            "system": system, "instructions": instructions.round(),
            "allocations": allocations, "messages": messages }),
        Err(why) => missing(system, &why),
    }
}

fn cell(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), short)
}

fn systems(quick: bool) -> Vec<(System, bool)> {
    let mut systems = vec![(System::Raftlet, false), (System::Raftlet, true), (System::Null, true)];
    if !quick {
        systems.extend([(System::Omnipaxos, false), (System::RaftRs, false)]);
        systems.extend([(System::RaftRs, true), (System::Openraft, false)]);
    }
    systems
}

fn commits(quick: bool, measure: Measure<'_>) -> Value {
    let mut rows = Vec::new();
    let mut table = Table::new(&["per committed entry", "batch", "instructions", "allocs", "msgs"]);
    for (system, wire) in systems(quick) {
        let name = if wire && system != System::Null {
            format!("{} + wire", system.name())
        } else {
            system.name().to_owned()
        };
        for batch in [1, 16, 256] {
            let outcome = measure(Job { wire, ..Job::commit(system, batch) });
            let mut told = row(&name, outcome);
            told["batch"] = json!(batch);
            table.row(vec![
                name.clone(),
                batch.to_string(),
                cell(&told["instructions"]),
                cell(&told["allocations"]),
                cell(&told["messages"]),
            ]);
            rows.push(told);
        }
    }
    table.print();
    Value::Array(rows)
}

/// One client's requests, without sockets and consensus.
fn requests(measure: Measure<'_>) -> Value {
    let mut rows = Vec::new();
    let mut table = Table::new(&["per RESP request", "P", "instructions", "allocs"]);
    for (kind, name) in [(Kind::RespGet, "GET"), (Kind::RespSet, "SET")] {
        for pipeline in [1, 16] {
            let job = Job { kind, entries: 2048, ..Job::commit(System::Raftlet, pipeline) };
            let mut told = row("raftlet", measure(job));
            told["request"] = json!(name);
            told["pipeline"] = json!(pipeline);
            table.row(vec![
                format!("raftlet, {name}"),
                pipeline.to_string(),
                cell(&told["instructions"]),
                cell(&told["allocations"]),
            ]);
            rows.push(told);
        }
    }
    table.print();
    Value::Array(rows)
}

/// Batch 16: what each member beyond three adds.
fn member_cost(quick: bool, measure: Measure<'_>) -> Value {
    let mut rows = Vec::new();
    let mut table = Table::new(&["batch 16, instructions per entry", "3", "5", "7", "per member"]);
    let systems =
        [System::Raftlet, System::Null, System::RaftRs, System::Omnipaxos, System::Openraft];
    for system in systems {
        if quick && system != System::Raftlet {
            continue;
        }
        let counts: Result<Vec<f64>, String> = [3, 5, 7]
            .into_iter()
            .map(|members| measure(Job { members, ..Job::commit(system, 16) }))
            .map(|outcome| outcome.map(|marginal| marginal.instructions.round()))
            .collect();
        let told = match counts {
            Ok(counts) => {
                let added = ((counts[2] - counts[0]) / 4.0).round();
                json!({ "system": system.name(), "instructions": counts, "added": added })
            }
            Err(why) => missing(system.name(), &why),
        };
        let mut cells = vec![system.name().to_owned()];
        cells.extend((0..3).map(|at| cell(&told["instructions"][at])));
        cells.push(cell(&told["added"]));
        table.row(cells);
        rows.push(told);
    }
    table.print();
    Value::Array(rows)
}

/// One entry a turn in each of many groups, against one group.
fn many_groups(quick: bool, measure: Measure<'_>) -> Value {
    let mut rows = Vec::new();
    let mut table = Table::new(&[
        "1 entry a turn per group",
        "ins, 1 group",
        "ins, 1000",
        "ratio",
        "ns, 1 group",
        "ns, 1000",
        "wall ratio",
    ]);
    for system in [System::Raftlet, System::RaftRs] {
        if quick && system != System::Raftlet {
            continue;
        }
        let one = Job::commit(system, 1);
        let many = Job { groups: MANY, entries: 8 * MANY, ..one };
        let told = match (measure(one), measure(many)) {
            (Ok(one_cost), Ok(many_cost)) => {
                let wall = walls(one, many);
                json!({ "system": system.name(),
                        "instructions": [one_cost.instructions.round(), many_cost.instructions.round()],
                        "ratio": many_cost.instructions / one_cost.instructions,
                        "wall": wall })
            }
            (Err(why), _) | (_, Err(why)) => missing(system.name(), &why),
        };
        let ratio = &told["wall"]["ratio"];
        table.row(vec![
            system.name().to_owned(),
            cell(&told["instructions"][0]),
            cell(&told["instructions"][1]),
            cell(&told["ratio"]),
            cell(&told["wall"]["ns_one"]),
            cell(&told["wall"]["ns_many"]),
            format!(
                "{} ({}..{})",
                cell(&ratio["median"]),
                cell(&ratio["min"]),
                cell(&ratio["max"])
            ),
        ]);
        rows.push(told);
    }
    table.print();
    Value::Array(rows)
}

/// Wall time per entry without callgrind, warm and interleaved.
fn walls(one: Job, many: Job) -> Value {
    let per_entry = |job: Job| {
        let told = job.alone().ok()?;
        Some(told["ns"].as_f64()? / told["entries"].as_f64()?)
    };
    let (mut ones, mut manys, mut ratios) = (vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let warm = |job, entries| Job { entries, warm: true, ..job };
        if let (Some(one), Some(many)) =
            (per_entry(warm(one, 100_000)), per_entry(warm(many, 100 * MANY)))
        {
            ones.push(one);
            manys.push(many);
            ratios.push(many / one);
        }
    }
    match (Spread::of(&ones), Spread::of(&manys), Spread::of(&ratios)) {
        (Some(ones), Some(manys), Some(ratios)) => json!({
            "ns_one": ones.median.round(), "ns_many": manys.median.round(),
            "ratio": ratios.json(), "rounds": ROUNDS }),
        _ => json!(null),
    }
}

fn idle(quick: bool, measure: Measure<'_>) -> Value {
    let mut rows = Vec::new();
    let mut table = Table::new(&["idle, per group and 100 ms", "instructions", "messages"]);
    let mut jobs = vec![
        (System::Raftlet, Kind::Idle, "raftlet, nodes vouched for"),
        (System::Raftlet, Kind::IdleUnvouched, "raftlet, no failure detector"),
    ];
    if !quick {
        jobs.push((System::RaftRs, Kind::Idle, "raft 0.7.0, 3 ticks and a heartbeat"));
    }
    let groups = 100;
    for (system, kind, name) in jobs {
        let job = Job { kind, groups, entries: 50, ..Job::commit(system, 1) };
        let outcome = measure(job).map(|cost| Marginal {
            instructions: cost.instructions / groups as f64,
            allocations: cost.allocations / groups as f64,
            messages: cost.messages / groups as f64,
        });
        let told = row(name, outcome);
        table.row(vec![name.to_owned(), cell(&told["instructions"]), cell(&told["messages"])]);
        rows.push(told);
    }
    table.print();
    Value::Array(rows)
}

fn memory(quick: bool) -> Value {
    let mut rows = Vec::new();
    let mut table = Table::new(&["bytes per member", "struct", "fresh", "elected", "of it log"]);
    for system in [System::Raftlet, System::RaftRs] {
        if quick && system != System::Raftlet {
            continue;
        }
        let job = Job { kind: Kind::Memory, groups: MANY, ..Job::commit(system, 1) };
        let mut told = match job.alone() {
            Ok(told) => told,
            Err(why) => missing(system.name(), &why),
        };
        told["system"] = json!(system.name());
        let mut cells = vec![system.name().to_owned()];
        cells.extend(["struct", "fresh", "elected", "log"].map(|field| cell(&told[field])));
        table.row(cells);
        rows.push(told);
    }
    table.print();
    Value::Array(rows)
}
