//! Random requests of the family of hashes.

use super::Request;
use super::elements::{element, key, pick, several, walk};
use super::random::{Random, words};

/// Any one of them.
pub fn request(random: &mut Random) -> Request {
    let key = key(random, 'h');
    match random.below(14) {
        0..=2 => {
            let mut request = vec![random.word(&["hset", "hset", "hmset"]), key];
            request.extend(several(random, |random, one| vec![one(random), random.value()]));
            if random.once_in(30) {
                request.push("odd".into());
            }
            request
        }
        3 => words([random.word(&["hsetnx"]), key, element(random), random.value()]),
        4 => {
            let name = random.word(&["hget", "hexists", "hstrlen"]);
            words([name, key, element(random)])
        }
        5 | 6 => {
            let mut request = vec![random.word(&["hdel", "hdel", "hmget"]), key];
            request.extend(several(random, |random, one| vec![one(random)]));
            request
        }
        7 => words([random.word(&["hgetall", "hkeys", "hvals"]), key]),
        8 => words([random.word(&["hlen"]), key]),
        9 => words([random.word(&["hincrby"]), key, element(random), random.integer()]),
        10 => words([random.word(&["hincrbyfloat"]), key, element(random), random.number()]),
        11 => {
            let picked = pick(random, Some("withvalues"));
            [vec![random.word(&["hrandfield"]), key], picked].concat()
        }
        12 => [vec![random.word(&["hscan"]), key], walk(random)].concat(),
        _ => words([random.word(&["del"]), key]),
    }
}
