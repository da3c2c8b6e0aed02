//! Reads that wait for a quorum round and for local apply (§6.4).
//!
//! All reads that one turn takes share one question to the core, and the core
//! lets questions share a round: messages grow with nodes, not with reads
//! (rule 21).
//!
//! Invariants
//! - A read runs on the machine only when the index confirmed *after* the
//!   read arrived is applied.
//! - A question is asked again under a new id, never under the old one:
//!   answers to the old one then count for nothing.
//! - A read whose caller has gone does not run.
//! - However many reads wait, and however long no leader is known, questions
//!   and batches stay few: what is not asked yet gathers.
//!
//! Not here: confirming (core), when the machine is at hand (`applier.rs`).

use std::collections::VecDeque;

use crate::error::ReadError;
use raftlet_core::{Index, ReadId, Time, mutants};

/// A caller's closure and the way back to the caller.
pub(crate) type ReadJob<M> = Box<dyn FnOnce(Result<&M, ReadError>)>;

/// How long a refused question rests before it is asked again: a fifth of the
/// default election timeout.
const PAUSE_NS: u64 = 100_000_000;

/// Questions under way. More reads gather until one of them is answered.
const ASKED_MAX: usize = 64;

/// Reads that rest share a batch, and the last one's deadline, if they came
/// within this time: with the default timeout that makes a hundred batches.
const GATHER_NS: u64 = 50_000_000;

/// Reads of one turn, or of several while they could not be asked.
struct Batch<M> {
    id: ReadId,
    jobs: Vec<ReadJob<M>>,
    deadline: Time,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The core was asked under the batch's id.
    Asked,
    /// Refused; to be asked again.
    Resting { until: Time },
    /// May run when this index is applied.
    Confirmed { index: Index },
}

/// The reads of one group, oldest first.
pub(crate) struct Reads<M> {
    next: ReadId,
    batches: VecDeque<Batch<M>>,
    asked: usize,
}

