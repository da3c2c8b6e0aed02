//! Acknowledged data that a disk does not give back: it is named, kept to its
//! group, sent again by a leader, and never read wrong meanwhile (rule 10, D29).

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use crate::client::{Client, bulk, error_text};
use crate::cluster::{Cluster, raftlet};
use crate::waiting::{Ends, Run, wait_until};
use raftlet_kv::{Reply, SlotMap};

const GROUPS: u64 = 2;
/// For some frames among forty.
const DRAWS_MAX: u32 = 100_000;
/// Reads of each node in each round, at least.
const READS_MIN: u64 = 20;

/// Two groups on one shard; who asks for what has no leader is told soon.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new(3);
    cluster.flags(&["--groups", "2", "--propose-timeout-ms", "300"]);
    cluster.start_all();
    wait_healthy(&cluster, &[0, 1, 2]);
    cluster
}

fn groups(cluster: &Cluster, at: usize) -> Vec<Value> {
    let status = cluster.status(at).unwrap_or_default();
    status["groups"].as_array().cloned().unwrap_or_default()
}

fn number(group: &Value, name: &str) -> u64 {
    group[name].as_u64().unwrap_or(0)
}

/// Waits until nodes have whole groups that know leaders and have applied what
/// is committed somewhere by now.
fn wait_healthy(cluster: &Cluster, nodes: &[usize]) {
    let committed: Vec<u64> = (0..2)
        .map(|of| {
            let commit =
                |at: &usize| groups(cluster, *at).get(of).map(|it| number(it, "commit_index"));
            nodes.iter().filter_map(commit).max().unwrap_or(0)
        })
        .collect();
    wait_until("the nodes are healthy", || {
        nodes.iter().all(|at| {
            let groups = groups(cluster, *at);
            let is_whole = |(group, committed): (&Value, &u64)| {
                group["damage"].is_null()
                    && group["leader"].is_u64()
                    && number(group, "applied_index") >= *committed
            };
            groups.len() == 2 && groups.iter().zip(&committed).all(is_whole)
        })
    });
}

/// A key of a group, by the group's place.
fn key(of: u16, name: &str) -> String {
    let slots = SlotMap::new(GROUPS).unwrap();
    (0..)
        .map(|nth| format!("{name}-{nth}"))
        .find(|key| slots.group_of_key(key.as_bytes()).number() == of)
        .unwrap()
}

/// A log, and a byte in it.
type Place = (PathBuf, usize);

/// Where a node that is stopped keeps values that begin like this, in the log
/// of its last run: each in a frame of its own, all of them acknowledged.
fn places(cluster: &Cluster, at: usize, value: &str) -> Vec<Place> {
    let files = fs::read_dir(cluster.data_dir(at)).unwrap().flatten().map(|file| file.path());
    let is_log = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log-"))
    };
    let mut logs: Vec<PathBuf> = files.filter(is_log).collect();
    logs.sort();
    for log in logs.into_iter().rev() {
        let bytes = fs::read(&log).unwrap();
        let windows = bytes.windows(value.len()).enumerate();
        let found: Vec<usize> =
            windows.filter(|(_, window)| *window == value.as_bytes()).map(|(at, _)| at).collect();
        if !found.is_empty() {
            return found.into_iter().map(|place| (log.clone(), place)).collect();
        }
    }
    panic!("{value} stands nowhere");
}

fn flip(file: &PathBuf, byte: usize, bit: u32) {
    let mut bytes = fs::read(file).unwrap();
    bytes[byte] ^= 1 << bit;
    fs::write(file, bytes).unwrap();
}

/// So many of these places of one log, in frames that are not next to each
/// other: of those the frame behind tells what the lost one held. The last
/// frames are left out, behind which there is none.
fn apart((places, frames): (&[Place], &[(usize, u64)]), len: usize, draw: &mut Draw) -> Vec<Place> {
    let frame_of = |place: usize| {
        let before = frames.iter().filter(|(offset, _)| *offset <= place);
        before.map(|(_, frame)| *frame).max().unwrap()
    };
    let end = frame_of(usize::MAX) - 2;
    let mut chosen: Vec<Place> = Vec::new();
    for draws in 0.. {
        if chosen.len() == len {
            break;
        }
        assert!(draws < DRAWS_MAX, "{len} frames apart: not in {} before {end}", places.len());
        let place = &places[draw.below(places.len())];
        let frame = frame_of(place.1);
        let is_apart = |other: &Place| frame_of(other.1).abs_diff(frame) > 1;
        if frame < end && chosen.iter().all(is_apart) {
            chosen.push(place.clone());
        }
    }
    chosen
}

