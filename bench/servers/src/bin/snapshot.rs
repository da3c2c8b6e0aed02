//! Table `snapshot`: a large state is written down, taken to a member over a
//! link that breaks, and installed there, while clients write.
//!
//! Three members hold the state. One of them is cut off, the others write on,
//! and the leader is told to take a snapshot and let its log go. Then the link
//! comes back, and breaks again three times on the way. What is told: bytes
//! sent and sent twice, memory on both sides, and how long anybody waited. It ends
//! with status 1 where one of these is more than it must be.
//!
//! The link is a relay in front of the member's port for its peers (`link.rs`):
//! what others send to it is cut, and what it sends is not.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bench_report::{Musts, Panel, Plot, Shape, Spread, Table, conclude, missing, short};
use bench_servers::options::Common;
use bench_servers::systems::{Running, Setting, System};
use bench_servers::watch::{self, Phases, Shared, memory_kib, metric};
use bench_servers::{Failure, resp};
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

/// A large state, its snapshot, a link that breaks.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    common: Common,
    /// MiB of keys and values.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// Keys of the state of small keys, whose values share these MiB.
    #[arg(long, default_value_t = 5_000_000)]
    keys: u64,
    /// Which states.
    #[arg(long, value_delimiter = ',', default_value = "large,small,hash")]
    states: Vec<State>,
    /// Times that the link breaks on the way.
    #[arg(long, default_value_t = 3)]
    cuts: u64,
    /// So many clients overwrite all keys in turn, 16 at once and as fast as they
    /// are answered, in place of one that overwrites some at a steady rate.
    #[arg(long, default_value_t = 0)]
    full_speed: u64,
    /// As of `raftlet serve`.
    #[arg(long)]
    snapshot_bytes_per_second: Option<u64>,
}

/// What the keyspace holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum State {
    /// Values of 64 KiB.
    Large,
    /// Many small keys.
    Small,
    /// Half of it one hash of fields of 512 bytes, half values of 64 KiB.
    Hash,
}

const LARGE_BYTES: u64 = 64 << 10;
const FIELD_BYTES: u64 = 512;
/// Bytes of requests that a client sends at once while it fills.
const BATCH_BYTES: usize = 256 << 10;
const FILLERS: u64 = 16;
const TRIES_MAX: u32 = 20;
const WITHIN: Duration = Duration::from_secs(600);
/// A transfer begins within this, or none is needed; one of which nothing is
/// seen for so long has ended.
const BEGINS_WITHIN: Duration = Duration::from_secs(20);
const ENDS_WITHIN: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(10);
const BASELINE: Duration = Duration::from_secs(5);
const CUT: Duration = Duration::from_secs(1);
/// How long the member hears of no write before the snapshot: hundreds.
const BEHIND: Duration = Duration::from_secs(4);
/// Between two overwrites of the load, and how much one is.
const OVERWRITE_EVERY: Duration = Duration::from_millis(20);
const OVERWRITE_BYTES: u64 = 64 << 10;
/// What a client at full speed sends at once; and how long it waits where it is
/// refused.
const PIPELINE: u64 = 16;
const REFUSED: Duration = Duration::from_millis(20);
/// What a side of the transfer may take more than before.
const GREW_MIB_MAX: f64 = 64.0;
/// The longest that a node's thread may be held; where the machine held it for
/// longer before there was a snapshot, that.
const PAUSE_MS_MAX: f64 = 20.0;
/// What a cut may cost: some parts on their way on either side. Begun anew behind
/// its first quarter a gigabyte would cost 256.
const CUT_REPEATS_MIB_MAX: f64 = 4.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let report = match tempfile::Builder::new().prefix("bench-").tempdir_in(&cli.common.data_dir) {
        Ok(dir) => table(&cli, dir.path()).await,
        Err(error) => missing("snapshot", &format!("no directory for data: {error}")),
    };
    let plot = plot(&report);
    conclude(report.clone(), &musts(&report, cli.cuts), &plot, cli.common.svg.as_deref())
}

