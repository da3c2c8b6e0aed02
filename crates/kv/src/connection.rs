//! One client's connection without its socket: what a server drives.
//!
//! The contract of [`Connection`]: any number of inputs (bytes appended to
//! [`Connection::input`], [`Connection::complete`], [`Connection::retry`],
//! [`Connection::give_up`]), then [`Connection::turn`], then obey its
//! [`Output`]: write the replies to the socket, start the batches. All requests
//! that have arrived are started together and answered in order (rule 32).
//!
//! Backpressure: while [`Connection::wants_input`] is false, the server reads
//! nothing from the socket; then memory is bounded by [`Limits`]. A client that
//! doesn't read its replies stops being served, nobody else notices.
//!
//! Not here: sockets, time (`now_ms` comes in), and who executes a batch.

use std::sync::Arc;

use bytes::BytesMut;

use crate::limits::{Limits, Share};
use crate::node::{ClientState, Node};
use crate::operation::response::Response;
use crate::pipeline::batch::{Asked, Batch, Ticket};
use crate::pipeline::{Form, Outcome, Pipeline};
use crate::resp::plain::Plain;
use crate::resp::request::RequestParser;
use crate::session::password::Password;
use crate::session::refusals::Refusals;
use crate::session::{Action, ConnectionInfo, Session, Step};
use crate::slot::SlotMap;

/// One client's connection without its socket.
#[derive(Debug)]
pub struct Connection {
    /// Those in force, and those of a client that has authenticated.
    limits: Limits,
    limits_at_large: Limits,
    share: Share,
    slots: SlotMap,
    input: BytesMut,
    parser: RequestParser,
    session: Session,
    pipeline: Pipeline,
    /// Nothing further is read: the client quit, or made no sense.
    is_closing: bool,
    /// The client has yet to show that it knows the password.
    is_confined: bool,
    output_is_full: bool,
    requests_accepted: u64,
}

/// What a turn made due. The server empties it and hands it in again.
#[derive(Debug, Default)]
pub struct Output {
    /// Bytes for the socket, in order. What the server leaves in it counts
    /// towards `Limits::output_bytes_max`.
    pub replies: Vec<u8>,
    /// Work to start.
    pub batches: Vec<Batch>,
}

impl Connection {
    /// A connection that has just been accepted.
    #[must_use]
    pub fn new(info: ConnectionInfo, limits: Limits, slots: SlotMap) -> Self {
        Self {
            limits,
            limits_at_large: limits,
            share: Share::WHOLE,
            slots,
            input: BytesMut::new(),
            parser: RequestParser::new(limits),
            session: Session::new(info, slots, limits),
            pipeline: Pipeline::default(),
            is_closing: false,
            is_confined: false,
            output_is_full: false,
            requests_accepted: 0,
        }
    }

    /// Serves the client only once it has shown that it knows `password`. Until
    /// then it has small limits ([`Limits::before_auth`]).
    #[must_use]
    pub fn with_password(mut self, password: Option<Arc<Password>>) -> Self {
        if let Some(password) = password {
            self.session.require(password);
            self.adjust_limits();
        }
        self
    }

