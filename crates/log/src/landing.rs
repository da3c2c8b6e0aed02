//! What is left of a frame when the device has its bytes.
//!
//! Put together while the device is at work, so that a batch waits for none of
//! it: what the next frame says of this one, and what the index is to learn. When
//! the frame is durable, the index learns from numbers, a group after the other
//! at the place where the plan found it; the entries are let go by then.
//!
//! Invariant: nothing here changes the index before [`Landing::settle`], which
//! is called when all of the batch is durable.

use crate::directory::{Directory, ECHO_GROUPS_MAX, put_appended};
use crate::disk::Disk;
use crate::index::{FrameAt, GroupIndex, Groups, Growth};
use crate::plan::{Content, FramePlan, Planned, appended};
use crate::record::{Item, put_echo_of};
use crate::shard_log::State;
use crate::width::usize_from;
use raftlet::GroupWrite;
use raftlet::core::ChunkRef;

/// More bytes than most traces occupy.
const TRACE_BYTES: usize = 16;

/// What a frame leaves.
#[derive(Debug)]
pub(crate) struct Landing {
    /// What is said of it in the next one.
    pub(crate) echo: Vec<u8>,
    news: Vec<News>,
}

/// What the index is to learn of one record.
#[derive(Debug)]
enum News {
    /// Entries of a group that it knows at this place.
    Grown(u32, Growth),
    /// Anything else.
    Other(Box<Planned>),
}

impl Landing {
    /// What this frame will leave; `batch` is what it was planned from.
    pub(crate) fn of(frame: FramePlan, batch: &[GroupWrite]) -> Self {
        match frame.content {
            Content::Records(items) => {
                let echo = echo(&items);
                Self { echo, news: items.into_iter().map(News::of).collect() }
            }
            Content::Batch(places) => Self::of_batch(&places, batch),
        }
    }

    fn of_batch(places: &[u32], batch: &[GroupWrite]) -> Self {
        let mut traces = Vec::with_capacity(places.len() * TRACE_BYTES);
        let mut news = Vec::with_capacity(places.len());
        for (at, (write, place)) in batch.iter().zip(places).enumerate() {
            let chunk = appended(write).expect("a plain batch");
            if at < ECHO_GROUPS_MAX {
                put_appended(&mut traces, write.group, chunk);
            }
            news.push(News::Grown(*place, Growth::of(&ChunkRef::from(chunk))));
        }
        let count = places.len().min(ECHO_GROUPS_MAX);
        Self { echo: echo_of(count == places.len(), count, &traces), news }
    }

    /// The groups have records in a frame whose batch is not whole yet.
    pub(crate) fn note_last_frame(&self, groups: &mut Groups, frame: u64) {
        for news in &self.news {
            let index = match news {
                News::Grown(place, _) => groups.at_mut(usize_from(u64::from(*place))),
                News::Other(other) => groups.get_mut(&other.item.group()),
            };
            if let Some(index) = index {
                index.last_frame = frame;
            }
        }
    }

    /// The frame is durable, and so is all of its batch.
    ///
    /// # Panics
    /// When the records do not follow what the index knows, which the plan was
    /// made from.
    pub(crate) fn settle<D: Disk>(&self, state: &mut State<D>, at: &FrameAt) {
        for news in &self.news {
            match news {
                News::Grown(place, growth) => {
                    let index = state.groups.at_mut(usize_from(u64::from(*place)));
                    grow(index.expect("no group leaves the index"), growth, at);
                }
                News::Other(other) => settle_other(state, &other.item, at),
            }
        }
    }
}

const PLANNED: &str = "the plan was checked against the index";

#[inline]
fn grow(index: &mut GroupIndex, growth: &Growth, at: &FrameAt) {
    index.last_frame = at.frame;
    index.grow(growth, at).expect(PLANNED);
}

fn settle_other<D: Disk>(state: &mut State<D>, item: &Item, at: &FrameAt) {
    let former = match item {
        Item::Snapshot { group, .. } | Item::Damage { group, .. } => state.groups.get(group),
        _ => None,
    };
    let former = former.and_then(|index| index.snapshot);
    crate::recovery::apply(&mut state.groups, item, at).expect(PLANNED);
    match item {
        Item::Snapshot { group, last } => state.on_snapshot_in_use(*group, former, *last),
        Item::Damage { group, .. } => state.on_begun_anew(*group, former),
        _ => {}
    }
    state.is_burden_unknown |= matches!(item, Item::Compact { .. });
}

impl News {
    #[inline]
    fn of(planned: Planned) -> Self {
        match &planned {
            Planned { item: Item::Entries { chunk, .. }, place: Some(place) }
                if !chunk.has_configuration() =>
            {
                Self::Grown(*place, Growth::of(&ChunkRef::from(chunk)))
            }
            _ => Self::Other(Box::new(planned)),
        }
    }
}

/// What is said of a frame in the next one: a trace of each group whose records
/// stand together, as [`Directory`] notes them.
fn echo(items: &[Planned]) -> Vec<u8> {
    let mut traces = Vec::with_capacity(items.len().min(ECHO_GROUPS_MAX) * TRACE_BYTES);
    let mut of_group = Directory::for_len(1);
    let mut count = 0;
    let mut runs = items.chunk_by(|one, next| one.item.group() == next.item.group());
    for run in runs.by_ref().take(ECHO_GROUPS_MAX) {
        count += 1;
        if let [Planned { item: Item::Entries { group, chunk }, .. }] = run {
            put_appended(&mut traces, *group, chunk);
            continue;
        }
        run.iter().for_each(|planned| planned.item.note(&mut of_group));
        of_group.drain_into(&mut traces);
    }
    echo_of(runs.next().is_none(), count, &traces)
}

fn echo_of(is_complete: bool, count: usize, traces: &[u8]) -> Vec<u8> {
    let mut echo = Vec::with_capacity(traces.len() + TRACE_BYTES);
    put_echo_of(&mut echo, is_complete, count, traces);
    echo
}

#[cfg(test)]
mod tests;
