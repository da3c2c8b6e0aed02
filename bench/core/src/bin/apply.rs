//! Table `apply`: what a `SET` over a key costs a machine, and a key in a snapshot,
//! by what else the core did since.
//!
//! What a node applies lies in no cache as a rule: other nodes, the kernel and the
//! log were there in between. So three machines of equal keys are written in turn,
//! and before each other memory is written. Batches are as large as those of one
//! client, of sixteen, and of fifty with sixteen commands each.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bench_report::{Panel, Plot, Shape, Spread, Table, finish, short};
use bytes::Bytes;
use clap::Parser;
use serde_json::{Value, json};

use raftlet::core::{Index, Term};
use raftlet::{ChunkSource, StateMachine};
use raftlet_kv::{Machine, StringCommand};

/// What a SET costs the machine, by what lies in the caches.
#[derive(Debug, Parser)]
struct Cli {
    /// Windows of each point; the rows tell their median and range.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// SETs of a window.
    #[arg(long, default_value_t = 200_000)]
    sets: usize,
    /// Where the plot goes; beside this program if not said.
    #[arg(long, value_name = "FILE")]
    svg: Option<std::path::PathBuf>,
}

const MACHINES: usize = 3;
const VALUE_BYTES: usize = 256;
const LINE_BYTES: usize = 64;
/// Keys, KiB of other work before each batch, commands of a batch.
const POINTS: [(u64, usize, usize); 10] = [
    (200, 0, 9),
    (200, 0, 438),
    (20_000, 0, 438),
    (20_000, 512, 1),
    (20_000, 512, 4),
    (20_000, 512, 9),
    (20_000, 512, 16),
    (20_000, 4_096, 9),
    (20_000, 4_096, 438),
    (600_000, 0, 438),
];

fn main() {
    let cli = Cli::parse();
    let mut table = Table::new(&["keys", "other KiB", "batch", "ns a SET", "from", "to"]);
    let mut rows = Vec::new();
    for (keys, other_kib, batch) in POINTS {
        eprintln!("apply: {keys} keys, {other_kib} KiB of other work, batches of {batch}");
        let mut bench = Bench::filled(MACHINES, keys, other_kib << 10);
        let windows: Vec<f64> = (0..cli.rounds).map(|_| bench.window(cli.sets, batch)).collect();
        let spread = Spread::of(&windows).expect("there is a round");
        let (place, named) = (format!("{keys}, {other_kib} KiB, {batch}"), spread.json());
        let cells = [keys.to_string(), other_kib.to_string(), batch.to_string()].into_iter();
        let figures = ["median", "min", "max"].map(|name| number(&named[name]));
        table.row(cells.chain(figures).collect());
        rows.push(json!({ "point": place, "keys": keys, "other_kib": other_kib, "batch": batch,
            "ns": named }));
    }
    table.print();
    let mut snapshots = Table::new(&["keys", "ns a key of a snapshot", "from", "to"]);
    let mut read = Vec::new();
    for keys in [20_000, 1_000_000] {
        eprintln!("apply: a snapshot of {keys} keys");
        let mut bench = Bench::filled(1, keys, 8 << 20);
        let windows: Vec<f64> = (0..cli.rounds).map(|_| bench.snapshot()).collect();
        let named = Spread::of(&windows).expect("there is a round").json();
        let figures = ["median", "min", "max"].map(|name| number(&named[name]));
        snapshots.row([keys.to_string()].into_iter().chain(figures).collect());
        read.push(json!({ "keys": keys, "ns": named }));
    }
    snapshots.print();
    let report = json!({ "table": "apply", "rounds": cli.rounds, "rows": rows, "snapshots": read });
    let plot = plot(&report);
    finish(report, &plot, cli.svg.as_deref());
}

fn number(value: &Value) -> String {
    value.as_f64().map_or("-".to_owned(), short)
}

/// Machines of equal keys, and other memory.
struct Bench {
    machines: Vec<Machine>,
    keys: u64,
    index: u64,
    random: u64,
    other: Vec<u8>,
}

impl Bench {
    fn filled(machines: usize, keys: u64, other_bytes: usize) -> Self {
        let machines = (1..).map(Machine::new).take(machines).collect();
        let other = vec![0; other_bytes];
        let mut bench = Self { machines, keys, index: 0, random: 88_172_645_463_325_252, other };
        let all: Vec<u64> = (0..keys).collect();
        for some in all.chunks(512) {
            bench.apply(&some.iter().map(|key| set(*key, 0)).collect::<Vec<_>>());
        }
        bench
    }

    /// Nanoseconds a SET over random keys.
    fn window(&mut self, sets: usize, batch: usize) -> f64 {
        let (mut ns, mut done) = (0, 0);
        while done < sets {
            let payloads: Vec<_> =
                (0..batch).map(|_| set(self.random() % self.keys, self.index)).collect();
            ns += self.apply(&payloads);
            done += batch * MACHINES;
        }
        ns as f64 / done as f64
    }

    /// Applies a batch to each machine; nanoseconds of that alone.
    fn apply(&mut self, payloads: &[Vec<u8>]) -> u128 {
        let first = self.index;
        let commands: Vec<_> = payloads
            .iter()
            .zip(first + 1..)
            .map(|(payload, index)| {
                let (index, term) = (Index::new(index), Term::new(1));
                raftlet::Command { index, term, log_time_ms: 1, payload }
            })
            .collect();
        self.index += payloads.len() as u64;
        let mut ns = 0;
        for machine in &mut self.machines {
            self.other.iter_mut().step_by(LINE_BYTES).for_each(|byte| *byte = byte.wrapping_add(1));
            // What is applied was just read: its checksum was compared.
            let bytes = payloads.iter().flat_map(|payload| payload.iter().step_by(LINE_BYTES));
            black_box(bytes.fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
            let mut responses = Vec::with_capacity(payloads.len());
            let since = Instant::now();
            run(machine.apply(&commands, &mut responses)).expect("it applies what it encoded");
            ns += since.elapsed().as_nanos();
        }
        ns
    }

    /// Nanoseconds a key of reading out a snapshot.
    fn snapshot(&mut self) -> f64 {
        self.other.iter_mut().step_by(LINE_BYTES).for_each(|byte| *byte = byte.wrapping_add(1));
        let since = Instant::now();
        let mut source = self.machines[0].snapshot().expect("it takes snapshots");
        while run(source.next_chunk()).expect("it is read out").is_some() {}
        since.elapsed().as_nanos() as f64 / self.keys as f64
    }

    /// The next of a row (Marsaglia, "Xorshift RNGs", 2003).
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

fn set(key: u64, fill: u64) -> Vec<u8> {
    let key = Bytes::from(format!("key:{key:012}"));
    let value = Bytes::from(vec![fill as u8; VALUE_BYTES]);
    let mut payload = Vec::new();
    Machine::encode(&StringCommand::Set { key, value }.into(), &mut payload);
    payload
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

/// The table as a picture.
fn plot(report: &Value) -> Plot {
    let note = "Keys, other memory written before each batch, commands of a batch. Less is better.";
    let mut plot = Plot::new("What a SET costs the machine, nanoseconds", note);
    let mut panel = Panel::new("ns a SET", Shape::Bars);
    for row in report["rows"].as_array().into_iter().flatten() {
        let point = row["point"].as_str().unwrap_or_default();
        panel.figure("raftlet", point, Spread::of_json(&row["ns"]));
    }
    plot.panel(panel);
    plot
}
