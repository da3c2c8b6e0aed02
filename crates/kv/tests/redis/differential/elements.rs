//! What random requests to collections are made of.
//!
//! Each family has keys of its own, so that most requests meet what they are
//! for; now and then comes a key of another.

use bytes::Bytes;

use super::random::Random;

/// A key of the family of this letter.
pub fn key(random: &mut Random, letter: char) -> Bytes {
    match random.below(30) {
        0 => random.key(),
        1 => Bytes::from(format!("{}0", random.one_of(&['h', 's', 'l', 'z']))),
        _ => Bytes::from(format!("{letter}{}", random.below(4))),
    }
}

/// Several keys of a family.
pub fn keys(random: &mut Random, letter: char) -> Vec<Bytes> {
    (0..=random.below(3)).map(|_| key(random, letter)).collect()
}

/// A field, member or element: mostly one of a few, so that they meet.
pub fn element(random: &mut Random) -> Bytes {
    const FEW: &[&str] = &["a", "b", "c", "d", "e", "1", "2", "-5", "10", "", "two words"];
    match random.below(12) {
        0 => b"x\xff\r\ny".as_slice().into(),
        // Longer than what Redis keeps in a compact collection.
        1 => "long".repeat(20).into(),
        2 | 3 => many(random),
        _ => random.one_of(FEW).into(),
    }
}

/// One of many, so that collections grow.
pub fn many(random: &mut Random) -> Bytes {
    Bytes::from(format!("m{}", random.below(400)))
}

/// Up to four of these, or now and then so many that the collection becomes a
/// large one.
pub fn several(
    random: &mut Random,
    one: impl Fn(&mut Random, fn(&mut Random) -> Bytes) -> Vec<Bytes>,
) -> Vec<Bytes> {
    let (len, element): (u64, fn(&mut Random) -> Bytes) =
        if random.once_in(60) { (150, many) } else { (1 + random.below(4), element) };
    (0..len).flat_map(|_| one(random, element)).collect()
}

/// A position in a short list, or something near to a number.
pub fn position(random: &mut Random) -> Bytes {
    if random.once_in(12) { random.integer() } else { small(random) }
}

/// A small integer of either sign.
pub fn small(random: &mut Random) -> Bytes {
    (i64::try_from(random.below(13)).expect("small") - 6).to_string().into()
}

/// How many of something.
pub fn count(random: &mut Random) -> Bytes {
    random.one_of(&["0", "1", "2", "3", "5", "200", "-1", "x"]).into()
}

/// `[count [values]]` of a random pick that leaves little to chance: none, all,
/// or more than there are.
pub fn pick(random: &mut Random, values: Option<&'static str>) -> Vec<Bytes> {
    let mut request = Vec::new();
    if random.once_in(3) {
        return request;
    }
    request.push(random.one_of(&["0", "1000", "3", "-4", "x", "-9223372036854775808"]).into());
    if let Some(values) = values
        && random.once_in(2)
    {
        request.push(random.word(&[values, values, values, "foo"]));
    }
    request
}

/// `cursor [MATCH pattern] [COUNT count]` of a walk that takes one step.
pub fn walk(random: &mut Random) -> Vec<Bytes> {
    const PATTERNS: &[&str] = &["*", "m*", "?", "[a-c]", "[^a]", "\\a", "*o*"];
    let mut request = vec!["0".into()];
    if random.once_in(2) {
        request.extend([random.word(&["match"]), random.one_of(PATTERNS).into()]);
    }
    request.extend([random.word(&["count"]), "100000".into()]);
    request
}

/// `numkeys key [key ...]`, seldom of another number.
pub fn counted_keys(random: &mut Random, letter: char) -> Vec<Bytes> {
    let mut keys = keys(random, letter);
    let len = if random.once_in(20) {
        random.one_of(&["0", "9", "x", "-1"]).into()
    } else {
        keys.len().to_string().into()
    };
    keys.insert(0, len);
    keys
}
