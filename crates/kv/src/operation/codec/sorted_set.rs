//! The bytes of the family of sorted sets.
//!
//! ```text
//! command  u8 kind, then by kind:
//!   1 add               bytes key, u8 to: 0 any, 1 new, 2 existing,
//!                       u8 if: 0 any, 1 greater, 2 less,
//!                       u8 reply: 0 added, 1 changed, 2 sum,
//!                       list of (score, bytes member)
//!   2 remove            bytes key, list of bytes member
//!   3 remove range      bytes key, range
//!   4 pop               bytes key, direction, optional u64 count
//!   5 store             bytes destination, combination
//!   6 store range       bytes destination, bytes source, request
//!   7 pop first         direction, u64 count, list of bytes key
//! query    u8 question, then by question:
//!   1 score             bytes key, bytes member
//!   2 score each        bytes key, list of bytes member
//!   3 len               bytes key
//!   4 count             bytes key, range
//!   5 rank              bytes key, bytes member, direction
//!   6 range             bytes key, request, boolean with_scores
//!   7 random            bytes key, pick
//!   8 scan              bytes key, scan
//!   9 combine           combination, boolean with_scores
//!  10 intersection_len  list of bytes key, u64 limit
//! ```
//!
//! Ranges, requests and combinations: `codec/sorted_set_range.rs`.

use crate::operation::codec::DecodeError;
use crate::operation::codec::collection::{count, pick, push_count, push_pick, push_scan, scan};
use crate::operation::codec::reader::{Reader, push_bytes, push_list, push_u64};
use crate::operation::codec::sorted_set_range::{
    combination, direction, push_combination, push_direction, push_range, push_request,
    push_scored, range, request, scored,
};
use crate::operation::sorted_set::{
    AddIf, AddReply, AddRule, AddTo, SortedSetChange, SortedSetCommand, SortedSetQuery,
    SortedSetQuestion, StoreRange,
};

const ADD: u8 = 1;
const REMOVE: u8 = 2;
const REMOVE_RANGE: u8 = 3;
const POP: u8 = 4;
const STORE: u8 = 5;
const STORE_RANGE: u8 = 6;
const POP_FIRST: u8 = 7;

const SCORE: u8 = 1;
const SCORE_EACH: u8 = 2;
const LEN: u8 = 3;
const COUNT: u8 = 4;
const RANK: u8 = 5;
const RANGE: u8 = 6;
const RANDOM: u8 = 7;
const SCAN: u8 = 8;
const COMBINE: u8 = 9;
const INTERSECTION_LEN: u8 = 10;

pub(super) fn encode_command<B: AsRef<[u8]>>(command: &SortedSetCommand<B>, out: &mut Vec<u8>) {
    match command {
        SortedSetCommand::One { key, change } => encode_change(key, change, out),
        SortedSetCommand::PopFirst { keys, direction, count } => {
            out.push(POP_FIRST);
            push_direction(out, *direction);
            push_u64(out, *count);
            push_list(out, keys);
        }
        SortedSetCommand::Store { destination, combination } => {
            out.push(STORE);
            push_bytes(out, destination);
            push_combination(out, combination);
        }
        SortedSetCommand::StoreRange(stored) => {
            out.push(STORE_RANGE);
            push_bytes(out, &stored.destination);
            push_bytes(out, &stored.source);
            push_request(out, &stored.request);
        }
    }
}

fn encode_change<B: AsRef<[u8]>>(key: &B, change: &SortedSetChange<B>, out: &mut Vec<u8>) {
    out.push(match change {
        SortedSetChange::Add { .. } => ADD,
        SortedSetChange::Remove(_) => REMOVE,
        SortedSetChange::RemoveRange(_) => REMOVE_RANGE,
        SortedSetChange::Pop { .. } => POP,
    });
    push_bytes(out, key);
    match change {
        SortedSetChange::Add { rule, members } => {
            push_rule(out, *rule);
            push_scored(out, members);
        }
        SortedSetChange::Remove(members) => push_list(out, members),
        SortedSetChange::RemoveRange(range) => push_range(out, range),
        SortedSetChange::Pop { direction, count } => {
            push_direction(out, *direction);
            push_count(out, *count);
        }
    }
}

pub(super) fn decode_command<'a>(
    reader: &mut Reader<'a>,
) -> Result<SortedSetCommand<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    match reader.byte()? {
        POP_FIRST => {
            let (direction, count) = (direction(reader)?, reader.u64()?);
            let keys = reader.list(Reader::bytes)?;
            Ok(SortedSetCommand::PopFirst { keys, direction, count })
        }
        STORE => {
            let destination = reader.bytes()?;
            Ok(SortedSetCommand::Store { destination, combination: combination(reader)? })
        }
        STORE_RANGE => {
            let (destination, source) = reader.pair()?;
            let stored = StoreRange { destination, source, request: request(reader)? };
            Ok(SortedSetCommand::StoreRange(Box::new(stored)))
        }
        kind @ ADD..=POP => {
            let key = reader.bytes()?;
            Ok(SortedSetCommand::One { key, change: decode_change(reader, kind)? })
        }
        found => Err(DecodeError::UnknownKind { found, offset }),
    }
}

