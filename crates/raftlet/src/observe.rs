//! What happened to groups, as lines of a log: the one place of the library
//! that logs.
//!
//! The core reports events and counts; it never logs (D1). The shard notes
//! here what of that is news, in the borrow of a turn, and the lines leave
//! outside of it: who receives them is foreign code.
//!
//! | level | what |
//! | --- | --- |
//! | error | somebody must act: a group halted, members hold different states, a member lost what it had acknowledged |
//! | warn | leadership given up for want of a quorum or of a disk, a full disk, messages that cannot be |
//! | info | who leads, once a group and term |
//! | debug | campaigns, configurations, truncations |
//!
//! Invariants
//! - No line per entry, message or request.
//! - Many groups that change leaders in one turn are one line at `info`; what a
//!   peer can repeat at will is told the first, second, fourth, eighth … time, or once a minute.
//!
//! Not here: counting (`core::Counters`, `status.rs`).

use std::collections::BTreeMap;

use tracing::{debug, error, info, warn};

use crate::error::{Halt, SnapshotError};
use crate::port::{Shortage, StorageError};
use crate::snapshot::hold::End;
use crate::timers::Slot;
use raftlet_core::{
    Counters, Diverged, Divergence, Event, GroupId, Index, LogId, NodeId, Role, Term,
    TransferFailure,
};

/// Groups of one turn whose leaders are told one by one at `info`.
const LEADER_LINES_MAX: usize = 8;

/// Differences that are told one by one; later ones ever more rarely.
const DIVERGENCE_LINES: u64 = 8;

/// Something worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// Role, term or leader changed.
    Office { group: GroupId, role: Role, term: Term, leader: Option<NodeId> },
    /// The group gave up leading although nobody else leads.
    GaveUp { group: GroupId, term: Term, why: GaveUp },
    /// Another configuration is in effect.
    Configuration { group: GroupId, index: Index },
    /// The member holds no seat any more.
    Removed { group: GroupId, as_of: LogId },
    /// A transfer came to nothing.
    NotTransferred { group: GroupId, why: TransferFailure },
    /// A later leader's entries took the place of ours.
    Truncated { group: GroupId, from: LogId },
    /// The group's snapshot is damaged, and all of its log counts as lost.
    Forsaken { group: GroupId, why: StorageError },
    /// The group was opened again for damage, of which its log has all still.
    Spared { group: GroupId, why: StorageError },
    /// Entries of the group are damaged, and those behind them count as lost.
    Lost { group: GroupId, why: StorageError },
    /// It is asked for again.
    NotRead { group: GroupId, why: StorageError },
    /// What storage does not give back the machine has: it is written down anew.
    Outlived { group: GroupId, why: StorageError },
    /// What storage had lost of the group is there again.
    Refilled { group: GroupId },
    /// The group takes no part any more.
    Halted { group: GroupId, halt: Halt },
    /// Storage failed, and with it every group of the shard (rule 9).
    Poisoned { error: StorageError },
    /// A member came back without what it had acknowledged (rule 4).
    LostTail { group: GroupId, times: u64 },
    /// Another member holds something else at the same index (D3).
    Diverged { group: GroupId, diverged: Diverged, times: u64 },
    /// A message claimed what cannot be.
    Impossible { group: GroupId, times: u64 },
    /// A group was not written down.
    NotTaken { group: GroupId, why: SnapshotError, times: u64 },
    /// A leader's snapshot was not taken.
    NotReceived { group: GroupId, why: StorageError, times: u64 },
    /// What lies behind a snapshot on its way to a member could not stay, for want of
    /// room or at the limit of what may be held.
    NotHeld { group: GroupId, node: NodeId, entry: Index, end: Option<End>, times: u64 },
    /// New entries are refused for want of room, or not any more.
    Full(Option<Shortage>),
    /// This leader refuses proposals because no quorum has room, or not any more.
    QuorumFull { group: GroupId, is_short: bool },
}

/// Why leadership was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GaveUp {
    /// No majority answered (rule 20).
    QuorumLost,
    /// The own disk hung (rule 8).
    Stalled,
}

/// What tells news from what is known.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    /// Stalls and lost quorums of groups when they last gave up leading; of
    /// others there were none. At most one place for each group.
    given_up: BTreeMap<Slot, (u64, u64)>,
    shortage: Option<Shortage>,
}

/// Alarms of a group, to be compared before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alarms {
    lost_tails: u64,
    impossible: u64,
}

impl Alarms {
    pub(crate) const fn of(counters: &Counters) -> Self {
        Self { lost_tails: counters.lost_tails, impossible: counters.impossible }
    }

