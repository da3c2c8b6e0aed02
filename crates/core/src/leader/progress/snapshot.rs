//! A member that is too far behind: what it needs has left the log (§5).
//!
//! The driver is asked to send the snapshot; meanwhile the member gets
//! heartbeats and nothing else, so that neither its votes nor its trust wait
//! for the transfer. What ends it is the member's own ack: as soon as it is
//! known to reach the base, entries follow. Each heartbeat asks for it: a member
//! without room for a snapshot may have all that it needs.
//!
//! Invariants
//! - One request to the driver per need: another only after the driver has said
//!   that the former ended.
//! - Rejects of before the transfer change nothing (`progress.rs`).

use super::{Mode, Peer};
use crate::ids::Index;
use crate::state::State;

impl Peer {
    /// Whether the entry that comes next, or the term before it, is gone.
    pub(super) fn is_behind_base(&self, state: &State) -> bool {
        self.next <= state.log.base().index
    }

    /// Where to look for the log of a run of which nothing is known but `matched`.
    /// A start knows of nothing committed behind its snapshot, whatever its log
    /// holds; so who is asked behind the base is asked for the end of it first.
    pub(super) fn unproven_next(&self, state: &State) -> Index {
        let next = self.matched.next();
        if next <= state.log.base().index { state.log.last().index.next() } else { next }
    }

    /// Deals with a member behind the base. Returns whether it can go on with
    /// entries: what it has committed is a part of this log, told or not.
    pub(super) fn pass_base(&mut self, state: &mut State) -> bool {
        let known = self.commit.min(state.log.last().index);
        if known >= state.log.base().index {
            self.probe_from(known.next());
            return true;
        }
        self.mode = Mode::Snapshot;
        self.drop_fetch();
        state.effects.rare().snapshots.push(self.node);
        false
    }

    /// The latest index at or before `index` whose term is known: index 0 meets
    /// every log and proves nothing of it.
    pub(super) fn anchor(state: &State, index: Index) -> Index {
        if index < state.log.base().index { Index::ZERO } else { index }
    }

    /// An ack came while a snapshot is on its way.
    pub(super) fn on_progress(&mut self, state: &State, verified: Index) {
        let known = verified.max(self.commit).min(state.log.last().index);
        if known >= state.log.base().index {
            self.probe_from(known.next());
        }
    }

    /// The driver's attempt is over, well or not. If the member has not said
    /// that it reaches the base, it is tried again after a while: by then the
    /// base may have moved beyond what was sent.
    pub(crate) fn on_snapshot_ended(&mut self, state: &State) {
        if self.mode == Mode::Snapshot {
            self.need_snapshot(state);
        }
    }

    /// Whether a snapshot was asked for and its end is not known.
    pub(crate) fn awaits_snapshot(&self) -> bool {
        self.mode == Mode::Snapshot
    }
}
