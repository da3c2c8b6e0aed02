//! All groups of a log, found by number.
//!
//! What is known of a group takes some hundred bytes. A tree of those would put
//! a search through cache lines of all of them; so the tree holds places only,
//! and a replay, which meets ten thousand groups in turn, finds each one with
//! a handful of misses.
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
    indexes: Vec<GroupIndex>,
    /// The one that was looked up last: records of a group come together.
    latest: Cell<Option<(GroupId, u32)>>,
}

impl Groups {
    pub(crate) fn len(&self) -> usize {
        self.indexes.len()
    }

    fn place(&self, group: GroupId) -> Option<usize> {
        if let Some((latest, place)) = self.latest.get()
            && latest == group
        {
            return Some(usize_from(u64::from(place)));
        }
        let place = *self.places.get(&group)?;
        self.latest.set(Some((group, place)));
        Some(usize_from(u64::from(place)))
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
}
