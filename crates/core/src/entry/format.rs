//! The bytes of one entry: written, checked, read. The layout stands in the
//! essay of `entry.rs`.
//!
//! A header is handled as three words, since it is written once and read by
//! every member at every hop.

use bytes::BytesMut;

use crate::checksum::{crc32c, fold32, mix64};
use crate::entry::{
    EntryError, EntryKind, FLAG_ORIGIN, NewEntry, ORIGIN_BYTES, Origin, PAYLOAD_BYTES_MAX,
    PAYLOAD_SEED, Seal,
};
use crate::ids::{Incarnation, LogId, NodeId, Run};

/// What stands above the length in a header's second word, of a command that
/// nobody forwarded: nearly all entries, known by one comparison.
const PLAIN: u64 = EntryKind::Command.byte() as u64;

/// An origin as words.
type OriginWords = [u64; ORIGIN_BYTES / 8];

pub(super) fn encode_entry(into: &mut BytesMut, seal: Seal, at: LogId, entry: &NewEntry<'_>) {
    assert!(entry.payload.len() <= PAYLOAD_BYTES_MAX, "a payload above the format's limit");
    let origin = entry.origin.as_ref().map(origin_words);
    let flags = if origin.is_some() { FLAG_ORIGIN } else { 0 };
    let payload_len = u64::try_from(entry.payload.len()).expect("PAYLOAD_BYTES_MAX fits u64");
    let shape = payload_len | u64::from(entry.kind.byte()) << 32 | u64::from(flags) << 40;
    let payload_checksum = u64::from(crc32c(PAYLOAD_SEED, entry.payload)) << 32;
    let mut words = [payload_checksum, shape, entry.log_time_ms];
    let checksum = words.into_iter().fold(seal.at(at), mix64);
    words[0] |= u64::from(fold32(origin.iter().flatten().copied().fold(checksum, mix64)));
    put_words(into, words);
    if let Some(origin) = origin {
        put_words(into, origin);
    }
    into.extend_from_slice(entry.payload);
}

#[inline]
fn put_words<const N: usize>(into: &mut BytesMut, words: [u64; N]) {
    into.extend_from_slice(words.map(u64::to_le_bytes).as_flattened());
}

#[cold]
fn origin_words(origin: &Origin) -> OriginWords {
    let low = |number: u128| u64::try_from(number & u128::from(u64::MAX)).expect("masked");
    let incarnation = origin.incarnation.0;
    let (low, high) = (low(incarnation), low(incarnation >> 64));
    [origin.node.get(), low, high, origin.run.get(), origin.sequence]
}

/// Checks the entry that `bytes` start with, and takes it apart.
#[inline(always)]
pub(super) fn verify_entry(
    seal: Seal,
    at: LogId,
    bytes: &[u8],
) -> Result<Verified<'_>, EntryError> {
    let index = at.index;
    let cut = EntryError::Length { index };
    let ([sums, shape, log_time_ms], mut behind) = split_words::<3>(bytes).ok_or(cut)?;
    let unsigned = [sums & !u64::from(u32::MAX), shape, log_time_ms];
    let mut checksum = unsigned.into_iter().fold(seal.at(at), mix64);
    // The length of the header is known only through its flags, which the
    // checksum covers: read them first, trust nothing until it held.
    let is_plain = shape >> 32 == PLAIN;
    if !is_plain && has_origin(shape) {
        let origin;
        (origin, behind) = split_words::<{ ORIGIN_BYTES / 8 }>(behind).ok_or(cut)?;
        checksum = origin.into_iter().fold(checksum, mix64);
    }
    if u64::from(fold32(checksum)) != low32(sums) {
        return Err(EntryError::Header { index });
    }
    let header = Header::read(shape, log_time_ms).ok_or(EntryError::Unknown { index })?;
    if header.payload_len > PAYLOAD_BYTES_MAX {
        return Err(EntryError::Limits { index });
    }
    let (payload, rest) = behind.split_at_checked(header.payload_len).ok_or(cut)?;
    if u64::from(crc32c(PAYLOAD_SEED, payload)) != sums >> 32 {
        return Err(EntryError::Payload { index });
    }
    Ok(Verified { header, payload, rest })
}

