//! Frees the oldest segments, in order (rule 27: their space is used again).
//!
//! A segment is free when no group has entries in it, nor its last statement.
//! Freed segments leave in order of age only, so a truncation or compaction
//! always outlives what it cancels, and nothing that was replaced comes back.
//!
//! What keeps the oldest segment when the log is above its limit:
//! - the last statement of an idle group: it is stated again;
//! - a little of a cold group: its entries are written again at the end, as
//!   *moved* ones, in the same stream and in one order with all else;
//! - more than that: the group is named by `pins`, so that the shard has it
//!   snapshot and compact. Nothing else frees that segment;
//! - a little that cannot be read: it is named too. The machine has applied it, so
//!   a snapshot holds it, and the place where it stood may go;
//! - entries of a group that does not run, because its term or vote are lost or
//!   it is halted: nobody writes it down. They are moved however many they are, if
//!   all that such groups hold is little beside the limit; else they are named.
//!
//! Moving is for garbage: a segment that is live by half or more is not moved,
//! its groups are named instead. Live by half means that what would be written
//! again, in whole blocks, has no place twice in a segment like it: else small
//! segments with a large entry each would be moved round and round.
//!
//! Where room is short all of this is done below the limit too, except that
//! statements which fill a segment by half are not moved round and round; and
//! where the segment in use has taken all the room, it ends early.
//!
//! Order: what is moved is durable → `IDENTITY` says in both copies which
//! segment is the oldest needed → the older files are used again or removed.
//! Killed between any two, the next start ends alike.

use crate::append::{MARK_BLOCKS, Need, Purpose};
use crate::block::BLOCK_BYTES;
use crate::disk::{Disk, DiskError};
use crate::frame::{FRAME_BYTES_SOFT, blocks_for};
use crate::index::spans::Held;
use crate::index::{GroupIndex, Groups};
use crate::names;
use crate::options::Sizes;
use crate::plan::{FramePlan, Plan};
use crate::prepare::not_no_space;
use crate::record::{Item, STATE_BYTES_MAX};
use crate::recovery::SegmentRef;
use crate::reserve::Share;
use crate::segment::FIRST_BLOCK;
use crate::shard_log::{Chore, Shared, Spare, State};
use crate::width::{u32_from, u64_from, usize_from};
use raftlet::core::{Chunk, GroupId, Index};
use raftlet::{Pin, StorageError};

/// Bytes of one group in one segment that are moved; above, the group is named.
const MOVED_GROUP_BYTES_MAX: u64 = 64 << 10;
/// What part of the soft limit groups that do not run may take to be moved: as
/// the log goes round they are written again, beside at least three times as much
/// that is of use.
const STRANDED_PART: u64 = 4;
/// Bytes of one frame of moved records: a quarter of what a frame should have.
const MOVED_FRAME_BYTES_MAX: usize = FRAME_BYTES_SOFT / 16;
/// Groups named at once; the next are named when these are gone.
const PINS_MAX: usize = 64;
/// Segments behind the oldest whose groups are named with it: one at a time
/// would be slower than a log that grows.
const PIN_SEGMENTS_MAX: usize = 8;
/// Free files kept for use: as many as one compaction of a log of four segments
/// frees at once.
pub(crate) const SPARES_MAX: usize = 4;

/// What keeps a segment.
#[derive(Debug, Default)]
struct Burden {
    segment: u64,
    /// Groups that only have to be stated again.
    states: Vec<GroupId>,
    /// Groups with a little in it.
    small: Vec<(GroupId, Held)>,
    /// Groups that nobody writes down.
    stranded: Vec<(GroupId, Held)>,
    pins: Vec<Pin>,
    /// It is the one in use, and ends so that it can be freed.
    is_retiring: bool,
}

impl<D: Disk> State<D> {
    /// Bytes of all segments that make up the log.
    pub(crate) fn log_bytes(&self) -> u64 {
        let finished: u64 = self.finished.iter().map(|segment| u64::from(segment.end)).sum();
        (finished + u64::from(self.next_block)) * u64_from(BLOCK_BYTES)
    }

