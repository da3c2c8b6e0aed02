//! What clients ask of members, and what they are told.
//!
//! Commands carry a number of their own each, so that no two are equal. A
//! member that does not lead forwards to the one it follows, and may send the
//! same forward again. A client is told "done" when the member that it asked
//! has applied the command; a read is served when its index is applied.

use std::iter;

use bytes::Bytes;

use super::image::Record;
use super::invariants::{self, Violation, ensure};
use super::judge::{is_leader, seat_of};
use super::member::{Forwarded, Read};
use super::world::World;
use crate::tally::Mark;
use raftlet::core::{
    Body, Forward, Generation, Group, Index, Message, ProposeError, ReadId, ReadReady, Term,
};

/// Forwards that a member remembers; the oldest becomes unknown.
const FORWARDS_MAX: usize = 16;

impl World {
    /// Some member is asked to propose.
    pub(super) fn client_proposes(&mut self) -> Result<(), Violation> {
        let seat = self.random.clients.index(self.members.len());
        // Leaders are asked more often: others mostly pass on.
        let leader = self.members.iter().position(is_leader);
        let seat = match leader {
            Some(leader) if self.random.clients.coin() => leader,
            _ => seat,
        };
        let len = self.random.clients.octaves(1, self.plan.clients.batch_len_max);
        self.propose_on(seat, len)
    }

    pub(super) fn propose_on(&mut self, seat: usize, len: u64) -> Result<(), Violation> {
        if !self.members[seat].is_up() {
            return Ok(());
        }
        let numbers: Vec<u64> = (self.next_command + 1..=self.next_command + len).collect();
        self.next_command += len;
        let commands: Vec<Bytes> = numbers.iter().map(|number| self.command(*number)).collect();
        let owed = self.members[seat].owes_turn;
        let refs = commands.iter().map(|command| &**command);
        let hands_over = self.members[seat].group.as_ref().is_some_and(Group::is_transferring);
        let answer = self
            .with_group(seat, |group, now, arena| group.propose(now, arena, refs))
            .expect("it is up");
        ensure(!hands_over || answer.is_err(), invariants::HANDS_OVER_WHOLE, || {
            format!("proposed {numbers:?} while handing over: {answer:?}")
        })?;
        self.tell(seat, || format!("is asked to propose {numbers:?}: {answer:?}"));
        match answer {
            Ok(first) => {
                let driver = &mut self.members[seat].driver;
                for (index, number) in
                    iter::successors(Some(first.index), |i| Some(i.next())).zip(&numbers)
                {
                    driver.local.insert(index, (first.term, *number));
                }
                self.settle(seat)?;
                let member = &self.members[seat];
                if owed || member.owes_turn {
                    return Ok(());
                }
                let held = member.written.get(first.index);
                ensure(
                    held.is_some_and(|held| {
                        held.term == first.term && Some(&held.command) == numbers.first()
                    }),
                    invariants::STATUS_IS_TRUE,
                    || format!("proposed at {first}, where {held:?} stands"),
                )
            }
            Err(ProposeError::NotLeader { leader: Some(leader), term })
                if seat_of(leader) != Some(seat) =>
            {
                let leader = seat_of(leader).expect("members are numbered from 1");
                let sequence = self.remember_forward(seat, term, leader, commands, numbers);
                self.send_forward(seat, sequence);
                self.settle(seat)
            }
            Err(error) => {
                match error {
                    ProposeError::Busy { .. } => self.judge.tally.mark(Mark::Busy),
                    ProposeError::QuorumFull => self.judge.tally.mark(Mark::QuorumFull),
                    ProposeError::Transferring => self.judge.tally.mark(Mark::RefusedInTransfer),
                    _ => {}
                }
                self.judge.refuse(&numbers);
                self.settle(seat)
            }
        }
    }

    fn command(&mut self, number: u64) -> Bytes {
        let mut bytes = number.to_le_bytes().to_vec();
        let len = self.random.clients.between(8, self.plan.clients.command_bytes_max);
        bytes.resize(usize::try_from(len).expect("a small number"), 0xab);
        Bytes::from(bytes)
    }

