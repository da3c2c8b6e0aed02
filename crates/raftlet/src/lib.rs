//! Raft for thread-per-core programs.
//!
//! A program gives each OS thread a *shard*; a shard hosts one to tens of
//! thousands of Raft groups. The embedder brings the ports ([`Rpc`],
//! [`Storage`], [`StateMachine`], and small ones for time, tasks and
//! liveness); this crate brings the loop that drives the protocol and the
//! handles that callers hold. It awaits nothing but its ports: no runtime is
//! inside (D10).

pub mod port;

pub use raftlet_core as core;

pub use port::{
    ApplyError, Clock, Command, FailureDetector, GroupInfo, GroupWrite, Incoming, LoadedLog, Ports,
    Rpc, Spawn, StateMachine, Storage, StorageError, WriteBatch,
};
