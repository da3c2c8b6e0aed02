//! Replays the segments in order and rebuilds the index.
//!
//! Records of a batch are held back until its last frame was read, so that a
//! batch counts whole or not at all.

use bytes::Bytes;

use crate::block::{BLOCK_BYTES, Kind};
use crate::directory::Directory;
use crate::disk::Disk;
use crate::error::{Affected, Damage, OpenError};
use crate::index::{FrameAt, Groups, Misfit};
use crate::record::{Ending, Item, Record};
use crate::recovery::chain::{Chain, Linked};
use crate::recovery::tail::{self, Tail};
use crate::recovery::{
    Place, READ_BYTES, RecoveryReport, SegmentRef, TailState, damaged, misfit, unreadable_record,
};
use crate::scan::{Frame, Scan, offset_of};
use crate::segment::FIRST_BLOCK;
use crate::width::u64_from;
use raftlet::core::{Chunk, Generation, GroupId, Index, LogId, Seal};

/// The state at the end of the log.
#[derive(Debug)]
pub(crate) struct Replayed<D: Disk> {
    pub(crate) groups: Groups,
    pub(crate) segments: Vec<SegmentRef>,
    pub(crate) newest_file: Option<D::File>,
    pub(crate) last_frame: u64,
    pub(crate) directory: Directory,
    pub(crate) ending: Ending,
    /// The newest segment, when it holds nothing that counts but its link: the
    /// next segment passes over it and says again what that link said.
    pub(crate) passed_over: Option<u64>,
}

/// Where the log ends so far: behind the last whole batch.
#[derive(Debug, Default)]
struct Cursor {
    groups: Groups,
    /// The last frame that counts, and what it did.
    last_frame: u64,
    directory: Directory,
    /// The first block behind it.
    end: u32,
    /// Records of a batch that is not whole yet.
    held_back: Vec<(Item, FrameAt)>,
    /// Whether this segment holds a record that counts.
    has_records: bool,
}

/// Replays all segments.
pub(crate) async fn replay<D: Disk>(
    place: &Place<D>,
    chain: &Chain,
    report: &mut RecoveryReport,
) -> Result<Replayed<D>, OpenError> {
    let mut cursor = Cursor::default();
    if let Some(oldest) = chain.segments.first() {
        // What came before is not needed any more.
        cursor.last_frame = oldest.link.last_frame;
    }
    let mut replayed = Replayed {
        groups: Groups::new(),
        segments: Vec::new(),
        newest_file: None,
        last_frame: 0,
        directory: Directory::default(),
        ending: Ending::First,
        passed_over: None,
    };
    for (at, linked) in chain.segments.iter().enumerate() {
        let mut scan = place.scan(linked.number, linked.bytes, READ_BYTES).await?;
        let successor = chain.segments.get(at + 1);
        check_first(&mut scan, linked, &cursor).await?;
        cursor.has_records = false;
        match successor {
            Some(successor) => sealed(&mut scan, linked, successor, &mut cursor, report).await?,
            None => replayed.ending = newest(&mut scan, linked, &mut cursor, report).await?,
        }
        report.bytes_read += scan.bytes_read;
        if successor.is_none() {
            report.last_run = linked.run;
            if !cursor.has_records && report.garbled_blocks == 0 {
                replayed.ending = linked.link.ending;
                replayed.passed_over = Some(linked.number);
                cursor.last_frame = linked.link.last_frame;
                break;
            }
        }
        report.segments += 1;
        replayed.segments.push(SegmentRef {
            number: linked.number,
            end: cursor.end,
            is_self_contained: linked.is_self_contained,
        });
        replayed.newest_file = Some(scan.file().clone());
    }
    complete(&mut cursor.groups)?;
    replayed.groups = cursor.groups;
    replayed.last_frame = cursor.last_frame;
    replayed.directory = cursor.directory;
    Ok(replayed)
}

/// A segment starts with the frame behind the last one that its link counts.
async fn check_first<D: Disk>(
    scan: &mut Scan<D>,
    linked: &Linked,
    cursor: &Cursor,
) -> Result<(), OpenError> {
    let is_next = linked.first_frame == cursor.last_frame + 1;
    if is_next && linked.link.last_frame == cursor.last_frame {
        return Ok(());
    }
    let what = format!(
        "it starts with frame {} behind frame {}, but the log before it ends with frame {}",
        linked.first_frame, linked.link.last_frame, cursor.last_frame
    );
    Err(damaged(scan, FIRST_BLOCK, linked.first_frame, what).await)
}