/// An entry whose checksums held.
pub(super) struct Verified<'a> {
    pub(super) header: Header,
    pub(super) payload: &'a [u8],
    pub(super) rest: &'a [u8],
}

/// The origin of an entry that was verified.
#[cold]
pub(super) fn origin_of_entry(bytes: &[u8]) -> Option<Origin> {
    split_entry(bytes)?.origin
}

/// An entry taken apart.
pub(super) struct Parts<'a> {
    pub(super) header: Header,
    pub(super) origin: Option<Origin>,
    pub(super) payload: &'a [u8],
    pub(super) rest: &'a [u8],
}

/// Takes apart bytes that were verified; `None` when they were not.
#[inline]
pub(super) fn split_entry(bytes: &[u8]) -> Option<Parts<'_>> {
    let ([_, shape, log_time_ms], mut behind) = split_words::<3>(bytes)?;
    let mut origin = None;
    if has_origin(shape) {
        let words;
        (words, behind) = split_words(behind)?;
        origin = Some(origin_of(words));
    }
    let header = Header::read(shape, log_time_ms)?;
    let (payload, rest) = behind.split_at_checked(header.payload_len)?;
    Some(Parts { header, origin, payload, rest })
}

/// What a header says, its position, checksums and origin apart.
#[derive(Clone, Copy)]
pub(super) struct Header {
    payload_len: usize,
    /// Kind and flags, as they stand side by side.
    traits: u64,
    pub(super) log_time_ms: u64,
}

impl Header {
    /// What the header of an entry says.
    #[inline]
    pub(super) fn of(entry: &NewEntry<'_>) -> Self {
        let flags = if entry.origin.is_some() { FLAG_ORIGIN } else { 0 };
        Self {
            payload_len: entry.payload.len(),
            traits: u64::from(entry.kind.byte()) | u64::from(flags) << 8,
            log_time_ms: entry.log_time_ms,
        }
    }

    /// Reads a header; `None` when a value is unknown.
    #[inline]
    fn read(shape: u64, log_time_ms: u64) -> Option<Self> {
        let traits = shape >> 32;
        if traits != PLAIN && !is_known(traits) {
            return None;
        }
        let payload_len = usize::try_from(low32(shape)).ok()?;
        Some(Self { payload_len, traits, log_time_ms })
    }

    /// A command that nobody forwarded.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.traits == PLAIN
    }

    #[inline]
    pub(super) fn kind(&self) -> EntryKind {
        let [kind, ..] = self.traits.to_le_bytes();
        EntryKind::from_byte(kind).expect("a header is read or made of a kind")
    }

    #[inline]
    pub(super) fn has_origin(&self) -> bool {
        self.traits & u64::from(FLAG_ORIGIN) << 8 != 0
    }
}

/// Whether this version has such a kind and such flags.
fn is_known(traits: u64) -> bool {
    let [kind, flags, reserved @ ..] = traits.to_le_bytes();
    EntryKind::from_byte(kind).is_some() && flags & !FLAG_ORIGIN == 0 && reserved == [0; 6]
}

#[inline]
fn has_origin(shape: u64) -> bool {
    shape & u64::from(FLAG_ORIGIN) << 40 != 0
}

#[cold]
fn origin_of([node, low, high, run, sequence]: OriginWords) -> Origin {
    Origin {
        node: NodeId::new(node),
        incarnation: Incarnation(u128::from(low) | u128::from(high) << 64),
        run: Run::new(run),
        sequence,
    }
}

/// The first `N` words, little endian, and the bytes behind them.
#[inline]
fn split_words<const N: usize>(bytes: &[u8]) -> Option<([u64; N], &[u8])> {
    let (words, rest) = bytes.split_at_checked(8 * N)?;
    let words = words.as_chunks::<8>().0.first_chunk::<N>()?;
    Some((words.map(u64::from_le_bytes), rest))
}

#[inline]
fn low32(word: u64) -> u64 {
    word & u64::from(u32::MAX)
}
