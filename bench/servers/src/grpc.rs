//! etcd's gRPC, by hand: HTTP/2 and three messages of a few fields.
//!
//! A general gRPC client costs more than many a server; this one does what is
//! needed and no more, so that the client is as cheap for etcd as the other
//! one is for Redis' protocol. Several clients may share a connection, as
//! etcd's own clients do.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Failure;

/// A connection; clones share it.
#[derive(Clone, Debug)]
pub struct Connection {
    sender: SendRequest<Bytes>,
}

fn text(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}

fn varint(into: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        into.put_u8(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    into.put_u8(u8::try_from(value).unwrap_or(0));
}

fn field(into: &mut BytesMut, number: u64, bytes: &[u8]) {
    varint(into, number << 3 | 2);
    varint(into, bytes.len() as u64);
    into.put_slice(bytes);
}

/// A message in its frame.
fn frame(fields: &[(u64, &[u8])]) -> Bytes {
    let mut message = BytesMut::with_capacity(512);
    message.put_bytes(0, 5);
    for (number, bytes) in fields {
        field(&mut message, *number, bytes);
    }
    let length = u32::try_from(message.len() - 5).unwrap_or(0);
    message[1..5].copy_from_slice(&length.to_be_bytes());
    message.freeze()
}

/// The varint of field `number` at the top level of `message`.
fn number_in(mut message: &[u8], number: u64) -> Option<u64> {
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        match key & 7 {
            0 => {
                let value = take_varint(&mut message)?;
                if key >> 3 == number {
                    return Some(value);
                }
            }
            2 => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            _ => return None,
        }
    }
    None
}

/// The bytes of field `number` at the top level of `message`.
fn bytes_in(mut message: &[u8], number: u64) -> Option<&[u8]> {
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        match key & 7 {
            0 => {
                take_varint(&mut message)?;
            }
            2 => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(length)?;
                if key >> 3 == number {
                    return Some(bytes);
                }
                message = rest;
            }
            _ => return None,
        }
    }
    None
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

impl Connection {
    /// Connects to a port of this machine.
    ///
    /// # Errors
    /// It does not answer in time.
    pub async fn open(port: u16, within: Duration) -> Result<Self, Failure> {
        let opening = async {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(text)?;
            stream.set_nodelay(true).map_err(text)?;
            let (sender, connection) = h2::client::Builder::new()
                .initial_window_size(1 << 20)
                .initial_connection_window_size(8 << 20)
                .handshake::<_, Bytes>(stream)
                .await
                .map_err(text)?;
            tokio::task::spawn_local(async move {
                // Its end shows in the requests that wait.
                let _ = connection.await;
            });
            sender.ready().await.map_err(text)
        };
        let late = |_| format!("port {port} does not answer");
        Ok(Self { sender: timeout(within, opening).await.map_err(late)?? })
    }

    async fn call(&mut self, path: &'static str, message: Bytes) -> Result<BytesMut, Failure> {
        let request = Request::post(format!("http://127.0.0.1{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .map_err(text)?;
        let mut sender = self.sender.clone().ready().await.map_err(text)?;
        let (response, mut body) = sender.send_request(request, false).map_err(text)?;
        body.send_data(message, true).map_err(text)?;
        let response = response.await.map_err(text)?;
        let status = |headers: &http::HeaderMap| {
            headers.get("grpc-status").map(|status| {
                let said = headers.get("grpc-message").map(|said| format!("{said:?}"));
                (status.as_bytes() == b"0", said.unwrap_or_default())
            })
        };
        let early = status(response.headers());
        let mut answer = BytesMut::new();
        let mut body = response.into_body();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.map_err(text)?;
            answer.extend_from_slice(&chunk);
            body.flow_control().release_capacity(chunk.len()).map_err(text)?;
        }
        let trailers = body.trailers().await.map_err(text)?.unwrap_or_default();
        match early.or_else(|| status(&trailers)) {
            Some((true, _)) if answer.len() >= 5 => Ok(answer.split_off(5)),
            Some((_, said)) => Err(format!("etcd refuses: {said}")),
            None => Err("etcd sent no status".to_owned()),
        }
    }

    /// Writes one key.
    ///
    /// # Errors
    /// It was not acknowledged.
    pub async fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        let message = frame(&[(1, key), (2, value)]);
        self.call("/etcdserverpb.KV/Put", message).await.map(|_| ())
    }

    /// Reads one key, linearizably.
    ///
    /// # Errors
    /// It was not answered, or there is no such key.
    pub async fn get(&mut self, key: &[u8]) -> Result<(), Failure> {
        let answer = self.call("/etcdserverpb.KV/Range", frame(&[(1, key)])).await?;
        bytes_in(&answer, 2).map(|_| ()).ok_or_else(|| "no such key".to_owned())
    }

    /// Whether the member behind this connection leads; `None` without leader.
    ///
    /// # Errors
    /// It was not answered.
    pub async fn leads(&mut self) -> Result<Option<bool>, Failure> {
        let answer = self.call("/etcdserverpb.Maintenance/Status", frame(&[])).await?;
        let member = bytes_in(&answer, 1).and_then(|header| number_in(header, 2));
        let leader = number_in(&answer, 4).filter(|&leader| leader != 0);
        Ok(leader.map(|leader| Some(leader) == member))
    }
}
