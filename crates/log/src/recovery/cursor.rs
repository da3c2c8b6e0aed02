//! Where a replay stands: the groups as far as they are read, and the batch
//! that is not whole yet.
//!
//! Records of a batch of several frames are held back until its last one was
//! read, so that a batch counts whole or not at all. A frame that is a batch of
//! its own, as nearly all are, is taken in record by record.
//!
//! Not here: how such a frame is taken in (`recovery/together.rs`), what lost
//! frames held (`recovery/loss.rs`), a record that does not follow
//! (`recovery/contradiction.rs`).

use bytes::Bytes;

use crate::directory::{Directory, Trace};
use crate::disk::Disk;
use crate::error::{Damage, OpenError};
use crate::frame::Payload;
use crate::index::{FrameAt, Groups, Misfit};
use crate::record::{Item, Record};
use crate::recovery::losses::Losses;
use crate::recovery::{RecoveryReport, unreadable_record};
use crate::remembered::Remembered;
use crate::scan::{Frame, Scan, offset_of};
use crate::width::u64_from;
use raftlet::core::{Chunk, ChunkRef, EntryError, Generation, GroupId, Index, LogId, Seal};

/// Where the log ends so far: behind the last whole batch.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    pub(crate) groups: Groups,
    /// The last frame that counts, and where it is told what it did.
    pub(crate) last_frame: u64,
    pub(crate) did: Did,
    /// The first block behind it.
    pub(crate) end: u32,
    /// Records of a batch that is not whole yet.
    pub(crate) held_back: Vec<Held>,
    /// Whether this segment holds a record that counts.
    pub(crate) has_records: bool,
    pub(crate) losses: Losses,
    /// What was read last, for who reads entries next.
    pub(crate) remembered: Remembered,
}

/// Where it is told what the last frame did. Only that of the log's last frame
/// is ever asked for, so frames before it are not taken down.
#[derive(Clone, Debug, Default)]
pub(crate) enum Did {
    /// Nothing.
    #[default]
    Nothing,
    /// In the frame.
    Frame(Payload),
    /// In the echo behind it: the frame is lost.
    Echo(Directory),
}

impl Did {
    /// What it did.
    pub(crate) fn directory(self) -> Directory {
        let payload = match self {
            Self::Nothing => return Directory::default(),
            Self::Echo(directory) => return directory,
            Self::Frame(payload) => payload,
        };
        let mut directory = Directory::default();
        for raw in payload.walk().flatten().filter(|raw| !raw.is_of_log()) {
            if let Ok(record) = payload.record(&raw) {
                record.note(&mut directory);
            }
        }
        directory
    }
}

/// A record of a batch that is not whole yet.
#[derive(Debug)]
pub(crate) struct Held {
    what: What,
    pub(crate) at: FrameAt,
    /// Frames back to the group's record before.
    back_link: u64,
}

/// What a record says, once it is verified.
#[derive(Debug)]
pub(super) enum What {
    Item(Item),
    /// Entries whose checksums do not hold.
    Lost(Trace),
}

impl Cursor {
    /// The frame that is read next.
    pub(crate) fn next_frame(&self) -> u64 {
        let held = self.held_back.last().map_or(0, |held| held.at.frame - self.last_frame);
        self.last_frame + 1 + held
    }

    /// Takes a whole frame in.
    pub(crate) fn take<D: Disk>(
        &mut self,
        scan: &Scan<D>,
        segment: u64,
        block: u32,
        frame: &Frame,
        report: &mut RecoveryReport,
    ) -> Result<(), OpenError> {
        let at = FrameAt { segment, frame: frame.header.frame, block, end: frame.end };
        report.frames += 1;
        let is_alone = !frame.payload.is_continued && self.held_back.is_empty();
        if is_alone && !self.losses.has_any() {
            return self.take_alone(scan, at, frame, report);
        }
        let before = self.held_back.len();
        let mut entries_bytes = 0;
        let mut records = frame.payload.records();
        while let Some(record) = records.next() {
            let record = record.map_err(|error| unreadable_record(scan, block, error))?;
            match &record {
                Record::Echo(directory) => self.attribute(Some(directory), report),
                Record::Entries { bytes, .. } | Record::Moved { bytes, .. } => {
                    entries_bytes += u64_from(bytes.len());
                }
                _ => {}
            }
            if let Some(what) = self.verify(scan, block, record, report)? {
                self.held_back.push(Held { what, at, back_link: records.back_link });
            }
        }
        self.remembered.keep((segment, block), frame, entries_bytes);
        if frame.payload.is_continued {
            if self.held_back.len() == before && !self.losses.has_any() {
                let what = "a frame without records says that more follow".to_owned();
                return Err(OpenError::Damaged(Box::new(Damage {
                    file: scan.name().to_owned(),
                    offset: offset_of(block),
                    what,
                    affected: Vec::new(),
                })));
            }
            return Ok(());
        }
        self.settle(scan, at, frame.payload.clone(), report);
        Ok(())
    }

