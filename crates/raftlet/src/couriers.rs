//! Snapshots on their way: what tasks beside the loop and the turn share of them.
//!
//! Not here: what happens to it (`shard/snapshots.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;

use crate::applier::Start;
use crate::error::Halt;
use crate::timers::Slot;
use raftlet_core::{LogId, NodeId, SnapshotPart, Time};

/// A machine on its way back from being restored.
pub(crate) struct Restored<M> {
    pub(crate) machine: Box<M>,
    pub(crate) result: Result<Start, Halt>,
}

/// A snapshot on its way to a member.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    pub(crate) last: LogId,
    pub(crate) parts: u64,
    /// Every part before this one has arrived.
    pub(crate) wanted: u64,
    pub(crate) is_answered: bool,
    pub(crate) waker: Option<Waker>,
}

/// A snapshot on its way from the leader.
#[derive(Debug)]
pub(crate) struct Receiving {
    /// Tells it from a former one of the same group.
    pub(crate) number: u64,
    pub(crate) from: NodeId,
    pub(crate) last: LogId,
    /// 0 until the head is read.
    pub(crate) parts: u64,
    pub(crate) written: u64,
    pub(crate) queue: VecDeque<SnapshotPart>,
    /// Taken by the core; to be announced when it is durable.
    pub(crate) is_installed: bool,
    pub(crate) waker: Option<Waker>,
}

impl Receiving {
    /// The next part to take in.
    pub(crate) fn next(&self) -> u64 {
        self.written + u64::try_from(self.queue.len()).unwrap_or(u64::MAX)
    }
}

/// The transfers of one shard.
#[derive(Debug, Default)]
pub(crate) struct Couriers {
    pub(crate) sends: BTreeMap<(Slot, NodeId), Sending>,
    pub(crate) waiting: VecDeque<(Slot, NodeId)>,
    pub(crate) receives: BTreeMap<Slot, Receiving>,
    pub(crate) receives_begun: u64,
    /// Storage took none of a snapshot: nothing is received until then.
    pub(crate) receives_rest_until: Time,
    pub(crate) taking: usize,
    /// Groups whose snapshot waits for another's.
    pub(crate) takes_waiting: VecDeque<Slot>,
}
