//! The roll call before entry 1 (rule 5). Pure.
//!
//! Every initial member shows every other the list of (node, address,
//! incarnation) as it has met them itself. Who has a full list, and has been
//! shown the same one by everybody, may write it as entry 1, which is thus the
//! same on all. Whoever wrote says so with its list; who was still waiting
//! then takes that list over.
//!
//! Why two lists are never both written: say X wrote L and Y wrote L', which
//! differ in member Z. X showed L' to Y before it wrote L, and Y showed L to X
//! before it wrote L'. So X met the two lives of Z in one order and Y in the
//! other. But lives of a data directory follow one another, and a life is taken
//! as met only on proof that it still lives (`met`). Taking a list over does
//! not change that: it happens only on the word of a living writer, and who
//! writes or takes over shows no other list from that moment on.
//!
//! Invariants
//! - Meetings are ordered by when their connection was made, before the proof
//!   was asked for; an older connection never overrules a newer one.
//! - Once closed (`close`), the list never changes; what is refused from then
//!   on is refused by the handshake (rule 3).
//!
//! Not here: frames (`rollcall/showing.rs`), connections and proof
//! (`dial.rs`, `listen.rs`), writing entry 1 (the server).

mod showing;

pub(crate) use showing::{Showing, Shown};

use std::collections::BTreeMap;
use std::fmt;

use raftlet::core::{ADDRESS_BYTES_MAX, Incarnation, MEMBERS_MAX, NodeId};

/// An initial member, as it will stand in entry 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RollCallMember {
    /// Its node id.
    pub node: NodeId,
    /// The life of its data directory.
    pub incarnation: Incarnation,
    /// Where it is reached, `host:port`.
    pub address: String,
}

/// How far the roll call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RollCallStatus {
    /// Not all initial members have shown the same full list.
    Waiting(Vec<Missing>),
    /// This list may be written, in the order of node ids.
    Complete(Vec<RollCallMember>),
    /// This list was closed or written here.
    Closed(Vec<RollCallMember>),
}

/// Whom the roll call waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The node.
    pub node: NodeId,
    /// Where it should be.
    pub address: String,
    /// What is missing.
    pub why: MissingWhy,
}

/// What is missing of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingWhy {
    /// It was never met.
    NotMet,
    /// It was met; its list is not the same as ours yet.
    ListDiffers,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, address, why } = self;
        match why {
            MissingWhy::NotMet => write!(f, "node {node} at {address}: not met yet"),
            MissingWhy::ListDiffers => write!(
                f,
                "node {node} at {address}: has not met everyone, or met another life of a node"
            ),
        }
    }
}

/// Initial members that make no roll call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RollCallError {
    /// This node is not listed.
    #[error("node {0} is not among the initial members; add it to --initial-members")]
    WithoutMe(NodeId),
    /// Listed twice, or node 0.
    #[error("node {0} is listed twice in --initial-members, or is 0, which names nobody")]
    Node(NodeId),
    /// Over the limits of a configuration.
    #[error(
        "more than {MEMBERS_MAX} initial members, or an address above {ADDRESS_BYTES_MAX} bytes"
    )]
    TooLarge,
}

/// One node's view of the roll call.
#[derive(Debug)]
pub(crate) struct RollCall {
    me: NodeId,
    members: BTreeMap<NodeId, Candidate>,
    /// The list that stands: closed here, or taken over from one that wrote
    /// it. Nothing else is shown from then on.
    list: Option<Vec<RollCallMember>>,
    is_closed: bool,
    is_written: bool,
}

#[derive(Debug)]
struct Candidate {
    address: String,
    met: Option<Meeting>,
    /// What it showed last, in its present life.
    showing: Option<Showing>,
}

#[derive(Clone, Copy, Debug)]
struct Meeting {
    incarnation: Incarnation,
    order: u64,
}

impl RollCall {
    /// A roll call that begins: `initial` are all members with their addresses.
    pub(crate) fn new(
        me: NodeId,
        incarnation: Incarnation,
        initial: &[(NodeId, String)],
    ) -> Result<Self, RollCallError> {
        let is_too_large = |(_, address): &(NodeId, String)| address.len() > ADDRESS_BYTES_MAX;
        if initial.len() > MEMBERS_MAX || initial.iter().any(is_too_large) {
            return Err(RollCallError::TooLarge);
        }
        let mut members = BTreeMap::new();
        for (node, address) in initial {
            let candidate = Candidate { address: address.clone(), met: None, showing: None };
            if *node == NodeId::default() || members.insert(*node, candidate).is_some() {
                return Err(RollCallError::Node(*node));
            }
        }
        let mine = members.get_mut(&me).ok_or(RollCallError::WithoutMe(me))?;
        mine.met = Some(Meeting { incarnation, order: u64::MAX });
        Ok(Self { me, members, list: None, is_closed: false, is_written: false })
    }

