//! The batch of a steady state: every group once, known, and nothing but entries
//! behind its last one.
//!
//! Such a batch is its own plan. Each write is looked at once and leaves one
//! number; its record is put together where its bytes go, and what is left of it is
//! taken from it while the device is at work. Any other batch is planned record
//! by record (`plan.rs`), with the same bytes.

use crate::frame::FRAME_BYTES_SOFT;
use crate::index::Groups;
use crate::plan::{Content, FramePlan};
use crate::record::RECORD_OVERHEAD_BYTES;
use crate::width::{u32_from, usize_from};
use raftlet::core::{Chunk, GroupId, mutants};
use raftlet::{GroupWrite, WriteBatch};

/// The frame of a plain batch; `None` when it is not one.
pub(super) fn plain(batch: &WriteBatch, groups: &Groups, segment: u64) -> Option<FramePlan> {
    let mut places = Vec::with_capacity(batch.writes.len());
    // First all places, then all groups: what is waited for is memory, and loads
    // that stand close together wait together.
    for write in &batch.writes {
        places.push(u32_from(groups.place(write.group)?));
    }
    let mut bytes_max = 0;
    let mut former = GroupId::default();
    let mut is_ascending = true;
    for (write, place) in batch.writes.iter().zip(&places) {
        let chunk = appended(write)?;
        let index = groups.at(usize_from(u64::from(*place)))?;
        let is_plain = (index.state_segment == segment || mutants::is_active(148))
            && index.generation == write.generation
            && index.is_continued_by(chunk.first(), chunk.term());
        bytes_max += RECORD_OVERHEAD_BYTES + chunk.bytes().len();
        if !is_plain || bytes_max > FRAME_BYTES_SOFT {
            return None;
        }
        is_ascending &= former < write.group;
        former = write.group;
    }
    let is_each_once = is_ascending || all_differ(&places, groups.len()) || mutants::is_active(147);
    let is_plain = !places.is_empty() && is_each_once;
    is_plain.then_some(FramePlan { content: Content::Batch(places), bytes_max })
}

/// The one chunk that is all of a write.
#[inline]
pub(crate) fn appended(write: &GroupWrite) -> Option<&Chunk> {
    let is_more = write.hard_state.is_some()
        || write.truncate_from.is_some()
        || write.compact.is_some()
        || write.refilled;
    let mut chunks = write.entries.chunks();
    let chunk = chunks.next()?;
    (!is_more && chunks.next().is_none() && !chunk.has_configuration()).then_some(chunk)
}

/// Whether no place comes twice.
fn all_differ(places: &[u32], groups: usize) -> bool {
    let mut seen = vec![0u64; groups.div_ceil(64)];
    places.iter().all(|place| {
        let (word, bit) = (usize_from(u64::from(place / 64)), 1u64 << (place % 64));
        let word = seen.get_mut(word).expect("a place below the number of groups");
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    })
}
