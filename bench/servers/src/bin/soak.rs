//! Writes for a long time to few keys, then kills all nodes at once: disk and
//! memory must have stayed bounded, a restart be short, and nothing that was
//! acknowledged be lost.
//!
//! Each client has keys of its own and counts up in them, one write of a key
//! at a time. So what a key may hold afterwards is known exactly: at least the
//! last number acknowledged, at most the last one sent. Anything else is a
//! loss or an invention, and fails the run.
//!
//! The clock of a restart runs from the SIGKILL of all nodes to the first write
//! acknowledged afterwards; the servers are started again at once.
//!
//! Not here: judging orders between clients (`raftlet demo` does).

use std::cell::RefCell;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bench_report::Musts;
use bench_servers::Failure;
use bench_servers::options::Common;
use bench_servers::resp::{Answers, Connection, request};
use bench_servers::systems::{Running, System};
use clap::Parser;
use serde_json::{Value, json};
use tokio::task::{LocalSet, spawn_local};

/// Write, watch, kill all, start again.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    common: Common,
    /// How long to write before the first kill.
    #[arg(long, default_value_t = 3.0)]
    minutes: f64,
    /// Keys in all.
    #[arg(long, default_value_t = 1_000)]
    keys: u64,
    /// Clients, each with its share of the keys.
    #[arg(long, default_value_t = 8)]
    clients: u64,
    /// Writes that a client sends at once, each to another of its keys.
    #[arg(long, default_value_t = 16)]
    pipeline: u64,
    /// Bytes of each value.
    #[arg(long, default_value_t = 256)]
    value_bytes: usize,
    /// `--log-disk-mib` of the nodes.
    #[arg(long, default_value_t = 64)]
    log_disk_mib: u32,
    /// Kills of all nodes at the end, with some seconds of writes between.
    #[arg(long, default_value_t = 5)]
    restarts: u32,
    /// A restart that takes longer fails the run.
    #[arg(long, default_value_t = 2.0)]
    restart_s_max: f64,
    /// Files of a node that take more fail the run: the log's limit, what is
    /// written ahead of it, and snapshots.
    #[arg(long, default_value_t = 160)]
    disk_mib_max: u64,
}

const START_WITHIN: Duration = Duration::from_secs(60);
/// Between two kills.
const BREATH: Duration = Duration::from_secs(5);
/// An attempt of a client; it goes to another node then.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// The same after a kill: a node without leader may hold a request for seconds,
/// and whoever waits for it measures its own patience.
const RESUME_WITHIN: Duration = Duration::from_millis(250);
const CONNECT_WITHIN: Duration = Duration::from_millis(250);
const BETWEEN_TRIES: Duration = Duration::from_millis(5);
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
const TELL_EVERY: usize = 60;

/// What a key may hold.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    acknowledged: u64,
    sent: u64,
}

/// What clients and the watch share.
#[derive(Debug, Default)]
struct Shared {
    keys: Vec<Counted>,
    acknowledged: u64,
    unknown: u64,
    refused: u64,
    first_refusal: Option<String>,
    last_acknowledged: Option<Instant>,
    /// The first acknowledgement after this moment, which was sent after it.
    waited_since: Option<Instant>,
    first_after: Option<Instant>,
    is_over: bool,
}

/// The largest of what was seen, by node.
#[derive(Clone, Debug, Default)]
struct Watch {
    disk_mib: Vec<f64>,
    resident_mib: Vec<f64>,
    samples: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let report = match tempfile::Builder::new().prefix("soak-").tempdir_in(&cli.common.data_dir) {
        Ok(dir) => LocalSet::new().run_until(soak(&cli, dir.path())).await,
        Err(error) => Err(format!("no directory for data: {error}")),
    };
    let mut report = report.unwrap_or_else(|why| json!({ "soak": Value::Null, "why": why }));
    let musts = musts(&cli, &report);
    musts.judge(&mut report);
    println!("{report}");
    ExitCode::from(u8::from(!musts.are_met()))
}

fn musts(cli: &Cli, report: &Value) -> Musts {
    let mut musts = Musts::default();
    let disk = report["disk_mib_max"].as_array().into_iter().flatten().filter_map(Value::as_f64);
    let disk = json!(disk.reduce(f64::max));
    musts.at_most("a node's files, at most", &disk, cli.disk_mib_max as f64, "MiB");
    musts.at_least("restarts", &report["restarts"], f64::from(cli.restarts), "");
    musts.at_most("the longest restart", &report["restart_s_max"], cli.restart_s_max, "s");
    musts.at_most("keys that hold what they must not", &report["wrong_keys"], 0.0, "");
    musts.at_least("writes acknowledged", &report["acknowledged"], 1.0, "");
    musts
}

