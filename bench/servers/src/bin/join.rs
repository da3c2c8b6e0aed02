//! Table `join`: a node joins under load, whose log would begin far behind the
//! cluster's snapshot; what clients at every member notice of it.
//!
//! Clients at each member set and get at a steady pace, before, while the node
//! takes the snapshot in and catches up, and afterwards, in one run. Told are
//! the 99th percentiles and their ratios to those before. It ends with status 1
//! where one has more than doubled.

use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bench_report::{Musts, Panel, Plot, Shape, Spread, Table, conclude, missing, short};
use bench_servers::options::Common;
use bench_servers::systems::{Running, Setting, System};
use bench_servers::watch::{Shared, metric};
use bench_servers::{Failure, load, resp};
use clap::Parser;
use serde_json::{Value, json};
use tokio::task::{LocalSet, spawn_local};

/// A node joins under load.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    common: Common,
    /// Keys of 256 bytes that the cluster holds.
    #[arg(long, default_value_t = 2_000_000)]
    keys: u64,
    /// Clients at each member, half of which set and half get.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Milliseconds between two requests of a client.
    #[arg(long, default_value_t = 10)]
    think_ms: u64,
    /// Seconds of the windows before and after.
    #[arg(long, default_value_t = 20)]
    window_s: u64,
    /// As of `raftlet serve`.
    #[arg(long)]
    snapshot_bytes_per_second: Option<u64>,
}

const WITHIN: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(50);
const SETTLE: Duration = Duration::from_secs(3);
/// "Nobody's p99 doubles."
const P99_RATIO_MAX: f64 = 2.0;
const VALUE: [u8; load::VALUE_BYTES] = [b'w'; load::VALUE_BYTES];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let report = match tempfile::Builder::new().prefix("bench-").tempdir_in(&cli.common.data_dir) {
        Ok(dir) => LocalSet::new()
            .run_until(table(&cli, dir.path()))
            .await
            .unwrap_or_else(|why| missing("join", &why)),
        Err(error) => missing("join", &format!("no directory for data: {error}")),
    };
    let plot = plot(&report);
    conclude(report.clone(), &musts(&report), &plot, cli.common.svg.as_deref())
}

fn musts(report: &Value) -> Musts {
    let mut musts = Musts::default();
    for row in report["rows"].as_array().into_iter().flatten() {
        let (op, role) = (row["op"].as_str(), row["role"].as_str());
        let (op, role) = (op.unwrap_or_default(), role.unwrap_or_default());
        let what = format!("{op} at {role} {}, p99 during the join to before", row["at"]);
        musts.at_most(what, &row["p99_ratio_during"], P99_RATIO_MAX, "times");
    }
    musts.at_most("elections from the join on", &report["elections"], 0.0, "");
    musts
}

async fn table(cli: &Cli, dir: &Path) -> Result<Value, Failure> {
    let mut flags = Vec::new();
    if let Some(rate) = cli.snapshot_bytes_per_second {
        flags.extend(["--snapshot-bytes-per-second".to_owned(), rate.to_string()]);
    }
    let setting = Setting { flags, is_linked: false };
    let mut running = Running::start_as(System::Raftlet, setting, &cli.common, dir).await?;
    let leader = running.leader(WITHIN).await?;
    load::fill(&running, running.client_ports[leader], cli.keys).await?;
    let said = running.post(leader, "/snapshot", "{}").await?;
    eprintln!("join: filled; {}", said.trim());
    let phases = Shared::default();
    phases.borrow_mut().begin("settling");
    let members = running.servers.len();
    for client in 0..cli.clients * members {
        let (port, at) = (running.client_ports[client % members], client % members);
        let (phases, keys) = (Rc::clone(&phases), cli.keys);
        let think = Duration::from_millis(cli.think_ms);
        spawn_local(async move {
            let is_set = client / members % 2 == 0;
            let ended = ask(port, (at, is_set), (client as u64, keys), (think, phases)).await;
            if let Err(why) = ended {
                eprintln!("join: a client ended: {why}");
            }
        });
    }
    tokio::time::sleep(SETTLE).await;
    phases.borrow_mut().begin("before");
    tokio::time::sleep(Duration::from_secs(cli.window_s)).await;
    let elections = elections(&running, members).await?;
    phases.borrow_mut().begin("during");
    let since = Instant::now();
    let joiner = running.join()?;
    let parts = joined(&mut running, leader, joiner).await?;
    let join_s = since.elapsed().as_secs_f64();
    phases.borrow_mut().begin("after");
    tokio::time::sleep(Duration::from_secs(cli.window_s)).await;
    let elections = self::elections(&running, members).await? - elections;
    let phases = phases.borrow();
    let mut table = Table::new(&[
        "clients",
        "p99 ms before",
        "during",
        "after",
        "during/before",
        "after/before",
        "longest during",
    ]);
    let (mut rows, mut worst) = (Vec::new(), 0.0_f64);
    for at in 0..members {
        for op in ["set", "get"] {
            let what = name(at, op);
            let told = ["before", "during", "after"].map(|phase| phases.told(phase, &what));
            let p99 = told.each_ref().map(|told| told["p99_ms"].as_f64().unwrap_or(f64::NAN));
            let ratios = [p99[1] / p99[0], p99[2] / p99[0]];
            worst = worst.max(ratios[0]);
            let longest = told[1]["longest_ms"].as_f64().unwrap_or(f64::NAN);
            let role = if at == leader { "leader" } else { "follower" };
            let mut cells = vec![format!("{op} at {role} {}", at + 1)];
            cells.extend(p99.iter().chain(&ratios).chain([&longest]).map(|it| short(*it)));
            table.row(cells);
            let [before, during, after] = told;
            rows.push(json!({ "at": at + 1, "role": role, "op": op, "before": before,
                "during": during, "after": after, "p99_ratio_during": ratios[0],
                "p99_ratio_after": ratios[1] }));
        }
    }
    table.print();
    Ok(json!({ "table": "join", "keys": cli.keys, "join_s": join_s, "parts": parts,
        "elections": elections, "worst_p99_ratio": worst, "rows": rows }))
}

