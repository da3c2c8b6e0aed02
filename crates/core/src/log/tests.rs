//! Claims about the log.

mod model;

use crate::entry::arena::Arena;
use crate::entry::{Chunk, EntryKind, NewEntry, Seal};
use crate::ids::{Generation, GroupId, Index, LogId, Term};
use crate::log::base::Head;
use crate::log::{Log, RestoreError};
use crate::membership::{Configuration, Member, Role};
use crate::snapshot::Snapshot;

fn id(term: u64, index: u64) -> LogId {
    LogId { term: Term::new(term), index: Index::new(index) }
}

fn chunk(term: u64, first: u64, len: usize) -> Chunk {
    let entry = NewEntry {
        kind: EntryKind::Command,
        log_time_ms: first,
        origin: None,
        payload: b"0123456789",
    };
    let seal = Seal::new(GroupId::new(1), Generation::new(1));
    Chunk::encode(&mut Arena::default(), seal, id(term, first), vec![entry; len].into_iter())
}

/// A log whose entry `i + 1` has term `terms[i]`, one chunk an entry.
fn log(terms: &[u64]) -> Log {
    let mut log = Log::default();
    for (index, term) in (1..).zip(terms) {
        log.append(chunk(*term, index, 1)).unwrap();
    }
    log
}

fn terms(log: &Log) -> Vec<u64> {
    (1..=log.last().index.get()).map(|i| log.term_at(Index::new(i)).unwrap().get()).collect()
}

#[test]
fn the_term_of_every_index_is_known_with_and_without_entries_in_memory() {
    let expected = [1, 1, 2, 4, 4, 4, 7];
    let mut log = log(&expected);
    assert_eq!(terms(&log), expected);
    log.evict(Index::new(7), 0);
    assert_eq!(terms(&log), expected);
    assert_eq!(log.term_at(Index::ZERO), Some(Term::ZERO));
    assert_eq!(log.term_at(Index::new(8)), None);
    assert_eq!(log.slice(Index::new(7), Index::new(7), 99), None);
}

#[test]
fn truncation_leaves_exactly_what_stood_before() {
    let expected = [1, 1, 2, 4, 4, 4, 7];
    for keep in 0..=expected.len() {
        let mut log = log(&expected);
        log.truncate(Index::new(u64::try_from(keep).unwrap() + 1));
        assert_eq!(terms(&log), expected[..keep]);
        let bytes: usize = (1..=keep).map(|_| chunk(1, 1, 1).bytes().len()).sum();
        assert_eq!(log.bytes(), bytes);
    }
}

#[test]
fn truncation_inside_a_chunk_keeps_its_head() {
    let mut log = Log::default();
    log.append(chunk(1, 1, 5)).unwrap();
    log.truncate(Index::new(4));
    assert_eq!(log.last(), id(1, 3));
    let slice = log.slice(Index::FIRST, Index::new(3), usize::MAX).unwrap();
    assert_eq!(slice.len(), 3);
    log.append(chunk(2, 4, 2)).unwrap();
    assert_eq!(terms(&log), [1, 1, 1, 2, 2]);
}

#[test]
fn a_slice_is_contiguous_bounded_and_never_empty() {
    let mut log = Log::default();
    log.append(chunk(1, 1, 4)).unwrap();
    log.append(chunk(2, 5, 4)).unwrap();
    let one = chunk(1, 1, 1).bytes().len();
    for first in 1..=8 {
        for last in first..=8 {
            for room in [1, one, 3 * one, usize::MAX] {
                let slice = log.slice(Index::new(first), Index::new(last), room).unwrap();
                assert_eq!(slice.first(), Some(Index::new(first)));
                assert!(slice.last().unwrap().index <= Index::new(last));
                assert!(slice.bytes_len() <= room.max(one));
                if room == usize::MAX {
                    assert_eq!(slice.last().unwrap().index, Index::new(last));
                }
            }
        }
    }
}

#[test]
fn conflicts_are_found_at_the_first_index_that_differs() {
    let log = log(&[1, 1, 2, 2, 5]);
    assert_eq!(log.conflict(&chunk(2, 3, 2)), None);
    assert_eq!(log.conflict(&chunk(2, 3, 3)), Some(Index::new(5)));
    assert_eq!(log.conflict(&chunk(2, 2, 3)), Some(Index::new(2)));
    assert_eq!(log.conflict(&chunk(6, 6, 3)), None);
    assert_eq!(log.conflict(&chunk(5, 5, 3)), None);
}

