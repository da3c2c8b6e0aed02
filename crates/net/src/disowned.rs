//! What a peer must unlearn: groups that this node led and leads no more, told
//! with every heartbeat until the peer has answered one that said it (rule 20).
//!
//! A follower that the detector keeps with its leader hears nothing while the
//! group idles. So a leader that stepped down or halted on a node that lives
//! would be believed in until somebody asks something of it.
//!
//! Invariants
//! - Told again until acknowledged: a lost heartbeat loses nothing.
//! - At most [`DISOWNED_MAX`] in a heartbeat and [`QUEUE_MAX`] for a peer; the
//!   oldest give way, and whoever asks something of such a group notices.
//!
//! Not here: what follows from it (the core), heartbeats (`control.rs`).

use std::collections::VecDeque;

use raftlet::core::{Generation, GroupId, Term, Time};

/// Groups named in one heartbeat: 12 KiB of the 32 that one may have.
pub(crate) const DISOWNED_MAX: usize = 512;
/// Groups that wait for one peer's answer: some of each group of a large node.
const QUEUE_MAX: usize = 1 << 16;
/// Heartbeats whose answers are awaited: a minute of them at 100 ms would be
/// ten times as many, and answers come within a round trip.
const TOLD_MAX: usize = 64;

/// A group that a node leads no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disowned {
    /// Which group.
    pub group: GroupId,
    /// In which life of its id.
    pub generation: Generation,
    /// Not in this term, nor in one before.
    pub term: Term,
}

/// What one peer has not acknowledged yet.
#[derive(Debug, Default)]
pub(crate) struct Disowning {
    /// The number of the first one queued.
    first: u64,
    queue: VecDeque<Disowned>,
    /// Stamps of heartbeats, and the number behind the last that each named.
    told: VecDeque<(Time, u64)>,
}

impl Disowning {
    pub(crate) fn push(&mut self, disowned: Disowned) {
        if self.queue.len() >= QUEUE_MAX {
            self.queue.pop_front();
            self.first += 1;
        }
        self.queue.push_back(disowned);
    }

    /// What the heartbeat of this stamp says.
    pub(crate) fn tell(&mut self, stamp: Time) -> Vec<Disowned> {
        if self.queue.is_empty() {
            return Vec::new();
        }
        let named: Vec<Disowned> = self.queue.iter().copied().take(DISOWNED_MAX).collect();
        let end = self.first + u64::try_from(named.len()).unwrap_or(u64::MAX);
        if self.told.len() >= TOLD_MAX {
            self.told.pop_front();
        }
        self.told.push_back((stamp, end));
        named
    }

    /// The peer answered the heartbeat of this stamp.
    pub(crate) fn on_answer(&mut self, stamp: Time) {
        let Some(end) = self.told.iter().find(|(told, _)| *told == stamp).map(|(_, end)| *end)
        else {
            return;
        };
        self.told.retain(|(told, _)| *told > stamp);
        while self.first < end && self.queue.pop_front().is_some() {
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DISOWNED_MAX, Disowned, Disowning, QUEUE_MAX};
    use raftlet::core::{Generation, GroupId, Term, Time};

    fn disowned(group: u64) -> Disowned {
        Disowned { group: GroupId::new(group), generation: Generation::new(1), term: Term::new(7) }
    }

    fn told(disowning: &mut Disowning, ms: u64) -> Vec<u64> {
        disowning.tell(Time::from_ms(ms)).iter().map(|one| one.group.get()).collect()
    }

    #[test]
    fn what_was_disowned_is_told_until_a_heartbeat_that_said_it_is_answered() {
        let mut disowning = Disowning::default();
        assert_eq!(told(&mut disowning, 0), []);
        disowning.push(disowned(3));
        assert_eq!(told(&mut disowning, 100), [3]);
        disowning.push(disowned(4));
        disowning.on_answer(Time::from_ms(0));
        assert_eq!(told(&mut disowning, 200), [3, 4]);
        disowning.on_answer(Time::from_ms(100));
        assert_eq!(told(&mut disowning, 300), [4], "the answer covers what it answered");
        disowning.on_answer(Time::from_ms(200));
        assert_eq!(told(&mut disowning, 400), []);
        disowning.on_answer(Time::from_ms(300));
        assert_eq!(told(&mut disowning, 500), [], "late answers take nothing away");
    }

    #[test]
    fn a_peer_that_answers_nothing_holds_a_bounded_queue_and_heartbeats_stay_small() {
        let mut disowning = Disowning::default();
        let many = u64::try_from(QUEUE_MAX).unwrap() + 10;
        for group in 0..many {
            disowning.push(disowned(group));
        }
        for ms in 0..1_000 {
            assert_eq!(told(&mut disowning, ms).len(), DISOWNED_MAX);
        }
        assert_eq!(disowning.queue.len(), QUEUE_MAX);
        assert_eq!(told(&mut disowning, 1_000)[0], 10, "the oldest gave way");
        disowning.on_answer(Time::from_ms(1_000));
        assert_eq!(disowning.queue.len(), QUEUE_MAX - DISOWNED_MAX);
    }
}