    fn remember_forward(
        &mut self,
        seat: usize,
        term: Term,
        leader: usize,
        commands: Vec<Bytes>,
        numbers: Vec<u64>,
    ) -> u64 {
        let driver = &mut self.members[seat].driver;
        let sequence = driver.next_sequence + 1;
        driver.next_sequence += u64::try_from(commands.len()).expect("a small number");
        if driver.forwards.len() >= FORWARDS_MAX {
            driver.forwards.pop_first();
        }
        let forward = Forwarded { term, leader, commands, numbers };
        driver.forwards.insert(sequence, forward);
        sequence
    }

    fn send_forward(&mut self, seat: usize, sequence: u64) {
        let driver = &self.members[seat].driver;
        let Some(forward) = driver.forwards.get(&sequence) else {
            return;
        };
        let message = Message {
            generation: Generation::new(1),
            term: forward.term,
            body: Body::Forward(Forward {
                first_sequence: sequence,
                commands: forward.commands.clone(),
            }),
        };
        self.send(seat, forward.leader, message);
    }

    /// A forward whose fate is not known is sent again.
    pub(super) fn client_retransmits(&mut self) {
        let seat = self.random.clients.index(self.members.len());
        let forwards = &self.members[seat].driver.forwards;
        if forwards.is_empty() {
            return;
        }
        let which = self.random.clients.index(forwards.len());
        let sequence = forwards.keys().nth(which).copied();
        if let Some(sequence) = sequence {
            self.send_forward(seat, sequence);
        }
    }

    /// An entry was applied here: whose was it?
    pub(super) fn complete(
        &mut self,
        seat: usize,
        index: Index,
        record: &Record,
    ) -> Result<(), Violation> {
        let member = &mut self.members[seat];
        let driver = &mut member.driver;
        let mut is_done = false;
        if let Some((term, number)) = driver.local.remove(&index)
            && term == record.term
        {
            ensure(number == record.command, invariants::DONE_IS_APPLIED, || {
                format!("{index}@{term} was command {number}, {record:?} is applied")
            })?;
            is_done = true;
        }
        let own =
            record.origin.filter(|origin| origin.node == member.node && origin.run == member.run);
        if let Some(origin) = own {
            if driver.sequences_applied.insert(origin.sequence, index).is_some() {
                self.judge.tally.mark(Mark::ForwardTwice);
            }
            let forward = driver.forwards.range(..=origin.sequence).next_back();
            let number = forward.and_then(|(first, forward)| {
                let at = usize::try_from(origin.sequence - first).ok()?;
                forward.numbers.get(at)
            });
            if let Some(number) = number {
                ensure(*number == record.command, invariants::DONE_IS_APPLIED, || {
                    format!("{origin:?} was command {number}, {record:?} is applied")
                })?;
                is_done = true;
            }
        }
        if is_done {
            self.judge.tally.mark(Mark::Done);
            self.judge.show(index);
        }
        Ok(())
    }

    /// An entry of `term` was applied here: what was proposed in lower terms
    /// and not applied never will be.
    pub(super) fn bury(&mut self, seat: usize, term: Term) {
        let driver = &mut self.members[seat].driver;
        let before = driver.local.len() + driver.forwards.len();
        driver.local.retain(|_, (proposed, _)| *proposed >= term);
        driver.forwards.retain(|_, forward| forward.term >= term);
        let dead = before - driver.local.len() - driver.forwards.len();
        let dead = u64::try_from(dead).expect("a small number");
        self.judge.tally.add(Mark::Dead, dead);
    }

