//! Orders the operations of one key, one after the other, and takes back what
//! leads nowhere.
//!
//! Depth first. From a configuration the next operation is any candidate of the
//! timeline that is legal in the state, or one of unknown outcome. Three things
//! keep this short where a plain search drowns:
//!
//! - **Observations at once.** A legal candidate that changes no state, in any
//!   state, is taken without an alternative: wherever a correct order has it,
//!   it can be moved here.
//! - **Unknown outcomes last.** They are tried when no answered candidate leads
//!   on, and only where they are *needed*: when one could be left out, or moved
//!   behind its successor, with the same state after both, it is not needed
//!   here. Among all correct orders take one with the fewest of them, and those
//!   as late as possible: in it each is needed where it stands, so none is
//!   missed.
//! - **Equals in turn.** Of equal calls of unknown outcome the earliest goes
//!   first (`pool.rs`); otherwise lost increments alone would be 2ⁿ subsets.
//!
//! Invariants
//! - `timeline`, `ordered`, `pool` and `state` are the sum of `steps`; undoing
//!   the steps in reverse gives the start.
//! - Each configuration is searched once; their number is bounded.
//!
//! Not here: the words for a person (`linearizable.rs`).

use super::SearchLimits;
use super::memo::{Configuration, Memo, OrderedSet};
use super::pool::Pool;
use super::timeline::{Span, Timeline};
use crate::history::{Call, OpId, Operation, Reply};
use crate::model::Model;

/// How a search ends.
#[derive(Debug)]
pub(super) enum Ending<S> {
    /// An order of all answered operations was found.
    Ordered,
    /// There is none.
    NoOrder(Stuck<S>),
    /// The limit was met.
    TooLong {
        /// Configurations searched.
        nodes: u64,
    },
}

/// Where the longest order ended.
#[derive(Debug)]
pub(super) struct Stuck<S> {
    /// Answered operations in that order, and in the key's history.
    pub(super) ordered_len: usize,
    pub(super) answered_len: usize,
    /// Its last operations, oldest first.
    pub(super) tail: Vec<OpId>,
    /// What they led to.
    pub(super) state: S,
    /// The answered operations that could have come next by time.
    pub(super) blocked: Vec<OpId>,
    /// Operations of unknown outcome that could have come next, too.
    pub(super) unknown_left_len: usize,
}

/// The search of one key.
#[derive(Debug)]
pub(super) struct Search<'a, M: Model> {
    model: &'a M,
    nodes_max: u64,
    answered: Vec<Answered<'a>>,
    timeline: Timeline,
    pool: Pool<'a>,
    ordered: OrderedSet,
    state: M::State,
    steps: Vec<Taken<M::State>>,
    memo: Memo<M::State>,
    deepest: Stuck<M::State>,
}

#[derive(Debug)]
struct Answered<'a> {
    id: OpId,
    call: &'a Call,
    reply: &'a Reply,
    span: Span,
    is_observation: bool,
    is_overwrite: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Answered(usize),
    Unknown(usize),
}

/// Whether a step had alternatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Free,
    Forced,
}

/// A step, and what it takes to undo it.
#[derive(Debug)]
struct Taken<S> {
    step: Step,
    state_before: S,
    choice: Choice,
}

/// Where among the alternatives of a configuration to go on.
#[derive(Clone, Copy, Debug)]
enum Cursor {
    Start,
    After(Step),
}

