//! Where a group's log is cut: what stays for members on their way, and who is
//! told when it could not.
//!
//! Invariants
//! - What storage wants gone goes at once where it has no room to spare.
//! - A member that loses what was held for it while it gets on is counted, and told
//!   in a line, at most one a minute: for it may go on like that for hours.
//!
//! Not here: how long a log is held (`snapshot/hold.rs`), the usual tail
//! (`snapshot.rs`).

use crate::observe::Note;
use crate::port::StateMachine;
use crate::shard::state::State;
use crate::snapshot::Stay;
use crate::snapshot::hold::Volume;
use crate::timers::Slot;
use raftlet_core::Time;

/// Between two lines about logs that could not stay.
const TELL_NS: u64 = 60_000_000_000;

impl<M: StateMachine> State<M> {
    /// What of a group's log stays, and what is to go.
    pub(super) fn stay(&mut self, now: Time, slot: Slot) -> Option<Stay> {
        let member = self.members.get(slot)?;
        let volume = Volume {
            applied_bytes: member.policy.applied_bytes(),
            held_bytes_max: u64::try_from(self.options.snapshot_hold_bytes_max).unwrap_or(u64::MAX),
        };
        let held = self.couriers.held(now, slot, &member.core, volume);
        let pinned = member.policy.pinned();
        let spared = held.filter(|_| self.space.is_roomy());
        Some(Stay { held, wanted: spared.map_or(pinned, |spared| pinned.min(spared)) })
    }

    /// Whether what storage wants of a group may wait for a member on its way. Then
    /// it waits as a whole: cut as that member gets on, it would be many times.
    pub(super) fn is_spared(&mut self, now: Time, slot: Slot) -> bool {
        let wanted = self.stay(now, slot).map(|stay| stay.wanted);
        let pinned = self.members.get(slot).map(|member| member.policy.pinned());
        wanted < pinned
    }

    /// A group's log may have been cut: tells of members that now need another
    /// snapshot.
    pub(super) fn note_unheld(&mut self, now: Time, slot: Slot) {
        let Some(member) = self.members.get(slot) else {
            return;
        };
        let lost = self.couriers.let_go(slot, member.core.base().index);
        for (node, entry, end) in lost {
            self.counters.snapshot_holds_lost += 1;
            let told_at = self.couriers.unheld_told_at;
            if told_at.is_none_or(|at| now.since(at) >= TELL_NS) {
                self.couriers.unheld_told_at = Some(now);
                let (group, times) = (member.group, self.counters.snapshot_holds_lost);
                self.due.notes.push(Note::NotHeld { group, node, entry, end, times });
            }
        }
    }
}
