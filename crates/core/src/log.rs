//! One member's log: a tail in memory over what storage holds (D3).
//!
//! The terms of the whole log are kept as runs, so whether two logs match at
//! any index is answered without the entry. Entries themselves are kept as
//! chunks from `memory_first` on; older ones come from storage.
//!
//! Invariants
//! - Indexes are contiguous, terms never fall along the log (rule 16's ground).
//! - Nothing at or below the commit index is ever truncated; the caller
//!   asserts it, having refused such input at the door.
//! - Only entries that are durable and committed leave memory.
//! - What a turn asks for each time (the newest run, the configuration in effect,
//!   the size) stands in the log itself: behind a pointer it would be one more
//!   line of memory, far away where groups are many (D44).
//!
//! Not here: what is durable (`durability.rs`), who may append (`leader.rs`,
//! `follower.rs`).

use std::collections::VecDeque;
use std::mem;

use crate::entry::{Chunk, Entries, EntryKind};
use crate::ids::{Incarnation, Index, LogId, NodeId, Term};
use crate::log::base::Head;
use crate::membership::Configuration;
use crate::mutants;

/// Chunks at the end that are tried one by one before a search: more than are
/// under way to a disk or a member that keeps up.
const NEAR_LEN: usize = 8;

/// Slots up to which room is made for few more at a time: where groups are many,
/// each has a short log in memory.
const SLOTS_FEW: usize = 64;

/// Runs up to which room is made for one at a time: a group at rest has seen
/// the bootstrap and an election.
const RUNS_FEW: usize = 4;

/// A chunk and where its bytes begin, counted from the start of this run: sums
/// over ranges are then differences.
#[derive(Clone, Debug)]
struct Slot {
    chunk: Chunk,
    begin: u64,
}

impl Slot {
    fn end(&self) -> u64 {
        self.begin + length(&self.chunk)
    }
}

/// The log of one member.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    last: LogId,
    /// Where the newest run begins, which is of the last entry's term; 0 without
    /// any.
    newest_from: Index,
    slots: VecDeque<Slot>,
    /// Where the bytes of the first slot begin; `end` where there is none.
    begin: u64,
    /// Where the bytes of the last slot end.
    end: u64,
    last_log_time_ms: u64,
    /// The last configuration in the log and where it stands; nobody at 0 while
    /// there is none.
    configuration: (Index, Configuration),
    /// Those before it, ascending. Mostly there are none.
    #[expect(clippy::box_collection, reason = "one word where there are none")]
    former: Option<Box<Vec<(Index, Configuration)>>>,
    /// First log id of each run of one term, ascending; empty with the log. In a
    /// log with a base, that comes first.
    runs: Vec<LogId>,
    /// Rare, and larger than a place for it.
    head: Option<Box<Head>>,
}

/// Why what storage gave is no log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Runs that do not ascend, begin late, or end behind the last entry.
    #[error(
        "storage returned term runs that are no log ending at {last}: {detail}; \
         verify the log before starting this member again"
    )]
    Runs {
        /// The last index that storage named.
        last: Index,
        /// What is wrong.
        detail: &'static str,
    },
    /// A base and a snapshot that do not fit together, or not to the log.
    #[error(
        "storage returned a log with base {base} and snapshot {snapshot}: {detail}; \
         verify the log before starting this member again"
    )]
    Base {
        /// The last entry that left the log.
        base: LogId,
        /// The last entry of the snapshot.
        snapshot: LogId,
        /// What is wrong.
        detail: &'static str,
    },
    /// A machine that has applied what its log does not have (rule 14).
    #[error(
        "the machine has applied up to {machine}, its log ends at {last}: one of them is another's \
         or an old copy; remove this member and add it under a new node id"
    )]
    Machine {
        /// Where the machine is.
        machine: Index,
        /// The last entry.
        last: Index,
    },
    /// Configurations that do not ascend, or stand behind the last entry.
    #[error(
        "storage returned configurations that do not ascend in a log ending at {last}; \
         verify the log before starting this member again"
    )]
    Configurations {
        /// The last index that storage named.
        last: Index,
    },
    /// Entries of a later term than the one recorded: that record, and the
    /// vote with it, is lost, for no entry is written before its term (rule 6).
    #[error(
        "storage returned term {recorded} below the last entry {last}: term and vote are lost; \
         remove this member and add it under a new node id"
    )]
    HardState {
        /// The term that storage returned.
        recorded: Term,
        /// The last entry.
        last: LogId,
    },
}

