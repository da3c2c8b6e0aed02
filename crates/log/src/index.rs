//! What the log holds of each group, and where.
//!
//! Entries are found by coarse spans (`index/spans.rs`): adjacent indexes of a
//! group in one stretch of a segment. A read scans its span, and where it ended
//! is remembered, so that the next one goes on there. A group has a bounded
//! number of spans in a segment: the index grows with groups and segments, and
//! not with entries.
//!
//! Invariants
//! - The spans of a group cover exactly its log: from behind its base on.
//! - A segment whose number is below `Groups::oldest_needed` holds nothing
//!   that counts.
//!
//! The same functions follow the log while it is written and while it is
//! replayed: what recovery believes is what the run before believed.

pub(crate) mod contradiction;
mod groups;
#[cfg(test)]
mod midway;
pub(crate) mod spans;

use bytes::Bytes;

use crate::directory::{Harm, LostEntries};
use crate::index::spans::Spans;
use crate::record::{GroupState, Item};
use crate::width::u64_from;
use raftlet::core::{
    Chunk, ChunkRef, Entry, EntryKind, Generation, GroupId, HardState, Index, LogId, Term,
};

pub(crate) use groups::Groups;

/// Where a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameAt {
    pub(crate) segment: u64,
    pub(crate) frame: u64,
    pub(crate) block: u32,
    /// The first block behind it.
    pub(crate) end: u32,
}

/// What the log holds of one group.
///
/// What every record of entries reads and changes comes first, so that a replay
/// of many groups meets two cache lines of each and nothing behind pointers.
#[derive(Clone, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct GroupIndex {
    pub(crate) generation: Generation,
    /// The segment that last stated all of this; 0 before any did.
    pub(crate) state_segment: u64,
    /// The last frame with a record of this group; 0 for none.
    pub(crate) last_frame: u64,
    pub(crate) last: Index,
    /// The last run's term, where that is known without a look at it.
    last_term: Option<Term>,
    /// Log time of the last entry; unknown behind a truncation.
    pub(crate) last_log_time_ms: Option<u64>,
    pub(crate) spans: Spans,
    pub(crate) hard_state: HardState,
    /// Entries up to this one left the log.
    pub(crate) base: LogId,
    /// The log id of the snapshot in use.
    pub(crate) snapshot: Option<LogId>,
    /// First log id of each run of terms.
    pub(crate) runs: Vec<LogId>,
    pub(crate) configurations: Vec<(Index, Bytes)>,
    pub(crate) harm: Harm,
}

/// What a chunk adds to its group, its configurations apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    pub(crate) first: Index,
    pub(crate) last: Index,
    pub(crate) term: Term,
    pub(crate) bytes: u64,
    pub(crate) log_time_ms: u64,
}

impl Growth {
    #[inline]
    pub(crate) fn of(chunk: &ChunkRef<'_>) -> Self {
        Self {
            first: chunk.first(),
            last: chunk.last(),
            term: chunk.term(),
            bytes: u64_from(chunk.bytes().len()),
            log_time_ms: chunk.log_time_ms(),
        }
    }
}

/// A record that does not fit what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Entries that do not follow the last one.
    Gap { found: Index, expected: Index },
    /// A term below that of the entry before.
    TermFalls { found: Index },
    /// A hard state of a lower term than the one before.
    HardStateFalls,
    /// An older life of the group, or records before its first.
    Generation,
    /// A truncation of what was compacted, or a base of another term than the
    /// entry there.
    Base { found: Index },
    /// Moved entries that are not in the log.
    Moved { found: Index },
    /// A statement that is not what was known.
    State,
}

impl GroupIndex {
    /// Begins a life of the group; what was held of former ones is gone.
    pub(crate) fn begin(&mut self, generation: Generation) -> Result<(), Misfit> {
        if generation < self.generation {
            return Err(Misfit::Generation);
        }
        *self = Self {
            generation,
            last_frame: self.last_frame,
            state_segment: self.state_segment,
            last_log_time_ms: Some(0),
            ..Self::default()
        };
        Ok(())
    }

    pub(crate) fn vote(&mut self, state: HardState) -> Result<(), Misfit> {
        if state.term < self.hard_state.term {
            return Err(Misfit::HardStateFalls);
        }
        self.hard_state = state;
        Ok(())
    }

