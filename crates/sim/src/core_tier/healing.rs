//! The second phase: faults end, and the group must recover by itself.
//!
//! 1. Everything (or a random majority; the others stay down, or can speak
//!    and not hear) runs, every link
//!    carries, clocks run alike. Within some election timeouts one leads, all
//!    logs are equal, everything is committed and applied everywhere.
//! 2. A fresh command and a fresh read succeed on members at random.
//! 3. Left alone, the group keeps its term and leader, and falls silent where
//!    failure detectors vouch; else it costs its heartbeats and no more.

use super::event::Event;
use super::invariants::{self, Violation, ensure};
use super::judge::is_leader;
use super::member::Member;
use super::plan::Healing;
use super::world::World;
use crate::tally::Mark;
use raftlet::core::{Configuration, Group, Index, Liveness, NodeId, Term};

/// Election timeouts that recovery may take. Leaders elected in the last
/// moment of an unlucky split, several times over, and a catch-up through a
/// window of one message, need about half of it.
const HEALING_TIMEOUTS: u64 = 40;
/// Steps of the whole second phase: a catch-up of thousands of entries one by
/// one takes tens of thousands.
const HEALING_STEPS: u64 = 300_000;
/// Election timeouts until whoever should lead rather does: the longest tenure
/// of a leader that has tried before, twice, and a takeover.
const PREFERRED_TIMEOUTS: u64 = 2 * 64 + HEALING_TIMEOUTS;
/// How long the group is left alone at the end.
const IDLE_TIMEOUTS: u64 = 20;

impl World {
    /// Ends all faults and demands recovery.
    pub(crate) fn run_liveness(&mut self) -> Result<(), Violation> {
        self.heal()?;
        self.await_agreement("after healing", Index::ZERO)?;
        // A late word to take over may still change who leads.
        self.pass(2 * self.plan.timeout_ns())?;
        self.await_agreement("after late messages", Index::ZERO)?;
        self.await_preferred()?;
        if self.plan.members.short > 0 {
            // It may be refused for what members last said of their room: who leads
            // asks them then.
            let seat = self.some_seat();
            self.propose_on(seat, 1)?;
            self.pass(2 * self.plan.timeout_ns())?;
        }
        for _ in 0..2 {
            let fresh = self.judge.committed_len().next();
            let seat = self.some_seat();
            self.propose_on(seat, 1)?;
            self.await_agreement("after a fresh command", fresh)?;
            let seat = self.some_seat();
            self.read_on(seat)?;
            self.await_agreement("after a fresh read", fresh)?;
        }
        self.await_named()?;
        self.idle()?;
        self.judge.tally.mark(Mark::Healed);
        Ok(())
    }

    /// Closes the books.
    pub(crate) fn end(&mut self) {
        for seat in 0..self.members.len() {
            if let Some(group) = &self.members[seat].group {
                self.judge.count(group.counters());
            }
        }
    }

    fn heal(&mut self) -> Result<(), Violation> {
        self.is_calm = true;
        self.calm_since = self.steps;
        self.network.heal();
        if self.random.mischief.coin() {
            self.network.empty();
        }
        if self.plan.healing == Healing::Majority {
            self.lose_a_minority();
        }
        for seat in 0..self.members.len() {
            let member = &mut self.members[seat];
            member.paused_until = 0;
            member.clock.become_honest(self.now);
            member.wake_at = None;
        }
        for event in self.take_queue() {
            let delay = 1 + self.random.mischief.below(self.plan.timeout_ns());
            match event {
                // What detectors said of the past is overruled below.
                Event::Wake { .. } | Event::Rumour { .. } => {}
                Event::Deliver { .. }
                | Event::Transfer { .. }
                | Event::Start { .. }
                | Event::Within { .. } => {
                    self.after(delay, event);
                }
            }
        }
        for seat in 0..self.members.len() {
            // Whose snapshot rots finds that now: in peace nothing fails.
            let is_rotten = self.members[seat].rot.is_some();
            self.note_rot(seat);
            if self.members[seat].is_halted() || is_rotten {
                self.fall(seat);
            }
            self.start(seat)?;
            self.settle(seat)?;
        }
        if self.plan.healing == Healing::MajorityAndDeaf {
            self.lose_a_minority();
        }
        self.vouch()
    }

    /// Takes from the group, for good, as many as it can do without: they fall,
    /// or hear nothing any more while they can still speak.
    fn lose_a_minority(&mut self) {
        let spare = (self.members.len() - 1) / 2;
        while self.lost.len() < spare {
            let seat = self.random.mischief.index(self.members.len());
            if self.plan.healing == Healing::MajorityAndDeaf {
                self.network.deafen(seat);
            } else {
                self.fall(seat);
            }
            self.lost.insert(seat);
        }
    }

