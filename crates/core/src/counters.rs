//! What happened in a group, counted.
//!
//! Plain numbers that only grow within a run. The driver turns them into
//! metrics; the core never logs. A member that nothing was counted of holds none.

use std::ops::{Deref, DerefMut};

/// Counts since the start of this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Elections this member started, pre-votes not counted.
    pub campaigns: u64,
    /// Times it became leader.
    pub elections_won: u64,
    /// Times it gave up leading for want of a quorum.
    pub quorum_lost: u64,
    /// Times it gave up leading because its disk hung (rule 8).
    pub stalls: u64,
    /// Messages for another generation of the group.
    pub other_generation: u64,
    /// Messages of a term that has passed.
    pub stale_term: u64,
    /// Messages counted for nothing: repeated, late, or of another
    /// membership, campaign or round.
    pub stale: u64,
    /// Messages from a node outside the configuration, or under another
    /// incarnation than it names (rule 3).
    pub stranger: u64,
    /// Messages that claim what cannot be: kept out, each worth a look.
    pub impossible: u64,
    /// Members that came back without entries that they had acknowledged to
    /// this leader: their disk is an old copy. An alarm (rule 4).
    pub lost_tails: u64,
    /// Digests of other members that differed from the own at the same index.
    /// An alarm.
    pub divergences: u64,
    /// Appends refused because the logs did not meet.
    pub rejects: u64,
    /// Appends not accepted because too many entries wait for the disk.
    pub throttled: u64,
    /// Entries that a later leader replaced.
    pub entries_truncated: u64,
    /// Appends sent.
    pub appends_sent: u64,
    /// Entries read back from storage for a follower.
    pub entries_fetched: u64,
    /// Snapshots of a leader that took the place of this member's log.
    pub snapshots_installed: u64,
}

impl Counters {
    /// Nothing happened yet.
    const NONE: Self = Self {
        campaigns: 0,
        elections_won: 0,
        quorum_lost: 0,
        stalls: 0,
        other_generation: 0,
        stale_term: 0,
        stale: 0,
        stranger: 0,
        impossible: 0,
        lost_tails: 0,
        divergences: 0,
        rejects: 0,
        throttled: 0,
        entries_truncated: 0,
        appends_sent: 0,
        entries_fetched: 0,
        snapshots_installed: 0,
    };
}

/// A member's counters: there from the first count on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(Option<Box<Counters>>);

impl Deref for Counts {
    type Target = Counters;

    fn deref(&self) -> &Counters {
        static NONE: Counters = Counters::NONE;
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for Counts {
    #[inline]
    fn deref_mut(&mut self) -> &mut Counters {
        self.0.get_or_insert_default()
    }
}
