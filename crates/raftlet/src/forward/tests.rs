//! The origin's side, one promise a test.

use bytes::Bytes;

use super::{Forwards, PAUSE_NS_MIN};
use crate::answer::answer;
use crate::proposal::Proposal;
use raftlet_core::{ForwardOutcome, ForwardReply, Index, NodeId, Run, Shortage, Term, Time};

const LEADER: NodeId = NodeId::new(1);
const TERM: Term = Term::new(4);
const LATER: Time = Time::from_ns(PAUSE_NS_MIN);

fn proposals(payloads: &str) -> impl Iterator<Item = Proposal<u64>> {
    payloads.bytes().map(|byte| Proposal {
        tied_to: Term::ZERO,
        payload: Bytes::copy_from_slice(&[byte]),
        index: Index::ZERO,
        deadline: Time::from_ms(u64::from(byte)),
        answer: answer().0,
    })
}

fn in_flight(payloads: &str) -> Forwards<u64> {
    let mut forwards = Forwards::new(Run::new(9));
    let sent = forwards.send(Time::ZERO, TERM, LEADER, proposals(payloads));
    assert_eq!(sent.first_sequence, 1);
    forwards
}

fn reply(first_sequence: u64, len: u32, outcome: ForwardOutcome) -> ForwardReply {
    ForwardReply { run: Run::new(9), first_sequence, len, outcome }
}

fn appended() -> ForwardOutcome {
    ForwardOutcome::Appended { first: Index::new(7) }
}

#[test]
fn the_next_forward_leaves_only_when_the_former_is_known_appended() {
    let mut forwards = in_flight("ab");
    assert_eq!(forwards.room(TERM), 0);
    let refused = ForwardOutcome::Refused { leader: None };
    forwards.on_reply(LEADER, TERM, &reply(1, 2, refused));
    assert_eq!(forwards.room(TERM), 0, "a refusal proves nothing");
    let of_another_run = ForwardReply { run: Run::new(8), ..reply(1, 2, appended()) };
    forwards.on_reply(LEADER, TERM, &of_another_run);
    assert_eq!(forwards.room(TERM), 0);
    forwards.on_reply(LEADER, TERM, &reply(1, 2, appended()));
    assert!(forwards.room(TERM) > 0);
    assert_eq!(forwards.room(TERM.next()), 0, "the former term is undecided");
}

#[test]
fn what_the_leader_has_no_room_for_ends_and_nothing_that_was_appended_before() {
    let mut forwards = in_flight("ab");
    forwards.on_reply(LEADER, TERM, &reply(1, 2, appended()));
    let sent = forwards.send(Time::ZERO, TERM, LEADER, proposals("cd"));
    let no_room = ForwardOutcome::NoRoom(Shortage::Limit);
    let strangers = [
        (NodeId::new(2), TERM, reply(3, 2, no_room)),
        (LEADER, TERM.next(), reply(3, 2, no_room)),
        (LEADER, TERM, ForwardReply { run: Run::new(8), ..reply(3, 2, no_room) }),
        (LEADER, TERM, reply(1, 2, no_room)),
    ];
    for (from, term, reply) in strangers {
        assert!(forwards.on_reply(from, term, &reply).is_none());
    }
    let refused = forwards.on_reply(LEADER, TERM, &reply(sent.first_sequence, 2, no_room));
    let (shortage, refused) = refused.unwrap();
    let payloads: Vec<_> = refused.iter().map(|it| it.payload.clone()).collect();
    assert_eq!((shortage, payloads), (Shortage::Limit, vec![Bytes::from("c"), Bytes::from("d")]));
    assert!(forwards.take_done(1).is_some() && forwards.take_done(2).is_some());
    assert!(forwards.is_empty() && forwards.room(TERM.next()) > 0);
    let next = forwards.send(Time::ZERO, TERM, LEADER, proposals("e"));
    assert_eq!(next.first_sequence, 5, "sequences are never used twice");
}

