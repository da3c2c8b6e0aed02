//! Watches every step and says when a claim of `invariants.rs` fails.
//!
//! The judge sees what no member sees: all durable images at once, and all of
//! the past. It keeps, for the whole history over all crashes:
//! - the reign of every term: who led, and the digests of its log;
//! - the votes that ever left a member, by term;
//! - the digest that each (index, term) names;
//! - the committed prefix of the group, and the highest index that a client
//!   has been shown.
//!
//! It looks only at what a step changed, so that a check costs little more
//! than the step. Naive forms of some claims are wrong and are not used: an
//! unsent, undurable vote may vanish in a crash; a late leader of a lower term
//! need not hold what a higher term committed, and may truncate it from a
//! member that was not counted.

mod acks;
mod change;
mod commit;
mod election;
mod lease;
mod log;
mod snapshot;
pub(crate) mod transfer;

use std::collections::{BTreeMap, BTreeSet};

use super::image::Change;
use super::invariants::{self, Violation, ensure};
use super::member::Member;
pub(crate) use super::roster::{node_at, seat_of};
use crate::tally::{Mark, Tally};
use raftlet::core::{Body, Envelope, Index, LogId, NodeId, Output, Role, Term};

/// History as an omniscient observer has it.
#[derive(Debug)]
pub(crate) struct Judge {
    seats: usize,
    reigns: BTreeMap<Term, Reign>,
    /// Votes that left a member or were counted by itself: term, then seat.
    votes: BTreeMap<Term, Vec<Option<NodeId>>>,
    /// The log that a candidate claims, by term and node.
    claims: BTreeMap<(Term, NodeId), LogId>,
    /// What (index, term) names: by index, the terms seen there.
    named: Vec<Vec<(Term, u64)>>,
    committed: Vec<Committed>,
    /// The first end of a log that a leader wanted another to take over with,
    /// by term.
    handed_over: BTreeMap<Term, LogId>,
    /// Commands whose proposal was refused.
    refused: BTreeSet<u64>,
    /// Behind which entry the leader of a term began its last change: a late leader
    /// may begin one beside the next.
    change_floors: BTreeMap<Term, Index>,
    /// The highest index that any client was shown.
    shown: Index,
    pub(crate) tally: Tally,
}

/// A term's leader and its log.
#[derive(Debug)]
struct Reign {
    seat: usize,
    /// `digests[i]` covers the leader's log up to index i.
    digests: Vec<u64>,
}

/// An entry of the committed prefix.
#[derive(Clone, Copy, Debug)]
struct Committed {
    digest: u64,
    term: Term,
    /// The leader's term when it committed.
    by: Term,
}

impl Judge {
    /// A history that begins with `genesis` on every member.
    pub(crate) fn new(seats: usize, genesis: &Change) -> Self {
        let mut judge = Self {
            seats,
            reigns: BTreeMap::new(),
            votes: BTreeMap::new(),
            claims: BTreeMap::new(),
            named: vec![Vec::new()],
            committed: Vec::new(),
            handed_over: BTreeMap::new(),
            refused: BTreeSet::new(),
            change_floors: BTreeMap::new(),
            shown: Index::ZERO,
            tally: Tally::default(),
        };
        for record in &genesis.records {
            judge.named.push(vec![(record.term, record.digest)]);
            judge.committed.push(Committed {
                digest: record.digest,
                term: record.term,
                by: Term::BOOTSTRAP,
            });
        }
        judge
    }

    /// The highest index that any client was shown: what a read that begins
    /// now must see.
    pub(crate) fn floor(&self) -> Index {
        self.shown
    }

    /// A client was shown the state at `index`.
    pub(crate) fn show(&mut self, index: Index) {
        self.shown = self.shown.max(index);
    }

    /// Clients were told that these commands were not taken.
    pub(crate) fn refuse(&mut self, commands: &[u64]) {
        self.refused.extend(commands);
    }

    /// How many leaders later terms had.
    pub(crate) fn elected_after(&self, term: Term) -> usize {
        self.reigns.range(term.next()..).count()
    }

    pub(crate) fn committed_len(&self) -> Index {
        Index::new(u64::try_from(self.committed.len()).expect("a short log"))
    }

