//! Requests of one connection that were accepted and not yet answered.
//!
//! A client may send many requests without waiting. They are started together,
//! so that they share quorum rounds, and answered in order (rule 32). What a
//! client may rely on is what a single Redis gives it: within one group, its
//! requests take effect in the order sent, and a read sees exactly the writes
//! before it.
//!
//! Each group has a *lane*. Whatever waits in it starts as one [`Batch`], or
//! several of proposals. What they ask is lent (`pipeline/batch.rs`):
//! - Only reads wait, and nothing is being proposed: one read of the group
//!   answers all of them, from one state.
//! - Otherwise all of it is proposed, reads included: they become entries
//!   ([`Command::Query`]) and so are executed at exactly their place, in the
//!   quorum round that the writes need anyway.
//! - While a read is under way, nothing else of the lane starts: a write could
//!   overtake it.
//!
//! A request that was surely not executed ([`Outcome::Refused`]) is held, and
//! the lane with it, until the server says [`Pipeline::retry`] or
//! [`Pipeline::give_up`]. One refused while a later one of the lane took
//! effect is not repeated but answered: repeating would turn the order around.
//!
//! Invariants: a ticket is answered once; replies leave in order; lanes exist
//! for groups with unanswered requests, and idle ones for a few more
//! (`pipeline/lanes.rs`). The order between different
//! groups is not kept, and the documentation says so.
//!
//! Not here: limits on how much may be pipelined (`connection.rs`), time.

pub(crate) mod batch;
mod gather;
mod lanes;

use std::collections::VecDeque;

use bytes::Bytes;

use crate::errors;
use crate::errors::Failure;
use crate::operation::every_group::EveryGroup;
use crate::operation::response::Response;
use crate::operation::{Command, Query};
use crate::pipeline::batch::{Batch, Ticket, Work};
use crate::pipeline::gather::Gather;
use crate::pipeline::lanes::Lanes;
use crate::resp::ProtocolVersion;
use crate::resp::plain::Plain;
use crate::resp::reply::Reply;
use crate::resp::writer::ReplyWriter;
use crate::session::Execution;
use crate::slot::GroupIndex;

/// How one piece of work ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Executed.
    Done(Response),
    /// Surely not executed, now or later; worth another try.
    Refused,
    /// Not executed and not worth another try, or of unknown outcome.
    Failed(Failure),
}

/// Whose reply a slot holds, and how it is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) version: ProtocolVersion,
    pub(crate) is_muted: bool,
    /// When the request arrived, on the server's clock.
    pub(crate) arrived_ms: u64,
    /// Roughly what the request keeps in memory.
    pub(crate) request_bytes: usize,
}

/// Proposals that are one batch, and so carried out as one: whoever waits for
/// them looks at every batch when one ends, so they should not go alone; in a
/// long pipeline the first ones should not wait for the last.
const PROPOSALS_LEN_MAX: usize = 64;

/// Requests accepted and not yet answered.
#[derive(Debug, Default)]
pub(crate) struct Pipeline {
    slots: VecDeque<Slot>,
    /// The number of the request in the first slot.
    first_request: u64,
    /// Roughly what the slots keep in memory; stored values that replies share
    /// apart.
    held_bytes: usize,
    /// Bytes of stored values that waiting replies share.
    payload_bytes: usize,
    /// Replies over their limit, not counted yet.
    replies_too_big: u64,
    /// What a `WATCH` came to, until the session takes it.
    watched: Option<Option<Vec<u64>>>,
    lanes: Lanes,
}

#[derive(Debug)]
struct Slot {
    answer: Answer,
    /// Of request and reply, roughly.
    held_bytes: usize,
    arrived_ms: u64,
    version: ProtocolVersion,
    is_muted: bool,
}

