//! Storage that forgets nothing while the object is kept.
//!
//! A write becomes visible, whole, when it ends; one whose future is dropped
//! before never happened. So a node can be killed and started again on what
//! its storage holds.
//!
//! It can be told to be slow, full, unreadable or broken, and to have lost the
//! end of a group's log, or a snapshot.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use crate::memory::clock::VirtualClock;
use crate::memory::disk::{Disk, Fault, Flaw, Held, SharedDisk, no_space, unreadable};
use crate::memory::snapshots::{MemorySnapshotReader, MemorySnapshotWriter, damaged, failed};
use crate::port::{
    GroupInfo, LoadedLog, Pin, Room, SNAPSHOT_META_BYTES_MAX, Shortage, SnapshotInfo, SnapshotMeta,
    Storage, StorageError, WriteBatch,
};
use raftlet_core::{Chunk, Entries, Entry, EntryKind, GroupId, HardState, Index, LogId};

/// Storage of one shard, in memory. Clones are the same storage.
#[derive(Clone, Debug)]
pub struct MemoryStorage {
    disk: SharedDisk,
}

impl MemoryStorage {
    /// An empty storage on which writes take no time.
    #[must_use]
    pub fn new(clock: VirtualClock) -> Self {
        Self { disk: SharedDisk { cell: Rc::default(), clock } }
    }

    /// Writes and reads take this long from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.disk.cell.with(|disk| disk.latency = latency);
    }

    /// Writes find no space from now on.
    pub fn fill(&self) {
        self.disk.cell.with(|disk| disk.fault = Fault::Full);
    }

    /// New entries should wait from now on, or not any more. 1 MiB of them still
    /// finds room in a shortage, and all that bring no commands.
    pub fn set_shortage(&self, shortage: Option<Shortage>) {
        self.disk.cell.with(|disk| (disk.shortage, disk.room) = (shortage, 1 << 20));
    }

    /// So many bytes of entries find room, while there is a shortage.
    pub fn set_room(&self, bytes: u64) {
        self.disk.cell.with(|disk| disk.room = bytes);
    }

    /// Names a group as keeping space up to this entry, until its log is cut.
    pub fn pin(&self, group: GroupId, until: Index) {
        self.disk.cell.with(|disk| disk.pins.push(Pin { group, bytes: 1, until }));
    }

    /// What keeps space may stay for a while from now on, or not any more.
    pub fn set_roomy(&self, is_roomy: bool) {
        self.disk.cell.with(|disk| disk.is_roomy = is_roomy);
    }

    /// Of the groups that keep space, those that nobody writes down.
    #[must_use]
    pub fn stranded(&self) -> Vec<GroupId> {
        self.disk.cell.with(|disk| disk.stranded.iter().copied().collect())
    }

    /// Snapshots that were begun, and are neither finished nor let go.
    #[must_use]
    pub fn snapshots_begun(&self) -> usize {
        self.disk.cell.with(|disk| disk.begun)
    }

    /// The device cannot be read from now on.
    pub fn blind(&self) {
        self.disk.cell.with(|disk| disk.fault = Fault::Unreadable);
    }

    /// Everything fails from now on (rule 9).
    pub fn smash(&self) {
        self.disk.cell.with(|disk| disk.fault = Fault::Broken);
    }

    /// All is well from now on.
    pub fn repair(&self) {
        self.disk.cell.with(|disk| disk.fault = Fault::None);
    }

    /// The entries of a group from `first` on are lost, as after a start on a
    /// damaged disk (law 9).
    pub fn damage(&self, group: GroupId, first: Index) {
        self.disk.cell.with(|disk| {
            if let Some(held) = disk.groups.get_mut(&group) {
                held.lose(first);
            }
        });
    }

    /// An entry of a group is not given back any more, as a read will tell.
    pub fn rot(&self, group: GroupId, entry: Index) {
        self.disk.cell.with(|disk| {
            if let Some(held) = disk.groups.get_mut(&group) {
                held.rotten = Some(entry);
            }
        });
    }

    /// The device gives up an entry of a group: it cannot be read until it is mended.
    pub fn wear(&self, group: GroupId, entry: Index) {
        self.disk.cell.with(|disk| {
            if let Some(held) = disk.groups.get_mut(&group) {
                held.worn = Some(entry);
            }
        });
    }

    /// The same of a chunk of its current snapshot.
    pub fn wear_snapshot(&self, group: GroupId, chunk: u32) {
        self.disk.cell.with(|disk| {
            if let Some(held) = disk.groups.get_mut(&group) {
                held.flaw = Flaw::Worn(chunk);
            }
        });
    }

    /// What the device gave up of a group can be read again.
    pub fn mend(&self, group: GroupId) {
        self.disk.cell.with(|disk| {
            if let Some(held) = disk.groups.get_mut(&group) {
                held.worn = None;
                if matches!(held.flaw, Flaw::Worn(_)) {
                    held.flaw = Flaw::None;
                }
            }
        });
    }

    /// The current snapshot of a group is damaged: a chunk of it, or all where none
    /// is named.
    pub fn damage_snapshot(&self, group: GroupId, chunk: Option<u32>) {
        self.disk.cell.with(|disk| {
            if let Some(held) = disk.groups.get_mut(&group) {
                held.flaw = chunk.map_or(Flaw::Whole, Flaw::Chunk);
            }
        });
    }

    /// How many writes have ended well.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.disk.cell.with(|disk| disk.writes)
    }
}

