//! A batch becomes records, and records become frames.
//!
//! Pure: nothing here knows a disk. What a caller inside this process got
//! wrong about its own log is asserted here, before anything is written.
//!
//! Invariants
//! - Hard state, truncation, compaction and entries of one change stay in that
//!   order, behind a statement of the group if its segment has none yet.
//! - Of several hard states of a group only the last is written (D4); a batch
//!   is taken whole or not at all, so its place among the group's other records
//!   makes no difference.

use std::collections::{BTreeMap, BTreeSet};

use crate::anew::{AllForsaken, brings_log};
use crate::directory::{ECHO_GROUPS_MAX, Harm, LostEntries};
use crate::frame::{Encoder, FRAME_BYTES_SOFT, FRAME_OVERHEAD_BYTES, blocks_for};
use crate::index::{GroupIndex, Groups};
use crate::record::{Item, RECORD_OVERHEAD_BYTES, STATE_BYTES_MAX, put_entries_head};
use crate::varint::Short;
use crate::width::{u32_from, usize_from};
use raftlet::core::{Chunk, EntryKind, Generation, GroupId, Index};
use raftlet::{Compaction, GroupWrite, WriteBatch};

/// A record, and where the index has its group: looked for once a batch.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) item: Item,
    /// `None`: not yet, or nobody looked.
    pub(crate) place: Option<u32>,
}

/// What goes into one frame.
#[derive(Debug)]
pub(crate) enum Content {
    /// Records in order.
    Records(Vec<Planned>),
    /// The batch as it is (`plain.rs`); of each write, where the index has its
    /// group.
    Batch(Vec<u32>),
}

/// One frame.
#[derive(Debug)]
pub(crate) struct FramePlan {
    pub(crate) content: Content,
    /// More bytes than its records will occupy.
    bytes_max: usize,
}

impl FramePlan {
    /// Of these records.
    pub(crate) fn of(items: Vec<Item>) -> Self {
        let bytes_max = items.iter().map(Item::bytes_max).sum();
        let planned = items.into_iter().map(|item| Planned { item, place: None });
        Self { content: Content::Records(planned.collect()), bytes_max }
    }

    /// How many records.
    pub(crate) fn len(&self) -> usize {
        match &self.content {
            Content::Records(items) => items.len(),
            Content::Batch(places) => places.len(),
        }
    }

    /// Puts the records into frame `frame`.
    pub(crate) fn put_into(
        &self,
        encoder: &mut Encoder,
        batch: &[GroupWrite],
        groups: &Groups,
        frame: u64,
    ) {
        let back_link = |index: Option<&GroupIndex>| match index.map_or(0, |it| it.last_frame) {
            0 => 0,
            last => frame - last,
        };
        let at = |place: &u32| groups.at(usize_from(u64::from(*place)));
        match &self.content {
            Content::Records(items) => {
                let (mut head, mut body) = (Vec::new(), Vec::new());
                for Planned { item, place } in items {
                    let index = place.as_ref().map_or_else(|| groups.get(&item.group()), at);
                    head.clear();
                    item.encode_head(back_link(index), &mut head, &mut body);
                    encoder.put(&head);
                    encoder.put(item.payload());
                }
            }
            Content::Batch(places) => {
                let mut head = Short::default();
                for (write, place) in batch.iter().zip(places) {
                    let chunk = appended(write).expect("a plain batch");
                    put_entries_head(&mut head, write.group, back_link(at(place)), chunk);
                    encoder.put_record(&head, chunk.bytes());
                }
            }
        }
    }

    fn brings_commands(&self, batch: &WriteBatch) -> bool {
        let brings = |chunk: &Chunk| chunk.entries().any(|it| it.kind == EntryKind::Command);
        match &self.content {
            Content::Records(items) => items.iter().any(|planned| match &planned.item {
                Item::Entries { chunk, .. } => brings(chunk),
                _ => false,
            }),
            Content::Batch(_) => batch.writes.iter().flat_map(|it| it.entries.chunks()).any(brings),
        }
    }

    /// Blocks that the frame needs at most, with an echo of so many bytes.
    pub(crate) fn blocks_max(&self, echo_bytes: usize) -> usize {
        blocks_for(frame_bytes_max(self.bytes_max, echo_bytes))
    }
}

/// The frames of one batch, in order.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) frames: Vec<FramePlan>,
    /// Whether a compaction names a snapshot.
    pub(crate) names_snapshots: bool,
    /// Whether votes and truncations are all there is (rule 9).
    pub(crate) has_entries: bool,
    /// Groups of which nothing is stated, since the segment knows them.
    pub(crate) unstated: usize,
}

