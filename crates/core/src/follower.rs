//! Follows a leader, or waits for one.
//!
//! Invariants
//! - An acknowledgement covers only entries that are durable here and were
//!   shown to equal the leader's in the current term (rule 7). It is built at
//!   drain, from durable state: many appends fold into one ack.
//! - The commit index follows the leader's only up to what the leader's own
//!   messages have proven of this log (`verified`).
//! - A follower that trusts its leader refuses votes (§4.2.3, §9.6; rule 19).
//!
//! Trust (rule 20) ends by silence of one election timeout after the last
//! group message, unless the failure detector vouches for the leader's run and
//! nothing casts doubt. Suspicion, another run of the leader's process, or its
//! own word that it leads no more end trust at once (D16).
//!
//! Not here: campaigns (`candidate.rs`), reads of this member (`reads.rs`).

use std::mem;

use crate::entry::{Chunk, Entries};
use crate::ids::{Index, LogId, NodeId, Round, Run, Sender};
use crate::liveness::Liveness;
use crate::message::{Ack, AckOutcome, Append, Body};
use crate::mutants;
use crate::output::Event;
use crate::output::outlet::Outlet;
use crate::reads::Reads;
use crate::state::State;
use crate::time::{Pace, Time};

/// When the next acknowledgement is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AckDue {
    #[default]
    Never,
    /// When everything verified is durable, or more of it is.
    WhenDurable,
    /// At the next drain, with what is durable then.
    Now,
}

/// What a follower knows of its leader.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    pub(crate) leader: Option<NodeId>,
    leader_run: Run,
    /// Silence counts from here.
    since: Time,
    /// How long it may last before a campaign.
    patience_ns: u64,
    /// Somebody had reason to ask whether the leader still leads, and it has
    /// not answered yet.
    is_doubted: bool,
    probe_at: Time,
    /// The log equals the leader's up to here.
    verified: Index,
    configuration: Index,
    round: Round,
    acked_round: Round,
    ack: AckDue,
    /// The latest append that did not meet the log.
    reject: Option<Box<(Index, LogId)>>,
}

impl Follower {
    /// A follower of nobody whose patience starts now.
    pub(crate) fn new(state: &mut State, patience_ns: u64) -> Self {
        state.durability.forget_positions();
        state.position = 0;
        let now = state.time();
        Self { since: now, patience_ns, probe_at: now, ..Self::default() }
    }

    /// Whether the detector's word stands in for group messages.
    #[inline]
    pub(crate) fn is_vouched_for(&self, state: &State) -> bool {
        !self.is_doubted
            && self.leader.is_some_and(|leader| {
                state.liveness_of(leader) == Liveness::Alive { run: self.leader_run }
            })
    }

    /// Whether votes are refused in favour of the present leader.
    pub(crate) fn trusts_leader(&self, state: &State) -> bool {
        self.leader.is_some()
            && (state.time().since(self.since) < state.settings.election_timeout_ns
                || self.is_vouched_for(state))
    }

    /// How long it goes on waiting before it campaigns, if it knows no leader.
    pub(crate) fn patience_left_ns(&self, state: &State) -> Option<u64> {
        self.leader.is_none().then(|| self.campaign_at(state).since(state.time()))
    }

    fn campaign_at(&self, state: &State) -> Time {
        self.since.after_ns(self.patience_ns).max(state.promised_until)
    }

    pub(crate) fn next_deadline(&self, state: &State) -> Option<Time> {
        if self.is_vouched_for(state) {
            return None;
        }
        let campaign = state.is_electable().then(|| self.campaign_at(state));
        let probe = self.probes(state).then_some(self.probe_at);
        [campaign, probe].into_iter().flatten().min()
    }

    /// The same, where reads may wait for the leader's answer.
    #[inline(never)]
    pub(crate) fn next_deadline_with(&self, state: &State, reads: &Reads) -> Option<Time> {
        let own = self.next_deadline(state);
        if reads.len() == 0 || self.leader.is_none() {
            return own;
        }
        [own, reads.next_deadline(state)].into_iter().flatten().min()
    }

    /// Returns whether it is time to campaign.
    pub(crate) fn on_deadline(&mut self, state: &mut State) -> bool {
        if self.is_vouched_for(state) {
            return false;
        }
        let now = state.time();
        if state.is_electable() && now >= self.campaign_at(state) {
            return true;
        }
        if self.probes(state) && now >= self.probe_at {
            self.probe(state);
        }
        false
    }

