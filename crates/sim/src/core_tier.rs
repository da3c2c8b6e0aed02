//! The core's own world: one group, its members' cores, nothing else.
//!
//! No task, socket or file: cores are called directly, so a step costs about
//! what the core itself costs, and everything between two steps (a crash, a
//! pause, a message of minutes ago) is one line of a schedule.
//!
//! ```text
//! plan ──▶ world: queue of events ──▶ one input to one core ──▶ drain
//!            ▲                                                   │
//!            └── messages, writes, applies, fetches ◀── judge ◀──┘
//! ```
//!
//! - `plan.rs` draws what kind of run a seed makes.
//! - `world.rs` holds the queue of events (`event.rs`) and feeds the cores; `driver.rs` writes,
//!   applies and fetches for them, `snapshots.rs` takes and sends
//!   snapshots; `clients.rs` and `changes.rs` ask; `mischief.rs` breaks, as
//!   often as `wheel.rs` says;
//!   `damage.rs` is what disks lose, `keepers.rs` what machines keep;
//!   `healing.rs` is the second phase, `checkpoints.rs` compares digests.
//! - `network.rs`, `clock.rs`, `image.rs`, `member.rs` are what it is made of.
//! - `judge.rs` watches; `invariants.rs` lists what must hold.

mod changes;
mod checkpoints;
mod clients;
mod clock;
mod damage;
mod driver;
mod event;
mod healing;
mod image;
mod invariants;
mod judge;
mod keeper;
mod keepers;
mod member;
mod mischief;
mod network;
mod plan;
mod roster;
mod severing;
mod snapshots;
mod wheel;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use invariants::{Invariant, Violation};
pub use plan::{Cast, ClientLoad, Healing, MemberFaults, NetworkFaults, Plan};

use crate::core_tier::world::World;
use crate::tally::Tally;
use crate::trace::Trace;

/// How long a run may be, and what it shall tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps of the first phase.
    pub steps: u64,
    /// Whether to keep a line for everything that happens.
    pub tells: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 3_000, tells: false }
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Inputs given to cores, in both phases.
    pub steps: u64,
    /// Digest of all that happened: the same for the same seed.
    pub trace_digest: u64,
    /// The first claim that failed.
    pub violation: Option<Violation>,
    /// What happened how often.
    pub tally: Tally,
    /// The story, where it was asked for.
    pub lines: Vec<String>,
}

/// Runs `seed` to its end or its first violation. A panic of a core is one.
#[must_use]
pub fn run(seed: u64, limits: Limits) -> Outcome {
    let trace = if limits.tells { Trace::telling() } else { Trace::default() };
    let mut world = World::new(seed, Plan::draw(seed), trace);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        world.run_safety(limits.steps)?;
        world.run_liveness()?;
        world.run_severed()?;
        world.end();
        Ok(())
    }));
    let violation = match ended {
        Ok(ended) => ended.err(),
        Err(panic) => Some(Violation { invariant: invariants::NO_PANIC, detail: said(&*panic) }),
    };
    Outcome {
        seed,
        steps: world.steps,
        trace_digest: world.trace.digest(),
        violation,
        tally: world.judge.tally,
        lines: world.trace.into_lines(),
    }
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}
