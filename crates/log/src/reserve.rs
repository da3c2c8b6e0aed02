//! Room that is kept for what must not wait: the file `RESERVE`.
//!
//! It is allocated and holds nothing. On a full device it gives way, piece by
//! piece: to the snapshot that lets the log go, to entries that were on their
//! way, to a snapshot that takes the place of a log that is behind, to a segment
//! for votes and compactions, to the first segment of a start. When there is room again it takes that first; until it has its base
//! back the log calls itself short, and new entries wait.
//!
//! Its size is a base and room for the largest snapshot once more: while one is
//! written the former one is still there.
//!
//! Invariants
//! - Nothing is ever read from it: lost or cut, it costs room and no data. Every
//!   start allocates it anew over what is there.
//! - Who asks for a smaller share finds something left by who asks for a larger
//!   one ([`Share`]).
//! - A failure of it is none of the log.
//!
//! Not here: when it gives way and when it is made whole (`room.rs`).

use crate::block::BLOCK_BYTES;
use crate::disk::{Disk, DiskError};
use crate::names::RESERVE_NAME;
use crate::options::Sizes;
use crate::width::u64_from;
use raftlet::core::GroupId;

/// Given up at a time at least: less would flush it again and again, more
/// would be taken by others meanwhile.
const STEP_BYTES: u64 = 256 << 10;
/// Who asks the reserve to give way, and how much of its base stays for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// Records written again, and entries that come in at any time: half.
    Half,
    /// A snapshot, and entries that were on their way: a quarter. Which of them
    /// comes first does not matter: a snapshot that is finished frees the log, one
    /// that finds no room gives back what it took.
    Quarter,
    /// A snapshot of what the log lacks: an eighth. While it is missing the member
    /// cannot be counted for anything, and it sets the whole old log free.
    Eighth,
    /// Votes, compactions, a start: nothing.
    All,
}

impl Share {
    const fn stays(self, base: u64) -> u64 {
        match self {
            Self::Half => base / 2,
            Self::Quarter => base / 4,
            Self::Eighth => base / 8,
            Self::All => 0,
        }
    }
}

/// What is known of the file.
#[derive(Debug)]
pub(crate) struct Reserve<D: Disk> {
    pub(crate) file: Option<D::File>,
    /// Bytes allocated.
    pub(crate) held: u64,
    pub(crate) base: u64,
    /// The largest snapshot, as far as known, and whose it is.
    pub(crate) largest: Option<(GroupId, u64)>,
    /// This run has allocated it anew: a copied file may have holes.
    pub(crate) is_checked: bool,
    /// Its size is not what it should be, and nobody has looked since.
    pub(crate) is_due: bool,
    /// The device had no room when space was last prepared.
    pub(crate) is_refused: bool,
}

impl<D: Disk> Reserve<D> {
    /// One of which a file may be left, with what is known of snapshots.
    pub(crate) async fn find(disk: &D, sizes: &Sizes, largest: Option<(GroupId, u64)>) -> Self {
        let mut reserve = Self {
            file: None,
            held: 0,
            base: sizes.reserve_file,
            largest,
            is_checked: false,
            is_due: true,
            is_refused: false,
        };
        if sizes.reserve_file == 0 {
            return reserve;
        }
        let found = disk.list().await.unwrap_or_default();
        let bytes = found.iter().find(|file| file.name == RESERVE_NAME).map(|file| file.bytes);
        if let Some(bytes) = bytes {
            reserve.file = disk.open(RESERVE_NAME).await.ok();
            reserve.held = reserve.file.as_ref().map_or(0, |_| whole_blocks(bytes));
        }
        reserve
    }

    pub(crate) fn wanted(&self) -> u64 {
        if self.base == 0 {
            return 0;
        }
        let largest = self.largest.map_or(0, |(_, bytes)| bytes);
        whole_blocks(self.base.saturating_add(largest).saturating_add(largest / 4))
    }

    /// What entries may have that leave this share, and room for a snapshot of
    /// the largest size besides: without one a member that is short would not come
    /// on.
    pub(crate) fn beyond(&self, share: Share) -> u64 {
        let snapshot = self.wanted().saturating_sub(self.base);
        // It gives way in steps.
        let stays = share.stays(self.base) + snapshot + STEP_BYTES;
        self.held.saturating_sub(stays)
    }

    /// Whether the log is short that has so many blocks prepared, and should
    /// have `wanted`.
    pub(crate) fn is_short(&self, prepared: u32, wanted: u32) -> bool {
        self.held < self.base || (self.is_refused && prepared < wanted)
    }

    /// Gives up `bytes` or a step. Returns whether there was any.
    pub(crate) async fn give_way(&mut self, disk: &D, bytes: u64, share: Share) -> bool {
        let Some((file, left)) = self.cut(bytes, share) else {
            return false;
        };
        let is_cut = cut_to(disk, &file, left).await.is_ok();
        self.on_cut(left, is_cut)
    }

    /// What would be left, if anything may go.
    pub(crate) fn cut(&self, bytes: u64, share: Share) -> Option<(D::File, u64)> {
        let stays = whole_blocks(share.stays(self.base));
        let file = self.file.clone().filter(|_| self.held > stays)?;
        let left = self.held.saturating_sub(whole_blocks(bytes).max(STEP_BYTES));
        Some((file, left.max(stays)))
    }

    pub(crate) fn on_cut(&mut self, left: u64, is_cut: bool) -> bool {
        self.is_due = true;
        if is_cut {
            self.held = self.held.min(left);
        }
        is_cut
    }
}

/// Journals give blocks back when the cut is durable, not before.
pub(crate) async fn cut_to<D: Disk>(disk: &D, file: &D::File, bytes: u64) -> Result<(), DiskError> {
    disk.truncate(file, bytes).await?;
    disk.flush(file).await
}

pub(crate) fn whole_blocks(bytes: u64) -> u64 {
    bytes / u64_from(BLOCK_BYTES) * u64_from(BLOCK_BYTES)
}