/// A segment whose end its successor knows: whole up to there.
async fn sealed<D: Disk>(
    scan: &mut Scan<D>,
    linked: &Linked,
    successor: &Linked,
    cursor: &mut Cursor,
    report: &mut RecoveryReport,
) -> Result<(), OpenError> {
    let (end, last_frame) = (successor.link.end_block, successor.link.last_frame);
    let mut at = FIRST_BLOCK;
    while at < end {
        let number = cursor.last_frame + 1 + held_frames(cursor);
        let frame = scan.frame(at).await.map_err(OpenError::Unreadable)?;
        let Some(frame) = expected(frame, number) else {
            let what = format!("frame {number} cannot be read");
            return Err(damaged(scan, at, number, what).await);
        };
        cursor.take(scan, linked.number, at, &frame, report)?;
        at = frame.end;
    }
    if at != end || cursor.last_frame != last_frame || !cursor.held_back.is_empty() {
        let what = format!("it does not end with frame {last_frame} before block {end}");
        return Err(damaged(scan, at.min(end), last_frame, what).await);
    }
    Ok(())
}

/// The newest segment: whole frames, then the tail.
async fn newest<D: Disk>(
    scan: &mut Scan<D>,
    linked: &Linked,
    cursor: &mut Cursor,
    report: &mut RecoveryReport,
) -> Result<Ending, OpenError> {
    let mut at = FIRST_BLOCK;
    loop {
        let number = cursor.last_frame + 1 + held_frames(cursor);
        let found = scan.frame(at).await.map_err(OpenError::Unreadable)?;
        if let Some(frame) = &found {
            check_extent(scan, linked, frame)?;
        }
        let Some(frame) = expected(found, number) else {
            break;
        };
        cursor.take(scan, linked.number, at, &frame, report)?;
        at = frame.end;
    }
    let number = cursor.last_frame + 1 + held_frames(cursor);
    let tail = tail::judge(scan, at, number).await?;
    let had_part = !cursor.held_back.is_empty();
    report.garbled_blocks = tail.garbled_blocks;
    let part_blocks = cursor.held_back.first().map_or(0, |(_, first)| at - first.block);
    report.trimmed_blocks = tail.torn_blocks + u64::from(part_blocks);
    cursor.held_back.clear();
    report.tail = state(&tail, had_part);
    Ok(match report.tail {
        TailState::Torn => Ending::Torn,
        TailState::New | TailState::Marked | TailState::Ambiguous => Ending::Stopped,
    })
}

fn state(tail: &Tail, had_part: bool) -> TailState {
    if had_part || tail.torn_blocks > 0 || tail.garbled_blocks > 0 {
        TailState::Torn
    } else if tail.is_marked {
        TailState::Marked
    } else {
        TailState::Ambiguous
    }
}

fn expected(frame: Option<Frame>, number: u64) -> Option<Frame> {
    frame.filter(|frame| frame.header.kind == Kind::Frame && frame.header.frame == number)
}

/// Frames read of a batch that is not whole yet.
fn held_frames(cursor: &Cursor) -> u64 {
    cursor.held_back.last().map_or(0, |(_, at)| at.frame - cursor.last_frame)
}

/// A frame says how long the file was before it: a shorter one was cut.
fn check_extent<D: Disk>(scan: &Scan<D>, linked: &Linked, frame: &Frame) -> Result<(), OpenError> {
    let extent = u64::from(frame.payload.extent) * u64_from(BLOCK_BYTES);
    if linked.bytes >= extent {
        return Ok(());
    }
    Err(OpenError::Damaged(Box::new(Damage {
        file: scan.name().to_owned(),
        offset: linked.bytes,
        what: format!("the file ends here, though {extent} bytes of it were durable"),
        affected: Vec::new(),
    })))
}

impl Cursor {
    /// Takes a whole frame in.
    fn take<D: Disk>(
        &mut self,
        scan: &Scan<D>,
        segment: u64,
        block: u32,
        frame: &Frame,
        report: &mut RecoveryReport,
    ) -> Result<(), OpenError> {
        let at = FrameAt { segment, frame: frame.header.frame, block, end: frame.end };
        report.frames += 1;
        let before = self.held_back.len();
        for record in frame.payload.records() {
            let record = record.map_err(|error| unreadable_record(scan, block, error))?;
            if let Some(item) = self.verify(scan, block, record)? {
                self.held_back.push((item, at));
            }
        }
        if frame.payload.is_continued {
            if self.held_back.len() == before {
                let what = "a frame without records says that more follow".to_owned();
                return Err(OpenError::Damaged(Box::new(Damage {
                    file: scan.name().to_owned(),
                    offset: offset_of(block),
                    what,
                    affected: Vec::new(),
                })));
            }
            return Ok(());
        }
        self.settle(scan, at)
    }

