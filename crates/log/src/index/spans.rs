//! Where the entries of one group stand: stretches of segments.
//!
//! Invariants
//! - Spans are ascending and do not overlap. In the log of a run they cover all
//!   of the group's entries; while a log is replayed from its middle, and where
//!   it is damaged, there are holes.
//! - No entry within a span was ever replaced: a truncation closes the span it
//!   cuts. So whoever scans a span frame by frame and takes the last version of
//!   an index within each frame has the entry that counts.

use crate::index::FrameAt;
use raftlet::core::Index;

/// A span longer than this is closed: a group has 16 in 64 MiB of log, and
/// the first of a run of reads passes over 2 MiB in vain in the middle.
const SPAN_BLOCKS_MAX: u32 = 1024;
/// Unless it has fewer entries: what is found faster would not be worth its
/// place in memory.
const SPAN_LEN_MIN: u64 = 256;

/// A stretch of a segment that holds these entries of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: Index,
    pub(crate) last: Index,
    pub(crate) segment: u64,
    pub(crate) block: u32,
    pub(crate) end: u32,
    /// Of the entries; about as many where the span was cut.
    pub(crate) bytes: u64,
}

impl Span {
    fn len(&self) -> u64 {
        self.last - self.first + 1
    }

    /// Keeps a part.
    fn clip(&mut self, first: Index, last: Index) {
        let before = self.len();
        self.first = self.first.max(first);
        self.last = self.last.min(last);
        self.bytes = self.bytes.saturating_mul(self.len()) / before;
    }
}

/// The spans of a group. What an append needs comes first (`index.rs`).
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub(crate) struct Spans {
    /// The last one, when it was the last thing that changed: found without a
    /// step behind a pointer.
    open: Option<Span>,
    is_cut: bool,
    /// Those before it.
    closed: Vec<Span>,
    /// Where a read ended.
    resume: Option<Resume>,
}

/// Where the next entry to be read stands: the reads of an applier, or to a
/// member that is behind, go on where the one before ended.
#[derive(Clone, Copy, Debug)]
struct Resume {
    next: Index,
    segment: u64,
    block: u32,
}

impl Spans {
    fn all(&self) -> impl Iterator<Item = &Span> {
        self.closed.iter().chain(&self.open)
    }

    /// All of them, to be changed; where reads ended is forgotten.
    fn settled(&mut self) -> &mut Vec<Span> {
        self.resume = None;
        self.closed.extend(self.open.take());
        &mut self.closed
    }

    /// Bytes of the entries, about.
    pub(crate) fn bytes(&self) -> u64 {
        self.all().map(|span| span.bytes).sum()
    }

    /// Gives back memory that is not used.
    pub(crate) fn shrink(&mut self) {
        self.closed.shrink_to_fit();
    }

