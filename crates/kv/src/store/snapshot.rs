//! A store as bytes: what its snapshots hold. Specified in
//! `docs/format-kv-snapshot.md`; little endian throughout.
//!
//! ```text
//! head     "raftlet kv\n" · version u16 · seeded u8 · seed u64 · log time u64 · index u64
//! entry    length u32 · kind u8 · deadline u64 · version u64 · key · value
//! opening  length u32 · 6 u8 · number u32 · kind u8 · elements u64 · deadline u64
//!          · version u64 · key
//! piece    length u32 · 7 u8 · number u32 · position u64 · elements u32 · these
//! end      length u32 · 0 u8 · keys u64 · digest u64
//! ```
//!
//! A large collection is an opening and pieces. Those of one number make it up,
//! each element once, in any order; others may stand between.
//!
//! A byte string is its length (u32) and itself. The bytes come in chunks that
//! may end anywhere; the chunks' checksums are those of the file and the wire.
//!
//! Invariant: a stream makes a store only as a whole, with as many keys and the
//! same digest as the one that was captured.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::store::Store;
use crate::store::deadlines::Deadline;
use crate::store::entry::Entry;
use crate::store::table::Building;
use crate::value::Value;
use crate::value::element::put_bytes;
use crate::value::hash::Hash;
use crate::value::list::End;
use crate::value::moment::Piece;
use crate::value::score::Score;
use crate::value::set::Set;
use crate::value::sorted_set::SortedSet;
use raftlet::core::Index;

const MAGIC: &[u8] = b"raftlet kv\n";
const VERSION: u16 = 2;
/// Version 1 had no pieces.
const VERSION_MIN: u16 = 1;
/// Bytes of the head.
const HEAD_BYTES: usize = MAGIC.len() + 2 + 1 + 24;
/// Bytes of a record's length.
const LENGTH_BYTES: usize = 4;

const END: u8 = 0;
const STRING: u8 = 1;
const HASH: u8 = 2;
const SET: u8 = 3;
const LIST: u8 = 4;
const SORTED_SET: u8 = 5;
const OPENING: u8 = 6;
const PIECE: u8 = 7;

/// Elements that a step of restoring takes at most beyond one record: some 50 µs.
const STEP_ITEMS_MAX: usize = 256;

/// Why bytes are no snapshot of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// Of something else, or of a version that is not known here.
    #[error(
        "no snapshot of a keyspace of version {VERSION}; a newer build wrote it, or another program"
    )]
    Version,
    /// A record that is none.
    #[error("record {record} of the snapshot is none that this version knows")]
    Record {
        /// Counted from 1.
        record: u64,
    },
    /// It ends inside a record, or before its end, or goes on behind it.
    #[error("the snapshot ends before its end, or goes on behind it")]
    Length,
    /// It holds something else than was captured.
    #[error("the snapshot holds {keys} keys of digest {digest:016x}, not what it says at its end")]
    Contents {
        /// Keys found.
        keys: u64,
        /// Their digest.
        digest: u64,
    },
}

/// Begins the bytes of a store.
pub(super) fn put_head(store: &Store, into: &mut BytesMut) {
    into.put_slice(MAGIC);
    into.put_u16_le(VERSION);
    into.put_u8(u8::from(store.is_seeded));
    into.put_u64_le(if store.is_seeded { store.entries.seed() } else { 0 });
    into.put_u64_le(store.log_time_ms);
    into.put_u64_le(store.index.get());
}

