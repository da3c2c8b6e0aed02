//! Scripts of lock libraries, and settings.

use std::collections::BTreeMap;

use crate::node::Node as MemoryNode;
use raftlet_kv::{NodeInfo, Scripts, Setting, push_request};

fn request(args: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_request(&mut bytes, &args.iter().map(|arg| arg.as_bytes()).collect::<Vec<_>>());
    bytes
}

const RELEASE: &str = "if redis.call('get',KEYS[1]) == ARGV[1] then \
                       return redis.call('del',KEYS[1]) else return 0 end";
const EXTEND: &str = "if redis.call('get',KEYS[1]) == ARGV[1] then \
                      return redis.call('pexpire',KEYS[1],ARGV[2]) else return 0 end";
/// redis-py's.
const PROLONG: &str = "
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        local expiration = redis.call('pttl', KEYS[1])
        if not expiration then
            expiration = 0
        end
        if expiration < 0 then
            return 0
        end

        local newttl = ARGV[2]
        if ARGV[3] == \"0\" then
            newttl = ARGV[2] + expiration
        end
        redis.call('pexpire', KEYS[1], newttl)
        return 1
    ";

#[test]
fn only_the_owner_lets_go_or_holds_on() {
    let mut node = MemoryNode::new();
    let mut eval = |script: &str, args: &[&str]| {
        node.ask(request(&[&["EVAL", script, "1", "lock"], args].concat()))
    };
    assert_eq!(eval(RELEASE, &["me"]), ":0|");
    assert_eq!(eval(EXTEND, &["me", "1000"]), ":0|");
    node.ask("SET lock me PX 5000\r\n");
    let mut eval = |script: &str, args: &[&str]| {
        node.ask(request(&[&["EVAL", script, "1", "lock"], args].concat()))
    };
    assert_eq!(eval(RELEASE, &["you"]), ":0|");
    assert_eq!(eval(EXTEND, &["you", "1"]), ":0|");
    assert_eq!(eval(EXTEND, &["me", "7000"]), ":1|");
    assert_eq!(node.ask("PTTL lock\r\n"), ":7000|");
    let mut eval = |script: &str, args: &[&str]| {
        node.ask(request(&[&["EVAL", script, "1", "lock"], args].concat()))
    };
    // Added to what is left, or in its place.
    assert_eq!(eval(PROLONG, &["me", "3000", "0"]), ":1|");
    assert_eq!(node.ask("PTTL lock\r\n"), ":10000|");
    let mut eval = |script: &str, args: &[&str]| {
        node.ask(request(&[&["EVAL", script, "1", "lock"], args].concat()))
    };
    assert_eq!(eval(PROLONG, &["me", "3000", "1"]), ":1|");
    assert_eq!(eval(EXTEND, &["me", "x"]), "-ERR value is not an integer or out of range|");
    assert_eq!(eval(RELEASE, &["me"]), ":1|");
    assert_eq!(node.ask("EXISTS lock\r\nSET lock me\r\n"), ":0|+OK|");
    let mut eval = |script: &str, args: &[&str]| {
        node.ask(request(&[&["EVAL", script, "1", "lock"], args].concat()))
    };
    // What never lapses isn't prolonged.
    assert_eq!(eval(PROLONG, &["me", "3000", "0"]), ":0|");
    assert_eq!(eval(PROLONG, &["me", "3000", "1"]), ":0|");
    node.ask("DEL lock\r\nLPUSH lock x\r\n");
    let answer = node.ask(request(&["EVAL", RELEASE, "1", "lock", "me"]));
    assert!(answer.starts_with("-WRONGTYPE "), "{answer}");
}

#[test]
fn a_script_is_one_entry_and_stands_in_a_transaction() {
    let mut node = MemoryNode::new();
    node.ask("SET lock me\r\n");
    let rounds = node.rounds;
    let mut bytes = b"MULTI\r\n".to_vec();
    bytes.extend(request(&["EVAL", RELEASE, "1", "lock", "me"]));
    bytes.extend(request(&["EVALSHA", &"0".repeat(40), "1", "lock", "me"]));
    bytes.extend(b"EXISTS lock\r\nEXEC\r\n");
    let answer = node.ask(bytes);
    assert!(
        answer.ends_with("*3|:1|-NOSCRIPT No matching script. Please use EVAL.|:0|"),
        "{answer}"
    );
    assert_eq!(node.rounds, rounds + 1);
}

#[test]
fn other_scripts_and_wrong_arguments_are_refused_as_redis_would_or_by_name() {
    let mut node = MemoryNode::new();
    for (args, start) in [
        (vec!["EVAL", "return 1", "0"], "-ERR EVAL is not supported by raftlet: use plain"),
        (vec!["SCRIPT", "LOAD", "return 1"], "-ERR SCRIPT LOAD is not supported by raftlet: use"),
        (vec!["EVAL", "return 1", "x"], "-ERR value is not an integer or out of range|"),
        (vec!["EVAL", "return 1", "3", "a"], "-ERR Number of keys can't be greater than number"),
        (vec!["EVAL", "return 1", "-1"], "-ERR Number of keys can't be negative|"),
        (vec!["EVALSHA", "abc", "0"], "-NOSCRIPT No matching script. Please use EVAL.|"),
        (vec!["EVALSHA", "abc"], "-ERR wrong number of arguments for 'evalsha' command|"),
        (vec!["EVAL", RELEASE, "1", "k"], "-ERR this script of a lock library takes other"),
        (vec!["SCRIPT", "FLUSH", "FOO"], "-ERR SCRIPT FLUSH only support SYNC|ASYNC option|"),
        (vec!["SCRIPT", "KILL"], "-NOTBUSY No scripts in execution right now.|"),
        (vec!["FUNCTION", "LOAD", "x"], "-ERR FUNCTION LOAD is not supported by raftlet"),
        (vec!["FUNCTION", "FLUSH"], "+OK|"),
        (vec!["FUNCTION", "LIST"], "*0|"),
    ] {
        let answer = node.ask(request(&args));
        assert!(answer.starts_with(start), "{args:?}: {answer}");
    }
}

