//! The connections that other nodes make to this one: what arrives.
//!
//! Invariants
//! - At most `handshakes_max` connections are in their handshake; further ones
//!   are closed at the door and counted (rule 34). Established ones are at most
//!   one a peer.
//! - A connection counts when its first sealed frame has arrived: that proves a
//!   living dialler (`handshake.rs`). Then it takes the place of an older one.
//! - What arrives on a connection that lost its place is dropped.
//!
//! Not here: what is sent (`dial.rs`), what messages mean (the sink, the core).

use std::panic;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::codec::{BatchReader, MessageError};
use crate::connection::{ConnectionError, out_of_place, read_frame, write_frame, write_refusal};
use crate::control::{Heartbeat, HeartbeatReply};
use crate::dial::{count_end, in_time, remember, report_refused_by};
use crate::frame::{Frame, FrameKind, FrameReader, FrameSeal};
use crate::handshake::{Hello, Refusal, WIRE_VERSION_MAX, Welcome, dialler_seal, judge_hello};
use crate::introduction::NodeAddresses;
use crate::peer::Peer;
use crate::rollcall::Showing;
use crate::shared::Shared;
use crate::sink::{NetEvent, Sink};
use raftlet::Incoming;
use raftlet::core::Sender;

/// Messages handed to the sink at once, so that a frame of tiny ones does not
/// become one huge vector.
const DELIVERED_LEN_MAX: usize = 1024;
/// Rest after a failed accept: out of descriptors, most likely.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Accepts for ever.
pub(crate) async fn listen<S: Sink>(shared: Rc<Shared>, listener: TcpListener, sink: Rc<S>) {
    let mut connections = JoinSet::new();
    let handshakes = Rc::new(());
    loop {
        let accepted = tokio::select! {
            biased;
            Some(ended) = connections.join_next() => {
                loud(ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, address)) = accepted else {
            shared.counters.borrow_mut().accept_errors += 1;
            sleep(ACCEPT_REST).await;
            continue;
        };
        if Rc::strong_count(&handshakes) > shared.options.handshakes_max {
            shared.counters.borrow_mut().turned_away += 1;
            continue;
        }
        let accepting = Accepting {
            shared: Rc::clone(&shared),
            sink: Rc::clone(&sink),
            address: address.to_string(),
        };
        let in_handshake = Rc::clone(&handshakes);
        connections.spawn_local(accepting.serve(stream, in_handshake));
    }
}

/// A task that panicked takes the shard with it (rule 44).
pub(crate) fn loud(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        panic::resume_unwind(error.into_panic());
    }
}

/// One accepted connection.
struct Accepting<S> {
    shared: Rc<Shared>,
    sink: Rc<S>,
    address: String,
}

/// A dialler that proved to live.
struct Established {
    stream: TcpStream,
    frames: FrameReader,
    peer: Rc<Peer>,
    sender: Sender,
    order: u64,
}

impl<S: Sink> Accepting<S> {
    async fn serve(self, mut stream: TcpStream, in_handshake: Rc<()>) {
        let mut frames = FrameReader::for_handshake();
        let established = self.handshake(&mut stream, &mut frames).await;
        drop(in_handshake);
        let (peer, sender, order, first) = match established {
            Ok(established) => established,
            Err(cause) => return self.on_handshake_failed(cause),
        };
        let Some(ended) = peer.open_inbound(sender, order) else {
            return;
        };
        peer.dial.notify_one();
        self.sink.event(NetEvent::Accepted { node: sender.node, run: sender.run });
        let mut established = Established { stream, frames, peer, sender, order };
        let cause = tokio::select! {
            biased;
            cause = ended => cause.unwrap_or(ConnectionError::Replaced),
            cause = self.receive(&mut established, first) => cause,
        };
        let peer = established.peer;
        peer.close_inbound(order);
        count_end(&peer, &cause);
        if let ConnectionError::RefusedBy(refusal) = cause {
            report_refused_by(&peer, &*self.sink, refusal);
            return;
        }
        self.sink.event(NetEvent::Closed { node: sender.node, cause });
    }

