//! Table `restart`: fill, stop all members, start them again; then one follower
//! alone, while the others serve.
//!
//! Two clocks. *All*: from the first process started to the first acknowledged
//! write; members of one machine share its disk and cores, so this is the whole
//! cluster's. *A follower*: from its start until it answers a linearizable get
//! itself, for which it must have applied what the others have. It is stopped when
//! what the start of all left to do is done, as snapshots of what was replayed: the
//! others would write theirs beside it, on the same cores. Its disk is what it has
//! then.
//!
//! Ours and etcd are filled with two sizes each, so that the slope between them
//! can be told: what more bytes add, without elections and starts of processes.
//! It is per GiB of keys and values, which is the same for both, and per GiB of a
//! member's disk, which is not: etcd reserves log that it has not written.
//!
//! What lies in the page cache is dropped before a start. Ours reads past it, and
//! would be compared with memory otherwise.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use bench_report::{Panel, Plot, Shape, Spread, Table, finish, missing, short};
use bench_servers::load::{fill, key};
use bench_servers::options::Common;
use bench_servers::systems::{Running, System};
use bench_servers::{Failure, grpc, resp};
use clap::Parser;
use rustix::fs::{Advice, fadvise};
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
    /// How many times as much the second run of ours and of etcd holds.
    #[arg(long, default_value_t = 10)]
    larger: u64,
    /// Ours alone, for who compares two builds.
    #[arg(long)]
    ours_only: bool,
}

const START_WITHIN: Duration = Duration::from_secs(120);
/// At rest: less of a core than this part, of all members together, in this time.
/// An idle etcd member takes some two hundredths.
const RESTING_CPU: f64 = 0.1;
const RESTING_FOR: Duration = Duration::from_millis(500);
/// What a start leaves to do takes some seconds; who never rests is measured as it
/// is.
const REST_WITHIN: Duration = Duration::from_secs(30);
/// Between two questions to who is not there yet: a part of the shortest start.
const POLL: Duration = Duration::from_millis(5);

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
        "CPU s, all",
        "a follower s",
        "its CPU s",
        "its disk MiB",
    ]);
    let mut rows = Vec::new();
    let larger = cli.keys.saturating_mul(cli.larger);
    let runs = [
        (System::Raftlet, cli.keys),
        (System::Etcd, cli.keys),
        (System::RedisAlways, cli.keys),
        (System::Raftlet, larger),
        (System::Etcd, larger),
    ];
    let runs = runs.into_iter().filter(|(system, _)| !cli.ours_only || *system == System::Raftlet);
    for (at, (system, keys)) in runs.enumerate() {
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
        // The next one finds the disk as this one did.
        let _ = std::fs::remove_dir_all(&dir);
        let fields = [
            "fill_s",
            "user_mib",
            "disk_mib",
            "rss_before_mib",
            "rss_after_mib",
            "start_s",
            "cpu_s",
            "follower_s",
            "follower_cpu_s",
            "follower_disk_mib",
        ];
        let mut cells = vec![format!("{}, {keys} keys", system.name())];
        let text = |value: &Value| value.as_f64().map_or("-".to_owned(), short);
        cells.extend(fields.map(|field| text(&told[field])));
        table.row(cells);
        rows.push(told);
    }
    table.print();
    let [ours, etcd] = [System::Raftlet, System::Etcd].map(|system| slope(&rows, system));
    println!("what the larger run adds:\nraftlet {ours}\netcd    {etcd}\n");
    json!({ "table": "restart", "rows": rows, "raftlet_slope": ours, "etcd_slope": etcd })
}

/// What more bytes add: elections and process starts cancel out.
fn slope(rows: &[Value], system: System) -> Value {
    let of = |row: &&Value| row["system"] == system.name();
    let told = || {
        let (first, last) = (rows.iter().find(of)?, rows.iter().rfind(of)?);
        let more = |field: &str| Some(last[field].as_f64()? - first[field].as_f64()?);
        let (disk, user) = (more("disk_mib")? / 1024.0, more("user_mib")? / 1024.0);
        let (start, follower, cpu) = (more("start_s")?, more("follower_s")?, more("cpu_s")?);
        let followers_disk = more("follower_disk_mib")? / 1024.0;
        (user > 0.0 && disk > 0.0 && followers_disk > 0.0).then(|| {
            json!({ "s_per_gib_of_log": start / disk,
                    "s_per_gib_of_user_bytes": start / user,
                    "cpu_s_per_gib_of_user_bytes": cpu / user,
                    "follower_s_per_gib_of_log": follower / followers_disk,
                    "follower_s_per_gib_of_user_bytes": follower / user })
        })
    };
    told().unwrap_or(Value::Null)
}

