//! The Redis data model and protocol, pure: no socket, clock, thread or file.
//!
//! A server moves bytes between sockets and a [`Connection`] and executes the
//! [`Batch`]es that come out of it; a [`Machine`] sits behind each group's log.
//! In the order the data flows:
//!
//! - `resp`: bytes to [`Args`], replies to bytes, RESP2 and RESP3.
//! - `command`: the table of commands; arguments to typed requests.
//! - `session`: what a connection has agreed on, and what it answers itself.
//! - `slot`: which group holds a key (D13).
//! - `pipeline`: what may start together, and replies in order (rule 32).
//! - `connection`: all of the above as one thing to drive.
//! - `operation`: [`Query`], [`Command`], [`Response`]; a command's bytes.
//! - `value`: what a key can hold.
//! - `store`, `machine`: the keys of one group, as a state machine (D5).
//! - `node`: what a connection asks of its node.
//! - `scripts`: the scripts of lock libraries, which are known and not run.
//! - `errors`, `limits`, `info`: texts, bounds, and `INFO`.
//!
//! ```
//! use raftlet::core::Index;
//! use raftlet_kv::{Applied, Command, Connection, ConnectionInfo, Limits, NodeInfo, Outcome, Output};
//! use raftlet_kv::{SlotMap, Store, Work};
//!
//! let mut store = Store::new(0x5eed);
//! let info = ConnectionInfo { id: 1, ..ConnectionInfo::default() };
//! let mut connection = Connection::new(info, Limits::default(), SlotMap::ONE_GROUP);
//! let mut output = Output::default();
//!
//! // Bytes arrive. What they ask for starts together ...
//! connection.input().extend_from_slice(b"SET greeting hello\r\nGET greeting\r\n");
//! connection.turn(0, &mut NodeInfo::default, &mut output);
//! for batch in output.batches.drain(..) {
//!     assert_eq!(batch.work, Work::Propose);
//!     let mut entries = Vec::new();
//!     for (ticket, asked) in connection.asked(batch) {
//!         let mut entry = Vec::new();
//!         asked.encode(&mut entry);
//!         entries.push((ticket, entry));
//!     }
//!     // A server proposes them and waits for their responses.
//!     for (ticket, entry) in entries {
//!         let at = Applied { index: Index::new(1), log_time_ms: 0 };
//!         let response = store.apply(at, &Command::decode(&entry)?);
//!         connection.complete(ticket, Outcome::Done(response));
//!     }
//! }
//! // ... and is answered in order.
//! connection.turn(1, &mut NodeInfo::default, &mut output);
//! assert_eq!(output.replies, b"+OK\r\n$5\r\nhello\r\n");
//! # Ok::<(), raftlet_kv::DecodeError>(())
//! ```
//!
//! A family of commands has a file of its own at each station: what may be
//! asked (`operation/string.rs`), its bytes (`operation/codec/string.rs`), what
//! it does (`store/string.rs`), its rows (`command/table/string.rs`) and its
//! arguments (`command/parse/string.rs`). To add a family is to add these, and
//! one arm each in `operation.rs`, `operation/codec.rs` and `store.rs`.
//!
//! **Invariant**: equal inputs give equal outputs, byte for byte. Nothing here
//! asks for the time or for randomness, and no hash map's order shows.

pub(crate) mod command;
pub(crate) mod connection;
pub(crate) mod decimal;
pub(crate) mod double;
pub(crate) mod errors;
pub(crate) mod expected;
pub(crate) mod glob;
pub(crate) mod info;
pub(crate) mod limits;
pub(crate) mod long_double;
pub(crate) mod machine;
pub(crate) mod memory;
pub(crate) mod node;
pub(crate) mod operation;
pub(crate) mod pipeline;
pub(crate) mod resp;
pub(crate) mod scripts;
pub(crate) mod session;
pub(crate) mod sha1;
pub(crate) mod slot;
pub(crate) mod store;
pub(crate) mod value;

pub use connection::{Connection, Output};
pub use errors::Failure;
pub use expected::Expected;
pub use info::{NodeInfo, REDIS_VERSION};
pub use limits::{Limits, Share};
pub use machine::{Machine, Unwritten};
pub use memory::parse_memory;
pub use node::{ClientInfo, ClientState, ClusterInfo, ClusterNode, Node, Setting};
pub use operation::codec::DecodeError;
pub use operation::collection::{Pick, Scan};
pub use operation::hash::{HashChange, HashCommand, HashPart, HashQuery, HashQuestion};
pub use operation::key::{DeadlineForm, ExpireCondition, KeyCommand, KeyQuery, KeyScan, When};
pub use operation::list::{Find, ListChange, ListCommand, ListMove, ListQuery, ListQuestion};
pub use operation::lock::{LockCommand, LockStep};
pub use operation::response::{DataError, Response};
pub use operation::set::{SetChange, SetCommand, SetMove, SetOperation, SetQuery, SetQuestion};
pub use operation::sort::{Sort, SortBy, SortStore};
pub use operation::sorted_set::{
    AddIf, AddReply, AddRule, AddTo, Aggregate, Combination, Direction, LexBound, Range,
    RangeRequest, ScoreBound, SortedSetChange, SortedSetCommand, SortedSetQuery, SortedSetQuestion,
    StoreRange,
};
pub use operation::string::{
    Expiry, Lcs, LcsForm, SetAnswer, SetCondition, SetOptions, StringCommand, StringQuery,
};
pub use operation::transaction::Transaction;
pub use operation::{Command, Query};
pub use pipeline::Outcome;
pub use pipeline::batch::{Asked, Batch, Ticket, Work};
pub use resp::args::Args;
pub use resp::reply::Reply;
pub use resp::reply_parser::{REPLY_DEPTH_MAX, ReplyError, ReplyParser};
pub use resp::request::{ProtocolError, RequestParser};
pub use resp::writer::ReplyWriter;
pub use resp::{ProtocolVersion, push_request};
pub use scripts::{Script, Scripts};
pub use session::ConnectionInfo;
pub use session::password::Password;
pub use session::refusals::Refusals;
pub use slot::{GroupIndex, GroupsLenError, SLOTS_LEN, Slot, SlotMap};
pub use store::ending::SnapshotEnd;
pub use store::{Applied, Store};
pub use value::list::End;
pub use value::score::Score;
