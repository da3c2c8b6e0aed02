//! One request to an admin port whose answer is taken piece by piece.
//!
//! Invariants
//! - Of the answer one piece is held, at most [`PIECE_BYTES`], besides its head.
//! - Silence ends it, however long the whole may take (rule 34).
//! - That it is whole is not known here: the connection's end is all there is,
//!   so what is sent must say so itself.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::process::failure::Failure;

/// Largest head of an answer.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Largest answer in words.
const WORDS_BYTES_MAX: usize = 64 << 10;
/// Taken at a time.
const PIECE_BYTES: usize = 256 << 10;

/// How a node answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// With what was asked for.
    Pieces(Download),
    /// In words, why not.
    Words(String),
}

/// An answer on its way.
#[derive(Debug)]
pub(crate) struct Download {
    stream: TcpStream,
    address: String,
    patience: Duration,
    /// What came with the head.
    rest: BytesMut,
}

/// Posts JSON to `http://address/path` and waits for the head of the answer.
/// `patience` is for each silence of the node.
///
/// # Errors
/// Nobody answers, in time, or with HTTP.
pub(crate) async fn download(
    address: &str,
    path: &str,
    json: &str,
    patience: Duration,
) -> Result<Answer, Failure> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    );
    let connecting = timeout(patience, TcpStream::connect(address)).await;
    let stream = match connecting {
        Ok(connected) => connected.map_err(|error| gone(address, &error.to_string()))?,
        Err(_) => return Err(silent(address, patience)),
    };
    let (address, rest) = (address.to_owned(), BytesMut::new());
    let mut download = Download { stream, address, patience, rest };
    let written = download.stream.write_all(request.as_bytes()).await;
    written.map_err(|error| gone(&download.address, &error.to_string()))?;
    let code = download.head().await?;
    if code == 200 { Ok(Answer::Pieces(download)) } else { download.words().await }
}

impl Download {
    /// The next piece; `None` when the node has closed the connection.
    ///
    /// # Errors
    /// It broke, or the node fell silent.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.rest.is_empty() && self.read().await? == 0 {
            return Ok(None);
        }
        Ok(Some(self.rest.split().freeze()))
    }

    async fn read(&mut self) -> Result<usize, Failure> {
        self.rest.reserve(PIECE_BYTES);
        let limit = u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX);
        let mut limited = (&mut self.stream).take(limit);
        match timeout(self.patience, limited.read_buf(&mut self.rest)).await {
            Ok(read) => read.map_err(|error| gone(&self.address, &error.to_string())),
            Err(_) => Err(silent(&self.address, self.patience)),
        }
    }

    /// Takes the head off, and gives the status code.
    async fn head(&mut self) -> Result<u16, Failure> {
        loop {
            if let Some(end) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.rest.split_to(end + 4);
                return code(&head).ok_or_else(|| foreign(&self.address));
            }
            if self.rest.len() > HEAD_BYTES_MAX || self.read().await? == 0 {
                return Err(foreign(&self.address));
            }
        }
    }

    async fn words(mut self) -> Result<Answer, Failure> {
        while self.rest.len() < WORDS_BYTES_MAX && self.read().await? > 0 {}
        Ok(Answer::Words(String::from_utf8_lossy(&self.rest).trim().to_owned()))
    }
}

fn code(head: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(head).ok()?;
    text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

fn gone(address: &str, why: &str) -> Failure {
    Failure::unreachable(format!(
        "cannot talk to the admin port {address}: {why}; is the node running, and is this its \
         --admin-addr?"
    ))
}

fn silent(address: &str, patience: Duration) -> Failure {
    Failure::unreachable(format!(
        "no word from the admin port {address} within {} ms; ask again with a longer --timeout-ms",
        patience.as_millis()
    ))
}

fn foreign(address: &str) -> Failure {
    Failure::unreachable(format!(
        "{address} does not answer as an admin port does; is this the node's --admin-addr?"
    ))
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn a_code_is_read_from_an_answer_and_from_nothing_else() {
        assert_eq!(code(b"HTTP/1.1 409 Conflict\r\n\r\n"), Some(409));
        for other in [&b"SSH-2.0-x\r\n\r\n"[..], b"HTTP/1.1 \r\n\r\n", b"HTTP/1.1 4x9 \r\n\r\n"] {
            assert_eq!(code(other), None);
        }
    }
}
