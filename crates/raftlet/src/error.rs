//! Why something was not done, one enum per boundary.
//!
//! A proposal that fails says by *type* whether it is certain to have no
//! effect ([`NotDone`]) or not ([`Unknown`]); callers branch on that and never
//! on text (D9). A read that fails has read nothing, so it may always be asked
//! again.

use crate::port::{ApplyError, Shortage, StorageError};
use raftlet_core::{
    ConfigurationError, Generation, GroupId, Index, LogId, NodeId, RestoreError, Term,
};

/// How a proposal ended that is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// It had no effect and never will.
    #[error("not done: {0}")]
    NotDone(#[from] NotDone),
    /// It may have taken effect, or may yet.
    #[error("unknown outcome: {0}")]
    Unknown(#[from] Unknown),
}

/// Why a proposal had no effect and never will.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotDone {
    /// The shard holds as many unanswered proposals as it may.
    #[error(
        "{held} proposals of {bytes} bytes wait on this shard, its limit; try again when some ended"
    )]
    Busy {
        /// Proposals that wait.
        held: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// One command is above the limit.
    #[error("a command of {bytes} bytes; {limit} are allowed (command_bytes_max)")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// `command_bytes_max`.
        limit: usize,
    },
    /// No leader took it within `propose_timeout`.
    #[error("no leader took it in time; try again when a majority of the members is up")]
    NoLeader,
    /// Forwarding is switched off and another member leads.
    #[error("this member does not lead and does not forward; {}", match leader {
        Some(leader) => format!("ask node {leader}"),
        None => "no leader is known".to_owned(),
    })]
    NotLeader {
        /// Who does, as far as known.
        leader: Option<NodeId>,
    },
    /// It was tied to a term that is not this member's, or that its leader is
    /// about to end.
    #[error("the group is in term {term} here, or leaves it; read again, then decide")]
    OtherTerm {
        /// This member's term.
        term: Term,
    },
    /// The log's disk is full; nothing was written.
    #[error("the disk of this shard's log is full; free space, then try again")]
    NoSpace,
    /// The log is at the limit that it was given; nothing was written.
    #[error("this shard's log is at its limit; snapshots let it go, then try again; else raise it")]
    LogFull,
    /// The logs of so many members are short of room that no quorum has any; nothing
    /// was written.
    #[error("no majority of the members has room for it; free space there, then try again")]
    QuorumFull,
    /// It was forwarded, and the leader has no room, or no quorum that has; nothing
    /// was written.
    #[error("the log of node {leader}, which leads, {}", match shortage {
        Shortage::Device => "is on a full disk; free space there, then try again",
        Shortage::Limit => "is at its limit; snapshots let it go, then try again; else raise it",
        Shortage::Quorum => "finds no majority with room; free space on the others, then try again",
    })]
    LeaderFull {
        /// Who leads.
        leader: NodeId,
        /// What it is short of.
        shortage: Shortage,
    },
    /// Index or term is at its end (rule 24).
    #[error("the group's index or term has reached its limit; move its data to a new group")]
    Exhausted,
    /// The group halted before it was appended.
    #[error("the group has halted: {0}")]
    Halted(Halt),
    /// This member was removed from its group.
    #[error("this node is no member of the group any more; ask one that is")]
    NotMember,
    /// The shard loop ended before it was appended.
    #[error("the shard has stopped")]
    Stopped,
}

/// Why it is not known whether a proposal takes effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unknown {
    /// It was appended or forwarded, and no outcome was seen within
    /// `propose_timeout`.
    #[error("appended or forwarded, and not seen applied in time")]
    TimedOut,
    /// A snapshot of the leader took the place of the log that it was in: it may
    /// be part of it.
    #[error("a snapshot took the place of the log; whether it holds the entry is not known")]
    InSnapshot,
    /// The leader found no quorum, or its disk hung, and it stepped down
    /// (rules 8, 20).
    #[error("the leader gave up for want of a quorum or of its disk, the entry not yet applied")]
    QuorumLost,
    /// This member was removed from its group while it waited.
    #[error("this node was removed from the group, the entry not yet applied here")]
    NotMember,
    /// The group halted while it waited.
    #[error("the group has halted: {0}")]
    Halted(Halt),
    /// The shard loop ended while it waited.
    #[error("the shard has stopped")]
    Stopped,
}

/// Why a group acts no more until the process starts again, or, where storage was
/// found damaged, until it was opened again (D55).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Halt {
    /// Storage failed (rule 9), or what it holds is damaged (rule 10).
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The state machine failed (rule 44).
    #[error(transparent)]
    Machine(#[from] ApplyError),
    /// The state machine broke its third law.
    #[error(
        "the state machine gave {responses} responses to {commands} commands up to entry {index}"
    )]
    Responses {
        /// The last entry of the batch.
        index: Index,
        /// Commands handed in.
        commands: usize,
        /// Responses that came back.
        responses: usize,
    },
    /// The machine could not be restored from the snapshot.
    #[error("the state machine cannot be restored from the snapshot up to {last}: {detail}")]
    Restore {
        /// The last entry of the snapshot.
        last: LogId,
        /// What, where, remedy.
        detail: String,
    },
}

impl Halt {
    /// Damage that was met while the group ran, where it cannot be opened again: a
    /// start finds it, and the member is refilled.
    pub(crate) fn until_a_start(error: StorageError) -> Self {
        let StorageError::Damaged { group, detail } = error else {
            return Self::Storage(error);
        };
        let remedy = "restart the node: the group's leader sends it again";
        Self::Storage(StorageError::Damaged { group, detail: format!("{detail}; {remedy}") })
    }
}

