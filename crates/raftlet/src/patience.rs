//! For how long storage that cannot read now is asked again.
//!
//! A device that gives nothing back for a moment (a cable, a controller that resets
//! itself) holds all it ever held: taken for lost at once, that would be sent
//! again, and if a majority of the members meets the same, nobody could. One that
//! goes on so holds up its group for ever: then what it holds there counts as
//! damaged, and the group goes the way of that (`shard/reopen.rs`).
//!
//! Invariant: what is given up here is told to storage by a write, so a device that
//! is gone altogether loses nothing by it: that write poisons the shard (rule 9).

use crate::port::StorageError;
use raftlet_core::GroupId;

/// How long storage that could not read rests before it is asked again.
pub(crate) const READ_PAUSE_NS: u64 = 100_000_000;
/// How often it is asked for the same. With the pauses about ten seconds, longer than
/// a disk's own repetitions of a read (seven seconds by default, SCT error recovery
/// control) or a reset of its link take.
pub(crate) const READ_TRIES_MAX: u32 = 100;

/// What cannot be read for so long is damaged.
pub(crate) fn given_up(group: GroupId, error: &StorageError) -> StorageError {
    let detail = format!("{error}, tried {READ_TRIES_MAX} times");
    StorageError::Damaged { group, detail }
}
