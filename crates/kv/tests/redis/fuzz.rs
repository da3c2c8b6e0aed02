//! Requests that nobody would send: every command with arguments of every
//! kind, bytes changed on the way, cut anywhere.
//!
//! Whatever arrives, nothing panics, every request gets one whole reply, what a
//! connection holds stays below a bound that follows from its limits, and the
//! accounts of the stores come out even once everything is removed.
//!
//! ```sh
//! RAFTLET_FUZZ_REQUESTS=1000000 cargo test --release -p raftlet-kv --test redis fuzz
//! ```

use bytes::BytesMut;

use crate::node::Node;
use raftlet_kv::{Limits, Reply, ReplyParser, Store, push_request};

/// What the gate sends; a few seconds without optimisation.
const REQUESTS_LEN: u64 = 20_000;
/// After so many the stores are emptied and their accounts looked at.
const ROUND_LEN: u64 = 500;

const LIMITS: Limits = Limits {
    request_bytes_max: 32 << 10,
    args_len_max: 64,
    bulk_bytes_max: 16 << 10,
    inline_bytes_max: 4 << 10,
    pipeline_len_max: 16,
    pipeline_bytes_max: 64 << 10,
    transaction_len_max: 20,
    transaction_bytes_max: 32 << 10,
    reply_bytes_max: 64 << 10,
    output_bytes_max: 16 << 10,
};

/// Bytes that arrive at once.
const CHUNK_BYTES: usize = 8 << 10;

/// What one connection may hold: input up to a request and a chunk, a pipeline
/// and the one request that goes over it with the largest reply that is no
/// stored value, and a transaction, which is held once more on its way.
const HELD_BYTES_MAX: usize = LIMITS.request_bytes_max
    + CHUNK_BYTES
    + LIMITS.args_len_max * 64
    + LIMITS.pipeline_bytes_max
    + LARGEST_REPLY_BYTES
    + 2 * (LIMITS.transaction_bytes_max + LIMITS.request_bytes_max);

/// `COMMAND` and `COMMAND DOCS`: about 60 nested values a command.
const LARGEST_REPLY_BYTES: usize = 2 << 20;

const WORDS: &[&[u8]] = &[
    b"a", b"b", b"{t}c", b"{t}d", b"", b"0", b"1", b"-1", b"2", b"10", b"1.5", b"nan", b"-inf",
    b"9223372036854775807", b"-9223372036854775808", b"18446744073709551616", b"1e400",
    b"nx", b"xx", b"gt", b"lt", b"ch", b"incr", b"ex", b"px", b"exat", b"pxat", b"keepttl", b"get",
    b"persist", b"limit", b"withscores", b"withvalues", b"match", b"count", b"type", b"string",
    b"rev", b"byscore", b"bylex", b"left", b"right", b"before", b"after", b"weights", b"aggregate",
    b"sum", b"min", b"max", b"store", b"replace", b"rank", b"maxlen", b"len", b"idx", b"fields",
    b"(1", b"[a", b"(b", b"-", b"+", b"*", b"[a-", b"\0\xff\r\n", b"ifeq", b"on", b"off", b"skip",
    b"id", b"addr", b"skipme", b"yes", b"async", b"maxmemory", b"save",
    b"if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end",
];

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ (z >> 27)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % bound.max(1)
    }

    fn is_one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, among: &[&'a T]) -> &'a T {
        among.get(self.below(among.len())).expect("not empty")
    }
}

/// Names of all commands, subcommands as two words.
fn names() -> Vec<Vec<u8>> {
    let mut node = Node::new();
    node.send(b"COMMAND LIST\r\n");
    let mut input = BytesMut::from(&node.output.replies[..]);
    let Ok(Some(Reply::Array(names))) = ReplyParser::new(1 << 20).next_reply(&mut input) else {
        panic!("COMMAND LIST is an array");
    };
    let name = |reply: Reply| match reply {
        Reply::Bulk(name) => name.to_vec(),
        other => panic!("a name is {other:?}"),
    };
    // To leave would only make the rest unheard.
    let stays = |name: &Vec<u8>| name != b"quit";
    names.into_iter().map(name).filter(stays).collect()
}

