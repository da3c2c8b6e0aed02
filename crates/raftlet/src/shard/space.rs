//! Room for the log: what storage says of it, and what follows.
//!
//! Storage is asked after each write, and from time to time while it wants
//! something. Groups that keep space from it are written down and their logs
//! cut, also when they are idle; while room is short no new entries are taken.
//!
//! Invariants
//! - A proposal that is refused for want of room is in no log (rule 33).
//! - What was appended before room became short is still written: a member whose
//!   machine were ahead of its own log for good could never be written down
//!   (rule 8), and so never free anything.
//!
//! Not here: writing a group down (`shard/snapshots.rs`), a write that found no
//! room at all (`shard/writer.rs`).

use crate::error::NotDone;
use crate::port::{Pin, Ports, Shortage, StateMachine, Storage};
use crate::shard::Shared;
use crate::shard::state::State;
use raftlet_core::{Body, Message, Now, Time};

/// How often storage is asked while it wants something.
const ASK_NS: u64 = 200_000_000;
/// Bytes of entries that a member still takes from leaders while room is short:
/// the ends of logs that differ, and what opens terms, so that elections end and
/// reads go on though no member has room. Well below what storage has reserved.
const SHORT_APPEND_BYTES_MAX: usize = 1 << 20;
/// What an entry counts at least: a block of a log that was written alone.
const SHORT_APPEND_BYTES_MIN: usize = 4 << 10;

/// What is known of room.
#[derive(Debug)]
pub(crate) struct Space {
    shortage: Option<Shortage>,
    pinned: usize,
    /// Bytes of entries that leaders may still bring.
    appends_left: usize,
    ask_at: Option<Time>,
}

impl Default for Space {
    fn default() -> Self {
        // A start asks at once: the disk may be full already.
        Self { shortage: None, pinned: 0, appends_left: 0, ask_at: Some(Time::ZERO) }
    }
}

impl Space {
    /// When storage is asked again if nothing else happens first.
    pub(crate) const fn next_deadline(&self) -> Option<Time> {
        self.ask_at
    }

    fn is_due(&self, now: Time) -> bool {
        self.ask_at.is_some_and(|at| at <= now)
    }

    /// Groups that are in the way.
    pub(crate) const fn pinned(&self) -> usize {
        self.pinned
    }

    /// Whether a message may not be taken, because of the entries that it brings.
    pub(crate) fn refuses(&mut self, is_full: bool, message: &Message) -> bool {
        if !is_full && self.shortage.is_none() {
            return false;
        }
        match &message.body {
            Body::Forward(_) => true,
            Body::Append(append) if append.entries.is_empty() => false,
            Body::Append(_) if is_full => true,
            Body::Append(append) => {
                let bytes = append.entries.bytes_len().max(SHORT_APPEND_BYTES_MIN);
                let left = self.appends_left.checked_sub(bytes);
                self.appends_left = left.unwrap_or(self.appends_left);
                left.is_none()
            }
            _ => false,
        }
    }
}

impl<M: StateMachine> State<M> {
    /// What storage said of room.
    fn on_space(&mut self, now: Now, shortage: Option<Shortage>, pins: &[Pin]) {
        if self.space.shortage.is_none() && shortage.is_some() {
            self.space.appends_left = SHORT_APPEND_BYTES_MAX;
        }
        let is_round = self.space.is_due(now.time);
        self.space.shortage = shortage;
        self.space.pinned = pins.len();
        self.note_space();
        for pin in pins {
            let Some(slot) = self.by_group.get(&pin.group).copied() else {
                continue;
            };
            let is_news = self.members.get_mut(slot).is_some_and(|it| it.policy.pin(pin.until));
            if is_news || is_round {
                self.mark_dirty(slot);
            }
        }
        let wants = shortage.is_some() || !pins.is_empty();
        self.space.ask_at = match self.space.ask_at {
            Some(at) if wants && at > now.time => Some(at),
            _ => wants.then(|| now.time.after_ns(ASK_NS)),
        };
    }

    /// What room is short of, while new entries are refused.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        if self.writer.is_full() { Some(Shortage::Device) } else { self.space.shortage }
    }

    /// Why a proposal may not be taken in now.
    pub(crate) fn space_refusal(&self) -> Option<NotDone> {
        self.shortage().map(|shortage| match shortage {
            Shortage::Device => NotDone::NoSpace,
            Shortage::Limit => NotDone::LogFull,
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
            let (shortage, pins) = (self.storage.shortage(), self.storage.pins());
            self.state.with(|state| state.on_space(now, shortage, &pins));
        }
    }
}
