//! Making a batch durable: room, one frame (rarely several), one device write
//! with its flush each, then the index.
//!
//! Invariants
//! - A batch lies in one segment. So its frames need no links between them, and
//!   the space for all of them is there before the first is written: a full
//!   disk is noticed before anything of the batch is (rule 9).
//! - A frame is written only when the one before is durable: that is what its
//!   promise says.
//! - The index learns of a batch when all of it is durable.
//! - While the device is at work there is time: what a batch leaves is put together
//!   then (`landing.rs`), and the batch itself let go.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::block::{BLOCK_BYTES, Kind};
use crate::disk::buffer::Buffer;
use crate::disk::{Disk, Reach};
use crate::frame::{Encoder, FRAME_BYTES_SOFT, Place, blocks_for};
use crate::index::FrameAt;
use crate::landing::Landing;
use crate::names;
use crate::plan::{FramePlan, Plan, frame_bytes_max, plan};
use crate::record::put_link;
use crate::recovery::SegmentRef;
use crate::reserve::Share;
use crate::scan::offset_of;
use crate::segment::FIRST_BLOCK;
use crate::settle::settle;
use crate::shard_log::{Chore, Segment, Shared, State};
use crate::width::{u32_from, u64_from};
use raftlet::{GroupWrite, StorageError, WriteBatch};

/// A larger buffer is for one frame and not kept.
const KEPT_BUFFER_BYTES_MAX: usize = 2 * FRAME_BYTES_SOFT;
/// A finished segment is cut off behind its last frame when that saves more
/// than this part of it: a file that is used again needs its blocks.
const CUT_FRACTION: u32 = 8;
/// At the end of the written blocks one is left for the mark.
pub(crate) const MARK_BLOCKS: u32 = 1;

/// A write that is under way. Dropped before it ended well, the batch is
/// undecided and the log poisoned.
#[derive(Debug)]
struct Flight<'a, D: Disk> {
    shared: &'a Shared<D>,
    has_landed: bool,
}

impl<'a, D: Disk> Flight<'a, D> {
    fn start(shared: &'a Shared<D>) -> Result<Self, StorageError> {
        shared.check()?;
        let was_writing = std::mem::replace(&mut shared.state.borrow_mut().is_writing, true);
        assert!(!was_writing, "a shard has one write in flight");
        Ok(Self { shared, has_landed: false })
    }

    /// The write ended, or nothing of it was begun.
    fn land(mut self) {
        self.has_landed = true;
    }
}

impl<D: Disk> Drop for Flight<'_, D> {
    fn drop(&mut self) {
        self.shared.state.borrow_mut().is_writing = false;
        if !self.has_landed {
            self.shared.poison_with("a write was given up before it ended".to_owned());
        }
        self.shared.bell.ring();
    }
}

/// What a frame is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Somebody waits for it.
    Batch,
    /// The space of what is written again.
    Moves,
}

/// Frames on their way. Given up there, nobody knows what the disk holds.
struct Undecided<'a, D: Disk> {
    shared: &'a Shared<D>,
    is_decided: bool,
}

impl<D: Disk> Undecided<'_, D> {
    fn decide(mut self) {
        self.is_decided = true;
    }
}

impl<D: Disk> Drop for Undecided<'_, D> {
    fn drop(&mut self) {
        if !self.is_decided {
            self.shared.poison_with("a write was given up before it ended".to_owned());
        }
    }
}

impl<D: Disk> Shared<D> {
    /// Makes a batch durable, and lets what it holds go.
    pub(crate) async fn append(&self, batch: &mut WriteBatch) -> Result<(), StorageError> {
        let flight = Flight::start(self)?;
        let _alone = self.device.enter().await;
        self.check()?;
        let plan = match self.plan_with_room(batch).await {
            Ok(plan) if !plan.frames.is_empty() => plan,
            nothing => {
                flight.land();
                return nothing.map(|_| ());
            }
        };
        self.write_frames(plan, Purpose::Batch, &mut batch.writes).await?;
        flight.land();
        Ok(())
    }

