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
//! A large collection is not written out in one go, neither in its turn nor
//! ahead of it. It gets a moment of its own (`value/moment.rs`), goes on being
//! changed, renamed or removed, and is read out in pieces.
//!
//! Invariants
//! - Every key of the moment is written out, as it was then. One that is looked
//!   at for a change and not changed may come twice, alike, unless it is large.
//! - A store has one capture at a time; a newer one, or a restore, ends it.
//! - One step is bounded in keys and elements, and in bytes but for one string
//!   or small collection ([`STEP_ITEMS_MAX`], [`STEP_BYTES`]).
//! - What was written out and not fetched is bounded: beyond [`AHEAD_BYTES_MAX`]
//!   the machine applies nothing until some is fetched (D56), and where one command
//!   brings more than [`PENDING_BYTES_MAX`] the capture gives up, and the store goes on.
//!
//! Not here: the bytes (`store/snapshot.rs`).

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use crate::store::Store;
use crate::store::entry::Entry;
use crate::store::snapshot;
use crate::store::table::Table;
use crate::value::Value;
use crate::value::moment::{self, MomentId, PieceMax};
use raftlet::core::Index;

/// A chunk: few of them make a gigabyte, and one is a small message.
const CHUNK_BYTES: usize = 256 << 10;
/// Keys, elements and buckets that a step meets at most: some 0.1 ms of cache
/// misses. Other work of the shard goes between two steps.
const STEP_ITEMS_MAX: usize = 512;
/// A step ends behind the key or element that reaches it: 20 µs of copying.
const STEP_BYTES: usize = 64 << 10;
/// A collection of more elements, or of more bytes, is read out in pieces.
const WHOLE_LEN_MAX: usize = STEP_ITEMS_MAX;
const WHOLE_BYTES_MAX: u64 = 64 << 10;
/// Entries written out ahead of who fetches them, beyond which whoever changes
/// more waits. A disk that writes 100 MB/s keeps up with as many bytes of *first*
/// overwrites a second; this is a burst of 0.2 s. With what 32 commands of 1 MiB
/// bring until it is looked at again, a hand-over takes less than 64 MiB.
pub(crate) const AHEAD_BYTES_MAX: usize = 16 << 20;
/// The same, where one command overwrites or removes so much at once that the
/// bound above does not hold it: what it takes here it has freed in the keyspace.
const PENDING_BYTES_MAX: usize = 256 << 20;
const _: () = assert!(AHEAD_BYTES_MAX >= 4 * CHUNK_BYTES && AHEAD_BYTES_MAX < PENDING_BYTES_MAX);

/// Names a capture of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CaptureId(u64);

/// Why a capture cannot be read out to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CaptureError {
    /// Another took its place, or the store was restored.
    #[error("the keyspace was captured anew, restored, or seeded meanwhile")]
    Replaced,
    /// More was overwritten at once than is kept.
    #[error(
        "one command overwrote {PENDING_BYTES_MAX} bytes that the snapshot had not written yet"
    )]
    TooSlow,
    /// A bug: a collection that was being read out is nowhere.
    #[error("a collection left the keyspace without the snapshot being told; please report it")]
    Lost,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next chunk.
    Chunk(Bytes),
    /// None yet: go on.
    More,
    /// There are no more.
    End,
}

/// A store as of one moment.
#[derive(Debug)]
pub(super) struct Capture {
    id: CaptureId,
    /// What was written after this is not of the moment.
    index: Index,
    /// Where the walk goes on; `None` behind the last key.
    position: Option<u64>,
    /// Up to there what it meets was looked at ahead.
    warm_until: u64,
    /// All keys were taken out since: they are walked here.
    detached: Option<Table<Entry>>,
    /// Large collections that are being read out, oldest first.
    open: VecDeque<Open>,
    /// How many there were.
    opened: u32,
    /// Read out and in nobody's hands: dropped bit by bit.
    ruins: Vec<Value>,
    keys: u64,
    digest: u64,
    pending: Chunks,
    is_ended: bool,
    failure: Option<CaptureError>,
    /// Who waits until some is fetched.
    waiting: Option<Waker>,
}

/// A large collection that is being read out.
#[derive(Debug)]
struct Open {
    number: u32,
    place: Place,
}

/// Where it is now.
#[derive(Debug)]
enum Place {
    /// What this key holds.
    Key(Box<[u8]>),
    /// On its way to another key, within one command.
    Away,
    /// Its key is gone, or holds something else: here.
    Here(Value),
}

