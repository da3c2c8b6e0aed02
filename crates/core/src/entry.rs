//! What a log holds: entries, kept and moved as chunks (D3).
//!
//! The entries of one propose call are one [`Chunk`]: contiguous indexes, one
//! term, one reference-counted run of bytes. The same bytes are memory, wire
//! and disk format, so a chunk is encoded once, by the leader, and copied only
//! into buffers that leave the process.
//!
//! Layout of one entry, little endian, without padding or alignment:
//!
//! ```text
//!  0  header checksum   u32  of index, term and the header with this field
//!                            0, from the group's `Seal` on (`mix64`)
//!  4  payload checksum  u32  CRC-32C of the payload
//!  8  payload length    u32
//! 12  kind              u8   1 no-op, 2 command, 3 configuration
//! 13  flags             u8   bit 0: an origin follows; others are refused
//! 14  reserved          u16  0
//! 16  log time          u64  milliseconds, stamped by the leader (D12)
//! 24  origin            40 bytes, only with flag bit 0:
//!     node u64, incarnation u128, run u64, sequence u64 (rule 33)
//! ..  payload
//! ```
//!
//! The header checksum is no CRC (D19). Starting from `HEADER_SEED`, these
//! words are mixed in by `mix64`: group, generation, index, term, the header's
//! three words with the checksum 0, the origin's five if there is one;
//! `fold32` makes 32 bits of the last.
//!
//! Invariants
//! - A [`Chunk`] that exists is well-formed and its checksums held when it was
//!   made: bytes from elsewhere become one only through [`Chunk::decode`].
//! - Position is part of the header checksum: an entry that turns up at another
//!   index, term, group or generation is damaged, not news.
//!
//! Not here: chunks in a row (`entry/entries.rs`), chunks whose bytes belong to
//! somebody else (`entry/borrowed.rs`), what a payload means
//! (`membership.rs` for configurations, the embedder for commands), how chunks
//! line up into a log (`log.rs`).

use std::fmt;

use bytes::Bytes;

use crate::checksum::mix64;
use crate::entry::arena::Arena;
use crate::entry::format::{
    Header, Parts, Verified, encode_entry, origin_of_entry, split_entry, verify_entry,
};
use crate::ids::{Generation, GroupId, Incarnation, Index, LogId, NodeId, Run, Term};

/// Bytes of a header without origin.
pub const HEADER_BYTES: usize = 24;
/// Bytes of an origin.
const ORIGIN_BYTES: usize = 40;
/// Largest payload. A frame of the shard log holds 8 MiB, twice as much, so
/// that the largest entry always fits with what rides along.
pub const PAYLOAD_BYTES_MAX: usize = 4 << 20;
/// Bytes that an entry may occupy at most.
pub const ENTRY_BYTES_MAX: usize = HEADER_BYTES + ORIGIN_BYTES + PAYLOAD_BYTES_MAX;
/// Entries of one chunk; bounds what one turn's proposals become.
pub const CHUNK_LEN_MAX: usize = 1 << 16;

/// What the chain of an empty log is. Not 0, which stands for unknown.
pub const CHAIN_START: u64 = 0x6368_6169_6e2d_3031;

const FLAG_ORIGIN: u8 = 1;
/// Sets entry checksums apart from those of blocks and frames.
const HEADER_SEED: u64 = 0x656e_7472_792d_6873;
const PAYLOAD_SEED: u32 = 0x7061_796c;

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// Opens a leader's term (§6.4); applies to nothing.
    Noop,
    /// A command of the embedder's state machine.
    Command,
    /// A configuration (§4).
    Configuration,
}

impl EntryKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Noop => 1,
            Self::Command => 2,
            Self::Configuration => 3,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Noop),
            2 => Some(Self::Command),
            3 => Some(Self::Configuration),
            _ => None,
        }
    }
}

/// Who forwarded a proposal, and which of its proposals this is (rule 33).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The node that was asked.
    pub node: NodeId,
    /// The life of its data directory.
    pub incarnation: Incarnation,
    /// Its run.
    pub run: Run,
    /// Counts the proposals that this run forwards; starts at 1.
    pub sequence: u64,
}

/// One entry, borrowed from its chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Position.
    pub index: Index,
    /// Term of the leader that made it.
    pub term: Term,
    /// What it is for.
    pub kind: EntryKind,
    /// Log time, milliseconds (D12).
    pub log_time_ms: u64,
    /// Set when another member than the leader was asked for it.
    pub origin: Option<Origin>,
    /// The command or configuration; empty for a no-op.
    pub payload: &'a [u8],
}