/// Appends one key with what it holds.
pub(super) fn put_entry(key: &[u8], entry: &Entry, into: &mut BytesMut) {
    let start = into.len();
    into.put_u32_le(0);
    into.put_u8(kind_of(&entry.value));
    into.put_u64_le(entry.deadline.map_or(0, Deadline::ms));
    into.put_u64_le(entry.version.get());
    put_bytes(key, into);
    match &entry.value {
        Value::String(bytes) => put_bytes(bytes, into),
        Value::Hash(hash) => {
            put_len(hash.len(), into);
            for (field, value) in hash.iter() {
                put_bytes(field, into);
                put_bytes(value, into);
            }
        }
        Value::Set(set) => {
            put_len(set.len(), into);
            set.iter().for_each(|member| put_bytes(member, into));
        }
        Value::List(list) => {
            put_len(list.len(), into);
            list.iter().for_each(|element| put_bytes(element, into));
        }
        Value::SortedSet(set) => {
            put_len(set.len(), into);
            for (member, score) in set.iter() {
                into.put_u64_le(score.value().to_bits());
                put_bytes(member, into);
            }
        }
    }
    finish(start, into);
}

/// Appends what is said of a large collection before its pieces.
pub(super) fn put_opening(number: u32, key: &[u8], entry: &Entry, into: &mut BytesMut) {
    let start = into.len();
    into.put_u32_le(0);
    into.put_u8(OPENING);
    into.put_u32_le(number);
    into.put_u8(kind_of(&entry.value));
    into.put_u64_le(u64::try_from(entry.value.elements_len()).unwrap_or(u64::MAX));
    into.put_u64_le(entry.deadline.map_or(0, Deadline::ms));
    into.put_u64_le(entry.version.get());
    put_bytes(key, into);
    finish(start, into);
}

/// Appends some of its elements.
pub(super) fn put_piece(number: u32, piece: &Piece, into: &mut BytesMut) {
    let start = into.len();
    into.put_u32_le(0);
    into.put_u8(PIECE);
    into.put_u32_le(number);
    into.put_u64_le(piece.first);
    into.put_u32_le(piece.len);
    into.put_slice(&piece.bytes);
    finish(start, into);
}

fn kind_of(value: &Value) -> u8 {
    match value {
        Value::String(_) => STRING,
        Value::Hash(_) => HASH,
        Value::Set(_) => SET,
        Value::List(_) => LIST,
        Value::SortedSet(_) => SORTED_SET,
    }
}

/// Ends the bytes of a store.
pub(super) fn put_end(keys: u64, digest: u64, into: &mut BytesMut) {
    let start = into.len();
    into.put_u32_le(0);
    into.put_u8(END);
    into.put_u64_le(keys);
    into.put_u64_le(digest);
    finish(start, into);
}

fn finish(start: usize, into: &mut BytesMut) {
    let len = into.len() - start - LENGTH_BYTES;
    // Strings and pieces are far below 4 GiB: a command is.
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    if let Some(field) = into.get_mut(start..start + LENGTH_BYTES) {
        field.copy_from_slice(&len.to_le_bytes());
    }
}

fn put_len(len: usize, into: &mut BytesMut) {
    into.put_u32_le(u32::try_from(len).unwrap_or(u32::MAX));
}

/// A store in the making, from chunks.
#[derive(Debug)]
pub(crate) struct Restoring {
    /// Without keys until it is finished.
    store: Store,
    table: Building<Entry>,
    /// What was pushed last, from the next record on.
    chunk: Bytes,
    /// What of a record came in chunks before: the largest record at most.
    cut: Vec<u8>,
    has_head: bool,
    records: u64,
    /// Large collections of which elements are missing, by number.
    open: BTreeMap<u32, Opened>,
    /// Those whose pieces wait for their turn, which has come.
    ready: VecDeque<u32>,
    end: Option<(u64, u64)>,
}

/// A large collection in the making.
#[derive(Debug)]
struct Opened {
    key: Bytes,
    deadline: Option<Deadline>,
    version: Index,
    kind: u8,
    value: Value,
    /// Elements when it is whole.
    len: u64,
    /// Elements so far.
    next: u64,
    /// Pieces that came before their turn, by position. Copies: the chunks they
    /// came in are not kept for them.
    early: BTreeMap<u64, (u32, Bytes)>,
}

