//! The world of one group: members, messages, disks, and what happens next.
//!
//! Everything that will happen stands in one queue by true time; equal times
//! keep the order in which they were made. A step is one input to one core,
//! followed by its drain (at once, or after some more inputs), the judge's
//! look at it, and obedience: writes start, messages leave, applies and
//! fetches begin.
//!
//! Not here: what goes wrong (`mischief.rs`), what clients want
//! (`clients.rs`), how it ends (`healing.rs`), what must hold (`judge.rs`).

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::mem;
use std::rc::Rc;

use super::clock::{self, Clock};
use super::event::{Due, Event, Transfer, Within};
use super::image::Change;
use super::invariants::{self, Violation, ensure};
use super::judge::Judge;
use super::judge::transfer::must_refuse;
use super::keeper::Keeper;
use super::member;
use super::network::{self, Flight, FlightId, Network};
use super::plan::Plan;
use super::roster::{Wish, incarnation_of, seated};
use super::wheel::Wheel;
use crate::random::Random;
use crate::tally::Mark;
use crate::trace::Trace;
use raftlet::core::{
    Arena, Body, Configuration, Generation, Group, GroupId, Index, Liveness, MemberRole, Message,
    NodeId, Now, Output, PRIORITY_DEFAULT, Run, Seat, Settings, Term, Time, VoteKind, genesis,
};

/// The whole simulated world.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) plan: Plan,
    settings: Rc<Settings>,
    /// True time, nanoseconds.
    pub(super) now: u64,
    queue: BinaryHeap<Due>,
    next_due: u64,
    pub(super) members: Vec<member::Member>,
    pub(super) network: Network,
    pub(super) judge: Judge,
    arena: Arena,
    out: Output,
    pub(super) random: Streams,
    pub(super) wheel: Wheel,
    pub(super) steps: u64,
    pub(super) trace: Trace,
    /// The second phase: nothing goes wrong any more.
    pub(super) is_calm: bool,
    /// Steps when it began.
    pub(super) calm_since: u64,
    /// Seats that stay down for good.
    pub(super) lost: BTreeSet<usize>,
    pub(super) next_command: u64,
    pub(super) messages_sent: u64,
    pub(super) deadlines_obeyed: u64,
    /// Seats whose messages and deadlines are counted; all until then.
    pub(super) watched: Option<Vec<bool>>,
    /// What was asked for last of the members.
    pub(super) wish: Option<Wish>,
    /// By seat: what its failure detector has said of each.
    pub(super) known: Vec<Vec<Liveness>>,
    pub(super) transfers: BTreeMap<u64, Transfer>,
    pub(super) next_transfer: u64,
}

/// Chance, one stream for each subsystem.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) network: Random,
    pub(super) members: Random,
    pub(super) mischief: Random,
    pub(super) clients: Random,
    pub(super) losses: Random,
}

const GROUP: GroupId = GroupId::new(1);
const GENERATION: Generation = Generation::new(1);

impl World {
    pub(crate) fn new(seed: u64, plan: Plan, trace: Trace) -> Self {
        let settings = Settings::try_from(plan.options.clone()).expect("plans draw valid options");
        let settings = Rc::new(settings);
        let mut random = Streams {
            network: Random::new(seed, 11),
            members: Random::new(seed, 12),
            mischief: Random::new(seed, 13),
            clients: Random::new(seed, 14),
            losses: Random::new(seed, 15),
        };
        let first = first_change(&plan);
        let seats = plan.seats();
        let members = (0..seats)
            .map(|seat| {
                let clock = Clock::start(&mut random.members, 0, plan.clock_rates());
                let has_seat = seat < plan.voters + plan.cast.learners;
                let genesis = if has_seat { first.clone() } else { Change::default() };
                let (node, incarnation) = (super::judge::node_at(seat), incarnation_of(seat));
                let mut member = member::Member::new(node, incarnation, &genesis, clock);
                member.keeper =
                    plan.keepers.get(seat).copied().unwrap_or(false).then(Keeper::default);
                member
            })
            .collect();
        let mut world = Self {
            settings,
            now: 0,
            queue: BinaryHeap::new(),
            next_due: 0,
            members,
            network: Network::new(seats),
            judge: Judge::new(seats, &first),
            arena: Arena::new(4096),
            out: Output::default(),
            random,
            wheel: Wheel::new(&plan),
            steps: 0,
            trace,
            is_calm: false,
            calm_since: 0,
            lost: BTreeSet::new(),
            next_command: 0,
            messages_sent: 0,
            deadlines_obeyed: 0,
            watched: None,
            wish: None,
            known: vec![vec![Liveness::Unknown; seats]; seats],
            transfers: BTreeMap::new(),
            next_transfer: 0,
            plan,
        };
        for seat in 0..world.members.len() {
            let delay = world.random.members.below(world.plan.timeout_ns());
            world.after(delay, Event::Start { seat });
        }
        world
    }