/// A node that keeps what clients set.
#[derive(Default)]
struct Keeping {
    scripts: Scripts,
    settings: BTreeMap<String, i64>,
    resets: usize,
}

impl raftlet_kv::Node for Keeping {
    fn info(&mut self) -> NodeInfo {
        NodeInfo::default()
    }

    fn setting(&mut self, setting: Setting) -> Option<i64> {
        self.settings.get(&format!("{setting:?}")).copied()
    }

    fn set_setting(&mut self, setting: Setting, value: i64) -> bool {
        let fits = setting != Setting::ClientsMax || value < 100;
        if fits {
            self.settings.insert(format!("{setting:?}"), value);
        }
        fits
    }

    fn scripts(&mut self, use_them: &mut dyn FnMut(&mut Scripts)) {
        use_them(&mut self.scripts);
    }

    fn reset_stats(&mut self) {
        self.resets += 1;
    }
}

fn ask(host: &mut Keeping, bytes: &[u8]) -> String {
    let mut node = MemoryNode::new();
    node.connection.input().extend_from_slice(bytes);
    node.connection.turn(0, host, &mut node.output);
    node.take_replies()
}

#[test]
fn a_loaded_spelling_is_known_by_its_digest_until_it_is_flushed() {
    let mut host = Keeping::default();
    let odd = "if redis.call('GET', KEYS[1]) == ARGV[1] then\n return redis.call('DEL', KEYS[1])\n\
               else\n return 0\nend -- let go";
    let loaded = ask(&mut host, &request(&["SCRIPT", "LOAD", odd]));
    let digest = loaded.strip_prefix("$40|").and_then(|it| it.strip_suffix('|')).expect("a digest");
    let digest = digest.to_owned();
    // As its library spells it, a script needs no loading. redis-py's release:
    let own = "a9c8aa0e1bce0d4e2ad8b3ba0a8ae3f9b5e6c8d7";
    let exists = request(&["SCRIPT", "EXISTS", &digest, own, "x"]);
    assert_eq!(ask(&mut host, &exists), "*3|:1|:0|:0|");
    let eval = request(&["EVALSHA", &digest.to_uppercase(), "0", "me"]);
    assert!(ask(&mut host, &eval).starts_with("-ERR this script of a lock library takes other"));
    assert_eq!(ask(&mut host, b"SCRIPT FLUSH\r\n"), "+OK|");
    assert_eq!(ask(&mut host, &exists), "*3|:0|:0|:0|");
    assert!(ask(&mut host, &eval).starts_with("-NOSCRIPT "));
}

#[test]
fn settings_are_told_and_changed_under_the_names_of_redis() {
    let mut host = Keeping::default();
    let mut says = |text: &str| ask(&mut host, format!("{text}\r\n").as_bytes());
    assert_eq!(says("CONFIG GET save appendonly"), "*4|$10|appendonly|$3|yes|$4|save|$0||");
    assert_eq!(says("CONFIG GET nosuch"), "*0|");
    assert_eq!(says("CONFIG SET maxmemory 100mb timeout 5"), "+OK|");
    assert_eq!(
        says("CONFIG GET MAXMEM* timeout"),
        "*6|$9|maxmemory|$9|104857600|$16|maxmemory-policy|$10|noeviction|$7|timeout|$1|5|"
    );
    // Names of one meaning have one value, and no effect.
    assert_eq!(says("CONFIG SET hash-max-ziplist-entries 7"), "+OK|");
    assert_eq!(
        says("CONFIG GET hash-max-listpack-entries"),
        "*2|$25|hash-max-listpack-entries|$1|7|"
    );
    let failed = |name: &str, why: &str| {
        format!("-ERR CONFIG SET failed (possibly related to argument '{name}') - {why}|")
    };
    assert_eq!(
        says("CONFIG SET maxmemory bla"),
        failed("maxmemory", "argument must be a memory value")
    );
    assert_eq!(
        says("CONFIG SET maxmemory 1 maxmemory 2"),
        failed("maxmemory", "duplicate parameter")
    );
    assert_eq!(
        says("CONFIG SET appendonly no"),
        failed("appendonly", "can't set immutable config")
    );
    assert_eq!(says("CONFIG SET appendonly yes"), "+OK|");
    assert_eq!(
        says("CONFIG SET nosuch 1"),
        "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'|"
    );
    assert_eq!(
        says("CONFIG SET maxmemory"),
        "-ERR wrong number of arguments for 'config|set' command|"
    );
    assert!(says("CONFIG SET maxclients 1000").starts_with("-ERR CONFIG SET failed"));
    // All or nothing: the first pair was good.
    assert!(says("CONFIG SET timeout 9 maxmemory x").starts_with("-ERR CONFIG SET failed"));
    assert_eq!(says("CONFIG GET timeout"), "*2|$7|timeout|$1|5|");
    assert_eq!(says("CONFIG RESETSTAT"), "+OK|");
    let rewrite = says("CONFIG REWRITE");
    assert!(
        rewrite.starts_with("-ERR CONFIG REWRITE is not supported by raftlet: use"),
        "{rewrite}"
    );
    assert_eq!(host.resets, 1);
}
