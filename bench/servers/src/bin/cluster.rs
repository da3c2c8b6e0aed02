//! Table `cluster`: throughput, latency and server CPU, side by side.
//!
//! All systems stay up; every point is measured on each of them in turn, for
//! several rounds, so that a ratio compares neighbours in time. Ratios are
//! medians over rounds with their smallest and largest; absolute figures are
//! medians of a shared machine.

use std::collections::BTreeMap;
use std::time::Duration;

use bench_report::{Spread, Table, finish, missing, short};
use bench_servers::load::{KEYS, Op, Outcome, Point, VALUE_BYTES, fill, measure};
use bench_servers::options::Common;
use bench_servers::systems::{Running, System};
use clap::Parser;
use rustix::process::Signal;
use serde_json::{Value, json};

/// Throughput, latency and server CPU, side by side.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    common: Common,
    /// Rounds over all points.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Measured milliseconds of a point.
    #[arg(long, default_value_t = 1500)]
    window_ms: u64,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    name: &'static str,
    op: Op,
    clients: usize,
    pipeline: u64,
    /// A member that does not lead is stopped meanwhile.
    paused: bool,
}

const fn row(name: &'static str, op: Op, clients: usize) -> Row {
    Row { name, op, clients, pipeline: 1, paused: false }
}

const ROWS: [Row; 11] = [
    row("put", Op::Put, 1),
    row("put", Op::Put, 16),
    row("put", Op::Put, 64),
    row("put", Op::Put, 256),
    row("get", Op::Get, 1),
    row("get", Op::Get, 16),
    row("get", Op::Get, 64),
    row("get", Op::Get, 256),
    Row { name: "put, P=16", pipeline: 16, ..row("", Op::Put, 50) },
    Row { name: "get, P=16", pipeline: 16, ..row("", Op::Get, 50) },
    Row { name: "put, follower paused", paused: true, ..row("", Op::Put, 64) },
];

const SYSTEMS: [System; 5] =
    [System::Raftlet, System::Null, System::Etcd, System::RedisAlways, System::RedisEverysec];

/// Outcomes by row and system, one per round; or why there are none.
type Outcomes = BTreeMap<(usize, &'static str), Vec<Result<Outcome, String>>>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let cli = Cli::parse();
    let report = match tempfile::Builder::new().prefix("bench-").tempdir_in(&cli.common.data_dir) {
        Ok(dir) => table(&cli, dir.path()).await,
        Err(error) => missing("cluster", &format!("no directory for data: {error}")),
    };
    finish(&report);
}

async fn table(cli: &Cli, dir: &std::path::Path) -> Value {
    let mut running = Vec::new();
    let mut absent = Vec::new();
    for system in SYSTEMS {
        eprintln!("cluster: starting {}", system.name());
        match started(system, &cli.common, dir).await {
            Ok(one) => running.push(one),
            Err(why) => absent.push(missing(system.name(), &why)),
        }
    }
    let mut outcomes = Outcomes::new();
    for round in 0..cli.rounds {
        for (at, row) in ROWS.iter().enumerate() {
            for one in &mut running {
                if !applies(*row, one.system) {
                    continue;
                }
                eprintln!(
                    "cluster: round {round}, {} x {}, {}",
                    row.name,
                    row.clients,
                    one.system.name()
                );
                let outcome = measured(one, *row, cli.window_ms).await;
                if let Err(why) = &outcome {
                    eprintln!("cluster: {why}");
                }
                outcomes.entry((at, one.system.name())).or_default().push(outcome);
            }
        }
    }
    for one in &mut running {
        one.stop();
    }
    let rows = tell(&outcomes);
    json!({ "table": "cluster", "rounds": cli.rounds, "window_ms": cli.window_ms, "keys": KEYS,
            "value_bytes": VALUE_BYTES, "rows": rows, "absent": absent })
}

/// Redis has no followers, and etcd's protocol no pipeline.
fn applies(row: Row, system: System) -> bool {
    let cluster = matches!(system, System::Raftlet | System::Etcd);
    (row.pipeline == 1 || !system.is_grpc()) && (!row.paused || cluster)
}

async fn started(
    system: System,
    common: &Common,
    dir: &std::path::Path,
) -> Result<Running, String> {
    let mut running = Running::start(system, common, dir).await_local().await?;
    let leader = running.leader(Duration::from_secs(10)).await_local().await?;
    fill(&running, running.client_ports[leader], KEYS).await?;
    Ok(running)
}

