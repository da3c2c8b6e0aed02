//! A member's log and hard state as somebody would find them.
//!
//! Each member has two: what the core has handed out so far (*written*), and
//! what would survive a loss of power now (*durable*). A record is the log's
//! entry reduced to what checks need; its digest covers all entries up to it,
//! so that two logs are compared at an index in one step.
//!
//! Not here: what may be written (`judge.rs`), when it becomes durable
//! (`member.rs`).

use std::rc::Rc;

use crate::trace::{mix, mix_bytes};
use raftlet::core::{
    Chunk, Compaction, Configuration, Entries, Entry, EntryKind, HardState, Index, LogId, NodeId,
    Origin, Refill, Restored, Snapshot, Term,
};

/// An entry, reduced to what checks need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) term: Term,
    /// Of this entry and all before it.
    pub(crate) digest: u64,
    /// The command's number (`clients.rs`); 0 when it is no command.
    pub(crate) command: u64,
    pub(crate) origin: Option<Origin>,
    pub(crate) is_configuration: bool,
    pub(crate) log_time_ms: u64,
}

impl Record {
    /// The record of `entry`, which stands behind the log of digest `before`.
    pub(crate) fn new(before: u64, entry: &Entry<'_>) -> Self {
        let kind = match entry.kind {
            EntryKind::Noop => 1,
            EntryKind::Command => 2,
            EntryKind::Configuration => 3,
        };
        let mut digest = mix(mix(before, entry.term.get()), kind);
        digest = mix(digest, entry.log_time_ms);
        digest = mix_bytes(digest, entry.payload);
        if let Some(origin) = entry.origin {
            digest = mix(mix(digest, origin.node.get()), origin.run.get());
            digest = mix(digest, origin.sequence);
        }
        Self {
            term: entry.term,
            digest,
            command: match entry.kind {
                EntryKind::Command => command_number(entry.payload),
                _ => 0,
            },
            origin: entry.origin,
            is_configuration: entry.kind == EntryKind::Configuration,
            log_time_ms: entry.log_time_ms,
        }
    }
}

/// The number that a command begins with.
fn command_number(payload: &[u8]) -> u64 {
    payload.first_chunk().map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes))
}

/// A snapshot in its file.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) snapshot: Snapshot,
    /// The log that led to it, which stands here for the machine's state.
    pub(crate) records: Vec<Record>,
}

impl Taken {
    /// The digest of all entries up to its last.
    pub(crate) fn digest(&self) -> u64 {
        self.records.last().map_or(0, |record| record.digest)
    }
}

/// A log with its hard state. Records are kept from entry 1 on, also of what
/// was compacted; entries are not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) hard_state: HardState,
    records: Vec<Record>,
    chunks: Vec<Chunk>,
    configurations: Vec<(Index, Configuration)>,
    base: LogId,
    snapshot: Option<Rc<Taken>>,
    /// Entries were held, and some are lost (D29).
    refill: Option<Refill>,
    /// All of them are, and nothing was written since that would begin a log anew:
    /// what is left of the former one lies there still, and each start finds the
    /// loss again (D53).
    is_forsaken: bool,
}

impl Image {
    /// Adopts hard state, truncates, compacts, appends: in the order of a
    /// `Persist`.
    pub(crate) fn adopt(&mut self, change: &Change) {
        if let Some(hard_state) = change.hard_state {
            self.hard_state = hard_state;
        }
        if change.compact.is_some() || !change.records.is_empty() {
            self.is_forsaken = false;
        }
        if let Some(from) = change.truncate_from {
            self.truncate(from);
        }
        if let Some(compaction) = change.compact {
            self.compact(compaction, change.taken.as_ref());
        }
        self.records.extend_from_slice(&change.records);
        if change.records.iter().any(|record| record.is_configuration) {
            let entries = change.entries.iter();
            let configured = entries.filter(|entry| entry.kind == EntryKind::Configuration);
            self.configurations.extend(configured.map(|entry| {
                let configuration = Configuration::decode(entry.payload);
                (entry.index, configuration.expect("a core appends only what it can read"))
            }));
        }
        self.chunks.extend(change.entries.chunks().cloned());
        if change.refilled {
            self.refill = None;
        }
    }

