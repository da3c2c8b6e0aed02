//! One proposal on its way, and how it ends.
//!
//! A proposal is held until a leader takes it, then waits as an entry
//! (`waiters.rs`) or as a forward (`forward.rs`), and ends in exactly one of
//! three ways (D9). Its payload stays with it until then, so that one that is
//! proven dead can be proposed again.
//!
//! Invariant: the budget that admitted a proposal gets its share back when,
//! and only when, the proposal ends.

use std::collections::VecDeque;
use std::mem;

use bytes::Bytes;

use crate::answer::Answer;
use crate::error::{NotDone, ProposeError};
use raftlet_core::{Index, Term, Time, mutants};

/// A command that somebody waits for.
#[derive(Debug)]
pub(crate) struct Proposal<R> {
    pub(crate) payload: Bytes,
    /// The only term in which it may be appended; 0 is any.
    pub(crate) tied_to: Term,
    /// When it must have ended. Set by the turn that takes it.
    pub(crate) deadline: Time,
    /// Its entry, once it is one. Set by who appended it.
    pub(crate) index: Index,
    pub(crate) answer: Answer<Result<R, ProposeError>>,
}

/// Commands one after the other, as they are proposed together.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    /// Bytes of each.
    pub(crate) lens: Vec<usize>,
}

impl Encoded {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.lens.clear();
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.lens.len()
    }

    pub(crate) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        encode(&mut self.bytes);
        let len = self.bytes.len().checked_sub(before);
        self.lens.push(len.expect("a command's bytes are appended"));
    }
}

/// An ended proposal, to be told outside of the shard's state.
#[derive(Debug)]
pub(crate) struct Ended<R> {
    pub(crate) answer: Answer<Result<R, ProposeError>>,
    pub(crate) outcome: Result<R, ProposeError>,
    pub(crate) bytes: usize,
}

impl<R> Proposal<R> {
    pub(crate) fn end(self, outcome: Result<R, ProposeError>) -> Ended<R> {
        Ended { answer: self.answer, outcome, bytes: self.payload.len() }
    }
}

/// What proposals without outcome may take of a shard.
#[derive(Debug)]
pub(crate) struct Budget {
    len: usize,
    len_max: usize,
    bytes: usize,
    bytes_max: usize,
}

impl Budget {
    pub(crate) const fn new(len_max: usize, bytes_max: usize) -> Self {
        Self { len: 0, len_max, bytes: 0, bytes_max }
    }

    /// Admits one more proposal, or says what is held.
    pub(crate) fn admit(&mut self, bytes: usize) -> Result<(), NotDone> {
        if self.len >= self.len_max || bytes > self.bytes_max - self.bytes {
            return Err(NotDone::Busy { held: self.len, bytes: self.bytes });
        }
        self.len += 1;
        self.bytes += bytes;
        Ok(())
    }

    /// Proposals without outcome, and their bytes.
    pub(crate) const fn fill(&self) -> (usize, usize) {
        (self.len, self.bytes)
    }

    /// Gives back what an ended proposal took.
    pub(crate) fn release<R>(&mut self, ended: &Ended<R>) {
        assert!(self.len > 0 && self.bytes >= ended.bytes, "a proposal ended twice");
        if mutants::is_active(75) {
            return;
        }
        self.len -= 1;
        self.bytes -= ended.bytes;
    }
}

/// Proposals that no leader has taken yet, in the order they were made.
#[derive(Debug)]
pub(crate) struct Held<R> {
    queue: VecDeque<Proposal<R>>,
    /// Some may be tied to a term.
    has_tied: bool,
}

