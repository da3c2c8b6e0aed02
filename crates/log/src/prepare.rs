//! Space is written before it is used (rule 27).
//!
//! A segment is made under a spare name: created, its first MiB zeroed, its
//! head written, flushed; then it gets its name, the directory is synced, and
//! `IDENTITY` notes that it is there. Only then may a frame go into it, so a
//! segment that is missing later is noticed. The rest is zeroed while it is in
//! use already, always ahead of the log.
//!
//! Two callers do these steps, one at a time behind the `prepare` gate: the
//! maintenance task in small steps with pauses, and an append that would
//! otherwise overtake, in large ones without. Each goes on where the other
//! stopped.
//!
//! A freed file (`collect.rs`) is used again instead: its blocks are written.
//!
//! The maintenance task also writes the idle mark, frees segments, cuts finished
//! ones off and removes leftovers. The log is correct without it, only slower
//! and larger.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use crate::append::Need;
use crate::block::BLOCK_BYTES;
use crate::disk::buffer::Buffer;
use crate::disk::{Disk, DiskError, Reach};
use crate::names;
use crate::scan::offset_of;
use crate::segment::{self, FIRST_BLOCK, Head};
use crate::shard_log::{Chore, Segment, ShardLog, Shared, State};
use crate::width::{u64_from, usize_from};
use raftlet::core::Time;
use raftlet::{Clock, StorageError};

/// Between two steps, for each [`PACE_BLOCKS`] that the first one filled: 128 KiB
/// each 10 ms cost appends nothing measurable, without pauses they take 3 to 7
/// times as long. A step costs two wakes and two switches besides its bytes, so
/// few large ones are cheaper than many small ones.
const FILL_PAUSE: Duration = Duration::from_millis(10);
const PACE_BLOCKS: u32 = 32;
/// A log that was quiet for this long gets its mark.
const IDLE: Duration = Duration::from_millis(20);
/// Before a full disk is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(500);
/// With less written space than this many steps ahead, the task does not pause.
const LOW_STEPS: u32 = 4;

/// Where a step of zero filling goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Active,
    Next,
    Fresh,
}

/// What came of looking for something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// A step was taken, which filled so many blocks; whether the log is close
    /// behind.
    Stepped { is_urgent: bool, filled: u32 },
    /// All is prepared.
    Idle,
    /// The disk is full.
    Full,
    /// Nothing will ever be done again.
    Poisoned,
}

impl<D: Disk> ShardLog<D> {
    /// Prepares segments, marks idle tails and tidies up, until the log is
    /// dropped. Run it beside the shard, on its thread.
    ///
    /// # Cancel safety
    /// May be dropped at any time; appends then prepare for themselves. Dropped
    /// in the middle of a frame that it moves, it leaves the log poisoned, as
    /// any write that is given up.
    pub fn maintain<C: Clock>(&self, clock: C) -> impl Future<Output = ()> + 'static {
        let shared = Rc::downgrade(&self.0);
        let bell = Rc::clone(&self.0.bell);
        async move {
            let mut quiet = Quiet::default();
            loop {
                let Some(log) = shared.upgrade() else {
                    return;
                };
                let is_due = quiet.is_due(&log, clock.now().time);
                if is_due && log.mark(Reach::Cache).await.is_err() {
                    return;
                }
                let turn = log.turn().await;
                let is_marked = log.state.borrow().is_marked;
                drop(log);
                let pause = match turn {
                    Turn::Poisoned => return,
                    Turn::Stepped { is_urgent: true, .. } => Duration::ZERO,
                    Turn::Stepped { is_urgent: false, filled } => {
                        FILL_PAUSE * (filled / PACE_BLOCKS).max(1)
                    }
                    Turn::Full => FULL_PAUSE,
                    Turn::Idle if !is_marked => IDLE,
                    Turn::Idle => {
                        if !bell.heard().await {
                            return;
                        }
                        continue;
                    }
                };
                if !pause.is_zero() {
                    clock.sleep_until(clock.now().time.after(pause)).await;
                }
            }
        }
    }

    /// Ends the log in order: marks its last frame durably, so that nothing in
    /// it can be taken for torn any more.
    ///
    /// # Errors
    /// The log was poisoned, or is now.
    pub async fn close(&self) -> Result<(), StorageError> {
        self.0.mark(Reach::Durable).await
    }
}

