//! A snapshot file: `snap-<group>-<term>-<index>`, each 16 hex digits.
//!
//! In whole blocks of 4 KiB, padded with zeros under the checksum, little
//! endian:
//!
//! ```text
//! head       1.. blocks
//!   0  checksum         u32   CRC-32C of the head's bytes from 4 on
//!   4  magic            8     "raftsnp\n"
//!  12  format version   u32   1
//!  16  head bytes       u32   whole blocks
//!  20  shard            u16
//!  22  reserved         u16   0
//!  24  cluster          u128
//!  40  node             u64
//!  48  incarnation      u128  of the data directory
//!  64  group            u64
//!  72  generation       u64
//!  80  last term        u64   what the snapshot holds: all up to this entry
//!  88  last index       u64
//!  96  configuration    u64   index of the configuration in force there
//! 104  log time         u64   milliseconds
//! 112  bytes            u32   of the configuration
//! 116  bytes            u32   of the library's state
//! 120  the configuration, then the library's state
//! slots      one for each chunk, then one for the table
//!   0  checksum         u32   CRC-32C of the slot's bytes from 4 on
//!   4  bytes            u32   of what it carries
//!   8  number           u32   chunks from 0; the table has 0xffff_ffff
//!  12  reserved         u32   0
//!  16  stamp            u64   of the snapshot: directory, shard, group, life, log id
//!  24  reserved         u64   0
//!  32  the chunk; or the table: of each chunk its bytes u32, its checksum u32
//! trailer    1 block
//!   0  checksum         u32   CRC-32C of the trailer's bytes from 4 on
//!   4  magic            8     "raftend\n"
//!  12  chunks           u32
//!  16  stamp            u64
//!  24  table's offset   u64
//!  32  bytes            u64   of all chunks
//!  40  digest           u64   of the table, as `raftlet::SnapshotInfo` makes it
//!  48  file bytes       u64
//! ```
//!
//! While it is written it is called `snap-…-<n>.part`. It gets its name when all
//! of it is flushed, and counts when a record of the log names it (rule 12).
//! The trailer is written last: a file without one was never finished.
//!
//! Invariant: every byte is under a checksum that knows whose byte it is and
//! where.
//!
//! Not here: writing (`snapshot/writer.rs`), reading (`snapshot/reader.rs`), and
//! how long a file is kept (`snapshot/custody.rs`).

mod custody;
pub(crate) mod reader;
pub(crate) mod stretch;
pub(crate) mod writer;

use bytes::{Buf, BufMut, Bytes};
use xxhash_rust::xxh3::xxh3_64;

use crate::block::BLOCK_BYTES;
use crate::identity::Identity;
use crate::width::{u32_from, usize_from};
use raftlet::core::{
    ClusterId, Generation, GroupId, Incarnation, Index, LogId, NodeId, ShardId, Term, crc32c,
};
use raftlet::{GroupInfo, SNAPSHOT_META_BYTES_MAX, SnapshotInfo, SnapshotMeta};

/// Version of the snapshot file format (`docs/format-log.md`).
pub const SNAPSHOT_FORMAT_VERSION: u32 = 1;

/// Bytes of a slot before what it carries.
pub(crate) const SLOT_HEADER_BYTES: usize = 32;
/// The number of the slot that carries the table.
pub(crate) const TABLE_NUMBER: u32 = u32::MAX;

const HEAD_MAGIC: &[u8; 8] = b"raftsnp\n";
const TRAILER_MAGIC: &[u8; 8] = b"raftend\n";
const HEAD_FIXED_BYTES: usize = 120;
/// Above what any head written by this version has.
pub(crate) const HEAD_BYTES_MAX: usize = SNAPSHOT_META_BYTES_MAX + BLOCK_BYTES;
/// Sets the checksums of snapshot files apart from all others.
const SEED: u32 = 0x736c_6f74;

/// Whose snapshot, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Title {
    pub(crate) shard: ShardId,
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) group: GroupInfo,
    pub(crate) last: LogId,
}

