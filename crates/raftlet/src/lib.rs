//! Raft for thread-per-core programs.
//!
//! A program gives each OS thread a [`Shard`]; a shard hosts one to tens of
//! thousands of Raft groups. The embedder brings the ports ([`Rpc`],
//! [`Storage`], [`StateMachine`], and small ones for time, tasks and
//! liveness); this crate brings the loop that drives the protocol and the
//! handles that callers hold. It awaits nothing but its ports: no runtime is
//! inside (D10).
//!
//! # In use
//! 1. [`Shard::new`] takes the ports; [`Shard::inbox`] is where the transport
//!    delivers and the failure detector tells.
//! 2. [`Shard::bootstrap`] once in a group's life, on every initial member,
//!    with the same [`Configuration`](core::Configuration).
//! 3. [`Shard::open`] at every start gives the [`Group`] handle.
//! 4. [`Shard::run`] drives all groups, as one task of your runtime.
//! 5. [`Group::propose`] and [`Group::read`], on any member;
//!    [`Group::transfer_leadership`] on the one that leads;
//!    [`Group::offices`] tells who does.
//! 6. [`Group::add_learner`], [`Group::promote`], [`Group::remove`] and
//!    [`Group::change_members`] change who belongs to the group.
//!
//! The README has this as a program, `examples/` has more; `docs/capabilities.md`
//! says for each of these what an operator calls and what tests it.
//!
//! # Where to start reading
//! - `port.rs`: what an embedder brings, as numbered laws.
//! - `shard/handle.rs`: what callers hold. `shard.rs`: the loop.
//! - `shard/turn.rs`: a turn. `member.rs`: one group on the shard.
//!
//! A write goes `shard/handle` → `inbox` → `member` → core → `shard/writer` beside
//! `shard/act` (sends) → `applier` → `waiters` → `answer`. What an operator reads
//! of it comes from `observe.rs`.

pub mod port;

mod answer;
mod applier;
mod cadence;
mod cell;
mod change;
mod couriers;
mod effects;
mod error;
mod forward;
mod histogram;
mod idle;
mod inbox;
mod library;
mod member;
pub mod memory;
mod observe;
mod offices;
mod options;
mod patience;
mod proposal;
mod reads;
mod reopening;
mod shard;
mod snapshot;
mod space;
mod status;
mod timers;
mod transfer;
mod waiters;
mod window;

pub use raftlet_core as core;

pub use error::{
    BootstrapError, ChangeError, Halt, NotDone, OpenError, ProposeError, ReadError, ShardError,
    SnapshotError, TransferError, Unknown,
};

pub use histogram::Histogram;
pub use offices::{Lagged, OFFICES_MAX, Office, Offices};
pub use options::{NodeSeat, ShardOptions};
pub use port::{
    ApplyError, ChunkError, ChunkSource, Clock, Command, Compaction, DamagedRange, FailureDetector,
    GroupInfo, GroupWrite, Incoming, LoadedLog, NoChunks, NoSnapshots, Pin, Ports, Room, Rpc,
    SNAPSHOT_CHUNK_BYTES_MAX, SNAPSHOT_CHUNKS_MAX, SNAPSHOT_META_BYTES_MAX, Shortage, SnapshotInfo,
    SnapshotMeta, SnapshotReader, SnapshotWriter, Spawn, StateMachine, Storage, StorageError,
    WriteBatch,
};
pub use shard::{
    Changing, Group, Inbox, PortSet, Proposing, ProposingAll, Reading, Shard, Snapshotting,
    Transferring,
};
pub use status::{
    GroupStatus, ShardCounters, ShardStatus, SnapshotFills, SnapshotProgress, SnapshotsStatus,
    StateDigest,
};

/// The README's example, so that it compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
