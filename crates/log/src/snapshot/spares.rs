//! Memory that stretches of a snapshot are read into, again and again.
//!
//! A restore reads a gigabyte, a MiB at a time, and is done with each before long.
//! New memory for each costs more than the copy of its bytes: the kernel finds and
//! clears a page for every 4 KiB of it, on a virtual machine the host another one,
//! while the reading thread keeps its core. So a stretch goes back to where it came
//! from when the last chunk cut from it is dropped.
//!
//! Invariants
//! - No more lies here than is read ahead at once; all of it goes with the reader.
//! - What a buffer held before is not shown: a read says how much of it is its own.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

use crate::allowance::STRETCHES_AHEAD;
use crate::disk::buffer::Buffer;

/// Those that are read, the one in use and one that is about to be.
const SPARES_MAX: usize = STRETCHES_AHEAD + 2;

/// Buffers that nobody uses.
#[derive(Debug, Default)]
pub(crate) struct Spares(Arc<Shelf>);

type Shelf = Mutex<Vec<Buffer>>;

impl Spares {
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
    shelf: Weak<Shelf>,
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
        if spares.len() < SPARES_MAX {
            spares.extend(self.buffer.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SPARES_MAX, Spares};

    #[test]
    fn a_buffer_comes_back_when_the_last_part_of_it_is_dropped() {
        let spares = Spares::default();
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
    fn few_are_kept_and_none_without_who_reads() {
        let spares = Spares::default();
        let lent: Vec<_> = (0..3 * SPARES_MAX).map(|_| spares.lend(spares.take(4_096))).collect();
        let last = spares.lend(spares.take(4_096));
        drop(lent);
        assert_eq!(spares.0.lock().unwrap().len(), SPARES_MAX);
        drop(spares);
        assert_eq!(last.len(), 4_096, "it outlives the reader");
    }
}
