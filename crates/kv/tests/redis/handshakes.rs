//! How well-known clients introduce themselves, and what they hear.
//!
//! Each test sends what a client sends before its user's first command, at
//! once, as these clients do, and then bytewise, and compares the whole
//! answer. Errors in here are ones that the client tolerates.

use crate::node::Node;
use raftlet_kv::push_request;

const HELLO_3: &str = "%7|$6|server|$5|redis|$7|version|$6|7.0.15|$5|proto|:3|$2|id|:7|\
                       $4|mode|$7|cluster|$4|role|$6|master|$7|modules|*0|";
const HELLO_2: &str = "*14|$6|server|$5|redis|$7|version|$6|7.0.15|$5|proto|:2|$2|id|:7|\
                       $4|mode|$7|cluster|$4|role|$6|master|$7|modules|*0|";

/// The requests, one a line, as arrays of bulk strings.
fn wire(requests: &[&str]) -> Vec<u8> {
    let mut wire = Vec::new();
    for request in requests {
        let args: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        push_request(&mut wire, &args);
    }
    wire
}

/// The answer to all the requests, which may not depend on how they arrive.
fn transcript(requests: &[&str]) -> String {
    let wire = wire(requests);
    let at_once = Node::new().ask(&wire);
    let mut node = Node::new();
    let bytewise: String = wire.chunks(1).map(|byte| node.ask(byte)).collect();
    assert_eq!(bytewise, at_once, "the answer depends on how the requests arrived");
    at_once
}

#[test]
fn redis_py_is_welcomed_in_resp3() {
    let replies = transcript(&[
        "HELLO 3",
        "CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-ip",
        "CLIENT SETNAME app",
        "CLIENT SETINFO LIB-NAME redis-py",
        "CLIENT SETINFO LIB-VER 8.0.0",
        "SELECT 0",
        "SET k v",
        "GET k",
        "GET none",
        "CLIENT GETNAME",
    ]);
    assert_eq!(
        replies,
        format!(
            "{HELLO_3}-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.|\
             +OK|+OK|+OK|+OK|+OK|$1|v|_|$3|app|"
        )
    );
}

#[test]
fn node_redis_is_welcomed_in_one_pipeline() {
    let replies = transcript(&[
        "HELLO 3",
        "CLIENT SETINFO LIB-VER 6.0.0",
        "CLIENT SETINFO LIB-NAME node-redis",
        "CLIENT MAINT_NOTIFICATIONS ON",
        "INCR n",
        "MGET n none",
    ]);
    assert_eq!(
        replies,
        format!(
            "{HELLO_3}+OK|+OK|-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.|\
             :1|*2|$1|1|_|"
        )
    );
}

#[test]
fn ioredis_finds_the_node_ready() {
    let replies = transcript(&[
        "HELLO 3",
        "CLIENT SETINFO LIB-NAME ioredis",
        "CLIENT SETINFO LIB-VER 6.0.0",
        "INFO",
        "SET k v",
    ]);
    let rest = replies.strip_prefix(&format!("{HELLO_3}+OK|+OK|=")).expect("a verbatim INFO");
    let (bytes, rest) = rest.split_once("|txt:# Server|").expect("the first section");
    let text = rest.strip_suffix("|+OK|").expect("INFO, then the answer to SET");
    assert!(text.contains("|loading:0|"), "ioredis would wait: {text}");
    // The text with its format, lines ending in two bytes, shown as one.
    let lines = text.matches('|').count();
    let shown = "txt:# Server|".len() + 1 + text.len() + lines;
    assert_eq!(bytes, shown.to_string());
}

#[test]
fn redis_cli_needs_nothing_and_understands_the_documentation() {
    assert_eq!(transcript(&["SET k v", "GET k"]), "+OK|$1|v|");
    let replies = transcript(&["COMMAND DOCS get"]);
    assert_eq!(
        replies,
        "*2|$3|get|*6|$7|summary|$22|Get the value of a key|$5|since|$5|1.0.0|\
         $5|group|$6|string|"
    );
}

#[test]
fn redis_cli_pipe_ends_with_the_echo_it_sent() {
    let mut node = Node::new();
    let mut requests = b"SET a 1\r\nset b 2\nINCR a\r\n".to_vec();
    requests
        .extend(b"*2\r\n$4\r\nECHO\r\n$20\r\n0123456789\x00\x01\r\n\x02\x03567890\r\n"[..].iter());
    let replies = node.ask(&requests);
    assert!(replies.starts_with("+OK|+OK|:2|$20|0123456789"), "{replies}");
}

#[test]
fn redis_benchmark_learns_how_durable_writes_are() {
    let replies = transcript(&["CONFIG GET save", "CONFIG GET appendonly", "PING", "SET k v"]);
    assert_eq!(replies, "*2|$4|save|$0||*2|$10|appendonly|$3|yes|+PONG|+OK|");
}

#[test]
fn rust_clients_stay_in_resp2() {
    let redis_rs =
        transcript(&["CLIENT SETINFO LIB-NAME redis-rs", "CLIENT SETINFO LIB-VER 1.8.0", "GET k"]);
    assert_eq!(redis_rs, "+OK|+OK|$-1|");
    let fred = transcript(&["PING", "CLIENT ID", "INFO server"]);
    assert!(fred.starts_with("+PONG|:7|$"), "{fred}");
    assert!(fred.contains("|redis_version:7.0.15|"), "{fred}");
}

#[test]
fn go_redis_is_let_in_as_the_default_user() {
    assert_eq!(transcript(&["HELLO 3 AUTH default x SETNAME app", "CLIENT GETNAME"]), {
        format!("{HELLO_3}$3|app|")
    });
}

/// Pipelined replies keep the version that was in force at their request.
#[test]
fn hello_changes_replies_from_its_own_on() {
    assert_eq!(
        transcript(&["GET k", "HELLO 3", "GET k", "HELLO 2", "GET k", "HELLO"]),
        format!("$-1|{HELLO_3}_|{HELLO_2}$-1|{HELLO_2}")
    );
}

#[test]
fn a_refused_hello_changes_nothing() {
    let refusals = [
        ("HELLO 4", "NOPROTO unsupported protocol version"),
        ("HELLO x", "ERR Protocol version is not an integer or out of range"),
        ("HELLO 3 foo", "ERR Syntax error in HELLO option 'foo'"),
        ("HELLO 3 AUTH a", "ERR Syntax error in HELLO option 'AUTH'"),
        ("HELLO 3 SETNAME", "ERR Syntax error in HELLO option 'SETNAME'"),
        (
            "HELLO 3 SETNAME a AUTH bob x",
            "WRONGPASS invalid username-password pair or user is disabled.",
        ),
    ];
    for (hello, text) in refusals {
        let replies = transcript(&[hello, "GET none", "CLIENT GETNAME"]);
        assert_eq!(replies, format!("-{text}|$-1|$-1|"), "{hello}");
    }
}
