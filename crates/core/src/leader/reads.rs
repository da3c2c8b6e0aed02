//! Confirms reads: an index, and a quorum's word that this member still leads
//! (§6.4).
//!
//! A read waits for a round of messages begun after it arrived. All reads that
//! wait share one round; rounds ride on appends where some leave anyway. Whom
//! a round asks is in `leader/rounds.rs`.
//!
//! Invariants
//! - A read's index is at least the commit index at its arrival and at least
//!   the leader's own no-op; nothing is confirmed before that no-op commits
//!   (rule 21).
//! - A round confirms only reads that arrived before it began.

use std::collections::VecDeque;

use crate::ids::{Index, NodeId, ReadId, Round, Run, Sender};
use crate::message::Body;
use crate::mutants;
use crate::output::ReadReady;
use crate::state::State;
use crate::time::Time;

/// What a read waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    index: Index,
    pub(super) round: Round,
    /// When it arrived.
    pub(super) since: Time,
}

/// A read of another member. It has at most one request under way, so a later
/// one of the same node replaces the former.
#[derive(Clone, Copy, Debug)]
struct Remote {
    node: NodeId,
    run: Run,
    read: ReadId,
    pending: Pending,
}

/// Reads that wait for a round.
#[derive(Debug, Default)]
pub(crate) struct LeaderReads {
    /// The latest round begun.
    round: Round,
    /// A round is wanted that no read waits for.
    is_round_wanted: bool,
    local: VecDeque<(ReadId, Pending)>,
    remote: Vec<Remote>,
}

impl LeaderReads {
    pub(crate) fn len(&self) -> usize {
        self.local.len()
    }

    pub(crate) fn round(&self) -> Round {
        self.round
    }

    /// The round that will confirm what arrives now: none begun yet.
    fn pending(&self, state: &State, noop: Index) -> Pending {
        let (index, round) = (state.commit.max(noop), following(self.round));
        let mut pending = Pending { index, round, since: state.time() };
        if mutants::is_active(56) && self.round > Round::default() {
            pending.round = self.round;
        }
        if mutants::is_active(58) {
            pending.index = state.commit;
        }
        pending
    }

    pub(crate) fn push_local(&mut self, state: &State, noop: Index, read: ReadId) {
        self.local.push_back((read, self.pending(state, noop)));
    }

    pub(crate) fn push_remote(
        &mut self,
        state: &State,
        noop: Index,
        from: Sender,
        (run, read): (Run, ReadId),
    ) {
        // A repetition must not wait for a later round than the first asking:
        // where a round takes longer than the repeat interval none would end.
        let is_known =
            |remote: &Remote| (remote.node, remote.run, remote.read) == (from.node, run, read);
        if self.remote.iter().any(is_known) {
            return;
        }
        let pending = self.pending(state, noop);
        self.remote.retain(|remote| remote.node != from.node);
        self.remote.push(Remote { node: from.node, run, read, pending });
    }

    pub(crate) fn forget(&mut self, read: ReadId) {
        self.local.retain(|(local, _)| *local != read);
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.local.is_empty() && self.remote.is_empty()
    }

    /// Whether nobody waits and no round is wanted.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_empty() && !self.is_round_wanted
    }

    /// What has waited longest.
    pub(super) fn oldest(&self) -> Option<Pending> {
        let local = self.local.front().map(|(_, pending)| *pending);
        let remote = self.remote.first().map(|remote| remote.pending);
        local.into_iter().chain(remote).min_by_key(|pending| pending.since)
    }

    /// Whether a round was wanted that no read waits for.
    pub(super) fn is_round_wanted(&self) -> bool {
        self.is_round_wanted
    }

    /// The next drain begins a round, whoever waits for it.
    pub(crate) fn want_round(&mut self) {
        self.is_round_wanted = true;
    }

    /// Begins a round if somebody waits for one that has not begun. Returns
    /// whether it did.
    pub(crate) fn begin_round(&mut self) -> bool {
        let local = self.local.back().map(|(_, pending)| pending.round);
        let remote = self.remote.iter().map(|remote| remote.pending.round).max();
        let begins = std::mem::take(&mut self.is_round_wanted)
            || local.max(remote).is_some_and(|wanted| wanted > self.round);
        if begins {
            self.round = following(self.round);
        }
        begins
    }

    /// Answers what `confirmed` covers. Returns whether that was anything.
    pub(crate) fn release(&mut self, state: &mut State, confirmed: Round) -> bool {
        let before = self.local.len() + self.remote.len();
        while let Some((read, pending)) = self.local.front().copied() {
            if pending.round > confirmed {
                break;
            }
            state.effects.rare().reads.push(ReadReady { read, index: pending.index });
            self.local.pop_front();
        }
        self.remote.retain(|remote| {
            let ready = remote.pending.round <= confirmed;
            if ready {
                let index = Some(remote.pending.index);
                let body = Body::ReadReply { run: remote.run, read: remote.read, index };
                state.send(remote.node, body);
            }
            !ready
        });
        self.local.len() + self.remote.len() < before
    }

    /// The local reads, for the next leader to answer.
    pub(crate) fn take_local(&mut self) -> impl Iterator<Item = ReadId> {
        self.local.drain(..).map(|(read, _)| read)
    }
}

/// The number of the round behind `round`: none that was used in this
/// leadership.
fn following(round: Round) -> Round {
    if mutants::is_active(55) && round > Round::new(1) { Round::new(1) } else { round.next() }
}
