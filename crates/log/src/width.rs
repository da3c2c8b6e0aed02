//! Conversions between the widths of numbers, in one place.
//!
//! The log runs on 64-bit machines only; there `usize` and `u64` hold the same
//! numbers, and this module is the one that says so.

const _: () = assert!(usize::BITS == 64, "the log needs a 64-bit machine");

/// The same number.
#[expect(clippy::cast_possible_truncation, reason = "asserted above: both have 64 bits")]
pub(crate) const fn usize_from(number: u64) -> usize {
    number as usize
}

/// The same number.
pub(crate) const fn u64_from(number: usize) -> u64 {
    number as u64
}

/// A count that its limit keeps within 32 bits.
///
/// # Panics
/// When the limit was not kept: a mistake of the caller.
pub(crate) fn u32_from(number: usize) -> u32 {
    u32::try_from(number).expect("a count within the limits of the format")
}

/// A count that its limit keeps within 16 bits.
///
/// # Panics
/// When the limit was not kept: a mistake of the caller.
pub(crate) fn u16_from(number: usize) -> u16 {
    u16::try_from(number).expect("a count within the limits of the format")
}
