//! Snapshot files, as part of the port `Storage`.
//!
//! A snapshot is a machine's state behind a log id, in numbered chunks, with a
//! head that holds the library's own replicated state (rule 14). It becomes the
//! group's current one by a write that names it
//! ([`Compaction`](crate::port::Compaction)), never before (rule 12).
//!
//! Laws
//! 1. Chunks are numbered from 0 in the order of writing; each has a checksum of
//!    its own and is read back as it was written, or not at all (rule 11).
//! 2. A `write` whose future was dropped counts for nothing; the chunk may be
//!    written again. So may any chunk from `chunks_written` on after the sender
//!    was lost: an unfinished snapshot lives as long as its writer.
//! 3. After `finish` the file, its name and all of its bytes survive power loss.
//!    Only then may a write name it. It is kept until a later snapshot of its
//!    group becomes current, or the process ends.
//! 4. A writer that is dropped leaves nothing behind; what a killed process left
//!    is gone after the next start.
//! 5. A reader keeps what it reads: the snapshot stays readable until the reader
//!    is dropped, also when another one becomes current.
//! 6. A failure here is no failure of the log: the storage goes on.

use std::future::Future;

use bytes::Bytes;

use crate::port::StorageError;
use raftlet_core::{Index, LogId, crc32c};

/// Bytes of a chunk at most: what one transfer message carries, an eighth of a
/// frame of the log.
pub const SNAPSHOT_CHUNK_BYTES_MAX: usize = 1 << 20;
/// Chunks of a snapshot at most: 1 TiB of full ones. Their lengths and checksums
/// are kept in memory while it is read or written, 8 bytes each.
pub const SNAPSHOT_CHUNKS_MAX: u32 = 1 << 20;
/// Bytes of configuration and library state of one snapshot at most.
pub const SNAPSHOT_META_BYTES_MAX: usize = 16 << 20;

/// Sets chunk checksums apart from those of blocks and entries.
const CHUNK_SEED: u32 = 0x736e_6170;

/// What a snapshot says of itself, beside the machine's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The last entry whose effect it holds.
    pub last: LogId,
    /// Index of the configuration that was in force at `last`.
    pub configuration_index: Index,
    /// That configuration, encoded.
    pub configuration: Bytes,
    /// Log time at `last`, milliseconds (D12).
    pub log_time_ms: u64,
    /// The library's replicated state at `last`, such as the window that tells
    /// copies of forwarded proposals apart (rule 33). Opaque to storage.
    pub library: Bytes,
}

/// How much a snapshot holds, and a digest of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Bytes of all chunks.
    pub bytes: u64,
    /// How many chunks.
    pub chunks: u32,
    /// Of the chunks' lengths and checksums in order. The same chunks have the
    /// same digest on every member.
    pub digest: u64,
}

impl SnapshotInfo {
    /// Counts the next chunk in and gives its checksum.
    pub fn add(&mut self, chunk: &[u8]) -> u32 {
        let checksum = crc32c(CHUNK_SEED, chunk);
        self.add_known(u32::try_from(chunk.len()).unwrap_or(u32::MAX), checksum);
        checksum
    }

    /// Counts a chunk in of which length and checksum are known.
    pub fn add_known(&mut self, bytes: u32, checksum: u32) {
        self.bytes += u64::from(bytes);
        self.chunks += 1;
        let word = u64::from(bytes) << 32 | u64::from(checksum);
        // One to one in the word and in the digest so far, as `mix64` of the
        // core: two snapshots that differ in one chunk never end alike.
        let mixed = (self.digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.digest = mixed ^ mixed >> 32;
    }
}

/// Writes a snapshot. The laws are those of the module.
pub trait SnapshotWriter: 'static {
    /// How many chunks are written: the number of the next one.
    fn chunks_written(&self) -> u32;

    /// Writes the next chunk.
    ///
    /// # Errors
    /// [`StorageError::NoSpace`] and [`StorageError::Snapshot`]: the chunk is
    /// not written, and what is written stays.
    ///
    /// # Cancel safety
    /// Law 2.
    fn write(&mut self, chunk: Bytes) -> impl Future<Output = Result<(), StorageError>>;

    /// Makes the whole snapshot durable under its name.
    ///
    /// # Errors
    /// As of `write`; the snapshot is gone then.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it undecided; it must not be named, and is
    /// removed with the next one or at the next start.
    fn finish(self) -> impl Future<Output = Result<SnapshotInfo, StorageError>>;
}

/// Reads a snapshot. The laws are those of the module.
pub trait SnapshotReader: 'static {
    /// What it says of itself.
    fn meta(&self) -> &SnapshotMeta;

    /// How much it holds.
    fn info(&self) -> SnapshotInfo;

    /// Chunk `number`, verified.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] when it is not what was written,
    /// [`StorageError::Unreadable`], and [`StorageError::Snapshot`] when there
    /// is no such chunk.
    fn read_chunk(&self, number: u32) -> impl Future<Output = Result<Bytes, StorageError>>;

    /// Whoever reads will read all, chunk after chunk, as fast as it can, and nothing
    /// else goes on with its group meanwhile: a restore. What comes next may be read
    /// ahead. For others that would only be in the way of the log's writes. A hint; by
    /// default it does nothing.
    fn read_ahead(&self) {}
}

/// Writer and reader of a storage that keeps no snapshots: there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSnapshots {}

impl SnapshotWriter for NoSnapshots {
    fn chunks_written(&self) -> u32 {
        match *self {}
    }

    async fn write(&mut self, _: Bytes) -> Result<(), StorageError> {
        match *self {}
    }

    async fn finish(self) -> Result<SnapshotInfo, StorageError> {
        match self {}
    }
}

impl SnapshotReader for NoSnapshots {
    fn meta(&self) -> &SnapshotMeta {
        match *self {}
    }

    fn info(&self) -> SnapshotInfo {
        match *self {}
    }

    async fn read_chunk(&self, _: u32) -> Result<Bytes, StorageError> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::SnapshotInfo;

    fn of(chunks: &[&[u8]]) -> SnapshotInfo {
        let mut info = SnapshotInfo::default();
        for chunk in chunks {
            info.add(chunk);
        }
        info
    }

    #[test]
    fn a_digest_tells_content_order_and_borders_of_chunks_apart() {
        let info = of(&[b"ab", b"c"]);
        assert_eq!((info.bytes, info.chunks), (3, 2));
        for other in [of(&[b"a", b"bc"]), of(&[b"c", b"ab"]), of(&[b"abc"]), of(&[b"ab", b"d"])] {
            assert_ne!(other.digest, info.digest);
        }
        assert_eq!(of(&[b"ab", b"c"]), info);
    }
}
