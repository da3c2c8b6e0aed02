//! What will happen, and in which order.
//!
//! Not here: what it does (`world.rs`).

use std::cmp::Ordering;
use std::rc::Rc;

use super::image::Taken;
use super::network::FlightId;
use raftlet::core::{Liveness, NodeId, Run, Sender, Term};

/// Something that will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A message arrives.
    Deliver { to: usize, flight: FlightId },
    /// A snapshot arrives; transfers are numbered.
    Transfer { to: usize, number: u64 },
    /// Time to look at a member's deadline.
    Wake { seat: usize },
    /// A member starts.
    Start { seat: usize },
    /// A failure detector speaks.
    Rumour { seat: usize, about: NodeId, says: Liveness },
    /// Something inside one run of a member.
    Within { seat: usize, run: Run, what: Within },
}

/// What happens inside a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// The write under way is durable.
    Written,
    /// The core is told of durable writes.
    Told,
    /// The drain that is owed.
    Turn,
    /// Committed entries are applied.
    Apply,
    /// A snapshot's file is finished.
    Taken,
    /// Sending a snapshot is over.
    SnapshotEnded(NodeId),
    /// The machine is restored from the snapshot.
    Restore,
    /// A fetch ends; fetches are numbered within a run.
    Fetched(u64),
    /// A member whose storage failed ends its process.
    Die,
}

/// An event and when; equal times keep the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) at: u64,
    pub(crate) number: u64,
    pub(crate) event: Event,
}

impl Ord for Due {
    /// The earliest is the greatest: a heap gives that first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Event {
    /// The seat that it happens to.
    pub(crate) fn seat(&self) -> usize {
        match *self {
            Self::Deliver { to: seat, .. }
            | Self::Transfer { to: seat, .. }
            | Self::Wake { seat }
            | Self::Start { seat }
            | Self::Rumour { seat, .. }
            | Self::Within { seat, .. } => seat,
        }
    }
}

/// A snapshot on its way.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    pub(crate) from: Sender,
    pub(crate) term: Term,
    pub(crate) taken: Rc<Taken>,
}
