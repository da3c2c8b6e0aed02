//! The shard log as a whole, on a simulated disk and on a real one.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on ends there, and says how much it tried"
)]

mod again;
mod contradiction;
mod crash;
mod damage;
mod everywhere;
mod faults;
mod fixture;
mod forsaken;
mod golden;
mod life;
mod looking;
mod many;
mod purge;
mod replay;
mod settled;
mod snapshots;
mod space;
mod sweep;
mod worn;
