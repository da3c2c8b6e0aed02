//! Claims about the committed prefix: how it grows, and what is applied and
//! read of it.

use super::{Committed, Judge};
use crate::core_tier::image::{Record, position};
use crate::core_tier::invariants::{self, Violation, ensure};
use crate::core_tier::member::{Member, Read};
use crate::core_tier::roster::is_quorum;
use crate::tally::Mark;
use raftlet::core::{Entries, Index, Output, ReadReady, Role, Term};

impl Judge {
    /// The commit index after a drain.
    pub(super) fn on_commit(
        &mut self,
        members: &mut [Member],
        seat: usize,
        out: &Output,
    ) -> Result<(), Violation> {
        let member = &members[seat];
        let Some(group) = &member.group else {
            return Ok(());
        };
        let (old, new) = (member.view.commit, group.commit_index());
        if let Some(told) = out.committed {
            ensure(told == new, invariants::STATUS_IS_TRUE, || {
                format!("hands out commit {told}, says {new}")
            })?;
        }
        if new == old {
            return Ok(());
        }
        ensure(new > old && out.committed.is_some(), invariants::COMMIT_MONOTONE, || {
            format!("from {old} to {new}, handed out {:?}", out.committed)
        })?;
        ensure(new <= member.written.last().index, invariants::COMMIT_MONOTONE, || {
            format!("{new} behind the log's end {}", member.written.last())
        })?;
        if new > self.committed_len() {
            self.grow(members, seat, new)?;
        }
        let member = &mut members[seat];
        let held = member.written.get(new).map(|record| record.digest);
        let group_has = self.committed[position(new) - 1].digest;
        ensure(held == Some(group_has), invariants::COMMIT_IS_PROVEN, || {
            format!("{new} is another entry here than in the group")
        })?;
        member.view.commit = new;
        Ok(())
    }

    /// The first member that knows of more commits: it must lead, and have
    /// counted an entry of its own term on a quorum's disks.
    fn grow(&mut self, members: &[Member], seat: usize, new: Index) -> Result<(), Violation> {
        let member = &members[seat];
        let group = member.group.as_ref().expect("a drain comes from a core");
        let record = member.written.get(new).expect("checked by the caller");
        // Stepping down in the same turn takes nothing back: the entry's term
        // tells who committed.
        let by = record.term;
        let led = self.reigns.get(&by).is_some_and(|reign| reign.seat == seat);
        ensure(
            led && by <= group.term() && (by == group.term() || group.role() != Role::Leader),
            invariants::COMMIT_BY_QUORUM,
            || format!("{} commits {new}, an entry of term {by}", member.node),
        )?;
        let holds = |other: &&Member| other.held_digest(new) == Some(record.digest);
        let is_held = |seat: usize| members.get(seat).is_some_and(|other| holds(&other));
        // What was in effect before the drain, or came into effect in it.
        let configurations = member.written.configurations().iter();
        let mut counted = configurations.filter(|(at, _)| *at >= member.view.configuration);
        let is_quorum = counted.any(|(_, configuration)| is_quorum(configuration, is_held));
        ensure(is_quorum, invariants::COMMIT_BY_QUORUM, || {
            let holders: Vec<_> = members.iter().filter(holds).map(|other| other.node).collect();
            format!("{} commits {new} on the disks of {holders:?}", member.node)
        })?;
        if !holds(&member) {
            self.tally.mark(Mark::CommitAheadOfSelf);
        }
        let mut inherited = false;
        let first_new = self.committed.len();
        if let Some(last) = self.committed.last() {
            let held = member.written.records()[first_new - 1];
            ensure(held.digest == last.digest, invariants::ONE_HISTORY, || {
                format!("{} commits on top of another index {first_new}", member.node)
            })?;
        }
        for record in &member.written.records()[first_new..position(new)] {
            inherited |= record.term < by;
            self.committed.push(Committed { digest: record.digest, term: record.term, by });
        }
        self.tally.mark(Mark::Commit);
        if inherited {
            self.tally.mark(Mark::InheritedCommit);
        }
        Ok(())
    }

    /// Entries are applied at a member: the next ones, and the group's.
    /// Gives their records.
    pub(crate) fn on_apply(
        &self,
        member: &Member,
        entries: &Entries,
    ) -> Result<Vec<Record>, Violation> {
        let driver = &member.driver;
        let first = entries.first();
        ensure(first == Some(driver.applied.next()), invariants::APPLY_IN_ORDER, || {
            format!("{first:?} after {}", driver.applied)
        })?;
        let mut before = driver.applied_digest;
        let mut records = Vec::new();
        for entry in entries.iter() {
            let record = Record::new(before, &entry);
            let committed = self.committed.get(position(entry.index) - 1);
            ensure(
                committed.is_some_and(|committed| committed.digest == record.digest),
                invariants::ONE_HISTORY,
                || {
                    format!(
                        "{}@{} is applied, the group has {committed:?}",
                        entry.index, entry.term
                    )
                },
            )?;
            before = record.digest;
            records.push(record);
        }
        Ok(records)
    }

    /// A read was given an index.
    pub(crate) fn on_read_ready(
        &self,
        read: Option<&Read>,
        ready: ReadReady,
    ) -> Result<(), Violation> {
        let Some(read) = read.filter(|read| read.ready.is_none()) else {
            return ensure(false, invariants::ONE_ANSWER, || {
                format!("{ready:?} was not asked, or was answered before")
            });
        };
        ensure(ready.index >= read.floor, invariants::READ_SEES_FLOOR, || {
            format!(
                "read {} is to be served at {}, {} was acknowledged before it began",
                ready.read, ready.index, read.floor
            )
        })?;
        ensure(ready.index <= self.committed_len(), invariants::READ_IS_COMMITTED, || {
            format!("{ready:?}, the group has {}", self.committed_len())
        })
    }

    /// Term of the committed entry at `index`.
    pub(crate) fn committed_term(&self, index: Index) -> Option<Term> {
        self.committed.get(position(index).checked_sub(1)?).map(|entry| entry.term)
    }
}
