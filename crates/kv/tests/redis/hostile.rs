//! Clients that send too much, read too little, or make no sense (rule 34).

use bytes::BytesMut;

use crate::node::Node;
use raftlet_kv::{Limits, ReplyParser, Share, push_request};

#[test]
fn a_full_pipeline_stops_reading_and_goes_on_when_it_drains() {
    let limits = Limits { pipeline_len_max: 4, ..Limits::default() };
    let mut node = Node::with(limits, 1);
    let requests = "INCR n\r\n".repeat(10);
    node.connection.input().extend_from_slice(requests.as_bytes());
    node.turn();
    assert!(!node.connection.wants_input());
    assert_eq!(node.connection.unanswered_len(), 4);
    let mut fresh = Node::with(limits, 1);
    let replies = fresh.ask(&requests);
    assert_eq!(replies, (1..=10).map(|n| format!(":{n}|")).collect::<String>());
    assert!(fresh.connection.wants_input());
    assert_eq!(fresh.connection.requests_accepted(), 10);
}

#[test]
fn pipelined_bytes_are_bounded_too() {
    let limits = Limits { pipeline_bytes_max: 1_000, ..Limits::default() };
    let mut node = Node::with(limits, 1);
    let mut request = Vec::new();
    push_request(&mut request, &[b"SET", b"k", &[b'v'; 600]]);
    for _ in 0..5 {
        node.connection.input().extend_from_slice(&request);
    }
    node.turn();
    assert_eq!(node.connection.unanswered_len(), 2);
    assert!(!node.connection.wants_input());
}

#[test]
fn a_share_bounds_what_is_under_way_and_takes_back_nothing() {
    let mut node = Node::new();
    node.connection.input().extend_from_slice("INCR n\r\n".repeat(100).as_bytes());
    node.connection.set_share(Share { len: 10, bytes: usize::MAX });
    node.turn();
    assert_eq!(node.connection.unanswered_len(), 10);
    assert!(!node.connection.wants_input());
    node.connection.set_share(Share { len: 5, bytes: usize::MAX });
    node.turn();
    assert_eq!(node.connection.unanswered_len(), 10, "what was accepted stays accepted");
    node.connection.set_share(Share { len: usize::MAX, bytes: 1 });
    node.connection.input().clear();
    node.connection.input().extend_from_slice(b"PING\r\n");
    node.turn();
    assert_eq!(node.connection.unanswered_len(), 10, "bytes count as well");
    let mut fresh = Node::new();
    fresh.connection.set_share(Share { len: 1, bytes: 1 });
    let replies = fresh.ask("INCR n\r\n".repeat(10));
    assert_eq!(
        replies,
        (1..=10).map(|n| format!(":{n}|")).collect::<String>(),
        "all of it, in turn"
    );
}

/// A pipeline of small requests whose replies are large.
#[test]
fn waiting_replies_count_as_pipelined_bytes() {
    let limits = Limits { pipeline_bytes_max: 100_000, ..Limits::default() };
    let mut node = Node::with(limits, 1);
    node.connection.input().extend_from_slice(b"SET k v\r\n");
    node.connection.input().extend_from_slice("COMMAND\r\n".repeat(1_000).as_bytes());
    node.turn();
    let unanswered_len = node.connection.unanswered_len();
    assert!((2..100).contains(&unanswered_len), "{unanswered_len} replies wait");
}

#[test]
fn values_that_nobody_fetches_do_not_pile_up() {
    let limits = Limits {
        reply_bytes_max: 5_000,
        output_bytes_max: 100,
        pipeline_len_max: 4,
        ..Limits::default()
    };
    let mut node = Node::with(limits, 1);
    node.send(format!("SET k {}\r\n", "v".repeat(2_000)).as_bytes());
    node.take_replies();
    node.send("GET k\r\n".repeat(20).as_bytes());
    // One reply is on its way out, and one batch of four waits behind it.
    assert_eq!(node.rounds, 2, "more was started than SET and one batch");
    assert_eq!(node.output.replies.len() / 2_000, 1);
    assert_eq!(node.connection.unanswered_len(), 4);
    let mut answered = 0;
    while !node.output.replies.is_empty() {
        answered += node.take_replies().matches("$2000|").count();
        node.send(b"");
    }
    assert_eq!(answered, 20);
}