/// Where each frame of a log of a stopped node begins.
fn frames(cluster: &Cluster, at: usize, log: &std::path::Path) -> Vec<(usize, u64)> {
    let lines = dump(cluster, at);
    let of_log = lines.iter().filter(|line| {
        line["file"].as_str() == log.file_name().and_then(|name| name.to_str())
            && number(line, "frame") > 0
    });
    let begin =
        |line: &Value| (usize::try_from(number(line, "offset")).unwrap(), number(line, "frame"));
    of_log.map(begin).collect()
}

/// Drawn from a seed: the same in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Writes until it is acknowledged: leaders may change.
fn write(client: &mut Client, key: &str, value: &str) {
    wait_until("a write is acknowledged", || client.ask(&["SET", key, value]) == Reply::OK);
}

/// A register that one client writes higher and higher numbers to.
#[derive(Default)]
struct Register {
    attempted: AtomicU64,
    acknowledged: AtomicU64,
}

/// Keys and what is known of each.
type Shown<'a> = (&'a [String], &'a [Register]);

fn value(number: u64) -> String {
    format!("value {number:>8}")
}

/// Writes until it is over. A register of which a write ended unknown may take
/// any value behind that from then on: what is known of it stands still.
fn write_on(
    mut client: Client,
    (keys, registers): Shown<'_>,
    writes: &AtomicU64,
    over: &AtomicBool,
) {
    let mut is_sure = vec![true; keys.len()];
    for number in 1.. {
        for (at, (key, register)) in keys.iter().zip(registers).enumerate() {
            register.attempted.store(number, Ordering::SeqCst);
            is_sure[at] &= client.ask(&["SET", key, &value(number)]) == Reply::OK;
            if is_sure[at] {
                register.acknowledged.store(number, Ordering::SeqCst);
            }
        }
        writes.store(number, Ordering::SeqCst);
        if over.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// Reads at one node, which comes and goes, until it is over. Every answer must
/// lie between what was acknowledged before and what was attempted after.
fn read_on(
    address: std::net::SocketAddr,
    (keys, registers): Shown<'_>,
    (reads, over): (&AtomicU64, &AtomicBool),
) {
    let mut client = None;
    while !over.load(Ordering::SeqCst) {
        let Some(connected) = client.as_mut() else {
            client = Client::connect(address).ok();
            std::thread::yield_now();
            continue;
        };
        for (key, register) in keys.iter().zip(registers) {
            let before = register.acknowledged.load(Ordering::SeqCst);
            let Ok(reply) = connected.try_ask(&["GET", key]) else {
                client = None;
                break;
            };
            let after = register.attempted.load(Ordering::SeqCst);
            let seen = match &reply {
                Reply::Null => 0,
                Reply::Bulk(bytes) => {
                    let text = String::from_utf8_lossy(bytes).into_owned();
                    text.strip_prefix("value ").unwrap().trim().parse::<u64>().unwrap()
                }
                refused => {
                    assert!(!error_text(refused).is_empty(), "{refused:?}");
                    continue;
                }
            };
            assert!((before..=after).contains(&seen), "{key}: {seen} of {before}..={after}");
            reads.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn flipped_bits_in_acknowledged_data_are_named_and_refilled_and_nobody_reads_a_wrong_value() {
    let mut cluster = cluster();
    let victim = wait_for_follower(&cluster);
    let writer = (0..3).find(|at| *at != victim).unwrap();
    let keys: Vec<String> = (0..2).map(|of| key(of, "register")).collect();
    let registers: Vec<Register> = keys.iter().map(|_| Register::default()).collect();
    let reads: Vec<AtomicU64> = (0..3).map(|_| AtomicU64::new(0)).collect();
    let (over, writes) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _ends = Ends(&over);
        let (keys, registers, over) = (&keys, &registers, &over);
        for (at, reads) in reads.iter().enumerate() {
            let address = cluster.client_address(at);
            scope.spawn(move || read_on(address, (keys, registers), (reads, over)));
        }
        let client = cluster.client(writer);
        let writes = &writes;
        scope.spawn(move || write_on(client, (keys, registers), writes, over));
        let mut draw = Draw(0x5eed);
        for round in 0..5 {
            let goal = |counter: &AtomicU64| counter.load(Ordering::SeqCst) + READS_MIN;
            let written = goal(writes);
            let wanted: Vec<u64> = reads.iter().map(goal).collect();
            wait_until("all nodes were read from, and much was written", || {
                let is_read =
                    |(reads, wanted): (&AtomicU64, &u64)| reads.load(Ordering::SeqCst) >= *wanted;
                writes.load(Ordering::SeqCst) >= written && reads.iter().zip(&wanted).all(is_read)
            });
            assert_eq!(cluster.stop(victim).code(), Some(0), "{}", cluster.said(victim));
            let places = places(&cluster, victim, "value ");
            let frames = frames(&cluster, victim, &places[0].0);
            for (file, place) in apart((&places, &frames), round % 3 + 1, &mut draw) {
                let byte = place + draw.below(14);
                flip(&file, byte, u32::try_from(draw.below(8)).unwrap());
            }
            cluster.start(victim);
            wait_healthy(&cluster, &[0, 1, 2]);
            let named = cluster.said(victim).matches(" lost entries ").count();
            assert!(named > round, "round {round}: {}", cluster.said(victim));
            assert!(cluster.said(victim).contains("holds again what was damaged"));
            assert!(number(&cluster.status(victim).unwrap()["log"], "damage_found") > 0);
        }
    });
    for (at, reads) in reads.iter().enumerate() {
        assert!(reads.load(Ordering::SeqCst) >= 5 * READS_MIN, "node {at}");
    }
}

/// A node that leads no group.
fn wait_for_follower(cluster: &Cluster) -> usize {
    let mut follower = None;
    wait_until("a node leads nothing", || {
        follower = (0..3).find(|at| {
            let groups = groups(cluster, *at);
            groups.len() == 2 && groups.iter().all(|group| group["role"] == "follower")
        });
        follower.is_some()
    });
    follower.unwrap()
}

fn metric(cluster: &Cluster, at: usize, name: &str) -> u64 {
    let admin = cluster.admin_address(at);
    let port = admin.rsplit_once(':').unwrap().1.parse().unwrap();
    let (_, text) = crate::cluster::http_get(port, "/metrics").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn a_damaged_group_gives_no_vote_until_it_is_refilled_and_the_other_group_serves() {
    let mut cluster = cluster();
    let (victim, other, third) = (0, 1, 2);
    let keys: Vec<String> = (0..2).map(|of| key(of, "key")).collect();
    let mut client = cluster.client(0);
    for number in 0..40 {
        for (of, key) in keys.iter().enumerate() {
            let value = format!("group-{of} value {number}");
            write(&mut client, key, &value);
        }
    }
    wait_healthy(&cluster, &[0, 1, 2]);
    cluster.kill_all();
    let places = places(&cluster, victim, "group-0 value 2");
    let (file, place) = &places[places.len() / 2];
    flip(file, place + 3, 5);
    // Alone: it says what is wrong, in its log, its status and its metrics.
    cluster.start(victim);
    wait_until("the node shows the damage", || {
        groups(&cluster, victim).first().is_some_and(|group| group["damage"].is_object())
    });
    let shown = groups(&cluster, victim);
    assert!(shown[1]["damage"].is_null() && shown[0]["damage"]["is_out"] == false, "{shown:?}");
    assert!(number(&shown[0]["damage"], "lost_until") > number(&shown[0], "durable_index"));
    assert_eq!(metric(&cluster, victim, "raftlet_groups_damaged"), 1);
    assert!(metric(&cluster, victim, "raftlet_log_damage_found") > 0);
    assert!(cluster.said(victim).contains("gives no vote until a leader has sent them again"));
    let table = raftlet().args(["status", "--admin", &cluster.admin_address(victim)]).try_run();
    let table = String::from_utf8(table.unwrap().stdout).unwrap();
    assert!(table.contains("damaged: entries up to"), "{table}");
    // With one of two others: the whole group has its majority, the damaged one
    // has none that may elect.
    cluster.start(other);
    let mut client = None;
    wait_until("the whole group serves", || {
        client = client.take().or_else(|| Client::connect(cluster.client_address(other)).ok());
        client.as_mut().is_some_and(|client| {
            client.try_ask(&["SET", &keys[1], "served"]).is_ok_and(|reply| reply == Reply::OK)
        })
    });
    let mut client = client.unwrap();
    wait_until("the other one asks in vain whether it could lead", || {
        groups(&cluster, other).first().is_some_and(|group| group["role"] == "pre_candidate")
    });
    for at in [victim, other] {
        let group = groups(&cluster, at).swap_remove(0);
        assert!(group["leader"].is_null() && group["role"] != "leader", "{group}");
    }
    let refused = error_text(&client.ask(&["SET", &keys[0], "not served"]));
    assert!(refused.starts_with("CLUSTERDOWN"), "{refused}");
    assert_eq!(client.ask(&["GET", &keys[1]]), bulk("served"));
    // With all: it is refilled, and counts again as a voter.
    cluster.start(third);
    wait_healthy(&cluster, &[0, 1, 2]);
    assert_eq!(metric(&cluster, victim, "raftlet_groups_damaged"), 0);
    assert_eq!(client.ask(&["GET", &keys[0]]), bulk("group-0 value 39"));
    cluster.kill(other);
    wait_until("the refilled member gives its vote", || {
        let led_by = |at| groups(&cluster, at).first().and_then(|group| group["leader"].as_u64());
        [victim, third].iter().all(|at| led_by(*at).is_some_and(|leader| leader != 2))
    });
    let mut client = cluster.client(victim);
    assert_eq!(client.ask(&["GET", &keys[0]]), bulk("group-0 value 39"));
}

/// Frames of a stopped node: file, offset, number, group, text.
fn dump(cluster: &Cluster, at: usize) -> Vec<Value> {
    let dir = cluster.data_dir(at);
    let output = raftlet().args(["log", "dump", "--json"]).arg(dir).run();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Moves leadership of the first group until a node that leads nothing has the vote
/// in a frame of its own, with nothing of the other group in the next one, which
/// tells what was in it; stops that node. Gives the leader, that frame, and all.
fn stopped_behind_a_vote(
    cluster: &mut Cluster,
    victim: usize,
    keys: &[String],
) -> (usize, u64, Vec<Value>) {
    const ATTEMPTS: usize = 5;
    for _ in 0..ATTEMPTS {
        let leads = |at: &usize| {
            groups(cluster, *at).first().is_some_and(|group| group["role"] == "leader")
        };
        let leader = (0..3).find(leads).unwrap();
        let to = (0..3).find(|at| *at != victim && *at != leader).unwrap();
        let moved = raftlet()
            .args(["leader", "transfer", "--group", "1", "--to", &(to + 1).to_string()])
            .args(["--admin", &cluster.admin_address(leader)])
            .run();
        assert!(moved.status.success(), "{moved:?}");
        wait_healthy(cluster, &[0, 1, 2]);
        // Behind the vote only entries of its group, then only of the other one: its
        // log goes on where it was, which clears it.
        let mut client = cluster.client(to);
        for key in keys {
            for _ in 0..3 {
                write(&mut client, key, "v");
            }
            wait_healthy(cluster, &[0, 1, 2]);
        }
        cluster.stop(victim);
        let lines = dump(cluster, victim);
        let is_vote = |line: &&Value| {
            let text = line["text"].as_str();
            line["group"] == 1 && text.is_some_and(|text| text.starts_with("term "))
        };
        let vote = number(lines.iter().rfind(is_vote).unwrap(), "frame");
        let is_of_other = |line: &Value| {
            [vote, vote + 1].contains(&number(line, "frame")) && number(line, "group") == 2
        };
        if !lines.iter().any(is_of_other) {
            return (to, vote, lines);
        }
        // On a laden machine what comes late goes together.
        cluster.start(victim);
        wait_healthy(cluster, &[0, 1, 2]);
    }
    panic!("no vote of one group alone in {ATTEMPTS} attempts");
}

#[test]
fn a_group_whose_vote_is_lost_stays_out_by_name_and_the_other_group_serves() {
    let mut cluster = cluster();
    let keys: Vec<String> = (0..2).map(|of| key(of, "key")).collect();
    // A vote of the first group alone: its leadership moves.
    let victim = wait_for_follower(&cluster);
    let (to, vote, lines) = stopped_behind_a_vote(&mut cluster, victim, &keys);
    for line in lines.iter().filter(|line| [vote, vote + 1].contains(&number(line, "frame"))) {
        let file = cluster.data_dir(victim).join(line["file"].as_str().unwrap());
        let mut bytes = fs::read(&file).unwrap();
        let at = usize::try_from(number(line, "offset")).unwrap();
        bytes[at + 100] = 0xa5;
        fs::write(&file, bytes).unwrap();
    }
    cluster.start(victim);
    wait_until("the whole group is served", || {
        let groups = groups(&cluster, victim);
        groups.len() == 2 && groups[1]["leader"].is_u64()
    });
    let shown = groups(&cluster, victim);
    assert_eq!(
        (&shown[0]["role"], &shown[0]["damage"]["is_out"]),
        (&"halted".into(), &true.into())
    );
    let text = shown[0]["damage"]["text"].as_str().unwrap();
    assert!(text.contains("new node id"), "{text}");
    assert!(cluster.said(victim).contains("takes no part any more"), "{}", cluster.said(victim));
    assert_eq!(metric(&cluster, victim, "raftlet_groups_damaged"), 1);
    let mut client = cluster.client(victim);
    assert_eq!(client.ask(&["GET", &keys[1]]), bulk("v"));
    assert!(!error_text(&client.ask(&["GET", &keys[0]])).is_empty());
    let mut client = cluster.client(to);
    assert_eq!(client.ask(&["GET", &keys[0]]), bulk("v"));
    write(&mut client, &keys[0], "w");
}
