//! The first start: a cluster begins when all initial members have met
//! (rule 5).
//!
//! The roll call itself is the transport's; here its result becomes entry 1 of
//! every group. Groups are written last to first, so that the first group is
//! there only when all are: a start that finds others without it was killed in
//! between and goes on with the list that stands in them.
//!
//! Invariant: nothing is written before the roll call is complete, and after
//! that only what it came to.

use std::time::Duration;

use bytes::Bytes;
use tracing::{error, info};

use crate::backup::founding::Founding;
use crate::config::{Config, InitialMember};
use crate::node::roster::Told;
use crate::observe::view::NodeView;
use crate::process::failure::{Exit, Failure, chain};
use crate::process::supervisor;
use crate::shard::ports::{Shard, SharedLog};
use raftlet::core::{
    Configuration, Generation, GroupId, Index, Member, MemberRole, NodeId, PRIORITY_DEFAULT, Sender,
};
use raftlet::{GroupInfo, LoadedLog, Storage, StorageError};
use raftlet_kv::SlotMap;
use raftlet_log::IdentityError;
use raftlet_net::{Missing, MissingWhy, NetHandle, RollCallMember, RollCallStatus};

/// Groups made at bootstrap live their first life.
pub(crate) const GENERATION: Generation = Generation::new(1);
/// How often it is said again whom the node waits for.
const REPEAT_EVERY: Duration = Duration::from_secs(30);

/// What a data directory holds of the node's groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Nothing: this is a first start.
    Nothing,
    /// Some groups; the roll call is over.
    Some {
        /// Its list, as long as entry 1 is in the log.
        first: Option<Vec<RollCallMember>>,
        /// The members as of the last configuration in the log.
        latest: Vec<RollCallMember>,
        /// Groups that were not written any more.
        missing: Vec<GroupId>,
    },
}

impl Stored {
    /// The members that it knows; with nothing stored those that were told.
    pub(crate) fn known_or(&self, told: &Told) -> Told {
        match self {
            Self::Nothing => told.clone(),
            Self::Some { latest, .. } => {
                let known = latest.iter();
                known.map(|it| (it.node, it.incarnation, it.address.clone())).collect()
            }
        }
    }
}

/// The group ids of a keyspace, in the order of its group indexes.
pub(crate) fn group_ids(slots: SlotMap) -> impl Iterator<Item = GroupId> {
    slots.groups().map(|index| GroupId::new(u64::from(index.number()) + 1))
}

/// What the log holds of the keyspace's groups, and all their members.
///
/// # Errors
/// The log holds another number of groups than were asked for.
pub(crate) async fn stored(
    log: &SharedLog,
    config: &Config,
    (is_founder, founding): (bool, &Founding),
    met: &[RollCallMember],
) -> Result<Stored, Failure> {
    let slots = config.slots;
    founding.check(slots)?;
    let failed =
        |error: StorageError| Failure::caused(Exit::Data, "the log cannot be read", &error);
    let present: Vec<GroupId> = log
        .groups()
        .await
        .map_err(failed)?
        .into_iter()
        .map(|GroupInfo { group, .. }| group)
        .collect();
    let wanted: Vec<GroupId> = group_ids(slots).collect();
    let founders = founding.list().map(<[RollCallMember]>::to_vec);
    let Some(some) = present.first() else {
        return Ok(match founders {
            None => Stored::Nothing,
            Some(list) => Stored::Some { first: Some(list.clone()), latest: list, missing: wanted },
        });
    };
    // Who joined later gets one group after the other, in any order.
    let mut missing = Vec::new();
    if !is_founder {
        check_joined(&present, &wanted, config.join.is_some())?;
    } else {
        check_groups(&present, &wanted)?;
        missing = wanted.into_iter().filter(|group| !present.contains(group)).collect();
    }
    let loaded = log.load_log(*some).await.map_err(failed)?;
    let first = loaded.configurations.first().filter(|(index, _)| *index == Index::FIRST);
    let first = founders.or_else(|| first.and_then(list));
    // Compacted, or of one who joined: then nothing can be missing but groups
    // that are still to come.
    let mut latest = Vec::new();
    for group in &present {
        latest = members(log, *group).await.map_err(failed)?;
        if !latest.is_empty() {
            break;
        }
    }
    if latest.is_empty() {
        latest = met.to_vec();
        if config.join.is_none() {
            error!("{}", lost_text(met));
        }
    }
    if first.is_none() && !missing.is_empty() {
        return Err(Failure::new(
            Exit::Data,
            format!(
                "the log holds group {} without its first entry, and other groups not at all; put \
                 back an intact copy of the data directory, or remove the member and add it under \
                 a new id",
                some.get()
            ),
        ));
    }
    Ok(Stored::Some { first, latest, missing })
}

