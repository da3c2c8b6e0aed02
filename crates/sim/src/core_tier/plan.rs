//! What kind of run a seed makes: swarm testing.
//!
//! Each class of fault is off in half of the runs, else it comes at a rate
//! drawn over the octaves, so that rare combinations of few faults are as
//! likely as everything at once. Limits are drawn tiny as often as ordinary.
//!
//! Rates are chances in a million per message, or per step where named so.

use std::time::Duration;

use super::clock::HONEST;
use crate::random::Random;
use raftlet::core::{LeaseOptions, Options};

/// Everything about a run that is decided before its first step.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Voters at first, from 1 to 7.
    pub voters: usize,
    /// Who else there is.
    pub cast: Cast,
    /// The group's options, alike on all members.
    pub options: Options,
    /// What goes wrong with messages.
    pub network: NetworkFaults,
    /// What goes wrong with members.
    pub members: MemberFaults,
    /// What the clients ask for.
    pub clients: ClientLoad,
    /// How the second phase heals.
    pub healing: Healing,
    /// Who should lead rather, by seat; empty where nobody should.
    pub priorities: Vec<u8>,
    /// Whose machine's state is another than the log makes it.
    pub rotten: Option<usize>,
    /// Whose machine keeps durable state of its own, by seat; empty where none does.
    pub keepers: Vec<bool>,
    /// Such a machine flushes. Per batch that it has applied.
    pub flush: u64,
}

/// Nodes beside the first voters; with them there are 7 at most.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cast {
    /// Learners of the first configuration.
    pub learners: usize,
    /// Nodes with empty disks that may be added later.
    pub spares: usize,
}

/// Faults of messages and links.
#[derive(Clone, Debug)]
pub struct NetworkFaults {
    /// A message takes up to this long, nanoseconds.
    pub latency_ns: u64,
    /// Lost.
    pub drop: u64,
    /// Delivered twice, at times of their own.
    pub duplicate: u64,
    /// Takes up to a thousand times as long.
    pub straggle: u64,
    /// Kept, to be delivered again much later. Per message.
    pub archive: u64,
    /// A kept message is delivered. Per step.
    pub replay: u64,
    /// One kind of message that is lost more often: its number, and how often.
    pub deaf: Option<(u64, u64)>,
    /// Some links are cut. Per step.
    pub cut: u64,
    /// All links are healed. Per step.
    pub heal: u64,
}

/// Faults of members, their disks, clocks and failure detectors.
#[derive(Clone, Debug)]
pub struct MemberFaults {
    /// A member crashes. Per step.
    pub crash: u64,
    /// It starts again within this time, nanoseconds.
    pub down_ns: u64,
    /// All crash at once instead of one. Per crash.
    pub blackout: u64,
    /// The disk of a member that crashes loses the end of its log. Per crash; no
    /// more members at a time than can be refilled by the others.
    pub damage: u64,
    /// The snapshot of a member that crashes is damaged, as its start finds. Per crash.
    pub spoil: u64,
    /// A chunk of it is, as shows when that is read. Per crash.
    pub rot: u64,
    /// A member's ack says that its log is short of room. Per message.
    pub short: u64,
    /// A member's storage fails, and it halts. Per step.
    pub poison: u64,
    /// A member stands still for up to `pause_ns`. Per step.
    pub pause: u64,
    /// Longest standstill, nanoseconds.
    pub pause_ns: u64,
    /// A write takes up to this long, nanoseconds.
    pub write_ns: u64,
    /// A write takes a thousand times as long. Per write.
    pub write_stall: u64,
    /// Completions that are told late, only the last of them. Per completion.
    pub fold: u64,
    /// Applying takes up to this long, nanoseconds.
    pub apply_ns: u64,
    /// A fetch fails. Per fetch.
    pub fetch_failure: u64,
    /// A fetch answers with what storage held when it was asked. Per fetch.
    pub fetch_stale: u64,
    /// Memory is released down to almost nothing. Per step.
    pub release: u64,
    /// An input is not drained at once but with those that follow.
    pub batch: u64,
    /// Deadlines are obeyed up to this much late, nanoseconds.
    pub late_ns: u64,
    /// Clocks run between half and twice the true rate.
    pub skewed: bool,
    /// A member's calendar jumps. Per step.
    pub calendar_jump: u64,
    /// A member takes a snapshot of what it has applied. Per step.
    pub snapshot: u64,
    /// A snapshot that is sent never arrives. Per transfer.
    pub transfer_loss: u64,
    /// A member is told something about another's liveness, right or wrong.
    /// Per step.
    pub rumour: u64,
    /// With leases on: a leader that has one is cut off, and the others learn of
    /// it. Per step.
    pub trap: u64,
    /// A disk without space takes terms and votes, and not what waits before
    /// them. Per step.
    pub ahead: u64,
    /// A failure detector tells of every crash and start, correctly.
    pub detector: bool,
}

