//! Table `failover`: from the leader's death to the next acknowledged write.
//!
//! SIGKILL: the clock starts right before the signal. Once the process is seen
//! to be gone a client per survivor tries a write every few milliseconds, on a
//! connection that it opens anew after each failure, as clients do; the first
//! acknowledgement stops the clock. So nothing the old leader still answered
//! counts.
//!
//! SIGTERM, where an orderly leader could hand over: a client of a survivor
//! writes one key after the other, trying each until it is acknowledged, from
//! before the signal until a second behind the leader's end; told is the
//! slowest write.
//!
//! Each time the dead member comes back and catches up before the next.

use std::time::{Duration, Instant};

use bench_report::{Panel, Plot, Shape, Spread, Table, finish, missing, short};
use bench_servers::options::Common;
use bench_servers::systems::{Running, System};
use bench_servers::{Failure, grpc, resp};
use clap::Parser;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::LocalSet;
use tokio::time::timeout;

/// From the leader's death to the next acknowledged write.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    common: Common,
    /// How often each system's leader is killed.
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// How often it is asked to stop.
    #[arg(long, default_value_t = 20)]
    stops: usize,
}

/// An attempt that takes longer is given up and tried anew.
const ATTEMPT: Duration = Duration::from_millis(25);
/// No write for as long: the system is broken.
const OUTAGE_MAX: Duration = Duration::from_secs(30);
const BETWEEN: Duration = Duration::from_millis(5);
/// Watched behind the end of a leader that was asked to stop.
const BEHIND: Duration = Duration::from_secs(1);
/// For the member that came back to join in.
const REST: Duration = Duration::from_millis(1500);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let cli = Cli::parse();
    let report = match tempfile::Builder::new().prefix("bench-").tempdir_in(&cli.common.data_dir) {
        Ok(dir) => LocalSet::new().run_until(table(&cli, dir.path())).await,
        Err(error) => missing("failover", &format!("no directory for data: {error}")),
    };
    let plot = plot(&report);
    finish(report, &plot, cli.common.svg.as_deref());
}

async fn table(cli: &Cli, dir: &std::path::Path) -> Value {
    let mut table = Table::new(&[
        "ms: next acknowledged write (KILL), slowest (TERM)",
        "signal",
        "times",
        "median",
        "min",
        "max",
    ]);
    let mut rows = Vec::new();
    for system in [System::Raftlet, System::Etcd] {
        for (signal, name, times) in
            [(Signal::KILL, "SIGKILL", cli.kills), (Signal::TERM, "SIGTERM", cli.stops)]
        {
            let told = match outages(system, &cli.common, &dir.join(name), signal, times).await {
                Ok(ms) => {
                    let spread = Spread::of(&ms);
                    let text =
                        |pick: fn(Spread) -> f64| spread.map_or("-".into(), |s| short(pick(s)));
                    table.row(vec![
                        system.name().to_owned(),
                        name.to_owned(),
                        ms.len().to_string(),
                        text(|s| s.median),
                        text(|s| s.min),
                        text(|s| s.max),
                    ]);
                    json!({ "system": system.name(), "signal": name, "ms": ms,
                            "spread_ms": spread.map(Spread::json) })
                }
                Err(why) => {
                    table.row(vec![system.name().to_owned(), name.to_owned(), why.clone()]);
                    let mut told = missing(system.name(), &why);
                    told["signal"] = json!(name);
                    told
                }
            };
            rows.push(told);
        }
    }
    table.print();
    json!({ "table": "failover", "attempt_ms": ATTEMPT.as_millis(), "rows": rows })
}

