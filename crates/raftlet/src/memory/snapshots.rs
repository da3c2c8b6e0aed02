//! Snapshots of the storage in memory: what a write names is shared with its
//! readers by reference count.

use std::rc::Rc;

use bytes::Bytes;

use crate::memory::disk::{Flaw, HeldSnapshot, SharedDisk, unreadable};
use crate::port::{
    GroupInfo, SNAPSHOT_CHUNK_BYTES_MAX, SNAPSHOT_CHUNKS_MAX, SnapshotInfo, SnapshotMeta,
    SnapshotReader, SnapshotWriter, StorageError,
};
use raftlet_core::GroupId;

/// Writes a snapshot into memory.
#[derive(Debug)]
pub struct MemorySnapshotWriter {
    disk: SharedDisk,
    held: HeldSnapshot,
    _begun: Begun,
}

/// Counts a snapshot while it is being written.
#[derive(Debug)]
struct Begun(SharedDisk);

impl Begun {
    fn new(disk: &SharedDisk) -> Self {
        disk.cell.with(|disk| disk.begun += 1);
        Self(disk.clone())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.cell.with(|disk| disk.begun -= 1);
    }
}

impl MemorySnapshotWriter {
    pub(crate) fn new(disk: SharedDisk, group: GroupInfo, meta: SnapshotMeta) -> Self {
        let held = HeldSnapshot { group, meta, info: SnapshotInfo::default(), chunks: Vec::new() };
        Self { _begun: Begun::new(&disk), disk, held }
    }
}

impl SnapshotWriter for MemorySnapshotWriter {
    fn chunks_written(&self) -> u32 {
        self.held.info.chunks
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), StorageError> {
        let group = self.held.group.group;
        if chunk.len() > SNAPSHOT_CHUNK_BYTES_MAX {
            return Err(failed(group, format!("a chunk of {} bytes is too large", chunk.len())));
        }
        if self.held.info.chunks >= SNAPSHOT_CHUNKS_MAX {
            return Err(failed(group, format!("it has {SNAPSHOT_CHUNKS_MAX} chunks already")));
        }
        self.disk.take_time().await;
        self.disk.check_writable(chunk.len())?;
        self.held.info.add(&chunk);
        self.held.chunks.push(chunk);
        Ok(())
    }

    async fn finish(self) -> Result<SnapshotInfo, StorageError> {
        self.disk.take_time().await;
        self.disk.check_writable(0)?;
        let info = self.held.info;
        self.disk.keep(self.held);
        Ok(info)
    }
}

/// Reads a snapshot from memory.
#[derive(Debug)]
pub struct MemorySnapshotReader {
    disk: SharedDisk,
    held: Rc<HeldSnapshot>,
}

impl MemorySnapshotReader {
    pub(crate) fn new(disk: SharedDisk, held: Rc<HeldSnapshot>) -> Self {
        Self { disk, held }
    }
}

impl SnapshotReader for MemorySnapshotReader {
    fn meta(&self) -> &SnapshotMeta {
        &self.held.meta
    }

    fn info(&self) -> SnapshotInfo {
        self.held.info
    }

    async fn read_chunk(&self, number: u32) -> Result<Bytes, StorageError> {
        self.disk.take_time().await;
        self.disk.check_readable()?;
        let group = self.held.group.group;
        let flaw = self.disk.cell.with(|disk| disk.groups.get(&group).map(|held| held.flaw));
        match flaw {
            Some(Flaw::Chunk(flawed)) if flawed == number => return Err(damaged(group)),
            Some(Flaw::Worn(flawed)) if flawed == number => return Err(unreadable()),
            _ => {}
        }
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let missing = || failed(self.held.group.group, format!("it has no chunk {number}"));
        self.held.chunks.get(at).cloned().ok_or_else(missing)
    }
}

pub(crate) fn damaged(group: GroupId) -> StorageError {
    StorageError::Damaged { group, detail: "its snapshot in memory".to_owned() }
}

pub(crate) fn failed(group: GroupId, detail: String) -> StorageError {
    StorageError::Snapshot { group, detail }
}
