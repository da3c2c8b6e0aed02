//! Sets of members in words.
//!
//! ```text
//! voters=1,2 learners=3 [address.2=new-n2:1] [incarnation.3=77] [priority.1=200]
//! ```

use std::fmt::Write;

use crate::words::{number, option};
use raftlet_core::{
    Change, ChangeError, Configuration, Group, Incarnation, Member, MemberRole, Membership, NodeId,
    PRIORITY_DEFAULT,
};

/// The members that the words list; addresses and incarnations are those that
/// a node has at first unless the words say otherwise.
pub(crate) fn listed(words: &[&str]) -> Vec<Member> {
    let set = |name, role| {
        let ids = option(words, name).unwrap_or_default().split(',').filter(|id| !id.is_empty());
        ids.map(move |id| Member {
            node: NodeId::new(number(id)),
            incarnation: option(words, &format!("incarnation.{id}"))
                .map_or(Incarnation(u128::from(number(id))), |own| Incarnation(number(own).into())),
            role,
            priority: option(words, &format!("priority.{id}"))
                .map_or(PRIORITY_DEFAULT, |own| u8::try_from(number(own)).unwrap()),
            address: option(words, &format!("address.{id}"))
                .map_or_else(|| format!("n{id}:1"), str::to_owned),
        })
    };
    set("voters", MemberRole::Voter).chain(set("learners", MemberRole::Learner)).collect()
}

fn told(set: &[Member]) -> String {
    let ids = |role| {
        let of_role = set.iter().filter(|member| member.role == role);
        of_role.map(|member| member.node.to_string()).collect::<Vec<_>>().join(",")
    };
    let mut text = format!("voters {}", ids(MemberRole::Voter));
    if set.iter().any(|member| member.role == MemberRole::Learner) {
        write!(text, " learners {}", ids(MemberRole::Learner)).unwrap();
    }
    for member in set.iter().filter(|m| m.address != format!("n{}:1", m.node)) {
        write!(text, " {}@{}", member.node, member.address).unwrap();
    }
    for member in set.iter().filter(|member| member.priority != PRIORITY_DEFAULT) {
        write!(text, " {} priority {}", member.node, member.priority).unwrap();
    }
    text
}

/// The configuration in effect at a member.
pub(crate) fn show(node: u64, group: &Group) -> String {
    let (index, configuration) = (group.configuration_index(), group.configuration());
    let committed = if index <= group.commit_index() { "" } else { " uncommitted" };
    if configuration.is_empty() {
        return format!("n{node} knows no members\n");
    }
    let mut text = format!("n{node} {index}{committed}: ");
    if configuration.is_joint() {
        write!(text, "{} -> ", told(configuration.outgoing())).unwrap();
    }
    text += &told(configuration.members());
    for awaited in group.catching_up() {
        let (node, matched, goal) = (awaited.node, awaited.matched, awaited.goal);
        write!(text, "; n{node} has {matched} of {goal}, round {}", awaited.round).unwrap();
    }
    if group.status().is_removed {
        text += "; removed";
    }
    text + "\n"
}

pub(crate) fn show_change(outcome: &Result<Change, ChangeError>) -> String {
    match outcome {
        Ok(Change::Done { index }) => format!("done at {index}\n"),
        Ok(Change::UnderWay { index }) => format!("under way at {index}\n"),
        Err(refusal) => format!("refused: {refusal}\n"),
    }
}

pub(crate) fn describe(said: &Membership) -> String {
    match said {
        Membership::Ask { expected, target, .. } => {
            let target: &Configuration = target;
            format!("ask based on {expected} for {}", told(target.members()))
        }
        Membership::Cancel { .. } => "cancel".to_owned(),
        Membership::Answer { outcome, .. } => format!("answer {}", show_change(outcome).trim_end()),
        Membership::Removed { as_of } => format!("removed as of {as_of}"),
    }
}
