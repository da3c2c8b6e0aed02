//! Digests that members compare, and a member whose state has come apart.
//!
//! In some runs one seat's machine is rotten: the digest of its state is
//! another than the log makes it. Whoever compares must name it, within an
//! interval of applied entries, and nobody else ever.

use super::image::Record;
use super::invariants::{self, Violation, ensure};
use super::judge::is_leader;
use super::roster::node_at;
use super::world::World;
use crate::tally::Mark;
use raftlet::core::{Checkpoint, Event, Index, NodeId, Output};

/// Entries between checkpoints: few, as logs are short here.
const EVERY: u64 = 16;

impl World {
    /// A member has applied up to `index`.
    pub(super) fn check_point(&mut self, seat: usize, index: Index, record: &Record) {
        if !index.get().is_multiple_of(EVERY) {
            return;
        }
        let is_rotten = self.plan.rotten == Some(seat);
        let log = record.digest | 1;
        let state = log.rotate_left(7) ^ if is_rotten { 2 } else { 0 };
        // A machine that is ahead of this entry has no state of there.
        let state = if index >= self.members[seat].driver.has_applied { state } else { 0 };
        let checkpoint = Checkpoint { index, log, state };
        self.with_group(seat, |group, _, _| group.on_checkpoint(checkpoint));
    }

    /// Only who is rotten is named, or names others.
    pub(super) fn judge_divergences(&mut self, seat: usize, out: &Output) -> Result<(), Violation> {
        for event in &out.events {
            if let Event::Diverged(diverged) = event {
                self.judge.tally.mark(Mark::Diverged);
                let rotten = self.plan.rotten;
                let is_true = rotten.is_some_and(|at| at == seat || node_at(at) == diverged.node);
                ensure(is_true, invariants::NAMES_WHO_DIFFERS, || {
                    format!("n{} names {diverged:?}, rotten is {rotten:?}", seat + 1)
                })?;
            }
        }
        Ok(())
    }

    /// Within an interval the leader knows.
    pub(super) fn await_named(&mut self) -> Result<(), Violation> {
        let Some(rotten) = self.plan.rotten.map(node_at) else {
            return Ok(());
        };
        let members: Vec<NodeId> = self.core().map(|member| member.node).collect();
        if !members.contains(&rotten) || members.len() < 2 {
            return Ok(());
        }
        for _ in 0..EVERY {
            let fresh = self.judge.committed_len().next();
            let seat = self.some_seat();
            self.propose_on(seat, 1)?;
            self.await_agreement("after a command to be compared", fresh)?;
        }
        self.pass(2 * self.plan.timeout_ns())?;
        let Some(leader) = self.core().find(|member| is_leader(member)) else {
            return Ok(());
        };
        let named = leader.group.as_ref().map(|group| group.diverged()).unwrap_or_default();
        let is_named = |node: NodeId| named.iter().any(|diverged| diverged.node == node);
        let (own, others) = (leader.node, members.iter().filter(|node| **node != leader.node));
        let is_known = if own == rotten { others.copied().all(is_named) } else { is_named(rotten) };
        ensure(is_known, invariants::NAMES_WHO_DIFFERS, || {
            format!("{own} leads and names {named:?}, {rotten} is rotten")
        })
    }
}
