//! Who else could be chosen; what each is spared is said at the top of its
//! file.
//!
//! Behind the feature `peers`: the gate counts ours alone and builds nobody
//! else's work. Without it a peer is `null` with that reason.

#[cfg(feature = "peers")]
mod omni;
#[cfg(feature = "peers")]
mod open;
#[cfg(feature = "peers")]
mod raft_rs;

use serde_json::Value;
#[cfg(feature = "peers")]
use serde_json::json;

#[cfg(feature = "peers")]
use crate::job::Kind;
use crate::job::{Job, System};

/// Does the job with a peer.
///
/// # Errors
/// That peer has no such run.
#[cfg(feature = "peers")]
pub(crate) fn run(job: Job) -> Result<Value, String> {
    match (job.kind, job.system) {
        (Kind::Commit, System::Omnipaxos) => Ok(omni::run(job.load()).json()),
        (Kind::Commit, System::Openraft) => Ok(open::run(job.load()).json()),
        (Kind::Commit, System::RaftRs) => Ok(raft_rs::run(job.load()).json()),
        (Kind::Idle, System::RaftRs) => {
            let messages = raft_rs::idle(job.groups, job.members, job.entries);
            Ok(json!({ "rounds": job.entries, "messages": messages }))
        }
        (Kind::Memory, System::RaftRs) => Ok(raft_rs::memory(job.groups, job.members)),
        (kind, system) => Err(format!("{} has no run {kind:?}", system.name())),
    }
}

/// Nobody is there.
#[cfg(not(feature = "peers"))]
pub(crate) fn run(job: Job) -> Result<Value, String> {
    Err(format!("{}: this was built without the feature `peers`", System::name(job.system)))
}
