//! Changes of the members: which steps lead from one set to another (§4.1,
//! §4.3, rules 17, 18).
//!
//! ```text
//! asked ─▶ catching up ─▶ joint ─▶ final ─▶ committed
//!      └──────────────────┴──────────▲
//!        nobody to wait for    at most one voter differs
//! ```
//!
//! Voters to be that are not level yet are seated as learners first and fed in
//! rounds (§4.2.1): what the log held when a round began must be durable there
//! within an election timeout, else another round begins. Until then the change
//! can be cancelled; once its first voting entry is appended it ends by commit
//! or truncation. A leader finishes the joint configuration that it finds.
//!
//! Asking is idempotent: the same question, based on the same configuration,
//! may be repeated to whoever leads until the answer is final. So nobody has to
//! remember who asked.
//!
//! Invariants
//! - A configuration is appended only when the one before it is committed and
//!   an entry of this leadership is (§4.1, and its later correction).
//! - A change that is refused leaves the log as it was.
//!
//! Not here: seats of members (`leader/seats.rs`), quorums (`quorum.rs`).

use crate::change::{CatchUp, Change};
use crate::entry::arena::Arena;
use crate::entry::{Chunk, EntryKind, NewEntry};
use crate::error::ChangeError;
use crate::ids::{Index, LogId, NodeId};
use crate::leader::Leader;
use crate::leader::progress::Peer;
use crate::membership::{Configuration, Member, Role};
use crate::mutants;
use crate::state::State;
use crate::time::Time;

/// Election timeouts for which a member that is waited for may be silent
/// before its change is given up: long enough for a restart, short enough that
/// a forgotten change does not block the next one for long.
const SILENCE_TIMEOUTS: u64 = 20;

/// The part of a change that waits for members to catch up.
#[derive(Debug)]
pub(crate) struct Pending {
    expected: Index,
    target: Configuration,
    awaited: Vec<NodeId>,
    goal: Index,
    round: u32,
    began: Time,
    /// When all that are awaited were last known to answer.
    heard: Time,
}

/// A change that ended in its first part, for those who ask how it went.
#[derive(Debug)]
pub(crate) struct Ended {
    expected: Index,
    target: Configuration,
    error: ChangeError,
}

impl Pending {
    fn is(&self, expected: Index, target: &Configuration) -> bool {
        self.expected == expected && self.target == *target
    }

    pub(crate) fn give_up_at(&self, state: &State) -> Time {
        self.heard.after_ns(state.settings.election_timeout_ns.saturating_mul(SILENCE_TIMEOUTS))
    }
}

impl Leader {
    /// Begins a change to `target`, which was decided on the configuration at
    /// `expected`, or tells how it stands.
    pub(crate) fn change(
        &mut self,
        state: &mut State,
        expected: Index,
        target: Configuration,
    ) -> Result<Change, ChangeError> {
        let (index, current) = state.log.configuration();
        if let Some(pending) = &self.change {
            let is_asked = pending.is(expected, &target);
            return if is_asked {
                Ok(Change::UnderWay { index })
            } else {
                Err(ChangeError::InProgress { index })
            };
        }
        let is_settled = index <= state.commit && !current.is_joint();
        if current.members() == target.members() {
            let done = is_settled.then_some(Change::Done { index });
            return Ok(done.unwrap_or(Change::UnderWay { index }));
        }
        if state.commit < self.noop && !mutants::is_active(43) {
            return Err(ChangeError::NotReady);
        }
        let may_overtake = mutants::is_active(38) && !current.is_joint();
        if !is_settled && !may_overtake {
            return Err(ChangeError::InProgress { index });
        }
        let ended = self.ended.as_ref().filter(|e| e.expected == expected && e.target == target);
        if let Some(ended) = ended {
            return Err(ended.error);
        }
        if self.is_transferring() {
            return Err(ChangeError::Transferring);
        }
        check(state, expected, &target)?;
        self.begin(state, expected, target);
        Ok(Change::UnderWay { index: state.log.configuration().0 })
    }

    /// Appends the first step: the set itself, a joint one, or learners who
    /// will become voters.
    fn begin(&mut self, state: &mut State, expected: Index, target: Configuration) {
        let current = state.configuration().clone();
        let is_awaited = |member: &&Member| is_voter(member) && !current.is_voter(member.node);
        let awaited: Vec<&Member> = target.members().iter().filter(is_awaited).collect();
        if awaited.is_empty() || mutants::is_active(44) {
            self.append_configuration(state, &step_to(&current, &target));
            return;
        }
        let unseated = awaited.iter().filter(|member| current.find(member.node).is_none());
        let mut seated = current.members().to_vec();
        seated.extend(unseated.map(|member| Member { role: Role::Learner, ..(*member).clone() }));
        let awaited = awaited.iter().map(|member| member.node).collect();
        if seated.len() > current.members().len() {
            let learners = Configuration::new(seated).expect("a checked set and its learners");
            self.append_configuration(state, &learners);
        }
        let (goal, now) = (state.log.last().index, state.time());
        self.ended = None;
        let pending = Pending { expected, target, awaited, goal, round: 1, began: now, heard: now };
        self.change = Some(Box::new(pending));
        self.is_changing = true;
    }

    /// Gives up a change that still waits for members to catch up. Those that
    /// it seated stay learners.
    pub(crate) fn cancel_change(&mut self, state: &State) -> Result<(), ChangeError> {
        if self.change.is_some() {
            self.end_change(ChangeError::Cancelled);
            return Ok(());
        }
        let (index, configuration) = state.log.configuration();
        if index > state.commit || configuration.is_joint() {
            return Err(ChangeError::TooLate { index });
        }
        Err(ChangeError::NoChange)
    }

