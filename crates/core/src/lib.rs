//! The Raft protocol of **one group on one member**: bytes and times in,
//! decisions out.
//!
//! A [`Group`](crate::Output) knows no thread, clock, socket, file, random
//! source or log line. Inputs are methods that take the time; everything due
//! comes out of one [`Output`].
//!
//! # Where to start reading
//! - `ids.rs`, `time.rs`, `entry.rs`, `membership.rs`: the nouns.
//! - `message.rs`, `output.rs`: what goes in and out.
//!
//! Sections (§) are those of Ongaro's dissertation, "Consensus: Bridging
//! Theory and Practice"; rules and decisions (D) are in `docs/`.

mod checksum;
mod counters;
mod entry;
mod error;
mod ids;
mod liveness;
mod membership;
mod message;
mod options;
mod output;
mod time;

pub use checksum::crc32c;
pub use counters::Counters;
pub use entry::{
    Arena, CHUNK_LEN_MAX, Chunk, ChunkEntries, ENTRY_BYTES_MAX, Entries, Entry, EntryError,
    EntryKind, HEADER_BYTES, NewEntry, Origin, PAYLOAD_BYTES_MAX, Seal,
};
pub use error::{ProposeError, ReadError};
pub use ids::{
    ClusterId, Generation, GroupId, Incarnation, Index, LogId, NUMBER_MAX, NodeId, ReadId, Round,
    Run, Sender, ShardId, Term, Ticket,
};
pub use liveness::Liveness;
pub use membership::{
    ADDRESS_BYTES_MAX, Configuration, ConfigurationError, MEMBERS_MAX, Member, Role as MemberRole,
};
pub use message::{
    Ack, AckOutcome, Append, Body, Forward, ForwardOutcome, ForwardReply, Message, VoteKind,
    VoteReply, VoteRequest,
};
pub use options::{Options, OptionsError, Settings};
pub use output::{Envelope, Event, Fetch, FetchId, HardState, Output, Persist, ReadReady, Role};
pub use time::{Now, Time, WallMs};