#[test]
fn entries_between_two_forwards_are_others_and_counted_once() {
    let at = |first| ForwardOutcome::Appended { first: Index::new(first) };
    let mut forwards = in_flight("ab");
    forwards.on_reply(LEADER, TERM, &reply(1, 2, at(7)));
    assert_eq!(forwards.appended_by_others(), 0, "what is before the first is nobody's");
    for (first, others) in [(9, 0), (15, 5), (16, 5), (u64::MAX, u64::MAX - 12)] {
        let sent = forwards.send(Time::ZERO, TERM, LEADER, proposals("c"));
        forwards.on_reply(LEADER, TERM, &reply(sent.first_sequence, 1, at(first)));
        forwards.on_reply(LEADER, TERM, &reply(sent.first_sequence, 1, at(first)));
        assert_eq!(forwards.appended_by_others(), others);
    }
}

#[test]
fn a_lost_forward_is_sent_again_under_its_sequences_with_growing_pauses() {
    let mut forwards = in_flight("ab");
    assert!(forwards.resend(Time::ZERO, TERM, Some(LEADER)).is_none());
    let (to, again) = forwards.resend(LATER, TERM, Some(LEADER)).unwrap();
    assert_eq!((to, again.first_sequence), (LEADER, 1));
    assert_eq!(again.commands, [Bytes::from("a"), Bytes::from("b")]);
    let soon = LATER.after_ns(PAUSE_NS_MIN);
    assert!(forwards.resend(soon, TERM, Some(LEADER)).is_none());
    let late = LATER.after_ns(2 * PAUSE_NS_MIN);
    assert!(forwards.resend(late, TERM, Some(LEADER)).is_some());
}

#[test]
fn nothing_is_sent_again_in_another_term_or_to_another_leader() {
    let mut forwards = in_flight("ab");
    assert!(forwards.resend(LATER, TERM.next(), Some(LEADER)).is_none());
    let later = LATER.after_ns(8 * PAUSE_NS_MIN);
    assert!(forwards.resend(later, TERM, None).is_none());
}

#[test]
fn an_applied_entry_ends_its_forward_once_in_any_order() {
    let mut forwards = in_flight("abc");
    assert_eq!(forwards.take_done(2).unwrap().payload, "b");
    assert!(forwards.take_done(2).is_none(), "a second copy ends nobody");
    assert!(forwards.take_done(9).is_none());
    assert!(forwards.take_done(0).is_none());
    assert_eq!(forwards.take_done(1).unwrap().payload, "a");
    assert_eq!(forwards.take_done(3).unwrap().payload, "c");
    assert!(forwards.is_empty() && forwards.next_deadline().is_none());
    let next = forwards.send(Time::ZERO, TERM, LEADER, proposals("d"));
    assert_eq!(next.first_sequence, 4, "sequences are never used twice");
}

#[test]
fn only_an_applied_entry_of_a_higher_term_proves_forwards_dead() {
    let mut forwards = in_flight("ab");
    assert!(forwards.take_dead(TERM).is_none());
    let dead = forwards.take_dead(TERM.next()).map(Iterator::count);
    assert_eq!(dead, Some(2));
    let again = forwards.send(Time::ZERO, TERM.next(), LEADER, proposals("ab"));
    assert_eq!(again.first_sequence, 3, "a retry is another forward");
}

#[test]
fn what_expired_is_not_sent_again_and_the_rest_keeps_its_sequences() {
    let mut forwards = in_flight("ab");
    let time = Time::from_ms(u64::from(b'a'));
    assert_eq!(forwards.take_expired(time).unwrap().payload, "a");
    assert!(forwards.take_expired(time).is_none());
    let (_, again) = forwards.resend(LATER, TERM, Some(LEADER)).unwrap();
    assert_eq!(again.first_sequence, 2);
    assert_eq!(again.commands, [Bytes::from("b")]);
    forwards.on_reply(LEADER, TERM, &reply(2, 1, appended()));
    assert!(forwards.room(TERM) > 0, "the end of the message is what counts");
}

#[test]
fn when_all_of_a_message_expired_the_next_may_leave() {
    let mut forwards = in_flight("ab");
    let time = Time::from_ms(u64::from(b'b'));
    assert!(forwards.take_expired(time).is_some());
    assert!(forwards.take_expired(time).is_some());
    assert!(forwards.room(TERM.next()) > 0);
}