/// The members as of a group's last configuration, or as its snapshot has them
/// where that has left the log. None are known where the snapshot is damaged and
/// does not tell either: that is no reason not to start (rule 10).
async fn members(log: &SharedLog, group: GroupId) -> Result<Vec<RollCallMember>, StorageError> {
    let last = |loaded: &LoadedLog| loaded.configurations.last().and_then(list);
    if let Some(latest) = last(&log.load_log(group).await?) {
        return Ok(latest);
    }
    let latest = match log.load_snapshot(group).await {
        Ok(snapshot) => snapshot.and_then(|(meta, _)| list(&(meta.last.index, meta.configuration))),
        Err(StorageError::Damaged { .. }) => last(&log.load_log(group).await?),
        Err(error) => return Err(error),
    };
    Ok(latest.unwrap_or_default())
}

/// What to do where nobody may be known any more.
fn lost_text(met: &[RollCallMember]) -> String {
    let asked: Vec<String> =
        met.iter().map(|it| format!("node {} at {}", it.node.get(), it.address)).collect();
    let asked = match asked.as_slice() {
        [] => "none of the first members was ever met".to_owned(),
        asked => format!("of the first members it asks {}", asked.join(", ")),
    };
    format!(
        "all that told who the members are is damaged: {asked}; if none of them is a member any \
         more, start this node with --join HOST:PORT, the admin address of a node that serves"
    )
}

fn list((_, bytes): &(Index, Bytes)) -> Option<Vec<RollCallMember>> {
    Configuration::decode(bytes).ok().map(|configuration| list_of(&configuration))
}

/// First members that this node has met, under the lives that were let in: whom
/// it asks where all that told of members is damaged.
pub(crate) fn met(own: NodeId, founders: &[InitialMember], met: &[Sender]) -> Vec<RollCallMember> {
    let others = founders.iter().filter(|(node, _)| *node != own);
    let known = others.filter_map(|(node, address)| {
        let latest = met.iter().filter(|sender| sender.node == *node).max_by_key(|it| it.run)?;
        let (node, incarnation) = (*node, latest.incarnation);
        Some(RollCallMember { node, incarnation, address: address.clone() })
    });
    known.collect()
}

/// Why a data directory is not this node's.
pub(crate) fn refusal(config: &Config, error: &IdentityError) -> Failure {
    match (error, &config.join) {
        (IdentityError::Groups { found, expected, .. }, Some(join)) => Failure::config(format!(
            "--join {join}: the cluster there has {expected} groups, and {} was founded in one with \
             {found}; join by a node of its own cluster, or use the directory of this node",
            config.data_dir.display()
        )),
        (IdentityError::Groups { found, expected, .. }, None) => other_number(*expected, *found),
        _ => Failure::new(Exit::Data, chain(error)),
    }
}

fn other_number(wanted: u64, there: u64) -> Failure {
    Failure::config(format!(
        "--groups {wanted} does not fit the data directory, which was founded with {there}; say \
         --groups {there}, or empty the directory where its cluster has not begun: the number is \
         fixed at first start"
    ))
}

