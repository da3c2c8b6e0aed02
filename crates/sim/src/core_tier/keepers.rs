//! Machines that keep durable state of their own (rules 8, 14).
//!
//! Such a machine says at a start up to where it has applied the log. It flushes
//! when it likes: a crash leaves anything between its last flush and what it had
//! applied, and of a restore that was not flushed either the state before or what
//! came of it. It is given only what is durable in its member's own log.
//!
//! Not here: what a crash leaves (`keeper.rs`).

use super::invariants::{self, Violation, ensure};
use super::member::Member;
use super::world::World;
use crate::tally::Mark;
use raftlet::core::{Index, Restored};

impl Member {
    /// Up to here the machine may be given the log now.
    pub(crate) fn apply_until(&self) -> Index {
        let safe = self.group.as_ref().map_or(Index::ZERO, |group| group.durable_index());
        match self.keeper {
            Some(_) => self.view.commit.min(safe),
            None => self.view.commit,
        }
    }

    /// What a client sees that is served now.
    pub(crate) fn visible(&self) -> Index {
        self.driver.applied.max(self.keeper.map_or(Index::ZERO, |keeper| keeper.held))
    }

    /// Whether the machine is what the log is up to where that is applied: while it
    /// is ahead, nobody may write it down as of there.
    pub(crate) fn is_level(&self) -> bool {
        self.driver.applied >= self.driver.has_applied
    }

    /// Where the driver of a run begins, which starts on `restored`.
    pub(crate) fn begin(&mut self, restored: &mut Restored) {
        let Some(keeper) = self.keeper else {
            return;
        };
        restored.machine = keeper.held;
        self.driver.has_applied = keeper.held;
        self.driver.began_harmed = restored.refill.is_some();
        let current = self.durable.snapshot();
        if let Some(taken) = current.filter(|taken| taken.snapshot.last.index <= keeper.held) {
            self.driver.applied = taken.snapshot.last.index;
            self.driver.applied_digest = taken.digest();
        }
    }
}

impl World {
    /// The machine of a member that has just crashed is as its own disk has it.
    pub(super) fn crash_keeper(&mut self, seat: usize) {
        let Some(keeper) = &mut self.members[seat].keeper else {
            return;
        };
        let before = keeper.held;
        keeper.survive(&mut self.random.losses);
        let after = keeper.held;
        if after < before {
            self.judge.tally.mark(Mark::KeeperFell);
        }
        self.trace.fold(&[0xce, before.get(), after.get()]);
        self.tell(seat, || format!("has a machine of {before} that keeps {after}"));
    }

    /// Damage may leave a machine with more than its log has.
    pub(super) fn judge_damaged_keeper(&mut self, seat: usize) {
        let member = &self.members[seat];
        if member.keeper.is_some_and(|keeper| keeper.held > member.durable.last().index) {
            self.judge.tally.mark(Mark::KeeperAhead);
        }
    }

    /// The machine is given the entry at `index`, unless it has that.
    pub(super) fn give(&mut self, seat: usize, index: Index) -> Result<(), Violation> {
        let member = &mut self.members[seat];
        let Some(keeper) = &mut member.keeper else {
            return Ok(());
        };
        if index <= member.driver.has_applied {
            self.judge.tally.mark(Mark::KeeperSkips);
            return Ok(());
        }
        ensure(index == keeper.held.next(), invariants::KEEPER_GOES_ON, || {
            format!("{index} is given to a machine that has applied {}", keeper.held)
        })?;
        keeper.held = index;
        let disk = member.durable.last().index;
        ensure(index <= disk, invariants::KEEPER_IS_COVERED, || {
            format!("{index} is given to a machine whose member has {disk} on its disk")
        })
    }

    /// After a batch the machine may flush.
    pub(super) fn may_flush(&mut self, seat: usize) {
        if let Some(keeper) = &mut self.members[seat].keeper
            && self.random.losses.chance(self.plan.flush)
        {
            keeper.flush();
        }
    }

    /// A machine that has more than a snapshot is restored from that only if its
    /// member lost the log between.
    pub(super) fn judge_install(&self, seat: usize, last: Index) -> Result<(), Violation> {
        let member = &self.members[seat];
        let is_ahead = member.keeper.is_some_and(|keeper| keeper.held > last);
        ensure(!is_ahead || member.driver.began_harmed, invariants::KEEPER_KEEPS, || {
            let keeper = member.keeper.unwrap_or_default();
            format!("{keeper:?} is to be restored from a snapshot up to {last}")
        })
    }

    /// The machine is restored from a snapshot up to `index`.
    pub(super) fn restore_keeper(&mut self, seat: usize, index: Index) {
        let member = &mut self.members[seat];
        member.driver.has_applied = index;
        let Some(keeper) = &mut member.keeper else {
            return;
        };
        if keeper.held > index {
            self.judge.tally.mark(Mark::KeeperBack);
        }
        keeper.restore(index);
    }
}