/// What each state must show; all of it is missed where one could not be measured.
fn musts(report: &Value, cuts: u64) -> Musts {
    let mut musts = Musts::default();
    for row in report["rows"].as_array().into_iter().flatten() {
        let state = row["state"].as_str().or(row["system"].as_str()).unwrap_or_default();
        for (side, field) in [("leader", "leader_grew_mib"), ("member", "member_grew_mib")] {
            musts.at_most(format!("{state}, the {side} grew"), &row[field], GREW_MIB_MAX, "MiB");
        }
        let made = row["cuts"].as_array().map(Vec::as_slice);
        let went_on = made.unwrap_or_default().iter().filter(|cut| {
            cut["resumed_at"].as_u64().zip(cut["at_part"].as_u64()).is_some_and(|(on, at)| on > at)
        });
        let went_on = json!(went_on.count());
        musts.at_least(format!("{state}, cuts that it went on behind"), &went_on, cuts as f64, "");
        let twice = CUT_REPEATS_MIB_MAX * cuts as f64;
        musts.at_most(format!("{state}, sent twice"), &row["repeated_mib"], twice, "MiB");
        for (side, field) in [("leader", "leader_thread"), ("member", "member_thread")] {
            for phase in ["hand_over", "transfer", "install"] {
                let what = format!(
                    "{state}, {}, longest PING of the {side} ({} ms before)",
                    phase.replace('_', "-"),
                    row[field]["before"]["longest_ms"].as_f64().map_or("-".to_owned(), short)
                );
                let before = row[field]["before"]["longest_ms"].as_f64().unwrap_or_default();
                let most = PAUSE_MS_MAX.max(before);
                musts.at_most(what, &row[field][phase]["longest_ms"], most, "ms");
            }
        }
        musts.at_most(format!("{state}, elections"), &row["elections"], 0.0, "");
    }
    musts
}

async fn table(cli: &Cli, dir: &Path) -> Value {
    let mut table = Table::new(&[
        "state",
        "snapshot MiB",
        "sent twice MiB",
        "leader grew MiB",
        "member grew MiB",
        "longest SET ms, before",
        "hand-over",
        "transfer",
        "install",
        "member's thread ms",
        "elections",
    ]);
    let mut rows = Vec::new();
    for state in &cli.states {
        let name = format!("{state:?}").to_lowercase();
        eprintln!("snapshot: {name}");
        let dir = dir.join(&name);
        let row = match LocalSet::new().run_until(run(cli, *state, &dir)).await {
            Ok(row) => row,
            Err(why) => missing(&name, &why),
        };
        // So that the disk holds one state's data at a time.
        if let Err(error) = fs::remove_dir_all(&dir) {
            eprintln!("snapshot: {} stays: {error}", dir.display());
        }
        let text = |value: &Value| value.as_f64().map_or("-".to_owned(), short);
        let mut cells = vec![name];
        for field in ["snapshot_mib", "repeated_mib", "leader_grew_mib", "member_grew_mib"] {
            cells.push(text(&row[field]));
        }
        for phase in ["before", "hand_over", "transfer", "install"] {
            cells.push(text(&row["set"][phase]["longest_ms"]));
        }
        cells.push(text(&row["member_thread"]["install"]["longest_ms"]));
        cells.push(text(&row["elections"]));
        table.row(cells);
        rows.push(row);
    }
    table.print();
    json!({ "table": "snapshot", "mib": cli.mib, "keys": cli.keys, "rows": rows })
}

/// A cluster, its leader, and the member that falls behind.
struct Scene {
    running: Running,
    leader: usize,
    member: usize,
    phases: Shared,
}

