//! What a member has whatever its role: term, vote, log, durable state, commit
//! index, and the output that roles write to.
//!
//! Invariants
//! - Term, commit index and applied index never fall.
//! - No message leaves with a term that is not durable, pre-votes apart
//!   (rule 6): [`State::send`] drops what comes too early, and whoever asked
//!   asks again.
//!
//! Not here: decisions of a role (`follower.rs`, `candidate.rs`, `leader.rs`).

use std::rc::Rc;

use crate::counters::Counts;
use crate::durability::Durability;
use crate::entry::{Entries, Seal};
use crate::ids::{
    Generation, GroupId, Incarnation, Index, LogId, NodeId, Run, Sender, Term, Ticket,
};
use crate::liveness::{Liveness, Others};
use crate::log::Log;
use crate::membership::{Configuration, Member, Role};
use crate::message::{Body, Message};
use crate::mutants;
use crate::options::Settings;
use crate::output::outlet::{Head, Outlet, PersistRare, PersistRef, one};
use crate::output::{Effects, Envelope, Event, HardState};
use crate::refill::Refill;
use crate::rng::Rng;
use crate::seldom::{GivenWay, Seldom};
use crate::time::{Now, Pace, Time};

/// Which seat of which group a member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The group.
    pub group: GroupId,
    /// The life of its id.
    pub generation: Generation,
    /// This node.
    pub node: NodeId,
    /// The life of its data directory.
    pub incarnation: Incarnation,
    /// Its start counter.
    pub run: Run,
}

/// The part of a member that all roles share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) seat: Seat,
    pub(crate) seal: Seal,
    pub(crate) settings: Rc<Settings>,
    pub(crate) rng: Rng,
    /// As of the current input.
    pub(crate) now: Now,
    pub(crate) term: Term,
    pub(crate) vote: Option<NodeId>,
    pub(crate) log: Log,
    pub(crate) durability: Durability,
    pub(crate) commit: Index,
    pub(crate) applied: Index,
    /// The window position of the last append accepted from a leader.
    pub(crate) position: u64,
    /// What a leader makes its first stamp from.
    pub(crate) pace: Pace,
    /// Until then no vote is given out of this member's own will: a leader may
    /// read under a lease meanwhile (`leader/lease.rs`).
    pub(crate) promised_until: Time,
    /// What the failure detector says of other members.
    pub(crate) liveness: Others,
    pub(crate) effects: Effects,
    pub(crate) counters: Counts,
    /// Numbers this run's campaigns.
    pub(crate) campaigns: u64,
    /// Its removal is committed: it neither asks nor campaigns (rule 22).
    pub(crate) is_dismissed: bool,
    pub(crate) seldom: Option<Box<Seldom>>,
}

impl State {
    pub(crate) fn time(&self) -> Time {
        self.now.time
    }

    pub(crate) fn configuration(&self) -> &Configuration {
        self.log.configuration().1
    }

    /// Bytes of applied entries in memory above which some leave it: some at a time,
    /// for finding out what may go costs more than letting go.
    #[inline]
    pub(crate) fn held_bytes_max(&self) -> usize {
        let keep = self.settings.options().trailing_bytes_max;
        keep + keep / 4
    }

    /// When the write that has been under way longest counts as stalled.
    pub(crate) fn stall_at(&self) -> Option<Time> {
        let oldest = self.durability.oldest_unfinished()?;
        Some(oldest.after_ns(self.settings.stall_limit_ns))
    }

    /// Whether the disk hangs: who cannot write must not lead (rule 8).
    pub(crate) fn is_stalled(&self) -> bool {
        self.stall_at().is_some_and(|at| at <= self.time())
    }

    /// A leader was heard and may count on this member for a while.
    pub(crate) fn promise(&mut self) {
        if self.settings.lease_ns.is_some() {
            self.promised_until = self.time().after_ns(self.settings.election_timeout_ns);
        }
    }

    /// Whether a leader may count on this member.
    pub(crate) fn is_promised(&self) -> bool {
        self.time() < self.promised_until
    }

    /// Room for what is seldom.
    pub(crate) fn seldom(&mut self) -> &mut Seldom {
        self.seldom.get_or_insert_default()
    }

    /// What is lost and not back yet.
    pub(crate) fn refill(&self) -> Option<Refill> {
        self.seldom.as_ref()?.refill
    }

    /// Its last hand-over by preference, in whichever office.
    pub(crate) fn given_way(&self) -> Option<GivenWay> {
        self.seldom.as_ref()?.given_way
    }

