//! What the log holds of each group, and where.
//!
//! Entries are found by coarse spans: adjacent indexes of a group in one
//! stretch of a segment. A read scans its span. A span is closed when it is
//! long in blocks and worth it in entries, so that the index costs a few bytes
//! an entry at most, however many groups share the log.
//!
//! Invariants
//! - Spans of a group are contiguous and ascending, and cover exactly its log:
//!   from behind its base on.
//! - No entry within a span was ever replaced: a truncation closes the span it
//!   cuts. So whoever scans a span frame by frame and takes the last version of
//!   an index within each frame has the entry that counts.
//!
//! The same functions follow the log while it is written and while it is
//! replayed: what recovery believes is what the run before believed.

use std::collections::BTreeMap;

use bytes::Bytes;

use raftlet::core::{Chunk, EntryKind, Generation, GroupId, HardState, Index, LogId, Term};

/// A span longer than this is closed: one read of a span takes about as much.
const SPAN_BLOCKS_MAX: u32 = 64;
/// Unless it has fewer entries: 40 B of index an entry would be too much.
const SPAN_LEN_MIN: u64 = 32;

/// Where a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameAt {
    pub(crate) segment: u64,
    pub(crate) frame: u64,
    pub(crate) block: u32,
    /// The first block behind it.
    pub(crate) end: u32,
}

/// A stretch of a segment that holds these entries of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: Index,
    pub(crate) last: Index,
    pub(crate) segment: u64,
    pub(crate) block: u32,
    pub(crate) end: u32,
}

/// What the log holds of one group.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupIndex {
    pub(crate) generation: Generation,
    pub(crate) hard_state: HardState,
    /// Entries up to this one left the log.
    pub(crate) base: LogId,
    /// The log id of the snapshot in use.
    pub(crate) snapshot: Option<LogId>,
    pub(crate) last: Index,
    /// First log id of each run of terms.
    pub(crate) runs: Vec<LogId>,
    pub(crate) configurations: Vec<(Index, Bytes)>,
    /// Log time of the last entry; unknown behind a truncation.
    pub(crate) last_log_time_ms: Option<u64>,
    /// The last frame with a record of this group; 0 for none.
    pub(crate) last_frame: u64,
    spans: Vec<Span>,
    is_cut: bool,
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
        self.runs.retain(|run| run.index < from);
        self.configurations.retain(|(index, _)| *index < from);
        self.spans.retain(|span| span.first < from);
        if let Some(span) = self.spans.last_mut() {
            span.last = span.last.min(from.previous());
        }
        self.last_log_time_ms = self.spans.is_empty().then_some(0);
        self.is_cut = true;
        Ok(())
    }

    /// Removes the entries up to and with `base`; a log that ends before it
    /// begins anew behind it.
    pub(crate) fn compact(&mut self, base: LogId) -> Result<(), Misfit> {
        if base.index <= self.base.index {
            return Ok(());
        }
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
        self.spans.retain(|span| span.last >= first);
        if let Some(span) = self.spans.first_mut() {
            span.first = span.first.max(first);
        } else {
            self.last_log_time_ms = Some(0);
        }
        Ok(())
    }

    /// The term of an entry held.
    fn term_at(&self, index: Index) -> Option<Term> {
        let run = self.runs.iter().rev().find(|run| run.index <= index);
        run.filter(|_| index <= self.last).map(|run| run.term)
    }

    /// Appends a chunk found or written in this frame.
    pub(crate) fn append(&mut self, chunk: &Chunk, at: &FrameAt) -> Result<(), Misfit> {
        let (found, expected) = (chunk.first(), self.last.next());
        if found != expected {
            return Err(Misfit::Gap { found, expected });
        }
        match self.runs.last() {
            Some(run) if chunk.term() < run.term => return Err(Misfit::TermFalls { found }),
            Some(run) if chunk.term() == run.term => {}
            _ => self.runs.push(LogId { term: chunk.term(), index: found }),
        }
        self.place(found, chunk.last(), at);
        self.last = chunk.last();
        for entry in chunk.entries() {
            self.last_log_time_ms = Some(entry.log_time_ms);
            if entry.kind == EntryKind::Configuration {
                let payload = Bytes::copy_from_slice(entry.payload);
                self.configurations.push((entry.index, payload));
            }
        }
        Ok(())
    }

    fn place(&mut self, first: Index, last: Index, at: &FrameAt) {
        let was_cut = std::mem::take(&mut self.is_cut);
        if let Some(span) = self.spans.last_mut() {
            let is_small = at.end.saturating_sub(span.block) <= SPAN_BLOCKS_MAX
                || span.last - span.first < SPAN_LEN_MIN;
            if !was_cut && span.segment == at.segment && is_small {
                span.last = last;
                span.end = at.end;
                return;
            }
        }
        self.spans.push(Span { first, last, segment: at.segment, block: at.block, end: at.end });
    }

    /// The spans from the one that holds `first` on: of one segment, up to
    /// `last`, and no more of them than are worth about `blocks` blocks.
    pub(crate) fn stretch(&self, first: Index, last: Index, blocks: u32) -> &[Span] {
        let from = self.spans.partition_point(|span| span.last < first);
        let spans = self.spans.get(from..).unwrap_or_default();
        let Some(start) = spans.first().filter(|span| span.first <= first) else {
            return &[];
        };
        let until = start.block.saturating_add(blocks);
        let goes_on = |span: &&Span| {
            span.segment == start.segment && span.first <= last && span.block < until
        };
        let len = spans.iter().take_while(goes_on).count().max(1);
        spans.get(..len).unwrap_or_default()
    }
}

