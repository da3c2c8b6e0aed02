//! The floor of table `cluster`: three durable copies and nothing else.
//!
//! Redis' protocol in; what arrived in one turn of the loop goes to both
//! followers in one frame and to the own disk in one direct synced write over
//! space written before; a majority answers, the replies leave. No terms, no
//! elections, no log format, no keyspace: a GET is answered with a constant,
//! without asking anybody. One thread, readiness by epoll.
//!
//! ```text
//! null-replicator --listen PORT --file FILE                    a follower
//! null-replicator --listen PORT --file FILE --followers P,Q    the leader
//! frame: length u32, sequence u64, bytes; its answer: sequence u64
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

const BLOCK: usize = 4096;
const FILE_BYTES: usize = 64 << 20;
const FRAME_HEAD: usize = 12;
const READ_BYTES: usize = 256 << 10;
const O_DIRECT: u32 = rustix::fs::OFlags::DIRECT.bits();
const O_DSYNC: u32 = rustix::fs::OFlags::DSYNC.bits();
/// The listener's name among the events; connections count from 1.
const LISTENER: u64 = 0;

#[derive(Debug, Parser)]
struct Cli {
    #[arg(long)]
    listen: u16,
    #[arg(long)]
    file: PathBuf,
    #[arg(long, value_delimiter = ',')]
    followers: Vec<u16>,
}

/// Space that was written before, overwritten in a circle.
struct Disk {
    file: File,
    at: usize,
    buffer: Vec<u8>,
    start: usize,
}