    /// Whether the client was let in, or may come in unasked.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.session.is_authenticated()
    }

    /// What was refused since this was last asked, if anything was.
    pub fn take_refusals(&mut self) -> Option<Refusals> {
        let replies_too_big = self.pipeline.take_replies_too_big();
        let refusals = Refusals { replies_too_big, ..self.session.take_refusals() };
        (refusals != Refusals::default()).then_some(refusals)
    }

    /// Where bytes from the socket are appended.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// What a batch asks, in order: those of its requests that have not ended.
    /// It is lent, since one that is refused is to be asked again.
    #[inline]
    pub fn asked(&self, batch: Batch) -> impl Iterator<Item = (Ticket, Asked<'_>)> {
        self.pipeline.asked(batch)
    }

    /// What one started request asks; `None` if it has ended.
    #[must_use]
    pub fn asked_by(&self, ticket: Ticket) -> Option<Asked<'_>> {
        self.pipeline.asked_by(ticket)
    }

    /// Completes a read where it lies: what [`Self::asked`] lends and
    /// [`Self::complete`] takes, in one. Those that `answer` has no answer for
    /// stay under way and are returned.
    #[must_use = "what has no answer is to be completed in another way"]
    pub fn answer(
        &mut self,
        batch: Batch,
        answer: impl FnMut(Asked<'_>) -> Option<Response>,
    ) -> Vec<Ticket> {
        self.pipeline.answer(batch, answer)
    }

    /// Takes the outcome of one piece of started work. A ticket that isn't
    /// under way is ignored.
    pub fn complete(&mut self, ticket: Ticket, outcome: Outcome) {
        self.pipeline.complete(ticket, outcome);
    }

    /// Accepts no further request while so much is unanswered. What was accepted
    /// stays accepted.
    pub fn set_share(&mut self, share: Share) {
        self.share = share;
    }

    /// Lets requests that were refused start again at the next turn.
    pub fn retry(&mut self) {
        self.pipeline.retry();
    }

    /// Answers refused requests, and those behind them, that arrived at
    /// `arrived_ms_max` or earlier: nothing of them was executed.
    pub fn give_up(&mut self, arrived_ms_max: u64) {
        self.pipeline.give_up(arrived_ms_max);
    }

    /// Does everything that is due. `now_ms` is any clock that only rises;
    /// `node` is asked when a client asks about it.
    pub fn turn(&mut self, now_ms: u64, node: &mut dyn Node, output: &mut Output) {
        if let Some(versions) = self.pipeline.take_watched() {
            self.session.on_versions(versions);
        }
        self.session.set_out_of_memory(node.is_out_of_memory());
        loop {
            if !self.input.is_empty() {
                self.accept(now_ms, node);
            }
            let limits = &self.limits;
            let wrote = self.pipeline.write_replies(
                &mut output.replies,
                limits.output_bytes_max,
                limits.reply_bytes_max,
            );
            // Replies that left make room for requests that wait in `input`.
            if !wrote || self.input.is_empty() {
                break;
            }
        }
        self.output_is_full = output.replies.len() >= self.limits.output_bytes_max;
        // What a client doesn't fetch must not pile up. While it does fetch, the
        // first in the pipeline may be what all others wait for: start it.
        let may_start =
            !self.output_is_full || self.pipeline.payload_bytes() < self.limits.reply_bytes_max;
        if may_start && self.pipeline.len() > 0 {
            self.pipeline.start(&mut output.batches);
        }
    }

    /// Whether to read from the socket.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        !self.is_closing && !self.output_is_full && self.may_accept()
    }

    /// Whether to close the socket, once the replies are written.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.is_closing && self.pipeline.len() == 0
    }

    /// When the oldest request arrived that was refused and is held. The server
    /// then calls [`Self::retry`] after a pause, and [`Self::give_up`] when a
    /// request has waited long enough.
    #[must_use]
    pub fn held_since_ms(&self) -> Option<u64> {
        self.pipeline.held_since_ms()
    }

    /// Requests accepted and not yet answered.
    #[must_use]
    pub fn unanswered_len(&self) -> usize {
        self.pipeline.len()
    }

    /// Roughly the bytes that this client makes the node hold: input that is no
    /// request yet, requests without an answer, a transaction in the making.
    /// Stored values that replies share, and what was written out, apart.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let waiting = self.input.len().saturating_add(self.parser.held_bytes());
        waiting.saturating_add(self.pipeline.held_bytes()).saturating_add(self.session.held_bytes())
    }

    /// How many commands are queued since `MULTI`, and roughly their bytes, with
    /// those of watched keys.
    #[must_use]
    pub fn transaction_fill(&self) -> (usize, usize) {
        self.session.transaction_fill()
    }

    /// Requests accepted since the connection began.
    #[must_use]
    pub fn requests_accepted(&self) -> u64 {
        self.requests_accepted
    }

    /// What other connections may be told of this client.
    #[must_use]
    pub fn client_state(&self) -> ClientState {
        self.session.state()
    }

    /// Takes requests off the input while there is room.
    fn accept(&mut self, now_ms: u64, node: &mut dyn Node) {
        let mut takes_plain = self.takes_plain();
        while !self.input.is_empty() && !self.is_closing && self.may_accept() {
            if takes_plain && let Some(plain) = Plain::take(&mut self.input, &self.limits) {
                self.accept_plain(now_ms, plain);
            } else if self.accept_any(now_ms, node) {
                takes_plain = self.takes_plain();
            } else {
                break;
            }
        }
    }

    /// Whether a `GET` or `SET` that comes next does what it says, here and now.
    #[inline]
    fn takes_plain(&self) -> bool {
        self.session.takes_plain() && self.parser.is_between_requests()
    }

    #[inline]
    fn accept_plain(&mut self, now_ms: u64, plain: Plain) {
        self.session.note_plain(plain.name());
        self.requests_accepted += 1;
        let form = Form {
            version: self.session.version(),
            is_muted: false,
            arrived_ms: now_ms,
            request_bytes: plain.held_bytes(),
        };
        let group = self.slots.group_of_key(plain.key());
        self.pipeline.push_plain(form, group, plain);
    }

    /// Takes one request off the input, whatever it is. False: there is none.
    fn accept_any(&mut self, now_ms: u64, node: &mut dyn Node) -> bool {
        let form = |step: &Step, request_bytes| Form {
            version: step.version,
            is_muted: step.is_muted,
            arrived_ms: now_ms,
            request_bytes,
        };
        match self.parser.next_request(&mut self.input) {
            Ok(None) => return false,
            Ok(Some(args)) => {
                let step = self.session.handle(&args, node);
                self.enqueue(form(&step, args.held_bytes()), step.action);
                self.parser.reuse(args);
            }
            Err(error) => {
                self.session.count_unreadable(error);
                let action = Action::Close(Some(error.reply()));
                let step = Step { action, version: self.session.version(), is_muted: false };
                self.enqueue(form(&step, 0), step.action);
            }
        }
        self.requests_accepted += 1;
        if self.is_confined == self.session.is_authenticated() {
            self.adjust_limits();
        }
        true
    }

    /// The client authenticated, or is a stranger again.
    fn adjust_limits(&mut self) {
        self.is_confined = !self.session.is_authenticated();
        self.limits = if self.is_confined {
            self.limits_at_large.before_auth()
        } else {
            self.limits_at_large
        };
        self.parser.set_limits(self.limits, self.is_confined);
    }

    fn enqueue(&mut self, form: Form, action: Action) {
        match action {
            Action::Answer(reply) => self.pipeline.push_reply(form, reply),
            Action::Read(group, query) => self.pipeline.push_read(form, group, query),
            Action::EveryGroup(work) => {
                self.pipeline.push_gather(form, self.slots.groups(), work);
            }
            Action::Write(group, command) => self.pipeline.push_write(form, group, command),
            Action::Watch(group, query) => self.pipeline.push_watch(form, group, query),
            Action::Execute(execution) => self.pipeline.push_execution(form, *execution),
            Action::Close(reply) => {
                self.is_closing = true;
                self.input = BytesMut::new();
                if let Some(reply) = reply {
                    self.pipeline.push_reply(form, reply);
                }
            }
        }
    }

    /// Whether there is room for another request, and it may be looked at.
    fn may_accept(&self) -> bool {
        !self.session.awaits_versions()
            && self.pipeline.len() < self.limits.pipeline_len_max.min(self.share.len)
            && self.pipeline.held_bytes() < self.limits.pipeline_bytes_max.min(self.share.bytes)
    }
}
