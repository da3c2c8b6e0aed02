//! Storage that forgets nothing while the object is kept.
//!
//! A write becomes visible, whole, when it ends; one whose future is dropped
//! before never happened. So a node can be killed and started again on what
//! its storage holds.
//!
//! It can be told to be slow, full, unreadable or broken.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use crate::cell::ShardCell;
use crate::memory::clock::VirtualClock;
use crate::port::{Clock, GroupInfo, GroupWrite, LoadedLog, Storage, StorageError, WriteBatch};
use raftlet_core::{Chunk, Entries, EntryKind, Generation, GroupId, HardState, Index, LogId};

#[derive(Debug, Default)]
struct Held {
    generation: Generation,
    hard_state: HardState,
    chunks: Vec<Chunk>,
}

#[derive(Debug, Default)]
struct Disk {
    groups: BTreeMap<GroupId, Held>,
    latency: Duration,
    fault: Fault,
    writes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fault {
    #[default]
    None,
    Full,
    Unreadable,
    Broken,
}

/// Storage of one shard, in memory. Clones are the same storage.
#[derive(Clone, Debug)]
pub struct MemoryStorage {
    disk: Rc<ShardCell<Disk>>,
    clock: VirtualClock,
}

impl MemoryStorage {
    /// An empty storage on which writes take no time.
    #[must_use]
    pub fn new(clock: VirtualClock) -> Self {
        Self { disk: Rc::default(), clock }
    }

    /// Writes and reads take this long from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.disk.with(|disk| disk.latency = latency);
    }

    /// Writes find no space from now on.
    pub fn fill(&self) {
        self.disk.with(|disk| disk.fault = Fault::Full);
    }

    /// The device cannot be read from now on.
    pub fn blind(&self) {
        self.disk.with(|disk| disk.fault = Fault::Unreadable);
    }

    /// Everything fails from now on (rule 9).
    pub fn smash(&self) {
        self.disk.with(|disk| disk.fault = Fault::Broken);
    }

    /// All is well from now on.
    pub fn repair(&self) {
        self.disk.with(|disk| disk.fault = Fault::None);
    }

    /// How many writes have ended well.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.disk.with(|disk| disk.writes)
    }

    async fn take_time(&self) {
        let latency = self.disk.with(|disk| disk.latency);
        if !latency.is_zero() {
            self.clock.sleep_until(self.clock.now().time.after(latency)).await;
        }
    }
}

impl Storage for MemoryStorage {
    async fn groups(&self) -> Result<Vec<GroupInfo>, StorageError> {
        self.take_time().await;
        Ok(self.disk.with(|disk| {
            let info = |(group, held): (&GroupId, &Held)| GroupInfo {
                group: *group,
                generation: held.generation,
            };
            disk.groups.iter().map(info).collect()
        }))
    }

    async fn load_term_and_vote(&self, group: GroupId) -> Result<HardState, StorageError> {
        self.take_time().await;
        let held = |disk: &mut Disk| disk.groups.get(&group).map(|held| held.hard_state);
        Ok(self.disk.with(held).unwrap_or_default())
    }

    async fn load_log(&self, group: GroupId) -> Result<LoadedLog, StorageError> {
        self.take_time().await;
        let load = |disk: &mut Disk| disk.groups.get(&group).map(|held| shape(&held.chunks));
        Ok(self.disk.with(load).unwrap_or_default())
    }

    async fn write(&self, batch: WriteBatch) -> (WriteBatch, Result<(), StorageError>) {
        self.take_time().await;
        let result = self.disk.with(|disk| {
            match disk.fault {
                Fault::Broken => return Err(broken()),
                Fault::Full => {
                    let bytes: usize =
                        batch.writes.iter().map(|write| write.entries.bytes_len()).sum();
                    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                    return Err(StorageError::NoSpace { bytes, place: "memory".to_owned() });
                }
                Fault::None | Fault::Unreadable => {}
            }
            for write in &batch.writes {
                apply(disk.groups.entry(write.group).or_default(), write);
            }
            disk.writes += 1;
            Ok(())
        });
        (batch, result)
    }

    async fn read(
        &self,
        group: GroupId,
        first: Index,
        last: Index,
        bytes_max: usize,
    ) -> Result<Entries, StorageError> {
        self.take_time().await;
        self.disk.with(|disk| match disk.fault {
            Fault::Broken => Err(broken()),
            Fault::Unreadable => Err(StorageError::Unreadable { detail: "memory".to_owned() }),
            Fault::None | Fault::Full => {
                let held = disk.groups.get(&group);
                let entries = held.and_then(|held| slice(&held.chunks, first, last, bytes_max));
                entries.ok_or(StorageError::Missing { group, index: first })
            }
        })
    }
}

fn broken() -> StorageError {
    StorageError::Poisoned { cause: "the memory was told to fail".to_owned() }
}

/// Hard state, then truncation, then entries.
fn apply(held: &mut Held, write: &GroupWrite) {
    held.generation = write.generation;
    held.hard_state = write.hard_state.unwrap_or(held.hard_state);
    if let Some(from) = write.truncate_from {
        let kept = held.chunks.drain(..).filter(|chunk| chunk.first() < from);
        let kept: Vec<Chunk> = kept.filter_map(|chunk| chunk.until(from.previous())).collect();
        held.chunks = kept;
    }
    let last = held.chunks.last().map_or(Index::ZERO, Chunk::last);
    if let Some(first) = write.entries.first() {
        assert_eq!(first, last.next(), "a write that leaves a gap in the log");
    }
    held.chunks.extend(write.entries.chunks().cloned());
}

/// What `load_log` tells of a log.
fn shape(chunks: &[Chunk]) -> LoadedLog {
    let mut log = LoadedLog::default();
    for chunk in chunks {
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

    use super::{MemoryStorage, slice};
    use crate::memory::Executor;
    use crate::port::{GroupWrite, LoadedLog, Storage, WriteBatch};
    use raftlet_core::{Arena, Chunk, EntryKind, Generation, GroupId, Index};
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
            group: GROUP,
            generation: Generation::new(1),
            hard_state: None,
            truncate_from: truncate_from.map(Index::new),
            entries: chunk.into(),
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
}
