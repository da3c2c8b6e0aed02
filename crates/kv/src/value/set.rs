//! Members without repetition, in the order in which they came.
//!
//! Not here: the order's law and the buckets behind it (`value/index_map.rs`),
//! and what several sets have in common (`store/set.rs`).

use bytes::BytesMut;

use crate::value::element;
use crate::value::index_map::IndexMap;
use crate::value::moment::{Watch, Watched};

/// What a member takes beyond its bytes: an entry of 24 bytes with spare room, up
/// to two buckets of 4 bytes, and an allocation's header.
const MEMBER_OVERHEAD_BYTES: usize = 64;

/// Members without repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    members: IndexMap<Box<[u8]>, ()>,
    digest: u64,
    used_bytes: usize,
}

impl Set {
    /// No members. About `seed` see [`IndexMap::new`].
    pub(crate) fn new(seed: u64) -> Self {
        Self { members: IndexMap::new(seed), digest: 0, used_bytes: 0 }
    }

    /// Takes a member in. True: it is new.
    pub(crate) fn insert(&mut self, member: &[u8]) -> bool {
        if self.members.contains(member) {
            return false;
        }
        self.members.push_new(member.into(), ());
        self.digest = self.digest.wrapping_add(element::part(member));
        self.used_bytes = self.used_bytes.saturating_add(member_bytes(member));
        true
    }

    /// Takes a member out. True: it was there.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let removed = self.members.remove(member);
        self.count_out(removed.map(|(member, ())| member)).is_some()
    }

    /// Takes out the member at a position.
    pub(crate) fn remove_at(&mut self, position: usize) -> Option<Box<[u8]>> {
        let removed = self.members.remove_at(position);
        self.count_out(removed.map(|(member, ())| member))
    }

    pub(crate) fn contains(&self, member: &[u8]) -> bool {
        self.members.contains(member)
    }

    /// The member at a position.
    pub(crate) fn at(&self, position: usize) -> Option<&[u8]> {
        self.members.at(position).map(|(member, ())| member.as_ref())
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// All members, in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.members.iter().map(|(member, ())| member.as_ref())
    }

    /// A step of a walk: see [`IndexMap::scan`].
    pub(crate) fn scan(&self, cursor: u64, len_max: usize) -> (u64, impl Iterator<Item = &[u8]>) {
        let (next, shown) = self.members.scan(cursor, len_max);
        (next, shown.map(|(member, ())| member.as_ref()))
    }

    /// The sum of all members' parts; knows no order.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// Roughly the memory that members take.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    fn count_out(&mut self, member: Option<Box<[u8]>>) -> Option<Box<[u8]>> {
        if let Some(member) = &member {
            self.digest = self.digest.wrapping_sub(element::part(member));
            self.used_bytes = self.used_bytes.saturating_sub(member_bytes(member));
        }
        member
    }
}

impl Watched for Set {
    fn watch(&mut self) -> &mut Watch {
        self.members.watch()
    }

    fn elements_len(&self) -> usize {
        self.members.len()
    }

    fn put_element(&self, position: usize, into: &mut BytesMut) {
        self.members.put_element(position, into);
    }

    fn shed(&mut self, len: usize) -> bool {
        self.members.shed(len)
    }
}

fn member_bytes(member: &[u8]) -> usize {
    element::len_bytes(&[member]).saturating_add(MEMBER_OVERHEAD_BYTES)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::value::random::Random;

    #[test]
    fn a_set_answers_as_an_ordered_set_does() {
        let mut random = Random::new(4);
        let mut set = Set::new(1);
        let mut naive: BTreeSet<Vec<u8>> = BTreeSet::new();
        for _ in 0..20_000 {
            let member = random.below(300).to_string().into_bytes();
            match random.below(5) {
                0 if set.len() > 0 => {
                    let popped = set.remove_at(random.position(set.len())).unwrap();
                    assert!(naive.remove(&popped[..]));
                }
                1 => assert_eq!(set.remove(&member), naive.remove(&member)),
                _ => assert_eq!(set.insert(&member), naive.insert(member)),
            }
            assert_eq!(set.len(), naive.len());
        }
        assert!(set.iter().all(|member| naive.contains(member)));
    }

    #[test]
    fn digest_and_bytes_depend_on_the_members_alone() {
        let mut one = Set::new(1);
        let mut other = Set::new(2);
        for member in [b"a", b"b", b"c"] {
            one.insert(member);
        }
        for member in [b"c", b"x", b"b", b"a"] {
            other.insert(member);
        }
        assert_ne!(one.digest(), other.digest());
        other.remove(b"x");
        assert_eq!((one.digest(), one.used_bytes()), (other.digest(), other.used_bytes()));
        while one.remove_at(0).is_some() {}
        assert_eq!((one.digest(), one.used_bytes()), (0, 0));
    }
}
