//! What an embedder may choose, and what the log counts.

use crate::block::BLOCK_BYTES;
use crate::width::u64_from;
use raftlet::core::ShardId;

/// Choices for a shard's log. Every combination works; the defaults are the
/// measured ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Which shard's log this is; part of every block's stamp. Default 0.
    pub shard: ShardId,
    /// Bytes of a run's first segment. Default 4 MiB; each one doubles.
    pub segment_bytes_first: u64,
    /// Bytes of a segment at most. Where a few groups write most of the log, a
    /// quarter of what is written between two snapshots is best: the log then has
    /// its first free files after that, and writes no zeros from then on (D63). Of
    /// ten thousand groups each segment takes some hundred KiB of index. Default
    /// 64 MiB.
    pub segment_bytes_max: u64,
    /// Bytes written with zeros before a segment may be used, and at a time
    /// when the log would overtake. Default 1 MiB.
    pub prepare_bytes: u64,
    /// Bytes written with zeros at a time in the background, 128 KiB in 10 ms on
    /// the average: more would slow appends down. Default 512 KiB.
    pub throttle_bytes: u64,
    /// Bytes of prepared space that entries leave to votes and truncations
    /// when the disk is full (rule 9). Default 256 KiB.
    pub reserve_bytes: u64,
    /// Bytes of room on disk that are kept for votes, compactions, a start and
    /// one snapshot when the device is full (rule 9), besides room for the
    /// largest snapshot. A quarter of `log_bytes_soft` at most; 0 keeps none.
    /// Default 16 MiB: a batch on its way, a snapshot's and a start's steps.
    pub reserve_file_bytes: u64,
    /// Bytes of log above which space is wanted: idle and cold groups are
    /// written again, groups with more are named by `pins`. Segments have a
    /// quarter of it at most. Default 512 MiB.
    pub log_bytes_soft: u64,
    /// Bytes of log above which entries are refused with `NoSpace`; votes,
    /// truncations and compactions go on. An eighth before it, 8 MiB at most,
    /// the log calls itself short. Default: no such limit.
    pub log_bytes_hard: u64,
    /// Bytes of what a start has read that it keeps in memory for the machines'
    /// replay, the newest part of the log; what is older is read from disk a
    /// second time. Given back as the replay goes on. Default 64 MiB: what is
    /// written between two snapshots by default.
    pub replay_bytes_max: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            shard: ShardId(0),
            segment_bytes_first: 4 << 20,
            segment_bytes_max: 64 << 20,
            prepare_bytes: 1 << 20,
            throttle_bytes: 512 << 10,
            reserve_bytes: 256 << 10,
            reserve_file_bytes: 16 << 20,
            log_bytes_soft: 512 << 20,
            log_bytes_hard: u64::MAX,
            replay_bytes_max: 64 << 20,
        }
    }
}

/// Options in blocks, each at least what the log needs to work at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) shard: ShardId,
    pub(crate) first: u32,
    pub(crate) max: u32,
    pub(crate) prepare: u32,
    pub(crate) throttle: u32,
    pub(crate) reserve: u32,
    pub(crate) reserve_file: u64,
    pub(crate) soft_bytes: u64,
    pub(crate) hard_bytes: u64,
    pub(crate) replay_bytes: u64,
}

impl From<&LogOptions> for Sizes {
    fn from(options: &LogOptions) -> Self {
        let blocks = |bytes: u64, min: u32| {
            u32::try_from(bytes / u64_from(BLOCK_BYTES))
                .map_or(u32::MAX / 4, |blocks| blocks.clamp(min, u32::MAX / 4))
        };
        let quarter = options.log_bytes_soft / 4;
        let first = blocks(options.segment_bytes_first.min(quarter), 8);
        Self {
            shard: options.shard,
            first,
            max: blocks(options.segment_bytes_max.min(quarter), first),
            prepare: blocks(options.prepare_bytes, 4).min(16 << 10),
            throttle: blocks(options.throttle_bytes, 1).min(16 << 10),
            reserve: blocks(options.reserve_bytes, 0).min(first / 2),
            reserve_file: u64::from(blocks(options.reserve_file_bytes.min(quarter), 0))
                * u64_from(BLOCK_BYTES),
            soft_bytes: options.log_bytes_soft,
            hard_bytes: options.log_bytes_hard,
            replay_bytes: options.replay_bytes_max,
        }
    }
}

/// What the log did since it was opened (rule 30).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounters {
    /// Device writes of frames: one a batch, unless it is above 1 MiB.
    pub log_writes: u64,
    /// Device flushes of frames. A direct write is one with its flush.
    pub log_flushes: u64,
    /// Bytes of frames, padding included.
    pub log_bytes: u64,
    /// Marks written behind the last frame in idle moments; no flush of their
    /// own.
    pub mark_writes: u64,
    /// Flushes for segments made ahead and for the identity, beside the log.
    pub prepare_flushes: u64,
    /// Bytes of zeros written ahead.
    pub prepare_bytes: u64,
    /// Segments that came into use.
    pub segments_used: u64,
    /// Segments that nobody needed any more.
    pub segments_freed: u64,
    /// Freed files that became segments again.
    pub segments_recycled: u64,
    /// Device writes, each with its flush, of what was written again so that
    /// segments become free. Not among `log_writes`.
    pub move_writes: u64,
    /// Bytes of those, padding included.
    pub move_bytes: u64,
    /// Batches that had to wait for space to be prepared.
    pub space_waits: u64,
    /// Batches refused because the disk was full.
    pub no_space: u64,
    /// Reads of entries that had left memory.
    pub cold_reads: u64,
    /// Bytes that those read.
    pub cold_read_bytes: u64,
    /// Snapshots that were finished.
    pub snapshots_written: u64,
    /// Bytes of snapshot files written, padding included.
    pub snapshot_bytes: u64,
    /// Flushes of snapshot files and of their names, beside the log.
    pub snapshot_flushes: u64,
}
