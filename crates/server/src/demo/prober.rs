//! When does the cluster acknowledge a write again?
//!
//! After a kill, a new attempt starts every few milliseconds on every node, on
//! a connection of its own, so that none waits behind another. The first one
//! that is acknowledged tells.
//!
//! The probe writes one key of its own, outside the judged history: attempts
//! that lost the race are dropped unanswered.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::demo::connection::Connection;
use crate::process::clock::TokioClock;
use raftlet_kv::Reply;

/// Between two attempts on a node: the precision of the measurement.
const ATTEMPT_EVERY: Duration = Duration::from_millis(5);
/// Attempts in flight a node; at the limit no more are started until one ends.
/// 512 are two and a half seconds' worth.
const ATTEMPTS_MAX: usize = 512;
/// An attempt ends with this even if the node still holds it.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(3);
const KEY: &[u8] = b"demo:probe";

/// Waits for the first acknowledged write of attempts that begin now. Returns
/// when it was acknowledged, in nanoseconds of `clock`.
pub(super) async fn first_acknowledged(
    clock: TokioClock,
    addresses: &[SocketAddr],
    patience: Duration,
) -> Option<u64> {
    let mut attempts = JoinSet::new();
    let mut ticks = tokio::time::interval(ATTEMPT_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let deadline = clock.elapsed() + patience;
    while clock.elapsed() < deadline {
        tokio::select! {
            biased;
            Some(ended) = attempts.join_next() => {
                if let Ok(Some(at_ns)) = ended {
                    return Some(at_ns);
                }
            }
            _ = ticks.tick() => {
                for address in addresses {
                    if attempts.len() < ATTEMPTS_MAX * addresses.len() {
                        attempts.spawn(attempt(clock, *address));
                    }
                }
            }
        }
    }
    None
}

async fn attempt(clock: TokioClock, address: SocketAddr) -> Option<u64> {
    let write = async {
        let mut connection = Connection::open(address).await.ok()?;
        let reply = connection.ask(&[b"SET", KEY, b"here"]).await.ok()?;
        (reply == Reply::OK).then(|| clock.elapsed_ns())
    };
    tokio::time::timeout(ATTEMPT_WITHIN, write).await.ok()?
}