    /// Judges one drain of the member at `seat` and adopts its changes in the
    /// member's written image and view.
    pub(crate) fn on_drain(
        &mut self,
        members: &mut [Member],
        seat: usize,
        out: &Output,
    ) -> Result<Option<Change>, Violation> {
        if members[seat].is_halted() {
            let is_silent = out.persist.is_none() && out.messages.is_empty();
            ensure(is_silent, invariants::HALTED_IS_SILENT, || format!("hands out {out:?}"))?;
            self.on_office(members, seat)?;
            return Ok(None);
        }
        let change = match &out.persist {
            None => None,
            Some(persist) => Some(self.on_persist(&mut members[seat], seat, persist)?),
        };
        Self::on_offices(&members[seat], out)?;
        self.on_office(members, seat)?;
        self.on_commit(members, seat, out)?;
        self.on_change(members, seat, change.as_ref())?;
        self.on_change_events(out);
        if let Some(group) = &members[seat].group {
            members[seat].view.configuration = group.configuration_index();
        }
        self.on_status(&members[seat])?;
        self.on_transfer_events(out);
        for envelope in &out.messages {
            self.on_message(members, seat, envelope)?;
        }
        for fetch in &out.fetches {
            let member = &members[seat];
            let held = member.durable.digest(fetch.last);
            ensure(
                fetch.first <= fetch.last
                    && held.is_some()
                    && held == member.written.digest(fetch.last),
                invariants::ASKS_WHAT_EXISTS,
                || {
                    let disk = member.durable.last();
                    format!("{fetch:?} of a storage that ends at {disk} or differs")
                },
            )?;
        }
        Ok(change)
    }

    /// A message leaves the member at `seat`.
    fn on_message(
        &mut self,
        members: &[Member],
        seat: usize,
        envelope: &Envelope,
    ) -> Result<(), Violation> {
        let member = &members[seat];
        let message = &envelope.message;
        let to = seat_of(envelope.to);
        ensure(
            to.is_some_and(|to| to < self.seats && to != seat),
            invariants::STATUS_IS_TRUE,
            || format!("a message to {}", envelope.to),
        )?;
        let to = to.expect("checked above");
        let durable = member.durable.hard_state.term;
        ensure(
            message.term <= durable || asks_for_a_later_term(&message.body),
            invariants::TERM_DURABLE,
            || format!("{message:?} to {} above {durable}", envelope.to),
        )?;
        match &message.body {
            Body::VoteRequest(request) => self.on_vote_request(member, message.term, request),
            Body::VoteReply(reply) => self.on_vote_reply(member, to, message.term, reply),
            Body::Append(append) => self.on_append(member, seat, message.term, append),
            Body::Ack(ack) => self.on_ack(member, to, message.term, ack),
            Body::ForwardReply(reply) => self.on_forward_reply(member, to, message.term, reply),
            Body::TakeOver { last } => self.on_take_over(members, seat, to, (message.term, *last)),
            Body::Forward(_)
            | Body::Snapshot(_)
            | Body::SnapshotAck(_)
            | Body::Checkpoint(_)
            | Body::Probe
            | Body::NotLeader { .. }
            | Body::Membership(_)
            | Body::Read { .. }
            | Body::ReadReply { .. } => Ok(()),
        }
    }

    /// What the core says about itself agrees with what it has handed out.
    fn on_status(&self, member: &Member) -> Result<(), Violation> {
        let Some(group) = &member.group else {
            return Ok(());
        };
        let last = member.written.last().index;
        ensure(group.last_index() == last, invariants::STATUS_IS_TRUE, || {
            format!("last index {}, handed out {last}", group.last_index())
        })?;
        let durable = group.durable_index();
        let digest = member.durable.digest(durable);
        ensure(
            digest.is_some() && digest == member.written.digest(durable),
            invariants::STATUS_IS_TRUE,
            || {
                let disk = member.durable.last();
                format!("durable index {durable}, the disk ends at {disk} or differs")
            },
        )?;
        ensure(group.term() == member.written.hard_state.term, invariants::STATUS_IS_TRUE, || {
            let told = member.written.hard_state.term;
            format!("term {}, handed out {told}", group.term())
        })
    }

    /// A member's counters at the end of a run.
    pub(crate) fn count(&mut self, counters: &raftlet::core::Counters) {
        self.tally.add(Mark::QuorumLost, counters.quorum_lost);
        self.tally.add(Mark::Throttle, counters.throttled);
    }
}

/// Pre-votes name the term that is asked for, not one that anybody has.
fn asks_for_a_later_term(body: &Body) -> bool {
    use raftlet::core::VoteKind;
    match body {
        Body::VoteRequest(request) => request.kind == VoteKind::Pre,
        Body::VoteReply(reply) => reply.kind == VoteKind::Pre && reply.granted,
        _ => false,
    }
}

pub(crate) fn is_leader(member: &Member) -> bool {
    member.view.role == Some(Role::Leader)
}
