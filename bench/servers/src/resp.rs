//! Redis' protocol, as much of it as a load generator needs.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Failure;

/// A connection that sends requests and counts answers.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    filled: usize,
}

/// Appends one request.
pub fn request(into: &mut Vec<u8>, words: &[&[u8]]) {
    into.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        into.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        into.extend_from_slice(word);
        into.extend_from_slice(b"\r\n");
    }
}

/// What a batch of answers said.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Successes; a missing value is none.
    pub good: u64,
    /// The rest.
    pub bad: u64,
    /// The first of the rest, in its own words.
    pub first_bad: Option<String>,
}

impl Connection {
    /// Connects to a port of this machine.
    ///
    /// # Errors
    /// It does not answer in time.
    pub async fn open(port: u16, within: Duration) -> Result<Self, Failure> {
        let connecting = TcpStream::connect(("127.0.0.1", port));
        let stream = timeout(within, connecting)
            .await
            .map_err(|_| format!("port {port} does not answer"))?
            .map_err(|error| format!("port {port}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self { stream, read: vec![0; 64 << 10], filled: 0 })
    }

    /// Sends requests and waits for as many answers.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn exchange(&mut self, requests: &[u8], count: u64) -> Result<Answers, Failure> {
        self.stream.write_all(requests).await.map_err(|error| error.to_string())?;
        let mut answers = Answers::default();
        while answers.good + answers.bad < count {
            if self.filled == self.read.len() {
                self.read.resize(2 * self.read.len(), 0);
            }
            let room = &mut self.read[self.filled..];
            let read = self.stream.read(room).await.map_err(|error| error.to_string())?;
            if read == 0 {
                return Err("the server closed the connection".to_owned());
            }
            self.filled += read;
            let mut at = 0;
            while let Some(length) = answer_bytes(&self.read[at..self.filled]) {
                let answer = &self.read[at..at + length];
                if answer.starts_with(b"-") || answer.starts_with(b"$-1") {
                    answers.bad += 1;
                    let text = || String::from_utf8_lossy(answer).trim().to_owned();
                    answers.first_bad.get_or_insert_with(text);
                } else {
                    answers.good += 1;
                }
                at += length;
            }
            self.read.copy_within(at..self.filled, 0);
            self.filled -= at;
        }
        Ok(answers)
    }

    /// Sends one request and waits for its answer, as it stands on the wire.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>, Failure> {
        self.stream.write_all(request).await.map_err(|error| error.to_string())?;
        loop {
            if let Some(length) = answer_bytes(&self.read[..self.filled]) {
                let answer = self.read[..length].to_vec();
                self.read.copy_within(length..self.filled, 0);
                self.filled -= length;
                return Ok(answer);
            }
            if self.filled == self.read.len() {
                self.read.resize(2 * self.read.len(), 0);
            }
            let room = &mut self.read[self.filled..];
            let read = self.stream.read(room).await.map_err(|error| error.to_string())?;
            if read == 0 {
                return Err("the server closed the connection".to_owned());
            }
            self.filled += read;
        }
    }
}

/// Bytes of the answer in front, once it is whole: a line, or a bulk string.
fn answer_bytes(bytes: &[u8]) -> Option<usize> {
    let line = bytes.iter().position(|&byte| byte == b'\n')? + 1;
    if bytes.first() != Some(&b'$') {
        return Some(line);
    }
    let length = std::str::from_utf8(&bytes[1..line]).ok()?.trim().parse::<i64>().ok()?;
    let whole = usize::try_from(length).map_or(line, |length| line + length + 2);
    (bytes.len() >= whole).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::answer_bytes;

    #[test]
    fn an_answer_counts_only_when_it_is_whole() {
        assert_eq!(answer_bytes(b"+OK\r\n+OK"), Some(5));
        assert_eq!(answer_bytes(b"$3\r\nab"), None);
        assert_eq!(answer_bytes(b"$3\r\nabc\r\n$"), Some(9));
        assert_eq!(answer_bytes(b"$-1\r\n"), Some(5));
    }
}
