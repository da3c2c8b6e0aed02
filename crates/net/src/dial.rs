//! The connection that this node makes to one peer, for ever anew.
//!
//! ```text
//! dial -> hello -> welcome -> judge -> established: write what waits -> closed
//!   ^        |         |        |                                        |
//!   +--------+---------+--------+---- back-off; first retry at once <----+
//! ```
//!
//! A retry that finds nobody listening, or another process than was met, tells
//! the detector that the process is gone. On an established connection nothing but a refusal comes back; reading
//! it is what notices a close at once.
//!
//! Not here: what is written (`outbox.rs`), by whom (`writer.rs`), what arrives
//! (`listen.rs`).

use std::future::Future;
use std::rc::Rc;

use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::connection::{ConnectionError, out_of_place, read_frame, write_frame, write_refusal};
use crate::frame::{FrameKind, FrameReader, FrameSeal};
use crate::handshake::{
    Hello, Refusal, Standing, WIRE_VERSION_MAX, WIRE_VERSION_MIN, Welcome, acceptor_seal,
    dialler_seal, judge_welcome,
};
use crate::peer::Peer;
use crate::shared::Shared;
use crate::sink::{NetEvent, Sink};
use crate::writer::Progress;
use raftlet::core::Sender;

/// Dials a peer for ever.
pub(crate) async fn dial<S: Sink>(shared: Rc<Shared>, peer: Rc<Peer>, sink: Rc<S>) {
    let options = &shared.options;
    let seed = shared.nonce();
    let mut backoff = Backoff::new(seed, options.redial_min, options.redial_max);
    loop {
        let lived = dial_once(&shared, &peer, &*sink).await;
        if lived >= u64::try_from(options.redial_min.as_nanos()).unwrap_or(u64::MAX) {
            backoff.reset();
        }
        tokio::select! {
            biased;
            () = sleep(backoff.delay()) => {}
            () = peer.dial.notified() => {}
        }
    }
}

/// One connection from dial to end. Returns how long it was established, in
/// nanoseconds.
async fn dial_once(shared: &Shared, peer: &Peer, sink: &impl Sink) -> u64 {
    peer.count(|stats| stats.dials += 1);
    let node = peer.node;
    let mut dialled = match Dialled::open(shared, peer, sink).await {
        Ok(dialled) => dialled,
        Err(cause) => {
            on_dial_failed(shared, peer, sink, cause);
            return 0;
        }
    };
    let sender = dialled.welcome.sender;
    let since = shared.now();
    let seal = dialler_seal(&dialled.hello, &dialled.welcome);
    let (mut reading, writing) = dialled.stream.into_split();
    let writing = Rc::new(writing);
    let (standing, socket) = (dialled.standing, Rc::clone(&writing));
    let ended = peer.open_outbound((sender, standing), dialled.order, seal, socket);
    peer.count(|stats| stats.connects += 1);
    shared.show_roll_call_to(peer);
    shared.send_heartbeat(peer, &[]);
    shared.introduce_to(peer);
    shared.report_liveness(sink);
    sink.event(NetEvent::Connected { node, run: sender.run });
    let cause = tokio::select! {
        biased;
        cause = ended => cause.unwrap_or(ConnectionError::Replaced),
        frame = read_frame(&mut reading, &mut dialled.frames) => match frame {
            Ok(frame) => out_of_place(&frame),
            Err(error) => error,
        },
        error = make_room(&writing, peer) => error,
    };
    peer.close_outbound();
    count_end(peer, &cause);
    if let ConnectionError::RefusedBy(refusal) = cause {
        report_refused_by(peer, sink, refusal);
    } else {
        sink.event(NetEvent::Closed { node, cause });
    }
    shared.now().since(since)
}

/// Writes what a send could not, whenever the socket has room again, until the
/// connection fails.
async fn make_room(socket: &OwnedWriteHalf, peer: &Peer) -> ConnectionError {
    loop {
        match peer.write() {
            Ok(Progress::Done) => peer.stuck.notified().await,
            Ok(Progress::Stuck) => {
                if let Err(error) = socket.writable().await {
                    return ConnectionError::Io(error);
                }
            }
            Err(error) => return ConnectionError::Io(error),
        }
    }
}

/// A connection over which both sides said yes.
struct Dialled {
    stream: TcpStream,
    frames: FrameReader,
    hello: Hello,
    welcome: Welcome,
    standing: Standing,
    order: u64,
}

