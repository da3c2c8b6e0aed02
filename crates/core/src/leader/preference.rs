//! Gives way to a voter that should lead rather: one of higher priority.
//!
//! Priorities stand in the configuration, so all members know them alike. They
//! are a preference and no condition (D36): whoever
//! can be elected leads, and hands over where a better one can do without harm.
//! So a majority that can talk is never without a leader for the sake of a
//! preference, and a member of priority 0 leads only while nobody else can.
//! What does depend on them: who is more patient before it campaigns
//! (`state.rs`), who goes first in a fresh group (`group.rs`), whom a leader
//! picks that hands over (`leader/transfer.rs`), and the hand-over here.
//!
//! ```text
//! in office for a while ─▶ a better one answers, and keeps up from one look to the
//!         ▲                next ─▶ transfer, with little patience
//!         └── twice as long after each try that did not last ──┘
//! ```
//!
//! Invariants
//! - Hand-overs do not chase each other: an office lasts [`TENURE_TIMEOUTS`]
//!   before its leader gives way, and longer, up to [`TENURE_DOUBLINGS_MAX`]
//!   times doubled, where the last hand-over by this member came to nothing or
//!   brought the office back soon.
//! - A group whose leader is the best of those that live stays silent: there is
//!   a deadline only while somebody better answers.
//!
//! Not here: safety. A preference is an ordinary transfer (§3.10).

use crate::ids::{Index, NodeId};
use crate::leader::Leader;
use crate::leader::progress::Peer;
use crate::leader::transfer::may_succeed;
use crate::liveness::Liveness;
use crate::mutants;
use crate::seldom::GivenWay;
use crate::state::State;
use crate::time::Time;

/// Election timeouts that an office lasts before its leader gives way.
const TENURE_TIMEOUTS: u64 = 4;
/// Tries in a row that did not last and still double the next tenure.
const TENURE_DOUBLINGS_MAX: u32 = 4;

/// What a leader knows of those that should lead rather.
#[derive(Debug, Default)]
pub(super) struct Preference {
    /// Whether the configuration has any.
    is_any: bool,
    /// Not before.
    look_at: Time,
    /// The commit index at the last look: who has this much by the next one
    /// keeps up.
    mark: Option<Index>,
}

impl Preference {
    /// Whether somebody should lead rather.
    pub(super) fn is_any(&self) -> bool {
        self.is_any
    }
}

impl Leader {
    /// An office begins: its leader stays for a while.
    pub(super) fn take_office(&mut self, state: &mut State) {
        self.look_for_preferred(state);
        if let Some(given) = state.given_way() {
            let lasted_ns = state.time().since(given.at);
            let is_soon = lasted_ns < tenure_ns(state, given).saturating_mul(2);
            let strikes = if is_soon { given.strikes.saturating_add(1) } else { 0 };
            state.give_way(GivenWay { strikes, ..given });
        }
        let tenure = tenure_ns(state, state.given_way().unwrap_or_default());
        self.preference.look_at = state.time().after_ns(tenure);
    }

    /// Another configuration is in effect.
    pub(super) fn look_for_preferred(&mut self, state: &State) {
        let mut members = state.configuration().members().iter();
        self.preference.is_any = members.any(|member| is_rather(state, member.node));
    }

    /// Voters that should lead rather.
    fn peers_rather<'a>(&'a self, state: &'a State) -> impl Iterator<Item = &'a Peer> {
        self.peers.iter().filter(|peer| is_rather(state, peer.node))
    }

    /// Those of them that live and answer, as far as this member can tell.
    fn candidates<'a>(&'a self, state: &'a State) -> impl Iterator<Item = &'a Peer> {
        let answers = |peer: &&Peer| {
            peer.liveness != Liveness::Suspected
                && peer.is_responsive(state)
                && !peer.awaits_snapshot()
        };
        self.peers_rather(state).filter(answers)
    }

    /// When to look again; never while nobody better answers.
    pub(super) fn preference_at(&self, state: &State) -> Option<Time> {
        let is_idle = !self.preference.is_any || self.is_transferring();
        if is_idle || mutants::is_active(124) {
            return None;
        }
        self.candidates(state).next().map(|_| self.preference.look_at)
    }

    /// Gives way where it is time and somebody better keeps up.
    pub(super) fn on_preference_deadline(&mut self, state: &mut State) {
        if self.preference_at(state).is_none_or(|at| at > state.time()) {
            return;
        }
        let interval = state.settings.heartbeat_interval_ns;
        self.preference.look_at = state.time().after_ns(interval);
        let is_busy = self.is_changing || state.commit < self.noop;
        let mark = self.preference.mark.replace(state.commit).filter(|_| !is_busy);
        let Some(mark) = mark else {
            return;
        };
        let keeps_up = |peer: &&Peer| peer.counted() >= mark;
        let rather = |peer: &&Peer| state.configuration().priority(peer.node);
        let best = self.candidates(state).filter(keeps_up);
        // Of equals the one that all members would pick.
        let best = best.max_by_key(|peer| (rather(peer), std::cmp::Reverse(peer.node)));
        if let Some(node) = best.map(|peer| peer.node) {
            let before = state.given_way().unwrap_or_default();
            let given = GivenWay { at: state.time(), ..before };
            state.give_way(given);
            // If it comes to nothing, or the office comes back: not soon again.
            let again = GivenWay { strikes: given.strikes.saturating_add(1), ..given };
            self.preference.look_at = state.time().after_ns(tenure_ns(state, again));
            self.preference.mark = None;
            self.prefer(state, node);
        }
    }

    /// A hand-over by preference came to nothing.
    pub(super) fn on_not_preferred(state: &mut State) {
        if let Some(given) = state.given_way() {
            state.give_way(GivenWay { strikes: given.strikes.saturating_add(1), ..given });
        }
    }
}

/// Whether a voter should lead rather than this member.
fn is_rather(state: &State, node: NodeId) -> bool {
    let configuration = state.configuration();
    let (own, priority) = (configuration.priority(state.seat.node), configuration.priority(node));
    let is_higher = priority > own || (priority == own && mutants::is_active(125));
    is_higher && node != state.seat.node && may_succeed(configuration, node)
}

/// How long an office lasts before its leader gives way.
fn tenure_ns(state: &State, given: GivenWay) -> u64 {
    let tenure = state.settings.election_timeout_ns.saturating_mul(TENURE_TIMEOUTS);
    tenure.saturating_mul(1 << given.strikes.min(TENURE_DOUBLINGS_MAX))
}
