//! `docs/redis-commands.md`: every command of Redis 7.0 and what becomes of it.
//!
//! The names in it are those that a real redis-server lists; what stands beside
//! them is asked of a node. `UPDATE=1` with a redis-server 7.0 on the `PATH`
//! writes the document anew.

use std::fmt::Write;
use std::path::PathBuf;

use crate::differential::RedisServer;
use crate::node::Node;
use raftlet_kv::{Reply, push_request};

const HEAD: &str = "\
# Commands of Redis 7.0

Every command and subcommand that `COMMAND` of a redis-server 7.0.15 lists, and what a node answers: *served*, or the hint behind
`ERR NAME is not supported by raftlet: `. What differs in detail among those that are served stands in `compatibility.md`. A test
holds this list (`crates/kv/tests/redis/listing.rs`); `UPDATE=1 cargo test -p raftlet-kv --test redis listing` writes it, where there
is a redis-server 7.0.

| command | |
| --- | --- |
";

/// Served for some arguments only.
const PARTLY: &[(&str, &str)] = &[
    ("client|tracking", "`OFF` only: there are no invalidations for a client-side cache"),
    ("eval", "the scripts of lock libraries only, known by their text"),
    ("evalsha", "the scripts of lock libraries only, known by their text"),
    ("script|load", "the scripts of lock libraries only, known by their text"),
    ("select", "database 0 only"),
    ("sort", "without `GET`, and without a pattern behind `BY`"),
    ("sort_ro", "without `GET`, and without a pattern behind `BY`"),
];

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/redis-commands.md")
}

/// The names that the document has.
fn listed() -> Vec<String> {
    let text = std::fs::read_to_string(path()).expect("the document is there");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(name, _)| name.to_owned()).collect()
}

/// What a real server lists, subcommands behind their containers.
fn names_of_redis(redis: &mut RedisServer) -> Vec<String> {
    let mut wire = Vec::new();
    push_request(&mut wire, &[b"COMMAND"]);
    let Reply::Array(rows) = redis.ask_parsed(&wire) else { panic!("COMMAND lists commands") };
    let mut names = Vec::new();
    for row in &rows {
        let Reply::Array(fields) = row else { panic!("not a command: {row:?}") };
        names.extend(fields.first().map(text));
        if let Some(Reply::Array(subcommands)) = fields.get(9) {
            for sub in subcommands {
                let Reply::Array(fields) = sub else { panic!("not a subcommand: {sub:?}") };
                names.extend(fields.first().map(text));
            }
        }
    }
    names.sort();
    names
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Bulk(text) | Reply::Simple(text) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("not a name: {other:?}"),
    }
}

/// What becomes of a command here: nobody else's connection is told by it.
fn answer(name: &str) -> String {
    let words: Vec<&[u8]> = name.split('|').map(str::as_bytes).collect();
    let mut wire = Vec::new();
    push_request(&mut wire, &words);
    let reply = Node::new().ask(&wire);
    if let Some((_, hint)) = reply.split_once(" is not supported by raftlet: ") {
        return hint.trim_end_matches('|').to_owned();
    }
    assert!(!reply.starts_with("-ERR unknown"), "{name} is neither served nor refused: {reply}");
    let partly = PARTLY.iter().find(|(partly, _)| *partly == name);
    partly.map_or_else(|| "served".to_owned(), |(_, what)| format!("served: {what}"))
}

#[test]
fn every_command_of_redis_is_served_or_refused_by_name_as_its_list_says() {
    let update = std::env::var_os("UPDATE").and_then(|_| RedisServer::start());
    let names = update.map_or_else(listed, |mut redis| names_of_redis(&mut redis));
    assert!(names.len() > 300, "{} commands are not all", names.len());
    let mut told = HEAD.to_owned();
    for name in &names {
        writeln!(told, "| `{name}` | {} |", answer(name)).expect("a string takes it");
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path(), &told).expect("the document can be written");
    }
    let document = std::fs::read_to_string(path()).expect("the document is there");
    assert!(document == told, "docs/redis-commands.md is not what a node says; UPDATE=1");
}

#[test]
fn the_list_names_what_a_real_server_names() {
    let Some(mut redis) = RedisServer::start() else {
        println!("skipped: there is no redis-server 7.0 on the PATH");
        return;
    };
    assert_eq!(listed(), names_of_redis(&mut redis));
}