impl Dialled {
    async fn open(shared: &Shared, peer: &Peer, sink: &impl Sink) -> Result<Self, ConnectionError> {
        let mut stream = in_time(shared, connect(peer)).await?;
        stream.set_nodelay(true)?;
        let order = shared.next_order();
        let hello = Hello {
            version_min: WIRE_VERSION_MIN,
            version_max: WIRE_VERSION_MAX,
            cluster: shared.identity.cluster,
            sender: shared.identity.seat,
            to: peer.node,
            nonce: shared.nonce(),
        };
        let mut frames = FrameReader::for_handshake();
        let welcome = in_time(shared, greet(&mut stream, &mut frames, &hello)).await?;
        frames.establish(acceptor_seal(&hello, &welcome));
        let admit = async { Ok(admit(shared, peer, sink, &welcome).await) };
        let admitted = in_time(shared, admit).await?;
        let standing = match admitted {
            Ok(standing) => standing,
            Err(refusal) => {
                let seal = dialler_seal(&hello, &welcome);
                in_time(shared, write_refusal(&mut stream, seal, &refusal)).await?;
                return Err(ConnectionError::Refused(refusal));
            }
        };
        if !shared.met(welcome.sender, order) {
            return Err(ConnectionError::Leftover);
        }
        Ok(Self { stream, frames, hello, welcome, standing, order })
    }
}

/// Connects. When the peer is heard of meanwhile it has just come up, and an
/// attempt that lost its first packet is not worth waiting for.
async fn connect(peer: &Peer) -> Result<TcpStream, ConnectionError> {
    loop {
        tokio::select! {
            biased;
            connected = TcpStream::connect(peer.address()) => return Ok(connected?),
            () = peer.dial.notified() => {}
        }
    }
}

/// Says hello and reads the answer.
async fn greet(
    stream: &mut TcpStream,
    frames: &mut FrameReader,
    hello: &Hello,
) -> Result<Welcome, ConnectionError> {
    write_frame(stream, FrameKind::Hello, FrameSeal::HANDSHAKE, |into| {
        hello.encode(into);
    })
    .await?;
    let frame = read_frame(stream, frames).await?;
    match frame.kind {
        FrameKind::Welcome => Ok(Welcome::decode(&frame.body)?),
        _ => Err(out_of_place(&frame)),
    }
}

/// Judges who answered; what it proves is durable before it counts (rule 4).
async fn admit(
    shared: &Shared,
    peer: &Peer,
    sink: &impl Sink,
    welcome: &Welcome,
) -> Result<Standing, Refusal> {
    let judge = || judge_welcome(&shared.identity, peer.node, welcome, peer.known());
    judge()?;
    remember(shared, peer, sink, welcome.sender).await?;
    // Another connection may have brought news meanwhile.
    judge()
}

/// Makes a run durable that was not seen before.
pub(crate) async fn remember(
    shared: &Shared,
    peer: &Peer,
    sink: &impl Sink,
    sender: Sender,
) -> Result<(), Refusal> {
    let is_known =
        peer.known().remembered.is_some_and(|known| known == (sender.incarnation, sender.run));
    if is_known {
        return Ok(());
    }
    if let Err(error) = sink.remember(sender).await {
        let me = shared.identity.seat.node;
        let cause = format!("it cannot record start counters ({error})");
        return Err(Refusal::not_now(me, &cause));
    }
    let known = peer.known().remembered;
    let is_lower = known.is_some_and(|(i, run)| i == sender.incarnation && sender.run < run);
    if !is_lower {
        peer.set_remembered(sender);
    }
    Ok(())
}

/// Bounds a step of the handshake.
pub(crate) async fn in_time<T>(
    shared: &Shared,
    step: impl Future<Output = Result<T, ConnectionError>>,
) -> Result<T, ConnectionError> {
    timeout(shared.options.handshake_timeout, step).await.unwrap_or(Err(ConnectionError::Deadline))
}

fn on_dial_failed(shared: &Shared, peer: &Peer, sink: &impl Sink, cause: ConnectionError) {
    count_end(peer, &cause);
    if cause.is_node_gone() {
        let now = shared.now();
        shared.detector.borrow_mut().on_gone(now, peer.node);
        shared.report_liveness(sink);
    }
    let address = peer.address();
    match cause {
        ConnectionError::Refused(refusal) => sink.event(NetEvent::Refused { address, refusal }),
        ConnectionError::RefusedBy(refusal) => report_refused_by(peer, sink, refusal),
        cause => sink.event(NetEvent::DialFailed { node: peer.node, address, cause }),
    }
}

pub(crate) fn report_refused_by(peer: &Peer, sink: &impl Sink, refusal: Refusal) {
    sink.event(NetEvent::RefusedBy { node: peer.node, address: peer.address(), refusal });
}

pub(crate) fn count_end(peer: &Peer, cause: &ConnectionError) {
    peer.count(|stats| match cause {
        ConnectionError::Refused(_) => stats.refusals_sent += 1,
        ConnectionError::RefusedBy(_) => stats.refusals_received += 1,
        cause if cause.is_protocol() => stats.protocol_errors += 1,
        _ => {}
    });
}
