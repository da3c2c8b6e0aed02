//! What a node says about itself: the schema of `GET /status`, which is the
//! schema of `raftlet status --json`.
//!
//! Numbers that only grow within a run are counters; ids that do not fit a
//! JSON number safely (cluster id, digests) are hexadecimal text. Fields are
//! added, never renamed.

use serde::{Deserialize, Serialize};

/// Committed entries that a machine may have to apply while its node calls
/// itself ready: some milliseconds of work.
const APPLY_LAG_MAX: u64 = 10_000;

/// What there is to do about it, for a person.
const REMOVED: &str = "holds no seat here any more: this node was removed from the cluster. Stop \
                       it; it can only come back under a new id, with --join, on an empty \
                       directory";

/// A node.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct NodeStatus {
    pub(crate) node_id: u64,
    /// 32 hexadecimal digits.
    pub(crate) cluster_id: String,
    pub(crate) uptime_ms: u64,
    /// Of the program.
    #[serde(default)]
    pub(crate) version: String,
    /// Which start on its data directory this is.
    #[serde(default)]
    pub(crate) run: u64,
    #[serde(default)]
    pub(crate) is_stopping: bool,
    /// How the log reaches the disk, as probed at start.
    pub(crate) disk_mode: String,
    /// Whether memory is in huge pages: `by advice`, `always` or `off`.
    #[serde(default)]
    pub(crate) huge_pages: String,
    pub(crate) log: LogStatus,
    pub(crate) clients: ClientsStatus,
    /// Whom a first start waits for; absent once the groups are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) waiting: Option<String>,
    /// Other nodes, in order of node id.
    #[serde(default)]
    pub(crate) peers: Vec<PeerStatus>,
    /// In order of group id.
    pub(crate) groups: Vec<GroupStatus>,
}

/// Another node as this one sees it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct PeerStatus {
    pub(crate) node_id: u64,
    /// By the failure detector; not known before the first round trip.
    pub(crate) alive: Option<bool>,
    /// Whether our connection to it is up.
    pub(crate) connected: bool,
    /// The last round trip, microseconds; 0 before the first.
    pub(crate) rtt_us: u64,
    /// Where its admin port is, once it was met in this run.
    pub(crate) admin: Option<String>,
}

/// The shard's log (rule 30).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct LogStatus {
    /// Writes of turns, each with one flush.
    pub(crate) log_writes: u64,
    /// Flushes that made turns durable.
    pub(crate) log_flushes: u64,
    /// Writes that only promise what is durable already.
    pub(crate) mark_writes: u64,
    /// Flushes that prepared space beside the hot path.
    pub(crate) prepare_flushes: u64,
    /// Batches of a leader whose own disk write began before any follower
    /// acknowledged them.
    pub(crate) writes_started_before_first_ack: u64,
    /// Memory that recent entries of all groups take.
    pub(crate) memory_bytes: u64,
    /// Its limit, `--log-memory-mib`.
    pub(crate) memory_bytes_max: u64,
    /// Bytes of the segments that make up the log.
    #[serde(default)]
    pub(crate) disk_bytes: u64,
    /// Aimed at, `--log-disk-mib`.
    #[serde(default)]
    pub(crate) disk_bytes_soft: u64,
    /// Never exceeded, `--log-disk-max-mib`.
    #[serde(default)]
    pub(crate) disk_bytes_max: u64,
    /// Those segments.
    #[serde(default)]
    pub(crate) segments: u64,
    /// Files of freed segments, kept for use.
    #[serde(default)]
    pub(crate) spares: u64,
    /// Kept for what must not wait when the disk is full.
    #[serde(default)]
    pub(crate) reserve_bytes: u64,
    /// What should be kept.
    #[serde(default)]
    pub(crate) reserve_bytes_wanted: u64,
    /// Groups that keep the oldest segments while space is wanted; 64 at most.
    #[serde(default)]
    pub(crate) pinned_groups: u64,
    /// Of these, groups with entries that the disk does not give back.
    #[serde(default)]
    pub(crate) unreadable_groups: u64,
    /// Of memory: what the start has read of the log, until it is applied.
    #[serde(default)]
    pub(crate) replay_bytes: u64,
    /// Its limit.
    #[serde(default)]
    pub(crate) replay_bytes_max: u64,
    /// Of memory: what readers of snapshots have read ahead.
    #[serde(default)]
    pub(crate) snapshot_ahead_bytes: u64,
    /// Its limit.
    #[serde(default)]
    pub(crate) snapshot_ahead_bytes_max: u64,
    /// Why writes are refused: `disk full` or `log at its limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shortage: Option<String>,
    /// Damaged places that this start found in it, healed ones included.
    #[serde(default)]
    pub(crate) damage_found: u64,
}

