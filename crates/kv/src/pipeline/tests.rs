//! Claims about order: of effects, of replies, and after refusals.

use super::*;
use crate::operation::key::KeyQuery;
use crate::operation::string::{StringCommand, StringQuery};
use crate::pipeline::batch::Asked;
use crate::pipeline::lanes::{LANES_KEPT, Lane};
use crate::{Slot as HashSlot, SlotMap};

fn form(arrived_ms: u64) -> Form {
    Form { version: ProtocolVersion::Resp2, is_muted: false, arrived_ms, request_bytes: 10 }
}

fn group() -> GroupIndex {
    GroupIndex::default()
}

fn groups_of_2() -> [GroupIndex; 2] {
    let map = SlotMap::new(2).unwrap();
    let [bar, foo] = [b"bar", b"foo"].map(|key| map.group_of(HashSlot::of(key)));
    assert_ne!(bar, foo);
    [bar, foo]
}

fn get(key: &'static str) -> Query<Bytes> {
    StringQuery::Get { key: key.into() }.into()
}

fn set(key: &'static str) -> Command<Bytes> {
    StringCommand::Set { key: key.into(), value: Bytes::new() }.into()
}

fn encoded(asked: Asked<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    asked.encode(&mut bytes);
    bytes
}

/// A pipeline with what it owes, and short words for both.
#[derive(Default)]
struct Client {
    pipeline: Pipeline,
    arrived_ms: u64,
}

impl Client {
    fn read(&mut self, key: &'static str) -> &mut Self {
        self.pipeline.push_read(form(self.arrived_ms), group(), get(key));
        self
    }

    fn write(&mut self, key: &'static str) -> &mut Self {
        self.pipeline.push_write(form(self.arrived_ms), group(), set(key));
        self
    }

    fn start(&mut self) -> Vec<Batch> {
        let mut batches = Vec::new();
        self.pipeline.start(&mut batches);
        batches
    }

    /// Starts what may start, which must be one list of proposals.
    fn proposed(&mut self) -> Vec<Ticket> {
        match self.start().as_slice() {
            [batch] if batch.work == Work::Propose => {
                self.pipeline.asked(*batch).map(|(ticket, _)| ticket).collect()
            }
            other => panic!("not one list of proposals: {other:?}"),
        }
    }

    /// Starts what may start, which must be one read.
    fn reading(&mut self) -> Vec<Ticket> {
        match self.start().as_slice() {
            [batch] if batch.work == Work::Read => {
                self.pipeline.asked(*batch).map(|(ticket, _)| ticket).collect()
            }
            other => panic!("not one read: {other:?}"),
        }
    }

    fn done(&mut self, ticket: Ticket, answer: i64) {
        self.pipeline.complete(ticket, Outcome::Done(Response::Integer(answer)));
    }

    fn refused(&mut self, ticket: Ticket) {
        self.pipeline.complete(ticket, Outcome::Refused);
    }

    fn replies(&mut self) -> String {
        let mut out = Vec::new();
        self.pipeline.write_replies(&mut out, usize::MAX, 1_000);
        String::from_utf8(out).unwrap().replace("\r\n", "|")
    }
}

#[test]
fn replies_keep_the_order_of_requests_whatever_completes_first() {
    let mut client = Client::default();
    client.write("a").write("b");
    client.pipeline.push_reply(form(0), Reply::simple_static("PONG"));
    client.write("c");
    let tickets = client.proposed();
    client.done(tickets[2], 3);
    client.done(tickets[1], 2);
    assert_eq!(client.replies(), "");
    client.done(tickets[0], 1);
    assert_eq!(client.replies(), ":1|:2|+PONG|:3|");
    assert_eq!((client.pipeline.len(), client.pipeline.held_bytes()), (0, 0));
    assert!(client.pipeline.lanes.len() <= LANES_KEPT, "too many idle lanes stay");
}

#[test]
fn reads_that_wait_together_are_one_read() {
    let mut client = Client::default();
    client.read("a").read("b").read("c");
    assert_eq!(client.reading().len(), 3);
}

