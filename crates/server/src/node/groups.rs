//! The groups of a node, opened: each with a machine of its own.
//!
//! Invariant: a group that the disk does not give back keeps no other from
//! serving (rule 10). It is there, halted, and says why; only where no group is
//! whole does the node not start.
//!
//! Not here: how a group comes to be (`bootstrap.rs`), what is done with them
//! (`keyspace.rs`).

use std::rc::Rc;

use crate::node::bootstrap;
use crate::process::clock::TokioClock;
use crate::process::failure::{Exit, Failure, chain};
use crate::shard::ports::{Group, Shard};
use crate::shard::replica::SizesOfAll;
use crate::shard::timing::Timing;
use raftlet::{OpenError, StorageError};
use raftlet_kv::SlotMap;
use raftlet_log::random_incarnation;

/// Groups in the order of their indexes, with what waits for their deadlines.
pub(crate) type Opened = Vec<(Group, Rc<Timing>)>;

/// Opens all groups of a keyspace.
///
/// # Errors
/// One cannot be opened and is not damaged, or all are.
pub(crate) async fn open(
    slots: SlotMap,
    clock: TokioClock,
    shard: &Shard,
) -> Result<(Opened, SizesOfAll), Failure> {
    let sizes = SizesOfAll::default();
    let (mut groups, mut damaged) = (Opened::new(), Vec::new());
    for id in bootstrap::group_ids(slots) {
        let timing = Rc::new(Timing::new(clock));
        let replica = || hash_seed().map(|seed| sizes.replica(seed, Rc::clone(&timing)));
        let group = match shard.open(id, bootstrap::GENERATION, replica()?).await {
            Err(OpenError::Storage { source: source @ StorageError::Damaged { .. }, .. }) => {
                damaged.push(source.clone());
                shard.open_damaged(id, bootstrap::GENERATION, replica()?, source)
            }
            opened => opened,
        };
        groups.push((group.map_err(|error| data_failure(&error))?, timing));
    }
    match damaged.first() {
        Some(first) if damaged.len() == groups.len() => Err(data_failure(first)),
        _ => Ok((groups, sizes)),
    }
}

/// Secret: a client that knew it could choose keys that collide.
pub(crate) fn hash_seed() -> Result<u64, Failure> {
    let random = random_incarnation().map_err(|error| data_failure(&error))?;
    Ok(u64::try_from(random.0 >> 64).unwrap_or_default())
}

fn data_failure(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Data, chain(error))
}
