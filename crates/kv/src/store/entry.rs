//! What the store keeps of a key.

use std::mem::size_of;

use crate::store::deadlines::Deadline;
use crate::store::digest;
use crate::value::{Contents, Value};
use raftlet::core::Index;

/// What an entry takes beyond the bytes of its key and value: the map's slot
/// and spare room, and two allocations' headers. An estimate.
const OVERHEAD_BYTES: usize = size_of::<Entry>() + 56;

/// What a deadline takes: its place in the index of deadlines, apart from the
/// key there. An estimate.
const DEADLINE_BYTES: usize = 40;

/// A value with its deadline, and what must be known to take it out of the
/// digest and the accounts without looking at it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) deadline: Option<Deadline>,
    /// The index of the entry of the log that wrote it last; what `WATCH`
    /// compares.
    pub(crate) version: Index,
    /// Its part in the digest.
    pub(super) part: u64,
    /// What the value took when it was counted in.
    value_bytes: usize,
}

impl Entry {
    pub(super) fn new(
        key: &[u8],
        value: Value,
        deadline: Option<Deadline>,
        version: Index,
    ) -> Self {
        let contents = value.contents();
        Self::known(key, value, contents, deadline, version)
    }

    /// The same of a value whose contents are known.
    pub(super) fn known(
        key: &[u8],
        value: Value,
        Contents { hash, bytes }: Contents,
        deadline: Option<Deadline>,
        version: Index,
    ) -> Self {
        let part = digest::part(key, hash, value.type_name(), deadline);
        Self { value, deadline, version, part, value_bytes: bytes }
    }

    /// The value was changed in place, at `version`.
    pub(super) fn refresh(&mut self, key: &[u8], version: Index) {
        let contents = self.value.contents();
        self.refresh_known(key, contents, version);
    }

    /// The same, of a value whose contents are known.
    #[inline]
    pub(super) fn refresh_known(
        &mut self,
        key: &[u8],
        Contents { hash, bytes }: Contents,
        version: Index,
    ) {
        self.part = digest::part(key, hash, self.value.type_name(), self.deadline);
        self.value_bytes = bytes;
        self.version = version;
    }

    /// Whether the key is gone, though perhaps not removed yet.
    pub(super) fn has_lapsed(&self, log_time_ms: u64) -> bool {
        self.deadline.is_some_and(|deadline| deadline.ms() <= log_time_ms)
    }

    /// Roughly the memory it takes, the key included.
    pub(super) fn used_bytes(&self, key: &[u8]) -> u64 {
        let deadline = if self.deadline.is_some() { DEADLINE_BYTES + key.len() } else { 0 };
        let bytes = OVERHEAD_BYTES + deadline + key.len();
        u64::try_from(bytes.saturating_add(self.value_bytes)).unwrap_or(u64::MAX)
    }
}