    /// The members that must recover: of whoever leads the latest term, as far
    /// as they are not lost.
    pub(super) fn core(&self) -> impl Iterator<Item = &Member> {
        let leaders = self.members.iter().filter(|member| is_leader(member));
        let leader = leaders.max_by_key(|member| member.view.term);
        let configuration = leader.and_then(|leader| leader.group.as_ref()?.configuration().into());
        let kept = move |(seat, member): (usize, &'_ Member)| {
            let is_seated = configuration.is_none_or(|configuration: &Configuration| {
                configuration.find(member.node).is_some()
            });
            is_seated && !self.lost.contains(&seat)
        };
        self.members.iter().enumerate().filter(move |(s, m)| kept((*s, *m))).map(|(_, m)| m)
    }

    /// Failure detectors say how it is.
    fn vouch(&mut self) -> Result<(), Violation> {
        for seat in 0..self.members.len() {
            for about in 0..self.members.len() {
                let other = &self.members[about];
                let (node, run) = (other.node, other.run);
                let says = match self.plan.healing {
                    Healing::AllUnvouched => Liveness::Unknown,
                    _ if self.lost.contains(&seat) => Liveness::Unknown,
                    _ if !self.lost.contains(&about) => Liveness::Alive { run },
                    _ => Liveness::Suspected,
                };
                self.note_liveness(seat, about, says);
                self.with_group(seat, |group, now, _| group.on_liveness(now, node, says));
            }
            self.settle(seat)?;
        }
        Ok(())
    }

    /// A random member of those that must recover.
    pub(super) fn some_seat(&mut self) -> usize {
        loop {
            let seat = self.random.mischief.index(self.members.len());
            let node = self.members[seat].node;
            if self.core().any(|member| member.node == node) {
                return seat;
            }
        }
    }

    /// Lets things happen until everybody agrees on a log of at least `len`.
    pub(super) fn await_agreement(&mut self, when: &str, len: Index) -> Result<(), Violation> {
        let deadline = self.now + HEALING_TIMEOUTS * self.plan.timeout_ns();
        loop {
            // Agreement changes slowly and is dear to look for.
            for _ in 0..16 {
                // What comes after a pause may be a leader that gives way.
                if self.is_quiet() && self.disagreement(len).is_none() {
                    return Ok(());
                }
                self.happen_next()?;
            }
            let Some(disagreement) = self.disagreement(len) else {
                return Ok(());
            };
            self.ensure_few_steps()?;
            ensure(self.now < deadline, invariants::HEALS, || {
                let timeouts = HEALING_TIMEOUTS;
                format!("{timeouts} election timeouts {when}: {disagreement}")
            })?;
        }
    }

    /// Lets things happen until nobody should lead rather than the leader.
    fn await_preferred(&mut self) -> Result<(), Violation> {
        if self.is_led_by_preferred() {
            return Ok(());
        }
        let deadline = self.now + PREFERRED_TIMEOUTS * self.plan.timeout_ns();
        while !self.is_led_by_preferred() {
            self.happen_next()?;
            ensure(self.now < deadline, invariants::PREFERRED_LEADS, || {
                let (term, leader) = self.leadership();
                format!("{leader:?} still leads term {term} though others should rather")
            })?;
        }
        self.judge.tally.mark(Mark::Preferred);
        // Not what this phase is measured by.
        self.calm_since = self.steps;
        self.await_agreement("under who should lead", Index::ZERO)
    }

    fn is_led_by_preferred(&self) -> bool {
        let Some(leader) = self.core().find(|member| is_leader(member)) else {
            return false;
        };
        let Some(group) = &leader.group else {
            return false;
        };
        let set = group.configuration().members();
        let priority = |node| set.iter().find(|seat| seat.node == node).map(|seat| seat.priority);
        let is_voter = |node| group.configuration().is_voter(node);
        let others = self.core().filter(|member| is_voter(member.node));
        others.filter_map(|member| priority(member.node)).max() <= priority(leader.node)
    }

