//! Links that can be cut where a machine allows no network namespaces: in front
//! of each node's peer port stands a proxy of this process, which all other
//! nodes dial.
//!
//! A cut holds back what one node sends to another, on connections of either's
//! making, and new connections with it; nobody sees a connection end. So it is
//! with a link that drops packets. Who dials is read from the handshake
//! (docs/wire.md, hello).

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::free_port::free_door;
use crate::hosts::Links;
use crate::waiting::connect;

/// Bytes of a frame's header, and where in a hello's body the dialler's node
/// id stands.
const HEADER_BYTES: usize = 16;
const NODE_AT: usize = HEADER_BYTES + 28;
const HELLO_BYTES_MIN: usize = NODE_AT + 8;

/// A proxy in front of each node.
pub(crate) struct Proxies {
    ports: Vec<u16>,
    cuts: Arc<Cuts>,
}

/// Which directions are cut.
#[derive(Default)]
struct Cuts {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// From, to.
    cut: Vec<(usize, usize)>,
    is_over: bool,
}

impl Proxies {
    /// Proxies in front of these peer ports of loopback.
    pub(crate) fn before(peers: &[u16]) -> Self {
        let cuts = Arc::<Cuts>::default();
        let ports = peers.iter().enumerate().map(|(to, peer)| {
            let (door, port) = free_door();
            let (peer, cuts) = (*peer, Arc::clone(&cuts));
            thread::spawn(move || {
                for stream in door.incoming().flatten() {
                    let cuts = Arc::clone(&cuts);
                    // One that broke is dialled anew by the node.
                    thread::spawn(move || carry(stream, (to, peer), &cuts));
                }
            });
            port
        });
        Self { ports: ports.collect(), cuts: Arc::clone(&cuts) }
    }

    /// Where other nodes dial this one.
    pub(crate) fn port(&self, at: usize) -> u16 {
        self.ports[at]
    }
}

impl Links for Proxies {
    fn cut(&self, from: usize, to: usize) {
        self.cuts.state.lock().unwrap().cut.push((from, to));
    }

    fn heal(&self) {
        self.cuts.state.lock().unwrap().cut.clear();
        self.cuts.changed.notify_all();
    }
}

impl Drop for Proxies {
    fn drop(&mut self) {
        self.cuts.state.lock().unwrap().is_over = true;
        self.cuts.changed.notify_all();
    }
}

impl Cuts {
    /// Waits while a direction is cut. False: the test is over.
    fn pass(&self, from: usize, to: usize) -> bool {
        let state = self.state.lock().unwrap();
        let is_held = |state: &mut State| !state.is_over && state.cut.contains(&(from, to));
        !self.changed.wait_while(state, is_held).unwrap().is_over
    }
}

/// Carries one connection to its end.
fn carry(mut dialler: TcpStream, (to, peer): (usize, u16), cuts: &Arc<Cuts>) -> Option<()> {
    let mut hello = [0; HELLO_BYTES_MIN];
    dialler.read_exact(&mut hello).ok()?;
    let node = u64::from_le_bytes(hello[NODE_AT..].try_into().unwrap());
    let from = usize::try_from(node).ok()?.checked_sub(1)?;
    if !cuts.pass(from, to) {
        return None;
    }
    let mut acceptor = connect((Ipv4Addr::LOCALHOST, peer)).ok()?;
    // Silence ends no connection, and nobody waits for this thread.
    acceptor.set_read_timeout(None).ok()?;
    acceptor.set_nodelay(true).ok()?;
    dialler.set_nodelay(true).ok()?;
    acceptor.write_all(&hello).ok()?;
    let (back_from, back_to) = (acceptor.try_clone().ok()?, dialler.try_clone().ok()?);
    let back = Arc::clone(cuts);
    thread::spawn(move || pump(back_from, back_to, (to, from), &back));
    pump(dialler, acceptor, (from, to), cuts);
    Some(())
}

fn pump(mut source: TcpStream, mut sink: TcpStream, (from, to): (usize, usize), cuts: &Cuts) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let len = source.read(&mut bytes).unwrap_or(0);
        // The end of a connection is held back, too.
        if !cuts.pass(from, to) || len == 0 || sink.write_all(&bytes[..len]).is_err() {
            break;
        }
    }
    let _ = sink.shutdown(Shutdown::Both);
    let _ = source.shutdown(Shutdown::Both);
}
