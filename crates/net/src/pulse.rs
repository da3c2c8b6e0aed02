//! The beat of the failure detector: one task for all peers.
//!
//! Every `heartbeat_interval` each connected peer gets a heartbeat, the detector
//! judges, and connections over which nothing is proved any more are ended, so
//! that a half-open one is made anew. The roll call is shown again to who still
//! needs it: a frame may have been lost with its connection.
//!
//! Not here: the judgement (`detector.rs`), replies (`listen.rs`).

use std::rc::Rc;

use tokio::time::{MissedTickBehavior, interval};

use crate::shared::Shared;
use crate::sink::Sink;

/// Beats for ever.
pub(crate) async fn pulse<S: Sink>(shared: Rc<Shared>, sink: Rc<S>) {
    let mut ticks = interval(shared.options.heartbeat_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turns = Vec::new();
    loop {
        ticks.tick().await;
        turns.clear();
        sink.shard_turns(&mut turns);
        beat(&shared, &turns);
        shared.report_liveness(&*sink);
    }
}

fn beat(shared: &Shared, turns: &[u64]) {
    let now = shared.now();
    shared.detector.borrow_mut().on_tick(now);
    let idle_after = shared.options.idle_after;
    let idle_ns = u64::try_from(idle_after.as_nanos()).unwrap_or(u64::MAX);
    let beats = idle_after.as_nanos() / shared.options.heartbeat_interval.as_nanos().max(1);
    let idle_ticks = u32::try_from(beats).unwrap_or(u32::MAX);
    for peer in &shared.all_peers() {
        let age = shared.detector.borrow().proof_age(now, peer.node);
        peer.end_silent_links(idle_ticks, age.is_some_and(|age| age < idle_ns));
        shared.send_heartbeat(peer, turns);
        let roll_call = shared.roll_call.borrow();
        let owes = roll_call.as_ref().is_some_and(|call| call.owes_showing(peer.node));
        drop(roll_call);
        if owes {
            shared.show_roll_call_to(peer);
        }
    }
}
