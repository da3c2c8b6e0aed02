//! What storage read of a log back: to be applied, or for a member that is behind.
//!
//! What it does not give back (rule 10) is, of three kinds,
//! - applied: the machine has it. The log is written down up to there, and cut; so
//!   it is with what storage itself cannot move (D52). Nothing is lost, nobody stops;
//! - not applied, and damaged: a loss. The group is opened again, to be refilled
//!   (`reopen.rs`);
//! - not applied, and not readable now: it is asked for again after a pause; for too
//!   long (`patience.rs`), it is damaged. A member without others goes on asking, for
//!   nobody could refill it.

use crate::effects::{Purpose, StorageRead};
use crate::error::Halt;
use crate::member::Member;
use crate::observe::Note;
use crate::patience::{READ_TRIES_MAX, given_up};
use crate::port::{StateMachine, StorageError};
use crate::reopening::Lost;
use crate::shard::state::State;
use raftlet_core::{Entries, Now, mutants};

impl<M: StateMachine> State<M> {
    pub(super) fn on_storage_read(
        &mut self,
        now: Now,
        read: StorageRead,
        result: Result<Entries, StorageError>,
    ) {
        let mut reading = self.storage_reads_under_way.iter();
        if let Some(at) = reading.position(|slot| *slot == read.slot) {
            self.storage_reads_under_way.swap_remove(at);
        }
        let Some(member) = self.members.get_mut(read.slot) else {
            return;
        };
        match (read.purpose, result) {
            (_, Err(error @ StorageError::Poisoned { .. })) => self.poison(now, &error),
            // Asked before a snapshot took the place of the log.
            (Purpose::Apply, _) if member.applier.drop_void() => {}
            (Purpose::Fetch(id), Err(StorageError::Missing { .. }))
                if read.first <= member.core.base().index =>
            {
                member.core.on_fetched(now, id, None);
            }
            (Purpose::Apply, Ok(entries)) => {
                if let Err(halt) = member.applier.on_read(entries, &member.core) {
                    self.halt(now, read.slot, &halt);
                }
            }
            (Purpose::Fetch(id), Ok(entries)) => member.core.on_fetched(now, id, Some(entries)),
            (Purpose::Fetch(id), Err(why)) if outlives(member, &read, &why) => {
                // As far as the machine has it; what is behind is asked for again.
                let until = read.last.min(member.applier.applied());
                if member.policy.pin(until) {
                    let group = member.group;
                    self.due.notes.push(Note::Outlived { group, why });
                }
                member.core.on_fetched(now, id, None);
            }
            (Purpose::Apply, Err(error @ StorageError::Unreadable { .. })) => {
                let tries = member.applier.on_unreadable(now.time);
                let group = member.group;
                if tries >= READ_TRIES_MAX && member.has_others() {
                    let lost = Lost::Unread { first: read.first, last: read.last };
                    let halt = Halt::Storage(given_up(group, &error));
                    self.halt_or_reopen(now, read.slot, halt, lost);
                } else if tries % READ_TRIES_MAX == 1 {
                    self.due.notes.push(Note::NotRead { group, why: error });
                }
            }
            (Purpose::Fetch(id), Err(StorageError::Unreadable { .. })) => {
                member.core.on_fetched(now, id, None);
            }
            // What should be held is damaged or missing (rule 10).
            (_, Err(error)) => {
                let lost = Lost::Entries { first: read.first, last: read.last };
                self.halt_or_reopen(now, read.slot, Halt::Storage(error), lost);
            }
        }
        self.mark_dirty(read.slot);
    }
}

/// Whether the machine holds what storage does not give back, and can be written
/// down.
fn outlives<M: StateMachine>(member: &Member<M>, read: &StorageRead, why: &StorageError) -> bool {
    let is_lost = matches!(why, StorageError::Damaged { .. } | StorageError::Unreadable { .. });
    is_lost
        && read.first <= member.applier.applied()
        && !member.applier.is_installing()
        && member.policy.may_take()
        && !mutants::is_active(174)
}
