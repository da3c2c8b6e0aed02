//! Chunks that stand one behind the other in a snapshot's file, read at once.
//!
//! A device gives a chunk of 256 KiB at half of its speed. So a restore, which says
//! that it reads on from chunk to chunk, is read a stretch of them at a time, and the
//! next stretches while it uses one. Who sends is read chunk by chunk: long reads
//! would stand before the log's writes.
//!
//! Invariants
//! - What is read beyond the one chunk that was asked for is counted against the
//!   readers' allowance (`allowance.rs`), until the reader is behind it or gone. A
//!   reader for which nothing is left of it reads chunk by chunk.
//! - Stretches follow one another without gap or overlap.
//!
//! Why so: D60. Not here: what a chunk must be to count (`snapshot/reader.rs`).

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use crate::allowance::{Allowance, STRETCH_BYTES, STRETCHES_AHEAD, Taken};
use crate::begun::{Begun, ReadResult};
use crate::width::usize_from;

/// Where chunks stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) chunks: Range<u32>,
    /// Of the first one's slot in the file.
    pub(crate) offset: u64,
    /// Of all of their slots.
    pub(crate) bytes: usize,
}

/// Chunks that are read at once.
#[derive(Debug)]
pub(crate) struct Stretch<R> {
    pub(crate) place: Place,
    pub(crate) read: R,
    taken: Option<Taken>,
}

impl<R> Stretch<R> {
    /// The same, of which something else is known.
    pub(crate) fn with<T>(self, known: impl FnOnce(R) -> T) -> Stretch<T> {
        Stretch { place: self.place, read: known(self.read), taken: self.taken }
    }
}

impl Stretch<Begun> {
    /// Waits for the read.
    pub(crate) async fn ended(self) -> (Stretch<()>, ReadResult) {
        let Self { place, read, taken } = self;
        (Stretch { place, read: (), taken }, read.ended().await)
    }
}

/// What a reader has read, or reads.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    allowance: Allowance,
    /// Behind the chunk that was asked for last.
    next: u32,
    /// Holds that chunk; until the next stretch is read, the one before.
    current: Option<Stretch<Bytes>>,
    /// What comes behind, in order.
    ahead: VecDeque<Stretch<Begun>>,
    /// Not chunk by chunk: who reads has nothing else to wait for.
    reads_ahead: bool,
}

impl Reads {
    pub(crate) fn new(allowance: Allowance) -> Self {
        Self { allowance, ..Self::default() }
    }

    /// Stretches are read from now on.
    pub(crate) fn read_ahead(&mut self) {
        self.reads_ahead = true;
    }

    /// Chunk `number` is asked for: whether who asks reads on. What was read for
    /// somebody who does is given up otherwise.
    pub(crate) fn turn_to(&mut self, number: u32) -> bool {
        let goes_on = number == self.next && self.reads_ahead;
        self.next = number.saturating_add(1);
        if !goes_on {
            self.ahead.clear();
            self.current.take_if(|current| !current.place.chunks.contains(&number));
        }
        goes_on
    }

    /// The stretch that holds the chunk asked for last, if it is read, and where it
    /// begins in the file.
    pub(crate) fn current(&self) -> Option<(Bytes, u64)> {
        let asked = self.next.checked_sub(1)?;
        let holds = |current: &&Stretch<Bytes>| current.place.chunks.contains(&asked);
        let current = self.current.as_ref().filter(holds)?;
        Some((current.read.clone(), current.place.offset))
    }

    /// The next stretch is read: the one before goes. Not earlier, or the memory of
    /// the reads begun meanwhile would be its own. So theirs is new, and its pages are
    /// made by the thread that reads; what is freed here goes to the keys that are
    /// restored, which find their pages made: half of all that a restore takes.
    pub(crate) fn keep(&mut self, read: Stretch<Bytes>) {
        self.current = Some(read);
    }

    /// The read that begins with this chunk, if it was begun.
    pub(crate) fn begun(&mut self, number: u32) -> Option<Stretch<Begun>> {
        self.ahead.pop_front_if(|first| first.place.chunks.start == number)
    }

    pub(crate) fn push(&mut self, begun: Stretch<Begun>) {
        self.ahead.push_back(begun);
    }

    /// What is to be read for a chunk: of who reads on, those behind it too, if that
    /// is allowed.
    pub(crate) fn from(
        &self,
        number: u32,
        goes_on: bool,
        slot: impl Fn(u32) -> Option<(u64, usize)>,
    ) -> Option<Stretch<()>> {
        let alone = place(number..number.saturating_add(1), &slot)?;
        let end = self.ahead.front().map_or(u32::MAX, |first| first.place.chunks.start);
        let several = if goes_on { place(number..end, &slot)? } else { alone.clone() };
        let taken = self.allowance.take(several.bytes - alone.bytes);
        let place = if taken.is_some() { several } else { alone };
        Some(Stretch { place, read: (), taken })
    }

    /// What is to be read next for who goes on behind `end`, if enough is not yet.
    pub(crate) fn wanted(
        &self,
        end: u32,
        slot: impl Fn(u32) -> Option<(u64, usize)>,
    ) -> Option<Stretch<()>> {
        if self.ahead.len() >= STRETCHES_AHEAD {
            return None;
        }
        let first = self.ahead.back().map_or(end, |last| last.place.chunks.end);
        let place = place(first..u32::MAX, slot)?;
        let taken = Some(self.allowance.take(place.bytes)?);
        Some(Stretch { place, read: (), taken })
    }
}

