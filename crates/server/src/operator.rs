//! The commands by which an operator asks a running node, or looks into the
//! directory of a stopped one.
//!
//! - `ask.rs`: `status`. `member.rs`: `member`. `lead.rs`: `leader transfer`.
//!   `snapshot.rs`: `snapshot`.
//! - `logs.rs`: `log`, without a node. `reference.rs`: `completions`, `man`.
//!
//! Not here: their flags (`cli.rs`), what the node does (`admin.rs`, `shard.rs`).

pub(crate) mod ask;
pub(crate) mod lead;
pub(crate) mod logs;
pub(crate) mod member;
pub(crate) mod reference;
pub(crate) mod snapshot;
