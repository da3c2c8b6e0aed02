//! Messages as scripts print them.

use crate::members;
use raftlet_core::{Body, Message};

/// A message's kind, as commands name it.
pub(crate) fn name(body: &Body) -> &'static str {
    match body {
        Body::Append(append) if append.entries.is_empty() => "heartbeat",
        Body::Append(_) => "append",
        Body::Ack(_) => "ack",
        Body::VoteRequest(_) => "vote-request",
        Body::VoteReply(_) => "vote-reply",
        Body::Probe => "probe",
        Body::NotLeader { .. } => "not-leader",
        Body::TakeOver { .. } => "take-over",
        Body::Snapshot(_) => "snapshot",
        Body::SnapshotAck(_) => "snapshot-ack",
        Body::Checkpoint(_) => "checkpoint",
        Body::Read { .. } => "read",
        Body::ReadReply { .. } => "read-reply",
        Body::Forward(_) => "forward",
        Body::ForwardReply(_) => "forward-reply",
        Body::Membership(_) => "membership",
    }
}

/// A message in one line.
pub(crate) fn describe(message: &Message) -> String {
    let detail = match &message.body {
        Body::Append(append) => {
            let end = append.entries.last().map_or(append.previous, |last| last);
            format!(
                "after {} to {} commit={} round={}",
                append.previous,
                end,
                append.commit,
                append.round.get()
            )
        }
        Body::Ack(ack) => format!("{:?} round={}", ack.outcome, ack.round.get()),
        Body::VoteRequest(request) => format!("{:?} last={}", request.kind, request.last),
        Body::VoteReply(reply) => format!("{:?} granted={}", reply.kind, reply.granted),
        Body::NotLeader { leader } => format!("{leader:?}"),
        Body::TakeOver { last } => format!("last={last}"),
        Body::Snapshot(part) => format!("{} part={}", part.last, part.number),
        Body::Checkpoint(it) => format!("at={} log={} state={}", it.index, it.log, it.state),
        Body::SnapshotAck(ack) => format!("{} {:?}", ack.last, ack.outcome),
        Body::ReadReply { index, .. } => format!("{index:?}"),
        Body::ForwardReply(reply) => format!("{:?}", reply.outcome),
        Body::Membership(said) => members::describe(said),
        Body::Probe | Body::Read { .. } | Body::Forward(_) => String::new(),
    };
    format!("{} term={} {detail}", name(&message.body), message.term.get()).trim_end().to_owned()
}
