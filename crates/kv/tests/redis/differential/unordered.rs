//! When two replies about a collection are alike.
//!
//! What is in it must be the same; the order need not, where Redis leaves it to
//! its hash table, and a random pick is only as large. How small collections
//! are ordered is in the transcripts.

use bytes::Bytes;

use super::Request;
use raftlet_kv::Reply;

/// Commands whose arguments we judge before we look at the keys.
const ARGUMENTS_FIRST: &[&[u8]] = &[
    b"zunion",
    b"zinter",
    b"zdiff",
    b"zunionstore",
    b"zinterstore",
    b"zdiffstore",
    b"zintercard",
    b"zmpop",
    b"lmpop",
    b"sintercard",
    b"lset",
    b"lindex",
    b"linsert",
];

/// `None`: the request isn't about a collection, or its reply has an order.
pub fn are_alike(request: &Request, ours: &Reply, theirs: &Reply) -> Option<bool> {
    let name = request[0].to_ascii_lowercase();
    match (&name[..], ours, theirs) {
        (name, Reply::Error(_), Reply::Error(theirs)) if ARGUMENTS_FIRST.contains(&name) => {
            Some(theirs.starts_with(b"WRONGTYPE"))
        }
        (b"smembers" | b"sinter" | b"sunion" | b"sdiff" | b"hkeys" | b"hvals" | b"spop", _, _) => {
            Some(sorted(elements(ours)?) == sorted(elements(theirs)?))
        }
        (b"hgetall", Reply::Map(ours), Reply::Map(theirs)) => {
            let pairs = |pairs: &[(Reply, Reply)]| {
                sorted(pairs.iter().map(|(field, value)| [text(field), text(value)]).collect())
            };
            Some(pairs(ours) == pairs(theirs))
        }
        (b"hgetall", Reply::Array(ours), Reply::Array(theirs)) => {
            Some(sorted(pairs(ours)) == sorted(pairs(theirs)))
        }
        (b"hscan" | b"sscan" | b"zscan", Reply::Array(ours), Reply::Array(theirs)) => {
            let ([our_cursor, Reply::Array(ours)], [their_cursor, Reply::Array(theirs)]) =
                (&ours[..], &theirs[..])
            else {
                return Some(false);
            };
            let shown = match &name[..] {
                b"sscan" => sorted(texts(ours)) == sorted(texts(theirs)),
                b"hscan" => sorted(pairs(ours)) == sorted(pairs(theirs)),
                _ => scores(ours) == scores(theirs),
            };
            Some(our_cursor == their_cursor && shown)
        }
        (b"hrandfield" | b"srandmember" | b"zrandmember", _, _) => Some(match (ours, theirs) {
            (Reply::Bulk(_), Reply::Bulk(_)) => request.len() == 2,
            _ => {
                let (ours, theirs) = (elements(ours)?, elements(theirs)?);
                let is_all = request.get(2).is_some_and(|count| &count[..] == b"1000");
                ours.len() == theirs.len() && (!is_all || sorted(ours) == sorted(theirs))
            }
        }),
        _ => None,
    }
}

/// The elements of a reply that has some, each as it reads.
fn elements(reply: &Reply) -> Option<Vec<String>> {
    match reply {
        Reply::Array(elements) | Reply::Set(elements) => {
            Some(elements.iter().map(|element| format!("{element:?}")).collect())
        }
        _ => None,
    }
}

fn text(reply: &Reply) -> Bytes {
    match reply {
        Reply::Bulk(text) => text.clone(),
        other => panic!("not a string: {other:?}"),
    }
}

fn texts(replies: &[Reply]) -> Vec<Bytes> {
    replies.iter().map(text).collect()
}

fn pairs(replies: &[Reply]) -> Vec<[Bytes; 2]> {
    replies.chunks(2).map(|pair| [text(&pair[0]), text(&pair[1])]).collect()
}

/// Members with scores; a large sorted set of Redis writes them another way
/// than a small one.
fn scores(replies: &[Reply]) -> Vec<(Bytes, u64)> {
    let score = |text: &Bytes| {
        let score: f64 = String::from_utf8_lossy(text).parse().expect("a score");
        score.to_bits()
    };
    sorted(pairs(replies).into_iter().map(|[member, text]| (member, score(&text))).collect())
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}
