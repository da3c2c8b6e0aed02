//! Leads: appends, replicates, commits (§3.5, §3.6.2).
//!
//! Invariants
//! - The first entry of a leadership is a no-op of its term; no entry of an
//!   older term is committed by counting (rule 16).
//! - The leader counts itself only up to its own durable index (rule 8).
//! - Nothing is sent while inputs arrive: a drain sends one round of appends
//!   that carries all of them.
//! - A leader that has no answer from a quorum for an election timeout, or none
//!   from its own disk for the stall limit, steps down (rules 8, 20).
//!
//! Not here: one member's progress (`leader/progress.rs`), reads
//! (`leader/reads.rs`, `leader/rounds.rs`, `leader/lease.rs`), stamps (`leader/clock.rs`), what is
//! remembered of forwards (`leader/forwarded.rs`), members without room (`leader/room.rs`), handing over
//! (`leader/transfer.rs`, `leader/preference.rs`), changes of the members (`leader/change.rs`) and of
//! their seats (`leader/seats.rs`).

use crate::entry::arena::Arena;
use crate::entry::{CHUNK_LEN_MAX, Chunk, Entries, EntryKind, NewEntry, Origin};
use crate::error::ProposeError;
use crate::ids::{Index, LogId, NodeId, ReadId, Run, Sender};
use crate::leader::change::{Ended, Pending};
use crate::leader::clock::LogClock;
use crate::leader::forwarded::{Forwarded, Refusal};
use crate::leader::lease::Lease;
use crate::leader::preference::Preference;
use crate::leader::progress::{Circular, Peer};
use crate::leader::reads::LeaderReads;
use crate::leader::room::QuorumRoom;
use crate::leader::rounds::Seats;
use crate::leader::seats::Departed;
use crate::leader::transfer::Transfer;
use crate::liveness::Liveness;
use crate::message::{Ack, AckOutcome, Body, Forward, ForwardOutcome, ForwardReply, Shortage};
use crate::mutants;
use crate::output::FetchId;
use crate::output::outlet::Outlet;
use crate::quorum;
use crate::state::State;
use crate::time::{Now, Time, WallMs};

pub(crate) mod change;
pub(crate) mod clock;
mod forwarded;
mod lease;
mod preference;
pub(crate) mod progress;
pub(crate) mod reads;
pub(crate) mod room;
mod rounds;
pub(crate) mod seats;
pub(crate) mod transfer;

/// What only a leader has.
#[derive(Debug)]
pub(crate) struct Leader {
    /// Where the no-op of this leadership stands.
    noop: Index,
    peers: Vec<Peer>,
    pub(crate) reads: LeaderReads,
    /// Who is asked first by a round.
    prompt: Seats,
    clock: LogClock,
    fetches: u64,
    /// A match, or the own durable index, rose since the last drain.
    is_commit_due: bool,
    /// Rare.
    transfer: Option<Box<Transfer>>,
    /// With leases on.
    lease: Option<Box<Lease>>,
    /// The configuration in effect may not be the last of a change.
    is_changing: bool,
    /// The configuration without this leader is committed.
    pub(crate) is_retired: bool,
    change: Option<Box<Pending>>,
    /// How the last change ended that never came to a vote.
    ended: Option<Box<Ended>>,
    departed: Departed,
    forwarded: Forwarded,
    preference: Preference,
    room: QuorumRoom,
}