/// The client port since the start.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct ClientsStatus {
    /// Connections now.
    pub(crate) connected: u64,
    /// Connections accepted.
    pub(crate) accepted: u64,
    /// Connections turned away at `--clients-max`.
    pub(crate) refused: u64,
    /// Connections closed after `--client-idle-ms` of silence.
    pub(crate) idle_closed: u64,
    /// Requests taken.
    pub(crate) requests: u64,
    /// Connections closed because they took too long to authenticate.
    #[serde(default)]
    pub(crate) unauthenticated_closed: u64,
    /// Passwords that were not the password.
    #[serde(default)]
    pub(crate) wrong_passwords: u64,
    /// Writes refused at `--maxmemory`.
    #[serde(default)]
    pub(crate) out_of_memory: u64,
    /// Transactions refused at `--client-transaction-max` or its bytes.
    #[serde(default)]
    pub(crate) transactions_too_big: u64,
    /// Replies replaced by an error at `--client-reply-bytes-max`.
    #[serde(default)]
    pub(crate) replies_too_big: u64,
    /// Connections closed for input over a limit.
    #[serde(default)]
    pub(crate) requests_too_big: u64,
    /// Connections closed for input that made no sense.
    #[serde(default)]
    pub(crate) protocol_errors: u64,
}

/// A group's seat on the node.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct GroupStatus {
    pub(crate) group: u64,
    pub(crate) role: Role,
    pub(crate) term: u64,
    /// Node id.
    pub(crate) leader: Option<u64>,
    pub(crate) commit_index: u64,
    pub(crate) applied_index: u64,
    /// End of the log here, and how far of it is on this disk.
    #[serde(default)]
    pub(crate) last_index: u64,
    /// See `last_index`.
    #[serde(default)]
    pub(crate) durable_index: u64,
    /// The snapshot here contains the log up to here; 0 without one.
    #[serde(default)]
    pub(crate) snapshot_index: u64,
    /// The log up to here is gone.
    #[serde(default)]
    pub(crate) base_index: u64,
    /// Snapshots on their way between this node and others.
    #[serde(default)]
    pub(crate) transfers: Vec<SnapshotTransfer>,
    /// 16 hexadecimal digits; equal on members at an equal `digest_index`.
    pub(crate) state_digest: String,
    pub(crate) digest_index: u64,
    /// What of it is damaged here (rule 10); absent when it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) damage: Option<DamageStatus>,
    /// Nodes that held something else when last compared: an alarm.
    #[serde(default)]
    pub(crate) diverged: Vec<Divergence>,
    /// In order of node id.
    pub(crate) members: Vec<MemberStatus>,
}

/// A group that this node's disk did not give back whole.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct DamageStatus {
    /// Whether it takes no part until its member is replaced. Otherwise a leader
    /// sends again what was lost, and until then it gives no vote.
    pub(crate) is_out: bool,
    /// The last entry that was lost; `durable_index` tells how far it is again.
    pub(crate) lost_until: u64,
    /// What, where, remedy.
    pub(crate) text: String,
}

/// A node whose digest differs from this one's.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Divergence {
    pub(crate) node_id: u64,
    /// At this index.
    pub(crate) index: u64,
    /// Whether the logs applied differ, else the states after the same log.
    pub(crate) is_log: bool,
}

