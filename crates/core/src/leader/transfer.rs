//! Hands leadership over to another voter (§3.10, rule 25).
//!
//! ```text
//! asked ─▶ no proposals ─▶ the successor holds the whole log ─▶ told, and told again
//!             │                                                    │
//!             └───▶ deadline, or no successor: serves again        └─▶ it campaigns:
//!                                                                      this office ends
//! ```
//!
//! Invariants
//! - From the asking until the end nothing of a client's is appended, so the
//!   successor cannot fall behind again.
//! - Only a voter that holds the whole log durably is told to take over: its
//!   campaign needs no pre-vote and is not refused out of trust.
//! - One successor is told at a time: two would split the vote.
//! - Who was told may campaign at any later time, however late the message: a
//!   leader that told somebody reads without a round no more in its term.
//!
//! Reads stay correct: a quorum confirms each of them in this term, as ever.
//!
//! Not here: the successor's side (`group/transfer.rs`).

use std::cmp::Reverse;

use crate::error::TransferError;
use crate::ids::NodeId;
use crate::leader::Leader;
use crate::leader::progress::Peer;
use crate::liveness::Liveness;
use crate::membership::{Configuration, Role};
use crate::message::Body;
use crate::mutants;
use crate::output::{Event, TransferFailure};
use crate::state::State;
use crate::time::Time;

/// A transfer under way.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// As asked; `None` is whoever is level first.
    wanted: Option<NodeId>,
    /// When this member serves again if it is still in office.
    ends_at: Time,
    told: Option<NodeId>,
    tell_at: Time,
    /// Nobody asked for it (`leader/preference.rs`).
    is_preference: bool,
}

impl Leader {
    /// Begins to hand over. Asked again for the same it changes nothing; for
    /// another it starts anew.
    pub(crate) fn transfer(
        &mut self,
        state: &State,
        to: Option<NodeId>,
    ) -> Result<(), TransferError> {
        let (own, configuration) = (state.seat.node, state.configuration());
        match to {
            Some(node) if node == own => return Err(TransferError::LeadsAlready { node }),
            Some(node) if !may_succeed(configuration, node) => {
                return Err(TransferError::NotVoter { node });
            }
            None if !self.peers.iter().any(|p| may_succeed(configuration, p.node)) => {
                return Err(TransferError::NoOtherVoter);
            }
            Some(_) | None => {}
        }
        let is_asked = |it: &Transfer| it.wanted == to && !it.is_preference;
        if self.transfer.as_ref().is_some_and(|transfer| is_asked(transfer)) {
            return Ok(());
        }
        let now = state.time();
        self.transfer = Some(Box::new(Transfer {
            wanted: to,
            ends_at: now.after_ns(state.settings.election_timeout_ns),
            told: None,
            tell_at: now,
            is_preference: false,
        }));
        Ok(())
    }

    /// Hands over to `to` because it should lead rather, with less patience than
    /// where somebody asked for it: clients wait meanwhile.
    pub(super) fn prefer(&mut self, state: &State, to: NodeId) {
        let now = state.time();
        self.transfer = Some(Box::new(Transfer {
            wanted: Some(to),
            ends_at: now.after_ns(state.settings.heartbeat_interval_ns.saturating_mul(2)),
            told: None,
            tell_at: now,
            is_preference: true,
        }));
    }

    pub(crate) fn is_transferring(&self) -> bool {
        self.transfer.is_some()
    }

    /// When the transfer has something to do: it is told again, or given up.
    pub(super) fn transfer_at(&self) -> Option<Time> {
        let transfer = self.transfer.as_ref()?;
        let again = transfer.told.map(|_| transfer.tell_at);
        Some(again.map_or(transfer.ends_at, |again| again.min(transfer.ends_at)))
    }

    /// Tells the successor once it is level, and again while it does not act;
    /// gives up at the deadline and where the successor is none any more.
    pub(super) fn advance_transfer(&mut self, state: &mut State) {
        let Some(transfer) = &self.transfer else {
            return;
        };
        let (now, configuration) = (state.time(), state.configuration());
        let is_lost = transfer.wanted.is_some_and(|node| !may_succeed(configuration, node));
        if is_lost || now >= transfer.ends_at {
            let why = if is_lost { TransferFailure::NotVoter } else { TransferFailure::TimedOut };
            if transfer.is_preference {
                Self::on_not_preferred(state);
            }
            self.transfer = None;
            state.event(Event::NotTransferred { why });
            return;
        }
        let told = transfer.told.filter(|node| self.is_ready(state, *node));
        if told.is_some() && now < transfer.tell_at {
            return;
        }
        let successor = told.or_else(|| self.successor(state, transfer.wanted));
        if let Some(transfer) = &mut self.transfer {
            transfer.told = successor;
            transfer.tell_at = now.after_ns(state.settings.heartbeat_interval_ns);
        }
        if let Some(successor) = successor {
            self.forgo_lease(state);
            let last = state.log.last();
            state.send(successor, Body::TakeOver { last });
        }
    }

    /// Who takes over: the one wanted, or the best of those that are ready.
    pub(crate) fn successor(&self, state: &State, wanted: Option<NodeId>) -> Option<NodeId> {
        let ready = self.peers.iter().map(|peer| peer.node);
        let ready = ready.filter(|node| wanted.is_none_or(|wanted| *node == wanted));
        let ready = ready.filter(|node| self.is_ready(state, *node));
        let is_vouched_for =
            |node: &NodeId| matches!(state.liveness_of(*node), Liveness::Alive { .. });
        let rather = |node: &NodeId| Reverse(state.configuration().priority(*node));
        // The first of the best, so that the choice is the same every time.
        ready.min_by_key(|node| (!is_vouched_for(node), rather(node), *node))
    }

    /// Whether a voter could win at once: it lives and holds the whole log.
    fn is_ready(&self, state: &State, node: NodeId) -> bool {
        let last = state.log.last().index;
        let is_level = |peer: &Peer| peer.counted() == last || mutants::is_active(111);
        may_succeed(state.configuration(), node)
            && self.peers.iter().any(|peer| {
                peer.node == node && is_level(peer) && peer.liveness != Liveness::Suspected
            })
    }
}

/// Whether a node will be a voter for some time: while joint, of the new set.
pub(super) fn may_succeed(configuration: &Configuration, node: NodeId) -> bool {
    configuration.members().iter().any(|member| member.node == node && member.role == Role::Voter)
}
