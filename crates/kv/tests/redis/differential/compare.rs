//! When two replies to the same request are alike.

use bytes::{Bytes, BytesMut};

use super::Request;
use super::unordered;
use raftlet_kv::{Reply, ReplyParser};

/// How long a case may take, in milliseconds: then what is left until a
/// deadline may differ.
const CASE_MS_MAX: i64 = 30_000;

/// Whether both are what the request asks for, and the same if they can be.
pub fn are_alike(request: &Request, ours: &Bytes, theirs: &Bytes) -> bool {
    if ours == theirs {
        return true;
    }
    let name = request[0].to_ascii_lowercase();
    let second = request.get(1).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    let (ours, theirs) = (parsed(ours), parsed(theirs));
    if let Some(are_alike) = unordered::are_alike(request, &ours, &theirs) {
        return are_alike;
    }
    match (&name[..], &ours, &theirs) {
        // What is left until a deadline, and a deadline by what was left.
        (b"ttl" | b"expiretime", Reply::Integer(ours), Reply::Integer(theirs)) => {
            are_times(*ours, *theirs, CASE_MS_MAX / 1_000)
        }
        (b"pttl" | b"pexpiretime", Reply::Integer(ours), Reply::Integer(theirs)) => {
            are_times(*ours, *theirs, CASE_MS_MAX)
        }
        (b"randomkey", Reply::Bulk(_), Reply::Bulk(_)) => true,
        // Sets, which both sides send in an order of their own.
        (b"keys", Reply::Array(ours), Reply::Array(theirs)) => sorted(ours) == sorted(theirs),
        (b"scan", Reply::Array(ours), Reply::Array(theirs)) => match (&ours[..], &theirs[..]) {
            ([our_cursor, Reply::Array(ours)], [their_cursor, Reply::Array(theirs)]) => {
                our_cursor == their_cursor && sorted(ours) == sorted(theirs)
            }
            _ => false,
        },
        (b"object", Reply::Bulk(ours), Reply::Bulk(theirs)) if second == b"encoding" => {
            // In Redis a string that grew is "raw" even when it is short, and a
            // number no "int"; a collection that was large stays what it became.
            let forms: &[&[&str]] = &[
                &["int", "embstr", "raw"],
                &["listpack", "hashtable", "intset"],
                &["listpack", "skiplist"],
            ];
            let has = |forms: &&&[&str], name: &Bytes| forms.iter().any(|form| name == form);
            forms.iter().any(|of_type| has(&of_type, ours) && has(&of_type, theirs))
        }
        // Small numbers are shared, but not those that `INCRBYFLOAT` made.
        (b"object", Reply::Integer(1 | 2_147_483_647), Reply::Integer(1 | 2_147_483_647)) => {
            second == b"refcount"
        }
        // A second may pass, even while nothing does.
        (b"object", Reply::Integer(0), Reply::Integer(idle_s)) => {
            second == b"idletime" && *idle_s <= CASE_MS_MAX / 1_000
        }
        // Every implementation has its own.
        (b"memory", Reply::Integer(ours), Reply::Integer(_)) => *ours > 0,
        _ => false,
    }
}

/// Whether both are times, and near to each other.
fn are_times(ours: i64, theirs: i64, apart_max: i64) -> bool {
    ours > 0 && theirs > 0 && ours.abs_diff(theirs) <= apart_max.unsigned_abs()
}

fn sorted(replies: &[Reply]) -> Vec<Bytes> {
    let text = |reply: &Reply| match reply {
        Reply::Bulk(text) => text.clone(),
        other => panic!("not a string: {other:?}"),
    };
    let mut texts: Vec<Bytes> = replies.iter().map(text).collect();
    texts.sort();
    texts
}

fn parsed(bytes: &Bytes) -> Reply {
    let mut input = BytesMut::from(&bytes[..]);
    let reply = ReplyParser::new(16 << 20).next_reply(&mut input);
    reply.expect("a reply").expect("a whole reply")
}
