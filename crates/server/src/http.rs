//! Just enough HTTP/1.1 for an admin port: one GET, one answer, closed.
//!
//! Both sides live here: the parsing of a request head and the bytes of an
//! answer for `admin.rs`, and [`get`] for the `status` command and the demo.
//!
//! Invariants
//! - Neither side holds more than a named number of bytes of the other's
//!   (rule 34), and [`get`] ends by its deadline.
//!
//! Not here: who listens and what the paths mean (`admin.rs`).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::failure::Failure;

/// Largest request head. Browsers and probes send below 2 KiB.
pub(crate) const HEAD_BYTES_MAX: usize = 8 << 10;
/// Largest answer that [`get`] takes: a status of 10 000 groups is about 4 MiB.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The path of a request, or the status line to refuse it with.
///
/// `None` until the head is complete.
pub(crate) fn request_path(head: &[u8]) -> Option<Result<&str, &'static str>> {
    if !head.windows(4).any(|window| window == b"\r\n\r\n") {
        return (head.len() >= HEAD_BYTES_MAX)
            .then_some(Err("431 Request Header Fields Too Large"));
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else {
        return Some(Err("400 Bad Request"));
    };
    let mut words = line.split(' ');
    Some(match (words.next(), words.next(), words.next()) {
        (Some("GET"), Some(target), Some(version)) if version.starts_with("HTTP/1.") => {
            Ok(target.split('?').next().unwrap_or_default())
        }
        (Some(_), Some(_), Some(version)) if version.starts_with("HTTP/1.") => {
            Err("405 Method Not Allowed")
        }
        _ => Err("400 Bad Request"),
    })
}

/// The bytes of an answer; the connection closes behind it.
pub(crate) fn answer(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Fetches `http://address/path`: the body of a 200 or 503, within `timeout`.
///
/// # Errors
/// Nobody answers, in time, or with HTTP.
pub(crate) async fn get(
    address: &str,
    path: &str,
    timeout: Duration,
) -> Result<(u16, String), Failure> {
    match tokio::time::timeout(timeout, fetch(address, path)).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::unreachable(format!(
            "no answer from the admin port {address} within {} ms; is the node running, and is \
             this its --admin-addr?",
            timeout.as_millis()
        ))),
    }
}

async fn fetch(address: &str, path: &str) -> Result<(u16, String), Failure> {
    let unreachable = |error: std::io::Error| {
        Failure::unreachable(format!(
            "cannot talk to the admin port {address}: {error}; is the node running, and is this \
             its --admin-addr?"
        ))
    };
    let mut stream = TcpStream::connect(address).await.map_err(unreachable)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(unreachable)?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(ANSWER_BYTES_MAX).unwrap_or(u64::MAX);
    stream.take(limit).read_to_end(&mut bytes).await.map_err(unreachable)?;
    parse_answer(&bytes).ok_or_else(|| {
        Failure::unreachable(format!(
            "{address} does not answer as an admin port does; is this the node's --admin-addr?"
        ))
    })
}

fn parse_answer(bytes: &[u8]) -> Option<(u16, String)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let code = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((code, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{HEAD_BYTES_MAX, answer, parse_answer, request_path};

    #[test]
    fn a_head_is_judged_only_when_complete() {
        let head = b"GET /status?x=1 HTTP/1.1\r\nHost: h\r\n\r\n";
        for cut in 0..head.len() {
            assert_eq!(request_path(&head[..cut]), None, "cut at {cut}");
        }
        assert_eq!(request_path(head), Some(Ok("/status")));
    }

    #[test]
    fn an_endless_head_and_other_methods_are_refused() {
        let endless = vec![b'a'; HEAD_BYTES_MAX];
        assert!(request_path(&endless).unwrap().is_err());
        assert!(request_path(b"POST / HTTP/1.1\r\n\r\n").unwrap().is_err());
        assert!(request_path(b"\r\n\r\n").unwrap().is_err());
        assert!(request_path(b"GET \xff HTTP/1.1\r\n\r\n").unwrap().is_err());
    }

    #[test]
    fn an_answer_reads_back() {
        let bytes = answer("503 Service Unavailable", "text/plain", "no leader\n");
        assert_eq!(parse_answer(&bytes), Some((503, "no leader\n".to_owned())));
        assert_eq!(parse_answer(b"SSH-2.0-x\r\n\r\n"), None);
    }
}
