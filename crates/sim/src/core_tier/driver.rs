//! What a driver does for its core: writes, applies, fetches.
//!
//! Slower than any real one, and told late; but in the order that the ports
//! promise.

use super::event::Within;
use super::image::Record;
use super::invariants::{self, Violation, ensure};
use super::judge::is_leader;
use super::member::FetchUnderWay;
use super::world::World;
use crate::tally::Mark;
use raftlet::core::{Fetch, Index, Term};

impl World {
    /// The disk begins to write some or all of what waits.
    pub(super) fn start_write(&mut self, seat: usize) {
        let random = &mut self.random.members;
        let faults = &self.plan.members;
        let disk = &mut self.members[seat].disk;
        if disk.waiting.is_empty() {
            return;
        }
        disk.writing =
            if random.coin() { disk.waiting.len() } else { 1 + random.index(disk.waiting.len()) };
        let delay = if self.is_calm {
            1 + random.below(self.plan.timeout_ns() / 2_000)
        } else if random.chance(faults.write_stall) {
            faults.write_ns * random.octaves(2, 1_000)
        } else {
            1 + random.below(faults.write_ns)
        };
        self.after_within(seat, delay, Within::Written);
    }

    /// A term and vote become durable ahead of what waits before them.
    pub(super) fn hard_state_ahead(&mut self, seat: usize) -> Result<(), Violation> {
        let member = &mut self.members[seat];
        if !member.is_up() || member.is_halted() {
            return Ok(());
        }
        let before = member.durable.hard_state;
        let Some(ticket) = member.settle_hard_state() else {
            return Ok(());
        };
        let after = member.durable.hard_state;
        ensure(after.term >= before.term, invariants::TERM_MONOTONE, || {
            format!("durable {after:?} ahead of its ticket after {before:?}")
        })?;
        self.judge.tally.mark(Mark::HardStateAhead);
        self.trace.fold(&[0x71, self.now, ticket.get()]);
        self.tell(seat, || format!("is told that term and vote of {ticket} are durable"));
        self.with_group(seat, |group, now, _| group.on_hard_state_persisted(now, ticket));
        self.judge.on_progress(&self.members, seat)?;
        self.settle(seat)
    }

    /// The write under way has ended: all of it is durable.
    pub(super) fn written(&mut self, seat: usize) -> Result<(), Violation> {
        let member = &mut self.members[seat];
        if member.is_halted() {
            return Ok(());
        }
        let is_first_untold = member.disk.untold.is_empty();
        let before = member.durable.hard_state;
        for _ in 0..member.disk.writing {
            member.settle_one();
        }
        let after = member.durable.hard_state;
        ensure(after.term >= before.term, invariants::TERM_MONOTONE, || {
            format!("durable {after:?} after {before:?}")
        })?;
        if is_first_untold {
            let delay = self.random.members.below(self.plan.members.write_ns) + 1;
            let delay = if self.is_calm { 1 } else { delay };
            self.after_within(seat, delay, Within::Told);
        }
        self.start_write(seat);
        Ok(())
    }

    /// The core is told of what is durable: of the oldest, or of all at once.
    pub(super) fn told(&mut self, seat: usize) -> Result<(), Violation> {
        if self.members[seat].is_halted() {
            return Ok(());
        }
        let folds = self.random.members.chance(self.plan.members.fold);
        let untold = &mut self.members[seat].disk.untold;
        let Some(mut ticket) = untold.pop_front() else {
            return Ok(());
        };
        if folds && let Some(last) = untold.back().copied() {
            ticket = last;
            untold.clear();
            self.judge.tally.mark(Mark::FoldedCompletion);
        }
        if !self.members[seat].disk.untold.is_empty() {
            let delay = self.random.members.below(self.plan.members.write_ns) + 1;
            let delay = if self.is_calm { 1 } else { delay };
            self.after_within(seat, delay, Within::Told);
        }
        self.trace.fold(&[0x70, self.now, ticket.get()]);
        self.tell(seat, || format!("is told that {ticket} is durable"));
        self.with_group(seat, |group, now, _| group.on_persisted(now, ticket));
        self.judge.on_progress(&self.members, seat)?;
        if self.members[seat].keeper.is_some() {
            // What was committed before it was durable here may go on.
            self.start_apply(seat);
        }
        self.settle(seat)
    }

    pub(super) fn start_apply(&mut self, seat: usize) {
        let member = &mut self.members[seat];
        if member.driver.is_applying
            || member.driver.installing.is_some()
            || member.is_halted()
            || member.driver.applied >= member.apply_until()
        {
            let is_held = member.driver.applied < member.view.commit;
            if is_held && member.keeper.is_some() && !member.driver.is_applying {
                self.judge.tally.mark(Mark::KeeperWaits);
            }
            return;
        }
        member.driver.is_applying = true;
        let delay = if self.is_calm {
            1
        } else {
            self.random.members.below(self.plan.members.apply_ns) + 1
        };
        self.after_within(seat, delay, Within::Apply);
    }

