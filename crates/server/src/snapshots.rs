//! Groups written down because an operator asks, and the operator's side of it.
//!
//! Not here: how a group does it, and when it does by itself (`raftlet`), the
//! bytes of the question (`admin/snapshot.rs`).

use serde::{Deserialize, Serialize};

use crate::cli::ask::GroupsAskArgs;
use crate::cli::snapshot::TakeSnapshotArgs;
use crate::failure::{Exit, Failure};
use crate::http;
use crate::ports::Group;
use crate::print;

/// What an operator asks for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Order {
    /// One group; without it all.
    pub(crate) group: Option<u64>,
}

/// How it went with one group.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    pub(crate) group: u64,
    /// Its snapshot on this node contains the log up to here.
    pub(crate) index: Option<u64>,
    /// Why there is no newer one.
    pub(crate) error: Option<String>,
}

/// A node that can be asked for snapshots.
pub(crate) trait TakesSnapshots: 'static {
    /// Takes what the order names.
    fn take_snapshots(&self, order: Order) -> impl Future<Output = Vec<Outcome>>;
}

/// Takes what the order names, and tells of each group how it went.
pub(crate) async fn take(groups: &[Group], order: Order) -> Vec<Outcome> {
    let id = |group: &Group| group.status().group.get();
    let meant = groups.iter().filter(|group| order.group.is_none_or(|it| it == id(group)));
    // The call begins each; awaiting one after the other waits for the slowest.
    let begun: Vec<_> = meant.map(|group| (id(group), group.snapshot())).collect();
    let mut outcomes = Vec::with_capacity(begun.len());
    for (group, taking) in begun {
        let taken = taking.await;
        outcomes.push(Outcome {
            group,
            index: taken.as_ref().ok().map(|index| index.get()),
            error: taken.err().map(|error| error.to_string()),
        });
    }
    outcomes
}

/// Runs `raftlet snapshot`.
///
/// # Errors
/// Nobody answers; or a group has no newer snapshot.
pub(crate) async fn ask(args: &TakeSnapshotArgs) -> Result<(), Failure> {
    let GroupsAskArgs { group, node } = &args.ask;
    let body = serde_json::to_string(&Order { group: *group }).unwrap_or_default();
    let (_, text) = http::post(&node.admin, "/snapshot", &body, node.timeout()).await?;
    // Whatever is no list says in words why nothing was done.
    let outcomes: Vec<Outcome> = serde_json::from_str(&text)
        .map_err(|_| Failure::new(Exit::Unhealthy, format!("{}: {}", node.admin, text.trim())))?;
    if node.json {
        print::result(text.trim());
    } else {
        print::result(&table(&outcomes));
    }
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    if failed > 0 {
        let text = format!("{failed} of {} groups were not written down", outcomes.len());
        return Err(Failure::new(Exit::Unhealthy, text));
    }
    Ok(())
}

fn table(outcomes: &[Outcome]) -> String {
    let line = |outcome: &Outcome| match (outcome.index, &outcome.error) {
        (Some(index), _) => format!("group {}: snapshot up to {index}", outcome.group),
        (None, error) => {
            let why = error.as_deref().unwrap_or("it did not say why");
            format!("group {}: {why}", outcome.group)
        }
    };
    outcomes.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Outcome, table};

    #[test]
    fn an_operator_reads_a_line_for_each_group() {
        let taken = Outcome { group: 1, index: Some(40), error: None };
        let failed = Outcome { group: 2, index: None, error: Some("the disk is full".to_owned()) };
        let text = table(&[taken, failed]);
        assert_eq!(text, "group 1: snapshot up to 40\ngroup 2: the disk is full");
    }
}
