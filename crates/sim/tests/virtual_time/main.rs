//! What a few cores do to each other in virtual time, without faults: how fast
//! they are over a long link, how silent when nothing happens, how soon logs
//! that came apart are one.
//!
//! Deterministic: time moves from event to event, and nothing is measured but
//! that.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test reports and stops at its first surprise"
)]

mod divergence;
mod idle;
mod link;
mod trio;
