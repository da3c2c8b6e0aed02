//! Where the transport hands over what it receives and notices.
//!
//! The server glues it to the shard's inbox. Every call is made from a task of
//! the transport, with nothing of it borrowed, so that a sink may call back.

use std::future::Future;
use std::io;

use crate::connection::ConnectionError;
use crate::disowned::Disowned;
use crate::handshake::Refusal;
use raftlet::Incoming;
use raftlet::core::{Liveness, NodeId, Run, Sender};

/// What the transport feeds.
pub trait Sink: 'static {
    /// Messages arrived, from a sender that the handshake proved and whose
    /// incarnation is the expected one. Takes them out of `messages`; what is
    /// left is discarded.
    fn deliver(&self, from: Sender, messages: &mut Vec<Incoming>);

    /// A node is seen differently from now on.
    fn liveness(&self, node: NodeId, liveness: Liveness);

    /// A member leads a group no more. Said again until this node has answered.
    fn disowned(&self, from: Sender, disowned: Disowned);

    /// Makes durable that `peer` was seen in this run; until then it is not
    /// let in (rule 4). An error refuses the connection, not the node for good.
    fn remember(&self, peer: Sender) -> impl Future<Output = io::Result<()>>;

    /// How often the loop of each shard has turned, for the next heartbeat;
    /// asked at every one, and a good moment to nudge an idle loop. A shard
    /// whose number stands still for `suspect_after` makes peers suspect this
    /// node; 0 is never judged.
    fn shard_turns(&self, turns: &mut Vec<u64>);

    /// Something that an operator may want to know.
    fn event(&self, event: NetEvent);
}

/// Something that an operator may want to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum NetEvent {
    /// Our connection to a node is established.
    Connected {
        /// The node.
        node: NodeId,
        /// Its run.
        run: Run,
    },
    /// A node's connection to us is established.
    Accepted {
        /// The node.
        node: NodeId,
        /// Its run.
        run: Run,
    },
    /// An established connection ended, in either direction.
    Closed {
        /// The node.
        node: NodeId,
        /// Why.
        cause: ConnectionError,
    },
    /// A node could not be reached, or did not finish the handshake.
    DialFailed {
        /// The node.
        node: NodeId,
        /// Where it should be.
        address: String,
        /// Why.
        cause: ConnectionError,
    },
    /// This node refused somebody.
    Refused {
        /// Where from, or where to.
        address: String,
        /// Why, in words for the other side.
        refusal: Refusal,
    },
    /// A node refused this one. For reasons of identity (wiped directory, old
    /// copy, other cluster) the server ends with the text.
    RefusedBy {
        /// The node.
        node: NodeId,
        /// Where it is.
        address: String,
        /// Why, in words for this side.
        refusal: Refusal,
    },
}
