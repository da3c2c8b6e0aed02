//! Why a part of the node ended although nobody asked it to, for a person.
//!
//! Not here: what follows from it (`node.rs`, `stop.rs`).

use tokio::task::{JoinError, JoinHandle};

use crate::process::failure::{Exit, Failure, chain};
use raftlet::ShardError;

/// The task of the shard's loop.
pub(crate) type ShardLoop = JoinHandle<Result<(), ShardError>>;

/// Why the shard's loop ended, unasked.
pub(crate) fn shard_failure(ended: Result<Result<(), ShardError>, JoinError>) -> Failure {
    match ended {
        Ok(Err(error)) => Failure::new(Exit::Runtime, chain(&error)),
        Ok(Ok(())) => Failure::runtime("the shard ended unasked; start the node again"),
        Err(error) => broken_part("shard", &error),
    }
}

/// Why another part ended, which none does by itself.
pub(crate) fn part_failure(part: &str, ended: Result<(), JoinError>) -> Failure {
    match ended {
        Ok(()) => Failure::runtime(format!("the {part} ended unasked; start the node again")),
        Err(error) => broken_part(part, &error),
    }
}

fn broken_part(part: &str, error: &JoinError) -> Failure {
    Failure::runtime(format!(
        "the {part} broke ({error}); its last words are above, please report them; start the \
         node again"
    ))
}
