//! Reading a segment block by block, in large reads and fixed memory.
//!
//! A [`Scan`] holds one buffer, a few more where it reads ahead, and the payload
//! of one frame. What cannot be read at once is read block by block, if that is
//! asked for: disks, and file systems with checksums, report rot as a failed read of
//! all that was wanted. It only tells what is there; what that means is judged by
//! `recovery.rs` at start and by `read.rs` afterwards.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;

use bytes::Bytes;

use crate::begun::{Begun, ReadResult};
use crate::block::{self, BLOCK_BYTES, Header, Kind, PAYLOAD_BYTES, UNREADABLE_BYTE, Verdict};
use crate::disk::buffer::Buffer;
use crate::disk::{Disk, DiskError};
use crate::frame::{FRAME_BLOCKS_MAX, Payload};
use crate::width::{u32_from, u64_from, usize_from};

/// Reads under way while what was read before is looked at. With one, a machine
/// that is busy with other things keeps either the reader or the one who looks
/// waiting for its turn at every read; a few of them average that out.
const AHEAD_LEN: usize = 4;

/// Blocks of one file that the device may be unable to give back. Rot comes in a
/// few places; a device with more of them is dying, and each takes it seconds.
const UNREADABLE_MAX: usize = 64;

/// The byte at which a block starts.
pub(crate) fn offset_of(block: u32) -> u64 {
    u64::from(block) * u64_from(BLOCK_BYTES)
}

/// A frame or mark that was read whole.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) header: Header,
    /// The first block behind it.
    pub(crate) end: u32,
    pub(crate) payload: Payload,
}

/// Reads one segment.
#[derive(Debug)]
pub(crate) struct Scan<D: Disk> {
    disk: D,
    file: D::File,
    name: String,
    stamp: u64,
    buffer: Option<Buffer>,
    read_bytes: usize,
    /// Nothing from this block on is read.
    limit: u32,
    /// The first block in the buffer, and how many whole ones it has.
    start: u32,
    held: u32,
    /// Blocks that one read takes; more with each, up to all of the buffer.
    step: u32,
    /// The next reads in order, under way while what was read is looked at.
    ahead: VecDeque<Ahead>,
    /// Where there is nothing more to read ahead; 0 for who reads nothing ahead.
    ahead_until: u32,
    /// The buffers that are not in use.
    spares: Vec<Buffer>,
    /// Bytes read so far, for the report.
    pub(crate) bytes_read: u64,
    is_bearing: bool,
    /// Blocks that the device cannot give back.
    unreadable: BTreeMap<u32, DiskError>,
}

/// A read that was begun before it is needed.
#[derive(Debug)]
struct Ahead {
    at: u32,
    /// The first block behind it.
    end: u32,
    reading: Begun,
}

impl<D: Disk> Scan<D> {
    /// Reads `read_bytes` at a time.
    pub(crate) fn new(disk: &D, file: D::File, name: &str, stamp: u64, read_bytes: usize) -> Self {
        Self {
            disk: disk.clone(),
            file,
            name: name.to_owned(),
            stamp,
            buffer: None,
            read_bytes,
            limit: u32::MAX,
            start: 0,
            held: 0,
            step: u32::MAX,
            ahead: VecDeque::new(),
            ahead_until: 0,
            spares: Vec::new(),
            bytes_read: 0,
            is_bearing: false,
            unreadable: BTreeMap::new(),
        }
    }

    /// Bears with some blocks that the device cannot give back.
    pub(crate) fn bearing(mut self) -> Self {
        self.is_bearing = true;
        self
    }

    /// Begins with reads of so many blocks and doubles them: for whoever is likely
    /// to find all in the first.
    pub(crate) fn growing_from(mut self, blocks: u32) -> Self {
        self.step = blocks;
        self
    }

    /// Begins the next reads while the one before is looked at: for whoever reads
    /// on to the end, which is at byte `end`.
    pub(crate) fn ahead(mut self, end: u64) -> Self {
        self.ahead_until = u32::try_from(end / u64_from(BLOCK_BYTES)).unwrap_or(u32::MAX);
        self
    }

