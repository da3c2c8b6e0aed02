//! The shard log: durable state of many groups in one sequential file stream.
//!
//! One write of a shard's turn, for all its groups, is one contiguous *frame*
//! of 4 KiB *blocks*: one device write, one flush (D4). Terms, votes,
//! truncations and entries go in as records of one order; there is no second
//! file to sync. Frames follow one another through *segments*, files that are
//! written with zeros before they are used.
//!
//! What holds
//! - An acknowledged write survives power loss, or its loss is reported: damage
//!   is told from a torn tail by proof, never by guess (rule 10).
//! - Every block is known by its place, its segment and its directory; stale,
//!   foreign and misdirected bytes are found (rule 26).
//! - A failed write or flush poisons the log until the process starts again
//!   (rule 9); a full disk that is noticed before writing does not.
//! - Segments that nobody needs are freed in order of age and used again
//!   (`collect.rs`); the log is bounded by what its groups hold.
//!
//! Where to start reading: `docs/format-log.md` for the bytes, `disk.rs` for
//! what is asked of a disk; then a write (`append.rs`, `plan.rs`, `frame.rs`,
//! `block.rs`, `landing.rs`, `settle.rs`), then a start (`open.rs`, `recovery.rs`). Identity and lock of
//! the data directory are `identity.rs` and `disk/lock.rs`.
//!
//! A log that no node uses is looked at by `inspect.rs`, which cannot write.
//!
//! Snapshot files stand beside the log (`snapshot.rs`); a record makes one the
//! group's current one and lets the front of its log go (rule 12).

mod allowance;
mod anew;
mod append;
mod begun;
mod block;
mod collect;
mod data_dir;
mod directory;
pub mod disk;
mod error;
mod fields;
mod forsaken;
mod frame;
mod gate;
mod identity;
mod index;
pub mod inspect;
mod kept;
mod landing;
mod names;
mod open;
mod options;
mod plan;
mod prepare;
mod read;
mod record;
mod recovery;
mod remembered;
mod reserve;
mod room;
mod scan;
mod segment;
mod settle;
mod shard_log;
mod snapshot;
mod storage;
mod varint;
mod wanted;
mod width;

pub use data_dir::{DataDirError, has_identity, open_data_dir};
pub use disk::lane::block_on;
pub use disk::lock::{DirLock, LockError};
pub use disk::memory::MemoryDisk;
pub use disk::real::{Descriptor, DiskMode, LogWriter, RealDisk, Writing};
pub use disk::{Disk, DiskError};
pub use error::{Affected, Damage, OpenError};
pub use identity::{
    CLUSTER_NAME_BYTES_MAX, Claims, FOUNDING_NAME, Home, Identity, IdentityError,
    MEMBERS_BYTES_MAX, PEERS_MAX, RESTORE_NAME, RESTORE_PART_NAME, RunRefused, cluster_id,
    random_incarnation, restored_cluster_id,
};
pub use options::{LogCounters, LogOptions};
pub use recovery::{HarmedGroup, RecoveryReport, TailState};
pub use segment::FORMAT_VERSION;
pub use shard_log::{LogSpace, ShardLog};
pub use snapshot::SNAPSHOT_FORMAT_VERSION;
pub use snapshot::reader::LogSnapshotReader;
pub use snapshot::writer::LogSnapshotWriter;
