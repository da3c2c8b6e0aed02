//! Arguments of `CLUSTER` and of what else only makes sense in one.
//!
//! Questions are answered; orders are refused, because slots and members are
//! not dealt by clients here. `READONLY`, `READWRITE` and `ASKING` are taken:
//! every node serves every key as a linearizable read, whatever they ask for.
//!
//! Not here: the answers (`session/cluster.rs`).

use crate::command::parse::{Parsed, answered, integer, required, table};
use crate::command::{ClusterRequest, Request, TableRequest};
use crate::errors;
use crate::operation::key::KeyQuery;
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::slot::Slot;

pub(crate) fn switch(_: &Args) -> Parsed {
    answered(Reply::OK)
}

/// `CLUSTER COUNTKEYSINSLOT slot`
pub(crate) fn countkeysinslot(args: &Args) -> Parsed {
    let slot = slot(integer(args, 2)?).ok_or_else(|| Reply::error(errors::INVALID_SLOT))?;
    let query = KeyQuery::InSlot { slot: slot.number(), len_max: None };
    Ok(Request::InSlot(slot, query.into()))
}

/// `CLUSTER GETKEYSINSLOT slot count`
pub(crate) fn getkeysinslot(args: &Args) -> Parsed {
    let (number, len_max) = (integer(args, 2)?, integer(args, 3)?);
    let (Some(slot), Ok(len_max)) = (slot(number), u64::try_from(len_max)) else {
        return Err(Reply::error(errors::INVALID_SLOT_OR_LEN));
    };
    let query = KeyQuery::InSlot { slot: slot.number(), len_max: Some(len_max) };
    Ok(Request::InSlot(slot, query.into()))
}

fn slot(number: i64) -> Option<Slot> {
    Slot::numbered(u16::try_from(number).ok()?)
}

pub(crate) fn help(_: &Args) -> Parsed {
    table(TableRequest::Help("cluster"))
}

pub(crate) fn info(_: &Args) -> Parsed {
    Ok(Request::Cluster(ClusterRequest::Info))
}

pub(crate) fn keyslot(args: &Args) -> Parsed {
    Ok(Request::Cluster(ClusterRequest::KeySlot(required(args, 2))))
}

pub(crate) fn links(_: &Args) -> Parsed {
    Ok(Request::Cluster(ClusterRequest::Links))
}

pub(crate) fn myid(_: &Args) -> Parsed {
    Ok(Request::Cluster(ClusterRequest::MyId))
}

pub(crate) fn nodes(_: &Args) -> Parsed {
    Ok(Request::Cluster(ClusterRequest::Nodes))
}

pub(crate) fn shards(_: &Args) -> Parsed {
    Ok(Request::Cluster(ClusterRequest::Shards))
}

pub(crate) fn slots(_: &Args) -> Parsed {
    Ok(Request::Cluster(ClusterRequest::Slots))
}
