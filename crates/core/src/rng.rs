//! Randomness from a seed given at start (D2).
//!
//! SplitMix64: a counter and a mixer, 8 bytes of state. It spreads election
//! timeouts; nothing here needs to be unpredictable.

/// A stream of numbers that its seed decides.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when the bound is.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The bias of the remainder is below bound / 2^64: nothing here.
        self.next().checked_rem(bound).unwrap_or(0)
    }
}
