//! TCP between nodes: raftlet's `Rpc` and `FailureDetector` ports on tokio.
//!
//! Data flows one way: a turn's messages are encoded into the outbox of their
//! node ([`NetRpc`]), written by the task that dialled it, read by the task that
//! accepted there, and handed to the [`Sink`], which the server glues to the
//! shard's inbox. Everything runs on one thread, on a `LocalSet`.
//!
//! # Where to start reading
//! - `codec.rs`, `frame.rs`: bytes. `docs/wire.md` has every one of them.
//! - `handshake.rs`: who is let in (rules 2 to 4). `rollcall.rs`: who must be
//!   met before there is a cluster (rule 5).
//! - `outbox.rs`, `detector.rs`: what waits, who lives. Pure, like the above.
//! - `dial.rs`, `listen.rs`, `pulse.rs`: the three kinds of tasks, on `peer.rs`
//!   and `shared.rs`. `net.rs` starts them.
//!
//! # What it promises
//! - Messages may be lost, late, or come twice over a new connection; never
//!   altered, and never from or for another node, incarnation, run or cluster
//!   (rules 11, 22).
//! - `send` never waits and never grows: what does not fit is dropped and
//!   counted (rule 42). Nothing is allocated by a length that a peer claims.
//! - No input from a peer panics.
//!
//! Not here: TLS, and members that join after the start; both come later.

mod backoff;
mod codec;
mod connection;
mod control;
mod detector;
mod dial;
mod disowned;
mod fields;
mod frame;
#[cfg(test)]
mod golden;
mod handshake;
mod introduction;
mod listen;
mod net;
mod options;
mod outbox;
mod peer;
mod pulse;
mod random;
mod rollcall;
mod shared;
mod sink;
mod stats;
mod writer;

pub use codec::{
    BatchReader, Keeper, MESSAGE_BYTES_MAX, MessageError, Receiver, Shared, append_ack_to_batch,
    append_borrowed_to_batch, append_to_batch, decode_message, encode_message, encoded_bytes,
};
pub use connection::ConnectionError;
pub use control::{ControlError, SHARDS_MAX};
pub use disowned::Disowned;
pub use frame::{FRAME_BYTES_MAX, FrameError};
pub use handshake::{Identity, Refusal, RefusalReason, WIRE_VERSION_MAX, WIRE_VERSION_MIN};
pub use introduction::NodeAddresses;
pub use net::{BindError, Net, NetDetector, NetHandle, NetListener, NetRpc};
pub use options::{NetOptions, NetOptionsError, PeerOptions, RollCallStart};
pub use rollcall::{Missing, MissingWhy, RollCallError, RollCallMember, RollCallStatus};
pub use shared::TimeSource;
pub use sink::{NetEvent, Sink};
pub use stats::{NetStatus, PeerStats, PeerStatus};
