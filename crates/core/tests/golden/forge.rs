//! Messages made by hand: late, doubled, or of somebody who is none.
//!
//! ```text
//! vote-request [kind=pre|real|transfer] term=T last=I@T
//! vote-reply [kind=pre|real] [campaign=C] granted=yes|no term=T
//! heartbeat after=I@T [commit=I] [round=R] term=T
//! ack matches=I [durable=I] [short] [round=R] [configuration=I] term=T
//! ack rejects=I hint=I@T [held=I] [round=R] term=T
//! probe | read [id=N] | not-leader term=T
//! take-over last=I@T term=T
//! read-reply id=N at=I [run=N] term=T
//! ```
//!
//! Each may add `of-run=N`: said by that run of the sender, and `generation=N`: in
//! that life of the group's id.

use crate::words::{number, option};
use raftlet_core::{
    Ack, AckOutcome, Append, Body, Entries, Index, LogId, ReadId, Round, Run, Term, VoteKind,
    VoteReply, VoteRequest, WallMs,
};

/// The body that the words describe.
pub(crate) fn body(kind: &str, words: &[&str]) -> Body {
    let value = |name, default| option(words, name).map_or(default, number);
    let index = |name, default| Index::new(value(name, default));
    let round = Round::new(value("round", 0));
    match kind {
        "vote-request" => Body::VoteRequest(VoteRequest {
            kind: vote_kind(words),
            campaign: value("campaign", 1),
            last: log_id(words, "last"),
            address: String::new(),
        }),
        "vote-reply" => Body::VoteReply(VoteReply {
            kind: vote_kind(words),
            campaign: value("campaign", 1),
            granted: option(words, "granted") == Some("yes"),
        }),
        "heartbeat" => Body::Append(Append {
            previous: log_id(words, "after"),
            commit: index("commit", 0),
            round,
            configuration: Index::FIRST,
            position: 0,
            entries: Entries::none(),
        }),
        "ack" => Body::Ack(Ack {
            round,
            configuration: index("configuration", 1),
            position: 0,
            commit: Index::ZERO,
            wall: WallMs(0),
            outcome: outcome(words),
        }),
        "probe" => Body::Probe,
        "not-leader" => Body::NotLeader { leader: None },
        "take-over" => Body::TakeOver { last: log_id(words, "last") },
        "read" => Body::Read { run: Run::new(1), read: ReadId::new(value("id", 1)) },
        "read-reply" => Body::ReadReply {
            run: Run::new(value("run", 1)),
            read: ReadId::new(value("id", 1)),
            index: option(words, "at").map(|at| Index::new(number(at))),
        },
        _ => panic!("`{kind}` is no message"),
    }
}

fn outcome(words: &[&str]) -> AckOutcome {
    if let Some(previous) = option(words, "rejects") {
        let previous = Index::new(number(previous));
        let held = option(words, "held").map_or(Index::ZERO, |index| Index::new(number(index)));
        return AckOutcome::Rejects { previous, hint: log_id(words, "hint"), held };
    }
    let verified = Index::new(number(option(words, "matches").unwrap()));
    let durable = option(words, "durable").map_or(verified, |index| Index::new(number(index)));
    AckOutcome::Matches { verified, durable, is_short: words.contains(&"short") }
}

fn vote_kind(words: &[&str]) -> VoteKind {
    match option(words, "kind") {
        Some("pre") => VoteKind::Pre,
        Some("transfer") => VoteKind::Transfer,
        _ => VoteKind::Real,
    }
}

fn log_id(words: &[&str], name: &str) -> LogId {
    let (index, term) = option(words, name).and_then(|id| id.split_once('@')).unwrap();
    LogId { term: Term::new(number(term)), index: Index::new(number(index)) }
}
