//! When a snapshot file comes into use and when it goes.
//!
//! Invariant: a file is removed only when no record, no reader and nobody who
//! finished it just now wants it.

use crate::disk::{Disk, DiskError};
use crate::names;
use crate::shard_log::{Chore, Shared, State};
use crate::width::u64_from;
use raftlet::StorageError;
use raftlet::core::{GroupId, LogId};

impl<D: Disk> State<D> {
    /// Whether a write may name this snapshot.
    pub(crate) fn has_snapshot(&self, group: GroupId, last: LogId) -> bool {
        let current = self.groups.get(&group).and_then(|index| index.snapshot);
        current == Some(last) || self.snapshots.finished.contains(&(group, last))
    }

    /// A snapshot is whole and durable.
    pub(crate) fn on_snapshot_finished(&mut self, group: GroupId, last: LogId) {
        self.snapshots.doomed.remove(&(group, last));
        self.snapshots.finished.insert((group, last));
        self.counters.snapshots_written += 1;
    }

    /// A record that names a snapshot is durable: older ones of the group go. A
    /// newer one may have been finished meanwhile, and is named next.
    pub(crate) fn on_snapshot_in_use(
        &mut self,
        group: GroupId,
        former: Option<LogId>,
        last: LogId,
    ) {
        let of_group: Vec<LogId> = self
            .snapshots
            .finished
            .iter()
            .filter(|(other, finished)| *other == group && finished.index <= last.index)
            .map(|(_, finished)| *finished)
            .collect();
        for other in of_group {
            self.snapshots.finished.remove(&(group, other));
            self.let_go(group, other, last);
        }
        if let Some(former) = former {
            self.let_go(group, former, last);
        }
    }

    fn let_go(&mut self, group: GroupId, other: LogId, wanted: LogId) {
        if other == wanted {
            return;
        }
        if self.snapshots.readers.contains_key(&(group, other)) {
            self.snapshots.doomed.insert((group, other));
        } else {
            self.chores.push(Chore::RemoveSnapshot { group, last: other });
        }
    }

    pub(crate) fn next_part(&mut self) -> u64 {
        self.snapshots.begun += 1;
        self.snapshots.begun
    }

    pub(crate) fn add_reader(&mut self, group: GroupId, last: LogId) {
        *self.snapshots.readers.entry((group, last)).or_default() += 1;
    }

    pub(crate) fn remove_reader(&mut self, group: GroupId, last: LogId) {
        let key = (group, last);
        let left = self.snapshots.readers.get_mut(&key).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            self.snapshots.readers.remove(&key);
            if self.snapshots.doomed.remove(&key) {
                self.chores.push(Chore::RemoveSnapshot { group, last });
            }
        }
    }
}

impl<D: Disk> Shared<D> {
    /// Removes a snapshot file unless somebody wants it again.
    pub(crate) async fn remove_snapshot(
        &self,
        group: GroupId,
        last: LogId,
    ) -> Result<(), DiskError> {
        if self.state.borrow().has_snapshot(group, last) {
            return Ok(());
        }
        self.disk.remove(&names::snapshot_name(group, last)).await
    }

    /// A failure of a snapshot file, which is none of the log.
    pub(crate) fn snapshot_failed(
        &self,
        group: GroupId,
        bytes: usize,
        error: &DiskError,
    ) -> StorageError {
        if error.is_no_space() {
            self.state.borrow_mut().counters.no_space += 1;
            return StorageError::NoSpace { bytes: u64_from(bytes), place: error.to_string() };
        }
        StorageError::Snapshot { group, detail: error.to_string() }
    }
}
