//! Snapshots on their way: what tasks beside the loop and the turn share of them.
//!
//! Not here: what happens to it (`shard/snapshots.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;

use crate::applier::Start;
use crate::error::Halt;
use crate::snapshot::hold::{End, Hold, Progress, Volume};
use crate::timers::Slot;
use raftlet_core::{self as core, Index, LogId, NodeId, SnapshotPart, Time, mutants};

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
    /// When a part last came, or was written.
    pub(crate) moved_at: Time,
    pub(crate) waker: Option<Waker>,
}

impl Receiving {
    /// The next part to take in.
    pub(crate) fn next(&self) -> u64 {
        self.written + u64::try_from(self.queue.len()).unwrap_or(u64::MAX)
    }

    /// Whether its leader has left it: nothing is here to be written, and nothing
    /// has come for long.
    fn is_forsaken(&self, now: Time) -> bool {
        let waits = !self.is_installed && self.queue.is_empty();
        waits && now.since(self.moved_at) >= FORSAKEN_NS && !mutants::is_active(172)
    }
}

/// Without a part for so long a transfer from a leader gives way to one that waits
/// for its place. Twice as long as a sender tries (some 10 s): it begins anew.
const FORSAKEN_NS: u64 = 20_000_000_000;

/// The transfers of one shard.
#[derive(Debug, Default)]
pub(crate) struct Couriers {
    pub(crate) sends: BTreeMap<(Slot, NodeId), Sending>,
    pub(crate) waiting: VecDeque<(Slot, NodeId)>,
    pub(crate) receives: BTreeMap<Slot, Receiving>,
    /// Logs held for members on their way: at most one for each member that the
    /// shard's groups have, looked through whenever its group is written down.
    pub(crate) holds: BTreeMap<(Slot, NodeId), Hold>,
    /// When it was last told that one was of no use.
    pub(crate) unheld_told_at: Option<Time>,
    pub(crate) receives_begun: u64,
    /// Storage took none of a snapshot: nothing is received until then.
    pub(crate) receives_rest_until: Time,
    pub(crate) taking: usize,
    /// Groups whose snapshot waits for another's.
    pub(crate) takes_waiting: VecDeque<Slot>,
}

impl Couriers {
    /// A snapshot up to `last`, reached with the group's first `bytes`, begins its
    /// way to a member.
    pub(crate) fn begin_sending(&mut self, now: Time, at: (Slot, NodeId), last: Index, bytes: u64) {
        self.sends.insert(at, Sending::default());
        self.holds
            .entry(at)
            .and_modify(|hold| hold.again(last, bytes))
            .or_insert_with(|| Hold::new(now, last, bytes));
    }

    /// It has ended. For who took nothing of it no log is held.
    pub(crate) fn end_sending(&mut self, at: (Slot, NodeId)) {
        if self.sends.remove(&at).is_some_and(|sending| sending.wanted == 0) {
            self.holds.remove(&at);
        }
    }

    /// Behind which entry a group's log stays for members on their way.
    pub(crate) fn held(
        &mut self,
        now: Time,
        slot: Slot,
        group: &core::Group,
        volume: Volume,
    ) -> Option<Index> {
        let Self { holds, sends, .. } = self;
        let of_group = holds.iter_mut().filter(|(at, _)| at.0 == slot);
        let indexes = of_group.filter_map(|(at, hold)| {
            let parts = sends.get(at).map_or(0, |sending| sending.wanted);
            let progress = group.matched(at.1).map(|matched| Progress { matched, parts });
            hold.look(now, progress, volume)
        });
        indexes.min().filter(|_| !mutants::is_active(171))
    }

    /// A group's log now begins behind `base`. Forgets what has ended and what is
    /// not there any more; returns the members that get on and have lost what they
    /// would have needed, with the entry behind which that was.
    pub(crate) fn let_go(&mut self, slot: Slot, base: Index) -> Vec<(NodeId, Index, Option<End>)> {
        let mut lost = Vec::new();
        self.holds.retain(|at, hold| {
            if at.0 != slot {
                return true;
            }
            let (index, end) = (hold.index(), hold.end());
            let is_lost = index < base;
            if is_lost && end != Some(End::Left) {
                lost.push((at.1, index, end));
            }
            !is_lost && end.is_none()
        });
        lost
    }

    /// Nothing comes of what a group receives any more: its task, to be woken,
    /// finds that out and removes what it has written.
    pub(crate) fn give_up_receiving(&mut self, slot: Slot) -> Option<Waker> {
        self.receives.remove(&slot).and_then(|former| former.waker)
    }

    /// A group is to be opened again: nothing new of it begins, nothing is held.
    pub(crate) fn leave(&mut self, slot: Slot) {
        self.waiting.retain(|(of, _)| *of != slot);
        self.holds.retain(|(of, _), _| *of != slot);
    }

    /// Whether something of a group is on its way.
    pub(crate) fn carries(&self, slot: Slot) -> bool {
        let sent = self.sends.keys().chain(&self.waiting).any(|(of, _)| *of == slot);
        sent || self.receives.contains_key(&slot)
    }

    /// The group whose transfer from its leader has waited longest for more, and
    /// too long: another may have its place.
    pub(crate) fn forsaken(&self, now: Time) -> Option<Slot> {
        let forsaken = self.receives.iter().filter(|(_, receiving)| receiving.is_forsaken(now));
        forsaken.min_by_key(|(_, receiving)| receiving.moved_at).map(|(slot, _)| *slot)
    }
}
