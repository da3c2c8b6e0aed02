//! What `raftlet demo --members` does to its cluster while clients work: every
//! first member is replaced, by the commands that an operator has.
//!
//! ```text
//! 3 voters ─ two nodes join, each a learner, then a voter ─▶ 5
//!          ─ a first member is killed and wiped; what it says when it is
//!            started again is carried out: removed, and a new one joins ─▶ 5
//!          ─ the leader, a first member, is removed, says so itself, and is
//!            stopped ─▶ 4
//!          ─ the last first member is removed ─▶ 3, none of them a first one
//! ```
//!
//! Invariants
//! - Each command is asked of a node that stays; a refusal is written down, and
//!   the command repeated, for a bounded time.
//! - A step ends when what it is for can be seen, not when a command returns.
//!
//! Not here: how members change (`members.rs` of the server), what clients saw
//! meanwhile (`verdict.rs`, `report.rs`).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::demo::cluster::Cluster;
use crate::demo::workload::Workload;
use crate::http;
use crate::operator::member;
use crate::process::clock::TokioClock;
use crate::process::failure::{Exit, Failure};
use crate::process::print;
use crate::shard::members::{Op, Order, Roster};

/// Nodes that join: two beyond the first ones, and one for the wiped.
pub(super) const SPARES: usize = 3;
/// From three on there is a majority without the wiped one, and one to spare.
pub(super) const FOUNDERS_MIN: usize = 3;

/// A step takes a second or two; a laden machine has taken ten.
const STEP_WITHIN: Duration = Duration::from_secs(60);
/// One command; a new voter catches up meanwhile.
const COMMAND_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks, and after a refusal.
const POLL: Duration = Duration::from_millis(50);
/// Clients work undisturbed so long before each step and after the last one.
const QUIET: Duration = Duration::from_secs(1);
/// Refusals that are told; more are only counted.
const REFUSALS_KEPT: usize = 16;

/// One step: what was done, and when.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) what: String,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub(super) struct MemberLog {
    pub(super) steps: Vec<Step>,
    pub(super) refused: u64,
    /// Of commands, with what they were; the first [`REFUSALS_KEPT`].
    pub(super) refusals: Vec<String>,
    /// Voters at the start, at most, and at the end.
    pub(super) voters: Vec<usize>,
}

/// Replaces every first member of a cluster.
pub(super) struct Replacement<'a> {
    clock: TokioClock,
    cluster: &'a Cluster,
    workload: &'a Workload,
    log: MemberLog,
}

impl<'a> Replacement<'a> {
    pub(super) fn new(clock: TokioClock, cluster: &'a Cluster, workload: &'a Workload) -> Self {
        Self { clock, cluster, workload, log: MemberLog::default() }
    }

    /// Carries all of it out, then lets the clients end.
    ///
    /// # Errors
    /// A step did not come about in time, or a node ended unasked.
    pub(super) async fn run(mut self) -> Result<MemberLog, Failure> {
        let founders = self.cluster.layout().founders();
        let spares: Vec<usize> = (founders..self.cluster.len()).collect();
        self.count_voters().await?;
        let (last_spare, first_spares) = match spares.split_last() {
            Some((last, others)) => (*last, others),
            None => return Err(Failure::runtime("there are no spare nodes")),
        };
        for spare in first_spares {
            tokio::time::sleep(QUIET).await;
            self.join(*spare).await?;
        }
        self.count_voters().await?;
        let mut olds: Vec<usize> = (0..founders).collect();
        tokio::time::sleep(QUIET).await;
        let leader = self.cluster.leader().await?;
        let wiped = olds.iter().copied().find(|old| *old != leader).unwrap_or(0);
        self.wipe(wiped, last_spare).await?;
        olds.retain(|old| *old != wiped);
        tokio::time::sleep(QUIET).await;
        let leader = self.one_of_them_leads(&olds).await?;
        self.remove(leader, "the leader, removed").await?;
        olds.retain(|old| *old != leader);
        for old in olds {
            tokio::time::sleep(QUIET).await;
            self.remove(old, "removed").await?;
        }
        tokio::time::sleep(QUIET).await;
        self.count_voters().await?;
        self.workload.finish();
        Ok(self.log)
    }

