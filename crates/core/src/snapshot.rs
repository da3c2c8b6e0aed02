//! Snapshots as the protocol sees them (§5): where one ends, and what of the
//! library's own state is true there.
//!
//! What a machine puts into a snapshot, and how it gets into a file and out
//! again, is the driver's. The core decides from where on the log is kept,
//! whether a member needs a snapshot instead of entries, and what becomes of a
//! log behind one that was received (rules 12, 14, 23).
//!
//! Invariants
//! - A snapshot covers only what is committed, so it is true in every later
//!   term as well.
//! - The configuration is the one in effect *at* its index, never the latest.
//!
//! Not here: what a leader sends to whom (`leader/progress/snapshot.rs`), what
//! a log with a base looks like (`log/base.rs`).

use bytes::Bytes;

use crate::ids::{Index, LogId};
use crate::membership::Configuration;

/// Bytes of one part of a snapshot at most: 1 MiB, an eighth of what one frame of
/// the transport holds, so that what must not wait is not kept waiting long.
pub const SNAPSHOT_PART_BYTES_MAX: usize = 1 << 20;

/// What a snapshot says of the group at its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last entry that it contains.
    pub last: LogId,
    /// Where the configuration in effect at `last` stands.
    pub configuration_index: Index,
    /// That configuration.
    pub configuration: Configuration,
    /// Log time there, milliseconds (D12).
    pub log_time_ms: u64,
}

/// The front of the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// Entries up to and with this one leave the log, whose base it is from now
    /// on. A log that ends before it begins anew behind it. It is at or before
    /// the current snapshot's last entry, the one named here included.
    pub base: LogId,
    /// The finished snapshot of this log id becomes the group's current one,
    /// with the same record (rule 12).
    pub snapshot: Option<LogId>,
}

/// A piece of a snapshot on its way to a member. Harmless when late: pieces are
/// taken only from the leader of the present term, in order, and of a snapshot
/// that is news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotPart {
    /// Which snapshot.
    pub last: LogId,
    /// Part 0 is the head, the others are the chunks, counted from 1.
    pub number: u64,
    /// CRC-32C of the bytes, seeded with the number's low half: made where the
    /// part was read, checked where it is written (rule 11).
    pub checksum: u32,
    /// The part itself, at most [`SNAPSHOT_PART_BYTES_MAX`].
    pub bytes: Bytes,
}

/// How the transfer of a snapshot stands at the member that receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotAck {
    /// Which snapshot.
    pub last: LogId,
    /// What is wanted, if anything.
    pub outcome: SnapshotOutcome,
}

/// What the receiver of a snapshot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotOutcome {
    /// Every part before this one is here: go on with it.
    Wants {
        /// The next part.
        number: u64,
    },
    /// It is whole and durable.
    Installed,
    /// It is no news, or cannot be taken: what the member has is in its acks.
    Refused,
}
