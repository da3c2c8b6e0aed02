//! What is left of a frame when the device has its bytes.
//!
//! Put together while the device is at work, so that a batch waits for none of
//! it: what the next frame says of this one, and what the index is to learn. The
//! entries are let go by then.
//!
//! Not here: the index learns (`settle.rs`). Before, nothing of it changes but the
//! last frames of groups, which the next frame of a batch refers to.

use crate::directory::{Directory, ECHO_GROUPS_MAX, put_appended};
use crate::index::{Groups, Growth};
use crate::plan::{Content, FramePlan, Planned, appended};
use crate::record::{ECHO_START_BYTES, Item, begin_echo};
use crate::varint::Short;
use crate::width::usize_from;
use raftlet::GroupWrite;
use raftlet::core::{ChunkRef, mutants};

/// More bytes than most traces occupy.
const TRACE_BYTES: usize = 16;
/// Of more records the memory is not kept for the next frame.
const KEPT_LEN_MAX: usize = 4096;

/// What a frame leaves.
#[derive(Debug, Default)]
pub(crate) struct Landing {
    /// What is said of it in the next one.
    pub(crate) echo: Vec<u8>,
    pub(crate) news: Vec<News>,
}

/// What the index is to learn of one record.
#[derive(Debug)]
pub(crate) enum News {
    /// Entries of a group that it knows at this place.
    Grown(u32, Growth),
    /// Anything else.
    Other(Box<Planned>),
}

impl Landing {
    /// What this frame will leave; `batch` is what it was planned from. `former`
    /// has landed and lends its memory.
    pub(crate) fn of(frame: FramePlan, batch: &[GroupWrite], former: Self) -> Self {
        let mut landing = former;
        landing.echo.clear();
        landing.echo.resize(ECHO_START_BYTES, 0);
        match frame.content {
            Content::Records(items) => {
                put_echo_of(&mut landing.echo, &items);
                landing.news.extend(items.into_iter().map(News::of));
            }
            Content::Batch(places) => landing.fill_from_batch(&places, batch),
        }
        landing
    }

    fn fill_from_batch(&mut self, places: &[u32], batch: &[GroupWrite]) {
        let mut trace = Short::default();
        self.echo.reserve(places.len().min(ECHO_GROUPS_MAX) * TRACE_BYTES);
        self.news.reserve(places.len());
        for (at, (write, place)) in batch.iter().zip(places).enumerate() {
            let chunk = appended(write).expect("a plain batch");
            if at < ECHO_GROUPS_MAX {
                put_appended(&mut self.echo, &mut trace, write.group, chunk);
            }
            self.news.push(News::Grown(*place, Growth::of(&ChunkRef::from(chunk))));
        }
        let count = places.len().min(ECHO_GROUPS_MAX);
        let is_complete = count == places.len() || mutants::is_active(149);
        begin_echo(&mut self.echo, is_complete, count);
    }

    /// Its memory for the next frame, within a limit.
    pub(crate) fn spare(mut self) -> Self {
        self.news.clear();
        if self.news.capacity() > KEPT_LEN_MAX { Self::default() } else { self }
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

/// Makes of `echo` what is said of a frame in the next one: a trace of each group
/// whose records stand together, as [`Directory`] notes them.
fn put_echo_of(echo: &mut Vec<u8>, items: &[Planned]) {
    echo.reserve(items.len().min(ECHO_GROUPS_MAX) * TRACE_BYTES);
    let mut trace = Short::default();
    let mut of_group = Directory::for_len(1);
    let mut count = 0;
    let mut runs = items.chunk_by(|one, next| one.item.group() == next.item.group());
    for run in runs.by_ref().take(ECHO_GROUPS_MAX) {
        count += 1;
        if let [Planned { item: Item::Entries { group, chunk }, .. }] = run {
            put_appended(echo, &mut trace, *group, chunk);
            continue;
        }
        run.iter().for_each(|planned| planned.item.note(&mut of_group));
        of_group.drain_into(echo);
    }
    begin_echo(echo, runs.next().is_none(), count);
}

#[cfg(test)]
mod tests;