impl Disk {
    fn open(path: &Path) -> std::io::Result<Self> {
        let mut plain = File::create(path)?;
        for _ in 0..FILE_BYTES / (1 << 20) {
            plain.write_all(&vec![0; 1 << 20])?;
        }
        plain.sync_all()?;
        let flags = i32::try_from(O_DIRECT | O_DSYNC).expect("flags are small");
        let file = File::options().write(true).custom_flags(flags).open(path)?;
        let buffer = vec![0; 8 << 20];
        let start = buffer.as_ptr().align_offset(BLOCK);
        Ok(Self { file, at: 0, buffer, start })
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        for part in bytes.chunks(4 << 20) {
            let length = part.len().next_multiple_of(BLOCK);
            self.buffer[self.start..self.start + part.len()].copy_from_slice(part);
            if self.at + length > FILE_BYTES {
                self.at = 0;
            }
            let block = &self.buffer[self.start..self.start + length];
            self.file.write_all_at(block, self.at as u64)?;
            self.at += length;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Client,
    /// A leader's connection to a follower.
    Follower,
    /// A follower's connection from its leader.
    Leader,
}

struct Connection {
    stream: TcpStream,
    kind: Kind,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Whether the socket was full and its room is waited for.
    stuck: bool,
}

struct Node {
    epoll: rustix::fd::OwnedFd,
    listener: TcpListener,
    leads: bool,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    disk: Disk,
    read: Vec<u8>,
    batch: Vec<u8>,
    sequence: u64,
    /// Replies that wait for a sequence, per turn.
    waiting: VecDeque<(u64, Vec<(u64, u64)>)>,
    sets: Vec<(u64, u64)>,
}

fn main() -> std::io::Result<()> {
    let cli = Cli::parse();
    let mut node = Node::new(&cli)?;
    for port in &cli.followers {
        let since = Instant::now();
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", *port)) {
                Ok(stream) => break stream,
                Err(error) if since.elapsed() > Duration::from_secs(20) => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        node.add(stream, Kind::Follower)?;
    }
    // Clients only when followers are there: to answer is to be ready.
    let token = EventData::new_u64(LISTENER);
    epoll::add(&node.epoll, &node.listener, token, EventFlags::IN)?;
    let mut events = Vec::with_capacity(512);
    loop {
        events.clear();
        epoll::wait(&node.epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            node.ready(event.data.u64())?;
        }
        node.turn()?;
    }
}

impl Node {
    fn new(cli: &Cli) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", cli.listen))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            listener,
            leads: !cli.followers.is_empty(),
            connections: BTreeMap::new(),
            next: LISTENER + 1,
            disk: Disk::open(&cli.file)?,
            read: vec![0; READ_BYTES],
            batch: Vec::new(),
            sequence: 0,
            waiting: VecDeque::new(),
            sets: Vec::new(),
        })
    }

    fn add(&mut self, stream: TcpStream, kind: Kind) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&self.epoll, &stream, EventData::new_u64(self.next), EventFlags::IN)?;
        let connection = Connection { stream, kind, input: vec![], output: vec![], stuck: false };
        self.connections.insert(self.next, connection);
        self.next += 1;
        Ok(())
    }

    /// Reads what has arrived; nothing is answered before the turn's end.
    fn ready(&mut self, token: u64) -> std::io::Result<()> {
        if token == LISTENER {
            while let Ok((stream, _)) = self.listener.accept() {
                self.add(stream, if self.leads { Kind::Client } else { Kind::Leader })?;
            }
            return Ok(());
        }
        let Some(connection) = self.connections.get_mut(&token) else { return Ok(()) };
        match connection.stream.read(&mut self.read) {
            Ok(0) => {
                self.connections.remove(&token);
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => {
                self.connections.remove(&token);
                return Ok(());
            }
            Ok(read) => connection.input.extend_from_slice(&self.read[..read]),
        }
        match connection.kind {
            Kind::Client => self.requests(token),
            Kind::Leader => self.frames(token),
            Kind::Follower => self.answers(token),
        }
        Ok(())
    }

    fn requests(&mut self, token: u64) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        let (mut at, mut sets) = (0, 0);
        while let Some((length, name)) = request(&connection.input[at..]) {
            match name {
                b'S' => {
                    self.batch.extend_from_slice(&connection.input[at..at + length]);
                    sets += 1;
                }
                b'G' => {
                    connection.output.extend_from_slice(b"$256\r\n");
                    connection.output.extend_from_slice(&[b'v'; 256]);
                    connection.output.extend_from_slice(b"\r\n");
                }
                _ => connection.output.extend_from_slice(b"+PONG\r\n"),
            }
            at += length;
        }
        connection.input.drain(..at);
        if sets > 0 {
            self.sets.push((token, sets));
        }
    }

    /// A follower: gathers every whole frame.
    fn frames(&mut self, token: u64) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        let mut at = 0;
        while let Some(head) = connection.input.get(at..at + FRAME_HEAD) {
            let length = u32::from_le_bytes(head[..4].try_into().expect("4 bytes")) as usize;
            let sequence = u64::from_le_bytes(head[4..].try_into().expect("8 bytes"));
            let from = at + FRAME_HEAD;
            let Some(bytes) = connection.input.get(from..from + length) else { break };
            self.batch.extend_from_slice(bytes);
            self.sequence = sequence;
            at = from + length;
        }
        connection.input.drain(..at);
        if at > 0 {
            self.sets.push((token, 1));
        }
    }

    /// A leader: one of two followers is a majority with itself.
    fn answers(&mut self, token: u64) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        let whole = connection.input.len() / 8 * 8;
        let Some(last) = connection.input.get(whole.wrapping_sub(8)..whole) else { return };
        let acked = u64::from_le_bytes(last.try_into().expect("8 bytes"));
        connection.input.drain(..whole);
        while self.waiting.front().is_some_and(|(sequence, _)| *sequence <= acked) {
            let (_, replies) = self.waiting.pop_front().expect("there is a front");
            for (client, count) in replies {
                if let Some(client) = self.connections.get_mut(&client) {
                    for _ in 0..count {
                        client.output.extend_from_slice(b"+OK\r\n");
                    }
                }
            }
        }
    }

    /// One send per peer, one synced write, one send per client.
    fn turn(&mut self) -> std::io::Result<()> {
        if !self.batch.is_empty() && self.leads {
            self.sequence += 1;
            let length = u32::try_from(self.batch.len()).expect("a turn is small");
            let followers = self.connections.values_mut().filter(|c| c.kind == Kind::Follower);
            for follower in followers {
                follower.output.extend_from_slice(&length.to_le_bytes());
                follower.output.extend_from_slice(&self.sequence.to_le_bytes());
                follower.output.extend_from_slice(&self.batch);
            }
            self.flush(|kind| kind == Kind::Follower)?;
            self.disk.write(&self.batch)?;
            self.waiting.push_back((self.sequence, std::mem::take(&mut self.sets)));
        } else if !self.batch.is_empty() {
            self.disk.write(&self.batch)?;
            let sequence = self.sequence.to_le_bytes();
            for (token, _) in std::mem::take(&mut self.sets) {
                if let Some(leader) = self.connections.get_mut(&token) {
                    leader.output.extend_from_slice(&sequence);
                }
            }
        }
        self.batch.clear();
        self.flush(|_| true)
    }

    fn flush(&mut self, which: impl Fn(Kind) -> bool) -> std::io::Result<()> {
        let mut broken = Vec::new();
        for (&token, connection) in &mut self.connections {
            if connection.output.is_empty() || !which(connection.kind) {
                continue;
            }
            match connection.stream.write(&connection.output) {
                Ok(written) => {
                    connection.output.drain(..written);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => broken.push(token),
            }
            let stuck = !connection.output.is_empty();
            if stuck != connection.stuck {
                connection.stuck = stuck;
                let wanted = if stuck { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
                let token = EventData::new_u64(token);
                epoll::modify(&self.epoll, &connection.stream, token, wanted)?;
            }
        }
        for token in broken {
            self.connections.remove(&token);
        }
        Ok(())
    }
}

/// Length and first letter of the request in front, once it is whole.
fn request(bytes: &[u8]) -> Option<(usize, u8)> {
    let (words, mut at) = number(bytes, 0)?;
    let mut name = 0;
    for word in 0..words {
        let (length, from) = number(bytes, at)?;
        if word == 0 {
            name = *bytes.get(from)?;
        }
        at = from + length + 2;
    }
    (bytes.len() >= at).then_some((at, name))
}

/// The number behind the mark at `at`, and where the next line begins.
fn number(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut value = 0;
    for (digit, place) in bytes.get(at + 1..)?.iter().zip(at + 1..) {
        match digit {
            b'0'..=b'9' => value = value * 10 + usize::from(digit - b'0'),
            b'\r' => return Some((value, place + 2)),
            _ => {}
        }
    }
    None
}
