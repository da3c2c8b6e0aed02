//! Leadership transfers of a shard's groups: who asked, and how it ended.
//!
//! They are rare, so the shard holds them in one place and a group pays
//! nothing. The core decides when to give up; here the caller learns of it, or
//! of the new leader.
//!
//! Invariants
//! - Every asking ends once: with the new leader's node, or a [`TransferError`].
//! - At most [`TRANSFERS_MAX`] wait on a shard (rule 42).

use crate::answer::Answer;
use crate::error::TransferError;
use crate::timers::Slot;
use raftlet_core::{self as core, NodeId, Term, Time, TransferFailure};

/// Transfers of one shard that have not ended: some of each group of a large
/// shard, as at a clean stop.
pub(crate) const TRANSFERS_MAX: usize = 1 << 16;

type Answering = Answer<Result<NodeId, TransferError>>;

/// A transfer that ended, to be told outside of the shard's state.
pub(crate) struct EndedTransfer {
    pub(crate) answer: Answering,
    pub(crate) outcome: Result<NodeId, TransferError>,
}

/// Taken by a handle, not begun.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) slot: Slot,
    pub(crate) to: Option<NodeId>,
    answer: Answering,
}

#[derive(Debug)]
struct Begun {
    slot: Slot,
    /// The term that is handed over.
    term: Term,
    /// Behind the core's own deadline: for a member that left office and
    /// hears of nobody.
    ends_at: Time,
    answer: Answering,
}

/// The transfers of one shard.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    asked: Vec<Asked>,
    begun: Vec<Begun>,
}

impl Transfers {
    /// Whether some are to begin.
    pub(crate) fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Takes one in, or gives the answer back: too many wait.
    pub(crate) fn ask(
        &mut self,
        slot: Slot,
        to: Option<NodeId>,
        answer: Answering,
    ) -> Option<Answering> {
        if self.asked.len() + self.begun.len() >= TRANSFERS_MAX {
            return Some(answer);
        }
        self.asked.push(Asked { slot, to, answer });
        None
    }

    /// Those that are to begin, in order.
    pub(crate) fn take_asked(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.asked)
    }

    /// The core has begun it in `term`.
    pub(crate) fn begin(&mut self, asked: Asked, term: Term, ends_at: Time) {
        let Asked { slot, answer, .. } = asked;
        self.begun.push(Begun { slot, term, ends_at, answer });
    }

    /// Who leads the group, as its member on `own` has it now.
    pub(crate) fn on_leader(
        &mut self,
        slot: Slot,
        (term, leader): (Term, NodeId),
        own: NodeId,
    ) -> impl Iterator<Item = EndedTransfer> {
        let ended = self.begun.extract_if(.., move |begun| begun.slot == slot && term > begun.term);
        ended.map(move |begun| {
            // Somebody campaigned, and this member has won all the same.
            let outcome = if leader == own { Err(TransferError::TimedOut) } else { Ok(leader) };
            EndedTransfer { answer: begun.answer, outcome }
        })
    }

    /// The core gave up.
    pub(crate) fn on_failure(
        &mut self,
        slot: Slot,
        why: TransferFailure,
    ) -> impl Iterator<Item = EndedTransfer> {
        let error = match why {
            TransferFailure::TimedOut => TransferError::TimedOut,
            TransferFailure::NotVoter => TransferError::TargetLeft,
        };
        self.end(move |begun| begun.slot == slot, error)
    }

    /// The group takes no part any more, or the whole shard.
    pub(crate) fn on_halt(
        &mut self,
        halted: Option<Slot>,
        error: &TransferError,
    ) -> Vec<EndedTransfer> {
        let is_meant = move |slot| halted.is_none_or(|halted| halted == slot);
        let asked =
            self.asked.extract_if(.., |asked| is_meant(asked.slot)).map(|asked| asked.answer);
        let begun =
            self.begun.extract_if(.., |begun| is_meant(begun.slot)).map(|begun| begun.answer);
        asked
            .chain(begun)
            .map(|answer| EndedTransfer { answer, outcome: Err(error.clone()) })
            .collect()
    }

    /// Those whose time is up.
    pub(crate) fn take_expired(&mut self, now: Time) -> impl Iterator<Item = EndedTransfer> {
        self.end(move |begun| begun.ends_at <= now, TransferError::TimedOut)
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.begun.iter().map(|begun| begun.ends_at).min()
    }

    fn end(
        &mut self,
        is_meant: impl Fn(&Begun) -> bool,
        error: TransferError,
    ) -> impl Iterator<Item = EndedTransfer> {
        let ended = self.begun.extract_if(.., move |begun| is_meant(begun));
        ended.map(move |begun| EndedTransfer { answer: begun.answer, outcome: Err(error.clone()) })
    }
}

impl Asked {
    /// The core refused.
    pub(crate) fn refuse(self, error: core::TransferError) -> EndedTransfer {
        EndedTransfer { answer: self.answer, outcome: Err(error.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{TRANSFERS_MAX, Transfers};
    use crate::answer::answer;
    use crate::error::TransferError;
    use raftlet_core::{NodeId, Term, Time};

    const OWN: NodeId = NodeId::new(1);

    fn begun(slots: &[usize]) -> Transfers {
        let mut transfers = Transfers::default();
        for slot in slots {
            assert!(transfers.ask(*slot, None, answer().0).is_none());
            for asked in transfers.take_asked() {
                transfers.begin(asked, Term::new(4), Time::from_ms(9));
            }
        }
        transfers
    }

    #[test]
    fn only_a_leader_of_a_higher_term_ends_a_groups_transfer() {
        let mut transfers = begun(&[2, 3]);
        let mut on_leader = |slot, term, leader| {
            let at = (Term::new(term), NodeId::new(leader));
            transfers.on_leader(slot, at, OWN).map(|ended| ended.outcome).collect::<Vec<_>>()
        };
        assert_eq!(on_leader(2, 4, 1), []);
        assert_eq!(on_leader(2, 5, 3), [Ok(NodeId::new(3))]);
        assert_eq!(on_leader(2, 6, 2), [], "it ends once");
        assert_eq!(on_leader(3, 5, 1), [Err(TransferError::TimedOut)], "it leads again");
    }

    #[test]
    fn a_transfer_after_which_nobody_leads_expires() {
        let mut transfers = begun(&[2]);
        assert_eq!(transfers.take_expired(Time::from_ms(8)).count(), 0);
        assert_eq!(transfers.next_deadline(), Some(Time::from_ms(9)));
        assert_eq!(transfers.take_expired(Time::from_ms(9)).count(), 1);
    }

    #[test]
    fn a_halted_group_ends_its_own_and_a_stopped_shard_all() {
        let mut transfers = begun(&[2, 3, 3]);
        assert!(transfers.ask(3, None, answer().0).is_none());
        assert_eq!(transfers.on_halt(Some(3), &TransferError::Stopped).len(), 3);
        assert!(!transfers.is_asked());
        assert_eq!(transfers.on_halt(None, &TransferError::Stopped).len(), 1);
    }

    #[test]
    fn transfers_that_wait_are_bounded() {
        let mut transfers = Transfers::default();
        for _ in 0..TRANSFERS_MAX {
            assert!(transfers.ask(0, None, answer().0).is_none());
        }
        assert!(transfers.ask(0, None, answer().0).is_some());
    }
}
