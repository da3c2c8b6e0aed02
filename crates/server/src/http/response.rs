//! An answer, to bytes.
//!
//! Not here: how fast it must be taken (`http/connection.rs`).

use std::borrow::Cow;
use std::fmt::Write;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;

/// A status code with its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u16, &'static str);

impl Status {
    pub(crate) const OK: Self = Self(200, "OK");
    pub(crate) const BAD_REQUEST: Self = Self(400, "Bad Request");
    pub(crate) const FORBIDDEN: Self = Self(403, "Forbidden");
    pub(crate) const NOT_FOUND: Self = Self(404, "Not Found");
    pub(crate) const METHOD_NOT_ALLOWED: Self = Self(405, "Method Not Allowed");
    pub(crate) const REQUEST_TIMEOUT: Self = Self(408, "Request Timeout");
    pub(crate) const CONFLICT: Self = Self(409, "Conflict");
    pub(crate) const CONTENT_TOO_LARGE: Self = Self(413, "Content Too Large");
    pub(crate) const URI_TOO_LONG: Self = Self(414, "URI Too Long");
    pub(crate) const UNSUPPORTED_MEDIA_TYPE: Self = Self(415, "Unsupported Media Type");
    pub(crate) const HEADERS_TOO_LARGE: Self = Self(431, "Request Header Fields Too Large");
    pub(crate) const INTERNAL_ERROR: Self = Self(500, "Internal Server Error");
    pub(crate) const NOT_IMPLEMENTED: Self = Self(501, "Not Implemented");
    pub(crate) const UNAVAILABLE: Self = Self(503, "Service Unavailable");
    pub(crate) const VERSION_NOT_SUPPORTED: Self = Self(505, "HTTP Version Not Supported");
}

/// What is answered.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: Status,
    content_type: &'static str,
    /// Further headers.
    headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
    /// The connection closes behind it, whatever the client asked for.
    pub(super) is_last: bool,
}

/// The bytes behind an answer's head.
#[derive(Debug)]
pub(crate) enum Body {
    Whole(Cow<'static, [u8]>),
    /// Comes piece by piece, until the sender is dropped or the client gone.
    Stream(mpsc::Receiver<Bytes>),
}

impl Response {
    pub(crate) fn new(
        status: Status,
        content_type: &'static str,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        let body = Body::Whole(body.into());
        Self { status, content_type, headers: Vec::new(), body, is_last: false }
    }

    /// Text for a person, ended with a line break.
    pub(crate) fn text(status: Status, text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.push('\n');
        Self::new(status, "text/plain; charset=utf-8", text.into_bytes())
    }

    /// One JSON value.
    pub(crate) fn json(status: Status, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::new(status, "application/json", body),
            Err(error) => Self::text(Status::INTERNAL_ERROR, format!("no JSON: {error}")),
        }
    }

    /// Pieces as they come, until the sender is dropped.
    pub(crate) fn stream(content_type: &'static str, pieces: mpsc::Receiver<Bytes>) -> Self {
        let (status, body) = (Status::OK, Body::Stream(pieces));
        Self { status, content_type, headers: Vec::new(), body, is_last: true }
    }

    /// The same, and the connection closes behind it if `is_last`.
    pub(crate) fn last_if(self, is_last: bool) -> Self {
        Self { is_last: self.is_last || is_last, ..self }
    }

    /// With one header more.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The status line and headers. Without a known end the connection's end
    /// is the body's.
    pub(super) fn head(&self, keeps_alive: bool) -> Vec<u8> {
        let Status(code, words) = self.status;
        let mut head = format!(
            "HTTP/1.1 {code} {words}\r\nContent-Type: {}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\n",
            self.content_type
        );
        // Writing to a string cannot fail.
        if let Body::Whole(body) = &self.body {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let connection = if keeps_alive { "keep-alive" } else { "close" };
        let _ = write!(head, "Connection: {connection}\r\n\r\n");
        head.into_bytes()
    }

    /// The body as text, for tests of routes.
    #[cfg(test)]
    pub(crate) fn body_text(&self) -> String {
        match &self.body {
            Body::Whole(body) => String::from_utf8_lossy(body).into_owned(),
            Body::Stream(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Response, Status};

    #[test]
    fn a_head_says_how_long_its_body_is_and_whether_more_may_follow() {
        let response = Response::text(Status::NOT_FOUND, "nothing").with("Allow", "GET");
        let head = String::from_utf8(response.head(false)).unwrap();
        assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
        assert!(head.contains("\r\nContent-Length: 8\r\n"), "{head}");
        assert!(head.contains("\r\nAllow: GET\r\n"), "{head}");
        assert!(head.ends_with("\r\nConnection: close\r\n\r\n"), "{head}");
    }
}
