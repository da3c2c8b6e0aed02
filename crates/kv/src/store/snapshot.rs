//! A store as bytes: what its snapshots hold. Specified in
//! `docs/format-kv-snapshot.md`; little endian throughout.
//!
//! ```text
//! head     "raftlet kv\n" · version u16 · seeded u8 · seed u64 · log time u64 · index u64
//! entry    length u32 · kind u8 · deadline u64 · version u64 · key · value
//! end      length u32 · 0 u8 · keys u64 · digest u64
//! ```
//!
//! A byte string is its length (u32) and itself. The bytes come in chunks that
//! may end anywhere; the chunks' checksums are those of the file and the wire.
//!
//! Invariant: a stream makes a store only as a whole, with as many keys and the
//! same digest as the one that was captured.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::store::Store;
use crate::store::deadlines::Deadline;
use crate::store::entry::Entry;
use crate::value::Value;
use crate::value::hash::Hash;
use crate::value::list::{End, List};
use crate::value::score::Score;
use crate::value::set::Set;
use crate::value::sorted_set::SortedSet;
use raftlet::core::Index;

const MAGIC: &[u8] = b"raftlet kv\n";
const VERSION: u16 = 1;
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
    into.put_u8(match entry.value {
        Value::String(_) => STRING,
        Value::Hash(_) => HASH,
        Value::Set(_) => SET,
        Value::List(_) => LIST,
        Value::SortedSet(_) => SORTED_SET,
    });
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
    // A collection above 4 GiB cannot be written: nor can its command be applied
    // on any machine this runs on.
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    if let Some(field) = into.get_mut(start..start + LENGTH_BYTES) {
        field.copy_from_slice(&len.to_le_bytes());
    }
}

fn put_bytes(bytes: &[u8], into: &mut BytesMut) {
    put_len(bytes.len(), into);
    into.put_slice(bytes);
}

fn put_len(len: usize, into: &mut BytesMut) {
    into.put_u32_le(u32::try_from(len).unwrap_or(u32::MAX));
}

/// A store in the making, from chunks.
#[derive(Debug)]
pub(crate) struct Restoring {
    store: Store,
    /// What has no whole record yet: a chunk and the largest record at most.
    rest: BytesMut,
    has_head: bool,
    records: u64,
    end: Option<(u64, u64)>,
}

impl Restoring {
    /// Nothing yet. About `hash_seed` see [`Store::new`].
    pub(crate) fn new(hash_seed: u64) -> Self {
        let store = Store::new(hash_seed);
        Self { store, rest: BytesMut::new(), has_head: false, records: 0, end: None }
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// [`SnapshotError`]: this will be no store.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        self.rest.extend_from_slice(chunk);
        if !self.has_head {
            if self.rest.len() < HEAD_BYTES {
                return Ok(());
            }
            let mut head = self.rest.split_to(HEAD_BYTES).freeze();
            self.has_head = true;
            take_head(&mut self.store, &mut head).ok_or(SnapshotError::Version)?;
        }
        while let Some(len) = self.rest.first_chunk::<LENGTH_BYTES>() {
            let len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
            if self.rest.len() - LENGTH_BYTES < len {
                break;
            }
            self.rest.advance(LENGTH_BYTES);
            let record = self.rest.split_to(len).freeze();
            self.records += 1;
            let wrong = SnapshotError::Record { record: self.records };
            if self.end.is_some() {
                return Err(SnapshotError::Length);
            }
            self.take_record(record).ok_or(wrong)?;
        }
        Ok(())
    }

    /// The store, when all is there and as it was.
    ///
    /// # Errors
    /// [`SnapshotError`] says what is not.
    pub(crate) fn finish(self) -> Result<Store, SnapshotError> {
        let Some((keys, digest)) = self.end.filter(|_| self.rest.is_empty()) else {
            return Err(SnapshotError::Length);
        };
        let found = u64::try_from(self.store.keys_len()).unwrap_or(u64::MAX);
        if (found, self.store.digest()) != (keys, digest) {
            return Err(SnapshotError::Contents { keys: found, digest: self.store.digest() });
        }
        Ok(self.store)
    }

    fn take_record(&mut self, mut record: Bytes) -> Option<()> {
        let kind = record.try_get_u8().ok()?;
        if kind == END {
            self.end = Some((record.try_get_u64_le().ok()?, record.try_get_u64_le().ok()?));
            return record.is_empty().then_some(());
        }
        let deadline = Deadline::at_ms(record.try_get_u64_le().ok()?);
        let version = Index::new(record.try_get_u64_le().ok()?);
        let key = take_bytes(&mut record)?;
        let value = take_value(kind, self.store.seed(), &mut record)?;
        self.store.put_as_of(&key, value, deadline, version);
        record.is_empty().then_some(())
    }
}

fn take_head(store: &mut Store, head: &mut Bytes) -> Option<()> {
    let magic = head.split_to(MAGIC.len());
    let version = head.try_get_u16_le().ok()?;
    if magic != MAGIC || version != VERSION {
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

fn take_value(kind: u8, seed: u64, record: &mut Bytes) -> Option<Value> {
    if kind == STRING {
        return Some(Value::String(Bytes::copy_from_slice(&take_bytes(record)?)));
    }
    let len = record.try_get_u32_le().ok()?;
    if len == 0 {
        return None;
    }
    Some(match kind {
        HASH => {
            let mut hash = Hash::new(seed);
            for _ in 0..len {
                let field = take_bytes(record)?;
                hash.set(&field, &take_bytes(record)?);
            }
            Value::Hash(Box::new(hash))
        }
        SET => {
            let mut set = Set::new(seed);
            for _ in 0..len {
                set.insert(&take_bytes(record)?);
            }
            Value::Set(Box::new(set))
        }
        LIST => {
            let mut list = List::default();
            for _ in 0..len {
                list.push(End::Back, take_bytes(record)?.to_vec().into());
            }
            Value::List(Box::new(list))
        }
        SORTED_SET => {
            let mut set = SortedSet::new(seed);
            for _ in 0..len {
                let score = Score::new(f64::from_bits(record.try_get_u64_le().ok()?))?;
                set.set(&take_bytes(record)?, score);
            }
            Value::SortedSet(Box::new(set))
        }
        _ => return None,
    })
}

fn take_bytes(record: &mut Bytes) -> Option<Bytes> {
    let len = usize::try_from(record.try_get_u32_le().ok()?).ok()?;
    (len <= record.len()).then(|| record.split_to(len))
}
