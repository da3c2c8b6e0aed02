//! Checkpoints as a group's inputs see them: told by the driver, told by
//! others.
//!
//! Not here: what is compared with what (`checkpoint.rs`).

use crate::checkpoint::{Checkpoint, Diverged};
use crate::group::{Group, RoleState};
use crate::ids::{Index, Sender};
use crate::message::Body;
use crate::output::Event;

impl Group {
    /// The machine has applied exactly up to the checkpoint's index, a multiple of
    /// [`CHECKPOINT_ENTRIES`](crate::CHECKPOINT_ENTRIES) alike on all members. A
    /// difference to another member is an [`Event::Diverged`].
    pub fn on_checkpoint(&mut self, checkpoint: Checkpoint) {
        if self.is_halted() {
            return;
        }
        for diverged in self.state.seldom().checkpoints.on_own(checkpoint) {
            self.alarm(diverged);
        }
        if let RoleState::Follower(follower) = &self.role
            && let Some(leader) = follower.leader
        {
            self.state.send(leader, Body::Checkpoint(checkpoint));
        }
    }

    /// Members whose digests differed from this one's when last compared.
    #[must_use]
    pub fn diverged(&self) -> &[Diverged] {
        self.state.seldom.as_ref().map_or(&[], |seldom| seldom.checkpoints.diverged())
    }

    /// This member's own checkpoint at `index`, if it is kept still.
    #[must_use]
    pub fn checkpoint(&self, index: Index) -> Option<Checkpoint> {
        self.state.seldom.as_ref()?.checkpoints.own(index)
    }

    /// Another member is at a checkpoint.
    pub(super) fn on_others_checkpoint(&mut self, from: Sender, checkpoint: Checkpoint) {
        let found = self.state.seldom().checkpoints.on_other(from.node, checkpoint);
        if let Some(diverged) = found {
            self.alarm(diverged);
        }
    }

    /// Two members hold different things. The other side is to know it as well.
    fn alarm(&mut self, diverged: Diverged) {
        self.state.counters.divergences += 1;
        self.state.event(Event::Diverged(diverged));
        if matches!(self.role, RoleState::Leader(_))
            && let Some(own) = self.checkpoint(diverged.index)
        {
            self.state.send(diverged.node, Body::Checkpoint(own));
        }
    }
}