    /// Entries become chunks only when every checksum holds.
    fn verify<D: Disk>(
        &self,
        scan: &Scan<D>,
        block: u32,
        record: Record,
    ) -> Result<Option<Item>, OpenError> {
        Ok(match record {
            Record::Link(_) | Record::Echo(_) => None,
            Record::Group { group, generation } => Some(Item::Group { group, generation }),
            Record::HardState { group, state } => Some(Item::HardState { group, state }),
            Record::Truncate { group, from } => Some(Item::Truncate { group, from }),
            Record::Compact { group, base } => Some(Item::Compact { group, base }),
            Record::Snapshot { group, last } => Some(Item::Snapshot { group, last }),
            Record::State { group, state } => Some(Item::State { group, state }),
            Record::Damage { group, harm } => Some(Item::Damage { group, harm }),
            Record::Refilled { group } => Some(Item::Refilled { group }),
            Record::Entries { group, first, len, bytes } => {
                let chunk = self.verified(scan, block, group, (first, len), bytes)?;
                Some(Item::Entries { group, chunk })
            }
            Record::Moved { group, first, len, bytes } => {
                let chunk = self.verified(scan, block, group, (first, len), bytes)?;
                Some(Item::Moved { group, chunk })
            }
        })
    }

    fn verified<D: Disk>(
        &self,
        scan: &Scan<D>,
        block: u32,
        group: GroupId,
        (first, len): (LogId, u32),
        bytes: Bytes,
    ) -> Result<Chunk, OpenError> {
        self.chunk(group, (first, len), bytes).map_err(|what| {
            let last = Index::new(first.index.get().saturating_add(u64::from(len))).previous();
            OpenError::Damaged(Box::new(Damage {
                file: scan.name().to_owned(),
                offset: offset_of(block),
                what,
                affected: vec![Affected {
                    group,
                    entries: Some((first.index, last)),
                    hard_state: false,
                }],
            }))
        })
    }

    fn chunk(&self, group: GroupId, at: (LogId, u32), bytes: Bytes) -> Result<Chunk, String> {
        let begun = self.held_back.iter().rev().find_map(|(item, _)| match item {
            Item::Group { group: other, generation } if *other == group => Some(*generation),
            Item::State { group: other, state } if *other == group => Some(state.generation),
            _ => None,
        });
        let known = self.groups.get(&group).map(|known| known.generation);
        let generation: Generation = begun
            .or(known)
            .ok_or_else(|| format!("group {group} has entries before its first record"))?;
        let (first, len) = at;
        Chunk::decode(Seal::new(group, generation), first, len, bytes)
            .map_err(|error| error.to_string())
    }

    /// A batch is whole: it counts.
    fn settle<D: Disk>(&mut self, scan: &Scan<D>, last: FrameAt) -> Result<(), OpenError> {
        self.directory.clear();
        self.has_records |= !self.held_back.is_empty();
        for (item, at) in std::mem::take(&mut self.held_back) {
            if at.frame == last.frame {
                item.note(&mut self.directory);
            }
            let group = item.group();
            apply(&mut self.groups, &item, &at)
                .map_err(|error| misfit(scan, at.block, group, error))?;
        }
        self.last_frame = last.frame;
        self.end = last.end;
        Ok(())
    }
}

/// All of each group must be there.
fn complete(groups: &mut Groups) -> Result<(), OpenError> {
    for (group, index) in groups {
        if let Some(hole) = index.complete() {
            return Err(OpenError::Damaged(Box::new(Damage {
                file: crate::names::segment_name(index.state_segment),
                offset: 0,
                what: format!("group {group} has an entry {hole} that no segment holds"),
                affected: vec![Affected {
                    group: *group,
                    entries: Some((hole, index.last)),
                    hard_state: false,
                }],
            })));
        }
    }
    Ok(())
}

/// Follows one record, when it is replayed and when it was written.
pub(crate) fn apply(groups: &mut Groups, item: &Item, at: &FrameAt) -> Result<(), Misfit> {
    let group = groups.entry(item.group()).or_default();
    group.last_frame = at.frame;
    match item {
        Item::Group { generation, .. } => {
            group.state_segment = at.segment;
            group.begin(*generation)
        }
        Item::State { state, .. } => {
            group.restate(state)?;
            group.state_segment = at.segment;
            Ok(())
        }
        Item::Moved { chunk, .. } => group.relocate(chunk, at),
        Item::Damage { harm, .. } => {
            group.harm = *harm;
            harm.entries.map_or(Ok(()), |(first, _)| group.truncate(first))
        }
        Item::Refilled { .. } => {
            group.harm.entries = None;
            Ok(())
        }
        Item::HardState { state, .. } => group.vote(*state),
        Item::Truncate { from, .. } => group.truncate(*from),
        Item::Compact { base, .. } => group.compact(*base),
        Item::Snapshot { last, .. } => {
            group.snapshot = Some(*last);
            Ok(())
        }
        Item::Entries { chunk, .. } => group.append(chunk, at),
    }
}