/// What clients do; chances per step.
#[derive(Clone, Debug)]
pub struct ClientLoad {
    /// Some member is asked to propose.
    pub propose: u64,
    /// The longest batch of commands.
    pub batch_len_max: u64,
    /// Bytes of a command at most; it holds at least its number.
    pub command_bytes_max: u64,
    /// A forward is sent again.
    pub retransmit: u64,
    /// Some member is asked to read.
    pub read: u64,
    /// A reader stops waiting.
    pub forget: u64,
    /// Some member is asked to hand leadership over.
    pub transfer: u64,
    /// Some member is asked for other members.
    pub change: u64,
}

/// How the second phase begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Healing {
    /// Everybody is started, every link healed; failure detectors vouch.
    AllVouched,
    /// The same, but nobody vouches for anybody: only messages tell.
    AllUnvouched,
    /// A random majority is healed; the others stay down.
    Majority,
    /// A random majority is healed; the others can speak but hear nothing.
    MajorityAndDeaf,
}

impl Plan {
    /// The plan of `seed`.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut random = Random::new(seed, STREAM);
        let random = &mut random;
        let voters = match random.below(16) {
            0 => 1,
            1 => 2,
            2..10 => 3,
            10 => 4,
            11..15 => 5,
            _ => 7,
        };
        let options = options(random);
        let timeout_ns = nanoseconds(options.election_timeout);
        let plan = Self {
            voters,
            cast: Cast::default(),
            network: NetworkFaults::draw(random, timeout_ns),
            members: MemberFaults::draw(random, timeout_ns),
            clients: ClientLoad::draw(random),
            healing: match random.below(6) {
                0 => Healing::AllUnvouched,
                1 => Healing::Majority,
                2 => Healing::MajorityAndDeaf,
                _ => Healing::AllVouched,
            },
            options,
            priorities: Vec::new(),
            rotten: None,
            keepers: Vec::new(),
            flush: 0,
        };
        plan.with_changes(&mut Random::new(seed, CHANGES_STREAM))
            .with_preferences(&mut Random::new(seed, PREFERENCES_STREAM))
            .with_losses(&mut Random::new(seed, LOSSES_STREAM))
            .with_enough_to_refill()
    }

    /// In a third of the runs some members should lead rather than others, and
    /// in an eighth one member's state comes apart.
    fn with_preferences(mut self, random: &mut Random) -> Self {
        if random.below(3) == 0 {
            let draw = |_| [0, 50, 100, 100, 200][random.index(5)];
            self.priorities = (0..self.seats()).map(draw).collect();
        }
        if random.below(8) == 0 {
            self.rotten = Some(random.index(self.seats()));
        }
        self
    }

    /// In half of the runs machines keep state of their own, all or some, and in half
    /// snapshots are damaged, of which there are enough then.
    fn with_losses(mut self, random: &mut Random) -> Self {
        let keepers = random.below(4);
        if keepers < 2 {
            let keeps = |_| keepers == 0 || random.coin();
            self.keepers = (0..self.seats()).map(keeps).collect();
        }
        self.flush = random.octaves(10_000, 1_000_000);
        self.members.spoil = rate(random, true, 20_000, 800_000);
        self.members.rot = rate(random, true, 20_000, 800_000);
        if self.members.spoil + self.members.rot > 0 && self.members.snapshot == 0 {
            self.members.snapshot = rate(random, true, 10_000, 200_000);
        }
        self
    }

    /// A harmed member gives no vote: disks are damaged only where the others can
    /// elect without it to the end.
    fn with_enough_to_refill(mut self) -> Self {
        let all_heal = matches!(self.healing, Healing::AllVouched | Healing::AllUnvouched);
        if self.voters < 3 || self.clients.change > 0 || !all_heal {
            let faults = &mut self.members;
            (faults.damage, faults.spoil, faults.rot) = (0, 0, 0);
        }
        self
    }

    /// In half of the runs the members change. All of them recover then: which
    /// of them are a quorum depends on how far each has come.
    fn with_changes(mut self, random: &mut Random) -> Self {
        self.clients.change = rate(random, true, 500, 50_000);
        if self.clients.change == 0 {
            return self;
        }
        let mut draw = |most: usize, taken: usize| random.index(most.min(SEATS_MAX - taken) + 1);
        self.cast.learners = draw(2, self.voters);
        self.cast.spares = draw(3, self.voters + self.cast.learners);
        if self.healing != Healing::AllUnvouched {
            self.healing = Healing::AllVouched;
        }
        self
    }

    /// All nodes there are.
    #[must_use]
    pub fn seats(&self) -> usize {
        self.voters + self.cast.learners + self.cast.spares
    }

    /// Between which rates clocks run, per thousand: with leases on within the
    /// bound that the group was promised.
    #[must_use]
    pub fn clock_rates(&self) -> (u64, u64) {
        match (self.members.skewed, self.options.lease) {
            (_, Some(lease)) if self.members.skewed || self.members.trap > 0 => {
                (1_000, 1_000 + u64::from(lease.clock_drift_us) / 1_000)
            }
            (true, None) => (500, 2_000),
            (false, _) | (true, Some(_)) => HONEST,
        }
    }

    /// The election timeout in nanoseconds.
    #[must_use]
    pub fn timeout_ns(&self) -> u64 {
        nanoseconds(self.options.election_timeout)
    }
}

