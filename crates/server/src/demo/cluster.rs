//! The demo's cluster: starting, asking, killing and stopping its nodes.
//!
//! Invariant: every wait has a deadline and ends with what was waited for and
//! what was seen instead; a node that ends unasked ends the wait at once, with
//! its own last words.

use std::cell::RefCell;
use std::time::Duration;

use crate::demo::layout::Layout;
use crate::demo::process::{NodeProcess, Start};
use crate::http;
use crate::process::clock::TokioClock;
use crate::process::failure::{Exit, Failure};
use crate::status::{NodeStatus, Role};

/// A start with roll call takes well under a second; a laden machine with a
/// slow disk has taken five.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// One status request.
const STATUS_WITHIN: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);
/// What an orderly stop may take before SIGKILL.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// The nodes, by position: node 1 is at 0.
#[derive(Debug)]
pub(super) struct Cluster {
    clock: TokioClock,
    admin: Vec<String>,
    outlives: bool,
    layout: Layout,
    nodes: RefCell<Vec<Option<NodeProcess>>>,
}

impl Cluster {
    /// A cluster of which nothing runs yet.
    pub(super) fn new(layout: Layout, clock: TokioClock, outlives: bool) -> Self {
        let nodes = layout.ports().iter().map(|_| None).collect();
        let mut cluster =
            Self { clock, admin: Vec::new(), outlives, layout, nodes: RefCell::new(nodes) };
        cluster.name_admin_ports();
        cluster
    }

    /// Starts all nodes and waits until they serve. A new cluster whose ports
    /// were snatched away gets others.
    ///
    /// # Errors
    /// A node ended, or not all of them were ready in time.
    pub(super) async fn start(&mut self) -> Result<(), Failure> {
        const ATTEMPTS: usize = 3;
        self.check_unused().await?;
        for attempt in 1..=ATTEMPTS {
            match self.start_once().await {
                Err(failure)
                    if failure.exit == Exit::Bind && self.layout.is_new && attempt < ATTEMPTS =>
                {
                    self.kill_all();
                    self.layout.clear_nodes();
                    self.layout.choose_ports(self.len())?;
                    self.name_admin_ports();
                }
                other => return other,
            }
        }
        Ok(())
    }

    /// Somebody else's nodes on these ports would be taken for ours.
    async fn check_unused(&self) -> Result<(), Failure> {
        for admin in &self.admin {
            if status(admin).await.is_some() {
                return Err(Failure::new(
                    Exit::Data,
                    format!(
                        "a cluster runs on {} already, a node of it answers at {admin}; stop it, \
                         or choose another --data-dir",
                        self.layout.dir().display()
                    ),
                ));
            }
        }
        Ok(())
    }

    async fn start_once(&self) -> Result<(), Failure> {
        for at in 0..self.layout.founders() {
            self.launch(at)?;
        }
        self.ready().await
    }

    fn name_admin_ports(&mut self) {
        self.admin =
            self.layout.ports().iter().map(|ports| format!("127.0.0.1:{}", ports.admin)).collect();
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn len(&self) -> usize {
        self.layout.ports().len()
    }

    /// Starts the process of one node.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn launch(&self, at: usize) -> Result<(), Failure> {
        self.start_process(at, None)
    }

