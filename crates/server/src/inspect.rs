//! What the admin port asks of a node, so that its routes can be tested
//! without one.
//!
//! Invariant: answering asks nobody; it is what this node knows now.

use crate::status::NodeStatus;

/// A node that answers questions.
pub(crate) trait Inspect: 'static {
    /// How the node is now.
    fn status(&self) -> NodeStatus;
    /// Why the node does not live, if it doesn't.
    fn broken(&self) -> Option<String>;
    /// Whether the node is on its way out.
    fn is_stopping(&self) -> bool;
}
