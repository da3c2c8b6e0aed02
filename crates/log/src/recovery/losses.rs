//! The account of what is lost, while a log is replayed.

use std::collections::{BTreeMap, BTreeSet};

use crate::directory::{Harm, Trace};
use crate::error::{Affected, Damage};
use crate::index::FrameAt;
use crate::record::GroupState;
use crate::recovery::RecoveryReport;
use raftlet::core::{GroupId, Index, LogId};

/// Lines about damage that a report holds; more are counted.
const NOTES_MAX: usize = 64;

/// What is lost so far.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// Frames that are lost, of which the next frame's echo tells.
    pub(crate) pending: Option<Gap>,
    /// Groups that lost frames may have changed, and up to where they had held
    /// entries before.
    pub(crate) doubted: BTreeMap<GroupId, Index>,
    /// Groups whose log may have been changed; how far it goes is not known.
    pub(crate) endless: BTreeSet<GroupId>,
    /// Up to where groups had held entries that were in doubt, or that a record
    /// contradicts: who lost the record of a loss must not take a shorter log for whole.
    pub(crate) held: BTreeMap<GroupId, Index>,
    /// Groups whose term and vote may be missing.
    pub(crate) voteless: BTreeSet<GroupId>,
    /// Groups whose records contradict each other in what nobody could send again.
    pub(crate) broken: BTreeSet<GroupId>,
    /// Groups that began in a lost frame.
    pub(crate) orphans: BTreeSet<GroupId>,
    pub(crate) has_any: bool,
    /// Groups may be gone without a trace.
    pub(crate) is_inexact: bool,
}

/// Lost frames and where they stood.
#[derive(Clone, Debug)]
pub(crate) struct Gap {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) at: FrameAt,
    pub(crate) file: String,
    pub(crate) offset: u64,
}

/// A harmed group: how it was left by the replay, and what is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Harmed {
    pub(crate) group: GroupId,
    pub(crate) state: GroupState,
    pub(crate) remedy: Remedy,
}

/// What is to be written about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    Damage(Harm),
    /// The snapshot holds what is missing.
    Compact(LogId),
}

impl Losses {
    pub(crate) fn has_any(&self) -> bool {
        self.has_any
    }

    pub(crate) fn orphan(&mut self, group: GroupId) {
        self.orphans.insert(group);
    }

    /// Tells the operator.
    pub(crate) fn note(
        &mut self,
        file: String,
        offset: u64,
        what: String,
        traces: &[Trace],
        report: &mut RecoveryReport,
    ) {
        self.has_any = true;
        if report.damage.len() >= NOTES_MAX {
            return;
        }
        let affected = traces.iter().map(|trace| Affected {
            group: trace.group,
            entries: trace.entries.map(|(first, last, _)| (first, last)),
            hard_state: trace.hard_state.is_some(),
        });
        report.damage.push(Damage { file, offset, what, affected: affected.collect() });
    }
}
