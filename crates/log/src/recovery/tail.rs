//! What lies behind the last whole frame of the newest segment?
//!
//! | found there                                     | verdict               |
//! |-------------------------------------------------|-----------------------|
//! | a valid block that proves the next frame durable | damage               |
//! | a valid block for another place                  | damage (misdirected) |
//! | a valid block older than the next frame          | damage (misdirected) |
//! | the mark behind the last frame                   | tail proven          |
//! | valid blocks of the next frame, but not all      | torn                 |
//! | neither old nor new bytes                        | torn, garbled        |
//! | zeros, blocks of another file                    | nothing              |
//! | a block that the device cannot give back         | unreadable, unless   |
//! |                                                  | the tail is proven   |
//!
//! All of the rest of the file is read: a proof may lie anywhere.

use crate::block::{Header, Kind, Verdict};
use crate::disk::Disk;
use crate::error::OpenError;
use crate::record::RecordError;
use crate::recovery::{damaged, unreadable_record};
use crate::scan::Scan;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    /// A mark proves the last frame durable.
    pub(crate) is_marked: bool,
    /// Valid blocks of a write that did not end.
    pub(crate) torn_blocks: u64,
    /// Blocks that are neither old nor new.
    pub(crate) garbled_blocks: u64,
    /// Whole blocks of other segments: space that was used before.
    pub(crate) stranger_blocks: u64,
}

/// Judges everything from block `start` on, where frame `number` would be.
pub(crate) async fn judge<D: Disk>(
    scan: &mut Scan<D>,
    start: u32,
    number: u64,
) -> Result<Tail, OpenError> {
    let mut tail = Tail::default();
    let mut at = start;
    let mut unread = None;
    while let Some(verdict) = scan.judge(at).await.map_err(OpenError::Unreadable)? {
        match verdict {
            Verdict::Valid(Header { kind: Kind::Unknown(kind), .. }) => {
                return Err(unreadable_record(scan, at, RecordError::UnknownKind(kind)));
            }
            Verdict::Valid(header) if header.proves() >= number => {
                let what = format!(
                    "frame {number} cannot be read, but a block at {} proves that it was durable",
                    crate::scan::offset_of(at)
                );
                return Err(damaged(scan, start, number, what).await);
            }
            Verdict::Valid(header) if header.frame == number => match header.kind {
                Kind::Mark if at == start => tail.is_marked = true,
                _ => tail.torn_blocks += 1,
            },
            Verdict::Valid(_) | Verdict::Misplaced(_) => {
                let what = "a block stands here that was written for another place".to_owned();
                return Err(damaged(scan, at, number, what).await);
            }
            // A mark that stands proves that no frame was begun over it.
            Verdict::Unreadable if tail.is_marked => tail.garbled_blocks += 1,
            Verdict::Unreadable => unread = unread.or(Some(at)),
            Verdict::Garbled => tail.garbled_blocks += 1,
            Verdict::Stranger => tail.stranger_blocks += 1,
            Verdict::Blank => {}
        }
        at += 1;
    }
    match unread.and_then(|at| scan.why(at)) {
        Some(error) => Err(OpenError::Unreadable(error.clone())),
        None => Ok(tail),
    }
}