    /// Reads nothing from block `limit` on, and into a buffer that is at hand.
    pub(crate) fn within(mut self, limit: u32, buffer: Option<Buffer>) -> Self {
        self.limit = limit;
        self.buffer = buffer;
        self
    }

    /// For a reader that goes on where it ended, and has blocks up to `limit` to
    /// read now: ahead from here on, in reads of full size.
    pub(crate) fn go_on_within(&mut self, limit: u32) {
        self.limit = limit;
        self.ahead_until = limit;
        self.step = u32::MAX;
    }

    /// Keeps no buffers that nothing is read into.
    pub(crate) fn rest(&mut self) {
        if self.ahead.is_empty() {
            self.spares = Vec::new();
        }
    }

    /// Gives the buffer up, for the next scan.
    pub(crate) fn into_buffer(self) -> Option<Buffer> {
        self.buffer
    }

    pub(crate) fn file(&self) -> &D::File {
        &self.file
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The block at this place; `None` where the file ends before its end.
    pub(crate) async fn block(&mut self, at: u32) -> Result<Option<&[u8]>, DiskError> {
        let is_held = at >= self.start && at - self.start < self.held;
        if !is_held {
            self.fill(at).await?;
        }
        let buffer = self.buffer.as_ref().map(Buffer::bytes).unwrap_or_default();
        if self.held == 0 {
            return Ok(None);
        }
        let offset = usize_from(u64::from(at - self.start)) * BLOCK_BYTES;
        Ok(buffer.get(offset..offset + BLOCK_BYTES))
    }

    async fn fill(&mut self, at: u32) -> Result<(), DiskError> {
        self.held = 0;
        self.spares.extend(self.buffer.take());
        let (buffer, read) = match self.take_ahead(at) {
            Some(reading) => reading.ended().await,
            None => {
                // A reader may go on a little before what is read ahead.
                let until = self.ahead.front().map_or(self.limit, |next| next.at);
                self.read(at, until).await
            }
        };
        let (buffer, read) = match read {
            Err(error) if self.is_bearing && error.is_of_medium => {
                self.read_apart(at, buffer, error).await
            }
            read => (buffer, read),
        };
        let wanted = buffer.len();
        self.buffer = Some(buffer);
        self.step = self.step.saturating_mul(2);
        let read = read?;
        self.bytes_read += u64_from(read);
        self.start = at;
        self.held = u32_from(read / BLOCK_BYTES);
        if read == wanted {
            self.read_ahead(at + self.held).await;
        }
        Ok(())
    }

    /// Reads block by block what cannot be read at once. Where nothing can, it is
    /// not a block that is bad.
    async fn read_apart(&mut self, at: u32, mut buffer: Buffer, error: DiskError) -> ReadResult {
        let blocks = u32_from(buffer.len() / BLOCK_BYTES);
        let mut one = Buffer::zeroed(BLOCK_BYTES);
        let mut done = 0;
        let mut has_any = blocks == 1;
        for (block, into) in (at..).zip(buffer.bytes_mut().chunks_exact_mut(BLOCK_BYTES)) {
            let (read, result) = self.disk.read_at(&self.file, offset_of(block), one).await;
            one = read;
            match result {
                Ok(bytes) => {
                    into.copy_from_slice(one.bytes());
                    has_any = true;
                    done += bytes;
                    if bytes < BLOCK_BYTES {
                        break;
                    }
                }
                Err(error) if error.is_of_medium && self.unreadable.len() < UNREADABLE_MAX => {
                    into.fill(UNREADABLE_BYTE);
                    self.unreadable.insert(block, error);
                    done += BLOCK_BYTES;
                }
                Err(error) => return (buffer, Err(error)),
            }
        }
        (buffer, if has_any { Ok(done) } else { Err(error) })
    }

    /// Why a block cannot be read.
    pub(crate) fn why(&self, at: u32) -> Option<&DiskError> {
        self.unreadable.get(&at)
    }

    /// What an operator should know of the device.
    pub(crate) fn complaint(&self) -> Option<String> {
        let (_, first) = self.unreadable.first_key_value()?;
        let count = self.unreadable.len();
        Some(format!(
            "{count} of the blocks of {} cannot be read: {first}; see to the device before there \
             are more",
            self.name
        ))
    }

    /// The read that was begun from block `at` on. What is read ahead for another
    /// place is given up, unless that is right behind.
    fn take_ahead(&mut self, at: u32) -> Option<Begun> {
        let next = self.ahead.front()?.at;
        if next == at {
            return self.ahead.pop_front().map(|ahead| ahead.reading);
        }
        let is_near = at < next && usize_from(offset_of(next - at)) <= self.read_bytes;
        if !is_near {
            self.ahead.clear();
        }
        None
    }

    /// Reads from block `at` to `until`, into a buffer that is at hand. The read is
    /// begun when this is first polled.
    fn read(&mut self, at: u32, until: u32) -> impl Future<Output = ReadResult> + 'static + use<D> {
        let mut buffer = self.spares.pop().unwrap_or_else(|| Buffer::zeroed(self.read_bytes));
        let wanted = usize_from(offset_of(until.saturating_sub(at).min(self.step)));
        buffer.set_len(buffer.capacity().min(wanted));
        let (disk, file) = (self.disk.clone(), self.file.clone());
        async move { disk.read_at(&file, offset_of(at), buffer).await }
    }

