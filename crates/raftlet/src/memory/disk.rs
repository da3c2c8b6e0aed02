//! What the storage in memory keeps, and what it was told to get wrong. Shared
//! by the storage and by writers and readers of its snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use crate::cell::ShardCell;
use crate::memory::clock::VirtualClock;
use crate::port::{
    Clock, Compaction, DamagedRange, GroupInfo, GroupWrite, Pin, Shortage, SnapshotInfo,
    SnapshotMeta, StorageError, WriteBatch,
};
use raftlet_core::{Chunk, Entries, EntryKind, Generation, GroupId, HardState, Index, LogId};

/// A snapshot, whole or being written.
#[derive(Clone, Debug)]
pub(crate) struct HeldSnapshot {
    pub(crate) group: GroupInfo,
    pub(crate) meta: SnapshotMeta,
    pub(crate) info: SnapshotInfo,
    pub(crate) chunks: Vec<Bytes>,
}

#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) generation: Generation,
    pub(crate) hard_state: HardState,
    pub(crate) base: LogId,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) snapshot: Option<Rc<HeldSnapshot>>,
    pub(crate) damage: Option<DamagedRange>,
    pub(crate) flaw: Flaw,
    /// An entry that is not given back while it is held.
    pub(crate) rotten: Option<Index>,
    /// One that the device gives up.
    pub(crate) worn: Option<Index>,
}

/// What is wrong with a group's current snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flaw {
    #[default]
    None,
    /// A chunk that the device gives up, when that is read.
    Worn(u32),
    /// A chunk; it is met when that is read.
    Chunk(u32),
    /// All of it, as is seen when it is opened.
    Whole,
    /// The same, and a start was told: the log begins anew with the next write.
    Told,
}

#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) groups: BTreeMap<GroupId, Held>,
    /// Snapshots that are whole and not named yet.
    pub(crate) finished: BTreeMap<(GroupId, LogId), Rc<HeldSnapshot>>,
    pub(crate) latency: Duration,
    pub(crate) fault: Fault,
    pub(crate) writes: u64,
    pub(crate) shortage: Option<Shortage>,
    /// Bytes of entries that still find room while there is a shortage.
    pub(crate) room: u64,
    pub(crate) pins: Vec<Pin>,
    /// What they name may stay for a while.
    pub(crate) is_roomy: bool,
    /// Groups that nobody writes down, as was told.
    pub(crate) stranded: BTreeSet<GroupId>,
    /// Snapshots that are being written.
    pub(crate) begun: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    Full,
    Unreadable,
    Broken,
}

/// The one disk of a storage and of all that was opened on it.
#[derive(Clone, Debug)]
pub(crate) struct SharedDisk {
    pub(crate) cell: Rc<ShardCell<Disk>>,
    pub(crate) clock: VirtualClock,
}

impl SharedDisk {
    pub(crate) fn check_writable(&self, bytes: usize) -> Result<(), StorageError> {
        match self.cell.with(|disk| disk.fault) {
            Fault::Broken => Err(broken()),
            Fault::Full => Err(no_space(bytes)),
            Fault::None | Fault::Unreadable => Ok(()),
        }
    }

    /// Takes the room of commands while there is a shortage; whether they have it.
    pub(crate) fn take_room(&self, batch: &WriteBatch) -> bool {
        let entries = || batch.writes.iter().map(|write| &write.entries);
        let mut kinds = entries().flat_map(|entries| entries.iter().map(|entry| entry.kind));
        let bytes: usize = entries().map(Entries::bytes_len).sum();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.cell.with(|disk| {
            if disk.shortage.is_none() || !kinds.any(|kind| kind == EntryKind::Command) {
                return true;
            }
            let left = disk.room.checked_sub(bytes);
            disk.room = left.unwrap_or(disk.room);
            left.is_some()
        })
    }

    pub(crate) fn check_readable(&self) -> Result<(), StorageError> {
        match self.cell.with(|disk| disk.fault) {
            Fault::Broken => Err(broken()),
            Fault::Unreadable => Err(unreadable()),
            Fault::None | Fault::Full => Ok(()),
        }
    }

    /// A snapshot is whole; a write may name it.
    pub(crate) fn keep(&self, held: HeldSnapshot) {
        let key = (held.group.group, held.meta.last);
        self.cell.with(|disk| disk.finished.insert(key, Rc::new(held)));
    }

