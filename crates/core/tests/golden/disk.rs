//! A member's disk: what is durable, and what a slow write has under way.

use std::collections::VecDeque;

use raftlet_core::{
    Chunk, Configuration, Entries, EntryKind, HardState, Index, LogId, Persist, Restored,
};

/// What a member's storage holds.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub(crate) hard_state: HardState,
    pub(crate) entries: Vec<Chunk>,
    pub(crate) is_slow: bool,
    pub(crate) is_broken: bool,
    pub(crate) pending: VecDeque<Persist>,
}

impl Disk {
    pub(crate) fn last(&self) -> LogId {
        self.entries
            .last()
            .map_or(LogId::default(), |chunk| LogId { term: chunk.term(), index: chunk.last() })
    }

    pub(crate) fn apply(&mut self, persist: &Persist) {
        if let Some(hard_state) = persist.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(from) = persist.truncate_from {
            let kept = self.entries.iter().filter_map(|chunk| chunk.until(from.previous()));
            self.entries = kept.collect();
        }
        for chunk in persist.entries.chunks() {
            assert_eq!(chunk.first(), self.last().index.next(), "a gap on the disk");
            self.entries.push(chunk.clone());
        }
    }

    pub(crate) fn restored(&self) -> Restored {
        let mut restored = Restored { hard_state: self.hard_state, ..Restored::default() };
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
            if let Some(part) = chunk.from(first).and_then(|chunk| chunk.until(last)) {
                entries.push(part);
            }
        }
        Some(entries).filter(|entries| !entries.is_empty())
    }
}
