//! The one place that asks the machine for the time (D2, D10).
//!
//! Everything else in the house takes time as an argument. [`TokioClock`] is
//! the clock port of production: monotonic from the start of the process, and
//! the calendar beside it, which decides nothing but stamps (D12).
//!
//! In builds with debug assertions, which are those of tests, the calendar can
//! be put wrong while the node runs ([`TEST_CALENDAR`]). Other builds know
//! nothing of it.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use raftlet::Clock;
use raftlet::core::{Now, Time, WallMs};

/// The machine's clocks, waiting on tokio's timer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokioClock {
    origin: Instant,
}

impl TokioClock {
    /// A clock whose origin is this moment.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Time since the origin.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.origin)
    }

    /// Nanoseconds since the origin; 584 years fit.
    pub(crate) fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Now {
        Now { time: Time::from_ns(self.elapsed_ns()), wall: wall() }
    }

    async fn pause(&self) {
        // Behind a look at the sockets; waking itself, a task would be run some
        // sixty times before.
        tokio::task::yield_now().await;
    }

    fn lend_core(&self) {
        std::thread::yield_now();
    }

    async fn sleep_until(&self, deadline: Time) {
        // `None`: later than the machine can count, so never.
        match self.origin.checked_add(Duration::from_nanos(deadline.ns())) {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }
}

/// Names a file that holds by how many milliseconds the calendar is ahead.
const TEST_CALENDAR: &str = "RAFTLET_TEST_CALENDAR";

/// The calendar. Before 1970 it is 1970.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn wall() -> WallMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    WallMs(if cfg!(debug_assertions) { ms.saturating_add_signed(ahead_ms()) } else { ms })
}

/// By how much a test has put the calendar ahead. What it can't read is nothing.
fn ahead_ms() -> i64 {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os(TEST_CALENDAR).map(PathBuf::from));
    let text = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
