//! What the inputs made due.
//!
//! Everything the core wants done comes out of one [`Output`] that the caller
//! drains and reuses (D1). The caller obeys its fields from top to bottom.
//!
//! Invariants
//! - Every message may be sent at once: what must wait for the disk is not
//!   here yet (rules 6, 7).
//! - Steady replication allocates nothing here: a drain fills the caller's
//!   vectors, which keep their capacity. A member at rest holds none.
//!
//! Who encodes or writes at once borrows instead (`output/outlet.rs`).

use std::mem;

use crate::checkpoint::Diverged;
use crate::entry::Entries;
use crate::ids::{Index, LogId, NodeId, ReadId, Term, Ticket};
use crate::message::Message;
use crate::output::outlet::Outlet;
use crate::snapshot::Compaction;

/// What one or more inputs made due. The caller's: every group fills the same.
#[derive(Debug, Default)]
pub struct Output {
    /// To make durable, in the order of drains; answer with `on_persisted`.
    pub persist: Option<Persist>,
    /// Each may leave at once, beside the write.
    pub messages: Vec<Envelope>,
    /// The snapshot up to here takes the place of whatever the machine has: it
    /// is restored from it, once `durable_snapshot` is this far, before anything
    /// behind it is applied.
    pub install: Option<LogId>,
    /// Entries up to here are committed and may be applied.
    pub committed: Option<Index>,
    /// Reads that may be served once the machine has applied their index.
    pub reads: Vec<ReadReady>,
    /// Reads that will not be served; nothing was read.
    pub reads_refused: Vec<ReadId>,
    /// Entries that are wanted from storage; answer with `on_fetched`.
    pub fetches: Vec<Fetch>,
    /// Members that need the current snapshot; answer with `on_snapshot_ended`.
    pub snapshots: Vec<NodeId>,
    /// What changed about office and membership.
    pub events: Vec<Event>,
}

impl Output {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        let Self {
            persist,
            messages,
            install,
            committed,
            reads,
            reads_refused,
            fetches,
            snapshots,
            events,
        } = self;
        (*persist, *install, *committed) = (None, None, None);
        snapshots.clear();
        messages.clear();
        reads.clear();
        reads_refused.clear();
        fetches.clear();
        events.clear();
    }

    /// Takes over what a drain has besides messages and what is to be persisted.
    #[inline]
    pub(crate) fn add(&mut self, effects: &mut Effects) {
        let committed = mem::take(&mut effects.committed);
        self.committed = (committed > Index::ZERO).then_some(committed);
        if let Some(rare) = effects.rare.take() {
            self.add_rare(*rare);
        }
    }

    #[cold]
    fn add_rare(&mut self, mut rare: Rare) {
        self.reads.append(&mut rare.reads);
        self.reads_refused.append(&mut rare.reads_refused);
        self.fetches.append(&mut rare.fetches);
        self.snapshots.append(&mut rare.snapshots);
        self.install = rare.install.or(self.install);
        self.events.append(&mut rare.events);
    }

    /// Whether nothing is due.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.persist.is_none()
            && self.messages.is_empty()
            && self.install.is_none()
            && self.committed.is_none()
            && self.snapshots.is_empty()
            && self.reads.is_empty()
            && self.reads_refused.is_empty()
            && self.fetches.is_empty()
            && self.events.is_empty()
    }
}

/// What inputs made due before the drain. Little: most of it comes about in
/// the drain, in the caller's vectors.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Other than appends and acks; in a place of its own, for they are seldom.
    #[expect(clippy::box_collection, reason = "one word where there are none")]
    messages: Option<Box<Vec<Envelope>>>,
    /// 0 where nothing new is.
    pub(crate) committed: Index,
    rare: Option<Box<Rare>>,
}

/// What few drains hand out.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    pub(crate) reads: Vec<ReadReady>,
    pub(crate) reads_refused: Vec<ReadId>,
    pub(crate) fetches: Vec<Fetch>,
    pub(crate) snapshots: Vec<NodeId>,
    pub(crate) install: Option<LogId>,
    pub(crate) events: Vec<Event>,
}

