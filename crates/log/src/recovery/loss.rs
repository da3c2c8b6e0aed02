//! What lost frames held, and which groups that harms (rule 10).
//!
//! A frame that was durable and cannot be read is lost. What it held is told by
//! the echo in the frame behind it: then each group is known exactly, its vote
//! included, and only its entries may be missing. Of several lost frames in a
//! row only the last has an echo; then every group is in doubt until its next
//! record: a back-link to its last known frame clears it. Any other record shows
//! that something is missing: what was known of its entries may have been
//! replaced, a statement or the next entries say how far its log goes, a
//! statement or the next hard state say how it voted. Groups that nothing
//! else names may have been there too: then no group that is unknown may be
//! taken for new, for as long as the directory is used. The frames that show it may
//! go with their segment: `IDENTITY` says it before.
//!
//! | known of the group                       | verdict                        |
//! |------------------------------------------|--------------------------------|
//! | entries missing that were replaced later | none                           |
//! | entries missing up to its snapshot       | its log begins behind that     |
//! | entries missing                          | damaged: a leader can refill   |
//! | term or vote may be missing              | lost: it stays out (rule 3)    |
//!
//! A loss is of the term that the group has when it is found (D29), and reaches
//! up to the last entry that was ever known to be held. Where it is known already
//! it is said again as it was; a further one has the later term.
//!
//! Invariant: a group that is not named here is as if nothing had been lost.

use crate::directory::{Directory, Harm, LostEntries, Trace};
use crate::index::{FrameAt, Misfit};
use crate::record::Item;
use crate::recovery::RecoveryReport;
use crate::recovery::cursor::{Cursor, Did};
use crate::recovery::losses::{Gap, Harmed, Remedy};
use raftlet::core::{GroupId, Index, LogId};

impl Cursor {
    /// Frames cannot be read, though later ones were written. The next frame
    /// that is taken tells what the last of them held.
    pub(crate) fn lose(&mut self, gap: Gap) {
        self.losses.has_any = true;
        self.has_records = true;
        self.last_frame = gap.last;
        self.losses.pending = Some(gap);
    }

    /// Finds out whom pending losses hit.
    pub(crate) fn attribute(&mut self, echo: Option<&Directory>, report: &mut RecoveryReport) {
        let Some(gap) = self.losses.pending.take() else {
            return;
        };
        self.groups.values_mut().for_each(|index| index.spans.close());
        let count = gap.last - gap.first + 1;
        report.lost_frames += count;
        let is_exact = count == 1 && echo.is_some_and(|echo| echo.is_complete);
        if !is_exact {
            self.losses.is_inexact = true;
            let named = |group: &GroupId| {
                count == 1 && echo.is_some_and(|echo| echo.traces.iter().any(|t| t.group == *group))
            };
            let others: Vec<GroupId> = self.groups.keys().filter(|group| !named(group)).collect();
            others.into_iter().for_each(|group| self.doubt(group));
        }
        let traces = echo.map(|echo| echo.traces.as_slice()).unwrap_or_default();
        for trace in traces {
            self.count_lost(trace, &gap.at);
        }
        let what = match count {
            1 => format!("frame {} cannot be read", gap.first),
            _ => format!("frames {} to {} cannot be read", gap.first, gap.last),
        };
        self.losses.note(gap.file, gap.offset, what, traces, report);
        self.did = echo.cloned().map_or(Did::Nothing, Did::Echo);
    }

    /// Up to where a group is known to have held entries.
    pub(super) fn held(&self, group: GroupId) -> Index {
        self.groups.get(&group).map_or(Index::ZERO, |index| {
            let lost = index.harm.entries.map_or(Index::ZERO, |lost| lost.last);
            index.last.max(lost)
        })
    }

    /// Lost frames may have changed a group, and what was known of its losses.
    fn doubt(&mut self, group: GroupId) {
        let held = self.held(group);
        let doubted = self.losses.doubted.entry(group).or_default();
        *doubted = held.max(*doubted);
    }

    /// Counts what was lost with a frame, or with entries whose checksums do not hold.
    pub(crate) fn count_lost(&mut self, trace: &Trace, at: &FrameAt) {
        if self.lose_trace(trace, at).is_err() {
            // It does not follow from what is known: nothing of it is sure.
            self.doubt(trace.group);
        }
    }

