//! Reading the snapshot in use, chunk by chunk, each verified before it is
//! given out (rule 11).
//!
//! Opening reads the trailer, the table and the head; so length, count, digest
//! and owner are known to be right before the first chunk is asked for.
//!
//! Who reads on from chunk to chunk, as a restore does, finds the next ones read.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::{Buf, Bytes};

use crate::begun::{Begun, ReadResult};
use crate::block::BLOCK_BYTES;
use crate::disk::buffer::Buffer;
use crate::disk::{Disk, DiskError, FileInfo};
use crate::names;
use crate::shard_log::Shared;
use crate::snapshot::{
    HeadError, SLOT_HEADER_BYTES, SNAPSHOT_FORMAT_VERSION, TABLE_NUMBER, Title, Trailer,
    decode_head, decode_slot, head_bytes, slot_bytes,
};
use crate::width::{u64_from, usize_from};
use raftlet::core::{GroupId, LogId};
use raftlet::{
    SNAPSHOT_CHUNK_BYTES_MAX, SNAPSHOT_CHUNKS_MAX, SnapshotInfo, SnapshotMeta, SnapshotReader,
    StorageError,
};

/// Chunks that are read while the one before them is used: 4 MiB at most.
const AHEAD_LEN: usize = 4;

/// Reads one snapshot, which stays until the reader is dropped.
#[derive(Debug)]
pub struct LogSnapshotReader<D: Disk> {
    guard: Guard<D>,
    opened: Opened<D>,
    ahead: RefCell<Ahead>,
}

/// What is read for whoever reads on.
#[derive(Debug, Default)]
struct Ahead {
    /// Behind the chunk that was asked for last.
    next: u32,
    /// Reads from there on, in order, by number.
    reads: VecDeque<(u32, Begun)>,
}

impl Ahead {
    /// Chunk `number` is asked for: its read, if it was begun, and whether who
    /// asks reads on.
    fn take(&mut self, number: u32) -> (Option<Begun>, bool) {
        let goes_on = number == self.next;
        self.next = number.saturating_add(1);
        if !goes_on {
            self.reads.clear();
        }
        let first = self.reads.pop_front_if(|(first, _)| *first == number);
        (first.map(|(_, reading)| reading), goes_on)
    }

    /// The chunk that is to be read next, if enough are not yet.
    fn wanted(&self) -> Option<u32> {
        let next = self.reads.back().map_or(Some(self.next), |(last, _)| last.checked_add(1));
        next.filter(|_| self.reads.len() < AHEAD_LEN)
    }
}

/// Keeps the file.
#[derive(Debug)]
struct Guard<D: Disk> {
    shared: Rc<Shared<D>>,
    source: Source<D>,
}

impl<D: Disk> Guard<D> {
    fn new(shared: Rc<Shared<D>>, source: Source<D>) -> Self {
        shared.state.borrow_mut().add_reader(source.group, source.last);
        Self { shared, source }
    }
}

/// Where a snapshot is read from.
#[derive(Clone, Debug)]
pub(crate) struct Source<D: Disk> {
    pub(crate) disk: D,
    pub(crate) group: GroupId,
    pub(crate) last: LogId,
}

/// A snapshot whose head, table and trailer are sound.
#[derive(Debug)]
pub(crate) struct Opened<D: Disk> {
    file: D::File,
    stamp: u64,
    meta: SnapshotMeta,
    pub(crate) info: SnapshotInfo,
    /// Offset, length and checksum of each chunk.
    chunks: Vec<(u64, u32, u32)>,
}

impl<D: Disk> Source<D> {
    fn damaged(&self, offset: u64, what: &str) -> StorageError {
        let name = names::snapshot_name(self.group, self.last);
        let detail = format!("{name} at byte {offset}: {what}");
        StorageError::Damaged { group: self.group, detail }
    }

    fn unreadable(&self, error: &DiskError) -> StorageError {
        if error.kind == std::io::ErrorKind::NotFound {
            return self.damaged(0, "the file is missing");
        }
        StorageError::Unreadable { detail: error.to_string() }
    }

    /// `len` bytes from `offset` on, all of them.
    async fn read(&self, file: &D::File, offset: u64, len: usize) -> Result<Buffer, StorageError> {
        self.whole(offset, len, self.disk.read_at(file, offset, Buffer::zeroed(len)).await)
    }

    fn whole(
        &self,
        offset: u64,
        len: usize,
        (buffer, read): ReadResult,
    ) -> Result<Buffer, StorageError> {
        let read = read.map_err(|error| self.unreadable(&error))?;
        if read < len {
            return Err(self.damaged(offset, "the file ends too early"));
        }
        Ok(buffer)
    }

