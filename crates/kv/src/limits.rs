//! What one connection may make this node hold (rules 34 and 42).
//!
//! Every limit is a setting with a default, and every one has a named
//! behaviour: a request over a limit is a protocol error that says so and
//! closes the connection; a full pipeline stops the reading of more input; a
//! reply over its limit becomes an error reply on the living connection.
//!
//! Not here: how many connections there may be and how long one may idle. The
//! server counts those.

/// Bounds on one connection's requests and replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one request on the wire, all headers included. It ends up in
    /// one log entry, so it must stay below what the log and the wire between
    /// nodes take. Default 8 MiB.
    pub request_bytes_max: usize,
    /// Arguments of one request, its name included. Default 1,048,576, as in
    /// Redis before 7. The parser holds 8 bytes for each.
    pub args_len_max: usize,
    /// Bytes of one argument. Default 8 MiB; Redis allows 512 MiB, but here a
    /// value is part of a log entry.
    pub bulk_bytes_max: usize,
    /// Bytes of an inline request, or of a length line. Default 64 KiB, as in
    /// Redis.
    pub inline_bytes_max: usize,
    /// Requests of one connection that were accepted and not yet answered.
    /// When it is reached, no more input is read. Default 1,024: a multiple
    /// of what one socket read of 64 KiB holds of small requests at depth 16.
    pub pipeline_len_max: usize,
    /// Rough bytes of those requests, and of replies to them that wait for
    /// their turn. When it is reached, no more input is read; one request may
    /// go over it. Default 16 MiB.
    pub pipeline_bytes_max: usize,
    /// Commands queued between `MULTI` and `EXEC`. One more is refused, and
    /// with it the transaction. Default 262,144: pipelines of a hundred
    /// thousand small commands are common, and libraries make transactions of
    /// them unasked.
    pub transaction_len_max: usize,
    /// Rough bytes of those commands. The same refusal. Default 32 MiB: small
    /// commands take some five times of what their entry will have, and that
    /// is bounded by the log.
    pub transaction_bytes_max: usize,
    /// Bytes of stored values in one reply. A larger reply is replaced by an
    /// error. While so much waits to be fetched by the client, nothing further
    /// of its pipeline is started; what was started together may go over it.
    /// Default 64 MiB.
    pub reply_bytes_max: usize,
    /// Reply bytes gathered for a client that doesn't read them. Above, no
    /// further reply is written out and so, by and by, no more input read.
    /// Default 1 MiB; one reply may go over it.
    pub output_bytes_max: usize,
}

/// What one connection may have under way beside others: requests accepted and
/// not yet answered, and roughly their bytes. Never more than its [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Requests.
    pub len: usize,
    /// Bytes; one request may go over it.
    pub bytes: usize,
}

impl Share {
    /// All that the limits allow.
    pub const WHOLE: Self = Self { len: usize::MAX, bytes: usize::MAX };
}

impl Limits {
    /// What a client may make the node hold before it has shown that it knows
    /// the password: enough for every handshake, in arguments, bytes, requests
    /// and replies as little as Redis allows, or less.
    #[must_use]
    pub fn before_auth(self) -> Self {
        Self {
            request_bytes_max: self.request_bytes_max.min(64 << 10),
            args_len_max: self.args_len_max.min(10),
            bulk_bytes_max: self.bulk_bytes_max.min(16 << 10),
            inline_bytes_max: self.inline_bytes_max.min(16 << 10),
            pipeline_len_max: self.pipeline_len_max.min(64),
            pipeline_bytes_max: self.pipeline_bytes_max.min(64 << 10),
            transaction_len_max: 0,
            transaction_bytes_max: 0,
            reply_bytes_max: self.reply_bytes_max.min(1 << 10),
            output_bytes_max: self.output_bytes_max.min(1 << 10),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes_max: 8 << 20,
            args_len_max: 1 << 20,
            bulk_bytes_max: 8 << 20,
            inline_bytes_max: 64 << 10,
            pipeline_len_max: 1_024,
            pipeline_bytes_max: 16 << 20,
            transaction_len_max: 1 << 18,
            transaction_bytes_max: 32 << 20,
            reply_bytes_max: 64 << 20,
            output_bytes_max: 1 << 20,
        }
    }
}
