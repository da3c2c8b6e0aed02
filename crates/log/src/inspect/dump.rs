//! What stands where in the segments, frame by frame, also in a log that would
//! not open: what cannot be read is said, and the next frame is looked for.

use crate::block::{Kind, Verdict};
use crate::directory::Trace;
use crate::disk::{Disk, DiskError};
use crate::inspect::dir::{InspectError, peek};
use crate::names::{self, Named};
use crate::options::{LogOptions, Sizes};
use crate::record::Record;
use crate::scan::{Frame, Scan, offset_of};
use crate::segment::{self, FIRST_BLOCK};
use raftlet::core::{GroupId, HardState, LogId, NodeId, Term};

/// Reads of this size get the device's full speed.
const READ_BYTES: usize = 1 << 20;

/// One thing that stands in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpLine {
    /// The file.
    pub file: String,
    /// Its first byte.
    pub offset: u64,
    /// The frame's number; a mark has that of the next frame.
    pub frame: u64,
    /// Whose record; `None` for what concerns the log itself.
    pub group: Option<GroupId>,
    /// What it is, in words.
    pub text: String,
}

/// Hands every record of every segment to `line`, oldest segment first; stops
/// when it returns `false`.
///
/// # Errors
/// [`InspectError`]: no identity, or the device cannot be read.
pub async fn dump<D: Disk>(
    disk: &D,
    options: &LogOptions,
    mut line: impl FnMut(DumpLine) -> bool,
) -> Result<(), InspectError> {
    let (home, _) = peek(disk).await?;
    let sizes = Sizes::from(options);
    let listed = disk.list().await.map_err(InspectError::Unreadable)?;
    for file in listed {
        let Named::Segment(number) = names::read_name(&file.name) else {
            continue;
        };
        let opened = disk.open(&file.name).await.map_err(InspectError::Unreadable)?;
        let stamp = segment::stamp(home.identity().incarnation, sizes.shard, number);
        let mut scan = Scan::new(disk, opened, &file.name, stamp, READ_BYTES).bearing();
        let walked = walk(&mut scan, &mut line).await;
        if !walked.map_err(InspectError::Unreadable)? {
            return Ok(());
        }
    }
    Ok(())
}

async fn walk<D: Disk>(
    scan: &mut Scan<D>,
    line: &mut impl FnMut(DumpLine) -> bool,
) -> Result<bool, DiskError> {
    let mut at = FIRST_BLOCK;
    while let Some(verdict) = scan.judge(at).await? {
        if let Some(frame) = scan.frame(at).await? {
            for (group, text) in records(&frame) {
                if !line(said(scan, at, frame.header.frame, group, text)) {
                    return Ok(false);
                }
            }
            at = frame.end;
            continue;
        }
        let text = match verdict {
            Verdict::Blank | Verdict::Stranger => None,
            Verdict::Unreadable => Some(scan.why(at).map_or_else(String::new, ToString::to_string)),
            Verdict::Garbled => Some("a block that is damaged or torn".to_owned()),
            Verdict::Misplaced(header) => {
                Some(format!("a block of frame {} written for another place", header.frame))
            }
            Verdict::Valid(header) => {
                let (index, of) = (header.index + 1, header.blocks);
                Some(format!("block {index} of {of} of a frame that is not whole"))
            }
        };
        if let Some(text) = text
            && !line(said(scan, at, 0, None, text))
        {
            return Ok(false);
        }
        at += 1;
    }
    Ok(true)
}

fn said<D: Disk>(
    scan: &Scan<D>,
    at: u32,
    frame: u64,
    group: Option<GroupId>,
    text: String,
) -> DumpLine {
    DumpLine { file: scan.name().to_owned(), offset: offset_of(at), frame, group, text }
}

fn records(frame: &Frame) -> Vec<(Option<GroupId>, String)> {
    if frame.header.kind == Kind::Mark {
        return vec![(None, "mark: the frame before it is durable".to_owned())];
    }
    let text = |record| match record {
        Ok(record) => describe(&record),
        Err(error) => (None, format!("cannot be read: {error:?}")),
    };
    frame.payload.records().map(text).collect()
}

fn describe(record: &Record) -> (Option<GroupId>, String) {
    match record {
        Record::Link(link) => {
            let text = format!(
                "link to segment {:x}, which ended {:?} with frame {}; oldest needed {:x}",
                link.predecessor, link.ending, link.last_frame, link.oldest_live
            );
            (None, text)
        }
        Record::Echo(directory) => {
            let groups: Vec<String> = directory.traces.iter().map(trace).collect();
            (None, format!("echo: {}", groups.join("; ")))
        }
        Record::Group { group, generation } => (Some(*group), format!("begins life {generation}")),
        Record::State { group, state } => {
            let text = format!(
                "is life {}, {}, entries behind {} to {}{}",
                state.generation,
                vote(&state.hard_state),
                state.base,
                state.last,
                snapshot(state.snapshot),
            );
            (Some(*group), text)
        }
        Record::HardState { group, state } => (Some(*group), vote(state)),
        Record::Truncate { group, from } => (Some(*group), format!("truncated from {from}")),
        Record::Compact { group, base } => (Some(*group), format!("compacted to {base}")),
        Record::Snapshot { group, last } => (Some(*group), format!("snapshot {last} in use")),
        Record::Entries { group, first, len, bytes } => {
            (Some(*group), entries("entries", *first, *len, bytes.len()))
        }
        Record::Moved { group, first, len, bytes } => {
            (Some(*group), entries("moved entries", *first, *len, bytes.len()))
        }
        Record::Damage { group, harm } => {
            let term = |term: Term| format!(", found in term {term}");
            let entries = harm.entries.map_or(String::new(), |lost| {
                let found = lost.term.map(term).unwrap_or_default();
                format!(" entries {} to {}{found}", lost.first, lost.last)
            });
            let vote = if harm.is_lost { " term and vote" } else { "" };
            (Some(*group), format!("damaged:{entries}{vote}"))
        }
        Record::Refilled { group } => (Some(*group), "refilled".to_owned()),
    }
}

fn entries(what: &str, first: LogId, len: u32, bytes: usize) -> String {
    let last = first.index.get() + u64::from(len.saturating_sub(1));
    format!("{what} {} to {last} of term {}, {bytes} bytes", first.index, first.term)
}

fn vote(state: &HardState) -> String {
    let vote = state.vote.map_or("nobody".to_owned(), |vote: NodeId| format!("node {vote}"));
    format!("term {}, vote for {vote}", state.term)
}

fn snapshot(last: Option<LogId>) -> String {
    last.map_or(String::new(), |last| format!(", snapshot {last}"))
}

fn trace(trace: &Trace) -> String {
    let mut text = format!("group {}", trace.group);
    if let Some(state) = &trace.hard_state {
        text.push_str(&format!(" {}", vote(state)));
    }
    if let Some((first, last, _)) = trace.entries {
        text.push_str(&format!(" entries {first} to {last}"));
    }
    text
}