impl Plan {
    /// Whether any of its entries is a command.
    pub(crate) fn brings_commands(&self, batch: &WriteBatch) -> bool {
        self.frames.iter().any(|frame| frame.brings_commands(batch))
    }

    /// Blocks that the statements of all other groups need besides, where the
    /// batch begins a segment.
    pub(crate) fn blocks_more_max(&self) -> u32 {
        u32_from(blocks_for(self.unstated * STATE_BYTES_MAX))
    }

    /// Blocks that the batch needs at most. `echo_bytes` is what the first
    /// frame says about the one before; later ones echo those of this plan.
    pub(crate) fn blocks_max(&self, echo_bytes: usize) -> u32 {
        let mut echo_bytes = echo_bytes;
        let mut blocks = 0;
        for frame in &self.frames {
            blocks += frame.blocks_max(echo_bytes);
            echo_bytes = echo_bytes_max(frame.len());
        }
        u32_from(blocks)
    }
}

/// More bytes than the payload of a frame with records of so many bytes.
pub(crate) fn frame_bytes_max(record_bytes: usize, echo_bytes: usize) -> usize {
    let link_bytes = RECORD_OVERHEAD_BYTES;
    FRAME_OVERHEAD_BYTES + link_bytes + echo_bytes + record_bytes
}

fn echo_bytes_max(items: usize) -> usize {
    RECORD_OVERHEAD_BYTES + items.min(ECHO_GROUPS_MAX) * 2 * RECORD_OVERHEAD_BYTES
}

/// Plans a batch that goes into this segment.
///
/// # Panics
/// When entries leave a gap, or a change is for a former life of its group.
pub(crate) fn plan(
    batch: &WriteBatch,
    (groups, forsaken): (&Groups, &AllForsaken),
    segment: u64,
) -> Plan {
    if let Some(frame) = plain(batch, groups, segment) {
        let unstated = frame.len();
        return Plan { frames: vec![frame], has_entries: true, unstated, ..Plan::default() };
    }
    by_records(batch, (groups, forsaken), segment)
}

/// Plans record by record, what a plain batch may be spared.
pub(crate) fn by_records(
    batch: &WriteBatch,
    (groups, forsaken): (&Groups, &AllForsaken),
    segment: u64,
) -> Plan {
    let mut plan = Plan::default();
    let repeated = repeated_groups(&batch.writes);
    let superseded = superseded_states(&batch.writes, &repeated);
    // What the batch made of groups that it comes back to.
    let mut known = BTreeMap::new();
    let mut begun_anew = BTreeSet::new();
    let mut packer = Packer::for_len(batch.writes.len());
    let mut unstated = 0;
    for (at, write) in batch.writes.iter().enumerate() {
        let group = write.group;
        let place = groups.place(group);
        packer.place = place.map(u32_from);
        let mut seen = known.get(&group).copied().or_else(|| {
            let index = groups.at(place?)?;
            // The first record of a group in a segment says all of it.
            if index.generation == write.generation {
                if index.state_segment == segment {
                    unstated += 1;
                } else {
                    packer.push(Item::State { group, state: Box::new(index.state()) });
                }
            }
            Some((index.generation, index.last))
        });
        if seen.is_none_or(|(generation, _)| generation != write.generation) {
            let older = seen.is_some_and(|(generation, _)| generation > write.generation);
            assert!(!older, "a write for a former life of group {group}");
            seen = Some((write.generation, Index::ZERO));
            let generation = write.generation;
            packer.push(Item::Group { group, generation });
        }
        if let Some(state) = write.hard_state.filter(|_| !superseded.contains(&at)) {
            packer.push(Item::HardState { group, state });
        }
        if let Some(harm) = lost(write, place.and_then(|place| groups.at(place)))
            && !forsaken.contains_key(&group)
        {
            packer.push(Item::Damage { group, harm });
        }
        if let Some((generation, last)) = &mut seen {
            if let Some(forsaken) = forsaken.get(&group)
                && brings_log(write)
                && begun_anew.insert(group)
            {
                packer.push(Item::Damage { group, harm: forsaken.harm });
                *last = Index::ZERO;
            }
            push_entries(&mut packer, write, last);
            if repeated.contains(&group) {
                known.insert(group, (*generation, *last));
            }
        }
        plan.has_entries |= !write.entries.is_empty();
        plan.names_snapshots |= write.compact.is_some_and(|compact| compact.snapshot.is_some());
    }
    plan.frames = packer.finish();
    plan.unstated = unstated;
    plan
}

