//! SHA-1: by what clients name their scripts. Nothing relies on its strength.

/// The digest of `text`.
#[expect(clippy::big_endian_bytes, reason = "the standard's order")]
pub(crate) fn sha1(text: &[u8]) -> [u8; 20] {
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let bits = u64::try_from(text.len()).unwrap_or(u64::MAX).wrapping_mul(8);
    let mut padded = text.to_vec();
    padded.push(0x80);
    while padded.len() % BLOCK_BYTES != BLOCK_BYTES - 8 {
        padded.push(0);
    }
    padded.extend_from_slice(&bits.to_be_bytes());
    for block in padded.chunks_exact(BLOCK_BYTES) {
        state = mixed(state, &schedule(block));
    }
    let mut digest = [0; 20];
    for (to, word) in digest.chunks_exact_mut(4).zip(state) {
        to.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

/// A digest from 40 hexadecimal digits, in any case.
pub(crate) fn parse(text: &[u8]) -> Option<[u8; 20]> {
    let mut digest = [0; 20];
    if text.len() != 40 {
        return None;
    }
    for (byte, digits) in digest.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(digest)
}

/// A digest as 40 hexadecimal digits.
pub(crate) fn hex(digest: &[u8; 20]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

const BLOCK_BYTES: usize = 64;

#[expect(clippy::indexing_slicing, reason = "indexes below the length, by the loop")]
fn schedule(block: &[u8]) -> [u32; 80] {
    let mut words = [0_u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    for at in 16..words.len() {
        let word = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
        words[at] = word.rotate_left(1);
    }
    words
}

fn mixed(state: [u32; 5], words: &[u32; 80]) -> [u32; 5] {
    let [mut a, mut b, mut c, mut d, mut e] = state;
    for (at, word) in words.iter().enumerate() {
        let (f, k) = match at {
            0..20 => ((b & c) | (!b & d), 0x5a82_7999),
            20..40 => (b ^ c ^ d, 0x6ed9_eba1),
            40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6_u32),
        };
        let sum = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, sum.wrapping_add(*word));
    }
    let sums = state.iter().zip([a, b, c, d, e]).map(|(old, new)| old.wrapping_add(new));
    let mut result = [0; 5];
    result.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum);
    result
}

#[cfg(test)]
mod tests {
    use super::{hex, parse, sha1};

    #[test]
    fn digests_are_those_of_the_standard_and_of_redis() {
        for (text, digest) in [
            (&b""[..], "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            (b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (b"return 1", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"),
            (&[b'a'; 119], "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56"),
        ] {
            assert_eq!(hex(&sha1(text)), digest);
            assert_eq!(parse(digest.to_uppercase().as_bytes()), Some(sha1(text)));
        }
        assert_eq!(parse(b"abc"), None);
        assert_eq!(parse(&[b'x'; 40]), None);
        assert_eq!(parse(&[b'+'; 40]), None);
    }
}
