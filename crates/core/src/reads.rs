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

use std::mem;

use crate::ids::{Index, NodeId, ReadId, Run};
use crate::message::Body;
use crate::output::ReadReady;
use crate::state::State;
use crate::time::Time;

/// Reads that wait for a leader's word. Most members never have any: they hold
/// no room for them.
#[derive(Debug, Default)]
pub(crate) struct Reads(Option<Box<Open>>);

#[derive(Debug, Default)]
struct Open {
    /// Arrived after the request that is under way.
    waiting: Vec<ReadId>,
    /// Covered by the request under way; it is named after the last of them.
    asked: Vec<ReadId>,
    asked_at: Time,
}

impl Reads {
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |open| open.waiting.len() + open.asked.len())
    }

    /// Whether there never was any.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn push(&mut self, read: ReadId) {
        self.0.get_or_insert_default().waiting.push(read);
    }

    pub(crate) fn forget(&mut self, read: ReadId) {
        if let Some(open) = &mut self.0 {
            open.waiting.retain(|waiting| *waiting != read);
            open.asked.retain(|asked| *asked != read);
        }
    }

    /// All of them, when this member leads itself.
    pub(crate) fn take(&mut self) -> Vec<ReadId> {
        let Open { mut waiting, mut asked, .. } = self.0.take().map(|o| *o).unwrap_or_default();
        asked.append(&mut waiting);
        asked
    }

    /// The leader changed: what was asked of the former one is asked anew.
    pub(crate) fn restart(&mut self) {
        if let Some(open) = &mut self.0 {
            open.asked.append(&mut open.waiting);
            mem::swap(&mut open.asked, &mut open.waiting);
        }
    }

    pub(crate) fn next_deadline(&self, state: &State) -> Option<Time> {
        self.0.as_ref().and_then(|open| open.next_deadline(state))
    }

    /// Asks the leader, first or again. Returns whether it asked.
    pub(crate) fn flush(&mut self, state: &mut State, leader: NodeId) -> bool {
        self.0.as_mut().is_some_and(|open| open.flush(state, leader))
    }

    /// The leader's answer. Returns whether it was the one awaited.
    pub(crate) fn on_reply(
        &mut self,
        state: &mut State,
        run: Run,
        read: ReadId,
        index: Index,
    ) -> bool {
        let awaited = |open: &&mut Box<Open>| open.asked.last() == Some(&read);
        let Some(open) = self.0.as_mut().filter(|_| run == state.run()).filter(awaited) else {
            state.counters.stale += 1;
            return false;
        };
        let served = open.asked.drain(..).map(|read| ReadReady { read, index });
        state.effects.rare().reads.extend(served);
        true
    }
}

impl Open {
    fn next_deadline(&self, state: &State) -> Option<Time> {
        let interval = state.settings.heartbeat_interval_ns;
        (!self.asked.is_empty()).then(|| self.asked_at.after_ns(interval))
    }

    fn flush(&mut self, state: &mut State, leader: NodeId) -> bool {
        let again = self.next_deadline(state).is_some_and(|at| at <= state.time());
        let first = self.asked.is_empty() && !self.waiting.is_empty();
        if first {
            mem::swap(&mut self.asked, &mut self.waiting);
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
}