fn name(at: usize, op: &str) -> String {
    format!("{op} at {at}")
}

async fn elections(running: &Running, members: usize) -> Result<f64, Failure> {
    let mut sum = 0.0;
    for at in 0..members {
        sum += metric(running, at, "raftlet_elections_started_total").await?;
    }
    Ok(sum)
}

/// Waits until the joiner has got a snapshot and what came since; how many parts
/// it had.
async fn joined(running: &mut Running, leader: usize, joiner: usize) -> Result<u64, Failure> {
    let since = Instant::now();
    let mut parts = 0;
    while since.elapsed() < WITHIN {
        tokio::time::sleep(LOOK).await;
        if !running.servers[joiner].is_running() {
            return Err("the joiner ended".to_owned());
        }
        // It opens its port when it has learnt of the cluster.
        let Ok(there) = running.status(joiner).await else { continue };
        let here = running.status(leader).await?;
        let (there, here) = (&there["groups"][0], &here["groups"][0]);
        let of = |group: &Value, field: &str| group[field].as_u64().unwrap_or(0);
        parts = parts.max(there["transfers"][0]["parts"].as_u64().unwrap_or(0));
        let applied = of(there, "applied_index");
        if of(there, "snapshot_index") > 0 && applied + 64 >= of(here, "commit_index") {
            return Ok(parts);
        }
    }
    Err("the joiner does not catch up".to_owned())
}

/// One client: a request, a pause, the next.
async fn ask(
    port: u16,
    (at, is_set): (usize, bool),
    (seed, keys): (u64, u64),
    (think, phases): (Duration, Shared),
) -> Result<(), Failure> {
    let mut connection = resp::Connection::open(port, WITHIN).await?;
    let what = name(at, if is_set { "set" } else { "get" });
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // Not in step with each other.
    tokio::time::sleep(think / 16 * (seed % 16) as u32).await;
    let mut request = Vec::new();
    loop {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let key = load::key((random >> 33) % keys);
        request.clear();
        if is_set {
            resp::request(&mut request, &[b"SET", &key, &VALUE]);
        } else {
            resp::request(&mut request, &[b"GET", &key]);
        }
        let (phase, since) = (phases.borrow().phase(), Instant::now());
        let answers = connection.exchange(&request, 1).await?;
        phases.borrow_mut().note(phase, &what, since);
        if let Some(bad) = answers.first_bad {
            eprintln!("join: {what}: {bad}");
        }
        tokio::time::sleep(think).await;
    }
}

/// The table as a picture.
fn plot(report: &Value) -> Plot {
    let mut plot = Plot::new(
        "A node joins under load: the 99th percentile of clients at each member",
        "Three members, the joiner and the clients on one machine. Less is better.",
    );
    for phase in ["before", "during", "after"] {
        let mut panel = Panel::new(&format!("p99 {phase}, ms"), Shape::Bars);
        for row in report["rows"].as_array().into_iter().flatten() {
            let label = format!("{} at {}", row["op"].as_str().unwrap_or_default(), row["at"]);
            panel.figure("raftlet", &label, Spread::of_json(&row[phase]["p99_ms"]));
        }
        plot.panel(panel);
    }
    plot
}