impl<M> Reads<M> {
    pub(crate) fn new() -> Self {
        Self { next: ReadId::default().next(), batches: VecDeque::new(), asked: 0 }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Takes the reads of a turn, to be asked by [`Reads::next_question`].
    pub(crate) fn push(&mut self, mut jobs: Vec<ReadJob<M>>, deadline: Time) {
        if let Some(last) = self.batches.back_mut()
            && let State::Resting { .. } = last.state
            && deadline.since(last.deadline) <= GATHER_NS
        {
            last.jobs.append(&mut jobs);
            last.deadline = last.deadline.max(deadline);
            return;
        }
        let state = State::Resting { until: Time::ZERO };
        self.batches.push_back(Batch { id: ReadId::default(), jobs, deadline, state });
    }

    /// The id to ask the core under next, if there is one.
    pub(crate) fn next_question(&mut self, now: Time) -> Option<ReadId> {
        if self.asked >= ASKED_MAX {
            return None;
        }
        let is_due = |batch: &&mut Batch<M>| match batch.state {
            State::Resting { until } => until <= now,
            State::Asked | State::Confirmed { .. } => false,
        };
        let batch = self.batches.iter_mut().find(is_due)?;
        batch.state = State::Asked;
        batch.id = self.next;
        self.asked += 1;
        self.next = self.next.next();
        Some(batch.id)
    }

    /// The core confirmed `id`: it may run once `index` is applied.
    pub(crate) fn on_confirmed(&mut self, id: ReadId, index: Index) {
        self.on_answer(id, State::Confirmed { index });
    }

    /// The core refused `id`: it is asked again after a pause.
    pub(crate) fn on_refused(&mut self, now: Time, id: ReadId) {
        self.on_answer(id, State::Resting { until: now.after_ns(PAUSE_NS) });
    }

    fn on_answer(&mut self, id: ReadId, state: State) {
        let asked = |batch: &&mut Batch<M>| batch.id == id && batch.state == State::Asked;
        if let Some(batch) = self.batches.iter_mut().find(asked) {
            batch.state = state;
            self.asked -= 1;
        }
    }

    /// A leader appeared: what rests is asked at once.
    pub(crate) fn wake(&mut self) {
        for batch in &mut self.batches {
            if let State::Resting { until } = &mut batch.state {
                *until = Time::ZERO;
            }
        }
    }

    /// Whether some may run now.
    pub(crate) fn is_ready(&self, applied: Index) -> bool {
        self.batches.iter().any(|batch| batch.may_run(applied))
    }

    /// Removes those that may run now.
    pub(crate) fn take_ready(&mut self, applied: Index) -> Vec<ReadJob<M>> {
        let mut ready = Vec::new();
        self.batches.retain_mut(|batch| {
            let may_run = batch.may_run(applied);
            if may_run {
                ready.append(&mut batch.jobs);
            }
            !may_run
        });
        ready
    }

    /// Removes the oldest if their time is up; the id is to be forgotten.
    pub(crate) fn take_expired(&mut self, now: Time) -> Option<(ReadId, Vec<ReadJob<M>>)> {
        if self.batches.front()?.deadline > now {
            return None;
        }
        let batch = self.batches.pop_front()?;
        self.asked -= usize::from(batch.state == State::Asked);
        Some((batch.id, batch.jobs))
    }

    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = ReadJob<M>> {
        self.asked = 0;
        self.batches.drain(..).flat_map(|batch| batch.jobs)
    }

    /// When something is due. What rests is due only where it can be asked.
    pub(crate) fn next_deadline(&self, can_ask: bool) -> Option<Time> {
        let can_ask = can_ask && self.asked < ASKED_MAX;
        let wakes = self.batches.iter().filter_map(|batch| match batch.state {
            State::Resting { until } if can_ask => Some(until),
            _ => None,
        });
        let first = self.batches.front().map(|batch| batch.deadline);
        wakes.chain(first).min()
    }
}

impl<M> Batch<M> {
    fn may_run(&self, applied: Index) -> bool {
        let is_applied = |index| index <= applied || mutants::is_active(57);
        matches!(self.state, State::Confirmed { index } if is_applied(index))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::{ASKED_MAX, PAUSE_NS, Reads};
    use raftlet_core::{Index, ReadId, Time};

    const APPLIED: Index = Index::new(9);

    fn asked() -> (Reads<u64>, ReadId, Rc<Cell<u64>>) {
        let mut reads = Reads::new();
        let seen = Rc::new(Cell::new(0));
        let out = Rc::clone(&seen);
        let job = Box::new(move |machine: Result<&u64, _>| out.set(*machine.unwrap()));
        reads.push(vec![job], Time::from_ms(5_000));
        let id = reads.next_question(Time::ZERO).unwrap();
        assert_eq!(reads.next_question(Time::ZERO), None);
        (reads, id, seen)
    }

    #[test]
    fn a_read_runs_when_its_index_is_confirmed_and_applied_and_not_before() {
        let (mut reads, id, seen) = asked();
        assert!(!reads.is_ready(APPLIED), "not confirmed");
        reads.on_confirmed(id, APPLIED);
        assert!(reads.take_ready(APPLIED.previous()).is_empty(), "not applied");
        for job in reads.take_ready(APPLIED) {
            job(Ok(&7));
        }
        assert_eq!((seen.get(), reads.is_empty()), (7, true));
    }

    #[test]
    fn a_refused_read_is_asked_again_under_another_id_after_a_pause() {
        let (mut reads, id, _) = asked();
        reads.on_refused(Time::ZERO, id);
        assert_eq!(reads.next_question(Time::ZERO), None);
        let again = reads.next_question(Time::from_ns(PAUSE_NS)).unwrap();
        assert_ne!(again, id);
        reads.on_confirmed(id, APPLIED);
        assert!(!reads.is_ready(APPLIED), "an answer to the former question");
        reads.on_confirmed(again, APPLIED);
        assert!(reads.is_ready(APPLIED));
    }

    #[test]
    fn a_new_leader_ends_the_pause() {
        let (mut reads, id, _) = asked();
        reads.on_refused(Time::ZERO, id);
        reads.wake();
        assert!(reads.next_question(Time::ZERO).is_some());
    }

    #[test]
    fn while_nothing_can_be_asked_reads_gather_in_few_batches() {
        let mut reads = Reads::<u64>::new();
        for ms in 0..5_000 {
            reads.push(vec![Box::new(|_| ())], Time::from_ms(5_000 + ms));
        }
        assert!(reads.batches.len() <= 100, "{} batches", reads.batches.len());
        assert_eq!(reads.next_deadline(false), Some(reads.batches[0].deadline));
        assert_eq!(reads.next_deadline(true), Some(Time::ZERO));
    }

    #[test]
    fn questions_under_way_are_bounded_and_an_answer_makes_room() {
        let mut reads = Reads::<u64>::new();
        let push_and_ask = |reads: &mut Reads<u64>| {
            reads.push(vec![Box::new(|_| ())], Time::from_ms(5_000));
            reads.next_question(Time::ZERO)
        };
        let ids: Vec<_> = (0..ASKED_MAX).map_while(|_| push_and_ask(&mut reads)).collect();
        assert_eq!(ids.len(), ASKED_MAX);
        assert_eq!(push_and_ask(&mut reads), None);
        assert_eq!(push_and_ask(&mut reads), None);
        reads.on_confirmed(ids[0], APPLIED);
        assert!(reads.next_question(Time::ZERO).is_some());
        assert_eq!(reads.next_question(Time::ZERO), None, "the two share a question");
    }

    #[test]
    fn an_unanswered_read_expires_and_names_what_the_core_may_forget() {
        let (mut reads, id, _) = asked();
        assert!(reads.take_expired(Time::from_ms(4_999)).is_none());
        let (forget, jobs) = reads.take_expired(Time::from_ms(5_000)).unwrap();
        assert_eq!((forget, jobs.len()), (id, 1));
    }
}