async fn soak(cli: &Cli, dir: &Path) -> Result<Value, Failure> {
    let flags = vec!["--log-disk-mib".to_owned(), cli.log_disk_mib.to_string()];
    let mut running = Running::start_with(System::Raftlet, &cli.common, dir, flags).await?;
    let keys = usize::try_from(cli.keys).map_err(|error| error.to_string())?;
    let shared =
        Rc::new(RefCell::new(Shared { keys: vec![Counted::default(); keys], ..Shared::default() }));
    let clients: Vec<_> = (0..cli.clients)
        .map(|client| {
            let own: Vec<usize> =
                (0..keys).filter(|key| *key as u64 % cli.clients == client).collect();
            let ports = running.client_ports.clone();
            let (shared, cli) = (Rc::clone(&shared), (cli.pipeline, cli.value_bytes));
            spawn_local(write(shared, own, ports, client, cli))
        })
        .collect();
    let since = Instant::now();
    let mut watches = [Watch::default(), Watch::default()];
    let whole = Duration::from_secs_f64(cli.minutes * 60.0);
    while since.elapsed() < whole {
        let half = usize::from(since.elapsed() > whole / 2);
        watches[half].look(&running);
        if watches[half].samples % TELL_EVERY == 1 {
            eprintln!(
                "soak: {:.0} s, {} acknowledged, disk MiB {:?}, resident MiB {:?}",
                since.elapsed().as_secs_f64(),
                shared.borrow().acknowledged,
                rounded(&watches[half].disk_mib),
                rounded(&watches[half].resident_mib),
            );
        }
        tokio::time::sleep(SAMPLE_EVERY.min(whole.saturating_sub(since.elapsed()))).await;
    }
    let written_s = since.elapsed().as_secs_f64();
    let acknowledged = shared.borrow().acknowledged;
    let mut restarts = Vec::new();
    for _ in 0..cli.restarts {
        restarts.push(restart(&mut running, &shared).await?);
        watches[1].look(&running);
        tokio::time::sleep(BREATH).await;
        watches[1].look(&running);
    }
    shared.borrow_mut().is_over = true;
    for client in clients {
        client.await.map_err(|error| error.to_string())?;
    }
    let keys = shared.borrow().keys.clone();
    let wrong = verify(&mut running, &keys).await?;
    running.stop();
    Ok(report(cli, &shared.borrow(), (written_s, acknowledged), &watches, &restarts, &wrong))
}

fn report(
    cli: &Cli,
    shared: &Shared,
    (written_s, acknowledged): (f64, u64),
    watches: &[Watch; 2],
    restarts: &[f64],
    wrong: &[String],
) -> Value {
    let [first, second] = watches;
    let disk = larger(&first.disk_mib, &second.disk_mib);
    let resident = larger(&first.resident_mib, &second.resident_mib);
    let longest = restarts.iter().copied().fold(0.0, f64::max);
    json!({
        "soak": "raftlet", "minutes": written_s / 60.0, "keys": cli.keys, "clients": cli.clients,
        "log_disk_mib": cli.log_disk_mib,
        "acknowledged": shared.acknowledged, "writes_s": (acknowledged as f64 / written_s).round(),
        "written_mib": (shared.acknowledged * cli.value_bytes as u64) >> 20,
        "disk_mib_max": rounded(&disk), "disk_mib_limit": cli.disk_mib_max,
        "disk_mib_max_first_half": rounded(&first.disk_mib),
        "disk_mib_max_second_half": rounded(&second.disk_mib),
        "resident_mib_max": rounded(&resident), "samples": first.samples + second.samples,
        "restart_s": restarts.iter().map(|s| (s * 1000.0).round() / 1000.0).collect::<Vec<_>>(),
        "restarts": restarts.len(), "restart_s_max": longest, "restart_s_limit": cli.restart_s_max,
        "unknown": shared.unknown, "refused": shared.refused,
        "first_refusal": shared.first_refusal, "wrong_keys": wrong.len(),
        "wrong": wrong.iter().take(5).collect::<Vec<_>>(),
    })
}

fn rounded(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| (value * 10.0).round() / 10.0).collect()
}

fn larger(a: &[f64], b: &[f64]) -> Vec<f64> {
    let len = a.len().max(b.len());
    let at = |of: &[f64], at: usize| of.get(at).copied().unwrap_or_default();
    (0..len).map(|place| at(a, place).max(at(b, place))).collect()
}

impl Watch {
    fn look(&mut self, running: &Running) {
        let members = running.servers.len();
        self.disk_mib.resize(members, 0.0);
        self.resident_mib.resize(members, 0.0);
        self.samples += 1;
        for at in 0..members {
            let disk = disk_bytes(&running.member_dir(at)) as f64 / f64::from(1 << 20);
            let resident = running.servers[at].resident_kib() as f64 / 1024.0;
            self.disk_mib[at] = self.disk_mib[at].max(disk);
            self.resident_mib[at] = self.resident_mib[at].max(resident);
        }
    }
}

/// Bytes that files take on disk.
fn disk_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|about| about.blocks() * 512).sum()
}