#[test]
fn a_client_that_does_not_read_is_not_served_further() {
    let limits = Limits { output_bytes_max: 100, pipeline_len_max: 16, ..Limits::default() };
    let mut node = Node::with(limits, 1);
    let request = format!("ECHO {}\r\n", "x".repeat(60));
    node.send(request.repeat(100).as_bytes());
    assert!(!node.connection.wants_input());
    assert!(node.output.replies.len() < 200, "{} bytes wait", node.output.replies.len());
    assert_eq!(node.connection.unanswered_len(), 16);
    let mut answered = 0;
    while !node.output.replies.is_empty() {
        answered += node.take_replies().matches("$60|").count();
        node.turn();
    }
    assert_eq!(answered, 100);
    assert!(node.connection.wants_input());
}

/// Rule 34: what is kept, or made of little, has a bound of its own.
#[test]
fn requests_that_would_grow_memory_out_of_proportion_are_refused() {
    let answer = Node::new().ask(format!("COMMAND INFO{}\r\n", " get".repeat(2_000)));
    assert_eq!(answer, "-ERR 2000 names at once are too many, at most 1024 are taken|");
    let answer = Node::new().ask(format!("CLIENT SETNAME {}\r\n", "n".repeat(5_000)));
    assert_eq!(answer, "-ERR a name of 5000 bytes is too long, at most 1024 are kept|");
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 31)
}

/// Whatever a client sends: no panic, replies that parse, as many as there were
/// requests, and none that depends on how the bytes were split.
#[test]
fn any_bytes_get_one_whole_reply_a_request() {
    const CONVERSATION: &[u8] =
        b"HELLO 3\r\nSET k v\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\nMSET a 1 b 2\r\n\
        INCR a\r\nMGET a b c\r\nDEL a\r\nCLIENT SETNAME x\r\nCLIENT INFO\r\nCOMMAND INFO get\r\n\
        COMMAND DOCS set\r\nINFO server\r\nCOMMAND GETKEYS mset a b\r\nSELECT 0\r\nAUTH a b\r\n\
        HELLO 2 SETNAME y\r\nEXISTS a b\r\nDBSIZE\r\nfoo \"bar\\x00\"\r\nQUIT\r\n";
    const SPICE: &[u8] = b"*$\r\n \"'\\x09Aa-\0\xff";
    let mut random = 3;
    for round in 0..5_000 {
        let mut bytes = CONVERSATION.to_vec();
        for _ in 0..=next(&mut random) % 5 {
            let at = usize::try_from(next(&mut random)).expect("64 bits") % bytes.len();
            let spice = *SPICE.get(round % SPICE.len()).expect("within its length");
            match next(&mut random) % 3 {
                0 => *bytes.get_mut(at).expect("inside") = spice,
                1 => bytes.insert(at, spice),
                _ => drop(bytes.remove(at)),
            }
        }
        let mut at_once = Node::with(Limits::default(), 3);
        at_once.send(&bytes);
        let mut in_parts = Node::with(Limits::default(), 3);
        bytes.chunks(7).for_each(|chunk| in_parts.send(chunk));
        let shown = bytes.escape_ascii();
        assert_eq!(in_parts.output.replies, at_once.output.replies, "round {round}: {shown}");
        let mut parser = ReplyParser::new(1 << 20);
        let mut replies = BytesMut::from(&at_once.output.replies[..]);
        let mut replies_len = 0;
        while parser.next_reply(&mut replies).expect("replies parse").is_some() {
            replies_len += 1;
        }
        assert!(replies.is_empty(), "round {round}: half a reply to {shown}");
        assert_eq!(replies_len, at_once.connection.requests_accepted(), "round {round}: {shown}");
    }
}
