//! What a node counts, as Prometheus reads it. Pure.
//!
//! The stems are etcd's where the thing is the same, so that dashboards
//! translate; units are base units; a limit is beside what it bounds, as
//! `…_max` (rule 42). `docs/operations.md` tells what each of them means, and
//! a test holds that none is missing there.
//!
//! Invariant: the number of series does not depend on groups, keys or clients,
//! only on members: sums over groups and the worst of them, labels for peers.

mod fill;

use std::fmt::{Display, Write};

use crate::fill::ClientsFill;
use crate::status::{GroupStatus, NodeStatus, Role};
use raftlet::core::{Counters, Liveness};
use raftlet::{Histogram, ShardStatus, Shortage};
use raftlet_kv::{Limits, Unwritten};
use raftlet_log::LogCounters;
use raftlet_net::{NetStatus, PeerStats, PeerStatus};

/// The content type of [`Metrics::render`].
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All that is counted, at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) status: NodeStatus,
    /// Of all groups together.
    pub(crate) groups: Counters,
    pub(crate) shard: ShardStatus,
    pub(crate) log: LogCounters,
    /// Writes of the log, each with its flush.
    pub(crate) write_times: Histogram,
    pub(crate) net: NetStatus,
    pub(crate) clients_max: u64,
    pub(crate) keys: u64,
    pub(crate) used_bytes: u64,
    /// 0: no limit.
    pub(crate) memory_bytes_max: u64,
    pub(crate) clients_fill: ClientsFill,
    /// What each client is held to.
    pub(crate) limits: Limits,
    pub(crate) scripts_loaded: usize,
    /// Of the group whose snapshot holds most in memory.
    pub(crate) snapshot_unwritten_bytes: usize,
    pub(crate) admin_connections: usize,
    pub(crate) dashboard_watchers: usize,
}

impl Metrics {
    /// The text exposition format.
    pub(crate) fn render(&self) -> String {
        let mut out = Exposition::default();
        self.put_node(&mut out);
        self.put_fill(&mut out);
        self.put_groups(&mut out);
        self.put_requests(&mut out);
        self.put_log(&mut out);
        self.put_snapshots(&mut out);
        self.put_network(&mut out);
        out.0
    }

    fn put_node(&self, out: &mut Exposition) {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        out.metric("build_info", Kind::Gauge, "1, labelled with the version.");
        out.sample("build_info", &version, 1);
        let uptime = self.status.uptime_ms;
        out.gauge("uptime_seconds", "Since this run began.", Seconds::of_ms(uptime));
        let clients = &self.status.clients;
        out.gauge("clients_connected", "Client connections.", clients.connected);
        out.gauge("clients_connected_max", "Their limit, --clients-max.", self.clients_max);
        out.counter("clients_accepted_total", "Connections let in.", clients.accepted);
        out.counter("clients_refused_total", "Connections turned away.", clients.refused);
        out.counter("clients_idle_closed_total", "Closed for silence.", clients.idle_closed);
        out.counter("commands_total", "Requests of clients taken.", clients.requests);
        out.gauge("keys", "Keys held, lapsed ones included.", self.keys);
        let found = self.status.log.damage_found;
        out.gauge("log_damage_found", "Damaged places that this start found.", found);
        out.gauge("keys_bytes", "What keys and values take, roughly.", self.used_bytes);
    }

