//! All groups of a log, found by number.
//!
//! A replay meets ten thousand groups in turn, and what it waits for is memory:
//! a search through a tree touches four or five lines of it. So a group is found
//! by a table of numbers and places, one line as a rule, and the tree is for
//! walks.
//!
//! Invariant: walks are in the order of group numbers (rule 40).

use std::cell::Cell;
use std::collections::BTreeMap;

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
    /// A power of two of them, at least half of them empty; or none.
    slots: Vec<Option<(GroupId, u32)>>,
    len: usize,
}

const SLOTS_MIN: usize = 16;

impl Finder {
    fn find(&self, group: GroupId) -> Option<u32> {
        let mut at = self.home(group);
        loop {
            let (other, place) = (*self.slots.get(at)?)?;
            if other == group {
                return Some(place);
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
        self.settle(group, place);
        self.len += 1;
    }

    fn settle(&mut self, group: GroupId, place: u32) {
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
    use raftlet::core::{GroupId, Index};

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
