//! A segment: one file of the log, its name, its stamp and its head.
//!
//! `log-<number, 16 hex digits>.wal`: blocks 0 and 1 are two copies of the
//! head, frames start at block 2. Its *stamp* is a hash of (incarnation of the
//! directory, shard, number): known from name and identity alone, so a lost
//! head costs nothing, and a file under another name is a stranger to itself.
//!
//! Payload of a head block, little endian:
//!
//! ```text
//!  0  magic           8 bytes  "raftlog\n"
//!  8  format version  u32      3; 1 and 2 are read
//! 12  blocks          u32      the size of the segment when full
//! 16  written blocks  u32      durable, zeroed, when the file got its name
//! 20  shard           u16
//! 22  reserved        u16      0
//! 24  cluster         u128
//! 40  node            u64
//! 48  incarnation     u128     of the data directory
//! 64  number          u64
//! 72  run             u64      the start that made it
//! ```

use bytes::BufMut;
use xxhash_rust::xxh3::xxh3_64;

use crate::block::{self, BLOCK_BYTES, HEADER_BYTES, Kind, Verdict};
use crate::identity::Identity;
use crate::width::u16_from;
use raftlet::core::{ClusterId, Incarnation, NodeId, Run, ShardId};

/// Version of blocks, frames and records (`docs/format-log.md`).
pub const FORMAT_VERSION: u32 = 3;
/// The oldest version that is read: it knows neither compaction nor snapshots. Up
/// to 2 a loss has no term.
const FORMAT_VERSION_MIN: u32 = 1;
/// Where the first frame starts.
pub(crate) const FIRST_BLOCK: u32 = 2;

const MAGIC: &[u8; 8] = b"raftlog\n";
const HEAD_BYTES: usize = 80;

/// What the head of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) version: u32,
    pub(crate) blocks: u32,
    pub(crate) written_blocks: u32,
    pub(crate) shard: ShardId,
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) number: u64,
    pub(crate) run: Run,
}

/// Why a head is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadError {
    /// Not a head, or not whole.
    Damaged,
    /// A whole head of a version unknown here.
    UnknownFormat(u32),
}

/// The stamp of a segment's blocks.
pub(crate) fn stamp(incarnation: Incarnation, shard: ShardId, number: u64) -> u64 {
    let mut bytes = Vec::with_capacity(26);
    bytes.put_u128_le(incarnation.0);
    bytes.put_u16_le(shard.0);
    bytes.put_u64_le(number);
    xxh3_64(&bytes)
}

impl Head {
    /// The head of a new segment.
    pub(crate) fn new(
        identity: &Identity,
        shard: ShardId,
        number: u64,
        blocks: (u32, u32),
    ) -> Self {
        Self {
            version: FORMAT_VERSION,
            blocks: blocks.0,
            written_blocks: blocks.1,
            shard,
            cluster: identity.cluster,
            node: identity.node,
            incarnation: identity.incarnation,
            number,
            run: identity.run,
        }
    }

    /// Writes both copies over the first two blocks of `into`.
    pub(crate) fn encode(&self, into: &mut [u8]) {
        let mut payload = Vec::with_capacity(HEAD_BYTES);
        payload.put_slice(MAGIC);
        payload.put_u32_le(self.version);
        payload.put_u32_le(self.blocks);
        payload.put_u32_le(self.written_blocks);
        payload.put_u16_le(self.shard.0);
        payload.put_u16_le(0);
        payload.put_u128_le(self.cluster.0);
        payload.put_u64_le(self.node.get());
        payload.put_u128_le(self.incarnation.0);
        payload.put_u64_le(self.number);
        payload.put_u64_le(self.run.get());
        let copies = into.chunks_exact_mut(BLOCK_BYTES).zip(0..FIRST_BLOCK);
        for (copy, at) in copies {
            copy.fill(0);
            copy.get_mut(HEADER_BYTES..HEADER_BYTES + payload.len())
                .expect("a head is smaller than a block")
                .copy_from_slice(&payload);
            let header = block::Header {
                kind: Kind::SegmentHeader,
                promise: 0,
                used: u16_from(payload.len()),
                stamp: stamp(self.incarnation, self.shard, self.number),
                frame: 0,
                block: at,
                index: 0,
                blocks: 1,
            };
            block::seal(copy, &header);
        }
    }

    /// Reads one copy. A block of another segment is read too: who it claims
    /// to be is the caller's to compare.
    pub(crate) fn decode(bytes: &[u8], at: u32) -> Result<Self, HeadError> {
        let damaged = HeadError::Damaged;
        let stamp = bytes.get(8..16).and_then(|b| b.first_chunk()).ok_or(damaged)?;
        let verdict = block::judge(bytes, u64::from_le_bytes(*stamp), at);
        let Verdict::Valid(header) = verdict else {
            return Err(damaged);
        };
        if header.kind != Kind::SegmentHeader {
            return Err(damaged);
        }
        parse(block::payload(bytes, &header)).unwrap_or(Err(damaged))
    }
}

fn parse(payload: &[u8]) -> Option<Result<Head, HeadError>> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(*payload.get(at..)?.first_chunk()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(*payload.get(at..)?.first_chunk()?));
    let u64_at = |at: usize| Some(u64::from_le_bytes(*payload.get(at..)?.first_chunk()?));
    let u128_at = |at: usize| Some(u128::from_le_bytes(*payload.get(at..)?.first_chunk()?));
    if payload.first_chunk()? != MAGIC {
        return None;
    }
    let version = u32_at(8)?;
    if !(FORMAT_VERSION_MIN..=FORMAT_VERSION).contains(&version) {
        return Some(Err(HeadError::UnknownFormat(version)));
    }
    Some(Ok(Head {
        version,
        blocks: u32_at(12)?,
        written_blocks: u32_at(16)?,
        shard: ShardId(u16_at(20)?),
        cluster: ClusterId(u128_at(24)?),
        node: NodeId::new(u64_at(40)?),
        incarnation: Incarnation(u128_at(48)?),
        number: u64_at(64)?,
        run: Run::new(u64_at(72)?),
    }))
}

#[cfg(test)]
mod tests {
    use super::{FORMAT_VERSION, Head, HeadError};
    use crate::block::BLOCK_BYTES;
    use raftlet::core::{ClusterId, Incarnation, NodeId, Run, ShardId};

    #[test]
    fn both_copies_of_a_head_come_back_and_neither_passes_for_the_other() {
        let head = Head {
            version: FORMAT_VERSION,
            blocks: 1024,
            written_blocks: 256,
            shard: ShardId(3),
            cluster: ClusterId(5),
            node: NodeId::new(7),
            incarnation: Incarnation(u128::MAX - 1),
            number: 9,
            run: Run::new(11),
        };
        let mut bytes = vec![1; 2 * BLOCK_BYTES];
        head.encode(&mut bytes);
        let (first, second) = bytes.split_at(BLOCK_BYTES);
        assert_eq!(Head::decode(first, 0), Ok(head));
        assert_eq!(Head::decode(second, 1), Ok(head));
        assert_eq!(Head::decode(second, 0), Err(HeadError::Damaged));
    }
}
