//! One connection of the admin port: requests in, answers out, in order.
//!
//! Invariants
//! - A client holds at most one head, one body and one answer of memory, plus
//!   [`READ_BYTES`]; pipelined requests wait in its socket.
//! - Each wait has an end: [`REQUEST_WITHIN`] for a request from its first byte
//!   (from the connect for the first one), [`IDLE_WITHIN`] between requests,
//!   [`TAKE_WITHIN`] for the client to take each piece of an answer.
//! - After a refusal the connection closes, and in such a way that the client
//!   can read why.
//!
//! Not here: what is answered (`admin/router.rs`).

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::http::request::{BODY_BYTES_MAX, HEAD_BYTES_MAX, Head, Request, parse_head};
use crate::http::response::{Body, Response, Status};

/// For a whole request, from its first byte.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Between two requests. Scrapers come every 15 or 60 seconds.
const IDLE_WITHIN: Duration = Duration::from_secs(75);
/// For the client to take one piece of an answer.
const TAKE_WITHIN: Duration = Duration::from_secs(10);
/// What a refused client may still send while it reads why.
const LINGER_WITHIN: Duration = Duration::from_secs(1);
/// Read at a time.
const READ_BYTES: usize = 4 << 10;

/// How a request ended.
enum Arrived {
    Whole(Head),
    Refused(Status, &'static str),
    /// The client is gone, or has nothing more to ask.
    Gone,
}

/// Answers what `stream` asks, until either side has had enough.
///
/// # Errors
/// The stream broke. Whoever was asking is gone.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answer: impl AsyncFn(Request) -> Response,
) -> io::Result<()> {
    let mut input = Vec::new();
    let mut patience = REQUEST_WITHIN;
    loop {
        match next_request(&mut stream, &mut input, patience).await? {
            Arrived::Gone => return Ok(()),
            Arrived::Refused(status, why) => {
                write(&mut stream, &Response::text(status, why).head(false)).await?;
                write(&mut stream, format!("{why}\n").as_bytes()).await?;
                return linger(stream).await;
            }
            Arrived::Whole(Head { request, keeps_alive, wants_head_only, .. }) => {
                let response = answer(request).await;
                let keeps_alive = keeps_alive && !response.is_last;
                write(&mut stream, &response.head(keeps_alive)).await?;
                match response.body {
                    _ if wants_head_only => {}
                    Body::Whole(body) => write(&mut stream, &body).await?,
                    Body::Stream(pieces) => stream_out(&mut stream, pieces).await?,
                }
                if !keeps_alive {
                    return stream.shutdown().await;
                }
            }
        }
        patience = IDLE_WITHIN;
    }
}

async fn next_request<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    input: &mut Vec<u8>,
    patience: Duration,
) -> io::Result<Arrived> {
    if input.is_empty() {
        match timeout(patience, read(stream, input)).await {
            Ok(Ok(0)) | Err(_) => return Ok(Arrived::Gone),
            Ok(read) => read?,
        };
    }
    match timeout(REQUEST_WITHIN, whole_request(stream, input)).await {
        Ok(arrived) => arrived,
        Err(_) => Ok(Arrived::Refused(Status::REQUEST_TIMEOUT, "the request took too long")),
    }
}

