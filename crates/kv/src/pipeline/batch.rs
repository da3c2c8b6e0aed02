//! What starts together, and how it is lent to whoever carries it out.
//!
//! A batch names requests; what they ask stays in the pipeline until it is
//! answered, in case it is to be repeated. So starting moves and copies nothing
//! of a request, and a batch of one costs as little as one of many.
//!
//! Invariant: the requests under way in a lane ascend. Those of a batch stand
//! side by side among them, with gaps where some have ended.

use std::collections::{VecDeque, vec_deque};

use bytes::Bytes;

use crate::operation::codec;
use crate::operation::every_group::EveryGroup;
use crate::operation::response::Response;
use crate::operation::string::StringQuery;
use crate::operation::{Command, Query};
use crate::pipeline::{Answer, Pipeline, position};
use crate::slot::GroupIndex;
use raftlet::core::mutants;

/// Names one started piece of work of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    pub(super) request: u64,
    pub(super) group: GroupIndex,
}

/// Work of one group that starts together. The connection lends what is asked
/// ([`Connection::asked`]); every ticket is to be completed once, in any order.
///
/// [`Connection::asked`]: crate::Connection::asked
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The group.
    pub group: GroupIndex,
    /// What to do there.
    pub work: Work,
    /// How many requests started.
    pub requests_len: usize,
    first: u64,
    last: u64,
}

/// What a batch asks of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Run its queries on one state, as one linearizable read.
    Read,
    /// Propose its commands in their order, without waiting in between. Those
    /// that are executed must be executed in this order, over changes of leader
    /// too; one that can't keep its place is to be refused.
    Propose,
}

impl Batch {
    /// Makes batches of at most so many requests of all that wait.
    #[inline]
    pub(super) fn cut(
        group: GroupIndex,
        work: Work,
        len_max: usize,
        waiting: &VecDeque<u64>,
        batches: &mut Vec<Self>,
    ) {
        let mut from = 0;
        while let Some(&first) = waiting.get(from) {
            let requests_len = len_max.min(waiting.len() - from);
            from += requests_len;
            let last = waiting.get(from - 1).copied().unwrap_or(first);
            batches.push(Self { group, work, requests_len, first, last });
        }
    }
}

/// What one request asks of its group, lent by its connection.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// `GET`.
    Get {
        /// The key.
        key: &'a [u8],
    },
    /// `SET` without conditions.
    Set {
        /// The key.
        key: &'a [u8],
        /// Its value from now on.
        value: &'a [u8],
    },
    /// Any other question.
    Query(&'a Query<Bytes>),
    /// Any other change.
    Command(&'a Command<Bytes>),
}

impl Asked<'_> {
    /// Appends the bytes of the command that is proposed for it; a question is
    /// one as well ([`Command::Query`]).
    ///
    /// # Panics
    /// As [`Command::encode`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Set { key, value } => codec::encode_set(key, value, out),
            Self::Get { key } => codec::encode_query(&StringQuery::Get { key }.into(), out),
            Self::Query(query) => codec::encode_query(query, out),
            Self::Command(command) => command.encode(out),
        }
    }
}

impl Answer {
    /// What is asked, unless it is answered.
    #[inline]
    fn asked(&self) -> Option<Asked<'_>> {
        Some(match self {
            Self::Plain(plain) => match plain.value() {
                Some(value) => Asked::Set { key: plain.key(), value },
                None => Asked::Get { key: plain.key() },
            },
            Self::Read(query) | Self::Watch(query) => Asked::Query(query),
            Self::Write(command) | Self::Execution(command, _) => Asked::Command(command),
            Self::Gather(gather) => match &gather.work {
                EveryGroup::Read(query) => Asked::Query(query),
                EveryGroup::Write(command) => Asked::Command(command),
            },
            Self::Reply(_) | Self::Response(_) | Self::Executed(..) => return None,
        })
    }
}

impl Pipeline {
    /// What those of a batch ask that have not ended.
    #[inline]
    pub(crate) fn asked(&self, batch: Batch) -> impl Iterator<Item = (Ticket, Asked<'_>)> {
        let Batch { group, first, last, .. } = batch;
        let requests = self.lanes.get(group).map(|lane| lane.between(first, last));
        Lent { pipeline: self, group, requests: requests.unwrap_or_default() }
    }

    /// What one request asks.
    #[inline]
    pub(crate) fn asked_by(&self, ticket: Ticket) -> Option<Asked<'_>> {
        self.slots.get(position(self.first_request, ticket.request))?.answer.asked()
    }

    /// Answers a read in place. Those of it that `answer` leaves open.
    pub(crate) fn answer(
        &mut self,
        batch: Batch,
        mut answer: impl FnMut(Asked<'_>) -> Option<Response>,
    ) -> Vec<Ticket> {
        let (mut open, mut rare) = (Vec::new(), Vec::new());
        let Batch { group, first, last, .. } = batch;
        let Self { slots, lanes, first_request, payload_bytes, .. } = self;
        let Some(lane) = lanes.get_mut(group) else {
            return open;
        };
        for &request in lane.between(first, last) {
            let Some(slot) = slots.get_mut(position(*first_request, request)) else { continue };
            let Some(response) = slot.answer.asked().and_then(&mut answer) else {
                open.push(Ticket { request, group });
                continue;
            };
            if slot.answer.is_of_one_group() {
                *payload_bytes = payload_bytes.saturating_add(response.payload_bytes());
                slot.answer = Answer::Response(response);
            } else {
                rare.push((request, response));
            }
        }
        if open.is_empty() && lane.is_all(first, last) {
            lane.under_way.clear();
        } else {
            let is_open = |request| open.iter().any(|it| it.request == request);
            lane.answered(first, last, |request| is_open(request) && !mutants::is_active(153));
        }
        let settles = lane.under_way.is_empty();
        if !rare.is_empty() {
            self.resolve_all(rare);
        }
        if settles {
            self.settle(group);
        }
        open
    }

    #[cold]
    fn resolve_all(&mut self, answers: Vec<(u64, Response)>) {
        for (request, response) in answers {
            self.resolve(request, Ok(response));
        }
    }
}

/// What is asked by requests under way.
struct Lent<'a> {
    pipeline: &'a Pipeline,
    group: GroupIndex,
    requests: vec_deque::Iter<'a, u64>,
}

impl<'a> Iterator for Lent<'a> {
    type Item = (Ticket, Asked<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let ticket = Ticket { request: *self.requests.next()?, group: self.group };
            if let Some(asked) = self.pipeline.asked_by(ticket) {
                return Some((ticket, asked));
            }
        }
    }
}