    /// The batch as records, and room for all of them.
    async fn plan_with_room(&self, batch: &WriteBatch) -> Result<Plan, StorageError> {
        loop {
            let (plan, need, segment) = {
                let state = self.state.borrow();
                let segment = state.active.number;
                let plan = plan(batch, &state.groups, segment);
                if plan.names_snapshots {
                    check_snapshots(batch, &state);
                }
                let blocks = plan.blocks_max(state.echo.len());
                // What opens a term may have the room of votes: without it no
                // election would end, and no read be answered.
                let is_short = state.shortage(&self.sizes).is_some();
                let may_wait = plan.has_entries && (!is_short || plan.brings_commands(batch));
                let reserve = if may_wait { self.sizes.reserve } else { 0 };
                let share = if may_wait { Share::Quarter } else { Share::All };
                let need = Need { blocks, more: plan.blocks_more_max(), reserve, share };
                (plan, need, segment)
            };
            if plan.frames.is_empty() {
                return Ok(plan);
            }
            if need.share != Share::All {
                self.check_limit(need.blocks).await?;
            }
            self.make_room(&need).await?;
            // Another segment wants other statements.
            if self.state.borrow().active.number == segment {
                return Ok(plan);
            }
        }
    }

    /// Writes frames for which there is room; called inside the `device` gate.
    /// What they were planned from is `spent`, and let go on the way.
    pub(crate) async fn write_frames(
        &self,
        plan: Plan,
        purpose: Purpose,
        spent: &mut Vec<GroupWrite>,
    ) -> Result<(), StorageError> {
        let undecided = Undecided { shared: self, is_decided: false };
        let count = plan.frames.len();
        let mut landings = Vec::new();
        let mut last = None;
        for (at, frame) in plan.frames.into_iter().enumerate() {
            let is_continued = at + 1 < count;
            let (buffer, file, place) = self.encode(&frame, spent, is_continued);
            let bytes = buffer.len();
            let offset = offset_of(place.block);
            let mut writing = pin!(self.disk.write_at(&file, offset, buffer, Reach::Durable));
            let begun = poll_fn(|context| Poll::Ready(writing.as_mut().poll(context))).await;
            // While the device is at work.
            let former = std::mem::take(&mut self.state.borrow_mut().landing);
            let mut landing = Landing::of(frame, spent, former);
            if !is_continued {
                spent.clear();
            }
            let (buffer, result) = match begun {
                Poll::Ready(written) => written,
                Poll::Pending => writing.await,
            };
            if let Err(error) = result {
                return Err(self.poison(&error));
            }
            let at = self.advance(&mut landing, &place, (buffer, bytes), purpose);
            if is_continued {
                // The next frame of the batch links back to this one.
                landing.note_last_frame(&mut self.state.borrow_mut().groups, at.frame);
                landings.push((landing, at));
            } else {
                last = Some((landing, at));
            }
        }
        let mut state = self.state.borrow_mut();
        landings.iter().for_each(|(landing, at)| settle(landing, &mut state, at));
        if let Some((landing, at)) = last {
            settle(&landing, &mut state, &at);
            state.landing = landing.spare();
        }
        drop(state);
        undecided.decide();
        Ok(())
    }

    /// Puts records into the next frame.
    fn encode(
        &self,
        frame: &FramePlan,
        batch: &[GroupWrite],
        is_continued: bool,
    ) -> (Buffer, D::File, Place) {
        let mut state = self.state.borrow_mut();
        let blocks = frame.blocks_max(state.echo.len());
        let kept = state.buffer.take();
        let buffer = kept
            .filter(|kept| kept.capacity() >= blocks * BLOCK_BYTES)
            .unwrap_or_else(|| Buffer::zeroed(blocks * BLOCK_BYTES));
        let place = Place {
            stamp: state.active.stamp,
            frame: state.last_frame + 1,
            block: state.next_block,
            extent: state.active.written,
        };
        let mut encoder = Encoder::new(buffer, place.extent, is_continued);
        if let Some(link) = &state.link {
            let mut bytes = Vec::new();
            put_link(&mut bytes, link);
            encoder.put(&bytes);
        }
        encoder.put(&state.echo);
        frame.put_into(&mut encoder, batch, &state.groups, place.frame);
        let file = state.active.file.clone();
        (encoder.finish(&place, Kind::Frame), file, place)
    }

