//! Claims about deadlines, and commands against a model that is as simple as
//! it can be.

use std::collections::BTreeMap;

use super::*;
use crate::operation::key::{DeadlineForm, ExpireCondition, KeyCommand, KeyQuery, KeyScan, When};
use crate::operation::list::{ListChange, ListCommand};
use crate::operation::string::{
    Expiry, SetAnswer, SetCondition, SetOptions, StringCommand, StringQuery,
};
use crate::resp::reply::Reply;
use crate::value::list::End;

/// A store at a moment, and short words for what is done to it.
struct At {
    store: Store,
    now_ms: u64,
}

impl At {
    fn ms(now_ms: u64) -> Self {
        Self { store: Store::new(7), now_ms }
    }

    fn apply<'a>(&mut self, command: impl Into<Command<&'a [u8]>>) -> Response {
        let at = Applied { index: self.store.index.next(), log_time_ms: self.now_ms };
        self.store.apply(at, &command.into())
    }

    fn set(&mut self, key: &str, expiry: Expiry) -> Response {
        let options = SetOptions {
            value: &b"v"[..],
            condition: SetCondition::Always,
            expiry,
            answer: SetAnswer::Done,
        };
        self.apply(StringCommand::SetWith { key: key.as_bytes(), options: Box::new(options) })
    }

    fn exists(&self, key: &str) -> bool {
        let query = KeyQuery::Exists { keys: vec![key.as_bytes()] };
        self.store.query(&query.into()) == Response::Integer(1)
    }

    fn ttl_ms(&self, key: &str) -> i64 {
        let form = DeadlineForm { is_relative: true, in_ms: true };
        let query = KeyQuery::Deadline { key: key.as_bytes(), form };
        match self.store.query(&query.into()) {
            Response::Integer(ms) => ms,
            other => panic!("PTTL answered {other:?}"),
        }
    }

    fn expire(&mut self, key: &str, when: When, condition: ExpireCondition) -> Response {
        self.apply(KeyCommand::Expire { key: key.as_bytes(), when, condition })
    }
}

fn get(key: &str) -> Query<&[u8]> {
    StringQuery::Get { key: key.as_bytes() }.into()
}

#[test]
fn a_key_is_gone_when_log_time_reaches_its_deadline_and_not_before() {
    let mut at = At::ms(1_000);
    at.set("k", Expiry::In(100));
    assert_eq!(at.store.next_deadline_ms(), Some(1_100));
    at.now_ms = 1_099;
    at.apply(Command::Tick);
    assert!(at.exists("k"));
    at.now_ms = 1_100;
    at.apply(Command::Tick);
    assert!(!at.exists("k"));
    assert_eq!((at.store.keys_len(), at.store.next_deadline_ms()), (0, None));
}

#[test]
fn members_that_differ_in_a_deadline_differ_in_their_digest() {
    let digest = |expiry| {
        let mut at = At::ms(1_000);
        at.set("k", expiry);
        at.store.digest()
    };
    assert_ne!(digest(Expiry::Never), digest(Expiry::In(100)));
    assert_ne!(digest(Expiry::In(101)), digest(Expiry::In(100)));
    assert_eq!(digest(Expiry::At(1_100)), digest(Expiry::In(100)));
}

#[test]
fn log_time_never_falls_whatever_a_later_entry_says() {
    let mut at = At::ms(1_000);
    at.set("k", Expiry::In(100));
    at.now_ms = 2_000;
    at.apply(Command::Tick);
    at.now_ms = 500;
    at.set("k", Expiry::In(100));
    assert_eq!(at.store.next_deadline_ms(), Some(2_100));
}

