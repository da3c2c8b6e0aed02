//! Records that contradict each other harm their group and no other (rule 10, D58).
//!
//! All their checksums hold, frames and links are whole, so nothing is lost on the
//! way: what was written was wrong, in memory that flipped a bit or by a fault of
//! the program. Which record is wrong nobody can tell. What they say of entries a
//! leader can send again; a group whose term, vote, life or base is in doubt stays
//! out of service on this member, by name.
//!
//! Invariant: what comes of it at one start comes of it at the next, until a record
//! of damage in the log says it.
//!
//! Not here: what of the group is given up (`index/contradiction.rs`).

use crate::directory::Trace;
use crate::disk::Disk;
use crate::index::Misfit;
use crate::index::contradiction::{Doubt, Stretch};
use crate::record::Item;
use crate::recovery::RecoveryReport;
use crate::recovery::cursor::Cursor;
use crate::scan::{Scan, offset_of};
use raftlet::core::{ChunkRef, GroupId};

impl Cursor {
    /// A record does not follow.
    #[cold]
    pub(super) fn contradicted<D: Disk>(
        &mut self,
        scan: &Scan<D>,
        block: u32,
        (item, misfit): (&Item, Misfit),
        report: &mut RecoveryReport,
    ) {
        let group = item.group();
        let held = self.held(group);
        let doubt = self.groups.or_default(group).yield_to(item);
        let entries = match item {
            Item::Entries { chunk, .. } | Item::Moved { chunk, .. } => {
                Some((chunk.first(), chunk.last(), chunk.term()))
            }
            _ => None,
        };
        let hard_state = match item {
            Item::HardState { state, .. } => Some(*state),
            _ => None,
        };
        let trace = Trace { group, entries, hard_state, ..Trace::default() };
        self.give_up((group, held, doubt));
        self.tell_misfit(scan, block, (trace, misfit), report);
    }

    /// A record of entries does not follow.
    #[cold]
    pub(super) fn entries_contradicted<D: Disk>(
        &mut self,
        scan: &Scan<D>,
        block: u32,
        (group, chunk, misfit): (GroupId, &ChunkRef<'_>, Misfit),
        report: &mut RecoveryReport,
    ) {
        let held = self.held(group);
        let (first, last, term) = (chunk.first(), chunk.last(), chunk.term());
        let stretch = Stretch { first, last, term };
        let doubt = self.groups.or_default(group).yield_entries(stretch);
        let entries = Some((first, last, term));
        self.give_up((group, held, doubt));
        let trace = Trace { group, entries, ..Trace::default() };
        self.tell_misfit(scan, block, (trace, misfit), report);
    }

    /// A record of a group that began in a frame that is lost, or nowhere.
    #[cold]
    pub(super) fn stray<D: Disk>(
        &mut self,
        scan: &Scan<D>,
        block: u32,
        group: GroupId,
        report: &mut RecoveryReport,
    ) {
        if !self.losses.has_any() {
            let what = format!("group {group} has records before its first one");
            let trace = Trace { group, ..Trace::default() };
            self.losses.note(scan.name().to_owned(), offset_of(block), what, &[trace], report);
            // Nor does anything name others of which the same is true.
            self.losses.is_inexact = true;
        }
        self.losses.orphan(group);
    }

    fn give_up(&mut self, (group, held, doubt): (GroupId, raftlet::core::Index, Doubt)) {
        let known = self.losses.held.entry(group).or_default();
        *known = held.max(*known);
        if doubt == Doubt::Group {
            self.losses.broken.insert(group);
        }
    }

    fn tell_misfit<D: Disk>(
        &mut self,
        scan: &Scan<D>,
        block: u32,
        (trace, misfit): (Trace, Misfit),
        report: &mut RecoveryReport,
    ) {
        let what = format!("group {} {}", trace.group, misfit.text());
        self.losses.note(scan.name().to_owned(), offset_of(block), what, &[trace], report);
    }
}
