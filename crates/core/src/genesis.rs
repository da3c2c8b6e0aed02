//! How a group begins (rule 5).
//!
//! Entry 1 is the first configuration, in the term before every election. All
//! initial members write it, byte for byte alike, before they vote or
//! acknowledge anything; a member that joins later gets it by replication.

use std::iter;

use crate::entry::arena::Arena;
use crate::entry::{Chunk, Entries, EntryKind, NewEntry, Seal};
use crate::ids::{Generation, GroupId, Index, LogId, Term};
use crate::membership::Configuration;

/// Entry 1 of a group. Goes to storage together with term
/// [`Term::BOOTSTRAP`] and no vote.
#[must_use]
pub fn genesis(group: GroupId, generation: Generation, configuration: &Configuration) -> Entries {
    let mut payload = Vec::new();
    configuration.encode(&mut payload);
    let entry = NewEntry {
        kind: EntryKind::Configuration,
        log_time_ms: 0,
        origin: None,
        payload: &payload,
    };
    let first = LogId { term: Term::BOOTSTRAP, index: Index::FIRST };
    let mut arena = Arena::new(entry.bytes());
    Chunk::encode(&mut arena, Seal::new(group, generation), first, iter::once(entry)).into()
}
