//! Random commands get the replies of a real Redis, byte for byte.
//!
//! A Redis 7.0 on the `PATH` and a node in memory are asked the same, in
//! RESP2 and in RESP3. Where a reply can't be the same (a random pick, an
//! order, what is left until a deadline), what must be alike of it is compared
//! (`compare.rs`). A case that differs is made as short as it goes and printed.
//!
//! The clock is Redis's: it is asked for the time, and that becomes the log's.
//! Keys that lapse in the middle of a case would be a race, so deadlines are
//! either past or far away.
//!
//! Without a Redis the test says so and proves nothing. Its generators are one
//! file a family.

#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

mod compare;
mod crowd;
mod elements;
mod hashes;
mod keys;
mod lists;
mod random;
mod server;
mod sets;
mod sorted_sets;
mod strings;
mod unordered;

use bytes::{Bytes, BytesMut};

use self::random::Random;
pub use self::server::RedisServer;
use crate::node::Node;
use raftlet_kv::{ReplyParser, push_request};

/// Commands of one case, which starts with an empty keyspace.
const CASE_LEN: usize = 100;
/// Cases a protocol: 100 000 commands in both together.
const CASES: u64 = 500;

/// So many differences are told; one is seldom alone.
const TOLD_MAX: usize = 5;

/// One request.
type Request = Vec<Bytes>;

/// Families of commands, each drawn as often as the others.
const FAMILIES: &[fn(&mut Random) -> Request] = &[
    strings::request,
    keys::request,
    hashes::request,
    sets::request,
    lists::request,
    sorted_sets::request,
];

/// Those that show no order of keys, as walks over all keys do.
const VALUES: &[fn(&mut Random) -> Request] =
    &[strings::request, hashes::request, sets::request, lists::request, sorted_sets::request];

#[test]
fn random_commands_get_the_replies_of_redis() {
    let Some(mut redis) = RedisServer::start() else {
        println!("skipped: there is no redis-server 7.0 on the PATH");
        return;
    };
    let mut differences = Vec::new();
    for version in ["2", "3"] {
        for case in 0..CASES {
            let mut random = Random::new(case.wrapping_mul(31).wrapping_add(17));
            let requests: Vec<Request> = (0..CASE_LEN)
                .map(|_| {
                    let family = random.one_of(FAMILIES);
                    family(&mut random)
                })
                .collect();
            if differences.len() < TOLD_MAX
                && let Some(told) = difference(&mut redis, version, &requests)
            {
                let differs = |fewer: &[Request]| difference(&mut redis, version, fewer);
                let told = shortened((requests, told), differs);
                differences.push(format!("RESP{version}, case {case}: {told}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    println!("{} commands", 2 * CASES * u64::try_from(CASE_LEN).expect("small"));
}

/// Where the two differ, told for people, if they do.
fn difference(redis: &mut RedisServer, version: &str, requests: &[Request]) -> Option<String> {
    let mut wire = Vec::new();
    push_request(&mut wire, &[b"HELLO", version.as_bytes()]);
    push_request(&mut wire, &[b"FLUSHALL"]);
    for request in requests {
        let words: Vec<&[u8]> = request.iter().map(|word| &word[..]).collect();
        push_request(&mut wire, &words);
    }
    let mut node = Node::new();
    node.at.log_time_ms = redis.time_ms();
    node.send(&wire);
    let ours = replies(&node.output.replies);
    let theirs = redis.ask(&wire, requests.len() + 2);
    assert_eq!(ours.len(), requests.len() + 2, "a reply is missing");
    let pairs = ours.iter().zip(&theirs).skip(2);
    let at = requests
        .iter()
        .zip(pairs)
        .position(|(request, (ours, theirs))| !compare::are_alike(request, ours, theirs))?;
    let told = |replies: &[Bytes]| replies[at + 2].escape_ascii().to_string();
    let lines: Vec<String> = requests[..=at].iter().map(line).collect();
    Some(format!(
        "after\n  {}\nwe answer    {}\nRedis answers {}",
        lines.join("\n  "),
        told(&ours),
        told(&theirs)
    ))
}

/// What is told of as few of the requests as still make a difference.
fn shortened<T: Clone>(
    (mut requests, mut told): (Vec<T>, String),
    mut difference: impl FnMut(&[T]) -> Option<String>,
) -> String {
    let mut step = requests.len() / 2;
    while step > 0 {
        let mut start = 0;
        while start < requests.len() {
            let end = (start + step).min(requests.len());
            let fewer = [&requests[..start], &requests[end..]].concat();
            match difference(&fewer) {
                Some(still) => (requests, told) = (fewer, still),
                None => start = end,
            }
        }
        step /= 2;
    }
    told
}

/// A request as it is typed.
fn line(request: &Request) -> String {
    let words = request.iter().map(|word| {
        let text = word.escape_ascii().to_string();
        if text.is_empty() || text.contains([' ', '\\']) { format!("\"{text}\"") } else { text }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Bytes cut into replies.
fn replies(bytes: &[u8]) -> Vec<Bytes> {
    let mut parser = ReplyParser::new(16 << 20);
    let mut input = BytesMut::from(bytes);
    let mut replies = Vec::new();
    let mut rest = Bytes::copy_from_slice(bytes);
    while parser.next_reply(&mut input).expect("well-formed replies").is_some() {
        replies.push(rest.split_to(rest.len() - input.len()));
    }
    assert!(rest.is_empty(), "half a reply: {}", rest.escape_ascii());
    replies
}

/// Two members hash under different seeds and must not show it.
#[test]
fn members_that_apply_the_same_commands_answer_alike() {
    for case in 0..200 {
        let mut random = Random::new(case);
        let mut wire = Vec::new();
        for _ in 0..3 * CASE_LEN {
            // What pops at random would part us from Redis; it may not part members.
            let request = match random.once_in(12) {
                true => sets::pop(&mut random),
                false => random.one_of(VALUES)(&mut random),
            };
            let words: Vec<&[u8]> = request.iter().map(|word| &word[..]).collect();
            push_request(&mut wire, &words);
        }
        let [mut one, mut other] = [1, 2].map(Node::hashing_under);
        one.send(&wire);
        other.send(&wire);
        let pairs = replies(&one.output.replies).into_iter().zip(replies(&other.output.replies));
        for (at, (one, other)) in pairs.enumerate() {
            assert_eq!(one, other, "case {case}, reply {at}");
        }
        assert_eq!(one.digests(), other.digests(), "case {case}");
    }
}
