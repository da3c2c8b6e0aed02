//! Numbers of variable length: seven bits a byte, the lowest first, the high
//! bit set on all but the last (LEB128). At most ten bytes.
//!
//! A number has exactly one encoding that is written; longer spellings of it
//! are refused on reading, so that equal records have equal bytes.

use crate::width::usize_from;

/// Bytes of the longest number.
pub(crate) const VARINT_BYTES_MAX: usize = 10;

/// Appends a number.
pub(crate) fn put(into: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            into.push(low & 0x7f);
            return;
        }
        into.push(low | 0x80);
    }
}

/// Bytes that a number occupies.
#[inline]
pub(crate) fn bytes_of(number: u64) -> usize {
    match number {
        ..0x80 => 1,
        0x80..0x4000 => 2,
        longer => usize_from(u64::from((u64::BITS - longer.leading_zeros()).div_ceil(7))),
    }
}

/// Numbers in a row that are put together in place: seven at most. Used again
/// for the next ones, since to clear and move it would cost more than to fill it.
#[derive(Debug)]
pub(crate) struct Short {
    bytes: [u8; SHORT_BYTES],
    len: usize,
}

/// A power of two, so that a place within it costs no check.
const SHORT_BYTES: usize = 128;
/// What is copied as one: a wide register's worth, and more than most heads of
/// records have.
pub(crate) const FEW_BYTES: usize = 16;

impl Default for Short {
    #[inline]
    fn default() -> Self {
        Self { bytes: [0; SHORT_BYTES], len: 0 }
    }
}

impl Short {
    #[inline]
    pub(crate) fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len % SHORT_BYTES) {
            *place = byte;
        }
        self.len += 1;
    }

    #[inline]
    pub(crate) fn put(&mut self, number: u64) {
        let [low, high, ..] = (number << 1).to_le_bytes();
        match number {
            ..0x80 => self.push(low >> 1),
            0x80..0x4000 => {
                self.push(low >> 1 | 0x80);
                self.push(high);
            }
            longer => self.put_long(longer),
        }
    }

    #[inline(never)]
    fn put_long(&mut self, mut number: u64) {
        while number > 0x7f {
            let [low, ..] = number.to_le_bytes();
            self.push(low | 0x80);
            number >>= 7;
        }
        let [low, ..] = number.to_le_bytes();
        self.push(low);
    }

    /// Begins anew.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).expect("seven numbers and a byte are shorter")
    }

    /// The first of its bytes with whatever stands behind them; `None` when there
    /// are more.
    #[inline]
    pub(crate) fn few(&self) -> Option<&[u8; FEW_BYTES]> {
        self.bytes.first_chunk().filter(|_| self.len <= FEW_BYTES)
    }
}

/// Takes a number off the front; `None` when there is no well-formed one.
// Seven of them make the head of a record of entries: a call each would cost as
// much as the checksum of a small entry.
#[inline(always)]
pub(crate) fn take(from: &mut &[u8]) -> Option<u64> {
    match **from {
        [low @ ..=0x7f, ref rest @ ..] => {
            *from = rest;
            Some(u64::from(low))
        }
        [low, high @ 1..=0x7f, ref rest @ ..] => {
            *from = rest;
            Some(u64::from(low & 0x7f) | u64::from(high) << 7)
        }
        _ => take_long(from),
    }
}

fn take_long(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for at in 0..VARINT_BYTES_MAX {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        let bits = u64::from(byte & 0x7f);
        let shift = u32::try_from(at * 7).ok()?;
        let shifted = bits << shift;
        if shifted >> shift != bits {
            return None;
        }
        number |= shifted;
        if byte & 0x80 == 0 {
            let is_padded = bits == 0 && at > 0;
            return (!is_padded).then_some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Short, VARINT_BYTES_MAX, bytes_of, put, take};

    #[test]
    fn numbers_of_every_length_come_back_and_no_prefix_of_one_passes() {
        for number in (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, u64::MAX >> bit]) {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            assert!(bytes.len() <= VARINT_BYTES_MAX);
            assert_eq!(bytes.len(), bytes_of(number));
            let mut short = Short::default();
            short.put(u64::MAX);
            short.clear();
            short.push(7);
            short.put(number);
            assert_eq!(short.bytes().split_first(), Some((&7, &bytes[..])));
            assert_eq!(take(&mut &bytes[..]), Some(number));
            for cut in 0..bytes.len() {
                assert_eq!(take(&mut &bytes[..cut]), None);
            }
        }
    }

    #[test]
    fn padded_and_overlong_numbers_are_refused() {
        assert_eq!(take(&mut &[0x80, 0x00][..]), None);
        assert_eq!(take(&mut &[0xff; 11][..]), None);
        let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(take(&mut &beyond[..]), None);
    }
}
