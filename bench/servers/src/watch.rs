//! What is seen of a cluster from outside while something large goes on: how
//! long a SET takes, how long a node's thread does not answer, how much memory
//! a process has.
//!
//! Everything is told by phases: whoever measures names the present one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Failure;
use crate::resp;
use crate::systems::Running;

/// Between two questions: a pause of 20 ms is met by some of them.
const BETWEEN: Duration = Duration::from_millis(2);
const ASK_WITHIN: Duration = Duration::from_secs(30);

/// Latencies by phase, microseconds.
#[derive(Debug, Default)]
pub struct Phases {
    now: &'static str,
    us: BTreeMap<(&'static str, String), Vec<u64>>,
}

/// Shared by whoever asks and whoever names the phases.
pub type Shared = Rc<RefCell<Phases>>;

impl Phases {
    /// From now on it is this one.
    pub fn begin(&mut self, phase: &'static str) {
        self.now = phase;
    }

    /// The present one.
    #[must_use]
    pub const fn phase(&self) -> &'static str {
        self.now
    }

    /// Counts a question in that was asked at `since`.
    pub fn note(&mut self, phase: &'static str, what: &str, since: Instant) {
        let us = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.us.entry((phase, what.to_owned())).or_default().push(us);
    }

    /// Of one phase: count, median, 99th percentile and longest, milliseconds.
    #[must_use]
    pub fn told(&self, phase: &'static str, what: &str) -> Value {
        let Some(us) = self.us.get(&(phase, what.to_owned())) else {
            return Value::Null;
        };
        let mut us = us.clone();
        us.sort_unstable();
        let at = |share: f64| us[((us.len() as f64 * share) as usize).min(us.len() - 1)] as f64;
        json!({ "count": us.len(), "p50_ms": at(0.5) / 1000.0, "p99_ms": at(0.99) / 1000.0,
                "p999_ms": at(0.999) / 1000.0, "longest_ms": at(1.0) / 1000.0 })
    }
}

/// Sets one small key again and again. Ends with the connection.
///
/// # Errors
/// The node does not answer, or refuses.
pub async fn probe_sets(port: u16, phases: Shared) -> Result<(), Failure> {
    let mut connection = resp::Connection::open(port, ASK_WITHIN).await?;
    let mut request = Vec::new();
    resp::request(&mut request, &[b"SET", b"probe", b"x"]);
    loop {
        let (phase, since) = (phases.borrow().now, Instant::now());
        let answers = connection.exchange(&request, 1).await?;
        phases.borrow_mut().note(phase, "set", since);
        if let Some(bad) = answers.first_bad {
            return Err(bad);
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

/// Asks a node's client port for nothing again and again: what answers is the
/// thread that everything of the node runs on.
///
/// # Errors
/// The node does not answer.
pub async fn probe_thread(port: u16, name: &'static str, phases: Shared) -> Result<(), Failure> {
    let mut connection = resp::Connection::open(port, ASK_WITHIN).await?;
    let mut request = Vec::new();
    resp::request(&mut request, &[b"PING"]);
    loop {
        let (phase, since) = (phases.borrow().now, Instant::now());
        connection.exchange(&request, 1).await?;
        phases.borrow_mut().note(phase, name, since);
        tokio::time::sleep(BETWEEN).await;
    }
}

/// Memory of a process, KiB: now, and the most since [`forget_peak`].
#[must_use]
pub fn memory_kib(process: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// The peak counts from now on.
pub fn forget_peak(process: u32) {
    let _ = std::fs::write(format!("/proc/{process}/clear_refs"), "5");
}

/// A counter or gauge of a node of ours; 0 where it has none of that name.
///
/// # Errors
/// It does not answer.
pub async fn metric(running: &Running, at: usize, name: &str) -> Result<f64, Failure> {
    let text = running.get(at, "/metrics").await?;
    let value = |line: &str| {
        let (found, value) = line.rsplit_once(' ')?;
        let found = found.split('{').next()?;
        (found == name).then(|| value.parse::<f64>().ok())?
    };
    Ok(text.lines().filter_map(value).sum())
}
