//! What every system is asked to do, and what one run tells.
//!
//! The same for all: members in one thread, 256-byte commands, the leader
//! proposes one batch a turn, a message arrives in the turn after it was sent.
//! A run ends when nothing is on its way any more; that every member has
//! committed everything is asserted behind the measured part.
//!
//! Many groups share what one group keeps of its log, as the groups of a shard
//! share its memory for logs. Else a thousand groups would be given a thousand
//! times the memory, and a run of a hundred turns would measure how the kernel
//! hands out pages that nobody has used yet. For the same reason a run whose time
//! is told begins warm: every log has reached what it keeps, and what a new entry
//! takes an old one has let go. All of it holds for each system alike.

use std::time::Instant;

use serde_json::{Value, json};

/// Bytes of each command.
pub(crate) const COMMAND_BYTES: usize = 256;
/// Entries that the groups of a system keep together behind their applied indexes
/// before they compact.
pub(crate) const KEPT_ENTRIES: u64 = 2048;
/// What each of many groups keeps all the same: as much as is under way.
const KEPT_ENTRIES_MIN: u64 = 4;
/// No system needs as many turns; one that does not finish is broken.
pub(crate) const IDLE_TURNS_MAX: u32 = 10_000;

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Members of each group.
    pub(crate) members: u64,
    /// Groups in the thread, each led by the first member of it.
    pub(crate) groups: u64,
    /// Commands proposed to a group in one turn.
    pub(crate) batch: u64,
    /// Commands of the whole run, over all groups.
    pub(crate) entries: u64,
    /// Every message encoded and decoded.
    pub(crate) wire: bool,
    /// Turns before the measured ones until every log lets go of what it keeps.
    pub(crate) warm: bool,
}

impl Load {
    /// Commands of each group: whole batches, at least one.
    pub(crate) fn entries_per_group(&self) -> u64 {
        (self.entries / self.groups / self.batch).max(1) * self.batch
    }

    /// Turns that warm the run up. A system that compacts late does so once it
    /// holds twice what it keeps.
    pub(crate) fn warm_turns(&self) -> u64 {
        let turns = (4 * kept_entries(self.groups)).div_ceil(self.batch);
        if self.warm { turns } else { 0 }
    }

    /// Commands that the run really commits.
    pub(crate) fn committed(&self) -> u64 {
        self.entries_per_group() * self.groups
    }
}

/// Entries that each of so many groups keeps.
pub(crate) fn kept_entries(groups: u64) -> u64 {
    (KEPT_ENTRIES / groups).max(KEPT_ENTRIES_MIN)
}

/// What a run cost, warm-up and elections apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) entries: u64,
    pub(crate) allocations: u64,
    pub(crate) messages: u64,
    pub(crate) ns: u64,
}

impl Cost {
    pub(crate) fn json(self) -> Value {
        let Self { entries, allocations, messages, ns } = self;
        json!({ "entries": entries, "allocations": allocations, "messages": messages, "ns": ns })
    }
}

/// Takes allocations and time from where it is started.
#[derive(Debug)]
pub(crate) struct Meter {
    allocations: u64,
    since: Instant,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self { allocations: bench_counting::allocations(), since: Instant::now() }
    }

    pub(crate) fn stop(self, entries: u64, messages: u64) -> Cost {
        let ns = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let allocations = bench_counting::allocations() - self.allocations;
        Cost { entries, allocations, messages, ns }
    }
}