/// What a group has lost by what a write says of it, if it holds that.
fn lost(write: &GroupWrite, index: Option<&GroupIndex>) -> Option<Harm> {
    let (from, index) = (write.lost_from?, index?);
    let first = from.max(index.base.index.next());
    let known = index.harm.entries.map_or(Index::ZERO, |lost| lost.last);
    let term = write.hard_state.map_or(index.hard_state.term, |state| state.term);
    let entries = LostEntries { first, last: index.last.max(known), term: Some(term) };
    (first <= index.last).then_some(Harm { entries: Some(entries), ..index.harm })
}

fn push_entries(packer: &mut Packer, write: &GroupWrite, last: &mut Index) {
    let group = write.group;
    if let Some(from) = write.truncate_from {
        packer.push(Item::Truncate { group, from });
        *last = (*last).min(from.previous());
    }
    if let Some(Compaction { base, snapshot }) = write.compact {
        packer.push(Item::Compact { group, base });
        *last = (*last).max(base.index);
        if let Some(last) = snapshot {
            packer.push(Item::Snapshot { group, last });
        }
    }
    for chunk in write.entries.chunks() {
        let follows = chunk.first() == last.next();
        assert!(follows, "entry {} of group {group} behind entry {last}", chunk.first());
        *last = chunk.last();
        packer.push(Item::Entries { group, chunk: chunk.clone() });
    }
    if write.refilled {
        packer.push(Item::Refilled { group });
    }
}

/// Groups with more than one write in the batch: none in most of them.
fn repeated_groups(writes: &[GroupWrite]) -> BTreeSet<GroupId> {
    if writes.is_sorted_by(|one, next| one.group < next.group) {
        return BTreeSet::new();
    }
    let mut groups: Vec<GroupId> = writes.iter().map(|write| write.group).collect();
    groups.sort_unstable();
    let pairs = groups.iter().zip(groups.iter().skip(1));
    pairs.filter(|(one, next)| one == next).map(|(one, _)| *one).collect()
}

/// The writes whose hard state a later write of the batch replaces.
fn superseded_states(writes: &[GroupWrite], repeated: &BTreeSet<GroupId>) -> BTreeSet<usize> {
    let mut superseded = BTreeSet::new();
    if repeated.is_empty() {
        return superseded;
    }
    let mut later: BTreeSet<(GroupId, Generation)> = BTreeSet::new();
    for (at, write) in writes.iter().enumerate().rev() {
        let is_first_seen =
            write.hard_state.is_none() || later.insert((write.group, write.generation));
        if !is_first_seen {
            superseded.insert(at);
        }
    }
    superseded
}

/// Fills frames up to the soft limit.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    done: Vec<FramePlan>,
    current: Vec<Planned>,
    /// More bytes than what is in it will occupy.
    bytes_max: usize,
    /// Of the group whose records are packed.
    place: Option<u32>,
}

impl Packer {
    /// With room for the records of so many writes.
    fn for_len(len: usize) -> Self {
        Self { current: Vec::with_capacity(len), ..Self::default() }
    }

    pub(crate) fn push(&mut self, item: Item) {
        match item {
            Item::Entries { group, chunk } => self.push_chunk(group, chunk),
            small => {
                if self.bytes_max + small.bytes_max() > FRAME_BYTES_SOFT {
                    self.close();
                }
                self.add(small);
            }
        }
    }

    /// Splits a chunk where a frame is full; an entry above the limit fills a
    /// frame of its own.
    fn push_chunk(&mut self, group: GroupId, chunk: Chunk) {
        let mut rest = Some(chunk);
        while let Some(chunk) = rest {
            let room = FRAME_BYTES_SOFT.saturating_sub(self.bytes_max + RECORD_OVERHEAD_BYTES);
            if chunk.bytes().len() <= room {
                return self.add(Item::Entries { group, chunk });
            }
            let head = chunk.head_within(room);
            if head.bytes().len() > room && !self.current.is_empty() {
                self.close();
                rest = Some(chunk);
                continue;
            }
            rest = chunk.from(head.last().next());
            self.add(Item::Entries { group, chunk: head });
        }
    }

    fn add(&mut self, item: Item) {
        self.bytes_max += item.bytes_max();
        self.current.push(Planned { item, place: self.place });
    }

    fn close(&mut self) {
        let content = Content::Records(std::mem::take(&mut self.current));
        self.done.push(FramePlan { content, bytes_max: std::mem::take(&mut self.bytes_max) });
    }

    pub(crate) fn finish(mut self) -> Vec<FramePlan> {
        if !self.current.is_empty() {
            self.close();
        }
        self.done
    }
}

mod plain;

pub(crate) use plain::appended;
use plain::plain;

#[cfg(test)]
mod tests;
