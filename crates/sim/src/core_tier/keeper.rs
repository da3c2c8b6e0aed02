//! What a machine with durable state has, and what a crash leaves of it.
//!
//! Its state is an index here: that entries are the group's, the judge sees where
//! they are applied.
//!
//! Not here: what it is given (`keepers.rs`).

use crate::random::Random;
use raftlet::core::Index;

/// A machine's state, by the last entry that it holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keeper {
    pub(crate) held: Index,
    flushed: Index,
    /// What a crash may bring back while the last restore is not flushed: from
    /// where to where.
    former: Option<(Index, Index)>,
}

impl Keeper {
    pub(crate) fn flush(&mut self) {
        (self.flushed, self.former) = (self.held, None);
    }

    pub(crate) fn restore(&mut self, index: Index) {
        self.former = self.former.or(Some((self.flushed, self.held)));
        (self.held, self.flushed) = (index, index);
    }

    /// What a crash leaves.
    pub(crate) fn survive(&mut self, random: &mut Random) {
        let former = self.former.filter(|_| random.coin());
        let (from, to) = former.unwrap_or((self.flushed, self.held));
        self.held = from.plus(random.below(to - from + 1));
        self.flush();
    }
}
