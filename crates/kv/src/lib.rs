//! The Redis data model and protocol, pure.
pub(crate) mod decimal;
pub(crate) mod limits;
pub(crate) mod resp;
pub(crate) mod slot;

pub use limits::Limits;
pub use resp::args::Args;
pub use resp::reply::Reply;
pub use resp::reply_parser::{REPLY_DEPTH_MAX, ReplyError, ReplyParser};
pub use resp::request::{ProtocolError, RequestParser};
pub use resp::writer::ReplyWriter;
pub use resp::{ProtocolVersion, push_request};
pub use slot::{GroupIndex, GroupsLenError, SLOTS_LEN, Slot, SlotMap};
