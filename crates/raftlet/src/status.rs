//! What an operator sees of a shard and its groups.
//!
//! Plain numbers, read at one moment: nothing here waits or changes anything.

use crate::error::Halt;
use crate::histogram::Histogram;
use crate::port::Shortage;
use raftlet_core::{self as core, Generation, GroupId, Index, NodeId};

/// A digest of a machine's state and the index up to which it was applied,
/// taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateDigest {
    /// As the machine computes it.
    pub digest: u64,
    /// The last entry it contains.
    pub index: Index,
}

/// How a group is doing on this shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// Which group.
    pub group: GroupId,
    /// In which life of its id.
    pub generation: Generation,
    /// Role, term, indexes and members, as the core has them.
    pub core: core::Status,
    /// Applied to the machine up to here.
    pub applied_index: Index,
    /// `None` while the machine is out with a batch: ask again.
    pub digest: Option<StateDigest>,
    /// Why it takes no part any more.
    pub halted: Option<Halt>,
    /// Bytes of its log in memory.
    pub log_memory_bytes: usize,
    /// Snapshots on their way.
    pub snapshots: SnapshotsStatus,
    /// What happened in the group since the start of this run.
    pub counters: core::Counters,
}

/// A group's snapshots on their way, here. Which one is current stands in the
/// core's status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotsStatus {
    /// Whether the machine is being written down.
    pub is_taking: bool,
    /// Members that get the snapshot of this leader.
    pub sending: Vec<SnapshotProgress>,
    /// The leader whose snapshot this member gets.
    pub receiving: Option<SnapshotProgress>,
}

/// How far the transfer of a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotProgress {
    /// The other member.
    pub node: NodeId,
    /// The last entry that the snapshot contains; 0 before it is known.
    pub last: Index,
    /// Parts that have arrived and are written.
    pub parts_done: u64,
    /// All parts; 0 before it is known.
    pub parts: u64,
}

/// How a shard is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardStatus {
    /// Groups hosted.
    pub groups: usize,
    /// Bytes of all groups' logs in memory.
    pub log_memory_bytes: usize,
    /// Their limit; only what is not yet durable and committed may exceed it.
    pub log_memory_bytes_max: usize,
    /// Proposals without outcome.
    pub proposals: usize,
    /// Their limit; more are refused as busy.
    pub proposals_max: usize,
    /// Bytes of proposals without outcome.
    pub proposal_bytes: usize,
    /// Their limit.
    pub proposal_bytes_max: usize,
    /// Reads without outcome.
    pub reads: usize,
    /// Their limit; more are refused as busy.
    pub reads_max: usize,
    /// Messages that wait for a turn.
    pub inbox_messages: usize,
    /// Their limit; more are dropped.
    pub inbox_messages_max: usize,
    /// Bytes of messages that wait for a turn.
    pub inbox_bytes: usize,
    /// Their limit.
    pub inbox_bytes_max: usize,
    /// Reads from storage that wait for their turn.
    pub storage_reads_waiting: usize,
    /// Reads from storage under way.
    pub storage_reads_under_way: usize,
    /// Their limit.
    pub storage_reads_max: usize,
    /// Snapshots that are written, sent and received.
    pub snapshots: SnapshotFills,
    /// Whether new entries are refused for want of room.
    pub is_full: bool,
    /// What room is short of, while it is.
    pub shortage: Option<Shortage>,
    /// Groups that storage named as keeping space from it; 64 at most.
    pub pinned_groups: usize,
    /// How long proposals took, from the turn that took one in to the one
    /// that applied it here. One of each applied batch is counted.
    pub proposal_times: Histogram,
    /// Counts since the start of this run.
    pub counters: ShardCounters,
}

/// How much of what snapshots may take of a shard is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotFills {
    /// Machines that are being written down.
    pub taking: usize,
    /// Their limit.
    pub taking_max: usize,
    /// Groups whose snapshot is due and waits for another's.
    pub takes_waiting: usize,
    /// Transfers to other members.
    pub sending: usize,
    /// Transfers from leaders.
    pub receiving: usize,
    /// The limit of both, each for itself.
    pub transfers_max: usize,
    /// Members that wait for a transfer to begin.
    pub sends_waiting: usize,
    /// Members that logs were last held for, so that what is behind the snapshot
    /// on their way is there when it arrives.
    pub logs_held: usize,
    /// Parts that arrived and wait to be written.
    pub parts_waiting: usize,
    /// Their limit, of all transfers together.
    pub parts_waiting_max: usize,
    /// Parts of the transfers to other members.
    pub parts_sending: u64,
    /// Those of them that have arrived.
    pub parts_sent: u64,
    /// Parts of the transfers from leaders.
    pub parts_receiving: u64,
    /// Those of them that are written.
    pub parts_received: u64,
}

/// What happened on a shard since the start of this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardCounters {
    /// Turns of the loop.
    pub turns: u64,
    /// Waits that something ended while the shard looked for more instead of
    /// sleeping (`ShardOptions::idle_poll`).
    pub idle_polls_found: u64,
    /// Those in which nothing came while it looked.
    pub idle_polls_in_vain: u64,
    /// Groups settled in those turns: stepped, drained, obeyed.
    pub settled: u64,
    /// Times that the configuration in effect of some group became another.
    pub configurations: u64,
    /// Writes handed to storage.
    pub writes_started: u64,
    /// Groups' parts of writes with entries of a leader.
    pub leader_writes: u64,
    /// Those of them whose write had started before any follower's ack of the
    /// entries arrived.
    pub writes_started_before_first_ack: u64,
    /// Frames handed to the transport: one a node and turn.
    pub sends: u64,
    /// Messages in them.
    pub messages_sent: u64,
    /// Messages dropped at the inbox's bounds, or for no group here.
    pub messages_dropped: u64,
    /// Appends dropped because the disk is full.
    pub appends_refused: u64,
    /// Times a group began to refuse proposals because no quorum had room.
    pub quorum_full: u64,
    /// Proposals refused at once, by whatever limit.
    pub proposals_refused: u64,
    /// Proposals that ended *not done* or *unknown*.
    pub proposals_failed: u64,
    /// Reads that were not answered.
    pub reads_failed: u64,
    /// Times a group came to know another leader than before, or itself.
    pub leader_changes: u64,
    /// Reads from storage begun.
    pub storage_reads: u64,
    /// Batches that the machines applied.
    pub applies: u64,
    /// Forwarded entries that had no effect: second copies (rule 33).
    pub copies_without_effect: u64,
    /// Snapshots of this shard's groups that were taken.
    pub snapshots_taken: u64,
    /// Snapshots that could not be written.
    pub snapshots_failed: u64,
    /// Snapshots of leaders that storage did not take, for want of room as a rule.
    pub snapshots_not_received: u64,
    /// Times that a log could not stay for a member that got on: it needs another
    /// snapshot.
    pub snapshot_holds_lost: u64,
    /// Parts of snapshots sent, repetitions included.
    pub snapshot_parts_sent: u64,
    /// Their bytes.
    pub snapshot_bytes_sent: u64,
    /// Parts of them that had been sent before.
    pub snapshot_parts_repeated: u64,
    /// Their bytes.
    pub snapshot_bytes_repeated: u64,
    /// Times that a transfer did not move for a while, as when its link is cut.
    pub snapshot_stalls: u64,
    /// Parts of snapshots that arrived and were of no use: late, double,
    /// damaged, or one too many at once.
    pub snapshot_parts_dropped: u64,
    /// Batches that could not finish at once and became a task.
    pub applies_spawned: u64,
}