    /// Lets anything happen for about `steps_max` steps.
    pub(crate) fn run_safety(&mut self, steps_max: u64) -> Result<(), Violation> {
        // Events that reach nobody are no steps; they end a run all the same.
        for _ in 0..steps_max.saturating_mul(8) {
            if self.steps >= steps_max {
                break;
            }
            self.mischief()?;
            self.happen_next()?;
        }
        Ok(())
    }

    /// Schedules `event`.
    pub(super) fn after(&mut self, delay_ns: u64, event: Event) {
        let due = Due { at: self.now.saturating_add(delay_ns), number: self.next_due, event };
        self.next_due += 1;
        self.queue.push(due);
    }

    /// What happens next happens. Without anything, time passes.
    pub(super) fn happen_next(&mut self) -> Result<(), Violation> {
        let Some(due) = self.queue.pop() else {
            self.now = self.now.saturating_add(self.plan.timeout_ns() / 4);
            return Ok(());
        };
        self.now = self.now.max(due.at);
        let seat = due.event.seat();
        let paused_until = self.members[seat].paused_until;
        if paused_until > self.now && !matches!(due.event, Event::Start { .. }) {
            if due.event == (Event::Wake { seat }) {
                self.members[seat].wake_at = Some(paused_until);
            }
            self.after(paused_until - self.now, due.event);
            return Ok(());
        }
        match due.event {
            Event::Deliver { to, flight } => self.deliver(to, flight),
            Event::Transfer { to, number } => self.receive_snapshot(to, number),
            Event::Wake { seat } => self.wake(seat, due.at),
            Event::Start { seat } => self.start(seat),
            Event::Rumour { seat, about, says } => {
                self.tell(seat, || format!("hears that {about} is {says:?}"));
                if let Some(other) = super::judge::seat_of(about) {
                    self.note_liveness(seat, other, says);
                }
                self.with_group(seat, |group, now, _| group.on_liveness(now, about, says));
                self.settle(seat)
            }
            Event::Within { seat, run, what } => {
                if self.members[seat].run != run || !self.members[seat].is_up() {
                    return Ok(());
                }
                match what {
                    Within::Written => self.written(seat),
                    Within::Told => self.told(seat),
                    Within::Turn => self.turn(seat),
                    Within::Apply => self.apply(seat),
                    Within::Taken => self.taken(seat),
                    Within::SnapshotEnded(to) => self.snapshot_ended(seat, to),
                    Within::Restore => self.restore(seat),
                    Within::Fetched(number) => self.fetched(seat, number),
                    Within::Die => {
                        self.crash(seat);
                        Ok(())
                    }
                }
            }
        }
    }

    /// Everything scheduled, earliest first, taken out of the queue.
    pub(super) fn take_queue(&mut self) -> Vec<Event> {
        let mut due = mem::take(&mut self.queue).into_sorted_vec();
        due.reverse();
        due.into_iter().map(|due| due.event).collect()
    }

    /// Whether nothing happens for an election timeout.
    pub(super) fn is_quiet(&self) -> bool {
        let next = self.queue.peek();
        next.is_none_or(|due| due.at > self.now.saturating_add(self.plan.timeout_ns()))
    }

    /// Gives an input to a core that is up.
    pub(super) fn with_group<R>(
        &mut self,
        seat: usize,
        input: impl FnOnce(&mut Group, Now, &mut Arena) -> R,
    ) -> Option<R> {
        let member = &mut self.members[seat];
        let now = member.clock.now(self.now);
        let group = member.group.as_mut()?;
        member.inputs += 1;
        self.steps += 1;
        let result = input(group, now, &mut self.arena);
        group.check_invariants();
        Some(result)
    }

    /// After an input: drains at once, or leaves it to a later turn.
    pub(super) fn settle(&mut self, seat: usize) -> Result<(), Violation> {
        if !self.members[seat].is_up() {
            return Ok(());
        }
        if self.members[seat].owes_turn {
            self.judge.tally.mark(Mark::BatchedInputs);
            return Ok(());
        }
        if !self.is_calm && self.random.members.chance(self.plan.members.batch) {
            self.members[seat].owes_turn = true;
            let delay = self.random.members.below(self.plan.network.latency_ns) + 1;
            self.after_within(seat, delay, Within::Turn);
            return Ok(());
        }
        self.turn(seat)
    }

