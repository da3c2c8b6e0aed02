//! Progress and window: whatever happens to the first few messages between a
//! leader and a member, in every combination, the member is level soon, and no
//! more is under way than the window lets.

use super::Cluster;
use crate::ids::Index;
use crate::message::Body;
use crate::options::Options;

/// Messages that may be under way.
const WINDOW: usize = 2;
/// Messages of either direction whose fate is chosen.
const FATED: u32 = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Arrives,
    Lost,
    ArrivesTwice,
}

const FATES: [Fate; 3] = [Fate::Arrives, Fate::Lost, Fate::ArrivesTwice];

fn two_members() -> Cluster {
    let options = Options { window_messages_max: WINDOW, ..Options::default() };
    let mut cluster = Cluster::with(&options, 2);
    cluster.run_ms(20);
    cluster
}

/// Appends with entries that are under way to the member.
fn under_way(cluster: &Cluster) -> usize {
    let is_full = |body: &Body| matches!(body, Body::Append(append) if !append.entries.is_empty());
    cluster.queue.iter().filter(|(_, _, message)| is_full(&message.body)).count()
}

/// Election timeouts until both are level: where all are lost the leader gives
/// up, and somebody is elected anew.
const LEVEL_TIMEOUTS: u64 = 6;

/// Plays one combination.
fn play(fates: &[Fate]) {
    let mut cluster = two_members();
    let leader = cluster.leaders()[0];
    let mut last = Index::ZERO;
    for n in 0..5_u8 {
        last = cluster.propose(leader, &[n]).index;
    }
    let (mut next, mut copies, began) = (fates.iter(), 0, cluster.time_ms);
    while cluster.committed.iter().any(|committed| *committed < last) {
        let passed_ms = cluster.time_ms - began;
        assert!(passed_ms < LEVEL_TIMEOUTS * 500, "not level after {fates:?}");
        while !cluster.queue.is_empty() {
            assert!(under_way(&cluster) <= WINDOW + copies, "{fates:?}");
            match next.next().copied().unwrap_or(Fate::Arrives) {
                Fate::Arrives => cluster.deliver_first_but(0),
                Fate::Lost => drop(cluster.queue.remove(0)),
                Fate::ArrivesTwice => {
                    let again = cluster.queue[0].clone();
                    cluster.queue.push(again);
                    copies += 1;
                    cluster.deliver_first_but(0);
                }
            }
        }
        cluster.step_ms();
    }
}

#[test]
fn whatever_happens_to_the_first_messages_the_member_is_level_soon() {
    for combination in 0..3_usize.pow(FATED) {
        let fates: Vec<Fate> =
            (0..FATED).map(|at| FATES[combination / 3_usize.pow(at) % 3]).collect();
        play(&fates);
    }
}