impl Title {
    pub(crate) fn new(identity: &Identity, shard: ShardId, group: GroupInfo, last: LogId) -> Self {
        Self {
            shard,
            cluster: identity.cluster,
            node: identity.node,
            incarnation: identity.incarnation,
            group,
            last,
        }
    }

    /// What every slot of the file carries.
    pub(crate) fn stamp(&self) -> u64 {
        let mut bytes = Vec::with_capacity(64);
        bytes.put_u128_le(self.incarnation.0);
        bytes.put_u16_le(self.shard.0);
        for number in [
            self.group.group.get(),
            self.group.generation.get(),
            self.last.term.get(),
            self.last.index.get(),
        ] {
            bytes.put_u64_le(number);
        }
        xxh3_64(&bytes)
    }
}

/// Bytes that a slot occupies.
pub(crate) fn slot_bytes(carried: usize) -> usize {
    (SLOT_HEADER_BYTES + carried).next_multiple_of(BLOCK_BYTES)
}

fn seal(bytes: &mut [u8]) {
    if let Some((checksum, covered)) = bytes.split_first_chunk_mut::<4>() {
        *checksum = crc32c(SEED, covered).to_le_bytes();
    }
}

/// What is behind the checksum, if that holds.
fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let (checksum, covered) = bytes.split_first_chunk::<4>()?;
    (crc32c(SEED, covered) == u32::from_le_bytes(*checksum)).then_some(covered)
}

/// The head's bytes.
pub(crate) fn encode_head(title: &Title, meta: &SnapshotMeta) -> Vec<u8> {
    let variable = meta.configuration.len() + meta.library.len();
    let bytes = (HEAD_FIXED_BYTES + variable).next_multiple_of(BLOCK_BYTES);
    let mut head = Vec::with_capacity(bytes);
    head.put_u32_le(0);
    head.put_slice(HEAD_MAGIC);
    head.put_u32_le(SNAPSHOT_FORMAT_VERSION);
    head.put_u32_le(u32_from(bytes));
    head.put_u16_le(title.shard.0);
    head.put_u16_le(0);
    head.put_u128_le(title.cluster.0);
    head.put_u64_le(title.node.get());
    head.put_u128_le(title.incarnation.0);
    head.put_u64_le(title.group.group.get());
    head.put_u64_le(title.group.generation.get());
    head.put_u64_le(title.last.term.get());
    head.put_u64_le(title.last.index.get());
    head.put_u64_le(meta.configuration_index.get());
    head.put_u64_le(meta.log_time_ms);
    head.put_u32_le(u32_from(meta.configuration.len()));
    head.put_u32_le(u32_from(meta.library.len()));
    head.put_slice(&meta.configuration);
    head.put_slice(&meta.library);
    head.resize(bytes, 0);
    seal(&mut head);
    head
}

/// Why the head of a snapshot file is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadError {
    Damaged,
    UnknownFormat(u32),
}

/// How long a head is, as its first block says before anything is verified.
pub(crate) fn head_bytes(block: &[u8]) -> Option<usize> {
    let bytes = usize_from(u64::from(u32::from_le_bytes(*block.get(16..)?.first_chunk()?)));
    let is_possible = (BLOCK_BYTES..=HEAD_BYTES_MAX).contains(&bytes);
    (is_possible && bytes.is_multiple_of(BLOCK_BYTES)).then_some(bytes)
}

