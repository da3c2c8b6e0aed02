//! The keys of one group with their values.
//!
//! Changed only by [`Store::apply`], asked by [`Store::query`]. Equal commands
//! in equal order make equal contents and equal responses on every member.
//! What the commands of a family do stands in `store/string.rs`,
//! `store/key.rs` and so on; they reach entries through [`View`], through
//! `Store::live`, and change them with `put`, `take`, `remove` and `change`,
//! which keep everything below up to date.
//!
//! Invariants
//! - Members walk their keys in the same order, once the log has brought the
//!   seed of their hashes. Nothing else depends on it.
//! - The digest depends on the contents alone, not on how they came about
//!   (`store/digest.rs`).
//! - Log time never falls. A key whose deadline it has reached is invisible at
//!   once and removed soon after, by the entry that brought the time or by
//!   those behind it, alike on every member (rule 31).
//! - A stored key or value owns its bytes: it never keeps a log entry or a
//!   client's buffer alive.
//!
//! Not here: snapshots (`store/capture.rs`), a limit on memory, for which [`Store::used_bytes`]
//! counts, and when time entries are proposed (the server).

pub(crate) mod capture;
mod combination;
mod deadlines;
mod digest;
mod elements;
pub(crate) mod ending;
pub(crate) mod entry;
mod hash;
mod key;
mod lcs;
mod list;
mod lock;
pub(crate) mod ruin;
mod scan;
mod set;
pub(crate) mod snapshot;
mod sort;
mod sorted_set;
mod sorted_set_range;
mod string;
pub(crate) mod table;
mod transaction;
mod view;

use bytes::Bytes;

use crate::operation::response::{DataError, Response};
use crate::operation::{Command, Query};
use crate::pipeline::batch::Asked;
use crate::store::capture::Capture;
use crate::store::deadlines::{Deadline, Deadlines};
use crate::store::digest::Digest;
use crate::store::entry::Entry;
use crate::store::table::{Before, Hashed, Table};
use crate::store::view::View;
use crate::value::{Collection, Contents, Typed, Value};
use raftlet::core::Index;

/// Lapsed keys that one entry removes at most, so that a million deadlines at
/// one moment hold nobody up: a removal takes some 0.3 µs.
const REMOVED_PER_ENTRY_MAX: usize = 1_024;

/// The keys of one group with their values.
#[derive(Debug)]
pub struct Store {
    entries: Table<Entry>,
    /// The table hashes alike on all members.
    is_seeded: bool,
    deadlines: Deadlines,
    digest: Digest,
    used_bytes: u64,
    log_time_ms: u64,
    /// Of the last command: the version of what it writes.
    index: Index,
    /// Rare.
    captured: Option<Box<Capture>>,
    /// How many there were.
    captures: u64,
}

/// Where in the log a command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The entry's index.
    pub index: Index,
    /// The log's time there, in milliseconds.
    pub log_time_ms: u64,
}

/// Whether a change of a collection changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Changed,
    Untouched,
}

impl Effect {
    fn of(is_changed: bool) -> Self {
        if is_changed { Self::Changed } else { Self::Untouched }
    }
}

impl Store {
    /// An empty store. `hash_seed` scatters keys in memory, and shows in the
    /// order of walks until the log brings a seed for all members
    /// ([`Command::Seed`]). A server draws it, so that no client knows which
    /// keys collide.
    #[must_use]
    pub fn new(hash_seed: u64) -> Self {
        Self {
            entries: Table::new(hash_seed),
            is_seeded: false,
            deadlines: Deadlines::default(),
            digest: Digest::default(),
            used_bytes: 0,
            log_time_ms: 0,
            index: Index::ZERO,
            captured: None,
            captures: 0,
        }
    }

    /// Executes one command of the log.
    pub fn apply<B: AsRef<[u8]>>(&mut self, at: Applied, command: &Command<B>) -> Response {
        self.arrive(at);
        self.execute(command)
    }

