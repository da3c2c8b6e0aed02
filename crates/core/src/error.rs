//! Why an input was refused, one type per boundary.
//!
//! Messages from other members are never errors: what is wrong with them is
//! counted (`counters.rs`). Errors here go to local callers.

use crate::ids::{Index, NodeId, Term};
use crate::membership::ConfigurationError;

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
    /// It has just begun to lead, after an outage: until its first entry is
    /// committed it cannot tell the log's time (D12).
    #[error("this leader does not know the log's time yet; try again once its term is committed")]
    Settling,
    /// The leader holds as many uncommitted bytes as it may.
    #[error("{held} bytes wait for a quorum, {limit} are allowed; try again when some committed")]
    Busy {
        /// Bytes that are not committed yet.
        held: usize,
        /// `uncommitted_bytes_max`.
        limit: usize,
    },
    /// Too many members' logs are short of room: no quorum could take it.
    #[error("no quorum of the members has room; free space on their disks, then try again")]
    QuorumFull,
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

/// Why the members are not, or not yet, the ones asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// Another member leads, or nobody: ask there.
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
    /// The leader has not committed an entry of its own term yet (rule 17).
    #[error("the leader is new and has committed nothing of its own yet; ask again")]
    NotReady,
    /// Whoever leads next decides.
    #[error("the leader is handing leadership over; ask again")]
    Transferring,
    /// One change at a time (rule 17).
    #[error(
        "another change of the members is under way, configuration {index}; \
         wait until it is committed or cancel it"
    )]
    InProgress {
        /// Where the configuration in effect stands.
        index: Index,
    },
    /// The members changed since the wish was formed.
    #[error(
        "the wish rests on configuration {expected}, but {current} is in effect; \
         look at the members again"
    )]
    Version {
        /// As asked.
        expected: Index,
        /// Where the configuration in effect stands.
        current: Index,
    },
    /// The set is none that could decide anything.
    #[error(transparent)]
    Invalid(#[from] ConfigurationError),
    /// A node is seated under another incarnation (rule 3).
    #[error(
        "node {node} is a member under another incarnation; \
         remove that member first, then add the node under a new id"
    )]
    Incarnation {
        /// Which.
        node: NodeId,
    },
    /// A member to be promoted does not answer; it stays a learner.
    #[error(
        "node {node} did not catch up: it has {matched} of {goal} entries and does not answer; \
         it stays a learner, start it and promote it again"
    )]
    NotCaughtUp {
        /// Which.
        node: NodeId,
        /// Durable there up to here.
        matched: Index,
        /// What it had to reach.
        goal: Index,
    },
    /// The change was cancelled while members caught up; they stay learners.
    #[error("the change was cancelled; members that it added stay learners")]
    Cancelled,
    /// The change is in the log: it ends by commit or truncation.
    #[error("the change is in the log as configuration {index} and cannot be cancelled any more")]
    TooLate {
        /// Where its configuration stands.
        index: Index,
    },
    /// Nothing to cancel.
    #[error("no change of the members is under way")]
    NoChange,
    /// Index or term is at its end (rule 24).
    #[error("the group's index or term has reached its limit; move its data to a new group")]
    Exhausted,
}