impl<'a, M: Model> Search<'a, M> {
    /// A search over the operations of one key. Those not done are left out.
    pub(super) fn new(
        model: &'a M,
        operations: &[(OpId, &'a Operation)],
        limits: SearchLimits,
    ) -> Self {
        let mut answered: Vec<Answered<'a>> = operations
            .iter()
            .filter_map(|(id, operation)| {
                let (reply, return_ns) = operation.done()?;
                let call = &operation.call;
                Some(Answered {
                    id: *id,
                    call,
                    reply,
                    span: Span { invoke_ns: operation.invoke_ns, return_ns },
                    is_observation: model.is_observation(call, Some(reply)),
                    is_overwrite: model.is_overwrite(call, Some(reply)),
                })
            })
            .collect();
        answered.sort_by_key(|one| (one.span.invoke_ns, one.span.return_ns, one.id));
        let deepest = Stuck {
            ordered_len: 0,
            answered_len: answered.len(),
            tail: Vec::new(),
            state: model.initial(),
            blocked: Vec::new(),
            unknown_left_len: 0,
        };
        let spans: Vec<Span> = answered.iter().map(|one| one.span).collect();
        Self {
            model,
            nodes_max: limits.nodes_max,
            timeline: Timeline::new(&spans),
            pool: Pool::new(model, operations),
            ordered: OrderedSet::new(answered.len()),
            state: model.initial(),
            steps: Vec::new(),
            memo: Memo::new(),
            deepest,
            answered,
        }
    }

    /// Searches until an order is found, none is left, or the limit is met.
    pub(super) fn run(mut self) -> Ending<M::State> {
        let mut cursor = Cursor::Start;
        self.take_observations();
        loop {
            let Some(first_left) = self.timeline.first() else {
                return Ending::Ordered;
            };
            let is_new = match cursor {
                Cursor::Start => self.remember(first_left),
                Cursor::After(_) => true,
            };
            if self.memo.len() > self.nodes_max {
                return Ending::TooLong { nodes: self.nodes_max };
            }
            let alternative = if is_new { self.alternative(cursor) } else { None };
            if let Some((step, state)) = alternative {
                self.take(step, state, Choice::Free);
                self.take_observations();
                cursor = Cursor::Start;
                continue;
            }
            if is_new {
                self.note_stuck();
            }
            match self.back() {
                Some(earlier) => cursor = earlier,
                None => return Ending::NoOrder(self.deepest),
            }
        }
    }

    /// Adds the present configuration to the memo; says whether it is new.
    fn remember(&mut self, first_left: usize) -> bool {
        let used_words = self.pool.used_words();
        let state = self.state.clone();
        self.memo.insert(Configuration::new(&self.ordered, first_left, used_words, state))
    }

    /// Takes every legal candidate that changes no state, and those that become
    /// candidates by that.
    fn take_observations(&mut self) {
        loop {
            let legal = self.timeline.candidates().find_map(|op| {
                let one = self.answered.get(op).filter(|one| one.is_observation)?;
                Some((op, self.model.step(&self.state, one.call, Some(one.reply))?))
            });
            let Some((op, state)) = legal else { return };
            self.take(Step::Answered(op), state, Choice::Forced);
        }
    }

    fn take(&mut self, step: Step, state: M::State, choice: Choice) {
        match step {
            Step::Answered(op) => {
                self.timeline.take(op);
                self.ordered.insert(op);
            }
            Step::Unknown(number) => self.pool.flip(number),
        }
        let state_before = std::mem::replace(&mut self.state, state);
        self.steps.push(Taken { step, state_before, choice });
    }

    /// Undoes steps up to and including the last that had alternatives.
    fn back(&mut self) -> Option<Cursor> {
        while let Some(taken) = self.steps.pop() {
            self.state = taken.state_before;
            match taken.step {
                Step::Answered(op) => {
                    self.timeline.put_back(op);
                    self.ordered.remove(op);
                }
                Step::Unknown(number) => self.pool.flip(number),
            }
            if taken.choice == Choice::Free {
                return Some(Cursor::After(taken.step));
            }
        }
        None
    }

    /// The next step to try from the present configuration.
    fn alternative(&self, cursor: Cursor) -> Option<(Step, M::State)> {
        let answered = match cursor {
            Cursor::Start => self.legal_of(self.timeline.candidates()),
            Cursor::After(Step::Answered(op)) => self.legal_of(self.timeline.candidates_after(op)),
            Cursor::After(Step::Unknown(_)) => None,
        };
        if answered.is_some() || self.pool.is_empty() {
            return answered;
        }
        let first = match cursor {
            Cursor::After(Step::Unknown(number)) => number + 1,
            Cursor::Start | Cursor::After(Step::Answered(_)) => 0,
        };
        self.needed_unknown(first)
    }

    fn legal_of(&self, candidates: impl Iterator<Item = usize>) -> Option<(Step, M::State)> {
        for op in candidates {
            let Some(one) = self.answered.get(op) else {
                continue;
            };
            if let Some(state) = self.model.step(&self.state, one.call, Some(one.reply)) {
                return Some((Step::Answered(op), state));
            }
        }
        None
    }

    /// The first operation of unknown outcome, from number `first` on, that a
    /// possible successor needs to stand here.
    fn needed_unknown(&self, first: usize) -> Option<(Step, M::State)> {
        let invoked_len = self.pool.invoked_len(self.horizon_ns());
        let successors = self.choosy_candidates();
        for number in first..invoked_len {
            if !self.pool.is_next(number, None) {
                continue;
            }
            let Some(member) = self.pool.member(number) else {
                continue;
            };
            let Some(after) = self.model.step(&self.state, member.call, None) else {
                continue;
            };
            if after == self.state {
                continue;
            }
            let is_needed = successors
                .iter()
                .any(|successor| self.is_needed_by_answered(member.call, &after, successor))
                || (0..invoked_len).any(|other| self.is_needed_by_unknown(number, &after, other));
            if is_needed {
                return Some((Step::Unknown(number), after));
            }
        }
        None
    }

    /// No answered operation that is left returned before this, so whatever was
    /// invoked by then may come next.
    fn horizon_ns(&self) -> u64 {
        let first_to_return = self.timeline.first_to_return();
        first_to_return
            .and_then(|op| self.answered.get(op))
            .map_or(u64::MAX, |one| one.span.return_ns)
    }

    /// The candidates that can need something before them, and what they lead
    /// to as things are. An overwrite needs nothing.
    fn choosy_candidates(&self) -> Vec<(&Answered<'a>, Option<M::State>)> {
        self.timeline
            .candidates()
            .filter_map(|op| self.answered.get(op))
            .filter(|one| !one.is_overwrite)
            .map(|one| (one, self.model.step(&self.state, one.call, Some(one.reply))))
            .collect()
    }

    /// Whether `unknown`, which leads to `after`, must stand before `successor`.
    fn is_needed_by_answered(
        &self,
        unknown: &Call,
        after: &M::State,
        (successor, without): &(&Answered<'a>, Option<M::State>),
    ) -> bool {
        let Some(with) = self.model.step(after, successor.call, Some(successor.reply)) else {
            return false;
        };
        let Some(without) = without else { return true };
        let behind = self.model.step(without, unknown, None);
        with != *without && behind != Some(with)
    }

    /// Whether the member `number`, which leads to `after`, must stand before
    /// the member `other`. Of two that may stand either way, the first in
    /// number does.
    fn is_needed_by_unknown(&self, number: usize, after: &M::State, other: usize) -> bool {
        if !self.pool.is_next(other, Some(number)) {
            return false;
        }
        let (Some(member), Some(successor)) = (self.pool.member(number), self.pool.member(other))
        else {
            return false;
        };
        if successor.is_overwrite {
            return false;
        }
        let with = self.model.step(after, successor.call, None);
        let without = self.model.step(&self.state, successor.call, None);
        if with.is_none() || with == without {
            return false;
        }
        let behind = without.and_then(|state| self.model.step(&state, member.call, None));
        number < other || behind != with
    }

    /// Keeps where the longest order ended.
    fn note_stuck(&mut self) {
        let ordered_len = self.ordered.len();
        if ordered_len <= self.deepest.ordered_len && !self.deepest.blocked.is_empty() {
            return;
        }
        let id_of = |step: Step| match step {
            Step::Answered(op) => self.answered.get(op).map(|one| one.id),
            Step::Unknown(number) => self.pool.member(number).map(|member| member.id),
        };
        let tail = self.steps.iter().rev().take(TAIL_LEN_MAX).filter_map(|taken| id_of(taken.step));
        let mut tail: Vec<OpId> = tail.collect();
        tail.reverse();
        let blocked = self.timeline.candidates().map(Step::Answered).filter_map(id_of).collect();
        self.deepest = Stuck {
            ordered_len,
            answered_len: self.answered.len(),
            tail,
            state: self.state.clone(),
            blocked,
            unknown_left_len: self.pool.unused_len(self.pool.invoked_len(self.horizon_ns())),
        };
    }
}

/// How many operations of the longest order a violation shows: two rounds of
/// the eight clients that a key should have at most.
const TAIL_LEN_MAX: usize = 16;
