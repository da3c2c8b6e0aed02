//! Counts what is asked of the system's allocator.
//!
//! Exact where a sampling profiler guesses: allocations per entry and live
//! bytes per member are differences of these counters. A `GlobalAlloc` cannot
//! be written without `unsafe`, which is nowhere here (rule 40): the crate
//! `stats_alloc` is one.

use std::alloc::System;

pub use stats_alloc::INSTRUMENTED_SYSTEM;

/// What a program that is measured declares as its global allocator, with
/// [`INSTRUMENTED_SYSTEM`] as value.
pub type CountingAllocator = &'static stats_alloc::StatsAlloc<System>;

/// Calls that gave memory so far: allocations and reallocations.
#[must_use]
pub fn allocations() -> u64 {
    let stats = INSTRUMENTED_SYSTEM.stats();
    number(stats.allocations + stats.reallocations)
}

/// Bytes asked for and not yet given back.
#[must_use]
pub fn live_bytes() -> u64 {
    let stats = INSTRUMENTED_SYSTEM.stats();
    number(stats.bytes_allocated.saturating_sub(stats.bytes_deallocated))
}

fn number(count: usize) -> u64 {
    u64::try_from(count).expect("usize is at most 64 bits")
}
