//! A key as the table holds it: short ones in place.
//!
//! A lookup that ends at a key reads the bucket, the item and the key. Were the
//! key elsewhere, that would be one more miss of the cache, which costs a
//! follower more than all it computes for a small write. So a key of usual
//! length lies in its item; that takes eight bytes more than a pointer, and
//! saves the allocation.

use std::ops::Deref;

/// Bytes of a key that fit in place: with length and tag three words.
const SHORT_BYTES_MAX: usize = 22;
const _: () = assert!(size_of::<OwnKey>() == 24);

/// A key that the table owns.
#[derive(Clone, Debug)]
pub(super) enum OwnKey {
    Short { len: u8, bytes: [u8; SHORT_BYTES_MAX] },
    Long(Box<[u8]>),
}

impl From<&[u8]> for OwnKey {
    fn from(key: &[u8]) -> Self {
        let mut bytes = [0; SHORT_BYTES_MAX];
        match (u8::try_from(key.len()), bytes.get_mut(..key.len())) {
            (Ok(len), Some(place)) => {
                place.copy_from_slice(key);
                Self::Short { len, bytes }
            }
            _ => Self::Long(key.into()),
        }
    }
}

impl Deref for OwnKey {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OwnKey, SHORT_BYTES_MAX};

    #[test]
    fn a_key_of_any_length_reads_back_and_short_ones_lie_in_place() {
        for len in 0..300 {
            let key: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let own = OwnKey::from(&key[..]);
            assert_eq!(*own, *key);
            let is_short = matches!(own, OwnKey::Short { .. });
            assert_eq!(is_short, len <= SHORT_BYTES_MAX, "{len}");
        }
    }
}
