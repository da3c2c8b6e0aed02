//! A log whose front has left it: the base, and the snapshot that stands for
//! what is gone (§5).
//!
//! The base is the last entry that left. Its term is kept, as the first of the
//! runs, so that the entry behind it can still be matched. Of the
//! configurations the one in effect at the base stays.
//!
//! Invariants
//! - The base is committed and lies at or before the snapshot's last entry.
//! - Base and snapshot only move on.

use crate::ids::{Index, LogId};
use crate::log::{Log, RestoreError, length};
use crate::mutants;
use crate::snapshot::Snapshot;

/// Where a log begins, and what stands for what came before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The last entry that left the log.
    pub(crate) base: LogId,
    /// The last entry of the current snapshot.
    pub(crate) snapshot: LogId,
}

impl Head {
    /// Checks what storage named against each other.
    pub(super) fn check(self, last: Index) -> Result<Self, RestoreError> {
        let Self { base, snapshot } = self;
        let refuse = |detail| Err(RestoreError::Base { base, snapshot, detail });
        if base.index > snapshot.index || base.term > snapshot.term {
            return refuse("the base lies behind the snapshot");
        }
        if snapshot.is_exhausted() {
            return refuse("an index or term beyond the limits");
        }
        if last < base.index {
            return refuse("the log ends before its base");
        }
        Ok(self)
    }
}

impl Log {
    /// The last entry that left the log; zero while none has.
    pub(crate) fn base(&self) -> LogId {
        self.head.as_ref().map_or(LogId::default(), |head| head.base)
    }

    /// The last entry of the current snapshot; zero without one.
    pub(crate) fn snapshot(&self) -> LogId {
        self.head.as_ref().map_or(LogId::default(), |head| head.snapshot)
    }

    /// Entries up to `base` leave; `snapshot` contains them.
    pub(crate) fn compact(&mut self, base: LogId, snapshot: LogId) {
        assert!(base.index >= self.base().index, "a log's base only moves on");
        assert!(base.index <= snapshot.index, "no snapshot has what leaves the log");
        assert!(base.index <= self.last.index, "a base behind the log");
        let left = self.runs.partition_point(|run| run.index <= base.index);
        self.runs.splice(..left, (base.index > Index::ZERO).then_some(base));
        self.note_newest_run();
        self.drop_slots(base.index);
        let mut all = self.take_configurations();
        let in_effect = all.partition_point(|(at, _)| *at <= base.index);
        all.drain(..in_effect.saturating_sub(1));
        self.set_configurations(all);
        self.head = Some(Box::new(Head { base, snapshot }));
    }

    /// Nothing but the snapshot is left: the log goes on behind it.
    pub(crate) fn begin_anew(&mut self, snapshot: &Snapshot) {
        let last = snapshot.last;
        self.slots.clear();
        self.begin = self.end;
        self.runs.clear();
        self.runs.push(last);
        self.note_newest_run();
        self.last = last;
        let is_later = |at: Index| mutants::is_active(41) && at > snapshot.configuration_index;
        let mut all = self.take_configurations();
        all.retain(|(at, _)| is_later(*at));
        if !mutants::is_active(40) {
            let configured = (snapshot.configuration_index, snapshot.configuration.clone());
            all.insert(0, configured);
        }
        self.set_configurations(all);
        self.last_log_time_ms = self.last_log_time_ms.max(snapshot.log_time_ms);
        self.head = Some(Box::new(Head { base: last, snapshot: last }));
    }

    /// Drops entries up to `until` from memory.
    fn drop_slots(&mut self, until: Index) {
        while let Some(slot) = self.slots.front_mut().filter(|slot| slot.chunk.first() <= until) {
            let Some(kept) = slot.chunk.from(until.next()) else {
                self.begin = slot.end();
                self.slots.pop_front();
                continue;
            };
            slot.begin = slot.end() - length(&kept);
            self.begin = slot.begin;
            slot.chunk = kept;
        }
    }
}