impl Restoring {
    /// Nothing yet. About `hash_seed` see [`Store::new`].
    pub(crate) fn new(hash_seed: u64) -> Self {
        Self {
            store: Store::new(hash_seed),
            table: Building::new(hash_seed),
            chunk: Bytes::new(),
            cut: Vec::new(),
            has_head: false,
            records: 0,
            open: BTreeMap::new(),
            ready: VecDeque::new(),
            end: None,
        }
    }

    /// Takes the next chunk in; [`step`](Self::step) reads it.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        // Nothing is left when all steps were taken.
        self.cut.extend_from_slice(&self.chunk);
        self.chunk = chunk;
    }

    /// Reads some of what was pushed. False: nothing is left to do before the
    /// next chunk, or the end.
    ///
    /// # Errors
    /// [`SnapshotError`]: this will be no store.
    pub(crate) fn step(&mut self) -> Result<bool, SnapshotError> {
        if !self.has_head {
            let Some(head) = self.gather(HEAD_BYTES) else {
                return Ok(false);
            };
            self.has_head = true;
            take_head(&mut self.store, &mut &*head).ok_or(SnapshotError::Version)?;
            self.table = Building::new(self.store.seed());
        }
        let mut items = 0;
        while items < STEP_ITEMS_MAX {
            let read = match self.ready.front().copied() {
                Some(number) => self.catch_up(number)?,
                None => self.next_record()?,
            };
            if read == 0 {
                return Ok(self.end.is_some() && self.link(STEP_ITEMS_MAX));
            }
            items += read;
        }
        Ok(true)
    }

    /// The store, when all is there and as it was.
    ///
    /// # Errors
    /// [`SnapshotError`] says what is not.
    pub(crate) fn finish(mut self) -> Result<Store, SnapshotError> {
        let is_whole = self.chunk.is_empty() && self.cut.is_empty() && self.open.is_empty();
        let Some((keys, digest)) = self.end.filter(|_| is_whole) else {
            return Err(SnapshotError::Length);
        };
        while self.link(STEP_ITEMS_MAX) {}
        let mut store = self.store;
        store.entries = self.table.finish();
        let found = u64::try_from(store.keys_len()).unwrap_or(u64::MAX);
        if (found, store.digest()) != (keys, digest) {
            return Err(SnapshotError::Contents { keys: found, digest: store.digest() });
        }
        Ok(store)
    }

    /// All keys are there: has up to `len` of them found. False: all are.
    fn link(&mut self, len: usize) -> bool {
        let Self { store, table, .. } = self;
        table.step(len, |key, former, entry| {
            store.count_out(key, former);
            if former.deadline != entry.deadline {
                store.deadlines.change(key, former.deadline, None);
            }
        })
    }

    /// The next `len` bytes, put together; `None` while some are missing.
    fn gather(&mut self, len: usize) -> Option<Vec<u8>> {
        let missing = len.saturating_sub(self.cut.len());
        let more = self.chunk.split_to(missing.min(self.chunk.len()));
        self.cut.extend_from_slice(&more);
        if self.cut.len() < len {
            return None;
        }
        let rest = self.cut.split_off(len);
        Some(std::mem::replace(&mut self.cut, rest))
    }

    /// Reads one record if it is whole. How many items it has.
    fn next_record(&mut self) -> Result<usize, SnapshotError> {
        if !self.cut.is_empty() {
            return self.next_cut();
        }
        // Records are read where they lie.
        let mut chunk = std::mem::take(&mut self.chunk);
        let Some(len) = length_of(&chunk).filter(|len| chunk.len() - LENGTH_BYTES >= *len) else {
            self.cut.extend_from_slice(&chunk);
            return Ok(0);
        };
        let end = LENGTH_BYTES + len;
        let items = self.take_record(chunk.get(LENGTH_BYTES..end).unwrap_or_default());
        chunk.advance(end);
        self.chunk = chunk;
        items
    }

    /// The same, of a record that began in another chunk.
    fn next_cut(&mut self) -> Result<usize, SnapshotError> {
        // The length first, and with it the rest.
        let begun = self.gather(LENGTH_BYTES);
        let Some(mut record) = begun else {
            return Ok(0);
        };
        let len = length_of(&record).unwrap_or_default();
        record.append(&mut self.cut);
        self.cut = record;
        match self.gather(LENGTH_BYTES.saturating_add(len)) {
            Some(record) => self.take_record(record.get(LENGTH_BYTES..).unwrap_or_default()),
            None => Ok(0),
        }
    }

    fn take_record(&mut self, record: &[u8]) -> Result<usize, SnapshotError> {
        self.records += 1;
        if self.end.is_some() {
            return Err(SnapshotError::Length);
        }
        self.read_record(record).ok_or(SnapshotError::Record { record: self.records })
    }

    fn read_record(&mut self, mut record: &[u8]) -> Option<usize> {
        let kind = record.try_get_u8().ok()?;
        match kind {
            END => {
                self.end = Some((record.try_get_u64_le().ok()?, record.try_get_u64_le().ok()?));
                return record.is_empty().then_some(1);
            }
            OPENING => return self.take_opening(record),
            PIECE => return self.take_piece(record),
            _ => {}
        }
        let deadline = Deadline::at_ms(record.try_get_u64_le().ok()?);
        let version = Index::new(record.try_get_u64_le().ok()?);
        let key = take_bytes(&mut record)?;
        let value = take_value(kind, self.store.seed(), &mut record)?;
        let items = value.elements_len();
        self.put(key, value, deadline, version);
        record.is_empty().then_some(items)
    }

    fn put(&mut self, key: &[u8], value: Value, deadline: Option<Deadline>, version: Index) {
        let entry = Entry::new(key, value, deadline, version);
        self.store.count_in(key, &entry);
        if deadline.is_some() {
            self.store.deadlines.change(key, None, deadline);
        }
        self.table.put(key, entry);
    }

    fn take_opening(&mut self, mut record: &[u8]) -> Option<usize> {
        let number = record.try_get_u32_le().ok()?;
        let kind = record.try_get_u8().ok()?;
        let len = record.try_get_u64_le().ok().filter(|len| *len > 0)?;
        let opened = Opened {
            deadline: Deadline::at_ms(record.try_get_u64_le().ok()?),
            version: Index::new(record.try_get_u64_le().ok()?),
            key: Bytes::copy_from_slice(take_bytes(&mut record)?),
            kind,
            value: empty(kind, self.store.seed())?,
            len,
            next: 0,
            early: BTreeMap::new(),
        };
        let is_new = self.open.insert(number, opened).is_none();
        (is_new && record.is_empty()).then_some(1)
    }

    fn take_piece(&mut self, mut record: &[u8]) -> Option<usize> {
        let number = record.try_get_u32_le().ok()?;
        let first = record.try_get_u64_le().ok()?;
        let len = record.try_get_u32_le().ok().filter(|len| *len > 0)?;
        let opened = self.open.get_mut(&number)?;
        if first.checked_add(u64::from(len)).is_none_or(|end| end > opened.len) {
            return None;
        }
        if first > opened.next {
            let early = Bytes::copy_from_slice(record);
            return opened.early.insert(first, (len, early)).is_none().then_some(1);
        }
        let items = opened.take(first, len, record)?;
        self.close(number)?;
        Some(items)
    }

    /// Takes in a piece whose turn has come. How many elements it has.
    fn catch_up(&mut self, number: u32) -> Result<usize, SnapshotError> {
        let wrong = SnapshotError::Record { record: self.records };
        let opened = self.open.get_mut(&number).ok_or(wrong.clone())?;
        let next = opened.next;
        let (len, record) = opened.early.remove(&next).ok_or(wrong.clone())?;
        let items = opened.take(next, len, &record).ok_or(wrong.clone())?;
        self.ready.pop_front();
        self.close(number).ok_or(wrong)?;
        Ok(items)
    }

    /// Puts a collection into the store if it is whole.
    fn close(&mut self, number: u32) -> Option<()> {
        let opened = self.open.get(&number)?;
        if opened.next < opened.len {
            if opened.early.contains_key(&opened.next) {
                self.ready.push_back(number);
            }
            return Some(());
        }
        let Opened { key, deadline, version, value, early, len, .. } = self.open.remove(&number)?;
        // Elements that were there twice are fewer now.
        let is_whole = u64::try_from(value.elements_len()).ok()? == len && early.is_empty();
        self.put(&key, value, deadline, version);
        is_whole.then_some(())
    }
}