/// More keys lapse at once than one entry removes.
#[test]
fn what_has_lapsed_is_invisible_before_it_is_removed() {
    const KEYS: usize = 2 * REMOVED_PER_ENTRY_MAX + 10;
    let mut at = At::ms(1_000);
    let empty = at.store.digest();
    for number in 0..KEYS {
        at.set(&format!("k{number:05}"), Expiry::In(50));
    }
    at.now_ms = 1_050;
    at.apply(Command::Tick);
    assert_eq!(at.store.keys_len(), KEYS - REMOVED_PER_ENTRY_MAX);
    let last = format!("k{:05}", KEYS - 1);
    assert!(!at.exists(&last));
    assert_eq!(at.store.query(&get(&last)), Response::Value(None));
    assert_eq!(at.ttl_ms(&last), -2);
    let all = KeyQuery::Keys { pattern: &b"*"[..] };
    assert_eq!(at.store.query(&all.into()), Response::Values(Vec::new()));
    let any = Query::<&[u8]>::Key(KeyQuery::RandomKey { seed: 5 });
    assert_eq!(at.store.query(&any), Response::Value(None));
    let rename = KeyCommand::Rename { from: last.as_bytes(), to: b"x", if_missing: false };
    assert_eq!(at.apply(rename), Response::Refused(DataError::NoSuchKey));
    assert_eq!(at.store.next_deadline_ms(), Some(1_050), "what is left must be asked for");
    at.apply(Command::Tick);
    assert_eq!((at.store.keys_len(), at.store.used_bytes()), (0, 0));
    assert_eq!(at.store.digest(), empty);
}

#[test]
fn a_lapsed_key_can_be_written_anew_before_it_is_removed() {
    let mut at = At::ms(1_000);
    for number in 0..=REMOVED_PER_ENTRY_MAX {
        at.set(&format!("k{number:05}"), Expiry::In(50));
    }
    let last = format!("k{REMOVED_PER_ENTRY_MAX:05}");
    at.now_ms = 1_050;
    let incr = StringCommand::IncrBy { key: last.as_bytes(), by: 1 };
    assert_eq!(at.apply(incr), Response::Integer(1), "a lapsed value was counted on");
    assert_eq!(at.ttl_ms(&last), -1, "a lapsed deadline was kept");
    assert_eq!((at.store.keys_len(), at.store.deadlines_len()), (1, 0));
}

#[test]
fn a_question_that_meets_a_lapsing_key_is_not_answered_and_others_are() {
    let mut at = At::ms(1_000);
    at.set("lapses", Expiry::In(100));
    at.set("stays", Expiry::Never);
    let value = Response::Value(Some(Bytes::from_static(b"v")));
    assert_eq!(at.store.query_at(&get("lapses"), 1_099), Some(value.clone()));
    assert_eq!(at.store.query_at(&get("lapses"), 1_100), None);
    assert_eq!(at.store.query_at(&get("stays"), 1_100), Some(value.clone()));
    assert_eq!(at.store.query_at(&get("lapses"), 0), Some(value), "a clock that is behind");
}

#[test]
fn a_get_that_is_lent_is_answered_as_the_question_it_is() {
    let mut at = At::ms(1_000);
    at.set("lapses", Expiry::In(100));
    at.set("stays", Expiry::Never);
    let elements = vec![&b"v"[..]];
    let change = ListChange::Push { end: End::Front, only_existing: false, elements };
    at.apply(ListCommand::One { key: &b"list"[..], change });
    for key in ["lapses", "stays", "list", "missing"] {
        for clock_ms in [0, 1_099, 1_100] {
            let asked = Asked::Get { key: key.as_bytes() };
            let answers = (at.store.ask(asked, clock_ms), at.store.query_at(&get(key), clock_ms));
            assert_eq!(answers.0, answers.1, "{key} at {clock_ms}");
        }
    }
    assert_eq!(at.store.ask(Asked::Set { key: b"stays", value: b"" }, 0), None, "no question");
}

#[test]
fn a_deadline_stays_with_what_changes_a_value_and_goes_with_what_replaces_it() {
    let mut at = At::ms(1_000);
    let key = &b"k"[..];
    let kept: [Command<&[u8]>; 4] = [
        StringCommand::Append { key, suffix: b"1" }.into(),
        StringCommand::SetRange { key, offset: 0, part: b"2" }.into(),
        StringCommand::SetRange { key, offset: 9, part: b"3" }.into(),
        StringCommand::GetEx { key, expiry: Ok(Expiry::Keep) }.into(),
    ];
    for command in kept {
        at.set("k", Expiry::In(100));
        at.apply(command.clone());
        assert_eq!(at.ttl_ms("k"), 100, "{command:?}");
    }
    at.set("k", Expiry::Keep);
    assert_eq!(at.ttl_ms("k"), 100);
    let gone: [Command<&[u8]>; 4] = [
        StringCommand::Set { key, value: b"1" }.into(),
        StringCommand::MSet { pairs: vec![(key, &b"1"[..])] }.into(),
        StringCommand::GetEx { key, expiry: Ok(Expiry::Never) }.into(),
        KeyCommand::Persist { key }.into(),
    ];
    for command in gone {
        at.set("k", Expiry::In(100));
        at.apply(command.clone());
        assert_eq!(at.ttl_ms("k"), -1, "{command:?}");
        assert_eq!(at.store.deadlines_len(), 0, "{command:?}");
    }
}

