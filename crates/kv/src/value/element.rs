//! What one element of a collection adds to its digest and its account.
//!
//! Parts are added up modulo 2^64, so that a change of one element costs the
//! hash of that element, and elements may come in any order. And its bytes in a
//! snapshot (`docs/format-kv-snapshot.md`).

use bytes::{BufMut, BytesMut};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The part of an element that is one byte string.
pub(crate) fn part(element: &[u8]) -> u64 {
    xxh3_64(element)
}

/// The part of an element of two: the second is hashed under the first, so
/// that seconds which change places change the sum.
pub(crate) fn pair_part(first: &[u8], second: &[u8]) -> u64 {
    xxh3_64_with_seed(second, xxh3_64(first))
}

/// How many bytes these are together.
pub(crate) fn len_bytes(parts: &[&[u8]]) -> usize {
    parts.iter().fold(0, |bytes, part| bytes.saturating_add(part.len()))
}

/// What stands beside a key of a collection, as a snapshot holds the two.
pub(crate) trait Beside {
    /// Appends an element.
    fn put(key: &[u8], beside: &Self, into: &mut BytesMut);
}

/// Fields with values.
impl Beside for Box<[u8]> {
    fn put(key: &[u8], beside: &Self, into: &mut BytesMut) {
        put_bytes(key, into);
        put_bytes(beside, into);
    }
}

/// Members.
impl Beside for () {
    fn put(key: &[u8], (): &Self, into: &mut BytesMut) {
        put_bytes(key, into);
    }
}

/// Appends a byte string: its length and itself.
pub(crate) fn put_bytes(bytes: &[u8], into: &mut BytesMut) {
    into.put_u32_le(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    into.put_slice(bytes);
}
