//! Memory that stretches of a snapshot are read into, again and again.
//!
//! A restore reads a gigabyte, a MiB at a time, and is done with each before long.
//! New memory for each costs more than the copy of its bytes: the kernel finds and
//! clears a page for every 4 KiB of it, on a virtual machine the host another one,
//! while the reading thread keeps its core. So a stretch goes back to where it came
//! from when the last chunk cut from it is dropped.
//!
//! Invariants
//! - All readers of a shard share what lies here, which is what one reads ahead and
//!   is in use, and goes with the last of them: thousands that restore at once do not
//!   multiply it.
//! - What a buffer held before is not shown: a read says how much of it is its own.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

use crate::allowance::{STRETCH_BYTES, STRETCHES_AHEAD};
use crate::disk::buffer::Buffer;

/// Those that one reader has ahead, the one in use and the one before. A larger one,
/// of a chunk that is, is not kept.
const SHELVED_MAX: usize = STRETCHES_AHEAD + 2;

type Lying = Mutex<Vec<Buffer>>;

/// Where the readers of a shard find what lies there for all of them.
#[derive(Debug, Default)]
pub(crate) struct Shelf(RefCell<Weak<Lying>>);

impl Shelf {
    /// For one more reader.
    pub(crate) fn enter(&self) -> Buffers {
        let mut known = self.0.borrow_mut();
        let found = known.upgrade().unwrap_or_default();
        *known = Arc::downgrade(&found);
        Buffers(found)
    }
}

/// Buffers that nobody uses.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Arc<Lying>);

impl Buffers {
    /// A buffer of `len` bytes, whatever they are.
    pub(crate) fn take(&self, len: usize) -> Buffer {
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match spares.pop().filter(|spare| spare.capacity() >= len) {
            Some(mut spare) => {
                spare.set_len(len);
                spare
            }
            None => Buffer::zeroed(len),
        }
    }

    /// What was read into a buffer; the buffer comes back when all of it is dropped.
    pub(crate) fn lend(&self, buffer: Buffer) -> Bytes {
        Bytes::from_owner(Lent { buffer: Some(buffer), shelf: Arc::downgrade(&self.0) })
    }
}

/// A buffer that goes back.
struct Lent {
    /// Until it is dropped.
    buffer: Option<Buffer>,
    shelf: Weak<Lying>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], Buffer::bytes)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(shelf) = self.shelf.upgrade() else { return };
        let mut spares = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() < SHELVED_MAX {
            spares.extend(self.buffer.take().filter(|it| it.capacity() <= STRETCH_BYTES));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffers, SHELVED_MAX, Shelf};
    use crate::allowance::STRETCH_BYTES;

    #[test]
    fn a_buffer_comes_back_when_the_last_part_of_it_is_dropped() {
        let spares = Buffers::default();
        let buffer = spares.take(8_192);
        let place = buffer.bytes().as_ptr();
        let whole = spares.lend(buffer);
        let part = whole.slice(4_096..);
        drop(whole);
        assert_ne!(spares.take(8_192).bytes().as_ptr(), place, "a part of it is in use");
        drop(part);
        let smaller = spares.take(4_096);
        assert_eq!((smaller.bytes().as_ptr(), smaller.len()), (place, 4_096));
        drop(spares.lend(smaller));
        assert_eq!(spares.take(16_384).len(), 16_384, "one that is too small is not taken");
    }

    #[test]
    fn all_readers_share_few_and_none_is_kept_without_a_reader() {
        let all = Shelf::default();
        let (one, other) = (all.enter(), all.enter());
        let lent: Vec<_> = (0..SHELVED_MAX)
            .flat_map(|_| [&one, &other].map(|spares| spares.lend(spares.take(4_096))))
            .collect();
        let last = other.lend(other.take(4_096));
        drop(lent);
        assert_eq!(one.0.lock().unwrap().len(), SHELVED_MAX);
        drop(one);
        assert_eq!(all.enter().0.lock().unwrap().len(), SHELVED_MAX);
        drop(other);
        assert_eq!((all.enter().0.lock().unwrap().len(), last.len()), (0, 4_096));
    }

    #[test]
    fn memory_of_a_chunk_larger_than_a_stretch_is_not_kept() {
        let spares = Buffers::default();
        for (bytes, kept) in [(STRETCH_BYTES + 1, 0), (STRETCH_BYTES, 1)] {
            drop(spares.lend(spares.take(bytes)));
            assert_eq!(spares.0.lock().unwrap().len(), kept, "{bytes}");
        }
    }
}
