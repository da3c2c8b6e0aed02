//! Proposals that this member passed on to the leader: the origin's side.
//!
//! Each gets a sequence of this run; the leader appends it under that name, in
//! exactly the term it was sent in, and this member waits until it applies the
//! entry itself (D8, D17, rule 33).
//!
//! Invariants
//! - All that are in flight are of one term. A new term's wait until those are
//!   decided: an entry of a higher term, applied here, proves dead what is
//!   left, because copies are appended in no other term.
//! - One forward message at a time: the next leaves when the leader has said
//!   that it appended the former. So forwards are appended in the order they
//!   were made, whatever the network loses, and a sequence that lives is among
//!   the newest of its origin (`window.rs` relies on it).
//! - A lost message is sent again under the same sequences and in the same
//!   term, with growing pauses. A refusal proves nothing about other copies:
//!   it only leaves the sending to the next pause. One for want of room does:
//!   the leader says that no copy was appended or will be.
//!
//! Not here: the leader's side (core), which copy takes effect (`window.rs`).

use std::collections::VecDeque;

use bytes::Bytes;

use crate::proposal::Proposal;
use crate::window::WINDOW_SPAN;
use raftlet_core::{
    Forward, ForwardOutcome, ForwardReply, Index, NodeId, Run, Shortage, Term, Time,
};

/// Forwards in flight of one group; more are held. A quarter of the span, so
/// that the window's floor stays far below what lives.
pub(crate) const FORWARDS_IN_FLIGHT_MAX: usize = 1 << 14;
const _: () = assert!((FORWARDS_IN_FLIGHT_MAX as u64) * 4 <= WINDOW_SPAN);

/// First pause before a forward is sent again: several round trips of a local
/// network, and a turn of a busy leader.
const PAUSE_NS_MIN: u64 = 100_000_000;
const PAUSE_NS_MAX: u64 = 800_000_000;

/// Forwards in flight, by sequence.
#[derive(Debug)]
pub(crate) struct Forwards<R> {
    run: Run,
    term: Term,
    leader: NodeId,
    /// Sequence of the first slot. Slots are consecutive; ended ones are
    /// `None`, except at the front.
    base: u64,
    slots: VecDeque<Option<Proposal<R>>>,
    unacknowledged: Option<Unacknowledged>,
    /// Behind the last that was appended; zero before the first.
    appended_to: u64,
    appended_by_others: u64,
}

/// The one message whose append is not known yet.
#[derive(Clone, Copy, Debug)]
struct Unacknowledged {
    /// Sequence behind its last.
    end: u64,
    retry_at: Time,
    pause_ns: u64,
}

impl<R> Forwards<R> {
    pub(crate) const fn new(run: Run) -> Self {
        Self {
            run,
            term: Term::ZERO,
            leader: NodeId::new(0),
            base: 1,
            slots: VecDeque::new(),
            unacknowledged: None,
            appended_to: 0,
            appended_by_others: 0,
        }
    }

