//! Whether a quorum has room for more entries (rule 9).
//!
//! A member whose log is short of room says so with its acks. While a quorum has
//! room that is its own affair: it takes what it can, and writes go on without it.
//! Once no quorum can be had without such members, a new entry would wait for one
//! of them, and who proposed it could not be told what becomes of it. So it is
//! refused by name, and what was appended before waits.
//!
//! Invariants
//! - What is refused here is in no log.
//! - While a member is short, no more than [`UNCOMMITTED_SHORT_BYTES_MAX`] wait for
//!   a quorum, or a larger batch alone: a short member can neither apply nor let
//!   go what is not committed, and who becomes short next keeps that much room.
//! - Members without room are asked for news while somebody was refused for them,
//!   so that writes go on by themselves; else an idle group stays silent.
//!
//! Not here: what a short member takes (the driver).

use crate::error::ProposeError;
use crate::ids::NodeId;
use crate::leader::Leader;
use crate::liveness::Liveness;
use crate::message::AckOutcome;
use crate::mutants;
use crate::output::Event;
use crate::quorum;
use crate::state::State;

/// Bytes that may wait for a quorum while some member is short of room.
pub const UNCOMMITTED_SHORT_BYTES_MAX: usize = 512 << 10;

/// What a member has said of room for entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Room {
    #[default]
    Enough,
    Short,
    /// Short, and somebody was refused for that: it is asked for news.
    Awaited,
}

/// What a leader knows of all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum QuorumRoom {
    /// No member is short.
    #[default]
    Enough,
    /// Some member is.
    Short,
    /// The last proposal was refused for want of a quorum that has room.
    Refused,
}

impl Room {
    /// It says whether it is short.
    const fn told(self, is_short: bool) -> Self {
        match (self, is_short) {
            (_, false) => Self::Enough,
            (Self::Enough, true) => Self::Short,
            (known, true) => known,
        }
    }
}

impl Leader {
    /// How many bytes may wait for a quorum though some member is short; or the
    /// refusal, when no quorum has room.
    #[cold]
    pub(super) fn uncommitted_while_short(
        &mut self,
        state: &mut State,
    ) -> Result<usize, ProposeError> {
        if self.has_quorum_room(state) || mutants::is_active(136) {
            self.on_room_news(state);
            let limit = state.settings.options().uncommitted_bytes_max;
            let is_any_short = self.room != QuorumRoom::Enough;
            return Ok(if is_any_short { limit.min(UNCOMMITTED_SHORT_BYTES_MAX) } else { limit });
        }
        for peer in &mut self.peers {
            if peer.room == Room::Short && !mutants::is_active(137) {
                peer.room = Room::Awaited;
            }
        }
        if self.room != QuorumRoom::Refused {
            self.room = QuorumRoom::Refused;
            state.event(Event::QuorumRoom { is_short: true });
        }
        Err(ProposeError::QuorumFull)
    }

    /// A member said that it is short of room, or others are.
    #[cold]
    pub(super) fn on_room_told(&mut self, state: &mut State, node: NodeId, outcome: AckOutcome) {
        let AckOutcome::Matches { is_short, .. } = outcome else {
            return;
        };
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.node == node) {
            peer.room = peer.room.told(is_short);
        }
        self.on_room_news(state);
    }

    /// Some member has room again, or has none any more.
    #[cold]
    fn on_room_news(&mut self, state: &mut State) {
        let was_refusing = self.room == QuorumRoom::Refused;
        let is_any_short = self.peers.iter().any(|peer| peer.room != Room::Enough);
        if was_refusing && is_any_short && !self.has_quorum_room(state) {
            return;
        }
        self.room = if is_any_short { QuorumRoom::Short } else { QuorumRoom::Enough };
        if was_refusing {
            state.event(Event::QuorumRoom { is_short: false });
        }
    }

    /// Whether a quorum answers and has room. The own room is the driver's to look
    /// after.
    fn has_quorum_room(&self, state: &State) -> bool {
        let own = state.seat.node;
        quorum::reached(state.configuration(), |member| {
            member.node == own
                || self.peers.iter().any(|peer| {
                    peer.node == member.node
                        && peer.room == Room::Enough
                        && peer.liveness != Liveness::Suspected
                        && peer.is_responsive(state)
                })
        })
    }

    /// Whether some member has said that it is short of room.
    pub(crate) fn has_short_members(&self) -> bool {
        self.room != QuorumRoom::Enough
    }

    /// Whether a member has said that it is short of room.
    pub(crate) fn is_short(&self, node: NodeId) -> bool {
        self.peers.iter().any(|peer| peer.node == node && peer.room != Room::Enough)
    }
}