impl Storage for MemoryStorage {
    type SnapshotWriter = MemorySnapshotWriter;
    type SnapshotReader = MemorySnapshotReader;

    async fn groups(&self) -> Result<Vec<GroupInfo>, StorageError> {
        self.disk.take_time().await;
        Ok(self.disk.cell.with(|disk| {
            let info = |(group, held): (&GroupId, &Held)| GroupInfo {
                group: *group,
                generation: held.generation,
            };
            disk.groups.iter().map(info).collect()
        }))
    }

    async fn load_term_and_vote(&self, group: GroupId) -> Result<HardState, StorageError> {
        self.disk.take_time().await;
        let held = |disk: &mut Disk| disk.groups.get(&group).map(|held| held.hard_state);
        Ok(self.disk.cell.with(held).unwrap_or_default())
    }

    async fn load_log(&self, group: GroupId) -> Result<LoadedLog, StorageError> {
        self.disk.take_time().await;
        let load = |disk: &mut Disk| disk.groups.get(&group).map(shape);
        Ok(self.disk.cell.with(load).unwrap_or_default())
    }

    async fn write(&self, batch: WriteBatch) -> (WriteBatch, Result<(), StorageError>) {
        self.disk.take_time().await;
        let bytes = batch.writes.iter().map(|write| write.entries.bytes_len()).sum();
        let needs_room = batch.writes.iter().any(|write| !write.entries.is_empty());
        let is_beyond = !self.disk.take_room(&batch);
        let result = match self.disk.check_writable(bytes) {
            Ok(()) if is_beyond => Err(no_space(bytes)),
            // The reserve of law 10; in memory it has no end.
            Err(StorageError::NoSpace { .. }) if !needs_room => Ok(()),
            other => other,
        };
        if result.is_ok() {
            self.disk.cell.with(|disk| {
                batch.writes.iter().for_each(|write| disk.apply(write));
                disk.writes += 1;
            });
        }
        (batch, result)
    }

    async fn read(
        &self,
        group: GroupId,
        first: Index,
        last: Index,
        bytes_max: usize,
    ) -> Result<Entries, StorageError> {
        self.disk.take_time().await;
        self.disk.check_readable()?;
        self.disk.cell.with(|disk| {
            let held = disk.groups.get(&group);
            let entries = held.and_then(|held| slice(&held.chunks, first, last, bytes_max));
            let entries = entries.ok_or(StorageError::Missing { group, index: first })?;
            let is_rotten = |entry: &Entry<'_>| Some(entry.index) == held.and_then(|it| it.rotten);
            if entries.iter().any(|entry| is_rotten(&entry)) {
                let detail = "an entry in memory".to_owned();
                return Err(StorageError::Damaged { group, detail });
            }
            let is_worn = |entry: &Entry<'_>| Some(entry.index) == held.and_then(|it| it.worn);
            if entries.iter().any(|entry| is_worn(&entry)) {
                return Err(unreadable());
            }
            Ok(entries)
        })
    }

