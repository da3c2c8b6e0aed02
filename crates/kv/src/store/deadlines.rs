//! Which keys lapse when, earliest first.
//!
//! Invariant: holds exactly the keys whose entries have a deadline, each under
//! that deadline. Without any, a write pays for one comparison.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

/// The log time at which a key is gone, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(NonZeroU64);

impl Deadline {
    /// `None` for the beginning of time, at which nothing can be written.
    pub(crate) fn at_ms(ms: u64) -> Option<Self> {
        NonZeroU64::new(ms).map(Self)
    }

    pub(crate) fn ms(self) -> u64 {
        self.0.get()
    }
}

/// Keys by deadline.
#[derive(Debug)]
pub(super) struct Deadlines {
    keys: BTreeSet<(Deadline, Box<[u8]>)>,
    /// The first of them; the end of time if there is none.
    earliest_ms: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { keys: BTreeSet::new(), earliest_ms: u64::MAX }
    }
}

impl Deadlines {
    /// Drops up to `len` of them. False: none are left.
    pub(super) fn shed(&mut self, len: usize) -> bool {
        let dropped = (0..len).map_while(|_| self.keys.pop_first()).count();
        dropped > 0
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn earliest_ms(&self) -> u64 {
        self.earliest_ms
    }

    pub(super) fn change(&mut self, key: &[u8], from: Option<Deadline>, to: Option<Deadline>) {
        if from == to {
            return;
        }
        if let Some(from) = from {
            self.keys.remove(&(from, key.into()));
        }
        if let Some(to) = to {
            self.keys.insert((to, key.into()));
        }
        self.note_earliest();
    }

    /// Takes the earliest key out, if `log_time_ms` has reached its deadline.
    pub(super) fn pop_lapsed(&mut self, log_time_ms: u64) -> Option<Box<[u8]>> {
        if self.earliest_ms > log_time_ms {
            return None;
        }
        let (_, key) = self.keys.pop_first()?;
        self.note_earliest();
        Some(key)
    }

    fn note_earliest(&mut self) {
        self.earliest_ms = self.keys.first().map_or(u64::MAX, |(deadline, _)| deadline.ms());
    }
}