/// Bytes on their way out.
#[derive(Debug, Default)]
struct Chunks {
    full: VecDeque<Bytes>,
    last: BytesMut,
    full_bytes: usize,
}

impl Chunks {
    /// Appends what `put` puts.
    fn put(&mut self, put: impl FnOnce(&mut BytesMut)) {
        put(&mut self.last);
        while self.last.len() >= CHUNK_BYTES {
            self.full.push_back(self.last.split_to(CHUNK_BYTES).freeze());
            self.full_bytes += CHUNK_BYTES;
        }
    }

    fn bytes(&self) -> usize {
        self.full_bytes + self.last.len()
    }

    fn take_full(&mut self) -> Option<Bytes> {
        let full = self.full.pop_front()?;
        self.full_bytes -= full.len();
        Some(full)
    }

    /// What is left when no more comes.
    fn take_last(&mut self) -> Option<Bytes> {
        (!self.last.is_empty()).then(|| std::mem::take(&mut self.last).freeze())
    }
}

impl Capture {
    /// Writes an entry out, or begins to, unless it is of later.
    fn write(&mut self, key: &[u8], entry: &mut Entry) {
        if entry.version > self.index {
            return;
        }
        if !is_large(entry) {
            self.pending.put(|into| snapshot::put_entry(key, entry, into));
            return;
        }
        if self.number_of(&mut entry.value).is_some() {
            return;
        }
        let number = self.opened;
        self.opened += 1;
        self.pending.put(|into| snapshot::put_opening(number, key, entry, into));
        if let Some(watched) = entry.value.watched() {
            moment::begin(watched, MomentId { capture: self.id.0, number });
        }
        self.open.push_back(Open { number, place: Place::Key(key.into()) });
    }

    /// Which of the collections that are being read out this is.
    fn number_of(&self, value: &mut Value) -> Option<u32> {
        let id = value.watched()?.watch().id()?;
        (id.capture == self.id.0 && self.failure.is_none()).then_some(id.number)
    }

    /// Takes over what a collection has written out ahead of its turn.
    fn collect(&mut self, number: u32, value: &mut Value) {
        let ahead = value.watched().map(|watched| watched.watch().take_ahead());
        for piece in ahead.unwrap_or_default() {
            self.pending.put(|into| snapshot::put_piece(number, &piece, into));
        }
        self.bound();
    }

    /// A collection that is being read out is somewhere else from now on.
    fn move_to(&mut self, number: u32, place: Place) {
        if let Some(open) = self.open.iter_mut().find(|open| open.number == number) {
            open.place = place;
        }
    }

    fn bound(&mut self) {
        if self.pending.bytes() > PENDING_BYTES_MAX {
            self.failure = Some(CaptureError::TooSlow);
            self.pending = Chunks::default();
        }
    }

    /// Whether the walk still has to come by a key of this position.
    fn awaits(&self, position: u64) -> bool {
        self.failure.is_none()
            && self.detached.is_none()
            && self.position.is_some_and(|next| position >= next)
    }

    /// Reads a little further. What was begun goes first, or collections that
    /// are being changed would be more and more.
    fn step(&mut self, entries: &mut Table<Entry>) {
        let before = self.pending.bytes();
        let mut items = 0;
        while items < STEP_ITEMS_MAX && self.pending.bytes() < before + STEP_BYTES {
            let mut detached = self.detached.take();
            let of = detached.as_mut().unwrap_or(&mut *entries);
            let met = if self.open.is_empty() { self.walk(of) } else { self.read_piece(of) };
            self.detached = detached;
            match met {
                Some(met) => items += met,
                None => break,
            }
        }
        self.clear_ruins();
    }

    /// Walks one bucket; how much was met, `None` behind the last.
    fn walk(&mut self, entries: &mut Table<Entry>) -> Option<usize> {
        let position = self.position?;
        if position >= self.warm_until {
            let is_of_it = |entry: &Entry| entry.version <= self.index;
            let touch = |entry: &Entry| if is_of_it(entry) { entry.value.touch() } else { 0 };
            self.warm_until = entries.warm_walk(position, touch);
        }
        let mut met = Vec::new();
        self.position = entries.walk(position, &mut met);
        let mut large: Vec<Box<[u8]>> = Vec::new();
        let mut items = 1;
        for (key, entry) in met {
            if entry.version > self.index {
                items += 1;
            } else if is_large(entry) {
                large.push(key.into());
            } else {
                items += entry.value.elements_len();
                self.pending.put(|into| snapshot::put_entry(key, entry, into));
            }
        }
        for key in large {
            if let Some(entry) = entries.get_mut(&key) {
                self.write(&key, entry);
            }
        }
        Some(items)
    }

