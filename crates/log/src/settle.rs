//! The index learns what a durable frame did.
//!
//! It learns from numbers, a group after the other at the place where the plan
//! found it, and only when all of the batch is durable.
//!
//! Not here: what there is to learn, and what the next frame says (`landing.rs`).

use crate::disk::Disk;
use crate::index::{FrameAt, GroupIndex, Growth};
use crate::landing::{Landing, News};
use crate::record::Item;
use crate::shard_log::State;
use crate::width::usize_from;

const PLANNED: &str = "the plan was checked against the index";

/// The frame is durable, and so is all of its batch.
///
/// # Panics
/// When the records do not follow what the index knows, which the plan was
/// made from.
pub(crate) fn settle<D: Disk>(landing: &Landing, state: &mut State<D>, at: &FrameAt) {
    for news in &landing.news {
        match news {
            News::Grown(place, growth) => {
                let index = state.groups.at_mut(usize_from(u64::from(*place)));
                grow(index.expect("no group leaves the index"), growth, at);
            }
            News::Other(other) => settle_other(state, &other.item, at),
        }
    }
}

#[inline]
fn grow(index: &mut GroupIndex, growth: &Growth, at: &FrameAt) {
    index.last_frame = at.frame;
    index.grow(growth, at).expect(PLANNED);
}

fn settle_other<D: Disk>(state: &mut State<D>, item: &Item, at: &FrameAt) {
    let former = match item {
        Item::Snapshot { group, .. } => state.groups.get(group),
        _ => None,
    };
    let former = former.and_then(|index| index.snapshot);
    crate::recovery::apply(&mut state.groups, item, at).expect(PLANNED);
    if let Item::Snapshot { group, last } = item {
        state.on_snapshot_in_use(*group, former, *last);
    }
    state.is_burden_unknown |= matches!(item, Item::Compact { .. });
}
