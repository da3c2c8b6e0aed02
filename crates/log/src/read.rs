//! Cold reads: entries that left memory come from disk.
//!
//! Entries are kept in memory until every live member has them, so most reads
//! are those of a start, which applies the log from disk. A read scans the spans
//! of what is wanted, frame by frame, verifying block checksums, stamps, places,
//! and each entry's own checksum (rule 11). It takes what it finds in one
//! segment; the caller asks on for more.
//!
//! What recovery has read last it has kept (`remembered.rs`): there a read finds
//! frames without the device, and verifies what it takes out of them.
//!
//! Reads run beside writes: a span in the index is durable and never written
//! again.
//!
//! Who reads on, as an applier behind a start does, finds the next blocks read:
//! the scan of a read is kept, and from the second read in a row on it reads
//! ahead, while what was found is applied. One is kept: many readers in turn
//! read no further than they ask. So is the frame that a read ended in, taken
//! apart: one that pipelined writes filled holds several batches of an applier,
//! and would be read and verified anew for each.

use crate::block::{BLOCK_BYTES, Kind};
use crate::disk::Disk;
use crate::error::Damage;
use crate::frame::Payload;
use crate::index::spans::Span;
use crate::kept::{Kept, TakenApart};
use crate::names;
use crate::record::{Record, RecordError};
use crate::scan::{Scan, offset_of};
use crate::segment;
use crate::shard_log::Shared;
use crate::width::{u32_from, u64_from};
use raftlet::StorageError;
use raftlet::core::{Chunk, Entries, GroupId, Index, Seal};

/// Bytes read at a time, at most: the device's full speed, and what an applier
/// takes at once. A shorter stretch of spans takes one shorter read.
const READ_BYTES: usize = 1 << 20;

impl<D: Disk> Shared<D> {
    /// Entries from `first` up to `last`, at least one.
    pub(crate) async fn read_entries(
        &self,
        group: GroupId,
        first: Index,
        last: Index,
        bytes_max: usize,
    ) -> Result<Entries, StorageError> {
        let missing = StorageError::Missing { group, index: first };
        let wanted_blocks = u32_from(bytes_max.min(READ_BYTES).div_ceil(BLOCK_BYTES));
        let (seal, spans, active_file, kept, end) = {
            let mut state = self.state.borrow_mut();
            let index = state.groups.get(&group).ok_or_else(|| missing.clone())?;
            let spans = index.spans.stretch(first, last, wanted_blocks);
            let seal = Seal::new(group, index.generation);
            let active = &state.active;
            let is_active = spans.first().is_some_and(|span| span.segment == active.number);
            let file = is_active.then(|| active.file.clone());
            let end = spans.first().map_or(0, |start| index.spans.end_in(start.segment));
            (seal, spans, file, state.kept_read.take(), end)
        };
        let (Some(start), Some(wanted_end)) = (spans.first(), spans.last()) else {
            return Err(missing);
        };
        let _reading = Reading::start(self, start.segment);
        let going_on = (group, start.segment, first);
        let mut frame = None;
        let mut scan = match kept {
            Some(Kept { reader, mut scan, frame: ended_in }) if reader == going_on => {
                frame = ended_in;
                scan.go_on_within(end);
                scan
            }
            kept => {
                let buffer = kept.and_then(|kept| kept.scan.into_buffer());
                let buffer = buffer.filter(|buffer| buffer.capacity() == READ_BYTES);
                let scan = self.scan_segment(start.segment, active_file).await?;
                scan.within(wanted_end.end, buffer).growing_from(wanted_blocks + SLACK_BLOCKS)
            }
        };
        let bytes_before = scan.bytes_read;
        let wanted = Wanted { group, seal, first, last, bytes_max };
        let found = self.gather(&mut scan, &spans, &wanted, &mut frame).await;
        let mut state = self.state.borrow_mut();
        state.counters.cold_reads += 1;
        state.counters.cold_read_bytes += scan.bytes_read - bytes_before;
        let found = found?;
        let Some(last) = found.last() else {
            return Err(missing);
        };
        scan.rest();
        let next = last.index.next();
        // A frame in which nothing more is: the next one comes next, and nothing is
        // kept for this one.
        let ended_at = match &frame {
            Some(frame) if frame.last() < next => frame.end,
            Some(frame) => frame.at,
            None => start.block,
        };
        let frame = frame.filter(|frame| frame.last() >= next);
        state.kept_read = Some(Kept { reader: (group, start.segment, next), scan, frame });
        if let Some(index) = state.groups.get_mut(&group) {
            index.spans.ended_at(next, start.segment, ended_at);
        }
        Ok(found)
    }

