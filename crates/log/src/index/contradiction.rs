//! A record that does not follow from what the log says before it, though every
//! checksum holds: two of its records contradict each other, and nothing tells
//! which of them is wrong. Only their group is in doubt (D58).
//!
//! Invariants
//! - Of two records that contradict each other about entries neither is believed:
//!   the log ends before both, and what they said was held counts as lost.
//! - Term, vote and the life of a group are never guessed: where they are in
//!   doubt, so is the whole group, and so it is where a base is.
//! - What comes behind follows again, or is a contradiction of its own.

use crate::index::{GroupIndex, Misfit};
use crate::record::{GroupState, Item};
use raftlet::core::{Index, Term};

/// What of a group a contradiction leaves in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Entries, which a leader can send again.
    Entries,
    /// Term, vote, life or base.
    Group,
}

/// Entries that a record speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) first: Index,
    pub(crate) last: Index,
    pub(crate) term: Term,
}

impl GroupIndex {
    /// Gives up what a record contradicts, other than one of new entries.
    pub(crate) fn yield_to(&mut self, item: &Item) -> Doubt {
        match item {
            Item::Entries { chunk, .. } | Item::Moved { chunk, .. } => {
                self.yield_entries(Stretch {
                    first: chunk.first(),
                    last: chunk.last(),
                    term: chunk.term(),
                })
            }
            Item::State { state, .. } => self.yield_statement(state, item),
            Item::Group { .. }
            | Item::HardState { .. }
            | Item::Truncate { .. }
            | Item::Compact { .. }
            | Item::Snapshot { .. }
            | Item::Damage { .. }
            | Item::Refilled { .. } => Doubt::Group,
        }
    }

    /// The log ends before these entries, before a gap in front of them, and
    /// before all of a later term than theirs; they are missed.
    pub(crate) fn yield_entries(&mut self, stretch: Stretch) -> Doubt {
        let Stretch { first, last, term } = stretch;
        if first <= self.base.index {
            return Doubt::Group;
        }
        let later = self.runs.iter().find(|run| run.term > term).map_or(first, |run| run.index);
        let from = first.min(later).min(self.last.next());
        match self.miss(from, last, term) {
            Ok(()) => Doubt::Entries,
            Err(_) => Doubt::Group,
        }
    }

    /// A statement counts from here on, and none of the entries behind its base.
    fn yield_statement(&mut self, state: &GroupState, item: &Item) -> Doubt {
        let (generation, known, held) = (self.generation, self.hard_state, self.last);
        self.make_fit(item);
        // Who held more had acknowledged it.
        self.last = self.last.max(held);
        let is_later = state.hard_state.term > known.term;
        if generation == state.generation && (is_later || state.hard_state == known) {
            return Doubt::Entries;
        }
        if !is_later {
            self.hard_state = known;
        }
        Doubt::Group
    }
}