/// Of a directory that does not say how many groups there are.
fn check_groups(present: &[GroupId], wanted: &[GroupId]) -> Result<(), Failure> {
    // Written last to first: without the first group, the last one tells how
    // many there were to be.
    let last = present.iter().max();
    let is_complete = present.contains(&GroupId::new(1));
    let fits = last == wanted.last() && (!is_complete || present.len() == wanted.len());
    if fits {
        return Ok(());
    }
    let wanted = u64::try_from(wanted.len()).unwrap_or(u64::MAX);
    Err(other_number(wanted, last.map_or(0, |group| group.get())))
}

/// A keyspace of fewer groups would look for keys in the wrong ones. Whether it
/// has more cannot be seen here: they may be on their way. So it is with a directory
/// that does not say how many there are, founded by a release before that was noted.
/// Where `is_told` by `--join`, nobody answered there, and a later start may find
/// somebody.
fn check_joined(present: &[GroupId], wanted: &[GroupId], is_told: bool) -> Result<(), Failure> {
    let Some(beyond) = present.iter().find(|group| !wanted.contains(group)) else {
        return Ok(());
    };
    let message = format!(
        "--groups {} does not fit the data directory, which holds group {beyond}; say the --groups \
         of the cluster, or --join HOST:PORT of a node that serves and tells it",
        wanted.len()
    );
    Err(Failure::new(if is_told { Exit::Unreachable } else { Exit::Config }, message))
}

/// Compares the list of this start with what the directory was founded with
/// (rule 2). Once entry 1 is there a differing list is only warned about;
/// before that, one that differs would begin another cluster under this
/// cluster's id.
///
/// # Errors
/// The cluster has not begun and the list differs; or nothing was said of this
/// node's peer address, and members look for it elsewhere.
pub(crate) fn check_list(
    config: &Config,
    founders: &[InitialMember],
    stored: &Stored,
) -> Result<(), Failure> {
    let is_founder = founders.iter().any(|(node, _)| *node == config.node);
    let is_same_list = sorted(&config.initial_members) == sorted(founders);
    match stored {
        Stored::Nothing if !is_founder => Ok(()),
        Stored::Nothing if !is_same_list => Err(Failure::config(format!(
            "--initial-members is not the list that {0} was founded with, and its cluster has \
                 not begun; repeat the first start's flags, or remove {0}, which holds nothing yet",
            config.data_dir.display()
        ))),
        Stored::Some { latest, .. } if latest.len() > 1 && !config.is_peer_said => {
            let known = latest.iter().find(|member| member.node == config.node);
            match known.filter(|member| member.address != config.peer.text) {
                None => Ok(()),
                Some(member) => Err(Failure::config(format!(
                    "--peer-addr would be {}, and the other members look for this node at {}; say \
                     --peer-addr {1}, or repeat --initial-members",
                    config.peer.text, member.address
                ))),
            }
        }
        Stored::Nothing | Stored::Some { .. } => Ok(()),
    }
}

fn sorted(members: &[InitialMember]) -> Vec<&InitialMember> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort();
    sorted
}

fn list_of(configuration: &Configuration) -> Vec<RollCallMember> {
    configuration
        .members()
        .iter()
        .map(|member| RollCallMember {
            node: member.node,
            incarnation: member.incarnation,
            address: member.address.clone(),
        })
        .collect()
}

/// Waits until all initial members have met, and returns their list. The log
/// and `view` say whom the node waits for meanwhile.
pub(crate) async fn roll_call(net: &NetHandle, view: &NodeView) -> Vec<RollCallMember> {
    let mut repeats = false;
    loop {
        match net.roll_call() {
            Some(RollCallStatus::Waiting(missing)) => {
                let text = waiting_text(&missing);
                if view.waits_for(&text) || repeats {
                    info!("{text}");
                    supervisor::waiting(&text);
                }
            }
            Some(RollCallStatus::Complete(_) | RollCallStatus::Closed(_)) | None => {
                if let Some(list) = net.close_roll_call() {
                    view.waits_for("");
                    return list;
                }
            }
        }
        repeats = tokio::time::timeout(REPEAT_EVERY, net.roll_call_changed()).await.is_err();
    }
}

