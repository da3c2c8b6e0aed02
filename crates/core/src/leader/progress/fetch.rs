//! Entries that a member needs and that have left memory: storage is asked.

use super::{Circular, Mode, Peer};
use crate::entry::Entries;
use crate::output::outlet::Kept;
use crate::output::{Fetch, FetchId};
use crate::state::State;

impl Peer {
    pub(super) fn fetch(&mut self, state: &mut State, bytes_max: usize, fetches: &mut u64) {
        *fetches += 1;
        let id = FetchId(*fetches);
        self.seldom_mut().fetch = Some(id);
        let last = state.log.memory_first().previous();
        state.effects.rare().fetches.push(Fetch { id, first: self.next, last, bytes_max });
    }

    pub(crate) fn is_fetching(&self, id: FetchId) -> bool {
        self.seldom.as_ref().is_some_and(|seldom| seldom.fetch == Some(id))
    }

    /// Entries that had left memory; `None` when storage has them no more.
    pub(crate) fn on_fetched(
        &mut self,
        state: &mut State,
        circular: Circular,
        entries: Option<Entries>,
    ) {
        self.drop_fetch();
        if self.is_behind_base(state) {
            // The log moved on meanwhile; the next flush sees to it.
            return;
        }
        let known = |entries: &Entries| {
            entries.first() == Some(self.next)
                && entries.chunks().all(|chunk| {
                    chunk.last() <= state.log.last().index && state.log.conflict(chunk).is_none()
                })
        };
        // Nothing, or not what was asked for: asked for again after a while.
        let Some(entries) = entries.filter(known) else {
            self.need_snapshot(state);
            return;
        };
        state.counters.entries_fetched += entries.len();
        state.counters.appends_sent += 1;
        let mut kept = Kept::default();
        self.send(state, circular, self.next.previous(), entries.as_slice(), &mut kept);
        for envelope in kept.messages {
            state.effects.send(envelope);
        }
    }

    /// Storage or a snapshot did not help: tried again after a while.
    pub(super) fn need_snapshot(&mut self, state: &State) {
        self.mode = Mode::SnapshotNeeded;
        self.seldom_mut().fetch_failed_at = state.time();
    }
}
