//! The shard log as a whole, on a simulated disk and on a real one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod crash;
mod faults;
mod fixture;
mod life;
mod sweep;
