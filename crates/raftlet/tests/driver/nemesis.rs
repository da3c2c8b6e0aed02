//! Kills, cuts, loss and slow disks at random, under clients on every member.
//!
//! Promises, for every seed: what was answered *done* is in the log once, what
//! was answered *not done* is not, what is *unknown* is there at most once;
//! nobody waits for ever; commands of one run of one member that are done stand
//! in the order they were made; a read has everything that was done before it
//! began.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cluster::{Cluster, now_or_never};
use raftlet::{ProposeError, Proposing, ReadError, Reading, ShardOptions};

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

struct Asked {
    line: String,
    /// Member and run that were asked: they keep order.
    by: (u64, u64),
    future: Proposing<usize>,
}

struct Read {
    must_hold: BTreeSet<String>,
    future: Reading<Vec<String>>,
}

#[derive(Default)]
struct History {
    done: BTreeMap<(u64, u64), Vec<String>>,
    not_done: BTreeSet<String>,
    unknown: BTreeSet<String>,
    reads_served: usize,
}

impl History {
    fn all_done(&self) -> BTreeSet<String> {
        self.done.values().flatten().cloned().collect()
    }

    fn collect(&mut self, asked: &mut Vec<Asked>, reads: &mut Vec<Read>) {
        asked.retain_mut(|asked| {
            let Some(outcome) = now_or_never(&mut asked.future) else {
                return true;
            };
            let line = asked.line.clone();
            match outcome {
                Ok(_) => self.done.entry(asked.by).or_default().push(line),
                Err(ProposeError::NotDone(_)) => assert!(self.not_done.insert(line)),
                Err(ProposeError::Unknown(_)) => assert!(self.unknown.insert(line)),
            }
            false
        });
        reads.retain_mut(|read| {
            let Some(outcome) = now_or_never(&mut read.future) else {
                return true;
            };
            match outcome {
                Ok(lines) => {
                    let lines: BTreeSet<String> = lines.into_iter().collect();
                    let missing: Vec<_> = read.must_hold.difference(&lines).collect();
                    assert!(missing.is_empty(), "a stale read misses {missing:?}");
                    self.reads_served += 1;
                }
                Err(ReadError::TimedOut | ReadError::Stopped) => {}
                Err(other) => panic!("{other}"),
            }
            false
        });
    }

    fn judge(&self, lines: &[String]) {
        let mut places = BTreeMap::new();
        for (place, line) in lines.iter().enumerate() {
            assert_eq!(places.insert(line, place), None, "{line} took effect twice");
            assert!(!self.not_done.contains(line), "{line} was said to be not done");
        }
        for (by, done) in &self.done {
            let order: Vec<_> =
                done.iter().map(|line| places.get(line).expect("a done command is lost")).collect();
            assert!(order.is_sorted(), "the order of {by:?} was not kept: {done:?}");
        }
    }
}

fn disturb(cluster: &mut Cluster, random: &mut Random, down: &mut BTreeSet<u64>) {
    let node = 1 + random.below(3);
    match random.below(7) {
        0 if down.is_empty() => {
            cluster.kill(node);
            down.insert(node);
        }
        1 | 2 => {
            if let Some(node) = down.pop_first() {
                cluster.start(node);
            }
        }
        3 => cluster.isolate(node),
        4 => cluster.network.set_loss(random.below(200)),
        5 => {
            let slow = Duration::from_micros(100 + random.below(60_000));
            cluster.storage(node).set_latency(slow);
        }
        _ => {
            cluster.heal();
            cluster.network.set_loss(0);
        }
    }
}

fn play(seed: u64) -> History {
    // Half of the seeds have machines with durable state of their own, which no
    // kill may leave ahead of the log (rule 8).
    let tune = |options: &mut ShardOptions| {
        options.log_memory_bytes_max = 1 << 10;
        // Every second seed lives from snapshots.
        if seed.is_multiple_of(2) {
            options.snapshot_log_entries = 10;
            options.snapshot_tail_entries = 3;
        }
    };
    let made = if seed % 4 >= 2 { Cluster::keeping } else { Cluster::with };
    let mut cluster = made(3, seed, tune);
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9) | 1);
    let (mut down, mut runs) = (BTreeSet::new(), BTreeMap::new());
    let (mut asked, mut reads) = (Vec::new(), Vec::new());
    let mut history = History::default();
    for step in 0..400_u64 {
        if random.below(20) == 0 {
            let before = down.clone();
            disturb(&mut cluster, &mut random, &mut down);
            for node in before.difference(&down) {
                *runs.entry(*node).or_insert(0) += 1;
            }
        }
        let node = 1 + random.below(3);
        if !down.contains(&node) {
            for n in 0..random.below(4) {
                let line = format!("{step}.{n}");
                let future = cluster.propose(node, &line);
                let by = (node, runs.get(&node).copied().unwrap_or(0));
                asked.push(Asked { line, by, future });
            }
            if random.below(2) == 0 {
                let must_hold = history.all_done();
                let future = cluster.group(node).read(|ledger| ledger.lines.clone());
                reads.push(Read { must_hold, future });
            }
        }
        cluster.run_ms(1 + random.below(40));
        history.collect(&mut asked, &mut reads);
    }
    cluster.heal();
    cluster.network.set_loss(0);
    for node in std::mem::take(&mut down) {
        cluster.start(node);
    }
    cluster.run_ms(6_000);
    history.collect(&mut asked, &mut reads);
    assert!(asked.is_empty() && reads.is_empty(), "seed {seed}: somebody waits for ever");
    history.judge(&cluster.settled());
    assert!((1..=3).all(|id| cluster.live(id).shard.status().proposals == 0), "seed {seed}");
    history
}

#[test]
fn whatever_happens_every_answer_is_true() {
    let (mut done, mut unknown, mut reads) = (0, 0, 0);
    for seed in 1..=12 {
        let history = play(seed);
        done += history.all_done().len();
        unknown += history.unknown.len();
        reads += history.reads_served;
    }
    assert!(done > 1_000 && reads > 200 && unknown > 0, "{done} {reads} {unknown}: too tame");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let (one, other) = (play(77), play(77));
    assert_eq!(one.done, other.done);
    assert_eq!(one.unknown, other.unknown);
}
