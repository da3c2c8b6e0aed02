//! Durable state of all groups of one shard (D4).

use std::future::Future;

use bytes::Bytes;

use crate::port::snapshot::{SnapshotInfo, SnapshotMeta, SnapshotReader, SnapshotWriter};
pub use raftlet_core::{Compaction, Shortage};
use raftlet_core::{Entries, Generation, GroupId, HardState, Index, LogId, Term};

/// A change of one group, in this order: hard state, loss, truncation, compaction,
/// entries, refilled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupWrite {
    /// Which group.
    pub group: GroupId,
    /// The life of its id.
    pub generation: Generation,
    /// Term and vote, when they changed. The latest of the batch.
    pub hard_state: Option<HardState>,
    /// What is held from this entry on was not given back: it counts as lost, found in
    /// the term that this write leaves (law 9). With nothing else but a hard state.
    pub lost_from: Option<Index>,
    /// Remove the entries from this index on, before appending.
    pub truncate_from: Option<Index>,
    /// Let the front of the log go, before appending.
    pub compact: Option<Compaction>,
    /// Append these; they follow what is there after truncation and compaction.
    pub entries: Entries,
    /// A leader has sent again what was damaged: [`LoadedLog::damage`] ends.
    pub refilled: bool,
}

impl GroupWrite {
    /// A write that changes nothing yet.
    #[must_use]
    pub fn new(group: GroupId, generation: Generation) -> Self {
        Self { group, generation, ..Self::default() }
    }
}

/// Entries that were held and cannot be given back (rule 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedRange {
    /// The first one that is not held again. The log is told as ending before it.
    pub first: Index,
    /// The last one that was held, lost or behind a lost one. Before `first` when
    /// all were sent again and no write has said so yet.
    pub last: Index,
    /// The group's term when that was found, whatever it entered since; of several
    /// losses, when the last of them was. Where that is not known any more the
    /// present term is safe, a lower one than it was is not.
    pub term: Term,
}

/// A group whose entries keep storage from freeing space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Which.
    pub group: GroupId,
    /// Bytes of log that would be free were its log compacted up to `until`.
    pub bytes: u64,
    /// The last entry that is in the way.
    pub until: Index,
}

