//! `MULTI`, `EXEC`, `WATCH`: what a client sees, and what it costs.

use crate::node::Node;
use raftlet_kv::Limits;

const ABORTED: &str = "-EXECABORT Transaction discarded because of previous errors.|";

#[test]
fn a_transaction_is_one_round_and_answers_all_its_commands_in_order() {
    let mut node = Node::new();
    node.ask("SET a 1\r\n");
    let rounds = node.rounds;
    let answer =
        node.ask("MULTI\r\nINCR a\r\nPING\r\nGET a\r\nMSET b x c y\r\nMGET b c d\r\nEXEC\r\n");
    assert_eq!(
        answer,
        "+OK|+QUEUED|+QUEUED|+QUEUED|+QUEUED|+QUEUED|*5|:2|+PONG|$1|2|+OK|*3|$1|x|$1|y|$-1|"
    );
    assert_eq!(node.rounds, rounds + 1);
}

#[test]
fn nothing_is_executed_before_exec_and_nothing_after_discard() {
    let mut node = Node::new();
    assert_eq!(node.ask("MULTI\r\nSET a 1\r\n"), "+OK|+QUEUED|");
    assert_eq!(node.rounds, 0);
    assert_eq!(node.ask("DISCARD\r\nEXISTS a\r\n"), "+OK|:0|");
    assert_eq!(node.ask("MULTI\r\nSET a 1\r\nEXEC\r\nEXISTS a\r\n"), "+OK|+QUEUED|*1|+OK|:1|");
}

#[test]
fn a_refusal_at_the_queue_aborts_and_one_at_execution_stops_no_other() {
    let mut node = Node::new();
    node.ask("SET word x\r\n");
    for refused in ["NOSUCH", "GET", "CLIENT FOO", "LPUSHX"] {
        let answer = node.ask(format!("MULTI\r\nSET a 1\r\n{refused}\r\nSET b 1\r\nEXEC\r\n"));
        assert!(answer.contains("|+QUEUED|-ERR ") && answer.ends_with(ABORTED), "{answer}");
    }
    assert_eq!(node.ask("EXISTS a b\r\n"), ":0|");
    // Options are looked at when they are executed.
    let answer = node.ask("MULTI\r\nINCR word\r\nSET a 1 FOO\r\nINCR n\r\nEXEC\r\n");
    assert_eq!(
        answer,
        "+OK|+QUEUED|+QUEUED|+QUEUED|*3|-ERR value is not an integer or out of range|\
         -ERR syntax error|:1|"
    );
}

#[test]
fn exec_discard_and_watch_out_of_their_place_are_told_so() {
    let mut node = Node::new();
    assert_eq!(node.ask("EXEC\r\n"), "-ERR EXEC without MULTI|");
    assert_eq!(node.ask("DISCARD\r\n"), "-ERR DISCARD without MULTI|");
    let answer = node.ask("MULTI\r\nMULTI\r\nWATCH a\r\nPING\r\nEXEC\r\n");
    assert_eq!(
        answer,
        "+OK|-ERR MULTI calls can not be nested|-ERR WATCH inside MULTI is not allowed|+QUEUED|\
         *1|+PONG|"
    );
    let answer = node.ask("MULTI\r\nEXEC x\r\nEXEC\r\n");
    assert_eq!(
        answer,
        "+OK|-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' \
         command|-ERR EXEC without MULTI|"
    );
    // What a connection has agreed on doesn't change within a transaction.
    for refused in ["SAVE", "SHUTDOWN", "HELLO 3", "AUTH x", "CLIENT REPLY OFF", "CLIENT SETNAME x"]
    {
        let answer = node.ask(format!("MULTI\r\n{refused}\r\nEXEC\r\n"));
        let expected = format!("+OK|-ERR Command not allowed inside a transaction|{ABORTED}");
        assert_eq!(answer, expected, "{refused}");
    }
}

#[test]
fn a_watched_key_that_changed_makes_exec_do_nothing() {
    let mut node = Node::new();
    for (before, change) in [
        ("SET k 1", "SET k 1"),
        ("SET k 1", "DEL k"),
        ("DEL k", "SET k 1"),
        ("SET k 1", "INCR k"),
        ("SET k 1", "MSET other 1 k 2"),
    ] {
        node.ask(format!("{before}\r\nSET other 1\r\n"));
        let answer =
            node.ask(format!("WATCH k other\r\n{change}\r\nMULTI\r\nSET done 1\r\nEXEC\r\n"));
        assert!(answer.ends_with("+QUEUED|*-1|"), "{change}: {answer}");
        assert_eq!(node.ask("EXISTS done\r\n"), ":0|");
    }
    // RESP3 has one null.
    let answer = node.ask("HELLO 3\r\nWATCH k\r\nSET k 2\r\nMULTI\r\nPING\r\nEXEC\r\n");
    assert!(answer.ends_with("|+QUEUED|_|"), "{answer}");
}

