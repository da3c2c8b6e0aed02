//! Claims about the log.

use crate::entry::arena::Arena;
use crate::entry::{Chunk, EntryKind, NewEntry, Seal};
use crate::ids::{Generation, GroupId, Index, LogId, Term};
use crate::log::{Log, RestoreError};
use crate::membership::Configuration;

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
        Log::restore(Index::new(last), runs.to_vec(), Vec::new(), 0).map(|_| ())
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
        Log::restore(Index::new(5), vec![id(1, 1)], configurations.collect(), 0).map(|_| ())
    };
    assert_eq!(restore(&[1, 5]), Ok(()));
    for places in [&[6][..], &[2, 2], &[3, 1]] {
        assert!(matches!(restore(places), Err(RestoreError::Configurations { .. })), "{places:?}");
    }
}
