//! Why an input was refused, one type per boundary.
//!
//! Messages from other members are never errors: what is wrong with them is
//! counted (`counters.rs`). Errors here go to local callers.

use crate::ids::{NodeId, Term};

/// Why a proposal was not appended: nothing of it is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// Another member leads, or nobody.
    #[error("this member does not lead; {}", match leader {
        Some(leader) => format!("node {leader} does"),
        None => "no leader is known".to_owned(),
    })]
    NotLeader {
        /// Who does, as far as known.
        leader: Option<NodeId>,
        /// This member's term.
        term: Term,
    },
    /// It leads and is handing leadership over (rule 25).
    #[error("this member is handing leadership over; try again when another leads")]
    Transferring,
    /// The leader holds as many uncommitted bytes as it may.
    #[error("{held} bytes wait for a quorum, {limit} are allowed; try again when some committed")]
    Busy {
        /// Bytes that are not committed yet.
        held: usize,
        /// `uncommitted_bytes_max`.
        limit: usize,
    },
    /// A command above the limit, or more commands than one call may bring.
    #[error("a command of {bytes} bytes, or too many at once; {limit} bytes are allowed each")]
    TooLarge {
        /// Bytes of the largest command.
        bytes: usize,
        /// `command_bytes_max`.
        limit: usize,
    },
    /// No proposal in the call.
    #[error("a proposal of no command")]
    Empty,
    /// Index or term is at its end (rule 24).
    #[error("the group's index or term has reached its limit; move its data to a new group")]
    Exhausted,
}

/// Why leadership is not handed over: nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// Only the leader hands over.
    #[error("this member does not lead; {}", match leader {
        Some(leader) => format!("ask node {leader}, which does"),
        None => "no leader is known".to_owned(),
    })]
    NotLeader {
        /// Who does, as far as known.
        leader: Option<NodeId>,
        /// This member's term.
        term: Term,
    },
    /// The one that is to lead does.
    #[error("node {node} leads already")]
    LeadsAlready {
        /// This node.
        node: NodeId,
    },
    /// The one that is to lead may not: a learner, or no member.
    #[error("node {node} is no voter of this group; name one that is")]
    NotVoter {
        /// Who was named.
        node: NodeId,
    },
    /// Nobody else may lead.
    #[error("no other member of this group is a voter")]
    NoOtherVoter,
}

/// Why a read was not taken: nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// More reads wait than may.
    #[error("{limit} reads wait already; try again when some were served")]
    Busy {
        /// `reads_max`.
        limit: usize,
    },
}
