//! What a running node can tell of itself: the source of `GET /status`.
//!
//! Not here: the schema (`status.rs`), who asks (`admin.rs`).

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::backup::give::{self, GivesBackups, Refused, Streams};
use crate::cli::logging::LogLevel;
use crate::client::keyspace::Keyspace;
use crate::fill::AdminFill;
use crate::logging::{Line, Logging};
use crate::observe::history::{History, Reading, Sample};
use crate::observe::inspect::Inspect;
use crate::observe::metrics::Metrics;
use crate::process::clock::TokioClock;
use crate::process::huge_pages;
use crate::shard::handover::{self, HandsOver, Order, Outcome};
use crate::shard::members::{self, HasMembers, Roster};
use crate::shard::ports::{Group, Shard, SharedLog};
use crate::shard::snapshots::{self, TakesSnapshots};
use crate::status::{
    ClientsStatus, DamageStatus, Divergence, GroupStatus, LogStatus, MemberStatus, NodeStatus,
    PeerStatus, Role, SnapshotTransfer,
};
use raftlet::core::{Counters, Diverged, GroupId, Liveness, NodeId, Role as CoreRole};
use raftlet::{Halt, Shortage, SnapshotProgress, SnapshotsStatus, StateDigest, StorageError};
use raftlet_log::Identity;
use raftlet_net::NetHandle;

/// The parts of a node that are looked at.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) log: SharedLog,
    pub(crate) shard: Rc<Shard>,
    pub(crate) net: NetHandle,
    pub(crate) logging: Logging,
    /// Name and first members of the cluster.
    pub(crate) founding: (String, String),
    /// Damaged places that the start found in the log.
    pub(crate) damage_found: usize,
}

/// A node as its admin port sees it.
#[derive(Debug)]
pub(crate) struct NodeView {
    identity: Identity,
    clock: TokioClock,
    log: SharedLog,
    shard: Rc<Shard>,
    net: NetHandle,
    logging: Logging,
    founding: (String, String),
    damage_found: usize,
    /// Set when the groups are open.
    keyspace: OnceCell<Rc<Keyspace>>,
    is_stopping: Cell<bool>,
    /// Whom the roll call waits for; empty when it is over.
    waiting: RefCell<String>,
    /// The last digest of each group that could be taken: a machine that is
    /// out with a batch has none at that moment.
    digests: RefCell<BTreeMap<GroupId, StateDigest>>,
    history: History,
    admin_fill: AdminFill,
    backups: Streams,
}

impl NodeView {
    pub(crate) fn new(identity: Identity, clock: TokioClock, seen: Seen) -> Self {
        let Seen { log, shard, net, logging, founding, damage_found } = seen;
        Self {
            identity,
            clock,
            log,
            shard,
            net,
            logging,
            founding,
            damage_found,
            keyspace: OnceCell::new(),
            is_stopping: Cell::new(false),
            waiting: RefCell::default(),
            digests: RefCell::new(BTreeMap::new()),
            history: History::default(),
            admin_fill: AdminFill::default(),
            backups: Streams::default(),
        }
    }

    /// The groups are open from now on.
    pub(crate) fn opened(&self, keyspace: &Rc<Keyspace>) {
        self.keyspace.get_or_init(|| Rc::clone(keyspace));
    }

    /// Says whom the roll call waits for from now on. True: that is news.
    pub(crate) fn waits_for(&self, text: &str) -> bool {
        if *self.waiting.borrow() == text {
            return false;
        }
        text.clone_into(&mut self.waiting.borrow_mut());
        true
    }

    /// Whom the roll call waits for; empty when it is over.
    pub(crate) fn waiting(&self) -> String {
        self.waiting.borrow().clone()
    }

    /// The node is on its way out from now on.
    pub(crate) fn stopping(&self) {
        self.is_stopping.set(true);
    }

    fn log_status(&self) -> LogStatus {
        let (log, shard) = (self.log.0.counters(), self.shard.status());
        let space = self.log.0.space();
        LogStatus {
            log_writes: log.log_writes,
            log_flushes: log.log_flushes,
            mark_writes: log.mark_writes,
            prepare_flushes: log.prepare_flushes,
            writes_started_before_first_ack: shard.counters.writes_started_before_first_ack,
            memory_bytes: u64::try_from(shard.log_memory_bytes).unwrap_or(u64::MAX),
            memory_bytes_max: u64::try_from(shard.log_memory_bytes_max).unwrap_or(u64::MAX),
            disk_bytes: space.bytes,
            disk_bytes_soft: space.bytes_soft,
            disk_bytes_max: space.bytes_hard,
            segments: space.segments,
            spares: space.spares,
            reserve_bytes: space.reserve_bytes,
            reserve_bytes_wanted: space.reserve_bytes_wanted,
            pinned_groups: space.pinned_groups,
            unreadable_groups: space.unreadable_groups,
            replay_bytes: space.replay_bytes,
            replay_bytes_max: space.replay_bytes_max,
            snapshot_ahead_bytes: space.snapshot_ahead_bytes,
            snapshot_ahead_bytes_max: space.snapshot_ahead_bytes_max,
            shortage: shard.shortage.map(|shortage| match shortage {
                Shortage::Limit => "log at its limit".to_owned(),
                _ => "disk full".to_owned(),
            }),
            damage_found: u64::try_from(self.damage_found).unwrap_or(u64::MAX),
        }
    }

