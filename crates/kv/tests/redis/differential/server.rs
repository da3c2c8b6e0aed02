//! A Redis of this test's own, reached through a socket in the file system.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use raftlet_kv::{Reply, ReplyParser, push_request};

/// For the start, and for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

pub struct RedisServer {
    process: Process,
    stream: UnixStream,
}

/// Killed when it is dropped.
#[derive(Debug)]
struct Process {
    child: Child,
    socket: PathBuf,
}

impl RedisServer {
    /// A fresh server; `None` if there is no program of the right version.
    pub fn start() -> Option<Self> {
        // Several tests of this process may have one each.
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("raftlet-differential-{}-{number}.sock", std::process::id());
        let socket = std::env::temp_dir().join(name);
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        // Ended with this function, however that ends.
        let process = Process { child: process, socket };
        let mut stream = None;
        look_for(PATIENCE, || {
            stream = connect(&process.socket).ok();
            stream.is_some()
        });
        let stream = stream.unwrap_or_else(|| panic!("redis-server does not listen: {process:?}"));
        let mut server = Self { process, stream };
        server.is_known().then_some(server)
    }

    /// Whether replies are those of the version that is imitated.
    fn is_known(&mut self) -> bool {
        let mut wire = Vec::new();
        push_request(&mut wire, &[b"INFO", b"server"]);
        let reply = self.ask_parsed(&wire);
        let Reply::Bulk(text) = reply else { panic!("not a text: {reply:?}") };
        String::from_utf8_lossy(&text).contains("redis_version:7.0.")
    }

    /// The replies to so many requests.
    pub fn ask(&mut self, requests: &[u8], replies_len: usize) -> Vec<Bytes> {
        ask(&mut self.stream, requests, replies_len)
    }

    /// A further connection.
    pub fn connect(&self) -> UnixStream {
        connect(&self.process.socket).expect("Redis listens")
    }

    /// The reply to one request.
    pub fn ask_parsed(&mut self, request: &[u8]) -> Reply {
        let reply = self.ask(request, 1).remove(0);
        let mut input = BytesMut::from(&reply[..]);
        let parsed = ReplyParser::new(16 << 20).next_reply(&mut input);
        parsed.expect("a reply").expect("a whole reply")
    }

    /// Its calendar, in milliseconds.
    pub fn time_ms(&mut self) -> u64 {
        let mut wire = Vec::new();
        push_request(&mut wire, &[b"TIME"]);
        let reply = self.ask_parsed(&wire);
        let Reply::Array(parts) = reply else { panic!("not a time: {reply:?}") };
        let number = |at: usize| match &parts[at] {
            Reply::Bulk(text) => String::from_utf8_lossy(text).parse().expect("a number"),
            other => panic!("not a number: {other:?}"),
        };
        let (seconds, micros): (u64, u64) = (number(0), number(1));
        seconds * 1_000 + micros / 1_000
    }
}

/// The replies to so many requests on one connection.
pub fn ask(stream: &mut UnixStream, requests: &[u8], replies_len: usize) -> Vec<Bytes> {
    stream.write_all(requests).expect("Redis reads");
    let mut parser = ReplyParser::new(16 << 20);
    let mut input = BytesMut::new();
    let mut arrived = BytesMut::new();
    let mut replies = Vec::new();
    let mut chunk = [0; 64 << 10];
    while replies.len() < replies_len {
        let bytes = stream.read(&mut chunk).expect("Redis answers");
        assert!(bytes > 0, "Redis hung up");
        input.extend_from_slice(&chunk[..bytes]);
        arrived.extend_from_slice(&chunk[..bytes]);
        while parser.next_reply(&mut input).expect("well-formed replies").is_some() {
            replies.push(arrived.split_to(arrived.len() - input.len()).freeze());
        }
    }
    replies
}

/// A connection on which no read and no write waits for ever.
#[expect(clippy::disallowed_methods, reason = "this is where connections are bounded")]
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Looks until it holds, or for so long: another process cannot be awaited
/// otherwise.
fn look_for(longest: Duration, mut holds: impl FnMut() -> bool) {
    let (_silent, nothing) = mpsc::channel::<()>();
    let looks = longest.as_millis() / BETWEEN_LOOKS.as_millis();
    for _ in 0..looks {
        if holds() {
            return;
        }
        let _ = nothing.recv_timeout(BETWEEN_LOOKS);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        look_for(PATIENCE, || matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)));
        let _ = std::fs::remove_file(&self.socket);
    }
}
