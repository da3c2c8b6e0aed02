//! HTTP/1.1 for the admin port and for who asks it.
//!
//! Where what is:
//! - `http/request.rs`: a request's head, from bytes, pure.
//! - `http/response.rs`: an answer, to bytes.
//! - `http/connection.rs`: one connection: requests in, answers out, limits.
//! - `http/client.rs`: one request of ours to another node's admin port;
//!   `http/download.rs`: one with an answer that does not fit memory.
//!
//! Heads are parsed by `httparse`; what they mean is decided here. Bodies come
//! with a `Content-Length`; a chunked one is refused by name.
//!
//! Invariants
//! - Neither side holds more than a named number of bytes of the other's, nor
//!   waits longer than a named time for it (rule 34).
//! - No input panics; what makes no sense is answered and closed.
//!
//! Not here: who listens (`admin.rs`), what the paths mean (`admin/`).

mod client;
mod connection;
mod download;
mod request;
mod response;

pub(crate) use client::{get, post};
pub(crate) use connection::serve;
pub(crate) use download::{Answer, Download, download};
pub(crate) use request::{Method, Request};
pub(crate) use response::{Response, Status};
