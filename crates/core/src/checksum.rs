//! The checksums of the house.
//!
//! CRC-32C covers whatever has a length: disk blocks, wire frames, payloads,
//! each with a seed of its own, so that bytes valid in one place are not valid
//! in another (rule 11). The few words of an entry's header are mixed instead:
//! a CRC pays per call what it saves per byte (D19).

/// CRC-32C of `bytes`, continued from `seed`.
///
/// A seed is either a constant that names the use, or the checksum of what
/// comes before.
#[must_use]
pub fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(seed, bytes)
}

/// Mixes a word into a checksum of words.
///
/// One to one in the word and in the checksum: two runs of words that differ
/// in one word never end alike in all 64 bits, and two that differ in more end
/// alike by chance only.
#[must_use]
pub(crate) const fn mix64(checksum: u64, word: u64) -> u64 {
    // An odd factor carries differences up, the shift brings them down again.
    let mixed = (checksum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

/// A mixed checksum in 32 bits: the upper half has seen every bit below.
#[must_use]
pub(crate) fn fold32(checksum: u64) -> u32 {
    let mixed = checksum.wrapping_mul(0xd6e8_feb8_6659_fd93);
    u32::try_from(mixed >> 32).expect("half of 64 bits")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{crc32c, fold32, mix64};

    #[test]
    fn runs_of_words_that_differ_in_a_bit_or_two_words_swapped_end_apart() {
        let words = [1_u64, 1 << 40, 0, u64::MAX, 77];
        let sum = |words: &[u64]| fold32(words.iter().copied().fold(9, mix64));
        let mut seen = BTreeSet::from([sum(&words)]);
        for (at, bit) in (0..5).flat_map(|at| (0..64).map(move |bit| (at, bit))) {
            let mut other = words;
            other[at] ^= 1 << bit;
            assert!(seen.insert(sum(&other)), "bit {bit} of word {at}");
        }
        for at in 0..4 {
            let mut other = words;
            other.swap(at, at + 1);
            assert!(seen.insert(sum(&other)), "words {at} and {}", at + 1);
        }
    }

    #[test]
    fn crc32c_of_the_check_string_is_the_published_value() {
        assert_eq!(crc32c(0, b"123456789"), 0xe306_9283);
    }

    #[test]
    fn crc32c_continues_where_a_former_call_ended() {
        assert_eq!(crc32c(crc32c(0, b"1234"), b"56789"), 0xe306_9283);
    }
}
