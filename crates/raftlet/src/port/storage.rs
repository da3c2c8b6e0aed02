//! Durable state of all groups of one shard (D4).

use std::future::Future;

use bytes::Bytes;

use raftlet_core::{Entries, Generation, GroupId, HardState, Index, LogId};

/// A change of one group, in this order: hard state, truncation, entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupWrite {
    /// Which group.
    pub group: GroupId,
    /// The life of its id.
    pub generation: Generation,
    /// Term and vote, when they changed. The latest of the batch.
    pub hard_state: Option<HardState>,
    /// Remove the entries from this index on, before appending.
    pub truncate_from: Option<Index>,
    /// Append these; they follow what is there after the truncation.
    pub entries: Entries,
}

/// The changes of one write. A group may stand in it more than once; order
/// counts.
#[derive(Debug, Default)]
pub struct WriteBatch {
    /// The changes in order.
    pub writes: Vec<GroupWrite>,
}

/// A group that storage knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupInfo {
    /// Which.
    pub group: GroupId,
    /// The life of its id.
    pub generation: Generation,
}

/// What storage holds of a group's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadedLog {
    /// The last entry's index; 0 when there is none.
    pub last: Index,
    /// The first log id of each run of entries with one term, ascending. Its
    /// first element is the first entry held.
    pub runs: Vec<LogId>,
    /// Index and payload of every entry of kind configuration, ascending.
    pub configurations: Vec<(Index, Bytes)>,
    /// Log time of the last entry, milliseconds (D12).
    pub last_log_time_ms: u64,
}

/// Why storage could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// A write or flush failed, now or before: nothing is promised any more
    /// until the process starts again (rule 9).
    #[error(
        "storage is poisoned since a failed write: {cause}; restart the process on a healthy disk"
    )]
    Poisoned {
        /// The first failure, with its place.
        cause: String,
    },
    /// No room, noticed before anything was written (rule 9).
    #[error("no space for {bytes} bytes: {place}; free space, then try again")]
    NoSpace {
        /// What was needed.
        bytes: u64,
        /// Where.
        place: String,
    },
    /// What was written is not what is read (rule 10).
    #[error("group {group} is damaged: {detail}")]
    Damaged {
        /// Whose data.
        group: GroupId,
        /// File, offset, range.
        detail: String,
    },
    /// The entries asked for are not held.
    #[error("group {group} holds no entry {index}")]
    Missing {
        /// Whose.
        group: GroupId,
        /// The first one missing.
        index: Index,
    },
    /// The device could not be read.
    #[error("cannot read: {detail}")]
    Unreadable {
        /// File, offset, cause.
        detail: String,
    },
}

/// Durable state of all groups of one shard.
///
/// 1. The shard has at most one `write` in flight.
/// 2. After `Ok` the whole batch survives power loss; before, all of it or
///    nothing will be found.
/// 3. After `Err(Poisoned)` nothing is promised and the shard asks no more
///    (rule 9). After `Err(NoSpace)` nothing of the batch was written.
/// 4. Dropping the future leaves the batch undecided, never half applied; the
///    batch is owned by the call so that no buffer in flight is freed.
/// 5. `read` returns entries as they were written, checksums verified, of what
///    was durable when it was called and is not truncated since; at least one,
///    contiguous from `first`. It may run beside a `write`.
/// 6. The loads tell what survived, as of the start of this run, and are asked
///    before the first write to the group.
pub trait Storage: 'static {
    /// The groups held.
    fn groups(&self) -> impl Future<Output = Result<Vec<GroupInfo>, StorageError>>;

    /// Term and vote of a group; the default for one never seen.
    fn load_term_and_vote(
        &self,
        group: GroupId,
    ) -> impl Future<Output = Result<HardState, StorageError>>;

    /// The shape of a group's log; the default for one never seen.
    fn load_log(&self, group: GroupId) -> impl Future<Output = Result<LoadedLog, StorageError>>;

    /// Makes a batch durable; gives it back for reuse.
    fn write(
        &self,
        batch: WriteBatch,
    ) -> impl Future<Output = (WriteBatch, Result<(), StorageError>)>;

    /// Entries from `first` up to `last`, stopping after `bytes_max` bytes
    /// though not before the first entry.
    fn read(
        &self,
        group: GroupId,
        first: Index,
        last: Index,
        bytes_max: usize,
    ) -> impl Future<Output = Result<Entries, StorageError>>;
}