    /// What those that must recover do not agree on, if anything.
    fn disagreement(&self, len: Index) -> Option<String> {
        let Some(leader) = self.core().find(|member| is_leader(member)) else {
            let roles: Vec<_> = self.core().map(|m| (m.node, m.view.role, m.view.term)).collect();
            return Some(format!("nobody leads: {roles:?}"));
        };
        if leader.group.as_ref().is_some_and(Group::is_transferring) {
            return Some(format!("{} is handing over", leader.node));
        }
        if let Some(group) = &leader.group {
            let configuration = group.configuration();
            let waits = group.catching_up();
            if configuration.is_joint() || !waits.is_empty() {
                return Some(format!("a change is under way: {configuration:?}, {waits:?}"));
            }
        }
        let (term, last) = (leader.view.term, leader.written.last());
        if last.index < len {
            return Some(format!("the log ends at {last}, {len} was asked for"));
        }
        for member in self.core() {
            let node = member.node;
            if member.view.term != term || member.view.leader != Some(leader.node) {
                let view = &member.view;
                return Some(format!(
                    "{} leads term {term}; {node} is {:?} of {:?} in term {}",
                    leader.node, view.role, view.leader, view.term
                ));
            }
            let durable = member.durable.last();
            if member.durable.digest(last.index) != leader.written.digest(last.index)
                || durable != last
            {
                return Some(format!("the log ends at {last}, that of {node} at {durable}"));
            }
            let (commit, applied) = (member.view.commit, member.driver.applied);
            if commit != last.index || applied != last.index {
                return Some(format!(
                    "the log ends at {last}, {node} has committed {commit}, applied {applied}"
                ));
            }
            if let Some((read, waits)) = member.driver.reads.first_key_value() {
                return Some(format!("{read} on {node} waits: {waits:?}"));
            }
        }
        None
    }

    /// Nobody asks for anything: the first half is for settling, the second is
    /// watched.
    fn idle(&mut self) -> Result<(), Violation> {
        let half = IDLE_TIMEOUTS / 2 * self.plan.timeout_ns();
        self.pass(half)?;
        let (term, leader) = self.leadership();
        // What those say to each other who hold no seat is their own business.
        let seated: Vec<NodeId> = self.core().map(|member| member.node).collect();
        let watched = self.members.iter().map(|member| seated.contains(&member.node));
        self.watched = Some(watched.collect());
        let (messages, deadlines) = (self.messages_sent, self.deadlines_obeyed);
        self.pass(half)?;
        let after = self.leadership();
        ensure(after == (term, leader), invariants::TERMS_SETTLE, || {
            format!("({term}, {leader:?}) became {after:?} without a fault")
        })?;
        let messages = self.messages_sent - messages;
        let deadlines = self.deadlines_obeyed - deadlines;
        let allowed = self.idle_allowance(half);
        ensure(messages <= allowed && deadlines <= allowed, invariants::NOT_BUSY, || {
            format!("{messages} messages and {deadlines} deadlines while idle, {allowed} allowed")
        })
    }

    /// Messages, and deadlines, that an idle group may cost in `span_ns`.
    fn idle_allowance(&self, span_ns: u64) -> u64 {
        if self.plan.healing == Healing::AllVouched || self.members.len() == 1 {
            return 0;
        }
        let interval = self.plan.options.heartbeat_interval.as_nanos();
        let intervals = u128::from(span_ns) / interval.max(1) + 2;
        let others = u64::try_from(self.members.len() - 1).expect("a small number");
        // A heartbeat and its answer; for deadlines, one at either end. One who
        // is deaf asks everybody once an interval: each refuses it, asks the
        // leader whether it is there, and is told and answers; some twice.
        let deaf = match self.plan.healing {
            Healing::MajorityAndDeaf => u64::try_from(self.lost.len()).expect("a small number"),
            _ => 0,
        };
        (2 + 8 * deaf) * others * u64::try_from(intervals).unwrap_or(u64::MAX)
    }

    pub(super) fn pass(&mut self, span_ns: u64) -> Result<(), Violation> {
        let until = self.now + span_ns;
        // Something that surely happens at the end, and means nothing.
        self.after(span_ns, Event::Wake { seat: 0 });
        while self.now < until {
            self.happen_next()?;
            self.ensure_few_steps()?;
        }
        Ok(())
    }

    /// A storm of messages that feeds itself never ends in virtual time.
    fn ensure_few_steps(&self) -> Result<(), Violation> {
        ensure(self.steps < self.calm_since + HEALING_STEPS, invariants::NOT_BUSY, || {
            format!("{HEALING_STEPS} steps since faults ended")
        })
    }

    fn leadership(&self) -> (Term, Option<NodeId>) {
        let term = self.core().map(|member| member.view.term).max();
        let leader = self.core().find(|member| is_leader(member));
        (term.unwrap_or_default(), leader.map(|leader| leader.node))
    }
}
