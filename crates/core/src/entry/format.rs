//! The bytes of one entry: written, checked, read. The layout stands in the
//! essay of `entry.rs`.
//!
//! A header is handled as three words, since it is written once and read by
//! every member at every hop.

use bytes::{BufMut, BytesMut};

use crate::checksum::{crc32c, fold32, mix64};
use crate::entry::{
    EntryError, EntryKind, FLAG_ORIGIN, NewEntry, ORIGIN_BYTES, Origin, PAYLOAD_BYTES_MAX,
    PAYLOAD_SEED, Seal,
};
use crate::ids::{Incarnation, LogId, NodeId, Run};

/// An origin as words.
type OriginWords = [u64; ORIGIN_BYTES / 8];

pub(super) fn encode_entry(into: &mut BytesMut, seal: Seal, at: LogId, entry: &NewEntry<'_>) {
    assert!(entry.payload.len() <= PAYLOAD_BYTES_MAX, "a payload above the format's limit");
    let origin = entry.origin.map(|origin| origin_words(&origin));
    let flags = if origin.is_some() { FLAG_ORIGIN } else { 0 };
    let payload_len = u64::try_from(entry.payload.len()).expect("PAYLOAD_BYTES_MAX fits u64");
    let shape = u64::from(entry.kind.byte()) << 32 | u64::from(flags) << 40;
    let payload_checksum = u64::from(crc32c(PAYLOAD_SEED, entry.payload)) << 32;
    let mut words = [payload_checksum, payload_len | shape, entry.log_time_ms];
    words[0] |= u64::from(header_checksum(seal, at, words, origin.as_ref()));
    for word in words.into_iter().chain(origin.into_iter().flatten()) {
        into.put_u64_le(word);
    }
    into.extend_from_slice(entry.payload);
}

/// Over position, header and origin; `words[0]` without the checksum itself.
#[inline]
fn header_checksum(seal: Seal, at: LogId, words: [u64; 3], origin: Option<&OriginWords>) -> u32 {
    let checksum = words.into_iter().fold(seal.at(at), mix64);
    fold32(origin.map_or(checksum, |origin| origin.iter().copied().fold(checksum, mix64)))
}

fn origin_words(origin: &Origin) -> OriginWords {
    let low = |number: u128| u64::try_from(number & u128::from(u64::MAX)).expect("masked");
    let incarnation = origin.incarnation.0;
    let (low, high) = (low(incarnation), low(incarnation >> 64));
    [origin.node.get(), low, high, origin.run.get(), origin.sequence]
}

/// Checks the entry that `bytes` start with; returns what lies behind it.
#[inline]
pub(super) fn verify_entry(
    seal: Seal,
    at: LogId,
    bytes: &[u8],
) -> Result<(Header, &[u8]), EntryError> {
    let index = at.index;
    let cut = EntryError::Length { index };
    // The length of the header is known only through its flags, which the
    // checksum covers: read them first, trust nothing until it held.
    let (words, behind) = split_words::<3>(bytes).ok_or(cut)?;
    let (origin, behind) = split_origin(words, behind).ok_or(cut)?;
    let [sums, shape, time] = words;
    let unsigned = [sums & !u64::from(u32::MAX), shape, time];
    if u64::from(header_checksum(seal, at, unsigned, origin.as_ref())) != low32(sums) {
        return Err(EntryError::Header { index });
    }
    let header = Header::read(words, origin).ok_or(EntryError::Unknown { index })?;
    if header.payload_len > PAYLOAD_BYTES_MAX {
        return Err(EntryError::Limits { index });
    }
    let (payload, rest) = behind.split_at_checked(header.payload_len).ok_or(cut)?;
    if u64::from(crc32c(PAYLOAD_SEED, payload)) != sums >> 32 {
        return Err(EntryError::Payload { index });
    }
    Ok((header, rest))
}

/// Header, payload and rest of bytes that were verified; `None` when they
/// were not.
#[inline]
pub(super) fn split_entry(bytes: &[u8]) -> Option<(Header, &[u8], &[u8])> {
    let (words, behind) = split_words::<3>(bytes)?;
    let (origin, behind) = split_origin(words, behind)?;
    let header = Header::read(words, origin)?;
    let (payload, rest) = behind.split_at_checked(header.payload_len)?;
    Some((header, payload, rest))
}

/// What a header says, its position and checksums apart.
pub(super) struct Header {
    payload_len: usize,
    pub(super) kind: EntryKind,
    pub(super) log_time_ms: u64,
    origin: Option<OriginWords>,
}

impl Header {
    /// Reads a header; `None` when a value is unknown.
    #[inline]
    fn read(words: [u64; 3], origin: Option<OriginWords>) -> Option<Self> {
        let [_, shape, log_time_ms] = words;
        let [.., kind, flags, 0, 0] = shape.to_le_bytes() else {
            return None;
        };
        if flags & !FLAG_ORIGIN != 0 {
            return None;
        }
        let (kind, payload_len) =
            (EntryKind::from_byte(kind)?, usize::try_from(low32(shape)).ok()?);
        Some(Self { payload_len, kind, log_time_ms, origin })
    }

    #[inline]
    pub(super) fn origin(&self) -> Option<Origin> {
        let [node, low, high, run, sequence] = self.origin?;
        Some(Origin {
            node: NodeId::new(node),
            incarnation: Incarnation(u128::from(low) | u128::from(high) << 64),
            run: Run::new(run),
            sequence,
        })
    }
}

/// The origin, where the flags name one, and what lies behind it; `None` when
/// the bytes end early.
#[inline]
fn split_origin(header: [u64; 3], behind: &[u8]) -> Option<(Option<OriginWords>, &[u8])> {
    if header[1] & u64::from(FLAG_ORIGIN) << 40 == 0 {
        return Some((None, behind));
    }
    let (origin, behind) = split_words(behind)?;
    Some((Some(origin), behind))
}

/// The first `N` words, little endian, and the bytes behind them.
#[inline]
fn split_words<const N: usize>(bytes: &[u8]) -> Option<([u64; N], &[u8])> {
    let (words, rest) = bytes.split_at_checked(8 * N)?;
    let words = words.as_chunks::<8>().0.first_chunk::<N>()?;
    Some((words.map(u64::from_le_bytes), rest))
}

fn low32(word: u64) -> u64 {
    word & u64::from(u32::MAX)
}