    /// Reads out a piece of the collection that was begun first; how many
    /// elements it has.
    fn read_piece(&mut self, entries: &mut Table<Entry>) -> Option<usize> {
        let capture = self.id.0;
        let open = self.open.front_mut()?;
        let number = open.number;
        let value = match &mut open.place {
            Place::Key(key) => entries.get_mut(key).map(|entry| &mut entry.value),
            Place::Here(value) => Some(value),
            Place::Away => None,
        };
        let mut watched = value.and_then(Value::watched);
        let id = watched.as_mut().and_then(|watched| watched.watch().id());
        let Some(watched) = watched.filter(|_| id == Some(MomentId { capture, number })) else {
            self.failure = Some(CaptureError::Lost);
            return None;
        };
        let len = u32::try_from(STEP_ITEMS_MAX).unwrap_or(u32::MAX);
        let piece = moment::walk(watched, PieceMax { len, bytes: STEP_BYTES });
        if let Some(piece) = piece {
            self.pending.put(|into| snapshot::put_piece(number, &piece, into));
            return Some(usize::try_from(piece.len).unwrap_or(usize::MAX));
        }
        watched.watch().end();
        if let Some(Open { place: Place::Here(value), .. }) = self.open.pop_front() {
            self.ruins.push(value);
        }
        Some(1)
    }

    fn clear_ruins(&mut self) {
        if let Some(ruin) = self.ruins.last_mut()
            && !ruin.watched().is_some_and(|watched| watched.shed(STEP_ITEMS_MAX))
        {
            self.ruins.pop();
        }
    }

    fn is_done(&self) -> bool {
        self.position.is_none() && self.open.is_empty()
    }

    /// Whether so much is written out ahead that no more should be overwritten.
    /// Not when nothing comes any more: then it only becomes less.
    fn is_ahead(&self) -> bool {
        self.pending.bytes() > AHEAD_BYTES_MAX && !self.is_done()
    }
}

/// Whether an entry is read out in pieces.
fn is_large(entry: &Entry) -> bool {
    let len = entry.value.elements_len();
    len > WHOLE_LEN_MAX || (len > 1 && entry.used_bytes(&[]) > WHOLE_BYTES_MAX)
}

impl Store {
    /// Begins a capture of this moment.
    pub(crate) fn capture(&mut self) -> CaptureId {
        self.end_any_capture();
        self.captures += 1;
        let id = CaptureId(self.captures);
        let mut pending = Chunks::default();
        pending.put(|into| snapshot::put_head(self, into));
        self.captured = Some(Box::new(Capture {
            id,
            index: self.index,
            position: Some(0),
            warm_until: 0,
            detached: None,
            open: VecDeque::new(),
            opened: 0,
            ruins: Vec::new(),
            keys: u64::try_from(self.entries.len()).unwrap_or(u64::MAX),
            digest: self.digest(),
            pending,
            is_ended: false,
            failure: None,
            waiting: None,
        }));
        id
    }

    /// Reads a capture out a little further.
    ///
    /// # Errors
    /// [`CaptureError`]: there will be no more.
    pub(crate) fn read_out(&mut self, id: CaptureId) -> Result<Step, CaptureError> {
        let captured = self.captured.as_mut().filter(|captured| captured.id == id);
        let captured = captured.ok_or(CaptureError::Replaced)?;
        if let Some(failure) = captured.failure {
            return Err(failure);
        }
        if let Some(chunk) = captured.pending.take_full() {
            return Ok(Step::Chunk(chunk));
        }
        if captured.is_ended {
            return Ok(captured.pending.take_last().map_or(Step::End, Step::Chunk));
        }
        captured.step(&mut self.entries);
        if let Some(failure) = captured.failure {
            return Err(failure);
        }
        if captured.is_done() {
            captured.is_ended = true;
            let (keys, digest) = (captured.keys, captured.digest);
            captured.pending.put(|into| snapshot::put_end(keys, digest, into));
        }
        Ok(Step::More)
    }

    /// What the capture holds that is read out, and that nobody has fetched; 0
    /// where there is none.
    pub(crate) fn captured_bytes(&self) -> usize {
        self.captured.as_ref().map_or(0, |captured| captured.pending.bytes())
    }