/// Since when nothing was appended.
#[derive(Debug, Default)]
struct Quiet {
    frame: u64,
    since: Time,
}

impl Quiet {
    fn is_due<D: Disk>(&mut self, log: &Shared<D>, now: Time) -> bool {
        let state = log.state.borrow();
        if state.last_frame != self.frame || state.is_writing {
            self.frame = state.last_frame;
            self.since = now;
        }
        let quiet = Duration::from_nanos(now.since(self.since));
        !state.is_marked && quiet >= IDLE
    }
}

impl<D: Disk> Shared<D> {
    /// Does one thing that is due.
    async fn turn(&self) -> Turn {
        if self.check().is_err() {
            return Turn::Poisoned;
        }
        self.note_shortage();
        self.do_chores().await;
        match self.collect().await {
            // What is free is freed all the same.
            Ok(false) | Err(StorageError::NoSpace { .. }) => {}
            Ok(true) => {
                return Turn::Stepped { is_urgent: self.is_far_above_limit(), filled: 0 };
            }
            Err(_) => return Turn::Poisoned,
        }
        let _alone = self.prepare.enter().await;
        if let Err(error) = self.purge().await {
            self.poison(&error);
            return Turn::Poisoned;
        }
        if self.mend_reserve().await {
            self.state.borrow_mut().is_burden_unknown = true;
            return Turn::Full;
        }
        let step = self.background_step();
        let result = match step {
            None => self.make_fresh(0).await.map(|()| 0),
            Some(Some(target)) => self.step(target, self.sizes.throttle).await,
            Some(None) => {
                self.state.borrow_mut().on_prepared(false);
                return Turn::Idle;
            }
        };
        match result {
            Ok(filled) => {
                let mut state = self.state.borrow_mut();
                state.on_prepared(false);
                let next = state.next.as_ref().map_or(0, |next| next.written);
                let ahead = state.active.written.saturating_sub(state.next_block) + next;
                Turn::Stepped {
                    is_urgent: ahead < self.sizes.throttle * LOW_STEPS && state.is_writing,
                    filled,
                }
            }
            // A file of no use is worth more as space.
            Err(error) if error.is_no_space() && self.drop_spare() => {
                Turn::Stepped { is_urgent: false, filled: 0 }
            }
            Err(error) if error.is_no_space() => {
                let mut state = self.state.borrow_mut();
                state.on_prepared(true);
                state.is_burden_unknown |= state.shortage(&self.sizes).is_some();
                Turn::Full
            }
            Err(error) => {
                self.poison(&error);
                Turn::Poisoned
            }
        }
    }

    /// What keeps segments is another question when room is short.
    fn note_shortage(&self) {
        let mut state = self.state.borrow_mut();
        let is_short = state.shortage(&self.sizes).is_some();
        state.is_burden_unknown |= is_short != state.was_short;
        state.was_short = is_short;
    }

    fn is_far_above_limit(&self) -> bool {
        self.state.borrow().log_bytes() / 2 > self.sizes.soft_bytes
    }

    /// What to fill next: `None` when a segment must be made first,
    /// `Some(None)` when all is full.
    fn background_step(&self) -> Option<Option<Target>> {
        let state = self.state.borrow();
        if state.active.filled < state.active.blocks {
            return Some(Some(Target::Active));
        }
        match (&state.next, &state.fresh) {
            (Some(next), _) if next.filled < next.blocks => Some(Some(Target::Next)),
            (Some(_), _) => Some(None),
            (None, Some(_)) => Some(Some(Target::Fresh)),
            (None, None) => None,
        }
    }