impl Leader {
    /// Takes office: appends the no-op and sets out to probe everybody.
    pub(crate) fn new(state: &mut State) -> Self {
        let clock = LogClock::new(state);
        let noop = state.log.last().index.next();
        let mut leader = Self {
            noop,
            peers: Vec::new(),
            reads: LeaderReads::default(),
            prompt: Seats::default(),
            clock,
            fetches: 0,
            is_commit_due: false,
            transfer: None,
            lease: None,
            is_changing: true,
            is_retired: false,
            change: None,
            ended: None,
            departed: Departed::default(),
            forwarded: Forwarded::default(),
            preference: Preference::default(),
            room: QuorumRoom::default(),
        };
        leader.seat_peers(state, noop);
        leader.take_office(state);
        let log_time_ms = leader.stamp(state);
        let entry = NewEntry { kind: EntryKind::Noop, log_time_ms, origin: None, payload: &[] };
        if mutants::is_active(31) {
            leader.noop = noop.previous();
            return leader;
        }
        let first = LogId { term: state.term, index: noop };
        // Once a term: not worth a place in the shard's arena.
        let mut arena = Arena::new(entry.bytes());
        let chunk = Chunk::encode(&mut arena, state.seal, first, std::iter::once(entry));
        state.log.append(chunk).expect("a no-op holds no configuration");
        leader
    }

    /// Gives every other member a seat at the beginning of the leadership.
    fn seat_peers(&mut self, state: &State, next: Index) {
        let (index, configuration) = state.log.configuration();
        let own = state.seat.node;
        let others = configuration.nodes().filter(|member| member.node != own);
        self.peers = others
            .map(|member| Peer::new(member.node, member.incarnation, index, next, state))
            .collect();
        self.peers.shrink_to_fit();
    }

