//! Replies to requests of every kind, good and bad.

use crate::node::Node;
use raftlet_kv::Limits;

/// Asks one inline request on a new connection to an empty node.
fn reply(request: &str) -> String {
    Node::new().ask(format!("{request}\r\n"))
}

#[test]
fn data_commands_answer_as_redis_does() {
    let mut node = Node::new();
    for (request, answer) in [
        ("GET a", "$-1|"),
        ("SET a 1", "+OK|"),
        ("get a", "$1|1|"),
        ("INCR a", ":2|"),
        ("MSET b x c y", "+OK|"),
        ("MGET a none c", "*3|$1|2|$-1|$1|y|"),
        ("EXISTS a a none", ":2|"),
        ("DBSIZE", ":3|"),
        ("INCR b", "-ERR value is not an integer or out of range|"),
        ("DEL a b none", ":2|"),
        ("DBSIZE", ":1|"),
        ("SET n 9223372036854775807", "+OK|"),
        ("INCR n", "-ERR increment or decrement would overflow|"),
        ("INCRBY n -7", ":9223372036854775800|"),
        ("INCRBY n x", "-ERR value is not an integer or out of range|"),
    ] {
        assert_eq!(node.ask(format!("{request}\r\n")), answer, "{request}");
    }
}

#[test]
fn connection_commands_answer_as_redis_does() {
    for (request, answer) in [
        ("PING", "+PONG|"),
        ("PING hi", "$2|hi|"),
        ("ECHO \"a b\"", "$3|a b|"),
        ("SELECT 0", "+OK|"),
        ("SELECT 1", "-ERR SELECT is not allowed in cluster mode|"),
        ("SELECT -1", "-ERR SELECT is not allowed in cluster mode|"),
        ("SELECT x", "-ERR value is not an integer or out of range|"),
        ("CLIENT ID", ":7|"),
        ("CLIENT GETNAME", "$-1|"),
        ("CLIENT SETNAME \"\"", "+OK|"),
        (
            "CLIENT SETNAME \"a b\"",
            "-ERR Client names cannot contain spaces, newlines or special characters.|",
        ),
        ("CLIENT NO-EVICT on", "+OK|"),
        ("CLIENT NO-EVICT x", "-ERR syntax error|"),
        ("CLIENT REPLY x", "-ERR syntax error|"),
        (
            "CLIENT SETINFO lib-name \"a b\"",
            "-ERR lib-name cannot contain spaces, newlines or special characters.|",
        ),
        ("CLIENT SETINFO foo x", "-ERR Unrecognized option 'foo'|"),
        (
            "AUTH x",
            "-ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?|",
        ),
        ("AUTH default x", "+OK|"),
        ("AUTH bob x", "-WRONGPASS invalid username-password pair or user is disabled.|"),
        ("AUTH a b c", "-ERR syntax error|"),
    ] {
        assert_eq!(reply(request), answer, "{request}");
    }
}

#[test]
fn requests_that_make_no_sense_get_the_errors_of_redis() {
    let [a, b, f] = ["a", "b", "f"].map(|letter| letter.repeat(100));
    let [b_shown, f_shown] = ["b".repeat(25), "f".repeat(128)];
    for (request, answer) in [
        ("foo", "-ERR unknown command 'foo', with args beginning with: |".to_owned()),
        ("foo a b", "-ERR unknown command 'foo', with args beginning with: 'a' 'b' |".to_owned()),
        (
            &format!("foo {a} {b} c"),
            format!("-ERR unknown command 'foo', with args beginning with: '{a}' '{b_shown}' |"),
        ),
        (
            &format!("{f}{f} x"),
            format!("-ERR unknown command '{f_shown}', with args beginning with: 'x' |"),
        ),
        (
            r#""fo\no\r" "a\nb""#,
            "-ERR unknown command 'fo o ', with args beginning with: 'a b' |".to_owned(),
        ),
        ("\"\"", "-ERR unknown command '', with args beginning with: |".to_owned()),
        ("GET", arity("get")),
        ("GET a b", arity("get")),
        ("PING a b", arity("ping")),
        ("MSET a", arity("mset")),
        ("MSET a b c", arity("mset")),
        ("CLIENT", arity("client")),
        ("CLIENT GETNAME x", arity("client|getname")),
        ("COMMAND GETKEYS get", arity("command|getkeys")),
        ("CLIENT foo bar", "-ERR unknown subcommand 'foo'. Try CLIENT HELP.|".to_owned()),
        ("SET a b c", "-ERR syntax error|".to_owned()),
    ] {
        assert_eq!(reply(request), answer, "{request}");
    }
}

