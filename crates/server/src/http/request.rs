//! A request, from bytes. Pure.
//!
//! Invariants
//! - A head is judged only when complete, and never grows beyond
//!   [`HEAD_BYTES_MAX`].
//! - How long the body is is said once, in digits, or the request is refused:
//!   two readings of a length are how requests are smuggled.
//!
//! Query strings are taken as they are: what is asked for here are numbers and
//! plain words, so a `%` is not decoded.
//!
//! Not here: waiting for the bytes (`http/connection.rs`).

use httparse::Header;
use serde::de::DeserializeOwned;

use crate::http::response::{Response, Status};

/// Largest request line with headers. Browsers and probes send below 2 KiB.
pub(super) const HEAD_BYTES_MAX: usize = 8 << 10;
/// Headers of a request. Browsers send about 15.
const HEADERS_MAX: usize = 64;
/// Largest body: orders of an operator are a few hundred bytes.
pub(super) const BODY_BYTES_MAX: usize = 64 << 10;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// `GET`, and `HEAD` as far as the answer's head goes.
    Get,
    /// `POST`: changes something.
    Post,
    /// Any other: nothing here knows it.
    Other,
}

/// A whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Without the query.
    pub(crate) path: String,
    /// Behind the `?`; empty without one.
    query: String,
    is_json: bool,
    /// Whether a browser sent it on behalf of a page.
    pub(crate) has_origin: bool,
    pub(super) body: Vec<u8>,
}

/// A request's head, and how to go on behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Without its body yet.
    pub(super) request: Request,
    /// Bytes of the head.
    pub(super) bytes: usize,
    pub(super) body_bytes: usize,
    /// The client waits for a word before it sends the body.
    pub(super) expects_continue: bool,
    pub(super) keeps_alive: bool,
    /// `HEAD`: the answer goes without its body.
    pub(super) wants_head_only: bool,
}

/// Why a request is not answered as asked. The connection closes behind it.
pub(super) type Refusal = (Status, &'static str);

impl Request {
    /// A request for tests of routes.
    #[cfg(test)]
    pub(crate) fn new(method: Method, target: &str, body: &str) -> Self {
        let (path, query) = split(target);
        let (is_json, body) = (true, body.as_bytes().to_vec());
        Self { method, path, query, is_json, has_origin: false, body }
    }

    /// The same, as a browser sends it for a page.
    #[cfg(test)]
    pub(crate) fn of_a_page(self) -> Self {
        Self { has_origin: true, ..self }
    }

    /// Whether the query has `name`, alone or with a value other than `0` and
    /// `false`.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.pairs().any(|(key, value)| key == name && !matches!(value, "0" | "false"))
    }

    /// The value of `name` in the query.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// The answer to refuse it with. Other content types are refused: a page
    /// of another site may send those without asking first.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Response> {
        if !self.is_json {
            return Err(Response::text(
                Status::UNSUPPORTED_MEDIA_TYPE,
                "send the body as Content-Type: application/json",
            ));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Response::text(Status::BAD_REQUEST, format!("the body: {error}")))
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let parts = self.query.split('&').filter(|part| !part.is_empty());
        parts.map(|part| part.split_once('=').unwrap_or((part, "")))
    }
}

/// The head at the start of `bytes`; `None` until it is complete.
///
/// # Errors
/// The refusal to answer with.
pub(super) fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let end = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(end)) if end <= HEAD_BYTES_MAX => end,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(_) if bytes.iter().take(HEAD_BYTES_MAX).any(|byte| *byte == b'\n') => {
            return Err((Status::HEADERS_TOO_LARGE, "the head is above 8 KiB"));
        }
        Ok(_) => return Err((Status::URI_TOO_LONG, "the request line is above 8 KiB")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err((Status::HEADERS_TOO_LARGE, "there are more than 64 headers"));
        }
        Err(httparse::Error::Version) => {
            return Err((Status::VERSION_NOT_SUPPORTED, "HTTP/1.1 is spoken here"));
        }
        Err(_) => return Err((Status::BAD_REQUEST, "this is no HTTP request")),
    };
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err((Status::BAD_REQUEST, "this is no HTTP request"));
    };
    let headers: &[Header<'_>] = parsed.headers;
    let hosts = values(headers, "host").count();
    if hosts > 1 || (hosts == 0 && minor == 1) {
        return Err((Status::BAD_REQUEST, "a request names one Host"));
    }
    if values(headers, "transfer-encoding").next().is_some() {
        return Err((Status::NOT_IMPLEMENTED, "send the body with a Content-Length, not chunked"));
    }
    let (path, query) = split(target);
    Ok(Some(Head {
        body_bytes: body_bytes(headers)?,
        bytes: end,
        expects_continue: minor == 1 && has_word(headers, "expect", "100-continue"),
        keeps_alive: if minor == 1 {
            !has_word(headers, "connection", "close")
        } else {
            has_word(headers, "connection", "keep-alive")
        },
        wants_head_only: method == "HEAD",
        request: Request {
            method: match method {
                "GET" | "HEAD" => Method::Get,
                "POST" => Method::Post,
                _ => Method::Other,
            },
            path,
            query,
            is_json: values(headers, "content-type").any(is_json),
            has_origin: values(headers, "origin").next().is_some(),
            body: Vec::new(),
        },
    }))
}