    /// Removes the entries from this index on.
    pub(crate) fn truncate(&mut self, from: Index) -> Result<(), Misfit> {
        if from > self.last {
            return Ok(());
        }
        if from <= self.base.index {
            return Err(Misfit::Base { found: from });
        }
        self.last = from.previous();
        self.last_term = None;
        self.runs.retain(|run| run.index < from);
        self.configurations.retain(|(index, _)| *index < from);
        self.spans.truncate(from);
        self.last_log_time_ms = self.spans.is_empty().then_some(0);
        Ok(())
    }

    /// Damage was found: entries are lost behind what is whole; or, from entry 1 on,
    /// with a snapshot the base itself, and then all of the log.
    pub(crate) fn damage(&mut self, harm: Harm) -> Result<(), Misfit> {
        self.harm = harm;
        let held = self.base.index.next();
        match harm.entries.map(|lost| lost.first) {
            Some(Index::FIRST) if held > Index::FIRST => {
                self.begin_anew();
                Ok(())
            }
            // A snapshot may hold the first of them by now.
            Some(first) => self.truncate(first.max(held)),
            None => Ok(()),
        }
    }

    /// Nothing of the log is left, nor of its snapshot. Term and vote are.
    pub(crate) fn begin_anew(&mut self) {
        self.last = Index::ZERO;
        self.last_term = None;
        self.last_log_time_ms = Some(0);
        self.base = LogId::default();
        self.snapshot = None;
        self.spans.clear();
        self.runs.clear();
        self.configurations.clear();
    }

    /// Removes the entries up to and with `base`; a log that ends before it
    /// begins anew behind it.
    pub(crate) fn compact(&mut self, base: LogId) -> Result<(), Misfit> {
        if base.index <= self.base.index {
            return Ok(());
        }
        self.last_term = None;
        if base.index > self.last {
            self.last = base.index;
            self.runs.clear();
            self.spans.clear();
        } else if self.term_at(base.index).is_some_and(|term| term != base.term) {
            return Err(Misfit::Base { found: base.index });
        }
        self.base = base;
        let first = base.index.next();
        let term = self.term_at(first);
        self.runs.retain(|run| run.index > first);
        if let Some(term) = term {
            self.runs.insert(0, LogId { term, index: first });
        }
        self.configurations.retain(|(index, _)| *index >= first);
        self.spans.compact(first);
        if self.spans.is_empty() {
            self.last_log_time_ms = Some(0);
        }
        Ok(())
    }

