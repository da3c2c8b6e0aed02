//! A member's disk: what is durable, and what a slow write has under way.

use std::collections::VecDeque;

use raftlet_core::{
    Chunk, Configuration, Entries, EntryKind, HardState, Index, LogId, Persist, Refill, Restored,
    Snapshot,
};

/// What a member's storage holds.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub(crate) hard_state: HardState,
    pub(crate) entries: Vec<Chunk>,
    pub(crate) is_slow: bool,
    pub(crate) is_broken: bool,
    pub(crate) pending: VecDeque<Persist>,
    base: LogId,
    /// Entries were held, and some of them are lost.
    pub(crate) refill: Option<Refill>,
    /// The current snapshot.
    pub(crate) snapshot: Option<Taken>,
    /// Finished files that no record names yet.
    pub(crate) files: Vec<Taken>,
}

/// A snapshot in its file.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) snapshot: Snapshot,
    /// The machine's state.
    pub(crate) commands: Vec<String>,
}

impl Disk {
    pub(crate) fn last(&self) -> LogId {
        self.entries
            .last()
            .map_or(self.base, |chunk| LogId { term: chunk.term(), index: chunk.last() })
    }

    pub(crate) fn apply(&mut self, persist: &Persist) {
        if let Some(hard_state) = persist.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(from) = persist.truncate_from {
            let kept = self.entries.iter().filter_map(|chunk| chunk.until(from.previous()));
            self.entries = kept.collect();
        }
        if let Some(compact) = persist.compact {
            let base = compact.base;
            let kept = self.entries.iter().filter_map(|chunk| chunk.from(base.index.next()));
            self.entries = kept.collect();
            self.base = base;
            let is_named = |file: &&Taken| Some(file.snapshot.last) == compact.snapshot;
            self.snapshot = self.files.iter().find(is_named).cloned().or(self.snapshot.take());
            let held = self.snapshot.as_ref().map_or(Index::ZERO, |held| held.snapshot.last.index);
            assert!(base.index <= held, "compacted beyond the snapshot");
        }
        for chunk in persist.entries.chunks() {
            assert_eq!(chunk.first(), self.last().index.next(), "a gap on the disk");
            self.entries.push(chunk.clone());
        }
        if persist.refilled {
            self.refill = None;
        }
    }

    pub(crate) fn restored(&self) -> Restored {
        let mut restored = Restored {
            hard_state: self.hard_state,
            base: self.base,
            last: self.base.index,
            snapshot: self.snapshot.as_ref().map(|taken| taken.snapshot.clone()),
            refill: self.refill,
            ..Restored::default()
        };
        for chunk in &self.entries {
            if restored.runs.last().is_none_or(|run| run.term < chunk.term()) {
                restored.runs.push(LogId { term: chunk.term(), index: chunk.first() });
            }
            for entry in chunk.entries().filter(|e| e.kind == EntryKind::Configuration) {
                let configuration = Configuration::decode(entry.payload).unwrap();
                restored.configurations.push((entry.index, configuration));
            }
            restored.last = chunk.last();
            restored.last_log_time_ms = chunk.log_time_ms();
        }
        restored
    }

    pub(crate) fn read(&self, first: Index, last: Index) -> Option<Entries> {
        let mut entries = Entries::none();
        for chunk in &self.entries {
            let part = chunk.from(first).and_then(|chunk| chunk.until(last));
            if let Some(part) = part.filter(|_| first > self.base.index) {
                entries.push(part);
            }
        }
        Some(entries).filter(|entries| !entries.is_empty())
    }
}