    /// Entries that the leader had appended between this member's forwards.
    pub(crate) const fn appended_by_others(&self) -> u64 {
        self.appended_by_others
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many may be sent now, in `term`.
    pub(crate) fn room(&self, term: Term) -> usize {
        if self.unacknowledged.is_some() || !(self.slots.is_empty() || self.term == term) {
            return 0;
        }
        FORWARDS_IN_FLIGHT_MAX - self.slots.len()
    }

    /// Takes proposals and returns what to tell the leader of `term`.
    pub(crate) fn send(
        &mut self,
        now: Time,
        term: Term,
        leader: NodeId,
        proposals: impl Iterator<Item = Proposal<R>>,
    ) -> Forward {
        assert!(self.room(term) > 0, "a forward before the former was appended");
        let first_sequence = self.end();
        let mut commands = Vec::new();
        for proposal in proposals {
            commands.push(proposal.payload.clone());
            self.slots.push_back(Some(proposal));
        }
        self.term = term;
        self.leader = leader;
        self.unacknowledged = Some(Unacknowledged {
            end: self.end(),
            retry_at: now.after_ns(PAUSE_NS_MIN),
            pause_ns: PAUSE_NS_MIN,
        });
        Forward { first_sequence, commands }
    }

    /// The leader answered in `term`. Returns what it will not do, and why.
    pub(crate) fn on_reply(
        &mut self,
        from: NodeId,
        term: Term,
        reply: &ForwardReply,
    ) -> Option<(Shortage, Vec<Proposal<R>>)> {
        let ours = reply.run == self.run && term == self.term && from == self.leader;
        let end = reply.first_sequence.saturating_add(u64::from(reply.len));
        if !ours || self.unacknowledged.is_none_or(|sent| sent.end != end) {
            return None;
        }
        match reply.outcome {
            ForwardOutcome::Refused { .. } => None,
            ForwardOutcome::Appended { first } => {
                self.unacknowledged = None;
                self.note_appended(first, reply.len);
                None
            }
            ForwardOutcome::NoRoom(shortage) => {
                self.unacknowledged = None;
                let first = reply.first_sequence.saturating_sub(self.base);
                let first = usize::try_from(first).unwrap_or(usize::MAX);
                let slots = self.slots.iter_mut().skip(first);
                let refused = slots.filter_map(Option::take).collect();
                self.drop_ended();
                Some((shortage, refused))
            }
        }
    }

    fn note_appended(&mut self, first: Index, len: u32) {
        if self.appended_to > 0 {
            let between = first.get().saturating_sub(self.appended_to);
            self.appended_by_others = self.appended_by_others.saturating_add(between);
        }
        self.appended_to = first.get().saturating_add(u64::from(len));
    }

    /// What to send again to the leader of the moment, if it is time and it is
    /// still the one of that term.
    pub(crate) fn resend(
        &mut self,
        now: Time,
        term: Term,
        leader: Option<NodeId>,
    ) -> Option<(NodeId, Forward)> {
        let sent = self.unacknowledged.as_mut()?;
        if now < sent.retry_at {
            return None;
        }
        sent.pause_ns = (sent.pause_ns * 2).min(PAUSE_NS_MAX);
        sent.retry_at = now.after_ns(sent.pause_ns);
        if term != self.term || leader != Some(self.leader) {
            return None;
        }
        // The part that somebody still waits for: a run of slots that ends
        // where the message ended.
        let behind = usize::try_from(self.base + len(&self.slots) - sent.end).ok()?;
        let slots = self.slots.iter().rev().skip(behind);
        let mut commands: Vec<Bytes> = slots
            .map_while(|slot| slot.as_ref().map(|proposal| proposal.payload.clone()))
            .collect();
        commands.reverse();
        let first_sequence = sent.end - u64::try_from(commands.len()).ok()?;
        let forward = Forward { first_sequence, commands };
        Some((self.leader, forward)).filter(|(_, forward)| !forward.commands.is_empty())
    }

    /// The proposal whose entry was just applied, whichever copy it was.
    pub(crate) fn take_done(&mut self, sequence: u64) -> Option<Proposal<R>> {
        let at = usize::try_from(sequence.checked_sub(self.base)?).ok()?;
        let proposal = self.slots.get_mut(at)?.take();
        self.drop_ended();
        proposal
    }

    /// Those that an applied entry of `term` proves dead.
    pub(crate) fn take_dead(
        &mut self,
        term: Term,
    ) -> Option<impl DoubleEndedIterator<Item = Proposal<R>>> {
        if self.slots.is_empty() || term <= self.term {
            return None;
        }
        Some(self.take_all())
    }

    pub(crate) fn take_all(&mut self) -> impl DoubleEndedIterator<Item = Proposal<R>> {
        self.base = self.end();
        self.unacknowledged = None;
        self.slots.drain(..).flatten()
    }

    /// Removes the first one if its time is up.
    pub(crate) fn take_expired(&mut self, now: Time) -> Option<Proposal<R>> {
        let first = self.slots.front()?.as_ref();
        if first.is_some_and(|proposal| proposal.deadline > now) {
            return None;
        }
        let expired = self.slots.front_mut().and_then(Option::take);
        self.drop_ended();
        expired
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let first = self.slots.front()?.as_ref().map(|first| first.deadline);
        let retry = self.unacknowledged.map(|sent| sent.retry_at);
        first.into_iter().chain(retry).min()
    }

    /// Keeps the first slot a live one.
    fn drop_ended(&mut self) {
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.base += 1;
        }
        // One whose message was appended, or nobody waits for any more.
        if self.unacknowledged.is_some_and(|sent| sent.end <= self.base) {
            self.unacknowledged = None;
        }
    }

    /// The next sequence.
    fn end(&self) -> u64 {
        self.base + len(&self.slots)
    }
}

fn len<T>(slots: &VecDeque<T>) -> u64 {
    u64::try_from(slots.len()).expect("usize is at most 64 bits")
}

#[cfg(test)]
mod tests;
