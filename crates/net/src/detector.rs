//! Is that node alive? Time in, decisions out. Pure.
//!
//! A node is alive when a round trip to it that *began* within `suspect_after`
//! has ended, and none of its shards that ever turned has stood still for as
//! long (D7, rule 20). A round trip is a heartbeat on our connection and its
//! reply on theirs; or two heartbeats of theirs between which more of our bytes
//! arrived there, which holds also while replies wait behind bulk. Either
//! proves both directions.
//!
//! ```text
//!            reply                      silence, a shard stands still,
//! Unknown ----------> Alive{run} ------ refused re-dial, a new run ------> Suspected
//!    |                    ^                                                   |
//!    | silence            +------------------- reply -------------------------+
//!    +----- refused re-dial of one that was met ---------------------------> Suspected
//! ```
//!
//! Invariants
//! - A proof counts from when its heartbeat left, so a late reply proves what
//!   was, not what is; one that left before a refusal or a new run proves
//!   nothing.
//! - Runs only grow: what an older run of a node sent is ignored.
//! - Own absence is no evidence: when ticks come late (the process was stopped
//!   or starved), the others' silence meanwhile is not held against them.
//! - It influences liveness only (D7).
//!
//! Not here: sockets and clocks (`pulse.rs`), what suspicion leads to (the core).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::control::Heartbeat;
use raftlet::core::{Liveness, NodeId, Run, Time};

/// How the detector measures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DetectorTimings {
    pub(crate) heartbeat_interval: Duration,
    pub(crate) suspect_after: Duration,
}

/// The state of all watched nodes.
#[derive(Debug)]
pub(crate) struct Detector {
    interval_ns: u64,
    suspect_ns: u64,
    peers: BTreeMap<NodeId, Watched>,
    last_tick: Time,
    changes: Vec<(NodeId, Liveness)>,
}

#[derive(Debug)]
struct Watched {
    liveness: Liveness,
    run: Option<Run>,
    /// Since when it is watched: until `suspect_after` later it is Unknown.
    since: Time,
    /// When the latest round trip that ended had begun.
    proved_at: Option<Time>,
    /// Round trips begun before this prove nothing.
    not_before: Time,
    turns: Vec<Turn>,
    /// Its latest heartbeat: when it came, and how many bytes of ours had
    /// arrived there.
    heartbeat: Option<(Time, u64)>,
}

/// How often a shard has turned, and since when that number stands.
#[derive(Clone, Copy, Debug)]
struct Turn {
    count: u64,
    since: Time,
}

impl Detector {
    pub(crate) fn new(
        timings: DetectorTimings,
        now: Time,
        peers: impl Iterator<Item = NodeId>,
    ) -> Self {
        let watched = |node| (node, Watched::new(now));
        Self {
            interval_ns: Time::ZERO.after(timings.heartbeat_interval).ns(),
            suspect_ns: Time::ZERO.after(timings.suspect_after).ns(),
            peers: peers.map(watched).collect(),
            last_tick: now,
            changes: Vec::new(),
        }
    }

    /// Another node is watched from now on.
    pub(crate) fn watch(&mut self, now: Time, node: NodeId) {
        self.peers.entry(node).or_insert_with(|| Watched::new(now));
    }

    /// Nobody asks for a node any more: what was said of it last is withdrawn.
    pub(crate) fn forget(&mut self, node: NodeId) {
        if self.peers.remove(&node).is_some_and(|peer| peer.liveness != Liveness::Unknown) {
            self.changes.push((node, Liveness::Unknown));
        }
    }

    /// A handshake showed that `node` runs under this start counter.
    pub(crate) fn on_run(&mut self, now: Time, node: NodeId, run: Run) {
        let Some(peer) = self.peers.get_mut(&node) else {
            return;
        };
        if peer.run.is_some_and(|known| known >= run) {
            return;
        }
        if peer.run.replace(run).is_some() {
            peer.forget(now);
        }
        self.judge(now, node);
    }

    /// `node`, in this run, answered the heartbeat that left at `stamp`.
    /// Returns the round-trip time in nanoseconds when it proves anything.
    pub(crate) fn on_reply(
        &mut self,
        now: Time,
        node: NodeId,
        run: Run,
        stamp: Time,
    ) -> Option<u64> {
        self.on_run(now, node, run);
        let peer = self.peers.get_mut(&node)?;
        let is_proof = peer.run == Some(run) && stamp <= now && stamp >= peer.not_before;
        if !is_proof {
            return None;
        }
        peer.proved_at = peer.proved_at.max(Some(stamp));
        self.judge(now, node);
        Some(now.since(stamp))
    }