impl Effects {
    /// Says something at the next drain, behind what was said before.
    pub(crate) fn send(&mut self, envelope: Envelope) {
        self.messages.get_or_insert_default().push(envelope);
    }

    /// Room for what is rare.
    pub(crate) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Takes what is rare, if there is any.
    pub(crate) fn take_rare(&mut self) -> Rare {
        self.rare.take().map(|rare| *rare).unwrap_or_default()
    }

    /// Hands over the messages so far, in their order.
    #[inline]
    pub(crate) fn send_off(&mut self, outlet: &mut impl Outlet) {
        if self.messages.is_some() {
            self.send_off_all(outlet);
        }
    }

    #[cold]
    fn send_off_all(&mut self, outlet: &mut impl Outlet) {
        // A member at rest holds no room for messages.
        for envelope in self.messages.take().map(|messages| *messages).unwrap_or_default() {
            outlet.other(envelope);
        }
    }
}

/// A message and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The receiver.
    pub to: NodeId,
    /// What it is told.
    pub message: Message,
}

/// Term and vote: one record, always written together (rule 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term seen.
    pub term: Term,
    /// Who has the vote in that term.
    pub vote: Option<NodeId>,
}

/// Changes to make durable, as one ordered record: hard state, then
/// truncation, then compaction, then entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist {
    /// Names this hand-over in the completion. A completed ticket says that
    /// all earlier ones of this group are durable too.
    pub ticket: Ticket,
    /// Set when term or vote changed.
    pub hard_state: Option<HardState>,
    /// Remove the entries from this index on.
    pub truncate_from: Option<Index>,
    /// The front of the log goes.
    pub compact: Option<Compaction>,
    /// Append these.
    pub entries: Entries,
    /// What was lost is there again, with this hand-over and those before it.
    pub refilled: bool,
}

/// A read that was confirmed (§6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadReady {
    /// As given to `read`.
    pub read: ReadId,
    /// Serve it when this index is applied here.
    pub index: Index,
}

/// Names a fetch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub u64);

/// Entries that left memory and are needed for a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Names the request in the answer.
    pub id: FetchId,
    /// The first entry wanted.
    pub first: Index,
    /// The last entry wanted; fewer may be given, at least one.
    pub last: Index,
    /// Stop after this many bytes, though not before the first entry.
    pub bytes_max: usize,
}

/// What a member is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether a campaign could succeed (§9.6).
    PreCandidate,
    /// Campaigns.
    Candidate,
    /// Leads.
    Leader,
}

/// Why a leadership transfer was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferFailure {
    /// Nobody took over within an election timeout.
    TimedOut,
    /// The one that was to take over is no voter any more.
    NotVoter,
}

/// What changed about office and membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Role, term or leader changed.
    Office {
        /// What this member is now.
        role: Role,
        /// Its term.
        term: Term,
        /// Whom it follows, itself if it leads.
        leader: Option<NodeId>,
    },
    /// Another configuration is in effect (appended, not yet committed; or
    /// back after a truncation).
    Configuration {
        /// Where it stands in the log; 0 when there is none.
        index: Index,
    },
    /// This member holds no seat any more, and that is committed. It asks
    /// nobody and campaigns no more, unless a leader seats it again.
    Removed {
        /// As of this committed entry.
        as_of: LogId,
    },
    /// A leadership transfer was given up; this member serves again.
    NotTransferred {
        /// Why.
        why: TransferFailure,
    },
    /// Another member's digest differs at the same index: an alarm, and no more.
    Diverged(Diverged),
    /// Entries were replaced by a later leader's: proposals at and behind
    /// this place may still be alive elsewhere.
    Truncated {
        /// The first entry that is gone.
        from: LogId,
    },
    /// A leader has sent again what storage had lost: this member votes.
    Refilled,
    /// This leader begins or ends to refuse proposals because no quorum has room.
    QuorumRoom {
        /// Whether it begins.
        is_short: bool,
    },
}

pub(crate) mod outlet;
