//! Memory that direct I/O accepts.
//!
//! Linux wants buffer, offset and length of direct I/O aligned. A [`Buffer`]
//! allocates a little more than asked and starts at the first aligned byte; no
//! `unsafe` is needed, and moving it does not move its memory.

use std::fmt;

/// What offsets, lengths and addresses are multiples of: the block of the log,
/// and the largest logical block of disks in use.
pub const ALIGNMENT_BYTES: usize = 4096;

/// Aligned memory of fixed capacity.
pub struct Buffer {
    /// Never grows: the start would no longer be aligned.
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// `bytes` zeros, rounded up to the alignment in capacity.
    #[must_use]
    pub fn zeroed(bytes: usize) -> Self {
        let capacity = bytes.next_multiple_of(ALIGNMENT_BYTES);
        let memory = vec![0; capacity + ALIGNMENT_BYTES];
        let start = memory.as_ptr().align_offset(ALIGNMENT_BYTES);
        assert!(start < ALIGNMENT_BYTES, "an address that cannot be aligned");
        Self { memory, start, len: bytes }
    }

    /// How many bytes it can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.memory.len() - ALIGNMENT_BYTES
    }

    /// How many bytes are read or written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing would be read or written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Chooses how many bytes are read or written; what they hold stays.
    ///
    /// # Panics
    /// Above the capacity.
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.capacity(), "a length above the buffer's capacity");
        self.len = len;
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..self.start + self.len).expect("start and length lie within")
    }

    /// The bytes, to be changed.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.start..self.start + self.len).expect("start and length lie within")
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.len, self.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::{ALIGNMENT_BYTES, Buffer};

    #[test]
    fn a_buffer_stays_aligned_when_it_moves() {
        for bytes in [0, 1, 4096, 4097, 1 << 20] {
            let buffer = Buffer::zeroed(bytes);
            let moved = Box::new(buffer);
            assert_eq!(moved.bytes().as_ptr().align_offset(ALIGNMENT_BYTES), 0);
            assert_eq!(moved.len(), bytes);
            assert!(moved.capacity() >= bytes);
        }
    }
}