    /// Notes what was added since `before`.
    pub(crate) fn note_since(self, before: Self, group: GroupId, notes: &mut Vec<Note>) {
        if passed_power_of_two(before.lost_tails, self.lost_tails) {
            notes.push(Note::LostTail { group, times: self.lost_tails });
        }
        if passed_power_of_two(before.impossible, self.impossible) {
            notes.push(Note::Impossible { group, times: self.impossible });
        }
    }
}

/// Whether counting from `before` to `after` came by 1, 2, 4, 8, …
fn passed_power_of_two(before: u64, after: u64) -> bool {
    after.checked_ilog2() > before.checked_ilog2()
}

impl Observer {
    /// Notes an event of a group; `was_leader` of before it.
    pub(crate) fn note(
        &mut self,
        (slot, group): (Slot, GroupId),
        was_leader: bool,
        counters: &Counters,
        event: &Event,
        notes: &mut Vec<Note>,
    ) {
        match event {
            Event::Office { role, term, leader } => {
                if was_leader && *role != Role::Leader {
                    self.note_given_up((slot, group), *term, counters, notes);
                }
                notes.push(Note::Office { group, role: *role, term: *term, leader: *leader });
            }
            Event::Configuration { index } => {
                notes.push(Note::Configuration { group, index: *index });
            }
            Event::Removed { as_of } => {
                notes.push(Note::Removed { group, as_of: *as_of });
            }
            Event::NotTransferred { why } => notes.push(Note::NotTransferred { group, why: *why }),
            Event::Diverged(diverged) => {
                let times = counters.divergences;
                notes.push(Note::Diverged { group, diverged: *diverged, times });
            }
            Event::Truncated { from } => notes.push(Note::Truncated { group, from: *from }),
            Event::Refilled => notes.push(Note::Refilled { group }),
            Event::QuorumRoom { is_short } => {
                notes.push(Note::QuorumFull { group, is_short: *is_short });
            }
        }
    }

    /// A group begins to count anew.
    pub(crate) fn forget(&mut self, slot: Slot) {
        self.given_up.remove(&slot);
    }

    /// Notes what room is short of, if of anything.
    pub(crate) fn note_space(&mut self, shortage: Option<Shortage>, notes: &mut Vec<Note>) {
        if std::mem::replace(&mut self.shortage, shortage) != shortage {
            notes.push(Note::Full(shortage));
        }
    }

    fn note_given_up(
        &mut self,
        (slot, group): (Slot, GroupId),
        term: Term,
        counters: &Counters,
        notes: &mut Vec<Note>,
    ) {
        let now = (counters.stalls, counters.quorum_lost);
        let (stalls, quorum_lost) = self.given_up.insert(slot, now).unwrap_or_default();
        if counters.stalls > stalls {
            notes.push(Note::GaveUp { group, term, why: GaveUp::Stalled });
        } else if counters.quorum_lost > quorum_lost {
            notes.push(Note::GaveUp { group, term, why: GaveUp::QuorumLost });
        }
    }
}

/// Writes the lines, and empties `notes`.
pub(crate) fn tell(notes: &mut Vec<Note>) {
    let is_led = |note: &&Note| matches!(note, Note::Office { leader: Some(_), .. });
    let led = notes.iter().filter(is_led).count();
    if led > LEADER_LINES_MAX {
        let own = |note: &&Note| matches!(note, Note::Office { role: Role::Leader, .. });
        info!(groups = led, led = notes.iter().filter(own).count(), "leaders changed");
    }
    for note in notes.drain(..) {
        match note {
            Note::Office { group, role, term, leader } => {
                tell_office(group, (role, term, leader), led <= LEADER_LINES_MAX);
            }
            note => tell_one(note),
        }
    }
}

fn tell_office(group: GroupId, office: (Role, Term, Option<NodeId>), is_news: bool) {
    let (role, term, leader) = office;
    let (group, term, leader) = (group.get(), term.get(), leader.map(NodeId::get));
    match (role, leader) {
        (Role::Leader, _) if is_news => info!(group, term, "leads"),
        (Role::Follower, Some(leader)) if is_news => info!(group, term, leader, "follows"),
        (Role::Leader, _) => debug!(group, term, "leads"),
        (Role::Follower, Some(leader)) => debug!(group, term, leader, "follows"),
        (Role::Follower, None) => debug!(group, term, "knows no leader"),
        (Role::PreCandidate, _) => debug!(group, term, "asks whether it could lead"),
        (Role::Candidate, _) => debug!(group, term, "asks for votes"),
    }
}

