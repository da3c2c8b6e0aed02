//! Claims about snapshots and what they let go.

use std::rc::Rc;

use super::Judge;
use crate::core_tier::image::{Taken, position};
use crate::core_tier::invariants::{self, Violation, ensure};
use crate::core_tier::member::Member;
use crate::tally::Mark;
use raftlet::core::{Compaction, Index, LogId};

impl Judge {
    /// A hand-over compacts a log that reaches to `kept` after its truncation.
    /// Gives the file that becomes current with it.
    pub(super) fn on_compact(
        &mut self,
        member: &Member,
        compaction: Compaction,
        kept: Index,
    ) -> Result<Option<Rc<Taken>>, Violation> {
        let Compaction { base, snapshot } = compaction;
        let file = snapshot.and_then(|last| member.driver.files.get(&last)).cloned();
        ensure(snapshot.is_some() == file.is_some(), invariants::COMPACTION_IS_COVERED, || {
            format!("{snapshot:?} is to become current and is no finished file")
        })?;
        let former = member.written.snapshot_last();
        let last = snapshot.unwrap_or(former);
        ensure(base.index <= last.index, invariants::COMPACTION_IS_COVERED, || {
            format!("compacted up to {base}, the snapshot ends at {last}")
        })?;
        ensure(
            last.index >= former.index && base.index >= member.written.base().index,
            invariants::SNAPSHOT_IS_NEWS,
            || format!("{compaction:?} after base {} and {former}", member.written.base()),
        )?;
        let Some(file) = &file else {
            return Ok(None);
        };
        if kept >= base.index {
            // What is kept behind it must be of its history (rule 23).
            let held = member.written.digest(base.index);
            let has = file.records.get(position(base.index).wrapping_sub(1)).map(|r| r.digest);
            ensure(base.index == Index::ZERO || held == has, invariants::SNAPSHOT_IS_TRUE, || {
                format!("a log behind {base} is kept that the snapshot does not lead to")
            })?;
        }
        self.tally.mark(Mark::Compaction);
        Ok(Some(Rc::clone(file)))
    }

    /// A member's machine is written down: it must be the group's state.
    pub(crate) fn on_taken(&self, taken: &Taken) -> Result<(), Violation> {
        let last = taken.snapshot.last;
        let group = self.committed.get(position(last.index).wrapping_sub(1));
        ensure(
            group.is_some_and(|group| group.digest == taken.digest() && group.term == last.term),
            invariants::SNAPSHOT_IS_TRUE,
            || format!("a snapshot of {last}, the group has {group:?}"),
        )
    }

    /// A member has taken over a snapshot of another.
    pub(crate) fn on_install(
        &mut self,
        member: &Member,
        taken: &Taken,
        (applied, had): (Index, LogId),
    ) -> Result<(), Violation> {
        let snapshot = &taken.snapshot;
        ensure(snapshot.last.index > applied, invariants::SNAPSHOT_IS_NEWS, || {
            format!("{} is installed over a commit index of {applied}", snapshot.last)
        })?;
        let group = member.group.as_ref().expect("it just took an input");
        let configured = group.configuration_at(snapshot.last.index);
        ensure(
            configured == Some((snapshot.configuration_index, &snapshot.configuration)),
            invariants::SNAPSHOT_IS_TRUE,
            || format!("{configured:?} is in effect, {snapshot:?} was installed"),
        )?;
        let mark = if group.last_index() > snapshot.last.index {
            Mark::SuffixKept
        } else if had.index >= snapshot.last.index {
            Mark::SuffixDropped
        } else {
            Mark::SnapshotInstalled
        };
        self.tally.mark(mark);
        Ok(())
    }
}
