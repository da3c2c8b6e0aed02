//! Random requests of the family of sorted sets.
//!
//! A range by bytes has a meaning among members of one score only, so there are
//! keys (`y`) that get no other.

use bytes::Bytes;

use super::Request;
use super::elements::{count, counted_keys, element, key, pick, position, several, small, walk};
use super::random::{Random, words};

/// Any one of them.
pub fn request(random: &mut Random) -> Request {
    let key = key(random, 'z');
    match random.below(24) {
        0..=3 => add(random, key),
        4 => {
            let mut request = vec![random.word(&["zrem", "zrem", "zmscore"]), key];
            request.extend(several(random, |random, one| vec![one(random)]));
            request
        }
        5 => {
            let name = random.word(&["zscore", "zrank", "zrevrank"]);
            words([name, key, element(random)])
        }
        6 => words([random.word(&["zincrby"]), key, score(random), element(random)]),
        7 => words([random.word(&["zcard"]), key]),
        8 => words([random.word(&["zcount"]), key, bound(random), bound(random)]),
        9..=11 => range(random, key),
        12 => by_old_names(random, key),
        13 => {
            let source = super::elements::key(random, 'z');
            let mut request = vec![random.word(&["zrangestore"]), key, source];
            request.extend(bounds(random));
            request
        }
        14 => match random.below(2) {
            0 => {
                let (start, stop) = (position(random), position(random));
                words([random.word(&["zremrangebyrank"]), key, start, stop])
            }
            _ => words([random.word(&["zremrangebyscore"]), key, bound(random), bound(random)]),
        },
        15 => {
            let mut request = vec![random.word(&["zpopmin", "zpopmax"]), key];
            if random.once_in(2) {
                request.push(count(random));
            }
            request
        }
        16 => {
            let mut request = vec![random.word(&["zmpop"])];
            request.extend(counted_keys(random, 'z'));
            request.push(random.word(&["min", "max", "min", "max", "mid"]));
            if random.once_in(2) {
                request.extend([random.word(&["count"]), count(random)]);
            }
            request
        }
        17 => {
            let picked = pick(random, Some("withscores"));
            [vec![random.word(&["zrandmember"]), key], picked].concat()
        }
        18 | 19 => combine(random, key),
        20 => {
            let mut request = vec![random.word(&["zintercard"])];
            request.extend(counted_keys(random, 'z'));
            if random.once_in(2) {
                request.extend([random.word(&["limit"]), count(random)]);
            }
            request
        }
        21 => [vec![random.word(&["zscan"]), key], walk(random)].concat(),
        _ => by_bytes(random),
    }
}

/// A score, or something near to one. No negative zero: a small sorted set of
/// Redis forgets the sign, a large one doesn't.
fn score(random: &mut Random) -> Bytes {
    const EDGES: &[&str] = &[
        "inf",
        "-inf",
        "+inf",
        "nan",
        "1e400",
        "x",
        "",
        "0x10",
        "1e17",
        "3.14",
        "-0.5",
        ".5",
        "5.",
        "1e-5",
        "123456789012345678",
        "0.1",
        "2.5e300",
    ];
    if random.once_in(4) { random.one_of(EDGES).into() } else { small(random) }
}

fn bound(random: &mut Random) -> Bytes {
    match random.below(4) {
        0 => "-inf".into(),
        1 => "+inf".into(),
        2 => [b"(", &score(random)[..]].concat().into(),
        _ => score(random),
    }
}

fn add(random: &mut Random, key: Bytes) -> Request {
    let mut request = vec![random.word(&["zadd"]), key];
    let mut adds_one = false;
    while random.once_in(3) {
        let option = random.word(&["nx", "xx", "gt", "lt", "ch", "incr"]);
        adds_one |= option.eq_ignore_ascii_case(b"incr");
        request.push(option);
    }
    if adds_one && !random.once_in(8) {
        request.extend([score(random), element(random)]);
    } else {
        request.extend(several(random, |random, one| vec![score(random), one(random)]));
    }
    if random.once_in(40) {
        request.push("odd".into());
    }
    request
}

