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
    /// The last of the entries; none are before all. Entries that were moved may
    /// stand behind newer ones.
    pub(crate) fn last(&self) -> Index {
        self.chunks.iter().map(Chunk::last).max().unwrap_or(Index::ZERO)
    }
}

impl<D: Disk> Kept<D> {
    /// Whether it reads a segment older than `oldest`.
    pub(crate) fn is_of_before(&self, oldest: u64) -> bool {
        self.reader.1 < oldest
    }
}

#[cfg(test)]
mod tests {
    use super::TakenApart;
    use raftlet::core::{
        Arena, Chunk, EntryKind, Generation, GroupId, Index, LogId, NewEntry, Seal, Term,
    };

    #[test]
    fn the_last_entry_is_not_that_of_older_ones_which_were_moved_behind_it() {
        let chunk = |first: u64| {
            let entry =
                NewEntry { kind: EntryKind::Command, log_time_ms: 0, origin: None, payload: b"x" };
            let at = LogId { term: Term::new(1), index: Index::new(first) };
            let seal = Seal::new(GroupId::new(1), Generation::new(1));
            Chunk::encode(&mut Arena::new(64), seal, at, [entry, entry].into_iter())
        };
        let of = |chunks| TakenApart { at: 7, end: 9, chunks }.last();
        assert_eq!(of(vec![chunk(20), chunk(3)]), Index::new(21));
        assert_eq!(of(Vec::new()), Index::ZERO);
    }
}