    async fn create_snapshot(
        &self,
        group: GroupInfo,
        meta: &SnapshotMeta,
    ) -> Result<Self::SnapshotWriter, StorageError> {
        self.disk.take_time().await;
        let bytes = meta.configuration.len() + meta.library.len();
        if bytes > SNAPSHOT_META_BYTES_MAX {
            let detail = format!("its head of {bytes} bytes is too large");
            return Err(failed(group.group, detail));
        }
        self.disk.check_writable(bytes)?;
        Ok(MemorySnapshotWriter::new(self.disk.clone(), group, meta.clone()))
    }

    async fn load_snapshot(
        &self,
        group: GroupId,
    ) -> Result<Option<(SnapshotMeta, SnapshotInfo)>, StorageError> {
        self.disk.take_time().await;
        self.disk.check_readable()?;
        self.disk.cell.with(|disk| {
            let is_flawed = |held: &&mut Held| matches!(held.flaw, Flaw::Whole | Flaw::Told);
            match disk.groups.get_mut(&group).filter(is_flawed) {
                None => Ok(()),
                Some(held) => {
                    if held.base.index > Index::ZERO {
                        held.flaw = Flaw::Told;
                    }
                    Err(damaged(group))
                }
            }
        })?;
        Ok(self.disk.current(group).map(|held| (held.meta.clone(), held.info)))
    }

    async fn condemn_snapshot(&self, group: GroupId) -> Result<(), StorageError> {
        self.disk.take_time().await;
        self.disk.check_writable(0)?;
        self.damage_snapshot(group, None);
        Ok(())
    }

    async fn open_snapshot(
        &self,
        group: GroupId,
    ) -> Result<Option<Self::SnapshotReader>, StorageError> {
        self.disk.take_time().await;
        self.disk.check_readable()?;
        let flaw = self.disk.cell.with(|disk| disk.groups.get(&group).map(|held| held.flaw));
        if matches!(flaw, Some(Flaw::Whole | Flaw::Told)) {
            return Err(damaged(group));
        }
        Ok(self.disk.current(group).map(|held| MemorySnapshotReader::new(self.disk.clone(), held)))
    }

    fn is_roomy(&self) -> bool {
        self.disk.cell.with(|disk| disk.is_roomy)
    }

    fn strand(&self, groups: &[GroupId]) {
        self.disk.cell.with(|disk| disk.stranded.extend(groups));
    }

    fn unstrand(&self, group: GroupId) {
        self.disk.cell.with(|disk| disk.stranded.remove(&group));
    }

    fn pins(&self) -> Vec<Pin> {
        self.disk.cell.with(|disk| {
            let groups = &disk.groups;
            disk.pins.retain(|pin| {
                groups.get(&pin.group).is_none_or(|held| held.base.index < pin.until)
            });
            disk.pins.clone()
        })
    }

    fn shortage(&self) -> Option<Shortage> {
        self.disk.cell.with(|disk| disk.shortage)
    }

    fn room(&self) -> Room {
        let bytes = self.disk.cell.with(|disk| disk.room);
        Room { free: bytes, in_all: bytes }
    }
}

/// What `load_log` tells of a log.
fn shape(held: &Held) -> LoadedLog {
    if held.flaw == Flaw::Told {
        let head = held.snapshot.as_ref().map(|held| &held.meta);
        let known = head.map(|meta| (meta.configuration_index, meta.configuration.clone()));
        let configurations = known.into_iter().collect();
        let damage = Some(held.loss());
        return LoadedLog { configurations, damage, ..LoadedLog::default() };
    }
    let mut log = LoadedLog {
        base: held.base,
        last: held.base.index,
        damage: held.damage,
        ..LoadedLog::default()
    };
    for chunk in &held.chunks {
        if log.runs.last().is_none_or(|run| run.term < chunk.term()) {
            log.runs.push(LogId { term: chunk.term(), index: chunk.first() });
        }
        for entry in chunk.entries() {
            log.last_log_time_ms = log.last_log_time_ms.max(entry.log_time_ms);
            if entry.kind == EntryKind::Configuration {
                log.configurations.push((entry.index, Bytes::copy_from_slice(entry.payload)));
            }
        }
        log.last = chunk.last();
    }
    log
}