    /// The entries from `from` on are damaged.
    pub(crate) fn lose(&mut self, from: Index) {
        self.refill = Some(self.loss());
        self.truncate(from);
    }

    /// The snapshot is damaged: a log that begins with entry 1 goes without, of any
    /// other everything is lost but term and vote (D53). Whether it is.
    pub(crate) fn lose_snapshot(&mut self) -> bool {
        if self.base.index == Index::ZERO {
            self.snapshot = None;
            return false;
        }
        let refill = Some(self.loss());
        *self = Self { hard_state: self.hard_state, refill, is_forsaken: true, ..Self::default() };
        true
    }

    /// What a loss found now makes it miss.
    fn loss(&self) -> Refill {
        let known = self.refill.map_or(Index::ZERO, |refill| refill.until);
        Refill { until: self.last().index.max(known), term: self.hard_state.term }
    }

    /// A start finds a loss again that nothing was written over. Whether it does.
    pub(crate) fn find_again(&mut self) -> bool {
        if self.is_forsaken {
            self.refill = Some(self.loss());
        }
        self.is_forsaken
    }

    /// Whether entries are lost and not there again.
    pub(crate) fn is_harmed(&self) -> bool {
        self.refill.is_some()
    }

    /// Whether nothing that was lost is missing in a log that ends here (D29).
    pub(crate) fn would_be_whole_at(&self, last: LogId) -> bool {
        self.refill.is_none_or(|lost| last.index >= lost.until || last.term > lost.term)
    }

    /// Removes the entries from `from` on.
    fn truncate(&mut self, from: Index) {
        self.records.truncate(position(from.previous()));
        self.configurations.retain(|(index, _)| *index < from);
        while let Some(chunk) = self.chunks.pop_if(|chunk| chunk.last() >= from) {
            if let Some(kept) = chunk.until(from.previous()) {
                self.chunks.push(kept);
                return;
            }
        }
    }

    /// Entries up to the base go. What the snapshot stands for is as the
    /// snapshot has it, whatever was here.
    fn compact(&mut self, compaction: Compaction, taken: Option<&Rc<Taken>>) {
        self.base = compaction.base;
        let base = position(compaction.base.index);
        self.chunks = self.chunks.iter().filter_map(|c| c.from(self.base.index.next())).collect();
        if let Some(taken) = taken {
            let snapshot = &taken.snapshot;
            if self.digest(snapshot.last.index) != Some(taken.digest()) {
                // Another's: of its configurations the last is known.
                self.configurations.retain(|(index, _)| position(*index) > base);
                let configured = (snapshot.configuration_index, snapshot.configuration.clone());
                self.configurations.insert(0, configured);
            }
            let behind = self.records.split_off(self.records.len().min(base));
            self.records.clone_from(&taken.records);
            self.records.truncate(base);
            self.records.extend(behind);
            self.snapshot = Some(Rc::clone(taken));
        }
    }

    pub(crate) fn base(&self) -> LogId {
        self.base
    }

    /// The current snapshot.
    pub(crate) fn snapshot(&self) -> Option<&Rc<Taken>> {
        self.snapshot.as_ref()
    }

    /// The last entry of the current snapshot.
    pub(crate) fn snapshot_last(&self) -> LogId {
        self.snapshot().map_or(LogId::default(), |taken| taken.snapshot.last)
    }

    pub(crate) fn last(&self) -> LogId {
        LogId {
            term: self.records.last().map_or(Term::ZERO, |last| last.term),
            index: Index::new(u64::try_from(self.records.len()).expect("a short log")),
        }
    }

    /// Configurations and where they stand, ascending.
    pub(crate) fn configurations(&self) -> &[(Index, Configuration)] {
        &self.configurations
    }

    /// Those that a log has which begins at the base: the one in effect there,
    /// and what follows.
    fn configurations_held(&self) -> Vec<(Index, Configuration)> {
        let behind = self.configurations.partition_point(|(index, _)| *index <= self.base.index);
        self.configurations.iter().skip(behind.saturating_sub(1)).cloned().collect()
    }

