//! The turn's ways through its members: whose write ended, whose inputs wait, who
//! was changed. Each knows who comes next, so memory of many groups is asked for
//! ahead (D44). A shard with one busy group pays a comparison each.
//!
//! Not here: what is done with a member (`shard/turn.rs`).

use crate::member::Member;
use crate::port::StateMachine;
use crate::shard::state::State;
use crate::shard::turn::SHARE_INPUTS;
use crate::shard::writer::Part;
use crate::timers::Slot;
use raftlet_core::{Now, Reach, Walk};

/// Lanes that are gone through before it is looked again how many wait.
pub(super) const LANES_TOGETHER: usize = 64;

impl<M: StateMachine> State<M> {
    fn touch(&self, slot: Option<Slot>, reach: Reach) {
        if let Some(member) = slot.and_then(|slot| self.members.get(slot)) {
            member.touch(reach);
        }
    }
}

/// Tells members what of theirs is durable.
pub(super) struct Completing<'a, M: StateMachine> {
    pub(super) state: &'a mut State<M>,
    pub(super) now: Now,
    pub(super) parts: &'a [Part],
    /// Entries too, and not terms and votes alone.
    pub(super) is_all: bool,
}

impl<M: StateMachine> Completing<'_, M> {
    fn slot(&self, at: usize) -> Option<Slot> {
        self.parts.get(at).map(|part| part.slot)
    }
}

impl<M: StateMachine> Walk for Completing<'_, M> {
    fn touch(&self, at: usize, reach: Reach) {
        // What a completion needs beside the member is little.
        if reach != Reach::Beyond {
            self.state.touch(self.slot(at), reach);
        }
    }

    fn visit(&mut self, at: usize) {
        let Some(part) = self.parts.get(at) else {
            return;
        };
        if let Some(Member { core, .. }) = self.state.members.get_mut(part.slot) {
            if self.is_all {
                core.on_persisted(self.now, part.ticket);
            } else {
                core.on_hard_state_persisted(self.now, part.ticket);
            }
            self.state.mark_dirty(part.slot);
        }
    }
}

/// Takes a share of what waits in each lane, while the turn's limits allow.
pub(super) struct Taking<'a, M: StateMachine> {
    pub(super) state: &'a mut State<M>,
    pub(super) now: Now,
    pub(super) inputs: usize,
    pub(super) bytes: usize,
    /// Lanes that have left the front of the ring since the walk began.
    pub(super) taken: usize,
}

impl<M: StateMachine> Taking<'_, M> {
    pub(super) fn has_room(&self) -> bool {
        self.inputs > 0 && self.bytes > 0
    }

    fn slot(&self, at: usize) -> Option<Slot> {
        self.state.lanes.following(at.checked_sub(self.taken)?)
    }
}

impl<M: StateMachine> Walk for Taking<'_, M> {
    fn touch(&self, at: usize, reach: Reach) {
        let slot = self.slot(at);
        if let Some(slot) = slot {
            self.state.lanes.touch(slot, reach);
        }
        self.state.touch(slot, reach);
    }

    fn visit(&mut self, _: usize) {
        if !self.has_room() {
            return;
        }
        let Some(slot) = self.state.lanes.next() else {
            return;
        };
        self.taken += 1;
        let share = self.inputs.min(SHARE_INPUTS);
        let (taken, taken_bytes) = self.state.take_share(self.now, slot, share, self.bytes);
        self.inputs -= taken.min(self.inputs);
        self.bytes = self.bytes.saturating_sub(taken_bytes);
        self.state.lanes.put_back(slot);
        self.state.mark_dirty(slot);
    }
}

/// Settles the members that were changed.
pub(super) struct Settling<'a, M: StateMachine> {
    pub(super) state: &'a mut State<M>,
    pub(super) now: Now,
    pub(super) slots: &'a [Slot],
}

impl<M: StateMachine> Walk for Settling<'_, M> {
    fn touch(&self, at: usize, reach: Reach) {
        self.state.touch(self.slots.get(at).copied(), reach);
    }

    fn visit(&mut self, at: usize) {
        if let Some(slot) = self.slots.get(at) {
            self.state.settle(self.now, *slot);
        }
    }
}
