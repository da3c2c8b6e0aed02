//! What survived? Reads a log from its newest segment back to its oldest, then
//! replays it in order.
//!
//! Input: the files of a directory and the identity that it claims. Output:
//! the state of every group, or the one reason why this log must not be used.
//! Changes nothing on disk; what makes the judgement permanent is the link in
//! the first segment of the new run (`open.rs`).
//!
//! Steps: list and read the heads (`recovery/chain.rs`), find the newest
//! segment with a whole first frame and follow links back, replay forward with
//! every checksum verified (`recovery/replay.rs`, `recovery/cursor.rs`,
//! `recovery/together.rs`), judge the tail
//! (`recovery/tail.rs`).
//!
//! Lost frames harm the groups that they held records of, and no others
//! (`recovery/loss.rs`), and so do records that contradict each other
//! (`recovery/contradiction.rs`); what cannot be attributed, and what is not a log
//! of this directory, refuses the whole.
//!
//! Torn or damaged? One write is in flight at most, so any valid block written
//! after a frame proves that the frame was durable. If frame n cannot be read
//! and such a proof exists, n was acknowledged: damage, an error. If none
//! exists in all that is left of the newest segment, n was the write in flight:
//! torn, trimmed. A read error proves nothing and is never trimmed: blocks that the
//! device cannot give back are damaged where something proves that they count, and
//! elsewhere refuse the log.
//!
//! Invariants
//! - No acknowledged record is missing from what is returned.
//! - Memory is bounded by a few read buffers, one frame, the index, and what is
//!   kept for the replay (`remembered.rs`).
//! - Nothing read from disk can panic or allocate beyond those bounds.

mod chain;
mod contradiction;
mod cursor;
mod loss;
pub(crate) mod losses;
mod replay;
mod tail;
mod together;

use crate::block::BLOCK_BYTES;
use crate::directory::{Directory, Harm};
use crate::disk::{Disk, DiskError};
use crate::error::{Affected, Damage, OpenError};
use crate::identity::Home;
use crate::index::Groups;
use crate::names;
use crate::options::Sizes;
use crate::record::{Ending, Record, RecordError};
use crate::recovery::losses::{Harmed, Remedy};
use crate::recovery::replay::Replayed;
use crate::remembered::Remembered;
use crate::scan::{Frame, Scan, offset_of};
use crate::segment::{self, FORMAT_VERSION};
use crate::width::{u64_from, usize_from};
use raftlet::core::{GroupId, Index, LogId, Run};

pub(crate) use cursor::apply;

/// Reads of this size get the device's full speed; smaller ones half of it.
pub(crate) const READ_BYTES: usize = 1 << 20;

/// How the former run's log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailState {
    /// There was no log.
    New,
    /// Its last frame is proven durable by a mark.
    Marked,
    /// Nothing follows its last frame. It is whole; whether another was
    /// acknowledged and then lost by the device cannot be seen.
    Ambiguous,
    /// The write in flight was torn; it was never acknowledged, and is trimmed.
    Torn,
}

/// What recovery found, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments that make up the log.
    pub segments: u64,
    /// Frames replayed.
    pub frames: u64,
    /// Groups found.
    pub groups: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// How the log ended.
    pub tail: TailState,
    /// Blocks of a torn write that were trimmed.
    pub trimmed_blocks: u64,
    /// Of those, blocks that were neither old nor new: kept in the file.
    pub garbled_blocks: u64,
    /// The run that wrote last, when its head could be read.
    pub last_run: Option<Run>,
    /// What an operator should know, one line each.
    pub warnings: Vec<String>,
    /// Frames that were durable and cannot be read.
    pub lost_frames: u64,
    /// Whether lost frames, of this log or of one that was freed since, may have
    /// held groups that nothing else names.
    pub has_unknown_losses: bool,
    /// Where damage was met, and what it hit as far as that is known.
    pub damage: Vec<Damage>,
    /// The groups that are harmed by this or by former damage.
    pub harmed: Vec<HarmedGroup>,
}

/// What damage means for a group (rule 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HarmedGroup {
    /// Which.
    pub group: GroupId,
    /// First and last entry that a leader must send again.
    pub entries: Option<(Index, Index)>,
    /// Whether term or vote are lost: the group stays out on this member.
    pub is_lost: bool,
}

