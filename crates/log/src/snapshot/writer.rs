//! Writing a snapshot file: head, chunks as they come, table and trailer, then
//! its name.
//!
//! Chunks go to the device's cache in the background and are flushed every few
//! MiB, so that the end is no burst and appends of the log are not slowed. The
//! log's own write is never behind them.

use std::rc::Rc;

use bytes::{BufMut, Bytes};

use crate::block::BLOCK_BYTES;
use crate::disk::buffer::Buffer;
use crate::disk::{Disk, DiskError, Reach};
use crate::names;
use crate::reserve::Share;
use crate::shard_log::{Chore, Shared};
use crate::snapshot::{TABLE_NUMBER, Title, Trailer, encode_head, encode_slot, slot_bytes};
use crate::width::{u32_from, u64_from};
use raftlet::core::{GroupId, LogId};
use raftlet::{
    GroupInfo, SNAPSHOT_CHUNK_BYTES_MAX, SNAPSHOT_CHUNKS_MAX, SNAPSHOT_META_BYTES_MAX,
    SnapshotInfo, SnapshotMeta, SnapshotWriter, StorageError,
};

/// Bytes that gather before they are flushed: a few hundredths of a second of a
/// disk's time.
const FLUSH_BYTES: u64 = 4 << 20;

/// Writes one snapshot; what a dropped one wrote is removed.
#[derive(Debug)]
pub struct LogSnapshotWriter<D: Disk> {
    shared: Rc<Shared<D>>,
    title: Title,
    stamp: u64,
    file: D::File,
    part: String,
    info: SnapshotInfo,
    /// Length and checksum of each chunk.
    table: Vec<u8>,
    /// Where the next slot goes.
    offset: u64,
    unflushed: u64,
    /// A flush failed, or was given up: what is on the device is not known, and a
    /// second flush that succeeds would not tell (rule 9).
    is_undecided: bool,
    /// Left by the last write for the next one.
    buffer: Option<Buffer>,
    /// What it may have of the reserve.
    share: Share,
    is_named: bool,
}

impl<D: Disk> LogSnapshotWriter<D> {
    pub(crate) async fn create(
        shared: Rc<Shared<D>>,
        group: GroupInfo,
        meta: &SnapshotMeta,
    ) -> Result<Self, StorageError> {
        shared.check()?;
        let bytes = meta.configuration.len() + meta.library.len();
        if bytes > SNAPSHOT_META_BYTES_MAX {
            let detail = format!("its head of {bytes} bytes is above {SNAPSHOT_META_BYTES_MAX}");
            return Err(StorageError::Snapshot { group: group.group, detail });
        }
        shared.do_chores().await;
        let title = Title::new(&shared.home.identity(), shared.sizes.shard, group, meta.last);
        let nth = shared.state.borrow_mut().next_part();
        let part = names::part_name(group.group, meta.last, nth);
        let share = shared.share_of(group.group, meta.last);
        let file = loop {
            match shared.disk.create(&part).await {
                Err(error) if error.is_no_space() && shared.give_way(0, share).await => {}
                made => break made,
            }
        };
        let file = file.map_err(|error| shared.snapshot_failed(group.group, bytes, &error))?;
        let mut writer = Self {
            shared,
            title,
            stamp: title.stamp(),
            file,
            part,
            info: SnapshotInfo::default(),
            table: Vec::new(),
            offset: 0,
            unflushed: 0,
            is_undecided: false,
            buffer: None,
            share,
            is_named: false,
        };
        let head = encode_head(&title, meta);
        writer.put(head.len(), |bytes| bytes.copy_from_slice(&head)).await?;
        Ok(writer)
    }

