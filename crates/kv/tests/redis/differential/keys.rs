//! Random requests of the family of keys.

use super::Request;
use super::random::{Random, words};

/// Any one of them.
pub fn request(random: &mut Random) -> Request {
    let key = random.key();
    match random.below(12) {
        0 => {
            let name = random.word(&["del", "unlink", "exists", "touch"]);
            [vec![name], random.keys()].concat()
        }
        1 => {
            let names = &["type", "persist", "ttl", "pttl", "expiretime", "pexpiretime"];
            words([random.word(names), key])
        }
        2..=4 => expire(random),
        5 => {
            let name = random.word(&["rename", "renamenx"]);
            words([name, key, random.key()])
        }
        6 => copy(random),
        7 => {
            let subcommand = random.word(&["encoding", "refcount", "idletime"]);
            words([random.word(&["object"]), subcommand, key])
        }
        8 => words([random.word(&["randomkey", "dbsize"])]),
        9 => {
            const PATTERNS: &[&str] =
                &["*", "k*", "k[1-3]", "k?", "?[^15]", "", "k\\1", "*[", "[k]*2", "x*", "k[3-1]"];
            words([random.word(&["keys"]), random.one_of(PATTERNS).into()])
        }
        10 => scan(random),
        _ => match random.below(6) {
            0 => words([random.word(&["flushall", "flushdb"])]),
            1 => words([random.word(&["flushall"]), random.word(&["async", "sync", "x"])]),
            2 => words([random.word(&["object"]), random.word(&["freq"]), key]),
            _ => words([random.word(&["memory"]), "usage".into(), key]),
        },
    }
}

fn expire(random: &mut Random) -> Request {
    let (name, is_relative, in_ms) = random.one_of(&[
        ("expire", true, false),
        ("pexpire", true, true),
        ("expireat", false, false),
        ("pexpireat", false, true),
    ]);
    let mut request = vec![name.into(), random.key(), random.deadline(is_relative, in_ms)];
    while random.once_in(3) {
        request.push(random.word(&["nx", "xx", "gt", "lt", "foo"]));
    }
    request
}

fn copy(random: &mut Random) -> Request {
    let mut request = vec![random.word(&["copy"]), random.key(), random.key()];
    if random.once_in(2) {
        request.push(random.word(&["replace"]));
    }
    if random.once_in(8) {
        request.extend(["db".into(), random.one_of(&["0", "x", "-1", "99"]).into()]);
    }
    request
}

/// All in one step: where a step ends is nobody's business.
fn scan(random: &mut Random) -> Request {
    let cursor = if random.once_in(10) { random.one_of(&["x", "", "-1x"]) } else { "0" };
    let mut request = vec![random.word(&["scan"]), cursor.into(), "count".into(), "1000".into()];
    while random.once_in(2) {
        match random.below(4) {
            0 => request.extend(["match".into(), random.one_of(&["*", "k[1-3]", "x"]).into()]),
            1 => request.extend(["type".into(), random.word(&["string", "list", "foo"])]),
            2 if random.once_in(4) => request.extend(["count".into(), "0".into()]),
            _ if random.once_in(4) => request.push(random.word(&["match", "foo"])),
            _ => {}
        }
    }
    request
}
