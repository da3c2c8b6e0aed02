//! Who gets a seat at the leader when the configuration changes, and who
//! leaves it.
//!
//! Invariants
//! - One seat a node. Who stays keeps its progress; who is seated during a
//!   leadership is fenced by the configuration that seated it, so acks of an
//!   earlier membership count for nothing (rule 22).
//! - A seat that was left counts nowhere: quorums go by the configuration. It
//!   is fed until the member knows that its removal is committed, or for a
//!   bounded time, so that a removed member need not find out by itself.

use crate::ids::{Incarnation, Index, NodeId};
use crate::leader::Leader;
use crate::leader::progress::{Farewell, Peer};
use crate::membership::MEMBERS_MAX;
use crate::mutants;
use crate::state::State;

/// Election timeouts during which a removed member is told of it.
const FAREWELL_TIMEOUTS: u64 = 10;

/// Seats that were left, for what must outlive them within a leadership. Rare.
#[derive(Debug, Default)]
pub(crate) struct Departed(Option<Box<Left>>);

#[derive(Debug, Default)]
struct Left {
    /// Window units sent to anybody who left: who comes back goes on from
    /// there, or its acks would seem to name what was never sent.
    sent: u64,
    /// Those whose disk was exchanged for an older copy (rule 4).
    lost: Vec<(NodeId, Incarnation)>,
    /// Whether somebody is being told.
    is_telling: bool,
}

impl Leader {
    /// Gives every other member of the configuration in effect a seat.
    pub(crate) fn reseat(&mut self, state: &State) {
        self.look_for_preferred(state);
        let (index, configuration) = state.log.configuration();
        let timeout = state.settings.election_timeout_ns;
        let until = state.time().after_ns(timeout.saturating_mul(FAREWELL_TIMEOUTS));
        for peer in &mut self.peers {
            let seat = configuration.find(peer.node);
            let stays = seat.is_some_and(|member| member.incarnation == peer.incarnation);
            if !stays && peer.farewell().is_none() {
                peer.part(Farewell { configuration: index, until });
                self.departed.note(peer);
            }
        }
        let own = state.seat.node;
        for member in configuration.nodes().filter(|member| member.node != own) {
            let seated = self.peers.iter().position(|peer| peer.node == member.node);
            let (node, incarnation) = (member.node, member.incarnation);
            match seated.and_then(|at| self.peers.get_mut(at)) {
                Some(peer) if peer.farewell().is_none() => {}
                Some(peer) => {
                    // It was sent to since it left.
                    self.departed.note(peer);
                    *peer = self.departed.seat(node, incarnation, state);
                }
                None => self.peers.push(self.departed.seat(node, incarnation, state)),
            }
        }
    }

    /// Whether a node is fed that has lost its seat: its answers are heard.
    pub(crate) fn is_telling(&self, node: NodeId) -> bool {
        self.departed.is_telling()
            && self.peers.iter().any(|peer| peer.node == node && peer.farewell().is_some())
    }

    /// Forgets seats whose members know that they left, or have had their time.
    pub(crate) fn clear_seats(&mut self, state: &State) {
        if !self.departed.is_telling() {
            return;
        }
        let now = state.time();
        let departed = &mut self.departed;
        self.peers.retain(|peer| {
            let left = peer.farewell().filter(|it| it.until <= now || peer.knows(it.configuration));
            if left.is_some() {
                departed.note(peer);
            }
            left.is_none()
        });
        let is_telling = self.peers.iter().any(|peer| peer.farewell().is_some());
        self.departed.left().is_telling = is_telling;
    }
}

impl Departed {
    fn left(&mut self) -> &mut Left {
        self.0.get_or_insert_default()
    }

    fn is_telling(&self) -> bool {
        self.0.as_ref().is_some_and(|left| left.is_telling)
    }

    fn note(&mut self, peer: &Peer) {
        let left = self.left();
        left.is_telling = true;
        left.sent = left.sent.max(peer.sent());
        let seat = (peer.node, peer.incarnation);
        if peer.has_lost_tail() && left.lost.len() < MEMBERS_MAX && !left.lost.contains(&seat) {
            left.lost.push(seat);
        }
    }

    fn seat(&self, node: NodeId, incarnation: Incarnation, state: &State) -> Peer {
        let (index, _) = state.log.configuration();
        let since = if mutants::is_active(113) { Index::ZERO } else { index };
        let mut peer = Peer::new(node, incarnation, since, index, state);
        if let Some(left) = &self.0 {
            peer.go_on_from(left.sent);
            if left.lost.contains(&(node, incarnation)) {
                peer.disown();
            }
        }
        peer
    }
}