impl std::fmt::Display for HarmedGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "group {}", self.group)?;
        if let Some((first, last)) = self.entries {
            write!(f, " lost entries {first}..={last}")?;
        }
        if self.is_lost {
            return write!(
                f,
                " lost its term or vote: remove this member from it and add it again under a new \
                 node id on an empty directory"
            );
        }
        write!(
            f,
            ": it gives no vote until a leader has sent them again, which needs nothing but this \
             node running and a majority of the others"
        )
    }
}

/// A segment of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRef {
    pub(crate) number: u64,
    /// The first block behind its last frame.
    pub(crate) end: u32,
    /// Whether its first record of each group says all of it: of format 2 on.
    pub(crate) is_self_contained: bool,
}

/// What survived.
#[derive(Debug)]
pub(crate) struct Recovered<D: Disk> {
    pub(crate) groups: Groups,
    /// Oldest first.
    pub(crate) segments: Vec<SegmentRef>,
    /// The newest of them, open.
    pub(crate) newest_file: Option<D::File>,
    /// The last frame that counts; 0 when there is none.
    pub(crate) last_frame: u64,
    /// What it did.
    pub(crate) directory: Directory,
    pub(crate) ending: Ending,
    /// The highest number that any file or note has.
    pub(crate) highest_number: u64,
    /// Files that hold nothing that counts.
    pub(crate) leftovers: Vec<String>,
    /// Whether the newest file shows something worth keeping behind its end.
    pub(crate) has_evidence: bool,
    pub(crate) report: RecoveryReport,
    /// Whether groups may be gone without a trace.
    pub(crate) has_unknown_losses: bool,
    /// What is to be written about damage that was not known before.
    pub(crate) harmed: Vec<Harmed>,
    pub(crate) remembered: Remembered,
}

/// Reads a log.
pub(crate) async fn recover<D: Disk>(
    disk: &D,
    home: &Home<D>,
    sizes: &Sizes,
) -> Result<Recovered<D>, OpenError> {
    let place = Place { disk: disk.clone(), home: home.clone(), sizes: *sizes };
    let mut listing = chain::list(&place).await?;
    let chain = chain::follow(&place, &mut listing).await?;
    let mut report = RecoveryReport {
        segments: 0,
        frames: 0,
        groups: 0,
        bytes_read: 0,
        tail: TailState::New,
        trimmed_blocks: 0,
        garbled_blocks: 0,
        last_run: None,
        warnings: listing.warnings.clone(),
        lost_frames: 0,
        has_unknown_losses: false,
        damage: Vec::new(),
        harmed: Vec::new(),
    };
    let replayed = replay::replay(&place, &chain, &listing, &mut report).await?;
    report.harmed = harmed_groups(&replayed);
    let has_unknown_losses = replayed.has_unknown_losses || home.has_unknown_losses();
    report.has_unknown_losses = has_unknown_losses;
    report.groups = u64_from(replayed.groups.len());
    let void = chain.void.iter().chain(&chain.stale).chain(&replayed.passed_over);
    let void = void.map(|number| names::segment_name(*number));
    let in_use = |group: &GroupId, last: &LogId| {
        replayed.groups.get(group).is_some_and(|index| index.snapshot == Some(*last))
    };
    let unused = listing.snapshots.iter().filter(|(group, last)| !in_use(group, last));
    let unused = unused.map(|(group, last)| names::snapshot_name(*group, *last));
    let condemned = listing.condemned.iter().filter(|of| {
        // It was sent again under the same log id, or another took its place.
        !in_use(&of.0, &of.1) || listing.snapshots.contains(of)
    });
    let condemned = condemned.map(|(group, last)| names::condemned_name(*group, *last));
    let unused = unused.chain(condemned);
    Ok(Recovered {
        leftovers: listing.spares.iter().cloned().chain(void).chain(unused).collect(),
        groups: replayed.groups,
        segments: replayed.segments,
        newest_file: replayed.newest_file,
        last_frame: replayed.last_frame,
        directory: replayed.directory,
        ending: replayed.ending,
        highest_number: listing.highest_number,
        has_evidence: report.garbled_blocks > 0,
        harmed: replayed.harmed,
        remembered: replayed.remembered,
        has_unknown_losses,
        report,
    })
}

