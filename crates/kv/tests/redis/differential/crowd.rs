//! Several clients at once, with transactions, watched keys and locks: the same
//! replies as from a real Redis, in whatever order their requests come.
//!
//! A case is a list of turns, each a client and its request; a turn's reply is
//! awaited before the next. So both sides have the same history, and a client's
//! `EXEC` meets what the others did since its `WATCH`. The scripts of lock
//! libraries, and compare-and-set, are run by Redis as the scripts they are.
//!
//! One thing differs and is documented: a watched key that was missing, came
//! and is missing again has not changed here, and has in Redis. A case ends
//! where that decides.

use std::os::unix::net::UnixStream;

use bytes::{Bytes, BytesMut};

use super::random::{Random, words};
use super::server::{RedisServer, ask};
use super::{Request, TOLD_MAX, line, shortened};
use raftlet::core::Index;
use raftlet_kv::{
    Applied, Asked, Command, Connection, ConnectionInfo, Limits, NodeInfo, Outcome, Output, Reply,
    ReplyParser, SlotMap, Store, Work, push_request,
};

const CLIENTS: usize = 4;
/// Turns of a case, which starts with an empty keyspace.
const CASE_LEN: usize = 60;
/// Cases a protocol: 48 000 turns in both together.
const CASES: u64 = 400;

const RELEASE: &str = "if redis.call(\"get\",KEYS[1]) == ARGV[1] then return \
                       redis.call(\"del\",KEYS[1]) else return 0 end";
const SET_IF: &str = "if redis.call('get',KEYS[1]) == ARGV[1] then return \
                      redis.call('set',KEYS[1],ARGV[2]) else return false end";

/// A client's request, and the same in the words of Redis.
#[derive(Clone)]
struct Turn {
    client: usize,
    request: Request,
    of_redis: Request,
}

/// Several connections to one store.
struct Crowd {
    connections: Vec<(Connection, Output)>,
    store: Store,
    at: Applied,
}

impl Crowd {
    fn new(log_time_ms: u64) -> Self {
        let connection = |id| {
            let info = ConnectionInfo { id, ..ConnectionInfo::default() };
            (Connection::new(info, Limits::default(), SlotMap::ONE_GROUP), Output::default())
        };
        Self {
            connections: (1..).take(CLIENTS).map(connection).collect(),
            store: Store::new(1),
            at: Applied { index: Index::ZERO, log_time_ms },
        }
    }

    /// The bytes of one client's reply.
    fn ask(&mut self, client: usize, request: &Request) -> Bytes {
        let (connection, output) = &mut self.connections[client];
        connection.input().extend_from_slice(&wire(request));
        loop {
            connection.turn(0, &mut NodeInfo::default, output);
            if output.batches.is_empty() {
                return std::mem::take(&mut output.replies).into();
            }
            for batch in std::mem::take(&mut output.batches) {
                if batch.work == Work::Read {
                    let open = connection.answer(batch, |asked| self.store.ask(asked, 0));
                    assert!(open.is_empty());
                    continue;
                }
                let entry = |(ticket, asked): (_, Asked<'_>)| {
                    let mut entry = Vec::new();
                    asked.encode(&mut entry);
                    (ticket, entry)
                };
                let entries: Vec<_> = connection.asked(batch).map(entry).collect();
                for (ticket, entry) in entries {
                    let decoded = Command::decode(&entry).expect("as it was encoded");
                    self.at.index = self.at.index.next();
                    let answer = self.store.apply(self.at, &decoded);
                    connection.complete(ticket, Outcome::Done(answer));
                }
            }
        }
    }

    fn exists(&self, key: &Bytes) -> bool {
        // Nobody's connection: a client in a transaction would queue it.
        let query = raftlet_kv::KeyQuery::Exists { keys: vec![key.clone()] };
        self.store.query(&query.into()) == raftlet_kv::Response::Integer(1)
    }
}