    fn end_change(&mut self, error: ChangeError) {
        if let Some(pending) = self.change.take() {
            let Pending { expected, target, .. } = *pending;
            self.ended = Some(Box::new(Ended { expected, target, error }));
        }
    }

    /// Takes the next step where one is due: out of the joint configuration,
    /// or into voting for those who caught up.
    pub(crate) fn advance_change(&mut self, state: &mut State) {
        let (index, configuration) = state.log.configuration();
        if index > state.commit || state.commit < self.noop {
            return;
        }
        if configuration.is_joint() {
            if mutants::is_active(45) {
                return;
            }
            let incoming = configuration.members().to_vec();
            let last = Configuration::new(incoming).expect("a set of a configuration");
            self.append_configuration(state, &last);
        } else if self.change.is_some() {
            if self.is_caught_up(state) {
                let pending = self.change.take().expect("just looked at");
                let next = step_to(state.configuration(), &pending.target);
                self.append_configuration(state, &next);
            }
        } else {
            // Until here the leader led whatever its seat (§4.2.2).
            let is_seated = configuration.is_voter(state.seat.node);
            self.is_retired = !is_seated && !mutants::is_active(114);
            self.is_changing = !is_seated;
        }
    }

    /// Whether a round ended in time.
    fn is_caught_up(&mut self, state: &State) -> bool {
        let Some(pending) = &mut self.change else {
            return false;
        };
        let peers = &self.peers;
        let seat = |node: &NodeId| peers.iter().find(|peer| peer.node == *node);
        let matched =
            pending.awaited.iter().map(|node| seat(node).map_or(Index::ZERO, Peer::counted));
        let matched = matched.min().unwrap_or_default();
        let now = state.time();
        if matched < pending.goal {
            return false;
        }
        if now.since(pending.began) <= state.settings.election_timeout_ns {
            return true;
        }
        pending.round = pending.round.saturating_add(1);
        (pending.goal, pending.began) = (state.log.last().index, now);
        matched >= pending.goal
    }

    /// Gives up on members that are silent for long.
    pub(crate) fn on_change_deadline(&mut self, state: &State) {
        let Some(pending) = &mut self.change else {
            return;
        };
        let now = state.time();
        let silent = pending.awaited.iter().find_map(|node| {
            let peer = self.peers.iter().find(|peer| peer.node == *node)?;
            (!peer.is_responsive(state)).then_some(peer)
        });
        let Some(peer) = silent else {
            pending.heard = now;
            return;
        };
        if pending.give_up_at(state) <= now {
            let (node, matched, goal) = (peer.node, peer.matched, pending.goal);
            self.end_change(ChangeError::NotCaughtUp { node, matched, goal });
        }
    }

    /// Whom a change waits for.
    pub(crate) fn catching_up(&self) -> Vec<CatchUp> {
        let Some(pending) = &self.change else {
            return Vec::new();
        };
        let matched = |node| self.peers.iter().find(|peer| peer.node == node).map(|p| p.matched);
        let awaited = pending.awaited.iter().map(|node| CatchUp {
            node: *node,
            matched: matched(*node).unwrap_or_default(),
            goal: pending.goal,
            round: pending.round,
        });
        awaited.collect()
    }

    fn append_configuration(&mut self, state: &mut State, configuration: &Configuration) {
        let mut payload = Vec::new();
        configuration.encode(&mut payload);
        let log_time_ms = self.stamp(state);
        let kind = EntryKind::Configuration;
        let entry = NewEntry { kind, log_time_ms, origin: None, payload: &payload };
        let at = LogId { term: state.term, index: state.log.last().index.next() };
        // As rare as a no-op: not worth a place in the shard's arena.
        let mut arena = Arena::new(entry.bytes());
        let chunk = Chunk::encode(&mut arena, state.seal, at, std::iter::once(entry));
        state.log.append(chunk).expect("a configuration made here can be read");
        state.on_configured();
        self.reseat(state);
        self.is_changing = true;
        // A smaller set, or one of the two gone, may hold more than was counted.
        self.is_commit_due = true;
    }
}

/// Refuses what must not be appended, or could not be.
fn check(state: &State, expected: Index, target: &Configuration) -> Result<(), ChangeError> {
    let (index, current) = state.log.configuration();
    if expected != index {
        return Err(ChangeError::Version { expected, current: index });
    }
    // Learners, a joint set and the final one: three entries at most.
    if state.log.last().index.next().next().next().is_exhausted() {
        return Err(ChangeError::Exhausted);
    }
    for member in target.members() {
        let seated = current.find(member.node);
        if seated.is_some_and(|seated| seated.incarnation != member.incarnation) {
            return Err(ChangeError::Incarnation { node: member.node });
        }
    }
    Configuration::joint(current.members().to_vec(), target.members().to_vec())?;
    Ok(())
}

fn is_voter(member: &Member) -> bool {
    member.role == Role::Voter
}

/// What to append next on the way from one set to another: the other itself
/// where their majorities must overlap anyway (§4.1), else both, joint (§4.3).
fn step_to(current: &Configuration, target: &Configuration) -> Configuration {
    let missing = |from: &Configuration, to: &Configuration| {
        from.members().iter().filter(|m| is_voter(m) && !to.is_voter(m.node)).count()
    };
    if missing(current, target) + missing(target, current) <= 1 {
        return target.clone();
    }
    let (outgoing, incoming) = (current.members().to_vec(), target.members().to_vec());
    Configuration::joint(outgoing, incoming).expect("two checked sets")
}
