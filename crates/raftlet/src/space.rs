//! What is known of room for the log, and what is taken while it is short.
//!
//! A leader's log ends where the leader itself was told of the shortage, so what
//! a member lacks of it is bounded, and without it no term of a next leader can
//! begin with this member. So as much of it is taken as storage says that it has
//! room for, again and again as the log behind it is let go; and once in a
//! shortage a little more, which may be all it takes.
//!
//! Invariants
//! - What was appended before room became short is still written: a member whose
//!   machine were ahead of its own log for good could never be written down
//!   (rule 8), and so never free anything.
//! - Nothing more is taken than storage has room for: a write that found none
//!   would keep back what opens a term.
//!
//! Not here: asking storage and what follows (`shard/space.rs`).

use crate::port::Shortage;
use raftlet_core::{Append, Body, EntryKind, Message, Time, UNCOMMITTED_SHORT_BYTES_MAX};

/// How often storage is asked while it wants something.
const ASK_NS: u64 = 200_000_000;
/// Bytes of entries that a member takes from leaders between two answers of
/// storage while room is short. Well below what storage has reserved, also where
/// it has just noticed.
const SHORT_APPEND_BYTES_MAX: usize = 1 << 20;
// What may wait for a quorum while a member is short finds room at the next one.
const _: () = assert!(SHORT_APPEND_BYTES_MAX >= 2 * UNCOMMITTED_SHORT_BYTES_MAX);
/// What an append counts besides its bytes: blocks of a log at both its ends,
/// where it is written alone.
const SHORT_APPEND_BYTES_MORE: usize = 8 << 10;

/// What is known of room.
#[derive(Debug)]
pub(crate) struct Space {
    shortage: Option<Shortage>,
    pinned: usize,
    is_roomy: bool,
    /// Bytes of entries that leaders may still bring until storage is asked again.
    appends_left: usize,
    /// The same of what is kept for bad days.
    advance_left: usize,
    /// How much of that may still be had in this shortage.
    advance: usize,
    ask_at: Option<Time>,
}

impl Default for Space {
    fn default() -> Self {
        // A start asks at once: the disk may be full already.
        Self {
            shortage: None,
            pinned: 0,
            is_roomy: false,
            appends_left: 0,
            advance_left: 0,
            advance: 0,
            ask_at: Some(Time::ZERO),
        }
    }
}

impl Space {
    /// Bytes that storage has room for beyond those on their way: at any time,
    /// and in all. Told before what it has said.
    pub(crate) fn on_room(&mut self, shortage: Option<Shortage>, free: usize, in_all: usize) {
        let begins = self.shortage.is_none() && shortage.is_some();
        if begins || free >= SHORT_APPEND_BYTES_MAX {
            self.advance = SHORT_APPEND_BYTES_MAX;
        }
        self.appends_left = free.min(SHORT_APPEND_BYTES_MAX);
        self.advance_left = self.advance.min(in_all.saturating_sub(free));
    }

    /// What storage has said, with how many groups it named.
    pub(crate) fn on_said(&mut self, now: Time, shortage: Option<Shortage>, pinned: usize) {
        (self.shortage, self.pinned) = (shortage, pinned);
        let wants = shortage.is_some() || pinned > 0;
        self.ask_at = match self.ask_at {
            Some(at) if wants && at > now => Some(at),
            _ => wants.then(|| now.after_ns(ASK_NS)),
        };
    }

    /// Whether what is in the way may stay for a while. Returns whether that is
    /// news.
    pub(crate) fn on_roomy(&mut self, is_roomy: bool) -> bool {
        std::mem::replace(&mut self.is_roomy, is_roomy) != is_roomy
    }

    /// Whether what is in the way may stay for a while, for a member on its way.
    pub(crate) const fn is_roomy(&self) -> bool {
        self.is_roomy
    }

    /// What room is short of, by storage's word.
    pub(crate) const fn shortage(&self) -> Option<Shortage> {
        self.shortage
    }

    /// When storage is asked again if nothing else happens first.
    pub(crate) const fn next_deadline(&self) -> Option<Time> {
        self.ask_at
    }

    /// Whether it is time to ask.
    pub(crate) fn is_due(&self, now: Time) -> bool {
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
            // What opens terms and changes members: few, and without them no
            // election ends.
            Body::Append(append) if !brings_commands(append) => false,
            Body::Append(append) => {
                let bytes = append.entries.bytes_len().saturating_add(SHORT_APPEND_BYTES_MORE);
                !self.takes(bytes)
            }
            _ => false,
        }
    }
}

impl Space {
    /// Whether entries of so many bytes are taken.
    fn takes(&mut self, bytes: usize) -> bool {
        if let Some(left) = self.appends_left.checked_sub(bytes) {
            self.appends_left = left;
            return true;
        }
        let left = self.advance_left.checked_sub(bytes);
        if let Some(left) = left {
            (self.advance_left, self.advance) = (left, self.advance.saturating_sub(bytes));
        }
        left.is_some()
    }
}

fn brings_commands(append: &Append) -> bool {
    append.entries.iter().any(|entry| entry.kind == EntryKind::Command)
}
