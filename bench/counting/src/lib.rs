//! An allocator that counts what is asked of the system's.
//!
//! Exact where a sampling profiler guesses: allocations per entry and live
//! bytes per member are differences of these counters.
//!
//! This is the only crate of the benchmarks with `unsafe`: a `GlobalAlloc`
//! cannot be declared without it, and the alternative, a heap profiler as
//! allocator, records a backtrace per allocation and would drown what is
//! measured. Each function forwards to [`System`] and does nothing else with
//! the memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

static CALLS: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicU64 = AtomicU64::new(0);

/// Counts allocations and live bytes of the whole process.
#[derive(Clone, Copy, Debug)]
pub struct CountingAllocator;

/// Calls that gave memory so far: allocations and reallocations.
#[must_use]
pub fn allocations() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

/// Bytes asked for and not yet given back.
#[must_use]
pub fn live_bytes() -> u64 {
    LIVE_BYTES.load(Ordering::Relaxed)
}

fn taken(bytes: usize) {
    CALLS.fetch_add(1, Ordering::Relaxed);
    LIVE_BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
}

fn given_back(bytes: usize) {
    LIVE_BYTES.fetch_sub(bytes as u64, Ordering::Relaxed);
}

// SAFETY: every call goes to `System` with the caller's own arguments, and its
// answer goes back unchanged; counting touches no memory of the caller.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller keeps `GlobalAlloc::alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller keeps `GlobalAlloc::alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        given_back(layout.size());
        // SAFETY: `block` came from `System` with this layout.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        given_back(layout.size());
        taken(bytes);
        // SAFETY: `block` came from `System` with this layout.
        unsafe { System.realloc(block, layout, bytes) }
    }
}