impl<R> Held<R> {
    pub(crate) const fn new() -> Self {
        Self { queue: VecDeque::new(), has_tied: false }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes the first ones that came: at most `len_max`, and none more once they
    /// have `bytes_max`. How many, and their bytes.
    pub(crate) fn take_in(
        &mut self,
        from: &mut VecDeque<Proposal<R>>,
        (len_max, bytes_max): (usize, usize),
        deadline: Time,
    ) -> (usize, usize) {
        let (mut len, mut bytes) = (0, 0);
        for proposal in from.iter_mut() {
            if len >= len_max || bytes >= bytes_max {
                break;
            }
            proposal.deadline = deadline;
            self.has_tied |= proposal.tied_to > Term::ZERO;
            bytes += proposal.payload.len();
            len += 1;
        }
        move_first(from, len, &mut self.queue);
        (len, bytes)
    }

    /// Takes dead ones back, before those that came later.
    pub(crate) fn put_back(&mut self, dead: impl DoubleEndedIterator<Item = Proposal<R>>) {
        for proposal in dead.rev() {
            self.has_tied |= proposal.tied_to > Term::ZERO;
            self.queue.push_front(proposal);
        }
    }

    /// Removes those that are tied to another term than `term`: no log of it has
    /// them, nor ever will.
    pub(crate) fn take_untimely(&mut self, term: Term) -> Vec<Proposal<R>> {
        if !self.has_tied {
            return Vec::new();
        }
        let (timely, untimely): (VecDeque<_>, VecDeque<_>) = mem::take(&mut self.queue)
            .into_iter()
            .partition(|proposal| proposal.tied_to == Term::ZERO || proposal.tied_to == term);
        self.has_tied = timely.iter().any(|proposal| proposal.tied_to > Term::ZERO);
        self.queue = timely;
        untimely.into()
    }

    /// Removes those that are tied to a term.
    pub(crate) fn take_tied(&mut self) -> Vec<Proposal<R>> {
        self.take_untimely(Term::ZERO)
    }

    /// How many of the first ones make a chunk: at least one, where there are
    /// any, and no more than `len_max` or `bytes_max`.
    pub(crate) fn chunk_len(&self, len_max: usize, bytes_max: usize) -> usize {
        let mut bytes = 0;
        let fits = self.queue.iter().take(len_max).take_while(|proposal| {
            let first = bytes == 0;
            bytes += proposal.payload.len() + ENTRY_OVERHEAD_BYTES;
            first || bytes <= bytes_max
        });
        fits.count()
    }

    /// The payloads of the first `len`, in order.
    pub(crate) fn payloads(&self, len: usize) -> impl Iterator<Item = &Bytes> + Clone {
        self.queue.iter().take(len).map(|proposal| &proposal.payload)
    }

    /// Removes the first `len`, in order.
    pub(crate) fn take(&mut self, len: usize) -> impl DoubleEndedIterator<Item = Proposal<R>> {
        self.queue.drain(..len.min(self.queue.len()))
    }

    /// All of them, in order, for who takes the first ones over.
    pub(crate) fn queue(&mut self) -> &mut VecDeque<Proposal<R>> {
        &mut self.queue
    }

    pub(crate) fn take_all(&mut self) -> impl DoubleEndedIterator<Item = Proposal<R>> {
        self.queue.drain(..)
    }

    /// Removes the first one if its time is up.
    pub(crate) fn take_expired(&mut self, now: Time) -> Option<Proposal<R>> {
        if self.queue.front()?.deadline > now {
            return None;
        }
        self.queue.pop_front()
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.queue.front().map(|proposal| proposal.deadline)
    }
}

/// Moves the first `len` of `from` to the end of `to`. Mostly all of them go where
/// there are none: then none is moved.
pub(crate) fn move_first<T>(from: &mut VecDeque<T>, len: usize, to: &mut VecDeque<T>) {
    if len < from.len() {
        to.extend(from.drain(..len));
    } else if to.is_empty() {
        mem::swap(from, to);
    } else {
        to.append(from);
    }
}

/// What a log entry takes beside its payload, roughly: header and origin.
const ENTRY_OVERHEAD_BYTES: usize = 64;