impl Opened {
    /// Takes in the next elements.
    fn take(&mut self, first: u64, len: u32, mut record: &[u8]) -> Option<usize> {
        if first != self.next {
            return None;
        }
        for _ in 0..len {
            take_element(self.kind, &mut self.value, &mut record)?;
        }
        self.next += u64::from(len);
        record.is_empty().then(|| usize::try_from(len).unwrap_or(usize::MAX))
    }
}

/// What a record says of its length, if that is there.
fn length_of(bytes: &[u8]) -> Option<usize> {
    let len = u32::from_le_bytes(*bytes.first_chunk::<LENGTH_BYTES>()?);
    Some(usize::try_from(len).unwrap_or(usize::MAX))
}

fn take_head(store: &mut Store, head: &mut &[u8]) -> Option<()> {
    *head = head.strip_prefix(MAGIC)?;
    let version = head.try_get_u16_le().ok()?;
    if !(VERSION_MIN..=VERSION).contains(&version) {
        return None;
    }
    let is_seeded = head.try_get_u8().ok()? == 1;
    let seed = head.try_get_u64_le().ok()?;
    if is_seeded {
        store.is_seeded = true;
        store.entries.reseed(seed);
    }
    store.log_time_ms = head.try_get_u64_le().ok()?;
    store.index = Index::new(head.try_get_u64_le().ok()?);
    Some(())
}

