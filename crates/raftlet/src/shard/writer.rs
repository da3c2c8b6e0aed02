//! Gathers the turns' changes into the next write (D4, rule 28).
//!
//! One write is in flight; meanwhile the next gathers, over all groups. A
//! group has one place in a batch: what a later turn adds is folded in.
//!
//! Invariants
//! - A batch holds, per group, what the same changes one after another would
//!   leave: the last hard state, and no entry that a later turn truncated.
//!   That is allowed because a write is all or nothing.
//! - A write that ends completes exactly the tickets that went into it, the
//!   last one of each group.
//! - Nobody else writes meanwhile: the permit is one for the shard.
//!
//! A batch for which there is no space is tried again after a pause, and the
//! next one waits behind it. Terms and votes do not, nor do compactions, which
//! free space: storage keeps a reserve for them (rule 9), so they are taken out
//! of both and written *ahead*, alone. That changes no order that counts: a term
//! may be durable before entries of an older one, and the front of a log leave
//! before its end grows.

use std::collections::VecDeque;
use std::task::Waker;

use crate::port::{GroupWrite, WriteBatch};
use crate::timers::Slot;
use raftlet_core::{
    Compaction, Entries, Generation, GroupId, Index, Persist, Ticket, Time, mutants,
};

/// How long a write that found no space rests before it is tried again.
const NO_SPACE_PAUSE_NS: u64 = 200_000_000;

/// One group's part of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) slot: Slot,
    pub(crate) ticket: Ticket,
    /// The first entry gathered while this member led.
    pub(crate) led_from: Option<Index>,
}

/// The write that gathers and the one in flight.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    gathering: WriteBatch,
    /// As long as `gathering`, and in its order.
    parts: Vec<Part>,
    bytes: usize,
    /// Bytes of entries of the write in flight, or of the refused one.
    bytes_in_flight: usize,
    in_flight: Vec<Part>,
    /// Counts batches, so that a group's place in an earlier one is known to
    /// have passed.
    batch: u64,
    /// By slot: batch and position of the group's part.
    places: Vec<(u64, usize)>,
    permit: Permit,
    /// A batch for which there was no space, and when to try again.
    refused: Option<(WriteBatch, Time)>,
    /// What is being written ahead of it.
    ahead: Vec<Part>,
    /// Not even that found space: it waits for the pause, too.
    is_reserve_empty: bool,
}

/// What a write that ended well has made durable; the last ticket of each
/// group.
#[derive(Debug)]
pub(crate) enum Durable {
    /// All that went under the tickets.
    All(Vec<Part>),
    /// Their terms and votes alone, and compactions, of which the core hears
    /// with the rest.
    HardStates(Vec<Part>),
}

/// Who may write to storage: one at a time.
#[derive(Debug, Default)]
pub(crate) struct Permit {
    taken: bool,
    /// Somebody was just woken to take it: the loop lets a turn pass.
    offered: bool,
    waiting: VecDeque<Waker>,
}

impl Permit {
    /// Takes the permit, or is told later to try again.
    pub(crate) fn take_or_wait(&mut self, waker: &Waker) -> bool {
        if self.taken {
            self.waiting.push_back(waker.clone());
            return false;
        }
        self.taken = true;
        self.offered = false;
        true
    }

    /// Gives the permit back; who is next to be woken.
    pub(crate) fn release(&mut self) -> Option<Waker> {
        self.taken = false;
        let next = self.waiting.pop_front();
        self.offered = next.is_some();
        next
    }
}

impl Writer {
    /// Adds what a group wants durable.
    pub(crate) fn gather(
        &mut self,
        slot: Slot,
        (group, generation): (GroupId, Generation),
        is_leader: bool,
        persist: Persist,
    ) {
        let ticket = persist.ticket;
        let led_from = persist.entries.first().filter(|_| is_leader);
        self.bytes += persist.entries.bytes_len();
        if self.places.len() <= slot {
            self.places.resize(slot + 1, (u64::MAX, 0));
        }
        let place = self.places.get(slot).copied().filter(|(batch, _)| *batch == self.batch);
        let existing = place.and_then(|(_, at)| {
            Some((self.gathering.writes.get_mut(at)?, self.parts.get_mut(at)?))
        });
        if let Some((write, part)) = existing {
            fold(write, persist);
            part.ticket = ticket;
            part.led_from = part.led_from.or(led_from);
            return;
        }
        if let Some(place) = self.places.get_mut(slot) {
            *place = (self.batch, self.parts.len());
        }
        self.parts.push(Part { slot, ticket, led_from });
        self.gathering.writes.push(GroupWrite {
            hard_state: persist.hard_state,
            truncate_from: persist.truncate_from,
            compact: persist.compact,
            entries: persist.entries,
            refilled: persist.refilled,
            ..GroupWrite::new(group, generation)
        });
    }

