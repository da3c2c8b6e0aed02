//! Whom a node knows: the transport's peers follow the configurations of all
//! groups, and a node that joins makes itself known.
//!
//! Invariants
//! - Who is in a configuration in effect, committed or not, in either set, is a
//!   peer under the incarnation that stands there (rule 3).
//! - Who left stays one for [`LINGER_LOOKS`] looks: the last words to it are on
//!   their way (`crates/core/src/leader/seats.rs`).
//! - A node that knows no configuration yet, or has lost it with its snapshots,
//!   knows whom its directory remembers, or the node that it joins by has told of.
//!
//! Not here: how members change (`members.rs`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tracing::{info, warn};

use crate::config::{self, Config};
use crate::operator::member;
use crate::process::failure::{Exit, Failure};
use crate::process::supervisor;
use crate::shard::members::{self, Op, Order, Roster};
use crate::shard::ports::{Group, Shard};
use raftlet::core::{ClusterId, Incarnation, NodeId, Sender};
use raftlet_kv::SlotMap;
use raftlet_log::{Home, RealDisk, has_identity};
use raftlet_net::{NetHandle, PeerOptions};

/// How often it is looked for changes: rarer than a leader repeats itself, so
/// that a new member waits for a heartbeat at most.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Looks, about ten seconds, for which one who left is still a peer.
const LINGER_LOOKS: u32 = 200;
/// Looks between two askings to be let in.
const ASK_LOOKS: u32 = 20;
/// Between two askings whether the cluster serves.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// For one answer of the node that a node joins by.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Someone that messages are exchanged with.
#[derive(Clone, Debug)]
struct Known {
    incarnation: Incarnation,
    address: String,
    /// Looks left; `None` while a configuration names it.
    lingers: Option<u32>,
}

/// What a node needs to follow and to join.
pub(crate) struct Follower {
    pub(crate) shard: Rc<Shard>,
    pub(crate) groups: Vec<Group>,
    pub(crate) net: NetHandle,
    pub(crate) home: Home<RealDisk>,
    /// Whom this node knows before any group has a configuration.
    pub(crate) known: Told,
    /// Where other nodes connect to this one.
    pub(crate) address: String,
    /// The admin address of a node of the cluster.
    pub(crate) join: Option<String>,
}