    /// One step towards room for a batch, a large one where the device has room;
    /// called inside the gate.
    pub(crate) async fn prepare_for(&self, need: &Need) -> Result<(), DiskError> {
        let (target, blocks) = {
            let mut state = self.state.borrow_mut();
            let is_refused = state.reserve.is_refused;
            let target = state.target_for(need);
            if target != Some(Target::Active) {
                if let Some(small) = state.next.take_if(|next| next.blocks < need.whole()) {
                    state.discard(&small);
                }
                if let Some(fresh) = &mut state.fresh {
                    fresh.blocks = fresh.blocks.max(need.whole());
                }
            }
            let target = state.target_for(need);
            (target, if is_refused { state.missing_for(need) } else { self.sizes.prepare })
        };
        match target {
            Some(target) => self.step(target, blocks).await.map(|_| ()),
            None => self.make_fresh(need.whole()).await,
        }
    }

    /// Begins a segment, twice as large as the one in use.
    async fn make_fresh(&self, blocks_min: u32) -> Result<(), DiskError> {
        let (number, blocks) = {
            let mut state = self.state.borrow_mut();
            state.highest_number += 1;
            let doubled = state.active.blocks.saturating_mul(2).min(self.sizes.max);
            (state.highest_number, doubled.max(blocks_min))
        };
        let fresh = self.begin(number, blocks).await?;
        self.state.borrow_mut().fresh = Some(fresh);
        Ok(())
    }

    /// A file for a segment: one that was freed, or a new one. Blocks of its
    /// former life are strangers by their stamp.
    async fn begin(&self, number: u64, blocks: u32) -> Result<Segment<D>, DiskError> {
        let name = names::spare_name(number);
        let spare = self.state.borrow_mut().take_spare();
        let (file, written) = match spare {
            None => (self.disk.create(&name).await?, 0),
            Some(spare) => {
                self.disk.rename(&names::segment_name(spare.number), &name).await?;
                self.state.borrow_mut().counters.segments_recycled += 1;
                (self.disk.open(&name).await?, spare.blocks)
            }
        };
        let incarnation = self.home.identity().incarnation;
        Ok(Segment {
            number,
            stamp: segment::stamp(incarnation, self.sizes.shard, number),
            file,
            blocks: blocks.max(written),
            filled: written,
            written,
        })
    }

    /// Fills up to `blocks` more of a segment; makes them durable, and gives a
    /// fresh segment its name, when enough have gathered. How many were filled.
    async fn step(&self, target: Target, blocks: u32) -> Result<u32, DiskError> {
        let Some(mut segment) = self.target(target) else {
            return Ok(0);
        };
        let (number, before) = (segment.number, segment.filled);
        self.fill(&mut segment, blocks).await?;
        let filled = segment.filled - before;
        let gathered = segment.filled - segment.written;
        // On a full device nobody waits for more to gather.
        let is_urgent = self.state.borrow().reserve.is_refused && segment.filled > FIRST_BLOCK;
        if gathered >= self.sizes.prepare || is_urgent || segment.filled == segment.blocks {
            if target == Target::Fresh {
                self.publish(&mut segment).await?;
                let mut state = self.state.borrow_mut();
                state.fresh = None;
                state.next = Some(segment);
                return Ok(filled);
            }
            self.flush(&mut segment).await?;
        }
        // The log may have gone on into the next segment meanwhile.
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let places = [&mut state.fresh, &mut state.next].into_iter().flatten();
        let place = places.chain([&mut state.active]).find(|place| place.number == number);
        if let Some(place) = place {
            place.filled = segment.filled;
            place.written = segment.written;
        }
        Ok(filled)
    }

    fn target(&self, target: Target) -> Option<Segment<D>> {
        let state = self.state.borrow();
        match target {
            Target::Active => Some(state.active.clone()),
            Target::Next => state.next.clone(),
            Target::Fresh => state.fresh.clone(),
        }
    }