/// Why there is no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The machine, or the storage, takes none.
    #[error("the machine of this group takes no snapshots; its log only grows")]
    Unsupported,
    /// It could not be written; the log goes on.
    #[error("the snapshot was not taken: {detail}")]
    Failed {
        /// What, where, cause.
        detail: String,
    },
    /// The group has halted.
    #[error("the group has halted: {0}")]
    Halted(Halt),
    /// The shard loop has ended.
    #[error("the shard has stopped")]
    Stopped,
}

/// Why a read was not answered. Nothing was read, so it may be asked again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The shard holds as many reads as it may.
    #[error("{limit} reads wait on this shard, its limit; try again when some ended")]
    Busy {
        /// `reads_max`.
        limit: usize,
    },
    /// Not confirmed by a quorum, or not applied here, within `read_timeout`.
    #[error("not confirmed by a leader, or not applied here, in time; try again")]
    TimedOut,
    /// This member was removed from its group.
    #[error("this node is no member of the group any more; ask one that is")]
    NotMember,
    /// The group has halted.
    #[error("the group has halted: {0}")]
    Halted(Halt),
    /// The shard loop has ended.
    #[error("the shard has stopped")]
    Stopped,
}

/// Why a group cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is open on this shard already.
    #[error("group {group} is open on this shard already")]
    AlreadyOpen {
        /// Which.
        group: GroupId,
    },
    /// Storage holds another life of the group id.
    #[error("group {group} is stored as {stored}, asked for as {asked}; check which is meant")]
    Generation {
        /// Which.
        group: GroupId,
        /// What storage holds.
        stored: Generation,
        /// What the caller wants.
        asked: Generation,
    },
    /// A configuration entry does not decode.
    #[error("group {group} is damaged: its configuration entry {index} does not decode")]
    Configuration {
        /// Whose.
        group: GroupId,
        /// Where.
        index: Index,
        /// Why.
        #[source]
        source: ConfigurationError,
    },
    /// The snapshot's head does not decode.
    #[error("group {group} is damaged: the head of its snapshot up to {last} does not decode")]
    Snapshot {
        /// Whose.
        group: GroupId,
        /// The last entry of the snapshot.
        last: LogId,
    },
    /// What storage holds is no state a member can be in.
    #[error("group {group} cannot be restored from what storage holds")]
    Restore {
        /// Whose.
        group: GroupId,
        /// Why.
        #[source]
        source: RestoreError,
    },
    /// Storage cannot say.
    #[error("group {group} cannot be loaded")]
    Storage {
        /// Whose.
        group: GroupId,
        /// Why.
        #[source]
        source: StorageError,
    },
    /// The shard loop has ended.
    #[error("the shard has stopped")]
    Stopped,
}

/// Why a group cannot be bootstrapped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// It has a log or a term already: open it instead.
    #[error("group {group} exists on this member already; open it instead")]
    Exists {
        /// Which.
        group: GroupId,
    },
    /// A group without members.
    #[error("group {group} would have no members")]
    NoMembers {
        /// Which.
        group: GroupId,
    },
    /// Storage refused.
    #[error("group {group} cannot be written")]
    Storage {
        /// Whose.
        group: GroupId,
        /// Why.
        #[source]
        source: StorageError,
    },
}

/// Why leadership was not handed over: this member still leads, or led and
/// hears of no successor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// Nothing has begun: the group refused.
    #[error(transparent)]
    Refused(#[from] raftlet_core::TransferError),
    /// Nobody took over in time; this member serves again if it still leads.
    #[error("nobody took over in time; see whether the others are up and keep up")]
    TimedOut,
    /// The one that was to lead is no voter any more.
    #[error("the member that was to lead is no voter any more; name another")]
    TargetLeft,
    /// Too many transfers of this shard have not ended.
    #[error("{limit} transfers have not ended on this shard; try again when some have")]
    Busy {
        /// The limit.
        limit: usize,
    },
    /// The group halted.
    #[error("the group has halted: {0}")]
    Halted(Halt),
    /// The shard loop has ended.
    #[error("the shard has stopped")]
    Stopped,
}

/// Why the shard loop ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// A write failed: every group of the shard has halted (rule 9).
    #[error("the shard's storage failed and all its groups halted")]
    Storage(#[source] StorageError),
    /// The loop runs already, or has run.
    #[error("a shard runs once")]
    RunsAlready,
}

/// Why the members are not the ones asked for. Only after
/// [`ChangeError::Unknown`], and where the shard ended while it waited, may they
/// be, or become so; whichever it is, asking again is safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The leader says no.
    #[error(transparent)]
    Refused(#[from] raftlet_core::ChangeError),
    /// The wish names a node that is no member.
    #[error("node {node} is no member of this group; add it first")]
    NoMember {
        /// Which.
        node: NodeId,
    },
    /// No leader took it within `propose_timeout`.
    #[error("no leader took it in time; try again when a majority of the members is up")]
    NoLeader,
    /// A leader was asked, and none has answered for `propose_timeout`.
    #[error("a leader was asked and does not answer; look at the members, then ask again")]
    Unknown,
    /// Too many changes of this shard have not ended.
    #[error("{limit} changes have not ended on this shard; try again when some have")]
    Busy {
        /// How many may wait.
        limit: usize,
    },
    /// The group has halted.
    #[error("the group has halted: {0}")]
    Halted(Halt),
    /// The shard has ended.
    #[error("the shard has stopped")]
    Stopped,
}