/// As many of these chunks as are read at once, one at least; `slot` tells where
/// one stands, and how many bytes it takes there.
fn place(chunks: Range<u32>, slot: impl Fn(u32) -> Option<(u64, usize)>) -> Option<Place> {
    let Range { start, end } = chunks;
    let (offset, mut bytes) = slot(start)?;
    let mut last = start;
    while let Some(next) = last.checked_add(1).filter(|next| *next < end)
        && let Some((_, more)) = slot(next)
        && bytes + more <= STRETCH_BYTES
    {
        bytes += more;
        last = next;
    }
    Some(Place { chunks: start..last.checked_add(1)?, offset, bytes })
}

/// Where a chunk stands in what was read: the bytes from `offset` on of a file of
/// which `read` begins at `start`.
pub(crate) fn cut(read: &Bytes, start: u64, (offset, bytes): (u64, usize)) -> Option<Bytes> {
    let from = usize_from(offset.checked_sub(start)?);
    let end = from.checked_add(bytes)?;
    (end <= read.len()).then(|| read.slice(from..end))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Place, Reads, Stretch};
    use crate::allowance::{AHEAD_BYTES_MAX, Allowance, STRETCH_BYTES, STRETCHES_AHEAD};
    use crate::begun::Begun;
    use crate::disk::buffer::Buffer;

    const CHUNKS: u32 = 40;

    /// A file of chunks that take a quarter of a stretch each.
    fn slot(number: u32) -> Option<(u64, usize)> {
        let bytes = STRETCH_BYTES / 4;
        let offset = 4096 + u64::from(number) * u64::try_from(bytes).unwrap();
        (number < CHUNKS).then_some((offset, bytes))
    }

    fn begun(stretch: Stretch<()>) -> Stretch<Begun> {
        stretch.with(|()| Begun::Done((Buffer::zeroed(0), Ok(0))))
    }

    fn restoring(allowance: &Allowance) -> Reads {
        let mut reads = Reads::new(allowance.clone());
        reads.read_ahead();
        reads
    }

    /// Asks for a chunk as a reader does; what that has read now.
    fn ask(reads: &mut Reads, number: u32) -> Option<Place> {
        let goes_on = reads.turn_to(number);
        if reads.current().is_none() {
            let found = reads.begun(number);
            let found = found.or_else(|| reads.from(number, goes_on, slot).map(begun))?;
            let end = found.place.chunks.end;
            while goes_on && let Some(more) = reads.wanted(end, slot) {
                reads.push(begun(more));
            }
            reads.keep(found.with(|_| Bytes::new()));
        }
        reads.current.as_ref().map(|current| current.place.clone())
    }

    #[test]
    fn who_reads_on_reads_each_chunk_once_and_full_stretches() {
        let allowance = Allowance::default();
        let mut reads = restoring(&allowance);
        let mut read = Vec::new();
        for number in 0..CHUNKS {
            let place = ask(&mut reads, number).unwrap();
            assert!(place.chunks.contains(&number));
            if read.last() != Some(&place) {
                read.push(place);
            }
        }
        assert_eq!(ask(&mut reads, CHUNKS), None);
        assert!(read.iter().all(|place| place.bytes == STRETCH_BYTES), "{read:?}");
        assert!(read.windows(2).all(|pair| pair[0].chunks.end == pair[1].chunks.start));
        drop(reads);
        assert_eq!(allowance.taken_bytes(), 0);
    }

    #[test]
    fn who_jumps_reads_one_chunk_and_gives_up_what_was_read_for_him() {
        let mut reads = restoring(&Allowance::default());
        ask(&mut reads, 0);
        assert_eq!(reads.ahead.len(), STRETCHES_AHEAD);
        assert_eq!(ask(&mut reads, 30).map(|place| place.chunks), Some(30..31));
        assert_eq!((reads.ahead.len(), reads.allowance.taken_bytes()), (0, 0));
        // And goes on from there as any other.
        assert_eq!(ask(&mut reads, 31).map(|place| place.chunks), Some(31..35));
        // What is held is not read again.
        assert_eq!(ask(&mut reads, 33).map(|place| place.chunks), Some(31..35));
    }

    #[test]
    fn who_does_not_ask_for_it_is_read_chunk_by_chunk() {
        let mut reads = Reads::new(Allowance::default());
        for number in 0..CHUNKS {
            assert_eq!(ask(&mut reads, number).map(|place| place.chunks), Some(number..number + 1));
            assert_eq!((reads.ahead.len(), reads.allowance.taken_bytes()), (0, 0));
        }
    }

    #[test]
    fn many_readers_share_the_allowance_and_each_goes_on() {
        let allowance = Allowance::default();
        let mut all: Vec<Reads> = (0..1_000).map(|_| restoring(&allowance)).collect();
        for number in 0..CHUNKS {
            for reads in &mut all {
                assert!(ask(reads, number).is_some_and(|place| place.chunks.contains(&number)));
                assert!(allowance.taken_bytes() <= u64::try_from(AHEAD_BYTES_MAX).unwrap());
            }
        }
        drop(all);
        assert_eq!(allowance.taken_bytes(), 0);
    }

    #[test]
    fn a_chunk_larger_than_a_stretch_is_one() {
        let large = |number: u32| {
            let at = u64::from(number) * u64::try_from(2 * STRETCH_BYTES).unwrap();
            (number < 9).then_some((at, 2 * STRETCH_BYTES))
        };
        let reads = restoring(&Allowance::default());
        let place = reads.from(3, true, large).unwrap().place;
        assert_eq!((place.chunks, place.bytes), (3..4, 2 * STRETCH_BYTES));
    }
}