#[test]
fn a_deadline_moves_with_its_value_and_is_copied_with_it() {
    let mut at = At::ms(1_000);
    at.set("a", Expiry::In(100));
    at.apply(KeyCommand::Rename { from: &b"a"[..], to: b"b", if_missing: false });
    assert_eq!((at.ttl_ms("a"), at.ttl_ms("b")), (-2, 100));
    at.apply(KeyCommand::Copy { from: &b"b"[..], to: b"c", replaces: false });
    assert_eq!((at.ttl_ms("b"), at.ttl_ms("c"), at.store.deadlines_len()), (100, 100, 2));
}

#[test]
fn conditions_of_expire_compare_with_the_deadline_there_is() {
    let (later, earlier) = (ExpireCondition::LATER, ExpireCondition::EARLIER);
    let (none_yet, has_one) = (ExpireCondition::NONE_YET, ExpireCondition::HAS_ONE);
    // What is there, what is given, and whether it is taken.
    for (current, condition, given, taken) in [
        (Expiry::Never, none_yet, 50, true),
        (Expiry::In(100), none_yet, 50, false),
        (Expiry::Never, has_one, 50, false),
        (Expiry::In(100), has_one, 50, true),
        (Expiry::Never, later, 50, false),
        (Expiry::In(100), later, 50, false),
        (Expiry::In(100), later, 100, false),
        (Expiry::In(100), later, 101, true),
        (Expiry::Never, earlier, 50, true),
        (Expiry::In(100), earlier, 100, false),
        (Expiry::In(100), earlier, 99, true),
        (Expiry::Never, has_one.and(earlier), 50, false),
    ] {
        let mut at = At::ms(1_000);
        at.set("k", current);
        let before = at.ttl_ms("k");
        let response = at.expire("k", When::In(given), condition);
        assert_eq!(response, Response::Integer(i64::from(taken)), "{current:?} {condition:?}");
        assert_eq!(at.ttl_ms("k"), if taken { given } else { before });
    }
}

#[test]
fn a_deadline_in_the_past_removes_at_once() {
    for when in [When::In(0), When::In(-5), When::In(i64::MIN), When::At(1_000), When::At(-1)] {
        let mut at = At::ms(1_000);
        at.set("k", Expiry::Never);
        assert_eq!(at.expire("k", when, ExpireCondition::default()), Response::Integer(1));
        assert_eq!((at.store.keys_len(), at.store.deadlines_len()), (0, 0), "{when:?}");
    }
    let mut at = At::ms(1_000);
    at.set("k", Expiry::Never);
    assert_eq!(at.set("k", Expiry::At(999)), Response::Ok);
    assert!(!at.exists("k"), "a value with a deadline in the past was kept");
}

#[test]
fn a_scan_passes_over_what_has_lapsed_and_ends() {
    let mut at = At::ms(1_000);
    for number in 0..1_500 {
        let expiry = if number % 3 == 0 { Expiry::Never } else { Expiry::In(50) };
        at.set(&format!("k{number}"), expiry);
    }
    at.now_ms = 1_050;
    at.apply(Command::Tick);
    let mut found = 0;
    let mut position = 0;
    loop {
        let scan = KeyScan {
            position,
            group: 0,
            groups_len: 1,
            count: 7,
            pattern: Some(&b"k*"[..]),
            type_name: Some(&b"string"[..]),
        };
        let query = KeyQuery::Scan(Box::new(scan));
        let Response::Reply(Reply::Array(parts)) = at.store.query(&query.into()) else {
            panic!("not a step of a scan");
        };
        let [Reply::Bulk(cursor), Reply::Array(keys)] = &parts[..] else {
            panic!("not a step of a scan: {parts:?}");
        };
        found += keys.len();
        position = String::from_utf8_lossy(cursor).parse().unwrap();
        if position == 0 {
            break;
        }
    }
    assert_eq!(found, 500);
}