    /// Writes zeros.
    pub(crate) async fn fill(
        &self,
        segment: &mut Segment<D>,
        blocks: u32,
    ) -> Result<(), DiskError> {
        let left = segment.blocks - segment.filled;
        let blocks = blocks.min(left);
        if blocks == 0 {
            return Ok(());
        }
        let len = usize_from(u64::from(blocks)) * BLOCK_BYTES;
        let kept = self.state.borrow_mut().zeros.take();
        let mut buffer =
            kept.filter(|kept| kept.capacity() >= len).unwrap_or_else(|| Buffer::zeroed(len));
        buffer.set_len(len);
        let offset = offset_of(segment.filled);
        let reach = Reach::Background;
        let (buffer, result) = self.disk.write_at(&segment.file, offset, buffer, reach).await;
        result?;
        segment.filled += blocks;
        let mut state = self.state.borrow_mut();
        state.counters.prepare_bytes += u64_from(len);
        let is_usual = buffer.capacity() <= usize_from(offset_of(self.sizes.throttle));
        state.zeros = Some(buffer).filter(|_| is_usual);
        Ok(())
    }

    /// Makes what was filled durable.
    async fn flush(&self, segment: &mut Segment<D>) -> Result<(), DiskError> {
        let filled = segment.filled;
        // A failed flush is never tried again, whatever it says (rule 9).
        self.disk.flush(&segment.file).await.map_err(not_no_space)?;
        segment.written = filled;
        self.state.borrow_mut().counters.prepare_flushes += 1;
        Ok(())
    }

    /// Writes the head of a filled segment and gives it its name (rule 13).
    pub(crate) async fn publish(&self, segment: &mut Segment<D>) -> Result<(), DiskError> {
        let sizes = (segment.blocks, segment.filled);
        let identity = self.home.identity();
        let head = Head::new(&identity, self.sizes.shard, segment.number, sizes);
        let mut buffer = Buffer::zeroed(usize_from(offset_of(FIRST_BLOCK)));
        head.encode(buffer.bytes_mut());
        let reach = Reach::Background;
        let (_, result) = self.disk.write_at(&segment.file, 0, buffer, reach).await;
        result?;
        self.flush(segment).await?;
        let spare = names::spare_name(segment.number);
        let name = names::segment_name(segment.number);
        self.disk.rename(&spare, &name).await?;
        self.disk.sync_dir().await.map_err(not_no_space)?;
        let noted = self.home.note_segment(segment.number).await;
        noted.map_err(not_no_space)?;
        self.state.borrow_mut().counters.prepare_flushes += 2;
        Ok(())
    }

    /// Tidies up. What fails here fails again at the next start, and costs
    /// space only.
    pub(crate) async fn do_chores(&self) {
        loop {
            let chore = self.state.borrow_mut().chores.pop();
            let _ = match chore {
                None => return,
                Some(Chore::Cut { file, bytes, .. }) => self.disk.truncate(&file, bytes).await,
                Some(Chore::Remove { name }) => self.disk.remove(&name).await,
                Some(Chore::RemoveSnapshot { group, last }) => {
                    self.remove_snapshot(group, last).await
                }
            };
        }
    }
}

impl<D: Disk> State<D> {
    /// Where a batch will go, if that was begun.
    fn target_for(&self, need: &Need) -> Option<Target> {
        let fits = need.fits(&self.active, self.next_block);
        match (&self.next, &self.fresh) {
            _ if fits && self.active.written < self.active.blocks => Some(Target::Active),
            (Some(_), _) => Some(Target::Next),
            (None, Some(_)) => Some(Target::Fresh),
            (None, None) => None,
        }
    }

    /// Blocks that are not written yet of what a batch needs.
    pub(crate) fn missing_for(&self, need: &Need) -> u32 {
        let filled = |segment: &Option<Segment<D>>| segment.as_ref().map_or(0, |it| it.filled);
        match self.target_for(need) {
            Some(Target::Active) => need.end(self.next_block).saturating_sub(self.active.filled),
            Some(Target::Next) => need.whole().saturating_sub(filled(&self.next)),
            Some(Target::Fresh) | None => need.whole().saturating_sub(filled(&self.fresh)),
        }
    }
}

/// Past the point where a full disk could be met in order.
pub(crate) fn not_no_space(error: DiskError) -> DiskError {
    DiskError { kind: std::io::ErrorKind::Other, ..error }
}
