//! Memory that chunks are cut from (D3).

use bytes::{Bytes, BytesMut};

/// Memory that chunks are cut from: one allocation serves many proposals.
///
/// A chunk keeps its whole block alive. The block is therefore small against
/// the memory limit of a shard's logs, and a proposal larger than it gets an
/// allocation of its own.
#[derive(Debug)]
pub struct Arena {
    block: BytesMut,
    block_bytes: usize,
}

impl Arena {
    /// An arena that allocates `block_bytes` at a time.
    #[must_use]
    pub fn new(block_bytes: usize) -> Self {
        Self { block: BytesMut::new(), block_bytes }
    }

    /// A copy of `part`, cut from the current block.
    #[must_use]
    #[inline]
    pub fn copy(&mut self, part: &[u8]) -> Bytes {
        let block = self.reserve(part.len());
        block.extend_from_slice(part);
        block.split().freeze()
    }

    /// Room for `bytes` more in the current block, or a new block.
    #[inline]
    pub(super) fn reserve(&mut self, bytes: usize) -> &mut BytesMut {
        if self.block.capacity() < bytes {
            self.block = BytesMut::with_capacity(bytes.max(self.block_bytes));
        }
        &mut self.block
    }
}

impl Default for Arena {
    /// Blocks of 256 KiB: about a thousand entries of 256 B each.
    fn default() -> Self {
        Self::new(256 << 10)
    }
}