/// Why bytes are not the entries they claim to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The bytes end inside an entry, or go on behind the last.
    #[error("the bytes of entry {index} do not end where its header says")]
    Length {
        /// The entry.
        index: Index,
    },
    /// The header is not the one written for this position.
    #[error("the header of entry {index} fails its checksum for this group, index and term")]
    Header {
        /// The entry.
        index: Index,
    },
    /// The payload is not the one proposed.
    #[error("the payload of entry {index} fails its checksum")]
    Payload {
        /// The entry.
        index: Index,
    },
    /// A kind or flag that this version does not know.
    #[error("entry {index} has a kind or flag unknown to this version")]
    Unknown {
        /// The entry.
        index: Index,
    },
    /// No entries, too many, or an index, term or size beyond the limits.
    #[error("a chunk at index {index} is empty or beyond the limits of the format")]
    Limits {
        /// Its first entry.
        index: Index,
    },
}

/// What entries of one group and generation are sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal(u64);

impl Seal {
    /// The seal of a group in one life of its id.
    #[must_use]
    pub fn new(group: GroupId, generation: Generation) -> Self {
        Self(mix64(mix64(HEADER_SEED, group.get()), generation.get()))
    }

    /// What the headers of entries at `at` are sealed with.
    fn at(self, at: LogId) -> u64 {
        mix64(mix64(self.0, at.index.get()), at.term.get())
    }
}

/// What one entry is made of.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<'a> {
    /// What it is for.
    pub kind: EntryKind,
    /// Log time, milliseconds.
    pub log_time_ms: u64,
    /// Set when it was forwarded.
    pub origin: Option<Origin>,
    /// At most [`PAYLOAD_BYTES_MAX`] bytes.
    pub payload: &'a [u8],
}

impl NewEntry<'_> {
    /// Bytes that it will occupy.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let origin = if self.origin.is_some() { ORIGIN_BYTES } else { 0 };
        HEADER_BYTES + origin + self.payload.len()
    }
}

/// Consecutive entries of one term, well-formed and verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Chunk {
    first: Index,
    term: Term,
    bytes: Bytes,
    marks: Marks,
}

/// What a log must know of a chunk without walking it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks {
    /// Log time of the last entry.
    log_time_ms: u64,
    /// How many entries.
    len: u32,
    /// Whether an entry holds a configuration.
    configuration: bool,
    /// Whether an entry is no command, or was forwarded.
    special: bool,
}

impl Marks {
    #[inline]
    fn add(&mut self, header: Header) {
        self.log_time_ms = self.log_time_ms.max(header.log_time_ms);
        self.len += 1;
        if !header.is_plain() {
            self.special = true;
            self.configuration |= header.kind() == EntryKind::Configuration;
        }
    }

    /// The last index of entries that begin at `first`.
    #[inline]
    fn last(&self, first: Index) -> Index {
        // Made of indexes that are not exhausted: no need to check again.
        Index::new(first.get() + u64::from(self.len) - 1)
    }
}