#[test]
fn a_read_is_answered_in_place_and_what_has_no_answer_stays_under_way() {
    let mut client = Client::default();
    client.read("a").read("b").read("c");
    let [batch] = client.start()[..] else { panic!("not one read") };
    let mut answers = [Some(1), None, Some(3)].into_iter();
    let open = client.pipeline.answer(batch, |_| answers.next().flatten().map(Response::Integer));
    assert_eq!(client.replies(), ":1|");
    client.write("d");
    assert_eq!(client.start(), [], "a write overtook a question without an answer");
    let asked: Vec<Ticket> = client.pipeline.asked(batch).map(|(ticket, _)| ticket).collect();
    assert_eq!((asked, open.len()), (open.clone(), 1));
    let command = client.pipeline.asked_by(open[0]).map(encoded);
    assert_eq!(command, Some(encoded(Asked::Query(&get("b")))));
    client.done(open[0], 2);
    assert_eq!(client.replies(), ":2|:3|");
    assert_eq!(client.proposed().len(), 1);
    assert!(client.pipeline.answer(batch, |_| panic!("asked twice")).is_empty());
}

#[test]
fn a_read_some_of_which_has_ended_is_answered_for_the_rest() {
    let mut client = Client::default();
    client.read("a").read("b");
    let [batch] = client.start()[..] else { panic!("not one read") };
    let ended = client.pipeline.asked(batch).next().map(|(ticket, _)| ticket);
    client.done(ended.unwrap(), 1);
    client.write("c");
    assert!(client.pipeline.answer(batch, |_| Some(Response::Integer(2))).is_empty());
    assert_eq!(client.replies(), ":1|:2|");
    assert_eq!(client.proposed().len(), 1, "the read has not ended");
}

#[test]
fn a_long_pipeline_is_proposed_in_parts_that_keep_its_order() {
    let mut client = Client::default();
    for _ in 0..=PROPOSALS_LEN_MAX {
        client.write("a");
    }
    let batches = client.start();
    assert_eq!(batches.iter().map(|it| it.requests_len).collect::<Vec<_>>(), [64, 1]);
    let tickets = |client: &Client, batch: Batch| -> Vec<Ticket> {
        client.pipeline.asked(batch).map(|(ticket, _)| ticket).collect()
    };
    let (first, second) = (tickets(&client, batches[0]), tickets(&client, batches[1]));
    assert!(first.is_sorted() && first.last() < second.first());
    assert_eq!((first.len(), second.len()), (64, 1));
    client.done(first[7], 1);
    assert_eq!(tickets(&client, batches[0]).len(), 63, "what has ended is lent again");
    assert_eq!(tickets(&client, batches[1]), second);
}

#[test]
fn a_read_among_writes_is_proposed_in_its_place() {
    let mut client = Client::default();
    client.read("a").write("a").read("a").write("a");
    let batches = client.start();
    let [batch] = batches.as_slice() else {
        panic!("not one list of proposals: {batches:?}");
    };
    let commands: Vec<_> = client.pipeline.asked(*batch).map(|(_, it)| encoded(it)).collect();
    let [read, write] = [Command::Query(get("a")), set("a")].map(|it| encoded(Asked::Command(&it)));
    assert_eq!(commands, [&read[..], &write, &read, &write]);
}

#[test]
fn a_read_behind_writes_under_way_is_proposed_too() {
    let mut client = Client::default();
    client.write("a");
    client.proposed();
    client.read("a");
    assert_eq!(client.proposed().len(), 1);
}

#[test]
fn a_write_waits_for_reads_under_way() {
    let mut client = Client::default();
    client.read("a").read("b");
    let tickets = client.reading();
    client.write("a").read("a");
    assert_eq!(client.start(), []);
    client.done(tickets[0], 1);
    assert_eq!(client.start(), []);
    client.done(tickets[1], 2);
    assert_eq!(client.proposed().len(), 2);
}

#[test]
fn writes_do_not_wait_for_writes() {
    let mut client = Client::default();
    client.write("a");
    let first = client.proposed();
    client.write("b");
    let second = client.proposed();
    assert_ne!(first, second);
}

#[test]
fn refused_requests_are_repeated_in_their_order_when_told_to() {
    let mut client = Client::default();
    client.write("a").write("b");
    let tickets = client.proposed();
    client.refused(tickets[1]);
    client.write("c");
    assert_eq!(client.start(), [], "a lane with a refusal went on");
    client.refused(tickets[0]);
    assert_eq!(client.start(), [], "a held lane went on");
    client.pipeline.retry();
    let again = client.proposed();
    assert_eq!(again[..2], tickets[..]);
    assert_eq!(again.len(), 3);
    for (ticket, answer) in again.into_iter().zip(1..) {
        client.done(ticket, answer);
    }
    assert_eq!(client.replies(), ":1|:2|:3|");
}