impl NetworkFaults {
    fn draw(random: &mut Random, timeout_ns: u64) -> Self {
        let quiet = random.below(8) == 0;
        let mut rate = |low, high| rate(random, !quiet, low, high);
        let drop = rate(1_000, 400_000);
        let duplicate = rate(1_000, 400_000);
        let straggle = rate(1_000, 200_000);
        let replay = rate(500, 50_000);
        let deaf = rate(100_000, 1_000_000);
        let (cut, heal) = (rate(300, 20_000), rate(300, 20_000));
        // Nothing is kept in vain.
        let archive = if replay > 0 { random.octaves(10_000, 500_000) } else { 0 };
        Self {
            latency_ns: random.octaves(timeout_ns / 4_096, timeout_ns),
            drop,
            duplicate,
            straggle,
            archive,
            replay,
            deaf: (deaf > 0 && random.below(4) == 0).then(|| (random.below(10), deaf)),
            cut,
            heal: if heal == 0 { cut } else { heal },
        }
    }
}

impl MemberFaults {
    fn draw(random: &mut Random, timeout_ns: u64) -> Self {
        let quiet = random.below(8) == 0;
        let write_ns = random.octaves(timeout_ns / 8_192, timeout_ns);
        let apply_ns = random.octaves(timeout_ns / 8_192, timeout_ns * 4);
        let down_ns = random.octaves(timeout_ns / 64, timeout_ns * 8);
        let pause_ns = random.octaves(timeout_ns / 8, timeout_ns * 32);
        let late_ns = random.octaves(timeout_ns / 1_024, timeout_ns);
        let mut rate = |low, high| rate(random, !quiet, low, high);
        Self {
            crash: rate(300, 20_000),
            down_ns,
            blackout: rate(10_000, 500_000),
            damage: rate(20_000, 800_000),
            spoil: 0,
            rot: 0,
            poison: rate(100, 2_000),
            pause: rate(300, 10_000),
            pause_ns,
            write_ns,
            write_stall: rate(1_000, 100_000),
            fold: rate(10_000, 900_000),
            apply_ns,
            fetch_failure: rate(10_000, 500_000),
            fetch_stale: rate(10_000, 900_000),
            release: rate(1_000, 200_000),
            batch: rate(10_000, 900_000),
            late_ns,
            calendar_jump: rate(300, 10_000),
            rumour: rate(300, 50_000),
            trap: rate(2_000, 100_000),
            short: rate(10_000, 900_000),
            ahead: rate(1_000, 100_000),
            snapshot: rate(1_000, 200_000),
            transfer_loss: rate(10_000, 700_000),
            skewed: random.coin(),
            detector: random.coin(),
        }
    }
}