    fn peer_mut(&mut self, node: NodeId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.node == node)
    }

    pub(crate) fn peers(&self) -> &[Peer] {
        &self.peers
    }

    fn stamp(&mut self, state: &State) -> u64 {
        let peers = &self.peers;
        let time = state.time();
        self.clock.stamp(state, state.now, |node| wall(peers, node, time))
    }

    /// What an entry that is made at `now` would be stamped with.
    pub(crate) fn log_time_ms(&self, state: &State, now: Now) -> u64 {
        let mut clock = self.clock;
        clock.stamp(state, now, |node| wall(&self.peers, node, now.time))
    }

    /// Appends commands as one chunk; returns the log id of the first.
    pub(crate) fn propose<'a>(
        &mut self,
        state: &mut State,
        arena: &mut Arena,
        commands: impl Iterator<Item = &'a [u8]> + Clone,
        origin: Option<Origin>,
    ) -> Result<LogId, ProposeError> {
        if self.is_transferring() && !mutants::is_active(121) {
            return Err(ProposeError::Transferring);
        }
        let limit = match self.room {
            QuorumRoom::Enough => state.settings.options().uncommitted_bytes_max,
            QuorumRoom::Short | QuorumRoom::Refused => self.uncommitted_while_short(state)?,
        };
        check_commands(state, commands.clone(), limit)?;
        if self.is_changing && self.is_leaving(state) {
            return Err(ProposeError::NotLeader { leader: None, term: state.term });
        }
        if self.clock.is_settling() && state.commit < self.noop {
            return Err(ProposeError::Settling);
        }
        let log_time_ms = self.stamp(state);
        let first = LogId { term: state.term, index: state.log.last().index.next() };
        let entries = commands.zip(0..).map(|(payload, nth)| NewEntry {
            kind: EntryKind::Command,
            log_time_ms,
            origin: origin.map(|o| Origin { sequence: o.sequence.saturating_add(nth), ..o }),
            payload,
        });
        let chunk = Chunk::encode(arena, state.seal, first, entries);
        state.log.append(chunk).expect("commands hold no configuration");
        Ok(first)
    }

    /// Whether the log holds a configuration without this leader, which then
    /// only brings that to its end.
    fn is_leaving(&self, state: &State) -> bool {
        let configuration = state.configuration();
        !configuration.is_joint() && !configuration.is_voter(state.seat.node)
    }

    /// Appends what another member was asked for, in exactly the term that it
    /// names (rule 33).
    pub(crate) fn on_forward(
        &mut self,
        state: &mut State,
        arena: &mut Arena,
        from: Sender,
        forward: &Forward,
    ) {
        let origin = Origin {
            node: from.node,
            incarnation: from.incarnation,
            run: from.run,
            sequence: forward.first_sequence,
        };
        let commands = forward.commands.iter().map(|command| &command[..]);
        let outcome = match self.forwarded.refusal(from, forward) {
            // The shortage may be over: the refusal is not.
            Some(Refusal::Certain(why)) => ForwardOutcome::NoRoom(why),
            Some(Refusal::Doubtful) => ForwardOutcome::Refused { leader: Some(state.seat.node) },
            None => match self.propose(state, arena, commands, Some(origin)) {
                Ok(first) => {
                    self.forwarded.on_appended(from, forward);
                    ForwardOutcome::Appended { first: first.index }
                }
                Err(ProposeError::QuorumFull) => {
                    self.outcome_of_refusal(state, from, forward, Shortage::Quorum)
                }
                Err(_) => ForwardOutcome::Refused { leader: Some(state.seat.node) },
            },
        };
        if let Some(peer) = self.peer_mut(from.node) {
            peer.be_eager(state);
        }
        state.send(from.node, Body::ForwardReply(reply_to(from, forward, outcome)));
    }

    /// What another member was asked for, while there is no room for it.
    pub(crate) fn refuse_forward(
        &mut self,
        state: &mut State,
        from: Sender,
        forward: &Forward,
        shortage: Shortage,
    ) {
        let outcome = self.outcome_of_refusal(state, from, forward, shortage);
        state.send(from.node, Body::ForwardReply(reply_to(from, forward, outcome)));
    }

    fn outcome_of_refusal(
        &mut self,
        state: &State,
        from: Sender,
        forward: &Forward,
        shortage: Shortage,
    ) -> ForwardOutcome {
        match self.forwarded.refuse(from, forward, shortage) {
            Refusal::Certain(why) => ForwardOutcome::NoRoom(why),
            Refusal::Doubtful => ForwardOutcome::Refused { leader: Some(state.seat.node) },
        }
    }

    /// A member asks for a read index on behalf of its callers.
    pub(crate) fn on_read(&mut self, state: &State, from: Sender, run: Run, read: ReadId) {
        self.reads.push_remote(state, self.noop, from, (run, read));
        if let Some(peer) = self.peer_mut(from.node) {
            peer.be_eager(state);
        }
    }

    pub(crate) fn read(&mut self, state: &State, read: ReadId) {
        self.reads.push_local(state, self.noop, read);
    }

    /// A member asks who leads: the answer is an append.
    pub(crate) fn on_probe(&mut self, from: NodeId) {
        if let Some(peer) = self.peer_mut(from) {
            peer.request_contact();
        }
    }

    pub(crate) fn on_ack(&mut self, state: &mut State, from: &Sender, ack: &Ack) {
        let round = self.reads.round();
        let Some(peer) = self.peer_mut(from.node).filter(|p| p.incarnation == from.incarnation)
        else {
            state.counters.stranger += 1;
            return;
        };
        if !peer.is_plausible(state, round, ack) {
            return;
        }
        if peer.on_ack(state, from.run, ack) {
            self.is_commit_due = true;
        }
        let is_short = matches!(ack.outcome, AckOutcome::Matches { is_short: true, .. });
        if is_short || self.room != QuorumRoom::Enough {
            self.on_room_told(state, from.node, ack.outcome);
        }
    }

    pub(crate) fn on_persisted(&mut self) {
        self.is_commit_due = true;
    }

    fn advance_commit(&self, state: &mut State) {
        let mut own = (state.seat.node, state.durability.index());
        if mutants::is_active(32) {
            own.1 = state.log.last().index;
        }
        let mut configuration = state.configuration();
        if mutants::is_active(42) && !configuration.is_voter(own.0) {
            configuration = state.log.former_configuration().unwrap_or(configuration);
        }
        let quorum_index = quorum::reached(configuration, |member| {
            if member.node == own.0 { own.1 } else { self.matched(member.node) }
        });
        if quorum_index <= state.commit {
            return;
        }
        assert!(quorum_index <= state.log.last().index, "a quorum holds what the leader lacks");
        // Counting replicas is safe only for an entry of this term: an older
        // one held by a majority can still be overwritten (§3.6.2, figure 3.7).
        if state.log.term_at(quorum_index) == Some(state.term) || mutants::is_active(30) {
            state.commit_to(quorum_index);
        }
    }

    fn matched(&self, node: NodeId) -> Index {
        let peer = self.peers.iter().find(|peer| peer.node == node);
        peer.map_or(Index::ZERO, Peer::counted)
    }

    pub(crate) fn on_liveness(&mut self, state: &State, node: NodeId, liveness: Liveness) {
        if let Some(peer) = self.peer_mut(node) {
            peer.on_liveness(state, liveness);
        }
        if liveness == Liveness::Suspected {
            self.break_lease();
            if !self.reads.is_empty() {
                self.ask_everybody(state);
            }
        }
    }

    /// Somebody doubts that this member leads: ask everybody for a sign.
    pub(crate) fn doubt(&mut self) {
        self.break_lease();
        for peer in &mut self.peers {
            peer.request_contact();
        }
    }

    pub(crate) fn on_fetched(&mut self, state: &mut State, id: FetchId, entries: Option<Entries>) {
        let circular = self.circular(state);
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.is_fetching(id)) {
            peer.on_fetched(state, circular, entries);
        }
    }

    /// The driver's attempt to send a snapshot is over.
    pub(crate) fn on_snapshot_ended(&mut self, state: &State, node: NodeId) {
        if let Some(peer) = self.peer_mut(node) {
            peer.on_snapshot_ended(state);
        }
    }

    pub(crate) fn acknowledged(&self, node: NodeId) -> Option<Index> {
        let mut seated = self.peers.iter().filter(|peer| peer.farewell().is_none());
        seated.find(|peer| peer.node == node).map(|peer| peer.matched)
    }

    pub(crate) fn awaits_snapshot(&self, node: NodeId) -> bool {
        self.peers.iter().any(|peer| peer.node == node && peer.awaits_snapshot())
    }

    /// Returns whether this member can still lead: a quorum answers, and its
    /// own disk does.
    pub(crate) fn on_deadline(&mut self, state: &mut State) -> bool {
        if state.is_stalled() {
            state.counters.stalls += 1;
            return false;
        }
        if !self.has_quorum(state) {
            state.counters.quorum_lost += 1;
            return false;
        }
        for peer in &mut self.peers {
            peer.on_deadline(state);
        }
        if !self.reads.is_empty() {
            self.on_reads_deadline(state);
        }
        self.on_change_deadline(state);
        self.clear_seats(state);
        self.on_preference_deadline(state);
        true
    }

    fn has_quorum(&self, state: &State) -> bool {
        let own = state.seat.node;
        if mutants::is_active(16) {
            return true;
        }
        quorum::reached(state.configuration(), |member| {
            member.node == own
                || self.peers.iter().any(|p| p.node == member.node && p.is_responsive(state))
        })
    }

    #[inline(never)]
    pub(crate) fn next_deadline(&self, state: &State) -> Option<Time> {
        let mut next = state.stall_at().unwrap_or(Time::MAX);
        let mut has_lost = false;
        for peer in &self.peers {
            next = next.min(peer.due_at(state));
            has_lost |= peer.has_lost_tail();
        }
        // Those answer and count for nothing: no silence would show that a
        // quorum is missing, for the rest of the term (rule 4).
        if has_lost && !self.has_quorum(state) {
            return Some(state.time());
        }
        if self.transfer.is_some()
            || self.change.is_some()
            || self.preference.is_any()
            || !self.reads.is_empty()
        {
            next = next.min(self.next_rare_deadline(state));
        }
        (next < Time::MAX).then_some(next)
    }

    #[cold]
    fn next_rare_deadline(&self, state: &State) -> Time {
        let give_up = self.change.as_ref().map(|change| change.give_up_at(state));
        let others = self.others_asked_at(state);
        let rare = [self.transfer_at(), give_up, self.preference_at(state), others];
        rare.into_iter().flatten().min().unwrap_or(Time::MAX)
    }

    /// Sends what all inputs since the last drain made due.
    pub(crate) fn flush(&mut self, state: &mut State, outlet: &mut impl Outlet) {
        while self.is_commit_due || self.is_changing {
            if std::mem::take(&mut self.is_commit_due) {
                self.advance_commit(state);
            }
            if self.is_changing {
                self.advance_change(state);
                self.clear_seats(state);
            }
            if !self.is_commit_due {
                break;
            }
        }
        if !self.reads.is_quiet() || state.settings.lease_ns.is_some() {
            self.advance_reads(state);
        }
        assert!(state.is_term_durable(), "leads a term that a crash would undo");
        // What was said so far is said first.
        state.effects.send_off(outlet);
        let circular = self.circular(state);
        let mut sent = 0;
        for peer in &mut self.peers {
            sent += peer.flush(state, circular, &mut self.fetches, outlet);
        }
        if sent > 0 {
            state.counters.appends_sent += sent;
        }
        self.advance_transfer(state);
    }

    fn circular(&self, state: &State) -> Circular {
        Circular { round: self.reads.round(), configuration: state.log.configuration().0 }
    }

    /// The lowest match of the members that are not suspected: what they all
    /// have may leave memory.
    pub(crate) fn live_matched(&self, state: &State) -> Index {
        let is_live = |peer: &&Peer| peer.liveness != Liveness::Suspected;
        let live = self.peers.iter().filter(is_live).filter(|peer| peer.farewell().is_none());
        let live = live.filter(|peer| !peer.awaits_snapshot());
        live.map(|peer| peer.matched).min().unwrap_or(state.commit)
    }
}