fn arity(name: &str) -> String {
    format!("-ERR wrong number of arguments for '{name}' command|")
}

#[test]
fn what_redis_has_and_raftlet_has_not_is_refused_by_name() {
    for (request, start) in [
        ("blpop k 0", "-ERR BLPOP is not supported by raftlet: nothing here blocks; use LMOVE"),
        (
            "CLUSTER ADDSLOTS 1",
            "-ERR CLUSTER ADDSLOTS is not supported by raftlet: slots are dealt",
        ),
        ("CLUSTER MEET h 1", "-ERR CLUSTER MEET is not supported by raftlet: members are added"),
        ("REPLICAOF h 1", "-ERR REPLICAOF is not supported by raftlet: use any node"),
        ("CLIENT TRACKING ON", "-ERR CLIENT TRACKING is not supported by raftlet: there are no"),
        ("SAVE", "-ERR SAVE is not supported by raftlet: a write is on a majority's disks"),
        ("GETBIT a 1", "-ERR GETBIT is not supported by raftlet: use GETRANGE and SETRANGE"),
        ("MEMORY DOCTOR", "-ERR MEMORY DOCTOR is not supported by raftlet: use INFO memory"),
        ("COMMAND LIST FILTERBY PATTERN m*", "-ERR COMMAND LIST FILTERBY is not supported"),
    ] {
        let answer = reply(request);
        assert!(answer.starts_with(start), "{request}: {answer}");
    }
}

#[test]
fn command_describes_the_table_in_the_shape_of_redis_7() {
    assert_eq!(
        reply("COMMAND INFO mset foo"),
        "*2|*10|$4|mset|:-3|*2|+write|+denyoom|:1|:-1|:2|*3|+@write|+@string|+@slow|\
         *0|*0|*0|$-1|"
    );
    let mut node = Node::new();
    node.ask("HELLO 3\r\n");
    assert_eq!(
        node.ask("COMMAND INFO get foo\r\n"),
        "*2|*10|$3|get|:2|~2|+readonly|+fast|:1|:1|:1|~3|+@read|+@string|+@fast|~0|~0|*0|_|"
    );
    let count = reply("COMMAND COUNT").replacen(':', "*", 1);
    assert!(reply("COMMAND").starts_with(&format!("{count}*10|$3|get|")), "{count}");
    assert!(reply("COMMAND LIST").contains("|$9|client|id|"));
    assert!(reply("COMMAND INFO client|id").starts_with("*1|*10|$9|client|id|:2|"));
    assert!(reply("COMMAND DOCS foo").starts_with("*0|"));
    assert!(reply("CLIENT HELP").contains("|+GETNAME|"));
}

#[test]
fn command_getkeys_finds_the_keys_of_any_row() {
    for (request, answer) in [
        ("COMMAND GETKEYS mset a 1 b 2", "*2|$1|a|$1|b|"),
        ("COMMAND GETKEYS del a b", "*2|$1|a|$1|b|"),
        ("COMMAND GETKEYS set a 1", "*1|$1|a|"),
        ("COMMAND GETKEYS foo a", "-ERR Invalid command specified|"),
        ("COMMAND GETKEYS ping a", "-ERR The command has no key arguments|"),
        ("COMMAND GETKEYS get a b", "-ERR Invalid number of arguments specified for command|"),
    ] {
        assert_eq!(reply(request), answer, "{request}");
    }
}

#[test]
fn client_reply_silences_exactly_what_it_should() {
    for (requests, answer) in [
        ("CLIENT REPLY OFF|PING|SET k v|CLIENT REPLY ON|GET k", "+OK|$1|v|"),
        ("CLIENT REPLY SKIP|PING|PING", "+PONG|"),
        ("CLIENT REPLY SKIP|CLIENT REPLY ON|PING", "+OK|+PONG|"),
        ("CLIENT REPLY OFF|CLIENT REPLY SKIP|PING|PING|CLIENT REPLY ON|PING", "+OK|+PONG|"),
        ("CLIENT REPLY OFF|CLIENT foo|CLIENT REPLY foo|CLIENT REPLY ON", "+OK|"),
    ] {
        let mut node = Node::new();
        assert_eq!(node.ask(requests.replace('|', "\r\n") + "\r\n"), answer, "{requests}");
    }
}