async fn restart(system: System, common: &Common, keys: u64, dir: &Path) -> Result<Value, Failure> {
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
    (0..members).for_each(|at| drop_cached(&running.member_dir(at)));
    let since = Instant::now();
    for at in 0..members {
        running.launch(at)?;
    }
    let leader = first_write(&mut running).await?;
    let start_s = since.elapsed().as_secs_f64();
    let cpu_s = running.cpu_us() as f64 / 1e6;
    let follower = match members {
        1 => None,
        _ => Some(follower(&mut running, (leader + 1) % members, keys - 1).await?),
    };
    let rss_after = resident(&running);
    running.stop();
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    // Key, value and their lengths: what the log cannot do without.
    let user_mib = mib(keys as f64 * (256.0 + 12.0));
    Ok(json!({
        "system": system.name(), "keys": keys, "fill_s": fill_s, "user_mib": user_mib,
        "disk_mib": mib(disk as f64) / members as f64, "rss_before_mib": rss_before,
        "rss_after_mib": rss_after, "start_s": start_s, "cpu_s": cpu_s,
        "follower_s": follower.as_ref().map(|alone| alone.seconds),
        "follower_cpu_s": follower.as_ref().map(|alone| alone.cpu_s),
        "follower_disk_mib": follower.as_ref().map(|alone| mib(alone.disk_bytes as f64)),
        "s_per_gib": start_s / user_mib * 1024.0,
    }))
}

/// The leader, once it has acknowledged a write.
async fn first_write(running: &mut Running) -> Result<usize, Failure> {
    let since = Instant::now();
    loop {
        let leader = running.leader(START_WITHIN).await?;
        // It may lead before it listens to clients.
        match fill(running, running.client_ports[leader], 1).await {
            Ok(()) => return Ok(leader),
            Err(why) if since.elapsed() > START_WITHIN => return Err(why),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// A follower that started alone.
struct Alone {
    /// Until it answered.
    seconds: f64,
    /// Of its CPU till then.
    cpu_s: f64,
    disk_bytes: u64,
}

/// Stops a follower that has all, and starts it, until it answers for the key of this
/// number.
async fn follower(running: &mut Running, at: usize, last: u64) -> Result<Alone, Failure> {
    answered(running, at, last).await?;
    at_rest(running).await;
    running.servers[at].stop();
    let dir = running.member_dir(at);
    let disk_bytes = disk_bytes(&dir);
    drop_cached(&dir);
    let since = Instant::now();
    running.launch(at)?;
    answered(running, at, last).await?;
    let seconds = since.elapsed().as_secs_f64();
    Ok(Alone { seconds, cpu_s: running.servers[at].cpu_us() as f64 / 1e6, disk_bytes })
}

/// Waits until no member does much, or until that took too long.
async fn at_rest(running: &Running) {
    let since = Instant::now();
    while since.elapsed() < REST_WITHIN {
        let before = running.cpu_us();
        tokio::time::sleep(RESTING_FOR).await;
        let taken = (running.cpu_us() - before) as f64 / 1e6;
        if taken < RESTING_CPU * RESTING_FOR.as_secs_f64() {
            return;
        }
    }
}

/// Waits until a member answers a linearizable get.
async fn answered(running: &Running, at: usize, number: u64) -> Result<(), Failure> {
    let since = Instant::now();
    loop {
        let asking = get(running, running.client_ports[at], number);
        let late = |_| "no answer".to_owned();
        match tokio::time::timeout(START_WITHIN, asking).await.map_err(late)? {
            Ok(()) => return Ok(()),
            Err(why) if since.elapsed() > START_WITHIN => return Err(why),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

async fn get(running: &Running, port: u16, number: u64) -> Result<(), Failure> {
    if running.system.is_grpc() {
        return grpc::Connection::open(port, START_WITHIN).await?.get(&key(number)).await;
    }
    let mut request = Vec::new();
    resp::request(&mut request, &[b"GET", &key(number)]);
    let answer = resp::Connection::open(port, START_WITHIN).await?.ask(&request).await?;
    // A value, and not that there is none.
    let is_there = answer.starts_with(b"$") && !answer.starts_with(b"$-1");
    is_there.then_some(()).ok_or_else(|| String::from_utf8_lossy(&answer).into_owned())
}

/// Calls a function with each file below a directory.
fn each_file(dir: &Path, file: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { each_file(&path, file) } else { file(&path) }
    }
}

/// Bytes that files take on disk, but for what ours never reads at a start: room
/// that it keeps for bad times, and a snapshot that the stop interrupted.
fn disk_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    each_file(dir, &mut |path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name != "RESERVE" && !name.ends_with(".part") {
            bytes += std::fs::metadata(path).map_or(0, |about| about.blocks() * 512);
        }
    });
    bytes
}

/// Has the kernel forget what it holds of these files. Where it cannot, the start
/// is faster than it should be.
fn drop_cached(dir: &Path) {
    each_file(dir, &mut |path| {
        if let Ok(file) = File::open(path) {
            let _ = file.sync_all();
            let _ = fadvise(&file, 0, None, Advice::DontNeed);
        }
    });
}

/// The table as a picture.
fn plot(report: &Value) -> Plot {
    let mut plot = Plot::new(
        "Restart: all members stopped, started, to the first acknowledged write",
        "Three members on one machine (Redis: one), 256-byte values. Less is better.",
    );
    for (title, field) in [
        ("Seconds to the first acknowledged write", "start_s"),
        ("Seconds until a follower that starts alone answers a get", "follower_s"),
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
