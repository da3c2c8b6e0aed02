//! The bytes of one entry: written, checked, read. The layout stands in the
//! essay of `entry.rs`.

use bytes::{BufMut, BytesMut};

use crate::checksum::crc32c;
use crate::entry::{
    EntryError, EntryKind, FLAG_ORIGIN, HEADER_BYTES, NewEntry, ORIGIN_BYTES, Origin,
    PAYLOAD_BYTES_MAX, PAYLOAD_SEED, Seal,
};
use crate::ids::{Incarnation, LogId, NodeId, Run};

pub(super) fn encode_entry(into: &mut BytesMut, seal: Seal, at: LogId, entry: &NewEntry<'_>) {
    assert!(entry.payload.len() <= PAYLOAD_BYTES_MAX, "a payload above the format's limit");
    let mut header = [0; HEADER_BYTES];
    let mut rest = &mut header[..];
    rest.put_u32_le(0);
    rest.put_u32_le(crc32c(PAYLOAD_SEED, entry.payload));
    rest.put_u32_le(u32::try_from(entry.payload.len()).expect("PAYLOAD_BYTES_MAX fits u32"));
    rest.put_u8(entry.kind.byte());
    rest.put_u8(if entry.origin.is_some() { FLAG_ORIGIN } else { 0 });
    rest.put_u16_le(0);
    rest.put_u64_le(entry.log_time_ms);
    let origin = entry.origin.map(|origin| origin_bytes(&origin));
    let checksum = seal.header_checksum(at, &header, origin.as_ref());
    if let Some(field) = header.first_chunk_mut() {
        *field = checksum.to_le_bytes();
    }
    into.extend_from_slice(&header);
    if let Some(origin) = origin {
        into.extend_from_slice(&origin);
    }
    into.extend_from_slice(entry.payload);
}

fn origin_bytes(origin: &Origin) -> [u8; ORIGIN_BYTES] {
    let mut bytes = [0; ORIGIN_BYTES];
    let mut rest = &mut bytes[..];
    rest.put_u64_le(origin.node.get());
    rest.put_u128_le(origin.incarnation.0);
    rest.put_u64_le(origin.run.get());
    rest.put_u64_le(origin.sequence);
    bytes
}

/// Checks the entry that `bytes` start with; returns what lies behind it.
pub(super) fn verify_entry(
    seal: Seal,
    at: LogId,
    bytes: &[u8],
) -> Result<(Header, &[u8]), EntryError> {
    let index = at.index;
    let cut = EntryError::Length { index };
    // The length of the header is known only through its flags, which the
    // checksum covers: read them first, trust nothing until it held.
    let (fixed, behind) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(cut)?;
    let (origin, behind) = if fixed[13] & FLAG_ORIGIN == 0 {
        (None, behind)
    } else {
        let (origin, behind) = behind.split_first_chunk().ok_or(cut)?;
        (Some(origin), behind)
    };
    if Some(seal.header_checksum(at, fixed, origin)) != u32_at(fixed) {
        return Err(EntryError::Header { index });
    }
    let header = Header::read(bytes).ok_or(EntryError::Unknown { index })?;
    if header.payload_len > PAYLOAD_BYTES_MAX {
        return Err(EntryError::Limits { index });
    }
    let (payload, rest) = behind.split_at_checked(header.payload_len).ok_or(cut)?;
    if crc32c(PAYLOAD_SEED, payload) != header.payload_checksum {
        return Err(EntryError::Payload { index });
    }
    Ok((header, rest))
}

pub(super) struct Header {
    payload_checksum: u32,
    pub(super) payload_len: usize,
    pub(super) kind: EntryKind,
    pub(super) log_time_ms: u64,
    pub(super) origin: Option<Origin>,
    pub(super) bytes: usize,
}

impl Header {
    /// Reads a header; `None` when the bytes end early or a value is unknown.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let flags = fixed[13];
        if flags & !FLAG_ORIGIN != 0 || fixed[14] != 0 || fixed[15] != 0 {
            return None;
        }
        let (origin, origin_bytes) = if flags & FLAG_ORIGIN == 0 {
            (None, 0)
        } else {
            (Some(read_origin(rest.first_chunk()?)), ORIGIN_BYTES)
        };
        Some(Self {
            payload_checksum: u32_at(fixed.get(4..)?)?,
            payload_len: usize::try_from(u32_at(fixed.get(8..)?)?).ok()?,
            kind: EntryKind::from_byte(fixed[12])?,
            log_time_ms: u64_at(fixed.get(16..)?)?,
            origin,
            bytes: HEADER_BYTES + origin_bytes,
        })
    }
}

fn read_origin(bytes: &[u8; ORIGIN_BYTES]) -> Origin {
    let mut words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
    let mut word = || words.next().expect("an origin has five words");
    Origin {
        node: NodeId::new(word()),
        incarnation: Incarnation(u128::from(word()) | u128::from(word()) << 64),
        run: Run::new(word()),
        sequence: word(),
    }
}

fn u32_at(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