    /// The term of an entry held.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        let run = self.runs.iter().rev().find(|run| run.index <= index);
        run.filter(|_| self.spans.holds(index)).map(|run| run.term)
    }

    /// Appends a chunk found or written in this frame.
    pub(crate) fn append(&mut self, chunk: &ChunkRef<'_>, at: &FrameAt) -> Result<(), Misfit> {
        self.grow(&Growth::of(chunk), at)?;
        if chunk.has_configuration() {
            let is_one = |entry: &Entry<'_>| entry.kind == EntryKind::Configuration;
            let found = chunk.entries().filter(is_one);
            let copied = found.map(|it| (it.index, Bytes::copy_from_slice(it.payload)));
            self.configurations.extend(copied);
        }
        Ok(())
    }

    /// Whether entries from `first` on, of this term, surely follow what is there.
    #[inline]
    pub(crate) fn is_continued_by(&self, first: Index, term: Term) -> bool {
        first == self.last.next() && self.last_term == Some(term)
    }

    /// Appends entries of which none is a configuration.
    #[inline]
    pub(crate) fn grow(&mut self, by: &Growth, at: &FrameAt) -> Result<(), Misfit> {
        let (found, expected) = (by.first, self.last.next());
        if found != expected {
            return Err(Misfit::Gap { found, expected });
        }
        if self.last_term != Some(by.term) {
            match self.runs.last() {
                Some(run) if by.term < run.term => return Err(Misfit::TermFalls { found }),
                // In a replay what lies between may be unknown still. If the log is
                // cut there, that run goes with what it began with.
                Some(run) if by.term == run.term && self.spans.holds(self.last) => {}
                _ => self.runs.push(LogId { term: by.term, index: found }),
            }
            self.last_term = Some(by.term);
        }
        self.spans.append(found, by.last, by.bytes, at);
        self.last = by.last;
        self.last_log_time_ms = Some(by.log_time_ms);
        Ok(())
    }

    /// Entries of the log stand at another place from now on. Where a replay
    /// began behind their first place, they are news.
    pub(crate) fn relocate(&mut self, chunk: &Chunk, at: &FrameAt) -> Result<(), Misfit> {
        let (first, last) = (chunk.first(), chunk.last());
        if first <= self.base.index || last > self.last {
            return Err(Misfit::Moved { found: first });
        }
        let is_known = self.spans.hole(first, last).is_none();
        if !is_known {
            if self.spans.holds_any(first, last) {
                return Err(Misfit::Moved { found: first });
            }
            self.learn(chunk);
        }
        self.spans.replace(first, last, u64_from(chunk.bytes().len()), at);
        Ok(())
    }

    /// Takes in what entries say that are not the newest.
    fn learn(&mut self, chunk: &Chunk) {
        self.last_term = None;
        let at = self.runs.partition_point(|run| run.index < chunk.first());
        self.runs.insert(at, LogId { term: chunk.term(), index: chunk.first() });
        for entry in chunk.entries() {
            if entry.kind == EntryKind::Configuration {
                let payload = Bytes::copy_from_slice(entry.payload);
                let at = self.configurations.partition_point(|(index, _)| *index < entry.index);
                self.configurations.insert(at, (entry.index, payload));
            }
            if entry.index == self.last {
                self.last_log_time_ms = Some(entry.log_time_ms);
            }
        }
    }

    /// Entries were written behind the last one, and are lost.
    pub(crate) fn miss(&mut self, first: Index, last: Index, term: Term) -> Result<(), Misfit> {
        if first > self.last.next() {
            return Err(Misfit::Gap { found: first, expected: self.last.next() });
        }
        self.truncate(first)?;
        self.last_term = None;
        if self.runs.last().is_none_or(|run| run.term < term) {
            self.runs.push(LogId { term, index: first });
        }
        self.last = self.last.max(last);
        self.last_log_time_ms = None;
        Ok(())
    }

    /// Frames with records of the group are lost: makes what is known such that
    /// this record follows. What was known of entries may have been replaced.
    pub(crate) fn make_fit(&mut self, item: &Item) {
        self.spans.clear();
        self.last_term = None;
        self.runs.clear();
        self.configurations.clear();
        self.last_log_time_ms = None;
        match item {
            Item::State { state, .. } => {
                self.generation = state.generation;
                self.hard_state = state.hard_state;
                self.base = state.base;
                self.last = state.last;
                self.snapshot = state.snapshot;
                self.harm = state.harm;
            }
            Item::HardState { state, .. } => {
                self.hard_state.term = self.hard_state.term.min(state.term);
            }
            Item::Truncate { from, .. } => self.last = self.last.max(*from),
            Item::Entries { chunk, .. } => self.last = chunk.first().previous(),
            Item::Moved { chunk, .. } => self.last = self.last.max(chunk.last()),
            _ => {}
        }
    }

    /// What is wrong still: of entries that are lost, those that were not sent again
    /// since, nor are held by a snapshot that was.
    pub(crate) fn missing(&self) -> Harm {
        let held = self.last.next();
        let entries =
            self.harm.entries.map(|lost| LostEntries { first: lost.first.max(held), ..lost });
        Harm { entries: entries.filter(|lost| lost.first <= lost.last), ..self.harm }
    }

    /// All of the group but its entries.
    pub(crate) fn state(&self) -> GroupState {
        GroupState {
            generation: self.generation,
            hard_state: self.hard_state,
            base: self.base,
            last: self.last,
            snapshot: self.snapshot,
            harm: self.harm,
        }
    }

    /// Compares with what a segment states; where nothing was known, believes.
    pub(crate) fn restate(&mut self, state: &GroupState) -> Result<(), Misfit> {
        if self.state_segment != 0 {
            return if self.state() == *state { Ok(()) } else { Err(Misfit::State) };
        }
        self.generation = state.generation;
        self.hard_state = state.hard_state;
        self.base = state.base;
        self.last = state.last;
        self.snapshot = state.snapshot;
        self.harm = state.harm;
        self.last_log_time_ms = (state.last == state.base.index).then_some(0);
        Ok(())
    }

    /// The replay is over: the first entry that should be held and is not.
    pub(crate) fn complete(&mut self) -> Option<Index> {
        self.spans.shrink();
        self.runs.dedup_by(|later, earlier| later.term == earlier.term);
        self.spans.hole(self.base.index.next(), self.last)
    }

    /// The oldest segment with something of the group that counts; `None` of a
    /// group whose first record is lost, of which nothing is known.
    pub(crate) fn oldest_segment(&self) -> Option<u64> {
        let stated = (self.state_segment != 0).then_some(self.state_segment);
        self.spans.oldest_segment().into_iter().chain(stated).min()
    }
}

