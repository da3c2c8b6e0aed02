//! The only source of chance in a simulation: a seed.
//!
//! Every subsystem draws from a stream of its own, so that a change in what
//! one of them draws leaves the others' decisions alone. Integers only: the
//! same seed gives the same run on every machine.

/// xoshiro256++, seeded through splitmix64.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// Stream number `stream` of `seed`.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut at = seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93);
        let mut word = || {
            at = at.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = at;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Self { state: [word(), word(), word(), word()] }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let c = c ^ a;
        let d = d ^ b;
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// Uniform in `0..end`.
    ///
    /// # Panics
    /// When `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        assert!(end > 0, "a choice among nothing");
        let wide = u128::from(self.bits()) * u128::from(end);
        u64::try_from(wide >> 64).expect("the upper half of 128 bits")
    }

    /// Uniform in `0..end`, as an index.
    ///
    /// # Panics
    /// When `end` is 0.
    pub fn index(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("usize is at most 64 bits");
        usize::try_from(self.below(end)).expect("below a usize")
    }

    /// Uniform in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True `parts` times in a million.
    pub fn chance(&mut self, parts: u64) -> bool {
        parts > 0 && self.below(1_000_000) < parts
    }

    /// True every second time.
    pub fn coin(&mut self) -> bool {
        self.bits() >> 63 == 1
    }

    /// From `low` to `high`, every octave alike; `low` is at least 1.
    pub fn octaves(&mut self, low: u64, high: u64) -> u64 {
        let span = u64::from((high / low.max(1)).max(1).ilog2());
        let base = low.max(1) << self.below(span + 1);
        (base + self.below(base)).min(high)
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let take = |stream| {
            let mut random = Random::new(7, stream);
            [random.bits(), random.bits(), random.bits()]
        };
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
    }

    #[test]
    fn octaves_stay_in_their_range_and_reach_both_ends() {
        let mut random = Random::new(1, 1);
        let drawn: Vec<u64> = (0..1000).map(|_| random.octaves(3, 3000)).collect();
        assert!(drawn.iter().all(|n| (3..=3000).contains(n)));
        assert!(drawn.iter().any(|n| *n < 6));
        assert!(drawn.iter().any(|n| *n > 1500));
    }

    #[test]
    fn chances_come_as_often_as_they_say() {
        let mut random = Random::new(1, 1);
        let hits = (0..100_000).filter(|_| random.chance(250_000)).count();
        assert!((24_000..26_000).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| !random.chance(0)));
    }
}
