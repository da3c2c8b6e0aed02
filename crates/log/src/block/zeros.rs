//! What zeros do to a checksum.
//!
//! Most frames of a shard that is not busy are one block, and most of that is
//! padding. Zeros behind what was summed change a CRC in a way that depends on
//! nothing but how many they are: so they are not read, the checksum is carried
//! over them, by tables for a few lengths.
//!
//! Invariant: the outcome is that of summing the zeros one by one.

/// Lengths for which there is a table. Each is four of the next, so that any
/// padding of a block takes few of them, and the tables lie in 12 KiB.
static STRIDES: [Stride; 3] = [Stride::of(1024), Stride::of(256), Stride::of(64)];
/// What is left is to be summed: fewer bytes than this.
pub(super) const UNIT_BYTES: usize = 64;

/// CRC-32C's polynomial, the lowest bit first.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Carries a CRC-32C over `zeros` bytes, a multiple of [`UNIT_BYTES`].
pub(super) fn carry(checksum: u32, zeros: usize) -> u32 {
    debug_assert!(zeros.is_multiple_of(UNIT_BYTES), "zeros that no table knows");
    // Within, a CRC has all its bits turned over.
    let mut state = !checksum;
    let mut left = zeros;
    for stride in &STRIDES {
        while left >= stride.bytes {
            state = stride.over(state);
            left -= stride.bytes;
        }
    }
    !state
}

/// What so many zeros make of each byte of a state; of a state all together the
/// sum, since bits do not meet.
struct Stride {
    bytes: usize,
    tables: [[u32; 256]; 4],
}

impl Stride {
    #[inline]
    fn over(&self, state: u32) -> u32 {
        let [a, b, c, d] = &self.tables;
        let [low, second, third, high] = state.to_le_bytes().map(usize::from);
        let part = |table: &[u32; 256], byte: usize| table.get(byte).copied().unwrap_or_default();
        part(a, low) ^ part(b, second) ^ part(c, third) ^ part(d, high)
    }

    const fn of(bytes: usize) -> Self {
        let mut bits = after_one_zero_bit();
        let mut zero_bits = 1;
        while zero_bits < bytes * 8 {
            bits = twice(&bits);
            zero_bits *= 2;
        }
        assert!(zero_bits == bytes * 8, "a stride is a power of two");
        let tables = [table(&bits, 0), table(&bits, 8), table(&bits, 16), table(&bits, 24)];
        Self { bytes, tables }
    }
}

/// Of each bit of a state, what becomes of it.
type Bits = [u32; 32];

const fn after_one_zero_bit() -> Bits {
    let mut bits = [POLYNOMIAL; 32];
    let [_, others @ ..] = &mut bits;
    let mut rest: &mut [u32] = others;
    let mut moved_on = 1;
    while let [bit, behind @ ..] = rest {
        *bit = moved_on;
        moved_on <<= 1;
        rest = behind;
    }
    bits
}

/// What becomes of a state.
const fn image(bits: &Bits, mut state: u32) -> u32 {
    let mut rest: &[u32] = bits;
    let mut sum = 0;
    while let [bit, behind @ ..] = rest {
        if state & 1 == 1 {
            sum ^= *bit;
        }
        state >>= 1;
        rest = behind;
    }
    sum
}

/// The same done twice.
const fn twice(bits: &Bits) -> Bits {
    let mut both = *bits;
    let mut rest: &mut [u32] = &mut both;
    while let [bit, behind @ ..] = rest {
        *bit = image(bits, *bit);
        rest = behind;
    }
    both
}

/// What becomes of each byte that stands `shift` bits up in a state.
const fn table(bits: &Bits, shift: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let mut rest: &mut [u32] = &mut table;
    let mut byte = 0;
    while let [place, behind @ ..] = rest {
        *place = image(bits, byte << shift);
        byte += 1;
        rest = behind;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{UNIT_BYTES, carry};
    use crate::block::PAYLOAD_BYTES;
    use raftlet::core::crc32c;

    #[test]
    fn a_checksum_carried_over_zeros_is_that_of_the_zeros_one_by_one() {
        let zeros = [0; PAYLOAD_BYTES];
        for checksum in (0..32).map(|bit| 1 << bit).chain([0, u32::MAX, 0x1234_5678]) {
            for len in (0..=PAYLOAD_BYTES).step_by(UNIT_BYTES) {
                assert_eq!(carry(checksum, len), crc32c(checksum, &zeros[..len]), "{len} zeros");
            }
        }
    }
}
