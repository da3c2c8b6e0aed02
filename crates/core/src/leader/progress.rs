//! What a leader knows of one other member, and what it sends to it.
//!
//! ```text
//! probe ──logs meet──▶ pipeline ──reject, loss, new run──▶ probe
//!   │ └────── storage cannot give what it needs ──────▶ snapshot needed
//!   └──── what it needs has left the log ────▶ snapshot ──ack──▶ probe
//! ```
//!
//! Probing has one message under way. In the pipeline `next` runs ahead of the
//! acks, as far as the window lets it. The window counts units: a message
//! costs its bytes, and at least so much that bytes and messages share one
//! bound. Every append carries the units sent so far and every ack those that
//! are durable, so lost messages free their share with the next ack.
//!
//! Invariants
//! - `next > matched`, and `matched` falls within a leadership only when the
//!   member lost what it had acknowledged (`progress/loss.rs`).
//! - A member that does not answer gets a heartbeat per interval, nothing more.
//!
//! Not here: what a quorum of matches means (`leader.rs`).

use crate::entry::Chunk;
use crate::ids::{Incarnation, Index, LogId, NodeId, Round, Run};
use crate::leader::room::Room;
use crate::liveness::Liveness;
use crate::message::{Ack, AckOutcome};
use crate::mutants;
use crate::output::FetchId;
use crate::output::outlet::{AppendRef, Outlet, one};
use crate::state::State;
use crate::time::{Time, WallMs};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Probe {
        outstanding: bool,
    },
    Pipeline,
    /// Storage could not give the entries that come next, or a snapshot did not
    /// help: tried again after a while.
    SnapshotNeeded,
    /// The driver sends a snapshot (`progress/snapshot.rs`).
    Snapshot,
}

/// What all members are told alike in one drain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circular {
    pub(crate) round: Round,
    pub(crate) configuration: Index,
}

/// A seat that its member has lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Farewell {
    /// The configuration without it.
    pub(crate) configuration: Index,
    /// Nothing is sent from then on.
    pub(crate) until: Time,
}

/// Progress of one other member.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    /// The configuration that seated it: acks given under an older one are of
    /// an earlier membership.
    since: Index,
    mode: Mode,
    next: Index,
    pub(crate) matched: Index,
    /// The run that acknowledged `matched`, or told a loss since: acks of former
    /// ones raise it no more.
    matched_run: Run,
    /// A later run of it came back without what it had acknowledged, and does
    /// not know how much that is.
    has_lost_tail: bool,
    /// The commit index that it reported, and its run that did.
    commit: Index,
    commit_run: Run,
    /// The latest round that it answered.
    round: Round,
    round_sent: Round,
    commit_sent: Index,
    sent: u64,
    acked: u64,
    /// Units that may be under way: the settings' window, or less after a loss.
    window: u64,
    /// The highest position that an ack carried: unlike `acked`, never moved by
    /// this side.
    answered: u64,
    /// Since when a message waits for an answer; [`Time::MAX`] while none does.
    unanswered: Time,
    sent_at: Time,
    entries_sent_at: Time,
    /// It is time to ask for a sign of life.
    contact: bool,
    run: Run,
    /// What the failure detector says of its node.
    pub(crate) liveness: Liveness,
    pub(crate) room: Room,
    /// Its calendar and when that arrived; 0 while it is unknown.
    wall: (WallMs, Time),
    seldom: Option<Box<Seldom>>,
}

/// What few members' progress has.
#[derive(Clone, Copy, Debug, Default)]
struct Seldom {
    fetch: Option<FetchId>,
    /// When storage last could not give what was wanted.
    fetch_failed_at: Time,
    /// Until then it is told of commits at once: its callers wait for them.
    eager_until: Time,
    /// Set once it has lost its seat.
    farewell: Option<Farewell>,
}

