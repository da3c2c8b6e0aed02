//! Do members that applied the same log hold the same? (D3)
//!
//! At every index that is a multiple of [`CHECKPOINT_ENTRIES`] a member notes two
//! numbers: a digest of the chain of all entries that it applied, and one of
//! its machine's state, where the machine has any. A follower sends them to its
//! leader, once, and a lost message is made good by the next: both digests
//! cover all that came before. So comparing costs nothing per entry.
//!
//! ```text
//! follower:  applied 4096 ─▶ Checkpoint ─▶ leader: compares with its own of 4096
//!                                            │ differs: alarm, and sends its own
//! follower:  compares too: alarm  ◀──────────┘
//! ```
//!
//! A difference is an alarm with a name and nothing else: two members hold
//! different states, and which of them is wrong nobody can tell from two
//! numbers. Nothing is halted, discarded or repaired by guess.
//!
//! Invariants
//! - Only equal indexes are compared, and only digests that both sides have.
//! - A member keeps the latest [`OWN_MAX`] of its own, and of each other member
//!   the latest that it has not applied itself.
//!
//! Not here: taking digests (the driver), the chain (`entry.rs`).

use std::collections::VecDeque;

use crate::ids::{Index, NodeId};
use crate::membership::MEMBERS_MAX;
use crate::mutants;

/// Entries from one checkpoint to the next: few messages, and a difference is
/// known before it has grown old.
pub const CHECKPOINT_ENTRIES: u64 = 4096;
/// Own checkpoints kept for members that come later.
const OWN_MAX: usize = 8;

/// What a member holds at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Applied up to here.
    pub index: Index,
    /// Of the chain of entries applied; 0 where it is not known.
    pub log: u64,
    /// Of the machine's state; 0 where it has no digest.
    pub state: u64,
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// The entries that were applied.
    Log,
    /// The state after the same entries.
    State,
}

/// A member whose digest was another than this one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diverged {
    /// The other member.
    pub node: NodeId,
    /// At the checkpoint of this index.
    pub index: Index,
    /// What differs.
    pub what: Divergence,
}

impl Checkpoint {
    fn divergence(&self, other: &Self) -> Option<Divergence> {
        let differs = |a: u64, b: u64| a != b && a != 0 && b != 0;
        if mutants::is_active(126) {
            None
        } else if differs(self.log, other.log) {
            Some(Divergence::Log)
        } else if differs(self.state, other.state) {
            Some(Divergence::State)
        } else {
            None
        }
    }
}

/// What a member knows of its own and of others' checkpoints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checkpoints {
    own: VecDeque<Checkpoint>,
    /// Of indexes that this member has not applied.
    ahead: Vec<(NodeId, Checkpoint)>,
    /// Those that differed when last compared, a place each.
    diverged: Vec<Diverged>,
}

impl Checkpoints {
    /// Members whose digest differed when last compared.
    pub(crate) fn diverged(&self) -> &[Diverged] {
        &self.diverged
    }

    /// This member's own at `index`, if it is kept.
    pub(crate) fn own(&self, index: Index) -> Option<Checkpoint> {
        self.own.iter().find(|own| own.index == index).copied()
    }

    /// This member is there; returns who differs of those that were before it.
    pub(crate) fn on_own(&mut self, own: Checkpoint) -> Vec<Diverged> {
        if self.own.back().is_some_and(|last| last.index >= own.index) {
            // A machine that was restored from a snapshot begins anew.
            self.own.retain(|kept| kept.index < own.index);
        }
        self.own.push_back(own);
        if self.own.len() > OWN_MAX {
            self.own.pop_front();
        }
        let passed: Vec<_> = self.ahead.extract_if(.., |it| it.1.index <= own.index).collect();
        passed.into_iter().filter_map(|(node, theirs)| self.compare(node, &theirs)).collect()
    }

    /// Another member is there.
    pub(crate) fn on_other(&mut self, node: NodeId, theirs: Checkpoint) -> Option<Diverged> {
        if self.own.back().is_some_and(|last| theirs.index <= last.index) {
            return self.compare(node, &theirs);
        }
        self.ahead.retain(|(known, _)| *known != node);
        if self.ahead.len() < MEMBERS_MAX {
            self.ahead.push((node, theirs));
        }
        None
    }

    fn compare(&mut self, node: NodeId, theirs: &Checkpoint) -> Option<Diverged> {
        let own = self.own(theirs.index)?;
        self.diverged.retain(|known| known.node != node);
        let what = own.divergence(theirs)?;
        let diverged = Diverged { node, index: own.index, what };
        if self.diverged.len() < MEMBERS_MAX {
            self.diverged.push(diverged);
        }
        Some(diverged)
    }
}

#[cfg(test)]
mod tests {
    use super::{Checkpoint, Checkpoints, Diverged, Divergence, OWN_MAX};
    use crate::ids::{Index, NodeId};

    fn at(index: u64, log: u64, state: u64) -> Checkpoint {
        Checkpoint { index: Index::new(index), log, state }
    }

    fn diverged(node: u64, index: u64, what: Divergence) -> Diverged {
        Diverged { node: NodeId::new(node), index: Index::new(index), what }
    }

    #[test]
    fn only_what_both_have_at_the_same_index_is_compared_whoever_is_first() {
        let mut known = Checkpoints::default();
        let (two, three) = (NodeId::new(2), NodeId::new(3));
        assert_eq!(known.on_other(two, at(10, 1, 5)), None, "not there yet");
        assert_eq!(known.on_other(three, at(10, 1, 6)), None);
        assert_eq!(known.on_own(at(10, 1, 5)), [diverged(3, 10, Divergence::State)]);
        assert_eq!(known.on_other(two, at(10, 2, 5)), Some(diverged(2, 10, Divergence::Log)));
        assert_eq!(known.on_other(two, at(10, 0, 0)), None, "unknown is no difference");
        assert_eq!(known.on_other(three, at(9, 9, 9)), None, "no own at 9");
        assert_eq!(known.diverged(), [diverged(3, 10, Divergence::State)]);
    }

    #[test]
    fn what_is_kept_is_bounded_however_far_others_are() {
        let mut known = Checkpoints::default();
        for index in 1..100 {
            for node in 1..100 {
                known.on_other(NodeId::new(node), at(1_000 + index, 1, 1));
            }
            known.on_own(at(index, 1, 1));
        }
        assert_eq!((known.own.len(), known.ahead.len()), (OWN_MAX, super::MEMBERS_MAX));
        assert_eq!(known.own(Index::new(99)), Some(at(99, 1, 1)));
        // Back to a snapshot: what is applied again counts.
        known.on_own(at(98, 2, 2));
        assert_eq!(
            (known.own(Index::new(98)), known.own(Index::new(99))),
            (Some(at(98, 2, 2)), None)
        );
    }
}