impl Chunk {
    /// Encodes entries at `first` and following, cut from `arena`.
    ///
    /// # Panics
    /// When there is no entry, more than [`CHUNK_LEN_MAX`], or a payload above
    /// [`PAYLOAD_BYTES_MAX`]: callers refuse those before.
    #[must_use]
    pub fn encode<'a>(
        arena: &mut Arena,
        seal: Seal,
        first: LogId,
        entries: impl Iterator<Item = NewEntry<'a>> + Clone,
    ) -> Self {
        let bytes = entries.clone().map(|entry| entry.bytes()).sum();
        let block = arena.reserve(bytes);
        let mut at = first;
        let mut marks = Marks::default();
        for entry in entries {
            encode_entry(block, seal, at, &entry);
            marks.add(Header::of(&entry));
            at.index = at.index.next();
        }
        let is_fine =
            usize::try_from(marks.len).is_ok_and(|len| (1..=CHUNK_LEN_MAX).contains(&len));
        assert!(is_fine, "a chunk of no or too many entries");
        Self { first: first.index, term: first.term, marks, bytes: block.split().freeze() }
    }

    /// Entries received or read: checks structure, checksums and position.
    ///
    /// Costs one pass over the bytes.
    ///
    /// # Errors
    /// [`EntryError`] names the first entry that is not what it should be.
    #[inline]
    pub fn decode(seal: Seal, first: LogId, len: u32, bytes: Bytes) -> Result<Self, EntryError> {
        let marks = Self::check(seal, first, len, &bytes)?;
        Ok(Self { first: first.index, term: first.term, marks, bytes })
    }

    /// Whether bytes are the entries they claim to be; what a log must know of
    /// them.
    #[inline(never)]
    fn check(seal: Seal, first: LogId, len: u32, bytes: &[u8]) -> Result<Marks, EntryError> {
        let LogId { term, index } = first;
        let in_limits = len > 0
            && usize::try_from(len).is_ok_and(|len| len <= CHUNK_LEN_MAX)
            && index > Index::ZERO
            && !index.is_exhausted()
            && !term.is_exhausted();
        if !in_limits {
            return Err(EntryError::Limits { index });
        }
        if len > 1 {
            return Self::check_many(seal, first, len, bytes);
        }
        let Verified { header, rest, .. } = verify_entry(seal, first, bytes)?;
        if !rest.is_empty() {
            return Err(EntryError::Length { index });
        }
        let mut marks = Marks::default();
        marks.add(header);
        Ok(marks)
    }

    #[inline(never)]
    fn check_many(seal: Seal, first: LogId, len: u32, bytes: &[u8]) -> Result<Marks, EntryError> {
        let mut at = first;
        let mut rest = bytes;
        let mut marks = Marks::default();
        for _ in 0..len {
            let verified = verify_entry(seal, at, rest)?;
            rest = verified.rest;
            marks.add(verified.header);
            at.index = at.index.next();
        }
        if !rest.is_empty() {
            return Err(EntryError::Length { index: at.index.previous() });
        }
        Ok(marks)
    }

    /// The first entry's index.
    #[must_use]
    #[inline]
    pub fn first(&self) -> Index {
        self.first
    }

    /// The last entry's index.
    #[must_use]
    #[inline]
    pub fn last(&self) -> Index {
        self.marks.last(self.first)
    }

    /// The term of all its entries.
    #[must_use]
    #[inline]
    pub fn term(&self) -> Term {
        self.term
    }

    /// How many entries.
    #[must_use]
    #[inline]
    pub fn len(&self) -> u32 {
        self.marks.len
    }

    /// Never: a chunk has at least one entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Log time of its last entry, milliseconds.
    #[must_use]
    #[inline]
    pub fn log_time_ms(&self) -> u64 {
        self.marks.log_time_ms
    }

    /// Whether one of its entries holds a configuration.
    #[must_use]
    #[inline]
    pub fn has_configuration(&self) -> bool {
        self.marks.configuration
    }

    /// Whether all its entries are commands that nobody forwarded: what nearly all
    /// are, and of which no more than the payloads need be looked at.
    #[must_use]
    #[inline]
    pub fn is_plain(&self) -> bool {
        !self.marks.special
    }

    /// The encoded entries.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The entries in order.
    #[must_use]
    #[inline]
    pub fn entries(&self) -> ChunkEntries<'_> {
        ChunkEntries { index: self.first, term: self.term, rest: &self.bytes }
    }

    /// Checks its entries once more where they are used (rule 11), and links them
    /// into a digest of all entries before them: each by its two checksums, which
    /// cover position, header and payload. However a log is cut into chunks, its
    /// chain is the same.
    ///
    /// # Errors
    /// [`EntryError`] names the first entry that is not what it was: the memory
    /// that it was kept in is damaged.
    pub fn chain(&self, seal: Seal, chain: u64) -> Result<u64, EntryError> {
        self.chain_each(seal, chain, |_| ())
    }

    /// As [`chain`](Self::chain), and hands each entry to `each` once it held.
    ///
    /// # Errors
    /// As for `chain`; `each` was given those before it.
    #[inline]
    pub fn chain_each<'a>(
        &'a self,
        seal: Seal,
        chain: u64,
        mut each: impl FnMut(Entry<'a>),
    ) -> Result<u64, EntryError> {
        let mut chain = chain;
        let mut rest = &*self.bytes;
        let mut at = LogId { term: self.term, index: self.first };
        while let Some(sums) = rest.first_chunk::<8>() {
            chain = mix64(chain, u64::from_le_bytes(*sums));
            let verified = verify_entry(seal, at, rest)?;
            let Verified { header, payload, .. } = verified;
            each(Entry {
                index: at.index,
                term: at.term,
                kind: header.kind(),
                log_time_ms: header.log_time_ms,
                origin: if header.has_origin() { origin_of_entry(rest) } else { None },
                payload,
            });
            rest = verified.rest;
            at.index = at.index.next();
        }
        Ok(chain)
    }

    /// Links its entries into a digest as [`chain`](Self::chain) does, without
    /// checking them again: for who had the chunk made of its bytes just now, which
    /// checked them where they lie.
    #[must_use]
    pub fn link(&self, chain: u64) -> u64 {
        let mut chain = chain;
        let mut rest = &*self.bytes;
        while let Some(sums) = rest.first_chunk::<8>() {
            chain = mix64(chain, u64::from_le_bytes(*sums));
            rest = split_entry(rest).expect("a chunk is well-formed").rest;
        }
        chain
    }

    /// The part from `index` on; `None` when all lie before it.
    #[must_use]
    pub fn from(&self, index: Index) -> Option<Self> {
        if index <= self.first {
            return Some(self.clone());
        }
        if index > self.last() {
            return None;
        }
        let (_, tail) = self.split_at(index);
        Some(tail)
    }

    /// The part up to and with `index`; `None` when all lie behind it.
    #[must_use]
    pub fn until(&self, index: Index) -> Option<Self> {
        if index >= self.last() {
            return Some(self.clone());
        }
        if index < self.first {
            return None;
        }
        let (head, _) = self.split_at(index.next());
        Some(head)
    }

    /// Whether it is exactly the entries from `first` to `last`, and small
    /// enough.
    #[inline]
    pub(crate) fn is_all_of(&self, first: Index, last: Index, bytes_max: usize) -> bool {
        self.first == first && self.last() == last && self.bytes.len() <= bytes_max
    }

    /// The part from `first` up to and with `last`; `None` when no entry lies
    /// there.
    #[must_use]
    pub(crate) fn within(&self, first: Index, last: Index) -> Option<Self> {
        if first <= self.first && last >= self.last() {
            return Some(self.clone());
        }
        self.from(first)?.until(last)
    }

    /// The longest head of at most `bytes_max` bytes, at least one entry.
    #[must_use]
    pub fn head_within(&self, bytes_max: usize) -> Self {
        if self.bytes.len() <= bytes_max {
            return self.clone();
        }
        let mut end = self.first;
        let mut bytes = 0;
        for entry in self.entries() {
            bytes += entry_bytes(&entry);
            if bytes > bytes_max && entry.index > self.first {
                break;
            }
            end = entry.index;
        }
        self.until(end).expect("the end lies in the chunk")
    }

    /// Splits before `index`, which lies behind the first and not behind the
    /// last entry.
    fn split_at(&self, index: Index) -> (Self, Self) {
        let mut offset = 0;
        let mut marks = (Marks::default(), Marks::default());
        for entry in self.entries() {
            let header = Header::of(&NewEntry {
                kind: entry.kind,
                log_time_ms: entry.log_time_ms,
                origin: entry.origin,
                payload: entry.payload,
            });
            if entry.index < index {
                offset += entry_bytes(&entry);
                marks.0.add(header);
            } else {
                marks.1.add(header);
            }
        }
        let part = |first, marks, bytes| Self { first, term: self.term, marks, bytes };
        let head = part(self.first, marks.0, self.bytes.slice(..offset));
        let tail = part(index, marks.1, self.bytes.slice(offset..));
        (head, tail)
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}@{} ({} B)", self.first, self.last(), self.term, self.bytes.len())
    }
}

fn entry_bytes(entry: &Entry<'_>) -> usize {
    let origin = if entry.origin.is_some() { ORIGIN_BYTES } else { 0 };
    HEADER_BYTES + origin + entry.payload.len()
}

/// Walks a chunk's entries.
#[derive(Clone, Debug)]
pub struct ChunkEntries<'a> {
    index: Index,
    term: Term,
    rest: &'a [u8],
}

impl<'a> Iterator for ChunkEntries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let Parts { header, origin, payload, rest } =
            split_entry(self.rest).expect("a chunk is well-formed");
        let index = self.index;
        self.index = index.next();
        self.rest = rest;
        Some(Entry {
            index,
            term: self.term,
            kind: header.kind(),
            log_time_ms: header.log_time_ms,
            origin,
            payload,
        })
    }
}

pub(crate) mod arena;
mod borrowed;
mod entries;
mod format;

pub use borrowed::ChunkRef;
pub use entries::Entries;

#[cfg(test)]
mod tests;