impl Log {
    pub(crate) fn restore(
        head: Head,
        last: Index,
        mut runs: Vec<LogId>,
        configurations: Vec<(Index, Configuration)>,
        last_log_time_ms: u64,
    ) -> Result<Self, RestoreError> {
        let refuse = |detail| Err(RestoreError::Runs { last, detail });
        let Head { base, snapshot } = head.check(last)?;
        let last_id = match (runs.first(), runs.last()) {
            (None, _) | (_, None) if last > base.index => {
                return refuse("entries without runs");
            }
            (Some(first), _) if first.index != base.index.next() || first.term < base.term => {
                return refuse("the first run does not begin behind the base");
            }
            (_, Some(run)) if run.index > last || last.is_exhausted() => {
                return refuse("a run begins behind the last entry");
            }
            (_, run) => LogId { term: run.map_or(base.term, |run| run.term), index: last },
        };
        let ascending = |pair: &[LogId]| match pair {
            [a, b] => a.term < b.term && a.index < b.index,
            _ => true,
        };
        if !runs.windows(2).all(ascending) {
            return refuse("runs do not ascend");
        }
        let places = configurations.iter().map(|(index, _)| *index).chain([last.next()]);
        if !places.is_sorted_by(|a, b| a < b) {
            return Err(RestoreError::Configurations { last });
        }
        if base.index > Index::ZERO {
            let continued = runs.first().is_some_and(|first| first.term == base.term);
            runs.splice(..usize::from(continued), [base]);
        }
        let mut log = Self {
            last: last_id,
            runs,
            last_log_time_ms,
            head: (snapshot.index > Index::ZERO).then(|| Box::new(Head { base, snapshot })),
            ..Self::default()
        };
        log.note_newest_run();
        log.set_configurations(configurations);
        if snapshot.index <= last && !log.contains(snapshot) {
            let detail = "the log has another entry at the snapshot's index";
            return Err(RestoreError::Base { base, snapshot, detail });
        }
        Ok(log)
    }

    /// Adds a chunk behind the last entry. Returns whether another
    /// configuration is in effect now.
    ///
    /// # Errors
    /// The index of a configuration entry that cannot be read; nothing was
    /// appended then.
    #[inline(always)]
    pub(crate) fn append(&mut self, chunk: Chunk) -> Result<bool, Index> {
        assert!(chunk.first() == self.last.index.next(), "a gap in the log");
        assert!(chunk.term() >= self.last.term, "terms fall along the log");
        let configured = chunk.has_configuration();
        if configured {
            self.note_configurations(&chunk)?;
        }
        if chunk.term() > self.last.term || self.newest_from == Index::ZERO {
            self.begin_run(LogId { term: chunk.term(), index: chunk.first() });
        }
        self.last = LogId { term: chunk.term(), index: chunk.last() };
        self.last_log_time_ms = self.last_log_time_ms.max(chunk.log_time_ms());
        let begin = self.end;
        self.end += length(&chunk);
        if self.slots.len() == self.slots.capacity() {
            self.make_room();
        }
        self.slots.push_back(Slot { chunk, begin });
        Ok(configured)
    }

    #[cold]
    fn note_configurations(&mut self, chunk: &Chunk) -> Result<(), Index> {
        let added = configurations_of(chunk)?;
        let mut all = self.take_configurations();
        all.extend(added);
        self.set_configurations(all);
        Ok(())
    }

