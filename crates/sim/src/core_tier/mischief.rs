//! What goes wrong, and when somebody asks for something.
//!
//! Once per step the wheel is turned: most of the time it stops at nothing,
//! else at one fault or one client, each as often as the plan says.

use super::event::{Event, Within};
use super::invariants::Violation;
use super::judge::is_leader;
use super::member::Member;
use super::wheel::Turn;
use super::world::World;
use crate::tally::Mark;
use raftlet::core::{Group, Liveness, NodeId, Run};

impl World {
    /// Turns the wheel.
    pub(super) fn mischief(&mut self) -> Result<(), Violation> {
        let Some(turn) = self.wheel.turn(&mut self.random.mischief) else {
            return Ok(());
        };
        let seat = self.random.mischief.index(self.members.len());
        match turn {
            Turn::Propose => self.client_proposes()?,
            Turn::Retransmit => self.client_retransmits(),
            Turn::Read => self.client_reads()?,
            Turn::Forget => self.client_forgets()?,
            Turn::Transfer => self.client_transfers()?,
            Turn::Change => self.client_changes()?,
            Turn::Replay => self.replay(),
            Turn::Cut => self.cut(),
            Turn::Heal => {
                self.tell(seat, || "sees all links healed".to_owned());
                self.network.heal();
            }
            Turn::Crash if self.random.mischief.chance(self.plan.members.blackout) => {
                self.judge.tally.mark(Mark::Blackout);
                for seat in 0..self.members.len() {
                    self.crash(seat);
                }
            }
            Turn::Crash => self.crash(seat),
            Turn::Poison => self.poison(seat)?,
            Turn::Pause => {
                let pause = 1 + self.random.mischief.below(self.plan.members.pause_ns);
                self.judge.tally.mark(Mark::Pause);
                self.tell(seat, || format!("stands still for {pause} ns"));
                self.members[seat].paused_until = self.now + pause;
            }
            Turn::Release => {
                let left = self.random.mischief.octaves(1, 4_096);
                let left = usize::try_from(left).expect("a small number") - 1;
                self.with_group(seat, |group, _, _| group.release_memory(left));
                self.settle(seat)?;
            }
            Turn::Snapshot => self.take_snapshot(seat)?,
            Turn::CalendarJump => {
                let random = &mut self.random.mischief;
                self.members[seat].clock.jump(random);
            }
            Turn::Rumour => self.rumour(seat)?,
            Turn::Trap => self.trap()?,
            Turn::Ahead => self.hard_state_ahead(seat)?,
            Turn::Doubt => {
                self.with_group(seat, |group, now, _| group.on_forwarded(now));
                self.settle(seat)?;
            }
        }
        Ok(())
    }

    fn replay(&mut self) {
        let random = &mut self.random.mischief;
        let leader = self.members.iter().position(is_leader);
        let leader = leader.map(|seat| (seat, self.members[seat].view.term));
        let Some(flight) = self.network.recall(random, leader) else {
            return;
        };
        self.judge.tally.mark(Mark::Replay);
        let delay = 1 + random.below(self.plan.network.latency_ns);
        self.launch(flight, delay);
    }

    fn cut(&mut self) {
        let leader = self.members.iter().position(is_leader);
        self.network.sever(&mut self.random.mischief, leader);
        self.judge.tally.mark(Mark::Cut);
        self.tell(0, || "sees links cut".to_owned());
    }

    /// A member's storage fails: it halts, and its process ends soon.
    fn poison(&mut self, seat: usize) -> Result<(), Violation> {
        if !self.members[seat].is_up() || self.members[seat].is_halted() {
            return Ok(());
        }
        self.judge.tally.mark(Mark::Poison);
        self.tell(seat, || "halts, its storage has failed".to_owned());
        self.halt(seat)
    }

    /// A member halts, and its process ends soon.
    pub(super) fn halt(&mut self, seat: usize) -> Result<(), Violation> {
        // What was drained before the failure has left already.
        self.turn(seat)?;
        self.with_group(seat, |group, now, _| group.halt(now));
        self.settle(seat)?;
        let delay = 1 + self.random.mischief.below(self.plan.members.down_ns);
        self.after_within(seat, delay, Within::Die);
        Ok(())
    }