impl Peer {
    pub(crate) fn new(
        node: NodeId,
        incarnation: Incarnation,
        since: Index,
        next: Index,
        state: &State,
    ) -> Self {
        let liveness = state.liveness_of(node);
        let run = match liveness {
            Liveness::Alive { run } => run,
            Liveness::Unknown | Liveness::Suspected => Run::default(),
        };
        Self {
            node,
            incarnation,
            since,
            mode: Mode::Probe { outstanding: false },
            next,
            matched: Index::ZERO,
            matched_run: Run::default(),
            has_lost_tail: false,
            commit: Index::ZERO,
            commit_run: Run::default(),
            round: Round::default(),
            round_sent: Round::default(),
            commit_sent: Index::ZERO,
            sent: 0,
            acked: 0,
            window: state.settings.window_units,
            answered: 0,
            unanswered: Time::MAX,
            sent_at: state.time(),
            entries_sent_at: Time::ZERO,
            contact: false,
            run,
            liveness,
            room: Room::Enough,
            wall: (WallMs(0), Time::ZERO),
            seldom: None,
        }
    }

    fn seldom(&self) -> Seldom {
        self.seldom.as_ref().map_or_else(Seldom::default, |seldom| **seldom)
    }

    fn seldom_mut(&mut self) -> &mut Seldom {
        self.seldom.get_or_insert_default()
    }

    /// Set once it has lost its seat.
    pub(crate) fn farewell(&self) -> Option<Farewell> {
        self.seldom.as_ref()?.farewell
    }

    /// It has lost its seat.
    pub(crate) fn part(&mut self, farewell: Farewell) {
        self.seldom_mut().farewell = Some(farewell);
    }

    fn has_fetch(&self) -> bool {
        self.seldom.as_ref().is_some_and(|seldom| seldom.fetch.is_some())
    }

    fn drop_fetch(&mut self) {
        if let Some(seldom) = &mut self.seldom {
            seldom.fetch = None;
        }
    }

    fn is_unanswered(&self) -> bool {
        self.unanswered < Time::MAX
    }

    /// Window units sent to it so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// A seat taken anew counts on from where the former one ended.
    pub(crate) fn go_on_from(&mut self, sent: u64) {
        (self.sent, self.acked, self.answered) = (sent, sent, sent);
    }

    /// Whether it knows the entry at `index` to be committed.
    pub(crate) fn knows(&self, index: Index) -> bool {
        self.commit >= index
    }

    /// Its calendar now, as far as its last ack tells.
    pub(crate) fn wall(&self, now: Time) -> Option<WallMs> {
        let (wall, at) = self.wall;
        let passed_ms = now.since(at) / 1_000_000;
        (wall.0 > 0).then(|| WallMs(wall.0.saturating_add(passed_ms)))
    }

    /// Its callers wait for commits: tell it at once for a while.
    pub(crate) fn be_eager(&mut self, state: &State) {
        self.seldom_mut().eager_until = state.time().after_ns(state.settings.election_timeout_ns);
    }

    /// Whether it answered what it was asked within an election timeout
    /// (rule 20).
    pub(crate) fn is_responsive(&self, state: &State) -> bool {
        let silent_ns = state.time().since(self.unanswered);
        silent_ns < state.settings.election_timeout_ns && !self.has_lost_tail
    }

    /// How far it counts towards a commit.
    pub(crate) fn counted(&self) -> Index {
        if self.has_lost_tail { Index::ZERO } else { self.matched }
    }

    /// The latest round that it confirms. Who forgot entries may have forgotten
    /// a vote as well.
    pub(crate) fn confirmed(&self) -> Round {
        if self.has_lost_tail { Round::default() } else { self.round }
    }

    /// When to look after it if nothing else happens: to contact it, or because
    /// its silence would count. [`Time::MAX`] while neither will be.
    pub(crate) fn due_at(&self, state: &State) -> Time {
        let contact = self.contact_at(state).unwrap_or(Time::MAX);
        let silence = self.unanswered.after_ns(state.settings.election_timeout_ns);
        if silence > state.time() { contact.min(silence) } else { contact }
    }