#[test]
fn a_watched_key_that_did_not_change_lets_exec_through_once() {
    let mut node = Node::new();
    node.ask("SET k 1\r\n");
    let exec = "MULTI\r\nINCR k\r\nEXEC\r\n";
    let through = "+OK|+QUEUED|*1|:";
    let untouched = node.ask(format!("WATCH k\r\nGET k\r\nSET other 1\r\n{exec}"));
    assert!(untouched.ends_with("+QUEUED|*1|:2|"), "{untouched}");
    // EXEC, DISCARD, UNWATCH and RESET forget what was watched.
    assert_eq!(node.ask(exec), format!("{through}3|"));
    node.ask("WATCH k\r\nUNWATCH\r\nSET k 10\r\n");
    assert_eq!(node.ask(exec), format!("{through}11|"));
    node.ask("WATCH k\r\nMULTI\r\nDISCARD\r\nSET k 20\r\n");
    assert_eq!(node.ask(exec), format!("{through}21|"));
    node.ask("WATCH k\r\nRESET\r\nSET k 30\r\n");
    assert_eq!(node.ask(exec), format!("{through}31|"));
    // UNWATCH within a transaction comes too late for it.
    let late = node.ask("WATCH k\r\nSET k 1\r\nMULTI\r\nUNWATCH\r\nEXEC\r\n");
    assert!(late.ends_with("|*-1|"), "{late}");
}

/// The versions belong to the place where WATCH stands, however it is sent.
#[test]
fn nothing_behind_a_watch_is_read_before_its_versions_are_known() {
    let mut node = Node::new();
    node.connection.input().extend_from_slice(b"WATCH k\r\nMULTI\r\nPING\r\nEXEC\r\n");
    node.turn();
    assert_eq!(node.connection.unanswered_len(), 1);
    assert!(!node.connection.wants_input());
    node.output.batches.clear();
    // The group has no leader for too long: the client is told, and goes on.
    let mut node = Node::new();
    node.connection.input().extend_from_slice(b"WATCH k\r\nMULTI\r\nPING\r\nEXEC\r\n");
    node.turn();
    let batch = node.output.batches.pop().expect("a batch");
    assert_eq!(batch.work, raftlet_kv::Work::Read);
    let asked = node.connection.asked(batch).next().map(|(ticket, _)| ticket);
    let failed = raftlet_kv::Outcome::Failed(raftlet_kv::Failure::NoLeader);
    node.connection.complete(asked.expect("WATCH asks"), failed);
    let answer = node.ask("");
    assert!(answer.starts_with("-CLUSTERDOWN ") && answer.ends_with("*1|+PONG|"), "{answer}");
    assert!(node.connection.wants_input());
}

#[test]
fn one_transaction_has_keys_of_one_group_only() {
    let mut node = Node::with(Limits::default(), 16);
    let crossslot = "-CROSSSLOT Keys in request don't hash to the same slot|";
    let answer = node.ask("MULTI\r\nSET a 1\r\nSET b 1\r\nEXEC\r\n");
    assert_eq!(answer, format!("+OK|+QUEUED|{crossslot}{ABORTED}"));
    assert_eq!(node.ask("WATCH a\r\nWATCH b\r\n"), format!("+OK|{crossslot}"));
    let answer = node.ask("MULTI\r\nSET b 1\r\nEXEC\r\n");
    assert_eq!(answer, format!("+OK|{crossslot}{ABORTED}"));
    let answer = node.ask("MULTI\r\nDBSIZE\r\nEXEC\r\n");
    assert_eq!(answer, format!("+OK|{crossslot}{ABORTED}"));
    let answer = node.ask("WATCH {t}a\r\nMULTI\r\nSET {t}b 1\r\nGET {t}b\r\nEXEC\r\n");
    assert_eq!(answer, "+OK|+OK|+QUEUED|+QUEUED|*2|+OK|$1|1|");
}

#[test]
fn what_is_queued_and_watched_has_bounds() {
    let limits = Limits { transaction_len_max: 3, ..Limits::default() };
    let mut node = Node::with(limits, 1);
    let answer = node.ask(format!("MULTI\r\n{}EXEC\r\n", "INCR n\r\n".repeat(3)));
    assert!(answer.ends_with("*3|:1|:2|:3|"), "{answer}");
    let answer = node.ask(format!("MULTI\r\n{}EXEC\r\n", "INCR n\r\n".repeat(4)));
    assert!(answer.contains("-ERR a transaction has at most 3 commands"), "{answer}");
    assert!(answer.ends_with(ABORTED), "{answer}");
    let limits = Limits { transaction_bytes_max: 10_000, ..Limits::default() };
    let mut node = Node::with(limits, 1);
    let large = format!("SET k {}\r\n", "v".repeat(4_000));
    let answer = node.ask(format!("MULTI\r\n{}EXEC\r\n", large.repeat(3)));
    assert!(answer.ends_with(ABORTED), "{answer}");
    let keys: Vec<String> = (0..5_000).map(|number| format!("k{number}")).collect();
    let answer = Node::new().ask(format!("WATCH {}\r\n", keys.join(" ")));
    assert!(answer.starts_with("-ERR at most 4096 keys"), "{answer}");
    assert_eq!(node.connection.take_refusals().map(|it| it.transactions_too_big), Some(1));
}
