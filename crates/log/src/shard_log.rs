//! The log of one shard: what its parts share.
//!
//! One task appends (`append.rs`), one prepares segments and marks idle tails
//! (`prepare.rs`), any number read (`read.rs`), all on the shard's thread. They
//! share [`State`] and two gates: `device` (one frame or mark at a time) and
//! `prepare` (one at a time makes space). No borrow of the state is held across
//! an await.
//!
//! Poison (rule 9): the first failed write or flush is kept, and from then on
//! nothing is written and every write is answered with it. A write that its
//! caller abandons is undecided, and poisons too.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::allowance::{AHEAD_BYTES_MAX, Allowance};
use crate::anew::AllForsaken;
use crate::disk::buffer::Buffer;
use crate::disk::{Disk, DiskError};
use crate::gate::{Bell, Gate};
use crate::identity::Home;
use crate::index::{self, Groups};
use crate::kept::Kept;
use crate::landing::Landing;
use crate::options::{LogCounters, Sizes};
use crate::record::Link;
use crate::recovery::SegmentRef;
use crate::remembered::Remembered;
use crate::reserve::Reserve;
use crate::wanted::Snapshots;
use crate::width::u64_from;
use raftlet::core::{GroupId, LogId};
use raftlet::{Pin, Shortage, StorageError};

/// The log of one shard; an implementation of `raftlet::Storage`.
#[derive(Debug)]
pub struct ShardLog<D: Disk>(pub(crate) Rc<Shared<D>>);

/// A segment that is open for writing.
#[derive(Clone, Debug)]
pub(crate) struct Segment<D: Disk> {
    pub(crate) number: u64,
    pub(crate) stamp: u64,
    pub(crate) file: D::File,
    /// Its size when full.
    pub(crate) blocks: u32,
    /// Blocks filled so far, and of those the ones durably so.
    pub(crate) filled: u32,
    pub(crate) written: u32,
}

/// What is left to do when somebody has time.
#[derive(Debug)]
pub(crate) enum Chore<D: Disk> {
    /// Cut a finished segment off behind its last frame.
    Cut { number: u64, file: D::File, bytes: u64 },
    /// Remove a file that holds nothing that counts.
    Remove { name: String },
    /// Remove a snapshot, unless it is wanted again.
    RemoveSnapshot { group: GroupId, last: LogId },
}

/// What the log takes of the disk, and may take; and of memory after a start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSpace {
    /// Bytes of the segments that make up the log.
    pub bytes: u64,
    /// Above it space is wanted.
    pub bytes_soft: u64,
    /// Above it entries are refused.
    pub bytes_hard: u64,
    /// Segments that make up the log.
    pub segments: u64,
    /// Files of freed segments, to be used again.
    pub spares: u64,
    /// Bytes kept for what must not wait on a full device.
    pub reserve_bytes: u64,
    /// Bytes that should be kept.
    pub reserve_bytes_wanted: u64,
    /// Groups that keep the oldest segment while space is wanted; 64 at most.
    pub pinned_groups: u64,
    /// Of these, groups with entries that cannot be read: a snapshot replaces them.
    pub unreadable_groups: u64,
    /// Why new entries should wait.
    pub shortage: Option<Shortage>,
    /// Of memory: what the start has read, until the machines have been given it.
    pub replay_bytes: u64,
    /// Its limit.
    pub replay_bytes_max: u64,
    /// Of memory: what readers of snapshots have read ahead.
    pub snapshot_ahead_bytes: u64,
    /// Its limit.
    pub snapshot_ahead_bytes_max: u64,
}

/// The file of a segment that is not part of the log any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spare {
    pub(crate) number: u64,
    /// At least so many blocks of it were written durably.
    pub(crate) blocks: u32,
}