    /// A new node: a learner first, then a voter, then for clients too.
    async fn join(&mut self, spare: usize) -> Result<(), Failure> {
        let node = id(spare);
        let step = self.begin(format!("node {node} joins and is promoted"));
        self.admit(spare).await?;
        self.end(step);
        Ok(())
    }

    async fn admit(&mut self, spare: usize) -> Result<(), Failure> {
        let node = id(spare);
        let by = self.someone_but(spare)?;
        self.cluster.join(spare, by)?;
        self.until(by, "is a learner", |roster| role_of(roster, node) == Some("learner")).await?;
        self.command(Op::Promote, spare).await?;
        self.until(by, "is a voter", |roster| role_of(roster, node) == Some("voter")).await?;
        self.cluster.caught_up(spare).await?;
        let ports = self.cluster.layout().client_addresses();
        if let Some(address) = ports.get(spare) {
            self.workload.meet(spare, *address);
        }
        Ok(())
    }

    /// A member goes: it hears of it itself, and is stopped then.
    async fn remove(&mut self, old: usize, how: &str) -> Result<(), Failure> {
        let node = id(old);
        let step = self.begin(format!("node {node}, {how}"));
        self.command(Op::Remove, old).await?;
        let by = self.someone_but(old)?;
        self.until(by, "is gone", |roster| role_of(roster, node).is_none()).await?;
        self.workload.part(old);
        self.cluster.knows_it_was_removed(old).await?;
        let status = self.cluster.stop_one(old).await;
        if status != Some(0) {
            let ended = status.map_or("by a signal".to_owned(), |code| format!("with {code}"));
            let text = format!("node {node} was told to stop and ended {ended}");
            return Err(Failure::runtime(text));
        }
        self.end(step);
        Ok(())
    }

    /// A member loses its disk, and is replaced as its refusal says.
    async fn wipe(&mut self, old: usize, spare: usize) -> Result<(), Failure> {
        let node = id(old);
        let step = self.begin(format!("node {node}, wiped, is replaced by node {}", id(spare)));
        self.workload.part(old);
        self.cluster.kill(old);
        self.cluster.wipe(old)?;
        self.cluster.launch(old)?;
        let said = self.cluster.refusal(old).await?;
        let remove = format!("raftlet member remove {node}");
        for remedy in [&*remove, "raftlet serve --node-id NEW --join", "raftlet member promote NEW"]
        {
            if !said.contains(remedy) {
                let text = format!("its refusal does not name `{remedy}`: {said}");
                return Err(Failure::runtime(text));
            }
        }
        self.command(Op::Remove, old).await?;
        let by = self.someone_but(old)?;
        self.until(by, "is gone", |roster| role_of(roster, node).is_none()).await?;
        self.admit(spare).await?;
        self.end(step);
        Ok(())
    }

    /// Waits until one of these nodes leads, and has another hand over to it.
    async fn one_of_them_leads(&self, olds: &[usize]) -> Result<usize, Failure> {
        let deadline = self.clock.elapsed() + STEP_WITHIN;
        loop {
            let leader = self.cluster.leader().await?;
            if olds.contains(&leader) {
                return Ok(leader);
            }
            if self.clock.elapsed() >= deadline {
                let text = format!("node {} does not hand leadership over", id(leader));
                return Err(Failure::new(Exit::Unhealthy, text));
            }
            let to = olds.first().map(|old| id(*old));
            let order = serde_json::json!({ "to": to }).to_string();
            // It may lead no more; the next look tells.
            let admin = self.cluster.admin(leader);
            let _ = http::post(admin, "/leader/transfer", &order, COMMAND_WITHIN).await;
            tokio::time::sleep(POLL).await;
        }
    }