    /// One that ended in an earlier run: `list` stands in entry 1.
    pub(crate) fn written(me: NodeId, mut list: Vec<RollCallMember>) -> Self {
        list.sort();
        let members = list.iter().map(|member| {
            let candidate = Candidate { address: member.address.clone(), met: None, showing: None };
            (member.node, candidate)
        });
        Self { me, members: members.collect(), list: Some(list), is_closed: true, is_written: true }
    }

    /// `node` proved to live under `incarnation`, on the connection with this
    /// place in the order of connections. False when a later connection proved
    /// another life: this one is a leftover.
    pub(crate) fn met(&mut self, node: NodeId, incarnation: Incarnation, order: u64) -> bool {
        if node == self.me {
            return false;
        }
        let Some(candidate) = self.members.get_mut(&node) else {
            return true;
        };
        match candidate.met {
            Some(met) if met.incarnation == incarnation => {
                let order = met.order.max(order);
                candidate.met = Some(Meeting { incarnation, order });
                true
            }
            Some(met) if met.order > order => false,
            _ => {
                candidate.met = Some(Meeting { incarnation, order });
                candidate.showing = None;
                true
            }
        }
    }

    /// `node`, which [`met`](Self::met) has just taken, shows its list.
    pub(crate) fn on_showing(&mut self, node: NodeId, showing: Showing) {
        if node == self.me {
            return;
        }
        if showing.is_written && self.may_adopt(node, &showing) {
            self.list = showing.full_list();
        }
        if let Some(candidate) = self.members.get_mut(&node) {
            candidate.showing = Some(showing);
        }
    }

    /// What this node shows.
    pub(crate) fn showing(&self) -> Showing {
        let members = match &self.list {
            Some(list) => list.iter().map(Shown::of).collect(),
            None => self.gathered(),
        };
        Showing { is_written: self.is_written, members }
    }

    /// Whether `node` still waits for what is written here.
    pub(crate) fn owes_showing(&self, node: NodeId) -> bool {
        let candidate = self.members.get(&node);
        let peer_has_written = candidate
            .and_then(|candidate| candidate.showing.as_ref())
            .is_some_and(|showing| showing.is_written);
        candidate.is_some() && !(self.is_written && peer_has_written)
    }

    /// How far it is.
    pub(crate) fn status(&self) -> RollCallStatus {
        match &self.list {
            Some(list) if self.is_closed => return RollCallStatus::Closed(list.clone()),
            Some(list) => return RollCallStatus::Complete(list.clone()),
            None => {}
        }
        let mine = self.gathered();
        let missing: Vec<Missing> = self
            .members
            .iter()
            .filter_map(|(node, candidate)| self.missing(*node, candidate, &mine))
            .collect();
        let list = Showing { is_written: false, members: mine };
        match list.full_list() {
            Some(list) if missing.is_empty() => RollCallStatus::Complete(list),
            _ => RollCallStatus::Waiting(missing),
        }
    }

    /// Closes a complete roll call: from here on its list stands. `None` while
    /// somebody is missing.
    pub(crate) fn close(&mut self) -> Option<Vec<RollCallMember>> {
        match self.status() {
            RollCallStatus::Waiting(_) => None,
            RollCallStatus::Complete(list) | RollCallStatus::Closed(list) => {
                self.list = Some(list.clone());
                self.is_closed = true;
                Some(list)
            }
        }
    }

    /// The closed list is durable as entry 1.
    ///
    /// # Panics
    /// When the roll call was not closed.
    pub(crate) fn mark_written(&mut self) {
        assert!(self.is_closed, "entry 1 written before the roll call was closed");
        self.is_written = true;
    }

    fn missing(&self, node: NodeId, candidate: &Candidate, mine: &[Shown]) -> Option<Missing> {
        if node == self.me {
            return None;
        }
        let shows_mine = |showing: &Showing| showing.members == mine;
        let why = match (candidate.met, &candidate.showing) {
            (None, _) => MissingWhy::NotMet,
            (Some(_), Some(showing)) if shows_mine(showing) => return None,
            (Some(_), _) => MissingWhy::ListDiffers,
        };
        Some(Missing { node, address: candidate.address.clone(), why })
    }

    /// Whether the list that `node` says it wrote may be taken over: a full one
    /// of the same members, with this node and the writer in their present life.
    fn may_adopt(&self, node: NodeId, showing: &Showing) -> bool {
        let mine = self.gathered();
        let is_same_call = showing.members.len() == mine.len()
            && showing.members.iter().zip(&mine).all(|(theirs, ours)| {
                let is_present = [self.me, node].contains(&ours.node);
                theirs.node == ours.node
                    && theirs.address == ours.address
                    && (!is_present || theirs.incarnation == ours.incarnation)
            });
        self.list.is_none() && is_same_call && showing.full_list().is_some()
    }

    /// All initial members in order of id, as met so far.
    fn gathered(&self) -> Vec<Shown> {
        let members = self.members.iter();
        members
            .map(|(node, candidate)| Shown {
                node: *node,
                incarnation: candidate.met.map(|met| met.incarnation),
                address: candidate.address.clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