    /// Bytes of memory behind this.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.closed.capacity() * size_of::<Span>()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_none() && self.closed.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all().count()
    }

    pub(crate) fn clear(&mut self) {
        self.settled().clear();
        self.is_cut = true;
    }

    /// What comes next is not behind the last span: what lies between them
    /// cannot be read.
    pub(crate) fn close(&mut self) {
        self.is_cut = true;
    }

    /// Removes what stands at `from` and behind.
    pub(crate) fn truncate(&mut self, from: Index) {
        let spans = self.settled();
        spans.retain(|span| span.first < from);
        if let Some(span) = spans.last_mut() {
            span.clip(span.first, from.previous());
        }
        self.is_cut = true;
    }

    /// Removes what stands before `first`.
    pub(crate) fn compact(&mut self, first: Index) {
        let spans = self.settled();
        spans.retain(|span| span.last >= first);
        if let Some(span) = spans.first_mut() {
            span.clip(first, span.last);
        }
        spans.shrink_to(2 * spans.len());
    }

    /// Adds entries behind all others.
    pub(crate) fn append(&mut self, first: Index, last: Index, bytes: u64, at: &FrameAt) {
        let was_cut = std::mem::take(&mut self.is_cut);
        if self.open.is_none() {
            self.open = self.closed.pop();
        }
        if let Some(span) = &mut self.open {
            let is_small = at.end.saturating_sub(span.block) <= SPAN_BLOCKS_MAX
                || span.last - span.first < SPAN_LEN_MIN;
            let follows = span.last.next() == first && span.end <= at.end;
            if !was_cut && follows && span.segment == at.segment && is_small {
                span.last = last;
                span.end = at.end;
                span.bytes += bytes;
                return;
            }
        }
        self.closed.extend(self.open.replace(Span::new(first, last, bytes, at)));
    }

    /// Puts entries that were written again at a place of their own.
    pub(crate) fn replace(&mut self, first: Index, last: Index, bytes: u64, at: &FrameAt) {
        let former = self.settled();
        let mut spans = Vec::with_capacity(former.len() + 2);
        for span in former.iter() {
            if span.first < first {
                let mut before = *span;
                before.clip(span.first, first.previous());
                spans.push(before);
            }
            if span.last > last {
                let mut behind = *span;
                behind.clip(last.next(), span.last);
                spans.push(behind);
            }
        }
        let place = spans.partition_point(|span| span.first < first);
        spans.insert(place, Span::new(first, last, bytes, at));
        self.closed = spans;
        // What comes next goes on elsewhere.
        self.is_cut = true;
    }

    /// The first entry from `first` to `last` that stands nowhere.
    pub(crate) fn hole(&self, first: Index, last: Index) -> Option<Index> {
        let mut next = first;
        for span in self.all().filter(|span| span.last >= first) {
            if span.first > next {
                break;
            }
            next = span.last.next();
        }
        (next <= last).then_some(next)
    }

    /// Whether any entry from `first` to `last` stands somewhere.
    pub(crate) fn holds_any(&self, first: Index, last: Index) -> bool {
        self.all().any(|span| span.first <= last && span.last >= first)
    }

    pub(crate) fn holds(&self, index: Index) -> bool {
        self.from(index).next().is_some_and(|span| span.first <= index)
    }

    /// Those that end at `index` or behind.
    fn from(&self, index: Index) -> impl Iterator<Item = &Span> {
        let at = self.closed.partition_point(|span| span.last < index);
        let open = self.open.as_ref().filter(|span| span.last >= index);
        self.closed.get(at..).unwrap_or_default().iter().chain(open)
    }

    /// The oldest segment with an entry.
    pub(crate) fn oldest_segment(&self) -> Option<u64> {
        self.all().map(|span| span.segment).min()
    }

    /// Of what stands in a segment: the first unbroken range, its bytes, and
    /// the last entry of all.
    pub(crate) fn in_segment(&self, segment: u64) -> Option<Held> {
        let mut held: Option<Held> = None;
        for span in self.all().filter(|span| span.segment == segment) {
            match &mut held {
                None => {
                    held = Some(Held {
                        first: span.first,
                        last: span.last,
                        until: span.last,
                        bytes: span.bytes,
                    });
                }
                Some(held) => {
                    if held.last.next() == span.first {
                        held.last = span.last;
                    }
                    held.until = span.last;
                    held.bytes += span.bytes;
                }
            }
        }
        held
    }

    /// Whether all entries from `first` to `last` stand in this segment.
    pub(crate) fn all_in(&self, segment: u64, first: Index, last: Index) -> bool {
        let touched = |span: &&Span| span.first <= last && span.last >= first;
        self.hole(first, last).is_none()
            && self.all().filter(touched).all(|span| span.segment == segment)
    }

    /// The spans from the one that holds `first` on: of one segment, up to
    /// `last`, and no more of them than are worth about `blocks` blocks. The
    /// first begins where the read before ended, if that was right before
    /// `first`.
    pub(crate) fn stretch(&self, first: Index, last: Index, blocks: u32) -> Vec<Span> {
        let mut spans = self.from(first).copied();
        let Some(mut start) = spans.next().filter(|span| span.first <= first) else {
            return Vec::new();
        };
        let here = |it: &Resume| it.next == first && it.segment == start.segment;
        if let Some(resume) = self.resume.filter(here)
            && (start.block..start.end).contains(&resume.block)
        {
            start.block = resume.block;
        }
        let until = start.block.saturating_add(blocks);
        let mut next = start.block;
        let goes_on = |span: &Span| {
            let is_ahead = span.block >= next && span.block < until;
            next = span.block;
            span.segment == start.segment && span.first <= last && is_ahead
        };
        std::iter::once(start).chain(spans.take_while(goes_on)).collect()
    }

    /// The first block behind all that the group has in this segment.
    pub(crate) fn end_in(&self, segment: u64) -> u32 {
        let here = self.all().filter(|span| span.segment == segment);
        here.map(|span| span.end).max().unwrap_or_default()
    }

    /// A read ended before entry `next`, which stands in the frame at `block`
    /// of the segment, or behind it.
    pub(crate) fn ended_at(&mut self, next: Index, segment: u64, block: u32) {
        self.resume = Some(Resume { next, segment, block });
    }
}

impl Span {
    fn new(first: Index, last: Index, bytes: u64, at: &FrameAt) -> Self {
        Self { first, last, segment: at.segment, block: at.block, end: at.end, bytes }
    }
}

/// What a group has in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// The first unbroken range.
    pub(crate) first: Index,
    pub(crate) last: Index,
    /// The last entry of all.
    pub(crate) until: Index,
    pub(crate) bytes: u64,
}