/// All that is wrong, known before or found now.
fn harmed_groups<D: Disk>(replayed: &Replayed<D>) -> Vec<HarmedGroup> {
    let groups = replayed.groups.iter().filter_map(|(group, index)| {
        let found = replayed.harmed.iter().find(|harmed| harmed.group == *group);
        let harm = match found.map(|found| found.remedy) {
            Some(Remedy::Damage(harm)) => harm,
            Some(Remedy::Compact(_)) | None => index.missing(),
        };
        let entries = harm.entries.map(|lost| lost.range());
        let harmed = HarmedGroup { group: *group, entries, is_lost: harm.is_lost };
        (harm != Harm::default() || index.harm != harm).then_some(harmed)
    });
    groups.collect()
}

/// Where recovery reads.
#[derive(Clone, Debug)]
struct Place<D: Disk> {
    disk: D,
    home: Home<D>,
    sizes: Sizes,
}

impl<D: Disk> Place<D> {
    /// Opens a segment of `bytes` bytes, to be read `read_bytes` at a time.
    async fn scan(&self, number: u64, bytes: u64, read_bytes: usize) -> Result<Scan<D>, OpenError> {
        let name = names::segment_name(number);
        let file = self.disk.open(&name).await.map_err(OpenError::Unreadable)?;
        let stamp = segment::stamp(self.home.identity().incarnation, self.sizes.shard, number);
        let read_bytes = read_bytes.min(usize_from(bytes).max(BLOCK_BYTES));
        Ok(Scan::new(&self.disk, file, &name, stamp, read_bytes).bearing())
    }
}

/// Damage at a block, with what it held if the frame behind tells.
async fn damaged<D: Disk>(scan: &mut Scan<D>, block: u32, frame: u64, what: String) -> OpenError {
    let affected = match attribute(scan, block, frame).await {
        Ok(affected) => affected,
        Err(error) => return OpenError::Unreadable(error),
    };
    OpenError::Damaged(Box::new(Damage {
        file: scan.name().to_owned(),
        offset: offset_of(block),
        what,
        affected,
    }))
}

/// Looks for the frame behind a lost one, whose echo names what that held.
async fn attribute<D: Disk>(
    scan: &mut Scan<D>,
    block: u32,
    frame: u64,
) -> Result<Vec<Affected>, DiskError> {
    let mut at = block + 1;
    while let Some(verdict) = scan.judge(at).await? {
        if let crate::block::Verdict::Valid(header) = verdict {
            if header.frame > frame + 1 {
                break;
            }
            if header.frame == frame + 1 && header.index == 0 {
                let behind = scan.frame(at).await?;
                return Ok(behind.map(|behind| echoed(&behind)).unwrap_or_default());
            }
        }
        at += 1;
    }
    Ok(Vec::new())
}

/// What a frame says of the one before.
fn echo_in(frame: &Frame) -> Option<Directory> {
    frame.payload.records().find_map(|record| match record {
        Ok(Record::Echo(directory)) => Some(directory),
        _ => None,
    })
}

fn echoed(frame: &Frame) -> Vec<Affected> {
    let traces = echo_in(frame).map(|directory| directory.traces).unwrap_or_default();
    let affected = traces.iter().map(|trace| Affected {
        group: trace.group,
        entries: trace.entries.map(|(first, last, _)| (first, last)),
        hard_state: trace.hard_state.is_some(),
    });
    affected.collect()
}

/// A record under a sound checksum that this program cannot have written.
fn unreadable_record<D: Disk>(scan: &Scan<D>, block: u32, error: RecordError) -> OpenError {
    match error {
        RecordError::UnknownKind(kind) => OpenError::UnknownRecord {
            file: scan.name().to_owned(),
            offset: offset_of(block),
            kind,
        },
        RecordError::Malformed => OpenError::Damaged(Box::new(Damage {
            file: scan.name().to_owned(),
            offset: offset_of(block),
            what: "a record does not end where it says".to_owned(),
            affected: Vec::new(),
        })),
    }
}

fn unknown_format(file: &str, found: u32) -> OpenError {
    OpenError::UnknownFormat { file: file.to_owned(), found, known: FORMAT_VERSION }
}