impl Slot {
    #[inline]
    fn new(form: Form, reply_bytes: usize, answer: Answer) -> Self {
        let Form { version, is_muted, arrived_ms, request_bytes } = form;
        let held_bytes = request_bytes.saturating_add(reply_bytes);
        Self { answer, held_bytes, arrived_ms, version, is_muted }
    }
}

#[derive(Debug)]
enum Answer {
    Reply(Reply),
    Response(Response),
    /// Work for one group. Lent while under way, so there if it is repeated.
    Plain(Plain),
    Read(Query<Bytes>),
    Write(Command<Bytes>),
    /// Work for every group.
    Gather(Box<Gather>),
    /// A question for the session rather than the client.
    Watch(Query<Bytes>),
    /// A transaction, with the answers that need no group.
    Execution(Command<Bytes>, Vec<(usize, Reply)>),
    /// What a transaction came to.
    Executed(Vec<Response>, Vec<(usize, Reply)>),
}

impl Answer {
    #[inline]
    fn is_known(&self) -> bool {
        matches!(self, Self::Reply(_) | Self::Response(_) | Self::Executed(..))
    }

    /// Bytes of stored values that this shares.
    #[inline]
    fn payload_bytes(&self) -> usize {
        match self {
            Self::Response(response) => response.payload_bytes(),
            Self::Executed(responses, _) => payload_bytes(responses),
            _ => 0,
        }
    }

    /// Work of one group, whose response is the answer.
    #[inline]
    fn is_of_one_group(&self) -> bool {
        matches!(self, Self::Plain(_) | Self::Read(_) | Self::Write(_))
    }

    fn is_write(&self) -> bool {
        match self {
            Self::Write(_) | Self::Execution(..) => true,
            Self::Gather(gather) => gather.is_write(),
            Self::Plain(plain) => plain.is_set(),
            _ => false,
        }
    }
}

impl Pipeline {
    /// Unanswered requests.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Roughly what they and their replies keep in memory; stored values that
    /// replies share apart.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Bytes of stored values that waiting replies share.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// A request that is answered already, in its turn.
    pub(crate) fn push_reply(&mut self, form: Form, reply: Reply) {
        self.push(form, Answer::Reply(reply));
    }

    /// A `GET` or `SET`.
    #[inline]
    pub(crate) fn push_plain(&mut self, form: Form, group: GroupIndex, plain: Plain) {
        let is_write = plain.is_set();
        let request = self.next_request();
        self.held_bytes = self.held_bytes.saturating_add(form.request_bytes);
        self.slots.push_back(Slot::new(form, 0, Answer::Plain(plain)));
        self.lanes.enqueue(group, request, is_write);
    }

    /// A question to one group.
    pub(crate) fn push_read(&mut self, form: Form, group: GroupIndex, query: Query<Bytes>) {
        let request = self.push(form, Answer::Read(query));
        self.lanes.enqueue(group, request, false);
    }

    /// A change in one group.
    pub(crate) fn push_write(&mut self, form: Form, group: GroupIndex, command: Command<Bytes>) {
        let request = self.push(form, Answer::Write(command));
        self.lanes.enqueue(group, request, true);
    }

    /// A question to one group whose answer [`Self::take_watched`] gives.
    pub(crate) fn push_watch(&mut self, form: Form, group: GroupIndex, query: Query<Bytes>) {
        let request = self.push(form, Answer::Watch(query));
        self.lanes.enqueue(group, request, false);
    }

    /// A transaction of one group.
    pub(crate) fn push_execution(&mut self, mut form: Form, execution: Execution) {
        let Execution { group, command, local, held_bytes } = execution;
        form.request_bytes = form.request_bytes.saturating_add(held_bytes);
        let request = self.push(form, Answer::Execution(command, local));
        self.lanes.enqueue(group, request, true);
    }

    /// Replies over their limit since this was last asked.
    pub(crate) fn take_replies_too_big(&mut self) -> u64 {
        std::mem::take(&mut self.replies_too_big)
    }

