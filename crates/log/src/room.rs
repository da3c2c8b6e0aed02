//! Whether there is room for more, and the reserve while the log is in use.
//!
//! Not here: what the reserve is (`reserve.rs`), what takes room (`prepare.rs`,
//! `snapshot/writer.rs`), what gives some back (`collect.rs`).

use crate::block::BLOCK_BYTES;
use crate::disk::{Disk, DiskError};
use crate::names::RESERVE_NAME;
use crate::options::Sizes;
use crate::reserve::{Share, cut_to, whole_blocks};
use crate::segment::FIRST_BLOCK;
use crate::shard_log::{Shared, State};
use crate::width::u64_from;
use raftlet::core::GroupId;
use raftlet::{Room, Shortage};

/// Steps of preparing that a log has ahead which is not short though the device
/// has no room for more.
const AHEAD_STEPS: u32 = 2;
/// Bytes that entries on their way may still add when the limit of the log is
/// announced: a gathered batch at most, and not more than this part of the limit.
const ON_THEIR_WAY_BYTES_MAX: u64 = 8 << 20;
const ON_THEIR_WAY_FRACTION: u64 = 8;

impl<D: Disk> State<D> {
    /// Why new entries should wait.
    pub(crate) fn shortage(&self, sizes: &Sizes) -> Option<Shortage> {
        let ahead = self.active.written.saturating_sub(self.next_block);
        let next = self.next.as_ref().map_or(0, |next| next.written);
        if self.reserve.is_short(ahead + next, sizes.prepare * AHEAD_STEPS) {
            return Some(Shortage::Device);
        }
        let limit = sizes.hard_bytes;
        let on_their_way = (limit / ON_THEIR_WAY_FRACTION).min(ON_THEIR_WAY_BYTES_MAX);
        let is_limited = limit < u64::MAX && self.log_bytes() > limit - on_their_way;
        is_limited.then_some(Shortage::Limit)
    }

    /// Whether what is in the way may stay for a while: half of what lies between
    /// the limits is still there for all that is written until it is gone. Without
    /// a hard limit there is as much above the soft one as below.
    pub(crate) fn is_roomy(&self, sizes: &Sizes) -> bool {
        let above = match sizes.hard_bytes {
            u64::MAX => sizes.soft_bytes,
            hard => hard.saturating_sub(sizes.soft_bytes) / 2,
        };
        let is_within = self.log_bytes() <= sizes.soft_bytes.saturating_add(above);
        is_within && self.shortage(sizes).is_none()
    }

    /// What surely finds room though the log is short: without what is kept for
    /// votes, and within the limit.
    pub(crate) fn room(&self, sizes: &Sizes) -> Room {
        let usable = |written: u32, from: u32| {
            u64::from(written.saturating_sub(from.saturating_add(sizes.reserve)))
        };
        let next = self.next.as_ref().map_or(0, |next| usable(next.written, FIRST_BLOCK));
        let ahead = usable(self.active.written, self.next_block) + next;
        let left = sizes.hard_bytes.saturating_sub(self.log_bytes());
        let room = |share| {
            let bytes = ahead * u64_from(BLOCK_BYTES) + self.reserve.beyond(share);
            bytes.min(left)
        };
        Room { free: room(Share::Half), in_all: room(Share::Quarter) }
    }

    /// Bytes that the reserve has and should have.
    pub(crate) fn reserve_bytes(&self) -> (u64, u64) {
        (self.reserve.held, self.reserve.wanted())
    }

    /// The device has room to prepare space, or has none.
    pub(crate) fn on_prepared(&mut self, is_refused: bool) {
        self.reserve.is_refused = is_refused;
    }

    /// A snapshot of a group is whole, and has this size.
    pub(crate) fn on_snapshot_size(&mut self, group: GroupId, bytes: u64) {
        let is_largest = self.reserve.largest.is_none_or(|(of, most)| of == group || bytes > most);
        if is_largest {
            self.reserve.largest = Some((group, bytes));
            self.reserve.is_due = true;
        }
    }
}

impl<D: Disk> Shared<D> {
    /// On a full device: gives up `bytes` of the reserve, or a step. Returns
    /// whether there was any for this share.
    pub(crate) async fn give_way(&self, bytes: u64, share: Share) -> bool {
        let _alone = self.reserving.enter().await;
        let cut = self.state.borrow().reserve.cut(bytes, share);
        let Some((file, left)) = cut else {
            return false;
        };
        let is_cut = cut_to(&self.disk, &file, left).await.is_ok();
        self.state.borrow_mut().reserve.on_cut(left, is_cut)
    }

    /// Brings the reserve to its size if it is not, as far as there is room:
    /// files that would be used again go for it. Returns whether the log is
    /// still short of room.
    pub(crate) async fn mend_reserve(&self) -> bool {
        let _alone = self.reserving.enter().await;
        let (is_due, is_short) = {
            let mut state = self.state.borrow_mut();
            let is_due = std::mem::take(&mut state.reserve.is_due);
            (is_due, state.reserve.held < state.reserve.base)
        };
        if !is_due && !is_short {
            return false;
        }
        self.check_reserve().await;
        // What it cannot become whole it becomes in part.
        let mut wanted = self.state.borrow().reserve.wanted();
        loop {
            let held = self.state.borrow().reserve.held;
            if wanted == held || (wanted < held && held / 2 < wanted) {
                break;
            }
            match self.resize_reserve(held, wanted).await {
                Ok(()) => {}
                Err(error) if error.is_no_space() && self.drop_spare() => self.do_chores().await,
                Err(error) if error.is_no_space() => {
                    wanted = held + whole_blocks((wanted - held) / 2);
                }
                Err(_) => break,
            }
        }
        let reserve = &self.state.borrow().reserve;
        reserve.held < reserve.base
    }

    /// Allocates what was found at the start.
    async fn check_reserve(&self) {
        let (file, held) = {
            let mut state = self.state.borrow_mut();
            let is_checked = std::mem::replace(&mut state.reserve.is_checked, true);
            (state.reserve.file.clone().filter(|_| !is_checked), state.reserve.held)
        };
        if let Some(file) = file.filter(|_| held > 0)
            && self.disk.allocate(&file, held).await.is_err()
        {
            let _ = cut_to(&self.disk, &file, 0).await;
            self.state.borrow_mut().reserve.held = 0;
        }
    }

    async fn resize_reserve(&self, held: u64, wanted: u64) -> Result<(), DiskError> {
        let kept = self.state.borrow().reserve.file.clone();
        let file = match kept {
            Some(file) => file,
            None => self.disk.create(RESERVE_NAME).await?,
        };
        self.state.borrow_mut().reserve.file = Some(file.clone());
        let result = if wanted < held {
            self.disk.truncate(&file, wanted).await
        } else {
            self.disk.allocate(&file, wanted).await
        };
        if result.is_err() {
            // Part of it may have been allocated.
            let _ = cut_to(&self.disk, &file, held).await;
        } else {
            self.disk.flush(&file).await?;
            self.state.borrow_mut().reserve.held = wanted;
        }
        result
    }
}
