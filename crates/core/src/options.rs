//! What an embedder may choose for a group.
//!
//! [`Options`] is public fields with defaults; [`Settings`] is what a group
//! takes. The conversion holds every rule across fields, so forgetting to
//! check does not compile.

use std::time::Duration;

use crate::entry::PAYLOAD_BYTES_MAX;
use crate::mutants;
use crate::time::duration_ns;

/// Choices for a group, alike on all its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A follower that has heard nothing for one to two of these campaigns; a
    /// leader that has had no answer from a quorum for one steps down.
    /// Default 500 ms; raise it above ten round trips on slow links.
    pub election_timeout: Duration,
    /// How long a leader waits for an answer before it asks again, and how
    /// often it reminds members whose liveness nobody vouches for.
    /// Default 100 ms; at most a third of `election_timeout`.
    pub heartbeat_interval: Duration,
    /// A leader whose oldest unfinished write is older than this steps down and
    /// does not campaign until a write has ended. Default 1 s.
    pub stall_limit: Duration,
    /// Lets a leader read without a round while it is certain to be the only
    /// one. Default off: it rests on the members' clocks.
    pub lease: Option<LeaseOptions>,
    /// Bytes of entries in one append. One larger entry goes alone.
    /// Default 256 KiB.
    pub append_bytes_max: usize,
    /// Bytes on the way to one member. Default 8 MiB: a 100 ms link at
    /// 80 MB/s.
    pub window_bytes_max: usize,
    /// Messages on the way to one member. Default 256.
    pub window_messages_max: usize,
    /// Bytes of one command. Default 1 MiB, at most 4 MiB.
    pub command_bytes_max: usize,
    /// Bytes that a leader holds uncommitted before it refuses proposals.
    /// Default 16 MiB.
    pub uncommitted_bytes_max: usize,
    /// Reads that wait for confirmation. Default 65 536.
    pub reads_max: usize,
    /// Bytes of applied entries kept for slow members before they must come
    /// from storage. Default 1 MiB a group; the shard's limit comes on top.
    pub trailing_bytes_max: usize,
}

/// What an embedder vouches for when leases are on (§6.4.1).
///
/// With a lease a read at the leader costs no message. In return a voter that
/// hears a leader gives no vote for an election timeout, whatever it suspects,
/// and one that starts gives none for that long either: a killed leader is
/// replaced after an election timeout, not at once.
///
/// If clocks differ by more than promised, a deposed leader may serve what has
/// been overwritten. Nothing else depends on clocks: no write is lost, and
/// reads that take a round stay right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseOptions {
    /// While one member's monotonic clock shows a second passing, another's
    /// shows at most this many microseconds more. Quartz stays within 200,
    /// clocks that are being slewed within 1 000; a machine that is suspended,
    /// or moved while it runs, is within no bound. Alike on all members. From 1
    /// to 1 000 000.
    pub clock_drift_us: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            election_timeout: Duration::from_millis(500),
            heartbeat_interval: Duration::from_millis(100),
            stall_limit: Duration::from_secs(1),
            lease: None,
            append_bytes_max: 256 << 10,
            window_bytes_max: 8 << 20,
            window_messages_max: 256,
            command_bytes_max: 1 << 20,
            uncommitted_bytes_max: 16 << 20,
            reads_max: 1 << 16,
            trailing_bytes_max: 1 << 20,
        }
    }
}

/// An option that cannot stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("option {field} is {got}; it must be {must_be}")]
pub struct OptionsError {
    /// Which.
    pub field: &'static str,
    /// Its value.
    pub got: String,
    /// What would do.
    pub must_be: &'static str,
}

/// Options that fit together.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) options: Options,
    pub(crate) election_timeout_ns: u64,
    pub(crate) heartbeat_interval_ns: u64,
    pub(crate) stall_limit_ns: u64,
    /// How long a lease lasts from when its round began, by the leader's clock;
    /// `None` where leases are off.
    pub(crate) lease_ns: Option<u64>,
    /// Window units that one message costs at least, so that one number
    /// bounds bytes and messages alike (`leader/progress.rs`).
    pub(crate) message_cost_min: u64,
    pub(crate) window_units: u64,
}

impl Settings {
    /// The options as given.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }
}

impl TryFrom<Options> for Settings {
    type Error = OptionsError;

    fn try_from(options: Options) -> Result<Self, OptionsError> {
        let refuse = |field, got: String, must_be| Err(OptionsError { field, got, must_be });
        let heartbeat = options.heartbeat_interval;
        if heartbeat.is_zero() || heartbeat.saturating_mul(3) > options.election_timeout {
            let must_be = "above zero and at most a third of election_timeout";
            return refuse("heartbeat_interval", format!("{heartbeat:?}"), must_be);
        }
        if !(1..=PAYLOAD_BYTES_MAX).contains(&options.command_bytes_max) {
            let got = options.command_bytes_max.to_string();
            return refuse("command_bytes_max", got, "from 1 to 4 MiB, the format's limit");
        }
        if options.uncommitted_bytes_max < 2 * options.command_bytes_max {
            let got = options.uncommitted_bytes_max.to_string();
            return refuse("uncommitted_bytes_max", got, "at least 2 * command_bytes_max");
        }
        let window = options.window_messages_max;
        if window == 0 || window > options.window_bytes_max {
            let must_be = "at least 1 and at most window_bytes_max";
            return refuse("window_messages_max", window.to_string(), must_be);
        }
        if options.append_bytes_max == 0 || options.append_bytes_max > options.window_bytes_max {
            let got = options.append_bytes_max.to_string();
            return refuse("append_bytes_max", got, "at least 1 and at most window_bytes_max");
        }
        if options.stall_limit < options.election_timeout {
            let got = format!("{:?}", options.stall_limit);
            return refuse("stall_limit", got, "at least election_timeout: slow is not hung");
        }
        if options.reads_max == 0 {
            return refuse("reads_max", "0".to_owned(), "at least 1");
        }
        let lease_ns = match options.lease {
            None => None,
            Some(LeaseOptions { clock_drift_us: drift @ 1..=1_000_000 }) => {
                Some(lease_ns(duration_ns(options.election_timeout), drift))
            }
            Some(LeaseOptions { clock_drift_us }) => {
                let must_be = "from 1 to 1 000 000: no two clocks agree";
                return refuse("lease.clock_drift_us", clock_drift_us.to_string(), must_be);
            }
        };
        let window_units = units(options.window_bytes_max);
        Ok(Self {
            election_timeout_ns: duration_ns(options.election_timeout),
            heartbeat_interval_ns: duration_ns(heartbeat),
            stall_limit_ns: duration_ns(options.stall_limit),
            message_cost_min: (window_units / units(window)).max(1),
            window_units,
            lease_ns,
            options,
        })
    }
}

/// How much a leader's clock may show passing while no voter's shows an
/// election timeout.
fn lease_ns(timeout_ns: u64, clock_drift_us: u32) -> u64 {
    if mutants::is_active(60) {
        return timeout_ns;
    }
    let second = 1_000_000;
    let shortened = u128::from(timeout_ns) * second / (second + u128::from(clock_drift_us));
    u64::try_from(shortened).expect("shorter than a timeout")
}

fn units(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("usize is at most 64 bits")
}
