//! All groups of a log, found by number.
//!
//! A replay meets ten thousand groups in turn, and what it waits for is memory:
//! a search through a tree touches four or five lines of it. So a group is found
//! by a table of numbers and places, one line as a rule, and the tree is for
//! walks. Counted on 2026-11-29 in a recovery of 10 000 groups (`bench/`,
//! `recovery --once`): 1 048 instructions an entry and 0.44 s of CPU a GiB, with
//! the tree 1 235 and 0.55.
//!
//! Invariants
//! - Walks are in the order of group numbers (rule 40).
//! - While a log is in use, what a group needs gets younger only: it is written
//!   behind all else, and what goes is never put back. So the oldest segment
//!   needed is found without looking at all groups each time it is asked for.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::index::GroupIndex;
use crate::width::{u32_from, usize_from};
use raftlet::core::GroupId;

/// All groups of a log. None ever leaves it.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    places: BTreeMap<GroupId, u32>,
    finder: Finder,
    indexes: Vec<GroupIndex>,
    /// The one that was looked up last: records of a group come together.
    latest: Cell<Option<(GroupId, u32)>>,
    oldest: Cell<Option<Oldest>>,
}

/// The oldest segment that any group needs, and the first place of a group that
/// needs it; none before it does.
#[derive(Clone, Copy, Debug)]
struct Oldest {
    segment: u64,
    place: usize,
}

impl Groups {
    pub(crate) fn len(&self) -> usize {
        self.indexes.len()
    }

    /// Where a group is, for as long as this lives.
    #[inline]
    pub(crate) fn place(&self, group: GroupId) -> Option<usize> {
        if let Some((latest, place)) = self.latest.get()
            && latest == group
        {
            return Some(usize_from(u64::from(place)));
        }
        let place = self.finder.find(group)?;
        self.latest.set(Some((group, place)));
        Some(usize_from(u64::from(place)))
    }

    #[inline]
    pub(crate) fn at(&self, place: usize) -> Option<&GroupIndex> {
        self.indexes.get(place)
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, place: usize) -> Option<&mut GroupIndex> {
        self.indexes.get_mut(place)
    }

    pub(crate) fn get(&self, group: &GroupId) -> Option<&GroupIndex> {
        self.indexes.get(self.place(*group)?)
    }

    pub(crate) fn get_mut(&mut self, group: &GroupId) -> Option<&mut GroupIndex> {
        let place = self.place(*group)?;
        self.indexes.get_mut(place)
    }

    /// What is known of a group; nothing at first.
    pub(crate) fn or_default(&mut self, group: GroupId) -> &mut GroupIndex {
        let place = match self.place(group) {
            Some(place) => place,
            None => {
                let place = self.indexes.len();
                self.places.insert(group, u32_from(place));
                self.finder.put(group, u32_from(place));
                self.indexes.push(GroupIndex::default());
                place
            }
        };
        self.indexes.get_mut(place).expect("it is there or was just put there")
    }

    /// The oldest segment that any group needs; `None` when there is none. Not
    /// before the log is replayed.
    ///
    /// Each group is looked at twice for each segment that comes to be the oldest,
    /// however often this is asked.
    pub(crate) fn oldest_needed(&self) -> Option<u64> {
        let same = self.oldest.get().and_then(|oldest| self.oldest_from(oldest));
        let oldest = same.or_else(|| self.oldest_of_all());
        self.oldest.set(oldest);
        let segment = oldest.map(|oldest| oldest.segment);
        debug_assert_eq!(
            segment,
            self.indexes.iter().filter_map(GroupIndex::oldest_segment).min(),
            "a group needs an older segment than it did"
        );
        segment
    }

    /// The first group that needs the same segment still. Those before it did not.
    fn oldest_from(&self, Oldest { segment, place }: Oldest) -> Option<Oldest> {
        let rest = self.indexes.get(place..).unwrap_or_default();
        let on = rest.iter().position(|index| index.oldest_segment() == Some(segment))?;
        Some(Oldest { segment, place: place + on })
    }

    fn oldest_of_all(&self) -> Option<Oldest> {
        let needed = self.indexes.iter().map(GroupIndex::oldest_segment).enumerate();
        let needed =
            needed.filter_map(|(place, segment)| Some(Oldest { segment: segment?, place }));
        needed.min_by_key(|oldest| oldest.segment)
    }

    /// In the order of group numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&GroupId, &GroupIndex)> {
        self.places.iter().filter_map(|(group, place)| {
            Some((group, self.indexes.get(usize_from(u64::from(*place)))?))
        })
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = GroupId> {
        self.places.keys().copied()
    }

    /// In no order that means anything.
    pub(crate) fn values(&self) -> impl Iterator<Item = &GroupIndex> {
        self.indexes.iter()
    }

    /// In no order that means anything.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut GroupIndex> {
        self.indexes.iter_mut()
    }
}

/// Where a group lies: open addressing, the next slot where one is taken.
#[derive(Debug, Default)]
struct Finder {
    /// A power of two of them, at least half of them empty; or none. Four to a
    /// cache line: a place is counted from 1, so that an empty slot needs no more.
    slots: Vec<Option<(GroupId, NonZeroU32)>>,
    len: usize,
}

const SLOTS_MIN: usize = 16;