impl Follower {
    /// Follows for ever. The first look is taken at once.
    pub(crate) async fn run(self) {
        let own = self.home.identity().node;
        let first = self.known.iter().filter(|(node, ..)| *node != own);
        let mut known: BTreeMap<NodeId, Known> = first
            .map(|(node, incarnation, address)| {
                let (incarnation, address) = (*incarnation, address.clone());
                (*node, Known { incarnation, address, lingers: None })
            })
            .collect();
        let (mut seen, mut looks) = (None, 0_u32);
        loop {
            let version = self.shard.status().counters.configurations;
            let is_changed = seen.replace(version) != Some(version);
            let is_over = linger(&mut known);
            if is_changed || is_over {
                self.look(&mut known, own);
                self.net.set_peers(self.peers(&known));
            }
            let is_stranger = !self.groups.is_empty() && self.groups.iter().any(is_stranger_to);
            if is_stranger && looks.is_multiple_of(ASK_LOOKS) {
                self.ask_in(&mut known, own).await;
            }
            looks = looks.wrapping_add(1);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Takes over whom the configurations name; the others linger.
    fn look(&self, known: &mut BTreeMap<NodeId, Known>, own: NodeId) {
        let configurations: Vec<_> = self.groups.iter().map(|group| group.members().1).collect();
        if configurations.iter().all(raftlet::core::Configuration::is_empty) {
            return;
        }
        for someone in known.values_mut() {
            someone.lingers.get_or_insert(LINGER_LOOKS);
        }
        for member in configurations.iter().flat_map(|configuration| configuration.nodes()) {
            let (incarnation, address) = (member.incarnation, member.address.clone());
            known.insert(member.node, Known { incarnation, address, lingers: None });
        }
        known.remove(&own);
    }

    fn peers(&self, known: &BTreeMap<NodeId, Known>) -> Vec<PeerOptions> {
        peers(known.iter().map(|(n, k)| (*n, k.incarnation, &k.address)), &self.home)
    }

    /// Asks to be added, as a learner, until a configuration arrives.
    async fn ask_in(&self, known: &mut BTreeMap<NodeId, Known>, own: NodeId) {
        let Some(admin) = &self.join else {
            return;
        };
        match member::fetch(admin, ANSWER_WITHIN).await {
            Ok(roster) => {
                for (node, incarnation, address) in told(&roster) {
                    known.insert(node, Known { incarnation, address, lingers: None });
                }
                known.remove(&own);
                self.net.set_peers(self.peers(known));
            }
            Err(failure) => warn!("cannot ask for the cluster's members: {failure}"),
        }
        let is_new = |group: &Group| is_stranger_to(group) && !is_harmed(group);
        if !self.groups.iter().any(is_new) {
            return;
        }
        let order = Order {
            op: Op::Add,
            node: own.get(),
            address: self.address.clone(),
            priority: None,
            incarnation: format!("{:032x}", self.home.identity().incarnation.0),
            group: None,
        };
        match member::order(admin, &order, ANSWER_WITHIN).await {
            Ok(outcomes) => {
                for outcome in outcomes {
                    match outcome.error {
                        None => info!(group = outcome.group, "this node is a learner of the group"),
                        Some(error) => warn!(group = outcome.group, "not let in: {error}"),
                    }
                }
            }
            Err(failure) => warn!("not let in: {failure}"),
        }
    }
}

/// One look less for those who left. Returns whether somebody is gone.
fn linger(known: &mut BTreeMap<NodeId, Known>) -> bool {
    let before = known.len();
    known.retain(|_, someone| match &mut someone.lingers {
        None => true,
        Some(looks) => {
            *looks = looks.saturating_sub(1);
            *looks > 0
        }
    });
    known.len() < before
}

/// Peers of the transport, with what is remembered of their runs.
pub(crate) fn peers<'a>(
    known: impl Iterator<Item = (NodeId, Incarnation, &'a String)>,
    home: &Home<RealDisk>,
) -> Vec<PeerOptions> {
    let met = home.remembered_runs();
    let remembered = |node, incarnation| {
        let of = |sender: &&Sender| (sender.node, sender.incarnation) == (node, incarnation);
        met.iter().find(of).map(|sender| (sender.incarnation, sender.run))
    };
    known
        .map(|(node, incarnation, address)| PeerOptions {
            node,
            address: address.clone(),
            expected: Some(incarnation),
            remembered: remembered(node, incarnation),
        })
        .collect()
}

/// Whether a group waits for its first configuration. One that is out of service
/// knows none and waits for nothing.
fn is_stranger_to(group: &Group) -> bool {
    group.members().1.is_empty() && group.status().halted.is_none()
}

/// Whether a group has a seat here, and lost what it held.
fn is_harmed(group: &Group) -> bool {
    group.status().core.refill_until.is_some()
}

/// Whom another node has told of: node, incarnation, peer address.
pub(crate) type Told = Vec<(NodeId, Incarnation, String)>;

/// Whom another node has told of, each node once however many groups it is in.
pub(crate) fn told(roster: &Roster) -> Told {
    let lines = roster.groups.iter().flat_map(|group| group.members.iter().chain(&group.outgoing));
    let parsed = lines.filter_map(|line| {
        let incarnation = members::incarnation(&line.incarnation)?;
        (line.node != 0).then(|| (NodeId::new(line.node), (incarnation, line.address.clone())))
    });
    let once: BTreeMap<NodeId, _> = parsed.collect();
    once.into_iter().map(|(node, (incarnation, address))| (node, incarnation, address)).collect()
}

/// Of the cluster that this node joins: what its flags would say otherwise, and
/// the members. At a later start nobody may answer any more, or the one who
/// does waits for this very node to make a quorum: then its own log knows.
/// `waiting` says what for meanwhile.
///
/// # Errors
/// Nobody serves in time at the first start; or the id was used there before.
///
/// # Cancel safety
/// Dropped, it has changed nothing.
pub(crate) async fn learn(config: &mut Config, waiting: &RefCell<String>) -> Result<Told, Failure> {
    let Some(join) = config.join.clone() else {
        return Ok(Vec::new());
    };
    let has_begun = has_identity(&config.data_dir);
    let roster = if has_begun {
        match serving_roster(&join).await {
            Ok(roster) => roster,
            Err(why) => {
                warn!("starts without what --join would tell: {why}");
                return Ok(Vec::new());
            }
        }
    } else {
        first_roster(&join, config.join_timeout, waiting).await?
    };
    let groups = u64::try_from(roster.groups.len()).unwrap_or(u64::MAX);
    config.slots = SlotMap::new(groups)
        .map_err(|error| Failure::caused(Exit::Config, &format!("--join {join}"), &error))?;
    config.initial_members = config::parse_members(&roster.founders)?;
    config.cluster_name.clone_from(&roster.cluster_name);
    config.cluster = u128::from_str_radix(&roster.cluster_id, 16).ok().map(ClusterId);
    let is_founder = config.initial_members.iter().any(|(node, _)| *node == config.node);
    if is_founder && !has_begun {
        return Err(Failure::config(format!(
            "--node-id {} was a first member of that cluster, and ids are never used again; say \
             another",
            config.node
        )));
    }
    info!(cluster = roster.cluster_name, groups = roster.groups.len(), "joins a cluster");
    Ok(told(&roster))
}

/// What a node tells of the cluster, once it serves.
///
/// # Errors
/// In words: nobody answers there, or it does not serve yet.
async fn serving_roster(admin: &str) -> Result<Roster, String> {
    match member::fetch(admin, ANSWER_WITHIN).await {
        Ok(roster) if roster.groups.is_empty() => Err(format!("{admin} does not serve yet")),
        Ok(roster) => Ok(roster),
        Err(failure) => Err(failure.message),
    }
}

/// The same, asked again until somebody serves.
async fn first_roster(
    admin: &str,
    within: Duration,
    waiting: &RefCell<String>,
) -> Result<Roster, Failure> {
    let asking = async {
        loop {
            let why = match serving_roster(admin).await {
                Ok(roster) => return roster,
                Err(why) => why,
            };
            let text = format!("waits for the cluster that it joins: {why}");
            if *waiting.borrow() != text {
                info!("{text}");
                supervisor::waiting(&text);
                waiting.replace(text);
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    };
    tokio::time::timeout(within, asking).await.map_err(|_| {
        Failure::unreachable(format!(
            "--join {admin}: {}, for {} ms now; start the cluster, or name the admin address of \
             one of its nodes; --join-timeout-ms waits longer",
            waiting.borrow(),
            within.as_millis()
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Known, LINGER_LOOKS, linger, told};
    use crate::shard::members::{GroupMembers, MemberLine, Roster};
    use raftlet::core::{Incarnation, NodeId};

    #[test]
    fn who_left_is_a_peer_for_a_while_and_who_stays_for_good() {
        let someone =
            |lingers| Known { incarnation: Incarnation(1), address: "h:1".to_owned(), lingers };
        let nodes =
            [(NodeId::new(1), someone(None)), (NodeId::new(2), someone(Some(LINGER_LOOKS)))];
        let mut known = BTreeMap::from(nodes);
        for _ in 1..LINGER_LOOKS {
            assert!(!linger(&mut known));
        }
        assert!(linger(&mut known) && known.len() == 1);
        assert!(!linger(&mut known));
    }

    #[test]
    fn a_joiner_takes_only_what_can_be_a_member() {
        let line = |node, incarnation: &str| MemberLine {
            node,
            role: "voter".to_owned(),
            priority: 100,
            address: "h:1".to_owned(),
            incarnation: incarnation.to_owned(),
        };
        let group = GroupMembers {
            group: 1,
            leader: None,
            index: 1,
            is_committed: true,
            members: vec![line(1, "00ff"), line(2, "no number"), line(0, "1")],
            outgoing: vec![line(3, "a")],
            catching_up: vec![],
        };
        assert_eq!(nodes(&roster(vec![group])), [1, 3]);
    }

    #[test]
    fn who_is_in_several_groups_is_told_of_once() {
        let group = |group, members| GroupMembers {
            group,
            leader: None,
            index: 1,
            is_committed: true,
            members,
            outgoing: vec![],
            catching_up: vec![],
        };
        let line = |node| MemberLine {
            node,
            role: "voter".to_owned(),
            priority: 100,
            address: "h:1".to_owned(),
            incarnation: "1".to_owned(),
        };
        let groups =
            vec![group(1, vec![line(2), line(1)]), group(2, vec![line(1), line(2), line(3)])];
        assert_eq!(nodes(&roster(groups)), [1, 2, 3]);
    }

    fn roster(groups: Vec<GroupMembers>) -> Roster {
        Roster {
            cluster_id: String::new(),
            cluster_name: String::new(),
            founders: String::new(),
            groups,
        }
    }

    fn nodes(roster: &Roster) -> Vec<u64> {
        told(roster).iter().map(|(node, ..)| node.get()).collect()
    }
}
