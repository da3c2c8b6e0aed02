//! A blocking Redis client for tests.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::BytesMut;

use crate::waiting;
use raftlet_kv::{Reply, ReplyParser, push_request};

pub(crate) struct Client {
    stream: TcpStream,
    input: BytesMut,
    parser: ReplyParser,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = waiting::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: BytesMut::new(), parser: ReplyParser::new(4 << 20) })
    }

    /// The same connection, to receive on while this one sends.
    pub(crate) fn second_half(&self) -> std::io::Result<Self> {
        let stream = self.stream.try_clone()?;
        Ok(Self { stream, input: BytesMut::new(), parser: ReplyParser::new(4 << 20) })
    }

    pub(crate) fn send(&mut self, requests: &[&[&str]]) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        for request in requests {
            let args: Vec<&[u8]> = request.iter().map(|arg| arg.as_bytes()).collect();
            push_request(&mut bytes, &args);
        }
        self.stream.write_all(&bytes)
    }

    pub(crate) fn receive(&mut self) -> std::io::Result<Reply> {
        loop {
            let parsed = self.parser.next_reply(&mut self.input);
            if let Some(reply) = parsed.map_err(std::io::Error::other)? {
                return Ok(reply);
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.input.extend_from_slice(&chunk[..len]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn try_ask(&mut self, request: &[&str]) -> std::io::Result<Reply> {
        self.send(&[request])?;
        self.receive()
    }

    /// Asks a question that must be answered.
    pub(crate) fn ask(&mut self, request: &[&str]) -> Reply {
        self.try_ask(request)
            .unwrap_or_else(|error| panic!("{request:?} was not answered: {error}"))
    }
}

pub(crate) fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.to_owned().into())
}

/// The text of an error reply; empty for another reply.
pub(crate) fn error_text(reply: &Reply) -> String {
    match reply {
        Reply::Error(text) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    }
}