    /// How many of the finished segments nobody needs.
    fn free_count(&self) -> usize {
        if self.link.is_some() {
            // The segment in use does not count yet.
            return 0;
        }
        free_segments(&self.finished, &self.groups)
    }

    /// What keeps the oldest segment that is not free, if the log is too large
    /// or there is no room for more.
    fn burden(&self, sizes: &Sizes) -> Option<Burden> {
        let is_short = self.shortage(sizes).is_some();
        let soft_bytes = if is_short { 0 } else { sizes.soft_bytes };
        let free = self.free_count();
        let freed: u64 = self.finished.iter().take(free).map(|it| u64::from(it.end)).sum();
        let kept = self.log_bytes() - freed * u64_from(BLOCK_BYTES);
        if is_short && free == self.finished.len() {
            return self.burden_in_use(sizes);
        }
        let target = self.finished.get(free).filter(|_| kept > soft_bytes)?;
        let mut burden = Burden { segment: target.number, ..Burden::default() };
        let mut small_bytes = 0;
        let moves_stranded = self.stranded_bytes() <= sizes.soft_bytes / STRANDED_PART;
        for (group, index) in self.groups.iter() {
            if index.state_segment == target.number {
                burden.states.push(*group);
            }
            let Some(held) = index.spans.in_segment(target.number) else {
                continue;
            };
            if moves_stranded && self.is_stranded(*group, index) {
                burden.stranded.push((*group, held));
            } else if held.bytes <= MOVED_GROUP_BYTES_MAX {
                small_bytes += held.bytes;
                burden.small.push((*group, held));
            } else {
                burden.pins.push(Pin { group: *group, bytes: held.bytes, until: held.until });
            }
        }
        let stated_bytes = u64_from(burden.states.len() * STATE_BYTES_MAX);
        let is_dense = is_short && fills_half(small_bytes + stated_bytes, target.end);
        if is_dense {
            burden.states.clear();
        }
        if fills_half(small_bytes, target.end) || is_dense {
            let pin = |(group, held): (GroupId, Held)| Pin {
                group,
                bytes: held.bytes,
                until: held.until,
            };
            burden.pins.extend(burden.small.drain(..).map(pin));
        }
        burden.small.append(&mut burden.stranded);
        burden.pins.sort_by_key(|pin| std::cmp::Reverse(pin.bytes));
        let mut left = kept - u64::from(target.end) * u64_from(BLOCK_BYTES);
        for next in self.finished.iter().skip(free + 1).take(PIN_SEGMENTS_MAX) {
            if left <= soft_bytes || burden.pins.len() >= PINS_MAX {
                break;
            }
            left -= u64::from(next.end) * u64_from(BLOCK_BYTES);
            self.name_pins(next.number, &mut burden.pins);
        }
        burden.pins.truncate(PINS_MAX);
        Some(burden)
    }

    /// What is held of groups that do not run.
    fn stranded_bytes(&self) -> u64 {
        let groups = self.groups.iter();
        let stranded = groups.filter(|(group, index)| self.is_stranded(**group, index));
        stranded.map(|(_, index)| index.spans.bytes()).sum()
    }

    fn is_stranded(&self, group: GroupId, index: &GroupIndex) -> bool {
        index.harm.is_lost || self.stranded.contains(&group)
    }

    /// Nobody writes these groups down. Returns whether that is news.
    pub(crate) fn strand(&mut self, groups: &[GroupId]) -> bool {
        let known = groups.iter().filter(|group| self.groups.get(group).is_some());
        let before = self.stranded.len();
        self.stranded.extend(known);
        let is_news = self.stranded.len() > before;
        self.is_burden_unknown |= is_news;
        is_news
    }

