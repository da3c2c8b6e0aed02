//! What callers and the transport hold: [`Group`] and [`Inbox`]. What a handle
//! can do about members is in `handle/members.rs`.
//!
//! A handle changes nothing itself: it leaves a command, a read or a message
//! in the shard's lanes and wakes the loop. It lives on the shard's thread, and
//! the compiler keeps it there (rule 39).

pub(crate) mod members;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::answer::{Waiting, WaitingAll, answer, answers};
use crate::error::{ProposeError, ReadError, SnapshotError, TransferError, Unknown};
use crate::offices::{Office, Offices};
use crate::port::{Clock, Incoming, Ports, StateMachine};
use crate::shard::Shared;
use crate::status::GroupStatus;
use crate::timers::Slot;
use raftlet_core::{Generation, GroupId, Index, Liveness, NodeId, Sender, Term};

/// A handle on one group of a shard. Cheap to clone.
///
/// It cannot leave its shard's thread:
///
/// ```compile_fail,E0277
/// fn leave<P: raftlet::Ports>(group: raftlet::Group<P>) {
///     std::thread::spawn(move || drop(group));
/// }
/// ```
pub struct Group<P: Ports> {
    shared: Rc<Shared<P>>,
    slot: Slot,
}

impl<P: Ports> Group<P> {
    pub(crate) fn new(shared: &Rc<Shared<P>>, slot: Slot) -> Self {
        Self { shared: Rc::clone(shared), slot }
    }

    /// Proposes a command, on any member (D8). It is taken in by this call,
    /// not by the first poll: several proposed before an await go together.
    ///
    /// Waits for the command to be committed by a majority *and applied here*;
    /// then the response of this member's machine is the answer (rule 15).
    /// Commands of one member take effect in the order they were proposed.
    ///
    /// # Errors
    /// [`ProposeError`] tells *not done and never will be* from *unknown*
    /// (D9). Without a leader it is held up to `propose_timeout` first.
    ///
    /// # Cancel safety
    /// Dropping the future stops waiting and nothing else: the command still
    /// takes effect, or not.
    pub fn propose(
        &self,
        command: <P::Machine as StateMachine>::Command,
    ) -> Proposing<<P::Machine as StateMachine>::Response> {
        self.propose_tied(Term::ZERO, |into| P::Machine::encode(&command, into))
    }