    /// Whether it was sent that round, or a later one.
    pub(crate) fn was_sent(&self, round: Round) -> bool {
        self.round_sent >= round
    }

    /// Whether something is open between leader and member.
    fn is_open(&self, state: &State) -> bool {
        self.is_unanswered()
            || self.matched < state.log.last().index
            || self.commit < state.commit
            || self.room == Room::Awaited
            || !matches!(self.liveness, Liveness::Alive { .. })
    }

    /// When to contact it if nothing else happens; never while all is level
    /// and the detector vouches for it.
    pub(crate) fn contact_at(&self, state: &State) -> Option<Time> {
        let interval = state.settings.heartbeat_interval_ns;
        // Heartbeats for other reasons don't put off what storage owes.
        let since = match self.mode {
            Mode::SnapshotNeeded => self.seldom().fetch_failed_at,
            Mode::Probe { .. } | Mode::Pipeline | Mode::Snapshot => self.sent_at,
        };
        self.is_open(state).then(|| since.after_ns(interval))
    }

    /// What a former run knew committed need not be on its disk: a crash may
    /// have taken it.
    fn note_commit(&mut self, run: Run, commit: Index) {
        if run > self.commit_run {
            (self.commit_run, self.commit) = (run, commit);
        } else if run == self.commit_run {
            self.commit = self.commit.max(commit);
        }
    }

    pub(crate) fn on_deadline(&mut self, state: &State) {
        if self.contact_at(state).is_some_and(|at| at <= state.time()) {
            self.contact = true;
            if self.mode == (Mode::Probe { outstanding: true }) || self.mode == Mode::SnapshotNeeded
            {
                self.mode = Mode::Probe { outstanding: false };
            }
        }
    }

    pub(crate) fn on_liveness(&mut self, state: &State, liveness: Liveness) {
        self.liveness = liveness;
        match liveness {
            Liveness::Alive { run } => {
                if run > self.run {
                    // What was under way to the former run is gone.
                    self.run = run;
                    self.probe_from(self.unproven_next(state));
                }
                self.contact = true;
            }
            Liveness::Suspected | Liveness::Unknown => self.contact = true,
        }
    }

    /// Asks for a sign of life now.
    pub(crate) fn request_contact(&mut self) {
        self.contact = true;
    }

    fn probe_from(&mut self, next: Index) {
        self.mode = Mode::Probe { outstanding: false };
        self.next = next.max(self.matched.next());
        self.drop_fetch();
    }

    /// Sends what is due: entries as far as the window lets, else a heartbeat
    /// where a round that asks it, a commit index or silence calls for one.
    ///
    /// Returns how many messages that were.
    #[inline]
    pub(crate) fn flush(
        &mut self,
        state: &mut State,
        circular: Circular,
        fetches: &mut u64,
        outlet: &mut impl Outlet,
    ) -> u64 {
        let mut sent = 0;
        // The detector may be wrong: who is suspected but answers everything gets
        // entries, or a leader in office could commit nothing (rule 20).
        if self.liveness != Liveness::Suspected || !self.is_unanswered() {
            sent = self.send_entries(state, circular, fetches, outlet);
        }
        if sent == 0 && (self.contact || self.is_commit_news_due(state)) {
            self.send_heartbeat(state, circular, outlet);
            sent = 1;
        }
        self.contact = false;
        sent
    }

    /// A commit index travels with the next entries. Without any under way it
    /// goes alone, at once only where somebody waits for it.
    fn is_commit_news_due(&self, state: &State) -> bool {
        self.commit_sent < state.commit
            && self.matched >= state.commit
            && state.time() < self.seldom().eager_until
    }

