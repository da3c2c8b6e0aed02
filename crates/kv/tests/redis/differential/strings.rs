//! Random requests of the family of strings.

use bytes::Bytes;

use super::Request;
use super::random::{Random, words};

/// Any one of them.
pub fn request(random: &mut Random) -> Request {
    let key = random.key();
    match random.below(12) {
        0 | 1 => set(random),
        2 => {
            let name = random.word(&["get", "strlen", "getdel", "incr", "decr"]);
            words([name, key])
        }
        3 => {
            let name = random.word(&["getset", "setnx", "append"]);
            words([name, key, random.value()])
        }
        4 => {
            let (name, in_ms) = random.one_of(&[("setex", false), ("psetex", true)]);
            words([name.into(), key, random.deadline(true, in_ms), random.value()])
        }
        5 => get_ex(random),
        6 => [vec![random.word(&["mget"])], random.keys()].concat(),
        7 => {
            let mut request = vec![random.word(&["mset", "msetnx"])];
            for _ in 0..=random.below(3) {
                request.extend([random.key(), random.value()]);
            }
            if random.once_in(10) {
                request.push(random.key());
            }
            request
        }
        8 => {
            let name = random.word(&["incrby", "decrby"]);
            words([name, key, random.integer()])
        }
        9 => words([random.word(&["incrbyfloat"]), key, random.number()]),
        10 => {
            let name = random.word(&["getrange", "substr"]);
            words([name, key, random.integer(), random.integer()])
        }
        _ => match random.below(3) {
            0 => lcs(random),
            _ => {
                // Redis allows longer strings than we do.
                let offset = random.one_of(&["0", "1", "5", "40", "-1", "x", "536870912"]);
                words([random.word(&["setrange"]), key, offset.into(), random.value()])
            }
        },
    }
}

fn set(random: &mut Random) -> Request {
    let mut request = vec![random.word(&["set"]), random.key(), random.value()];
    while random.below(5) < 2 {
        match random.below(7) {
            0 => request.push(random.word(&["nx", "xx"])),
            1 => request.push(random.word(&["get"])),
            2 => request.push(random.word(&["keepttl"])),
            3 if random.once_in(8) => request.push(random.word(&["persist", "foo", ""])),
            _ => request.extend(expiry(random)),
        }
    }
    request
}

fn expiry(random: &mut Random) -> Vec<Bytes> {
    let (word, is_relative, in_ms) = random.one_of(&[
        ("ex", true, false),
        ("px", true, true),
        ("exat", false, false),
        ("pxat", false, true),
    ]);
    let mut request = vec![word.into()];
    if !random.once_in(20) {
        request.push(random.deadline(is_relative, in_ms));
    }
    request
}

fn get_ex(random: &mut Random) -> Request {
    let mut request = vec![random.word(&["getex"]), random.key()];
    match random.below(4) {
        0 => {}
        1 => request.push(random.word(&["persist", "keepttl", "nx"])),
        _ => request.extend(expiry(random)),
    }
    request
}

fn lcs(random: &mut Random) -> Request {
    let mut request = vec![random.word(&["lcs"]), random.key(), random.key()];
    while random.once_in(2) {
        match random.below(4) {
            0 => request.push(random.word(&["len"])),
            1 => request.push(random.word(&["idx"])),
            2 => request.push(random.word(&["withmatchlen"])),
            _ => request.extend(["minmatchlen".into(), random.one_of(&["0", "2", "-1"]).into()]),
        }
    }
    request
}