fn wire(request: &Request) -> Vec<u8> {
    let mut wire = Vec::new();
    let words: Vec<&[u8]> = request.iter().map(|word| &word[..]).collect();
    push_request(&mut wire, &words);
    wire
}

fn turn(random: &mut Random) -> Turn {
    let client = usize::try_from(random.below(CLIENTS as u64)).expect("small");
    let request = match random.below(24) {
        0 | 1 => words(["MULTI".into()]),
        2..=4 => words(["EXEC".into()]),
        5 => words([random.one_of(&["DISCARD", "UNWATCH"]).into()]),
        6..=8 => [vec!["WATCH".into()], random.keys()].concat(),
        9 => return script(client, random),
        _ => data(random),
    };
    Turn { client, of_redis: request.clone(), request }
}

/// What locks are made of.
fn script(client: usize, random: &mut Random) -> Turn {
    let (key, value) = (random.key(), value(random));
    let eval = |script: &'static str| vec!["EVAL".into(), script.into(), "1".into(), key.clone()];
    match random.below(3) {
        0 => {
            let request = [eval(RELEASE), vec![value]].concat();
            Turn { client, of_redis: request.clone(), request }
        }
        1 => {
            let request = words(["DELIFEQ".into(), key.clone(), value.clone()]);
            Turn { client, request, of_redis: [eval(RELEASE), vec![value]].concat() }
        }
        _ => {
            let new = self::value(random);
            let request =
                words(["SET".into(), key.clone(), new.clone(), "IFEQ".into(), value.clone()]);
            Turn { client, request, of_redis: [eval(SET_IF), vec![value, new]].concat() }
        }
    }
}

fn value(random: &mut Random) -> Bytes {
    random.one_of(&["a", "b", "1", "2", ""]).into()
}

/// On strings, mostly: a lock is one. Lists have keys of their own.
fn data(random: &mut Random) -> Request {
    let key = random.key();
    let list: Bytes = format!("l{}", random.below(2)).into();
    match random.below(16) {
        0 | 1 => words(["SET".into(), key, value(random)]),
        2 => words(["SET".into(), key, value(random), random.one_of(&["NX", "XX", "GET"]).into()]),
        3 => words([random.one_of(&["INCR", "GETDEL", "PERSIST", "STRLEN"]).into(), key]),
        4 => [vec![random.one_of(&["DEL", "UNLINK", "EXISTS", "TOUCH"]).into()], random.keys()]
            .concat(),
        5 => words([random.one_of(&["APPEND", "SETNX", "GETSET"]).into(), key, value(random)]),
        6 => words(["PEXPIRE".into(), key, random.one_of(&["100000", "-1", "x"]).into()]),
        7 => words(["MSETNX".into(), key, value(random), random.key(), value(random)]),
        8 => words(["RENAME".into(), key, random.key()]),
        9 => words(["COPY".into(), key, random.key(), "REPLACE".into()]),
        10 => words([random.one_of(&["RPUSH", "LPUSHX"]).into(), list, value(random)]),
        11 => words([random.one_of(&["LPOP", "LLEN"]).into(), list]),
        12 => words(["WATCH".into(), list]),
        13 if random.once_in(8) => words(["FLUSHALL".into()]),
        14 => words([random.one_of(&["NOSUCH", "GET", "SETRANGE"]).into()]),
        _ => words(["GET".into(), key]),
    }
}

