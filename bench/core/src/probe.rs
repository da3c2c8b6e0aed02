//! Starts runs as processes of their own and reads what they cost.
//!
//! Invariants
//! - Every wait is bounded; what fails is an error with a cause, never a
//!   number.
//! - Callgrind counts glibc's `rep movsb` copy once per byte, so processes run
//!   with that copy switched off (`GLIBC_TUNABLES`).

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::load::Load;
use crate::resp::Request;
use crate::{null, ours, peers, resp};

const TUNABLES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1000000000");
/// One run under callgrind takes seconds; a laden machine many.
const RUN_WITHIN: Duration = Duration::from_secs(300);

/// Who is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum System {
    Raftlet,
    Null,
    RaftRs,
    Omnipaxos,
    Openraft,
}

impl System {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raftlet => "raftlet",
            Self::Null => "null core (floor)",
            Self::RaftRs => "raft 0.7.0, tuned",
            Self::Omnipaxos => "omnipaxos 0.2.4",
            Self::Openraft => "openraft 0.9.25",
        }
    }
}

/// What a run does.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Kind {
    /// Commits entries.
    Commit,
    /// Elects, then lets `entries` times 100 ms pass over idle groups.
    Idle,
    /// The same, with nobody vouching for anybody: groups remind each other.
    IdleUnvouched,
    /// Live bytes per member, fresh and elected.
    Memory,
    /// One client's requests without sockets or consensus; `batch` at a time.
    RespGet,
    /// The same, of writes.
    RespSet,
}

impl Kind {
    /// Whether a run's unit is what it committed or answered, and not time.
    fn counts_entries(self) -> bool {
        matches!(self, Self::Commit | Self::RespGet | Self::RespSet)
    }
}

/// One run.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Job {
    #[arg(value_enum)]
    pub(crate) system: System,
    #[arg(long, value_enum, default_value_t = Kind::Commit)]
    pub(crate) kind: Kind,
    #[arg(long, default_value_t = 3)]
    pub(crate) members: u64,
    #[arg(long, default_value_t = 1)]
    pub(crate) groups: u64,
    #[arg(long, default_value_t = 1)]
    pub(crate) batch: u64,
    #[arg(long, default_value_t = 1000)]
    pub(crate) entries: u64,
    #[arg(long)]
    pub(crate) wire: bool,
}

impl Job {
    /// A run of three members that commits in batches.
    pub(crate) fn commit(system: System, batch: u64) -> Self {
        let entries = batch * (2000 / batch).clamp(200, 1000);
        let (kind, members, groups) = (Kind::Commit, 3, 1);
        Self { system, kind, members, groups, batch, entries, wire: false }
    }

    pub(crate) fn load(self) -> Load {
        let Self { members, groups, batch, entries, wire, .. } = self;
        Load { members, groups, batch, entries, wire }
    }

    /// Does it, in this process.
    ///
    /// # Errors
    /// There is no such run.
    pub(crate) fn run(self) -> Result<Value, String> {
        match (self.system, self.kind) {
            (System::Raftlet, Kind::Commit) => Ok(ours::run(self.load()).json()),
            (System::Raftlet, Kind::Idle) => Ok(self.idle(true)),
            (System::Raftlet, Kind::IdleUnvouched) => Ok(self.idle(false)),
            (System::Raftlet, Kind::Memory) => Ok(ours::memory(self.groups, self.members)),
            (System::Raftlet, Kind::RespGet) => Ok(self.answer(Request::Get)),
            (System::Raftlet, Kind::RespSet) => Ok(self.answer(Request::Set)),
            (System::Null, Kind::Commit) => Ok(null::run(self.load()).json()),
            (System::Null, kind) => Err(format!("the floor has no run {kind:?}")),
            (System::RaftRs | System::Omnipaxos | System::Openraft, _) => peers::run(self),
        }
    }

    fn answer(self, request: Request) -> Value {
        resp::run(request, self.batch, self.entries).json()
    }

    fn idle(self, vouched: bool) -> Value {
        let mut world = ours::World::new(self.groups, self.members, false, vouched);
        world.elect();
        world.settle();
        world.messages = 0;
        let woken = world.idle(self.entries);
        json!({ "rounds": self.entries, "woken": woken, "messages": world.messages })
    }

    fn arguments(self) -> Vec<String> {
        let value = |value: &dyn ToString| value.to_string();
        let name = |possible: Option<clap::builder::PossibleValue>| {
            possible.map(|possible| possible.get_name().to_owned()).unwrap_or_default()
        };
        let mut arguments = vec!["work".to_owned(), name(self.system.to_possible_value())];
        arguments.extend(["--kind".to_owned(), name(self.kind.to_possible_value())]);
        arguments.extend(["--members".to_owned(), value(&self.members)]);
        arguments.extend(["--groups".to_owned(), value(&self.groups)]);
        arguments.extend(["--batch".to_owned(), value(&self.batch)]);
        arguments.extend(["--entries".to_owned(), value(&self.entries)]);
        if self.wire {
            arguments.push("--wire".to_owned());
        }
        arguments
    }

    fn times(self, factor: u64) -> Self {
        Self { entries: self.entries * factor, ..self }
    }

    /// Runs it as a process; what it prints.
    pub(crate) fn alone(self) -> Result<Value, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args(self.arguments());
        read(&finished(command)?)
    }

    /// Instructions of the whole process, by callgrind.
    fn instructions(self, dir: &Path) -> Result<(f64, Value), String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let file = dir.join("callgrind.out");
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "-q"]);
        command.arg(format!("--callgrind-out-file={}", file.display()));
        command.arg(program).args(self.arguments()).env(TUNABLES.0, TUNABLES.1);
        let said = read(&finished(command)?)?;
        let profile = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
        let total = profile
            .lines()
            .find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")))
            .and_then(|count| count.trim().parse::<f64>().ok())
            .ok_or("callgrind wrote no total")?;
        Ok((total, said))
    }

    /// Instructions per unit of `entries`: (I(2N) - I(N)) / N, and what both
    /// runs said.
    pub(crate) fn marginal(self, dir: &Path) -> Result<Marginal, String> {
        let (once, said_once) = self.instructions(dir)?;
        let (twice, said_twice) = self.times(2).instructions(dir)?;
        let count = |said: &Value, field: &str| said[field].as_f64().unwrap_or(0.0);
        let units = if self.kind.counts_entries() {
            count(&said_twice, "entries") - count(&said_once, "entries")
        } else {
            self.entries as f64
        };
        let per = |field| (count(&said_twice, field) - count(&said_once, field)) / units;
        Ok(Marginal {
            instructions: (twice - once) / units,
            allocations: per("allocations"),
            messages: per("messages"),
        })
    }
}

/// Cost of one more entry, or one more idle round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marginal {
    pub(crate) instructions: f64,
    pub(crate) allocations: f64,
    pub(crate) messages: f64,
}

fn read(output: &str) -> Result<Value, String> {
    let line = output.lines().next_back().ok_or("the run said nothing")?;
    serde_json::from_str(line).map_err(|error| format!("the run said {line}: {error}"))
}

/// Waits for the end of `command`, killing it when it takes too long.
fn finished(mut command: Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
    let since = Instant::now();
    // A run prints one short line: its pipe never fills.
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        if since.elapsed() > RUN_WITHIN {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{name} took longer than {} s", RUN_WITHIN.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = text(&output.stderr);
    Err(format!("{name} failed: {}", said.lines().next_back().unwrap_or("it said nothing")))
}
