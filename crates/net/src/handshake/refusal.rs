//! Why a node was not let in: a reason for programs, one line for people.
//!
//! The line says what, where, remedy, and is written by the end that refuses,
//! in the words of the one who is refused: it travels there and is what its
//! operator reads.
//!
//! ```text
//! refusal: reason u16 · length u16 · text (UTF-8)
//! ```
//!
//! Not here: when to refuse (`handshake.rs`).

use bytes::{BufMut, BytesMut};

use super::{Identity, WIRE_VERSION_MAX, WIRE_VERSION_MIN};
use crate::control::ControlError;
use crate::fields::{Cut, Fields};
use raftlet::core::{ClusterId, Incarnation, NodeId, Run, Sender};

/// Longest text of a refusal: a few lines of a terminal.
const TEXT_BYTES_MAX: usize = 1024;

/// Which rule keeps a node out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// Not a hello at all.
    Malformed,
    /// No wire version in common (rule 45).
    Version,
    /// Another cluster (rule 2).
    Cluster,
    /// Somebody else lives at the address.
    WrongNode,
    /// The configuration names another life of the data directory (rule 3).
    Incarnation,
    /// An older copy of the data directory (rule 4).
    StaleRun,
    /// The node dialled itself.
    SelfConnection,
    /// Two nodes under one id.
    NodeTaken,
    /// Not a node that is known here.
    Stranger,
    /// The refusing node cannot let anyone in now; try again.
    NotNow,
    /// A reason of a later version.
    Other(u16),
}

impl RefusalReason {
    const fn number(self) -> u16 {
        match self {
            Self::Malformed => 1,
            Self::Version => 2,
            Self::Cluster => 3,
            Self::WrongNode => 4,
            Self::Incarnation => 5,
            Self::StaleRun => 6,
            Self::SelfConnection => 7,
            Self::NodeTaken => 8,
            Self::Stranger => 9,
            Self::NotNow => 10,
            Self::Other(number) => number,
        }
    }

    const fn from_number(number: u16) -> Self {
        match number {
            1 => Self::Malformed,
            2 => Self::Version,
            3 => Self::Cluster,
            4 => Self::WrongNode,
            5 => Self::Incarnation,
            6 => Self::StaleRun,
            7 => Self::SelfConnection,
            8 => Self::NodeTaken,
            9 => Self::Stranger,
            10 => Self::NotNow,
            other => Self::Other(other),
        }
    }
}

/// A refusal, as it is printed where it arrives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// Which rule.
    pub reason: RefusalReason,
    /// What, where, remedy.
    pub text: String,
}

impl Refusal {
    pub(crate) fn malformed() -> Self {
        Self::new(
            RefusalReason::Malformed,
            "this is the peer port of a raftlet node and the first bytes were no hello; \
             point clients at the client port"
                .to_owned(),
        )
    }

    pub(super) fn version(min: u16, max: u16) -> Self {
        let text = format!(
            "you speak wire versions {min} to {max}, this node speaks {WIRE_VERSION_MIN} to \
             {WIRE_VERSION_MAX}; upgrade the older of the two one release at a time"
        );
        Self::new(RefusalReason::Version, text)
    }

    pub(super) fn cluster(me: &Identity, theirs: ClusterId) -> Self {
        let node = me.seat.node;
        let ours = me.cluster;
        let text = format!(
            "you belong to cluster {theirs}, node {node} to cluster {ours}; start all nodes with \
             the same --cluster-name, --initial-members and --groups, or with the data directory \
             of this cluster"
        );
        Self::new(RefusalReason::Cluster, text)
    }

    pub(super) fn wrong_node(wanted: NodeId, found: NodeId) -> Self {
        let text = format!(
            "node {wanted} was dialled and node {found} lives at that address; correct the \
             address of {wanted} in --initial-members"
        );
        Self::new(RefusalReason::WrongNode, text)
    }