#[test]
fn logs_can_meet_only_at_or_before_the_meeting_point() {
    let log = log(&[1, 1, 2, 2, 5, 5]);
    assert_eq!(log.meeting_point(id(5, 9)), id(5, 6));
    assert_eq!(log.meeting_point(id(4, 6)), id(2, 4));
    assert_eq!(log.meeting_point(id(1, 3)), id(1, 2));
    assert_eq!(log.meeting_point(id(0, 3)), id(0, 0));
}

#[test]
fn bytes_behind_an_index_are_those_of_the_chunks_that_end_there() {
    let mut log = log(&[1, 1, 1]);
    let one = chunk(1, 1, 1).bytes().len();
    assert_eq!(log.bytes_behind(Index::ZERO), 3 * one);
    assert_eq!(log.bytes_behind(Index::new(2)), one);
    assert_eq!(log.bytes_behind(Index::new(3)), 0);
    log.evict(Index::new(2), one);
    assert_eq!((log.bytes(), log.bytes_behind(Index::new(2))), (one, one));
}

#[test]
fn what_is_no_log_is_refused_at_start() {
    let restore = |last, runs: &[LogId]| {
        Log::restore(Head::default(), Index::new(last), runs.to_vec(), Vec::new(), 0).map(|_| ())
    };
    assert_eq!(restore(0, &[]), Ok(()));
    assert_eq!(restore(5, &[id(1, 1), id(3, 4)]), Ok(()));
    for (last, runs) in [
        (5, vec![]),
        (5, vec![id(1, 2)]),
        (5, vec![id(1, 1), id(3, 6)]),
        (5, vec![id(3, 1), id(2, 4)]),
        (5, vec![id(1, 1), id(1, 4)]),
        (0, vec![id(1, 1)]),
    ] {
        assert!(matches!(restore(last, &runs), Err(RestoreError::Runs { .. })), "{runs:?}");
    }
}

#[test]
fn configurations_that_are_not_in_the_log_are_refused_at_start() {
    let restore = |places: &[u64]| {
        let configurations = places.iter().map(|i| (Index::new(*i), Configuration::empty()));
        let (last, runs) = (Index::new(5), vec![id(1, 1)]);
        Log::restore(Head::default(), last, runs, configurations.collect(), 0).map(|_| ())
    };
    assert_eq!(restore(&[1, 5]), Ok(()));
    for places in [&[6][..], &[2, 2], &[3, 1]] {
        assert!(matches!(restore(places), Err(RestoreError::Configurations { .. })), "{places:?}");
    }
}

fn head(base: LogId, snapshot: LogId) -> Head {
    Head { base, snapshot }
}

#[test]
fn a_compacted_log_answers_from_its_base_on_as_before_and_before_it_not_at_all() {
    let expected = [1, 1, 2, 4, 4, 4, 7];
    for base in 1..=7_u64 {
        let mut log = log(&expected);
        let term = expected[usize::try_from(base).unwrap() - 1];
        log.compact(id(term, base), id(7, 7));
        for index in 1..=8 {
            let known = expected.get(index - 1).copied().filter(|_| index as u64 >= base);
            let term = log.term_at(Index::new(index as u64)).map(Term::get);
            assert_eq!(term, known, "index {index}, base {base}");
        }
        assert_eq!(log.memory_first(), Index::new(base + 1));
        let one = chunk(1, 1, 1).bytes().len();
        assert_eq!(log.bytes(), one * (7 - usize::try_from(base).unwrap()));
        log.append(chunk(7, 8, 1)).unwrap();
        assert_eq!(log.last(), id(7, 8));
    }
}

#[test]
fn a_base_inside_a_chunk_leaves_its_tail() {
    let mut log = Log::default();
    log.append(chunk(1, 1, 5)).unwrap();
    log.append(chunk(1, 6, 2)).unwrap();
    log.compact(id(1, 3), id(1, 4));
    let slice = log.slice(Index::new(4), Index::new(7), usize::MAX).unwrap();
    assert_eq!((slice.first(), slice.len()), (Some(Index::new(4)), 4));
    assert_eq!(log.bytes(), 4 * chunk(1, 1, 1).bytes().len());
    assert_eq!(log.slice(Index::new(3), Index::new(7), usize::MAX), None);
    log.truncate(Index::new(5));
    assert_eq!((log.last(), log.base()), (id(1, 4), id(1, 3)));
}