    /// Writes the next `len` bytes, whole blocks, as `fill` makes them.
    async fn put(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<(), StorageError> {
        self.shared.check()?;
        self.check()?;
        let kept = self.buffer.take().filter(|buffer| buffer.capacity() >= len);
        let mut buffer = kept.unwrap_or_else(|| Buffer::zeroed(len));
        buffer.set_len(len);
        fill(buffer.bytes_mut());
        let reach = Reach::Background;
        let result = loop {
            let written = self.shared.disk.write_at(&self.file, self.offset, buffer, reach).await;
            let result = written.1;
            buffer = written.0;
            // It lets the log go, or takes its place: room was kept for it.
            let is_full = result.as_ref().is_err_and(DiskError::is_no_space);
            if !is_full || !self.shared.give_way(u64_from(len), self.share).await {
                break result;
            }
        };
        self.buffer = Some(buffer);
        result.map_err(|error| self.failed(len, &error))?;
        self.offset += u64_from(len);
        self.unflushed += u64_from(len);
        self.shared.state.borrow_mut().counters.snapshot_bytes += u64_from(len);
        if self.unflushed >= FLUSH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Once, and never again after one that failed.
    async fn flush(&mut self) -> Result<(), StorageError> {
        self.check()?;
        self.is_undecided = true;
        let flushed = self.shared.disk.flush(&self.file).await;
        flushed.map_err(|error| self.failed(0, &error))?;
        self.is_undecided = false;
        self.unflushed = 0;
        self.shared.state.borrow_mut().counters.snapshot_flushes += 1;
        Ok(())
    }

    fn check(&self) -> Result<(), StorageError> {
        if !self.is_undecided {
            return Ok(());
        }
        let detail = "a flush of it failed before; begin a new one".to_owned();
        Err(self.refused(detail))
    }

    fn failed(&self, bytes: usize, error: &DiskError) -> StorageError {
        self.shared.snapshot_failed(self.title.group.group, bytes, error)
    }

    fn refused(&self, detail: String) -> StorageError {
        StorageError::Snapshot { group: self.title.group.group, detail }
    }

    /// Table, trailer, flush, name.
    async fn complete(&mut self) -> Result<(), StorageError> {
        let table_offset = self.offset;
        let table = std::mem::take(&mut self.table);
        let stamp = self.stamp;
        let len = slot_bytes(table.len());
        self.put(len, |slot| encode_slot(slot, TABLE_NUMBER, stamp, &table)).await?;
        let file_bytes = self.offset + u64_from(BLOCK_BYTES);
        let trailer = Trailer { stamp, table_offset, info: self.info, file_bytes };
        self.put(BLOCK_BYTES, |block| trailer.encode(block)).await?;
        self.flush().await?;
        let (group, last) = (self.title.group.group, self.title.last);
        let name = names::snapshot_name(group, last);
        let renamed = self.shared.disk.rename(&self.part, &name).await;
        renamed.map_err(|error| self.failed(0, &error))?;
        // The directory is shared with the log: a name that may not be durable
        // there poisons (rules 9, 13).
        let synced = self.shared.disk.sync_dir().await;
        synced.map_err(|error| self.shared.poison(&error))?;
        self.is_named = true;
        let mut state = self.shared.state.borrow_mut();
        state.counters.snapshot_flushes += 1;
        state.on_snapshot_finished(group, last);
        state.on_snapshot_size(group, self.offset);
        drop(state);
        self.shared.bell.ring();
        Ok(())
    }
}

impl<D: Disk> Shared<D> {
    /// What a snapshot may have of the reserve: more where the log itself lacks
    /// what it covers.
    fn share_of(&self, group: GroupId, last: LogId) -> Share {
        let state = self.state.borrow();
        let is_held = state.groups.get(&group).is_some_and(|index| {
            index.base == last || index.term_at(last.index) == Some(last.term)
        });
        if is_held { Share::Quarter } else { Share::Eighth }
    }
}

impl<D: Disk> SnapshotWriter for LogSnapshotWriter<D> {
    fn chunks_written(&self) -> u32 {
        self.info.chunks
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), StorageError> {
        if chunk.len() > SNAPSHOT_CHUNK_BYTES_MAX {
            let detail =
                format!("a chunk of {} bytes is above {SNAPSHOT_CHUNK_BYTES_MAX}", chunk.len());
            return Err(self.refused(detail));
        }
        if self.info.chunks >= SNAPSHOT_CHUNKS_MAX {
            return Err(self.refused(format!("it has {SNAPSHOT_CHUNKS_MAX} chunks already")));
        }
        let (number, stamp) = (self.info.chunks, self.stamp);
        let offset = self.offset;
        let written = self.put(slot_bytes(chunk.len()), |slot| {
            encode_slot(slot, number, stamp, &chunk);
        });
        if let Err(error) = written.await {
            self.offset = offset;
            return Err(error);
        }
        let checksum = self.info.add(&chunk);
        self.table.put_u32_le(u32_from(chunk.len()));
        self.table.put_u32_le(checksum);
        Ok(())
    }

    async fn finish(mut self) -> Result<SnapshotInfo, StorageError> {
        self.complete().await?;
        Ok(self.info)
    }
}

impl<D: Disk> Drop for LogSnapshotWriter<D> {
    fn drop(&mut self) {
        if self.is_named {
            return;
        }
        let (group, last) = (self.title.group.group, self.title.last);
        let mut state = self.shared.state.borrow_mut();
        state.chores.push(Chore::Remove { name: std::mem::take(&mut self.part) });
        // It may have its name already, without anybody knowing.
        state.chores.push(Chore::RemoveSnapshot { group, last });
        drop(state);
        self.shared.bell.ring();
    }
}