    fn put_groups(&self, out: &mut Exposition) {
        let groups = &self.status.groups;
        let led = groups.iter().filter(|group| group.role == Role::Leader).count();
        let removed = groups.iter().filter(|group| group.role == Role::Removed).count();
        let is_lost = |group: &&GroupStatus| group.leader.is_none() && group.role != Role::Removed;
        let leaderless = groups.iter().filter(is_lost).count();
        let halted = groups.iter().filter(|group| group.role == Role::Halted).count();
        let has_leader = u64::from(groups.len() > removed && leaderless == 0);
        out.gauge("has_leader", "1 while every group here knows a leader.", has_leader);
        out.gauge("is_leader", "1 while a group is led here.", u64::from(led > 0));
        out.gauge("groups", "Groups with a seat here.", groups.len() - removed);
        out.gauge("groups_removed", "Groups whose seat here is gone.", removed);
        out.gauge("groups_led", "Groups led here.", led);
        out.gauge("groups_leaderless", "Groups that know no leader.", leaderless);
        out.gauge("groups_halted", "Groups that take no part any more.", halted);
        let damaged = groups.iter().filter(|group| group.damage.is_some()).count();
        out.gauge("groups_damaged", "Groups that the disk did not give back whole.", damaged);
        let terms = groups.iter().map(|group| group.term);
        out.gauge("term_max", "The highest term of a group.", terms.max().unwrap_or(0));
        let changes = self.shard.counters.leader_changes;
        out.counter("leader_changes_seen_total", "Times a group came to know a leader.", changes);
        let count = &self.groups;
        out.counter("elections_started_total", "Campaigns begun here.", count.campaigns);
        out.counter("elections_won_total", "Times a group was led here.", count.elections_won);
        let lost = count.quorum_lost;
        out.counter("quorum_lost_total", "Leadership given up: no majority.", lost);
        out.counter("disk_stalls_total", "Leadership given up: the disk hung.", count.stalls);
        let tails = count.lost_tails;
        out.counter("lost_tails_total", "Members back without what they acknowledged.", tails);
        let diverged = count.divergences;
        out.counter("divergences_total", "Members that hold another state.", diverged);
        let impossible = count.impossible;
        out.counter("messages_impossible_total", "Messages that cannot be.", impossible);
        out.counter("messages_stranger_total", "Messages of no member.", count.stranger);
        let truncated = count.entries_truncated;
        out.counter("entries_truncated_total", "Entries a later leader replaced.", truncated);
        let fetched = count.entries_fetched;
        out.counter("entries_fetched_total", "Entries read back for followers.", fetched);
    }

    fn put_requests(&self, out: &mut Exposition) {
        let (groups, shard) = (&self.status.groups, &self.shard);
        let committed: u64 = groups.iter().map(|group| group.commit_index).sum();
        let applied: u64 = groups.iter().map(|group| group.applied_index).sum();
        let lags =
            groups.iter().map(|group| group.commit_index.saturating_sub(group.applied_index));
        out.counter("proposals_committed_total", "Entries committed, all groups.", committed);
        out.counter("proposals_applied_total", "Entries applied, all groups.", applied);
        out.gauge(
            "apply_lag_entries",
            "Committed, not applied: worst group.",
            lags.max().unwrap_or(0),
        );
        out.gauge("proposals_pending", "Proposals without outcome.", shard.proposals);
        out.gauge("proposals_pending_max", "Their limit.", shard.proposals_max);
        out.gauge("proposals_pending_bytes", "Their bytes.", shard.proposal_bytes);
        out.gauge("proposals_pending_bytes_max", "Their limit.", shard.proposal_bytes_max);
        let counters = &shard.counters;
        out.counter(
            "proposals_failed_total",
            "Ended not done or unknown.",
            counters.proposals_failed,
        );
        out.counter("proposals_refused_total", "Refused at a limit.", counters.proposals_refused);
        out.gauge("reads_pending", "Reads without outcome.", shard.reads);
        out.gauge("reads_pending_max", "Their limit.", shard.reads_max);
        out.counter("read_indexes_failed_total", "Reads not answered.", counters.reads_failed);
        let help = "From a proposal's turn to its apply; one of each batch.";
        out.histogram("proposal_duration_seconds", help, &shard.proposal_times);
        out.gauge("inbox_messages", "Messages that wait for a turn.", shard.inbox_messages);
        out.gauge("inbox_messages_max", "Their limit.", shard.inbox_messages_max);
        out.gauge("inbox_bytes", "Their bytes.", shard.inbox_bytes);
        out.gauge("inbox_bytes_max", "Their limit.", shard.inbox_bytes_max);
        let dropped = counters.messages_dropped;
        out.counter("inbox_messages_dropped_total", "Messages beyond the inbox's bounds.", dropped);
        out.counter("shard_turns_total", "Turns of the shard's loop.", counters.turns);
        let (found, in_vain) = (counters.idle_polls_found, counters.idle_polls_in_vain);
        out.counter("idle_polls_found_total", "Waits that a look ended, without a sleep.", found);
        out.counter("idle_polls_in_vain_total", "Looks after which it slept.", in_vain);
    }