#[test]
fn what_lies_before_the_base_conflicts_with_nothing_and_the_base_itself_does() {
    let mut log = log(&[1, 1, 2, 2, 5]);
    log.compact(id(2, 3), id(2, 4));
    assert_eq!(log.conflict(&chunk(1, 1, 2)), None);
    assert_eq!(log.conflict(&chunk(2, 3, 2)), None);
    assert_eq!(log.conflict(&chunk(3, 2, 3)), Some(Index::new(3)));
    assert!(log.meets(id(1, 1)) && log.meets(id(2, 3)) && !log.meets(id(1, 3)));
    // Where logs could only meet before the base, entries do not help.
    assert_eq!(log.meeting_point(id(1, 5)).index, Index::new(2));
    assert_eq!(log.meeting_point(id(9, 2)).index, Index::new(2));
}

fn configuration(node: u64) -> Configuration {
    let member = Member {
        node: crate::ids::NodeId::new(node),
        incarnation: crate::ids::Incarnation(1),
        priority: crate::membership::PRIORITY_DEFAULT,
        role: Role::Voter,
        address: String::new(),
    };
    Configuration::new(vec![member]).unwrap()
}

#[test]
fn a_snapshot_has_the_configuration_at_its_index_and_a_base_keeps_the_one_in_effect_there() {
    let places = [(Index::new(1), configuration(1)), (Index::new(3), configuration(3))];
    let restore = |head| {
        let runs = vec![id(1, 1)];
        Log::restore(head, Index::new(5), runs, places.to_vec(), 0).unwrap()
    };
    let at = |log: &Log, index| log.configuration_at(Index::new(index)).map(|(at, _)| at.get());
    let mut log = restore(Head::default());
    assert_eq!([1, 2, 3, 5].map(|index| at(&log, index)), [Some(1), Some(1), Some(3), Some(3)]);
    assert_eq!(at(&log, 0), None);
    log.compact(id(1, 2), id(1, 4));
    assert_eq!([1, 2, 3].map(|index| at(&log, index)), [None, Some(1), Some(3)]);
    log.truncate(Index::new(3));
    assert_eq!(log.configuration().1, &configuration(1), "back to what the base keeps");
    let snapshot = Snapshot {
        last: id(2, 9),
        configuration_index: Index::new(7),
        configuration: configuration(7),
        log_time_ms: 4,
    };
    log.begin_anew(&snapshot);
    assert_eq!(log.configuration(), (Index::new(7), &configuration(7)));
    assert_eq!((log.last(), log.base(), log.bytes()), (id(2, 9), id(2, 9), 0));
    assert_eq!(log.last_log_time_ms(), 4);
}

#[test]
fn a_base_and_a_snapshot_that_do_not_fit_are_refused_at_start() {
    let restore = |head, last, runs: &[LogId]| {
        Log::restore(head, Index::new(last), runs.to_vec(), Vec::new(), 0).map(|log| log.last())
    };
    let fits = head(id(2, 4), id(2, 5));
    assert_eq!(restore(fits, 6, &[id(2, 5), id(3, 6)]), Ok(id(3, 6)));
    assert_eq!(restore(head(id(2, 4), id(2, 4)), 4, &[]), Ok(id(2, 4)));
    for (head, last, runs) in [
        (head(id(2, 6), id(2, 5)), 6, vec![]),
        (fits, 3, vec![]),
        (fits, 6, vec![id(2, 6)]),
        (fits, 6, vec![id(1, 5)]),
        (fits, 6, vec![id(3, 5)]),
        (fits, 6, vec![]),
    ] {
        assert!(restore(head, last, &runs).is_err(), "{head:?} {last} {runs:?}");
    }
}

#[test]
fn a_short_log_that_lets_go_of_old_entries_goes_round_few_places() {
    let mut log = Log::default();
    let one = chunk(1, 1, 1).bytes().len();
    for index in 1..=200 {
        log.append(chunk(1, index, 1)).unwrap();
        log.evict(Index::new(index), 16 * one);
        // Wherever the seam of the ring is, what came lately is found.
        let first = Index::new(index.saturating_sub(7).max(1));
        let slice = log.slice(first, Index::new(index), usize::MAX).unwrap();
        assert_eq!((slice.first(), slice.len()), (Some(first), index.min(8)));
    }
    assert_eq!(log.bytes(), 16 * one);
    assert!(log.slots.capacity() <= 16 + 8 + 1, "{} places", log.slots.capacity());
}