async fn run(cli: &Cli, state: State, dir: &Path) -> Result<Value, Failure> {
    // The log goes when it is told to, and all of it.
    let mut flags: Vec<String> = ["--snapshot-log-bytes", "1000000000000"].map(Into::into).into();
    flags.extend(["--snapshot-log-entries", "1000000000000"].map(Into::into));
    flags.extend(["--snapshot-tail-bytes", "4096"].map(Into::into));
    flags.extend(["--snapshot-tail-entries", "16"].map(Into::into));
    if let Some(rate) = cli.snapshot_bytes_per_second {
        flags.extend(["--snapshot-bytes-per-second".to_owned(), rate.to_string()]);
    }
    let setting = Setting { flags, is_linked: true };
    let mut running = Running::start_as(System::Raftlet, setting, &cli.common, dir).await?;
    let leader = running.leader(WITHIN).await?;
    let since = Instant::now();
    fill(cli, state, running.client_ports[leader]).await?;
    eprintln!("  filled in {:.0} s", since.elapsed().as_secs_f64());
    // On a laden machine it may be another by now.
    let leader = running.leader(WITHIN).await?;
    let member = (leader + 1) % running.servers.len();
    let scene = Scene { running, leader, member, phases: Shared::default() };
    scene.converged().await?;
    let (tasks, overwritten) = scene.clients(cli, state);
    let told = scene.tell(cli, state, &overwritten).await;
    for task in tasks {
        task.abort();
    }
    told
}

