//! The Raft protocol of **one group on one member**: bytes and times in,
//! decisions out.
//!
//! A [`Group`] knows no thread, clock, socket, file, random
//! source or log line. Inputs are methods that take the time; everything due
//! comes out of one [`Output`].
//!
//! # Where to start reading
//! - `ids.rs`, `time.rs`, `entry.rs`, `membership.rs`: the nouns.
//! - `message.rs`, `output.rs`: what goes in and out.
//! - `group.rs`: inputs, dispatch by role, drain.
//! - `follower.rs`, `candidate.rs`, `votes.rs`, `leader.rs`, `reads.rs`: the
//!   protocol, one role or concern a file, over what all share (`state.rs`).
//! - `leader/change.rs`, `leader/preference.rs`: how members change, and who
//!   of them should lead.
//! - `log.rs`, `durability.rs`, `quorum.rs`: what a member has, what its disk
//!   has, what a majority has.
//! - `checkpoint.rs`: whether members hold the same.
//! - `snapshot.rs`, `group/snapshots.rs`: what stands for the front of a log.
//!
//! Sections (§) are those of Ongaro's dissertation, "Consensus: Bridging
//! Theory and Practice"; rules and decisions (D) are in `docs/`.

mod candidate;
mod change;
mod checkpoint;
mod checksum;
mod counters;
mod durability;
mod entry;
mod error;
mod follower;
mod genesis;
mod group;
mod ids;
mod leader;
mod liveness;
mod log;
mod membership;
mod message;
pub mod mutants;
mod options;
mod output;
mod quorum;
mod reads;
mod refill;
mod rng;
mod seldom;
mod snapshot;
mod state;
mod time;
mod votes;

pub use change::{CatchUp, Change};
pub use checkpoint::{CHECKPOINT_ENTRIES, Checkpoint, Diverged, Divergence};
pub use checksum::crc32c;
pub use counters::Counters;
pub use entry::arena::Arena;
pub use entry::{
    CHAIN_START, CHUNK_LEN_MAX, Chunk, ChunkEntries, ChunkRef, ENTRY_BYTES_MAX, Entries, Entry,
    EntryError, EntryKind, HEADER_BYTES, NewEntry, Origin, PAYLOAD_BYTES_MAX, Seal,
};
pub use error::{ChangeError, ProposeError, ReadError, TransferError};
pub use genesis::genesis;
pub use group::queries::{MemberStatus, Status};
pub use group::{Group, Restored};
pub use ids::{
    ClusterId, Generation, GroupId, Incarnation, Index, LogId, NUMBER_MAX, NodeId, ReadId, Round,
    Run, Sender, ShardId, Term, Ticket,
};
pub use leader::room::UNCOMMITTED_SHORT_BYTES_MAX;
pub use liveness::Liveness;
pub use log::RestoreError;
pub use membership::{
    ADDRESS_BYTES_MAX, Configuration, ConfigurationError, MEMBERS_MAX, Member, PRIORITY_DEFAULT,
    Role as MemberRole,
};
pub use message::membership::{MEMBERSHIP_BYTES_MAX, Membership};
pub use message::{
    Ack, AckOutcome, Append, Body, Forward, ForwardOutcome, ForwardReply, Message, Shortage,
    VoteKind, VoteReply, VoteRequest,
};
pub use options::{LeaseOptions, Options, OptionsError, Settings};
pub use output::outlet::{AppendRef, Head, Outlet, PersistRare, PersistRef};
pub use output::{
    Envelope, Event, Fetch, FetchId, HardState, Output, Persist, ReadReady, Role, TransferFailure,
};
pub use refill::Refill;
pub use snapshot::{
    Compaction, SNAPSHOT_PART_BYTES_MAX, Snapshot, SnapshotAck, SnapshotOutcome, SnapshotPart,
};
pub use state::Seat;
pub use time::{Now, Time, WallMs};