/// Room for entries while there is a shortage, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// At any time.
    pub free: u64,
    /// All that entries may have, which leaves room for a snapshot that lets the
    /// log go; at least `free`.
    pub in_all: u64,
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
    /// The entry before the first one held; zero for a log never compacted.
    pub base: LogId,
    /// The last entry's index; that of the base when there is none.
    pub last: Index,
    /// The first log id of each run of entries with one term, ascending. Its
    /// first element is the first entry held.
    pub runs: Vec<LogId>,
    /// Index and payload of every entry of kind configuration, ascending. Of a log
    /// that is lost from entry 1 on, those that are still known: they tell who may
    /// refill it, and are part of no log.
    pub configurations: Vec<(Index, Bytes)>,
    /// Log time of the last entry, milliseconds (D12); 0 when none is held: the
    /// snapshot's head knows it then.
    pub last_log_time_ms: u64,
    /// What is damaged; the group neither votes nor acknowledges until a leader
    /// has sent it again and a write has said so.
    pub damage: Option<DamagedRange>,
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
    /// A snapshot could not be written or named; the log goes on.
    #[error("snapshot of group {group} failed: {detail}")]
    Snapshot {
        /// Whose.
        group: GroupId,
        /// What, where, cause.
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
/// 5. `read` returns entries as they were written, checksums verified by this
///    very read, for they are applied without another check, of what was durable
///    when it was called and is not truncated since; at least one, contiguous from
///    `first`. It may run beside a `write`.
/// 6. The loads tell what survived. They are asked before the first write to the
///    group, and while nothing of it is being written.
/// 7. Of one change a compaction takes effect behind its truncation and before
///    its entries, and with all of them or not at all. Entries up to the base
///    are `Missing` from then on; those behind it are as before.
/// 8. A write names a snapshot only after its `finish` ended well. From then on,
///    and after any crash, it is the group's current one, whole; before, the
///    former one is. The former file goes when nobody reads it.
/// 9. Damage is told per group: `load_log` names what was lost of it,
///    `load_term_and_vote` is `Damaged` when term or vote are. Other groups are
///    served. A range stays damaged, over restarts too, until a write has said
///    `refilled`, and the term in which it was found stays as it was; a further
///    loss extends it, and is of the term in which that is found. So does one that
///    is met while the group runs, and told by `lost_from`.
///    A current snapshot that is not whole, of a log whose front is gone, is damage
///    of all of it, from entry 1 on: once `load_snapshot` has said `Damaged`, `load_log` tells an empty log
///    with that loss, and the next write that brings entries or a snapshot begins
///    it anew. Until then nothing is removed.
/// 10. When there is no room for entries, a write without entries still finds
///     some, within a bounded reserve (rule 9).
/// 11. `shortage` names why no new entries should be brought; those that were
///     on their way before still find room, within a bounded reserve, and so do
///     as many as `room` says. It ends by itself when there is room again.
pub trait Storage: 'static {
    /// Writes snapshots; [`NoSnapshots`](crate::port::NoSnapshots) if there are
    /// none.
    type SnapshotWriter: SnapshotWriter;
    /// Reads snapshots.
    type SnapshotReader: SnapshotReader;

    /// The groups held.
    fn groups(&self) -> impl Future<Output = Result<Vec<GroupInfo>, StorageError>>;

    /// Term and vote of a group; the default for one never seen.
    fn load_term_and_vote(
        &self,
        group: GroupId,
    ) -> impl Future<Output = Result<HardState, StorageError>>;

    /// The shape of a group's log; the default for one never seen.
    fn load_log(&self, group: GroupId) -> impl Future<Output = Result<LoadedLog, StorageError>>;

    /// Makes a batch durable; gives it back for reuse: as it was after `NoSpace`, else
    /// perhaps emptied.
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

    /// Begins a snapshot file of a group, which storage need not know yet.
    ///
    /// # Errors
    /// [`StorageError::NoSpace`] and [`StorageError::Snapshot`].
    fn create_snapshot(
        &self,
        group: GroupInfo,
        meta: &SnapshotMeta,
    ) -> impl Future<Output = Result<Self::SnapshotWriter, StorageError>> {
        let _ = meta;
        let detail = "this storage keeps no snapshots".to_owned();
        async move { Err(StorageError::Snapshot { group: group.group, detail }) }
    }

    /// What the group's current snapshot says of itself, verified; its chunks
    /// are verified as they are read.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] when there is one and it is not whole.
    fn load_snapshot(
        &self,
        group: GroupId,
    ) -> impl Future<Output = Result<Option<(SnapshotMeta, SnapshotInfo)>, StorageError>> {
        let _ = group;
        async { Ok(None) }
    }

    /// A chunk of the group's current snapshot is damaged, as a read has told: from
    /// now on, and after any start, `load_snapshot` says so, until a write names
    /// another.
    ///
    /// # Errors
    /// It could not be made durable: the next start meets the same damage again.
    fn condemn_snapshot(&self, group: GroupId) -> impl Future<Output = Result<(), StorageError>> {
        let _ = group;
        async { Ok(()) }
    }

    /// Opens the group's current snapshot for reading.
    ///
    /// # Errors
    /// As of `load_snapshot`.
    fn open_snapshot(
        &self,
        group: GroupId,
    ) -> impl Future<Output = Result<Option<Self::SnapshotReader>, StorageError>> {
        let _ = group;
        async { Ok(None) }
    }

    /// The groups to snapshot and compact so that space can be freed, the one
    /// that keeps most of it first. Empty, and cheap to ask, while no space is
    /// wanted.
    fn pins(&self) -> Vec<Pin> {
        Vec::new()
    }

    /// Whether what [`pins`](Self::pins) names may stay for a while, for a member that
    /// is on its way to it with a snapshot: the log may grow a good deal further before
    /// there is a shortage. Says no where that is not known. Cheap to ask.
    fn is_roomy(&self) -> bool {
        false
    }

    /// These groups of [`pins`](Self::pins) do not run here: nobody writes them
    /// down, so that storage must find space without that. May be told again.
    fn strand(&self, groups: &[GroupId]) {
        let _ = groups;
    }

    /// This group runs here from now on: what [`strand`](Self::strand) said of it
    /// ends. Told of every group that is opened, also where nothing was said.
    fn unstrand(&self, group: GroupId) {
        let _ = group;
    }

    /// Why new entries should wait, while they should: for its own sake, never
    /// [`Shortage::Quorum`]. Cheap to ask.
    fn shortage(&self) -> Option<Shortage> {
        None
    }

    /// What surely finds room while `shortage` says something, beside what is on
    /// its way: for the part of a leader's log that a member lacks. Cheap to ask.
    fn room(&self) -> Room {
        Room { free: u64::MAX, in_all: u64::MAX }
    }
}