    fn put_log(&self, out: &mut Exposition) {
        let (log, memory) = (&self.log, &self.status.log);
        out.counter("log_writes_total", "Writes of the log.", log.log_writes);
        out.counter("log_flushes_total", "Their flushes.", log.log_flushes);
        out.counter("log_written_bytes_total", "Their bytes.", log.log_bytes);
        out.counter("mark_writes_total", "Marks behind the log, not flushed.", log.mark_writes);
        let prepared = log.prepare_flushes;
        out.counter("prepare_flushes_total", "Flushes beside the log.", prepared);
        out.counter("log_space_waits_total", "Writes that waited for room.", log.space_waits);
        out.counter("log_no_space_total", "Writes refused by a full disk.", log.no_space);
        out.counter("log_cold_reads_total", "Reads of entries not in memory.", log.cold_reads);
        out.counter("log_cold_read_bytes_total", "Their bytes.", log.cold_read_bytes);
        let is_limited = self.shard.shortage == Some(Shortage::Limit);
        let is_full = self.shard.is_full && !is_limited;
        out.gauge("disk_full", "1 while the log's disk has no room.", u64::from(is_full));
        let help = "1 while the log is at its limit on disk.";
        out.gauge("log_disk_limited", help, u64::from(is_limited));
        let members = self.status.groups.iter().flat_map(|group| &group.members);
        let short = members.filter(|member| member.short_of_room).count();
        out.gauge("members_short", "Members without room, of groups led here.", short);
        let help = "Times that no majority had room, and writes were refused.";
        out.counter("quorum_full_total", help, self.shard.counters.quorum_full);
        out.gauge("log_disk_bytes", "Segments that make up the log.", memory.disk_bytes);
        out.gauge("log_disk_bytes_soft", "What is aimed at.", memory.disk_bytes_soft);
        out.gauge("log_disk_bytes_max", "Their limit.", memory.disk_bytes_max);
        out.gauge("log_segments", "The number of those.", memory.segments);
        out.gauge("log_spare_segments", "Freed files kept for use.", memory.spares);
        let help = "Kept on disk for what must not wait.";
        out.gauge("log_reserve_bytes", help, memory.reserve_bytes);
        out.gauge("log_reserve_bytes_wanted", "What it should be.", memory.reserve_bytes_wanted);
        let help = "Groups that keep old segments while space is wanted.";
        out.gauge("log_pinning_groups", help, memory.pinned_groups);
        let help = "Of these, groups with entries that the disk does not give back.";
        out.gauge("log_unreadable_groups", help, memory.unreadable_groups);
        let help = "A write of the log with its flush, waiting for room included.";
        out.histogram("disk_wal_fsync_duration_seconds", help, &self.write_times);
        out.gauge("log_memory_bytes", "Recent entries in memory.", memory.memory_bytes);
        out.gauge("log_memory_bytes_max", "Their limit.", memory.memory_bytes_max);
        let help = "What the start has read of the log, until it is applied.";
        out.gauge("log_replay_bytes", help, memory.replay_bytes);
        out.gauge("log_replay_bytes_max", "Its limit.", memory.replay_bytes_max);
        let help = "Read ahead of snapshots that are restored or sent.";
        out.gauge("snapshot_ahead_bytes", help, memory.snapshot_ahead_bytes);
        out.gauge("snapshot_ahead_bytes_max", "Its limit.", memory.snapshot_ahead_bytes_max);
    }