#[test]
fn quit_answers_what_came_before_and_hears_nothing_after() {
    let mut node = Node::new();
    assert_eq!(node.ask("SET k v\r\nGET k\r\nQUIT\r\nSET k w\r\n"), "+OK|$1|v|+OK|");
    assert!(node.connection.is_finished());
    assert!(!node.connection.wants_input());
    assert!(node.connection.input().is_empty(), "what came after stays in memory");
}

#[test]
fn a_protocol_error_is_answered_in_its_turn_and_closes() {
    let mut node = Node::new();
    assert_eq!(
        node.ask("SET k v\r\n*1\r\nfoo\r\nPING\r\n"),
        "+OK|-ERR Protocol error: expected '$', got 'f'|"
    );
    assert!(node.connection.is_finished());
}

#[test]
fn a_browser_tricked_into_a_request_is_cut_off_without_a_word() {
    for line in ["POST / HTTP/1.1", "Host: 127.0.0.1:7379"] {
        let mut node = Node::new();
        assert_eq!(node.ask(format!("{line}\r\nSET k v\r\n")), "");
        assert!(node.connection.is_finished());
    }
}

#[test]
fn a_pipeline_costs_one_round_and_reads_see_the_writes_before_them() {
    let mut node = Node::new();
    let replies = node.ask("SET k 1\r\nGET k\r\nINCR k\r\nGET k\r\nPING\r\nDEL k\r\nGET k\r\n");
    assert_eq!(replies, "+OK|$1|1|:2|$1|2|+PONG|:1|$-1|");
    assert_eq!(node.rounds, 1);
    node.ask("GET a\r\nGET b\r\nMGET c d\r\nDBSIZE\r\n");
    assert_eq!(node.rounds, 2);
}

#[test]
fn keys_of_different_groups_in_one_request_are_refused() {
    let mut node = Node::with(Limits::default(), 2);
    let crossslot = "-CROSSSLOT Keys in request don't hash to the same slot|";
    // By the well-known slots 12182 and 5061 of these keys.
    for request in ["MSET foo 1 bar 2", "MGET foo bar", "DEL foo bar", "EXISTS foo bar"] {
        assert_eq!(node.ask(format!("{request}\r\n")), crossslot, "{request}");
    }
    assert_eq!(node.ask("MSET foo 1 {foo}2 2 3{foo} 3\r\n"), "+OK|");
    assert_eq!(node.ask("SET bar 1\r\nDBSIZE\r\nMGET {foo}2 foo\r\n"), "+OK|:4|*2|$1|2|$1|1|");
    assert_eq!(Node::new().ask("MSET foo 1 bar 2\r\nDBSIZE\r\n"), "+OK|:2|", "one group has all");
}

/// By their slots, `foo` and `bar` are in different halves.
#[test]
fn what_concerns_all_keys_concerns_all_groups() {
    let mut node = Node::with(Limits::default(), 2);
    node.ask("SET foo 1\r\nSET bar 2\r\n");
    assert_eq!(node.ask("DBSIZE\r\n"), ":2|");
    assert_eq!(node.ask("KEYS *\r\n"), "*2|$3|bar|$3|foo|");
    assert_eq!(node.ask("KEYS b*\r\n"), "*1|$3|bar|");
    // One group a step; the second group's cursor is its number.
    assert_eq!(node.ask("SCAN 0\r\n"), "*2|$1|1|*1|$3|bar|");
    assert_eq!(node.ask("SCAN 1\r\n"), "*2|$1|0|*1|$3|foo|");
    let picks: String = (0..50).map(|_| node.ask("RANDOMKEY\r\n")).collect();
    assert!(picks.contains("foo") && picks.contains("bar"), "{picks}");
    assert_eq!(node.ask("FLUSHALL\r\nDBSIZE\r\nRANDOMKEY\r\n"), "+OK|:0|$-1|");
}

