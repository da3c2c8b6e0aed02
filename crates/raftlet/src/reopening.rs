//! Groups that are opened again while their node runs: what the turn and the task
//! beside it share of them.
//!
//! Not here: what happens to them (`shard/reopen.rs`).

use std::collections::BTreeMap;

use crate::applier::Start;
use crate::error::Halt;
use crate::port::StorageError;
use crate::timers::Slot;
use raftlet_core as core;

/// A member as it begins with what storage holds of its group.
pub(crate) struct Prepared {
    pub(crate) core: core::Group,
    /// Where its machine begins.
    pub(crate) start: Start,
    /// Why all of its log counts as lost, where it does.
    pub(crate) flaw: Option<StorageError>,
}

/// What of a group storage did not give back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Its current snapshot.
    Snapshot,
    /// Some of these entries, and with them all that follow.
    Entries { first: core::Index, last: core::Index },
    /// The same of a device that gave them up: if it gives them back now, none.
    Unread { first: core::Index, last: core::Index },
}

/// A group that is to be opened again.
#[derive(Debug)]
pub(crate) struct Reopening {
    pub(crate) lost: Lost,
    pub(crate) cause: StorageError,
    pub(crate) has_begun: bool,
}

/// Groups that are to be opened again: at most all of the shard.
pub(crate) type Reopenings = BTreeMap<Slot, Reopening>;

/// How that ended; the machine comes back in any case.
pub(crate) struct Ended<M> {
    pub(crate) machine: Box<M>,
    pub(crate) result: Result<Prepared, Halt>,
}