#[test]
fn clients_with_transactions_and_locks_get_the_replies_of_redis() {
    let Some(redis) = RedisServer::start() else {
        println!("skipped: there is no redis-server 7.0 on the PATH");
        return;
    };
    // `RAFTLET_CROWD_CASES=100000` attacks for longer.
    let asked = std::env::var("RAFTLET_CROWD_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases: u64 = asked.unwrap_or(CASES);
    let mut redis = Redis { clients: (0..CLIENTS).map(|_| redis.connect()).collect(), redis };
    let (mut differences, mut executed) = (Vec::new(), Executed::default());
    for version in ["2", "3"] {
        for case in 0..cases {
            let mut random = Random::new(case.wrapping_mul(131).wrapping_add(7));
            let turns: Vec<Turn> = (0..CASE_LEN).map(|_| turn(&mut random)).collect();
            if differences.len() < TOLD_MAX
                && let Some(told) = redis.difference(version, &turns, &mut executed)
            {
                let differs =
                    |fewer: &[Turn]| redis.difference(version, fewer, &mut Executed::default());
                differences.push(format!(
                    "RESP{version}, case {case}: {}",
                    shortened((turns, told), differs)
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    println!("{} turns, {executed:?}", 2 * cases * CASE_LEN as u64);
    // A test that never aborts, or never executes, proves little.
    let Executed { whole, aborted, documented } = executed;
    assert!(whole > cases && aborted > cases / 4 && documented < cases, "{executed:?}");
}

/// How transactions ended.
#[derive(Clone, Copy, Debug, Default)]
struct Executed {
    whole: u64,
    /// A watched key had changed.
    aborted: u64,
    /// It had come and gone: the case ends there.
    documented: u64,
}

struct Redis {
    redis: RedisServer,
    clients: Vec<UnixStream>,
}

impl Redis {
    /// Where the two differ, told for people, if they do.
    fn difference(
        &mut self,
        version: &str,
        turns: &[Turn],
        executed: &mut Executed,
    ) -> Option<String> {
        let mut crowd = Crowd::new(self.redis.time_ms());
        let mut missing_when_watched: Vec<Vec<Bytes>> = vec![Vec::new(); CLIENTS];
        for client in 0..CLIENTS {
            for words in [vec!["RESET"], vec!["HELLO", version], vec!["FLUSHALL"]] {
                let request: Request =
                    words.into_iter().map(|word| word.to_owned().into()).collect();
                crowd.ask(client, &request);
                ask(&mut self.clients[client], &wire(&request), 1);
            }
        }
        for (at, turn) in turns.iter().enumerate() {
            let name = turn.request[0].to_ascii_lowercase();
            let watched = &mut missing_when_watched[turn.client];
            if name == b"watch"[..] {
                watched.extend(turn.request[1..].iter().filter(|key| !crowd.exists(key)).cloned());
            }
            let gone_again = name == b"exec"[..] && watched.iter().any(|key| !crowd.exists(key));
            let ours = crowd.ask(turn.client, &turn.request);
            let theirs = ask(&mut self.clients[turn.client], &wire(&turn.of_redis), 1).remove(0);
            if name == b"exec"[..] {
                // Outside of a transaction it is an error, and ends no watch.
                if !matches!(parsed(&theirs), Reply::Error(_)) {
                    missing_when_watched[turn.client].clear();
                }
                let is_null = matches!(parsed(&theirs), Reply::Null | Reply::NullArray);
                let is_array = matches!(parsed(&ours), Reply::Array(_));
                if gone_again && is_null && is_array {
                    executed.documented += 1;
                    return None;
                }
                executed.aborted += u64::from(is_null);
                executed.whole += u64::from(is_array);
            }
            if ours != theirs {
                let told = |it: &Turn| format!("{}: {}", it.client, line(&it.request));
                let lines: Vec<String> = turns[..=at].iter().map(told).collect();
                return Some(format!(
                    "after\n  {}\nwe answer    {}\nRedis answers {}",
                    lines.join("\n  "),
                    ours.escape_ascii(),
                    theirs.escape_ascii()
                ));
            }
        }
        None
    }
}

fn parsed(bytes: &Bytes) -> Reply {
    let mut input = BytesMut::from(&bytes[..]);
    let reply = ReplyParser::new(16 << 20).next_reply(&mut input);
    reply.expect("a reply").expect("a whole reply")
}