    /// As [`propose`](Self::propose), with a command that the caller encodes as
    /// [`StateMachine::encode`] would: one that it does not own, or not as one.
    ///
    /// # Errors
    /// As for `propose`.
    ///
    /// # Cancel safety
    /// As for `propose`.
    pub fn propose_with(
        &self,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Proposing<<P::Machine as StateMachine>::Response> {
        self.propose_tied(Term::ZERO, encode)
    }

    /// As [`propose`](Self::propose), but only if the group is still in `term`
    /// when a leader appends it: for callers that decided on what they read
    /// under the leader of that term (see [`office`](Self::office)). It says
    /// nothing about other proposals of the same term.
    ///
    /// # Errors
    /// As for `propose`, and [`NotDone::OtherTerm`](crate::NotDone::OtherTerm):
    /// it is in no log and never will be. It is not held for the next leader.
    ///
    /// # Cancel safety
    /// As for `propose`.
    pub fn propose_in(
        &self,
        term: Term,
        command: <P::Machine as StateMachine>::Command,
    ) -> Proposing<<P::Machine as StateMachine>::Response> {
        // No leader has term 0, and 0 would mean any.
        self.propose_tied(term.max(Term::BOOTSTRAP), |into| P::Machine::encode(&command, into))
    }

    /// Proposes commands that go together, in this order: as
    /// [`propose_with`](Self::propose_with) one after the other, at less cost for
    /// each. They are taken in by this call, each for itself: one may be refused
    /// and the next one not.
    ///
    /// Their outcomes are waited for one by one, in the same order.
    pub fn propose_all<E: FnOnce(&mut Vec<u8>)>(
        &self,
        commands: impl Iterator<Item = E>,
    ) -> ProposingAll<<P::Machine as StateMachine>::Response> {
        ProposingAll(self.propose_encoded(Term::ZERO, commands))
    }

    fn propose_tied(
        &self,
        tied_to: Term,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Proposing<<P::Machine as StateMachine>::Response> {
        Proposing(self.propose_encoded(tied_to, std::iter::once(encode)))
    }

    fn propose_encoded<E: FnOnce(&mut Vec<u8>)>(
        &self,
        tied_to: Term,
        commands: impl Iterator<Item = E>,
    ) -> WaitingAll<Result<<P::Machine as StateMachine>::Response, ProposeError>> {
        let mut encoded = self.shared.state.with(|state| std::mem::take(&mut state.encoded));
        encoded.clear();
        commands.for_each(|encode| encoded.push(encode));
        let (gives, waiting) = answers(encoded.len());
        let (refused, wakes) = self.shared.state.with(|state| {
            let refused = state.accept_proposals(self.slot, &encoded, tied_to, gives);
            let wakes = refused.len() < encoded.len() && !state.proposals_wait(self.slot);
            state.keep_encoded(encoded);
            (refused, wakes)
        });
        for (give, reason) in refused {
            give.give(Err(reason.into()));
        }
        if wakes {
            self.shared.signal.raise();
        }
        waiting
    }

    /// Runs `f` on the state as of some moment after this call (§6.4), on any
    /// member. Taken in by this call, not by the first poll.
    ///
    /// Waits for a quorum round and for local apply. Reads waiting together
    /// share one round: messages grow with nodes, not with reads.
    ///
    /// # Errors
    /// [`ReadError`]; `f` did not run and never will.
    ///
    /// # Cancel safety
    /// `f` does not run once the future is dropped; nothing else changes.
    pub fn read<T: 'static>(&self, f: impl FnOnce(&P::Machine) -> T + 'static) -> Reading<T> {
        let (give, waiting) = answer();
        let job = Box::new(move |machine: Result<&P::Machine, ReadError>| {
            if !give.is_abandoned() {
                give.give(machine.map(f));
            }
        });
        match self.shared.state.with(|state| state.accept_read(self.slot, job)) {
            Ok(()) => self.shared.signal.raise(),
            Err((job, reason)) => job(Err(reason)),
        }
        Reading(waiting)
    }

    /// Hands leadership to another voter: to the one named, else to the first
    /// that holds the whole log (§3.10). Only the leader can; another member's
    /// refusal names it. Taken in by this call, not by the first poll.
    ///
    /// Waits until another member leads, and gives its node: as a rule two
    /// flushes and two round trips. Meanwhile proposals are held, and go to the
    /// new leader; one that is tied to a term ends *not done*. Nothing that was
    /// appended before is lost. Where nobody takes over within an election
    /// timeout this member serves again.
    ///
    /// # Errors
    /// [`TransferError`]; after [`TransferError::TimedOut`] somebody may still
    /// take over later.
    ///
    /// # Cancel safety
    /// Dropping the future stops waiting; the transfer goes on.
    pub fn transfer_leadership(&self, to: Option<NodeId>) -> Transferring {
        let (give, waiting) = answer();
        match self.shared.state.with(|state| state.accept_transfer(self.slot, to, give)) {
            Some((give, reason)) => give.give(Err(reason)),
            None => self.shared.signal.raise(),
        }
        Transferring(waiting)
    }

    /// The log's time by the leader's clock: what a command proposed now would
    /// be stamped with (D12). `None` if another member leads, or none.
    #[must_use]
    pub fn log_time_ms(&self) -> Option<u64> {
        let now = self.shared.clock.now();
        self.shared.state.with(|state| state.log_time_ms(self.slot, now))
    }

    /// Entries that the leader appended between those that this member passed on
    /// to it, since the group was opened. While it grows others write too, which
    /// a member that does not lead sees in no other way; it stands still while
    /// this member passes nothing on.
    #[must_use]
    pub fn appended_by_others(&self) -> u64 {
        self.shared.state.with(|state| state.appended_by_others(self.slot))
    }

    /// What this member is, in which term, and whom it follows.
    #[must_use]
    pub fn office(&self) -> Office {
        self.shared.state.with(|state| state.office(self.slot))
    }

    /// Watches who leads: every change of role, term or leader of this member
    /// from now on, the present office first. None is missed, however late a
    /// caller looks, up to [`OFFICES_MAX`](crate::OFFICES_MAX) changes.
    #[must_use]
    pub fn offices(&self) -> Offices {
        self.shared.state.with(|state| state.watch_office(self.slot))
    }

    /// The node that this member is on.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.shared.seat.node
    }

    /// Writes this member's machine down and lets the log up to it go, but for
    /// its tail, though none is due yet. Taken in by this call, not by the first
    /// poll.
    ///
    /// Waits until the snapshot is durable in its file, and gives the index that
    /// the group's current snapshot here reaches: that of an earlier one if
    /// nothing was applied since. The group goes on meanwhile.
    ///
    /// # Errors
    /// [`SnapshotError`]; the log is as it was.
    ///
    /// # Cancel safety
    /// Dropping the future stops waiting; the snapshot is taken.
    pub fn snapshot(&self) -> Snapshotting {
        let (give, waiting) = answer();
        match self.shared.state.with(|state| state.accept_snapshot(self.slot, give)) {
            Some((give, reason)) => give.give(Err(reason)),
            None => self.shared.signal.raise(),
        }
        Snapshotting(waiting)
    }

