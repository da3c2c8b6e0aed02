//! Damaged disks and machines with durable state at random, under the nemesis.
//!
//! Beside kills, cuts, loss and slow disks a node that is down loses the end of
//! its log, its snapshot, or a chunk of that; at most one of three at a time is
//! harmed. Machines that keep their state flush when they like: a kill takes back
//! any part of what they applied since.
//!
//! Promises beside the nemesis's own: who lacks entries that it had neither leads
//! nor campaigns, and is refilled when the others can; no machine is given an
//! entry twice or out of order (the ledger itself asserts that), and after all
//! each has what the log says, once.

use std::ops::Range;

use crate::cluster::{Cluster, GROUP};
use crate::nemesis::{History, Play};
use raftlet::core::{Index, Role};
use raftlet::{ShardOptions, Storage};

/// How often what happened; a batch in which something never did shows nothing.
#[derive(Debug, Default)]
struct Counts {
    logs: u64,
    snapshots: u64,
    chunks: u64,
    met: u64,
    refills: u64,
    taken_back: u64,
}

struct Losses {
    play: Play,
    /// Who may lack something; nobody else is damaged meanwhile.
    harmed: Option<u64>,
    /// A chunk of it is damaged, and nobody has read that yet.
    is_unmet: bool,
    counts: Counts,
}

impl Losses {
    /// Whether storage of the harmed node has told a loss that is not refilled, or
    /// will tell one.
    fn is_harmed(&self, node: u64) -> bool {
        if self.is_unmet || self.play.down.contains(&node) {
            return true;
        }
        let status = self.play.cluster.group(node).status();
        status.halted.is_some() || status.core.refill_until.is_some()
    }

    /// A node that is down may lose something.
    fn damage(&mut self) {
        if self.harmed.is_some_and(|harmed| !self.is_harmed(harmed)) {
            self.harmed = None;
            self.counts.refills += 1;
        }
        let Some(node) = self.play.down.first().copied() else {
            return;
        };
        let is_free = self.harmed.is_none_or(|harmed| harmed == node);
        if !is_free || self.play.random.below(12) > 0 {
            return;
        }
        let (cluster, random) = (&self.play.cluster, &mut self.play.random);
        let storage = cluster.storage(node);
        let log = cluster.executor.block_on(storage.load_log(GROUP)).unwrap();
        let begins_later = log.base.index > Index::ZERO;
        let mut is_unmet = false;
        match random.below(3) {
            0 if log.last > log.base.index.next() => {
                let behind = log.last - log.base.index.next();
                let first = log.base.index.next().plus(1 + random.below(behind));
                storage.damage(GROUP, first);
                self.counts.logs += 1;
            }
            1 if begins_later => {
                storage.damage_snapshot(GROUP, None);
                self.counts.snapshots += 1;
            }
            // One that is not restored may never meet it.
            2 if begins_later && cluster.kept_by(node).is_none() => {
                storage.damage_snapshot(GROUP, Some(0));
                is_unmet = true;
                self.counts.chunks += 1;
            }
            _ => return,
        }
        self.harmed = Some(node);
        self.is_unmet = is_unmet;
    }

    /// Machines flush, and what a kill left of them is chosen.
    fn machines(&mut self, were_up: &[u64]) {
        for node in 1..=3 {
            let Some(kept) = self.play.cluster.kept_by(node) else {
                continue;
            };
            let random = &mut self.play.random;
            if self.play.down.contains(&node) && were_up.contains(&node) {
                let pick = |len| random.below(u64::try_from(len).unwrap()).try_into().unwrap();
                self.counts.taken_back += u64::from(kept.lose_power(pick));
            } else if random.below(30) == 0 {
                kept.flush();
            }
        }
    }

    fn up(&self) -> Vec<u64> {
        (1..=3).filter(|id| !self.play.down.contains(id)).collect()
    }

    /// Who lacks something leads nobody.
    fn watch(&mut self, seed: u64) {
        for node in self.up() {
            let status = self.play.cluster.group(node).status();
            if status.core.refill_until.is_some() {
                assert_eq!(status.core.role, Role::Follower, "seed {seed}: {node} is harmed");
            }
            if status.halted.is_some() || status.core.refill_until.is_some() {
                assert_eq!(self.harmed, Some(node), "seed {seed}: {:?}", status.halted);
                self.counts.met += u64::from(self.is_unmet);
                self.is_unmet = false;
            }
            // It is opened again (D55), unless its node dies before.
            if status.halted.is_some() && self.play.random.below(4) == 0 {
                self.play.kill(node);
            }
        }
    }
}

fn play(seed: u64, counts: Counts) -> (History, Counts) {
    let tune = |options: &mut ShardOptions| {
        options.log_memory_bytes_max = 1 << 10;
        options.apply_entries_max = 4;
        options.snapshot_log_entries = 10;
        options.snapshot_tail_entries = 3;
    };
    let made = if seed.is_multiple_of(2) { Cluster::keeping } else { Cluster::with };
    let mut losses = Losses {
        play: Play::new(made(3, seed, tune), seed),
        harmed: None,
        is_unmet: false,
        counts,
    };
    for step in 0..400 {
        let were_up = losses.up();
        losses.play.disturb();
        losses.machines(&were_up);
        losses.damage();
        losses.play.ask(step);
        losses.watch(seed);
    }
    (losses.play.end(seed), losses.counts)
}

/// As the environment says, for longer: `RAFTLET_NEMESIS_SEEDS=100..400`.
fn seeds() -> Range<u64> {
    let Ok(asked) = std::env::var("RAFTLET_NEMESIS_SEEDS") else {
        return 1..17;
    };
    let (first, end) = asked.split_once("..").expect("two numbers with .. between");
    first.parse().expect("a number")..end.parse().expect("a number")
}

#[test]
fn whatever_disks_lose_and_machines_keep_every_answer_is_true() {
    let (mut done, mut counts, seeds) = (0, Counts::default(), seeds());
    for seed in seeds.clone() {
        let (history, so_far) = play(seed, counts);
        done += history.all_done().len();
        counts = so_far;
    }
    println!("seeds {seeds:?}: {done} done, {counts:?}");
    let Counts { logs, snapshots, chunks, met, refills, taken_back } = counts;
    let all = [logs, snapshots, chunks, met, refills, taken_back];
    assert!(done > 1_000 && all.iter().all(|count| *count > 0), "{done} {counts:?}: too tame");
}
