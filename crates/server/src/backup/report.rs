//! What a backup holds, for people and programs.
//!
//! As in a node's status, ids and digests that do not fit a JSON number safely
//! are hexadecimal text. Fields are added, never renamed.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::backup::calendar::utc;
use crate::backup::format::{BackupId, GroupHead, GroupSummary, Manifest};
use raftlet::core::{Configuration, Member, MemberRole};

/// One backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    pub(super) file: String,
    pub(super) sound: bool,
    /// What is wrong, if something is.
    pub(super) error: Option<String>,
    pub(super) format: u32,
    pub(super) backup_id: String,
    pub(super) created: String,
    pub(super) created_ms: u64,
    pub(super) cluster_id: String,
    pub(super) cluster_name: String,
    pub(super) founders: String,
    /// That was asked for it.
    pub(super) node_id: u64,
    /// That made it.
    pub(super) version: String,
    /// Of the file.
    pub(super) bytes: u64,
    /// Groups of the cluster; fewer may be in the backup.
    pub(super) groups_len: u32,
    pub(super) groups: Vec<GroupReport>,
}

/// One group of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct GroupReport {
    pub(super) group: u64,
    pub(super) generation: u64,
    /// Of the last entry whose effect is in it.
    pub(super) term: u64,
    /// See `term`.
    pub(super) index: u64,
    pub(super) log_time_ms: u64,
    pub(super) taken_ms: u64,
    pub(super) bytes: u64,
    pub(super) chunks: u32,
    /// Of the chunks.
    pub(super) checksum: String,
    pub(super) keys: u64,
    /// As the nodes of the cluster showed it at that entry.
    pub(super) state_digest: String,
    pub(super) members: Vec<MemberReport>,
}

/// A member as the group's configuration has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct MemberReport {
    pub(super) node_id: u64,
    pub(super) role: String,
    pub(super) address: String,
    pub(super) incarnation: String,
}

impl Report {
    /// Of a backup that was read whole. `heads` are those of its groups.
    pub(super) fn new(
        file: &Path,
        (backup, bytes): (BackupId, u64),
        manifest: &Manifest,
        members: Vec<Vec<MemberReport>>,
    ) -> Self {
        let groups = manifest.groups.iter().zip(members);
        Self {
            file: file.display().to_string(),
            sound: true,
            error: None,
            format: 1,
            backup_id: backup.to_string(),
            created: utc(manifest.created_ms),
            created_ms: manifest.created_ms,
            cluster_id: manifest.cluster.to_string(),
            cluster_name: manifest.cluster_name.clone(),
            founders: manifest.founders.clone(),
            node_id: manifest.node,
            version: manifest.program.clone(),
            bytes,
            groups_len: manifest.groups_len,
            groups: groups.map(|(group, members)| group_report(group, members)).collect(),
        }
    }

    /// Of one that is not sound.
    pub(super) fn broken(file: &Path, error: &str) -> Self {
        let (file, error) = (file.display().to_string(), Some(error.to_owned()));
        Self { file, error, ..Self::default() }
    }

    /// As JSON.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As text.
    pub(super) fn text(&self) -> String {
        if let Some(error) = &self.error {
            return format!("{}: damaged: {error}", self.file);
        }
        let mut text = format!(
            "{}: sound, {} bytes\nbackup {} of cluster {} ({}), {}, by node {}",
            self.file,
            self.bytes,
            self.backup_id,
            self.cluster_name,
            self.cluster_id,
            self.created,
            self.node_id,
        );
        for group in &self.groups {
            let _ = write!(
                text,
                "\ngroup {}  up to entry {} of term {}, {} keys, {} bytes, state {}",
                group.group, group.index, group.term, group.keys, group.bytes, group.state_digest
            );
            let members = group.members.iter();
            let members = members.map(|it| format!("{} ({})", it.node_id, it.role));
            let _ = write!(text, ", members {}", members.collect::<Vec<_>>().join(", "));
        }
        let here = self.groups.len();
        if u32::try_from(here).is_ok_and(|here| here < self.groups_len) {
            let _ = write!(
                text,
                "\n{here} of the cluster's {} groups: it cannot be restored by itself",
                self.groups_len
            );
        }
        text
    }
}

fn group_report(group: &GroupSummary, members: Vec<MemberReport>) -> GroupReport {
    GroupReport {
        group: group.group,
        generation: group.generation,
        term: group.term,
        index: group.index,
        log_time_ms: group.log_time_ms,
        taken_ms: group.taken_ms,
        bytes: group.bytes,
        chunks: group.chunks,
        checksum: format!("{:016x}", group.digest),
        keys: group.keys,
        state_digest: format!("{:016x}", group.state_digest),
        members,
    }
}

/// The members that a group's head names; none where that does not decode.
pub(super) fn members(head: &GroupHead) -> Vec<MemberReport> {
    let configuration = Configuration::decode(&head.meta.configuration).unwrap_or_default();
    let line = |member: &Member| MemberReport {
        node_id: member.node.get(),
        role: match member.role {
            MemberRole::Voter => "voter".to_owned(),
            MemberRole::Learner => "learner".to_owned(),
        },
        address: member.address.clone(),
        incarnation: member.incarnation.to_string(),
    };
    configuration.nodes().map(line).collect()
}