    fn peer_status(&self, peer: &raftlet_net::PeerStatus) -> PeerStatus {
        let admin = self.net.addresses(peer.node).map(|addresses| addresses.admin);
        PeerStatus {
            node_id: peer.node.get(),
            alive: match peer.liveness {
                Liveness::Unknown => None,
                Liveness::Alive { .. } => Some(true),
                Liveness::Suspected => Some(false),
            },
            connected: peer.is_connected,
            rtt_us: peer.stats.rtt_ns / 1_000,
            admin: admin.filter(|address| !address.is_empty()),
        }
    }

    fn group_status(&self, group: &Group) -> GroupStatus {
        let status = group.status();
        let mut digests = self.digests.borrow_mut();
        if let Some(digest) = status.digest {
            digests.insert(status.group, digest);
        }
        let digest = digests.get(&status.group);
        let role = match (&status.halted, status.core.role) {
            (Some(_), _) => Role::Halted,
            (None, _) if status.core.is_removed => Role::Removed,
            (None, CoreRole::Follower) => Role::Follower,
            (None, CoreRole::PreCandidate) => Role::PreCandidate,
            (None, CoreRole::Candidate) => Role::Candidate,
            (None, CoreRole::Leader) => Role::Leader,
        };
        GroupStatus {
            group: status.group.get(),
            role,
            term: status.core.term.get(),
            leader: status.core.leader.map(|node| node.get()),
            commit_index: status.core.commit_index.get(),
            applied_index: status.applied_index.get(),
            last_index: status.core.last_index.get(),
            durable_index: status.core.durable_index.get(),
            snapshot_index: status.core.snapshot_index.get(),
            base_index: status.core.base_index.get(),
            transfers: transfers(&status.snapshots),
            state_digest: format!("{:016x}", digest.map_or(0, |digest| digest.digest)),
            digest_index: digest.map_or(0, |digest| digest.index.get()),
            damage: damage(&status),
            diverged: status.core.diverged.iter().map(divergence).collect(),
            members: status
                .core
                .members
                .iter()
                .map(|member| MemberStatus {
                    node_id: member.node.get(),
                    match_index: member.match_index.get(),
                    priority: member.priority,
                    alive: member.is_alive,
                    short_of_room: member.is_short,
                })
                .collect(),
        }
    }
}

/// What of a group is damaged here.
fn damage(status: &raftlet::GroupStatus) -> Option<DamageStatus> {
    if let Some(Halt::Storage(error @ StorageError::Damaged { .. })) = &status.halted {
        return Some(DamageStatus { is_out: true, lost_until: 0, text: error.to_string() });
    }
    let (until, held) = (status.core.refill_until?, status.core.durable_index);
    let text = format!(
        "entries up to {until} were lost and are held again up to {held}: it gives no vote until a \
         leader has sent all of them, which needs a majority of the others"
    );
    Some(DamageStatus { is_out: false, lost_until: until.get(), text })
}

/// What is under way, to other nodes first.
fn transfers(snapshots: &SnapshotsStatus) -> Vec<SnapshotTransfer> {
    let transfer = |progress: &SnapshotProgress, is_received| SnapshotTransfer {
        node_id: progress.node.get(),
        is_received,
        parts_done: progress.parts_done,
        parts: progress.parts,
    };
    let sent = snapshots.sending.iter().map(|progress| transfer(progress, false));
    sent.chain(snapshots.receiving.iter().map(|progress| transfer(progress, true))).collect()
}

impl GivesBackups for NodeView {
    async fn give_backup(&self, order: give::Order) -> Result<mpsc::Receiver<Bytes>, Refused> {
        let groups = self.keyspace.get().map_or(&[][..], |keyspace| keyspace.groups());
        give::give(groups, &self.log, &self.backups, order).await
    }
}

impl TakesSnapshots for NodeView {
    async fn take_snapshots(&self, order: snapshots::Order) -> Vec<snapshots::Outcome> {
        let groups = self.keyspace.get().map_or(&[][..], |keyspace| keyspace.groups());
        snapshots::take(groups, order).await
    }
}

impl HandsOver for NodeView {
    async fn hand_over(&self, mut order: Order) -> Vec<Outcome> {
        let groups = self.keyspace.get().map_or(&[][..], |keyspace| keyspace.groups());
        if let [only] = groups {
            // The only one is meant wherever it is led.
            order.group.get_or_insert(only.status().group.get());
        }
        let mut outcomes = handover::hand_over(groups, order).await;
        for outcome in &mut outcomes {
            let addresses = outcome.leader.and_then(|node| self.net.addresses(NodeId::new(node)));
            outcome.leader_admin = addresses.map(|addresses| addresses.admin);
        }
        outcomes
    }
}