/// What a key holds in the model: a value and a deadline.
type Model = BTreeMap<String, (String, Option<u64>)>;

/// Random writes with time going on, against a map that forgets what has
/// lapsed; and the contents alone, in another order, into a store of their own.
#[test]
fn random_commands_do_what_they_do_to_a_plain_map() {
    let mut state = 99_u64;
    let mut random = move |bound: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for round in 0..40 {
        let mut at = At::ms(1_000);
        let mut model = Model::new();
        for _ in 0..400 {
            at.now_ms += random(3);
            model.retain(|_, (_, deadline)| deadline.is_none_or(|ms| ms > at.now_ms));
            step(&mut at, &mut model, &mut random);
            let key = format!("k{}", random(20));
            let deadline = model.get(&key).map(|(_, deadline)| *deadline);
            let ttl_ms = match deadline {
                None => -2,
                Some(None) => -1,
                Some(Some(ms)) => i64::try_from(ms - at.now_ms).unwrap(),
            };
            assert_eq!(at.ttl_ms(&key), ttl_ms, "round {round}: {key}");
            let value = model.get(&key).map(|(value, _)| Bytes::from(value.clone()));
            assert_eq!(at.store.query(&get(&key)), Response::Value(value), "round {round}: {key}");
        }
        // Whatever has lapsed is removed by now.
        model.retain(|_, (_, deadline)| deadline.is_none_or(|ms| ms > at.now_ms));
        at.apply(Command::Tick);
        assert_eq!(at.store.keys_len(), model.len());
        let mut direct = At { store: Store::new(round), now_ms: at.now_ms };
        for (key, (value, deadline)) in model.iter().rev() {
            direct.apply(StringCommand::Set { key: key.as_bytes(), value: value.as_bytes() });
            if let Some(ms) = deadline {
                let when = When::At(i64::try_from(*ms).unwrap());
                direct.expire(key, when, ExpireCondition::default());
            }
        }
        assert_eq!(at.store.digest(), direct.store.digest(), "round {round}");
        assert_eq!(at.store.used_bytes(), direct.store.used_bytes(), "round {round}");
        assert_eq!(at.store.next_deadline_ms(), direct.store.next_deadline_ms());
    }
}

/// One random write, to both.
fn step(at: &mut At, model: &mut Model, random: &mut impl FnMut(u64) -> u64) {
    let (key, other) = (format!("k{}", random(20)), format!("k{}", random(20)));
    let name = key.as_bytes();
    match random(7) {
        0 => {
            let value = "v".repeat(usize::try_from(random(60)).unwrap());
            at.apply(StringCommand::Set { key: name, value: value.as_bytes() });
            model.insert(key, (value, None));
        }
        1 => {
            let ms = 1 + random(100);
            at.set(&key, Expiry::In(ms));
            model.insert(key, ("v".to_owned(), Some(at.now_ms + ms)));
        }
        2 => {
            at.apply(KeyCommand::Del { keys: vec![name] });
            model.remove(&key);
        }
        3 => {
            at.apply(StringCommand::Append { key: name, suffix: b"x" });
            model.entry(key).or_default().0.push('x');
        }
        4 => {
            let ms = random(60);
            at.expire(&key, When::In(i64::try_from(ms).unwrap()), ExpireCondition::default());
            if ms == 0 {
                model.remove(&key);
            } else if let Some((_, deadline)) = model.get_mut(&key) {
                *deadline = Some(at.now_ms + ms);
            }
        }
        5 => {
            at.apply(KeyCommand::Rename { from: name, to: other.as_bytes(), if_missing: false });
            if let Some(entry) = model.remove(&key) {
                model.insert(other, entry);
            }
        }
        _ => {
            at.apply(KeyCommand::Copy { from: name, to: other.as_bytes(), replaces: true });
            if let Some(entry) = model.get(&key).cloned() {
                model.insert(other, entry);
            }
        }
    }
}
