//! Table `cluster`: throughput, latency and server CPU, side by side.
//!
//! All systems stay up; every point is measured on each of them in turn, for
//! several rounds, so that a ratio compares neighbours in time. Ratios are
//! medians over rounds with their smallest and largest; absolute figures are
//! medians of a shared machine.

use std::collections::BTreeMap;
use std::time::Duration;

use bench_report::{Panel, Plot, Shape, Spread, Table, finish, missing, short};
use bench_servers::load::{Entry, KEYS, Op, Outcome, Point, VALUE_BYTES, fill, measure};
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
    /// These rows alone, as they are named while they run: "put x 1;get x 64".
    #[arg(long, value_delimiter = ';')]
    only: Vec<String>,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    name: &'static str,
    op: Op,
    clients: usize,
    pipeline: u64,
    trouble: Trouble,
}

/// What is not as it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Trouble {
    None,
    /// A member that does not lead is stopped meanwhile (SIGSTOP).
    FollowerPaused,
    /// The leader is killed in the middle (SIGKILL); clients go to survivors.
    LeaderKilled,
    /// Clients connect to members that do not lead.
    AtFollowers,
}

const fn row(name: &'static str, op: Op, clients: usize) -> Row {
    Row { name, op, clients, pipeline: 1, trouble: Trouble::None }
}

const ROWS: [Row; 14] = [
    row("put", Op::Put, 1),
    row("put", Op::Put, 16),
    row("put", Op::Put, 64),
    row("put", Op::Put, 256),
    row("get", Op::Get, 1),
    row("get", Op::Get, 16),
    row("get", Op::Get, 64),
    row("get", Op::Get, 256),
    Row { pipeline: 16, ..row("put, P=16", Op::Put, 50) },
    Row { pipeline: 16, ..row("get, P=16", Op::Get, 50) },
    Row { trouble: Trouble::AtFollowers, ..row("put, at followers", Op::Put, 64) },
    Row { trouble: Trouble::AtFollowers, ..row("get, at followers", Op::Get, 64) },
    Row { trouble: Trouble::FollowerPaused, ..row("put, follower paused", Op::Put, 64) },
    Row { trouble: Trouble::LeaderKilled, ..row("put, leader killed", Op::Put, 64) },
];

/// Of the point whose leader is killed: half of it has to hold an outage of
/// etcd's and what comes behind.
const KILLED_WINDOW: Duration = Duration::from_secs(6);
/// For a member that comes back to catch up.
const REST: Duration = Duration::from_secs(2);

const SYSTEMS: [System; 6] = [
    System::Raftlet,
    System::RaftletLease,
    System::Null,
    System::Etcd,
    System::RedisAlways,
    System::RedisEverysec,
];

/// Outcomes by row and system, one per round; or why there are none.
type Outcomes = BTreeMap<(usize, &'static str), Vec<Result<Outcome, String>>>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let cli = Cli::parse();
    let report = match tempfile::Builder::new().prefix("bench-").tempdir_in(&cli.common.data_dir) {
        Ok(dir) => table(&cli, dir.path()).await,
        Err(error) => missing("cluster", &format!("no directory for data: {error}")),
    };
    let plot = plot(&report);
    finish(report, &plot, cli.common.svg.as_deref());
}

