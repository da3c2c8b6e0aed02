//! Snapshots: taken, sent, received and installed, all in their own time.
//!
//! A file is whole when it is finished and nothing before; what a driver does
//! piece by piece is one event here, that may be lost, come twice, or come when
//! everything else has changed. A machine is restored when the record that
//! makes the file current is durable.
//!
//! Not here: what of it must hold (`judge/snapshot.rs`).

use std::rc::Rc;

use super::event::{Event, Transfer, Within};
use super::image::{Taken, position};
use super::invariants::{self, Violation, ensure};
use super::world::World;
use crate::tally::Mark;
use raftlet::core::{Body, Generation, Index, LogId, Message, NodeId, Snapshot, SnapshotPart};

impl World {
    /// A member begins to write down what its machine has.
    pub(super) fn take_snapshot(&mut self, seat: usize) -> Result<(), Violation> {
        let member = &mut self.members[seat];
        let Some(group) = member.group.as_ref().filter(|group| !group.is_halted()) else {
            return Ok(());
        };
        let index = member.driver.applied;
        let safe = group.durable_index();
        if index > safe || index <= group.snapshot().index || member.driver.taking.is_some() {
            return Ok(());
        }
        if !member.is_level() {
            return Ok(());
        }
        let records = member.written.records()[..position(index)].to_vec();
        let (configuration_index, configuration) =
            group.configuration_at(index).expect("applied, and behind the base");
        let snapshot = Snapshot {
            last: LogId { term: group.term_at(index).expect("applied"), index },
            configuration_index,
            configuration: configuration.clone(),
            log_time_ms: records.iter().map(|record| record.log_time_ms).max().unwrap_or(0),
        };
        let taken = Rc::new(Taken { snapshot, records });
        self.judge.on_taken(&taken)?;
        self.members[seat].driver.taking = Some(taken);
        let delay = 1 + self.random.members.below(self.plan.members.write_ns * 4);
        self.after_within(seat, delay, Within::Taken);
        Ok(())
    }

    /// The file is finished.
    pub(super) fn taken(&mut self, seat: usize) -> Result<(), Violation> {
        let Some(taken) = self.members[seat].driver.taking.take() else {
            return Ok(());
        };
        let last = taken.snapshot.last;
        let tail = self.random.members.octaves(1, 64) - 1;
        let base = Index::new(last.index.get().saturating_sub(tail));
        self.members[seat].driver.files.insert(last, taken);
        let is_used = self.with_group(seat, |group, now, _| group.compact(now, last, base));
        let is_used = is_used == Some(true);
        self.trace.fold(&[0x5a, self.now, last.index.get(), u64::from(is_used)]);
        self.tell(seat, || format!("has a snapshot of {last}, compacts to {base}: {is_used}"));
        self.judge.tally.mark(if is_used { Mark::SnapshotTaken } else { Mark::SnapshotStale });
        self.settle(seat)
    }

    /// The core wants its snapshot sent.
    pub(super) fn send_snapshot(&mut self, seat: usize, to: NodeId) {
        let to_seat = super::judge::seat_of(to).expect("judged");
        let member = &self.members[seat];
        let (from, term) = (member.sender(), member.view.term);
        // The current one, or what was current when the driver began.
        let Some(taken) = member.durable.snapshot().cloned() else {
            self.after_within(seat, 1, Within::SnapshotEnded(to));
            return;
        };
        if self.is_rotten(seat) {
            // The attempt ends; it takes another snapshot to make one that does not.
            self.judge.tally.mark(Mark::RotNotSent);
            let delay = 1 + self.random.losses.below(self.plan.members.write_ns);
            self.after_within(seat, delay, Within::SnapshotEnded(to));
            return;
        }
        self.trace.fold(&[0x5e, self.now, to.get(), taken.snapshot.last.index.get()]);
        self.tell(seat, || format!("sends {} to {to}", taken.snapshot.last));
        let transfer = Transfer { from, term, taken };
        let random = &mut self.random.network;
        let calm = 1 + self.plan.timeout_ns() / 100;
        let slow = self.plan.network.latency_ns * random.octaves(1, 64);
        let delay = if self.is_calm { random.below(calm) + 1 } else { random.below(slow) + 1 };
        let is_lost = self.network.is_cut(seat, to_seat)
            || (!self.is_calm && random.chance(self.plan.members.transfer_loss));
        if !is_lost {
            self.launch_transfer(to_seat, transfer.clone(), delay);
        }
        if !self.is_calm && self.random.network.chance(self.plan.network.duplicate) {
            self.launch_transfer(to_seat, transfer, delay * 16);
        }
        let patience = if self.is_calm { delay * 2 } else { delay * 4 };
        self.after_within(seat, patience, Within::SnapshotEnded(to));
    }

