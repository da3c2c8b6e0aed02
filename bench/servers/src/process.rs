//! A server as a child process.
//!
//! Invariants
//! - A process that is dropped is killed and reaped; one whose parent was
//!   killed dies with it (`setpriv`, of util-linux).
//! - Nothing but children of this program is ever signalled.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Failure;

/// What an orderly stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// CPU time when it was killed: nobody tells it afterwards.
    last_cpu_us: u64,
}

impl Server {
    /// Starts it; what it says goes to `log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &Command, log: &Path) -> Result<Self, Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = |error: std::io::Error| format!("cannot start {name}: {error}");
        let out = File::options().create(true).append(true).open(log).map_err(failed)?;
        let err = out.try_clone().map_err(failed)?;
        // `setpriv` becomes the program: the process id stays.
        let mut bound = Command::new("setpriv");
        bound.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
        bound.stdin(Stdio::null()).stdout(out).stderr(err);
        Ok(Self { child: bound.spawn().map_err(failed)?, last_cpu_us: 0 })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL, and its end seen.
    pub fn kill(&mut self) {
        self.last_cpu_us = self.cpu_us();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGKILL, without waiting for the end.
    pub fn strike(&mut self) {
        let _ = self.child.kill();
    }

    /// Another signal; nothing happens if it has ended and was reaped.
    pub fn signal(&mut self, signal: Signal) {
        if !self.is_running() {
            return;
        }
        if let Some(pid) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// SIGTERM, then SIGKILL when it takes too long.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let since = Instant::now();
        while self.is_running() && since.elapsed() < STOP_WITHIN {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.kill();
    }

    /// User and system time so far, microseconds.
    #[must_use]
    pub fn cpu_us(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        // Behind the name, which may hold anything, fields 14 and 15.
        let behind = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<u64> =
            behind.split_whitespace().skip(11).take(2).filter_map(|n| n.parse().ok()).collect();
        let us = fields.iter().sum::<u64>() * 1_000_000 / rustix::param::clock_ticks_per_second();
        us.max(self.last_cpu_us)
    }

    /// Resident memory, KiB.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ports that are free now, below those the kernel gives to connections.
///
/// # Errors
/// There are not that many.
pub fn free_ports(count: usize) -> Result<Vec<u16>, Failure> {
    let start = 20_000 + u16::try_from(std::process::id() % 8_000).unwrap_or(0);
    let mut held = Vec::new();
    for port in start..32_000 {
        if held.len() == count {
            break;
        }
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push((port, listener));
        }
    }
    if held.len() < count {
        return Err(format!("no {count} free ports on 127.0.0.1"));
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}
