//! Which snapshot files are wanted, and by whom.

use std::collections::{BTreeMap, BTreeSet};

use raftlet::core::{GroupId, LogId};

/// Which snapshot files are wanted, beside those that records name.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// Whole and durable, not named yet.
    pub(crate) finished: BTreeSet<(GroupId, LogId)>,
    pub(crate) readers: BTreeMap<(GroupId, LogId), u32>,
    /// Not wanted any more but by their readers.
    pub(crate) doomed: BTreeSet<(GroupId, LogId)>,
    /// Counts files that were begun, for their names.
    pub(crate) begun: u64,
}