    /// A group runs: it is named like any other. Returns whether that is news.
    pub(crate) fn unstrand(&mut self, group: GroupId) -> bool {
        let is_news = self.stranded.remove(&group);
        self.is_burden_unknown |= is_news;
        is_news
    }

    /// Where the segment in use has taken all room there is: all its groups are
    /// named, and when nothing of them is left in it, it ends.
    fn burden_in_use(&self, sizes: &Sizes) -> Option<Burden> {
        let segment = self.active.number;
        if self.next_block <= sizes.prepare || self.link.is_some() {
            return None;
        }
        let mut burden = Burden { segment, ..Burden::default() };
        for (group, index) in self.groups.iter() {
            if index.state_segment == segment {
                burden.states.push(*group);
            }
            if let Some(held) = index.spans.in_segment(segment) {
                burden.pins.push(Pin { group: *group, bytes: held.bytes, until: held.until });
            }
        }
        let stated_bytes = u64_from(burden.states.len() * STATE_BYTES_MAX);
        let is_dense = fills_half(stated_bytes, self.next_block);
        burden.is_retiring = burden.pins.is_empty() && !is_dense;
        if !burden.is_retiring {
            burden.states.clear();
        }
        burden.pins.sort_by_key(|pin| std::cmp::Reverse(pin.bytes));
        burden.pins.truncate(PINS_MAX);
        Some(burden)
    }

    /// Adds the groups that only a snapshot gets out of a segment.
    fn name_pins(&self, segment: u64, pins: &mut Vec<Pin>) {
        for (group, index) in self.groups.iter() {
            let held = index.spans.in_segment(segment);
            let Some(held) = held.filter(|held| held.bytes > MOVED_GROUP_BYTES_MAX) else {
                continue;
            };
            match pins.iter_mut().find(|pin| pin.group == *group) {
                Some(pin) => pin.until = pin.until.max(held.until),
                None => {
                    pins.push(Pin { group: *group, bytes: held.bytes, until: held.until });
                }
            }
        }
    }

    /// A free file that nobody reads any more.
    pub(crate) fn take_spare(&mut self) -> Option<Spare> {
        let readers = &self.readers;
        let at = self.spares.iter().position(|spare| !readers.contains_key(&spare.number))?;
        Some(self.spares.remove(at))
    }

    pub(crate) fn current_pins(&self) -> Vec<Pin> {
        self.pins.iter().filter(|pin| self.is_held(pin)).copied().collect()
    }

    /// Groups with entries that could not be read when they were to be moved.
    pub(crate) fn unreadable_groups(&self) -> usize {
        self.unreadable.iter().filter(|pin| self.is_held(pin)).count()
    }

    fn is_held(&self, pin: &Pin) -> bool {
        self.groups.get(&pin.group).is_some_and(|index| index.base.index < pin.until)
    }

    /// Has these groups written down: what they keep the segment by is on no disk
    /// here any more, but applied.
    fn name_unreadable(&mut self, unreadable: &[Pin]) {
        let mut kept = std::mem::take(&mut self.unreadable);
        kept.retain(|pin| self.is_held(pin));
        for pin in unreadable {
            kept.retain(|known| known.group != pin.group);
            kept.push(*pin);
        }
        kept.truncate(PINS_MAX);
        let news = kept.iter().filter(|pin| self.pins.iter().all(|it| it.group != pin.group));
        let news: Vec<Pin> = news.copied().collect();
        self.pins.extend(news);
        self.unreadable = kept;
    }
}

/// Whether so much, written again, has no place twice in a segment of `end`
/// blocks.
fn fills_half(bytes: u64, end: u32) -> bool {
    let frames = bytes.div_ceil(u64_from(MOVED_FRAME_BYTES_MAX));
    // Each frame has its header, an echo, and a last block that is not full.
    let blocks = bytes.div_ceil(u64_from(BLOCK_BYTES)).max(frames) + frames / 2;
    2 * blocks + u64::from(FIRST_BLOCK + MARK_BLOCKS) > u64::from(end)
}