impl Misfit {
    /// In words, of its group.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Gap { found, expected } => {
                format!("goes on with entry {found} where {expected} is next")
            }
            Self::TermFalls { found } => {
                format!("has a lower term at entry {found} than before it")
            }
            Self::HardStateFalls => "falls back to a lower term".to_owned(),
            Self::Generation => "goes on in a former life of its id".to_owned(),
            Self::Moved { found } => format!("moves entry {found}, which is not in its log"),
            Self::State => "is stated otherwise than it was left".to_owned(),
            Self::Base { found } => {
                format!("has a base that does not agree with entry {found}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Doubt, Stretch};
    use crate::index::{FrameAt, GroupIndex};
    use crate::record::{GroupState, Item};
    use raftlet::core::{
        Arena, Chunk, EntryKind, Generation, GroupId, HardState, Index, LogId, NewEntry, NodeId,
        Seal, Term,
    };

    const GENERATION: Generation = Generation::new(1);

    fn chunk(first: u64, len: usize, term: u64) -> Chunk {
        let entry =
            NewEntry { kind: EntryKind::Command, log_time_ms: 0, origin: None, payload: b"x" };
        let first = LogId { term: Term::new(term), index: Index::new(first) };
        let seal = Seal::new(GroupId::new(1), GENERATION);
        Chunk::encode(&mut Arena::default(), seal, first, (0..len).map(|_| entry))
    }

    fn append(index: &mut GroupIndex, first: u64, len: usize, term: u64) -> bool {
        let at = FrameAt { segment: 1, frame: first, block: 2, end: 3 };
        index.append(&(&chunk(first, len, term)).into(), &at).is_ok()
    }

    /// Entries 1 to 4 of term 1, 5 to 8 of term 5.
    fn index() -> GroupIndex {
        let mut index = GroupIndex::default();
        index.begin(GENERATION).unwrap();
        index.vote(HardState { term: Term::new(5), vote: Some(NodeId::new(2)) }).unwrap();
        assert!(append(&mut index, 1, 4, 1) && append(&mut index, 5, 4, 5));
        index
    }

    fn stretch(first: u64, last: u64, term: u64) -> Stretch {
        Stretch { first: Index::new(first), last: Index::new(last), term: Term::new(term) }
    }

    /// The first entry that is missed, and the last that is known of.
    fn left(index: &mut GroupIndex) -> (Option<u64>, u64) {
        (index.complete().map(Index::get), index.last.get())
    }

    #[test]
    fn entries_that_contradict_others_end_the_log_before_both() {
        for (first, last, term, from) in
            [(9, 10, 4, 5), (11, 12, 5, 9), (7, 8, 6, 7), (7, 7, 3, 5), (3, 4, 5, 3)]
        {
            let mut index = index();
            assert!(!append(&mut index, first, usize::try_from(last - first + 1).unwrap(), term));
            assert_eq!(index.yield_entries(stretch(first, last, term)), Doubt::Entries);
            assert_eq!(left(&mut index), (Some(from), last), "{first}..={last} of term {term}");
            // Those behind follow, and stay behind the hole.
            assert!(append(&mut index, last + 1, 2, term.max(5)));
            assert_eq!(left(&mut index), (Some(from), last + 2));
        }
    }

    #[test]
    fn what_contradicts_a_base_a_vote_or_a_life_leaves_the_whole_group_in_doubt() {
        let group = GroupId::new(1);
        let mut compacted = index();
        compacted.compact(LogId { term: Term::new(1), index: Index::new(3) }).unwrap();
        assert_eq!(compacted.yield_entries(stretch(3, 9, 5)), Doubt::Group);
        let hard_state = HardState { term: Term::new(4), vote: None };
        for item in [
            Item::HardState { group, state: hard_state },
            Item::Truncate { group, from: Index::new(2) },
            Item::Group { group, generation: Generation::new(0) },
        ] {
            assert_eq!(compacted.yield_to(&item), Doubt::Group, "{item:?}");
        }
    }

    #[test]
    fn a_statement_is_believed_but_for_entries_and_for_a_vote_that_falls() {
        let group = GroupId::new(1);
        let known = index().state();
        let stated = |state: GroupState| {
            let mut index = index();
            index.state_segment = 1;
            assert!(index.restate(&state).is_err());
            let doubt = index.yield_to(&Item::State { group, state: Box::new(state) });
            (doubt, left(&mut index), index.hard_state)
        };
        let later = HardState { term: Term::new(6), vote: None };
        let shorter = GroupState { last: Index::new(6), ..known };
        assert_eq!(stated(shorter), (Doubt::Entries, (Some(1), 8), known.hard_state));
        let longer = GroupState { last: Index::new(9), hard_state: later, ..known };
        assert_eq!(stated(longer), (Doubt::Entries, (Some(1), 9), later));
        let voted = HardState { vote: Some(NodeId::new(3)), ..known.hard_state };
        for hard_state in [HardState { term: Term::new(4), vote: None }, voted] {
            let (doubt, _, held) = stated(GroupState { hard_state, ..known });
            assert_eq!((doubt, held), (Doubt::Group, known.hard_state));
        }
        let other = GroupState { generation: Generation::new(2), ..known };
        assert_eq!(stated(other).0, Doubt::Group);
    }
}
