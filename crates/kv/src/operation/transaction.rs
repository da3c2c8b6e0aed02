//! Several commands as one, if nothing watched has changed.
//!
//! Not here: what is queued before (`session/transaction.rs`), their bytes in
//! the log (`operation/codec/transaction.rs`).

use crate::operation::Command;

/// What `EXEC` proposes. Applied as a whole at one place of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction<B> {
    /// Keys with the versions they must still have, or nothing is executed.
    pub watched: Vec<(B, u64)>,
    /// What is executed, in order; one that is refused stops no other. No
    /// transaction is among them.
    pub commands: Vec<Command<B>>,
}
