//! Random requests of the family of lists.

use super::Request;
use super::elements::{count, counted_keys, element, key, position, several, small};
use super::random::{Random, words};

/// Any one of them.
pub fn request(random: &mut Random) -> Request {
    let key = key(random, 'l');
    match random.below(16) {
        0..=2 => {
            let names = &["lpush", "rpush", "lpushx", "rpushx"];
            let mut request = vec![random.word(names), key];
            request.extend(several(random, |random, one| vec![one(random)]));
            request
        }
        3 => {
            let mut request = vec![random.word(&["lpop", "rpop"]), key];
            if random.once_in(2) {
                request.push(count(random));
            }
            request
        }
        4 => words([random.word(&["llen"]), key]),
        5 | 6 => {
            let (start, stop) = (position(random), position(random));
            words([random.word(&["lrange"]), key, start, stop])
        }
        // Only numbers: Redis looks at the list first.
        7 => words([random.word(&["lindex"]), key, small(random)]),
        8 => words([random.word(&["lset"]), key, small(random), element(random)]),
        9 => {
            let side = random.word(&["before", "after", "after", "before", "beside"]);
            words([random.word(&["linsert"]), key, side, element(random), element(random)])
        }
        10 => words([random.word(&["lrem"]), key, position(random), element(random)]),
        11 => {
            let (start, stop) = match random.below(3) {
                0 => (position(random), position(random)),
                _ => ("0".into(), "40".into()),
            };
            words([random.word(&["ltrim"]), key, start, stop])
        }
        12 => find(random, key),
        13 => {
            let to = super::elements::key(random, 'l');
            let ends = &["left", "right", "left", "right", "left", "up"];
            let (from_end, to_end) = (random.word(ends), random.word(ends));
            words([random.word(&["lmove"]), key, to, from_end, to_end])
        }
        14 => {
            let to = super::elements::key(random, 'l');
            words([random.word(&["rpoplpush"]), key, to])
        }
        _ => {
            let mut request = vec![random.word(&["lmpop"])];
            request.extend(counted_keys(random, 'l'));
            request.push(random.word(&["left", "right", "left", "right", "up"]));
            if random.once_in(2) {
                request.extend([random.word(&["count"]), count(random)]);
            }
            request
        }
    }
}

fn find(random: &mut Random, key: bytes::Bytes) -> Request {
    let mut request = words([random.word(&["lpos"]), key, element(random)]);
    if random.once_in(2) {
        let rank = random.one_of(&["1", "2", "3", "-1", "-2", "0", "x"]).into();
        request.extend([random.word(&["rank"]), rank]);
    }
    if random.once_in(2) {
        request.extend([random.word(&["count"]), count(random)]);
    }
    if random.once_in(3) {
        let len = random.one_of(&["0", "1", "3", "10", "-1"]).into();
        request.extend([random.word(&["maxlen"]), len]);
    }
    request
}