    /// A frame is durable: the next one goes behind it.
    fn advance(
        &self,
        landing: &mut Landing,
        place: &Place,
        (buffer, bytes): (Buffer, usize),
        purpose: Purpose,
    ) -> FrameAt {
        let mut state = self.state.borrow_mut();
        let frame = FrameAt {
            segment: state.active.number,
            frame: place.frame,
            block: place.block,
            end: place.block + u32_from(bytes / BLOCK_BYTES),
        };
        state.next_block = frame.end;
        state.last_frame = frame.frame;
        state.remembered.on_written(u64_from(bytes));
        state.is_marked = false;
        if state.link.take().is_some() {
            let allowed = std::mem::take(&mut state.after_link);
            state.chores.extend(allowed);
        }
        std::mem::swap(&mut state.echo, &mut landing.echo);
        let counters = &mut state.counters;
        match purpose {
            Purpose::Batch => {
                counters.log_writes += 1;
                counters.log_flushes += 1;
                counters.log_bytes += u64_from(bytes);
            }
            Purpose::Moves => {
                counters.move_writes += 1;
                counters.move_bytes += u64_from(bytes);
            }
        }
        if buffer.capacity() <= KEPT_BUFFER_BYTES_MAX {
            state.buffer = Some(buffer);
        }
        frame
    }

    /// Writes a mark behind the last frame: whoever finds it knows that frame
    /// to be durable. Ordered with frames, but without a flush of its own
    /// unless `reach` says so.
    pub(crate) async fn mark(&self, reach: Reach) -> Result<(), StorageError> {
        let _alone = self.device.enter().await;
        self.check()?;
        let (buffer, file, offset) = {
            let state = self.state.borrow();
            if state.is_marked || state.link.is_some() {
                return Ok(());
            }
            let place = Place {
                stamp: state.active.stamp,
                frame: state.last_frame + 1,
                block: state.next_block,
                extent: state.active.written,
            };
            let mut encoder = Encoder::new(Buffer::zeroed(BLOCK_BYTES), place.extent, false);
            if blocks_for(state.echo.len() + frame_bytes_max(0, 0)) == 1 {
                encoder.put(&state.echo);
            }
            let buffer = encoder.finish(&place, Kind::Mark);
            (buffer, state.active.file.clone(), offset_of(place.block))
        };
        let (_, result) = self.disk.write_at(&file, offset, buffer, reach).await;
        if let Err(error) = result {
            return Err(self.poison(&error));
        }
        let mut state = self.state.borrow_mut();
        state.is_marked = true;
        state.counters.mark_writes += 1;
        Ok(())
    }

    /// Waits until there is written space for a batch, in one segment.
    pub(crate) async fn make_room(&self, need: &Need) -> Result<(), StorageError> {
        if self.take_room(need) {
            return Ok(());
        }
        self.state.borrow_mut().counters.space_waits += 1;
        loop {
            let _alone = self.prepare.enter().await;
            self.check()?;
            if self.take_room(need) {
                return Ok(());
            }
            if let Err(error) = self.prepare_for(need).await {
                if error.is_no_space() {
                    self.state.borrow_mut().on_prepared(true);
                    let has_freed = self.purge().await.map_err(|error| self.poison(&error))?;
                    if self.drop_spare() || has_freed {
                        self.do_chores().await;
                        continue;
                    }
                    let missing = self.state.borrow().missing_for(need);
                    if self.give_way(offset_of(missing), need.share).await {
                        continue;
                    }
                    return Err(self.no_space(need.blocks, error.to_string()));
                }
                return Err(self.poison(&error));
            }
        }
    }