fn tell_one(note: Note) {
    match note {
        Note::Office { .. } => {}
        Note::GaveUp { group, term, why } => {
            let why = match why {
                GaveUp::QuorumLost => "no majority answers",
                GaveUp::Stalled => "a write of the log hangs",
            };
            warn!(group = group.get(), term = term.get(), why, "gives up leading");
        }
        Note::Configuration { group, index } => {
            debug!(group = group.get(), index = index.get(), "another configuration is in effect");
        }
        Note::Removed { group, as_of } => {
            let index = as_of.index.get();
            warn!(group = group.get(), index, "this node was removed from the group");
        }
        Note::NotTransferred { group, why } => {
            info!(group = group.get(), ?why, "leadership was not transferred");
        }
        Note::Truncated { group, from } => {
            let (term, index) = (from.term.get(), from.index.get());
            debug!(group = group.get(), term, index, "a later leader's entries replace ours");
        }
        Note::Forsaken { .. }
        | Note::Spared { .. }
        | Note::Lost { .. }
        | Note::NotRead { .. }
        | Note::Outlived { .. } => {
            tell_damage(note);
        }
        Note::Refilled { group } => {
            info!(group = group.get(), "holds again what was damaged, and votes");
        }
        Note::Halted { group, halt } => {
            error!(group = group.get(), why = %halt, "takes no part any more");
        }
        Note::Poisoned { error } => {
            error!(why = %error, "storage failed: no group here takes part")
        }
        Note::LostTail { group, times } => error!(
            group = group.get(),
            times,
            "a member came back without entries it had acknowledged: its disk is damaged, or an old \
             copy"
        ),
        Note::Diverged { group, diverged, times } => tell_diverged(group, diverged, times),
        Note::Impossible { group, times } => {
            warn!(group = group.get(), times, "a message claimed what cannot be");
        }
        Note::NotTaken { group, why, times } => {
            warn!(group = group.get(), times, %why, "not written down: its log grows until it is");
        }
        Note::NotReceived { group, why, times } => {
            warn!(group = group.get(), times, %why, "a snapshot of the leader was not taken");
        }
        Note::NotHeld { group, node, entry, end, times } => {
            tell_not_held((group, node, entry), end, times);
        }
        Note::QuorumFull { group, is_short: true } => {
            warn!(group = group.get(), "no majority has room: writes are refused until one has");
        }
        Note::QuorumFull { group, is_short: false } => {
            info!(group = group.get(), "a majority has room again");
        }
        Note::Full(shortage) => tell_full(shortage),
    }
}

/// What storage did not give back, with the remedy.
fn tell_damage(note: Note) {
    match note {
        Note::Forsaken { group, why } => error!(
            group = group.get(),
            %why,
            "its snapshot is damaged: gives no vote until a leader has sent the state again; where \
             no other member is left, restore a backup"
        ),
        Note::Spared { group, why } => warn!(
            group = group.get(),
            %why,
            "what was read is damaged, and its log has all of it still: goes on without"
        ),
        Note::Lost { group, why } => error!(
            group = group.get(),
            %why,
            "entries are damaged: gives no vote until a leader has sent them again; where no other \
             member is left, restore a backup"
        ),
        Note::NotRead { group, why } => warn!(
            group = group.get(),
            %why,
            "its log or snapshot cannot be read now, and it waits: asked again ten times a second"
        ),
        Note::Outlived { group, why } => warn!(
            group = group.get(),
            %why,
            "cannot be read back: the state holds it and is written down again; look at the disk"
        ),
        _ => {}
    }
}

fn tell_diverged(group: GroupId, Diverged { node, index, what }: Diverged, times: u64) {
    if times >= DIVERGENCE_LINES && !times.is_power_of_two() {
        return;
    }
    let (group, node, index) = (group.get(), node.get(), index.get());
    let what = match what {
        Divergence::Log => "the log applied",
        Divergence::State => "the state after the same log",
    };
    error!(group, node, index, what, times, "that member differs from this one");
}

fn tell_not_held((group, node, entry): (GroupId, NodeId, Index), end: Option<End>, times: u64) {
    let (group, node, entry) = (group.get(), node.get(), entry.get());
    let why = match end {
        None | Some(End::Left) => "the log is too near its limit on disk",
        Some(End::Full) => "more was written than may be held for it",
    };
    warn!(
        group,
        node,
        entry,
        why,
        times,
        "the log behind its snapshot is gone before that node has it: it is sent another, again and \
         again while so much is written; raise that limit or the rate of snapshots, or write less \
         until it has caught up"
    );
}

fn tell_full(shortage: Option<Shortage>) {
    match shortage {
        Some(Shortage::Device | Shortage::Quorum) => {
            warn!("the log's disk is full: writes are refused until it has room");
        }
        Some(Shortage::Limit) => {
            warn!("the log is at its limit: writes are refused until snapshots let it go");
        }
        None => info!("the log has room again"),
    }
}

#[cfg(test)]
mod tests;
