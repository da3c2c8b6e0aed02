//! How a node ends in order, and what tells it to (rule 36).
//!
//! ```text
//! told ─▶ offices handed over ─▶ no more requests, the accepted ones end ─▶ shard, log
//!             within --stop-timeout-ms, all together; shard and log a second at least
//! ```
//!
//! Invariants
//! - It ends, also with a disk that hangs: what did not end in time is named,
//!   and the exit code says so. Nothing that was acknowledged is lost by that;
//!   the next start recovers (rules 6 to 15).
//! - Who waits for an answer when time is up gets the true one: *unknown*, or
//!   *not done* (rule 33).
//! - A second order to stop ends the node at once.
//!
//! Not here: what runs until then (`node.rs`).

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::client::keyspace::Keyspace;
use crate::config::Config;
use crate::process::ended::{ShardLoop, shard_failure};
use crate::process::failure::{Exit, Failure};
use crate::process::parent;
use crate::process::signal::Shutdown;
use crate::shard::handover::{self, Order};
use crate::shard::ports::{Shard, SharedLog};
use raftlet_log::RealDisk;

/// The last answers; and, at least, the shard's last turn with the log's last
/// writes. They end at once, unless the disk hangs or many ask it for much.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// What ends a node from outside.
pub(crate) struct Orders {
    shutdown: Shutdown,
    parent: Option<oneshot::Receiver<()>>,
    refused: Option<oneshot::Receiver<Failure>>,
}

impl Orders {
    pub(crate) fn new(
        shutdown: Shutdown,
        config: &Config,
        refused: oneshot::Receiver<Failure>,
    ) -> Self {
        Self { shutdown, parent: config.exit_with_stdin.then(parent::gone), refused: Some(refused) }
    }

    /// Waits for the next order to stop; an error is one to stop at once.
    pub(crate) async fn next(&mut self) -> Result<(), Failure> {
        let mut parent = pin!(told(&mut self.parent));
        let mut refused = pin!(told(&mut self.refused));
        tokio::select! {
            () = self.shutdown.asked() => Ok(()),
            _ = &mut parent => Ok(()),
            failure = &mut refused => match failure {
                Some(failure) => Err(failure),
                None => std::future::pending().await,
            },
        }
    }
}

/// What a sender tells, once; never again, and never when there is none.
async fn told<T>(receiver: &mut Option<oneshot::Receiver<T>>) -> Option<T> {
    match receiver {
        None => std::future::pending().await,
        Some(waiting) => {
            let value = waiting.await.ok();
            *receiver = None;
            value
        }
    }
}

/// What ends with the node.
pub(crate) struct Ending {
    pub(crate) keyspace: Rc<Keyspace>,
    pub(crate) shard: Rc<Shard>,
    pub(crate) log: SharedLog,
    pub(crate) disk: RealDisk,
    /// Tells the client port.
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) within: Duration,
}

impl Ending {
    /// Ends the node in order.
    ///
    /// # Errors
    /// A part broke meanwhile; or time was up before all had ended.
    pub(crate) async fn run(
        self,
        mut serving: JoinHandle<()>,
        mut shard_loop: ShardLoop,
        orders: &mut Orders,
    ) -> Result<(), Failure> {
        info!("stopping");
        let mut alarm = pin!(sleep(self.within));
        let mut unfinished = Vec::new();
        tokio::select! {
            () = hand_over(&self.keyspace) => {}
            () = alarm.as_mut() => unfinished.push("the hand-over of leadership".to_owned()),
            ended = &mut shard_loop => return Err(shard_failure(ended)),
            order = orders.next() => return self.at_once(order),
        }
        // The receiver is the serving task's, which is there.
        let _ = self.stop.send(true);
        let are_answered = tokio::select! {
            _ = &mut serving => true,
            () = alarm.as_mut() => false,
            ended = &mut shard_loop => return Err(shard_failure(ended)),
            order = orders.next() => return self.at_once(order),
        };
        self.shard.stop();
        if !are_answered {
            let clients = self.keyspace.clients().connected;
            unfinished.push(format!("the requests of {clients} clients"));
            // The shard's end answers them: unknown, or not done.
            let _ = timeout(CLOSE_WITHIN, serving).await;
        }
        let patience = async { tokio::join!(alarm.as_mut(), sleep(CLOSE_WITHIN)) };
        tokio::select! {
            () = self.close(shard_loop) => {}
            _ = patience => unfinished.push("a write of the log".to_owned()),
        }
        if unfinished.is_empty() {
            info!("stopped");
            return Ok(());
        }
        self.leave_the_disk();
        Err(Failure::new(
            Exit::Unfinished,
            format!(
                "stopped after {} ms, and these had not ended: {}; nothing that was acknowledged \
                 is lost, the next start recovers; look at the disk, and for clients that do not read, or allow more with \
                 --stop-timeout-ms",
                self.within.as_millis(),
                unfinished.join(", ")
            ),
        ))
    }

    /// The shard's last turn, the write that is under way, the log's mark.
    async fn close(&self, shard_loop: ShardLoop) {
        // Unasked it would have been noticed before; and what the mark meets,
        // the next start will meet.
        let _ = shard_loop.await;
        self.disk.settled().await;
        let _ = self.log.0.close().await;
        self.disk.settled().await;
    }

    /// Asked twice: quickly then.
    fn at_once(&self, order: Result<(), Failure>) -> Result<(), Failure> {
        warn!("told to stop again: stops at once");
        self.leave_the_disk();
        order
    }

    /// What is under way at a disk that hangs would be waited for when its last
    /// owner is dropped. The end of the process is left to do that.
    fn leave_the_disk(&self) {
        std::mem::forget(self.disk.clone());
    }
}

/// Hands over all groups that this node leads. Each ends by itself: with its
/// successor, or a few election timeouts later.
async fn hand_over(keyspace: &Keyspace) {
    let outcomes = handover::hand_over(keyspace.groups(), Order::default()).await;
    let handed_over = outcomes.iter().filter(|outcome| outcome.error.is_none()).count();
    if handed_over > 0 {
        info!(groups = handed_over, "handed over");
    }
    for outcome in outcomes {
        if let Some(error) = outcome.error {
            warn!(group = outcome.group, "not handed over: {error}");
        }
    }
}
