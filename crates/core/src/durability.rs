//! What the disk has, as far as completions have told (rules 6–8).
//!
//! Things to make durable leave under a ticket; the completion of a ticket,
//! and nothing else, makes them count. A ticket remembers how far it reached
//! when it left. Truncation lowers every outstanding ticket, so the late write
//! of an overwritten tail counts for nothing.
//!
//! Invariants
//! - `index` never exceeds what a completed ticket carried and what still
//!   stands in the log.
//! - The completion of a ticket includes all earlier ones: storage applies
//!   hand-overs in order.

use crate::ids::{Index, LogId, NodeId, Term, Ticket};
use crate::mutants;
use crate::output::HardState;
use crate::output::outlet::PersistRare;
use crate::snapshot::Compaction;
use crate::time::Time;

/// Term and vote in two words; node 0 names nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Packed {
    term: Term,
    vote: NodeId,
}

impl From<HardState> for Packed {
    fn from(HardState { term, vote }: HardState) -> Self {
        Self { term, vote: vote.unwrap_or_default() }
    }
}

impl From<Packed> for HardState {
    fn from(Packed { term, vote }: Packed) -> Self {
        Self { term, vote: (vote != NodeId::default()).then_some(vote) }
    }
}

/// One hand-over that is not known to be durable yet.
#[derive(Clone, Copy, Debug)]
struct Handed {
    ticket: Ticket,
    hard_state: Packed,
    last: Index,
    position: u64,
    at: Time,
}

/// What is durable and what is on its way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durability {
    /// Entries up to here are durable.
    index: Index,
    hard_state: Packed,
    /// The leader's window position that is durable (`leader/progress.rs`).
    position: u64,
    /// In the order of tickets. Many end with one write.
    outstanding: Vec<Handed>,
    /// Entries up to here have been handed out.
    handed: Index,
    /// Rare, and larger than a place for it.
    ends: Option<Box<Ends>>,
    next: Ticket,
}

/// What leaves the log at either end.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    /// Entries from here on are to be removed; not handed out yet.
    truncate_from: Option<Index>,
    /// Not handed out yet.
    compact: Option<Compaction>,
    /// What was lost is durable again; not told to storage yet.
    refilled: bool,
    /// The latest snapshot that was, and under which ticket.
    handed: Option<(Ticket, LogId)>,
    /// The current snapshot, as a crash now would show it.
    durable: LogId,
}

/// What a drain has to hand out.
pub(crate) struct Due {
    pub(crate) ticket: Ticket,
    pub(crate) rare: PersistRare,
    /// The first entry to hand out.
    pub(crate) first: Index,
}

impl Ends {
    fn are_due(&self) -> bool {
        self.truncate_from.is_some() || self.compact.is_some() || self.refilled
    }

    fn hand_out(&mut self, ticket: Ticket) -> (Option<Index>, Option<Compaction>, bool) {
        let compact = self.compact.take();
        if let Some(last) = compact.and_then(|compact| compact.snapshot) {
            self.handed = Some((ticket, last));
        }
        (self.truncate_from.take(), compact, std::mem::take(&mut self.refilled))
    }
}

impl Durability {
    pub(crate) fn restore(index: Index, hard_state: HardState, snapshot: LogId) -> Self {
        let ends = Ends { durable: snapshot, ..Ends::default() };
        Self {
            ends: (snapshot.index > Index::ZERO).then(|| Box::new(ends)),
            index,
            hard_state: hard_state.into(),
            handed: index,
            next: Ticket::new(1),
            ..Self::default()
        }
    }

    /// Entries up to here are durable.
    pub(crate) fn index(&self) -> Index {
        self.index
    }

    /// Term and vote that would survive a crash now.
    pub(crate) fn hard_state(&self) -> HardState {
        self.hard_state.into()
    }

    /// The term that would survive a crash now.
    pub(crate) fn term(&self) -> Term {
        self.hard_state.term
    }

