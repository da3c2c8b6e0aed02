//! What a batch holds after folding, and who may write.

use std::task::Waker;

use super::{Durable, Part, Writer};
use crate::port::GroupWrite;
use raftlet_core::{
    Arena, Chunk, Compaction, Entries, EntryKind, Generation, GroupId, HardState, Index, LogId,
    NewEntry, NodeId, Persist, Seal, Term, Ticket, Time,
};

const OF: (GroupId, Generation) = (GroupId::new(7), Generation::new(1));

fn chunk(term: u64, first: u64, len: usize) -> Entries {
    let entry = NewEntry { kind: EntryKind::Command, log_time_ms: 0, origin: None, payload: b"x" };
    let first = LogId { term: Term::new(term), index: Index::new(first) };
    let entries = std::iter::repeat_n(entry, len);
    Chunk::encode(&mut Arena::default(), Seal::new(OF.0, OF.1), first, entries).into()
}

fn persist(ticket: u64, entries: Entries) -> Persist {
    Persist {
        refilled: false,
        ticket: Ticket::new(ticket),
        hard_state: None,
        truncate_from: None,
        compact: None,
        entries,
    }
}

fn truncating(ticket: u64, from: u64, entries: Entries) -> Persist {
    Persist { truncate_from: Some(Index::new(from)), ..persist(ticket, entries) }
}

fn gathered(persists: impl IntoIterator<Item = Persist>) -> (Writer, GroupWrite) {
    let mut writer = Writer::default();
    for persist in persists {
        writer.gather(0, OF, false, persist);
    }
    let batch = writer.start(Time::ZERO).unwrap();
    assert_eq!(batch.writes.len(), 1, "one place a group");
    let write = batch.writes.into_iter().next().unwrap();
    (writer, write)
}

fn all(durable: Durable) -> Vec<Part> {
    match durable {
        Durable::All(parts) => parts,
        Durable::HardStates(_) => panic!("terms and votes alone"),
    }
}

fn ids(write: &GroupWrite) -> Vec<(u64, u64)> {
    write.entries.iter().map(|entry| (entry.index.get(), entry.term.get())).collect()
}

#[test]
fn later_changes_of_a_group_fold_into_its_place() {
    let vote = HardState { term: Term::new(3), vote: Some(NodeId::new(2)) };
    let voted = Persist { hard_state: Some(vote), ..persist(2, Entries::none()) };
    let (writer, write) = gathered([persist(1, chunk(2, 5, 2)), voted, persist(3, chunk(3, 7, 1))]);
    assert_eq!(write.hard_state, Some(vote));
    assert_eq!(ids(&write), [(5, 2), (6, 2), (7, 3)]);
    assert_eq!(writer.in_flight().len(), 1);
    assert_eq!(writer.in_flight()[0].ticket, Ticket::new(3));
}

#[test]
fn of_two_hard_states_the_last_is_written() {
    let state = |term| HardState { term: Term::new(term), vote: None };
    let of = |ticket, term| Persist {
        hard_state: Some(state(term)),
        ..persist(ticket, Entries::none())
    };
    let (_, write) = gathered([of(1, 4), of(2, 6), persist(3, Entries::none())]);
    assert_eq!(write.hard_state, Some(state(6)));
}

#[test]
fn a_truncation_inside_what_is_gathered_never_reaches_the_disk() {
    let (_, write) = gathered([persist(1, chunk(2, 5, 4)), truncating(2, 7, chunk(3, 7, 1))]);
    assert_eq!(write.truncate_from, None);
    assert_eq!(ids(&write), [(5, 2), (6, 2), (7, 3)]);
}

#[test]
fn a_truncation_behind_what_is_gathered_reaches_as_far_as_the_lowest() {
    let first = truncating(1, 5, chunk(2, 5, 2));
    let (_, write) = gathered([first.clone(), truncating(2, 3, chunk(3, 3, 1))]);
    assert_eq!((write.truncate_from, ids(&write)), (Some(Index::new(3)), vec![(3, 3)]));
    let (_, write) = gathered([first, truncating(2, 5, chunk(3, 5, 1))]);
    assert_eq!((write.truncate_from, ids(&write)), (Some(Index::new(5)), vec![(5, 3)]));
}

#[test]
fn one_write_is_in_flight_and_the_next_gathers_meanwhile() {
    let mut writer = Writer::default();
    writer.gather(0, OF, false, persist(1, chunk(2, 5, 1)));
    let batch = writer.start(Time::ZERO).unwrap();
    writer.gather(0, OF, false, persist(2, chunk(2, 6, 1)));
    writer.gather(3, (GroupId::new(9), OF.1), true, persist(1, chunk(2, 1, 1)));
    assert!(writer.start(Time::ZERO).is_none());
    let (durable, waker) = writer.finish(batch);
    let parts = all(durable);
    assert!(waker.is_none());
    assert_eq!(parts.iter().map(|part| part.ticket).collect::<Vec<_>>(), [Ticket::new(1)]);
    let next = writer.start(Time::ZERO).unwrap();
    assert_eq!(next.writes.len(), 2);
    let led: Vec<_> = writer.in_flight().iter().map(|part| part.led_from).collect();
    assert_eq!(led, [None, Some(Index::FIRST)]);
}

#[test]
fn a_write_without_space_is_tried_again_as_it_was_after_a_pause() {
    let mut writer = Writer::default();
    writer.gather(0, OF, false, persist(1, chunk(2, 5, 1)));
    let batch = writer.start(Time::ZERO).unwrap();
    writer.refuse(Time::ZERO, batch);
    assert!(writer.is_full());
    writer.gather(0, OF, false, persist(2, chunk(2, 6, 1)));
    assert!(writer.start(Time::ZERO).is_none(), "it rests");
    let again = writer.start(writer.next_deadline().unwrap()).unwrap();
    assert_eq!(ids(&again.writes[0]), [(5, 2)]);
    assert!(!writer.is_full());
    let parts = all(writer.finish(again).0);
    assert_eq!(parts[0].ticket, Ticket::new(1), "only what was in it is durable");
}