/// All groups of a log.
pub(crate) type Groups = BTreeMap<GroupId, GroupIndex>;

#[cfg(test)]
mod tests {
    use super::{FrameAt, GroupIndex, Misfit, Span};
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
        group.stretch(index, index, 1).first().copied()
    }

    #[test]
    fn a_stretch_ends_with_its_segment_with_what_is_wanted_and_with_what_it_is_worth() {
        let mut group = group();
        // 40 entries in 4 frames of 65 blocks: each span holds one frame.
        for (at, first) in [2, 67, 132, 197].into_iter().zip([1, 41, 81, 121]) {
            let at = FrameAt { segment: 1, frame: at, block: u32::try_from(at).unwrap(), end: 0 };
            let at = FrameAt { end: at.block + 65, ..at };
            group.append(&chunk(first, 40, 1), &at).unwrap();
        }
        group.append(&chunk(161, 40, 1), &at(2, 2)).unwrap();
        let len =
            |first, last, blocks| group.stretch(Index::new(first), Index::new(last), blocks).len();
        assert_eq!(len(1, 200, 1_000), 4);
        assert_eq!(len(41, 81, 1_000), 2);
        assert_eq!(len(41, 200, 66), 2);
        assert_eq!(len(41, 200, 0), 1);
        assert_eq!(len(170, 200, 1_000), 1);
        assert_eq!(len(201, 300, 1_000), 0);
    }

    fn group() -> GroupIndex {
        let mut group = GroupIndex::default();
        group.begin(Generation::new(1)).unwrap();
        group
    }

    #[test]
    fn neighbours_share_a_span_and_segments_never_do() {
        let mut group = group();
        group.append(&chunk(1, 3, 1), &at(1, 2)).unwrap();
        group.append(&chunk(4, 3, 1), &at(1, 3)).unwrap();
        group.append(&chunk(7, 1, 2), &at(2, 2)).unwrap();
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
        group.append(&chunk(1, 5, 1), &at(1, 2)).unwrap();
        group.truncate(Index::new(3)).unwrap();
        assert_eq!((group.last.get(), group.last_log_time_ms), (2, None));
        group.append(&chunk(3, 2, 2), &at(1, 3)).unwrap();
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
        group.append(&chunk(1, 4, 1), &at(1, 2)).unwrap();
        group.append(&chunk(5, 4, 3), &at(2, 2)).unwrap();
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
        group.append(&chunk(1, 4, 1), &at(1, 2)).unwrap();
        group.compact(id(7, 50)).unwrap();
        assert_eq!((group.last.get(), group.runs.len(), group.spans.len()), (50, 0, 0));
        assert!(matches!(group.append(&chunk(5, 1, 7), &at(1, 3)), Err(Misfit::Gap { .. })));
        group.append(&chunk(51, 1, 7), &at(1, 3)).unwrap();
        assert_eq!(group.runs, vec![id(7, 51)]);
    }

    #[test]
    fn sparse_entries_share_spans_so_that_the_index_stays_small() {
        let mut group = group();
        for index in 1..=1000u64 {
            let block = u32::try_from(index * 100).unwrap();
            group.append(&chunk(index, 1, 1), &at(1, block)).unwrap();
        }
        assert!(group.spans.len() <= 32, "{} spans", group.spans.len());
    }

    #[test]
    fn gaps_and_falling_terms_and_lives_are_misfits() {
        let mut group = group();
        group.append(&chunk(1, 1, 5), &at(1, 2)).unwrap();
        let gap = group.append(&chunk(3, 1, 5), &at(1, 3));
        assert!(matches!(gap, Err(Misfit::Gap { .. })));
        let falls = group.append(&chunk(2, 1, 4), &at(1, 3));
        assert!(matches!(falls, Err(Misfit::TermFalls { .. })));
        assert_eq!(group.begin(Generation::new(0)), Err(Misfit::Generation));
    }
}
