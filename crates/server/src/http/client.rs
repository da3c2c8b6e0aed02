//! One request to an admin port: of the `status` command, of the demo, of
//! another node.
//!
//! Invariant: it ends by its deadline and holds at most [`ANSWER_BYTES_MAX`] of
//! the answer (rule 34).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::failure::Failure;

/// Largest answer taken: a status of 10 000 groups is about 4 MiB.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Fetches `http://address/path`: status code and body, within `timeout`.
///
/// # Errors
/// Nobody answers, in time, or with HTTP.
pub(crate) async fn get(
    address: &str,
    path: &str,
    timeout: Duration,
) -> Result<(u16, String), Failure> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    ask(address, &request, timeout).await
}

/// Posts JSON to `http://address/path`: status code and body, within `timeout`.
///
/// # Errors
/// Nobody answers, in time, or with HTTP. What was asked may be done all the
/// same.
pub(crate) async fn post(
    address: &str,
    path: &str,
    json: &str,
    timeout: Duration,
) -> Result<(u16, String), Failure> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    );
    ask(address, &request, timeout).await
}

async fn ask(address: &str, request: &str, timeout: Duration) -> Result<(u16, String), Failure> {
    match tokio::time::timeout(timeout, exchange(address, request)).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::unreachable(format!(
            "no answer from the admin port {address} within {} ms; is the node running, and is \
             this its --admin-addr?",
            timeout.as_millis()
        ))),
    }
}

async fn exchange(address: &str, request: &str) -> Result<(u16, String), Failure> {
    let unreachable = |error: std::io::Error| {
        Failure::unreachable(format!(
            "cannot talk to the admin port {address}: {error}; is the node running, and is this \
             its --admin-addr?"
        ))
    };
    let mut stream = TcpStream::connect(address).await.map_err(unreachable)?;
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
    let said = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    // Cut off, it would be another answer.
    (said? == body.len()).then(|| (code, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parse_answer;

    #[test]
    fn an_answer_is_taken_whole_or_not_at_all() {
        let whole = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 10\r\n\r\nno leader\n";
        assert_eq!(parse_answer(whole), Some((503, "no leader\n".to_owned())));
        for cut in 0..whole.len() {
            assert_eq!(parse_answer(&whole[..cut]), None, "cut at {cut}");
        }
        assert_eq!(parse_answer(b"SSH-2.0-x\r\n\r\n"), None);
    }
}
