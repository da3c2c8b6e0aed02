//! One node of the demo as a process of its own.
//!
//! Invariants
//! - A process that is dropped is killed and reaped, whatever path led there;
//!   only [`NodeProcess::release`] lets one live on.
//! - A child whose parent vanished stops by itself: it holds the other end of
//!   its standard input (not with `--keep`).
//! - Ctrl-C at the terminal reaches the demo alone: each node has a process
//!   group of its own.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::demo::layout::Layout;
use crate::process::clock::TokioClock;
use crate::process::failure::Failure;

/// How often a child is asked whether it has ended.
const POLL: Duration = Duration::from_millis(2);

/// How a node is started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'a> {
    /// Whom it joins by; `None` for a first member.
    pub(super) join: Option<&'a str>,
    /// Whether it lives on without its parent.
    pub(super) outlives: bool,
}

/// A running node.
#[derive(Debug)]
pub(super) struct NodeProcess {
    id: usize,
    log: PathBuf,
    child: Option<Child>,
}

impl NodeProcess {
    /// Starts node `id` (from 1) of the cluster: a first member, or one that
    /// joins by a node's admin address.
    ///
    /// # Errors
    /// The process cannot be started.
    pub(super) fn start(layout: &Layout, id: usize, start: Start<'_>) -> Result<Self, Failure> {
        let log = layout.dir().join(format!("node-{id}.log"));
        let failed = |error: std::io::Error| {
            Failure::runtime(format!(
                "cannot start node {id}: {error}; its log would be {}",
                log.display()
            ))
        };
        let ports = layout
            .ports()
            .get(id.wrapping_sub(1))
            .ok_or_else(|| Failure::runtime(format!("there is no node {id}")))?;
        let program = std::env::current_exe().map_err(failed)?;
        let stderr = log_file(&log).map_err(failed)?;
        let mut command = Command::new(program);
        command
            .arg("serve")
            .args(["--node-id", &id.to_string()])
            .arg("--data-dir")
            .arg(layout.data_dir(id))
            .args(["--client-addr", &format!("127.0.0.1:{}", ports.client)])
            .args(["--peer-addr", &format!("127.0.0.1:{}", ports.peer)])
            .args(["--admin-addr", &format!("127.0.0.1:{}", ports.admin)])
            .args(["--groups", &layout.groups().to_string()])
            .stdout(Stdio::null())
            .stderr(stderr)
            .process_group(0);
        match start.join {
            Some(admin) => command.args(["--join", admin]),
            None => command.args(["--initial-members", &layout.initial_members()]),
        };
        for (name, _) in std::env::vars_os() {
            // The operator's own node is not this one.
            let text = name.to_string_lossy();
            let is_wanted = text == "RAFTLET_LOG_LEVEL" || text.starts_with("RAFTLET_SNAPSHOT_");
            if text.starts_with("RAFTLET_") && !is_wanted {
                command.env_remove(name);
            }
        }
        if start.outlives {
            command.stdin(Stdio::null());
        } else {
            command.stdin(Stdio::piped()).arg("--exit-with-stdin");
        }
        let child = command.spawn().map_err(failed)?;
        Ok(Self { id, log, child: Some(child) })
    }

    /// The exit status, if it has ended.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }

    /// Why it ended, for a person: its own last words.
    pub(super) fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let last = text
            .lines()
            .rev()
            .find(|line| line.starts_with("raftlet: "))
            .or_else(|| text.lines().next_back())
            .unwrap_or("it said nothing");
        format!("node {} ended: {last} (log: {})", self.id, self.log.display())
    }

    pub(super) fn process_id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// SIGKILL, without waiting for its end.
    pub(super) fn strike(&mut self) {
        if let Some(child) = self.child.as_mut() {
            // It fails only for a child that has ended.
            let _ = child.kill();
        }
    }

    /// SIGKILL, and its end seen. What the process had not sent is lost.
    #[expect(clippy::disallowed_methods, reason = "it was killed")]
    pub(super) fn kill(&mut self) {
        self.strike();
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }

    /// SIGTERM; after `patience` SIGKILL. The exit code of one that ended in
    /// order.
    pub(super) async fn stop(&mut self, clock: &TokioClock, patience: Duration) -> Option<i32> {
        self.terminate();
        let deadline = clock.elapsed().saturating_add(patience);
        let mut ended = self.ended();
        while self.child.is_some() && ended.is_none() && clock.elapsed() < deadline {
            tokio::time::sleep(POLL).await;
            ended = self.ended();
        }
        self.kill();
        ended.and_then(|status| status.code())
    }

    /// Asks it to stop.
    pub(super) fn terminate(&self) {
        let pid = self
            .child
            .as_ref()
            .and_then(|child| i32::try_from(child.id()).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Not reaped yet, so the id is still this child's; it may have
            // ended, which is what is wanted.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Lets it live on, and says under which process id.
    pub(super) fn release(mut self) -> u32 {
        let id = self.process_id();
        self.child = None;
        id
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn log_file(path: &PathBuf) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
