//! Whom a round of reads asks (§6.4).
//!
//! A quorum's word is enough, and every word more costs a message, a wake and
//! an answer on a machine that has other things to do. So a round asks as few
//! voters as make a quorum with this member, the promptest first: those who
//! confirmed the last reads. The others are asked when a read has waited for
//! longer than healthy voters take, or a voter is suspected meanwhile.
//!
//! Invariants
//! - Only answers count, never that somebody was asked: whom a round asks
//!   decides how long a read waits, and nothing else (rule 21).
//! - A read that has waited for its patience has asked every voter, and who was
//!   asked and is silent is asked again at every heartbeat interval
//!   (`leader/progress.rs`): one live quorum answers, wherever it is.
//! - Who is not asked is not open: an idle group stays silent, and silence
//!   that nobody broke is held against nobody (rule 20).
//!
//! A leader of several groups does not begin with the same voter in each. A
//! round rides on appends where some leave: those go to everybody, and tell who
//! is prompt now.

use crate::ids::{NodeId, Round};
use crate::leader::Leader;
use crate::leader::progress::Peer;
use crate::liveness::Liveness;
use crate::mutants;
use crate::quorum;
use crate::state::State;
use crate::time::Time;

/// The part of a heartbeat interval for which a round waits for those that it
/// asked first: with the default 6 ms, some sixty round trips between two
/// machines. Where round trips are longer everybody is asked, a little later
/// than at once.
const PATIENCE_PART: u64 = 16;

/// Some seats, by their place among the leader's peers. Who has taken another
/// place since stands for somebody else for a round: that matters to nobody.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seats(u32);

impl Seats {
    fn bit(at: usize) -> u32 {
        // Beyond are some that have just left, and none of them is asked.
        u32::try_from(at).ok().and_then(|at| 1_u32.checked_shl(at)).unwrap_or_default()
    }

    fn add(&mut self, at: usize) {
        self.0 |= Self::bit(at);
    }

    fn has(self, at: usize) -> bool {
        self.0 & Self::bit(at) != 0
    }
}

/// In which order voters are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It confirmed the last reads.
    Prompt,
    /// Nothing speaks against it.
    Sound,
    /// It is suspected, or confirms nothing whatever it answers.
    Doubtful,
}

impl Standing {
    const ALL: [Self; 3] = [Self::Prompt, Self::Sound, Self::Doubtful];

    fn of(peer: &Peer, is_prompt: bool) -> Self {
        if peer.liveness == Liveness::Suspected || peer.has_lost_tail() {
            Self::Doubtful
        } else if is_prompt {
            Self::Prompt
        } else {
            Self::Sound
        }
    }
}

impl Leader {
    /// Answers the reads that a lease or a quorum covers, and begins the round
    /// that the others wait for. Who is prompt is known before a round asks.
    #[inline(never)]
    pub(super) fn advance_reads(&mut self, state: &mut State) {
        self.read_under_lease(state);
        self.confirm_reads(state);
        if self.begin_round(state) {
            // A voter that needs no other's word has a quorum at once.
            self.confirm_reads(state);
        }
    }

    fn confirm_reads(&mut self, state: &mut State) {
        let may_serve = state.commit >= self.noop || mutants::is_active(58);
        if self.reads.is_empty() || !may_serve {
            return;
        }
        let mut confirmed = self.confirmed_round(state);
        if mutants::is_active(54) {
            confirmed = self.reads.round();
        }
        if self.reads.release(state, confirmed) {
            self.note_prompt(confirmed);
        }
    }

    /// The latest round that a quorum has answered. The leader answers itself.
    pub(super) fn confirmed_round(&self, state: &State) -> Round {
        let (own, latest) = (state.seat.node, self.reads.round());
        quorum::reached(state.configuration(), |member| {
            if member.node == own {
                return latest;
            }
            let peer = self.peers.iter().find(|peer| peer.node == member.node);
            if mutants::is_active(144) && peer.is_some_and(|peer| !peer.was_sent(latest)) {
                return latest;
            }
            peer.map_or(Round::default(), Peer::confirmed)
        })
    }

    /// Begins the round that somebody waits for. Returns whether it did.
    ///
    /// One that only renews the lease is rare, and nobody waits for it: it asks
    /// everybody, so that no single silence ends the lease.
    fn begin_round(&mut self, state: &State) -> bool {
        let is_renewal = self.reads.is_round_wanted();
        if !self.reads.begin_round() {
            return false;
        }
        if is_renewal {
            self.ask_everybody(state);
        } else {
            self.ask_quorum(state);
        }
        if let Some(lease) = &mut self.lease {
            lease.on_round(self.reads.round(), state.time());
        }
        true
    }

    /// The next drain asks as few voters as make a quorum with this member.
    fn ask_quorum(&mut self, state: &State) {
        let (configuration, own) = (state.configuration(), state.seat.node);
        let len = self.peers.len();
        let spread = state.seat.group.get().wrapping_add(own.get());
        let first =
            usize::try_from(spread).unwrap_or_default().checked_rem(len).unwrap_or_default();
        let mut asked = Seats::default();
        for standing in Standing::ALL {
            for at in (first..len).chain(0..first) {
                let Some(peer) = self.peers.get(at) else { continue };
                let is_next = Standing::of(peer, self.prompt.has(at)) == standing
                    && quorum::is_missing(configuration, peer.node, |member| {
                        member.node == own || self.is_among(asked, member.node)
                    });
                if is_next && let Some(peer) = self.peers.get_mut(at) {
                    asked.add(at);
                    peer.request_contact();
                }
            }
        }
    }

    fn is_among(&self, seats: Seats, node: NodeId) -> bool {
        self.peers.iter().enumerate().any(|(at, peer)| peer.node == node && seats.has(at))
    }

    /// The next drain asks every voter that has not been sent the latest round.
    #[inline(never)]
    pub(super) fn ask_everybody(&mut self, state: &State) {
        let (configuration, round) = (state.configuration(), self.reads.round());
        for peer in &mut self.peers {
            if !peer.was_sent(round) && configuration.is_voter(peer.node) {
                peer.request_contact();
            }
        }
    }

    /// When the voters that the oldest read did not ask are asked as well, if it
    /// waits and left any out.
    pub(super) fn others_asked_at(&self, state: &State) -> Option<Time> {
        let oldest = self.reads.oldest().filter(|_| !mutants::is_active(145))?;
        let is_left =
            |peer: &Peer| !peer.was_sent(oldest.round) && state.configuration().is_voter(peer.node);
        let patience_ns = state.settings.heartbeat_interval_ns / PATIENCE_PART;
        self.peers.iter().any(is_left).then(|| oldest.since.after_ns(patience_ns))
    }

    #[inline(never)]
    pub(super) fn on_reads_deadline(&mut self, state: &State) {
        if self.others_asked_at(state).is_some_and(|at| at <= state.time()) {
            self.ask_everybody(state);
        }
    }

    /// A quorum has confirmed reads: whoever was among it is asked first from
    /// now on.
    fn note_prompt(&mut self, confirmed: Round) {
        self.prompt = Seats::default();
        for (at, peer) in self.peers.iter().enumerate() {
            if peer.confirmed() >= confirmed {
                self.prompt.add(at);
            }
        }
    }
}
