//! What committed commands act on (D5).

use std::future::Future;

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

/// What committed commands act on.
///
/// 1. Commands come in log order, each index at most once within a run. After
///    a restart they come again from the start of the log.
/// 2. `apply` is deterministic: state and responses depend on nothing but the
///    commands and what came before. No clock, no randomness, no map order.
/// 3. `apply` pushes exactly one response per command, in order.
/// 4. `apply` never fails for what a command says: that is a response. An
///    error means that this machine is broken; every member would halt alike
///    on a command that cannot be applied.
/// 5. One `apply` at a time; reads run between two of them.
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

    /// A digest of the state, equal on members that applied the same commands;
    /// 0 when the machine has none.
    fn digest(&self) -> u64 {
        0
    }
}
