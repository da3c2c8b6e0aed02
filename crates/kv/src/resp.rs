//! The Redis serialization protocol, versions 2 and 3, without a socket.
//!
//! Input of a server: [`RequestParser`] cuts requests out of a growing buffer
//! (`resp/request.rs`, `resp/inline.rs` for the telnet form, `resp/plain.rs` for
//! the two that nearly all are). Output:
//! [`Reply`] and [`ReplyWriter`] (`resp/reply.rs`, `resp/writer.rs`). The other
//! side of the wire, for clients of our own and for tests, is [`ReplyParser`]
//! (`resp/reply_parser.rs`) and [`push_request`].
//!
//! Invariant: where the bytes were split on their way never shows in a result.

pub(crate) mod args;
pub(crate) mod inline;
pub(crate) mod plain;
pub(crate) mod reply;
pub(crate) mod reply_parser;
pub(crate) mod request;
pub(crate) mod writer;

#[cfg(test)]
mod tests;

/// Which form replies take on a connection. `HELLO` changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProtocolVersion {
    /// What a connection speaks before any `HELLO`.
    #[default]
    Resp2,
    /// With maps, sets, nulls, doubles and pushes of their own.
    Resp3,
}

impl ProtocolVersion {
    /// The number `HELLO` names it by.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// Appends a request in the form all clients send: an array of bulk strings.
pub fn push_request(out: &mut Vec<u8>, args: &[&[u8]]) {
    out.push(b'*');
    crate::decimal::push_len(out, args.len());
    out.extend_from_slice(b"\r\n");
    for arg in args {
        out.push(b'$');
        crate::decimal::push_len(out, arg.len());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}
