//! A Redis of this test's own, reached through a socket in the file system.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
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
    process: Child,
    socket: PathBuf,
    stream: UnixStream,
}

impl RedisServer {
    /// A fresh server; `None` if there is no program of the right version.
    #[expect(clippy::zombie_processes, reason = "one that never listens fails the test")]
    pub fn start() -> Option<Self> {
        let version = Command::new("redis-server").arg("--version").output().ok()?;
        if !String::from_utf8_lossy(&version.stdout).contains(" v=7.0.") {
            return None;
        }
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
            .expect("redis-server starts");
        let (_silent, nothing) = mpsc::channel::<()>();
        let looks = PATIENCE.as_millis() / BETWEEN_LOOKS.as_millis();
        for _ in 0..looks {
            if let Ok(stream) = UnixStream::connect(&socket) {
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                return Some(Self { process, socket, stream });
            }
            // Another process cannot be awaited otherwise.
            let _ = nothing.recv_timeout(BETWEEN_LOOKS);
        }
        panic!("redis-server does not listen at {}", socket.display());
    }

    /// The replies to so many requests.
    pub fn ask(&mut self, requests: &[u8], replies_len: usize) -> Vec<Bytes> {
        ask(&mut self.stream, requests, replies_len)
    }

    /// A further connection.
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).expect("Redis listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
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

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}
