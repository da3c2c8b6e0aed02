//! Leadership transfers within the turn: begun, followed, ended.
//!
//! Not here: who waits for them (`transfer.rs`), how a leader hands over (core).

use crate::answer::Answer;
use crate::error::{Halt, TransferError};
use crate::offices::{Office, Offices};
use crate::port::StateMachine;
use crate::shard::state::{Phase, State};
use crate::timers::Slot;
use crate::transfer::TRANSFERS_MAX;
use raftlet_core::{Generation, GroupId, NodeId, Now, Sender, Term};

/// Core deadlines that a transfer may take in all: the transfer's own, and an
/// election where the successor failed half way.
const ELECTION_TIMEOUTS: u32 = 4;

/// Disowned groups that wait for a turn. More are dropped: they are told again
/// until this node answers, and asking a group finds out as well.
const DISOWNED_MAX: usize = 1 << 16;

impl<M: StateMachine> State<M> {
    /// Takes a transfer in, or gives the answer back with the reason.
    pub(crate) fn accept_transfer(
        &mut self,
        slot: Slot,
        to: Option<NodeId>,
        answer: Answer<Result<NodeId, TransferError>>,
    ) -> Option<(Answer<Result<NodeId, TransferError>>, TransferError)> {
        if let Some(halt) = self.members.get(slot).and_then(|member| member.halted.clone()) {
            return Some((answer, TransferError::Halted(halt)));
        }
        if let Phase::Ended(_) = self.phase {
            return Some((answer, TransferError::Stopped));
        }
        let refused = self.transfers.ask(slot, to, answer)?;
        Some((refused, TransferError::Busy { limit: TRANSFERS_MAX }))
    }

    /// What a group's member is.
    pub(crate) fn office(&self, slot: Slot) -> Office {
        let member = self.members.get(slot).expect("a handle's slot is a group's");
        let (role, term, leader) = (member.core.role(), member.core.term(), member.core.leader());
        Office { role, term, leader }
    }

    /// Begins to watch it.
    pub(crate) fn watch_office(&mut self, slot: Slot) -> Offices {
        let present = self.office(slot);
        let offices = self.watchers.watch(slot, present);
        if let Phase::Ended(_) = self.phase {
            self.watchers.close(&mut self.due.wakers);
        }
        offices
    }

    /// A node leads a group no more: the next turn tells the group.
    pub(crate) fn accept_disowned(
        &mut self,
        from: Sender,
        (group, generation, term): (GroupId, Generation, Term),
    ) {
        let Some(slot) = self.by_group.get(&group).copied() else {
            return;
        };
        let is_same =
            self.members.get(slot).is_some_and(|it| it.core.seat().generation == generation);
        if is_same && self.disowned.len() < DISOWNED_MAX {
            self.disowned.push_back((slot, from, term));
        }
    }

    /// Tells groups what other nodes disowned.
    pub(super) fn take_disowned(&mut self, now: Now) {
        while let Some((slot, from, term)) = self.disowned.pop_front() {
            if let Some(member) = self.members.get_mut(slot) {
                member.core.on_disowned(now, from, term);
                self.mark_dirty(slot);
            }
        }
    }

    /// Begins what was asked, ends what is out of time.
    pub(super) fn take_transfers(&mut self, now: Now) {
        for asked in self.transfers.take_asked() {
            let slot = asked.slot;
            let Some(member) = self.members.get_mut(slot) else {
                continue;
            };
            match member.core.transfer(now, asked.to) {
                Ok(()) => {
                    let timeout = self.options.group.election_timeout;
                    let ends_at = now.time.after(timeout.saturating_mul(ELECTION_TIMEOUTS));
                    self.transfers.begin(asked, member.core.term(), ends_at);
                    self.mark_dirty(slot);
                }
                Err(error) => self.due.transfers_ended.push(asked.refuse(error)),
            }
        }
        self.due.transfers_ended.extend(self.transfers.take_expired(now.time));
    }

    /// Somebody leads a group.
    pub(super) fn on_group_led(&mut self, slot: Slot, term: Term, leader: NodeId) {
        let Some(member) = self.members.get(slot) else {
            return;
        };
        let own = member.core.seat().node;
        self.due.transfers_ended.extend(self.transfers.on_leader(slot, (term, leader), own));
    }

    /// A group halts, or all do.
    pub(super) fn end_transfers(&mut self, slot: Option<Slot>, halt: Option<&Halt>) {
        let error = halt.map_or(TransferError::Stopped, |halt| TransferError::Halted(halt.clone()));
        self.due.transfers_ended.extend(self.transfers.on_halt(slot, &error));
    }
}
