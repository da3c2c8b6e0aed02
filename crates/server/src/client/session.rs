//! One client's connection: bytes between its socket and its groups.
//!
//! A turn: whatever arrived is parsed and started together, whatever is due is
//! written with one call, then the session sleeps until a request ends, bytes
//! arrive, or the socket takes more (rule 32). Requests are futures polled in
//! place (`flights.rs`); nothing is spawned for them.
//!
//! Invariants
//! - While the pipeline or the output is full nothing is read: a client that
//!   does not read its replies holds bounded memory and disturbs nobody.
//! - A session has no more under way than its part of what all of them may
//!   have (`shares.rs`): who sends much at once waits longer, and nobody else.
//! - Asked to stop, a session reads no more, ends what it accepted, and closes
//!   (rule 36).
//! - A dropped session stops waiting; what it proposed goes on (rule 43).
//!
//! Not here: what requests mean and how replies look (the `kv` crate); which
//! outcome an error of a group is (`keyspace.rs`).

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use crate::client::bell::Belled;
use crate::client::clients::Seat;
use crate::client::flights::Flights;
use crate::client::host::Host;
use crate::client::keyspace::Keyspace;
use crate::client::shares::Counted;
use raftlet_kv::{Batch, Connection, ConnectionInfo, Output};

/// Bytes that one read from a socket takes: 64 connections that pipeline 16
/// small requests each make a turn of about the size of a log write.
const READ_BYTES: usize = 16 << 10;
/// With less room than this a read gets new memory. Requests lie in what was read
/// until they are done, and the next read is prepared before: with a whole turn's
/// worth of room each time, each request of 300 bytes would hold 16 KiB.
const READ_ROOM_MIN: usize = READ_BYTES / 2;
/// Memory of what was read above this is not read into again.
const INPUT_KEPT_BYTES: usize = 64 << 10;
/// Reply memory above this is given back once it is written.
const OUTPUT_KEPT_BYTES: usize = 64 << 10;
/// Between two attempts of requests that were surely not executed.
const RETRY_AFTER: Duration = Duration::from_millis(10);

/// What a client may still send after its last reply, in bytes: a value that
/// somebody meant for Redis.
const LINGER_BYTES_MAX: usize = 64 << 20;
/// And for how long.
const LINGER_WITHIN: Duration = Duration::from_secs(1);

/// What ended a session's sleep.
enum Event {
    Settled,
    Read(usize),
    Written,
    Alarm,
    Stop,
}

/// Serves one client until it leaves, idles too long, or the node stops.
///
/// # Errors
/// The socket failed; the client is gone.
pub(crate) async fn serve(
    mut stream: TcpStream,
    (info, seat): (ConnectionInfo, Seat),
    keyspace: Rc<Keyspace>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    let mut session = Session::new(info, &seat, &keyspace);
    let connection = Rc::clone(&session.connection);
    let mut flights = Flights::new();
    let mut stopped = pin!(stop.changed());
    let mut killed = pin!(seat.killed());
    let mut ending = Belled::new(poll_fn(|cx| {
        let is_asked = stopped.as_mut().poll(cx).is_ready() || killed.as_mut().poll(cx).is_ready();
        if is_asked { Poll::Ready(()) } else { Poll::Pending }
    }));
    let run = |batch: Batch| keyspace.run(&connection, batch);
    while !session.is_done() {
        session.turn();
        if session.start(&mut flights, run).await {
            continue;
        }
        if session.write_some(&writer)? {
            continue;
        }
        if session.is_done() {
            break;
        }
        let mut alarm = pin!(session.alarm().map(tokio::time::sleep));
        let event = poll_fn(|cx| {
            if flights.poll_ended(cx, |()| ()).is_ready() {
                return Poll::Ready(Ok(Event::Settled));
            }
            if !session.is_stopping && ending.poll(cx).is_ready() {
                return Poll::Ready(Ok(Event::Stop));
            }
            if let Poll::Ready(written) = session.poll_write(&mut writer, cx) {
                return Poll::Ready(written.map(|()| Event::Written));
            }
            if let Poll::Ready(read) = session.poll_read(&mut reader, cx) {
                return Poll::Ready(read.map(Event::Read));
            }
            let rings = alarm.as_mut().as_pin_mut().is_some_and(|alarm| alarm.poll(cx).is_ready());
            if rings { Poll::Ready(Ok(Event::Alarm)) } else { Poll::Pending }
        })
        .await?;
        match event {
            Event::Settled | Event::Written => {}
            Event::Read(bytes) => session.on_read(bytes),
            Event::Alarm => session.on_alarm(),
            Event::Stop => session.is_stopping = true,
        }
    }
    if session.connection.borrow().is_finished() {
        // Whoever goes on sending for longer is cut off.
        let _ = tokio::time::timeout(LINGER_WITHIN, linger(&mut stream)).await;
    }
    Ok(())
}

