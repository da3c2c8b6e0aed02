//! Table `restart`: fill, stop all members, start them again.
//!
//! The clock runs from the first process started to the first acknowledged
//! write. What is read is what the members keep on disk; where they start on
//! one machine they share its disk and cores, so the figure is of the whole
//! cluster.

use std::path::Path;
use std::time::{Duration, Instant};

use bench_report::{Panel, Plot, Shape, Spread, Table, finish, missing, short};
use bench_servers::load::fill;
use bench_servers::options::Common;
use bench_servers::systems::{Running, System};
use clap::Parser;
use serde_json::{Value, json};
use tokio::task::LocalSet;

/// Fill, stop, start.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    common: Common,
    /// Keys of 256 bytes to fill with.
    #[arg(long, default_value_t = 100_000)]
    keys: u64,
}

/// How many times as much the second run of ours holds.
const LARGER: u64 = 10;
const START_WITHIN: Duration = Duration::from_secs(120);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let cli = Cli::parse();
    let report = match tempfile::Builder::new().prefix("bench-").tempdir_in(&cli.common.data_dir) {
        Ok(dir) => table(&cli, dir.path()).await,
        Err(error) => missing("restart", &format!("no directory for data: {error}")),
    };
    let plot = plot(&report);
    finish(report, &plot, cli.common.svg.as_deref());
}

async fn table(cli: &Cli, dir: &Path) -> Value {
    let mut table = Table::new(&[
        "restart",
        "fill s",
        "user MiB",
        "disk MiB/member",
        "RSS MiB before",
        "RSS MiB after",
        "start s",
        "s per GiB of user bytes",
    ]);
    let mut rows = Vec::new();
    let runs = [
        (System::Raftlet, cli.keys),
        (System::Etcd, cli.keys),
        (System::RedisAlways, cli.keys),
        (System::Raftlet, cli.keys * LARGER),
    ];
    for (at, (system, keys)) in runs.into_iter().enumerate() {
        eprintln!("restart: {}, {keys} keys", system.name());
        let dir = dir.join(at.to_string());
        let told = match LocalSet::new().run_until(restart(system, &cli.common, keys, &dir)).await {
            Ok(told) => told,
            Err(why) => {
                let mut told = missing(system.name(), &why);
                told["keys"] = json!(keys);
                told
            }
        };
        let fields =
            ["fill_s", "user_mib", "disk_mib", "rss_before_mib", "rss_after_mib", "start_s"];
        let mut cells = vec![format!("{}, {keys} keys", system.name())];
        let text = |value: &Value| value.as_f64().map_or("-".to_owned(), short);
        cells.extend(fields.map(|field| text(&told[field])));
        cells.push(text(&told["s_per_gib"]));
        table.row(cells);
        rows.push(told);
    }
    table.print();
    // What more bytes add: elections and process starts cancel out.
    let first = |field: &str| rows.first().and_then(|row| row[field].as_f64());
    let last = |field: &str| rows.last().and_then(|row| row[field].as_f64());
    let slope = || {
        let seconds = last("start_s")? - first("start_s")?;
        let (log, user) =
            (last("disk_mib")? - first("disk_mib")?, last("user_mib")? - first("user_mib")?);
        Some(json!({ "s_per_gib_of_log": seconds / log * 1024.0,
                     "s_per_gib_of_user_bytes": seconds / user * 1024.0 }))
    };
    let slope = slope().unwrap_or(Value::Null);
    println!("raftlet, the larger run against the smaller: {slope}\n");
    json!({ "table": "restart", "rows": rows, "raftlet_slope": slope })
}

async fn restart(system: System, common: &Common, keys: u64, dir: &Path) -> Result<Value, String> {
    let mut running = Running::start(system, common, dir).await?;
    let leader = running.leader(START_WITHIN).await?;
    let since = Instant::now();
    fill(&running, running.client_ports[leader], keys).await?;
    let fill_s = since.elapsed().as_secs_f64();
    let members = running.servers.len();
    let resident = |running: &Running| {
        let kib: u64 = running.servers.iter().map(|server| server.resident_kib()).sum();
        kib as f64 / 1024.0 / members as f64
    };
    let rss_before = resident(&running);
    running.stop();
    let disk = (0..members).map(|at| disk_bytes(&running.member_dir(at))).sum::<u64>();
    let since = Instant::now();
    for at in 0..members {
        running.launch(at)?;
    }
    let leader = running.leader(START_WITHIN).await?;
    fill(&running, running.client_ports[leader], 1).await?;
    let start_s = since.elapsed().as_secs_f64();
    let rss_after = resident(&running);
    running.stop();
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    // Key, value and their lengths: what the log cannot do without.
    let user_mib = mib(keys as f64 * (256.0 + 12.0));
    Ok(json!({
        "system": system.name(), "keys": keys, "fill_s": fill_s, "user_mib": user_mib,
        "disk_mib": mib(disk as f64) / members as f64, "rss_before_mib": rss_before,
        "rss_after_mib": rss_after, "start_s": start_s,
        "s_per_gib": start_s / user_mib * 1024.0,
    }))
}

/// Bytes that files take on disk, but for room that ours keeps for bad times and
/// never reads.
fn disk_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name() != "RESERVE")
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

/// The table as a picture.
fn plot(report: &Value) -> Plot {
    let mut plot = Plot::new(
        "Restart: all members stopped, started, to the first acknowledged write",
        "Three members on one machine (Redis: one), 256-byte values. Less is better.",
    );
    for (title, field) in [
        ("Seconds to the first acknowledged write", "start_s"),
        ("Resident memory per member afterwards, MiB", "rss_after_mib"),
        ("On disk per member, MiB", "disk_mib"),
        ("Fill, seconds", "fill_s"),
    ] {
        let mut panel = Panel::new(title, Shape::Bars);
        for row in report["rows"].as_array().into_iter().flatten() {
            let system = row["system"].as_str().unwrap_or_default();
            panel.figure(system, &format!("{} keys", row["keys"]), Spread::of_json(&row[field]));
        }
        plot.panel(panel);
    }
    plot
}