    /// All configurations in the log, ascending, to be put back.
    fn take_configurations(&mut self) -> Vec<(Index, Configuration)> {
        let mut all = self.former.take().map(|former| *former).unwrap_or_default();
        let (index, last) = mem::take(&mut self.configuration);
        if index > Index::ZERO || !last.is_empty() {
            all.push((index, last));
        }
        all
    }

    fn set_configurations(&mut self, mut all: Vec<(Index, Configuration)>) {
        self.configuration = all.pop().unwrap_or_default();
        self.former = (!all.is_empty()).then(|| Box::new(all));
    }

    fn former(&self) -> &[(Index, Configuration)] {
        self.former.as_deref().map_or(&[], |former| former.as_slice())
    }

    fn note_newest_run(&mut self) {
        self.newest_from = self.runs.last().map_or(Index::ZERO, |run| run.index);
    }

    #[cold]
    fn make_room(&mut self) {
        match self.slots.capacity() {
            // A group that only elects holds no more than this.
            0 => self.slots.reserve_exact(1),
            // What is pushed should go where something lay a few turns ago: the
            // places of a ring with room to spare are all far away.
            held if held < SLOTS_FEW => self.slots.reserve_exact(8),
            _ => self.slots.reserve(1),
        }
    }

    #[cold]
    fn begin_run(&mut self, first: LogId) {
        if self.runs.len() < RUNS_FEW {
            self.runs.reserve_exact(1);
        }
        self.runs.push(first);
        self.note_newest_run();
    }

    /// Removes the entries from `index` on. Returns whether another
    /// configuration is in effect now (rule 17).
    pub(crate) fn truncate(&mut self, index: Index) -> bool {
        let keep = index.previous();
        let term = self.term_at(keep).expect("truncation leaves a log that has its end");
        while let Some(Slot { chunk, begin }) = self.slots.pop_back() {
            self.end = begin;
            if let Some(kept) = chunk.until(keep).filter(|_| chunk.first() <= keep) {
                self.end += length(&kept);
                self.slots.push_back(Slot { chunk: kept, begin });
                break;
            }
        }
        self.runs.retain(|run| run.index <= keep);
        self.note_newest_run();
        self.last = LogId { term, index: keep };
        if self.configuration.0 <= keep || mutants::is_active(39) {
            return false;
        }
        let mut all = self.take_configurations();
        all.retain(|(at, _)| *at <= keep);
        self.set_configurations(all);
        true
    }

    pub(crate) fn last(&self) -> LogId {
        self.last
    }

    pub(crate) fn last_log_time_ms(&self) -> u64 {
        self.last_log_time_ms
    }

