//! What an embedder brings, each port a list of numbered laws.
//!
//! Ports are generic parameters, never trait objects; their futures need not
//! be `Send` (D10). A port is used by one shard, from its thread.
//!
//! Not here: implementations. `raftlet::memory` has small ones for tests and
//! examples, the `log` and `net` crates those for production.

pub mod clock;
pub mod failure_detector;
pub mod rpc;
pub mod snapshot;
pub mod spawn;
pub mod state_machine;
pub mod storage;

pub use clock::Clock;
pub use failure_detector::FailureDetector;
pub use rpc::{Incoming, Rpc};
pub use snapshot::{
    NoSnapshots, SNAPSHOT_CHUNK_BYTES_MAX, SNAPSHOT_CHUNKS_MAX, SNAPSHOT_META_BYTES_MAX,
    SnapshotInfo, SnapshotMeta, SnapshotReader, SnapshotWriter,
};
pub use spawn::Spawn;
pub use state_machine::{ApplyError, ChunkError, ChunkSource, Command, NoChunks, StateMachine};
pub use storage::{
    Compaction, DamagedRange, GroupInfo, GroupWrite, LoadedLog, Pin, Room, Shortage, Storage,
    StorageError, WriteBatch,
};

/// The ports of one shard, named together.
pub trait Ports: 'static {
    /// Messages to other nodes.
    type Rpc: Rpc;
    /// Durable state of the shard's groups.
    type Storage: Storage;
    /// What committed commands act on; one kind a shard.
    type Machine: StateMachine;
    /// Time.
    type Clock: Clock;
    /// Tasks beside the shard loop.
    type Spawn: Spawn;
    /// Liveness of other nodes.
    type Detector: FailureDetector;
}