    /// Whether it has a question and somebody to ask.
    fn probes(&self, state: &State) -> bool {
        (self.leader.is_none() || self.is_doubted)
            && !state.is_dismissed
            && !state.configuration().is_empty()
    }

    /// Asks the leader, or everybody where none is known, who leads.
    fn probe(&mut self, state: &mut State) {
        self.probe_at = state.time().after_ns(state.settings.heartbeat_interval_ns);
        let asked = self.leader.map_or_else(|| state.others(), |leader| vec![leader]);
        for node in asked {
            state.send(node, Body::Probe);
        }
    }

    /// Something was asked of the leader: its answer, or its silence, tells
    /// whether it still leads (rule 20).
    pub(crate) fn doubt(&mut self, state: &State) {
        if self.leader.is_none() || self.is_doubted {
            return;
        }
        let now = state.time();
        if self.is_vouched_for(state) {
            // Until now silence was fine; from now on it counts.
            self.since = self.since.max(now);
        }
        self.is_doubted = true;
        self.probe_at = now.after_ns(state.settings.heartbeat_interval_ns);
    }

    /// Somebody misses the leader: ask it.
    pub(crate) fn question(&mut self, state: &mut State) {
        if self.leader.is_some() && !self.is_doubted {
            self.doubt(state);
            self.probe(state);
        }
    }

    /// The leader spoke as leader of the current term.
    #[inline]
    pub(crate) fn hear(&mut self, state: &mut State, from: &Sender) {
        // Whoever is followed is not known to run anew: such news end that.
        let is_same_run = self.leader_run == from.run || mutants::is_active(139);
        if self.leader != Some(from.node) || !is_same_run {
            self.hear_another(state, *from);
            return;
        }
        self.since = state.time();
        self.is_doubted = false;
    }

    /// Somebody else speaks as leader, or its process in another run.
    #[inline(never)]
    fn hear_another(&mut self, state: &mut State, from: Sender) {
        let known = state.liveness_of(from.node);
        if matches!(known, Liveness::Alive { run } if run > from.run) {
            // Late words of a process that is gone.
            return;
        }
        if self.leader != Some(from.node) {
            self.follow(state, from);
        }
        self.leader_run = self.leader_run.max(from.run);
        self.since = state.time();
        self.is_doubted = false;
    }

    /// What follows from a committed configuration: one that does not seat
    /// this member dismisses it, one that does not seat its leader ends that
    /// leader's office (rule 18).
    #[cold]
    pub(crate) fn on_configuration_committed(&mut self, state: &mut State) {
        if state.is_removed() {
            if !state.is_dismissed {
                state.is_dismissed = true;
                let as_of = state.committed();
                state.event(Event::Removed { as_of });
            }
            return;
        }
        let is_voter = |leader| state.configuration().is_voter(leader);
        if self.leader.is_some_and(|leader| !is_voter(leader)) {
            self.abandon(state);
            // Not in the way of whom the leader told to take over.
            let grace = state.settings.heartbeat_interval_ns;
            self.patience_ns = self.patience_ns.saturating_add(grace);
        }
    }

    fn follow(&mut self, state: &mut State, from: Sender) {
        self.leader = Some(from.node);
        self.leader_run = from.run;
        self.patience_ns = state.draw_patience_ns();
        let (term, leader) = (state.term, self.leader);
        state.event(Event::Office { role: crate::output::Role::Follower, term, leader });
    }

    /// Stops trusting the leader; campaigns soon, unless another is quicker.
    fn abandon(&mut self, state: &mut State) {
        if mutants::is_active(122) {
            state.promised_until = Time::ZERO;
        }
        self.leader = None;
        self.is_doubted = false;
        self.since = state.time();
        self.probe_at = self.since;
        // Short, because the cause is known and pre-votes are free; spread,
        // because every follower learns of it in the same moment.
        self.patience_ns = state.rng.below(state.settings.election_timeout_ns / 8);
        self.patience_ns = self.patience_ns.saturating_add(state.deference_ns());
        let term = state.term;
        state.event(Event::Office { role: crate::output::Role::Follower, term, leader: None });
    }

    /// The one this member follows says that it does not lead this term.
    pub(crate) fn on_not_leader(&mut self, state: &mut State, from: NodeId) {
        if self.leader == Some(from) {
            self.abandon(state);
        }
    }