/// What changes while the log is in use.
#[derive(Debug)]
pub(crate) struct State<D: Disk> {
    pub(crate) groups: Groups,
    pub(crate) snapshots: Snapshots,
    /// Groups that are to be refilled from their first entry on.
    pub(crate) forsaken: AllForsaken,
    /// The finished segments, oldest first.
    pub(crate) finished: Vec<SegmentRef>,
    pub(crate) active: Segment<D>,
    /// Where the next frame goes in it.
    pub(crate) next_block: u32,
    /// The last durable frame, and what the next one says of it.
    pub(crate) last_frame: u64,
    pub(crate) echo: Vec<u8>,
    /// Of a frame that is durable: memory for what the next one leaves.
    pub(crate) landing: Landing,
    /// Written with the next frame: the first of its segment.
    pub(crate) link: Option<Link>,
    /// Chores that may be done when that frame is durable.
    pub(crate) after_link: Vec<Chore<D>>,
    pub(crate) chores: Vec<Chore<D>>,
    /// In use next; has its name already.
    pub(crate) next: Option<Segment<D>>,
    /// Being filled under a spare name.
    pub(crate) fresh: Option<Segment<D>>,
    pub(crate) highest_number: u64,
    /// Files of freed segments, to be used again.
    pub(crate) spares: Vec<Spare>,
    /// Room for what must not wait.
    pub(crate) reserve: Reserve<D>,
    /// Whether room was short when maintenance last looked.
    pub(crate) was_short: bool,
    /// Cold reads under way, by segment.
    pub(crate) readers: BTreeMap<u64, u32>,
    /// Lost frames may have held groups that nothing else names: whoever is
    /// unknown is not new.
    pub(crate) has_unknown_losses: bool,
    /// Groups that keep the log above its limit.
    pub(crate) pins: Vec<Pin>,
    /// Groups of the log that do not run: nobody writes them down.
    pub(crate) stranded: BTreeSet<GroupId>,
    /// Groups with entries in the oldest segment that could not be read.
    pub(crate) unreadable: Vec<Pin>,
    /// What keeps the oldest segment may have changed.
    pub(crate) is_burden_unknown: bool,
    pub(crate) is_marked: bool,
    pub(crate) is_writing: bool,
    pub(crate) poison: Option<String>,
    pub(crate) buffer: Option<Buffer>,
    /// Zeros, left by a step of zero filling for the next one; nobody else writes
    /// into them. At most `Sizes::throttle` blocks.
    pub(crate) zeros: Option<Buffer>,
    /// Left by a cold read for the next one.
    pub(crate) kept_read: Option<Kept<D>>,
    /// Left by recovery for the reads of the replay.
    pub(crate) remembered: Remembered,
    pub(crate) counters: LogCounters,
}

/// What the tasks of the log share.
#[derive(Debug)]
pub(crate) struct Shared<D: Disk> {
    pub(crate) disk: D,
    pub(crate) home: Home<D>,
    pub(crate) sizes: Sizes,
    pub(crate) state: RefCell<State<D>>,
    pub(crate) device: Gate,
    pub(crate) prepare: Gate,
    /// One at a time changes the reserve; entered inside `prepare` or alone.
    pub(crate) reserving: Gate,
    pub(crate) bell: Rc<Bell>,
    /// What readers of snapshots have read ahead.
    pub(crate) ahead: Allowance,
}

impl<D: Disk> ShardLog<D> {
    /// What was done since the log was opened.
    #[must_use]
    pub fn counters(&self) -> LogCounters {
        self.0.state.borrow().counters
    }

    /// How the disk makes writes durable.
    #[must_use]
    pub fn disk_mode(&self) -> &'static str {
        self.0.disk.mode()
    }

    /// The first failure, once there was one.
    #[must_use]
    pub fn poison(&self) -> Option<String> {
        self.0.state.borrow().poison.clone()
    }

    /// What the log takes of the disk, and may take.
    #[must_use]
    pub fn space(&self) -> LogSpace {
        let (state, sizes) = (self.0.state.borrow(), &self.0.sizes);
        let (reserve_bytes, reserve_bytes_wanted) = state.reserve_bytes();
        LogSpace {
            bytes: state.log_bytes(),
            bytes_soft: sizes.soft_bytes,
            bytes_hard: sizes.hard_bytes,
            segments: u64_from(state.finished.len()) + 1,
            spares: u64_from(state.spares.len()),
            reserve_bytes,
            reserve_bytes_wanted,
            pinned_groups: u64_from(state.current_pins().len()),
            unreadable_groups: u64_from(state.unreadable_groups()),
            shortage: state.shortage(sizes),
            replay_bytes: state.remembered.bytes(),
            replay_bytes_max: sizes.replay_bytes,
            snapshot_ahead_bytes: self.0.ahead.taken_bytes(),
            snapshot_ahead_bytes_max: u64_from(AHEAD_BYTES_MAX),
        }
    }

    /// Bytes of the segments that make up the log.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.state.borrow().log_bytes()
    }

    /// Bytes of memory that the index takes, about: of each group, and of each
    /// segment that the group has entries in (`index.rs`).
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        index::bytes(&self.0.state.borrow().groups)
    }

    /// Segments that make up the log.
    #[must_use]
    pub fn segments(&self) -> u64 {
        u64_from(self.0.state.borrow().finished.len()) + 1
    }
}

impl<D: Disk> Drop for ShardLog<D> {
    fn drop(&mut self) {
        self.0.bell.close();
    }
}

impl<D: Disk> Shared<D> {
    /// Keeps the first failure and answers with it.
    pub(crate) fn poison(&self, cause: &DiskError) -> StorageError {
        self.poison_with(cause.to_string())
    }

    pub(crate) fn poison_with(&self, cause: String) -> StorageError {
        let mut state = self.state.borrow_mut();
        let cause = state.poison.get_or_insert(cause).clone();
        StorageError::Poisoned { cause }
    }

    /// Refuses once poisoned.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        match &self.state.borrow().poison {
            None => Ok(()),
            Some(cause) => Err(StorageError::Poisoned { cause: cause.clone() }),
        }
    }
}
