//! What a read of entries leaves for the next one (`read.rs`).

use crate::disk::Disk;
use crate::scan::Scan;
use raftlet::core::{Chunk, GroupId, Index};

/// The scan of the read that ended last.
#[derive(Debug)]
pub(crate) struct Kept<D: Disk> {
    /// Who goes on with it: the group, the segment, its next entry there.
    pub(crate) reader: (GroupId, u64, Index),
    pub(crate) scan: Scan<D>,
    /// The frame in which it ended, unless that was its last of the group.
    pub(crate) frame: Option<TakenApart>,
}

/// A frame that was read and verified: at most one is kept, so no more memory
/// than a frame takes.
#[derive(Debug)]
pub(crate) struct TakenApart {
    /// Its first block, and the first behind it.
    pub(crate) at: u32,
    pub(crate) end: u32,
    /// What it leaves of the reader's entries.
    pub(crate) chunks: Vec<Chunk>,
}

impl TakenApart {
    /// The last of the entries; none are before all.
    pub(crate) fn last(&self) -> Index {
        self.chunks.last().map_or(Index::ZERO, Chunk::last)
    }
}

impl<D: Disk> Kept<D> {
    /// Whether it reads a segment older than `oldest`.
    pub(crate) fn is_of_before(&self, oldest: u64) -> bool {
        self.reader.1 < oldest
    }
}
