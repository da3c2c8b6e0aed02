//! Where random picks of a connection come from.
//!
//! Invariant: equal seeds give equal picks; there is no other randomness.

/// Numbers for random picks, all different and evenly spread: `SplitMix64`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    /// The next number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