    /// A turn begins: an offer that nobody took is void.
    pub(crate) const fn begin_turn(&mut self) {
        self.permit.offered = false;
    }

    /// Whether a turn should follow at once to write what is gathered.
    pub(crate) fn wants_turn(&self, now: Time) -> bool {
        self.is_due(now) || (self.permit.offered && !self.parts.is_empty())
    }

    /// Bytes of entries that wait for the next write.
    pub(crate) const fn gathered_bytes(&self) -> usize {
        self.bytes
    }

    /// The same, and those of the write under way unless that `has_ended`.
    pub(crate) const fn bytes_on_their_way(&self, has_ended: bool) -> usize {
        let is_under_way = !self.in_flight.is_empty() && !has_ended;
        self.bytes + if is_under_way { self.bytes_in_flight } else { 0 }
    }

    /// Whether a write that was handed to storage has not ended.
    pub(crate) const fn is_under_way(&self) -> bool {
        self.permit.taken
    }

    /// Whether the loop will turn for the end of a write of its own.
    pub(crate) const fn ends_with_a_turn(&self) -> bool {
        self.permit.taken && self.refused.is_none() && !self.in_flight.is_empty()
    }

    /// Whether a write could start now.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        !self.permit.taken
            && !self.permit.offered
            && match &self.refused {
                Some((_, retry_at)) => *retry_at <= now || self.may_go_ahead(),
                None => !self.parts.is_empty(),
            }
    }

    /// Whether something waits behind a batch without space that need not.
    fn may_go_ahead(&self) -> bool {
        let Some((refused, _)) = self.refused.as_ref().filter(|_| !self.is_reserve_empty) else {
            return false;
        };
        let may = |write: &GroupWrite, earlier| {
            write.hard_state.is_some() || may_overtake(write, earlier)
        };
        let mut behind = self.gathering.writes.iter().zip(&self.parts);
        refused.writes.iter().any(|write| may(write, None))
            || behind.any(|(write, part)| may(write, self.refused_of(part.slot)))
    }

    /// What has no space of a group.
    fn refused_of(&self, slot: Slot) -> Option<&GroupWrite> {
        let (refused, _) = self.refused.as_ref()?;
        let at = self.in_flight.iter().position(|part| part.slot == slot)?;
        refused.writes.get(at)
    }

    /// When to try a refused write again.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.refused.as_ref().map(|(_, retry_at)| *retry_at)
    }

    /// Whether anything of a group is not written yet.
    pub(crate) fn holds(&self, slot: Slot) -> bool {
        let parts = self.parts.iter().chain(&self.in_flight).chain(&self.ahead);
        parts.into_iter().any(|part| part.slot == slot)
    }

    /// Whether the last write found no space.
    pub(crate) const fn is_full(&self) -> bool {
        self.refused.is_some()
    }

    /// The batch to write now, if it is time.
    pub(crate) fn start(&mut self, now: Time) -> Option<WriteBatch> {
        if !self.is_due(now) {
            return None;
        }
        self.permit.taken = true;
        if self.may_go_ahead() {
            return Some(self.take_ahead());
        }
        if let Some((batch, _)) = self.refused.take() {
            self.is_reserve_empty = false;
            return Some(batch);
        }
        self.batch += 1;
        self.bytes_in_flight = std::mem::take(&mut self.bytes);
        std::mem::swap(&mut self.parts, &mut self.in_flight);
        Some(std::mem::take(&mut self.gathering))
    }

    /// What need not wait, of what has no space and of what gathers behind it.
    fn take_ahead(&mut self) -> WriteBatch {
        let mut ahead = WriteBatch::default();
        let behind = self.gathering.writes.iter().zip(&self.parts);
        let may_behind: Vec<bool> =
            behind.map(|(write, part)| may_overtake(write, self.refused_of(part.slot))).collect();
        let mut take = |write: &mut GroupWrite, part: &Part, may_overtake: bool| {
            let hard_state = write.hard_state.take();
            let compact = write.compact.take_if(|_| may_overtake);
            if hard_state.is_some() || compact.is_some() {
                let empty = GroupWrite::new(write.group, write.generation);
                ahead.writes.push(GroupWrite { hard_state, compact, ..empty });
                self.ahead.push(*part);
            }
        };
        let refused = self.refused.as_mut().map(|(batch, _)| batch);
        let earlier = refused.into_iter().flat_map(|batch| &mut batch.writes);
        for (write, part) in earlier.zip(&self.in_flight) {
            let may = may_overtake(write, None);
            take(write, part, may);
        }
        let behind = self.gathering.writes.iter_mut().zip(&self.parts);
        for ((write, part), may) in behind.zip(may_behind) {
            take(write, part, may);
        }
        ahead
    }

    /// What is in the write that just started.
    pub(crate) fn in_flight(&self) -> &[Part] {
        &self.in_flight
    }

    /// The write ended well. Returns what became durable; give the memory of
    /// all parts back with [`Writer::reuse`].
    pub(crate) fn finish(&mut self, mut batch: WriteBatch) -> (Durable, Option<Waker>) {
        if !self.ahead.is_empty() {
            let ahead = std::mem::take(&mut self.ahead);
            return (Durable::HardStates(ahead), self.permit.release());
        }
        batch.writes.clear();
        if self.gathering.writes.capacity() == 0 {
            self.gathering = batch;
        }
        if mutants::is_active(67) {
            for part in &mut self.in_flight {
                let behind = self.parts.iter().find(|behind| behind.slot == part.slot);
                part.ticket = behind.map_or(part.ticket, |behind| behind.ticket);
            }
        }
        (Durable::All(std::mem::take(&mut self.in_flight)), self.permit.release())
    }

    /// There was no space; nothing was written.
    pub(crate) fn refuse(&mut self, now: Time, batch: WriteBatch) -> Option<Waker> {
        if self.ahead.is_empty() {
            self.refused = Some((batch, now.after_ns(NO_SPACE_PAUSE_NS)));
        } else {
            self.put_back(batch);
        }
        self.permit.release()
    }

    /// What found no space even so waits where it came from.
    fn put_back(&mut self, ahead: WriteBatch) {
        self.is_reserve_empty = true;
        for (write, part) in ahead.writes.into_iter().zip(self.ahead.drain(..)) {
            let refused = self.refused.as_mut().map(|(batch, _)| batch);
            let earlier = refused.into_iter().flat_map(|batch| &mut batch.writes);
            let mut places = earlier
                .zip(&self.in_flight)
                .chain(self.gathering.writes.iter_mut().zip(&self.parts));
            let place = places.find(|(_, at)| at.slot == part.slot && at.ticket >= part.ticket);
            if let Some((place, _)) = place {
                place.hard_state = place.hard_state.or(write.hard_state);
                place.compact = place.compact.or(write.compact);
            }
        }
    }

    pub(crate) fn reuse(&mut self, mut parts: Vec<Part>) {
        parts.clear();
        if self.in_flight.capacity() == 0 {
            self.in_flight = parts;
        }
    }

    pub(crate) const fn permit(&mut self) -> &mut Permit {
        &mut self.permit
    }
}

