//! Where a drain puts what fills most turns, lent and not given.
//!
//! Entries stay in the log. A [`Outlet`] sees them where they are and copies what
//! it needs: an encoder their bytes, a writer a handle. So in batches of one
//! nothing is built that is taken apart in the next step (D43).
//!
//! Invariants
//! - A outlet is told what an [`Output`](super::Output) would hold, in the same
//!   order, and each of it once.
//! - Every message may leave at once, before or beside what is to be persisted
//!   (rules 6, 7).
//!
//! Not here: what is seldom due, which comes in an `Output`.

use std::slice;

use crate::entry::{Chunk, Entries};
use crate::ids::{Generation, Index, LogId, NodeId, Round, Term, Ticket};
use crate::message::{Ack, Append, Body, Message};
use crate::mutants;
use crate::output::{Envelope, HardState, Persist};
use crate::snapshot::Compaction;

/// Takes what a drain hands out. What is lent is valid during the call.
pub trait Outlet {
    /// To make durable, in the order of drains; answer with `on_persisted`. At
    /// most once a drain.
    fn persist(&mut self, persist: PersistRef<'_>);

    /// Entries, or a heartbeat, for a member.
    fn append(&mut self, head: Head, append: AppendRef<'_>);

    /// What this member has, for its leader.
    fn ack(&mut self, head: Head, ack: &Ack);

    /// Any other message.
    fn other(&mut self, envelope: Envelope);
}

/// Whom a message goes to, and what stands above each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The receiver.
    pub to: NodeId,
    /// The life of the group id.
    pub generation: Generation,
    /// The sender's term.
    pub term: Term,
}

/// An [`Append`] whose entries are still the log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendRef<'a> {
    /// As in [`Append`].
    pub previous: LogId,
    /// As in [`Append`].
    pub commit: Index,
    /// As in [`Append`].
    pub round: Round,
    /// As in [`Append`].
    pub configuration: Index,
    /// As in [`Append`].
    pub position: u64,
    /// What follows `previous`, without a gap; none in a heartbeat.
    pub chunks: &'a [Chunk],
}

impl AppendRef<'_> {
    /// With handles of its own.
    #[must_use]
    #[inline]
    pub fn to_owned(&self) -> Append {
        Append {
            previous: self.previous,
            commit: self.commit,
            round: self.round,
            configuration: self.configuration,
            position: self.position,
            entries: Entries::of(self.chunks),
        }
    }
}

impl<'a> From<&'a Append> for AppendRef<'a> {
    #[inline]
    fn from(append: &'a Append) -> Self {
        Self {
            previous: append.previous,
            commit: append.commit,
            round: append.round,
            configuration: append.configuration,
            position: append.position,
            chunks: append.entries.as_slice(),
        }
    }
}

/// A [`Persist`] whose entries are still the log's.
#[derive(Clone, Copy, Debug)]
pub struct PersistRef<'a> {
    /// As in [`Persist`].
    pub ticket: Ticket,
    /// What few have; most are entries and nothing else.
    pub rare: Option<&'a PersistRare>,
    /// Append these, without a gap.
    pub chunks: &'a [Chunk],
}

/// What goes with or before the entries of some hand-overs; see [`Persist`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PersistRare {
    /// Set when term or vote changed.
    pub hard_state: Option<HardState>,
    /// Remove the entries from this index on.
    pub truncate_from: Option<Index>,
    /// The front of the log goes.
    pub compact: Option<Compaction>,
    /// What was lost is there again, with this hand-over and those before it.
    pub refilled: bool,
}

impl PersistRef<'_> {
    /// With handles of its own.
    #[must_use]
    #[inline]
    pub fn to_owned(&self) -> Persist {
        let PersistRare { hard_state, truncate_from, compact, refilled } =
            self.rare.copied().unwrap_or_default();
        let chunks = match self.chunks {
            [first, ..] if mutants::is_active(154) => slice::from_ref(first),
            all => all,
        };
        let entries = Entries::of(chunks);
        Persist { ticket: self.ticket, hard_state, truncate_from, compact, entries, refilled }
    }
}

/// Keeps all it is told.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) persist: Option<Persist>,
    pub(crate) messages: Vec<Envelope>,
}

impl Kept {
    fn keep(&mut self, Head { to, generation, term }: Head, body: Body) {
        self.messages.push(Envelope { to, message: Message { generation, term, body } });
    }
}

impl Outlet for Kept {
    fn persist(&mut self, persist: PersistRef<'_>) {
        self.persist = Some(persist.to_owned());
    }

    fn append(&mut self, head: Head, append: AppendRef<'_>) {
        self.keep(head, Body::Append(append.to_owned()));
    }

    fn ack(&mut self, head: Head, ack: &Ack) {
        self.keep(head, Body::Ack(ack.clone()));
    }

    fn other(&mut self, envelope: Envelope) {
        self.messages.push(envelope);
    }
}

/// The one chunk that most hand-overs consist of.
#[inline]
pub(crate) fn one(chunk: &Chunk) -> &[Chunk] {
    slice::from_ref(chunk)
}