    pub(super) fn incarnation(me: NodeId, sender: Sender, expected: Incarnation) -> Self {
        let node = sender.node;
        let found = sender.incarnation;
        let text = format!(
            "node {node} shows data directory {found}, the cluster counts it under {expected} \
             (asked: node {me}): its data was wiped or swapped and it may have forgotten votes; \
             remove the member, add it under a new id, or start it on its own data directory: \
             `raftlet member remove {node}`, then `raftlet serve --node-id NEW --join HOST:PORT` \
             on an empty --data-dir and `raftlet member promote NEW`"
        );
        Self::new(RefusalReason::Incarnation, text)
    }

    pub(super) fn stale_run(me: NodeId, sender: Sender, highest: Run) -> Self {
        let Sender { node, run, .. } = sender;
        let text = format!(
            "node {node} is in start number {} of its data directory, node {me} remembers start \
             number {}: this is an old copy of the directory; start it on the newest one, or \
             remove the member, add it under a new id",
            run.get(),
            highest.get(),
        );
        Self::new(RefusalReason::StaleRun, text)
    }

    pub(super) fn self_connection(me: NodeId) -> Self {
        let text = format!(
            "node {me} dialled itself; correct the address under which another node leads back \
             to {me} in --initial-members"
        );
        Self::new(RefusalReason::SelfConnection, text)
    }

    pub(super) fn node_taken(me: NodeId, other: Sender) -> Self {
        let text = format!(
            "node id {me} is taken by the node that answers here, and data directory {} claims it \
             too; give each node a --node-id of its own",
            other.incarnation,
        );
        Self::new(RefusalReason::NodeTaken, text)
    }

    pub(crate) fn stranger(me: NodeId, node: NodeId) -> Self {
        let text = format!(
            "node {node} is no member that node {me} knows; one that was removed comes back under \
             a new id only, with `raftlet serve --join HOST:PORT` on an empty directory; add a new \
             one the same way, or with `raftlet member add`, or correct --node-id"
        );
        Self::new(RefusalReason::Stranger, text)
    }

    pub(crate) fn not_now(me: NodeId, cause: &str) -> Self {
        let text = format!(
            "node {me} cannot let anyone in: {cause}; it needs attention, this node will try again"
        );
        Self::new(RefusalReason::NotNow, text)
    }

    /// Whether another process was found than the one expected.
    pub(crate) const fn is_about_identity(&self) -> bool {
        matches!(
            self.reason,
            RefusalReason::Cluster
                | RefusalReason::WrongNode
                | RefusalReason::Incarnation
                | RefusalReason::StaleRun
        )
    }

    fn new(reason: RefusalReason, mut text: String) -> Self {
        while text.len() > TEXT_BYTES_MAX {
            text.pop();
        }
        Self { reason, text }
    }

    pub(crate) fn encode(&self, into: &mut BytesMut) {
        into.put_u16_le(self.reason.number());
        into.put_u16_le(u16::try_from(self.text.len()).expect("TEXT_BYTES_MAX fits u16"));
        into.put_slice(self.text.as_bytes());
    }

    /// Reads a refusal. It will be printed: what is not text becomes `?`.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, ControlError> {
        let what = "refusal";
        let mut fields = Fields::new(body);
        let (reason, text) = Self::read(&mut fields).map_err(|Cut| ControlError::Cut { what })?;
        if fields.remaining() > 0 || text.len() > TEXT_BYTES_MAX {
            return Err(ControlError::Unknown { what });
        }
        let text = String::from_utf8_lossy(text);
        let text = text.chars().map(|c| if c.is_control() { '?' } else { c });
        Ok(Self::new(reason, text.collect()))
    }

    fn read<'a>(fields: &mut Fields<'a>) -> Result<(RefusalReason, &'a [u8]), Cut> {
        let reason = RefusalReason::from_number(fields.u16()?);
        let len = usize::from(fields.u16()?);
        Ok((reason, fields.take(len)?))
    }
}