async fn table(cli: &Cli, dir: &std::path::Path) -> Value {
    let mut running = Vec::new();
    let mut absent = Vec::new();
    let has_rows =
        |system: &System| ROWS.iter().any(|row| is_asked(cli, *row) && applies(*row, *system));
    for system in SYSTEMS.into_iter().filter(has_rows) {
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
                if !is_asked(cli, *row) || !applies(*row, one.system) {
                    continue;
                }
                let name = name_of(*row);
                eprintln!("cluster: round {round}, {name}, {}", one.system.name());
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

fn name_of(row: Row) -> String {
    format!("{} x {}", row.name, row.clients)
}

fn is_asked(cli: &Cli, row: Row) -> bool {
    cli.only.is_empty() || cli.only.contains(&name_of(row))
}

/// Redis has no followers, etcd's protocol no pipeline, and a lease is nothing to
/// writes, nor to who does not lead.
fn applies(row: Row, system: System) -> bool {
    if system == System::RaftletLease && (row.op == Op::Put || row.trouble != Trouble::None) {
        return false;
    }
    let cluster = matches!(system, System::Raftlet | System::Etcd);
    (row.pipeline == 1 || !system.is_grpc()) && (row.trouble == Trouble::None || cluster)
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
    let killed = row.trouble == Trouble::LeaderKilled;
    let point = Point {
        op: row.op,
        clients: row.clients,
        pipeline: row.pipeline,
        warm_up: Duration::from_millis(500),
        window: if killed { KILLED_WINDOW } else { Duration::from_millis(window_ms) },
    };
    let ports = &running.client_ports;
    let others: Vec<u16> = ports.iter().copied().filter(|&port| port != ports[leader]).collect();
    let mut entry = Entry::at(ports[leader]);
    let follower = (leader + 1) % running.servers.len();
    match row.trouble {
        Trouble::None => {}
        Trouble::AtFollowers => entry.ports = others,
        Trouble::FollowerPaused => running.servers[follower].signal(Signal::STOP),
        Trouble::LeaderKilled => entry.survivors = others,
    }
    let midway = |running: &mut Running| {
        if killed {
            running.servers[leader].kill();
        }
    };
    let outcome = measure(running, &entry, point, midway).await;
    match row.trouble {
        Trouble::None | Trouble::AtFollowers => {}
        Trouble::FollowerPaused => {
            running.servers[follower].signal(Signal::CONT);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Trouble::LeaderKilled => {
            running.launch(leader)?;
            tokio::time::sleep(REST).await;
        }
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
        "gap ms",
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
            text(median(&|outcome| outcome.gap_ms)),
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
            "longest_gap_ms": json_of(median(&|o| o.gap_ms)),
            "p999_vs_etcd": json_of(against("etcd", &|o| o.us[2])),
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

/// The table as a picture.
fn plot(report: &Value) -> Plot {
    let mut plot = Plot::new(
        "Whole servers: three durable copies (Redis: one), closed-loop clients",
        "256-byte values; medians over interleaved rounds, whiskers from smallest to largest. \
         At one machine: only ratios mean something.",
    );
    for (title, field) in [
        ("operations per second, by clients", "ops_s"),
        ("99th percentile, \u{b5}s, by clients", "p99_us"),
        ("server CPU per operation, \u{b5}s, by clients", "server_cpu_us"),
    ] {
        for point in ["put", "get"] {
            let mut panel = Panel::new(&format!("{point}: {title}"), Shape::Lines);
            for row in rows_of(report).into_iter().filter(|row| row["point"] == point) {
                figure(&mut panel, row, &row["clients"].to_string(), field);
            }
            plot.panel(panel);
        }
    }
    for (title, field, prefix) in [
        ("Pipelined, 50 clients, P=16: operations per second", "ops_s", ", P=16"),
        ("64 clients at followers: operations per second", "ops_s", ", at followers"),
    ] {
        let mut panel = Panel::new(title, Shape::Bars);
        for row in rows_of(report) {
            let point = row["point"].as_str().unwrap_or_default();
            if let Some(op) = point.strip_suffix(prefix) {
                figure(&mut panel, row, op, field);
            }
        }
        plot.panel(panel);
    }
    for (point, title) in [
        ("put, follower paused", "put, 64 clients, a follower paused: latency, ms"),
        ("put, leader killed", "put, 64 clients, leader killed midway: latency, ms"),
    ] {
        let mut panel = Panel::new(title, Shape::Bars);
        for row in rows_of(report).into_iter().filter(|row| row["point"] == point) {
            for (name, field) in [("p50", "p50_us"), ("p99", "p99_us"), ("p99.9", "p999_us")] {
                let system = row["system"].as_str().unwrap_or_default();
                panel.figure(system, name, Spread::of_json(&row[field]).map(in_ms));
            }
            figure(&mut panel, row, "longest gap", "longest_gap_ms");
        }
        plot.panel(panel);
    }
    plot
}

/// Ours first, the others as they are listed.
fn rows_of(report: &Value) -> Vec<&Value> {
    let mut rows: Vec<&Value> = report["rows"].as_array().into_iter().flatten().collect();
    rows.sort_by_key(|row| SYSTEMS.iter().position(|system| row["system"] == system.name()));
    rows
}

fn figure(panel: &mut Panel, row: &Value, category: &str, field: &str) {
    let system = row["system"].as_str().unwrap_or_default();
    panel.figure(system, category, Spread::of_json(&row[field]));
}

fn in_ms(us: Spread) -> Spread {
    Spread { median: us.median / 1000.0, min: us.min / 1000.0, max: us.max / 1000.0 }
}