    /// Starts the process of a node that joins by another.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn join(&self, at: usize, by: usize) -> Result<(), Failure> {
        self.start_process(at, Some(self.admin(by)))
    }

    fn start_process(&self, at: usize, join: Option<&str>) -> Result<(), Failure> {
        let start = Start { join, outlives: self.outlives };
        let process = NodeProcess::start(&self.layout, at + 1, start)?;
        if let Some(slot) = self.nodes.borrow_mut().get_mut(at) {
            *slot = Some(process);
        }
        Ok(())
    }

    /// A node's admin address.
    pub(super) fn admin(&self, at: usize) -> &str {
        self.admin.get(at).map_or("", String::as_str)
    }

    /// Whether a node was started and not ended by the demo.
    pub(super) fn is_running(&self, at: usize) -> bool {
        self.nodes.borrow().get(at).is_some_and(Option::is_some)
    }

    /// What the running nodes said; `None` unless all of them did.
    fn of_running<'a>(&self, seen: &'a [Option<NodeStatus>]) -> Option<Vec<&'a NodeStatus>> {
        let running = seen.iter().enumerate().filter(|(at, _)| self.is_running(*at));
        running.map(|(_, node)| node.as_ref()).collect()
    }

    /// Waits until every running node serves, all name the same leader, and each sees
    /// the others alive.
    ///
    /// # Errors
    /// A node ended, or time is up.
    pub(super) async fn ready(&self) -> Result<(), Failure> {
        self.wait("every node serves under one leader", READY_WITHIN, |seen| {
            let nodes = self.of_running(seen);
            nodes.is_some_and(|nodes| nodes.iter().all(|node| is_well(node)) && agree(&nodes))
        })
        .await
        .map(|_| ())
    }

    /// Waits until all running nodes have the same digest at the same applied index.
    /// False: they did not within `patience`.
    ///
    /// # Errors
    /// A node ended.
    pub(super) async fn converged(&self, patience: Duration) -> Result<bool, Failure> {
        let seen = self
            .wait("all nodes hold the same state", patience, |seen| {
                self.of_running(seen).is_some_and(|nodes| same_state(&nodes))
            })
            .await;
        match seen {
            Ok(_) => Ok(true),
            Err(failure) if failure.exit == Exit::Unreachable => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Waits until one node has applied what the cluster has committed by now,
    /// and the cluster is whole again.
    ///
    /// # Errors
    /// A node ended, or time is up.
    pub(super) async fn caught_up(&self, at: usize) -> Result<(), Failure> {
        let goal: Vec<u64> = highest_commits(&self.statuses().await);
        let what = format!("node {} has caught up", at + 1);
        self.wait(&what, READY_WITHIN, |seen| {
            seen.get(at).and_then(Option::as_ref).is_some_and(|node| {
                node.is_ready()
                    && node.groups.len() == goal.len()
                    && node
                        .groups
                        .iter()
                        .zip(&goal)
                        .all(|(group, goal)| group.applied_index >= *goal)
            })
        })
        .await?;
        self.ready().await
    }

    /// The position of the node that leads (the first group), waiting for one.
    ///
    /// # Errors
    /// A node ended, or nobody leads in time.
    pub(super) async fn leader(&self) -> Result<usize, Failure> {
        let seen =
            self.wait("a leader is known", READY_WITHIN, |seen| leader_of(seen).is_some()).await?;
        leader_of(&seen).ok_or_else(|| Failure::runtime("the leader is gone already"))
    }

    /// What each node says of itself; `None` where it does not answer.
    pub(super) async fn statuses(&self) -> Vec<Option<NodeStatus>> {
        let mut seen = Vec::new();
        for (at, admin) in self.admin.iter().enumerate() {
            seen.push(if self.is_running(at) { status(admin).await } else { None });
        }
        seen
    }

    /// SIGKILL for one node; its process has ended when this returns.
    pub(super) fn kill(&self, at: usize) {
        let process = self.nodes.borrow_mut().get_mut(at).and_then(Option::take);
        if let Some(mut process) = process {
            process.kill();
        }
    }

    /// Waits until a node says itself that it was removed.
    ///
    /// # Errors
    /// A node ended, or time is up.
    pub(super) async fn knows_it_was_removed(&self, at: usize) -> Result<(), Failure> {
        let what = format!("node {} says that it was removed", at + 1);
        self.wait(&what, READY_WITHIN, |seen| {
            let groups = seen.get(at).and_then(Option::as_ref).map(|node| &node.groups);
            groups.is_some_and(|groups| groups.iter().all(|group| group.role == Role::Removed))
        })
        .await
        .map(|_| ())
    }

    /// Tells one node to stop; its exit code, if it ended in order.
    pub(super) async fn stop_one(&self, at: usize) -> Option<i32> {
        let mut process = self.nodes.borrow_mut().get_mut(at).and_then(Option::take)?;
        process.stop(&self.clock, STOP_PATIENCE).await
    }

    /// Removes the data of a node that does not run.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn wipe(&self, at: usize) -> Result<(), Failure> {
        let dir = self.layout.data_dir(at + 1);
        std::fs::remove_dir_all(&dir)
            .map_err(|error| Failure::runtime(format!("cannot wipe {}: {error}", dir.display())))
    }

    /// Waits until a node ended by itself, which it must; its last words.
    ///
    /// # Errors
    /// It goes on.
    pub(super) async fn refusal(&self, at: usize) -> Result<String, Failure> {
        let deadline = self.clock.elapsed().saturating_add(READY_WITHIN);
        let process = self.nodes.borrow_mut().get_mut(at).and_then(Option::take);
        let mut process = process.ok_or_else(|| Failure::runtime("it was not started"))?;
        while process.ended().is_none() {
            if self.clock.elapsed() >= deadline {
                let text = format!("node {} runs although its data is gone", at + 1);
                return Err(Failure::runtime(text));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(process.last_words())
    }

    /// SIGKILL for all nodes.
    pub(super) fn kill_all(&self) {
        let mut all = self.nodes.borrow_mut();
        // All are struck before the end of any is awaited.
        for process in all.iter_mut().flatten() {
            process.strike();
        }
        for slot in all.iter_mut() {
            *slot = None;
        }
    }

    /// Stops all nodes: asks, waits, then kills.
    pub(super) async fn stop(&self) {
        let mut all = std::mem::take(&mut *self.nodes.borrow_mut());
        for process in all.iter().flatten() {
            process.terminate();
        }
        for process in all.iter_mut().flatten() {
            process.stop(&self.clock, STOP_PATIENCE).await;
        }
    }

    /// Lets all nodes live on; their process ids.
    pub(super) fn release(&self) -> Vec<u32> {
        let all = std::mem::take(&mut *self.nodes.borrow_mut());
        all.into_iter().flatten().map(NodeProcess::release).collect()
    }

    async fn wait(
        &self,
        what: &str,
        patience: Duration,
        holds: impl Fn(&[Option<NodeStatus>]) -> bool,
    ) -> Result<Vec<Option<NodeStatus>>, Failure> {
        let deadline = self.clock.elapsed().saturating_add(patience);
        loop {
            let seen = self.statuses().await;
            self.check_alive()?;
            if holds(&seen) {
                return Ok(seen);
            }
            if self.clock.elapsed() >= deadline {
                return Err(Failure::unreachable(format!(
                    "waited {} s until {what}, in vain; last seen: {}; the nodes' logs are in {}",
                    patience.as_secs(),
                    summary(&seen),
                    self.layout.dir().display()
                )));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A node that ended unasked: its last words, under its exit code.
    pub(super) fn check_alive(&self) -> Result<(), Failure> {
        for process in self.nodes.borrow_mut().iter_mut().flatten() {
            if let Some(status) = process.ended() {
                let exit = match status.code() {
                    Some(3) => Exit::Config,
                    Some(4) => Exit::Data,
                    Some(5) => Exit::Bind,
                    _ => Exit::Runtime,
                };
                return Err(Failure::new(exit, process.last_words()));
            }
        }
        Ok(())
    }
}

async fn status(admin: &str) -> Option<NodeStatus> {
    let (_, body) = http::get(admin, "/status", STATUS_WITHIN).await.ok()?;
    serde_json::from_str(&body).ok()
}

fn leader_of(seen: &[Option<NodeStatus>]) -> Option<usize> {
    let leads = |node: &NodeStatus| {
        let group = node.groups.first()?;
        (group.role == Role::Leader).then_some(group.term)
    };
    seen.iter()
        .enumerate()
        .filter_map(|(at, node)| Some((node.as_ref().and_then(leads)?, at)))
        .max()
        .map(|(_, at)| at)
}

/// Whether a node serves and sees all members of its groups alive.
fn is_well(node: &NodeStatus) -> bool {
    let mut members = node.groups.iter().flat_map(|group| &group.members);
    node.is_ready() && members.all(|member| member.alive)
}

/// Whether all nodes name the same leader for each group.
fn agree(nodes: &[&NodeStatus]) -> bool {
    let leaders = |node: &NodeStatus| -> Vec<(u64, Option<u64>)> {
        node.groups.iter().map(|group| (group.group, group.leader)).collect()
    };
    let mut all = nodes.iter().map(|node| leaders(node));
    let first = all.next();
    all.all(|other| Some(&other) == first.as_ref())
}

fn same_state(nodes: &[&NodeStatus]) -> bool {
    let states = |node: &NodeStatus| -> Vec<(u64, u64, String)> {
        node.groups
            .iter()
            .filter(|group| group.digest_index == group.applied_index)
            .map(|group| (group.group, group.digest_index, group.state_digest.clone()))
            .collect()
    };
    let complete =
        nodes.iter().all(|node| !node.groups.is_empty() && states(node).len() == node.groups.len());
    let mut all = nodes.iter().map(|node| states(node));
    let first = all.next();
    complete && all.all(|other| Some(&other) == first.as_ref())
}

fn highest_commits(seen: &[Option<NodeStatus>]) -> Vec<u64> {
    let mut highest = Vec::new();
    for node in seen.iter().flatten() {
        for (at, group) in node.groups.iter().enumerate() {
            match highest.get_mut(at) {
                Some(known) => *known = group.commit_index.max(*known),
                None => highest.push(group.commit_index),
            }
        }
    }
    highest
}

fn summary(seen: &[Option<NodeStatus>]) -> String {
    let one = |(at, node): (usize, &Option<NodeStatus>)| match node {
        None => format!("node {} silent", at + 1),
        Some(node) => {
            let groups: Vec<String> = node
                .groups
                .iter()
                .map(|group| {
                    format!(
                        "group {} {:?} term {} leader {:?} commit {} applied {} digest {}",
                        group.group,
                        group.role,
                        group.term,
                        group.leader,
                        group.commit_index,
                        group.applied_index,
                        group.state_digest
                    )
                })
                .collect();
            format!("node {} [{}]", at + 1, groups.join(", "))
        }
    };
    let all: Vec<String> = seen.iter().enumerate().map(one).collect();
    all.join("; ")
}