async fn outages(
    system: System,
    common: &Common,
    dir: &std::path::Path,
    signal: Signal,
    times: usize,
) -> Result<Vec<f64>, Failure> {
    let mut running = Running::start(system, common, dir).await?;
    let mut outages = Vec::new();
    for time in 0..times {
        let leader = running.leader(Duration::from_secs(10)).await?;
        // Everybody is there and writes go through before the clock starts.
        for at in (0..running.servers.len()).filter(|&at| at != leader) {
            write_until(&running, at, Instant::now()).await?;
        }
        let survivors: Vec<usize> = (0..running.servers.len()).filter(|&at| at != leader).collect();
        let outage = if signal == Signal::KILL {
            takeover(&mut running, leader, &survivors).await?
        } else {
            slowest_write(&mut running, leader, survivors[0]).await?
        };
        let outage = outage.as_secs_f64() * 1000.0;
        eprintln!("failover: {} {signal:?} {time}: {outage:.0} ms", system.name());
        outages.push(outage);
        running.servers[leader].stop();
        running.launch(leader)?;
        tokio::time::sleep(REST).await;
    }
    running.stop();
    Ok(outages)
}

/// Kills the leader; how long until a survivor acknowledges a write.
async fn takeover(
    running: &mut Running,
    leader: usize,
    survivors: &[usize],
) -> Result<Duration, Failure> {
    let start = Instant::now();
    running.servers[leader].kill();
    let end = tokio::select! {
        end = write_until(running, survivors[0], start) => end?,
        end = write_until(running, survivors[1], start) => end?,
    };
    Ok(end - start)
}

/// Asks the leader to stop; how long the slowest write took meanwhile.
async fn slowest_write(
    running: &mut Running,
    leader: usize,
    survivor: usize,
) -> Result<Duration, Failure> {
    let mut slowest = Duration::ZERO;
    running.servers[leader].signal(Signal::TERM);
    let mut gone = None;
    while gone.is_none_or(|gone: Instant| gone.elapsed() < BEHIND) {
        let start = Instant::now();
        slowest = slowest.max(write_until(running, survivor, start).await? - start);
        if gone.is_none() && !running.servers[leader].is_running() {
            gone = Some(Instant::now());
        }
    }
    Ok(slowest)
}

/// Tries to write at a member until it is acknowledged; when that was.
async fn write_until(running: &Running, at: usize, since: Instant) -> Result<Instant, Failure> {
    let port = running.client_ports[at];
    let is_grpc = running.system.is_grpc();
    let mut connection = None;
    while since.elapsed() < OUTAGE_MAX {
        let attempt = timeout(ATTEMPT, write(port, is_grpc, &mut connection)).await;
        if matches!(attempt, Ok(Ok(()))) {
            return Ok(Instant::now());
        }
        connection = None;
        tokio::time::sleep(BETWEEN).await;
    }
    Err(format!("no write for {} s", OUTAGE_MAX.as_secs()))
}

enum Connection {
    Resp(resp::Connection),
    Grpc(grpc::Connection),
}

async fn write(
    port: u16,
    is_grpc: bool,
    connection: &mut Option<Connection>,
) -> Result<(), Failure> {
    if connection.is_none() {
        *connection = Some(if is_grpc {
            Connection::Grpc(grpc::Connection::open(port, ATTEMPT).await?)
        } else {
            Connection::Resp(resp::Connection::open(port, ATTEMPT).await?)
        });
    }
    match connection {
        Some(Connection::Grpc(connection)) => connection.put(b"probe", b"1").await,
        Some(Connection::Resp(connection)) => {
            let mut set = Vec::new();
            resp::request(&mut set, &[b"SET", b"probe", b"1"]);
            let answers = connection.exchange(&set, 1).await?;
            answers.first_bad.map_or(Ok(()), Err)
        }
        None => Err("no connection".to_owned()),
    }
}

/// The table as a picture.
fn plot(report: &Value) -> Plot {
    let mut plot = Plot::new(
        "Failover: how long nobody's write is acknowledged",
        "Three nodes, default settings; medians, whiskers from smallest to largest. Less is better.",
    );
    for (signal, title) in [
        ("SIGKILL", "SIGKILL of the leader to the next acknowledged write, ms"),
        ("SIGTERM", "SIGTERM of the leader: the slowest write meanwhile, ms"),
    ] {
        let mut panel = Panel::new(title, Shape::Bars);
        let rows = report["rows"].as_array().into_iter().flatten();
        for row in rows.filter(|row| row["signal"] == signal) {
            let system = row["system"].as_str().unwrap_or_default();
            panel.figure(system, "", Spread::of_json(&row["spread_ms"]));
        }
        plot.panel(panel);
    }
    plot
}
