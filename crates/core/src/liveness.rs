//! What a failure detector says about another node (D7).
//!
//! It influences when somebody campaigns or asks again, never what is safe.

use std::iter;

use crate::ids::{NodeId, Run};

/// How a node is doing, as seen from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Liveness {
    /// Nobody vouches for it: only its group messages tell.
    #[default]
    Unknown,
    /// Messages go both ways and its shards turn.
    Alive {
        /// The run that answers.
        run: Run,
    },
    /// Silent, or its connection was reset and does not reopen.
    Suspected,
}

/// What a detector says, if it says anything, in one word: members of thousands
/// of groups each keep it of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told(Run);

impl Told {
    /// No process starts so often.
    const SUSPECTED: Self = Self(Run::new(u64::MAX));
    /// Nor so often: nothing is said.
    const NOTHING: Self = Self(Run::new(u64::MAX - 1));

    fn of(liveness: Liveness) -> Self {
        match liveness {
            Liveness::Unknown => Self::NOTHING,
            Liveness::Alive { run } => Self(run),
            Liveness::Suspected => Self::SUSPECTED,
        }
    }

    #[inline]
    fn liveness(self) -> Liveness {
        match self {
            Self::SUSPECTED => Liveness::Suspected,
            Self::NOTHING => Liveness::Unknown,
            Self(run) => Liveness::Alive { run },
        }
    }
}

/// Others of whom a member keeps in itself what is said: all of them, in a group
/// of three. A turn asks each time.
const NEAR_LEN: usize = 2;

/// What a detector says of the other members; those it says nothing of are not
/// here.
#[derive(Clone, Debug)]
pub(crate) struct Others {
    near: [(NodeId, Told); NEAR_LEN],
    /// In larger groups.
    #[expect(clippy::box_collection, reason = "one word where there are none")]
    more: Option<Box<Vec<(NodeId, Told)>>>,
}

impl Default for Others {
    fn default() -> Self {
        Self { near: [(NodeId::default(), Told::NOTHING); NEAR_LEN], more: None }
    }
}

impl Others {
    #[inline]
    pub(crate) fn of(&self, node: NodeId) -> Liveness {
        let mut known = self.near.iter().chain(self.more.iter().flat_map(|more| more.iter()));
        let known = known.find(|(known, _)| *known == node);
        known.map_or(Liveness::Unknown, |(_, told)| told.liveness())
    }

    /// There is news of a node.
    pub(crate) fn note(&mut self, node: NodeId, liveness: Liveness) {
        let news = iter::once((node, Told::of(liveness)));
        let others = self.told().into_iter().filter(|(known, _)| *known != node);
        *self = others.chain(news).filter(|(_, told)| *told != Told::NOTHING).collect();
    }

    /// Forgets those that are nobody any more.
    pub(crate) fn retain(&mut self, is_somebody: impl Fn(NodeId) -> bool) {
        *self = self.told().into_iter().filter(|(node, _)| is_somebody(*node)).collect();
    }

    fn told(&self) -> Vec<(NodeId, Told)> {
        let all = self.near.iter().chain(self.more.iter().flat_map(|more| more.iter()));
        all.filter(|(_, told)| *told != Told::NOTHING).copied().collect()
    }
}

impl FromIterator<(NodeId, Told)> for Others {
    fn from_iter<I: IntoIterator<Item = (NodeId, Told)>>(told: I) -> Self {
        let mut told = told.into_iter();
        let mut others = Self::default();
        for (place, told) in others.near.iter_mut().zip(&mut told) {
            *place = told;
        }
        let more: Vec<_> = told.collect();
        others.more = (!more.is_empty()).then(|| Box::new(more));
        others
    }
}

#[cfg(test)]
mod tests {
    use super::{Liveness, Others};
    use crate::ids::{NodeId, Run};

    fn alive(run: u64) -> Liveness {
        Liveness::Alive { run: Run::new(run) }
    }

    #[test]
    fn what_is_said_last_of_each_node_is_known_however_many_there_are() {
        for len in 0..6 {
            let mut others = Others::default();
            for node in 1..=len {
                others.note(NodeId::new(node), Liveness::Suspected);
                others.note(NodeId::new(node), alive(node));
            }
            for node in 0..=7 {
                let expected =
                    if (1..=len).contains(&node) { alive(node) } else { Liveness::Unknown };
                assert_eq!(others.of(NodeId::new(node)), expected, "{node} of {len}");
            }
            others.note(NodeId::new(1), Liveness::Unknown);
            others.retain(|node| node != NodeId::new(3));
            let known: Vec<u64> =
                (0..=7).filter(|n| others.of(NodeId::new(*n)) != Liveness::Unknown).collect();
            let expected: Vec<u64> = (2..=len).filter(|node| *node != 3).collect();
            assert_eq!(known, expected, "of {len}");
        }
    }
}