    /// There is no file: perhaps because it was found damaged before.
    fn missing(&self, listed: &[FileInfo]) -> StorageError {
        let condemned = names::condemned_name(self.group, self.last);
        if listed.iter().any(|file| file.name == condemned) {
            return self.damaged(0, &format!("it was found damaged, and is kept as {condemned}"));
        }
        self.damaged(0, "the file is missing")
    }

    /// What the head says, where that can be read: also that of a file which was
    /// put aside, of which mostly a chunk alone is damaged.
    pub(crate) async fn head(&self, title: Title) -> Option<SnapshotMeta> {
        for name in [names::snapshot_name, names::condemned_name] {
            let Ok(file) = self.disk.open(&name(self.group, self.last)).await else {
                continue;
            };
            if let Ok((meta, _)) = read_head(self, &file, &title).await {
                return Some(meta);
            }
        }
        None
    }

    /// Reads all but the chunks.
    pub(crate) async fn open(&self, title: Title) -> Result<Opened<D>, StorageError> {
        let name = names::snapshot_name(self.group, self.last);
        let listed = self.disk.list().await.map_err(|error| self.unreadable(&error))?;
        let found = listed.iter().find(|file| file.name == name);
        let bytes = found.ok_or_else(|| self.missing(&listed))?.bytes;
        let file = self.disk.open(&name).await.map_err(|error| self.unreadable(&error))?;
        let stamp = title.stamp();
        let trailer = read_trailer(self, &file, bytes, stamp).await?;
        let (meta, head_len) = read_head(self, &file, &title).await?;
        let chunks = read_table(self, &file, &trailer, head_len).await?;
        Ok(Opened { file, stamp, meta, info: trailer.info, chunks })
    }

    /// One chunk, verified.
    pub(crate) async fn chunk(
        &self,
        opened: &Opened<D>,
        number: u32,
    ) -> Result<Bytes, StorageError> {
        let reading = self.begin(opened, number).await;
        let reading = reading.ok_or_else(|| self.no_chunk(number))?;
        self.verified(opened, number, reading.ended().await)
    }

    /// Begins to read a chunk, if there is one of this number.
    async fn begin(&self, opened: &Opened<D>, number: u32) -> Option<Begun> {
        let (offset, bytes, _) = opened.about(number)?;
        let (disk, file) = (self.disk.clone(), opened.file.clone());
        let buffer = Buffer::zeroed(slot_bytes(usize_from(u64::from(bytes))));
        Some(Begun::begin(async move { disk.read_at(&file, offset, buffer).await }).await)
    }

    /// What a read of a chunk brought, if it is that.
    fn verified(
        &self,
        opened: &Opened<D>,
        number: u32,
        read: ReadResult,
    ) -> Result<Bytes, StorageError> {
        let (offset, bytes, checksum) =
            opened.about(number).ok_or_else(|| self.no_chunk(number))?;
        let len = usize_from(u64::from(bytes));
        let buffer = self.whole(offset, slot_bytes(len), read)?;
        let mut check = SnapshotInfo::default();
        let chunk = decode_slot(buffer.bytes(), number, opened.stamp);
        if chunk.is_none_or(|chunk| chunk.len() != len || check.add(chunk) != checksum) {
            return Err(self.damaged(offset, &format!("chunk {number} is damaged")));
        }
        // Where it lies in its slot.
        Ok(Bytes::from_owner(buffer).slice(SLOT_HEADER_BYTES..SLOT_HEADER_BYTES + len))
    }

    fn no_chunk(&self, number: u32) -> StorageError {
        let detail = format!("it has no chunk {number}");
        StorageError::Snapshot { group: self.group, detail }
    }
}

impl<D: Disk> Opened<D> {
    /// Offset, length and checksum of a chunk.
    fn about(&self, number: u32) -> Option<(u64, u32, u32)> {
        self.chunks.get(usize_from(u64::from(number))).copied()
    }
}

impl<D: Disk> Drop for Guard<D> {
    fn drop(&mut self) {
        let Source { group, last, .. } = self.source;
        self.shared.state.borrow_mut().remove_reader(group, last);
        self.shared.bell.ring();
    }
}

impl<D: Disk> LogSnapshotReader<D> {
    /// Opens the snapshot that the log names for this group.
    pub(crate) async fn open(
        shared: Rc<Shared<D>>,
        group: GroupId,
    ) -> Result<Option<Self>, StorageError> {
        let Some((source, title)) = shared.current_snapshot(group) else {
            return Ok(None);
        };
        let guard = Guard::new(shared, source);
        let opened = guard.source.open(title).await?;
        Ok(Some(Self { guard, opened, ahead: RefCell::default() }))
    }
}

