//! What committed commands act on (D5).

use std::future::Future;

use bytes::Bytes;

use raftlet_core::{Index, Term};

/// A committed command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// Its place in the log.
    pub index: Index,
    /// The term of the leader that appended it.
    pub term: Term,
    /// Log time in milliseconds: never falls along the log, alike on every
    /// member (D12). The only time a machine may use.
    pub log_time_ms: u64,
    /// As `encode` wrote it.
    pub payload: &'a [u8],
}

/// Why a machine cannot go on. Its group halts by name (rule 44).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state machine cannot apply entry {index}: {detail}")]
pub struct ApplyError {
    /// The command that failed.
    pub index: Index,
    /// What, where, remedy.
    pub detail: String,
}

/// Why the chunks of a snapshot end early, or why a machine cannot use them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot cannot be written or read: {detail}")]
pub struct ChunkError {
    /// What, where, remedy.
    pub detail: String,
}

/// A machine's state as a stream of chunks, in the machine's own form.
pub trait ChunkSource: 'static {
    /// The next chunk, from 1 to [`SNAPSHOT_CHUNK_BYTES_MAX`] bytes; `None` at
    /// the end. Some 256 KiB make few chunks. The shard does other work between
    /// two polls, so one that takes long to make is made in several.
    ///
    /// [`SNAPSHOT_CHUNK_BYTES_MAX`]: crate::SNAPSHOT_CHUNK_BYTES_MAX
    ///
    /// # Errors
    /// [`ChunkError`]: there will be no more.
    fn next_chunk(&mut self) -> impl Future<Output = Result<Option<Bytes>, ChunkError>>;
}

/// The chunks of a machine that takes no snapshots: there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoChunks {}

impl ChunkSource for NoChunks {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, ChunkError> {
        match *self {}
    }
}

/// What committed commands act on.
///
/// 1. Commands come in log order, each index at most once within a run. After
///    a restart they come again, from behind the snapshot that `restore` brought,
///    or from behind `durable_index`, or from the start of the log. A machine that
///    keeps durable state of its own says so by `durable_index`, from its first
///    start on: only then is it given nothing that a crash could still take from
///    this member's log (rule 8).
/// 2. `apply` is deterministic: state and responses depend on nothing but the
///    commands and what came before. No clock, no randomness, no map order.
/// 3. `apply` pushes exactly one response per command, in order.
/// 4. `apply` never fails for what a command says: that is a response. An
///    error means that this machine is broken; every member would halt alike
///    on a command that cannot be applied.
/// 5. One `apply` at a time; reads run between two of them.
/// 6. What `snapshot` gives is the state at that moment, whatever is applied
///    while it is read: the machine shares what it has and copies what it
///    changes. `snapshot` itself takes no longer than a hand-over.
/// 7. `restore` puts that state in the place of its own, all of it. The same
///    commands on it then have the same effects. It may drop its own first, so
///    that there is never room taken for two; after an error nobody asks it for
///    anything any more but to `reset`.
pub trait StateMachine: 'static {
    /// What callers propose.
    type Command;
    /// What they get back.
    type Response;

    /// Appends the command's bytes, at most `command_bytes_max`.
    fn encode(command: &Self::Command, into: &mut Vec<u8>);

    /// Applies commands in order.
    ///
    /// # Errors
    /// [`ApplyError`] halts the group.
    fn apply(
        &mut self,
        commands: &[Command<'_>],
        responses: &mut Vec<Self::Response>,
    ) -> impl Future<Output = Result<(), ApplyError>>;

    /// The state as of now, to be written down while `apply` goes on. By default
    /// there is none, and the log only grows.
    fn snapshot(&mut self) -> Option<impl ChunkSource + use<Self>> {
        None::<NoChunks>
    }

    /// Takes over the state that another member, or an earlier run, wrote down.
    ///
    /// # Errors
    /// [`ChunkError`] halts the group: chunks that this machine cannot read, or
    /// by default any.
    fn restore(
        &mut self,
        chunks: &mut impl ChunkSource,
    ) -> impl Future<Output = Result<(), ChunkError>> {
        let _ = chunks;
        async { Err(ChunkError { detail: "this machine takes no snapshots".to_owned() }) }
    }

    /// Takes the state that it would have when the process starts: the initial one,
    /// or that of [`durable_index`](Self::durable_index). Whatever it was doing is
    /// void, also a `restore` that ended in an error. Asked where storage was found
    /// damaged while the group ran: the group is opened again with this machine.
    ///
    /// Returns whether it did. By default it cannot, and the group halts until the
    /// process starts again.
    fn reset(&mut self) -> impl Future<Output = bool> {
        async { false }
    }

    /// `None`, by default: the machine keeps nothing over a restart. It may be
    /// given what a quorum has and this member's own disk does not have yet.
    ///
    /// Else the machine has durable state of its own, and up to here it has
    /// applied the log, durably; `Some(Index::ZERO)` for one that has applied
    /// nothing yet. Asked when its group is opened; what it covers is not applied
    /// again (rule 14). Such a machine is given only what is durable in this
    /// member's log as well (rule 8): its answers wait for this member's disk.
    fn durable_index(&self) -> Option<Index> {
        None
    }

    /// A digest of the state, equal on members that applied the same commands;
    /// 0 when the machine has none.
    ///
    /// The shard asks for it after every
    /// [`CHECKPOINT_ENTRIES`](crate::core::CHECKPOINT_ENTRIES)th entry, between two
    /// applies, and members compare: keep it up to date while applying, or take
    /// it of a part. One that differs at the same index is an alarm (an error
    /// line, `divergences` among the counters, [`Status::diverged`]), and nothing
    /// is done about it: which member is wrong two numbers cannot tell.
    ///
    /// [`Status::diverged`]: crate::core::Status::diverged
    fn digest(&self) -> u64 {
        0
    }
}