    fn put_snapshots(&self, out: &mut Exposition) {
        let (fills, counters) = (&self.shard.snapshots, &self.shard.counters);
        out.counter("snapshots_taken_total", "Written down here.", counters.snapshots_taken);
        out.counter("snapshots_failed_total", "Not written.", counters.snapshots_failed);
        let refused = counters.snapshots_not_received;
        out.counter("snapshots_not_received_total", "Of leaders, and not taken here.", refused);
        out.gauge("snapshots_taking", "Being written down.", fills.taking);
        out.gauge("snapshots_taking_max", "Their limit.", fills.taking_max);
        out.gauge("snapshots_due", "Wait to be written down.", fills.takes_waiting);
        let help = "Held for a snapshot's writer: the group that holds most.";
        out.gauge("snapshot_unwritten_bytes", help, self.snapshot_unwritten_bytes);
        let help = "Beyond it who overwrites more waits.";
        out.gauge("snapshot_unwritten_bytes_max", help, Unwritten::BYTES_MAX);
        out.gauge("snapshot_sends", "On their way to members.", fills.sending);
        out.gauge("snapshot_sends_max", "Their limit.", fills.transfers_max);
        out.gauge("snapshot_sends_waiting", "Wait for one of these.", fills.sends_waiting);
        out.gauge("snapshot_logs_held", "Members that logs are held for.", fills.logs_held);
        let lost = counters.snapshot_holds_lost;
        out.counter("snapshot_holds_lost_total", "Members that these could not wait for.", lost);
        out.gauge("snapshot_send_parts", "Parts of those sent.", fills.parts_sending);
        out.gauge("snapshot_send_parts_done", "Arrived of them.", fills.parts_sent);
        out.gauge("snapshot_receives", "On their way from leaders.", fills.receiving);
        out.gauge("snapshot_receives_max", "Their limit.", fills.transfers_max);
        out.gauge("snapshot_receive_parts", "Parts of those received.", fills.parts_receiving);
        out.gauge("snapshot_receive_parts_done", "Written of them.", fills.parts_received);
        out.gauge("snapshot_parts_waiting", "Arrived, not written.", fills.parts_waiting);
        out.gauge("snapshot_parts_waiting_max", "Their limit.", fills.parts_waiting_max);
        let (sent, bytes) = (counters.snapshot_parts_sent, counters.snapshot_bytes_sent);
        out.counter("snapshot_parts_sent_total", "Parts sent, repeated included.", sent);
        out.counter("snapshot_sent_bytes_total", "Their bytes.", bytes);
        let repeated = counters.snapshot_parts_repeated;
        out.counter("snapshot_parts_repeated_total", "Of these, sent before.", repeated);
        let bytes = counters.snapshot_bytes_repeated;
        out.counter("snapshot_repeated_bytes_total", "Their bytes.", bytes);
        let dropped = counters.snapshot_parts_dropped;
        out.counter("snapshot_parts_dropped_total", "Arrived and of no use.", dropped);
        let stalls = counters.snapshot_stalls;
        out.counter("snapshot_stalls_total", "Half seconds without progress.", stalls);
        let reads = &self.shard;
        out.gauge("storage_reads", "Reads of old entries.", reads.storage_reads_under_way);
        out.gauge("storage_reads_max", "Their limit.", reads.storage_reads_max);
        out.gauge("storage_reads_waiting", "Wait for these.", reads.storage_reads_waiting);
    }