    /// Whether a capture is so far behind that nothing should be changed now.
    #[inline]
    pub(crate) fn is_ahead(&self) -> bool {
        self.captured.as_ref().is_some_and(|captured| captured.is_ahead())
    }

    /// Ready when the capture has caught up, or there is none any more.
    pub(crate) fn poll_caught_up(&mut self, cx: &Context<'_>) -> Poll<()> {
        match self.captured.as_mut().filter(|captured| captured.is_ahead()) {
            None => Poll::Ready(()),
            Some(captured) => {
                captured.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Who has waited for that, to be woken, once it is so.
    pub(crate) fn take_waiting(&mut self) -> Option<Waker> {
        self.captured.as_mut().filter(|captured| !captured.is_ahead())?.waiting.take()
    }

    /// Nobody reads it any more. Gives who waited, to be woken.
    pub(crate) fn end_capture(&mut self, id: CaptureId) -> Option<Waker> {
        self.captured.as_ref().filter(|captured| captured.id == id)?;
        self.end_any_capture()
    }

    /// Collections that are being read out are left alone from now on. Gives who
    /// waited: nobody, where the machine is at hand to do something else with it.
    pub(super) fn end_any_capture(&mut self) -> Option<Waker> {
        let captured = self.captured.take()?;
        for open in captured.open {
            if let Place::Key(key) = open.place
                && let Some(entry) = self.entries.get_mut(&key)
                && let Some(watched) = entry.value.watched()
            {
                watched.watch().end();
            }
        }
        captured.waiting
    }

    /// A key is about to change: what it holds is written out first, or begins
    /// to be, if it is of the captured moment and its turn has not come.
    pub(super) fn save(&mut self, key: &[u8]) {
        let Some(captured) = &mut self.captured else {
            return;
        };
        if captured.awaits(self.entries.position(key))
            && let Some(entry) = self.entries.get_mut(key)
        {
            captured.write(key, entry);
            captured.bound();
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

    /// A collection was changed in place: what it wrote out ahead is fetched.
    pub(super) fn fetch_ahead(&mut self, key: &[u8]) {
        let Some(captured) = &mut self.captured else {
            return;
        };
        if let Some(entry) = self.entries.get_mut(key)
            && let Some(number) = captured.number_of(&mut entry.value)
        {
            captured.collect(number, &mut entry.value);
        }
    }

    /// A value was taken out of its key, and goes to another one or is let go.
    pub(super) fn on_taken(&mut self, value: &mut Value) {
        if let Some(captured) = &mut self.captured
            && let Some(number) = captured.number_of(value)
        {
            captured.move_to(number, Place::Away);
        }
    }

    /// A key has got this value.
    pub(super) fn on_put(&mut self, key: &[u8], value: &mut Value) {
        if let Some(captured) = &mut self.captured
            && let Some(number) = captured.number_of(value)
        {
            captured.move_to(number, Place::Key(key.into()));
        }
    }

    /// Nobody needs this value but a capture that reads it out.
    pub(super) fn let_go(&mut self, mut value: Value) {
        if let Some(captured) = &mut self.captured
            && let Some(number) = captured.number_of(&mut value)
        {
            captured.move_to(number, Place::Here(value));
        }
    }
}

#[cfg(test)]
impl Store {
    /// Walks one bucket, or reads one piece of `piece_len` elements.
    pub(super) fn step_little(&mut self, id: CaptureId) {
        let captured = self.captured.as_mut().filter(|captured| captured.id == id).unwrap();
        let mut detached = captured.detached.take();
        let entries = detached.as_mut().unwrap_or(&mut self.entries);
        if captured.open.is_empty() {
            captured.walk(entries);
        } else {
            captured.read_piece(entries);
        }
        captured.detached = detached;
    }

    /// How many collections were read out in pieces.
    pub(super) fn opened(&self, id: CaptureId) -> u32 {
        self.captured.as_ref().filter(|captured| captured.id == id).unwrap().opened
    }

    /// Bytes that nobody has fetched.
    pub(super) fn pending_bytes(&self, id: CaptureId) -> usize {
        self.captured.as_ref().filter(|captured| captured.id == id).unwrap().pending.bytes()
    }

    /// Whether all is walked and read.
    pub(super) fn is_walked(&self, id: CaptureId) -> bool {
        self.captured.as_ref().filter(|captured| captured.id == id).unwrap().is_done()
    }
}

#[cfg(test)]
mod tests;