/// A snapshot on its way.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct SnapshotTransfer {
    /// The other node.
    pub(crate) node_id: u64,
    /// Whether it comes from there.
    pub(crate) is_received: bool,
    /// Parts that arrived, and all; 0 before that is known.
    pub(crate) parts_done: u64,
    /// See `parts_done`.
    pub(crate) parts: u64,
}

/// What a member is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    #[default]
    Follower,
    PreCandidate,
    Candidate,
    Leader,
    /// Acts no more: its storage failed or its machine broke.
    Halted,
    /// Holds no seat any more: the node was removed from the group.
    Removed,
}

/// Another member as this one sees it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct MemberStatus {
    pub(crate) node_id: u64,
    /// Known to a leader; 0 on others.
    pub(crate) match_index: u64,
    pub(crate) alive: bool,
    /// Who should lead rather: the higher; 0 from nodes that do not tell.
    #[serde(default)]
    pub(crate) priority: u8,
    /// It told the leader that its log is short of room. Known to a leader.
    #[serde(default)]
    pub(crate) short_of_room: bool,
}

impl MemberStatus {
    fn line(&self) -> String {
        format!(
            "         node {:<4} {:<6} match {}{}\n",
            self.node_id,
            if self.alive { "alive" } else { "silent" },
            if self.match_index == 0 { "-".to_owned() } else { self.match_index.to_string() },
            if self.short_of_room { ", short of room" } else { "" },
        )
    }
}

impl NodeStatus {
    /// Whether every group here knows a leader and its machine keeps up.
    pub(crate) fn is_ready(&self) -> bool {
        self.readiness().iter().all(|(_, failed)| failed.is_none())
    }

    /// What it takes to serve: each condition by name, and why it does not
    /// hold where it doesn't.
    pub(crate) fn readiness(&self) -> [(&'static str, Option<String>); 6] {
        let groups = self
            .waiting
            .clone()
            .or_else(|| self.groups.is_empty().then(|| "the groups are not open yet".to_owned()));
        let first = |what: &str, fails: &dyn Fn(&GroupStatus) -> bool| {
            let mut failing = self.groups.iter().filter(|group| fails(group));
            let first = failing.next()?;
            let others = match failing.count() {
                0 => String::new(),
                others => format!(", and {others} groups more"),
            };
            Some(format!("group {} {what}{others}", first.group))
        };
        // Who was removed looks for none.
        let is_lost = |group: &GroupStatus| group.leader.is_none() && group.role != Role::Removed;
        // However short the rest of its log is.
        let is_restored = |group: &GroupStatus| group.applied_index < group.snapshot_index;
        let lags = |group: &GroupStatus| {
            group.commit_index.saturating_sub(group.applied_index) > APPLY_LAG_MAX
        };
        [
            ("groups", groups),
            ("halted", first("takes no part any more", &|group| group.role == Role::Halted)),
            ("member", first(REMOVED, &|group| group.role == Role::Removed)),
            ("leader", first("knows no leader", &is_lost)),
            ("restore", first("is being restored from its snapshot", &is_restored)),
            ("apply", first("has much to apply", &lags)),
        ]
    }

    /// A table for a person.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "node {}   cluster {}   up {}   disk {}   huge pages {}\n\
             log: {} writes, {} flushes, {} marks, {} preparing; memory {} of {} KiB\n\
             log on disk: {} of {} MiB, at most {}, in {} segments; reserve {} of {} MiB{}\n\
             clients: {} connected, {} requests so far\n\n\
             group  role           term  leader      commit     applied  digest            at\n",
            self.node_id,
            self.cluster_id.get(..8).unwrap_or(&self.cluster_id),
            duration(self.uptime_ms),
            self.disk_mode,
            self.huge_pages,
            self.log.log_writes,
            self.log.log_flushes,
            self.log.mark_writes,
            self.log.prepare_flushes,
            self.log.memory_bytes >> 10,
            self.log.memory_bytes_max >> 10,
            self.log.disk_bytes >> 20,
            self.log.disk_bytes_soft >> 20,
            self.log.disk_bytes_max >> 20,
            self.log.segments,
            self.log.reserve_bytes >> 20,
            self.log.reserve_bytes_wanted >> 20,
            self.log
                .shortage
                .as_ref()
                .map_or_else(String::new, |why| format!("; writes are refused: {why}")),
            self.clients.connected,
            self.clients.requests,
        );
        text.extend(self.waiting.iter().map(|waiting| format!("{waiting}\n")));
        for group in &self.groups {
            let leader =
                group.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string());
            text.push_str(&format!(
                "{:<5}  {:<13} {:>5}  {leader:>6}  {:>10}  {:>10}  {}  {}\n",
                group.group,
                group.role.name(),
                group.term,
                group.commit_index,
                group.applied_index,
                group.state_digest,
                group.digest_index,
            ));
            if let Some(damage) = &group.damage {
                text.push_str(&format!("         damaged: {}\n", damage.text));
            }
            for transfer in &group.transfers {
                text.push_str(&format!(
                    "         snapshot {} node {}: {} of {} parts\n",
                    if transfer.is_received { "from" } else { "to" },
                    transfer.node_id,
                    transfer.parts_done,
                    transfer.parts,
                ));
            }
            text.extend(group.members.iter().map(MemberStatus::line));
        }
        text.truncate(text.trim_end().len());
        text
    }
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Follower => "follower",
            Self::PreCandidate => "pre-candidate",
            Self::Candidate => "candidate",
            Self::Leader => "leader",
            Self::Halted => "halted",
            Self::Removed => "removed",
        }
    }
}

fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{s}.{} s", ms % 1000 / 100),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ClientsStatus, DamageStatus, GroupStatus, LogStatus, NodeStatus, PeerStatus, Role,
    };

    fn node() -> NodeStatus {
        NodeStatus {
            node_id: 1,
            cluster_id: "00".repeat(16),
            uptime_ms: 61_000,
            version: "1".to_owned(),
            run: 2,
            is_stopping: false,
            peers: vec![PeerStatus {
                node_id: 2,
                alive: Some(true),
                connected: true,
                rtt_us: 80,
                admin: None,
            }],
            disk_mode: "direct".to_owned(),
            huge_pages: "by advice".to_owned(),
            log: LogStatus::default(),
            clients: ClientsStatus::default(),
            waiting: None,
            groups: vec![GroupStatus {
                group: 1,
                role: Role::PreCandidate,
                term: 2,
                leader: Some(3),
                commit_index: 7,
                applied_index: 7,
                last_index: 8,
                durable_index: 8,
                snapshot_index: 5,
                base_index: 4,
                transfers: Vec::new(),
                state_digest: "ab".repeat(8),
                digest_index: 7,
                damage: Some(DamageStatus {
                    is_out: false,
                    lost_until: 9,
                    text: "entries up to 9 were lost".to_owned(),
                }),
                diverged: vec![],
                members: Vec::new(),
            }],
        }
    }

    #[test]
    fn a_status_survives_its_json() {
        let text = serde_json::to_string(&node()).unwrap();
        assert!(text.contains(r#""role":"pre_candidate""#), "{text}");
        assert_eq!(serde_json::from_str::<NodeStatus>(&text).unwrap(), node());
    }

    #[test]
    fn a_group_without_leader_state_or_far_behind_its_commit_is_not_ready() {
        assert!(node().is_ready());
        let mut leaderless = node();
        leaderless.groups[0].leader = None;
        assert!(!leaderless.is_ready());
        let mut removed = leaderless;
        removed.groups[0].role = Role::Removed;
        let failed: Vec<_> =
            removed.readiness().into_iter().filter(|(_, why)| why.is_some()).collect();
        assert!(matches!(&failed[..], [("member", Some(why))] if why.contains("was removed")));
        let mut behind = node();
        behind.groups[0].commit_index += super::APPLY_LAG_MAX + 1;
        assert!(!behind.is_ready());
        let mut restored = node();
        restored.groups[0].applied_index = 0;
        let failed: Vec<_> =
            restored.readiness().into_iter().filter(|(_, why)| why.is_some()).collect();
        assert!(
            matches!(&failed[..], [("restore", Some(why))] if why.contains("group 1 is being"))
        );
        let mut empty = node();
        empty.groups.clear();
        assert!(!empty.is_ready());
    }
}
