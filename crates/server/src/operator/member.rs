//! `raftlet member`: asks a node for the cluster's members, or to change them.
//!
//! Not here: who answers (`admin/members.rs`).

use std::fmt::Write as _;
use std::time::Duration;

use crate::cli::ask::GroupsAskArgs;
use crate::cli::member::MemberCommand;
use crate::http;
use crate::process::failure::{Exit, Failure};
use crate::process::print;
use crate::shard::members::{GroupMembers, Op, Order, Outcome, Roster};

/// Runs the command.
///
/// # Errors
/// Nobody answers; or the members of some group are not as asked.
pub(crate) async fn run(command: &MemberCommand) -> Result<(), Failure> {
    let order = |op, node, args: &GroupsAskArgs| Order {
        op,
        node,
        address: String::new(),
        priority: None,
        incarnation: String::new(),
        group: args.group,
    };
    match command {
        MemberCommand::List(args) => list(args).await,
        MemberCommand::Cancel(args) => change(order(Op::Cancel, 0, args), args).await,
        MemberCommand::Promote(args) => {
            change(order(Op::Promote, args.node, &args.ask), &args.ask).await
        }
        MemberCommand::Demote(args) => {
            change(order(Op::Demote, args.node, &args.ask), &args.ask).await
        }
        MemberCommand::Remove(args) => {
            change(order(Op::Remove, args.node, &args.ask), &args.ask).await
        }
        MemberCommand::Update(args) => {
            let address = args.peer_addr.clone().unwrap_or_default();
            let order = order(Op::Update, args.node, &args.ask);
            change(Order { address, priority: args.priority, ..order }, &args.ask).await
        }
        MemberCommand::Add(args) => {
            let (address, incarnation) = (args.peer_addr.clone(), args.incarnation.clone());
            let order = order(Op::Add, args.node, &args.ask);
            let priority = Some(args.priority);
            change(Order { address, incarnation, priority, ..order }, &args.ask).await
        }
    }
}

/// Asks a node for the members of all groups.
///
/// # Errors
/// Nobody answers, or with something else.
pub(crate) async fn fetch(admin: &str, timeout: Duration) -> Result<Roster, Failure> {
    let (_, text) = http::get(admin, "/members", timeout).await?;
    serde_json::from_str(&text)
        .map_err(|_| Failure::new(Exit::Unhealthy, format!("{admin}: {}", text.trim())))
}

/// Has a node carry out an order.
///
/// # Errors
/// Nobody answers, or in words why nothing was done.
pub(crate) async fn order(
    admin: &str,
    order: &Order,
    timeout: Duration,
) -> Result<Vec<Outcome>, Failure> {
    let body = serde_json::to_string(order).unwrap_or_default();
    let (_, text) = http::post(admin, "/members", &body, timeout).await?;
    serde_json::from_str(&text)
        .map_err(|_| Failure::new(Exit::Unhealthy, format!("{admin}: {}", text.trim())))
}

async fn list(args: &GroupsAskArgs) -> Result<(), Failure> {
    let mut roster = fetch(&args.node.admin, args.node.timeout()).await?;
    roster.groups.retain(|group| args.group.is_none_or(|meant| meant == group.group));
    if args.node.json {
        print::result(&serde_json::to_string(&roster).unwrap_or_default());
    } else {
        print::result(roster.groups.iter().map(table).collect::<String>().trim_end());
    }
    Ok(())
}

async fn change(wanted: Order, args: &GroupsAskArgs) -> Result<(), Failure> {
    let outcomes = order(&args.node.admin, &wanted, args.node.timeout()).await?;
    if args.node.json {
        print::result(&serde_json::to_string(&outcomes).unwrap_or_default());
    } else {
        print::result(&outcomes.iter().map(line).collect::<Vec<_>>().join("\n"));
    }
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    if failed > 0 {
        let text = format!("the members of {failed} of {} groups are not as asked", outcomes.len());
        return Err(Failure::new(Exit::Unhealthy, text));
    }
    Ok(())
}

fn line(outcome: &Outcome) -> String {
    match (&outcome.index, &outcome.error) {
        (_, Some(error)) => format!("group {}: {error}", outcome.group),
        (index, None) => {
            format!("group {}: done, configuration {}", outcome.group, index.unwrap_or_default())
        }
    }
}

fn table(group: &GroupMembers) -> String {
    let mut text = format!(
        "group {}, configuration {}{}, leader {}\n",
        group.group,
        group.index,
        if group.is_committed { "" } else { " (not committed)" },
        group.leader.map_or("unknown".to_owned(), |leader| format!("node {leader}")),
    );
    for (set, note) in [(&group.members, ""), (&group.outgoing, "  outgoing")] {
        for member in set {
            let _ = write!(
                text,
                "  node {:<4} {:<8} {:<22} priority {:<3} incarnation {}{note}",
                member.node, member.role, member.address, member.priority, member.incarnation
            );
            let waits = group.catching_up.iter().find(|wait| wait.node == member.node);
            if let Some(wait) = waits {
                let _ = write!(text, "  has {} of {}", wait.matched, wait.goal);
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{line, table};
    use crate::shard::members::{CatchingUp, GroupMembers, MemberLine, Outcome};

    #[test]
    fn an_operator_sees_who_votes_and_who_still_catches_up() {
        let member = |node, role: &str| MemberLine {
            node,
            role: role.to_owned(),
            priority: 100,
            address: format!("h{node}:1"),
            incarnation: "00ff".to_owned(),
        };
        let group = GroupMembers {
            group: 1,
            leader: Some(2),
            index: 17,
            is_committed: false,
            members: vec![member(2, "voter"), member(4, "learner")],
            outgoing: vec![],
            catching_up: vec![CatchingUp { node: 4, matched: 3, goal: 9 }],
        };
        let text = table(&group);
        assert!(text.starts_with("group 1, configuration 17 (not committed), leader node 2"));
        assert!(text.contains("node 4    learner") && text.contains("has 3 of 9"), "{text}");
        let done = Outcome { group: 1, index: Some(18), error: None };
        assert_eq!(line(&done), "group 1: done, configuration 18");
    }
}
