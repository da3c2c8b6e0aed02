//! What this server adds to a shard of the library: its ports, and what runs
//! beside its groups on the same thread.
//!
//! - `ports.rs`: which implementations of the ports. `replica.rs`: a group's
//!   machine. `timing.rs`, `expiry.rs`: its time, and who moves it.
//! - `members.rs`, `handover.rs`, `snapshots.rs`: what operators ask of groups.
//! - `neighbours.rs`: what is known of the cluster beside the groups.

pub(crate) mod expiry;
pub(crate) mod handover;
pub(crate) mod members;
pub(crate) mod neighbours;
pub(crate) mod ports;
pub(crate) mod replica;
pub(crate) mod snapshots;
pub(crate) mod timing;