    async fn scan_segment(
        &self,
        segment: u64,
        active_file: Option<D::File>,
    ) -> Result<Scan<D>, StorageError> {
        let name = names::segment_name(segment);
        let file = match active_file {
            Some(file) => file,
            None => self.disk.open(&name).await.map_err(|error| unreadable(&error))?,
        };
        let incarnation = self.home.identity().incarnation;
        let stamp = segment::stamp(incarnation, self.sizes.shard, segment);
        Ok(Scan::new(&self.disk, file, &name, stamp, READ_BYTES))
    }
}

/// Blocks that the first read takes beyond what is asked for: the frame that ends
/// it may begin before, and others share it.
const SLACK_BLOCKS: u32 = 16;

/// Keeps a segment's file from being used again.
struct Reading<'a, D: Disk> {
    shared: &'a Shared<D>,
    segment: u64,
}

impl<'a, D: Disk> Reading<'a, D> {
    fn start(shared: &'a Shared<D>, segment: u64) -> Self {
        *shared.state.borrow_mut().readers.entry(segment).or_default() += 1;
        Self { shared, segment }
    }
}

impl<D: Disk> Drop for Reading<'_, D> {
    fn drop(&mut self) {
        let mut state = self.shared.state.borrow_mut();
        if let Some(count) = state.readers.get_mut(&self.segment) {
            *count -= 1;
            if *count == 0 {
                state.readers.remove(&self.segment);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    group: GroupId,
    seal: Seal,
    first: Index,
    last: Index,
    bytes_max: usize,
}

impl<D: Disk> Shared<D> {
    /// Scans spans until enough is found; leaves the frame at which it ended.
    async fn gather(
        &self,
        scan: &mut Scan<D>,
        spans: &[Span],
        wanted: &Wanted,
        frame: &mut Option<TakenApart>,
    ) -> Result<Entries, StorageError> {
        let mut found = Entries::none();
        for span in spans {
            // What a frame holds behind the span's end was replaced.
            let of_span = Wanted { last: wanted.last.min(span.last), ..*wanted };
            if !self.gather_span(scan, span, &of_span, &mut found, frame).await? {
                break;
            }
        }
        Ok(found)
    }

    /// Takes what is wanted of one span; `false` when there is enough.
    async fn gather_span(
        &self,
        scan: &mut Scan<D>,
        span: &Span,
        wanted: &Wanted,
        found: &mut Entries,
        ended_in: &mut Option<TakenApart>,
    ) -> Result<bool, StorageError> {
        let mut at = span.block;
        while at < span.end {
            let known = ended_in.take().filter(|frame| frame.at == at);
            let frame = match known {
                Some(frame) => frame,
                None => self.take_apart(scan, (span.segment, at), wanted).await?,
            };
            let frame = ended_in.insert(frame);
            for chunk in &frame.chunks {
                // Moved entries may share a frame with newer ones.
                if chunk.last() < span.first || chunk.first() > span.last {
                    continue;
                }
                if !take(found, chunk, wanted) {
                    // The end of the span is not the end of what is wanted.
                    return Ok(found.last().is_some_and(|last| last.index == span.last));
                }
            }
            at = frame.end;
        }
        Ok(true)
    }

    /// Reads and verifies the frame at a block of a segment.
    async fn take_apart(
        &self,
        scan: &mut Scan<D>,
        (segment, at): (u64, u32),
        wanted: &Wanted,
    ) -> Result<TakenApart, StorageError> {
        let remembered = self.state.borrow().remembered.find((segment, at));
        if let Some((payload, end)) = remembered {
            let chunks = frame_chunks(scan, at, &payload, wanted)?;
            let bytes = chunks.iter().map(|chunk| u64_from(chunk.bytes().len())).sum();
            self.state.borrow_mut().remembered.on_read((segment, at), bytes);
            return Ok(TakenApart { at, end, chunks });
        }
        let frame = scan.frame(at).await.map_err(|error| unreadable(&error))?;
        let Some(frame) = frame.filter(|frame| frame.header.kind == Kind::Frame) else {
            let what = "a frame that was durable cannot be read".to_owned();
            return Err(damaged(scan, at, wanted.group, what));
        };
        let chunks = frame_chunks(scan, at, &frame.payload, wanted)?;
        Ok(TakenApart { at, end: frame.end, chunks })
    }
}

/// What a frame leaves of the group's entries: the last version of each.
fn frame_chunks<D: Disk>(
    scan: &Scan<D>,
    at: u32,
    payload: &Payload,
    wanted: &Wanted,
) -> Result<Vec<Chunk>, StorageError> {
    let mut chunks: Vec<Chunk> = Vec::new();
    for record in payload.records() {
        let record = record.map_err(|error| {
            let what = match error {
                RecordError::Malformed => "a record does not end where it says".to_owned(),
                RecordError::UnknownKind(kind) => format!("a record of unknown kind {kind}"),
            };
            damaged(scan, at, wanted.group, what)
        })?;
        match record {
            Record::Group { group, .. } if group == wanted.group => chunks.clear(),
            Record::Truncate { group, from } if group == wanted.group => {
                let kept = chunks.drain(..).filter(|chunk| chunk.first() < from);
                chunks = kept.filter_map(|chunk| chunk.until(from.previous())).collect();
            }
            Record::Entries { group, first, len, bytes }
            | Record::Moved { group, first, len, bytes }
                if group == wanted.group =>
            {
                let chunk = Chunk::decode(wanted.seal, first, len, bytes)
                    .map_err(|error| damaged(scan, at, group, error.to_string()))?;
                chunks.push(chunk);
            }
            _ => {}
        }
    }
    Ok(chunks)
}

/// Appends the wanted part of a chunk; `false` when there is enough.
fn take(found: &mut Entries, chunk: &Chunk, wanted: &Wanted) -> bool {
    let next = found.last().map_or(wanted.first, |last| last.index.next());
    let part = chunk
        .from(next)
        .and_then(|chunk| chunk.until(wanted.last))
        .filter(|chunk| chunk.first() == next);
    let Some(part) = part else {
        // Before what is wanted: go on; behind it: enough.
        return chunk.last() < next;
    };
    let left = wanted.bytes_max.saturating_sub(found.bytes_len());
    if !found.is_empty() && left == 0 {
        return false;
    }
    let head = part.head_within(left);
    if !found.is_empty() && head.bytes().len() > left {
        return false;
    }
    let is_all = head.last() == part.last();
    let is_end = head.last() >= wanted.last;
    found.push(head);
    is_all && !is_end
}

fn damaged<D: Disk>(scan: &Scan<D>, block: u32, group: GroupId, what: String) -> StorageError {
    let damage = Damage {
        file: scan.name().to_owned(),
        offset: offset_of(block),
        what,
        affected: Vec::new(),
    };
    StorageError::Damaged { group, detail: damage.to_string() }
}

fn unreadable(error: &crate::disk::DiskError) -> StorageError {
    StorageError::Unreadable { detail: error.to_string() }
}