/// Whether the front of a log may leave before what waits of the same group is
/// written: where that only appends behind it.
fn may_overtake(write: &GroupWrite, earlier: Option<&GroupWrite>) -> bool {
    let Some(compact) = write.compact else {
        return false;
    };
    let only_appends = |write: &GroupWrite| {
        let first = write.entries.first();
        write.truncate_from.is_none() && first.is_none_or(|first| first > compact.base.index)
    };
    only_appends(write) && earlier.is_none_or(only_appends)
}

/// Folds later changes of a group into what is gathered of it.
fn fold(write: &mut GroupWrite, later: Persist) {
    write.hard_state = later.hard_state.or(write.hard_state);
    write.refilled |= later.refilled;
    if let Some(from) = later.truncate_from {
        if write.entries.first().is_none_or(|first| from <= first) {
            write.entries = Entries::none();
            let earlier = write.truncate_from.unwrap_or(from);
            write.truncate_from = Some(earlier.min(from));
        } else {
            write.entries.truncate(from);
        }
    }
    if let Some(later) = later.compact {
        let snapshot = later.snapshot.or(write.compact.and_then(|former| former.snapshot));
        write.compact = Some(Compaction { base: later.base, snapshot });
        let kept = write.entries.chunks().filter_map(|chunk| chunk.from(later.base.index.next()));
        let mut entries = Entries::none();
        kept.for_each(|chunk| entries.push(chunk));
        write.entries = entries;
    }
    for chunk in later.entries.chunks() {
        write.entries.push(chunk.clone());
    }
}

#[cfg(test)]
mod tests;
