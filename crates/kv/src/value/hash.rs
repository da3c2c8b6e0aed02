//! Fields with values, in the order in which fields were first set.
//!
//! Not here: the order's law and the buckets behind it (`value/index_map.rs`).

use bytes::BytesMut;

use crate::value::element;
use crate::value::index_map::IndexMap;
use crate::value::moment::{Watch, Watched};

/// What a field takes beyond its bytes and its value's: an entry of 40 bytes
/// with spare room, up to two buckets of 4 bytes, and two allocations' headers.
const FIELD_OVERHEAD_BYTES: usize = 96;

/// Fields with values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hash {
    fields: IndexMap<Box<[u8]>, Box<[u8]>>,
    digest: u64,
    used_bytes: usize,
}

impl Hash {
    /// No fields. About `seed` see [`IndexMap::new`].
    pub(crate) fn new(seed: u64) -> Self {
        Self { fields: IndexMap::new(seed), digest: 0, used_bytes: 0 }
    }

    /// Gives a field a value. True: it is a new field.
    pub(crate) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.digest = self.digest.wrapping_add(element::pair_part(field, value));
        if let Some(slot) = self.fields.get_mut(field) {
            let old = std::mem::replace(slot, value.into());
            self.digest = self.digest.wrapping_sub(element::pair_part(field, &old));
            let without_old = self.used_bytes.saturating_sub(element::len_bytes(&[&old]));
            self.used_bytes = without_old.saturating_add(element::len_bytes(&[value]));
            return false;
        }
        self.fields.push_new(field.into(), value.into());
        self.used_bytes = self.used_bytes.saturating_add(field_bytes(field, value));
        true
    }

    /// Takes a field away. True: it was there.
    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        let Some((field, value)) = self.fields.remove(field) else {
            return false;
        };
        self.digest = self.digest.wrapping_sub(element::pair_part(&field, &value));
        self.used_bytes = self.used_bytes.saturating_sub(field_bytes(&field, &value));
        true
    }

    pub(crate) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.fields.get(field).map(AsRef::as_ref)
    }

    /// The field at a position, with its value.
    pub(crate) fn at(&self, position: usize) -> Option<(&[u8], &[u8])> {
        self.fields.at(position).map(slices)
    }

    /// How many fields there are.
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// All fields with their values, in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(slices)
    }

    /// A step of a walk: see [`IndexMap::scan`].
    pub(crate) fn scan(
        &self,
        cursor: u64,
        len_max: usize,
    ) -> (u64, impl Iterator<Item = (&[u8], &[u8])>) {
        let (next, shown) = self.fields.scan(cursor, len_max);
        (next, shown.map(slices))
    }

    /// The sum of all fields' parts; knows no order.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// Roughly the memory that fields and values take.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes
    }
}

impl Watched for Hash {
    fn watch(&mut self) -> &mut Watch {
        self.fields.watch()
    }

    fn elements_len(&self) -> usize {
        self.fields.len()
    }

    fn put_element(&self, position: usize, into: &mut BytesMut) {
        self.fields.put_element(position, into);
    }

    fn shed(&mut self, len: usize) -> bool {
        self.fields.shed(len)
    }
}

fn slices<'a, T: AsRef<[u8]>>((field, value): (&'a T, &'a T)) -> (&'a [u8], &'a [u8]) {
    (field.as_ref(), value.as_ref())
}

fn field_bytes(field: &[u8], value: &[u8]) -> usize {
    element::len_bytes(&[field, value]).saturating_add(FIELD_OVERHEAD_BYTES)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::value::random::Random;

    #[test]
    fn a_hash_answers_as_an_ordered_map_does() {
        let mut random = Random::new(2);
        let mut hash = Hash::new(1);
        let mut naive: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for step in 0..20_000_u64 {
            let field = random.below(300).to_string().into_bytes();
            if random.below(3) > 0 {
                let value = step.to_string().into_bytes();
                let is_new = hash.set(&field, &value);
                assert_eq!(is_new, naive.insert(field, value).is_none());
            } else {
                assert_eq!(hash.remove(&field), naive.remove(&field).is_some());
            }
            assert_eq!(hash.len(), naive.len());
        }
        for (field, value) in &naive {
            assert_eq!(hash.get(field), Some(&value[..]));
        }
        assert!(hash.iter().all(|(field, value)| naive[field] == value));
    }

    #[test]
    fn digest_and_bytes_depend_on_the_fields_alone() {
        let mut one = Hash::new(1);
        let mut other = Hash::new(2);
        one.set(b"a", b"1");
        one.set(b"b", b"2");
        other.set(b"b", b"long before");
        other.set(b"c", b"");
        other.set(b"a", b"1");
        other.set(b"b", b"2");
        assert_ne!(one.digest(), other.digest());
        other.remove(b"c");
        assert_eq!(one.digest(), other.digest());
        assert_eq!(one.used_bytes(), other.used_bytes());
        other.set(b"a", b"2");
        other.set(b"b", b"1");
        assert_ne!(one.digest(), other.digest(), "swapped values");
        for field in [b"a", b"b"] {
            one.remove(field);
        }
        assert_eq!((one.digest(), one.used_bytes()), (0, 0));
    }
}