    /// Entries become chunks only when every checksum holds.
    pub(super) fn verify<D: Disk>(
        &mut self,
        scan: &Scan<D>,
        block: u32,
        record: Record,
        report: &mut RecoveryReport,
    ) -> Result<Option<What>, OpenError> {
        let item = match record {
            Record::Link(_) | Record::Echo(_) => return Ok(None),
            Record::Group { group, generation } => Item::Group { group, generation },
            Record::State { group, state } => Item::State { group, state },
            Record::HardState { group, state } => Item::HardState { group, state },
            Record::Truncate { group, from } => Item::Truncate { group, from },
            Record::Compact { group, base } => Item::Compact { group, base },
            Record::Snapshot { group, last } => Item::Snapshot { group, last },
            Record::Damage { group, harm } => Item::Damage { group, harm },
            Record::Refilled { group } => Item::Refilled { group },
            Record::Entries { group, first, len, bytes } => {
                return self.entries(scan, block, (group, first, len), bytes, report);
            }
            Record::Moved { group, first, len, bytes } => {
                let chunk = self.generation(group).and_then(|generation| {
                    Chunk::decode(Seal::new(group, generation), first, len, bytes).ok()
                });
                match chunk {
                    Some(chunk) => Item::Moved { group, chunk },
                    // Where they stood before they still count, if that is
                    // there; else they are missed in the end.
                    None => return Ok(None),
                }
            }
        };
        let group = item.group();
        let is_first = matches!(item, Item::Group { .. } | Item::State { .. });
        if !is_first && self.generation(group).is_none() {
            self.stray(scan, block, group, report);
            return Ok(None);
        }
        Ok(Some(What::Item(item)))
    }

    fn entries<D: Disk>(
        &mut self,
        scan: &Scan<D>,
        block: u32,
        (group, first, len): (GroupId, LogId, u32),
        bytes: Bytes,
        report: &mut RecoveryReport,
    ) -> Result<Option<What>, OpenError> {
        let Some(generation) = self.generation(group) else {
            self.stray(scan, block, group, report);
            return Ok(None);
        };
        match Chunk::decode(Seal::new(group, generation), first, len, bytes) {
            Ok(chunk) => Ok(Some(What::Item(Item::Entries { group, chunk }))),
            Err(error) => {
                let trace = self.lost_entries(scan, block, (group, first, len), &error, report);
                Ok(Some(What::Lost(trace)))
            }
        }
    }

    /// Notes that entries are lost whose checksums do not hold.
    pub(super) fn lost_entries<D: Disk>(
        &mut self,
        scan: &Scan<D>,
        block: u32,
        (group, first, len): (GroupId, LogId, u32),
        error: &EntryError,
        report: &mut RecoveryReport,
    ) -> Trace {
        let last = Index::new(first.index.get().saturating_add(u64::from(len))).previous();
        let entries = Some((first.index, last, first.term));
        let trace = Trace { group, entries, ..Trace::default() };
        let file = scan.name().to_owned();
        self.losses.note(file, offset_of(block), error.to_string(), &[trace], report);
        trace
    }

    /// In which life a group is.
    fn generation(&self, group: GroupId) -> Option<Generation> {
        let begun = self.held_back.iter().rev().find_map(|held| match &held.what {
            What::Item(Item::Group { group: other, generation }) if *other == group => {
                Some(*generation)
            }
            What::Item(Item::State { group: other, state }) if *other == group => {
                Some(state.generation)
            }
            _ => None,
        });
        let known = self.groups.get(&group).filter(|known| known.state_segment != 0);
        begun.or(known.map(|known| known.generation))
    }

    /// A batch is whole: it counts.
    fn settle<D: Disk>(
        &mut self,
        scan: &Scan<D>,
        last: FrameAt,
        payload: Payload,
        report: &mut RecoveryReport,
    ) {
        self.has_records |= !self.held_back.is_empty();
        for held in std::mem::take(&mut self.held_back) {
            let at = held.at;
            if let What::Item(item) = &held.what {
                self.reconcile(item, &at, held.back_link);
            }
            self.count(scan, &held.what, &at, report);
        }
        self.did = Did::Frame(payload);
        self.last_frame = last.frame;
        self.end = last.end;
    }

    /// What a record says counts from here on.
    pub(super) fn count<D: Disk>(
        &mut self,
        scan: &Scan<D>,
        what: &What,
        at: &FrameAt,
        report: &mut RecoveryReport,
    ) {
        match what {
            What::Item(item) => {
                if let Err(misfit) = apply(&mut self.groups, item, at) {
                    self.contradicted(scan, at.block, (item, misfit), report);
                }
            }
            What::Lost(trace) => self.count_lost(trace, at),
        }
    }

    /// Frames behind were durable, so those of the batch that were read were.
    pub(crate) fn settle_held<D: Disk>(&mut self, scan: &Scan<D>, report: &mut RecoveryReport) {
        if let Some(last) = self.held_back.last().map(|held| held.at) {
            // What it did is told by the echo of what follows.
            self.settle(scan, last, Payload::default(), report);
        }
    }
}

/// Follows one record, when it is replayed and when it was written.
pub(crate) fn apply(groups: &mut Groups, item: &Item, at: &FrameAt) -> Result<(), Misfit> {
    let group = groups.or_default(item.group());
    group.last_frame = at.frame;
    match item {
        Item::Group { generation, .. } => {
            group.state_segment = at.segment;
            group.begin(*generation)
        }
        Item::State { state, .. } => {
            group.restate(state)?;
            group.state_segment = at.segment;
            Ok(())
        }
        Item::HardState { state, .. } => group.vote(*state),
        Item::Truncate { from, .. } => group.truncate(*from),
        Item::Compact { base, .. } => group.compact(*base),
        Item::Snapshot { last, .. } => {
            group.snapshot = Some(*last);
            Ok(())
        }
        Item::Entries { chunk, .. } => group.append(&ChunkRef::from(chunk), at),
        Item::Moved { chunk, .. } => group.relocate(chunk, at),
        Item::Damage { harm, .. } => group.damage(*harm),
        Item::Refilled { .. } => {
            group.harm.entries = None;
            Ok(())
        }
    }
}