/// `start stop` or `min max BYSCORE`, with options.
fn bounds(random: &mut Random) -> Vec<Bytes> {
    let mut request = Vec::new();
    let by_score = random.once_in(2);
    if by_score {
        request.extend([bound(random), bound(random), random.word(&["byscore"])]);
    } else {
        request.extend([position(random), position(random)]);
    }
    if random.once_in(3) {
        request.push(random.word(&["rev"]));
    }
    if by_score && random.once_in(2) || random.once_in(30) {
        request.extend([random.word(&["limit"]), small(random), small(random)]);
    }
    if random.once_in(40) {
        request.push(random.word(&["bylex", "byscore", "limit", "foo"]));
    }
    request
}

fn range(random: &mut Random, key: Bytes) -> Request {
    let mut request = vec![random.word(&["zrange"]), key];
    request.extend(bounds(random));
    if random.once_in(2) {
        request.push(random.word(&["withscores"]));
    }
    request
}

fn by_old_names(random: &mut Random, key: Bytes) -> Request {
    let mut request = match random.below(3) {
        0 => words([random.word(&["zrevrange"]), key, position(random), position(random)]),
        _ => {
            let name = random.word(&["zrangebyscore", "zrevrangebyscore"]);
            let mut request = words([name, key, bound(random), bound(random)]);
            if random.once_in(2) {
                request.extend([random.word(&["limit"]), small(random), small(random)]);
            }
            request
        }
    };
    if random.once_in(2) {
        request.push(random.word(&["withscores"]));
    }
    request
}

fn combine(random: &mut Random, destination: Bytes) -> Request {
    let name = random.one_of(&["zunion", "zinter", "zdiff"]);
    let stores = random.once_in(2);
    let mut request = if stores {
        vec![Bytes::from(format!("{name}store")), destination]
    } else {
        vec![name.into()]
    };
    let letter = random.one_of(&['z', 'z', 's']);
    let keys = counted_keys(random, letter);
    let keys_len = keys.len() - 1;
    request.extend(keys);
    if name != "zdiff" || random.once_in(20) {
        if random.once_in(2) {
            request.push(random.word(&["weights"]));
            // No zero and no negative number: together they make negative zeros.
            let weight = |random: &mut Random| random.one_of(&["1", "2", "0.5", "3.7"]).into();
            request.extend((0..keys_len).map(|_| weight(random)));
        }
        if random.once_in(2) {
            let how = random.word(&["sum", "min", "max", "sum", "min", "max", "mean"]);
            request.extend([random.word(&["aggregate"]), how]);
        }
    }
    if random.once_in(if stores { 30 } else { 2 }) {
        request.push(random.word(&["withscores"]));
    }
    request
}

fn by_bytes(random: &mut Random) -> Request {
    let key = Bytes::from(format!("y{}", random.below(3)));
    let (low, high) = (byte_bound(random), byte_bound(random));
    match random.below(6) {
        0 | 1 => {
            let mut request = vec![random.word(&["zadd"]), key];
            request.extend(several(random, |random, one| vec!["0".into(), one(random)]));
            request
        }
        2 => words([random.word(&["zlexcount", "zremrangebylex"]), key, low, high]),
        _ => {
            let name = random.word(&["zrangebylex", "zrevrangebylex", "zrange"]);
            let takes_options = name.eq_ignore_ascii_case(b"zrange");
            let mut request = words([name, key, low, high]);
            if takes_options {
                request.push(random.word(&["bylex"]));
                if random.once_in(2) {
                    request.push(random.word(&["rev"]));
                }
            }
            if random.once_in(2) {
                request.extend([random.word(&["limit"]), small(random), small(random)]);
            }
            request
        }
    }
}

fn byte_bound(random: &mut Random) -> Bytes {
    match random.below(6) {
        0 => "-".into(),
        1 => "+".into(),
        2 | 3 => [b"[", &element(random)[..]].concat().into(),
        4 => [b"(", &element(random)[..]].concat().into(),
        _ => random.one_of(&["-", "+", "x", "", "--"]).into(),
    }
}
