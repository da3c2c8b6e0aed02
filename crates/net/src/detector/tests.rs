//! Claims about the failure detector.

use std::time::Duration;

use super::{Detector, DetectorTimings};
use crate::control::Heartbeat;
use raftlet::core::{Liveness, NodeId, Run, Time};

const PEER: NodeId = NodeId::new(2);

fn ms(ms: u64) -> Time {
    Time::from_ms(ms)
}

fn run(run: u64) -> Run {
    Run::new(run)
}

fn alive(number: u64) -> Liveness {
    Liveness::Alive { run: run(number) }
}

fn heartbeat(received: u64, turns: &[u64]) -> Heartbeat {
    Heartbeat { stamp: ms(0), received, turns: turns.to_vec(), disowned: Vec::new() }
}

fn detector() -> Detector {
    let timings = DetectorTimings {
        heartbeat_interval: Duration::from_millis(100),
        suspect_after: Duration::from_millis(500),
    };
    Detector::new(timings, ms(0), [PEER].into_iter())
}

/// A detector whose peer answers until `until`, with ticks in between.
fn answered_until(until: u64) -> Detector {
    let mut detector = detector();
    for now in (0..=until).step_by(100) {
        detector.on_tick(ms(now));
        detector.on_reply(ms(now + 1), PEER, run(1), ms(now));
    }
    detector.take_changes();
    detector
}

#[test]
fn a_reply_makes_alive_and_silence_makes_suspected() {
    let mut detector = detector();
    assert_eq!(detector.liveness(PEER), Liveness::Unknown);
    let rtt = detector.on_reply(ms(3), PEER, run(1), ms(1));
    assert_eq!(rtt, Some(2_000_000));
    for now in (100..=500).step_by(100) {
        detector.on_tick(ms(now));
        assert_eq!(detector.liveness(PEER), alive(1), "at {now}");
    }
    detector.on_tick(ms(600));
    assert_eq!(detector.take_changes(), [(PEER, alive(1)), (PEER, Liveness::Suspected)]);
    assert!(detector.take_changes().is_empty());
}

#[test]
fn a_node_never_met_is_unknown_first_and_suspected_then() {
    let mut detector = detector();
    detector.on_gone(ms(1), PEER);
    for now in (100..500).step_by(100) {
        detector.on_tick(ms(now));
        assert_eq!(detector.liveness(PEER), Liveness::Unknown, "at {now}");
    }
    detector.on_tick(ms(500));
    assert_eq!(detector.liveness(PEER), Liveness::Suspected);
}

#[test]
fn heartbeats_in_one_direction_prove_nothing() {
    let mut detector = detector();
    for now in (100..=500).step_by(100) {
        detector.on_heartbeat(ms(now), PEER, run(1), &heartbeat(0, &[now]));
        detector.on_tick(ms(now));
    }
    assert_eq!(detector.liveness(PEER), Liveness::Suspected);
}

#[test]
fn our_bytes_arriving_there_prove_life_while_replies_wait() {
    let mut detector = detector();
    for now in (100..=3000).step_by(100) {
        let received = now.min(2000);
        detector.on_heartbeat(ms(now), PEER, run(1), &heartbeat(received, &[]));
        detector.on_tick(ms(now));
        // The proof at 2000 began with the heartbeat at 1900.
        let expected = match now {
            100 => Liveness::Unknown,
            200..2400 => alive(1),
            _ => Liveness::Suspected,
        };
        assert_eq!(detector.liveness(PEER), expected, "at {now}");
    }
}

#[test]
fn a_refused_redial_is_suspicion_at_once_and_late_replies_do_not_lift_it() {
    let mut detector = answered_until(1000);
    detector.on_gone(ms(1010), PEER);
    assert_eq!(detector.take_changes(), [(PEER, Liveness::Suspected)]);
    assert_eq!(detector.on_reply(ms(1011), PEER, run(1), ms(1005)), None);
    assert_eq!(detector.liveness(PEER), Liveness::Suspected);
    detector.on_reply(ms(1030), PEER, run(1), ms(1020));
    assert_eq!(detector.liveness(PEER), alive(1));
}

