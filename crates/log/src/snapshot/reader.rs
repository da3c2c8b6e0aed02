//! Reading the snapshot in use, chunk by chunk, each verified before it is
//! given out (rule 11).
//!
//! Opening reads the trailer, the table and the head; so length, count, digest
//! and owner are known to be right before the first chunk is asked for.
//!
//! Who reads on from chunk to chunk, as a restore does, finds the next ones read
//! (`snapshot/stretch.rs`).

use std::cell::RefCell;
use std::rc::Rc;

use bytes::{Buf, Bytes};

use crate::begun::Begun;
use crate::block::BLOCK_BYTES;
use crate::disk::buffer::Buffer;
use crate::disk::{Disk, DiskError, FileInfo};
use crate::names;
use crate::shard_log::Shared;
use crate::snapshot::stretch::{Reads, Stretch, cut};
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

/// Reads one snapshot, which stays until the reader is dropped.
#[derive(Debug)]
pub struct LogSnapshotReader<D: Disk> {
    guard: Guard<D>,
    opened: Opened<D>,
    reads: RefCell<Reads>,
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
        let (buffer, read) = self.disk.read_at(file, offset, Buffer::zeroed(len)).await;
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
        let (offset, bytes) = opened.slot(number).ok_or_else(|| self.no_chunk(number))?;
        let slot = self.read(&opened.file, offset, bytes).await?;
        self.verified(opened, number, &Bytes::from_owner(slot))
    }

    /// What a slot carries, if that is the chunk of this number.
    fn verified(
        &self,
        opened: &Opened<D>,
        number: u32,
        slot: &Bytes,
    ) -> Result<Bytes, StorageError> {
        let (offset, bytes, checksum) =
            opened.about(number).ok_or_else(|| self.no_chunk(number))?;
        let len = usize_from(u64::from(bytes));
        let mut check = SnapshotInfo::default();
        let chunk = decode_slot(slot, number, opened.stamp);
        if chunk.is_none_or(|chunk| chunk.len() != len || check.add(chunk) != checksum) {
            return Err(self.damaged(offset, &format!("chunk {number} is damaged")));
        }
        // Where it lies in its slot.
        Ok(slot.slice(SLOT_HEADER_BYTES..SLOT_HEADER_BYTES + len))
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

    /// Where a chunk's slot stands, and how many bytes it takes there.
    fn slot(&self, number: u32) -> Option<(u64, usize)> {
        let (offset, bytes, _) = self.about(number)?;
        Some((offset, slot_bytes(usize_from(u64::from(bytes)))))
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
        let ahead = shared.ahead.clone();
        let guard = Guard::new(shared, source);
        let opened = guard.source.open(title).await?;
        Ok(Some(Self { guard, opened, reads: RefCell::new(Reads::new(ahead)) }))
    }

    /// Reads the slot of a chunk, and for who reads on those behind it.
    async fn fetch(&self, number: u32, goes_on: bool) -> Result<Bytes, StorageError> {
        let source = &self.guard.source;
        let missing = || source.no_chunk(number);
        let slot = self.opened.slot(number).ok_or_else(missing)?;
        let begun = self.reads.borrow_mut().begun(number);
        let stretch = match begun {
            Some(begun) => begun,
            None => {
                let wanted = self.reads.borrow().from(number, goes_on, |at| self.opened.slot(at));
                self.begin(wanted.ok_or_else(missing)?).await
            }
        };
        let Stretch { place, .. } = &stretch;
        let (chunks, start) = (place.chunks.clone(), place.offset);
        let (stretch, (buffer, read)) = stretch.ended().await;
        if goes_on {
            self.read_on(chunks.end).await;
        }
        match read {
            Ok(bytes) => {
                let read = Bytes::from_owner(buffer);
                let read = read.slice(..bytes.min(read.len()));
                self.reads.borrow_mut().keep(stretch.with(|()| read.clone()));
                let short = || source.damaged(slot.0, "the file ends too early");
                cut(&read, start, slot).ok_or_else(short)
            }
            // What cannot be read may be of another chunk.
            Err(_) if chunks.len() > 1 => {
                let alone = source.read(&self.opened.file, slot.0, slot.1).await?;
                Ok(Bytes::from_owner(alone))
            }
            Err(error) => Err(source.unreadable(&error)),
        }
    }

    /// Begins to read what is wanted behind chunk `end`.
    async fn read_on(&self, end: u32) {
        let wanted = || self.reads.borrow().wanted(end, |at| self.opened.slot(at));
        while let Some(next) = wanted() {
            let begun = self.begin(next).await;
            self.reads.borrow_mut().push(begun);
        }
    }

    async fn begin(&self, wanted: Stretch<()>) -> Stretch<Begun> {
        let (disk, file) = (self.guard.source.disk.clone(), self.opened.file.clone());
        let offset = wanted.place.offset;
        let buffer = Buffer::zeroed(wanted.place.bytes);
        let read = Begun::begin(async move { disk.read_at(&file, offset, buffer).await }).await;
        wanted.with(|()| read)
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
        let goes_on = self.reads.borrow_mut().turn_to(number);
        let current = self.reads.borrow().current();
        let held = current.zip(opened.slot(number));
        let held = held.and_then(|((read, start), slot)| cut(&read, start, slot));
        let slot = match held {
            Some(slot) => slot,
            None => self.fetch(number, goes_on).await?,
        };
        source.verified(opened, number, &slot)
    }

    fn read_ahead(&self) {
        self.reads.borrow_mut().read_ahead();
    }
}