/// Bytes of memory that the groups take, about.
pub(crate) fn bytes(groups: &Groups) -> u64 {
    let fixed = size_of::<GroupId>() + size_of::<GroupIndex>();
    let of = |index: &GroupIndex| {
        let configurations = index.configurations.iter().map(|(_, payload)| payload.len());
        fixed
            + index.spans.memory_bytes()
            + index.runs.capacity() * size_of::<LogId>()
            + index.configurations.capacity() * size_of::<(Index, Bytes)>()
            + configurations.sum::<usize>()
    };
    u64_from(groups.values().map(of).sum())
}

#[cfg(test)]
mod tests {
    use super::{FrameAt, GroupIndex, Misfit};
    use crate::index::spans::Span;
    use raftlet::core::{
        Arena, Chunk, EntryKind, Generation, GroupId, Index, LogId, NewEntry, Seal, Term,
    };

    fn chunk(first: u64, len: usize, term: u64) -> Chunk {
        let entry =
            NewEntry { kind: EntryKind::Command, log_time_ms: first, origin: None, payload: b"x" };
        let first = LogId { term: Term::new(term), index: Index::new(first) };
        let seal = Seal::new(GroupId::new(1), Generation::new(1));
        Chunk::encode(&mut Arena::default(), seal, first, (0..len).map(|_| entry))
    }

    fn at(segment: u64, block: u32) -> FrameAt {
        FrameAt { segment, frame: u64::from(block), block, end: block + 1 }
    }

    fn find(group: &GroupIndex, index: u64) -> Option<Span> {
        let index = Index::new(index);
        group.spans.stretch(index, index, 1).first().copied()
    }

    #[test]
    fn a_stretch_ends_with_its_segment_with_what_is_wanted_and_with_what_it_is_worth() {
        let mut group = group();
        // 300 entries in 4 frames of 1 025 blocks: each span holds one frame.
        for (block, first) in [2, 1027, 2052, 3077].into_iter().zip([1, 301, 601, 901]) {
            let at = FrameAt { segment: 1, frame: first, block, end: block + 1025 };
            group.append(&(&chunk(first, 300, 1)).into(), &at).unwrap();
        }
        group.append(&(&chunk(1201, 40, 1)).into(), &at(2, 2)).unwrap();
        let len = |first, last, blocks| {
            group.spans.stretch(Index::new(first), Index::new(last), blocks).len()
        };
        assert_eq!(len(1, 1240, 10_000), 4);
        assert_eq!(len(301, 601, 10_000), 2);
        assert_eq!(len(301, 1240, 1026), 2);
        assert_eq!(len(301, 1240, 0), 1);
        assert_eq!(len(1210, 1240, 10_000), 1);
        assert_eq!(len(1241, 1300, 10_000), 0);
    }

    #[test]
    fn a_read_goes_on_where_the_one_before_ended_unless_the_log_was_changed_there() {
        let mut group = group();
        for block in 2..10u32 {
            group.append(&(&chunk(u64::from(block) - 1, 1, 1)).into(), &at(1, block)).unwrap();
        }
        let starts_at = |group: &GroupIndex, index| find(group, index).unwrap().block;
        group.spans.ended_at(Index::new(6), 1, 6);
        assert_eq!((starts_at(&group, 6), starts_at(&group, 5), starts_at(&group, 7)), (6, 2, 2));
        group.append(&(&chunk(9, 1, 1)).into(), &at(1, 10)).unwrap();
        assert_eq!(starts_at(&group, 6), 6);
        group.truncate(Index::new(6)).unwrap();
        group.append(&(&chunk(6, 1, 2)).into(), &at(1, 11)).unwrap();
        assert_eq!(starts_at(&group, 6), 11);
        // The end of a read that began before the truncation.
        group.spans.ended_at(Index::new(6), 1, 6);
        assert_eq!(starts_at(&group, 6), 11);
    }

    fn group() -> GroupIndex {
        let mut group = GroupIndex::default();
        group.begin(Generation::new(1)).unwrap();
        group
    }

