//! Table `restart`: fill, stop all members, start them again.
//!
//! The clock runs from the first process started to the first acknowledged
//! write. What is read is what the members keep on disk; where they start on
//! one machine they share its disk and cores, so the figure is of the whole
//! cluster.

use std::path::Path;
use std::time::{Duration, Instant};

use bench_report::{Table, finish, missing, short};
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

const START_WITHIN: Duration = Duration::from_secs(120);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let cli = Cli::parse();
    let report = match tempfile::Builder::new().prefix("bench-").tempdir_in(&cli.common.data_dir) {
        Ok(dir) => table(&cli, dir.path()).await,
        Err(error) => missing("restart", &format!("no directory for data: {error}")),
    };
    finish(&report);
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
    for system in [System::Raftlet, System::Etcd, System::RedisAlways] {
        eprintln!("restart: {}", system.name());
        let told = match LocalSet::new().run_until(restart(system, cli, dir)).await {
            Ok(told) => told,
            Err(why) => missing(system.name(), &why),
        };
        let fields =
            ["fill_s", "user_mib", "disk_mib", "rss_before_mib", "rss_after_mib", "start_s"];
        let mut cells = vec![system.name().to_owned()];
        let text = |value: &Value| value.as_f64().map_or("-".to_owned(), short);
        cells.extend(fields.map(|field| text(&told[field])));
        cells.push(text(&told["s_per_gib"]));
        table.row(cells);
        rows.push(told);
    }
    table.print();
    json!({ "table": "restart", "keys": cli.keys, "rows": rows })
}

async fn restart(system: System, cli: &Cli, dir: &Path) -> Result<Value, String> {
    let mut running = Running::start(system, &cli.common, dir).await?;
    let leader = running.leader(START_WITHIN).await?;
    let since = Instant::now();
    fill(&running, running.client_ports[leader], cli.keys).await?;
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
    let user_mib = mib(cli.keys as f64 * (256.0 + 12.0));
    Ok(json!({
        "system": system.name(), "fill_s": fill_s, "user_mib": user_mib,
        "disk_mib": mib(disk as f64) / members as f64, "rss_before_mib": rss_before,
        "rss_after_mib": rss_after, "start_s": start_s,
        "s_per_gib": start_s / user_mib * 1024.0,
    }))
}

/// Bytes that files take on disk.
fn disk_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