    /// `node`, in this run, sent a heartbeat.
    pub(crate) fn on_heartbeat(
        &mut self,
        now: Time,
        node: NodeId,
        run: Run,
        heartbeat: &Heartbeat,
    ) {
        self.on_run(now, node, run);
        let Some(peer) = self.peers.get_mut(&node) else {
            return;
        };
        if peer.run != Some(run) {
            return;
        }
        if let Some((since, received)) = peer.heartbeat
            && heartbeat.received > received
        {
            peer.proved_at = peer.proved_at.max(Some(since));
        }
        peer.heartbeat = Some((now, heartbeat.received));
        peer.on_turns(now, &heartbeat.turns);
        self.judge(now, node);
    }

    /// Nobody listens where `node` was, or somebody else does: its process is
    /// gone. Of one that was met that says something also before its first
    /// round trip has ended: who has just started must not wait out a silence.
    pub(crate) fn on_gone(&mut self, now: Time, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(&node)
            && peer.run.is_some()
            && peer.liveness != Liveness::Suspected
        {
            peer.forget(now);
            peer.liveness = Liveness::Suspected;
            self.changes.push((node, Liveness::Suspected));
        }
    }

    /// Time has passed; called every heartbeat interval.
    pub(crate) fn on_tick(&mut self, now: Time) {
        let gap = now.since(self.last_tick);
        self.last_tick = now;
        if gap > self.interval_ns.saturating_mul(2) {
            let absence = gap.saturating_sub(self.interval_ns);
            for peer in self.peers.values_mut() {
                peer.excuse(absence, now);
            }
        }
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        for node in nodes {
            self.judge(now, node);
        }
    }

    /// The changes since the last call, in order.
    pub(crate) fn take_changes(&mut self) -> Vec<(NodeId, Liveness)> {
        std::mem::take(&mut self.changes)
    }

    /// How a node is doing.
    pub(crate) fn liveness(&self, node: NodeId) -> Liveness {
        self.peers.get(&node).map_or(Liveness::Unknown, |peer| peer.liveness)
    }

    /// How long ago, in nanoseconds, the latest round trip began; `None` when
    /// there was none in this run of the node.
    pub(crate) fn proof_age(&self, now: Time, node: NodeId) -> Option<u64> {
        let proved_at = self.peers.get(&node)?.proved_at?;
        Some(now.since(proved_at))
    }

    fn judge(&mut self, now: Time, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else {
            return;
        };
        let liveness = peer.judged(now, self.suspect_ns);
        if liveness != peer.liveness {
            peer.liveness = liveness;
            self.changes.push((node, liveness));
        }
    }
}

impl Watched {
    const fn new(now: Time) -> Self {
        Self {
            liveness: Liveness::Unknown,
            run: None,
            since: now,
            proved_at: None,
            not_before: Time::ZERO,
            turns: Vec::new(),
            heartbeat: None,
        }
    }

    fn on_turns(&mut self, now: Time, turns: &[u64]) {
        // The first heartbeat of a connection tells nothing of shards.
        if turns.is_empty() {
            return;
        }
        let nil = Turn { count: 0, since: now };
        self.turns.resize(turns.len(), nil);
        for (turn, count) in self.turns.iter_mut().zip(turns) {
            if turn.count != *count {
                *turn = Turn { count: *count, since: now };
            }
        }
    }

    fn judged(&self, now: Time, suspect_ns: u64) -> Liveness {
        let is_fresh = |since: Time| now.since(since) < suspect_ns;
        let turns = |turn: &Turn| turn.count == 0 || is_fresh(turn.since);
        match (self.run, self.proved_at) {
            (Some(run), Some(proved_at)) if is_fresh(proved_at) && self.turns.iter().all(turns) => {
                Liveness::Alive { run }
            }
            (_, None) if self.liveness == Liveness::Unknown && is_fresh(self.since) => {
                Liveness::Unknown
            }
            _ => Liveness::Suspected,
        }
    }

    /// What was proved until now is about a process that is gone.
    fn forget(&mut self, now: Time) {
        self.proved_at = None;
        self.not_before = now;
        self.turns.clear();
        self.heartbeat = None;
    }

    /// This process was absent for so long.
    fn excuse(&mut self, absence_ns: u64, now: Time) {
        let excused = |since: Time| since.after_ns(absence_ns).min(now);
        self.since = excused(self.since);
        self.proved_at = self.proved_at.map(excused);
        for turn in &mut self.turns {
            turn.since = excused(turn.since);
        }
    }
}

#[cfg(test)]
mod tests;
