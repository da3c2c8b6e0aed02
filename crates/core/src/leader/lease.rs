//! Reads without a round while a lease holds (§6.4.1). Off unless an embedder
//! vouches for its clocks (`Options::lease`).
//!
//! ```text
//! leader's clock   round begins ├──────── election timeout / (1 + drift) ────────┤
//! voter's clock          heard it ├────────── election timeout: gives no vote ──────────┤
//! ```
//!
//! A voter that hears its leader promises to give no vote for an election
//! timeout, by its own clock (`state.rs`). A quorum that answered a round heard
//! it after the round began. So as long as no two clocks differ by more than
//! the bound, nobody else can be elected before the lease ends.
//!
//! Invariants
//! - A lease counts from when its round *began*, not from when answers came.
//! - It ends with the office, and with any doubt: suspicion, somebody's
//!   pre-vote, a transfer. Whoever was told to take over may campaign past all
//!   promises, however late: then there is none for the rest of the term.
//! - It is renewed only while somebody reads: an idle group stays silent.
//!
//! Not here: the voters' promise (`state.rs`), reads (`leader/reads.rs`).

use std::collections::VecDeque;

use crate::ids::Round;
use crate::leader::Leader;
use crate::mutants;
use crate::state::State;
use crate::time::Time;

/// Rounds remembered that no quorum has answered. With more under way the
/// later ones extend nothing: a quorum that slow makes no use of a lease.
const ROUNDS_MAX: usize = 16;

/// What a leader knows of its lease.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    /// Rounds that no quorum has answered yet, and when they began; ascending.
    begun: VecDeque<(Round, Time)>,
    /// When the latest round that a quorum answered had begun.
    confirmed: Option<Time>,
    /// Somebody was told to take over.
    is_forgone: bool,
}

impl Lease {
    pub(super) fn on_round(&mut self, round: Round, now: Time) {
        if !self.is_forgone && self.begun.len() < ROUNDS_MAX {
            self.begun.push_back((round, now));
        }
    }

    fn on_confirmed(&mut self, confirmed: Round, now: Time) {
        while let Some((_, at)) = self.begun.front().filter(|(round, _)| *round <= confirmed) {
            self.confirmed = Some(if mutants::is_active(59) { now } else { *at });
            self.begun.pop_front();
        }
    }

    /// Only rounds that begin from now on count.
    fn break_off(&mut self) {
        self.begun.clear();
        self.confirmed = None;
    }

    fn ends_at(&self, lease_ns: u64) -> Option<Time> {
        let confirmed = self.confirmed.filter(|_| !self.is_forgone || mutants::is_active(61))?;
        Some(confirmed.after_ns(lease_ns))
    }

    /// Whether to begin a round that nobody waits for, so that the lease does
    /// not end under those who read.
    fn is_renewal_due(&self, now: Time, lease_ns: u64) -> bool {
        let is_old = |at: Time| now.since(at) >= lease_ns / 2;
        self.confirmed.is_some_and(is_old) && self.begun.back().is_none_or(|(_, at)| is_old(*at))
    }
}

impl Leader {
    /// Until when reads need no round; `None` when they do.
    pub(crate) fn lease_until(&self, state: &State) -> Option<Time> {
        let lease_ns = state.settings.lease_ns?;
        if state.commit < self.noop || (self.is_transferring() && !mutants::is_active(61)) {
            return None;
        }
        let ends_at = self.lease.as_ref()?.ends_at(lease_ns);
        ends_at.filter(|until| *until > state.time() || mutants::is_active(62))
    }

    /// Serves who waits if the lease holds, and renews it for the next.
    pub(super) fn read_under_lease(&mut self, state: &mut State) {
        let Some(lease_ns) = state.settings.lease_ns else {
            return;
        };
        let (confirmed, now) = (self.confirmed_round(state), state.time());
        let lease = self.lease.get_or_insert_default();
        lease.on_confirmed(confirmed, now);
        let is_renewal_due = lease.is_renewal_due(now, lease_ns);
        if self.reads.is_empty() || self.lease_until(state).is_none() {
            return;
        }
        self.reads.release(state, Round::new(u64::MAX));
        if is_renewal_due {
            self.reads.want_round();
        }
    }

    /// There is reason to ask before the next read.
    pub(super) fn break_lease(&mut self) {
        if let Some(lease) = &mut self.lease {
            lease.break_off();
        }
    }

    /// Somebody may campaign past all promises from now on.
    pub(super) fn forgo_lease(&mut self, state: &State) {
        if state.settings.lease_ns.is_some() {
            self.lease.get_or_insert_default().is_forgone = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lease, ROUNDS_MAX};
    use crate::ids::Round;
    use crate::time::Time;

    fn ms(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    #[test]
    fn a_lease_counts_from_the_begin_of_the_round_that_a_quorum_answered() {
        let mut lease = Lease::default();
        assert_eq!(lease.ends_at(100), None);
        for round in 1..=3 {
            lease.on_round(Round::new(round), ms(round * 10));
        }
        lease.on_confirmed(Round::new(2), ms(500));
        assert_eq!(lease.ends_at(0), Some(ms(20)));
        lease.on_confirmed(Round::new(1), ms(600));
        assert_eq!(lease.ends_at(0), Some(ms(20)), "never backwards");
    }

    #[test]
    fn after_a_doubt_only_rounds_begun_later_count() {
        let mut lease = Lease::default();
        lease.on_round(Round::new(1), ms(10));
        lease.break_off();
        lease.on_confirmed(Round::new(1), ms(20));
        assert_eq!(lease.ends_at(100), None);
        lease.on_round(Round::new(2), ms(30));
        lease.on_confirmed(Round::new(2), ms(40));
        assert_eq!(lease.ends_at(0), Some(ms(30)));
    }

    #[test]
    fn rounds_that_nobody_answers_are_bounded_and_the_first_count() {
        let mut lease = Lease::default();
        for round in 1..=100 {
            lease.on_round(Round::new(round), ms(round));
        }
        assert_eq!(lease.begun.len(), ROUNDS_MAX);
        lease.on_confirmed(Round::new(100), ms(200));
        assert_eq!(lease.ends_at(0), Some(ms(u64::try_from(ROUNDS_MAX).unwrap())));
    }

    #[test]
    fn a_lease_is_renewed_in_its_second_half_and_once() {
        let mut lease = Lease::default();
        lease.on_round(Round::new(1), ms(0));
        lease.on_confirmed(Round::new(1), ms(1));
        let half_ns = ms(50).ns();
        assert!(!lease.is_renewal_due(ms(49), half_ns * 2));
        assert!(lease.is_renewal_due(ms(50), half_ns * 2));
        lease.on_round(Round::new(2), ms(50));
        assert!(!lease.is_renewal_due(ms(51), half_ns * 2), "one is under way");
    }
}