impl<D: Disk> Source<D> {
    /// What the file says that it is.
    pub(crate) async fn title(&self) -> Result<Title, StorageError> {
        let name = names::snapshot_name(self.group, self.last);
        let file = self.disk.open(&name).await;
        let file = file.map_err(|error| StorageError::Unreadable { detail: error.to_string() })?;
        let mut buffer = self.read(&file, 0, BLOCK_BYTES).await?;
        let damaged = || self.damaged(0, "its head is damaged");
        let len = head_bytes(buffer.bytes()).ok_or_else(damaged)?;
        if len > BLOCK_BYTES {
            buffer = self.read(&file, 0, len).await?;
        }
        let (title, _) = decode_head(buffer.bytes()).map_err(|_| damaged())?;
        Ok(title)
    }
}

async fn read_trailer<D: Disk>(
    source: &Source<D>,
    file: &D::File,
    bytes: u64,
    stamp: u64,
) -> Result<Trailer, StorageError> {
    let block = u64_from(BLOCK_BYTES);
    let at = bytes.checked_sub(block).filter(|at| at.is_multiple_of(block));
    let at = at.ok_or_else(|| source.damaged(bytes, "the file has an impossible length"))?;
    let buffer = source.read(file, at, BLOCK_BYTES).await?;
    let trailer = Trailer::decode(buffer.bytes()).filter(|trailer| {
        let table = slot_bytes(table_bytes(trailer.info.chunks));
        trailer.stamp == stamp
            && trailer.file_bytes == bytes
            && trailer.info.chunks <= SNAPSHOT_CHUNKS_MAX
            && trailer.table_offset.checked_add(u64_from(table)) == Some(at)
    });
    trailer.ok_or_else(|| source.damaged(at, "it does not end with its trailer"))
}

fn table_bytes(chunks: u32) -> usize {
    usize_from(u64::from(chunks)) * 8
}

async fn read_head<D: Disk>(
    source: &Source<D>,
    file: &D::File,
    title: &Title,
) -> Result<(SnapshotMeta, usize), StorageError> {
    let damaged = || source.damaged(0, "its head is damaged");
    let mut buffer = source.read(file, 0, BLOCK_BYTES).await?;
    let len = head_bytes(buffer.bytes()).ok_or_else(damaged)?;
    if len > BLOCK_BYTES {
        buffer = source.read(file, 0, len).await?;
    }
    match decode_head(buffer.bytes()) {
        Ok((found, meta)) if found == *title => Ok((meta, len)),
        Ok(_) => Err(source.damaged(0, "it belongs to another directory, group or log id")),
        Err(HeadError::Damaged) => Err(damaged()),
        Err(HeadError::UnknownFormat(found)) => {
            let what = format!(
                "it has format version {found}, this program knows {SNAPSHOT_FORMAT_VERSION}"
            );
            Err(source.damaged(0, &what))
        }
    }
}

async fn read_table<D: Disk>(
    source: &Source<D>,
    file: &D::File,
    trailer: &Trailer,
    head_len: usize,
) -> Result<Vec<(u64, u32, u32)>, StorageError> {
    let at = trailer.table_offset;
    let damaged = || source.damaged(at, "its table of chunks is damaged");
    let wanted = table_bytes(trailer.info.chunks);
    let buffer = source.read(file, at, slot_bytes(wanted)).await?;
    let mut table = decode_slot(buffer.bytes(), TABLE_NUMBER, trailer.stamp)
        .filter(|table| table.len() == wanted)
        .ok_or_else(damaged)?;
    let mut chunks = Vec::with_capacity(usize_from(u64::from(trailer.info.chunks)));
    let mut info = SnapshotInfo::default();
    let mut offset = u64_from(head_len);
    while table.has_remaining() {
        let (bytes, checksum) = (table.get_u32_le(), table.get_u32_le());
        let len = usize_from(u64::from(bytes));
        if len > SNAPSHOT_CHUNK_BYTES_MAX {
            return Err(damaged());
        }
        chunks.push((offset, bytes, checksum));
        info.add_known(bytes, checksum);
        offset += u64_from(slot_bytes(len));
    }
    if info != trailer.info || offset != at {
        return Err(damaged());
    }
    Ok(chunks)
}

impl<D: Disk> SnapshotReader for LogSnapshotReader<D> {
    fn meta(&self) -> &SnapshotMeta {
        &self.opened.meta
    }

    fn info(&self) -> SnapshotInfo {
        self.opened.info
    }

    async fn read_chunk(&self, number: u32) -> Result<Bytes, StorageError> {
        let (source, opened) = (&self.guard.source, &self.opened);
        let (begun, goes_on) = self.ahead.borrow_mut().take(number);
        let reading = match begun {
            Some(reading) => reading,
            None => {
                let reading = source.begin(opened, number).await;
                reading.ok_or_else(|| source.no_chunk(number))?
            }
        };
        let read = reading.ended().await;
        let wanted = || self.ahead.borrow().wanted();
        while goes_on && let Some(next) = wanted() {
            let Some(reading) = source.begin(opened, next).await else {
                break;
            };
            self.ahead.borrow_mut().reads.push_back((next, reading));
        }
        source.verified(opened, number, read)
    }
}