/// Says that no more will be said, and discards what the client was about to
/// send: closing on unread bytes would reset the connection, and a client that
/// still sends a request over a limit would never read which limit it was.
async fn linger(stream: &mut TcpStream) -> io::Result<()> {
    let mut discarded = vec![0; READ_BYTES];
    let mut rest_bytes = LINGER_BYTES_MAX;
    stream.shutdown().await?;
    while rest_bytes > 0 {
        match stream.read(&mut discarded).await? {
            0 => break,
            bytes => rest_bytes = rest_bytes.saturating_sub(bytes),
        }
    }
    Ok(())
}

struct Session<'a> {
    keyspace: &'a Keyspace,
    /// Shared with what it has started, and with the list of clients, which look
    /// at it while it is not used here.
    connection: Rc<RefCell<Connection>>,
    seat: &'a Seat,
    output: Output,
    /// Replies that may wait for the client; above, no more are written out.
    output_bytes_max: usize,
    /// Among those who ask.
    counted: Counted,
    is_stopping: bool,
    has_left: bool,
    /// It was heard since the last turn, which notes when.
    was_heard: bool,
    /// When there was last something to accept.
    now_ms: u64,
}

impl<'a> Session<'a> {
    fn new(info: ConnectionInfo, seat: &'a Seat, keyspace: &'a Keyspace) -> Self {
        let connection = Connection::new(info, keyspace.limits(), keyspace.slots());
        let connection = connection.with_password(keyspace.password());
        let connection = Rc::new(RefCell::new(connection));
        seat.serve(&connection);
        Self {
            connection,
            seat,
            output: Output::default(),
            output_bytes_max: keyspace.limits().output_bytes_max,
            keyspace,
            counted: Counted::default(),
            is_stopping: false,
            has_left: false,
            was_heard: false,
            now_ms: 0,
        }
    }

    fn turn(&mut self) {
        let keyspace = self.keyspace;
        let mut connection = self.connection.borrow_mut();
        let accepted = connection.requests_accepted();
        if !connection.input().is_empty() {
            // The only look at the clock for a request that nothing keeps: where
            // nothing can be accepted nobody asks what time it is.
            self.now_ms = keyspace.now_ms();
            if std::mem::take(&mut self.was_heard) {
                self.seat.heard(self.now_ms);
            }
            connection.set_share(keyspace.share(self.now_ms, &mut self.counted));
        }
        connection.turn(self.now_ms, &mut Host(keyspace), &mut self.output);
        keyspace.count_requests(connection.requests_accepted() - accepted);
        if let Some(refusals) = connection.take_refusals() {
            keyspace.count_refusals(refusals);
        }
    }