/// A leader that dies while a member has just come back must not keep the
/// others waiting for that member's first silence.
#[test]
fn a_refused_redial_of_one_that_was_met_is_suspicion_before_any_round_trip() {
    let mut detector = detector();
    detector.on_run(ms(1), PEER, run(1));
    detector.on_gone(ms(2), PEER);
    assert_eq!(detector.liveness(PEER), Liveness::Suspected);
    assert_eq!(detector.take_changes(), [(PEER, Liveness::Suspected)]);
    detector.on_gone(ms(3), PEER);
    detector.on_tick(ms(10));
    assert_eq!(detector.take_changes(), [], "told once");
    detector.on_run(ms(15), PEER, run(2));
    detector.on_reply(ms(20), PEER, run(2), ms(19));
    assert_eq!(detector.liveness(PEER), alive(2));
}

#[test]
fn a_new_run_ends_trust_until_it_answers_itself() {
    let mut detector = answered_until(1000);
    detector.on_run(ms(1050), PEER, run(2));
    assert_eq!(detector.liveness(PEER), Liveness::Suspected);
    // What the former run still had on the way counts for nothing.
    detector.on_reply(ms(1060), PEER, run(1), ms(1055));
    assert_eq!(detector.liveness(PEER), Liveness::Suspected);
    detector.on_reply(ms(1080), PEER, run(2), ms(1070));
    assert_eq!(detector.take_changes(), [(PEER, Liveness::Suspected), (PEER, alive(2))]);
}

#[test]
fn a_shard_that_stands_still_is_suspicion_though_the_node_answers() {
    let mut detector = detector();
    for now in (0..=1000).step_by(100) {
        detector.on_tick(ms(now));
        detector.on_reply(ms(now), PEER, run(1), ms(now));
        let stuck = now.clamp(1, 300);
        detector.on_heartbeat(ms(now), PEER, run(1), &heartbeat(0, &[now + 1, stuck]));
        let expected = if now < 800 { alive(1) } else { Liveness::Suspected };
        assert_eq!(detector.liveness(PEER), expected, "at {now}");
    }
    detector.on_heartbeat(ms(1050), PEER, run(1), &heartbeat(0, &[1050, 301]));
    assert_eq!(detector.liveness(PEER), alive(1));
}

#[test]
fn a_shard_that_never_turned_is_not_judged() {
    let mut detector = detector();
    for now in (0..=2000).step_by(100) {
        detector.on_tick(ms(now));
        detector.on_heartbeat(ms(now), PEER, run(1), &heartbeat(0, &[0]));
        detector.on_reply(ms(now), PEER, run(1), ms(now));
        assert_eq!(detector.liveness(PEER), alive(1));
    }
}

#[test]
fn own_absence_is_not_held_against_others() {
    let mut detector = answered_until(1000);
    detector.on_tick(ms(9000));
    assert_eq!(detector.liveness(PEER), alive(1));
    // But silence after it is.
    for now in (9100..=9500).step_by(100) {
        detector.on_tick(ms(now));
    }
    assert_eq!(detector.liveness(PEER), Liveness::Suspected);
}

#[test]
fn a_reply_that_took_too_long_proves_nothing_about_now() {
    let mut detector = answered_until(1000);
    for now in (1100..=2000).step_by(100) {
        detector.on_tick(ms(now));
    }
    detector.on_reply(ms(2001), PEER, run(1), ms(1400));
    assert_eq!(detector.liveness(PEER), Liveness::Suspected);
}

#[test]
fn stamps_from_the_future_and_unknown_nodes_are_ignored() {
    let mut detector = detector();
    assert_eq!(detector.on_reply(ms(1), PEER, run(1), ms(2)), None);
    let stranger = NodeId::new(9);
    assert_eq!(detector.on_reply(ms(2), stranger, run(1), ms(1)), None);
    assert_eq!(detector.liveness(stranger), Liveness::Unknown);
    assert!(detector.take_changes().is_empty());
}