/// The answer to a forward.
pub(crate) fn reply_to(from: Sender, forward: &Forward, outcome: ForwardOutcome) -> ForwardReply {
    ForwardReply {
        run: from.run,
        first_sequence: forward.first_sequence,
        len: u32::try_from(forward.commands.len()).unwrap_or(u32::MAX),
        outcome,
    }
}

/// The calendar of another member, where known.
fn wall(peers: &[Peer], node: NodeId, at: Time) -> Option<WallMs> {
    peers.iter().find(|peer| peer.node == node).and_then(|peer| peer.wall(at))
}

fn check_commands<'a>(
    state: &State,
    commands: impl Iterator<Item = &'a [u8]>,
    uncommitted_bytes_max: usize,
) -> Result<(), ProposeError> {
    let options = state.settings.options();
    let (mut len, mut bytes, mut largest) = (0_usize, 0_usize, 0_usize);
    for command in commands {
        len += 1;
        bytes = bytes.saturating_add(command.len());
        largest = largest.max(command.len());
    }
    if len == 0 {
        return Err(ProposeError::Empty);
    }
    let limit = options.command_bytes_max;
    let too_much = len > CHUNK_LEN_MAX || bytes > options.uncommitted_bytes_max;
    if largest > limit || too_much {
        return Err(ProposeError::TooLarge { bytes: largest, limit });
    }
    let last = u64::try_from(len).map_or(Index::new(u64::MAX), |len| {
        Index::new(state.log.last().index.get().saturating_add(len))
    });
    if last.is_exhausted() {
        return Err(ProposeError::Exhausted);
    }
    // What is larger alone goes alone.
    let limit = uncommitted_bytes_max.max(bytes);
    if !state.log.has_room_behind(state.commit, bytes, limit) {
        let held = state.log.bytes_behind(state.commit);
        return Err(ProposeError::Busy { held, limit });
    }
    Ok(())
}