    pub(super) fn after_within(&mut self, seat: usize, delay_ns: u64, what: Within) {
        let run = self.members[seat].run;
        self.after(delay_ns, Event::Within { seat, run, what });
    }

    /// Drains a core, has the drain judged, and obeys it from top to bottom.
    pub(super) fn turn(&mut self, seat: usize) -> Result<(), Violation> {
        let mut out = mem::take(&mut self.out);
        self.members[seat].owes_turn = false;
        self.members[seat].drain(&mut out);
        let judged = self.judge.on_drain(&mut self.members, seat, &out);
        self.members[seat].inputs = 0;
        let judged = judged.and_then(|change| {
            self.judge_divergences(seat, &out)?;
            self.judge.on_leases(&self.members, self.now)?;
            Ok(change)
        });
        let obeyed = judged.and_then(|change| self.obey(seat, &mut out, change));
        self.out = out;
        obeyed
    }

    fn obey(
        &mut self,
        seat: usize,
        out: &mut Output,
        change: Option<Change>,
    ) -> Result<(), Violation> {
        if let (Some(change), Some(persist)) = (change, &out.persist) {
            let last = change.records.last().map_or(0, |record| record.digest);
            let hard_state = self.members[seat].written.hard_state;
            self.trace.fold(&[persist.ticket.get(), hard_state.term.get(), last]);
            self.tell(seat, || format!("hands out {persist:?}"));
            let disk = &mut self.members[seat].disk;
            disk.waiting.push_back((persist.ticket, change));
            if disk.writing == 0 {
                self.start_write(seat);
            }
        }
        for envelope in out.messages.drain(..) {
            let to = super::judge::seat_of(envelope.to).expect("judged");
            self.send(seat, to, envelope.message);
        }
        if let Some(last) = out.install {
            self.start_install(seat, last)?;
        }
        for to in out.snapshots.drain(..) {
            self.send_snapshot(seat, to);
        }
        if let Some(commit) = out.committed {
            self.trace.fold(&[0xc0, commit.get()]);
            self.tell(seat, || format!("commits {commit}"));
            self.start_apply(seat);
        }
        for ready in out.reads.drain(..) {
            self.on_read_ready(seat, ready)?;
        }
        for read in out.reads_refused.drain(..) {
            self.on_read_refused(seat, read)?;
        }
        for fetch in out.fetches.drain(..) {
            self.start_fetch(seat, fetch);
        }
        self.tell_liveness_again(seat, out);
        self.schedule_wake(seat);
        Ok(())
    }

    /// A message leaves, and may never arrive.
    pub(super) fn send(&mut self, seat: usize, to: usize, mut message: Message) {
        if !self.is_calm && self.random.network.chance(self.plan.members.short) {
            message.tell_shortage();
        }
        let is_counted = self.watched.as_ref().is_none_or(|watched| watched[seat] || watched[to]);
        self.messages_sent += u64::from(is_counted);
        let kind = network::kind(&message.body);
        self.trace.fold(&[0x5e, kind, message.term.get()]);
        self.tell(seat, || format!("to n{}: {message:?}", to + 1));
        let member = &mut self.members[seat];
        if kind == 0
            && let Some(since) = member.view.unanswered.get_mut(to)
        {
            since.get_or_insert(member.clock.now(self.now).time.ns());
        }
        let flight =
            Flight { from: member.sender(), to, to_run: self.members[to].run.get(), message };
        let faults = &self.plan.network;
        let random = &mut self.random.network;
        if self.is_calm {
            if self.network.is_cut(seat, to) {
                return;
            }
            let delay = 1 + random.below(self.plan.timeout_ns() / 1_000);
            return self.launch(flight, delay);
        }
        if random.chance(faults.archive) {
            let committed = self.judge.committed_len();
            self.network.keep(random, &flight, committed);
        }
        let deaf = faults.deaf.filter(|(deaf, _)| *deaf == kind);
        let is_lost = self.network.is_cut(seat, to)
            || random.chance(faults.drop)
            || deaf.is_some_and(|(_, rate)| random.chance(rate));
        if is_lost {
            return;
        }
        let delay = network::delay(random, faults);
        if random.chance(faults.duplicate) {
            let again = network::delay(random, faults);
            self.launch(flight.clone(), again);
        }
        self.launch(flight, delay);
    }

