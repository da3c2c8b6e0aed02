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

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
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
pub(crate) struct History {
    done: BTreeMap<(u64, u64), Vec<String>>,
    not_done: BTreeSet<String>,
    unknown: BTreeSet<String>,
    reads_served: usize,
}

impl History {
    pub(crate) fn all_done(&self) -> BTreeSet<String> {
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
                Err(ReadError::TimedOut | ReadError::Stopped | ReadError::Halted(_)) => {}
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

/// A cluster, its clients, and what they were told.
pub(crate) struct Play {
    pub(crate) cluster: Cluster,
    pub(crate) random: Random,
    pub(crate) down: BTreeSet<u64>,
    /// How often each node was started again.
    runs: BTreeMap<u64, u64>,
    asked: Vec<Asked>,
    reads: Vec<Read>,
    history: History,
}

impl Play {
    pub(crate) fn new(cluster: Cluster, seed: u64) -> Self {
        Self {
            cluster,
            random: Random(seed.wrapping_mul(0x9e37_79b9) | 1),
            down: BTreeSet::new(),
            runs: BTreeMap::new(),
            asked: Vec::new(),
            reads: Vec::new(),
            history: History::default(),
        }
    }

    /// Now and then something goes wrong, or ends.
    pub(crate) fn disturb(&mut self) {
        if self.random.below(20) > 0 {
            return;
        }
        let before = self.down.clone();
        disturb(&mut self.cluster, &mut self.random, &mut self.down);
        for node in before.difference(&self.down) {
            *self.runs.entry(*node).or_insert(0) += 1;
        }
    }

    /// Clients ask some node, and are told what is done by then.
    pub(crate) fn ask(&mut self, step: u64) {
        let node = 1 + self.random.below(3);
        if !self.down.contains(&node) {
            for n in 0..self.random.below(4) {
                let line = format!("{step}.{n}");
                let future = self.cluster.propose(node, &line);
                let by = (node, self.runs.get(&node).copied().unwrap_or(0));
                self.asked.push(Asked { line, by, future });
            }
            if self.random.below(2) == 0 {
                let must_hold = self.history.all_done();
                let future = self.cluster.group(node).read(|ledger| ledger.lines.clone());
                self.reads.push(Read { must_hold, future });
            }
        }
        self.cluster.run_ms(1 + self.random.below(40));
        self.history.collect(&mut self.asked, &mut self.reads);
    }

    /// A node is killed, to be started by [`disturb`](Self::disturb) or at the end.
    pub(crate) fn kill(&mut self, node: u64) {
        self.cluster.kill(node);
        self.down.insert(node);
    }

    /// All links carry and all nodes run.
    pub(crate) fn heal(&mut self) {
        self.cluster.heal();
        self.cluster.network.set_loss(0);
        for node in std::mem::take(&mut self.down) {
            self.cluster.start(node);
        }
    }

    /// Everybody is told the end, and it is true.
    pub(crate) fn end(mut self, seed: u64) -> History {
        self.heal();
        self.cluster.run_ms(6_000);
        self.history.collect(&mut self.asked, &mut self.reads);
        let is_told = self.asked.is_empty() && self.reads.is_empty();
        assert!(is_told, "seed {seed}: somebody waits for ever");
        self.history.judge(&self.cluster.settled());
        let waits = |id| self.cluster.live(id).shard.status().proposals;
        assert!((1..=3).all(|id| waits(id) == 0), "seed {seed}");
        self.history
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
    let mut play = Play::new(made(3, seed, tune), seed);
    for step in 0..400 {
        play.disturb();
        play.ask(step);
    }
    play.end(seed)
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