    pub(crate) fn current(&self, group: GroupId) -> Option<Rc<HeldSnapshot>> {
        self.cell.with(|disk| disk.groups.get(&group)?.snapshot.clone())
    }

    pub(crate) async fn take_time(&self) {
        let latency = self.cell.with(|disk| disk.latency);
        if !latency.is_zero() {
            self.clock.sleep_until(self.clock.now().time.after(latency)).await;
        }
    }
}

pub(crate) fn no_space(bytes: usize) -> StorageError {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    StorageError::NoSpace { bytes, place: "memory".to_owned() }
}

pub(crate) fn unreadable() -> StorageError {
    StorageError::Unreadable { detail: "memory".to_owned() }
}

fn broken() -> StorageError {
    StorageError::Poisoned { cause: "the memory was told to fail".to_owned() }
}

impl Disk {
    /// Hard state, loss, truncation, compaction, entries, refilled.
    pub(crate) fn apply(&mut self, write: &GroupWrite) {
        let held = self.groups.entry(write.group).or_default();
        if held.generation != write.generation {
            *held = Held { generation: write.generation, ..Held::default() };
        }
        held.hard_state = write.hard_state.unwrap_or(held.hard_state);
        if let Some(first) = write.lost_from.filter(|first| *first <= held.last()) {
            held.lose(first.max(held.base.index.next()));
        }
        let brings_log = write.compact.is_some() || !write.entries.is_empty();
        if held.flaw == Flaw::Told && brings_log {
            held.begin_anew();
        }
        if let Some(from) = write.truncate_from {
            truncate(held, from);
        }
        if let Some(compaction) = &write.compact {
            compact(held, compaction);
            if let Some(last) = compaction.snapshot {
                self.name(write.group, last);
            }
        }
        let held = self.groups.entry(write.group).or_default();
        if let Some(first) = write.entries.first() {
            assert_eq!(first, held.last().next(), "a write that leaves a gap in the log");
        }
        held.chunks.extend(write.entries.chunks().cloned());
        if write.refilled {
            held.damage = None;
        }
    }

    /// A finished snapshot becomes the current one; others of the group go.
    fn name(&mut self, group: GroupId, last: LogId) {
        let found = self.finished.remove(&(group, last));
        let held = self.groups.entry(group).or_default();
        let is_current = held.snapshot.as_ref().is_some_and(|held| held.meta.last == last);
        assert!(found.is_some() || is_current, "a write that names a snapshot before it is whole");
        if found.is_some() {
            held.flaw = Flaw::None;
        }
        held.snapshot = found.or(held.snapshot.take());
        self.finished.retain(|(other, _), _| *other != group);
    }
}

impl Held {
    /// Everything that was held is lost (law 9).
    pub(crate) fn loss(&self) -> DamagedRange {
        let known = self.damage.map_or(Index::ZERO, |damage| damage.last);
        let last = self.last().max(known);
        DamagedRange { first: Index::FIRST, last, term: self.hard_state.term }
    }

    /// The entries from `first` on are lost.
    pub(crate) fn lose(&mut self, first: Index) {
        let known = self.damage.map_or(Index::ZERO, |damage| damage.last);
        let (last, term) = (self.last().max(known), self.hard_state.term);
        truncate(self, first);
        self.damage = Some(DamagedRange { first, last, term });
    }

    fn begin_anew(&mut self) {
        *self = Self {
            generation: self.generation,
            hard_state: self.hard_state,
            damage: Some(self.loss()),
            ..Self::default()
        };
    }

    pub(crate) fn last(&self) -> Index {
        self.chunks.last().map_or(self.base.index, Chunk::last)
    }
}

pub(crate) fn truncate(held: &mut Held, from: Index) {
    assert!(from > held.base.index, "a truncation of what was compacted");
    let kept = held.chunks.drain(..).filter(|chunk| chunk.first() < from);
    held.chunks = kept.filter_map(|chunk| chunk.until(from.previous())).collect();
    held.rotten.take_if(|at| *at >= from);
    held.worn.take_if(|at| *at >= from);
}

fn compact(held: &mut Held, compaction: &Compaction) {
    let base = compaction.base;
    if base.index <= held.base.index {
        return;
    }
    held.base = base;
    held.rotten.take_if(|at| *at <= base.index);
    held.worn.take_if(|at| *at <= base.index);
    let kept = held.chunks.drain(..).filter(|chunk| chunk.last() > base.index);
    held.chunks = kept.filter_map(|chunk| chunk.from(base.index.next())).collect();
}