fn request(random: &mut Random, names: &[Vec<u8>]) -> Vec<u8> {
    let name = names.get(random.below(names.len())).expect("not empty");
    let large = vec![b'x'; random.below(3_000)];
    let mut args: Vec<&[u8]> = name.split(|byte| *byte == b'|').collect();
    for _ in 0..random.below(7) {
        args.push(if random.is_one_in(40) { &large } else { random.pick(WORDS) });
    }
    let mut bytes = Vec::new();
    push_request(&mut bytes, &args);
    while random.is_one_in(8) {
        mutate(random, &mut bytes);
    }
    bytes
}

fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    const SPICE: &[u8] = b"*$\r\n \"'\\x09Aa-\0\xff";
    let at = random.below(bytes.len());
    let spice = *SPICE.get(random.below(SPICE.len())).expect("within its length");
    match random.below(5) {
        0 => *bytes.get_mut(at).expect("inside") = spice,
        1 => bytes.insert(at, spice),
        2 => drop(bytes.remove(at)),
        3 => bytes.truncate(at.max(1)),
        _ => bytes.extend_from_within(at..),
    }
    if bytes.is_empty() {
        bytes.push(spice);
    }
}

/// Takes what was written; every byte must belong to a reply.
fn check_replies(node: &mut Node, story: &[Vec<u8>]) {
    let mut input = BytesMut::from(&std::mem::take(&mut node.output.replies)[..]);
    let mut parser = ReplyParser::new(8 << 20);
    loop {
        match parser.next_reply(&mut input) {
            Ok(Some(_)) => {}
            Ok(None) if input.is_empty() => return,
            other => panic!("{other:?} in {:?} after {}", input, told(story)),
        }
    }
}

fn told(story: &[Vec<u8>]) -> String {
    story.iter().map(|bytes| format!("\n{}", bytes.escape_ascii())).collect()
}

fn run(seed: u64, requests_len: u64) -> usize {
    let names = names();
    let mut random = Random(seed);
    let mut node = Node::with(LIMITS, 1 + seed % 3);
    let (mut story, mut burst): (Vec<Vec<u8>>, Vec<u8>) = (Vec::new(), Vec::new());
    let mut held_bytes_max = 0;
    for number in 1..=requests_len {
        let bytes = request(&mut random, &names);
        burst.extend_from_slice(&bytes);
        story.push(bytes);
        if !random.is_one_in(30) && number % ROUND_LEN != 0 {
            continue;
        }
        let mut rest = &std::mem::take(&mut burst)[..];
        while !rest.is_empty() {
            let cut = if random.is_one_in(4) { 1 + random.below(rest.len()) } else { rest.len() };
            let (now, later) = rest.split_at(cut.min(CHUNK_BYTES));
            rest = later;
            node.connection.input().extend_from_slice(now);
            // What has arrived is held until it is executed and fetched.
            loop {
                node.turn();
                let held_bytes = node.connection.held_bytes();
                held_bytes_max = held_bytes_max.max(held_bytes);
                assert!(held_bytes <= HELD_BYTES_MAX, "{held_bytes} held after {}", told(&story));
                node.send(b"");
                if node.output.replies.is_empty() {
                    break;
                }
                check_replies(&mut node, &story);
            }
        }
        assert_eq!(node.connection.unanswered_len(), 0, "no answer after {}", told(&story));
        if node.connection.is_finished() || random.is_one_in(10) {
            node.reconnect(random.next());
            story.clear();
        }
        if number % ROUND_LEN == 0 {
            node.reconnect(random.next());
            story.clear();
            assert_eq!(node.ask("FLUSHALL\r\n"), "+OK|");
            let empty = Store::new(0).digest();
            for store in node.stores() {
                assert_eq!((store.used_bytes(), store.keys_len()), (0, 0), "seed {seed}");
                assert_eq!(store.digest(), empty, "seed {seed}");
            }
        }
    }
    held_bytes_max
}

#[test]
fn whatever_is_sent_gets_whole_replies_and_holds_bounded_memory() {
    let requests_len = std::env::var("RAFTLET_FUZZ_REQUESTS")
        .map_or(REQUESTS_LEN, |text| text.parse().expect("a number of requests"));
    let largest = (0..4).map(|seed| run(seed, requests_len / 4)).max();
    // A bound that is never approached says nothing.
    assert!(largest >= Some(LIMITS.transaction_bytes_max / 2), "only {largest:?} bytes were held");
}
