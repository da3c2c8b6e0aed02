//! CRC-32C, the one checksum of the house.
//!
//! Disk blocks, wire frames and entries all use it, each with a seed of its
//! own, so that bytes valid in one place are not valid in another (rule 11).

/// CRC-32C of `bytes`, continued from `seed`.
///
/// A seed is either a constant that names the use, or the checksum of what
/// comes before.
#[must_use]
pub fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(seed, bytes)
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn crc32c_of_the_check_string_is_the_published_value() {
        assert_eq!(crc32c(0, b"123456789"), 0xe306_9283);
    }

    #[test]
    fn crc32c_continues_where_a_former_call_ended() {
        assert_eq!(crc32c(crc32c(0, b"1234"), b"56789"), 0xe306_9283);
    }
}