    pub(crate) fn on_liveness(&mut self, state: &mut State, node: NodeId, liveness: Liveness) {
        if self.leader != Some(node) {
            return;
        }
        match liveness {
            Liveness::Suspected => self.abandon(state),
            Liveness::Alive { run } if run > self.leader_run => self.abandon(state),
            Liveness::Alive { .. } => {}
            // Nobody vouches any more: silence counts from now, or since it was
            // first doubted. A detector that flaps does not prolong it.
            Liveness::Unknown if !self.is_doubted => self.since = state.time(),
            Liveness::Unknown => {}
        }
    }

    /// An append of the current term. Entries that match are kept, entries
    /// that conflict are replaced (§3.5).
    pub(crate) fn on_append(&mut self, state: &mut State, from: &Sender, append: &mut Append) {
        self.hear(state, from);
        state.promise();
        if !mutants::is_active(142) {
            self.round = self.round.max(append.round);
        }
        self.configuration = self.configuration.max(append.configuration);
        // Mostly it goes on where the log ends.
        if append.previous != state.log.last() && !meets(state, append.previous) {
            self.refuse(state, append.previous);
            return;
        }
        if !may_hold(state, append) {
            state.counters.throttled += 1;
            self.ack = AckDue::Now;
            return;
        }
        let is_heartbeat = append.entries.is_empty();
        let mut proven = append.previous.index;
        let is_taken = match append.entries.take_one() {
            Some(chunk) => {
                proven = chunk.last();
                accept(state, chunk, self.verified)
            }
            None => {
                proven = append.entries.last().map_or(proven, |last| last.index);
                accept_any(state, mem::take(&mut append.entries), self.verified)
            }
        };
        if mutants::is_active(28) && is_heartbeat {
            proven = state.log.last().index;
        }
        if !is_taken {
            state.counters.impossible += 1;
            return;
        }
        self.verified = self.verified.max(proven);
        state.position = state.position.max(append.position);
        state.durability.note_position(state.log.last().index, append.position);
        let mut commit = append.commit.min(self.verified).max(state.commit);
        if mutants::is_active(34) {
            commit = append.commit.min(state.log.last().index).max(state.commit);
        }
        if mutants::is_active(36) {
            commit = append.commit.min(self.verified);
        }
        let before = state.commit;
        if commit != before {
            state.commit_to(commit);
            let configured = state.log.configuration().0;
            if before < configured && configured <= state.commit {
                self.on_configuration_committed(state);
            }
        }
        // Reads wait for the round, not for the disk: answer a new one at once.
        let at_once = is_heartbeat || self.round > self.acked_round;
        self.ack = if at_once { AckDue::Now } else { AckDue::WhenDurable.max(self.ack) };
    }

    /// What stands before an append is not what the log has there.
    #[cold]
    fn refuse(&mut self, state: &mut State, previous: LogId) {
        let hint = state.log.meeting_point(previous);
        self.reject = Some(Box::new((previous.index, hint)));
        state.counters.rejects += 1;
    }

    /// An append of the current term for which the driver has no room: it is heard,
    /// and answered with what is here.
    #[cold]
    pub(crate) fn refuse_append(&mut self, state: &mut State, from: &Sender, append: &Append) {
        self.hear(state, from);
        self.round = self.round.max(append.round);
        self.configuration = self.configuration.max(append.configuration);
        state.counters.throttled += 1;
        self.ack = AckDue::Now;
    }

    /// A snapshot took the place of the log up to `last`: it is a part of every
    /// later leader's log.
    pub(crate) fn on_snapshot(&mut self, last: Index) {
        self.verified = self.verified.max(last);
        self.ack = AckDue::WhenDurable.max(self.ack);
    }

    /// More of the log is durable.
    #[inline]
    pub(crate) fn on_persisted(&mut self) {
        if self.ack == AckDue::WhenDurable {
            self.ack = AckDue::Now;
        }
    }

