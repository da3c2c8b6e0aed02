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

use serde_json::{Value, json};

use crate::job::{Job, Kind, System};
use crate::resp::Request;
use crate::{null, ours, peers, resp};

const TUNABLES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1000000000");
/// One run under callgrind takes seconds; a laden machine many.
const RUN_WITHIN: Duration = Duration::from_secs(300);

impl Job {
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
        world.forget_messages();
        let woken = world.idle(self.entries);
        json!({ "rounds": self.entries, "woken": woken, "messages": world.messages() })
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
