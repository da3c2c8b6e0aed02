//! Work that every group has a share of.
//!
//! Not here: how the shares become one answer (`pipeline/gather.rs`).

use bytes::Bytes;

use crate::operation::{Command, Query};

/// What every group is asked, or told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum EveryGroup {
    Read(Query<Bytes>),
    Write(Command<Bytes>),
}
