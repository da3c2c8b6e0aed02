//! Random requests of the family of sets.

use super::Request;
use super::elements::{count, counted_keys, element, key, keys, pick, several, walk};
use super::random::{Random, words};

/// Any one of them.
pub fn request(random: &mut Random) -> Request {
    let key = key(random, 's');
    match random.below(14) {
        0..=3 => {
            let mut request = vec![random.word(&["sadd", "sadd", "srem"]), key];
            request.extend(several(random, |random, one| vec![one(random)]));
            request
        }
        4 => words([random.word(&["smembers", "scard"]), key]),
        5 => words([random.word(&["sismember"]), key, element(random)]),
        6 => {
            let mut request = vec![random.word(&["smismember"]), key];
            request.extend(several(random, |random, one| vec![one(random)]));
            request
        }
        7 => {
            // All or nothing, or the two would part.
            let count = random.one_of(&["0", "1000", "-1", "x"]).into();
            words([random.word(&["spop"]), key, count])
        }
        8 => [vec![random.word(&["srandmember"]), key], pick(random, None)].concat(),
        9 => {
            let to = super::elements::key(random, 's');
            words([random.word(&["smove"]), key, to, element(random)])
        }
        10 => [vec![random.word(&["sinter", "sunion", "sdiff"])], keys(random, 's')].concat(),
        11 => {
            let name = random.word(&["sinterstore", "sunionstore", "sdiffstore"]);
            [vec![name, key], keys(random, 's')].concat()
        }
        12 => {
            let mut request = vec![random.word(&["sintercard"])];
            request.extend(counted_keys(random, 's'));
            if random.once_in(2) {
                request.extend([random.word(&["limit"]), count(random)]);
            }
            request
        }
        _ => [vec![random.word(&["sscan"]), key], walk(random)].concat(),
    }
}

/// One that takes out some members, but not all.
pub fn pop(random: &mut Random) -> Request {
    let mut request = words([random.word(&["spop"]), key(random, 's')]);
    if random.once_in(2) {
        request.push(random.one_of(&["1", "2", "3"]).into());
    }
    request
}