    /// The versions that a `WATCH` asked for, once they have come; `None` in
    /// it: they won't.
    #[inline]
    pub(crate) fn take_watched(&mut self) -> Option<Option<Vec<u64>>> {
        if self.watched.is_some() { self.watched.take() } else { None }
    }

    /// A question to several groups, or a change in all of them.
    pub(crate) fn push_gather(
        &mut self,
        form: Form,
        groups: impl ExactSizeIterator<Item = GroupIndex>,
        work: EveryGroup,
    ) {
        let gather = Gather::new(work, groups.len());
        let is_write = gather.is_write();
        let request = self.push(form, Answer::Gather(Box::new(gather)));
        for group in groups {
            self.lanes.enqueue(group, request, is_write);
        }
    }

    fn push(&mut self, form: Form, answer: Answer) -> u64 {
        let request = self.next_request();
        let reply_bytes = match &answer {
            Answer::Reply(reply) => reply.held_bytes(),
            _ => 0,
        };
        let slot = Slot::new(form, reply_bytes, answer);
        self.held_bytes = self.held_bytes.saturating_add(slot.held_bytes);
        self.slots.push_back(slot);
        request
    }

    /// The number of the next request.
    #[inline]
    fn next_request(&self) -> u64 {
        let len = u64::try_from(self.slots.len()).unwrap_or(u64::MAX);
        self.first_request.wrapping_add(len)
    }

    /// Everything that may start now: one batch a group, or some of proposals.
    pub(crate) fn start(&mut self, batches: &mut Vec<Batch>) {
        for (group, lane) in self.lanes.iter_mut().filter(|(_, lane)| lane.may_start()) {
            let is_ordered = lane.waiting_writes_len > 0 || !lane.under_way.is_empty();
            lane.waiting_writes_len = 0;
            lane.is_reading = !is_ordered;
            if is_ordered {
                Batch::cut(group, Work::Propose, PROPOSALS_LEN_MAX, &lane.waiting, batches);
            } else {
                Batch::cut(group, Work::Read, usize::MAX, &lane.waiting, batches);
            }
            lane.started();
        }
    }

    /// Takes the outcome of started work. A ticket that isn't under way is
    /// ignored: a late or repeated completion means nothing.
    pub(crate) fn complete(&mut self, ticket: Ticket, outcome: Outcome) {
        let Ticket { request, group } = ticket;
        let Some(lane) = self.lanes.get_mut(group) else {
            return;
        };
        if !lane.ended(request) {
            return;
        }
        let is_effective = match &outcome {
            Outcome::Done(_) => true,
            Outcome::Refused => false,
            Outcome::Failed(failure) => !failure.is_surely_not_done(),
        };
        if is_effective {
            lane.last_effective = lane.last_effective.max(Some(request));
        }
        let settles = lane.under_way.is_empty();
        match outcome {
            Outcome::Done(response) => {
                let slot = self.slots.get_mut(position(self.first_request, request));
                match slot {
                    // What nearly all are; the rest would say the same.
                    Some(slot) if slot.answer.is_of_one_group() => {
                        let bytes = response.payload_bytes();
                        self.payload_bytes = self.payload_bytes.saturating_add(bytes);
                        slot.answer = Answer::Response(response);
                    }
                    _ => self.resolve(request, Ok(response)),
                }
            }
            Outcome::Failed(failure) => self.resolve(request, Err(failure)),
            Outcome::Refused => lane.refused.push(request),
        }
        if settles {
            self.settle(group);
        }
    }

    /// Everything that was under way in a lane has ended.
    #[inline]
    fn settle(&mut self, group: GroupIndex) {
        let are_many = self.lanes.are_many();
        let Some(lane) = self.lanes.get_mut(group) else {
            return;
        };
        if lane.refused.is_empty() {
            lane.last_effective = None;
            lane.is_held = false;
            if lane.is_idle() && (lane.has_much_room() || are_many) {
                self.lanes.retire(group);
            }
        } else {
            self.hold(group);
        }
    }

