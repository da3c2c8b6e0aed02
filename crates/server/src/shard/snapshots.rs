//! Groups written down because an operator asks.
//!
//! Not here: how a group does it, and when it does by itself (`raftlet`), the
//! bytes of the question (`admin/snapshot.rs`), who asks (`operator/snapshot.rs`).

use serde::{Deserialize, Serialize};

use crate::shard::ports::Group;

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