    /// Returns how many messages that were.
    #[inline]
    fn send_entries(
        &mut self,
        state: &mut State,
        circular: Circular,
        fetches: &mut u64,
        outlet: &mut impl Outlet,
    ) -> u64 {
        let last = state.log.last().index;
        let mut sent = 0;
        if self.mode == (Mode::Probe { outstanding: true }) && self.is_behind_base(state) {
            // The place that was asked about has left the log since: no answer
            // can settle it any more.
            self.mode = Mode::Probe { outstanding: false };
        }
        let is_purged = mutants::is_active(26) && state.log.base().index == last;
        while self.next <= last && self.has_room() && !is_purged {
            let bytes_max = state.settings.options().append_bytes_max;
            let previous = self.next.previous();
            // Mostly all that is new is one chunk.
            if let Some(chunk) = state.log.whole_chunk(self.next, last, bytes_max) {
                self.send(state, circular, previous, one(chunk), outlet);
                sent += 1;
                continue;
            }
            let Some(entries) = state.log.slice(self.next, last, bytes_max) else {
                if self.is_behind_base(state) {
                    if self.pass_base(state) {
                        continue;
                    }
                } else {
                    self.fetch(state, bytes_max, fetches);
                }
                return sent;
            };
            self.send(state, circular, previous, entries.as_slice(), outlet);
            sent += 1;
        }
        sent
    }

    fn has_room(&self) -> bool {
        match self.mode {
            Mode::Probe { outstanding } => !outstanding && !self.has_fetch(),
            Mode::Pipeline => {
                !self.has_fetch() && self.sent.saturating_sub(self.acked) < self.window
            }
            Mode::SnapshotNeeded | Mode::Snapshot => false,
        }
    }

    /// A heartbeat claims only a proven position, so nobody refuses it; while
    /// probing it is the probe, and while a snapshot is due it asks whether the
    /// member has the base after all.
    #[inline(never)]
    fn send_heartbeat(&mut self, state: &State, circular: Circular, outlet: &mut impl Outlet) {
        let previous = match self.mode {
            Mode::Probe { .. } => Self::anchor(state, self.next.previous()),
            Mode::Pipeline => Self::anchor(state, self.matched),
            Mode::SnapshotNeeded | Mode::Snapshot => self.matched.max(state.log.base().index),
        };
        self.send(state, circular, previous, &[], outlet);
    }

    #[inline]
    fn send(
        &mut self,
        state: &State,
        circular: Circular,
        previous: Index,
        chunks: &[Chunk],
        outlet: &mut impl Outlet,
    ) {
        let term = state.log.term_at(previous).expect("sends what is in the log");
        let bytes = match chunks {
            [chunk] => chunk.bytes().len(),
            many => many.iter().map(|chunk| chunk.bytes().len()).sum(),
        };
        let bytes = u64::try_from(bytes).expect("usize is at most 64 bits");
        self.sent += bytes.max(state.settings.message_cost_min);
        let now = state.time();
        match &mut self.mode {
            // Only the answer tells where the logs meet: `next` stays.
            Mode::Probe { outstanding } => *outstanding = true,
            Mode::Pipeline | Mode::SnapshotNeeded | Mode::Snapshot => {
                if let Some(last) = chunks.last() {
                    self.next = last.last().next();
                    self.entries_sent_at = now;
                }
            }
        }
        self.unanswered = self.unanswered.min(now);
        self.sent_at = now;
        self.round_sent = circular.round;
        self.commit_sent = state.commit;
        let append = AppendRef {
            previous: LogId { term, index: previous },
            commit: state.commit,
            round: circular.round,
            configuration: circular.configuration,
            position: self.sent,
            chunks,
        };
        outlet.append(state.head(self.node), append);
    }

    /// Whether an ack speaks of this leadership and membership, and of what
    /// was really sent.
    pub(crate) fn is_plausible(&self, state: &mut State, round: Round, ack: &Ack) -> bool {
        if ack.configuration < self.since {
            state.counters.stale += 1;
            return false;
        }
        let last = state.log.last().index;
        let possible = ack.round <= round
            && ack.position <= self.sent
            && match ack.outcome {
                AckOutcome::Matches { verified, durable, .. } => {
                    durable <= verified && verified <= last
                }
                AckOutcome::Rejects { previous, hint, .. } => {
                    previous <= last && hint.index <= previous && previous > Index::ZERO
                }
            };
        if !possible {
            state.counters.impossible += 1;
        }
        possible
    }