impl ClientLoad {
    fn draw(random: &mut Random) -> Self {
        Self {
            propose: random.octaves(5_000, 200_000),
            batch_len_max: random.octaves(1, 16),
            command_bytes_max: random.octaves(8, 64),
            retransmit: rate(random, true, 1_000, 50_000),
            read: rate(random, true, 1_000, 200_000),
            forget: rate(random, true, 1_000, 50_000),
            transfer: rate(random, true, 500, 20_000),
            change: 0,
        }
    }
}

/// Off in half of the runs, else from `low` to `high`, every octave alike.
fn rate(random: &mut Random, allowed: bool, low: u64, high: u64) -> u64 {
    if allowed && random.coin() { random.octaves(low, high) } else { 0 }
}

fn options(random: &mut Random) -> Options {
    let default = Options::default();
    let tiny = random.coin();
    let mut pick = |small_max: u64, ordinary: usize| {
        let small = random.octaves(1, small_max);
        if tiny && random.coin() {
            usize::try_from(small).expect("a small number")
        } else {
            ordinary
        }
    };
    let command_bytes_max = default.command_bytes_max;
    let append_bytes_max = pick(1_024, default.append_bytes_max);
    let window_messages_max = pick(8, default.window_messages_max);
    let window_bytes_max = pick(4_096, default.window_bytes_max);
    let reads_max = pick(8, default.reads_max);
    let trailing_bytes_max = pick(1_024, default.trailing_bytes_max);
    let (command_bytes_max, uncommitted_bytes_max) = match pick(4_096, 0) {
        0 => (command_bytes_max, default.uncommitted_bytes_max),
        few => (128, few.max(256)),
    };
    let election_timeout = Duration::from_millis(random.octaves(50, 3_000));
    let heartbeats = u32::try_from(random.between(3, 20)).expect("a small number");
    let stall_limit =
        election_timeout * u32::try_from(random.octaves(1, 16)).expect("a small number");
    Options {
        stall_limit,
        election_timeout,
        heartbeat_interval: election_timeout / heartbeats,
        append_bytes_max,
        window_bytes_max: window_bytes_max.max(append_bytes_max).max(window_messages_max),
        window_messages_max,
        command_bytes_max,
        uncommitted_bytes_max,
        reads_max,
        trailing_bytes_max,
        lease: lease(random),
    }
}

/// Leases in a third of the plans, with clocks from good to hopeless.
fn lease(random: &mut Random) -> Option<LeaseOptions> {
    match random.below(12) {
        0 => Some(LeaseOptions { clock_drift_us: 1_000 }),
        1..=3 => Some(LeaseOptions { clock_drift_us: 1_000_000 }),
        _ => None,
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("options are below 584 years")
}

/// The stream that plans are drawn from.
const STREAM: u64 = 1;
/// The stream that changes of the members are drawn from.
const CHANGES_STREAM: u64 = 2;
/// The stream that priorities are drawn from.
const PREFERENCES_STREAM: u64 = 3;
/// The stream that durable machines and damaged snapshots are drawn from.
const LOSSES_STREAM: u64 = 4;
/// Voters, learners and spare nodes together.
const SEATS_MAX: usize = 7;

#[cfg(test)]
mod tests {
    use super::Plan;
    use raftlet::core::Settings;

    #[test]
    fn every_plan_has_options_that_stand() {
        for seed in 0..2_000 {
            let plan = Plan::draw(seed);
            Settings::try_from(plan.options.clone()).unwrap_or_else(|e| panic!("{seed}: {e}"));
            assert!((1..=7).contains(&plan.voters) && plan.seats() <= 7);
        }
    }

    #[test]
    fn every_class_of_fault_is_off_in_some_plans_and_on_in_others() {
        let plans: Vec<Plan> = (0..200).map(Plan::draw).collect();
        let classes: [fn(&Plan) -> u64; 9] = [
            |plan| plan.clients.change,
            |plan| plan.network.drop,
            |plan| plan.network.duplicate,
            |plan| plan.network.replay,
            |plan| plan.network.cut,
            |plan| plan.members.crash,
            |plan| plan.members.pause,
            |plan| plan.members.batch,
            |plan| plan.members.rumour,
        ];
        for rate in classes {
            let on = plans.iter().filter(|plan| rate(plan) > 0).count();
            assert!((40..160).contains(&on), "{on} of 200");
        }
    }
}
