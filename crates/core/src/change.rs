//! How a change of the members stands, as its askers see it.
//!
//! Not here: the steps of a change (`leader/change.rs`), why it is refused
//! (`error.rs`).

use crate::ids::{Index, NodeId};

/// How a change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The members are the ones asked for, and that is committed.
    Done {
        /// Where their configuration stands.
        index: Index,
    },
    /// On the way; ask again.
    UnderWay {
        /// Where the configuration in effect stands.
        index: Index,
    },
}

/// A member that must be level before a change goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatchUp {
    /// Which.
    pub node: NodeId,
    /// Durable there up to here.
    pub matched: Index,
    /// The round ends when this is.
    pub goal: Index,
    /// Counts the rounds from 1.
    pub round: u32,
}