/// How many of a log's finished segments no group needs.
pub(crate) fn free_segments(finished: &[SegmentRef], groups: &Groups) -> usize {
    let needed = groups.oldest_needed().unwrap_or(u64::MAX);
    let mut count = finished.partition_point(|segment| segment.number < needed);
    // A segment of the old format says nothing of groups that began before.
    while finished.get(count).is_some_and(|next| !next.is_self_contained) && count > 0 {
        count -= 1;
    }
    count
}

impl<D: Disk> Shared<D> {
    /// Lets go of segments that nobody needs; called inside the `prepare` gate.
    /// Returns whether there were any.
    pub(crate) async fn purge(&self) -> Result<bool, DiskError> {
        let (count, oldest, has_unknown_losses) = {
            let state = self.state.borrow();
            let count = state.free_count();
            let oldest = state.finished.get(count).map_or(state.active.number, |it| it.number);
            (count, oldest, state.has_unknown_losses)
        };
        if count == 0 {
            return Ok(false);
        }
        let noted = self.home.note_oldest_segment(oldest, has_unknown_losses).await;
        noted.map_err(not_no_space)?;
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        state.counters.prepare_flushes += 2;
        state.counters.segments_freed += u64_from(count);
        state.kept_read.take_if(|kept| kept.is_of_before(oldest));
        for freed in state.finished.drain(..count) {
            // A file that will be used again must not be cut behind its back.
            let is_other = |chore: &Chore<D>| match chore {
                Chore::Cut { number, .. } => *number != freed.number,
                Chore::Remove { .. } | Chore::RemoveSnapshot { .. } => true,
            };
            state.after_link.retain(is_other);
            state.chores.retain(is_other);
            if state.spares.len() < SPARES_MAX {
                state.spares.push(Spare { number: freed.number, blocks: freed.end });
            } else {
                let name = names::segment_name(freed.number);
                state.chores.push(Chore::Remove { name });
            }
        }
        Ok(true)
    }

