//! Groups written down because an operator asks.
//!
//! Not here: how a group does it, and when it does by itself (`raftlet`), the
//! bytes of the question (`admin/snapshot.rs`), who asks (`operator/snapshot.rs`).

use serde::{Deserialize, Serialize};

use crate::shard::ports::Group;
use raftlet::core::Index;

/// A snapshot under way may have begun before the question, or be overtaken by
/// another one: then one more.
const SNAPSHOTS_MAX: u32 = 4;

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
    let begun: Vec<_> = meant.map(|group| (group, group.snapshot())).collect();
    let mut outcomes = Vec::with_capacity(begun.len());
    for (group, taking) in begun {
        let taken = match taking.await {
            Ok(index) => Ok(index),
            Err(_) => reaching(Index::ZERO, async || group.snapshot().await).await,
        };
        outcomes.push(Outcome {
            group: id(group),
            index: taken.as_ref().ok().map(|index| index.get()),
            error: taken.err().map(|error| error.to_string()),
        });
    }
    outcomes
}

/// Takes snapshots until one reaches `wanted`, [`SNAPSHOTS_MAX`] at most; how far
/// the last one does. One that failed is taken again: the group may have been
/// written down for another reason meanwhile, or restored from its leader's
/// snapshot, which ends the one before.
pub(crate) async fn reaching<E>(
    wanted: Index,
    mut take: impl AsyncFnMut() -> Result<Index, E>,
) -> Result<Index, E> {
    let mut last = take().await;
    for _ in 1..SNAPSHOTS_MAX {
        if last.as_ref().is_ok_and(|index| *index >= wanted) {
            break;
        }
        last = take().await;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::{SNAPSHOTS_MAX, reaching};
    use raftlet::core::Index;
    use raftlet_log::block_on;

    #[test]
    fn a_snapshot_that_failed_or_began_too_early_is_taken_again_and_not_for_ever() {
        let ends = |results: &[Result<u64, &'static str>]| {
            let mut left = results.iter();
            let take = async || left.next().expect("no end").map(Index::new);
            (block_on(reaching(Index::new(9), take)), left.len())
        };
        assert_eq!(ends(&[Err("overtaken"), Ok(8), Ok(9), Ok(10)]), (Ok(Index::new(9)), 1));
        assert_eq!(ends(&[Err("broken"); 9]), (Err("broken"), 9 - SNAPSHOTS_MAX as usize));
    }
}