    /// Some member, as a rule the leader, is asked to hand leadership over: to
    /// anybody named, or to whoever is level.
    pub(super) fn client_transfers(&mut self) -> Result<(), Violation> {
        let random = &mut self.random.clients;
        let leader = self.members.iter().position(is_leader);
        let seat = match leader {
            Some(leader) if random.below(8) > 0 => leader,
            _ => random.index(self.members.len()),
        };
        let to = random.coin().then(|| self.members[random.index(self.members.len())].node);
        let answer = self.with_group(seat, |group, now, _| group.transfer(now, to));
        if let Some(Ok(())) = answer {
            self.judge.tally.mark(Mark::Transfer);
        }
        self.tell(seat, || format!("is asked to hand over to {to:?}: {answer:?}"));
        self.settle(seat)
    }

    /// Some member is asked to read.
    pub(super) fn client_reads(&mut self) -> Result<(), Violation> {
        let seat = self.random.clients.index(self.members.len());
        self.read_on(seat)
    }

    pub(super) fn read_on(&mut self, seat: usize) -> Result<(), Violation> {
        if !self.members[seat].is_up() {
            return Ok(());
        }
        let floor = self.judge.floor();
        let driver = &mut self.members[seat].driver;
        driver.next_read = driver.next_read.next();
        let read = driver.next_read;
        driver.reads.insert(read, Read { floor, ready: None });
        let answer = self.with_group(seat, |group, now, _| group.read(now, read));
        self.tell(seat, || format!("is asked to read ({read}): {answer:?}"));
        if !matches!(answer, Some(Ok(()))) {
            self.members[seat].driver.reads.remove(&read);
        }
        self.settle(seat)
    }

    pub(super) fn client_forgets(&mut self) -> Result<(), Violation> {
        let seat = self.random.clients.index(self.members.len());
        let reads = &mut self.members[seat].driver.reads;
        let Some(read) = reads.keys().next().copied() else {
            return Ok(());
        };
        let is_asked = reads.remove(&read).is_some_and(|read| read.ready.is_none());
        // A drain that is owed may hold the answer already.
        if is_asked && !self.members[seat].owes_turn {
            self.with_group(seat, |group, _, _| group.forget_read(read));
            return self.settle(seat);
        }
        if is_asked {
            self.members[seat].driver.forgotten.insert(read);
            self.with_group(seat, |group, _, _| group.forget_read(read));
        }
        Ok(())
    }

    pub(super) fn on_read_ready(&mut self, seat: usize, ready: ReadReady) -> Result<(), Violation> {
        let driver = &mut self.members[seat].driver;
        if driver.forgotten.remove(&ready.read) {
            return Ok(());
        }
        self.judge.on_read_ready(driver.reads.get(&ready.read), ready)?;
        if let Some(read) = driver.reads.get_mut(&ready.read) {
            read.ready = Some(ready.index);
        }
        self.trace.fold(&[0x4e, ready.read.get(), ready.index.get()]);
        self.tell(seat, || format!("may serve {ready:?}"));
        self.serve_reads(seat);
        Ok(())
    }

    pub(super) fn on_read_refused(&mut self, seat: usize, read: ReadId) -> Result<(), Violation> {
        let driver = &mut self.members[seat].driver;
        if driver.forgotten.remove(&read) {
            return Ok(());
        }
        let was = driver.reads.remove(&read);
        self.judge.tally.mark(Mark::ReadRefused);
        ensure(was.is_some_and(|was| was.ready.is_none()), invariants::ONE_ANSWER, || {
            format!("{read} is refused, but was not asked or was answered")
        })
    }

    /// Reads whose index is applied are served with the state as it is.
    pub(super) fn serve_reads(&mut self, seat: usize) {
        let member = &mut self.members[seat];
        let applied = member.driver.applied;
        let before = member.driver.reads.len();
        member.driver.reads.retain(|_, read| read.ready.is_none_or(|index| index > applied));
        let served = before - member.driver.reads.len();
        if served == 0 {
            return;
        }
        let mark = if is_leader(member) { Mark::LeaderRead } else { Mark::FollowerRead };
        let visible = member.visible();
        self.judge.show(visible);
        let served = u64::try_from(served).expect("a small number");
        self.judge.tally.add(mark, served);
    }
}