    /// Executes [`StringCommand::Set`](crate::StringCommand::Set), the most frequent
    /// command of the log; its response is always [`Response::Ok`].
    pub(crate) fn set(&mut self, at: Applied, (key, hashed): (&[u8], Hashed), value: &[u8]) {
        self.arrive(at);
        if !self.overwrite(key, hashed, value) {
            self.put(key, Value::String(Bytes::copy_from_slice(value)), None);
        }
    }

    /// What a key hashes to, until the log brings another seed.
    #[inline]
    pub(crate) fn hashed(&self, key: &[u8]) -> Hashed {
        self.entries.hashed(key)
    }

    /// The log has come so far.
    #[inline]
    fn arrive(&mut self, at: Applied) {
        self.index = at.index;
        self.log_time_ms = self.log_time_ms.max(at.log_time_ms);
        if self.deadlines.earliest_ms() <= self.log_time_ms {
            self.remove_lapsed();
        }
    }

    /// Looks where keys are that are written next (`store/table/ahead.rs`).
    pub(crate) fn warm(&self, keys: impl Iterator<Item = Hashed>) {
        let touch = |entry: &Entry| entry.value.touch() ^ entry.part;
        self.entries.warm(keys, Before::Writes, touch);
    }

    /// Looks where keys are that are asked for next.
    pub(crate) fn warm_for_reads<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        let hashed = keys.map(|key| self.hashed(key));
        self.entries.warm(hashed, Before::Reads, |entry| entry.value.touch());
    }

    /// Answers one question as of the log's time.
    #[must_use]
    pub fn query<B: AsRef<[u8]>>(&self, query: &Query<B>) -> Response {
        answer(&View::of_log_time(self), query)
    }

    /// Answers one question as of the log's time, unless it meets a key that
    /// lapses between that and `clock_ms`, which is what the leader's clock is
    /// believed to show. Then it is to be asked again behind an entry that
    /// brings that time (rule 31).
    #[must_use]
    pub fn query_at<B: AsRef<[u8]>>(&self, query: &Query<B>, clock_ms: u64) -> Option<Response> {
        let view = View::of_clock(self, clock_ms);
        let response = answer(&view, query);
        (!view.met_lapsing()).then_some(response)
    }

    /// As [`Self::query_at`], of what a connection lends. `None` as well for
    /// what is no question.
    #[must_use]
    pub fn ask(&self, asked: Asked<'_>, clock_ms: u64) -> Option<Response> {
        match asked {
            Asked::Get { key } => {
                let view = View::of_clock(self, clock_ms);
                let value = view.typed::<Bytes>(key);
                let response = match value {
                    Ok(value) => Response::Value(value.cloned()),
                    Err(error) => Response::Refused(error),
                };
                (!view.met_lapsing()).then_some(response)
            }
            Asked::Query(query) => self.query_at(query, clock_ms),
            Asked::Set { .. } | Asked::Command(_) => None,
        }
    }

    /// How many keys there are; those that have lapsed count until they are
    /// removed.
    #[must_use]
    pub fn keys_len(&self) -> usize {
        self.entries.len()
    }

    /// How many of them have a deadline.
    #[must_use]
    pub fn deadlines_len(&self) -> usize {
        self.deadlines.len()
    }

    /// Whether the log has brought the seed of the hashes.
    #[must_use]
    pub fn is_seeded(&self) -> bool {
        self.is_seeded
    }

    /// The log time at which the next key lapses, if any has a deadline.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<u64> {
        (self.deadlines.len() > 0).then(|| self.deadlines.earliest_ms())
    }

    /// The latest time that a command brought.
    #[must_use]
    pub fn log_time_ms(&self) -> u64 {
        self.log_time_ms
    }

    /// Roughly the memory that keys and values take.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Equal for equal contents, and for different contents almost surely
    /// different. Kept up to date by every write; asking is free.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    fn execute<B: AsRef<[u8]>>(&mut self, command: &Command<B>) -> Response {
        match command {
            Command::String(command) => string::apply(self, command).into(),
            Command::Key(command) => key::apply(self, command).into(),
            Command::Hash(command) => hash::apply(self, command).into(),
            Command::List(command) => list::apply(self, command).into(),
            Command::Set(command) => set::apply(self, command).into(),
            Command::SortedSet(command) => sorted_set::apply(self, command).into(),
            Command::Sort(command) => sort::apply(self, command).into(),
            Command::Query(query) => self.query(query),
            Command::Tick => Response::Ok,
            Command::Lock(command) => lock::apply(self, command).into(),
            Command::Transaction(transaction) => transaction::apply(self, transaction),
            Command::Seed(seed) => {
                // The first counts: walks that go on must find their place.
                if !self.is_seeded {
                    self.is_seeded = true;
                    // Keys change their places: a capture would lose its own.
                    drop(self.end_any_capture());
                    self.entries.reseed(*seed);
                }
                Response::Ok
            }
        }
    }

    /// What scatters elements in memory.
    fn seed(&self) -> u64 {
        self.entries.seed()
    }

    fn remove_lapsed(&mut self) {
        for _ in 0..REMOVED_PER_ENTRY_MAX {
            let Some(key) = self.deadlines.pop_lapsed(self.log_time_ms) else {
                return;
            };
            self.save(&key);
            if let Some(entry) = self.entries.remove(&key) {
                self.count_out(&key, &entry);
                self.let_go(entry.value);
            }
        }
    }

    /// The entry of a key, unless it has lapsed.
    fn live(&self, key: &[u8]) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| !entry.has_lapsed(self.log_time_ms))
    }

    /// The value of a key, if it has one, and that is of the type.
    fn typed<T: Typed>(&self, key: &[u8]) -> Result<Option<&T>, DataError> {
        let entry = self.live(key);
        entry.map(|entry| T::of(&entry.value).ok_or(DataError::WrongType)).transpose()
    }

    /// Gives a key a value and a deadline or none, whatever it held.
    fn put(&mut self, key: &[u8], value: Value, deadline: Option<Deadline>) {
        self.put_as_of(key, value, deadline, self.index);
    }

    /// As [`Self::put`], as if the entry of the log at `version` did.
    fn put_as_of(&mut self, key: &[u8], value: Value, deadline: Option<Deadline>, version: Index) {
        if self.captured.is_some() {
            self.save(key);
        }
        let mut entry = Entry::new(key, value, deadline, version);
        self.count_in(key, &entry);
        if self.captured.is_some() {
            self.on_put(key, &mut entry.value);
        }
        let old = self.entries.put(key, entry);
        let old_deadline = old.as_ref().and_then(|old| old.deadline);
        if old_deadline.is_some() || deadline.is_some() {
            self.deadlines.change(key, old_deadline, deadline);
        }
        if let Some(old) = old {
            self.count_out(key, &old);
            self.let_go(old.value);
        }
    }

    /// As [`Self::put`] without a deadline, with a collection of `len`; an empty
    /// one leaves the key without a value.
    fn put_or_remove(&mut self, key: &[u8], value: Value, len: usize) {
        if len > 0 {
            self.put(key, value, None);
        } else {
            self.remove(key);
        }
    }

    /// As [`Self::put`], with a string.
    fn put_string(&mut self, key: &[u8], bytes: &[u8], deadline: Option<Deadline>) {
        if deadline.is_some() || !self.overwrite(key, self.hashed(key), bytes) {
            self.put(key, Value::String(Bytes::copy_from_slice(bytes)), deadline);
        }
    }

    /// Writes a string over the one that a key holds, where that is as long, has
    /// no deadline and is nobody else's: no allocation, and the accounts stay.
    fn overwrite(&mut self, key: &[u8], hashed: Hashed, bytes: &[u8]) -> bool {
        if self.captured.is_some() {
            return false;
        }
        let entry = self.entries.get_mut_hashed(key, hashed);
        let Some(entry) = entry.filter(|entry| entry.deadline.is_none()) else {
            return false;
        };
        // Of the bytes that came: those that were just written would be read back
        // out of writes that wait for memory.
        let contents = Contents::of_string(bytes);
        if !entry.value.overwrite(bytes) {
            return false;
        }
        let before = entry.part;
        entry.refresh_known(key, contents, self.index);
        let after = entry.part;
        self.digest.remove(before);
        self.digest.add(after);
        true
    }

    /// Gives a key another string, or its first; it keeps its deadline.
    fn replace_string(&mut self, key: &[u8], bytes: &[u8]) {
        let deadline = self.live(key).and_then(|entry| entry.deadline);
        self.put_string(key, bytes, deadline);
    }

    /// Gives a live key another deadline, or takes it off.
    fn set_deadline(&mut self, key: &[u8], deadline: Option<Deadline>) {
        if let Some(entry) = self.take(key) {
            self.put(key, entry.value, deadline);
        }
    }

    /// Takes everything out.
    fn clear(&mut self) {
        self.save_all();
        self.deadlines = Deadlines::default();
        self.digest = Digest::default();
        self.used_bytes = 0;
    }

    /// Takes a key out. `None` if there was none, or it has lapsed.
    fn take(&mut self, key: &[u8]) -> Option<Entry> {
        if self.captured.is_some() {
            self.save(key);
        }
        let mut entry = self.entries.remove(key)?;
        self.count_out(key, &entry);
        if entry.deadline.is_some() {
            self.deadlines.change(key, entry.deadline, None);
        }
        if entry.has_lapsed(self.log_time_ms) {
            self.let_go(entry.value);
            return None;
        }
        self.on_taken(&mut entry.value);
        Some(entry)
    }

    /// Whether there was something to remove.
    fn remove(&mut self, key: &[u8]) -> bool {
        self.take(key).map(|entry| self.let_go(entry.value)).is_some()
    }

    /// Changes the collection of a key in place, or an empty one if the key
    /// holds nothing. It keeps its deadline. Left empty, it is removed.
    ///
    /// # Errors
    /// [`DataError::WrongType`]: the key holds something else.
    fn change<T: Collection, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut T) -> (Effect, R),
    ) -> Result<R, DataError> {
        if self.captured.is_some() {
            self.save(key);
        }
        let log_time_ms = self.log_time_ms;
        let live = self.entries.get_mut(key).filter(|entry| !entry.has_lapsed(log_time_ms));
        let Some(entry) = live else {
            let mut collection = T::empty(self.seed());
            let (effect, result) = change(&mut collection);
            if effect == Effect::Changed && !collection.is_empty() {
                self.put(key, collection.into_value(), None);
            }
            return Ok(result);
        };
        let collection = T::of_mut(&mut entry.value).ok_or(DataError::WrongType)?;
        let (effect, result) = change(collection);
        let is_empty = collection.is_empty();
        if effect == Effect::Changed {
            let before = (entry.part, entry.used_bytes(key));
            entry.refresh(key, self.index);
            let after = (entry.part, entry.used_bytes(key));
            self.digest.remove(before.0);
            self.digest.add(after.0);
            self.used_bytes = self.used_bytes.saturating_sub(before.1).saturating_add(after.1);
            self.fetch_ahead(key);
            if is_empty {
                self.remove(key);
            }
        }
        Ok(result)
    }

    fn count_in(&mut self, key: &[u8], entry: &Entry) {
        self.digest.add(entry.part);
        self.used_bytes = self.used_bytes.saturating_add(entry.used_bytes(key));
    }

    fn count_out(&mut self, key: &[u8], entry: &Entry) {
        self.digest.remove(entry.part);
        self.used_bytes = self.used_bytes.saturating_sub(entry.used_bytes(key));
    }
}

fn answer<B: AsRef<[u8]>>(view: &View<'_>, query: &Query<B>) -> Response {
    match query {
        Query::String(query) => string::answer(view, query).into(),
        Query::Key(query) => key::answer(view, query),
        Query::Hash(query) => hash::answer(view, query).into(),
        Query::List(query) => list::answer(view, query).into(),
        Query::Set(query) => set::answer(view, query).into(),
        Query::SortedSet(query) => sorted_set::answer(view, query).into(),
        Query::Sort(query) => sort::answer(view, query).into(),
    }
}

#[cfg(test)]
mod expiry_tests;
#[cfg(test)]
mod tests;