/// Kills all nodes in the middle of writes and starts them again. Seconds to
/// the first write that was begun afterwards and acknowledged.
async fn restart(running: &mut Running, shared: &RefCell<Shared>) -> Result<f64, Failure> {
    for server in &mut running.servers {
        server.strike();
    }
    for server in &mut running.servers {
        server.kill();
    }
    let since = Instant::now();
    {
        let mut shared = shared.borrow_mut();
        (shared.waited_since, shared.first_after) = (Some(since), None);
    }
    for at in 0..running.servers.len() {
        running.launch(at)?;
    }
    while since.elapsed() < START_WITHIN {
        if let Some(first) = shared.borrow().first_after {
            return Ok((first - since).as_secs_f64());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Err(format!("no write was acknowledged {} s after a kill of all", START_WITHIN.as_secs()))
}

/// One client: its keys in turn, until it is over.
async fn write(
    shared: Rc<RefCell<Shared>>,
    own: Vec<usize>,
    ports: Vec<u16>,
    client: u64,
    (pipeline, value_bytes): (u64, usize),
) {
    let mut at = usize::try_from(client).unwrap_or(0);
    let mut next = 0;
    let mut connection: Option<Connection> = None;
    while !shared.borrow().is_over && !own.is_empty() {
        let count = usize::try_from(pipeline).unwrap_or(1).clamp(1, own.len());
        let keys: Vec<usize> = (0..count).map(|n| own[(next + n) % own.len()]).collect();
        next = (next + count) % own.len();
        if connection.is_none() {
            at += 1;
            connection = Connection::open(ports[at % ports.len()], CONNECT_WITHIN).await.ok();
        }
        let Some(open) = connection.as_mut() else {
            tokio::time::sleep(BETWEEN_TRIES).await;
            continue;
        };
        let mut bytes = Vec::new();
        let begun = Instant::now();
        for key in &keys {
            let counted = &mut shared.borrow_mut().keys[*key];
            counted.sent += 1;
            request(&mut bytes, &[b"SET", &name(*key), &value(counted.sent, value_bytes)]);
        }
        let within = if shared.borrow().is_waiting() { RESUME_WITHIN } else { ANSWER_WITHIN };
        let answers = tokio::time::timeout(within, open.exchange(&bytes, count as u64)).await;
        let answers = answers.ok().and_then(Result::ok);
        if !shared.borrow_mut().take(&keys, begun, answers) {
            connection = None;
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }
}

impl Shared {
    /// Whether all nodes were killed and none has acknowledged anything since.
    fn is_waiting(&self) -> bool {
        self.waited_since.is_some() && self.first_after.is_none()
    }

    /// What a client was answered; `None` where the connection broke. Returns
    /// whether all was acknowledged.
    fn take(&mut self, keys: &[usize], begun: Instant, answers: Option<Answers>) -> bool {
        match answers {
            Some(answers) if answers.bad == 0 => {
                self.acknowledge(keys, begun);
                return true;
            }
            // Which of them is not told; what was sent is known to be sent.
            Some(answers) => {
                self.refused += answers.bad;
                self.unknown += answers.good;
                self.first_refusal = self.first_refusal.take().or(answers.first_bad);
            }
            None => self.unknown += keys.len() as u64,
        }
        false
    }

    /// All of a client's writes were acknowledged.
    fn acknowledge(&mut self, keys: &[usize], begun: Instant) {
        let now = Instant::now();
        for key in keys {
            let counted = &mut self.keys[*key];
            counted.acknowledged = counted.sent;
        }
        self.acknowledged += keys.len() as u64;
        self.last_acknowledged = Some(now);
        if self.waited_since.is_some_and(|since| begun >= since) && self.first_after.is_none() {
            self.first_after = Some(now);
        }
    }
}

fn name(key: usize) -> Vec<u8> {
    format!("soak:{key:06}").into_bytes()
}

fn value(number: u64, bytes: usize) -> Vec<u8> {
    let mut value = format!("{number:020}").into_bytes();
    value.resize(bytes.max(value.len()), b'v');
    value
}

/// Reads every key at every node; tells which hold what they must not.
async fn verify(running: &mut Running, keys: &[Counted]) -> Result<Vec<String>, Failure> {
    running.leader(START_WITHIN).await?;
    let mut wrong = Vec::new();
    for at in 0..running.servers.len() {
        let mut connection = Connection::open(running.client_ports[at], START_WITHIN).await?;
        for (key, counted) in keys.iter().enumerate() {
            let mut get = Vec::new();
            request(&mut get, &[b"GET", &name(key)]);
            let held = connection.ask(&get).await?;
            let number = held
                .split(|byte| *byte == b'\n')
                .nth(1)
                .and_then(|line| std::str::from_utf8(line.get(..20)?).ok()?.parse::<u64>().ok());
            let number = number.unwrap_or(0);
            if number < counted.acknowledged || number > counted.sent {
                wrong.push(format!("node {}, key {key}: {number}, {counted:?}", at + 1));
            }
        }
    }
    Ok(wrong)
}