    /// Some committed entries are applied, from memory or else from storage.
    pub(super) fn apply(&mut self, seat: usize) -> Result<(), Violation> {
        let bytes_max = usize::try_from(self.random.members.octaves(1, 1 << 14)).unwrap_or(1);
        let member = &mut self.members[seat];
        member.driver.is_applying = false;
        let until = member.apply_until();
        let has_work = member.driver.applied < until;
        if member.is_halted() || member.driver.installing.is_some() || !has_work {
            return Ok(());
        }
        let first = member.driver.applied.next();
        let group = member.group.as_ref().expect("events of a run find it up");
        let mut entries = group.entries(first, until, bytes_max);
        if entries.is_none() {
            self.judge.tally.mark(Mark::ColdApply);
            // Storage may still hold what a truncation under way removes.
            let last = until.min(group.durable_index());
            entries = member.durable.read(first, last, bytes_max);
        }
        let Some(entries) = entries else {
            return ensure(false, invariants::ASKS_WHAT_EXISTS, || {
                let disk = member.durable.last();
                format!(
                    "{first}, committed, is neither in memory nor on a disk that ends at {disk}"
                )
            });
        };
        let records = self.judge.on_apply(&self.members[seat], &entries)?;
        let mut index = first.previous();
        for record in records {
            index = index.next();
            self.give(seat, index)?;
            self.apply_one(seat, index, &record)?;
        }
        self.may_flush(seat);
        self.trace.fold(&[0xa9, self.now, index.get()]);
        self.tell(seat, || format!("applies up to {index}"));
        self.with_group(seat, |group, _, _| group.on_applied(index));
        self.serve_reads(seat);
        self.start_apply(seat);
        self.settle(seat)
    }

    fn apply_one(&mut self, seat: usize, index: Index, record: &Record) -> Result<(), Violation> {
        let driver = &mut self.members[seat].driver;
        let before = match driver.applied {
            Index::ZERO => Term::ZERO,
            applied => self.judge.committed_term(applied).unwrap_or(Term::ZERO),
        };
        driver.applied = index;
        driver.applied_digest = record.digest;
        self.check_point(seat, index, record);
        self.complete(seat, index, record)?;
        if record.term > before {
            self.bury(seat, record.term);
        }
        Ok(())
    }

    pub(super) fn start_fetch(&mut self, seat: usize, fetch: Fetch) {
        let faults = &self.plan.members;
        let random = &mut self.random.members;
        let member = &mut self.members[seat];
        let early = (!self.is_calm && random.chance(faults.fetch_stale))
            .then(|| member.durable.read(fetch.first, fetch.last, fetch.bytes_max))
            .flatten();
        let term = member.view.term;
        let number = member.driver.next_fetch;
        member.driver.next_fetch += 1;
        member.driver.fetches.insert(number, FetchUnderWay { fetch, term, early });
        let delay = if self.is_calm {
            1 + random.below(self.plan.timeout_ns() / 2_000)
        } else {
            let usual = 1 + random.below(faults.write_ns * 2);
            if random.chance(faults.write_stall) { usual * random.octaves(2, 1_000) } else { usual }
        };
        self.trace.fold(&[0xfe, fetch.id.0, fetch.first.get()]);
        self.tell(seat, || format!("fetches {fetch:?}"));
        self.after_within(seat, delay, Within::Fetched(number));
    }

    pub(super) fn fetched(&mut self, seat: usize, number: u64) -> Result<(), Violation> {
        let member = &mut self.members[seat];
        let Some(FetchUnderWay { fetch, term, early }) = member.driver.fetches.remove(&number)
        else {
            return Ok(());
        };
        let tally = &mut self.judge.tally;
        let fails = !self.is_calm && self.random.members.chance(self.plan.members.fetch_failure);
        let current = member.durable.read(fetch.first, fetch.last, fetch.bytes_max);
        let answer = match early {
            _ if fails => None,
            Some(early) => Some(early),
            None => current,
        };
        if !is_leader(member) || member.view.term != term {
            tally.mark(Mark::FetchLate);
        }
        match answer {
            None => tally.mark(Mark::FetchFailed),
            Some(_) => tally.mark(Mark::Fetch),
        }
        self.tell(seat, || format!("{fetch:?} ends with {answer:?}"));
        self.with_group(seat, |group, now, _| group.on_fetched(now, fetch.id, answer));
        self.settle(seat)
    }
}
