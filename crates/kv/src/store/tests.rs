//! Claims about what commands do, and about the digest.

use std::collections::BTreeMap;

use super::*;
use crate::operation::key::{KeyCommand, KeyQuery};
use crate::operation::string::{StringCommand, StringQuery};

/// The command as the next entry, without time going on.
fn apply<'a>(store: &mut Store, command: impl Into<Command<&'a [u8]>>) -> Response {
    let at = Applied { index: store.index.next(), log_time_ms: store.log_time_ms };
    store.apply(at, &command.into())
}

fn set(store: &mut Store, key: &str, value: &str) -> Response {
    apply(store, StringCommand::Set { key: key.as_bytes(), value: value.as_bytes() })
}

fn incr(store: &mut Store, key: &str) -> Response {
    apply(store, StringCommand::IncrBy { key: key.as_bytes(), by: 1 })
}

fn get(store: &Store, key: &str) -> Option<String> {
    match store.query(&StringQuery::Get { key: key.as_bytes() }.into()) {
        Response::Value(value) => value.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()),
        other => panic!("GET answered {other:?}"),
    }
}

fn keys(names: &[&'static str]) -> Vec<&'static [u8]> {
    names.iter().map(|name| name.as_bytes()).collect()
}

#[test]
fn a_key_holds_what_it_was_last_given() {
    let mut store = Store::new(1);
    assert_eq!(get(&store, "k"), None);
    assert_eq!(set(&mut store, "k", "one"), Response::Ok);
    set(&mut store, "k", "");
    assert_eq!(get(&store, "k"), Some(String::new()), "an empty value is a value");
    assert_eq!(store.keys_len(), 1);
}

#[test]
fn of_a_key_set_twice_in_one_command_the_last_value_counts() {
    let mut store = Store::new(1);
    let pairs = vec![(&b"a"[..], &b"1"[..]), (b"b", b"2"), (b"a", b"3")];
    assert_eq!(apply(&mut store, StringCommand::MSet { pairs }), Response::Ok);
    assert_eq!(get(&store, "a").as_deref(), Some("3"));
    assert_eq!(store.query(&Query::<&[u8]>::Key(KeyQuery::DbSize)), Response::Integer(2));
}

#[test]
fn counting_commands_count_as_redis_does() {
    let mut store = Store::new(1);
    set(&mut store, "a", "1");
    set(&mut store, "b", "2");
    let exists = KeyQuery::Exists { keys: keys(&["a", "a", "x", "b"]) }.into();
    assert_eq!(store.query(&exists), Response::Integer(3), "one named twice counts twice");
    let del = KeyCommand::Del { keys: keys(&["a", "a", "x"]) };
    assert_eq!(apply(&mut store, del), Response::Integer(1), "a key is removed once");
    assert_eq!(store.keys_len(), 1);
}

#[test]
fn mget_answers_in_order_with_gaps() {
    let mut store = Store::new(1);
    set(&mut store, "a", "1");
    let one = Some(Bytes::from_static(b"1"));
    assert_eq!(
        store.query(&StringQuery::MGet { keys: keys(&["x", "a", "a"]) }.into()),
        Response::Values(vec![None, one.clone(), one])
    );
}

#[test]
fn incr_counts_from_zero_and_refuses_what_redis_refuses() {
    let mut store = Store::new(1);
    assert_eq!(incr(&mut store, "n"), Response::Integer(1));
    assert_eq!(get(&store, "n").as_deref(), Some("1"));
    set(&mut store, "n", "-9223372036854775808");
    assert_eq!(incr(&mut store, "n"), Response::Integer(i64::MIN + 1));
    for text in ["", " 1", "01", "-0", "+1", "1.0", "9223372036854775808"] {
        set(&mut store, "n", text);
        let refused = Response::Refused(DataError::NotAnInteger);
        assert_eq!(incr(&mut store, "n"), refused, "{text:?}");
        assert_eq!(get(&store, "n").as_deref(), Some(text), "a refusal changed the value");
    }
    set(&mut store, "n", "9223372036854775807");
    assert_eq!(incr(&mut store, "n"), Response::Refused(DataError::Overflow));
    assert_eq!(get(&store, "n").as_deref(), Some("9223372036854775807"));
}

#[test]
fn a_query_in_the_log_sees_its_place_and_changes_nothing() {
    let mut store = Store::new(1);
    set(&mut store, "k", "v");
    let before = store.digest();
    let answer = apply(&mut store, Command::Query(StringQuery::Get { key: &b"k"[..] }.into()));
    assert_eq!(answer, Response::Value(Some(Bytes::from_static(b"v"))));
    assert_eq!(store.digest(), before);
}

#[test]
fn swapped_values_change_the_digest() {
    let digest_of = |a: &str, b: &str| {
        let mut store = Store::new(1);
        set(&mut store, "a", a);
        set(&mut store, "b", b);
        store.digest()
    };
    assert_ne!(digest_of("1", "2"), digest_of("2", "1"));
    assert_ne!(Store::new(1).digest(), 0, "0 means that there is no digest");
}

/// Random histories against a model; then the contents alone, in key order,
/// into a store with another hash seed.
#[test]
fn digest_and_accounts_depend_on_the_contents_and_not_on_the_history() {
    let mut state = 42_u64;
    let mut random = move |bound: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for round in 0..50 {
        let mut store = Store::new(round);
        let mut model: BTreeMap<String, String> = BTreeMap::new();
        for _ in 0..400 {
            let key = format!("key-{}", random(40));
            if random(3) == 0 {
                apply(&mut store, KeyCommand::Del { keys: vec![key.as_bytes()] });
                model.remove(&key);
            } else {
                let value = "v".repeat(usize::try_from(random(300)).unwrap());
                set(&mut store, &key, &value);
                model.insert(key, value);
            }
        }
        let mut direct = Store::new(!round);
        for (key, value) in &model {
            set(&mut direct, key, value);
            assert_eq!(get(&store, key).as_ref(), Some(value));
        }
        assert_eq!(store.keys_len(), model.len());
        assert_eq!(store.digest(), direct.digest(), "round {round}");
        assert_eq!(store.used_bytes(), direct.used_bytes(), "round {round}");
        let first = model.keys().next().expect("400 steps leave a key");
        apply(&mut store, KeyCommand::Del { keys: vec![first.as_bytes()] });
        assert_ne!(store.digest(), direct.digest(), "a lost key went unnoticed");
    }
}
