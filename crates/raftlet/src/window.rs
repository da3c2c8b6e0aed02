//! Which forwarded entries take effect: the dedup window (rule 33).
//!
//! A forward may stand in the log twice, because its first reply was lost. The
//! window decides at apply, from the log alone, which copy counts. It is
//! replicated state: every member that applied the same entries holds the same
//! window, also after a restart that replays the log.
//!
//! Per origin it knows a run, a floor and the sequences seen above the floor,
//! as ranges.
//!
//! Invariants
//! - A sequence takes effect at most once; at or below the floor, never.
//! - The floor never falls. A later run of a node starts its own; entries of
//!   an earlier run then have no effect: nobody waits for them any more.
//! - Both an origin's ranges and the origins are bounded by constants that are
//!   part of the replicated semantics: changing one is a format change.
//!
//! Why an honest origin never loses a live sequence to the floor: it sends the
//! next forward only when the former is known appended, and holds new ones
//! back while any of an earlier term is undecided (`forward.rs`). So its live
//! sequences are its newest, and gaps are left only by dead ones.
//!
//! Not here: who waits for which sequence (`forward.rs`).

use std::collections::BTreeMap;

use raftlet_core::{Incarnation, Index, NodeId, Origin, Run};

/// How far an origin's newest sequence may lie above its floor.
pub(crate) const WINDOW_SPAN: u64 = 1 << 16;
/// Ranges of sequences remembered above the floor of one origin.
pub(crate) const RANGES_MAX: usize = 32;
/// Origins remembered: several times the members a group can have, so that
/// only nodes removed long ago are forgotten.
pub(crate) const ORIGINS_MAX: usize = 256;
const _: () = assert!(ORIGINS_MAX >= 4 * raftlet_core::MEMBERS_MAX);

/// What an entry with an origin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the first copy: apply it.
    Effective,
    /// Seen before, below the floor, or of a run that has passed.
    NoEffect,
}

/// The dedup window of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    origins: BTreeMap<(NodeId, Incarnation), OriginWindow>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct OriginWindow {
    run: Run,
    floor: u64,
    /// Inclusive, ascending, with gaps between them and above the floor.
    seen: Vec<(u64, u64)>,
    last_index: Index,
}

impl Window {
    /// Decides about the entry at `index`, which must be the next one in log
    /// order that has an origin.
    pub(crate) fn admit(&mut self, index: Index, origin: &Origin) -> Verdict {
        let key = (origin.node, origin.incarnation);
        if !self.origins.contains_key(&key) {
            self.make_room();
        }
        let window = self.origins.entry(key).or_insert_with(|| OriginWindow::new(origin.run));
        if origin.run < window.run {
            return Verdict::NoEffect;
        }
        if origin.run > window.run {
            *window = OriginWindow::new(origin.run);
        }
        window.last_index = index;
        window.admit(origin.sequence)
    }

    /// Forgets the origin silent for longest when one more would be too many.
    fn make_room(&mut self) {
        if self.origins.len() < ORIGINS_MAX {
            return;
        }
        let oldest = self.origins.iter().min_by_key(|(_, window)| window.last_index);
        if let Some(key) = oldest.map(|(key, _)| *key) {
            self.origins.remove(&key);
        }
    }
}

impl OriginWindow {
    const fn new(run: Run) -> Self {
        Self { run, floor: 0, seen: Vec::new(), last_index: Index::ZERO }
    }

    fn admit(&mut self, sequence: u64) -> Verdict {
        if sequence <= self.floor {
            return Verdict::NoEffect;
        }
        // The first range that ends at or behind the sequence.
        let at = self.seen.partition_point(|&(_, end)| end < sequence);
        if self.seen.get(at).is_some_and(|&(start, _)| start <= sequence) {
            return Verdict::NoEffect;
        }
        self.insert(at, sequence);
        self.raise_floor(sequence);
        Verdict::Effective
    }

    /// Adds a sequence before range `at`, joining its neighbours.
    fn insert(&mut self, at: usize, sequence: u64) {
        let joins_next = self.seen.get(at).is_some_and(|&(start, _)| start - 1 == sequence);
        let before = at.checked_sub(1).and_then(|at| self.seen.get_mut(at));
        match before {
            Some(before) if before.1 + 1 == sequence => {
                before.1 = sequence;
                if joins_next {
                    let (_, end) = self.seen.remove(at);
                    if let Some(before) = self.seen.get_mut(at - 1) {
                        before.1 = end;
                    }
                }
            }
            _ if joins_next => {
                if let Some(next) = self.seen.get_mut(at) {
                    next.0 = sequence;
                }
            }
            _ => self.seen.insert(at, (sequence, sequence)),
        }
    }

    /// Lifts the floor over what is seen, to within the span, and over the
    /// lowest gap when there are too many.
    fn raise_floor(&mut self, newest: u64) {
        self.floor = self.floor.max(newest.saturating_sub(WINDOW_SPAN));
        let mut absorbed = 0;
        for &(start, end) in &self.seen {
            let excess = self.seen.len() - absorbed > RANGES_MAX;
            if start > self.floor.saturating_add(1) && !excess {
                break;
            }
            self.floor = self.floor.max(end);
            absorbed += 1;
        }
        self.seen.drain(..absorbed);
    }
}

mod codec;

#[cfg(test)]
mod tests;
