//! Whole servers side by side: ours, etcd and Redis, each as its users run it.
//!
//! Every table is a binary in `src/bin`. What they share:
//! - `process.rs`: a server as a child process that never outlives the table.
//! - `systems.rs`: how each system is started and who leads it.
//! - `resp.rs`, `grpc.rs`: one request and its answer on one connection.
//! - `link.rs`: a link between members that can be cut.
//! - `watch.rs`: latencies by phases, pauses and memory, as seen from outside.
//! - `load.rs`: the closed loop, alike for all, and what it measured.
//!
//! Invariants
//! - Loopback only, free ports, every wait bounded.
//! - A server that cannot be started is `null` with the reason.
//! - An answer that is not a success is counted as an error, never as an
//!   operation.

pub mod grpc;
pub mod link;
pub mod load;
pub mod options;
pub mod process;
pub mod resp;
pub mod systems;
pub mod watch;

/// Why something could not be measured, for a person.
pub type Failure = String;
