//! Table `steps`: how long a large keyspace holds its thread at once while it is
//! read out for a snapshot, and while another is dropped and it is restored.
//!
//! What a shard does not do in several steps holds up everybody: elections,
//! heartbeats, other groups. A step is one poll of the machine. Steps of equal
//! states are equal, so each is timed in several rounds and its shortest time
//! counts: what else ran on the machine falls out.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bench_report::{Musts, Panel, Plot, Shape, Spread, Table, conclude, short};
use bytes::Bytes;
use clap::Parser;
use serde_json::{Value, json};

use raftlet::core::{Index, Term};
use raftlet::{ChunkError, ChunkSource, StateMachine};
use raftlet_kv::{Command, HashChange, HashCommand, Machine, StringCommand};

/// How long a large keyspace holds its thread.
#[derive(Debug, Parser)]
struct Cli {
    /// MiB of keys and values.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// Keys of the state of small keys.
    #[arg(long, default_value_t = 5_000_000)]
    keys: u64,
    /// Of equal steps the shortest counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where the plot goes; beside this program if not said.
    #[arg(long, value_name = "FILE")]
    svg: Option<std::path::PathBuf>,
}

const LARGE_BYTES: u64 = 64 << 10;
const FIELD_BYTES: u64 = 512;
const BATCH_LEN: usize = 256;
/// The longest that a step may hold the thread.
const STEP_US_MAX: f64 = 20_000.0;

/// The shortest time of each step, microseconds.
type Steps = Vec<f64>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let bytes = cli.mib << 20;
    let states = [
        ("large", bytes / LARGE_BYTES, LARGE_BYTES, false),
        ("small", cli.keys, (bytes / cli.keys).saturating_sub(16).max(1), false),
        ("hash", bytes / FIELD_BYTES, FIELD_BYTES - 16, true),
    ];
    let mut table = Table::new(&[
        "state",
        "items",
        "snapshot MiB",
        "read out: steps",
        "p99.9 us",
        "longest us",
        "restored: steps",
        "p99.9 us",
        "longest us",
    ]);
    let mut rows = Vec::new();
    for (name, items, value_bytes, is_hash) in states {
        eprintln!("steps: {name}");
        let mut machine = filled(items, value_bytes, is_hash);
        let mut chunks = VecDeque::new();
        let mut read = Steps::new();
        for round in 0..cli.rounds {
            read_out(&mut machine, &mut read, (round == 0).then_some(&mut chunks));
        }
        drop(machine);
        let mut other = Machine::new(2);
        let (mut restored, mut first) = (Steps::new(), Steps::new());
        // The first has nothing to drop, and takes other steps.
        restore(&mut other, &chunks, &mut first);
        for _ in 0..cli.rounds {
            restore(&mut other, &chunks, &mut restored);
        }
        let snapshot_bytes: usize = chunks.iter().map(Bytes::len).sum();
        let told = |steps: &Steps| {
            let mut us = steps.clone();
            us.sort_by(f64::total_cmp);
            let at = |share: f64| us[((us.len() as f64 * share) as usize).min(us.len() - 1)];
            json!({ "steps": us.len(), "p50_us": at(0.5), "p999_us": at(0.999), "longest_us": at(1.0) })
        };
        let row = json!({ "state": name, "items": items,
            "snapshot_mib": snapshot_bytes as f64 / f64::from(1 << 20),
            "read_out": told(&read), "restored": told(&restored) });
        let number = |value: &Value| value.as_f64().map_or("-".to_owned(), short);
        let mut cells = vec![name.to_owned(), items.to_string(), number(&row["snapshot_mib"])];
        for phase in ["read_out", "restored"] {
            for field in ["steps", "p999_us", "longest_us"] {
                cells.push(number(&row[phase][field]));
            }
        }
        table.row(cells);
        rows.push(row);
    }
    table.print();
    let report = json!({ "table": "steps", "rounds": cli.rounds, "rows": rows });
    let plot = plot(&report);
    let mut musts = Musts::default();
    for row in report["rows"].as_array().into_iter().flatten() {
        for phase in ["read_out", "restored"] {
            let state = row["state"].as_str().unwrap_or_default();
            let what = format!("{state}, longest step of what is {}", phase.replace('_', " "));
            musts.at_most(what, &row[phase]["longest_us"], STEP_US_MAX, "us");
        }
    }
    conclude(report, &musts, &plot, cli.svg.as_deref())
}