    /// When the oldest hand-over left that has not ended.
    pub(crate) fn oldest_unfinished(&self) -> Option<Time> {
        self.outstanding.first().map(|handed| handed.at)
    }

    /// The window position up to which the leader's messages are durable.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Nothing waits to be handed out or completed: what was last accepted is
    /// durable up to window position `position`.
    pub(crate) fn note_position(&mut self, last: Index, position: u64) {
        if self.index >= last {
            self.position = self.position.max(position);
        }
    }

    /// Window positions start anew with a leader.
    pub(crate) fn forget_positions(&mut self) {
        self.position = 0;
        for handed in &mut self.outstanding {
            handed.position = 0;
        }
    }

    pub(crate) fn on_truncate(&mut self, index: Index) {
        let keep = index.previous();
        if self.handed >= index {
            let ends = self.ends.get_or_insert_default();
            let from = ends.truncate_from.map_or(index, |from| from.min(index));
            ends.truncate_from = Some(from);
        }
        self.handed = self.handed.min(keep);
        self.index = self.index.min(keep);
        for handed in &mut self.outstanding {
            if !mutants::is_active(109) {
                handed.last = handed.last.min(keep);
            }
        }
    }

    /// Entries up to the base leave; those not handed out need not be any more:
    /// the snapshot has them.
    pub(crate) fn on_compact(&mut self, compaction: Compaction) {
        let ends = self.ends.get_or_insert_default();
        let snapshot = compaction.snapshot.or(ends.compact.and_then(|former| former.snapshot));
        ends.compact = Some(Compaction { base: compaction.base, snapshot });
        self.handed = self.handed.max(compaction.base.index);
        if mutants::is_active(116) {
            self.index = self.index.max(compaction.base.index);
        }
    }

    /// What was lost is durable again: storage may forget the loss.
    pub(crate) fn on_refilled(&mut self) {
        self.ends.get_or_insert_default().refilled = true;
    }

    /// The current snapshot that would survive a crash now; zero without one.
    pub(crate) fn snapshot(&self) -> LogId {
        self.ends.as_ref().map_or(LogId::default(), |ends| ends.durable)
    }

    /// What is on disk behind `index` will not be part of the log: it counts for
    /// nothing, though it is not removed yet.
    pub(crate) fn distrust_behind(&mut self, index: Index) {
        self.index = self.index.min(index);
        for handed in &mut self.outstanding {
            handed.last = handed.last.min(index);
        }
    }

    /// What must be handed out now that the log ends at `last`; `None` when
    /// all is.
    pub(crate) fn hand_out(
        &mut self,
        hard_state: HardState,
        last: Index,
        position: u64,
        now: Time,
    ) -> Option<Due> {
        let handed = self.outstanding.last().map_or(self.hard_state, |handed| handed.hard_state);
        let packed = Packed::from(hard_state);
        let changed = packed != handed;
        let are_ends_due = self.ends.as_ref().is_some_and(|ends| ends.are_due());
        if !changed && !are_ends_due && last <= self.handed {
            return None;
        }
        let ticket = self.next;
        let (truncate_from, compact, refilled) = match &mut self.ends {
            Some(ends) => ends.hand_out(ticket),
            None => (None, None, false),
        };
        let due = Due {
            ticket,
            rare: PersistRare {
                hard_state: changed.then_some(hard_state),
                truncate_from,
                compact,
                refilled,
            },
            first: self.handed.next(),
        };
        self.push(Handed { ticket, hard_state: packed, last, position, at: now });
        Some(due)
    }

    /// The same where entries, and nothing else, are due: ticket and first
    /// entry. `None` when nothing is, or more.
    #[inline]
    pub(crate) fn hand_out_entries(
        &mut self,
        hard_state: HardState,
        last: Index,
        position: u64,
        now: Time,
    ) -> Option<(Ticket, Index)> {
        let handed = self.outstanding.last().map_or(self.hard_state, |handed| handed.hard_state);
        let packed = Packed::from(hard_state);
        // Small enough to be part of its caller: a log with a snapshot goes the
        // other way.
        if self.ends.is_some() || packed != handed || last <= self.handed {
            return None;
        }
        let (ticket, first) = (self.next, self.handed.next());
        self.push(Handed { ticket, hard_state: packed, last, position, at: now });
        if mutants::is_active(143) {
            self.next = ticket;
        }
        Some((ticket, first))
    }