    /// The configuration in effect in front of the entries of `term`.
    pub(crate) fn configuration_before(&self, term: Term) -> Option<&Configuration> {
        let is_before = |index: &Index| self.get(*index).is_some_and(|record| record.term < term);
        let mut earlier = self.configurations.iter().rev();
        earlier.find(|(index, _)| is_before(index)).map(|(_, configuration)| configuration)
    }

    /// Since which configuration that its leader of `term` made `node` has had
    /// its seat without a break; 0 when it had it before.
    pub(crate) fn seated_since(&self, node: NodeId, term: Term) -> Index {
        let mut since = Index::ZERO;
        for (index, configuration) in self.configurations.iter().rev() {
            let is_own = self.get(*index).is_some_and(|record| record.term == term);
            if configuration.find(node).is_none() {
                return since;
            }
            if !is_own {
                return Index::ZERO;
            }
            since = *index;
        }
        Index::ZERO
    }

    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// The entry at `index`.
    pub(crate) fn get(&self, index: Index) -> Option<&Record> {
        self.records.get(position(index).checked_sub(1)?)
    }

    /// The digest of the log up to `index`: 0 before the first entry, `None`
    /// behind the last.
    pub(crate) fn digest(&self, index: Index) -> Option<u64> {
        match position(index) {
            0 => Some(0),
            at => self.records.get(at - 1).map(|record| record.digest),
        }
    }

    /// The entries from `first` to at most `last`, stopping after `bytes_max`
    /// bytes though not before the first entry, as a storage's `read` does.
    pub(crate) fn read(&self, first: Index, last: Index, bytes_max: usize) -> Option<Entries> {
        if first <= self.base.index {
            return None;
        }
        let start = self.chunks.partition_point(|chunk| chunk.last() < first);
        let mut found = Entries::none();
        let mut room = bytes_max;
        for chunk in self.chunks.iter().skip(start) {
            let Some(part) = chunk.from(first).and_then(|part| part.until(last)) else {
                break;
            };
            let part = if found.is_empty() {
                part.head_within(room)
            } else if part.bytes().len() <= room {
                part
            } else {
                break;
            };
            room = room.saturating_sub(part.bytes().len());
            let is_whole = part.last() == chunk.last();
            found.push(part);
            if !is_whole {
                break;
            }
        }
        (!found.is_empty()).then_some(found)
    }

    /// What a member that starts on this image is told.
    pub(crate) fn restored(&self) -> Restored {
        let mut runs: Vec<LogId> = Vec::new();
        let held = self.records.iter().enumerate().skip(position(self.base.index));
        for (at, record) in held {
            let index = Index::new(u64::try_from(at).expect("a short log") + 1);
            if runs.last().is_none_or(|run| run.term != record.term) {
                runs.push(LogId { term: record.term, index });
            }
        }
        Restored {
            refill: self.refill,
            hard_state: self.hard_state,
            base: self.base,
            snapshot: self.snapshot().map(|taken| taken.snapshot.clone()),
            last: self.last().index,
            runs,
            configurations: self.configurations_held(),
            last_log_time_ms: self.records.last().map_or(0, |last| last.log_time_ms),
            machine: Index::ZERO,
        }
    }
}

/// One `Persist` with its records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) hard_state: Option<HardState>,
    pub(crate) truncate_from: Option<Index>,
    pub(crate) compact: Option<Compaction>,
    /// The file that becomes the current snapshot.
    pub(crate) taken: Option<Rc<Taken>>,
    pub(crate) records: Vec<Record>,
    pub(crate) entries: Entries,
    /// What was lost is there again.
    pub(crate) refilled: bool,
}

impl Change {
    /// Records for `entries`, which stand behind the log of digest `before`.
    pub(crate) fn records_of(mut before: u64, entries: &Entries) -> Vec<Record> {
        let mut records = Vec::new();
        for entry in entries.iter() {
            let record = Record::new(before, &entry);
            before = record.digest;
            records.push(record);
        }
        records
    }
}

/// An index as a position in a vector whose first element is index 1, plus 1.
pub(crate) fn position(index: Index) -> usize {
    usize::try_from(index.get()).expect("simulated logs are short")
}