    /// Up to and with the first sealed frame.
    async fn handshake(
        &self,
        stream: &mut TcpStream,
        frames: &mut FrameReader,
    ) -> Result<(Rc<Peer>, Sender, u64, Frame), ConnectionError> {
        stream.set_nodelay(true)?;
        let order = self.shared.next_order();
        let frame = in_time(&self.shared, read_frame(stream, frames)).await?;
        let admitted = match frame.kind {
            FrameKind::Hello => {
                in_time(&self.shared, async { Ok(self.admit(&frame).await) }).await?
            }
            _ => Err(Refusal::malformed()),
        };
        let (hello, peer) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                let write = write_refusal(stream, FrameSeal::HANDSHAKE, &refusal);
                in_time(&self.shared, write).await?;
                return Err(ConnectionError::Refused(refusal));
            }
        };
        let welcome = Welcome {
            version: WIRE_VERSION_MAX.min(hello.version_max),
            cluster: self.shared.identity.cluster,
            sender: self.shared.identity.seat,
            nonce: self.shared.nonce(),
        };
        let write = write_frame(stream, FrameKind::Welcome, FrameSeal::HANDSHAKE, |into| {
            welcome.encode(into);
        });
        in_time(&self.shared, write).await?;
        frames.establish(dialler_seal(&hello, &welcome));
        let first = in_time(&self.shared, read_frame(stream, frames)).await?;
        if first.kind == FrameKind::Refusal {
            let cause = out_of_place(&first);
            count_end(&peer, &cause);
            if let ConnectionError::RefusedBy(refusal) = &cause {
                report_refused_by(&peer, &*self.sink, refusal.clone());
            }
            return Err(cause);
        }
        if !self.shared.met(hello.sender, order) {
            return Err(ConnectionError::Leftover);
        }
        self.shared.report_liveness(&*self.sink);
        Ok((peer, hello.sender, order, first))
    }

    /// Judges who says hello; what it proves is durable before it counts.
    async fn admit(&self, frame: &Frame) -> Result<(Hello, Rc<Peer>), Refusal> {
        let hello = Hello::decode(&frame.body)?;
        let peer = self.shared.peer(hello.sender.node);
        let judge = || {
            let known = peer.as_ref().map(|peer| peer.known());
            judge_hello(&self.shared.identity, &hello, known)
        };
        judge()?;
        let me = self.shared.identity.seat.node;
        let known = peer.as_ref().ok_or_else(|| Refusal::stranger(me, hello.sender.node))?;
        remember(&self.shared, known, &*self.sink, hello.sender).await?;
        judge()?;
        Ok((hello, Rc::clone(known)))
    }

    fn on_handshake_failed(&self, cause: ConnectionError) {
        self.shared.counters.borrow_mut().handshakes_failed += 1;
        if let ConnectionError::Refused(refusal) = cause {
            self.sink.event(NetEvent::Refused { address: self.address.clone(), refusal });
        }
    }

    /// Handles frames until the connection ends.
    async fn receive(&self, link: &mut Established, first: Frame) -> ConnectionError {
        let mut messages = Vec::new();
        let mut next = Some(first);
        loop {
            while let Some(frame) = next {
                if let Err(cause) = self.on_frame(link, &frame, &mut messages) {
                    return cause;
                }
                drop(frame);
                next = match link.frames.next_frame() {
                    Ok(next) => next,
                    Err(error) => return ConnectionError::Frame(error),
                };
            }
            let bytes = match link.stream.read_buf(link.frames.room()).await {
                Ok(0) => return ConnectionError::Closed,
                Ok(bytes) => bytes,
                Err(error) => return ConnectionError::Io(error),
            };
            if !link.peer.hear_inbound(link.order, bytes) {
                return ConnectionError::Replaced;
            }
            next = match link.frames.next_frame() {
                Ok(next) => next,
                Err(error) => return ConnectionError::Frame(error),
            };
        }
    }

    fn on_frame(
        &self,
        link: &Established,
        frame: &Frame,
        messages: &mut Vec<Incoming>,
    ) -> Result<(), ConnectionError> {
        let bytes = u64::try_from(frame.body.len()).unwrap_or(u64::MAX);
        link.peer.count(|stats| {
            stats.frames_received += 1;
            stats.bytes_received += bytes;
        });
        match frame.kind {
            FrameKind::Messages => self.on_messages(link, frame, messages),
            FrameKind::Heartbeat => {
                let heartbeat = Heartbeat::decode(&frame.body)?;
                self.on_heartbeat(link, &heartbeat);
                Ok(())
            }
            FrameKind::HeartbeatReply => {
                let reply = HeartbeatReply::decode(&frame.body)?;
                self.on_reply(link, reply);
                Ok(())
            }
            FrameKind::Introduction => {
                link.peer.set_addresses(NodeAddresses::decode(&frame.body)?);
                Ok(())
            }
            FrameKind::RollCall => self.on_showing(link, Showing::decode(&frame.body)?),
            FrameKind::Hello | FrameKind::Welcome | FrameKind::Refusal => Err(out_of_place(frame)),
        }
    }

    fn on_messages(
        &self,
        link: &Established,
        frame: &Frame,
        messages: &mut Vec<Incoming>,
    ) -> Result<(), ConnectionError> {
        let is_member = link.peer.is_member(link.sender.incarnation);
        let (mut received, mut refused, mut unexpected) = (0, 0, 0);
        let mut end = Ok(());
        let mut batch = BatchReader::new(&frame.body);
        while let Some(read) = batch.read_onto(messages) {
            match read {
                Ok(()) if !is_member => {
                    messages.pop();
                    unexpected += 1;
                }
                Ok(()) => received += 1,
                Err(MessageError::Batch) => end = Err(ConnectionError::Batch),
                Err(_) => refused += 1,
            }
            if messages.len() >= DELIVERED_LEN_MAX {
                self.deliver(link, messages);
            }
        }
        self.deliver(link, messages);
        link.peer.count(|stats| {
            stats.messages_received += received;
            stats.messages_refused += refused;
            stats.messages_unexpected += unexpected;
        });
        end
    }

    fn deliver(&self, link: &Established, messages: &mut Vec<Incoming>) {
        if !messages.is_empty() {
            self.sink.deliver(link.sender, messages);
            messages.clear();
        }
    }

    fn on_heartbeat(&self, link: &Established, heartbeat: &Heartbeat) {
        let Sender { node, run, .. } = link.sender;
        let now = self.shared.now();
        let mut detector = self.shared.detector.borrow_mut();
        detector.on_heartbeat(now, node, run, heartbeat);
        drop(detector);
        if link.peer.is_member(link.sender.incarnation) {
            for disowned in &heartbeat.disowned {
                self.sink.disowned(link.sender, *disowned);
            }
        }
        Shared::answer_heartbeat(&link.peer, link.sender, heartbeat);
        self.shared.report_liveness(&*self.sink);
    }

    fn on_reply(&self, link: &Established, reply: HeartbeatReply) {
        if reply.run != self.shared.identity.seat.run {
            return;
        }
        let Sender { node, run, .. } = link.sender;
        let now = self.shared.now();
        let mut detector = self.shared.detector.borrow_mut();
        let rtt_ns = detector.on_reply(now, node, run, reply.stamp);
        drop(detector);
        link.peer.disowning.borrow_mut().on_answer(reply.stamp);
        if let Some(rtt_ns) = rtt_ns {
            link.peer.count(|stats| stats.rtt_ns = rtt_ns);
        }
        self.shared.report_liveness(&*self.sink);
    }

    fn on_showing(&self, link: &Established, showing: Showing) -> Result<(), ConnectionError> {
        if !self.shared.met(link.sender, link.order) {
            return Err(ConnectionError::Leftover);
        }
        let mut roll_call = self.shared.roll_call.borrow_mut();
        let Some(call) = roll_call.as_mut() else {
            return Ok(());
        };
        let before = call.showing();
        let peer_waits = !showing.is_written;
        call.on_showing(link.sender.node, showing);
        let is_news = call.showing() != before;
        let is_written = before.is_written;
        drop(roll_call);
        if is_news {
            self.shared.show_roll_call();
        } else if peer_waits && is_written {
            self.shared.show_roll_call_to(&link.peer);
        }
        self.shared.roll_call_changed.notify_one();
        Ok(())
    }
}
