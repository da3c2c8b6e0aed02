//! Cold reads: entries that left memory come from disk.
//!
//! Most reads never come here: entries are kept in memory until every live
//! member has them. A read scans the span of its first entry, frame by frame,
//! verifying block checksums, stamps, places, and each entry's own checksum
//! (rule 11). It takes what it finds there; the caller asks on for more.
//!
//! Reads run beside writes: a span in the index is durable and never written
//! again.

use crate::block::Kind;
use crate::disk::Disk;
use crate::error::Damage;
use crate::index::Span;
use crate::names;
use crate::record::{Record, RecordError};
use crate::scan::{Frame, Scan, offset_of};
use crate::segment;
use crate::shard_log::Shared;
use raftlet::StorageError;
use raftlet::core::{Chunk, Entries, GroupId, Index, Seal};

/// Bytes read at a time: a read of this size takes about twice as long as one
/// of 4 KiB, and a span is about as long.
const READ_BYTES: usize = 256 << 10;

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
        let (seal, span, active_file) = {
            let state = self.state.borrow();
            let index = state.groups.get(&group).ok_or_else(|| missing.clone())?;
            let span = index.find(first).ok_or_else(|| missing.clone())?;
            let active = &state.active;
            let file = (active.number == span.segment).then(|| active.file.clone());
            (Seal::new(group, index.generation), span, file)
        };
        let name = names::segment_name(span.segment);
        let file = match active_file {
            Some(file) => file,
            None => self.disk.open(&name).await.map_err(|error| unreadable(&error))?,
        };
        let incarnation = self.home.identity().incarnation;
        let stamp = segment::stamp(incarnation, self.sizes.shard, span.segment);
        let mut scan = Scan::new(&self.disk, file, &name, stamp, READ_BYTES);
        let wanted = Wanted { group, seal, first, last: last.min(span.last), bytes_max };
        let found = collect(&mut scan, &span, &wanted).await;
        let mut state = self.state.borrow_mut();
        state.counters.cold_reads += 1;
        state.counters.cold_read_bytes += scan.bytes_read;
        let found = found?;
        if found.is_empty() {
            return Err(missing);
        }
        Ok(found)
    }
}

#[derive(Debug)]
struct Wanted {
    group: GroupId,
    seal: Seal,
    first: Index,
    last: Index,
    bytes_max: usize,
}

/// Scans a span until enough is found.
async fn collect<D: Disk>(
    scan: &mut Scan<D>,
    span: &Span,
    wanted: &Wanted,
) -> Result<Entries, StorageError> {
    let mut found = Entries::none();
    let mut at = span.block;
    while at < span.end {
        let frame = scan.frame(at).await.map_err(|error| unreadable(&error))?;
        let Some(frame) = frame.filter(|frame| frame.header.kind == Kind::Frame) else {
            let what = "a frame that was durable cannot be read".to_owned();
            return Err(damaged(scan, at, wanted.group, what));
        };
        for chunk in frame_chunks(scan, at, &frame, wanted)? {
            if !take(&mut found, &chunk, wanted) {
                return Ok(found);
            }
        }
        at = frame.end;
    }
    Ok(found)
}

/// What a frame leaves of the group's entries: the last version of each.
fn frame_chunks<D: Disk>(
    scan: &Scan<D>,
    at: u32,
    frame: &Frame,
    wanted: &Wanted,
) -> Result<Vec<Chunk>, StorageError> {
    let mut chunks: Vec<Chunk> = Vec::new();
    for record in frame.payload.records() {
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
                chunks.retain(|chunk| chunk.first() < from);
                if let Some(cut) = chunks.last().and_then(|chunk| chunk.until(from.previous())) {
                    chunks.pop();
                    chunks.push(cut);
                }
            }
            Record::Entries { group, first, len, bytes } if group == wanted.group => {
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