fn take_value(kind: u8, seed: u64, record: &mut &[u8]) -> Option<Value> {
    if kind == STRING {
        return Some(Value::String(Bytes::copy_from_slice(take_bytes(record)?)));
    }
    let len = record.try_get_u32_le().ok().filter(|len| *len > 0)?;
    let mut value = empty(kind, seed)?;
    for _ in 0..len {
        take_element(kind, &mut value, record)?;
    }
    Some(value)
}

/// A collection without elements.
fn empty(kind: u8, seed: u64) -> Option<Value> {
    Some(match kind {
        HASH => Value::Hash(Box::new(Hash::new(seed))),
        SET => Value::Set(Box::new(Set::new(seed))),
        LIST => Value::List(Box::default()),
        SORTED_SET => Value::SortedSet(Box::new(SortedSet::new(seed))),
        _ => return None,
    })
}

/// Takes one element of a collection in, behind those before it.
fn take_element(kind: u8, value: &mut Value, record: &mut &[u8]) -> Option<()> {
    match (kind, value) {
        (HASH, Value::Hash(hash)) => {
            let field = take_bytes(record)?;
            hash.set(field, take_bytes(record)?);
        }
        (SET, Value::Set(set)) => {
            set.insert(take_bytes(record)?);
        }
        (LIST, Value::List(list)) => list.push(End::Back, take_bytes(record)?.to_vec().into()),
        (SORTED_SET, Value::SortedSet(set)) => {
            let score = Score::new(f64::from_bits(record.try_get_u64_le().ok()?))?;
            set.set(take_bytes(record)?, score);
        }
        _ => return None,
    }
    Some(())
}

fn take_bytes<'a>(record: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(record.try_get_u32_le().ok()?).ok()?;
    let (bytes, rest) = record.split_at_checked(len)?;
    *record = rest;
    Some(bytes)
}
