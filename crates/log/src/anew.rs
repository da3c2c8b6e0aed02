//! What is known of groups whose log begins anew with their next write.
//!
//! Not here: why it does (`forsaken.rs`).

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::directory::Harm;
use raftlet::core::{GroupId, Index};
use raftlet::{DamagedRange, GroupWrite, LoadedLog};

/// What is known of a group that is to be refilled from its first entry on.
#[derive(Clone, Debug)]
pub(crate) struct Forsaken {
    /// What its log says of it from its next frame on.
    pub(crate) harm: Harm,
    /// The same, for the port.
    pub(crate) lost: DamagedRange,
    /// Configurations that it had, where they could still be read: they tell who
    /// may refill it, and are part of no log.
    pub(crate) configurations: Vec<(Index, Bytes)>,
}

/// Groups whose log begins anew with their next write.
pub(crate) type AllForsaken = BTreeMap<GroupId, Forsaken>;

impl Forsaken {
    /// What the port is told.
    pub(crate) fn loaded(&self) -> LoadedLog {
        LoadedLog {
            configurations: self.configurations.clone(),
            damage: Some(self.lost),
            ..LoadedLog::default()
        }
    }
}

/// Whether a write brings something of the log: then the former one makes way.
pub(crate) fn brings_log(write: &GroupWrite) -> bool {
    !write.entries.is_empty()
        || write.compact.is_some()
        || write.truncate_from.is_some()
        || write.refilled
}
