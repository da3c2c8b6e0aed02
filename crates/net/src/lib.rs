//! TCP between nodes.
mod codec;
mod control;
mod fields;
mod frame;
mod handshake;
mod random;
pub use codec::{BatchReader, MESSAGE_BYTES_MAX, MessageError, decode_message, encode_message, encoded_bytes};