    /// Has a command carried out at a node that is not meant by it, and again
    /// where it was refused.
    async fn command(&mut self, op: Op, about: usize) -> Result<(), Failure> {
        let deadline = self.clock.elapsed() + STEP_WITHIN;
        loop {
            let by = self.someone_but(about)?;
            let order = Order {
                op,
                node: id(about),
                priority: None,
                address: String::new(),
                incarnation: String::new(),
                group: None,
            };
            let told = member::order(self.cluster.admin(by), &order, COMMAND_WITHIN).await;
            let refused = match told {
                Ok(outcomes) => outcomes.into_iter().find_map(|outcome| outcome.error),
                Err(failure) => Some(failure.message),
            };
            let Some(why) = refused else {
                return Ok(());
            };
            let text = format!("{op:?} node {} at node {}: {why}", id(about), id(by));
            self.log.refused += 1;
            if self.clock.elapsed() >= deadline {
                return Err(Failure::new(Exit::Unhealthy, text));
            }
            if self.log.refusals.len() < REFUSALS_KEPT {
                self.log.refusals.push(text);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Looks at the members, as one node has them, until they are as wanted.
    async fn until(
        &self,
        by: usize,
        what: &str,
        holds: impl Fn(&Roster) -> bool,
    ) -> Result<(), Failure> {
        let deadline = self.clock.elapsed() + STEP_WITHIN;
        loop {
            self.cluster.check_alive()?;
            let roster = member::fetch(self.cluster.admin(by), COMMAND_WITHIN).await;
            if roster.as_ref().is_ok_and(&holds) {
                return Ok(());
            }
            if self.clock.elapsed() >= deadline {
                return Err(Failure::unreachable(format!(
                    "waited {} s until the node {what}, in vain; node {} said last: {roster:?}",
                    STEP_WITHIN.as_secs(),
                    id(by)
                )));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A voter that runs, and is not the one meant.
    fn someone_but(&self, meant: usize) -> Result<usize, Failure> {
        let is_left = |at: usize| at != meant && self.cluster.is_running(at);
        // The youngest: it is not removed in this run.
        let youngest = (0..self.cluster.len()).rev().find(|at| is_left(*at));
        youngest.ok_or_else(|| Failure::runtime("no other node runs"))
    }

    async fn count_voters(&mut self) -> Result<(), Failure> {
        let by = self.someone_but(usize::MAX)?;
        let roster = member::fetch(self.cluster.admin(by), COMMAND_WITHIN).await?;
        self.log.voters.push(voters(&roster).len());
        Ok(())
    }

    fn begin(&self, what: String) -> Step {
        print::replace_line(&format!("  {what}, {} operations so far", self.workload.completed()));
        let from_ns = self.clock.elapsed_ns();
        Step { what, from_ns, to_ns: from_ns }
    }

    fn end(&mut self, step: Step) {
        self.log.steps.push(Step { to_ns: self.clock.elapsed_ns(), ..step });
    }
}

fn id(at: usize) -> u64 {
    u64::try_from(at).unwrap_or(u64::MAX).saturating_add(1)
}

/// A node's role where all groups have it alike, `None` where no group has it.
fn role_of(roster: &Roster, node: u64) -> Option<&str> {
    let mut roles = roster.groups.iter().map(|group| {
        let all = group.members.iter().chain(&group.outgoing);
        all.filter(|member| member.node == node).map(|member| &*member.role).next()
    });
    let first = roles.next()?;
    if roles.all(|role| role == first) { first } else { Some("differs") }
}

/// Voters of any group.
fn voters(roster: &Roster) -> BTreeSet<u64> {
    let members = roster.groups.iter().flat_map(|group| &group.members);
    members.filter(|member| member.role == "voter").map(|member| member.node).collect()
}

#[cfg(test)]
mod tests {
    use super::{role_of, voters};
    use crate::shard::members::{GroupMembers, MemberLine, Roster};

    fn group(members: &[(u64, &str)]) -> GroupMembers {
        let line = |(node, role): &(u64, &str)| MemberLine {
            node: *node,
            role: (*role).to_owned(),
            priority: 100,
            address: String::new(),
            incarnation: String::new(),
        };
        GroupMembers {
            group: 1,
            leader: None,
            index: 1,
            is_committed: true,
            members: members.iter().map(line).collect(),
            outgoing: Vec::new(),
            catching_up: Vec::new(),
        }
    }

    #[test]
    fn a_role_counts_when_all_groups_have_it() {
        let mut roster = Roster {
            cluster_id: String::new(),
            cluster_name: String::new(),
            founders: String::new(),
            groups: vec![group(&[(1, "voter"), (4, "learner")]), group(&[(1, "voter")])],
        };
        assert_eq!(role_of(&roster, 1), Some("voter"));
        assert_eq!(role_of(&roster, 4), Some("differs"));
        assert_eq!(role_of(&roster, 9), None);
        roster.groups.pop();
        assert_eq!(role_of(&roster, 4), Some("learner"));
        assert_eq!(voters(&roster).into_iter().collect::<Vec<_>>(), [1]);
    }
}