    #[inline]
    fn push(&mut self, handed: Handed) {
        if self.outstanding.capacity() == 0 {
            // A group that only elects holds no more than this.
            self.outstanding.reserve_exact(1);
        }
        self.handed = handed.last;
        self.next = handed.ticket.next();
        self.outstanding.push(handed);
    }

    /// Term and vote as of `ticket` are durable, whatever else is not. Returns
    /// whether that was news.
    pub(crate) fn on_hard_state_persisted(&mut self, ticket: Ticket) -> bool {
        if mutants::is_active(115) {
            return self.on_persisted(ticket);
        }
        let covered = |handed: &&mut Handed| handed.ticket <= ticket;
        let Some(last) = self.outstanding.iter().rfind(|handed| handed.ticket <= ticket) else {
            return false;
        };
        let (hard_state, before) = (last.hard_state, self.hard_state);
        self.hard_state = hard_state;
        // What completes later of an earlier ticket takes nothing back.
        for handed in self.outstanding.iter_mut().take_while(covered) {
            handed.hard_state = hard_state;
        }
        before != hard_state
    }

    /// Everything up to `ticket` is durable. Returns whether that was news.
    #[inline]
    pub(crate) fn on_persisted(&mut self, ticket: Ticket) -> bool {
        // Mostly one write is under way, and it has ended.
        if let [handed] = self.outstanding.as_slice()
            && (handed.ticket <= ticket || mutants::is_active(140))
            && self.ends.as_ref().is_none_or(|ends| ends.handed.is_none())
        {
            self.hard_state = handed.hard_state;
            self.index = self.index.max(handed.last);
            self.position = self.position.max(handed.position);
            self.outstanding.clear();
            return true;
        }
        self.on_persisted_any(ticket)
    }

    #[inline(never)]
    fn on_persisted_any(&mut self, ticket: Ticket) -> bool {
        let mut ended = 0;
        for handed in self.outstanding.iter().take_while(|handed| handed.ticket <= ticket) {
            self.hard_state = handed.hard_state;
            self.index = self.index.max(handed.last);
            self.position = self.position.max(handed.position);
            ended += 1;
        }
        if ended == self.outstanding.len() {
            self.outstanding.clear();
        } else {
            self.outstanding.drain(..ended);
        }
        if let Some(ends) = &mut self.ends
            && let Some((_, last)) = ends.handed.take_if(|(handed, _)| *handed <= ticket)
        {
            ends.durable = last;
        }
        ended > 0
    }
}

#[cfg(test)]
mod tests {
    use super::Durability;
    use crate::ids::{Index, LogId, Term, Ticket};
    use crate::output::HardState;
    use crate::snapshot::Compaction;
    use crate::time::Time;

    fn hard(term: u64) -> HardState {
        HardState { term: Term::new(term), vote: None }
    }

    #[test]
    fn a_late_write_of_an_overwritten_tail_counts_for_nothing() {
        let mut durability = Durability::restore(Index::ZERO, hard(1), LogId::default());
        let old = durability.hand_out(hard(1), Index::new(5), 0, Time::ZERO).unwrap().ticket;
        durability.on_truncate(Index::new(3));
        let new = durability.hand_out(hard(2), Index::new(4), 0, Time::ZERO).unwrap();
        assert_eq!(new.rare.truncate_from, Some(Index::new(3)));
        assert_eq!(new.first, Index::new(3));
        durability.on_persisted(old);
        assert_eq!(durability.index(), Index::new(2));
        durability.on_persisted(new.ticket);
        assert_eq!(durability.index(), Index::new(4));
    }