#[test]
fn a_walk_over_many_keys_meets_each_of_them_once() {
    let mut node = Node::with(Limits::default(), 3);
    for number in 0..1_000 {
        node.ask(format!("SET key-{number} {number}\r\n"));
    }
    let mut met = std::collections::BTreeMap::<String, usize>::new();
    let mut cursor = "0".to_owned();
    loop {
        let reply = node.ask(format!("SCAN {cursor} COUNT 13\r\n"));
        let mut words = reply.split('|').filter(|word| !word.starts_with(['*', '$']));
        cursor = words.next().expect("a cursor").to_owned();
        for key in words.filter(|word| !word.is_empty()) {
            *met.entry(key.to_owned()).or_default() += 1;
        }
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(met.len(), 1_000);
    assert!(met.values().all(|times| *times == 1), "{met:?}");
}

/// A key that other data could be mistaken for is refused by its type.
#[test]
fn compare_and_set_sets_only_what_it_compared() {
    let mut node = Node::new();
    for (request, answer) in [
        ("SET k new IFEQ old", "$-1|"),
        ("EXISTS k", ":0|"),
        ("SET k old", "+OK|"),
        ("SET k new IFEQ other", "$-1|"),
        ("SET k new IFEQ old GET", "$3|old|"),
        ("GET k", "$3|new|"),
        ("SET k newer IFEQ new EX 100", "+OK|"),
        ("TTL k", ":100|"),
        ("SET k x IFEQ newer NX", "-ERR syntax error|"),
        ("SET k x XX IFEQ newer", "-ERR syntax error|"),
        ("SET k x IFEQ", "-ERR syntax error|"),
        ("DELIFEQ k other", ":0|"),
        ("DELIFEQ k newer", ":1|"),
        ("DELIFEQ k newer", ":0|"),
        ("RPUSH l 1", ":1|"),
        ("DELIFEQ l 1", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
        ("SET l 1 IFEQ 1", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
        ("SET l 1", "+OK|"),
    ] {
        assert_eq!(node.ask(format!("{request}\r\n")), answer, "{request}");
    }
}

#[test]
fn keys_of_a_slot_are_counted_and_shown_at_the_group_that_has_it() {
    for groups_len in [1, 5] {
        let mut node = Node::with(Limits::default(), groups_len);
        assert_eq!(node.ask("SET {a}1 x\r\nSET {a}2 x\r\nSET b x\r\n"), "+OK|+OK|+OK|");
        let slot = node.ask("CLUSTER KEYSLOT a\r\n");
        let slot = slot.trim_start_matches(':').trim_end_matches('|');
        assert_eq!(node.ask(format!("CLUSTER COUNTKEYSINSLOT {slot}\r\n")), ":2|");
        let some =
            |node: &mut Node, len: u32| node.ask(format!("CLUSTER GETKEYSINSLOT {slot} {len}\r\n"));
        assert_eq!(some(&mut node, 0), "*0|");
        assert!(some(&mut node, 1).starts_with("*1|$4|{a}"));
        assert!(some(&mut node, 9).starts_with("*2|$4|{a}"));
        // Queued, and as an entry behind a write.
        let queued = node.ask(format!("MULTI\r\nCLUSTER COUNTKEYSINSLOT {slot}\r\nEXEC\r\n"));
        assert_eq!(queued, "+OK|+QUEUED|*1|:2|");
        let behind = node.ask(format!("DEL {{a}}1\r\nCLUSTER COUNTKEYSINSLOT {slot}\r\n"));
        assert_eq!(behind, ":1|:1|");
    }
    let mut node = Node::new();
    for (request, reply) in [
        ("COUNTKEYSINSLOT 16384", "-ERR Invalid slot|"),
        ("COUNTKEYSINSLOT -1", "-ERR Invalid slot|"),
        ("COUNTKEYSINSLOT x", "-ERR value is not an integer or out of range|"),
        ("GETKEYSINSLOT 0 -1", "-ERR Invalid slot or number of keys|"),
        ("GETKEYSINSLOT 16384 1", "-ERR Invalid slot or number of keys|"),
    ] {
        assert_eq!(node.ask(format!("CLUSTER {request}\r\n")), reply, "{request}");
    }
}

#[test]
fn who_waits_for_disks_is_told_of_the_majority_that_has_it_already() {
    let mut node = Node::new();
    assert_eq!(node.ask("WAITAOF 1 0 100\r\n"), "*2|:1|:0|");
    assert_eq!(node.ask("WAITAOF 1 0 -1\r\n"), "-ERR timeout is negative|");
    let refused = node.ask("WAITAOF -1 0 0\r\n");
    assert_eq!(refused, "-ERR value is out of range, must be positive|");
}