    pub(super) fn launch(&mut self, flight: Flight, delay_ns: u64) {
        let to = flight.to;
        let flight = self.network.launch(flight);
        self.after(delay_ns, Event::Deliver { to, flight });
    }

    fn deliver(&mut self, seat: usize, flight: FlightId) -> Result<(), Violation> {
        let Some(flight) = self.network.land(flight) else {
            return Ok(());
        };
        if !self.members[seat].is_up() {
            return Ok(());
        }
        let Flight { from, to_run, message, .. } = flight;
        let sender = super::judge::seat_of(from.node).expect("members are numbered from 1");
        self.trace.fold(&[0xde, self.now, from.node.get(), from.run.get()]);
        self.tell(seat, || format!("from {} {}: {message:?}", from.node, from.run));
        let tally = &mut self.judge.tally;
        if to_run != self.members[seat].run.get() {
            tally.mark(Mark::ToLaterRun);
        }
        if from.run != self.members[sender].run {
            tally.mark(Mark::FromEarlierRun);
        }
        let is_pre_vote = matches!(
            &message.body,
            Body::VoteRequest(request) if request.kind == VoteKind::Pre
        );
        let under = match &message.body {
            Body::Ack(ack) => Some(ack.configuration),
            _ => None,
        };
        let is_ack = under.is_some();
        let matched = |group: &Group| {
            let members = group.status().members;
            members.iter().find(|m| m.node == from.node).map_or(Index::ZERO, |m| m.match_index)
        };
        let watches = is_ack && self.plan.clients.change > 0;
        let before_ack = self.members[seat].group.as_ref().filter(|_| watches).map(matched);
        let member = &mut self.members[seat];
        if is_ack
            && message.term == member.view.term
            && let Some(since) = member.view.unanswered.get_mut(sender)
        {
            *since = None;
        }
        if matches!(message.body, Body::ForwardReply(_)) {
            // The driver's business; here forwards are told by their apply.
            return Ok(());
        }
        let owed = member.owes_turn;
        let before = member.written.hard_state;
        let append_term = matches!(message.body, Body::Append(_)).then_some(message.term);
        let sticks = !owed && self.is_refused_out_of_trust(seat, from.node, &message);
        self.with_group(seat, |group, now, arena| group.step(now, arena, from, &mut { message }));
        self.note_leader(seat, from.node, append_term);
        if is_ack {
            self.judge.on_progress(&self.members, seat)?;
        }
        let after_ack = self.members[seat].group.as_ref().filter(|_| watches).map(matched);
        if let (Some(under), Some(before), Some(after)) = (under, before_ack, after_ack) {
            let member = &self.members[seat];
            self.judge.on_fenced(member, from.node, under, (before, after))?;
        }
        self.settle(seat)?;
        let member = &self.members[seat];
        ensure(
            !is_pre_vote || owed || member.owes_turn || member.written.hard_state == before,
            invariants::PRE_VOTE_HARMLESS,
            || format!("{before:?} became {:?}", member.written.hard_state),
        )?;
        ensure(
            !sticks || member.owes_turn || member.written.hard_state == before,
            invariants::TRUST_REFUSES_VOTES,
            || format!("{before:?} became {:?} for {}", member.written.hard_state, from.node),
        )
    }

    /// Whether a message asks for a vote that its receiver must refuse because
    /// it hears another leader.
    fn is_refused_out_of_trust(&self, seat: usize, from: NodeId, message: &Message) -> bool {
        let Body::VoteRequest(request) = &message.body else {
            return false;
        };
        let member = &self.members[seat];
        let Some(group) = member.group.as_ref().filter(|group| group.leader() != Some(from)) else {
            return false;
        };
        let now = member.clock.now(self.now).time.ns();
        request.kind == VoteKind::Real && must_refuse(member, group, now, self.plan.timeout_ns())
    }

    /// Whom a member has just heard as its leader.
    fn note_leader(&mut self, seat: usize, from: NodeId, append_term: Option<Term>) {
        let member = &mut self.members[seat];
        let Some(group) = &member.group else {
            return;
        };
        if append_term == Some(group.term()) && group.leader() == Some(from) {
            let now = member.clock.now(self.now).time.ns();
            member.view.heard = Some((from, group.term(), now));
        }
    }