async fn whole_request<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    input: &mut Vec<u8>,
) -> io::Result<Arrived> {
    let mut head = loop {
        match parse_head(input) {
            Ok(Some(head)) => break head,
            Err((status, why)) => return Ok(Arrived::Refused(status, why)),
            Ok(None) if read(stream, input).await? == 0 => return Ok(Arrived::Gone),
            Ok(None) => {}
        }
    };
    input.drain(..head.bytes);
    if head.expects_continue && input.len() < head.body_bytes {
        write(stream, b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while input.len() < head.body_bytes {
        if read(stream, input).await? == 0 {
            return Ok(Arrived::Gone);
        }
    }
    head.request.body = input.drain(..head.body_bytes).collect();
    Ok(Arrived::Whole(head))
}

/// Reads what is there, up to [`READ_BYTES`].
async fn read<S: AsyncRead + Unpin>(stream: &mut S, into: &mut Vec<u8>) -> io::Result<usize> {
    const { assert!(READ_BYTES <= HEAD_BYTES_MAX && READ_BYTES <= BODY_BYTES_MAX) }
    let limit = u64::try_from(READ_BYTES).unwrap_or(u64::MAX);
    stream.take(limit).read_buf(into).await
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    match timeout(TAKE_WITHIN, stream.write_all(bytes)).await {
        Ok(written) => written,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Passes pieces on until there are no more, or the client says anything at
/// all, which in mid-answer can only be that it is gone.
async fn stream_out<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mut pieces: mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    let mut said = Vec::new();
    loop {
        let piece = tokio::select! {
            piece = pieces.recv() => piece,
            _ = read(stream, &mut said) => None,
        };
        match piece {
            Some(piece) => write(stream, &piece).await?,
            None => return Ok(()),
        }
    }
}

/// Closes so that an answer survives what the client is still sending.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = Vec::new();
    let drained = async {
        while read(&mut stream, &mut rest).await? > 0 {
            rest.clear();
        }
        Ok(())
    };
    timeout(LINGER_WITHIN, drained).await.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::mpsc;
    use tokio::task::JoinHandle;

    use super::{REQUEST_WITHIN, serve};
    use crate::http::{Method, Request, Response, Status};

    /// Says which request came.
    async fn echo(request: Request) -> Response {
        let kind = if request.method == Method::Post { "POST" } else { "GET" };
        let body = String::from_utf8_lossy(&request.body).into_owned();
        Response::text(Status::OK, format!("{kind} {} {body}", request.path))
    }

    fn connect() -> (DuplexStream, JoinHandle<std::io::Result<()>>) {
        let (client, server) = duplex(256 << 10);
        (client, tokio::spawn(serve(server, echo)))
    }

    async fn said(mut client: DuplexStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text
    }

    fn bodies(answers: &str) -> Vec<&str> {
        let ends = answers.split("\r\n\r\n").skip(1);
        ends.filter_map(|rest| rest.split('\n').next()).collect()
    }

    #[tokio::test]
    async fn requests_of_one_connection_are_answered_in_order() {
        let (mut client, _server) = connect();
        client
            .write_all(
                b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n\
                  POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody\
                  HEAD /3 HTTP/1.1\r\nHost: h\r\n\r\n\
                  GET /4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n\
                  GET /5 HTTP/1.1\r\nHost: h\r\n\r\n",
            )
            .await
            .unwrap();
        let answers = said(client).await;
        assert_eq!(bodies(&answers), ["GET /1 ", "POST /2 body", "HTTP/1.1 200 OK\r", "GET /4 "]);
    }

    #[tokio::test]
    async fn a_request_may_arrive_byte_by_byte_and_wait_for_a_word() {
        let (mut client, _server) = connect();
        let head = b"POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\
                     Connection: close\r\nContent-Length: 2\r\n\r\n";
        for byte in head {
            client.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut word = [0; 25];
        client.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(b"ok").await.unwrap();
        assert_eq!(bodies(&said(client).await), ["POST /x ok"]);
    }

    #[tokio::test]
    async fn what_is_refused_is_told_why_and_closed() {
        let (mut client, server) = connect();
        let endless = vec![b'a'; 100 << 10];
        client.write_all(&endless).await.unwrap();
        let answer = said(client).await;
        assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
        server.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_too_slow_is_told_so() {
        let (mut client, _server) = connect();
        client.write_all(b"GET / HT").await.unwrap();
        tokio::time::advance(REQUEST_WITHIN).await;
        assert!(said(client).await.starts_with("HTTP/1.1 408 "));
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_closed_without_a_word() {
        let (client, server) = connect();
        assert_eq!(said(client).await, "");
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_sender_or_with_its_client() {
        let (mut client, server) = duplex(1 << 10);
        let (send, receive) = mpsc::channel(1);
        let receive = std::sync::Mutex::new(Some(receive));
        let served = tokio::spawn(serve(server, async move |_| {
            let pieces = receive.lock().unwrap().take().unwrap();
            Response::stream("text/plain", pieces)
        }));
        client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        send.send(Bytes::from_static(b"one")).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"one") {
            client.read_buf(&mut answer).await.unwrap();
        }
        drop(client);
        send.closed().await;
        served.await.unwrap().unwrap();
    }
}