impl HasMembers for NodeView {
    fn roster(&self) -> Roster {
        let groups = self.keyspace.get().map_or(&[][..], |keyspace| keyspace.groups());
        let (cluster_name, founders) = self.founding.clone();
        Roster {
            cluster_id: self.identity.cluster.to_string(),
            cluster_name,
            founders,
            groups: groups.iter().map(members::of_group).collect(),
        }
    }

    async fn change(&self, order: members::Order) -> Result<Vec<members::Outcome>, String> {
        let groups = self.keyspace.get().map_or(&[][..], |keyspace| keyspace.groups());
        members::change(groups, &order).await
    }
}

impl Inspect for NodeView {
    fn status(&self) -> NodeStatus {
        let groups = self.keyspace.get().map_or(&[][..], |keyspace| keyspace.groups());
        NodeStatus {
            node_id: self.identity.node.get(),
            cluster_id: self.identity.cluster.to_string(),
            uptime_ms: self.clock.elapsed_ns() / 1_000_000,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run: self.identity.run.get(),
            is_stopping: self.is_stopping.get(),
            disk_mode: self.log.0.disk_mode().to_owned(),
            huge_pages: huge_pages::found().to_owned(),
            log: self.log_status(),
            clients: self.keyspace.get().map_or_else(ClientsStatus::default, |it| it.clients()),
            waiting: Some(self.waiting()).filter(|text| !text.is_empty()),
            peers: self.net.status().peers.iter().map(|peer| self.peer_status(peer)).collect(),
            groups: groups.iter().map(|group| self.group_status(group)).collect(),
        }
    }

    fn broken(&self) -> Option<String> {
        self.log.0.poison()
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.get()
    }

    fn news(&self, after: u64) -> Vec<Line> {
        self.logging.recent().since(after)
    }

    fn admin_fill(&self) -> &AdminFill {
        &self.admin_fill
    }

    fn metrics(&self) -> Metrics {
        let keyspace = self.keyspace.get();
        let groups = keyspace.map_or(&[][..], |keyspace| keyspace.groups());
        let counted = groups.iter().map(|group| group.status().counters);
        let info = keyspace.map(|keyspace| keyspace.info()).unwrap_or_default();
        Metrics {
            status: self.status(),
            groups: counted.fold(Counters::default(), sum),
            shard: self.shard.status(),
            log: self.log.0.counters(),
            write_times: self.log.write_times(),
            net: self.net.status(),
            clients_max: info.clients_len_max,
            keys: info.keys_len,
            used_bytes: info.used_memory_bytes,
            memory_bytes_max: keyspace.map_or(0, |keyspace| keyspace.memory_bytes_max()),
            clients_fill: keyspace
                .map(|keyspace| keyspace.client_list().fill())
                .unwrap_or_default(),
            limits: keyspace.map(|keyspace| keyspace.limits()).unwrap_or_default(),
            scripts_loaded: keyspace.map_or(0, |keyspace| keyspace.scripts().borrow().loaded_len()),
            snapshot_unwritten_bytes: keyspace.map_or(0, |it| it.snapshot_unwritten_bytes()),
            admin_connections: self.admin_fill.connections.get(),
            dashboard_watchers: self.admin_fill.watchers.get(),
        }
    }

    fn sample(&self) {
        let shard = self.shard.status();
        self.history.push(Reading {
            at_ns: self.clock.elapsed_ns(),
            requests: self.keyspace.get().map_or(0, |keyspace| keyspace.clients().requests),
            flushes: self.log.0.counters().log_flushes,
            proposal_times: shard.proposal_times,
            write_times: self.log.write_times(),
            proposals_pending: shard.proposals,
        });
    }

    fn samples(&self, len: usize) -> Vec<Sample> {
        self.history.last(len)
    }

    fn set_log_level(&self, level: LogLevel) {
        self.logging.set_level(level);
    }
}

/// A member that holds something else.
fn divergence(diverged: &Diverged) -> Divergence {
    Divergence {
        node_id: diverged.node.get(),
        index: diverged.index.get(),
        is_log: diverged.what == raftlet::core::Divergence::Log,
    }
}

/// What metrics tell of the counters of two groups.
fn sum(a: Counters, b: Counters) -> Counters {
    Counters {
        campaigns: a.campaigns + b.campaigns,
        elections_won: a.elections_won + b.elections_won,
        quorum_lost: a.quorum_lost + b.quorum_lost,
        stalls: a.stalls + b.stalls,
        lost_tails: a.lost_tails + b.lost_tails,
        divergences: a.divergences + b.divergences,
        impossible: a.impossible + b.impossible,
        stranger: a.stranger + b.stranger,
        entries_truncated: a.entries_truncated + b.entries_truncated,
        entries_fetched: a.entries_fetched + b.entries_fetched,
        ..a
    }
}
