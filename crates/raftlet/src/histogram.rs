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

    /// What was added since `earlier`, a former state of this histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(earlier.counts) {
            *count = count.saturating_sub(before);
        }
        Self {
            counts,
            count: self.count.saturating_sub(earlier.count),
            sum_ns: self.sum_ns.saturating_sub(earlier.sum_ns),
        }
    }

    /// How long so many of a hundred took at most, in microseconds, evenly
    /// spread within a bucket; the last bound for what is above it. `None`
    /// when there were none.
    #[must_use]
    pub fn quantile_us(&self, percent: u64) -> Option<u64> {
        // The rank, from 1, of the one that is asked for.
        let rank = self.count.checked_mul(percent.min(100))?.div_ceil(100).max(1);
        let (mut below_us, mut below) = (0, 0);
        for (bound_us, up_to) in self.up_to() {
            if up_to >= rank {
                let part = (bound_us - below_us).saturating_mul(rank - below) / (up_to - below);
                return Some(below_us + part);
            }
            (below_us, below) = (bound_us, up_to);
        }
        (self.count > 0).then_some(below_us)
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

    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_rank() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_us(99), None);
        for us in [1, 60, 70, 80] {
            histogram.observe(us * 1_000);
        }
        assert_eq!(histogram.quantile_us(0), Some(50));
        assert_eq!(histogram.quantile_us(25), Some(50));
        assert_eq!(histogram.quantile_us(75), Some(83));
        assert_eq!(histogram.quantile_us(100), Some(100));
        let before = histogram;
        histogram.observe(60_000_000_000);
        let later = histogram.since(&before);
        assert_eq!((later.count(), later.sum_ns()), (1, 60_000_000_000));
        assert_eq!(later.quantile_us(50), BOUNDS_US.last().copied());
    }
}