    /// Some were refused: hold what may be repeated, answer what may not.
    fn hold(&mut self, group: GroupIndex) {
        let Some(lane) = self.lanes.get_mut(group) else {
            return;
        };
        let last_effective = lane.last_effective.take();
        let mut refused = std::mem::take(&mut lane.refused);
        refused.sort_unstable();
        let overtaken = refused.partition_point(|request| Some(*request) < last_effective);
        let again = refused.split_off(overtaken);
        lane.is_held = !again.is_empty();
        for request in again.into_iter().rev() {
            let slot = self.slots.get(position(self.first_request, request));
            let is_write = slot.is_some_and(|slot| slot.answer.is_write());
            lane.waiting_writes_len += usize::from(is_write);
            lane.waiting.push_front(request);
        }
        if lane.is_idle() {
            self.lanes.retire(group);
        }
        for request in refused {
            self.resolve(request, Err(Failure::NotCommitted));
        }
    }

    /// Gives a request its answer, or its part of one.
    fn resolve(&mut self, request: u64, result: Result<Response, Failure>) {
        let Some(slot) = self.slots.get_mut(position(self.first_request, request)) else {
            return;
        };
        match &mut slot.answer {
            Answer::Reply(_) | Answer::Response(_) | Answer::Executed(..) => return,
            Answer::Write(_) => slot.answer = answer(result),
            Answer::Plain(plain) if plain.is_set() => slot.answer = answer(result),
            Answer::Plain(_) | Answer::Read(_) => {
                slot.answer = answer(result.map_err(failure_of_read));
            }
            Answer::Watch(_) => {
                let (reply, versions) = watched(result.map_err(failure_of_read));
                slot.answer = Answer::Reply(reply);
                self.watched = Some(versions);
            }
            Answer::Execution(_, local) => {
                let local = std::mem::take(local);
                slot.answer = executed(result, local);
            }
            Answer::Gather(gather) => {
                let is_write = gather.is_write();
                let Some(result) = gather.add(result) else { return };
                let failure = |failure| if is_write { failure } else { failure_of_read(failure) };
                slot.answer = answer(result.map_err(failure));
            }
        }
        self.payload_bytes = self.payload_bytes.saturating_add(slot.answer.payload_bytes());
    }

    /// When the oldest request that is held arrived, if any is.
    pub(crate) fn held_since_ms(&self) -> Option<u64> {
        let held = self.lanes.iter().filter(|lane| lane.is_held);
        let oldest = held.filter_map(|lane| lane.waiting.front()).min()?;
        self.slots.get(position(self.first_request, *oldest)).map(|slot| slot.arrived_ms)
    }

    /// Lets held requests start again.
    pub(crate) fn retry(&mut self) {
        for (_, lane) in self.lanes.iter_mut() {
            lane.is_held = false;
        }
    }

    /// Answers the requests in held lanes that arrived at `arrived_ms_max` or
    /// earlier.
    pub(crate) fn give_up(&mut self, arrived_ms_max: u64) {
        let mut given_up = Vec::new();
        for (_, lane) in self.lanes.iter_mut().filter(|(_, lane)| lane.is_held) {
            while let Some(request) = lane.waiting.front().copied() {
                let slot = self.slots.get(position(self.first_request, request));
                let Some(slot) = slot.filter(|slot| slot.arrived_ms <= arrived_ms_max) else {
                    break;
                };
                lane.waiting_writes_len -= usize::from(slot.answer.is_write());
                lane.waiting.pop_front();
                given_up.push(request);
            }
            lane.is_held = !lane.waiting.is_empty();
        }
        self.lanes.retain_busy();
        for request in given_up {
            self.resolve(request, Err(Failure::NoLeader));
        }
    }