/// To repeat it would let the older write win over the newer.
#[test]
fn a_refused_write_is_not_repeated_behind_a_later_one_that_took_effect() {
    for outcome in [Outcome::Done(Response::Ok), Outcome::Failed(Failure::Unknown)] {
        let mut client = Client::default();
        client.write("a").write("a").write("a");
        let tickets = client.proposed();
        client.refused(tickets[0]);
        client.pipeline.complete(tickets[1], outcome);
        client.refused(tickets[2]);
        assert!(client.replies().starts_with("-CLUSTERDOWN "));
        client.pipeline.retry();
        assert_eq!(client.proposed(), tickets[2..]);
    }
}

#[test]
fn only_requests_that_waited_long_enough_are_given_up() {
    let mut client = Client::default();
    client.write("a");
    let tickets = client.proposed();
    client.refused(tickets[0]);
    client.arrived_ms = 50;
    client.write("b");
    assert_eq!(client.pipeline.held_since_ms(), Some(0));
    client.pipeline.give_up(49);
    assert!(client.replies().starts_with("-CLUSTERDOWN "));
    assert_eq!(client.pipeline.held_since_ms(), Some(50));
    client.pipeline.give_up(50);
    assert!(client.replies().starts_with("-CLUSTERDOWN "));
    assert_eq!(client.pipeline.held_since_ms(), None);
    assert!(client.pipeline.lanes.iter().all(Lane::is_idle));
}

#[test]
fn an_unknown_outcome_is_said_of_writes_and_never_of_reads() {
    let mut client = Client::default();
    client.write("a").read("a");
    for ticket in client.proposed() {
        client.pipeline.complete(ticket, Outcome::Failed(Failure::Unknown));
    }
    let replies = client.replies();
    let (write, read) = replies.split_once('|').unwrap();
    assert!(write.starts_with("-UNKNOWN "), "{write}");
    assert!(read.starts_with("-CLUSTERDOWN "), "{read}");
}

#[test]
fn a_late_or_repeated_completion_means_nothing() {
    let mut client = Client::default();
    client.write("a").write("b");
    let tickets = client.proposed();
    client.done(tickets[0], 1);
    client.done(tickets[0], 7);
    client.refused(tickets[0]);
    assert_eq!(client.replies(), ":1|");
    client.done(tickets[0], 7);
    client.done(tickets[1], 2);
    assert_eq!(client.replies(), ":2|");
}

#[test]
fn a_question_to_all_groups_is_answered_when_all_have_answered() {
    let mut client = Client::default();
    let dbsize = EveryGroup::Read(KeyQuery::DbSize.into());
    client.pipeline.push_gather(form(0), groups_of_2().into_iter(), dbsize);
    let batches = client.start();
    assert_eq!(batches.len(), 2);
    let tickets: Vec<Ticket> = batches
        .iter()
        .flat_map(|batch| client.pipeline.asked(*batch))
        .map(|(ticket, _)| ticket)
        .collect();
    client.done(tickets[1], 40);
    assert_eq!(client.replies(), "");
    client.refused(tickets[0]);
    client.pipeline.retry();
    assert_eq!(client.reading(), [tickets[0]], "only the group that refused is asked again");
    client.done(tickets[0], 2);
    assert_eq!(client.replies(), ":42|");
}

#[test]
fn a_group_without_a_leader_holds_up_no_other() {
    let mut client = Client::default();
    let [bar, foo] = groups_of_2();
    client.pipeline.push_write(form(0), bar, set("bar"));
    let tickets = client.proposed();
    client.refused(tickets[0]);
    client.pipeline.push_write(form(0), foo, set("foo"));
    let batches = client.start();
    assert_eq!(batches.iter().map(|batch| batch.group).collect::<Vec<_>>(), [foo]);
}

#[test]
fn a_reply_over_its_limit_becomes_an_error_in_its_place() {
    let mut client = Client::default();
    client.read("a").read("b");
    let tickets = client.reading();
    let big = Response::Value(Some(Bytes::from(vec![b'x'; 1_001])));
    client.pipeline.complete(tickets[0], Outcome::Done(big));
    client.done(tickets[1], 2);
    let replies = client.replies();
    assert!(replies.starts_with("-ERR the reply would have 1001 bytes"), "{replies}");
    assert!(replies.ends_with("|:2|"), "{replies}");
}
