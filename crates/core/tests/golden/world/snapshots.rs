//! Snapshots in a script's hands: taken and received whole, in no time.

use super::{GENERATION, World};
use crate::disk::Taken;
use raftlet_core::{Body, Index, LogId, Message, NodeId, Snapshot, SnapshotPart};

impl World {
    /// The machine is restored once the snapshot's record is durable.
    pub(super) fn install(&mut self, node: u64) {
        let member = self.member(node);
        let durable = member.group.as_ref().unwrap().durable_snapshot().index;
        let Some(taken) = member.disk.snapshot.clone().filter(|_| member.installing) else {
            return;
        };
        if taken.snapshot.last.index <= member.applied || taken.snapshot.last.index > durable {
            return;
        }
        member.installing = false;
        member.applied = taken.snapshot.last.index;
        member.applied_time_ms = taken.snapshot.log_time_ms;
        member.commands = taken.commands;
        let (applied, group) = (member.applied, member.group.as_mut().unwrap());
        group.on_applied(applied);
        let commit = group.commit_index();
        if commit > applied {
            self.apply(node, commit);
        }
    }

    fn taken(&mut self, node: u64, index: Option<Index>) -> Taken {
        let member = self.member(node);
        let group = member.group.as_ref().unwrap();
        let index = index.unwrap_or(member.applied);
        let (configuration_index, configuration) = group.configuration_at(index).unwrap();
        let last = LogId { term: group.term_at(index).unwrap(), index };
        let snapshot = Snapshot {
            last,
            configuration_index,
            configuration: configuration.clone(),
            log_time_ms: member.applied_time_ms,
        };
        Taken { snapshot, commands: member.commands.clone() }
    }

    /// Takes a snapshot of what is applied, and compacts but for `tail` entries.
    pub(crate) fn snapshot(&mut self, node: u64, tail: u64) -> String {
        let taken = self.taken(node, None);
        let last = taken.snapshot.last;
        self.member(node).disk.files.push(taken);
        let base = Index::new(last.index.get().saturating_sub(tail));
        let now = self.now();
        let is_taken = self.group(node).compact(now, last, base);
        self.pump(node);
        self.settle();
        let word = if is_taken { "taken" } else { "refused" };
        format!("n{node} snapshot {last} {word}\n")
    }

    /// Space is wanted: entries up to `base` may go.
    pub(crate) fn cut_tail(&mut self, node: u64, base: u64) -> String {
        let now = self.now();
        let is_cut = self.group(node).cut_tail(now, Index::new(base));
        self.pump(node);
        self.settle();
        let word = if is_cut { "cuts its tail" } else { "has nothing to cut" };
        format!("n{node} {word}\n")
    }

    /// What leaders want sent since the last time.
    pub(crate) fn take_wanted(&mut self) -> String {
        self.wanted
            .drain(..)
            .map(|(from, to)| format!("n{from} wants its snapshot at n{to}\n"))
            .collect()
    }

    /// The leader's snapshot, or one kept from before, arrives whole.
    pub(crate) fn send_snapshot(&mut self, from: u64, to: u64, kept: Option<Taken>) -> String {
        let current = self.member(from).disk.snapshot.clone();
        let taken = kept.or(current).expect("nothing to send");
        let last = taken.snapshot.last;
        let term = self.group(from).term();
        let part = SnapshotPart { last, number: 0, checksum: 0, bytes: bytes::Bytes::new() };
        let message = Message { generation: GENERATION, term, body: Body::Snapshot(part) };
        let sender = self.member(from).sender(from);
        let now = self.now();
        let mut arena = std::mem::take(&mut self.arena);
        let group = self.group(to);
        group.step(now, &mut arena, sender, &mut { message });
        let expected = group.expects_snapshot(NodeId::new(from), term, last);
        self.arena = arena;
        self.member(to).disk.files.push(taken.clone());
        let is_taken = self.group(to).on_snapshot(now, &taken.snapshot);
        self.pump(to);
        self.settle();
        let word = match (is_taken, expected) {
            (true, _) => "installs",
            (false, true) => "refuses, though it expected it,",
            (false, false) => "refuses",
        };
        format!("n{to} {word} {last}\n")
    }

    /// What a snapshot of `node` is now, to arrive later.
    pub(crate) fn keep_snapshot(&mut self, node: u64) {
        self.kept = self.member(node).disk.snapshot.clone();
    }

    pub(crate) fn send_kept(&mut self, from: u64, to: u64) -> String {
        let kept = self.kept.clone();
        assert!(kept.is_some(), "no snapshot was kept");
        self.send_snapshot(from, to, kept)
    }

    /// The driver's attempt is over.
    pub(crate) fn end_sending(&mut self, from: u64, to: u64) {
        let now = self.now();
        self.group(from).on_snapshot_ended(now, NodeId::new(to));
        self.pump(from);
        self.settle();
    }
}