fn body_bytes(headers: &[Header<'_>]) -> Result<usize, Refusal> {
    let mut lengths = values(headers, "content-length");
    let Some(length) = lengths.next() else {
        return Ok(0);
    };
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    if lengths.next().is_some() || !is_number {
        return Err((Status::BAD_REQUEST, "the Content-Length is no number, or there are two"));
    }
    match length.parse() {
        Ok(bytes) if bytes <= BODY_BYTES_MAX => Ok(bytes),
        _ => Err((Status::CONTENT_TOO_LARGE, "the body is above 64 KiB")),
    }
}

fn split(target: &str) -> (String, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (path.to_owned(), query.to_owned())
}

fn values<'a>(headers: &'a [Header<'_>], name: &'a str) -> impl Iterator<Item = &'a str> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        // What is no text matches nothing that is looked for.
        .map(|header| std::str::from_utf8(header.value).unwrap_or("\u{fffd}").trim())
}

fn has_word(headers: &[Header<'_>], name: &str, word: &str) -> bool {
    values(headers, name)
        .flat_map(|value| value.split(','))
        .any(|it| it.trim().eq_ignore_ascii_case(word))
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::{BODY_BYTES_MAX, HEAD_BYTES_MAX, Head, Method, Status, parse_head};

    fn head(text: &str) -> Head {
        parse_head(text.as_bytes()).unwrap().unwrap()
    }

    fn refused(bytes: &[u8]) -> Status {
        parse_head(bytes).unwrap_err().0
    }

    #[test]
    fn a_head_is_judged_only_when_complete() {
        let text = b"GET /status?verbose&x=0 HTTP/1.1\r\nHost: h\r\n\r\nrest";
        let end = text.len() - 4;
        for cut in 0..end {
            assert_eq!(parse_head(&text[..cut]), Ok(None), "cut at {cut}");
        }
        let head = parse_head(text).unwrap().unwrap();
        assert_eq!((head.bytes, head.body_bytes), (end, 0));
        assert_eq!((head.request.method, head.request.path.as_str()), (Method::Get, "/status"));
        assert!(head.request.says("verbose") && !head.request.says("x") && !head.request.says("y"));
    }

    #[test]
    fn connections_stay_open_as_the_version_says() {
        assert!(head("GET / HTTP/1.1\r\nHost: h\r\n\r\n").keeps_alive);
        assert!(!head("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n").keeps_alive);
        assert!(!head("GET / HTTP/1.0\r\n\r\n").keeps_alive);
        assert!(head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keeps_alive);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_status() {
        assert_eq!(refused(&[b'a'; HEAD_BYTES_MAX]), Status::URI_TOO_LONG);
        let long = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "h".repeat(HEAD_BYTES_MAX));
        assert_eq!(refused(long.as_bytes()), Status::HEADERS_TOO_LARGE);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(65));
        assert_eq!(refused(many.as_bytes()), Status::HEADERS_TOO_LARGE);
        for bytes in [
            &b"\x16\x03\x01\x02\x00\r\n\r\n"[..],
            b"GET \xff HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        ] {
            assert_eq!(refused(bytes), Status::BAD_REQUEST, "{}", bytes.escape_ascii());
        }
        assert_eq!(refused(b"GET / HTTP/2.0\r\n\r\n"), Status::VERSION_NOT_SUPPORTED);
        let chunked = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(refused(chunked), Status::NOT_IMPLEMENTED);
    }

    #[test]
    fn a_body_has_a_length_and_a_bound() {
        let post =
            |bytes: &str| format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {bytes}\r\n\r\n");
        assert_eq!(head(&post(&BODY_BYTES_MAX.to_string())).body_bytes, BODY_BYTES_MAX);
        for bytes in [(BODY_BYTES_MAX + 1).to_string(), "9".repeat(40)] {
            assert_eq!(refused(post(&bytes).as_bytes()), Status::CONTENT_TOO_LARGE);
        }
    }

    #[test]
    fn no_bytes_panic() {
        let text =
            b"POST /x?a=b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
        for at in 0..text.len() {
            for byte in 0..=255 {
                let mut bytes = text.to_vec();
                bytes[at] = byte;
                let judged = parse_head(&bytes);
                assert!(!matches!(judged, Ok(Some(head)) if head.bytes > bytes.len()));
            }
        }
    }
}