    #[test]
    fn neighbours_share_a_span_and_segments_never_do() {
        let mut group = group();
        group.append(&(&chunk(1, 3, 1)).into(), &at(1, 2)).unwrap();
        group.append(&(&chunk(4, 3, 1)).into(), &at(1, 3)).unwrap();
        group.append(&(&chunk(7, 1, 2)).into(), &at(2, 2)).unwrap();
        assert_eq!(group.spans.len(), 2);
        let span = find(&group, 5).unwrap();
        assert_eq!((span.block, span.end, span.last.get()), (2, 4, 6));
        assert_eq!(find(&group, 8), None);
        assert_eq!(find(&group, 0), None);
        assert_eq!(group.runs.len(), 2);
    }

    #[test]
    fn a_truncation_closes_the_span_it_cuts_so_that_no_scan_meets_the_old_version() {
        let mut group = group();
        group.append(&(&chunk(1, 5, 1)).into(), &at(1, 2)).unwrap();
        group.truncate(Index::new(3)).unwrap();
        assert_eq!((group.last.get(), group.last_log_time_ms), (2, None));
        group.append(&(&chunk(3, 2, 2)).into(), &at(1, 3)).unwrap();
        assert_eq!(find(&group, 2).unwrap().end, 3);
        assert_eq!(find(&group, 3).unwrap().block, 3);
        group.truncate(Index::new(1)).unwrap();
        assert_eq!((group.last, group.runs.len()), (Index::ZERO, 0));
    }

    fn id(term: u64, index: u64) -> LogId {
        LogId { term: Term::new(term), index: Index::new(index) }
    }

    #[test]
    fn a_compaction_leaves_what_is_behind_its_base_as_it_was() {
        // Rule 23; law 7 of the port.
        let mut group = group();
        group.append(&(&chunk(1, 4, 1)).into(), &at(1, 2)).unwrap();
        group.append(&(&chunk(5, 4, 3)).into(), &at(2, 2)).unwrap();
        assert_eq!(group.compact(id(2, 3)), Err(Misfit::Base { found: Index::new(3) }));
        group.compact(id(1, 3)).unwrap();
        assert_eq!((group.base, group.last.get()), (id(1, 3), 8));
        assert_eq!(group.runs, vec![id(1, 4), id(3, 5)]);
        assert_eq!((find(&group, 3), find(&group, 4).unwrap().segment), (None, 1));
        group.compact(id(1, 2)).unwrap();
        assert_eq!(group.base, id(1, 3), "an older base changes nothing");
        group.compact(id(1, 4)).unwrap();
        assert_eq!((group.runs.clone(), group.spans.len()), (vec![id(3, 5)], 1));
        assert_eq!(group.truncate(Index::new(4)), Err(Misfit::Base { found: Index::new(4) }));
        group.truncate(Index::new(5)).unwrap();
        assert_eq!((group.last.get(), group.spans.len()), (4, 0));
    }

    #[test]
    fn a_log_that_ends_before_its_base_begins_anew_behind_it() {
        let mut group = group();
        group.append(&(&chunk(1, 4, 1)).into(), &at(1, 2)).unwrap();
        group.compact(id(7, 50)).unwrap();
        assert_eq!((group.last.get(), group.runs.len(), group.spans.len()), (50, 0, 0));
        assert!(matches!(
            group.append(&(&chunk(5, 1, 7)).into(), &at(1, 3)),
            Err(Misfit::Gap { .. })
        ));
        group.append(&(&chunk(51, 1, 7)).into(), &at(1, 3)).unwrap();
        assert_eq!(group.runs, vec![id(7, 51)]);
    }

    #[test]
    fn sparse_entries_share_spans_so_that_the_index_stays_small() {
        let mut group = group();
        for index in 1..=1000u64 {
            let block = u32::try_from(index * 100).unwrap();
            group.append(&(&chunk(index, 1, 1)).into(), &at(1, block)).unwrap();
        }
        assert!(group.spans.len() <= 32, "{} spans", group.spans.len());
    }

    #[test]
    fn gaps_and_falling_terms_and_lives_are_misfits() {
        let mut group = group();
        group.append(&(&chunk(1, 1, 5)).into(), &at(1, 2)).unwrap();
        let gap = group.append(&(&chunk(3, 1, 5)).into(), &at(1, 3));
        assert!(matches!(gap, Err(Misfit::Gap { .. })));
        let falls = group.append(&(&chunk(2, 1, 4)).into(), &at(1, 3));
        assert!(matches!(falls, Err(Misfit::TermFalls { .. })));
        assert_eq!(group.begin(Generation::new(0)), Err(Misfit::Generation));
    }
}