    /// Sees to it that enough reads are under way, of which the first is from
    /// block `at` on.
    async fn read_ahead(&mut self, at: u32) {
        let step = u32_from(self.read_bytes / BLOCK_BYTES);
        while self.ahead.len() < AHEAD_LEN {
            let at = self.ahead.back().map_or(at, |last| last.end);
            if at >= self.ahead_until {
                return;
            }
            let end = at.saturating_add(step).min(self.limit);
            let reading = Begun::begin(self.read(at, end)).await;
            self.ahead.push_back(Ahead { at, end, reading });
        }
    }

    /// What stands at this place; `None` beyond the end of the file.
    pub(crate) async fn judge(&mut self, at: u32) -> Result<Option<Verdict>, DiskError> {
        let stamp = self.stamp;
        let Some(block) = self.block(at).await? else {
            return Ok(None);
        };
        let verdict = block::judge(block, stamp, at);
        let is_read = verdict != Verdict::Garbled || !self.unreadable.contains_key(&at);
        Ok(Some(if is_read { verdict } else { Verdict::Unreadable }))
    }

    /// The first whole frame or mark behind block `at` and before `limit` that comes
    /// after frame `number`, and its block.
    pub(crate) async fn next_whole(
        &mut self,
        at: u32,
        number: u64,
        limit: u32,
    ) -> Result<Option<(u32, Frame)>, DiskError> {
        for at in at + 1..limit {
            let Some(verdict) = self.judge(at).await? else {
                break;
            };
            if let Verdict::Valid(header) = verdict
                && header.frame > number
                && header.index == 0
                && let Some(frame) = self.frame(at).await?
            {
                return Ok(Some((at, frame)));
            }
        }
        Ok(None)
    }

    /// The frame or mark that starts here, when all of it is valid.
    pub(crate) async fn frame(&mut self, at: u32) -> Result<Option<Frame>, DiskError> {
        let stamp = self.stamp;
        let mut gathered = Vec::new();
        let mut first: Option<Header> = None;
        let mut index = 0u16;
        loop {
            let place = at + u32::from(index);
            let Some(block) = self.block(place).await? else {
                return Ok(None);
            };
            let Verdict::Valid(header) = block::judge(block, stamp, place) else {
                return Ok(None);
            };
            let opener = *first.get_or_insert(header);
            let belongs = header.frame == opener.frame
                && header.kind == opener.kind
                && header.index == index
                && header.blocks == opener.blocks
                && usize::from(header.blocks) <= FRAME_BLOCKS_MAX;
            if !belongs || !matches!(header.kind, Kind::Frame | Kind::Mark) {
                return Ok(None);
            }
            // At once for all of the frame: at most 8 MiB, and it was written.
            if index == 0 {
                gathered.reserve_exact(usize::from(header.blocks) * PAYLOAD_BYTES);
            }
            gathered.extend_from_slice(block::payload(block, &header));
            index += 1;
            if index == opener.blocks {
                let payload = Payload::parse(Bytes::from(gathered));
                return Ok(payload.map(|payload| Frame {
                    header: opener,
                    end: at + u32::from(index),
                    payload,
                }));
            }
        }
    }
}