/// Reads a head that was read whole.
pub(crate) fn decode_head(head: &[u8]) -> Result<(Title, SnapshotMeta), HeadError> {
    let mut from = unseal(head).ok_or(HeadError::Damaged)?;
    if from.len() < HEAD_FIXED_BYTES - 4 || !from.starts_with(HEAD_MAGIC) {
        return Err(HeadError::Damaged);
    }
    from.advance(HEAD_MAGIC.len());
    let version = from.get_u32_le();
    if version != SNAPSHOT_FORMAT_VERSION {
        return Err(HeadError::UnknownFormat(version));
    }
    from.advance(4);
    let shard = ShardId(from.get_u16_le());
    from.advance(2);
    let cluster = ClusterId(from.get_u128_le());
    let node = NodeId::new(from.get_u64_le());
    let incarnation = Incarnation(from.get_u128_le());
    let group = GroupInfo {
        group: GroupId::new(from.get_u64_le()),
        generation: Generation::new(from.get_u64_le()),
    };
    let term = Term::new(from.get_u64_le());
    let last = LogId { term, index: Index::new(from.get_u64_le()) };
    let configuration_index = Index::new(from.get_u64_le());
    let log_time_ms = from.get_u64_le();
    let bytes = [from.get_u32_le(), from.get_u32_le()];
    let [configuration, library] = bytes.map(|bytes| usize_from(u64::from(bytes)));
    let configuration = from.get(..configuration).ok_or(HeadError::Damaged)?;
    let library = from.get(configuration.len()..).and_then(|rest| rest.get(..library));
    let meta = SnapshotMeta {
        last,
        configuration_index,
        configuration: Bytes::copy_from_slice(configuration),
        log_time_ms,
        library: Bytes::copy_from_slice(library.ok_or(HeadError::Damaged)?),
    };
    Ok((Title { shard, cluster, node, incarnation, group, last }, meta))
}

/// Fills a slot: `slot` is as long as it occupies.
pub(crate) fn encode_slot(slot: &mut [u8], number: u32, stamp: u64, carried: &[u8]) {
    let mut header = Vec::with_capacity(SLOT_HEADER_BYTES);
    header.put_u32_le(0);
    header.put_u32_le(u32_from(carried.len()));
    header.put_u32_le(number);
    header.put_u32_le(0);
    header.put_u64_le(stamp);
    header.put_u64_le(0);
    let (front, rest) = slot.split_at_mut(SLOT_HEADER_BYTES);
    front.copy_from_slice(&header);
    let (payload, padding) = rest.split_at_mut(carried.len());
    payload.copy_from_slice(carried);
    padding.fill(0);
    seal(slot);
}

/// What a slot carries, if it is slot `number` of this snapshot.
pub(crate) fn decode_slot(slot: &[u8], number: u32, stamp: u64) -> Option<&[u8]> {
    let mut from = unseal(slot)?;
    if from.len() < SLOT_HEADER_BYTES - 4 {
        return None;
    }
    let bytes = usize_from(u64::from(from.get_u32_le()));
    let is_right = from.get_u32_le() == number;
    from.advance(4);
    let is_ours = from.get_u64_le() == stamp;
    from.advance(8);
    from.get(..bytes).filter(|_| is_right && is_ours && slot.len() == slot_bytes(bytes))
}

/// The last block of a snapshot file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) stamp: u64,
    pub(crate) table_offset: u64,
    pub(crate) info: SnapshotInfo,
    pub(crate) file_bytes: u64,
}

impl Trailer {
    /// Fills a block.
    pub(crate) fn encode(&self, block: &mut [u8]) {
        let mut bytes = Vec::with_capacity(BLOCK_BYTES);
        bytes.put_u32_le(0);
        bytes.put_slice(TRAILER_MAGIC);
        bytes.put_u32_le(self.info.chunks);
        bytes.put_u64_le(self.stamp);
        bytes.put_u64_le(self.table_offset);
        bytes.put_u64_le(self.info.bytes);
        bytes.put_u64_le(self.info.digest);
        bytes.put_u64_le(self.file_bytes);
        bytes.resize(BLOCK_BYTES, 0);
        seal(&mut bytes);
        block.copy_from_slice(&bytes);
    }

    /// Reads a block.
    pub(crate) fn decode(block: &[u8]) -> Option<Self> {
        let mut from = unseal(block)?.strip_prefix(TRAILER_MAGIC)?;
        if block.len() != BLOCK_BYTES {
            return None;
        }
        let chunks = from.get_u32_le();
        let stamp = from.get_u64_le();
        let table_offset = from.get_u64_le();
        let info = SnapshotInfo { bytes: from.get_u64_le(), chunks, digest: from.get_u64_le() };
        Some(Self { stamp, table_offset, info, file_bytes: from.get_u64_le() })
    }
}

#[cfg(test)]
mod tests;