impl Scene {
    /// Probes, and clients that overwrite what is there; and the bytes that these
    /// have overwritten.
    fn clients(&self, cli: &Cli, state: State) -> (Vec<JoinHandle<()>>, Rc<Cell<u64>>) {
        let phases = || Rc::clone(&self.phases);
        let port = |at: usize| self.running.client_ports[at];
        let (leader, member) = (port(self.leader), port(self.member));
        let overwritten = Rc::new(Cell::new(0));
        let size = (cli.mib, cli.keys);
        let tell = |what: &'static str, ended: Result<(), Failure>| {
            if let Err(why) = ended {
                eprintln!("  {what}: {why}");
            }
        };
        let (sets, here, there) = (phases(), phases(), phases());
        let mut tasks = vec![
            spawn_local(async move { tell("sets", watch::probe_sets(leader, sets).await) }),
            spawn_local(async move {
                tell("leader", watch::probe_thread(leader, "leader", here).await);
            }),
            spawn_local(async move {
                tell("member", watch::probe_thread(member, "member", there).await);
            }),
        ];
        for client in 0..cli.full_speed {
            let counted = Rc::clone(&overwritten);
            let first = items(state, size) / cli.full_speed * client;
            tasks.push(spawn_local(async move {
                tell("overwrites", overwrite_all(leader, state, size, first, &counted).await);
            }));
        }
        if cli.full_speed == 0 {
            let counted = Rc::clone(&overwritten);
            tasks.push(spawn_local(async move {
                tell("overwrites", overwrite(leader, state, size, &counted).await);
            }));
        }
        (tasks, overwritten)
    }

    async fn tell(
        &self,
        cli: &Cli,
        state: State,
        overwritten: &Cell<u64>,
    ) -> Result<Value, Failure> {
        let (leader, member) = (self.leader, self.member);
        let process = |at: usize| self.running.servers[at].id();
        self.phases.borrow_mut().begin("before");
        tokio::time::sleep(BASELINE).await;
        let elections = self.sum("raftlet_elections_started_total").await?;
        let missed = self.sum("raftlet_heartbeat_send_failures_total").await?;
        let (leader_before, member_before) =
            (memory_kib(process(leader)).0, memory_kib(process(member)).0);
        watch::forget_peak(process(leader));
        watch::forget_peak(process(member));
        self.phases.borrow_mut().begin("behind");
        self.link().cut();
        tokio::time::sleep(BEHIND).await;

        self.phases.borrow_mut().begin("hand_over");
        let (mut since, mut before) = (Instant::now(), overwritten.get());
        let cut_at = self.leader_index("applied_index").await?;
        let mut said = self.running.post(leader, "/snapshot", "{}").await?;
        if self.leader_index("snapshot_index").await? < cut_at {
            // One was under way, of what the member has.
            (since, before) = (Instant::now(), overwritten.get());
            said = self.running.post(leader, "/snapshot", "{}").await?;
        }
        let hand_over_s = since.elapsed().as_secs_f64();
        let during = overwritten.get() - before;
        eprintln!("  taken in {hand_over_s:.1} s: {}", said.trim());

        self.phases.borrow_mut().begin("transfer");
        let bytes = self.link().bytes();
        let since = Instant::now();
        self.link().heal();
        let (parts, cuts) = self.transfer(cli.cuts).await?;
        let transfer_s = since.elapsed().as_secs_f64();
        let link_bytes = self.link().bytes() - bytes;

        self.phases.borrow_mut().begin("install");
        let since = Instant::now();
        self.installed().await?;
        let install_s = since.elapsed().as_secs_f64();
        self.phases.borrow_mut().begin("after");
        tokio::time::sleep(BASELINE).await;
        let (_, leader_peak) = memory_kib(process(leader));
        let (member_after, member_peak) = memory_kib(process(member));
        let sent = metric(&self.running, leader, "raftlet_snapshot_sent_bytes_total").await?;
        let again = metric(&self.running, leader, "raftlet_snapshot_repeated_bytes_total").await?;
        let held = metric(&self.running, leader, "raftlet_keys_bytes").await?;
        let missed = self.sum("raftlet_heartbeat_send_failures_total").await? - missed;
        let elections = self.sum("raftlet_elections_started_total").await? - elections;
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        let grew = |kib: u64, from: u64| kib.saturating_sub(from) as f64 / 1024.0;
        let phases = self.phases.borrow();
        Ok(json!({
            "state": format!("{state:?}").to_lowercase(), "held_mib": mib(held),
            "snapshot_mib": mib(sent - again), "parts": parts, "sent_mib": mib(sent),
            "repeated_mib": mib(again), "link_mib": mib(link_bytes as f64), "cuts": cuts,
            "hand_over_s": hand_over_s, "transfer_s": transfer_s, "install_s": install_s,
            "overwritten_during_hand_over_mib": mib(during as f64),
            "leader_rss_mib": grew(leader_before, 0), "leader_grew_mib": grew(leader_peak, leader_before),
            "member_rss_mib": [grew(member_before, 0), grew(member_after, 0)],
            "member_grew_mib": grew(member_peak, member_before.max(member_after)),
            "set": told(&phases, "set"), "leader_thread": told(&phases, "leader"),
            "member_thread": told(&phases, "member"),
            "heartbeats_missed": missed, "elections": elections,
        }))
    }

    fn link(&self) -> &bench_servers::link::Link {
        &self.running.links[self.member]
    }

    /// Breaks the link so many times on the way; ends when all parts are there.
    async fn transfer(&self, cuts: u64) -> Result<(u64, Vec<Value>), Failure> {
        let mut told = Vec::new();
        let mut parts = 0;
        let since = Instant::now();
        let (mut last, mut seen) = ((0, Instant::now()), Instant::now());
        while since.elapsed() < WITHIN {
            tokio::time::sleep(LOOK).await;
            let Some((done, of)) = self.progress().await? else {
                if parts > 0 && (told.len() as u64 >= cuts || seen.elapsed() > ENDS_WITHIN) {
                    return Ok((parts, told));
                }
                if parts == 0 && since.elapsed() > BEGINS_WITHIN {
                    return Err("the member was not far enough behind".to_owned());
                }
                continue;
            };
            (parts, seen) = (of, Instant::now());
            if last.1.elapsed() > Duration::from_secs(5) && last.0 != done {
                eprintln!("  {done} of {of} parts");
                last = (done, Instant::now());
            }
            let next = told.len() as u64 + 1;
            if next <= cuts && of > 0 && done >= of * next / (cuts + 1) {
                self.link().cut();
                tokio::time::sleep(CUT).await;
                let at = self.progress().await?.map_or(0, |(done, _)| done);
                self.link().heal();
                let resumed = self.moved_from(at).await?;
                told.push(json!({ "at_part": at, "resumed_at": resumed.0, "after_s": resumed.1 }));
            }
        }
        Err("the transfer does not end".to_owned())
    }

    /// The first progress other than `at`, and how long it took.
    async fn moved_from(&self, at: u64) -> Result<(u64, f64), Failure> {
        let since = Instant::now();
        while since.elapsed() < WITHIN {
            if let Some((done, _)) = self.progress().await?.filter(|(done, _)| *done != at) {
                return Ok((done, since.elapsed().as_secs_f64()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Err("the transfer does not go on".to_owned())
    }

    /// Parts that the member has, of how many; `None` while nothing is sent.
    async fn progress(&self) -> Result<Option<(u64, u64)>, Failure> {
        let status = self.running.status(self.member).await?;
        let transfer = &status["groups"][0]["transfers"][0];
        let number = |field: &str| transfer[field].as_u64();
        Ok(number("parts_done").zip(number("parts")).filter(|(done, of)| done < of))
    }

    /// How far the leader's group is, by a field of its status.
    async fn leader_index(&self, field: &str) -> Result<u64, Failure> {
        let status = self.running.status(self.leader).await?;
        Ok(status["groups"][0][field].as_u64().unwrap_or(0))
    }

    /// Waits until the member has the state and what came since.
    async fn installed(&self) -> Result<(), Failure> {
        let since = Instant::now();
        while since.elapsed() < WITHIN {
            let leader = self.running.status(self.leader).await?;
            let member = self.running.status(self.member).await?;
            let index = |of: &Value, field: &str| of["groups"][0][field].as_u64().unwrap_or(0);
            let is_there = index(&member, "applied_index") >= index(&leader, "snapshot_index")
                && index(&member, "applied_index") + 64 >= index(&leader, "commit_index");
            if is_there {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err("the member does not come up".to_owned())
    }

    /// Waits until all members have applied the same.
    async fn converged(&self) -> Result<(), Failure> {
        let since = Instant::now();
        while since.elapsed() < WITHIN {
            let mut seen = Vec::new();
            for at in 0..self.running.servers.len() {
                let status = self.running.status(at).await?;
                let group = &status["groups"][0];
                seen.push((group["digest_index"].clone(), group["state_digest"].clone()));
            }
            if seen.iter().all(|one| *one == seen[0]) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err("the members do not agree".to_owned())
    }

    async fn sum(&self, name: &str) -> Result<f64, Failure> {
        let mut sum = 0.0;
        for at in 0..self.running.servers.len() {
            sum += metric(&self.running, at, name).await?;
        }
        Ok(sum)
    }
}

fn told(phases: &Phases, what: &str) -> Value {
    let of = |phase: &'static str| (phase.to_owned(), phases.told(phase, what));
    let names = ["before", "behind", "hand_over", "transfer", "install", "after"];
    Value::Object(names.map(of).into_iter().collect())
}

/// The request that writes item `number` of a state; and its bytes.
fn item(state: State, (mib, keys): (u64, u64), number: u64, into: &mut Vec<u8>) -> u64 {
    let text = format!("key:{number:012}");
    let value = |bytes: u64| vec![b'a' + (number % 26) as u8; bytes as usize];
    let fields = if state == State::Hash { (mib << 20) / 2 / FIELD_BYTES } else { 0 };
    let bytes = match state {
        State::Small => ((mib << 20) / keys).saturating_sub(text.len() as u64).max(1),
        State::Hash if number < fields => FIELD_BYTES - text.len() as u64,
        State::Large | State::Hash => LARGE_BYTES,
    };
    if number < fields {
        resp::request(into, &[b"HSET", b"hash", text.as_bytes(), &value(bytes)]);
    } else {
        resp::request(into, &[b"SET", text.as_bytes(), &value(bytes)]);
    }
    bytes
}

/// How many items a state has.
fn items(state: State, (mib, keys): (u64, u64)) -> u64 {
    let bytes = mib << 20;
    match state {
        State::Large => bytes / LARGE_BYTES,
        State::Small => keys,
        State::Hash => bytes / 2 / FIELD_BYTES + bytes / 2 / LARGE_BYTES,
    }
}

async fn fill(cli: &Cli, state: State, port: u16) -> Result<(), Failure> {
    let size = (cli.mib, cli.keys);
    let mut tasks = Vec::new();
    for filler in 0..FILLERS {
        tasks.push(spawn_local(async move {
            let mut connection = resp::Connection::open(port, WITHIN).await?;
            let (mut batch, mut count) = (Vec::new(), 0);
            let mine = (filler..items(state, size)).step_by(FILLERS as usize);
            let mut mine = mine.peekable();
            while let Some(number) = mine.next() {
                item(state, size, number, &mut batch);
                count += 1;
                if batch.len() >= BATCH_BYTES || mine.peek().is_none() {
                    // On a laden machine a write may end unknown: said again.
                    let mut tries = 0;
                    while let Some(bad) = connection.exchange(&batch, count).await?.first_bad {
                        tries += 1;
                        if tries > TRIES_MAX {
                            return Err(bad);
                        }
                    }
                    batch.clear();
                    count = 0;
                }
            }
            Ok::<_, Failure>(())
        }));
    }
    for task in tasks {
        task.await.map_err(|error| error.to_string())??;
    }
    Ok(())
}

/// Overwrites random items at a steady rate.
async fn overwrite(
    port: u16,
    state: State,
    size: (u64, u64),
    overwritten: &Cell<u64>,
) -> Result<(), Failure> {
    let mut connection = resp::Connection::open(port, WITHIN).await?;
    let mut random = 1_u64;
    loop {
        let (mut batch, mut count, mut bytes) = (Vec::new(), 0, 0);
        while bytes < OVERWRITE_BYTES && count < 64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            bytes += item(state, size, (random >> 20) % items(state, size), &mut batch);
            count += 1;
        }
        let answers = connection.exchange(&batch, count).await?;
        if let Some(bad) = answers.first_bad {
            return Err(bad);
        }
        overwritten.set(overwritten.get() + bytes);
        tokio::time::sleep(OVERWRITE_EVERY).await;
    }
}

/// Overwrites all items in turn, from one on, as fast as it is answered.
async fn overwrite_all(
    port: u16,
    state: State,
    size: (u64, u64),
    first: u64,
    overwritten: &Cell<u64>,
) -> Result<(), Failure> {
    let mut connection = resp::Connection::open(port, WITHIN).await?;
    let all = items(state, size);
    let mut next = first;
    loop {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for _ in 0..PIPELINE {
            bytes += item(state, size, next % all, &mut batch);
            next += 1;
        }
        let answers = connection.exchange(&batch, PIPELINE).await?;
        if answers.bad > 0 {
            tokio::time::sleep(REFUSED).await;
            continue;
        }
        overwritten.set(overwritten.get() + bytes);
    }
}

/// The table as a picture.
fn plot(report: &Value) -> Plot {
    let mut plot = Plot::new(
        "A large state is written down, sent over a link that breaks, and installed",
        "Three members and their clients on one machine. Less is better.",
    );
    for phase in ["before", "hand_over", "transfer", "install"] {
        let mut panel = Panel::new(&format!("Longest SET, {phase}, ms"), Shape::Bars);
        for row in report["rows"].as_array().into_iter().flatten() {
            let longest = Spread::of_json(&row["set"][phase]["longest_ms"]);
            panel.figure("raftlet", row["state"].as_str().unwrap_or_default(), longest);
        }
        plot.panel(panel);
    }
    plot
}
