//! The log against a list of terms: all short histories, and long random ones.

use super::{chunk, id, terms};
use crate::ids::{Index, LogId, Term};
use crate::log::Log;
use crate::rng::Rng;

/// What can happen to a log. Not all of it is possible at any moment.
#[derive(Clone, Copy, Debug)]
enum Op {
    AppendOne,
    AppendTwo,
    AppendInNextTerm,
    TruncateLast,
    TruncateAll,
    CompactAllButOne,
    Evict,
}

const OPS: [Op; 7] = [
    Op::AppendOne,
    Op::AppendTwo,
    Op::AppendInNextTerm,
    Op::TruncateLast,
    Op::TruncateAll,
    Op::CompactAllButOne,
    Op::Evict,
];

/// The naive log: the term of each entry that there ever was, from index 1.
#[derive(Clone, Debug, Default)]
struct Model {
    terms: Vec<u64>,
    /// Entries up to here have left.
    base: u64,
    /// Entries up to here may have left memory.
    evicted: u64,
}

impl Model {
    fn last(&self) -> u64 {
        u64::try_from(self.terms.len()).unwrap()
    }

    fn term_at(&self, index: u64) -> Option<u64> {
        match index {
            0 => Some(0),
            _ if index < self.base => None,
            _ => self.terms.get(usize::try_from(index - 1).unwrap()).copied(),
        }
    }

    /// The last place at or before `bound` whose term is no higher.
    fn meeting_point(&self, term: u64, index: u64) -> LogId {
        let at = (0..=index.min(self.last()))
            .rev()
            .find(|at| self.term_at(*at).unwrap_or(0) <= term)
            .unwrap();
        id(self.term_at(at).unwrap_or(0), at)
    }

    fn conflict(&self, term: u64, first: u64, len: u64) -> Option<u64> {
        let mut overlap = first.max(self.base)..=(first + len - 1).min(self.last());
        overlap.find(|index| self.term_at(*index) != Some(term))
    }
}

fn append(log: &mut Log, model: &mut Model, term: u64, len: usize) {
    log.append(chunk(term, model.last() + 1, len)).unwrap();
    model.terms.extend(vec![term; len]);
}

fn truncate(log: &mut Log, model: &mut Model, from: u64) {
    if from <= model.last() && from > model.base.max(model.evicted) {
        log.truncate(Index::new(from));
        model.terms.truncate(usize::try_from(from - 1).unwrap());
    }
}

fn act(log: &mut Log, model: &mut Model, op: Op) {
    let (last, newest) = (model.last(), model.terms.last().copied().unwrap_or(0));
    match op {
        Op::AppendOne => append(log, model, newest.max(1), 1),
        Op::AppendTwo => append(log, model, newest.max(1), 2),
        Op::AppendInNextTerm => append(log, model, newest + 1, 1),
        Op::TruncateLast => truncate(log, model, last),
        Op::TruncateAll => truncate(log, model, model.base.max(model.evicted) + 1),
        Op::CompactAllButOne if last > model.base + 1 => {
            let base = id(model.term_at(last - 1).unwrap(), last - 1);
            log.compact(base, base);
            model.base = last - 1;
        }
        Op::CompactAllButOne => {}
        Op::Evict => {
            log.evict(Index::new(last), 0);
            model.evicted = last;
        }
    }
}

fn compare(log: &Log, model: &Model, history: &[Op]) {
    let last = model.last();
    let newest = model.terms.last().copied().unwrap_or(0);
    assert_eq!(log.last(), id(newest, last), "{history:?}");
    for index in 0..=last + 1 {
        let term = log.term_at(Index::new(index)).map(Term::get);
        assert_eq!(term, model.term_at(index), "{index} after {history:?}");
        for term in 0..=newest + 1 {
            let bound = id(term, index);
            let found = log.meeting_point(bound);
            assert_eq!(found, model.meeting_point(term, index), "{bound} after {history:?}");
            assert_eq!(log.contains(bound), model.term_at(index) == Some(term), "{history:?}");
        }
    }
    for (first, len) in (1..=last + 1).flat_map(|first| [(first, 1), (first, 3)]) {
        for term in 1..=newest + 1 {
            let incoming = chunk(term, first, usize::try_from(len).unwrap());
            let found = log.conflict(&incoming).map(Index::get);
            assert_eq!(found, model.conflict(term, first, len), "{incoming:?} after {history:?}");
        }
    }
    compare_entries(log, model, history);
}

/// What is in memory is the end of the log, and all that was not evicted.
fn compare_entries(log: &Log, model: &Model, history: &[Op]) {
    let memory_first = log.memory_first().get();
    assert!(memory_first <= model.base.max(model.evicted) + 1, "{history:?}");
    for first in 1..=model.last() {
        let slice = log.slice(Index::new(first), log.last().index, usize::MAX);
        assert_eq!(slice.is_some(), first >= memory_first, "{first} after {history:?}");
        let Some(slice) = slice else {
            continue;
        };
        let found: Vec<_> =
            slice.iter().map(|entry| (entry.term.get(), entry.index.get())).collect();
        let expected: Vec<_> =
            (first..=model.last()).map(|at| (model.term_at(at).unwrap(), at)).collect();
        assert_eq!(found, expected, "{history:?}");
    }
}

#[test]
fn every_history_of_five_steps_is_that_of_a_list_of_terms() {
    let mut histories: Vec<Vec<Op>> = vec![Vec::new()];
    for _ in 0..5 {
        let longer = histories.iter().flat_map(|history| OPS.map(|op| (history, op)));
        histories = longer.map(|(history, op)| [history.as_slice(), &[op]].concat()).collect();
        for history in &histories {
            let (mut log, mut model) = (Log::default(), Model::default());
            history.iter().for_each(|op| act(&mut log, &mut model, *op));
            compare(&log, &model, history);
        }
    }
    assert_eq!(histories.len(), 7_usize.pow(5));
}

#[test]
fn long_random_histories_are_those_of_a_list_of_terms() {
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let (mut log, mut model) = (Log::default(), Model::default());
        let mut history = Vec::new();
        for _ in 0..80 {
            // Appends prevail, or nothing would be long.
            let at = if rng.below(3) > 0 { rng.below(3) } else { rng.below(7) };
            let op = OPS[usize::try_from(at).unwrap()];
            history.push(op);
            act(&mut log, &mut model, op);
        }
        compare(&log, &model, &history);
        if model.base == 0 {
            assert_eq!(terms(&log), model.terms);
        }
    }
}
