//! The store as of one moment, read out while writes go on.
//!
//! Taking it costs nothing: the store notes the moment and goes on. What is
//! read out afterwards goes by position (`store/table.rs`), some buckets a
//! time; a key that is about to change before its turn is written out first.
//! Which keys those are their versions tell: whatever was written after the
//! moment has a later one, and is passed over.
//!
//! ```text
//! position   0 ──── walked ────▶|──────── not yet ────────▶ end
//! a write             free      | old entry is written out, then changed
//! ```
//!
//! Invariants
//! - Every key of the moment is written out, as it was then. One that is looked
//!   at for a change and not changed may come twice, alike.
//! - A store has one capture at a time; a newer one, or a restore, ends it.
//! - What was written out and not fetched is bounded: beyond
//!   [`PENDING_BYTES_MAX`] the capture gives up, and the store goes on.
//!
//! Not here: the bytes (`store/snapshot.rs`).

use bytes::{Bytes, BytesMut};

use crate::store::Store;
use crate::store::entry::Entry;
use crate::store::snapshot;
use crate::store::table::Table;
use raftlet::core::Index;

/// A chunk is cut at this size: some 0.2 ms of walking and copying.
const CHUNK_BYTES: usize = 256 << 10;
/// A chunk is never larger; the library takes as much.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Entries written out ahead of who fetches them. A disk that writes 100 MB/s
/// keeps up with as many bytes of *first* overwrites a second.
const PENDING_BYTES_MAX: usize = 256 << 20;

/// Names a capture of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CaptureId(u64);

/// Why a capture cannot be read out to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CaptureError {
    /// Another took its place, or the store was restored.
    #[error("the keyspace was captured anew, restored, or seeded meanwhile")]
    Replaced,
    /// More was overwritten than fetched.
    #[error("{PENDING_BYTES_MAX} bytes were overwritten faster than the snapshot was written")]
    TooSlow,
}

/// A store as of one moment.
#[derive(Debug)]
pub(super) struct Capture {
    id: CaptureId,
    /// What was written after this is not of the moment.
    index: Index,
    /// Where the walk goes on; `None` behind the last key.
    position: Option<u64>,
    /// All keys were taken out since: they are walked here.
    detached: Option<Table<Entry>>,
    keys: u64,
    digest: u64,
    pending: BytesMut,
    is_ended: bool,
    failure: Option<CaptureError>,
}

impl Capture {
    /// Writes an entry out unless it is of later.
    fn write(&mut self, key: &[u8], entry: &Entry) {
        if entry.version <= self.index {
            snapshot::put_entry(key, entry, &mut self.pending);
        }
    }

    /// Whether the walk still has to come by a key of this position.
    fn awaits(&self, position: u64) -> bool {
        self.failure.is_none()
            && self.detached.is_none()
            && self.position.is_some_and(|next| position >= next)
    }

    /// Walks until a chunk is full, or all is walked.
    fn walk(&mut self, entries: &Table<Entry>) {
        let detached = self.detached.take();
        let mut met = Vec::new();
        while let Some(position) = self.position
            && self.pending.len() < CHUNK_BYTES
        {
            self.position = detached.as_ref().unwrap_or(entries).walk(position, &mut met);
            for (key, entry) in met.drain(..) {
                self.write(key, entry);
            }
        }
        drop(met);
        self.detached = detached;
    }
}

impl Store {
    /// Begins a capture of this moment.
    pub(crate) fn capture(&mut self) -> CaptureId {
        self.captures += 1;
        let id = CaptureId(self.captures);
        let mut pending = BytesMut::new();
        snapshot::put_head(self, &mut pending);
        self.captured = Some(Box::new(Capture {
            id,
            index: self.index,
            position: Some(0),
            detached: None,
            keys: u64::try_from(self.entries.len()).unwrap_or(u64::MAX),
            digest: self.digest(),
            pending,
            is_ended: false,
            failure: None,
        }));
        id
    }

    /// The next chunk of a capture; `None` behind the last.
    ///
    /// # Errors
    /// [`CaptureError`]: there will be no more.
    pub(crate) fn next_chunk(&mut self, id: CaptureId) -> Result<Option<Bytes>, CaptureError> {
        let captured = self.captured.as_mut().filter(|captured| captured.id == id);
        let captured = captured.ok_or(CaptureError::Replaced)?;
        if let Some(failure) = captured.failure {
            return Err(failure);
        }
        captured.walk(&self.entries);
        if captured.position.is_none() && !captured.is_ended {
            captured.is_ended = true;
            snapshot::put_end(captured.keys, captured.digest, &mut captured.pending);
        }
        let len = captured.pending.len().min(CHUNK_BYTES_MAX);
        Ok((len > 0).then(|| captured.pending.split_to(len).freeze()))
    }

    /// Nobody reads it any more.
    pub(crate) fn end_capture(&mut self, id: CaptureId) {
        self.captured.take_if(|captured| captured.id == id);
    }

    /// A key is about to change: what it holds is written out first if it is of
    /// the captured moment and its turn has not come.
    pub(super) fn save(&mut self, key: &[u8]) {
        let Some(captured) = &mut self.captured else {
            return;
        };
        if captured.awaits(self.entries.position(key))
            && let Some(entry) = self.entries.get(key)
        {
            captured.write(key, entry);
            if captured.pending.len() > PENDING_BYTES_MAX {
                captured.failure = Some(CaptureError::TooSlow);
                captured.pending = BytesMut::new();
            }
        }
    }

    /// All keys are about to go; a capture takes them along.
    pub(super) fn save_all(&mut self) {
        let seed = self.entries.seed();
        let entries = std::mem::replace(&mut self.entries, Table::new(seed));
        if let Some(captured) = self.captured.as_mut().filter(|it| it.detached.is_none()) {
            captured.detached = Some(entries);
        }
    }
}

#[cfg(test)]
impl Store {
    /// Walks one bucket.
    pub(super) fn step(&mut self, id: CaptureId) {
        let captured = self.captured.as_mut().filter(|captured| captured.id == id).unwrap();
        let mut met = Vec::new();
        let detached = captured.detached.take();
        if let Some(position) = captured.position {
            let entries = detached.as_ref().unwrap_or(&self.entries);
            captured.position = entries.walk(position, &mut met);
            for (key, entry) in met {
                captured.write(key, entry);
            }
        }
        captured.detached = detached;
    }

    /// Whether all is walked.
    pub(super) fn is_walked(&self, id: CaptureId) -> bool {
        let captured = self.captured.as_ref().filter(|captured| captured.id == id).unwrap();
        captured.position.is_none()
    }
}

#[cfg(test)]
mod tests;