    /// The term at an index; index 0 has term 0. `None` behind the end, and
    /// before the base.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        if index > self.last.index {
            return None;
        }
        if index >= self.newest_from {
            return Some(self.last.term);
        }
        self.run_of(index).map(|run| run.term)
    }

    #[cold]
    fn run_of(&self, index: Index) -> Option<LogId> {
        if index == Index::ZERO {
            return Some(LogId::default());
        }
        let behind = self.runs.partition_point(|run| run.index <= index);
        behind.checked_sub(1).and_then(|i| self.runs.get(i)).copied()
    }

    /// Whether the entry with this log id is in the log (§3.5).
    pub(crate) fn contains(&self, id: LogId) -> bool {
        self.term_at(id.index) == Some(id.term)
    }

    /// Whether an append may follow `previous`. What lies before the base is
    /// committed, so whoever leads has it alike (§3.6).
    pub(crate) fn meets(&self, previous: LogId) -> bool {
        self.contains(previous) || previous.index < self.base().index
    }

    /// The last entry at or before `bound.index` whose term is at most
    /// `bound.term`: logs that do not match at `bound` can match only there or
    /// earlier.
    pub(crate) fn meeting_point(&self, bound: LogId) -> LogId {
        let mut index = bound.index.min(self.last.index);
        loop {
            // Before the base nothing is known: whoever asks must go on there.
            let run = self.run_of(index).unwrap_or_default();
            if run.term <= bound.term || index == Index::ZERO {
                return LogId { term: run.term, index };
            }
            index = run.index.previous();
        }
    }

    /// The first index at which a chunk differs from the log; `None` when all
    /// of it that overlaps is the same.
    pub(crate) fn conflict(&self, chunk: &Chunk) -> Option<Index> {
        // What lies before the base is committed: it is the same everywhere.
        let mut index = chunk.first().max(self.base().index);
        while index <= chunk.last().min(self.last.index) {
            if self.run_of(index).is_none_or(|run| run.term != chunk.term()) {
                return Some(index);
            }
            let behind = self.runs.iter().find(|later| later.index > index);
            index = behind.map_or(self.last.index.next(), |later| later.index);
        }
        None
    }

    /// Entries from `first` up to `last` out of memory, stopping after
    /// `bytes_max` bytes though not before the first entry. `None` when the
    /// first is not in memory.
    #[inline]
    pub(crate) fn slice(&self, first: Index, last: Index, bytes_max: usize) -> Option<Entries> {
        match self.whole_chunk(first, last, bytes_max) {
            Some(chunk) => Some(chunk.clone().into()),
            None => self.slice_any(first, last, bytes_max),
        }
    }

    /// The chunk that is exactly the entries from `first` to `last`, if they are
    /// one and came lately: mostly that is what is wanted, and often the newest.
    #[inline]
    pub(crate) fn whole_chunk(
        &self,
        first: Index,
        last: Index,
        bytes_max: usize,
    ) -> Option<&Chunk> {
        match self.slots.back() {
            Some(newest) if newest.chunk.first() == first => Some(&newest.chunk),
            _ => self.recent().map(|slot| &slot.chunk).find(|chunk| chunk.first() <= first),
        }
        .filter(|chunk| chunk.is_all_of(first, last, bytes_max))
    }

    #[inline(never)]
    fn slice_any(&self, first: Index, last: Index, bytes_max: usize) -> Option<Entries> {
        if first < self.memory_first() || first > last || last > self.last.index {
            return None;
        }
        let at = self.slot_of(first);
        self.gather(at, first, last, bytes_max)
    }

    /// Slots from the newest back: what is asked for mostly came last, or a few
    /// turns ago.
    #[inline]
    fn recent(&self) -> impl Iterator<Item = &Slot> {
        let (front, back) = self.slots.as_slices();
        let newest = if back.is_empty() { front } else { back };
        newest.iter().rev().take(NEAR_LEN)
    }

    /// Entries from several chunks, or parts of one, beginning in slot `at`.
    #[inline(never)]
    fn gather(
        &self,
        mut at: usize,
        first: Index,
        last: Index,
        bytes_max: usize,
    ) -> Option<Entries> {
        let mut entries = Entries::none();
        let mut bytes = 0;
        while let Some(slot) = self.slots.get(at) {
            let Some(chunk) = slot.chunk.within(first, last) else {
                break;
            };
            let room = bytes_max.saturating_sub(bytes);
            let whole = chunk.bytes().len() <= room;
            if !whole && !entries.is_empty() {
                break;
            }
            let chunk = if whole { chunk } else { chunk.head_within(room) };
            bytes += chunk.bytes().len();
            entries.push(chunk);
            if !whole {
                break;
            }
            at += 1;
        }
        Some(entries).filter(|entries| !entries.is_empty())
    }

    /// The slot that holds `index`, which is in memory.
    fn slot_of(&self, index: Index) -> usize {
        let near = self.near(|chunk| chunk.first() <= index);
        near.unwrap_or_else(|| self.slots.partition_point(|slot| slot.chunk.last() < index))
    }

    /// The last slot of which `holds` is true, if it is near the end.
    fn near(&self, holds: impl Fn(&Chunk) -> bool) -> Option<usize> {
        // Over the seam of the ring too: short rings have it often.
        let mut near = self.slots.iter().rev().take(NEAR_LEN);
        let behind = near.position(|slot| holds(&slot.chunk))?;
        Some(self.slots.len() - 1 - behind)
    }

    /// The first index whose entry is in memory; behind the end when none is.
    pub(crate) fn memory_first(&self) -> Index {
        self.slots.front().map_or(self.last.index.next(), |slot| slot.chunk.first())
    }

    /// Bytes of entries in memory.
    pub(crate) fn bytes(&self) -> usize {
        usize::try_from(self.end - self.begin).expect("memory fits usize")
    }

    /// Whether the chunks that end behind `index` leave room for `bytes` more
    /// below `limit`.
    pub(crate) fn has_room_behind(&self, index: Index, bytes: usize, limit: usize) -> bool {
        // Mostly all that is in memory does.
        let fits = |held: usize| held.saturating_add(bytes) <= limit;
        fits(self.bytes()) || fits(self.bytes_behind(index))
    }

    /// Bytes of the chunks that end behind `index`.
    pub(crate) fn bytes_behind(&self, index: Index) -> usize {
        if index >= self.last.index {
            return 0;
        }
        let before = self.near(|chunk| chunk.last() <= index).or_else(|| {
            self.slots.partition_point(|slot| slot.chunk.last() <= index).checked_sub(1)
        });
        let Some(before) = before.and_then(|at| self.slots.get(at)) else {
            return self.bytes();
        };
        usize::try_from(self.end - before.end()).expect("memory fits usize")
    }

    /// Drops chunks that end at or before `until` from memory, oldest first,
    /// until at most `bytes_max` bytes are left.
    pub(crate) fn evict(&mut self, until: Index, bytes_max: usize) {
        while self.bytes() > bytes_max {
            let Some(oldest) = self.slots.front().filter(|slot| slot.chunk.last() <= until) else {
                return;
            };
            self.begin = oldest.end();
            self.slots.pop_front();
        }
        if self.slots.is_empty() {
            self.slots.shrink_to(8);
        }
    }

    /// The configuration in effect at `index` and where it stands.
    pub(crate) fn configuration_at(&self, index: Index) -> Option<(Index, &Configuration)> {
        let (at, last) = &self.configuration;
        let (at, configuration) = if index >= *at && !last.is_empty() {
            (at, last)
        } else {
            let behind = self.former().partition_point(|(at, _)| *at <= index);
            let (at, former) = self.former().get(behind.checked_sub(1)?)?;
            (at, former)
        };
        Some((*at, configuration)).filter(|_| index >= self.base().index)
    }

    /// The configuration before the one in effect.
    pub(crate) fn former_configuration(&self) -> Option<&Configuration> {
        self.former().last().map(|(_, former)| former)
    }

    /// Whether a configuration in the log seats a node under an incarnation.
    pub(crate) fn has_seated(&self, node: NodeId, incarnation: Incarnation) -> bool {
        self.former().iter().chain([&self.configuration]).any(|(_, configuration)| {
            configuration.nodes().any(|m| (m.node, m.incarnation) == (node, incarnation))
        })
    }

    /// The configuration in effect and where it stands: the last one in the
    /// log, committed or not (§4.1).
    pub(crate) fn configuration(&self) -> (Index, &Configuration) {
        let (index, last) = &self.configuration;
        (*index, last)
    }
}

fn length(chunk: &Chunk) -> u64 {
    u64::try_from(chunk.bytes().len()).expect("usize is at most 64 bits")
}

fn configurations_of(chunk: &Chunk) -> Result<Vec<(Index, Configuration)>, Index> {
    let configured = chunk.entries().filter(|entry| entry.kind == EntryKind::Configuration);
    configured
        .map(|entry| {
            let decoded = Configuration::decode(entry.payload);
            decoded.map(|configuration| (entry.index, configuration)).map_err(|_| entry.index)
        })
        .collect()
}

pub(crate) mod base;

#[cfg(test)]
mod tests;