    fn launch_transfer(&mut self, to: usize, transfer: Transfer, delay: u64) {
        let number = self.next_transfer;
        self.next_transfer += 1;
        self.transfers.insert(number, transfer);
        self.after(delay, Event::Transfer { to, number });
    }

    /// The driver is done with sending, well or not.
    pub(super) fn snapshot_ended(&mut self, seat: usize, to: NodeId) -> Result<(), Violation> {
        self.with_group(seat, |group, now, _| group.on_snapshot_ended(now, to));
        self.settle(seat)
    }

    /// A snapshot has arrived whole, and its file is finished.
    pub(super) fn receive_snapshot(&mut self, seat: usize, number: u64) -> Result<(), Violation> {
        let Some(Transfer { from, term, taken }) = self.transfers.remove(&number) else {
            return Ok(());
        };
        if !self.members[seat].is_up() || self.members[seat].is_halted() {
            return Ok(());
        }
        let last = taken.snapshot.last;
        let part = SnapshotPart { last, number: 0, checksum: 0, bytes: bytes::Bytes::new() };
        let body = Body::Snapshot(part);
        let message = Message { generation: Generation::new(1), term, body };
        self.with_group(seat, |group, now, arena| group.step(now, arena, from, &mut { message }));
        // What the part brought about is drained before the file is finished, or
        // after: as it happens.
        self.settle(seat)?;
        if !self.members[seat].is_up() || self.members[seat].is_halted() {
            return Ok(());
        }
        let member = &mut self.members[seat];
        let group = member.group.as_ref().expect("it is up");
        let commit = group.commit_index();
        let had = LogId { term: group.term(), index: group.last_index() };
        member.driver.files.insert(last, Rc::clone(&taken));
        let is_taken =
            self.with_group(seat, |group, now, _| group.on_snapshot(now, &taken.snapshot));
        let is_taken = is_taken == Some(true);
        self.trace.fold(&[0x51, self.now, last.index.get(), u64::from(is_taken)]);
        self.tell(seat, || format!("has received {last} of {}: {is_taken}", from.node));
        if is_taken {
            // Nothing is applied until the machine is what the core speaks of.
            self.members[seat].driver.installing = Some(last);
            self.judge.on_install(&self.members[seat], &taken, (commit, had))?;
        } else {
            self.judge.tally.mark(Mark::SnapshotRefused);
        }
        self.settle(seat)
    }

    /// The machine is to be restored from the current snapshot.
    pub(super) fn start_install(&mut self, seat: usize, last: LogId) -> Result<(), Violation> {
        self.judge_install(seat, last.index)?;
        self.members[seat].driver.installing = Some(last);
        let delay = if self.is_calm {
            1
        } else {
            self.random.members.below(self.plan.members.apply_ns) + 1
        };
        self.after_within(seat, delay, Within::Restore);
        Ok(())
    }

    /// It is restored, if the record of it is durable.
    pub(super) fn restore(&mut self, seat: usize) -> Result<(), Violation> {
        let member = &mut self.members[seat];
        let Some(last) = member.driver.installing.filter(|_| !member.is_halted()) else {
            return Ok(());
        };
        let group = member.group.as_ref().expect("events of a run find it up");
        if group.durable_snapshot().index < last.index {
            let delay = 1 + self.random.members.below(self.plan.members.write_ns);
            self.after_within(seat, delay, Within::Restore);
            return Ok(());
        }
        let current = member.durable.snapshot_last();
        ensure(current.index >= last.index, invariants::SNAPSHOT_IS_TRUE, || {
            format!("{last} is told durable, {current} is the current snapshot")
        })?;
        if current.index > member.driver.applied && self.is_rotten(seat) {
            return self.meet_rot(seat);
        }
        let member = &mut self.members[seat];
        let taken = Rc::clone(member.durable.snapshot().expect("looked at above"));
        member.driver.installing = None;
        if current.index <= member.driver.applied {
            return Ok(());
        }
        let driver = &mut member.driver;
        driver.applied = current.index;
        driver.applied_digest = taken.digest();
        // Whether what was waited for is part of it is not told: it is unknown.
        driver.local.retain(|index, _| *index > current.index);
        driver.forwards.clear();
        self.judge.on_taken(&taken)?;
        self.restore_keeper(seat, current.index);
        self.trace.fold(&[0x5c, self.now, current.index.get()]);
        self.tell(seat, || format!("is restored from {current}"));
        self.with_group(seat, |group, _, _| group.on_applied(current.index));
        self.serve_reads(seat);
        self.start_apply(seat);
        self.settle(seat)
    }
}