    /// Writes the replies that are due, in order, until `out` holds
    /// `output_bytes_max`. True: there was at least one.
    pub(crate) fn write_replies(
        &mut self,
        out: &mut Vec<u8>,
        output_bytes_max: usize,
        reply_bytes_max: usize,
    ) -> bool {
        if !self.slots.front().is_some_and(|slot| slot.answer.is_known()) {
            return false;
        }
        let mut written = 0;
        for slot in &self.slots {
            if out.len() >= output_bytes_max || !slot.answer.is_known() {
                break;
            }
            written += 1;
            self.held_bytes = self.held_bytes.saturating_sub(slot.held_bytes);
            let payload_bytes = slot.answer.payload_bytes();
            self.payload_bytes = self.payload_bytes.saturating_sub(payload_bytes);
            if slot.is_muted {
                continue;
            }
            let mut writer = ReplyWriter::new(out, slot.version);
            match &slot.answer {
                Answer::Reply(reply) => writer.reply(reply),
                _ if payload_bytes > reply_bytes_max => {
                    self.replies_too_big += 1;
                    writer.reply(&errors::reply_too_big(payload_bytes, reply_bytes_max));
                }
                Answer::Response(response) => response.write(&mut writer),
                Answer::Executed(responses, local) => {
                    write_executed(&mut writer, responses, local);
                }
                Answer::Plain(_)
                | Answer::Read(_)
                | Answer::Write(_)
                | Answer::Watch(_)
                | Answer::Execution(..)
                | Answer::Gather(_) => {}
            }
        }
        if written == 0 {
            return false;
        }
        let written_len = u64::try_from(written).unwrap_or(u64::MAX);
        self.first_request = self.first_request.wrapping_add(written_len);
        // Together, where they lie.
        if written == self.slots.len() {
            self.slots.clear();
        } else {
            self.slots.drain(..written);
        }
        true
    }
}

/// Where a request's slot is. Numbers wrap; far-off ones are no position.
fn position(first_request: u64, request: u64) -> usize {
    usize::try_from(request.wrapping_sub(first_request)).unwrap_or(usize::MAX)
}

fn answer(result: Result<Response, Failure>) -> Answer {
    match result {
        Ok(response) => Answer::Response(response),
        Err(failure) => Answer::Reply(failure.reply()),
    }
}

/// What the client is told of a `WATCH`, and the session.
fn watched(result: Result<Response, Failure>) -> (Reply, Option<Vec<u64>>) {
    match result {
        Ok(Response::Versions(versions)) => (Reply::OK, Some(versions)),
        Ok(other) => {
            debug_assert!(false, "versions came as {other:?}");
            (Failure::NotCommitted.reply(), None)
        }
        Err(failure) => (failure.reply(), None),
    }
}

fn executed(result: Result<Response, Failure>, local: Vec<(usize, Reply)>) -> Answer {
    match result {
        Ok(Response::Executed(Some(responses))) => Answer::Executed(responses, local),
        other => answer(other),
    }
}

fn payload_bytes(responses: &[Response]) -> usize {
    responses.iter().fold(0, |bytes: usize, it| bytes.saturating_add(it.payload_bytes()))
}

/// Answers of a transaction in the order of its requests.
fn write_executed(writer: &mut ReplyWriter<'_>, responses: &[Response], local: &[(usize, Reply)]) {
    let len = responses.len() + local.len();
    let (mut responses, mut local) = (responses.iter(), local.iter().peekable());
    writer.array(len);
    for position in 0..len {
        if let Some((_, reply)) = local.next_if(|(at, _)| *at == position) {
            writer.reply(reply);
        } else if let Some(response) = responses.next() {
            response.write(writer);
        }
    }
}

/// A read leaves nothing behind, so its outcome is never unknown.
fn failure_of_read(failure: Failure) -> Failure {
    if failure.is_surely_not_done() { failure } else { Failure::NotCommitted }
}

#[cfg(test)]
mod tests;