async fn measured(running: &mut Running, row: Row, window_ms: u64) -> Result<Outcome, String> {
    let leader = running.leader(Duration::from_secs(10)).await_local().await?;
    let point = Point {
        op: row.op,
        clients: row.clients,
        pipeline: row.pipeline,
        warm_up: Duration::from_millis(500),
        window: Duration::from_millis(window_ms),
    };
    let follower = (leader + 1) % running.servers.len();
    if row.paused {
        running.servers[follower].signal(Signal::STOP);
    }
    let outcome = measure(running, running.client_ports[leader], point).await;
    if row.paused {
        running.servers[follower].signal(Signal::CONT);
        // It catches up before the next point begins.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    outcome
}

/// Runs something that spawns on a set of its own.
trait AwaitLocal: Future + Sized {
    async fn await_local(self) -> Self::Output {
        tokio::task::LocalSet::new().run_until(self).await
    }
}

impl<F: Future> AwaitLocal for F {}

fn tell(outcomes: &Outcomes) -> Value {
    let mut table = Table::new(&[
        "point",
        "clients",
        "system",
        "ops/s",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "cpu us/op",
        "ops vs etcd",
        "ops vs redis-always",
        "ops vs null",
    ]);
    let mut rows = Vec::new();
    for ((at, system), rounds) in outcomes {
        let row = ROWS[*at];
        let good: Vec<&Outcome> =
            rounds.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        let why = rounds.iter().find_map(|outcome| outcome.as_ref().err());
        let median = |pick: &dyn Fn(&Outcome) -> f64| {
            let values: Vec<f64> = good.iter().map(|outcome| pick(outcome)).collect();
            Spread::of(&values)
        };
        let json_of = |spread: Option<Spread>| spread.map_or(Value::Null, Spread::json);
        let text = |spread: Option<Spread>| spread.map_or("-".to_owned(), |s| short(s.median));
        let ops = median(&|outcome| outcome.ops_s);
        let against = |peer: &'static str, pick: &dyn Fn(&Outcome) -> f64| {
            ratio(rounds, outcomes.get(&(*at, peer)).filter(|_| *system != peer), pick)
        };
        let ops_etcd = against("etcd", &|outcome| outcome.ops_s);
        let ops_redis = against("redis-always", &|outcome| outcome.ops_s);
        let ops_null = against("null", &|outcome| outcome.ops_s);
        let ratio_text = |spread: Option<Spread>| {
            let told =
                |s: Spread| format!("{} ({}..{})", short(s.median), short(s.min), short(s.max));
            spread.map_or("-".to_owned(), told)
        };
        table.row(vec![
            row.name.to_owned(),
            row.clients.to_string(),
            (*system).to_owned(),
            text(ops),
            text(median(&|outcome| outcome.us[0])),
            text(median(&|outcome| outcome.us[1])),
            text(median(&|outcome| outcome.us[2])),
            text(median(&|outcome| outcome.server_us)),
            ratio_text(ops_etcd),
            ratio_text(ops_redis),
            ratio_text(ops_null),
        ]);
        rows.push(json!({
            "point": row.name, "clients": row.clients, "pipeline": row.pipeline, "system": system,
            "ops_s": json_of(ops), "p50_us": json_of(median(&|o| o.us[0])),
            "p99_us": json_of(median(&|o| o.us[1])), "p999_us": json_of(median(&|o| o.us[2])),
            "server_cpu_us": json_of(median(&|o| o.server_us)),
            "ops_vs_etcd": json_of(ops_etcd), "ops_vs_redis_always": json_of(ops_redis),
            "ops_vs_redis_everysec": json_of(against("redis-everysec", &|o| o.ops_s)),
            "ops_vs_null": json_of(ops_null), "cpu_vs_null": json_of(against("null", &|o| o.server_us)),
            "p50_vs_etcd": json_of(against("etcd", &|o| o.us[0])),
            "p99_vs_etcd": json_of(against("etcd", &|o| o.us[1])),
            "cpu_vs_etcd": json_of(against("etcd", &|o| o.server_us)),
            "failed_rounds": rounds.len() - good.len(), "why": why,
            "rounds": good.iter().map(|outcome| outcome.json()).collect::<Vec<_>>(),
        }));
    }
    table.print();
    Value::Array(rows)
}

/// Ratios of the same round, their median and spread.
fn ratio(
    ours: &[Result<Outcome, String>],
    theirs: Option<&Vec<Result<Outcome, String>>>,
    pick: &dyn Fn(&Outcome) -> f64,
) -> Option<Spread> {
    let pairs = ours.iter().zip(theirs?);
    let ratios: Vec<f64> = pairs
        .filter_map(|(ours, theirs)| Some(pick(ours.as_ref().ok()?) / pick(theirs.as_ref().ok()?)))
        .collect();
    Spread::of(&ratios)
}
