//! TCP between nodes.
mod backoff;
mod codec;
mod control;
mod detector;
mod fields;
mod frame;
mod handshake;
mod outbox;
mod random;
mod rollcall;
mod stats;
pub use codec::{BatchReader, MESSAGE_BYTES_MAX, MessageError, decode_message, encode_message, encoded_bytes};
