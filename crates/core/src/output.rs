//! What the inputs made due.
//!
//! Everything the core wants done comes out of one [`Output`] that the caller
//! drains and reuses (D1). The caller obeys its fields from top to bottom.
//!
//! Invariants
//! - Every message may be sent at once: what must wait for the disk is not
//!   here yet (rules 6, 7).
//! - Steady replication allocates nothing here: the vectors are swapped with
//!   the caller's and keep their capacity.

use crate::entry::Entries;
use crate::ids::{Index, LogId, NodeId, ReadId, Term, Ticket};
use crate::message::Message;

/// What one or more inputs made due. Swapped with the caller's, so both are
/// reused.
#[derive(Debug, Default)]
pub struct Output {
    /// To make durable, in the order of drains; answer with `on_persisted`.
    pub persist: Option<Persist>,
    /// Each may leave at once, beside the write.
    pub messages: Vec<Envelope>,
    /// Entries up to here are committed and may be applied.
    pub committed: Option<Index>,
    /// Reads that may be served once the machine has applied their index.
    pub reads: Vec<ReadReady>,
    /// Reads that will not be served; nothing was read.
    pub reads_refused: Vec<ReadId>,
    /// Entries that are wanted from storage; answer with `on_fetched`.
    pub fetches: Vec<Fetch>,
    /// What changed about office and membership.
    pub events: Vec<Event>,
}

impl Output {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.persist = None;
        self.messages.clear();
        self.committed = None;
        self.reads.clear();
        self.reads_refused.clear();
        self.fetches.clear();
        self.events.clear();
    }

    /// Whether nothing is due.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.persist.is_none()
            && self.messages.is_empty()
            && self.committed.is_none()
            && self.reads.is_empty()
            && self.reads_refused.is_empty()
            && self.fetches.is_empty()
            && self.events.is_empty()
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
/// truncation, then entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist {
    /// Names this hand-over in the completion. A completed ticket says that
    /// all earlier ones of this group are durable too.
    pub ticket: Ticket,
    /// Set when term or vote changed.
    pub hard_state: Option<HardState>,
    /// Remove the entries from this index on.
    pub truncate_from: Option<Index>,
    /// Append these.
    pub entries: Entries,
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
    /// Entries were replaced by a later leader's: proposals at and behind
    /// this place may still be alive elsewhere.
    Truncated {
        /// The first entry that is gone.
        from: LogId,
    },
}
