//! What a log holds and what is wrong with it.

use crate::disk::Disk;
use crate::identity::Identity;
use crate::inspect::dir::{InspectError, peek};
use crate::names;
use crate::options::{LogOptions, Sizes};
use crate::recovery::{Recovered, RecoveryReport, recover};
use crate::scan::offset_of;
use crate::snapshot::Title;
use crate::snapshot::reader::Source;
use raftlet::core::{Generation, GroupId, HardState, Index, LogId};
use raftlet::{GroupInfo, SnapshotInfo};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; the next start repairs or ignores it.
    Notice,
    /// Something that counts is damaged.
    Damage,
}

/// Something that is not as it should be, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// What, where, remedy.
    pub text: String,
}

/// What one group holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSurvey {
    /// Which.
    pub group: GroupId,
    /// The life of its id.
    pub generation: Generation,
    /// Term and vote.
    pub hard_state: HardState,
    /// The entry before the first.
    pub base: LogId,
    /// The last entry.
    pub last: Index,
    /// Bytes of its entries; about as many where its log was cut.
    pub bytes: u64,
    /// Its snapshot.
    pub snapshot: Option<LogId>,
}

/// One segment of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSurvey {
    /// The file.
    pub file: String,
    /// Bytes up to its end.
    pub bytes: u64,
}

/// A snapshot in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSurvey {
    /// Whose.
    pub group: GroupId,
    /// What it holds.
    pub last: LogId,
    /// How much, when its file is whole.
    pub info: Option<SnapshotInfo>,
}

/// All of a log.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Whose directory it is.
    pub identity: Identity,
    /// What a start would find.
    pub report: RecoveryReport,
    /// The segments, oldest first.
    pub segments: Vec<SegmentSurvey>,
    /// The groups in order.
    pub groups: Vec<GroupSurvey>,
    /// The snapshots in use.
    pub snapshots: Vec<SnapshotSurvey>,
    /// Whatever is not as it should be.
    pub findings: Vec<Finding>,
}

impl Survey {
    /// Whether something that counts is damaged.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Damage)
    }
}

/// Looks at all of a directory; with `chunks`, at every chunk of its snapshots.
///
/// # Errors
/// [`InspectError`]: what a start would be refused with.
pub async fn inspect<D: Disk>(
    disk: &D,
    options: &LogOptions,
    depth: Depth,
) -> Result<Survey, InspectError> {
    let (home, warnings) = peek(disk).await?;
    // Nobody reads entries next.
    let sizes = Sizes { replay_bytes: 0, ..Sizes::from(options) };
    let recovered = recover(disk, &home, &sizes).await?;
    let mut findings: Vec<Finding> = warnings.into_iter().map(notice).collect();
    findings.extend(told(&recovered.report));
    findings.extend(recovered.leftovers.iter().map(|name| {
        notice(format!("{name} holds nothing that counts; the next start removes it"))
    }));
    let mut snapshots = Vec::new();
    for (group, index) in recovered.groups.iter() {
        let Some(last) = index.snapshot else {
            continue;
        };
        let info = GroupInfo { group: *group, generation: index.generation };
        let title = Title::new(&home.identity(), sizes.shard, info, last);
        let source = Source { disk: disk.clone(), group: *group, last };
        let found = read_snapshot(&source, title, depth).await;
        let error = found.as_ref().err().map(ToString::to_string);
        findings.extend(error.map(|text| Finding { severity: Severity::Damage, text }));
        snapshots.push(SnapshotSurvey { group: *group, last, info: found.ok() });
    }
    let report = recovered.report.clone();
    let (segments, groups) = (segments(&recovered), groups(&recovered));
    Ok(Survey { identity: home.identity(), report, segments, groups, snapshots, findings })
}

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The log, and of snapshots head, table and trailer.
    Log,
    /// Every chunk of the snapshots too.
    All,
}

pub(crate) async fn read_snapshot<D: Disk>(
    source: &Source<D>,
    title: Title,
    depth: Depth,
) -> Result<SnapshotInfo, raftlet::StorageError> {
    let opened = source.open(title).await?;
    if depth == Depth::All {
        for number in 0..opened.info.chunks {
            source.chunk(&opened, number).await?;
        }
    }
    Ok(opened.info)
}

fn notice(text: String) -> Finding {
    Finding { severity: Severity::Notice, text }
}

fn told(report: &RecoveryReport) -> Vec<Finding> {
    let notices = report.warnings.iter().cloned().map(notice);
    // What was replaced, covered or sent again since is history.
    let is_open = !report.harmed.is_empty() || report.has_unknown_losses;
    let severity = if is_open { Severity::Damage } else { Severity::Notice };
    let damage = report.damage.iter().map(ToString::to_string);
    let harmed = report.harmed.iter().map(ToString::to_string);
    let damage = damage.chain(harmed).map(|text| Finding { severity, text });
    let unknown = "frames were lost that may have held groups which nothing else names: no \
                   group that this log does not know is taken for new; a member under a new \
                   node id on an empty directory takes any";
    let unknown = report.has_unknown_losses.then(|| notice(unknown.to_owned()));
    notices.chain(damage).chain(unknown).collect()
}

fn segments<D: Disk>(recovered: &Recovered<D>) -> Vec<SegmentSurvey> {
    let survey = |segment: &crate::recovery::SegmentRef| SegmentSurvey {
        file: names::segment_name(segment.number),
        bytes: offset_of(segment.end),
    };
    recovered.segments.iter().map(survey).collect()
}

fn groups<D: Disk>(recovered: &Recovered<D>) -> Vec<GroupSurvey> {
    let survey = |(group, index): (&GroupId, &crate::index::GroupIndex)| GroupSurvey {
        group: *group,
        generation: index.generation,
        hard_state: index.hard_state,
        base: index.base,
        last: index.last,
        bytes: index.spans.bytes(),
        snapshot: index.snapshot,
    };
    recovered.groups.iter().map(survey).collect()
}
