//! A client's bytes: whatever it sends ends in replies, and how the network cuts
//! what it sent changes neither them nor the keys.
#![no_main]

use libfuzzer_sys::fuzz_target;

use node::Node;

#[path = "../../crates/kv/tests/redis/node.rs"]
#[allow(dead_code, missing_docs, reason = "the tests of the crate use all of it")]
mod node;

fuzz_target!(|data: &[u8]| {
    let Some((&cut, requests)) = data.split_first() else { return };
    let mut whole = Node::new();
    let replies = whole.ask(requests);
    let mut parts = Node::new();
    let (first, second) = requests.split_at(usize::from(cut).min(requests.len()));
    parts.send(first);
    parts.send(second);
    if !tells_how_much_arrived(requests) {
        assert_eq!(replies, parts.take_replies());
    }
    assert_eq!(whole.digests(), parts.digests());
});

/// `CLIENT` and `INFO` describe the connection, unread bytes among it.
fn tells_how_much_arrived(requests: &[u8]) -> bool {
    let lower = requests.to_ascii_lowercase();
    [&b"client"[..], b"info"].iter().any(|word| lower.windows(word.len()).any(|it| it == *word))
}
