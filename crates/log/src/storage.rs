//! The port `raftlet::Storage`, as the shard log keeps it.
//!
//! The loads answer from the index that recovery built and appends follow, so
//! they are right at any time, not only before the first write.

use std::rc::Rc;

use crate::disk::Disk;
use crate::shard_log::ShardLog;
use crate::snapshot::reader::LogSnapshotReader;
use crate::snapshot::writer::LogSnapshotWriter;
use raftlet::core::{Entries, GroupId, HardState, Index};
use raftlet::{
    DamagedRange, GroupInfo, LoadedLog, Pin, Room, Shortage, SnapshotInfo, SnapshotMeta,
    SnapshotReader, Storage, StorageError, WriteBatch,
};

impl<D: Disk> Storage for ShardLog<D> {
    type SnapshotWriter = LogSnapshotWriter<D>;
    type SnapshotReader = LogSnapshotReader<D>;

    async fn groups(&self) -> Result<Vec<GroupInfo>, StorageError> {
        let state = self.0.state.borrow();
        let infos = state
            .groups
            .iter()
            .map(|(group, index)| GroupInfo { group: *group, generation: index.generation });
        Ok(infos.collect())
    }

    async fn load_term_and_vote(&self, group: GroupId) -> Result<HardState, StorageError> {
        let state = self.0.state.borrow();
        let Some(index) = state.groups.get(&group) else {
            if state.has_unknown_losses {
                let detail = "frames of the log are lost that may have held its term and vote; \
                              remove this member and add it again under a new node id on an \
                              empty directory";
                return Err(StorageError::Damaged { group, detail: detail.to_owned() });
            }
            return Ok(HardState::default());
        };
        if index.harm.is_lost {
            let detail = "its term or vote are lost; remove this member from the group and add it \
                          again under a new node id on an empty directory";
            return Err(StorageError::Damaged { group, detail: detail.to_owned() });
        }
        Ok(index.hard_state)
    }

    async fn load_log(&self, group: GroupId) -> Result<LoadedLog, StorageError> {
        let (mut loaded, log_time) = {
            let state = self.0.state.borrow();
            if let Some(forsaken) = state.forsaken.get(&group) {
                return Ok(forsaken.loaded());
            }
            let Some(index) = state.groups.get(&group) else {
                return Ok(LoadedLog::default());
            };
            let loaded = LoadedLog {
                base: index.base,
                last: index.last,
                runs: index.runs.clone(),
                configurations: index.configurations.clone(),
                damage: index.harm.entries.map(|lost| DamagedRange {
                    first: lost.first.max(index.last.next()),
                    last: lost.last,
                    term: lost.term.unwrap_or(index.hard_state.term),
                }),
                ..LoadedLog::default()
            };
            (loaded, index.last_log_time_ms)
        };
        loaded.last_log_time_ms = match log_time {
            Some(log_time) => log_time,
            None => self.last_log_time(group, loaded.last).await?,
        };
        Ok(loaded)
    }

    async fn write(&self, mut batch: WriteBatch) -> (WriteBatch, Result<(), StorageError>) {
        let result = self.0.append(&mut batch).await;
        (batch, result)
    }

    async fn read(
        &self,
        group: GroupId,
        first: Index,
        last: Index,
        bytes_max: usize,
    ) -> Result<Entries, StorageError> {
        self.0.read_entries(group, first, last, bytes_max).await
    }

    async fn create_snapshot(
        &self,
        group: GroupInfo,
        meta: &SnapshotMeta,
    ) -> Result<Self::SnapshotWriter, StorageError> {
        LogSnapshotWriter::create(Rc::clone(&self.0), group, meta).await
    }

    async fn load_snapshot(
        &self,
        group: GroupId,
    ) -> Result<Option<(SnapshotMeta, SnapshotInfo)>, StorageError> {
        let opened = self.open_snapshot(group).await;
        if let Err(StorageError::Damaged { .. }) = opened {
            self.0.forsake(group).await;
        }
        Ok(opened?.map(|reader| (reader.meta().clone(), reader.info())))
    }

    async fn condemn_snapshot(&self, group: GroupId) -> Result<(), StorageError> {
        self.0.condemn(group).await
    }

    async fn open_snapshot(
        &self,
        group: GroupId,
    ) -> Result<Option<Self::SnapshotReader>, StorageError> {
        LogSnapshotReader::open(Rc::clone(&self.0), group).await
    }

    fn pins(&self) -> Vec<Pin> {
        self.0.state.borrow().current_pins()
    }

    fn is_roomy(&self) -> bool {
        self.0.state.borrow().is_roomy(&self.0.sizes)
    }

    fn strand(&self, groups: &[GroupId]) {
        if self.0.state.borrow_mut().strand(groups) {
            self.0.bell.ring();
        }
    }

    fn unstrand(&self, group: GroupId) {
        if self.0.state.borrow_mut().unstrand(group) {
            self.0.bell.ring();
        }
    }

    fn shortage(&self) -> Option<Shortage> {
        self.0.state.borrow().shortage(&self.0.sizes)
    }

    fn room(&self) -> Room {
        self.0.state.borrow().room(&self.0.sizes)
    }
}

impl<D: Disk> ShardLog<D> {
    /// Behind a truncation the index does not know it: the entry does.
    async fn last_log_time(&self, group: GroupId, last: Index) -> Result<u64, StorageError> {
        let entries = self.0.read_entries(group, last, last, 1).await?;
        let time = entries.iter().last().map_or(0, |entry| entry.log_time_ms);
        Ok(time)
    }
}