fn decode_change<'a>(
    reader: &mut Reader<'a>,
    kind: u8,
) -> Result<SortedSetChange<&'a [u8]>, DecodeError> {
    Ok(match kind {
        ADD => SortedSetChange::Add { rule: rule(reader)?, members: reader.list(scored)? },
        REMOVE => SortedSetChange::Remove(reader.list(Reader::bytes)?),
        REMOVE_RANGE => SortedSetChange::RemoveRange(Box::new(range(reader)?)),
        _ => SortedSetChange::Pop { direction: direction(reader)?, count: count(reader)? },
    })
}

pub(super) fn encode_query<B: AsRef<[u8]>>(query: &SortedSetQuery<B>, out: &mut Vec<u8>) {
    match query {
        SortedSetQuery::One { key, question } => encode_question(key, question, out),
        SortedSetQuery::Combine { combination, with_scores } => {
            out.push(COMBINE);
            push_combination(out, combination);
            out.push(u8::from(*with_scores));
        }
        SortedSetQuery::IntersectionLen { keys, limit } => {
            out.push(INTERSECTION_LEN);
            push_list(out, keys);
            push_u64(out, *limit);
        }
    }
}

fn encode_question<B: AsRef<[u8]>>(key: &B, question: &SortedSetQuestion<B>, out: &mut Vec<u8>) {
    out.push(match question {
        SortedSetQuestion::Score(_) => SCORE,
        SortedSetQuestion::ScoreEach(_) => SCORE_EACH,
        SortedSetQuestion::Len => LEN,
        SortedSetQuestion::Count(_) => COUNT,
        SortedSetQuestion::Rank { .. } => RANK,
        SortedSetQuestion::Range { .. } => RANGE,
        SortedSetQuestion::Random(_) => RANDOM,
        SortedSetQuestion::Scan(_) => SCAN,
    });
    push_bytes(out, key);
    match question {
        SortedSetQuestion::Score(member) => push_bytes(out, member),
        SortedSetQuestion::ScoreEach(members) => push_list(out, members),
        SortedSetQuestion::Len => {}
        SortedSetQuestion::Count(range) => push_range(out, range),
        SortedSetQuestion::Rank { member, direction } => {
            push_bytes(out, member);
            push_direction(out, *direction);
        }
        SortedSetQuestion::Range { request, with_scores } => {
            push_request(out, request);
            out.push(u8::from(*with_scores));
        }
        SortedSetQuestion::Random(pick) => push_pick(out, pick),
        SortedSetQuestion::Scan(scan) => push_scan(out, scan),
    }
}

pub(super) fn decode_query<'a>(
    reader: &mut Reader<'a>,
) -> Result<SortedSetQuery<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    match reader.byte()? {
        COMBINE => {
            let combination = combination(reader)?;
            Ok(SortedSetQuery::Combine { combination, with_scores: reader.boolean()? })
        }
        INTERSECTION_LEN => {
            let keys = reader.list(Reader::bytes)?;
            Ok(SortedSetQuery::IntersectionLen { keys, limit: reader.u64()? })
        }
        kind @ SCORE..=SCAN => {
            let key = reader.bytes()?;
            Ok(SortedSetQuery::One { key, question: decode_question(reader, kind)? })
        }
        found => Err(DecodeError::UnknownKind { found, offset }),
    }
}

fn decode_question<'a>(
    reader: &mut Reader<'a>,
    kind: u8,
) -> Result<SortedSetQuestion<&'a [u8]>, DecodeError> {
    Ok(match kind {
        SCORE => SortedSetQuestion::Score(reader.bytes()?),
        SCORE_EACH => SortedSetQuestion::ScoreEach(reader.list(Reader::bytes)?),
        LEN => SortedSetQuestion::Len,
        COUNT => SortedSetQuestion::Count(Box::new(range(reader)?)),
        RANK => {
            let member = reader.bytes()?;
            SortedSetQuestion::Rank { member, direction: direction(reader)? }
        }
        RANGE => {
            let request = Box::new(request(reader)?);
            SortedSetQuestion::Range { request, with_scores: reader.boolean()? }
        }
        RANDOM => SortedSetQuestion::Random(pick(reader)?),
        _ => SortedSetQuestion::Scan(scan(reader)?),
    })
}

fn push_rule(out: &mut Vec<u8>, rule: AddRule) {
    out.push(match rule.members {
        AddTo::Any => 0,
        AddTo::New => 1,
        AddTo::Existing => 2,
    });
    out.push(match rule.scores {
        AddIf::Any => 0,
        AddIf::Greater => 1,
        AddIf::Less => 2,
    });
    out.push(match rule.reply {
        AddReply::Added => 0,
        AddReply::Changed => 1,
        AddReply::Sum => 2,
    });
}

fn rule(reader: &mut Reader<'_>) -> Result<AddRule, DecodeError> {
    let members = reader.choice(|byte| match byte {
        0 => Some(AddTo::Any),
        1 => Some(AddTo::New),
        2 => Some(AddTo::Existing),
        _ => None,
    })?;
    let scores = reader.choice(|byte| match byte {
        0 => Some(AddIf::Any),
        1 => Some(AddIf::Greater),
        2 => Some(AddIf::Less),
        _ => None,
    })?;
    let reply = reader.choice(|byte| match byte {
        0 => Some(AddReply::Added),
        1 => Some(AddReply::Changed),
        2 => Some(AddReply::Sum),
        _ => None,
    })?;
    Ok(AddRule { members, scores, reply })
}