impl Finder {
    fn find(&self, group: GroupId) -> Option<u32> {
        let mut at = self.home(group);
        loop {
            let (other, place) = (*self.slots.get(at)?)?;
            if other == group {
                return Some(place.get() - 1);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Adds a group that is not there.
    fn put(&mut self, group: GroupId, place: u32) {
        if self.len * 2 >= self.slots.len() {
            let larger = vec![None; (self.slots.len() * 2).max(SLOTS_MIN)];
            let taken = std::mem::replace(&mut self.slots, larger);
            taken.into_iter().flatten().for_each(|(group, place)| self.settle(group, place));
        }
        self.settle(group, NonZeroU32::MIN.saturating_add(place));
        self.len += 1;
    }

    fn settle(&mut self, group: GroupId, place: NonZeroU32) {
        let mut at = self.home(group);
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.is_none() {
                *slot = Some((group, place));
                return;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Numbers are the embedder's, and often in a row: a product spreads them.
    fn home(&self, group: GroupId) -> usize {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = group.get().wrapping_mul(ODD) >> 32;
        usize_from(mixed) & self.slots.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::Groups;
    use crate::index::{FrameAt, GroupIndex};
    use raftlet::core::{
        Arena, Chunk, EntryKind, Generation, GroupId, Index, LogId, NewEntry, Seal, Term,
    };

    const GENERATION: Generation = Generation::new(1);
    const TERM: Term = Term::new(1);

    /// What a log does to a group, by a number; its segment is in use.
    fn change(index: &mut GroupIndex, group: u64, what: u64, at: &FrameAt) {
        let last = index.last;
        let chunk = |first: Index, len: usize| {
            let seal = Seal::new(GroupId::new(group), GENERATION);
            let entry =
                NewEntry { kind: EntryKind::Command, log_time_ms: 1, origin: None, payload: b"x" };
            let first = LogId { term: TERM, index: first };
            Chunk::encode(&mut Arena::default(), seal, first, (0..len).map(|_| entry))
        };
        if index.state_segment == 0 {
            index.begin(GENERATION).unwrap();
        }
        // The first record of a group in a segment states it.
        index.state_segment = at.segment;
        let held = last > index.base.index;
        match what {
            0..6 => index.append(&(&chunk(last.next(), 3)).into(), at).unwrap(),
            6 | 7 if held => index.compact(LogId { term: TERM, index: last }).unwrap(),
            8 if held => {
                index.compact(LogId { term: TERM, index: index.base.index.next() }).unwrap()
            }
            9 if held => index.truncate(index.base.index.next()).unwrap(),
            10 if held => index.truncate(last).unwrap(),
            11 if held => index.relocate(&chunk(index.base.index.next(), 1), at).unwrap(),
            _ => {}
        }
    }

    #[test]
    fn the_oldest_segment_needed_is_that_of_a_walk_whatever_is_done_and_whenever_it_is_asked() {
        let mut seen = 0;
        for seed in 1..=40u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut draw = |bound: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 20) % bound
            };
            let mut groups = Groups::default();
            assert_eq!(groups.oldest_needed(), None);
            let mut at = FrameAt { segment: 1, frame: 0, block: 2, end: 3 };
            let mut values = std::collections::BTreeSet::new();
            for _ in 0..1500 {
                at.frame += 1;
                at.block = at.end;
                at.end += 1;
                at.segment += u64::from(draw(12) == 0);
                let group = 1 + draw(4 + seed);
                change(groups.or_default(GroupId::new(group)), group, draw(13), &at);
                if draw(seed.min(9)) == 0 {
                    let walked = groups.values().filter_map(GroupIndex::oldest_segment).min();
                    assert_eq!(groups.oldest_needed(), walked, "seed {seed} frame {}", at.frame);
                    values.extend(walked);
                }
            }
            seen += values.len();
        }
        assert!(seen > 400, "only {seen} segments were the oldest");
    }

    #[test]
    fn groups_are_found_by_number_and_walked_in_its_order() {
        let mut groups = Groups::default();
        for number in [7u64, 3, 9, 1] {
            groups.or_default(GroupId::new(number)).last = Index::new(number);
        }
        let second = groups.or_default(GroupId::new(9));
        assert_eq!(second.last, Index::new(9));
        second.last = Index::new(90);
        let walked: Vec<_> = groups.iter().map(|(id, it)| (id.get(), it.last.get())).collect();
        assert_eq!(walked, vec![(1, 1), (3, 3), (7, 7), (9, 90)]);
        assert!(groups.get(&GroupId::new(2)).is_none());
        assert_eq!(groups.get(&GroupId::new(3)).unwrap().last, Index::new(3));
        assert_eq!(groups.len(), 4);
    }

    #[test]
    fn each_of_many_groups_is_found_and_no_other() {
        for stride in [1, 7, 1 << 16, 1 << 32, u64::MAX / 5000] {
            let mut groups = Groups::default();
            for number in 1..=5000 {
                groups.or_default(GroupId::new(number * stride)).last = Index::new(number);
            }
            assert_eq!(groups.len(), 5000);
            for number in 1..=5000 {
                let found = groups.get(&GroupId::new(number * stride)).map(|it| it.last);
                assert_eq!(found, Some(Index::new(number)), "stride {stride}");
                let other = (number * stride).wrapping_add(1).max(1);
                if !other.is_multiple_of(stride) {
                    assert!(groups.get(&GroupId::new(other)).is_none());
                }
            }
        }
    }
}