    /// How the group is doing here. Allocates; not for hot paths.
    #[must_use]
    pub fn status(&self) -> GroupStatus {
        let lent = self.shared.state.with(|state| state.lend(self.slot));
        let digest = lent.map(|(machine, mut digest)| {
            digest.digest = machine.digest();
            self.shared.state.with(|state| state.give_back(self.slot, machine));
            digest
        });
        let status = self.shared.state.with(|state| state.group_status(self.slot));
        GroupStatus { digest, ..status.expect("a handle's slot is a group's") }
    }
}

impl<P: Ports> Clone for Group<P> {
    fn clone(&self) -> Self {
        Self { shared: Rc::clone(&self.shared), slot: self.slot }
    }
}

impl<P: Ports> std::fmt::Debug for Group<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// A proposal on its way. Awaiting it gives the machine's response.
#[derive(Debug)]
#[must_use = "the outcome of a proposal is known only to who awaits it"]
pub struct Proposing<R>(WaitingAll<Result<R, ProposeError>>);

impl<R> Future for Proposing<R> {
    type Output = Result<R, ProposeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_next(cx).map(|ended| outcome(ended.flatten()))
    }
}

/// Proposals on their way that were made together.
#[derive(Debug)]
#[must_use = "the outcomes of proposals are known only to who awaits them"]
pub struct ProposingAll<R>(WaitingAll<Result<R, ProposeError>>);

impl<R> ProposingAll<R> {
    /// How the next of them ended, in the order in which they were made; `None`
    /// behind the last.
    ///
    /// # Errors
    /// Within, as for [`Group::propose`].
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the same one is next.
    pub async fn next(&mut self) -> Option<Result<R, ProposeError>> {
        poll_fn(|cx| self.0.poll_next(cx)).await.map(outcome)
    }
}

/// A loop that ended in mid-turn leaves it open what it had taken.
fn outcome<R>(ended: Option<Result<R, ProposeError>>) -> Result<R, ProposeError> {
    ended.unwrap_or(Err(ProposeError::Unknown(Unknown::Stopped)))
}

/// A read on its way. Awaiting it gives what the closure returned.
#[derive(Debug)]
#[must_use = "a read that nobody awaits does not run"]
pub struct Reading<T>(Waiting<Result<T, ReadError>>);

impl<T> Future for Reading<T> {
    type Output = Result<T, ReadError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = Pin::new(&mut self.0).poll(cx);
        ended.map(|outcome| outcome.unwrap_or(Err(ReadError::Stopped)))
    }
}

/// A snapshot being taken. Awaiting it gives the index that it reaches.
#[derive(Debug)]
#[must_use = "whether a snapshot was taken is known only to who awaits it"]
pub struct Snapshotting(Waiting<Result<Index, SnapshotError>>);

impl Future for Snapshotting {
    type Output = Result<Index, SnapshotError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = Pin::new(&mut self.0).poll(cx);
        ended.map(|outcome| outcome.unwrap_or(Err(SnapshotError::Stopped)))
    }
}

/// A leadership transfer on its way. Awaiting it gives the new leader's node.
#[derive(Debug)]
#[must_use = "whether another member leads is known only to who awaits it"]
pub struct Transferring(Waiting<Result<NodeId, TransferError>>);

impl Future for Transferring {
    type Output = Result<NodeId, TransferError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = Pin::new(&mut self.0).poll(cx);
        ended.map(|outcome| outcome.unwrap_or(Err(TransferError::Stopped)))
    }
}

/// Where the transport leaves messages and the failure detector its news.
/// Cheap to clone; stays on the shard's thread.
pub struct Inbox<P: Ports> {
    shared: Rc<Shared<P>>,
}

impl<P: Ports> Inbox<P> {
    pub(crate) fn new(shared: &Rc<Shared<P>>) -> Self {
        Self { shared: Rc::clone(shared) }
    }

    /// Leaves messages of one sender for the next turn and empties `messages`.
    /// What does not fit, or is for no group here, is dropped and counted: the
    /// protocol repairs.
    pub fn deliver(&self, from: Sender, messages: &mut Vec<Incoming>) {
        self.shared.state.with(|state| state.deliver(from, messages));
        self.shared.signal.raise();
    }

    /// Tells a group that the sender leads it no more in `term`, whatever the
    /// failure detector says of its node (rule 20).
    pub fn disowned(&self, from: Sender, group: GroupId, generation: Generation, term: Term) {
        self.shared.state.with(|state| state.accept_disowned(from, (group, generation, term)));
        self.shared.signal.raise();
    }

    /// Tells all groups how a node is doing.
    pub fn liveness(&self, node: NodeId, liveness: Liveness) {
        self.shared.state.with(|state| state.on_liveness(node, liveness));
        self.shared.signal.raise();
    }
}

impl<P: Ports> Clone for Inbox<P> {
    fn clone(&self) -> Self {
        Self { shared: Rc::clone(&self.shared) }
    }
}

impl<P: Ports> std::fmt::Debug for Inbox<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}