    /// Refuses entries beyond the limit of the log, unless segments can go.
    async fn check_limit(&self, blocks: u32) -> Result<(), StorageError> {
        let limit = self.sizes.hard_bytes;
        let is_over =
            || limit < u64::MAX && self.state.borrow().log_bytes() + offset_of(blocks) > limit;
        if !is_over() {
            return Ok(());
        }
        let _alone = self.prepare.enter().await;
        self.purge().await.map_err(|error| self.poison(&error))?;
        if !is_over() {
            return Ok(());
        }
        self.state.borrow_mut().is_burden_unknown = true;
        let place = format!("the log is limited to {limit} bytes");
        Err(self.no_space(blocks, place))
    }

    fn no_space(&self, blocks: u32, place: String) -> StorageError {
        self.state.borrow_mut().counters.no_space += 1;
        StorageError::NoSpace { bytes: offset_of(blocks), place }
    }

    /// Whether there is room; goes on in the next segment where it must.
    fn take_room(&self, need: &Need) -> bool {
        let mut state = self.state.borrow_mut();
        if need.fits(&state.active, state.next_block) {
            let left = state.active.written.saturating_sub(state.next_block);
            let left = left.checked_sub(need.blocks + MARK_BLOCKS);
            let next = state.next.as_ref().map_or(0, |next| next.written - FIRST_BLOCK);
            return left.is_some_and(|left| left >= need.reserve)
                || (left.is_some() && next >= need.reserve + MARK_BLOCKS);
        }
        let is_ready = |next: &Segment<D>| next.written >= need.whole();
        let Some(next) = state.next.take_if(|next| is_ready(next)) else {
            return false;
        };
        state.go_on_in(next);
        true
    }
}

/// What a batch asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub(crate) blocks: u32,
    /// Blocks that it needs besides where it begins a segment.
    pub(crate) more: u32,
    /// Blocks to be left for others.
    pub(crate) reserve: u32,
    /// What it may have of the reserve on disk.
    pub(crate) share: Share,
}

impl Need {
    /// Whether the batch has its place in a segment of this size.
    pub(crate) fn fits<D: Disk>(&self, segment: &Segment<D>, next_block: u32) -> bool {
        next_block.saturating_add(self.blocks + MARK_BLOCKS) <= segment.blocks
    }

    /// Up to where a segment is written that has room for it from `next_block`
    /// on.
    pub(crate) fn end(&self, next_block: u32) -> u32 {
        next_block + self.blocks + MARK_BLOCKS + self.reserve
    }

    /// Blocks of a segment that starts with the batch.
    pub(crate) fn whole(&self) -> u32 {
        FIRST_BLOCK + self.blocks + self.more + MARK_BLOCKS + self.reserve
    }
}

impl<D: Disk> State<D> {
    /// Finishes the active segment.
    fn go_on_in(&mut self, next: Segment<D>) {
        let finished = std::mem::replace(&mut self.active, next);
        let end = std::mem::replace(&mut self.next_block, FIRST_BLOCK);
        assert!(self.link.is_none(), "a segment without a frame is finished");
        self.link = Some(crate::record::Link {
            predecessor: finished.number,
            last_frame: self.last_frame,
            end_block: end,
            ending: crate::record::Ending::Whole,
            oldest_live: self.finished.first().map_or(finished.number, |oldest| oldest.number),
        });
        let number = finished.number;
        self.finished.push(SegmentRef { number, end, is_self_contained: true });
        self.is_burden_unknown = true;
        self.reserve.is_due = true;
        if end < finished.filled / CUT_FRACTION * (CUT_FRACTION - 1) {
            let bytes = offset_of(end);
            self.after_link.push(Chore::Cut { number, file: finished.file, bytes });
        }
        self.counters.segments_used += 1;
    }

    /// Gives a prepared segment up for a larger one.
    pub(crate) fn discard(&mut self, segment: &Segment<D>) {
        let name = names::segment_name(segment.number);
        self.after_link.push(Chore::Remove { name });
    }
}

/// A write names only a snapshot that is whole and durable (rule 12).
fn check_snapshots<D: Disk>(batch: &WriteBatch, state: &State<D>) {
    for write in &batch.writes {
        let named = write.compact.and_then(|compaction| compaction.snapshot);
        let is_whole = named.is_none_or(|last| state.has_snapshot(write.group, last));
        assert!(is_whole, "a write names a snapshot of group {} before it is whole", write.group);
    }
}
