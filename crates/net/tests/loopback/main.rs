//! Promises of the transport, on real sockets of the loopback device.
//!
//! Nothing here measures time: a test waits for what must come, with a deadline
//! far beyond what is needed, and rules out what must not come by setting the
//! timings so that only the promised cause can bring about the effect.
//!
//! `harness.rs` runs nodes; `raw.rs` speaks the wire by hand, written from
//! `docs/wire.md` and not from the crate.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod exchange;
mod faults;
mod harness;
mod liveness;
mod raw;
mod refusals;
mod rollcall;
