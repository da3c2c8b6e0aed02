//! Groups whose current snapshot is not whole (rule 10).
//!
//! Without it entries that left the log are gone, and those behind the base
//! cannot be applied: all that was held counts as lost, from entry 1 on. Term and
//! vote are not part of that, so a leader can refill the group.
//!
//! Invariants
//! - Nothing is removed before something takes its place: the first write that
//!   brings entries or a snapshot begins the log anew, in one frame with them
//!   (`plan.rs`). A group that nobody refills stays on disk as it was.
//! - From that frame on the log itself remembers the loss, until it is refilled.
//! - A snapshot of which only a chunk is damaged looks whole at a start. Once that
//!   is met its file has another name: the group is opened again, and goes the
//!   same way, as after any start.

use bytes::Bytes;

use crate::anew::Forsaken;
use crate::directory::{Harm, LostEntries};
use crate::disk::Disk;
use crate::index::{GroupIndex, Groups};
use crate::names;
use crate::shard_log::{Chore, Shared, State};
use crate::snapshot::Title;
use crate::snapshot::reader::Source;
use raftlet::core::{GroupId, Index, LogId};
use raftlet::{DamagedRange, GroupInfo, StorageError};

impl<D: Disk> Shared<D> {
    /// Where the current snapshot of a group is, and what it must say of itself.
    pub(crate) fn current_snapshot(&self, group: GroupId) -> Option<(Source<D>, Title)> {
        let (info, last) = current(&self.state.borrow().groups, group)?;
        let title = Title::new(&self.home.identity(), self.sizes.shard, info, last);
        Some((Source { disk: self.disk.clone(), group, last }, title))
    }

    /// The current snapshot of a group was found damaged when the group is opened.
    pub(crate) async fn forsake(&self, group: GroupId) {
        let Some((source, title)) = self.current_snapshot(group) else {
            return;
        };
        let head = source.head(title).await;
        let mut configurations: Vec<(Index, Bytes)> =
            head.map(|meta| (meta.configuration_index, meta.configuration)).into_iter().collect();
        let mut state = self.state.borrow_mut();
        // A log that begins with entry 1 has all that the snapshot held.
        let is_needed = |index: &&GroupIndex| index.base.index > Index::ZERO;
        let Some(index) = state.groups.get(&group).filter(is_needed) else {
            return;
        };
        let known = configurations.last().map_or(Index::ZERO, |(at, _)| *at);
        let later = index.configurations.iter().filter(|(at, _)| *at > known);
        configurations.extend(later.cloned());
        let last = index.harm.entries.map_or(Index::ZERO, |lost| lost.last).max(index.last);
        let (first, term) = (Index::FIRST, index.hard_state.term);
        let entries = Some(LostEntries { first, last, term: Some(term) });
        let harm = Harm { entries, ..index.harm };
        let lost = DamagedRange { first, last, term };
        state.forsaken.insert(group, Forsaken { harm, lost, configurations });
    }

    /// Gives the file of a group's current snapshot another name, durably.
    pub(crate) async fn condemn(&self, group: GroupId) -> Result<(), StorageError> {
        let Some((source, _)) = self.current_snapshot(group) else {
            return Ok(());
        };
        let name = names::snapshot_name(group, source.last);
        let condemned = names::condemned_name(group, source.last);
        let renamed = self.disk.rename(&name, &condemned).await;
        renamed.map_err(|error| self.snapshot_failed(group, 0, &error))?;
        // The directory is shared with the log (rules 9, 13).
        self.disk.sync_dir().await.map_err(|error| self.poison(&error))
    }
}

impl<D: Disk> State<D> {
    /// A record that says that a group is to be refilled is durable: a snapshot
    /// that it does not have any more goes.
    pub(crate) fn on_begun_anew(&mut self, group: GroupId, former: Option<LogId>) {
        let current = self.groups.get(&group).and_then(|index| index.snapshot);
        if let Some(last) = former.filter(|_| current.is_none()) {
            self.chores.push(Chore::RemoveSnapshot { group, last });
            self.chores.push(Chore::Remove { name: names::condemned_name(group, last) });
        }
        self.forsaken.remove(&group);
    }
}

/// The snapshot that the log names for a group.
fn current(groups: &Groups, group: GroupId) -> Option<(GroupInfo, LogId)> {
    let index = groups.get(&group)?;
    let info = GroupInfo { group, generation: index.generation };
    index.snapshot.map(|last| (info, last))
}