    /// Takes a plausible ack. Returns whether the match index rose.
    pub(crate) fn on_ack(&mut self, state: &mut State, run: Run, ack: &Ack) -> bool {
        let now = state.time();
        let answered = if mutants::is_active(141) { self.round_sent } else { ack.round };
        self.round = self.round.max(answered);
        self.note_commit(run, ack.commit);
        // A window that a loss has shrunk doubles with every round trip.
        let mut news = ack.position.saturating_sub(self.acked);
        if mutants::is_active(27) {
            news = news.min(state.settings.message_cost_min);
        }
        self.acked += news;
        self.window = self.window.saturating_add(news).min(state.settings.window_units);
        self.run = self.run.max(run);
        self.wall = (ack.wall, now);
        let before = self.matched;
        match ack.outcome {
            AckOutcome::Matches { verified, durable, .. } => {
                if durable > self.matched {
                    if run < self.matched_run && !mutants::is_active(133) {
                        // Its disk may have lost since what it held then.
                        state.counters.stale += 1;
                        return false;
                    }
                    self.matched_run = run;
                }
                self.on_match(state, verified, durable);
            }
            AckOutcome::Rejects { previous, hint, held } => {
                self.note_loss(state, run, previous, held);
                self.on_reject(state, previous, hint);
            }
        }
        // What is still under way was sent later: its silence counts from now.
        self.answered = self.answered.max(ack.position);
        let all_answered = self.answered == self.sent && self.round == self.round_sent;
        self.unanswered = if all_answered { Time::MAX } else { now };
        self.matched > before
    }

    fn on_match(&mut self, state: &State, verified: Index, durable: Index) {
        let before = self.next;
        self.matched = self.matched.max(durable);
        if mutants::is_active(22) {
            self.matched = self.next.previous();
        }
        match self.mode {
            Mode::Probe { .. } if verified >= self.next.previous() => {
                self.mode = Mode::Pipeline;
                if !mutants::is_active(27) {
                    self.acked = self.sent;
                }
                self.next = self.next.max(verified.next());
            }
            Mode::Pipeline if verified < self.next.previous() => {
                // A heartbeat came through and found entries missing that were
                // sent long enough before: they are lost.
                let interval = state.settings.heartbeat_interval_ns;
                if state.time().since(self.entries_sent_at) >= interval && !self.has_fetch() {
                    self.lose(verified.next());
                }
            }
            Mode::Snapshot => self.on_progress(state, verified),
            Mode::Probe { .. } | Mode::Pipeline | Mode::SnapshotNeeded => {}
        }
        self.next = self.next.max(self.matched.next());
        if self.next != before {
            // What is being fetched is no longer what comes next.
            self.drop_fetch();
        }
    }

    /// Something under way is lost, overtaken or not taken: what follows it
    /// will be refused message by message. Only one message may be under way
    /// at first, or each of the refusals would be answered by a window.
    fn lose(&mut self, next: Index) {
        if !mutants::is_active(110) {
            self.window = 1;
        }
        self.probe_from(next);
    }

    fn on_reject(&mut self, state: &State, previous: Index, hint: LogId) {
        let current = match self.mode {
            Mode::Probe { .. } => previous == self.next.previous(),
            Mode::Pipeline | Mode::SnapshotNeeded => previous < self.next,
            Mode::Snapshot => false,
        };
        if mutants::is_active(24) {
            self.probe_from(state.log.meeting_point(hint).index.next());
            return;
        }
        if current && previous > self.matched {
            let next = state.log.meeting_point(hint).index.next();
            match self.mode {
                Mode::Pipeline => self.lose(next),
                Mode::Probe { .. } | Mode::SnapshotNeeded | Mode::Snapshot => self.probe_from(next),
            }
        }
    }
}

mod fetch;
mod loss;
mod snapshot;
