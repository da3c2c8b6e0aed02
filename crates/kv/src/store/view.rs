//! The keys as a question sees them: at one moment of log time.
//!
//! What has lapsed by log time is not there. What will have lapsed by the
//! leader's clock is, but meeting it is remembered: the answer is then not to
//! be given before log time has come so far (rule 31).

use std::cell::Cell;

use crate::operation::response::DataError;
use crate::store::Store;
use crate::store::entry::Entry;
use crate::value::Typed;

/// The keys of a store at one moment.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(super) store: &'a Store,
    clock_ms: u64,
    met_lapsing: Cell<bool>,
}

impl<'a> View<'a> {
    pub(super) fn of_log_time(store: &'a Store) -> Self {
        Self { store, clock_ms: store.log_time_ms, met_lapsing: Cell::new(false) }
    }

    pub(super) fn of_clock(store: &'a Store, clock_ms: u64) -> Self {
        let clock_ms = clock_ms.max(store.log_time_ms);
        Self { store, clock_ms, met_lapsing: Cell::new(false) }
    }

    /// What the leader's clock shows, as far as is known; not before log time.
    pub(super) fn clock_ms(&self) -> u64 {
        self.clock_ms
    }

    /// Whether a key was asked for that lapses before the clock's time.
    pub(super) fn met_lapsing(&self) -> bool {
        self.met_lapsing.get()
    }

    /// The entry of a key, unless it has lapsed.
    pub(super) fn live(&self, key: &[u8]) -> Option<&'a Entry> {
        let entry = self.store.live(key)?;
        if entry.has_lapsed(self.clock_ms) {
            self.met_lapsing.set(true);
        }
        Some(entry)
    }

    /// What scatters elements in memory.
    pub(super) fn seed(&self) -> u64 {
        self.store.seed()
    }

    /// The value of a key, if it has one, and that is of the type.
    pub(super) fn typed<T: Typed>(&self, key: &[u8]) -> Result<Option<&'a T>, DataError> {
        let entry = self.live(key);
        entry.map(|entry| T::of(&entry.value).ok_or(DataError::WrongType)).transpose()
    }
}
