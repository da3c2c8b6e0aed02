//! Why a data directory is not taken for this node's, and why a peer is not let in:
//! what, where, remedy.
//!
//! Not here: when (`identity.rs`).

use crate::disk::DiskError;
use crate::identity::{FILE_NAME, PEERS_MAX};
use raftlet::core::{NodeId, Run};

/// Why a directory is not taken for this node's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The directory is another node's or cluster's.
    #[error(
        "{place} belongs to {field} {found}, this node was started as {expected}; \
         use the directory of this node, or an empty one"
    )]
    Mismatch {
        /// The directory.
        place: String,
        /// What differs.
        field: &'static str,
        /// In the directory.
        found: String,
        /// On the command line.
        expected: String,
    },
    /// Its keyspace is divided among another number of groups.
    #[error(
        "{place} was founded with {found} groups, this node was started with {expected}; start it \
         with {found}: the number is fixed at first start"
    )]
    Groups {
        /// The directory.
        place: String,
        /// In the directory.
        found: u64,
        /// On the command line.
        expected: u64,
    },
    /// Written by a version unknown here.
    #[error(
        "{place} has identity format {found}, this program knows 1 to 4; \
         start the version that wrote it, or a newer one"
    )]
    UnknownFormat {
        /// The file.
        place: String,
        /// Its version.
        found: u32,
    },
    /// Neither copy is whole.
    #[error(
        "both copies in {place} are damaged; put back an intact copy, or remove this member \
         from its groups and add it under a new node id on an empty directory"
    )]
    Damaged {
        /// The file.
        place: String,
    },
    /// Peers have met a later start of this node: they refused it before.
    #[error(
        "{place} is an old copy of this node's data directory, as other members found: start the \
         node on the newest one, or remove the member and add it under a new node id on an empty \
         directory"
    )]
    Outdated {
        /// The directory.
        place: String,
    },
    /// A log without identity, or files of another program.
    #[error(
        "{place} holds {file} but no {FILE_NAME}; put the {FILE_NAME} of this directory back, \
         or use an empty directory"
    )]
    NotEmpty {
        /// The directory.
        place: String,
        /// A file in it.
        file: String,
    },
    /// A backup was copied into it, and the copying never ended.
    #[error(
        "{place} holds {file} of a restore that did not finish; empty the directory and run \
         `raftlet backup restore` again"
    )]
    Unfinished {
        /// The directory.
        place: String,
        /// A file of the restore.
        file: String,
    },
    /// A claim beyond the limits.
    #[error("{what}; choose another")]
    Claim {
        /// What is wrong with it.
        what: String,
    },
    /// The start counter has reached its end (rule 24).
    #[error("{place} was started too often; add this node under a new id on an empty directory")]
    Exhausted {
        /// The directory.
        place: String,
    },
    /// No random numbers.
    #[error("the system gave no random number for a new identity: {cause}; start again")]
    NoEntropy {
        /// What the system said.
        cause: String,
    },
    /// The disk failed.
    #[error("{0}; check the device and the permissions, then start again")]
    Disk(DiskError),
}

/// Why a peer's run is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunRefused {
    /// A later run of it was met before: its directory is an old copy.
    #[error(
        "node {node} comes with start {run}, but start {highest} of it was met before: its data \
         directory is an old copy; remove the member and add it under a new node id"
    )]
    Outdated {
        /// The peer.
        node: NodeId,
        /// As it says.
        run: Run,
        /// As remembered.
        highest: Run,
    },
    /// More peers than are remembered.
    #[error("node {node} is one peer too many: the starts of {PEERS_MAX} are remembered")]
    TooMany {
        /// The peer.
        node: NodeId,
    },
    /// It could not be made durable.
    #[error("the start of a peer cannot be remembered: {0}; restart on a healthy disk")]
    Disk(DiskError),
}
