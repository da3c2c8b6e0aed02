//! What a read of entries leaves for the next one (`read.rs`).

use crate::disk::Disk;
use crate::scan::Scan;
use raftlet::core::{GroupId, Index};

/// The scan of the read that ended last.
#[derive(Debug)]
pub(crate) struct Kept<D: Disk> {
    /// Who goes on with it: the group, the segment, its next entry there.
    pub(crate) reader: (GroupId, u64, Index),
    pub(crate) scan: Scan<D>,
}

impl<D: Disk> Kept<D> {
    /// Whether it reads a segment older than `oldest`.
    pub(crate) fn is_of_before(&self, oldest: u64) -> bool {
        self.reader.1 < oldest
    }
}