fn filled(items: u64, value_bytes: u64, is_hash: bool) -> Machine {
    let mut machine = Machine::new(1);
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    let mut index = 0;
    for number in 0..items {
        let key = Bytes::from(format!("key:{number:012}"));
        let value = Bytes::from(vec![b'v'; value_bytes as usize]);
        let command: Command<Bytes> = if is_hash {
            let change = HashChange::Set(vec![(key, value)]);
            HashCommand { key: Bytes::from_static(b"hash"), change }.into()
        } else {
            StringCommand::Set { key, value }.into()
        };
        let mut payload = Vec::new();
        Machine::encode(&command, &mut payload);
        payloads.push(payload);
        if payloads.len() == BATCH_LEN || number + 1 == items {
            let entries: Vec<_> = payloads
                .iter()
                .map(|payload| {
                    index += 1;
                    let (index, term) = (Index::new(index), Term::new(1));
                    raftlet::Command { index, term, log_time_ms: 0, payload }
                })
                .collect();
            let mut steps = Steps::new();
            let mut responses = Vec::new();
            let applying = machine.apply(&entries, &mut responses);
            run(applying, &mut steps, &mut 0).expect("it applies what it has encoded");
            payloads.clear();
        }
    }
    machine
}

/// Times each poll of a future, from step `at` on.
fn run<T>(future: impl Future<Output = T>, steps: &mut Steps, at: &mut usize) -> T {
    let mut future = pin!(future);
    loop {
        let since = Instant::now();
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let us = since.elapsed().as_nanos() as f64 / 1000.0;
        match steps.get_mut(*at) {
            Some(shortest) => *shortest = shortest.min(us),
            None => steps.push(us),
        }
        *at += 1;
        if let Poll::Ready(value) = polled {
            return value;
        }
    }
}

fn read_out(machine: &mut Machine, steps: &mut Steps, mut keep: Option<&mut VecDeque<Bytes>>) {
    let mut source = machine.snapshot().expect("it takes snapshots");
    let mut at = 0;
    while let Some(chunk) = run(source.next_chunk(), steps, &mut at).expect("it is read out") {
        if let Some(keep) = &mut keep {
            keep.push_back(chunk);
        }
    }
}

fn restore(machine: &mut Machine, chunks: &VecDeque<Bytes>, steps: &mut Steps) {
    let mut chunks = Chunks(chunks.clone());
    run(machine.restore(&mut chunks), steps, &mut 0).expect("it is restored");
}

struct Chunks(VecDeque<Bytes>);

impl ChunkSource for Chunks {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, ChunkError> {
        // As of a disk: not there at once.
        let mut is_asked = false;
        poll_fn(|_| {
            let was_asked = std::mem::replace(&mut is_asked, true);
            if was_asked { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        Ok(self.0.pop_front())
    }
}

/// The table as a picture.
fn plot(report: &Value) -> Plot {
    let mut plot = Plot::new(
        "How long a large keyspace holds its thread at once",
        "The longest step, microseconds. Less is better.",
    );
    for phase in ["read_out", "restored"] {
        let mut panel = Panel::new(&phase.replace('_', " "), Shape::Bars);
        for row in report["rows"].as_array().into_iter().flatten() {
            let longest = Spread::of_json(&row[phase]["longest_us"]);
            panel.figure("raftlet", row["state"].as_str().unwrap_or_default(), longest);
        }
        plot.panel(panel);
    }
    plot
}
