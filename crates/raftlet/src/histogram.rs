//! How long things took, in fixed buckets.
//!
//! The bounds are the same everywhere and for ever, so that histograms of
//! nodes, and of weeks, can be added up.

/// Upper bounds of the buckets, in microseconds; one more has no bound. From
/// what a fast disk takes for a flush to what ends an operator's patience.
const BOUNDS_US: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000,
];

/// Durations, counted by size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// As the bounds; what is above all of them is only in `count`.
    counts: [u64; BOUNDS_US.len()],
    count: u64,
    sum_ns: u64,
}

impl Histogram {
    /// One more took this long.
    pub fn observe(&mut self, ns: u64) {
        let at = BOUNDS_US.partition_point(|bound_us| bound_us * 1_000 < ns);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.count += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
    }

    /// How many there were.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// How long all of them took together.
    #[must_use]
    pub const fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// Bounds in microseconds, ascending, each with how many took up to that
    /// long. Those above the last bound are only in [`count`](Self::count).
    pub fn up_to(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut sum = 0;
        BOUNDS_US.into_iter().zip(self.counts).map(move |(bound_us, count)| {
            sum += count;
            (bound_us, sum)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{BOUNDS_US, Histogram};

    #[test]
    fn a_duration_is_in_the_first_bucket_that_holds_it_and_in_all_after() {
        assert!(BOUNDS_US.is_sorted());
        let mut histogram = Histogram::default();
        for ns in [0, 50_000, 50_001, 10_000_000_000, 10_000_000_001] {
            histogram.observe(ns);
        }
        let counts: Vec<u64> = histogram.up_to().map(|(_, count)| count).collect();
        assert_eq!(counts[..3], [2, 3, 3]);
        assert_eq!(counts.last(), Some(&4));
        assert_eq!((histogram.count(), histogram.sum_ns()), (5, 20_000_100_002));
    }
}