    /// Sends what is owed to the leader.
    pub(crate) fn flush(&mut self, state: &State, outlet: &mut impl Outlet) {
        if self.ack == AckDue::Never && self.reject.is_none() && !mutants::is_active(21) {
            return;
        }
        let Some(leader) = self.leader.filter(|_| state.is_term_durable()) else {
            return;
        };
        if self.reject.is_some() {
            self.send_reject(state, leader, outlet);
        }
        let mut durable = state.durability.index().min(self.verified);
        if mutants::is_active(20) {
            durable = self.verified;
        }
        if mutants::is_active(132) && state.refill().is_some() {
            durable = self.verified;
        }
        if mutants::is_active(21) {
            durable = state.durability.index();
            self.verified = state.log.last().index;
        }
        let due = match self.ack {
            AckDue::Never => false,
            AckDue::WhenDurable => durable == self.verified,
            AckDue::Now => true,
        };
        if due {
            let outcome = AckOutcome::Matches { verified: self.verified, durable, is_short: false };
            self.send_ack(state, leader, outcome, outlet);
            let complete = durable == self.verified;
            self.ack = if complete { AckDue::Never } else { AckDue::WhenDurable };
        }
    }

    #[cold]
    fn send_reject(&mut self, state: &State, leader: NodeId, outlet: &mut impl Outlet) {
        if let Some((previous, hint)) = self.reject.take().map(|reject| *reject) {
            let held = state.refill().map_or(Index::ZERO, |refill| refill.until);
            let outcome = AckOutcome::Rejects { previous, hint, held };
            self.send_ack(state, leader, outcome, outlet);
        }
    }

    #[inline]
    fn send_ack(
        &mut self,
        state: &State,
        leader: NodeId,
        outcome: AckOutcome,
        outlet: &mut impl Outlet,
    ) {
        self.acked_round = self.round;
        let ack = Ack {
            round: self.round,
            configuration: self.configuration,
            position: state.durability.position(),
            commit: state.commit,
            wall: state.now.wall,
            outcome,
        };
        outlet.ack(state.head(leader), &ack);
    }
}

/// Whether an append may follow `previous`.
#[inline(never)]
fn meets(state: &State, previous: LogId) -> bool {
    let reaches = previous.index <= state.log.last().index;
    state.log.meets(previous) || (reaches && mutants::is_active(17))
}

impl AckDue {
    fn max(self, other: Self) -> Self {
        if other == Self::Now { other } else { self }
    }
}

/// Whether entries that wait for the disk leave room for these. Without
/// entries there is always room: the commit index must get through.
fn may_hold(state: &State, append: &Append) -> bool {
    let limit = state.settings.options().uncommitted_bytes_max;
    append.entries.is_empty() || state.log.has_room_behind(state.durability.index(), 0, limit)
}

/// Takes several chunks, or none. Returns false as [`accept`] does.
#[inline(never)]
fn accept_any(state: &mut State, entries: Entries, verified: Index) -> bool {
    entries.is_empty() || entries.hand_to(|chunk| accept(state, chunk, verified))
}

/// Takes a chunk that follows what the log has. Returns false when it
/// contradicts what is committed, or what the same leader said before, or when
/// its configuration cannot be read.
#[inline]
fn accept(state: &mut State, chunk: Chunk, verified: Index) -> bool {
    if chunk.first() == state.log.last().index.next() {
        return append(state, chunk);
    }
    accept_overlapping(state, &chunk, verified)
}

/// Takes of a chunk what the log does not have, and what it has otherwise.
#[inline(never)]
fn accept_overlapping(state: &mut State, chunk: &Chunk, verified: Index) -> bool {
    let conflict = state.log.conflict(chunk);
    if conflict.is_some_and(|index| index <= state.commit.max(verified)) {
        return false;
    }
    if let Some(index) = conflict
        && !mutants::is_active(19)
    {
        truncate(state, index);
    }
    let behind = chunk.last().next();
    if mutants::is_active(18) && state.commit < behind && behind <= state.log.last().index {
        truncate(state, behind);
    }
    let news = chunk.from(state.log.last().index.next());
    news.is_none_or(|news| append(state, news))
}

#[inline]
fn append(state: &mut State, news: Chunk) -> bool {
    state.pace = Pace::of(news.log_time_ms(), state.time());
    match state.log.append(news) {
        Ok(false) => true,
        Ok(true) => {
            state.on_configured();
            true
        }
        Err(_) => false,
    }
}

fn truncate(state: &mut State, index: Index) {
    assert!(index > state.commit, "a committed entry is never truncated");
    let term = state.log.term_at(index).expect("truncates what is there");
    state.counters.entries_truncated += state.log.last().index - index.previous();
    let configured = state.log.truncate(index);
    state.durability.on_truncate(index);
    state.event(Event::Truncated { from: LogId { term, index } });
    if configured {
        state.on_configured();
    }
}