fn slice(chunks: &[Chunk], first: Index, last: Index, bytes_max: usize) -> Option<Entries> {
    let mut entries = Entries::none();
    let mut bytes = 0;
    for chunk in chunks.iter().filter(|chunk| chunk.last() >= first && chunk.first() <= last) {
        let Some(part) = chunk.from(first).and_then(|chunk| chunk.until(last)) else {
            continue;
        };
        if entries.is_empty() && part.first() != first {
            return None;
        }
        let room = bytes_max.saturating_sub(bytes);
        let head = part.head_within(room);
        if head.bytes().len() > room && !entries.is_empty() {
            break;
        }
        bytes += head.bytes().len();
        let is_whole = head.len() == part.len();
        entries.push(head);
        if !is_whole {
            break;
        }
    }
    Some(entries).filter(|entries| !entries.is_empty())
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use bytes::Bytes;

    use super::{MemoryStorage, slice};
    use crate::memory::Executor;
    use crate::port::{
        Compaction, DamagedRange, GroupInfo, GroupWrite, LoadedLog, SnapshotMeta, SnapshotReader,
        SnapshotWriter, Storage, StorageError, WriteBatch,
    };
    use raftlet_core::{Arena, Chunk, EntryKind, Generation, GroupId, HardState, Index};
    use raftlet_core::{LogId, NewEntry, Seal, Term};

    const GROUP: GroupId = GroupId::new(3);

    fn chunk(term: u64, first: u64, len: usize) -> Chunk {
        let seal = Seal::new(GROUP, Generation::new(1));
        let entry = NewEntry {
            kind: EntryKind::Command,
            log_time_ms: 9,
            origin: None,
            payload: b"12345678",
        };
        let first = LogId { term: Term::new(term), index: Index::new(first) };
        Chunk::encode(&mut Arena::default(), seal, first, std::iter::repeat_n(entry, len))
    }

    fn batch(truncate_from: Option<u64>, chunk: Chunk) -> WriteBatch {
        let write = GroupWrite {
            truncate_from: truncate_from.map(Index::new),
            entries: chunk.into(),
            ..GroupWrite::new(GROUP, Generation::new(1))
        };
        WriteBatch { writes: vec![write] }
    }

    #[test]
    fn a_write_that_is_dropped_never_happened_and_one_that_ended_is_whole() {
        let executor = Executor::new(1);
        let storage = MemoryStorage::new(executor.clock());
        storage.set_latency(Duration::from_millis(1));
        {
            let mut write = pin!(storage.write(batch(None, chunk(1, 1, 3))));
            let polled = write.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
        }
        assert_eq!(executor.block_on(storage.load_log(GROUP)), Ok(LoadedLog::default()));
        executor.block_on(storage.write(batch(None, chunk(1, 1, 3)))).1.unwrap();
        executor.block_on(storage.write(batch(Some(3), chunk(2, 3, 2)))).1.unwrap();
        let log = executor.block_on(storage.load_log(GROUP)).unwrap();
        let id = |term, index| LogId { term: Term::new(term), index: Index::new(index) };
        assert_eq!((log.last, log.runs), (Index::new(4), vec![id(1, 1), id(2, 3)]));
    }

    #[test]
    fn a_read_is_contiguous_and_stops_at_its_limits_but_not_before_one_entry() {
        let chunks = [chunk(1, 1, 3), chunk(2, 4, 3)];
        let read = |first, last, bytes| {
            let (first, last) = (Index::new(first), Index::new(last));
            let entries = slice(&chunks, first, last, bytes)?;
            Some(entries.iter().map(|entry| entry.index.get()).collect::<Vec<_>>())
        };
        assert_eq!(read(2, 5, 1_000), Some(vec![2, 3, 4, 5]));
        assert_eq!(read(2, 5, 1), Some(vec![2]));
        assert_eq!(read(2, 5, 4 * 32 - 1), Some(vec![2, 3, 4]));
        assert_eq!(read(7, 9, 1_000), None);
    }

    fn id(term: u64, index: u64) -> LogId {
        LogId { term: Term::new(term), index: Index::new(index) }
    }

    fn compacting(base: LogId, snapshot: Option<LogId>) -> WriteBatch {
        let write = GroupWrite {
            compact: Some(Compaction { base, snapshot }),
            ..GroupWrite::new(GROUP, Generation::new(1))
        };
        WriteBatch { writes: vec![write] }
    }

    #[test]
    fn a_snapshot_is_current_when_a_write_names_it_and_read_until_its_reader_goes() {
        // Laws 7 and 8; law 5 of snapshots.
        let executor = Executor::new(1);
        let storage = MemoryStorage::new(executor.clock());
        executor.block_on(async {
            storage.write(batch(None, chunk(1, 1, 6))).await.1.unwrap();
            let info = GroupInfo { group: GROUP, generation: Generation::new(1) };
            for last in [id(1, 4), id(1, 9)] {
                let meta =
                    SnapshotMeta { last, log_time_ms: last.index.get(), ..Default::default() };
                let mut writer = storage.create_snapshot(info, &meta).await.unwrap();
                writer.write(Bytes::from_static(b"ab")).await.unwrap();
                writer.write(Bytes::from_static(b"c")).await.unwrap();
                assert_eq!(writer.chunks_written(), 2);
                assert_eq!(writer.finish().await.unwrap().bytes, 3);
            }
            assert_eq!(storage.load_snapshot(GROUP).await, Ok(None));
            storage.write(compacting(id(1, 3), Some(id(1, 4)))).await.1.unwrap();
            let log = storage.load_log(GROUP).await.unwrap();
            assert_eq!((log.base, log.last), (id(1, 3), Index::new(6)));
            assert_eq!(log.runs, vec![id(1, 4)]);
            let reader = storage.open_snapshot(GROUP).await.unwrap().unwrap();
            let missing = storage.read(GROUP, Index::new(3), Index::new(6), 1).await;
            assert_eq!(missing, Err(StorageError::Missing { group: GROUP, index: Index::new(3) }));

            let meta = SnapshotMeta { last: id(2, 9), ..Default::default() };
            let writer = storage.create_snapshot(info, &meta).await.unwrap();
            writer.finish().await.unwrap();
            storage.write(compacting(id(2, 9), Some(id(2, 9)))).await.1.unwrap();
            let log = storage.load_log(GROUP).await.unwrap();
            assert_eq!((log.base, log.last, log.runs), (id(2, 9), Index::new(9), vec![]));
            let (meta, info) = storage.load_snapshot(GROUP).await.unwrap().unwrap();
            assert_eq!((meta.last, info.chunks), (id(2, 9), 0));
            assert_eq!(reader.meta().log_time_ms, 4);
            assert_eq!(reader.read_chunk(1).await.unwrap(), "c");
            let beyond = reader.read_chunk(2).await;
            assert!(matches!(beyond, Err(StorageError::Snapshot { .. })));
            storage.write(batch(None, chunk(2, 10, 1))).await.1.unwrap();
        });
    }

    #[test]
    fn damage_and_its_term_stand_until_a_write_says_that_it_is_refilled() {
        // Law 9.
        let executor = Executor::new(1);
        let storage = MemoryStorage::new(executor.clock());
        let in_term = |term| GroupWrite {
            hard_state: Some(HardState { term: Term::new(term), vote: None }),
            ..GroupWrite::new(GROUP, Generation::new(1))
        };
        let write = |write| storage.write(WriteBatch { writes: vec![write] });
        executor.block_on(async {
            write(in_term(3)).await.1.unwrap();
            storage.write(batch(None, chunk(1, 1, 6))).await.1.unwrap();
            storage.damage(GROUP, Index::new(4));
            write(in_term(7)).await.1.unwrap();
            storage.write(batch(None, chunk(1, 4, 2))).await.1.unwrap();
            let of = |first, term| {
                let (first, last) = (Index::new(first), Index::new(6));
                Some(DamagedRange { first, last, term: Term::new(term) })
            };
            assert_eq!(storage.load_log(GROUP).await.unwrap().damage, of(4, 3));
            storage.damage(GROUP, Index::new(5));
            storage.write(batch(None, chunk(1, 5, 1))).await.1.unwrap();
            assert_eq!(storage.load_log(GROUP).await.unwrap().damage, of(5, 7));
            let mut last = batch(None, chunk(1, 6, 1));
            last.writes[0].refilled = true;
            storage.write(last).await.1.unwrap();
            assert_eq!(storage.load_log(GROUP).await.unwrap().damage, None);
        });
    }

    #[test]
    fn a_full_storage_takes_votes_and_compactions_but_no_entries() {
        let executor = Executor::new(1);
        let storage = MemoryStorage::new(executor.clock());
        executor.block_on(async {
            storage.write(batch(None, chunk(1, 1, 2))).await.1.unwrap();
            storage.fill();
            let refused = storage.write(batch(None, chunk(1, 3, 1))).await.1;
            assert!(matches!(refused, Err(StorageError::NoSpace { .. })));
            storage.write(compacting(id(1, 1), None)).await.1.unwrap();
        });
    }
}
