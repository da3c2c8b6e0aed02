//! A frame that is a batch of its own: its records of entries that follow one
//! another are taken in together.
//!
//! They are nearly all there is in a log, and with many groups what a replay
//! waits for is memory: each record leads to another group. So the steps are
//! taken for some records at a time: all groups are looked for, then all are
//! looked at, and the processor waits for many lines of memory at once. Then each
//! record is verified and counts, in order, where it lies.
//!
//! Invariant: what comes of it is what comes of one record after another. No other
//! record is among them, so that none begins a life of a group in between.

use crate::disk::Disk;
use crate::error::OpenError;
use crate::index::FrameAt;
use crate::record::Record;
use crate::record::walk::RawEntries;
use crate::recovery::cursor::{Cursor, Did};
use crate::recovery::{RecoveryReport, unreadable_record};
use crate::scan::{Frame, Scan};
use crate::width::u64_from;
use raftlet::core::{ChunkRef, Generation, Seal};

/// Records that are taken in together: more than the processor has reads of
/// memory under way, and few enough to stay in its first cache with their groups.
const TOGETHER_MAX: usize = 64;

/// A record of entries.
#[derive(Debug)]
struct Found<'a> {
    record: RawEntries<'a>,
    /// Where its group is.
    place: Option<usize>,
    /// In which life that is; `None` before its first record.
    life: Option<Generation>,
}

impl<'a> Found<'a> {
    fn new(record: RawEntries<'a>) -> Self {
        Self { record, place: None, life: None }
    }
}

impl Cursor {
    /// Takes in a frame that is a batch of its own, while nothing is lost.
    pub(super) fn take_alone<D: Disk>(
        &mut self,
        scan: &Scan<D>,
        at: FrameAt,
        frame: &Frame,
        report: &mut RecoveryReport,
    ) -> Result<(), OpenError> {
        let mut entries = Vec::with_capacity(TOGETHER_MAX);
        let mut entries_bytes = 0;
        for raw in frame.payload.walk() {
            if let Ok(raw) = &raw {
                if raw.is_of_log() {
                    continue;
                }
                if let Some(more) = raw.entries() {
                    if entries.len() == TOGETHER_MAX {
                        self.take_entries(scan, at, &mut entries, report);
                    }
                    entries_bytes += u64_from(more.bytes.len());
                    entries.push(Found::new(more));
                    continue;
                }
            }
            self.take_entries(scan, at, &mut entries, report);
            let record = raw.and_then(|raw| frame.payload.record(&raw));
            let record = record.map_err(|error| unreadable_record(scan, at.block, error))?;
            if let Record::Moved { bytes, .. } = &record {
                entries_bytes += u64_from(bytes.len());
            }
            let Some(what) = self.verify(scan, at.block, record, report)? else {
                continue;
            };
            self.has_records = true;
            self.count(scan, &what, &at, report);
        }
        self.take_entries(scan, at, &mut entries, report);
        self.remembered.keep((at.segment, at.block), frame, entries_bytes);
        self.did = Did::Frame(frame.payload.clone());
        self.last_frame = at.frame;
        self.end = at.end;
        Ok(())
    }

    /// Takes records in, in order, and leaves none.
    fn take_entries<D: Disk>(
        &mut self,
        scan: &Scan<D>,
        at: FrameAt,
        found: &mut Vec<Found<'_>>,
        report: &mut RecoveryReport,
    ) {
        for it in found.iter_mut() {
            it.place = self.groups.place(it.record.group);
        }
        for it in found.iter_mut() {
            let known = it.place.and_then(|place| self.groups.at(place));
            it.life = known.filter(|it| it.state_segment != 0).map(|it| it.generation);
        }
        for it in found.drain(..) {
            self.take_one(scan, at, &it, report);
        }
    }

    #[inline]
    fn take_one<D: Disk>(
        &mut self,
        scan: &Scan<D>,
        at: FrameAt,
        found: &Found<'_>,
        report: &mut RecoveryReport,
    ) {
        let RawEntries { group, first, len, bytes } = found.record;
        let (Some(place), Some(life)) = (found.place, found.life) else {
            return self.stray(scan, at.block, group, report);
        };
        self.has_records = true;
        match ChunkRef::decode(Seal::new(group, life), first, len, bytes) {
            Ok(chunk) => {
                let Some(index) = self.groups.at_mut(place) else {
                    return self.stray(scan, at.block, group, report);
                };
                index.last_frame = at.frame;
                if let Err(misfit) = index.append(&chunk, &at) {
                    self.entries_contradicted(scan, at.block, (group, &chunk, misfit), report);
                }
            }
            Err(error) => {
                let what = (group, first, len);
                let trace = self.lost_entries(scan, at.block, what, &error, report);
                self.count_lost(&trace, &at);
            }
        }
    }
}