#[test]
fn who_waits_for_the_permit_goes_before_the_next_batch() {
    let mut writer = Writer::default();
    writer.gather(0, OF, false, persist(1, chunk(2, 5, 1)));
    let batch = writer.start(Time::ZERO).unwrap();
    assert!(!writer.permit().take_or_wait(Waker::noop()));
    writer.gather(0, OF, false, persist(2, chunk(2, 6, 1)));
    let (_, waker) = writer.finish(batch);
    assert!(waker.is_some());
    assert!(writer.start(Time::ZERO).is_none() && writer.wants_turn(Time::ZERO));
    assert!(writer.permit().take_or_wait(Waker::noop()));
    writer.begin_turn();
    assert!(writer.start(Time::ZERO).is_none(), "taken");
    writer.permit().release();
    assert!(writer.start(Time::ZERO).is_some());
}

fn voting(ticket: u64, term: u64) -> Persist {
    let hard_state = Some(HardState { term: Term::new(term), vote: None });
    Persist { hard_state, ..persist(ticket, Entries::none()) }
}

#[test]
fn terms_and_votes_do_not_wait_behind_a_batch_without_space() {
    let after = |ns| Time::ZERO.after_ns(ns);
    let mut writer = Writer::default();
    writer.gather(0, OF, false, voting(1, 2));
    writer.gather(0, OF, false, persist(2, chunk(2, 5, 2)));
    writer.gather(1, OF, false, persist(1, chunk(2, 9, 1)));
    let full = writer.start(Time::ZERO).unwrap();
    writer.refuse(Time::ZERO, full);
    writer.gather(0, OF, false, voting(3, 4));
    let ahead = writer.start(after(1)).unwrap();
    let states: Vec<u64> = ahead.writes.iter().map(|w| w.hard_state.unwrap().term.get()).collect();
    assert_eq!(states, [2, 4], "in order, and nothing of who voted for nobody");
    assert!(ahead.writes.iter().all(|write| write.entries.is_empty()));
    let Durable::HardStates(parts) = writer.finish(ahead).0 else { panic!("not all of it") };
    assert_eq!(parts.last().unwrap().ticket, Ticket::new(3));
    assert!(writer.start(after(2)).is_none(), "the rest waits for its pause");
    let rest = writer.start(writer.next_deadline().unwrap()).unwrap();
    assert!(rest.writes.iter().all(|write| write.hard_state.is_none()), "no older term again");
    assert_eq!(rest.writes.len(), 2);
    assert_eq!(all(writer.finish(rest).0).len(), 2);
}

#[test]
fn terms_and_votes_that_find_no_space_either_go_with_the_rest() {
    let mut writer = Writer::default();
    writer.gather(0, OF, false, persist(1, chunk(2, 5, 2)));
    let full = writer.start(Time::ZERO).unwrap();
    writer.refuse(Time::ZERO, full);
    writer.gather(0, OF, false, voting(2, 4));
    let ahead = writer.start(Time::ZERO).unwrap();
    writer.gather(0, OF, false, voting(3, 6));
    writer.refuse(Time::ZERO, ahead);
    assert!(writer.start(Time::ZERO.after_ns(1)).is_none(), "no busy loop");
    let retry_at = writer.next_deadline().unwrap();
    let rest = writer.start(retry_at).unwrap();
    assert_eq!(rest.writes[0].hard_state, None);
    writer.finish(rest);
    let next = writer.start(retry_at).unwrap();
    assert_eq!(next.writes[0].hard_state.unwrap().term, Term::new(6), "the last, once");
}

fn compacting(ticket: u64, base: u64) -> Persist {
    let base = LogId { term: Term::new(2), index: Index::new(base) };
    let compact = Some(Compaction { base, snapshot: Some(base) });
    Persist { compact, ..persist(ticket, Entries::none()) }
}

#[test]
fn what_frees_space_does_not_wait_for_space() {
    let mut writer = Writer::default();
    writer.gather(0, OF, false, persist(1, chunk(2, 5, 2)));
    let full = writer.start(Time::ZERO).unwrap();
    writer.refuse(Time::ZERO, full);
    writer.gather(0, OF, false, compacting(2, 4));
    let ahead = writer.start(Time::ZERO).unwrap();
    assert_eq!(ahead.writes[0].compact.unwrap().base.index, Index::new(4));
    assert!(ahead.writes[0].entries.is_empty());
    writer.finish(ahead);
    let rest = writer.start(writer.next_deadline().unwrap()).unwrap();
    assert_eq!((ids(&rest.writes[0]), rest.writes[0].compact), (vec![(5, 2), (6, 2)], None));
}

#[test]
fn a_log_that_begins_anew_waits_for_what_comes_before() {
    let mut writer = Writer::default();
    writer.gather(0, OF, false, persist(1, chunk(2, 5, 2)));
    let full = writer.start(Time::ZERO).unwrap();
    writer.refuse(Time::ZERO, full);
    // A snapshot received that reaches beyond what waits.
    writer.gather(0, OF, false, compacting(2, 9));
    assert!(writer.start(Time::ZERO).is_none());
    let rest = writer.start(writer.next_deadline().unwrap()).unwrap();
    writer.finish(rest);
    let next = writer.start(Time::ZERO.after_ns(1)).unwrap();
    assert_eq!(next.writes[0].compact.unwrap().base.index, Index::new(9));
}
