//! Room for the log: what storage says of it, and what follows.
//!
//! Storage is asked after each write, and from time to time while it wants
//! something. Groups that keep space from it are written down and their logs
//! cut, also when they are idle; of those that do not run storage is told, for
//! nobody writes them down. One that is opened later is written down from then on
//! (`shard/open.rs`). While room is short no new entries are taken.
//!
//! Invariants
//! - A proposal that is refused for want of room is in no log (rule 33).
//! - While room is short every ack says so: a leader without a quorum that has
//!   room takes no proposals either.
//!
//! Not here: what is taken while room is short (`space.rs`), what a leader makes of acks (the core), writing a group down
//! (`shard/snapshots.rs`), a write that found no room at all (`shard/writer.rs`).

use crate::error::NotDone;
use crate::port::{Pin, Ports, Room, Shortage, StateMachine, Storage};
use crate::shard::Shared;
use crate::shard::state::State;
use raftlet_core::{GroupId, Now};

/// What storage says of room.
struct Said {
    shortage: Option<Shortage>,
    room: Room,
    pins: Vec<Pin>,
    is_roomy: bool,
    /// A write has just ended: what it brought is counted.
    has_written: bool,
}

impl<M: StateMachine> State<M> {
    /// What storage said of room. Returns which of the groups that keep space
    /// nobody writes down.
    fn on_space(&mut self, now: Now, said: &Said) -> Vec<GroupId> {
        let Said { shortage, pins, room, is_roomy, has_written } = said;
        let is_round = self.space.is_due(now.time) | self.space.on_roomy(*is_roomy);
        let on_their_way = self.writer.bytes_on_their_way(*has_written);
        let left =
            |bytes| usize::try_from(bytes).unwrap_or(usize::MAX).saturating_sub(on_their_way);
        self.space.on_room(*shortage, left(room.free), left(room.in_all));
        self.space.on_said(now.time, *shortage, pins.len());
        self.note_space();
        let mut stranded = Vec::new();
        for pin in pins {
            let slot = self.by_group.get(&pin.group).copied();
            let member = slot.and_then(|slot| self.members.get_mut(slot));
            let runs = member.filter(|member| member.halted.is_none());
            let (Some(slot), Some(member)) = (slot, runs) else {
                stranded.push(pin.group);
                continue;
            };
            let is_news = member.policy.pin(pin.until);
            if is_news || is_round {
                self.mark_dirty(slot);
            }
        }
        stranded
    }

    /// What room is short of, while new entries are refused.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        self.space.shortage().or(self.writer.is_full().then_some(Shortage::Device))
    }

    /// Why a proposal may not be taken in now.
    pub(crate) fn space_refusal(&self) -> Option<NotDone> {
        self.shortage().map(|shortage| match shortage {
            Shortage::Device => NotDone::NoSpace,
            Shortage::Limit => NotDone::LogFull,
            Shortage::Quorum => NotDone::QuorumFull,
        })
    }

    /// Tells what changed of room.
    pub(super) fn note_space(&mut self) {
        let shortage = self.shortage();
        self.observer.note_space(shortage, &mut self.due.notes);
    }
}

impl<P: Ports> Shared<P> {
    /// Asks storage about room when a write has ended or it is time.
    pub(in crate::shard) fn ask_space(&self, now: Now, has_written: bool) {
        if has_written || self.state.with(|state| state.space.is_due(now.time)) {
            let storage = &self.storage;
            let (shortage, room) = (storage.shortage(), storage.room());
            let (pins, is_roomy) = (storage.pins(), storage.is_roomy());
            let said = Said { shortage, room, pins, is_roomy, has_written };
            let stranded = self.state.with(|state| state.on_space(now, &said));
            if !stranded.is_empty() {
                storage.strand(&stranded);
            }
        }
    }
}
