//! The driver on ports in memory: what it promises its callers.
//!
//! Nodes share one thread and virtual time; see `cluster.rs` for the words
//! that the claims are written in.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails loudly")]

mod arriving;
mod cluster;
mod failures;
mod forwarding;
mod groups;
mod keepers;
mod machines;
mod members;
mod memory;
mod nemesis;
mod power;
mod proposals;
mod reads;
mod rot;
mod snapshots;
mod space;
mod terms;
mod transfers;
