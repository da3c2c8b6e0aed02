//! Arguments of `MULTI` and its kin.
//!
//! Not here: what is queued, and when a transaction may not be executed
//! (`session/transaction.rs`).

use crate::command::parse::Parsed;
use crate::command::{Request, TransactionRequest};
use crate::resp::args::Args;

pub(crate) fn discard(_: &Args) -> Parsed {
    Ok(Request::Transaction(TransactionRequest::Discard))
}

pub(crate) fn exec(_: &Args) -> Parsed {
    Ok(Request::Transaction(TransactionRequest::Exec))
}

pub(crate) fn multi(_: &Args) -> Parsed {
    Ok(Request::Transaction(TransactionRequest::Multi))
}

pub(crate) fn unwatch(_: &Args) -> Parsed {
    Ok(Request::Transaction(TransactionRequest::Unwatch))
}

pub(crate) fn watch(args: &Args) -> Parsed {
    Ok(Request::Transaction(TransactionRequest::Watch(args.bytes_from(1).collect())))
}
