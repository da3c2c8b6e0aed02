//! A member that comes back without what it had acknowledged.
//!
//! What one run acknowledged in this term a later run still has, or its disk
//! lost it. Then the leader forgets the match, and what becomes of the member
//! depends on what it knows itself:
//!
//! - It says that it held entries up to the match or beyond: its storage found
//!   the damage. Such a member gives no vote until it holds all of that again
//!   (`refill.rs`), so nobody can be elected past what was counted on it. It
//!   counts for what it acknowledges from now on: that is on its disk (D39).
//! - Else it does not know what it lacks: its directory was exchanged for an
//!   older copy, and it may vote. It counts for nothing until the term ends
//!   (rule 4).
//!
//! Invariants
//! - After a loss nothing raises the match but acks of the run that told it, or
//!   of later ones (`progress.rs`). A run finds its losses before it says
//!   anything, so each of its acks knows them. An ack of a former run that comes
//!   before the loss is told is as if it had come before the crash.
//! - A loss is noted once: later rejects of the same run are of the same loss.

use super::Peer;
use crate::ids::{Index, Run};
use crate::mutants;
use crate::state::State;

impl Peer {
    /// Notes what a reject tells of a loss: `rejected` is what the member lacks,
    /// `held` up to where it knows to have held entries. Late rejects are those
    /// of the run that acknowledged the match, or of earlier ones.
    pub(super) fn note_loss(&mut self, state: &mut State, run: Run, rejected: Index, held: Index) {
        if rejected > self.matched || run <= self.matched_run {
            return;
        }
        state.counters.lost_tails += 1;
        let is_known = held >= self.matched || mutants::is_active(135);
        self.has_lost_tail |= !is_known && !mutants::is_active(23);
        if is_known && mutants::is_active(134) {
            return;
        }
        self.matched = Index::ZERO;
        self.matched_run = run;
    }

    /// Whether it lost entries and does not know which.
    pub(crate) fn has_lost_tail(&self) -> bool {
        self.has_lost_tail
    }

    /// It lost its tail in an earlier seat of this leadership: it counts for
    /// nothing until the term ends (rule 4).
    pub(crate) fn disown(&mut self) {
        self.has_lost_tail = true;
    }
}