    #[test]
    fn a_completion_includes_all_earlier_tickets_and_repeats_are_no_news() {
        let mut durability = Durability::restore(Index::ZERO, hard(1), LogId::default());
        durability.hand_out(hard(2), Index::new(1), 0, Time::ZERO).unwrap();
        let second = durability.hand_out(hard(3), Index::new(2), 0, Time::ZERO).unwrap().ticket;
        assert!(durability.on_persisted(second));
        assert_eq!((durability.index(), durability.hard_state()), (Index::new(2), hard(3)));
        assert!(!durability.on_persisted(second));
        assert!(!durability.on_persisted(Ticket::new(1)));
        durability.hand_out(hard(3), Index::new(3), 0, Time::ZERO).unwrap();
        assert!(!durability.on_persisted(second), "a later one is still under way");
        assert_eq!(durability.index(), Index::new(2));
    }

    #[test]
    fn entries_alone_get_the_ticket_and_the_place_that_any_hand_over_would_get() {
        let restored = || Durability::restore(Index::ZERO, hard(1), LogId::default());
        let (mut quick, mut usual) = (restored(), restored());
        for last in [1, 4, 5].map(Index::new) {
            let due = usual.hand_out(hard(1), last, 0, Time::ZERO).unwrap();
            let handed = quick.hand_out_entries(hard(1), last, 0, Time::ZERO);
            assert_eq!(handed, Some((due.ticket, due.first)));
        }
        assert!(quick.on_persisted(Ticket::new(1)));
        assert_eq!(quick.index(), Index::new(1), "two are still under way");
        assert_eq!(quick.hand_out_entries(hard(2), Index::new(6), 0, Time::ZERO), None, "a term");
        assert_eq!(quick.hand_out_entries(hard(1), Index::new(5), 0, Time::ZERO), None, "no news");
    }

    #[test]
    fn a_term_that_is_durable_ahead_of_its_ticket_is_not_taken_back_by_earlier_ones() {
        let mut durability = Durability::restore(Index::ZERO, hard(1), LogId::default());
        let entries = durability.hand_out(hard(2), Index::new(4), 0, Time::ZERO).unwrap().ticket;
        let voted = durability.hand_out(hard(3), Index::new(4), 0, Time::ZERO).unwrap().ticket;
        assert!(durability.on_hard_state_persisted(voted));
        assert_eq!((durability.index(), durability.hard_state()), (Index::ZERO, hard(3)));
        assert!(!durability.on_hard_state_persisted(voted), "no news twice");
        assert!(durability.on_persisted(entries));
        assert_eq!((durability.index(), durability.hard_state()), (Index::new(4), hard(3)));
        assert!(!durability.on_hard_state_persisted(entries), "that one is done");
    }

    #[test]
    fn entries_never_handed_out_need_no_truncation_on_disk() {
        let mut durability = Durability::restore(Index::new(2), hard(1), LogId::default());
        durability.on_truncate(Index::new(3));
        assert!(durability.hand_out(hard(1), Index::new(2), 0, Time::ZERO).is_none());
    }

    #[test]
    fn a_snapshot_is_current_when_its_own_ticket_is_durable_whatever_the_log_has() {
        let mut durability = Durability::restore(Index::new(9), hard(1), LogId::default());
        let last = LogId { term: Term::new(1), index: Index::new(5) };
        let vote = durability.hand_out(hard(2), Index::new(9), 0, Time::ZERO).unwrap().ticket;
        durability.on_compact(Compaction { base: last, snapshot: Some(last) });
        let due = durability.hand_out(hard(2), Index::new(9), 0, Time::ZERO).unwrap();
        assert_eq!(due.rare.compact.unwrap().snapshot, Some(last));
        durability.on_persisted(vote);
        assert_eq!((durability.index(), durability.snapshot()), (Index::new(9), LogId::default()));
        durability.on_persisted(due.ticket);
        assert_eq!(durability.snapshot(), last);
        assert!(durability.hand_out(hard(2), Index::new(9), 0, Time::ZERO).is_none());
    }
}
