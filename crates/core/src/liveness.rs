//! What a failure detector says about another node (D7).
//!
//! It influences when somebody campaigns or asks again, never what is safe.

use crate::ids::Run;

/// How a node is doing, as seen from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Liveness {
    /// Nobody vouches for it: only its group messages tell.
    #[default]
    Unknown,
    /// Messages go both ways and its shards turn.
    Alive {
        /// The run that answers.
        run: Run,
    },
    /// Silent, or its connection was reset and does not reopen.
    Suspected,
}
