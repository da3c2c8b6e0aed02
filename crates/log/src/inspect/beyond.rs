//! What else is wrong with a log that a start would refuse: what refused it is
//! only the first thing that was met.
//!
//! Every segment is read to its end, and every chunk of every finished snapshot.
//! Nothing is concluded from it: which of it counts, only a replay tells.

use crate::block::Verdict;
use crate::disk::{Disk, DiskError};
use crate::identity::Home;
use crate::inspect::dir::{InspectError, peek};
use crate::inspect::survey::{Depth, Finding, Severity, read_snapshot};
use crate::names::{self, Named};
use crate::options::{LogOptions, Sizes};
use crate::scan::{Scan, offset_of};
use crate::segment::{self, FIRST_BLOCK};
use crate::snapshot::Title;
use crate::snapshot::reader::Source;
use raftlet::core::{GroupId, LogId};

/// Reads of this size get the device's full speed.
const READ_BYTES: usize = 1 << 20;
/// Places in one file that are told one by one; more are counted.
const PLACES_MAX: usize = 16;

/// Whatever can be found in a directory whose log is refused.
///
/// # Errors
/// [`InspectError`]: no identity, or the directory cannot be listed.
pub async fn inspect_refused<D: Disk>(
    disk: &D,
    options: &LogOptions,
) -> Result<Vec<Finding>, InspectError> {
    let (home, _) = peek(disk).await?;
    let sizes = Sizes::from(options);
    let mut findings = Vec::new();
    for file in disk.list().await.map_err(InspectError::Unreadable)? {
        match names::read_name(&file.name) {
            Named::Segment(number) => {
                let stamp = segment::stamp(home.identity().incarnation, sizes.shard, number);
                let looked = look(disk, &file.name, stamp, &mut findings).await;
                findings.extend(looked.err().map(|error| damage(error.to_string())));
            }
            Named::Snapshot(group, last) => {
                let checked = check_snapshot(disk, &home, &sizes, (group, last)).await;
                findings.extend(checked.err().map(damage));
            }
            Named::Condemned(group, _) => {
                let text =
                    format!("{}: the damaged snapshot of group {group}, set aside", file.name);
                findings.push(damage(text));
            }
            Named::Spare | Named::Known | Named::Restore | Named::Foreign => {}
        }
    }
    Ok(findings)
}

fn damage(text: String) -> Finding {
    Finding { severity: Severity::Damage, text }
}

/// Reads a segment to its end.
async fn look<D: Disk>(
    disk: &D,
    name: &str,
    stamp: u64,
    findings: &mut Vec<Finding>,
) -> Result<(), DiskError> {
    let file = disk.open(name).await?;
    let mut scan = Scan::new(disk, file, name, stamp, READ_BYTES).bearing();
    let mut at = FIRST_BLOCK;
    let mut places = 0;
    while let Some(verdict) = scan.judge(at).await? {
        if let Some(frame) = scan.frame(at).await? {
            at = frame.end;
            continue;
        }
        let what = match verdict {
            Verdict::Blank | Verdict::Stranger => None,
            Verdict::Unreadable => Some("cannot be read"),
            Verdict::Garbled => Some("is damaged or torn"),
            Verdict::Misplaced(_) => Some("was written for another place"),
            Verdict::Valid(_) => Some("is of a frame that is not whole"),
        };
        places += usize::from(what.is_some());
        if let Some(what) = what.filter(|_| places <= PLACES_MAX) {
            findings.push(damage(format!("{name}: the block at byte {} {what}", offset_of(at))));
        }
        at += 1;
    }
    if places > PLACES_MAX {
        findings.push(damage(format!("{name}: {} more such blocks", places - PLACES_MAX)));
    }
    Ok(())
}

/// Reads every chunk of a snapshot. Its head tells of which life of its group it
/// is: the log, which would, is refused.
async fn check_snapshot<D: Disk>(
    disk: &D,
    home: &Home<D>,
    sizes: &Sizes,
    (group, last): (GroupId, LogId),
) -> Result<(), String> {
    let source = Source { disk: disk.clone(), group, last };
    let of = source.title().await.map_err(|error| error.to_string())?.group;
    let title = Title::new(&home.identity(), sizes.shard, of, last);
    let read = read_snapshot(&source, title, Depth::All).await;
    read.map(|_| ()).map_err(|error| error.to_string())
}