    /// Starts everything that may start, in order, before anything is awaited.
    /// True: some of it ended with that.
    async fn start<F: Future<Output = ()>>(
        &mut self,
        flights: &mut Flights<F>,
        run: impl Fn(Batch) -> F,
    ) -> bool {
        let batches = &mut self.output.batches;
        if batches.is_empty() {
            return false;
        }
        poll_fn(|cx| {
            let mut settled = false;
            for batch in batches.drain(..) {
                settled |= flights.launch(cx, run(batch)).is_some();
            }
            Poll::Ready(settled)
        })
        .await
    }

    /// Nothing is owed any more and no more is taken.
    fn is_done(&self) -> bool {
        let connection = self.connection.borrow();
        let ends =
            connection.is_finished() || (self.is_stopping && connection.unanswered_len() == 0);
        self.has_left || (ends && self.output.replies.is_empty())
    }

    fn wants_input(&self) -> bool {
        !self.is_stopping && self.connection.borrow().wants_input()
    }

    /// Writes what the socket takes at once. True: that made room for replies
    /// that had none, and so for requests that wait for theirs to leave.
    fn write_some(&mut self, writer: &WriteHalf<'_>) -> io::Result<bool> {
        let replies = &mut self.output.replies;
        if replies.is_empty() {
            return Ok(false);
        }
        let was_full = replies.len() >= self.output_bytes_max;
        match writer.try_write(replies) {
            Ok(written) => drop(replies.drain(..written)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if replies.is_empty() {
            replies.shrink_to(OUTPUT_KEPT_BYTES);
        }
        self.seat.owes(replies.len());
        Ok(was_full && replies.len() < self.output_bytes_max)
    }

    /// Waits for the socket to take more of what it would not take at once.
    fn poll_write(
        &mut self,
        writer: &mut WriteHalf<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let replies = &mut self.output.replies;
        if replies.is_empty() {
            return Poll::Pending;
        }
        let written = ready!(Pin::new(writer).poll_write(cx, replies))?;
        drop(replies.drain(..written));
        self.seat.owes(replies.len());
        Poll::Ready(Ok(()))
    }

    /// Reads what the socket has, up to a turn's worth, when that is wanted.
    ///
    /// A read that leaves room tells the runtime that the socket is empty: it
    /// is not asked again before more has arrived.
    fn poll_read(
        &self,
        reader: &mut ReadHalf<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if !self.wants_input() {
            return Poll::Pending;
        }
        let mut connection = self.connection.borrow_mut();
        let input = connection.input();
        make_room(input);
        pin!(reader.read_buf(input)).poll(cx)
    }

    fn on_read(&mut self, bytes: usize) {
        if bytes == 0 {
            // It may still read: what it sent is answered first.
            self.is_stopping = true;
        } else {
            self.was_heard = true;
        }
    }

    /// When to look again although nothing happens.
    fn alarm(&self) -> Option<Duration> {
        let retry = self.connection.borrow().held_since_ms().map(|_| RETRY_AFTER);
        [retry, self.idle_left(), self.auth_left()].into_iter().flatten().min()
    }

    /// How long the client may still be silent, if that is limited.
    fn idle_left(&self) -> Option<Duration> {
        let unanswered_len = self.connection.borrow().unanswered_len();
        idle_left(self.keyspace.client_idle()?, self.silent(), unanswered_len)
    }

    /// For how long nothing was heard.
    fn silent(&self) -> Duration {
        Duration::from_millis(self.keyspace.now_ms().saturating_sub(self.seat.heard_ms()))
    }

    /// How long the client may still take to authenticate, if it has to.
    fn auth_left(&self) -> Option<Duration> {
        if self.connection.borrow().is_authenticated() {
            return None;
        }
        let age_ms = self.keyspace.now_ms().saturating_sub(self.seat.since_ms());
        Some(self.keyspace.auth_timeout().saturating_sub(Duration::from_millis(age_ms)))
    }

    fn on_alarm(&mut self) {
        let now_ms = self.keyspace.now_ms();
        let mut connection = self.connection.borrow_mut();
        if connection.held_since_ms().is_some() {
            let timeout_ms = self.keyspace.propose_timeout_ms();
            if let Some(arrived_ms_max) = now_ms.checked_sub(timeout_ms) {
                connection.give_up(arrived_ms_max);
            }
            connection.retry();
        }
        drop(connection);
        if self.idle_left().is_some_and(|left| left.is_zero()) {
            self.keyspace.count_idle_close();
            self.has_left = true;
        }
        if self.auth_left().is_some_and(|left| left.is_zero()) {
            self.keyspace.count_unauthenticated_close();
            self.has_left = true;
        }
    }
}

/// Room for a read. Where all that was read is done it goes to the same place
/// again: of a thousand clients who ask one thing at a time the next bytes of each
/// would else lie in memory that has left the caches, until its 16 KiB are through.
fn make_room(input: &mut BytesMut) {
    if input.is_empty() {
        if input.try_reclaim(INPUT_KEPT_BYTES + 1) {
            *input = BytesMut::with_capacity(READ_BYTES);
        }
        // What is under way stays where it is.
        let _ = input.try_reclaim(READ_BYTES);
    }
    if input.capacity() - input.len() < READ_ROOM_MIN {
        input.reserve(READ_BYTES);
    }
}

/// What is left of the limit on silence; `None` while the client waits for an
/// answer: then it is not the one who is silent, and there is nothing to look for.
fn idle_left(limit: Duration, silent: Duration, unanswered_len: usize) -> Option<Duration> {
    (unanswered_len == 0).then(|| limit.saturating_sub(silent))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::BytesMut;

    use super::{INPUT_KEPT_BYTES, READ_BYTES, READ_ROOM_MIN, idle_left, make_room};

    #[test]
    fn what_is_read_next_lies_where_that_lay_which_is_done() {
        let mut input = BytesMut::new();
        make_room(&mut input);
        let place = input.as_ptr();
        for _ in 0..3 * READ_BYTES / 100 {
            input.extend_from_slice(&[7; 100]);
            drop(input.split_to(100));
            make_room(&mut input);
            assert_eq!((input.as_ptr(), input.capacity()), (place, READ_BYTES));
        }
    }

    #[test]
    fn what_is_under_way_stays_where_it_is_and_takes_no_memory_of_a_whole_read() {
        let mut input = BytesMut::new();
        make_room(&mut input);
        let place = input.as_ptr();
        input.extend_from_slice(&[7; 100]);
        let _under_way = input.split_to(100).freeze();
        make_room(&mut input);
        assert_eq!(input.as_ptr(), place.wrapping_add(100));
        input.extend_from_slice(&[8; READ_ROOM_MIN]);
        let _more = input.split_to(READ_ROOM_MIN);
        make_room(&mut input);
        assert!(input.capacity() >= READ_BYTES, "too little was left");
    }

    #[test]
    fn memory_of_a_large_request_is_nobodys_but_its_own() {
        // Of it, more is left than is kept; or less, until it is done.
        for rest in [2 * INPUT_KEPT_BYTES, 2 * READ_BYTES, READ_ROOM_MIN] {
            let mut input = BytesMut::with_capacity(INPUT_KEPT_BYTES + rest);
            input.extend_from_slice(&[7; INPUT_KEPT_BYTES]);
            let large = input.split_to(INPUT_KEPT_BYTES);
            make_room(&mut input);
            drop(large);
            make_room(&mut input);
            assert_eq!(input.capacity(), READ_BYTES, "{rest}");
        }
    }

    #[test]
    fn who_waits_for_an_answer_sets_no_alarm_for_its_silence() {
        let [limit, short, long] = [3, 1, 5].map(Duration::from_secs);
        assert_eq!(idle_left(limit, short, 0), Some(limit - short));
        assert_eq!(idle_left(limit, long, 0), Some(Duration::ZERO), "it is sent away");
        assert_eq!(idle_left(limit, long, 1), None, "an alarm that has passed rings without end");
    }
}