    pub(crate) fn give_way(&mut self, given: GivenWay) {
        self.seldom().given_way = Some(given);
    }

    /// What was lost may be durable again.
    pub(crate) fn end_refill(&mut self) {
        let Some(refill) = self.refill() else {
            return;
        };
        let index = self.durability.index();
        let term = self.log.term_at(index).unwrap_or_default();
        if refill.is_over(LogId { term, index }) || mutants::is_active(131) {
            self.seldom().refill = None;
            self.durability.on_refilled();
            self.event(Event::Refilled);
        }
    }

    /// Whether this member may campaign: a voter, under its own incarnation,
    /// with a disk that writes, and with room for a term and a no-op (rule 24).
    ///
    /// While a configuration without it is not committed it may still be the
    /// only one that can be elected (§4.2.2).
    pub(crate) fn is_electable(&self) -> bool {
        let (index, configuration) = self.log.configuration();
        let seats = |configuration: &Configuration| {
            let seat = configuration.find(self.seat.node);
            seat.is_some_and(|member| member.incarnation == self.seat.incarnation)
                && configuration.is_voter(self.seat.node)
        };
        let is_seated = seats(configuration)
            || (index > self.commit && self.log.former_configuration().is_some_and(seats));
        is_seated
            && !self.is_dismissed
            && self.refill().is_none()
            && !self.is_stalled()
            && !self.term.is_exhausted()
            && !self.term.next().is_exhausted()
            && !self.log.last().index.next().is_exhausted()
    }

    /// Whether a sender holds a seat, under the incarnation that the seat
    /// names (rule 3).
    #[inline]
    pub(crate) fn is_member(&self, sender: Sender) -> bool {
        let seat = self.configuration().find(sender.node);
        seat.is_some_and(|member| member.incarnation == sender.incarnation)
    }

    /// The last entry that is known to be committed.
    pub(crate) fn committed(&self) -> LogId {
        let term = self.log.term_at(self.commit).expect("what is committed is in the log");
        LogId { term, index: self.commit }
    }

    /// Whether a node holds no seat in a committed configuration.
    pub(crate) fn is_unseated(&self, node: NodeId) -> bool {
        let (index, configuration) = self.log.configuration();
        index <= self.commit && !configuration.is_empty() && configuration.find(node).is_none()
    }

    /// Whether a sender's removal is committed here: it held a seat before.
    pub(crate) fn was_removed(&self, sender: Sender) -> bool {
        self.is_unseated(sender.node) && self.log.has_seated(sender.node, sender.incarnation)
    }

    /// Whether this member's removal is committed here.
    pub(crate) fn is_removed(&self) -> bool {
        let own =
            Sender { node: self.seat.node, incarnation: self.seat.incarnation, run: self.seat.run };
        self.was_removed(own)
    }

    /// Another configuration is in effect: forgets the nodes outside of it.
    pub(crate) fn on_configured(&mut self) {
        let (index, configuration) = self.log.configuration();
        self.liveness.retain(|node| configuration.find(node).is_some());
        let own = configuration.find(self.seat.node);
        if own.is_some_and(|member| member.incarnation == self.seat.incarnation) {
            self.is_dismissed = false;
        }
        self.event(Event::Configuration { index });
    }

    /// The failure detector has news of a node; kept for members alone.
    pub(crate) fn note_liveness(&mut self, node: NodeId, liveness: Liveness) {
        let is_member = self.configuration().find(node).is_some();
        self.liveness.note(node, if is_member { liveness } else { Liveness::Unknown });
    }

    pub(crate) fn liveness_of(&self, node: NodeId) -> Liveness {
        self.liveness.of(node)
    }

    /// The nodes of every other member, each once.
    pub(crate) fn others(&self) -> Vec<NodeId> {
        let own = self.seat.node;
        self.configuration().nodes().map(|member| member.node).filter(|n| *n != own).collect()
    }

    pub(crate) fn run(&self) -> Run {
        self.seat.run
    }

    /// Whether the current term would survive a crash.
    pub(crate) fn is_term_durable(&self) -> bool {
        self.durability.term() == self.term
    }

    /// Sends a message of the current term; drops it while that term is not
    /// durable.
    pub(crate) fn send(&mut self, to: NodeId, body: Body) {
        if self.is_term_durable() {
            self.send_in(self.term, to, body);
        }
    }

    /// What stands above a message of the current term.
    #[inline]
    pub(crate) fn head(&self, to: NodeId) -> Head {
        Head { to, generation: self.seat.generation, term: self.term }
    }