    fn put_network(&self, out: &mut Exposition) {
        let alive = |peer: &PeerStatus| u64::from(matches!(peer.liveness, Liveness::Alive { .. }));
        self.put_peers(out, "network_peer_alive", Kind::Gauge, "1 while the peer answers.", alive);
        let connected = |peer: &PeerStatus| u64::from(peer.is_connected);
        let help = "1 while our connection to it is up.";
        self.put_peers(out, "network_peer_connected", Kind::Gauge, help, connected);
        let stats: [PeerCounter; 7] = [
            ("network_peer_sent_bytes_total", "Bytes for the peer.", |it| it.bytes_sent),
            ("network_peer_received_bytes_total", "Bytes of the peer.", |it| it.bytes_received),
            ("network_peer_sent_messages_total", "Messages for it.", |it| it.messages_sent),
            ("network_peer_received_messages_total", "Of it.", |it| it.messages_received),
            ("network_peer_send_failures_total", "Messages dropped on the way out.", |it| {
                it.dropped_full + it.dropped_unconnected + it.dropped_oversized
            }),
            ("heartbeat_send_failures_total", "Heartbeats dropped.", |it| it.dropped_control),
            ("network_peer_protocol_errors_total", "Connections closed for what came.", |it| {
                it.protocol_errors
            }),
        ];
        for (name, help, value) in stats {
            self.put_peers(out, name, Kind::Counter, help, |peer| value(&peer.stats));
        }
        let name = "network_peer_round_trip_time_seconds";
        let seconds = |peer: &PeerStatus| Seconds::of_ns(peer.stats.rtt_ns);
        self.put_peers(out, name, Kind::Gauge, "The last one.", seconds);
        let (name, fill) =
            ("network_peer_outbox_bytes", |peer: &PeerStatus| peer.stats.outbox_bytes);
        self.put_peers(out, name, Kind::Gauge, "Bytes that wait to be sent.", fill);
        out.gauge("network_peer_outbox_bytes_max", "Their limit.", self.net.outbox_bytes_max);
        let turned_away = self.net.turned_away;
        out.counter("network_turned_away_total", "Connections above the limit.", turned_away);
    }

    fn put_peers<V: Display>(
        &self,
        out: &mut Exposition,
        name: &str,
        kind: Kind,
        help: &str,
        value: impl Fn(&PeerStatus) -> V,
    ) {
        out.metric(name, kind, help);
        for peer in &self.net.peers {
            out.sample(name, &[("peer", &peer.node.get().to_string())], value(peer));
        }
    }
}

/// A counter of each peer: name, help, and where it is found.
type PeerCounter = (&'static str, &'static str, fn(&PeerStats) -> u64);

/// What a metric is to Prometheus.
#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The text, as it grows. Writing to it cannot fail.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = write!(self.0, "# HELP raftlet_{name} {help}\n# TYPE raftlet_{name} {kind}\n");
    }

    /// Label values are ours: numbers and versions, nothing to escape.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "raftlet_{name}");
        for (at, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{text}\"", if at == 0 { '{' } else { ',' });
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.metric(name, Kind::Counter, help);
        self.sample(name, &[], value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.metric(name, Kind::Gauge, help);
        self.sample(name, &[], value);
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.metric(name, Kind::Histogram, help);
        let bucket = format!("{name}_bucket");
        for (bound_us, count) in histogram.up_to() {
            let bound = Seconds::of_ns(bound_us * 1_000).to_string();
            self.sample(&bucket, &[("le", &bound)], count);
        }
        self.sample(&bucket, &[("le", "+Inf")], histogram.count());
        self.sample(&format!("{name}_sum"), &[], Seconds::of_ns(histogram.sum_ns()));
        self.sample(&format!("{name}_count"), &[], histogram.count());
    }
}

/// A duration, printed exactly.
struct Seconds {
    ns: u64,
}

impl Seconds {
    fn of_ns(ns: u64) -> Self {
        Self { ns }
    }

    fn of_ms(ms: u64) -> Self {
        Self { ns: ms.saturating_mul(1_000_000) }
    }
}

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, rest) = (self.ns / 1_000_000_000, self.ns % 1_000_000_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{rest:09}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests;