    /// Does what a lost frame did to a group, as far as its echo says.
    fn lose_trace(&mut self, trace: &Trace, at: &FrameAt) -> Result<(), Misfit> {
        let group = trace.group;
        let is_known = self.groups.get(&group).is_some_and(|index| index.state_segment != 0);
        if trace.life.is_none() && !is_known {
            self.losses.orphans.insert(group);
            return Ok(());
        }
        let index = self.groups.or_default(group);
        if let Some((generation, last)) = trace.life
            && (!is_known || generation > index.generation)
        {
            index.state_segment = at.segment;
            index.begin(generation)?;
            index.last = last.unwrap_or_default();
        }
        if let Some(state) = trace.hard_state {
            index.vote(state)?;
        }
        match trace.truncate_from {
            // With its snapshot (`forsaken.rs`).
            Some(Index::FIRST) if index.base.index > Index::ZERO => index.begin_anew(),
            Some(from) => index.truncate(from)?,
            None => {}
        }
        if let Some(base) = trace.compact {
            index.compact(base)?;
        }
        index.snapshot = trace.snapshot.or(index.snapshot);
        if let Some((first, last, term)) = trace.entries {
            index.miss(first, last, term)?;
        }
        index.harm = trace.harm.unwrap_or(index.harm);
        if !self.losses.doubted.contains_key(&group) {
            index.last_frame = at.frame;
        }
        Ok(())
    }

    /// A record of a group that is in doubt: it clears it, or shows what is
    /// missing.
    pub(crate) fn reconcile(&mut self, item: &Item, at: &FrameAt, back_link: u64) {
        let group = item.group();
        self.losses.orphans.remove(&group);
        if let Some(held) = self.losses.doubted.remove(&group) {
            let known = self.groups.get(&group).map_or(0, |index| index.last_frame);
            let is_clear = back_link != 0 && at.frame.checked_sub(back_link) == Some(known);
            if !is_clear {
                self.losses.voteless.insert(group);
                self.losses.endless.insert(group);
                let known = self.losses.held.entry(group).or_default();
                *known = held.max(*known);
            }
        }
        let is_whole = matches!(item, Item::Group { .. } | Item::State { .. });
        if is_whole || matches!(item, Item::Entries { .. }) {
            if self.losses.endless.remove(&group) {
                self.groups.or_default(group).make_fit(item);
            }
        } else if self.losses.endless.contains(&group) {
            self.groups.or_default(group).make_fit(item);
        }
        if is_whole || matches!(item, Item::HardState { .. }) {
            self.losses.voteless.remove(&group);
        }
    }

    /// The replay is over: what is wrong with which group. `snapshots` are the
    /// files that are there.
    pub(crate) fn harmed(&mut self, snapshots: &[(GroupId, LogId)]) -> Vec<Harmed> {
        for orphan in std::mem::take(&mut self.losses.orphans) {
            self.groups.or_default(orphan).harm.is_lost = true;
        }
        let mut harmed = Vec::new();
        let groups: Vec<GroupId> = self.groups.keys().collect();
        for group in &groups {
            let Some(index) = self.groups.get_mut(group) else {
                continue;
            };
            let hole = index.complete();
            let is_lost = index.harm.is_lost
                || self.losses.broken.contains(group)
                || self.losses.voteless.contains(group)
                || self.losses.endless.contains(group)
                || self.losses.doubted.contains_key(group);
            if let (Some(_), Some(last), false) = (hole, index.snapshot, is_lost)
                && snapshots.contains(&(*group, last))
                && last.index > index.base.index
                && index.spans.hole(last.index.next(), index.last).is_none()
            {
                let remedy = Remedy::Compact(last);
                harmed.push(Harmed { group: *group, state: index.state(), remedy });
                continue;
            }
            let known = index.harm.entries;
            let entries = match (hole, known) {
                (Some(first), known) => {
                    let held = self.losses.held.get(group).copied().unwrap_or_default();
                    let known = known.map_or(Index::ZERO, |lost| lost.last);
                    let last = index.last.max(known).max(held);
                    Some(LostEntries { first, last, term: Some(index.hard_state.term) })
                }
                // That the group is out is news; then all of it is said anew.
                (None, _) if is_lost => index.missing().entries,
                (None, known) => known,
            };
            let harm = Harm { entries, is_lost };
            // One from entry 1 on that took the base along is said by `plan.rs` alone.
            debug_assert!(
                harm == index.harm || harm.entries.is_none_or(|it| it.first > index.base.index),
                "group {group}: {harm:?} below {:?}",
                index.base
            );
            // A further loss may look like the one before.
            if hole.is_some() || harm != index.harm {
                let remedy = Remedy::Damage(harm);
                harmed.push(Harmed { group: *group, state: index.state(), remedy });
            }
        }
        harmed
    }
}
