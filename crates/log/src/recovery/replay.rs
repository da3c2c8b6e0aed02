//! Replays the segments in order and rebuilds the index: whole frames one after
//! another, around those that are lost, to the tail.
//!
//! Not here: what a frame does (`recovery/cursor.rs`).

use crate::block::{BLOCK_BYTES, Kind};
use crate::directory::Directory;
use crate::disk::Disk;
use crate::error::{Damage, OpenError};
use crate::index::{FrameAt, Groups};
use crate::record::{Ending, Link};
use crate::recovery::chain::{Chain, Linked, Listing};
use crate::recovery::cursor::Cursor;
use crate::recovery::losses::{Gap, Harmed};
use crate::recovery::tail::{self, Tail};
use crate::recovery::{Place, READ_BYTES, RecoveryReport, SegmentRef, TailState, damaged, echo_in};
use crate::remembered::Remembered;
use crate::scan::{Frame, Scan, offset_of};
use crate::segment::FIRST_BLOCK;
use crate::width::u64_from;

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
    pub(crate) harmed: Vec<Harmed>,
    pub(crate) has_unknown_losses: bool,
    pub(crate) remembered: Remembered,
}

/// Replays all segments.
pub(crate) async fn replay<D: Disk>(
    place: &Place<D>,
    chain: &Chain,
    listing: &Listing,
    report: &mut RecoveryReport,
) -> Result<Replayed<D>, OpenError> {
    let remembered = Remembered::up_to(place.sizes.replay_bytes);
    let mut cursor = Cursor { remembered, ..Cursor::default() };
    if let Some(link) = chain.segments.first().and_then(Linked::link) {
        // What came before is not needed any more.
        cursor.last_frame = link.last_frame;
    }
    let mut replayed = Replayed {
        groups: Groups::default(),
        segments: Vec::new(),
        newest_file: None,
        last_frame: 0,
        directory: Directory::default(),
        ending: Ending::First,
        passed_over: None,
        harmed: Vec::new(),
        has_unknown_losses: false,
        remembered: Remembered::default(),
    };
    for (at, linked) in chain.segments.iter().enumerate() {
        let mut scan =
            place.scan(linked.number, linked.bytes, READ_BYTES).await?.ahead(linked.bytes);
        let successor = chain.segments.get(at + 1);
        cursor.has_records = false;
        let did = cursor.did.clone();
        let start = match linked.first {
            Some((link, first_frame)) => {
                check_first(&mut scan, (&link, first_frame), &cursor).await?;
                FIRST_BLOCK
            }
            None => find_first(&mut scan, linked, at == 0, &mut cursor, report).await?,
        };
        match successor.map(Linked::link) {
            Some(Some(link)) => {
                let end = (link.end_block, link.last_frame);
                sealed(&mut scan, linked, (start, end), &mut cursor, report).await?;
            }
            Some(None) => open_ended(&mut scan, linked, start, &mut cursor, report).await?,
            None => replayed.ending = newest(&mut scan, linked, start, &mut cursor, report).await?,
        }
        note_reading(&scan, report);
        if successor.is_none() {
            report.last_run = linked.run;
            if let Some(link) = linked.link()
                && !cursor.has_records
                && report.garbled_blocks == 0
            {
                replayed.ending = link.ending;
                replayed.passed_over = Some(linked.number);
                cursor.last_frame = link.last_frame;
                cursor.did = did;
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
    cursor.attribute(None, report);
    replayed.harmed = cursor.harmed(&listing.snapshots);
    replayed.has_unknown_losses = cursor.losses.is_inexact;
    replayed.remembered = cursor.remembered;
    replayed.groups = cursor.groups;
    replayed.last_frame = cursor.last_frame;
    replayed.directory = cursor.did.directory();
    Ok(replayed)
}

/// What was read of a segment, and what the device could not give back.
fn note_reading<D: Disk>(scan: &Scan<D>, report: &mut RecoveryReport) {
    report.bytes_read += scan.bytes_read;
    report.warnings.extend(scan.complaint());
}

/// A segment starts with the frame behind the last one that its link counts.
async fn check_first<D: Disk>(
    scan: &mut Scan<D>,
    (link, first_frame): (&Link, u64),
    cursor: &Cursor,
) -> Result<(), OpenError> {
    let is_next = first_frame == cursor.last_frame + 1;
    if is_next && link.last_frame == cursor.last_frame {
        return Ok(());
    }
    let what = format!(
        "it starts with frame {first_frame} behind frame {}, but the log before it ends with \
         frame {}",
        link.last_frame, cursor.last_frame
    );
    Err(damaged(scan, FIRST_BLOCK, first_frame, what).await)
}

/// Where a segment goes on whose first frame is lost, and with it what that
/// said of the segment before.
async fn find_first<D: Disk>(
    scan: &mut Scan<D>,
    linked: &Linked,
    is_oldest: bool,
    cursor: &mut Cursor,
    report: &mut RecoveryReport,
) -> Result<u32, OpenError> {
    let Some((block, frame)) =
        scan.next_whole(FIRST_BLOCK, 0, u32::MAX).await.map_err(OpenError::Unreadable)?
    else {
        // Its successor tells how far it went.
        return Ok(FIRST_BLOCK);
    };
    let last = frame.header.frame - 1;
    if is_oldest {
        // More than one block may have held more than one frame: then the echo
        // behind them does not tell of all.
        let is_one = block == FIRST_BLOCK + 1;
        cursor.last_frame = last.saturating_sub(if is_one { 1 } else { 2 });
    }
    if cursor.next_frame() > last {
        let what = format!(
            "its first frame cannot be read, and frame {} behind it does not follow from the \
             log before it, which ends with frame {}",
            frame.header.frame, cursor.last_frame
        );
        return Err(damaged(scan, FIRST_BLOCK, last, what).await);
    }
    lose(scan, linked, (cursor, report), (FIRST_BLOCK, last));
    at_mark(&frame, block, cursor, report);
    Ok(block)
}

/// A segment whose end nobody tells, since its successor lost its first frame:
/// whatever frames there are. What is missing behind them is missed by number.
async fn open_ended<D: Disk>(
    scan: &mut Scan<D>,
    linked: &Linked,
    start: u32,
    cursor: &mut Cursor,
    report: &mut RecoveryReport,
) -> Result<(), OpenError> {
    let mut at = start;
    loop {
        let number = cursor.next_frame();
        let found = scan.frame(at).await.map_err(OpenError::Unreadable)?;
        if let Some(frame) = expected(found, number) {
            cursor.take(scan, linked.number, at, &frame, report)?;
            at = frame.end;
            continue;
        }
        let Some((block, frame)) =
            scan.next_whole(at, number, u32::MAX).await.map_err(OpenError::Unreadable)?
        else {
            cursor.end = at;
            return Ok(());
        };
        lose(scan, linked, (cursor, report), (at, frame.header.frame - 1));
        at = block;
        at_mark(&frame, at, cursor, report);
    }
}

/// A mark behind lost frames tells what the last of them did.
fn at_mark(frame: &Frame, at: u32, cursor: &mut Cursor, report: &mut RecoveryReport) {
    if frame.header.kind == Kind::Mark {
        cursor.attribute(echo_in(frame).as_ref(), report);
        cursor.end = at;
    }
}

/// A segment whose end its successor knows: whole up to there.
async fn sealed<D: Disk>(
    scan: &mut Scan<D>,
    linked: &Linked,
    (start, (end, last_frame)): (u32, (u32, u64)),
    cursor: &mut Cursor,
    report: &mut RecoveryReport,
) -> Result<(), OpenError> {
    let mut at = start;
    while at < end {
        let number = cursor.next_frame();
        let found = scan.frame(at).await.map_err(OpenError::Unreadable)?;
        let frame = match expected(found, number) {
            Some(frame) => frame,
            None => match scan.next_whole(at, number, end).await.map_err(OpenError::Unreadable)? {
                Some((block, frame)) if frame.header.frame <= last_frame => {
                    lose(scan, linked, (cursor, report), (at, frame.header.frame - 1));
                    at = block;
                    frame
                }
                _ if number <= last_frame => {
                    lose(scan, linked, (cursor, report), (at, last_frame));
                    cursor.end = end;
                    return Ok(());
                }
                _ => break,
            },
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
    start: u32,
    cursor: &mut Cursor,
    report: &mut RecoveryReport,
) -> Result<Ending, OpenError> {
    let mut at = start;
    let tail = loop {
        let number = cursor.next_frame();
        let found = scan.frame(at).await.map_err(OpenError::Unreadable)?;
        if let Some(frame) = &found {
            check_extent(scan, linked, frame)?;
        }
        if let Some(frame) = expected(found, number) {
            cursor.take(scan, linked.number, at, &frame, report)?;
            at = frame.end;
            continue;
        }
        let damage = match tail::judge(scan, at, number).await {
            Err(OpenError::Damaged(damage)) => damage,
            judged => break judged?,
        };
        // Frames are lost. A whole one behind them, or a mark, tells which.
        let Some((block, frame)) =
            scan.next_whole(at, number, u32::MAX).await.map_err(OpenError::Unreadable)?
        else {
            return Err(OpenError::Damaged(damage));
        };
        check_extent(scan, linked, &frame)?;
        lose(scan, linked, (cursor, report), (at, frame.header.frame - 1));
        at = block;
        at_mark(&frame, at, cursor, report);
    };
    let had_part = !cursor.held_back.is_empty();
    report.garbled_blocks = tail.garbled_blocks;
    let part_blocks = cursor.held_back.first().map_or(0, |held| at - held.at.block);
    report.trimmed_blocks = tail.torn_blocks + u64::from(part_blocks);
    cursor.held_back.clear();
    report.tail = state(&tail, had_part);
    Ok(match report.tail {
        TailState::Torn => Ending::Torn,
        TailState::New | TailState::Marked | TailState::Ambiguous => Ending::Stopped,
    })
}

/// Notes that the frames from block `at` on are lost, up to this one.
fn lose<D: Disk>(
    scan: &Scan<D>,
    linked: &Linked,
    (cursor, report): (&mut Cursor, &mut RecoveryReport),
    (at, last): (u32, u64),
) {
    let first = cursor.next_frame();
    cursor.settle_held(scan, report);
    cursor.lose(Gap {
        first,
        last,
        at: FrameAt { segment: linked.number, frame: last, block: at, end: at },
        file: scan.name().to_owned(),
        offset: offset_of(at),
    });
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
