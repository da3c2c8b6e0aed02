//! Arguments of `CLUSTER` and of what else only makes sense in one.
//!
//! Questions are answered; orders are refused, because slots and members are
//! not dealt by clients here. `READONLY`, `READWRITE` and `ASKING` are taken:
//! every node serves every key as a linearizable read, whatever they ask for.
//!
//! Not here: the answers (`session/cluster.rs`).

use crate::command::parse::{Parsed, answered, required, table};
use crate::command::{ClusterRequest, Request, TableRequest};
use crate::resp::args::Args;
use crate::resp::reply::Reply;

pub(crate) fn switch(_: &Args) -> Parsed {
    answered(Reply::OK)
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