    /// On a full disk a spare file is worth more as space; whether there was one.
    pub(crate) fn drop_spare(&self) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(spare) = state.spares.pop() else {
            return false;
        };
        let name = names::segment_name(spare.number);
        state.chores.push(Chore::Remove { name });
        true
    }

    /// One step towards a smaller log, when it is above its limit. Returns
    /// whether something was moved.
    pub(crate) async fn collect(&self) -> Result<bool, StorageError> {
        let burden = {
            let mut state = self.state.borrow_mut();
            if !std::mem::take(&mut state.is_burden_unknown) {
                return Ok(false);
            }
            let burden = state.burden(&self.sizes);
            state.pins = burden.as_ref().map(|burden| burden.pins.clone()).unwrap_or_default();
            burden
        };
        let Some(burden) = burden else {
            return Ok(false);
        };
        let (moves, unreadable) = self.read_moves(&burden).await?;
        self.state.borrow_mut().name_unreadable(&unreadable);
        if moves.is_empty() && burden.states.is_empty() && !burden.is_retiring {
            return Ok(false);
        }
        self.write_moves(&burden, &moves).await?;
        self.state.borrow_mut().is_burden_unknown = true;
        Ok(true)
    }

    /// Reads what is to be moved, as much as goes into one frame. What cannot
    /// be read is left where it is, and who keeps the segment by it is told.
    async fn read_moves(
        &self,
        burden: &Burden,
    ) -> Result<(Vec<(GroupId, Chunk)>, Vec<Pin>), StorageError> {
        let mut moves = Vec::new();
        let mut unreadable = Vec::new();
        let mut bytes = 0;
        for (group, held) in &burden.small {
            if bytes > 0 && bytes + usize_from(held.bytes) > MOVED_FRAME_BYTES_MAX {
                break;
            }
            let wanted = usize_from(MOVED_GROUP_BYTES_MAX);
            let read = self.read_entries(*group, held.first, held.last, wanted).await;
            let entries = match read {
                Ok(entries) => entries,
                Err(StorageError::Poisoned { cause }) => {
                    return Err(StorageError::Poisoned { cause });
                }
                Err(_) => {
                    let (bytes, until) = (held.bytes, held.until);
                    unreadable.push(Pin { group: *group, bytes, until });
                    continue;
                }
            };
            bytes += entries.bytes_len();
            moves.extend(entries.chunks().map(|chunk| (*group, chunk.clone())));
        }
        Ok((moves, unreadable))
    }

    /// Ends the segment in use here, in favour of a next one; called inside the
    /// `device` gate.
    async fn retire(&self, burden: &Burden) -> Result<(), StorageError> {
        let (need, blocks) = {
            let mut state = self.state.borrow_mut();
            if state.active.number != burden.segment {
                return Ok(());
            }
            let bytes = (burden.states.len() * STATE_BYTES_MAX).min(MOVED_FRAME_BYTES_MAX);
            let more = u32_from(blocks_for(bytes + state.echo.len()));
            let reserve = self.sizes.reserve;
            let end = state.next_block;
            let blocks = std::mem::replace(&mut state.active.blocks, end);
            (Need { blocks: 1, more, reserve, share: Share::Half }, blocks)
        };
        let room = self.make_room(&need).await;
        let mut state = self.state.borrow_mut();
        if state.active.number == burden.segment {
            state.active.blocks = blocks;
        }
        room
    }

    /// Writes them, as far as they still count.
    async fn write_moves(
        &self,
        burden: &Burden,
        moves: &[(GroupId, Chunk)],
    ) -> Result<(), StorageError> {
        let _alone = self.device.enter().await;
        self.check()?;
        if burden.is_retiring {
            self.retire(burden).await?;
        }
        loop {
            let (frame, need, segment) = {
                let state = self.state.borrow();
                let frame = FramePlan::of(items(&state, burden, moves));
                let blocks = u32_from(frame.blocks_max(state.echo.len()));
                let more = u32_from(blocks_for(frame.len() * STATE_BYTES_MAX));
                // On a full device what is moved must not take the room of votes.
                let is_short = state.shortage(&self.sizes).is_some();
                let reserve = if is_short { self.sizes.reserve } else { 0 };
                let need = Need { blocks, more, reserve, share: Share::Half };
                (frame, need, state.active.number)
            };
            if frame.len() == 0 {
                return Ok(());
            }
            self.make_room(&need).await?;
            if self.state.borrow().active.number == segment {
                let plan = Plan { frames: vec![frame], ..Plan::default() };
                return self.write_frames(plan, Purpose::Moves, &mut Vec::new()).await;
            }
        }
    }
}

/// What still counts of what is to be moved, with statements where the segment
/// in use has none yet.
fn items<D: Disk>(state: &State<D>, burden: &Burden, moves: &[(GroupId, Chunk)]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut bytes = 0;
    let mut stated = std::collections::BTreeSet::new();
    let mut restate = |group: GroupId, items: &mut Vec<Item>| {
        let index = state.groups.get(&group);
        let index = index.filter(|index| index.state_segment != state.active.number);
        if let Some(index) = index.filter(|_| stated.insert(group)) {
            items.push(Item::State { group, state: Box::new(index.state()) });
        }
    };
    for group in &burden.states {
        if bytes > MOVED_FRAME_BYTES_MAX {
            break;
        }
        restate(*group, &mut items);
        bytes += STATE_BYTES_MAX;
    }
    for (group, chunk) in moves {
        let counts = |part: &Chunk| {
            let index = state.groups.get(group);
            index.is_some_and(|it| it.spans.all_in(burden.segment, part.first(), part.last()))
        };
        let base = state.groups.get(group).map_or(Index::ZERO, |index| index.base.index);
        if let Some(part) = chunk.from(base.next()).filter(counts) {
            restate(*group, &mut items);
            items.push(Item::Moved { group: *group, chunk: part });
        }
    }
    items
}