    /// A member loses everything volatile, and will start again.
    pub(super) fn crash(&mut self, seat: usize) {
        if !self.members[seat].is_up() {
            return;
        }
        self.fall(seat);
        let delay = 1 + self.random.mischief.below(self.plan.members.down_ns);
        self.after(delay, Event::Start { seat });
    }

    /// A member loses everything volatile.
    pub(super) fn fall(&mut self, seat: usize) {
        let member = &mut self.members[seat];
        let Some(group) = &member.group else {
            return;
        };
        self.judge.count(group.counters());
        if !member.disk.untold.is_empty() {
            self.judge.tally.mark(Mark::UntoldWrites);
        }
        let lost = member.crash(&mut self.random.mischief);
        self.known[seat].fill(Liveness::Unknown);
        if lost > 0 {
            self.judge.tally.mark(Mark::LostWrites);
        }
        self.crash_keeper(seat);
        self.damage(seat);
        let last = self.members[seat].durable.last();
        self.trace.fold(&[0xcc, self.now, last.index.get()]);
        self.tell(seat, || format!("crashes, {lost} writes lost, disk ends at {last}"));
        if self.plan.members.detector && !self.is_calm {
            self.announce_all(seat, Liveness::Suspected);
        }
    }

    /// Detectors of all others learn that the member at `seat` is up.
    pub(super) fn announce(&mut self, seat: usize) {
        let run = self.members[seat].run;
        self.announce_all(seat, Liveness::Alive { run });
    }

    fn announce_all(&mut self, seat: usize, says: Liveness) {
        let about = self.members[seat].node;
        for other in (0..self.members.len()).filter(|other| *other != seat) {
            let delay = 1 + self.random.mischief.below(self.plan.network.latency_ns);
            let rumour = Event::Rumour { seat: other, about, says };
            self.after(delay, rumour);
        }
    }

    /// Sets a trap for a leader that has a lease: one other, or all, hear it no
    /// more and know it, and some of those start anew. The leader's clock goes as
    /// slowly as it may, theirs as fast.
    fn trap(&mut self) -> Result<(), Violation> {
        let has_lease = |member: &Member| {
            let until = member.group.as_ref().and_then(Group::lease_until);
            until.is_some_and(|until| until > member.clock.now(self.now).time)
        };
        let Some(leader) = self.members.iter().position(has_lease) else {
            return Ok(());
        };
        self.judge.tally.mark(Mark::Trap);
        self.tell(leader, || "falls into a trap".to_owned());
        let about = self.members[leader].node;
        let (slowest, fastest) = self.plan.clock_rates();
        self.members[leader].clock.go_on_at(self.now, slowest);
        let random = &mut self.random.mischief;
        let only = (random.below(4) == 0).then(|| random.index(self.members.len()));
        for seat in (0..self.members.len()).filter(|seat| *seat != leader) {
            if only.is_some_and(|only| only != seat) {
                continue;
            }
            self.network.part(leader, seat);
            self.members[seat].clock.go_on_at(self.now, fastest);
            self.members[seat].wake_at = None;
            self.schedule_wake(seat);
            if self.random.mischief.below(4) == 0 {
                self.fall(seat);
                self.after(1, Event::Start { seat });
            } else {
                self.with_group(seat, |group, now, _| {
                    group.on_liveness(now, about, Liveness::Suspected);
                });
                self.settle(seat)?;
            }
        }
        Ok(())
    }

    /// A detector says something, right or wrong.
    fn rumour(&mut self, seat: usize) -> Result<(), Violation> {
        let random = &mut self.random.mischief;
        let about = random.index(self.members.len());
        let run = self.members[about].run;
        let says = match random.below(5) {
            0 | 1 => Liveness::Alive { run },
            2 => Liveness::Alive { run: Run::new(random.between(1, run.get() + 1)) },
            3 => Liveness::Suspected,
            _ => Liveness::Unknown,
        };
        let about: NodeId = self.members[about].node;
        self.trace.fold(&[0x12, self.now]);
        self.tell(seat, || format!("hears that {about} is {says:?}"));
        if let Some(other) = super::judge::seat_of(about) {
            self.note_liveness(seat, other, says);
        }
        self.with_group(seat, |group, now, _| group.on_liveness(now, about, says));
        self.settle(seat)
    }
}