/// Makes the groups that are missing: from the backup that the directory was
/// restored with, else with entry 1 alone.
///
/// # Errors
/// The log refuses, or the backup is damaged.
pub(crate) async fn begin(
    (shard, log): (&Shard, &SharedLog),
    founding: &mut Founding,
    missing: &[GroupId],
    list: &[RollCallMember],
) -> Result<(), Failure> {
    if !founding.is_restored() {
        return write(shard, missing, list).await;
    }
    if founding.list().is_none() {
        founding.close(list)?;
    }
    if !missing.is_empty() {
        founding.write(log).await?;
    }
    founding.end();
    Ok(())
}

/// Writes entry 1 of the groups that lack it.
async fn write(shard: &Shard, groups: &[GroupId], list: &[RollCallMember]) -> Result<(), Failure> {
    let members = list.iter().map(|member| Member {
        node: member.node,
        incarnation: member.incarnation,
        role: MemberRole::Voter,
        priority: PRIORITY_DEFAULT,
        address: member.address.clone(),
    });
    let configuration = Configuration::new(members.collect())
        .map_err(|error| Failure::caused(Exit::Config, "--initial-members", &error))?;
    for group in groups.iter().rev() {
        shard
            .bootstrap(*group, GENERATION, &configuration)
            .await
            .map_err(|error| Failure::caused(Exit::Runtime, "cannot begin the cluster", &error))?;
    }
    Ok(())
}

fn waiting_text(missing: &[Missing]) -> String {
    let parts: Vec<String> = missing
        .iter()
        .map(|Missing { node, address, why }| {
            let why = match why {
                MissingWhy::NotMet => "not met yet",
                MissingWhy::ListDiffers => "has not met everybody",
            };
            format!("node {} at {address} ({why})", node.get())
        })
        .collect();
    format!(
        "a new cluster begins when all initial members have met; waiting for {}",
        parts.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::{check_groups, check_joined, group_ids, waiting_text};
    use crate::process::failure::Exit;
    use raftlet::core::{GroupId, NodeId};
    use raftlet_kv::SlotMap;
    use raftlet_net::{Missing, MissingWhy};

    fn groups(ids: &[u64]) -> Vec<GroupId> {
        ids.iter().map(|id| GroupId::new(*id)).collect()
    }

    #[test]
    fn a_killed_bootstrap_goes_on_and_another_number_of_groups_is_refused() {
        let wanted: Vec<GroupId> = group_ids(SlotMap::new(3).unwrap()).collect();
        assert_eq!(wanted, groups(&[1, 2, 3]));
        for fits in [&[3][..], &[2, 3], &[1, 2, 3]] {
            assert!(check_groups(&groups(fits), &wanted).is_ok(), "{fits:?}");
        }
        for other in [&[1][..], &[1, 2], &[2], &[4], &[1, 2, 3, 4]] {
            assert!(check_groups(&groups(other), &wanted).is_err(), "{other:?}");
        }
    }

    #[test]
    fn one_who_joined_may_lack_groups_and_holds_none_beyond_the_keyspace() {
        let wanted: Vec<GroupId> = group_ids(SlotMap::new(3).unwrap()).collect();
        for fits in [&[][..], &[1], &[3, 1], &[1, 2, 3]] {
            assert!(check_joined(&groups(fits), &wanted, false).is_ok(), "{fits:?}");
        }
        for (is_told, exit) in [(false, Exit::Config), (true, Exit::Unreachable)] {
            let failure = check_joined(&groups(&[1, 3]), &wanted[..1], is_told).unwrap_err();
            assert!(failure.message.contains("holds group 3"), "{failure}");
            assert_eq!(failure.exit, exit);
        }
    }

    #[test]
    fn whom_a_node_waits_for_is_said_by_name_and_address() {
        let missing =
            Missing { node: NodeId::new(3), address: "h:1".to_owned(), why: MissingWhy::NotMet };
        assert!(waiting_text(&[missing]).ends_with("waiting for node 3 at h:1 (not met yet)"));
    }
}