    /// Sends a message of any term: for pre-votes, which promise nothing.
    pub(crate) fn send_in(&mut self, term: Term, to: NodeId, body: Body) {
        let message = Message { generation: self.seat.generation, term, body };
        self.effects.send(Envelope { to, message });
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.effects.rare().events.push(event);
    }

    /// Moves to a higher term, in which no vote is given yet.
    pub(crate) fn adopt_term(&mut self, term: Term) {
        assert!(term > self.term, "terms only grow");
        self.term = term;
        self.vote = None;
    }

    /// Raises the commit index.
    pub(crate) fn commit_to(&mut self, index: Index) {
        assert!(index >= self.commit || mutants::is_active(36), "the commit index only grows");
        assert!(index <= self.log.last().index, "committed what is not in the log");
        if index > self.commit || mutants::is_active(36) {
            self.commit = index;
            self.effects.committed = index;
        }
    }

    pub(crate) fn hard_state(&self) -> HardState {
        HardState { term: self.term, vote: self.vote }
    }

    /// Hands out what must become durable.
    #[inline]
    pub(crate) fn hand_out(&mut self, outlet: &mut impl Outlet) {
        let last = self.log.last().index;
        let (hard_state, now) = (self.hard_state(), self.time());
        let Some((ticket, first)) =
            self.durability.hand_out_entries(hard_state, last, self.position, now)
        else {
            self.hand_out_any(outlet);
            return;
        };
        match self.log.whole_chunk(first, last, usize::MAX) {
            Some(chunk) if !mutants::is_active(29) => {
                outlet.persist(PersistRef { ticket, rare: None, chunks: one(chunk) })
            }
            _ => self.hand_out_from(ticket, first, None, outlet),
        }
    }

    /// The same, where more than entries may be due.
    #[inline(never)]
    fn hand_out_any(&mut self, outlet: &mut impl Outlet) {
        let last = self.log.last().index;
        let (hard_state, now) = (self.hard_state(), self.time());
        let Some(due) = self.durability.hand_out(hard_state, last, self.position, now) else {
            return;
        };
        let mut rare = due.rare;
        if mutants::is_active(1) {
            rare.hard_state = rare.hard_state.map(|state| HardState { vote: None, ..state });
        }
        self.hand_out_from(due.ticket, due.first, Some(&rare), outlet);
    }

    #[inline(never)]
    fn hand_out_from(
        &self,
        ticket: Ticket,
        first: Index,
        rare: Option<&PersistRare>,
        outlet: &mut impl Outlet,
    ) {
        let last = self.log.last().index;
        let mut entries = if first > last {
            Entries::none()
        } else {
            let unsaved = self.log.slice(first, last, usize::MAX);
            unsaved.expect("entries stay in memory until they are durable")
        };
        if mutants::is_active(29) && entries.len() > 1 {
            entries.truncate(last);
        }
        outlet.persist(PersistRef { ticket, rare, chunks: entries.as_slice() });
    }

    /// How long a follower waits before it campaigns: an election timeout, and
    /// longer where others should lead rather.
    pub(crate) fn draw_patience_ns(&mut self) -> u64 {
        self.draw_timeout_ns().saturating_add(self.deference_ns())
    }

    /// What voters of higher priority have as a start over this member: an
    /// eighth of an election timeout each, as long as a takeover takes. Those
    /// that are down give none, and few are enough (`leader/preference.rs`).
    pub(crate) fn deference_ns(&self) -> u64 {
        let configuration = self.configuration();
        // Who holds no seat defers to nobody: it may be the only electable one.
        let own = configuration.find(self.seat.node).map_or(u8::MAX, |seat| seat.priority);
        let is_rather = |member: &&Member| {
            member.priority > own
                && member.role == Role::Voter
                && self.liveness_of(member.node) != Liveness::Suspected
        };
        let rather = configuration.members().iter().filter(is_rather).take(4).count();
        let eighth = self.settings.election_timeout_ns / 8;
        eighth.saturating_mul(u64::try_from(rather).unwrap_or(4))
    }

    /// An election timeout drawn anew: one to two times the setting, so that
    /// two who lost the same leader seldom campaign together (§3.4).
    pub(crate) fn draw_timeout_ns(&mut self) -> u64 {
        let timeout = self.settings.election_timeout_ns;
        let spread = if mutants::is_active(13) { 0 } else { self.rng.below(timeout) };
        timeout + spread
    }
}
