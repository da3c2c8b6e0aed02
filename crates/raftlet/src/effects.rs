//! What a turn decided and what is done outside of it.
//!
//! Inside `ShardCell::with` nothing acts; what is due gathers here and is
//! swapped out, like the core's output (`core::Output`). Ports, wakers and
//! callers' values meet only the swapped-out side (`shard/act.rs`).

use std::collections::VecDeque;
use std::task::Waker;

use crate::applier::Job;
use crate::change::EndedChange;
use crate::error::{ReadError, SnapshotError};
use crate::observe::Note;
use crate::port::{GroupInfo, Incoming, SnapshotMeta, StateMachine, WriteBatch};
use crate::proposal::Ended;
use crate::reads::ReadJob;
use crate::snapshot::Asked;
use crate::timers::Slot;
use crate::transfer::EndedTransfer;
use raftlet_core::{FetchId, Generation, GroupId, Index, LogId, Message, NodeId, Term, Time};

/// What is due.
pub(crate) struct Effects<M: StateMachine> {
    /// To write: started when everything is sent.
    pub(crate) write: Option<WriteBatch>,
    /// Messages by node, ascending; what was used once keeps its memory.
    pub(crate) outboxes: Vec<(NodeId, Vec<Incoming>)>,
    /// Reads from storage to start.
    pub(crate) fetches: Vec<StorageRead>,
    /// Machines to run.
    pub(crate) work: VecDeque<Work<M>>,
    /// Proposals that ended.
    pub(crate) ended: Vec<Ended<M::Response>>,
    /// Reads that will not run, and why.
    pub(crate) refused: Vec<(ReadJob<M>, ReadError)>,
    /// Reads that left the shard's books since the last swap.
    pub(crate) reads_ended: usize,
    /// Snapshots to send and to receive.
    pub(crate) couriers: Vec<Courier>,
    /// Askings for a snapshot that ended.
    pub(crate) snapshots_ended: Vec<(Asked, Result<Index, SnapshotError>)>,
    /// Leadership transfers that ended.
    pub(crate) transfers_ended: Vec<EndedTransfer>,
    /// Changes of the members that ended.
    pub(crate) changes_ended: Vec<EndedChange>,
    /// Groups that this node leads no more, for others to unlearn.
    pub(crate) disowned: Vec<(GroupId, Generation, Term)>,
    /// Responses that nobody waits for: callers' values, to be dropped outside.
    pub(crate) unclaimed: Vec<M::Response>,
    /// Tasks that may write now.
    pub(crate) wakers: Vec<Waker>,
    /// What happened that is worth a line.
    pub(crate) notes: Vec<Note>,
    /// The deadline of the proposal that was done last: one a batch tells how
    /// long proposals take, at no cost per command.
    pub(crate) sample: Option<Time>,
}

/// A machine to run.
pub(crate) enum Work<M: StateMachine> {
    /// A batch of entries.
    Apply { slot: Slot, job: Job<M> },
    /// A snapshot to begin, between two batches.
    Snapshot { slot: Slot, machine: Box<M>, group: GroupInfo, meta: SnapshotMeta },
    /// A machine to restore from the group's current snapshot.
    Restore { slot: Slot, machine: Box<M>, group: GroupId, last: LogId },
    /// Reads between two batches.
    Reads { slot: Slot, machine: Box<M>, jobs: Vec<ReadJob<M>> },
}

/// A task that takes a snapshot to another member, or in from one, or opens a
/// group again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Courier {
    /// To a member.
    Send { slot: Slot, group: GroupInfo, to: NodeId },
    /// From the leader; the number tells it from a former one.
    Receive { slot: Slot, group: GroupInfo, number: u64 },
    /// What storage holds of the group was found damaged.
    Reopen { slot: Slot, group: GroupInfo },
}

/// A read from storage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StorageRead {
    pub(crate) slot: Slot,
    pub(crate) group: GroupId,
    pub(crate) purpose: Purpose,
    pub(crate) first: Index,
    pub(crate) last: Index,
    pub(crate) bytes_max: usize,
}

/// Who wants entries from storage.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The applier.
    Apply,
    /// The core, for a follower.
    Fetch(FetchId),
}

impl<M: StateMachine> Effects<M> {
    pub(crate) const fn new() -> Self {
        Self {
            write: None,
            outboxes: Vec::new(),
            fetches: Vec::new(),
            work: VecDeque::new(),
            ended: Vec::new(),
            refused: Vec::new(),
            reads_ended: 0,
            couriers: Vec::new(),
            snapshots_ended: Vec::new(),
            transfers_ended: Vec::new(),
            changes_ended: Vec::new(),
            disowned: Vec::new(),
            unclaimed: Vec::new(),
            wakers: Vec::new(),
            notes: Vec::new(),
            sample: None,
        }
    }

    /// Queues a message for a node.
    pub(crate) fn send(&mut self, to: NodeId, group: GroupId, message: Message) {
        let at = match self.outboxes.binary_search_by_key(&to, |(node, _)| *node) {
            Ok(at) => at,
            Err(at) => {
                self.outboxes.insert(at, (to, Vec::new()));
                at
            }
        };
        if let Some((_, outbox)) = self.outboxes.get_mut(at) {
            outbox.push(Incoming { group, message });
        }
    }

    /// Refuses reads that were on the shard's books.
    pub(crate) fn refuse_reads(
        &mut self,
        jobs: impl IntoIterator<Item = ReadJob<M>>,
        error: &ReadError,
    ) {
        let before = self.refused.len();
        self.refused.extend(jobs.into_iter().map(|job| (job, error.clone())));
        self.reads_ended += self.refused.len() - before;
    }

    /// Drops what would still leave: a poisoned shard says nothing more.
    pub(crate) fn silence(&mut self) {
        self.write = None;
        self.fetches.clear();
        self.couriers.clear();
        for (_, outbox) in &mut self.outboxes {
            outbox.clear();
        }
    }
}
