//! Reads of this member's callers while it does not lead (§6.4, D8).
//!
//! Reads that wait together share one request to the leader. The request is
//! repeated until it is answered or the caller gives up; repeating a read
//! harms nothing.
//!
//! Invariants
//! - A read is covered only by a request that left after it arrived.
//! - The answer's index says when to serve, not what is committed.
//!
//! Not here: confirming rounds at the leader (`leader/reads.rs`).

use crate::ids::{Index, NodeId, ReadId, Run};
use crate::message::Body;
use crate::output::ReadReady;
use crate::state::State;
use crate::time::Time;

/// Reads that wait for a leader's word.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// Arrived after the request that is under way.
    waiting: Vec<ReadId>,
    /// Covered by the request under way; it is named after the last of them.
    asked: Vec<ReadId>,
    asked_at: Time,
}

impl Reads {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.asked.len()
    }

    pub(crate) fn push(&mut self, read: ReadId) {
        self.waiting.push(read);
    }

    pub(crate) fn forget(&mut self, read: ReadId) {
        self.waiting.retain(|waiting| *waiting != read);
        self.asked.retain(|asked| *asked != read);
    }

    /// All of them, when this member leads itself.
    pub(crate) fn take(&mut self) -> Vec<ReadId> {
        let mut all = std::mem::take(&mut self.asked);
        all.append(&mut self.waiting);
        all
    }

    /// The leader changed: what was asked of the former one is asked anew.
    pub(crate) fn restart(&mut self) {
        self.asked.append(&mut self.waiting);
        std::mem::swap(&mut self.asked, &mut self.waiting);
    }

    pub(crate) fn next_deadline(&self, state: &State) -> Option<Time> {
        let interval = state.settings.heartbeat_interval_ns;
        (!self.asked.is_empty()).then(|| self.asked_at.after_ns(interval))
    }

    /// Asks the leader, first or again. Returns whether it asked.
    pub(crate) fn flush(&mut self, state: &mut State, leader: NodeId) -> bool {
        let again = self.next_deadline(state).is_some_and(|at| at <= state.time());
        let first = self.asked.is_empty() && !self.waiting.is_empty();
        if first {
            std::mem::swap(&mut self.asked, &mut self.waiting);
        }
        if !first && !again {
            return false;
        }
        let Some(read) = self.asked.last().copied() else {
            return false;
        };
        self.asked_at = state.time();
        let run = state.run();
        state.send(leader, Body::Read { run, read });
        true
    }

    /// The leader's answer. Returns whether it was the one awaited.
    pub(crate) fn on_reply(
        &mut self,
        state: &mut State,
        run: Run,
        read: ReadId,
        index: Index,
    ) -> bool {
        if run != state.run() || self.asked.last() != Some(&read) {
            state.counters.stale += 1;
            return false;
        }
        let served = self.asked.drain(..).map(|read| ReadReady { read, index });
        state.effects.reads.extend(served);
        true
    }
}