    /// Looks at a member's deadline, later by some.
    pub(super) fn schedule_wake(&mut self, seat: usize) {
        let member = &mut self.members[seat];
        let Some(deadline) = member.group.as_ref().and_then(Group::next_deadline) else {
            return;
        };
        if deadline == Time::MAX {
            return;
        }
        let at = member.clock.when(deadline).max(self.now + 1);
        if member.wake_at.is_some_and(|wake_at| wake_at <= at) {
            return;
        }
        let late =
            if self.is_calm { 0 } else { self.random.members.below(self.plan.members.late_ns) };
        member.wake_at = Some(at + late);
        self.after(at + late - self.now, Event::Wake { seat });
    }

    fn wake(&mut self, seat: usize, at: u64) -> Result<(), Violation> {
        let member = &mut self.members[seat];
        if member.wake_at != Some(at) {
            return Ok(());
        }
        member.wake_at = None;
        let Some(group) = &member.group else {
            return Ok(());
        };
        let now = member.clock.now(self.now);
        if group.next_deadline().is_none_or(|deadline| deadline > now.time) {
            self.schedule_wake(seat);
            return Ok(());
        }
        let is_counted = self.watched.as_ref().is_none_or(|watched| watched[seat]);
        self.deadlines_obeyed += u64::from(is_counted);
        self.trace.fold(&[0xdd, self.now]);
        self.tell(seat, || "its deadline passes".to_owned());
        self.with_group(seat, |group, now, _| group.on_deadline(now));
        let timeout_ns = self.plan.timeout_ns();
        self.judge.on_deadline_obeyed(&self.members[seat], now.time.ns(), timeout_ns)?;
        self.settle(seat)?;
        let member = &mut self.members[seat];
        let next = member.group.as_ref().and_then(Group::next_deadline);
        if member.owes_turn || next.is_none_or(|next| next > now.time) {
            member.view.stuck_deadlines = 0;
        } else {
            member.view.stuck_deadlines += 1;
        }
        ensure(member.view.stuck_deadlines < 4, invariants::NOT_BUSY, || {
            format!("deadline {next:?} stays in the past of {}", now.time)
        })
    }

    pub(super) fn start(&mut self, seat: usize) -> Result<(), Violation> {
        if self.members[seat].is_up() || self.lost.contains(&seat) {
            return Ok(());
        }
        self.find_losses(seat);
        let seed = self.random.members.bits();
        let rates = if self.is_calm { clock::HONEST } else { self.plan.clock_rates() };
        let member = &mut self.members[seat];
        member.run = Run::new(member.run.get() + 1);
        member.clock = Clock::start(&mut self.random.members, self.now, rates);
        member.paused_until = 0;
        if member.run > Run::new(1) {
            self.judge.tally.mark(Mark::Restart);
        }
        let at = Seat {
            group: GROUP,
            generation: GENERATION,
            node: member.node,
            incarnation: member.incarnation,
            run: member.run,
        };
        let mut restored = member.durable.restored();
        member.begin(&mut restored);
        let now = member.clock.now(self.now);
        self.trace.fold(&[0x57, self.now, member.durable.last().index.get()]);
        let group = Group::new(Rc::clone(&self.settings), at, restored, seed, now);
        let member = &mut self.members[seat];
        member.group = match group {
            Ok(group) => Some(group),
            Err(error) => {
                return ensure(false, invariants::STARTS, || format!("{error:?}"));
            }
        };
        self.tell(seat, || "starts".to_owned());
        if self.plan.members.detector && !self.is_calm {
            self.announce(seat);
        }
        self.turn(seat)
    }

    /// A line of the trace about a member.
    pub(super) fn tell(&mut self, seat: usize, line: impl FnOnce() -> String) {
        let now = self.now;
        self.trace.tell(|| {
            let ms = now / 1_000_000;
            let us = now / 1_000 % 1_000;
            format!("{ms:>8}.{us:03} n{} {}", seat + 1, line())
        });
    }
}

/// Entry 1 with its hard state, alike on all members of the first hour.
fn first_change(plan: &Plan) -> Change {
    let role = |seat| if seat < plan.voters { MemberRole::Voter } else { MemberRole::Learner };
    let priority = |seat| plan.priorities.get(seat).copied().unwrap_or(PRIORITY_DEFAULT);
    let seats = 0..plan.voters + plan.cast.learners;
    let members = seats.map(|seat| seated(seat, role(seat), priority(seat))).collect();
    let configuration = Configuration::new(members).expect("voters, each once");
    let entries = genesis(GROUP, GENERATION, &configuration);
    Change {
        hard_state: Some(raftlet::core::HardState { term: Term::BOOTSTRAP, vote: None }),
        records: Change::records_of(0, &entries),
        entries,
        ..Change::default()
    }
}
