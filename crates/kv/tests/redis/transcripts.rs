//! Transcripts recorded from a Redis server, told again byte for byte.
//!
//! A file is a list of claims; each begins on an empty node. Below a request
//! stands the reply, and below that RESP3's, where it differs.

use crate::node::Node;

fn assert_told_as_recorded(transcript: &str) {
    let blocks = transcript.split("\n\n").filter(|block| !block.starts_with("# Recorded"));
    for block in blocks {
        let (claim, lines) = block.split_once('\n').expect("a claim and its requests");
        assert!(claim.starts_with("# "), "{claim}");
        for version in [2, 3] {
            let mut node = Node::new();
            node.ask(format!("HELLO {version}\r\n"));
            let mut lines = lines.lines().peekable();
            while let Some(request) = lines.next() {
                let recorded = lines.next().and_then(|line| line.strip_prefix("  "));
                let mut recorded = recorded.expect("a reply below its request");
                if let Some(of_resp3) = lines.peek().and_then(|line| line.strip_prefix("  ")) {
                    recorded = if version == 3 { of_resp3 } else { recorded };
                    lines.next();
                }
                let reply = node.ask(format!("{request}\r\n"));
                assert_eq!(reply, recorded, "{claim} RESP{version}: {request}");
            }
        }
    }
}

#[test]
fn hashes_answer_as_those_of_redis_do() {
    assert_told_as_recorded(include_str!("transcripts/hash.txt"));
}

#[test]
fn sets_answer_as_those_of_redis_do() {
    assert_told_as_recorded(include_str!("transcripts/set.txt"));
}

#[test]
fn lists_answer_as_those_of_redis_do() {
    assert_told_as_recorded(include_str!("transcripts/list.txt"));
}

#[test]
fn sorted_sets_answer_as_those_of_redis_do() {
    assert_told_as_recorded(include_str!("transcripts/sorted_set.txt"));
}

#[test]
fn sorting_answers_as_that_of_redis_does() {
    assert_told_as_recorded(include_str!("transcripts/sort.txt"));
}
