//! The demo's own Redis client: one connection, one question at a time, or a
//! batch.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use raftlet_kv::{Reply, ReplyParser, push_request};

/// Largest reply that is taken; the demo's values have some dozen bytes.
const REPLY_BYTES_MAX: usize = 1 << 20;
/// A connect on loopback either succeeds at once or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// A connection to one node's client port.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    input: BytesMut,
    output: Vec<u8>,
    parser: ReplyParser,
}

impl Connection {
    /// Connects, within a second.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            input: BytesMut::with_capacity(4 << 10),
            output: Vec::new(),
            parser: ReplyParser::new(REPLY_BYTES_MAX),
        })
    }

    /// Asks and waits for the answer, however long it takes.
    ///
    /// # Errors
    /// The connection broke: whether it was done is not known.
    pub(super) async fn ask(&mut self, request: &[&[u8]]) -> io::Result<Reply> {
        self.send(std::iter::once(request)).await?;
        self.next().await
    }

    /// Sends requests in one write; as many calls of [`Connection::next`] get
    /// the answers.
    ///
    /// # Errors
    /// The connection broke.
    pub(super) async fn send<'a>(
        &mut self,
        requests: impl Iterator<Item = &'a [&'a [u8]]>,
    ) -> io::Result<()> {
        self.output.clear();
        for request in requests {
            push_request(&mut self.output, request);
        }
        self.stream.write_all(&self.output).await
    }

    /// The next answer.
    ///
    /// # Errors
    /// The connection broke, or what came is no reply.
    pub(super) async fn next(&mut self) -> io::Result<Reply> {
        loop {
            if let Some(reply) =
                self.parser.next_reply(&mut self.input).map_err(io::Error::other)?
            {
                return Ok(reply);
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
