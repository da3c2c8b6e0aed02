//! Bugs on purpose, to see whether the simulator notices.
//!
//! Each mutant breaks one rule at the rule's own home, where it reads
//! `if mutants::is_active(17) { .. }`. In a usual build that is `if false` and
//! vanishes. With `RUSTFLAGS="--cfg mutants"` one mutant can be chosen for the
//! whole process, so that one build serves them all.
//!
//! The catalogue's numbers are kept; `cargo xtask mutants` holds that each is
//! caught by the invariant named here, or by one that sees it sooner. The
//! driver's, the log's and the keyspace's stand here too, so that a number names one bug; they are broken in
//! crates above, which ask here.

/// What has to notice a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// The simulation of the core.
    Simulation,
    /// Golden scripts and unit tests of this crate: for what random schedules
    /// reach too seldom, or what costs time and not safety.
    Core,
    /// The tests of the crate `raftlet`.
    Driver,
    /// The tests of the crate `raftlet-log`.
    Log,
    /// The tests of the crate `raftlet-kv`.
    Kv,
}

/// A bug on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// Its name on the command line.
    pub id: &'static str,
    /// What it does wrong.
    pub name: &'static str,
    /// The invariant that it breaks.
    pub invariant: &'static str,
    /// What notices it.
    pub suite: Suite,
    number: u32,
}

/// Why a mutant cannot be activated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MutantError {
    /// Not among those built in.
    #[error("no mutant `{id}` in this build; they exist only with RUSTFLAGS=\"--cfg mutants\"")]
    Unknown {
        /// As asked for.
        id: String,
    },
}

macro_rules! suite {
    (sim) => {
        Suite::Simulation
    };
    (core) => {
        Suite::Core
    };
    (driver) => {
        Suite::Driver
    };
    (log) => {
        Suite::Log
    };
    (kv) => {
        Suite::Kv
    };
}

macro_rules! mutants {
    ($($number:literal $id:literal $suite:ident $invariant:literal $name:literal;)*) => {
        #[cfg_attr(not(mutants), expect(dead_code, reason = "only a mutants build lists them"))]
        const ALL: &[Mutant] = &[$(
            Mutant { id: $id, name: $name, invariant: $invariant, suite: suite!($suite), number: $number },
        )*];
    };
}

mutants! {
    1 "M01" sim "I04" "the vote is not handed to the disk";
    2 "M02" sim "I03" "the vote is forgotten at a restart";
    3 "M03" sim "I03" "a second vote in a term is given";
    4 "M04" sim "I02" "the term is forgotten at a restart";
    5 "M05" sim "I06" "a vote is given whatever the candidate's log";
    6 "M06" sim "I06" "a longer log wins over a later term";
    7 "M07" sim "I01" "half of the voters are a quorum";
    8 "M08" sim "I01" "a voter's repeated grant counts again";
    9 "M09" sim "I01" "a grant of another campaign counts";
    10 "M10" sim "I08" "a pre-vote raises the term";
    11 "M11" sim "W10" "a leader campaigns for a late grant of a pre-vote";
    12 "M12" core "I56" "a higher term in a refused pre-vote is not taken over";
    13 "M13" core "I56" "all wait equally long before they campaign";
    14 "M14" sim "I01" "a learner's vote counts";
    15 "M15" sim "I56" "a leader ignores higher terms";
    16 "M16" sim "I10" "a leader without a quorum stays in office";
    17 "M17" sim "I11" "an append is taken without comparing the term before it";
    18 "M18" sim "I15" "entries behind an append that matches are truncated";
    19 "M19" sim "I11" "entries that conflict are kept";
    20 "M20" sim "I15" "entries are acknowledged before they are durable";
    21 "M21" sim "I15" "the end of the log is acknowledged, not what was proven";
    22 "M22" sim "I16" "an ack's match is taken from what was sent";
    23 "M23" core "I16" "who lost what it had acknowledged counts again";
    24 "M24" core "I56" "a late refusal takes back what was sent since";
    25 "M25" core "I16" "acks of earlier terms count";
    26 "M26" sim "I56" "from a log that is all compacted no snapshot is sent";
    27 "M27" sim "I56" "an ack frees one message's share of the window";
    28 "M28" sim "I15" "a heartbeat proves the whole log";
    29 "M29" sim "I17" "the last entry of a batch is not handed to the disk";
    30 "M30" sim "I19" "entries of earlier terms are committed by counting";
    31 "M31" sim "I56" "a new leader appends no entry of its own";
    32 "M32" sim "I16" "the leader counts itself before its disk does";
    33 "M33" sim "I19" "the quorum is looked up in an unsorted list";
    34 "M34" sim "I25" "the commit index follows the leader's beyond what is proven";
    35 "M35" sim "I19" "half of an even number of voters commit";
    36 "M36" sim "W03" "the commit index falls with a late message";
    37 "M37" sim "I19" "the incoming majority alone decides while joint";
    38 "M38" sim "I26" "a change is taken while one is not committed";
    39 "M39" sim "I29" "truncation leaves the configuration that it removes";
    40 "M40" sim "I32" "a snapshot's configuration is not taken over";
    41 "M41" core "I29" "configurations of the log before outlive a snapshot";
    42 "M42" sim "I28" "a leader that was removed counts itself";
    43 "M43" sim "I26" "a change is taken before an own entry is committed";
    44 "M44" sim "W05" "a learner votes before it has caught up";
    45 "M45" sim "I56" "the joint configuration is never left";
    46 "M46" sim "I32" "a log behind a snapshot is kept whatever its term there";
    47 "M47" sim "I33" "a snapshot that is no news is installed";
    49 "M49" sim "I35" "the log is compacted without its snapshot";
    54 "M54" sim "I37" "reads are served without asking a quorum";
    55 "M55" sim "I37" "a round's number is used again";
    56 "M56" sim "I37" "a read is confirmed by a round begun before it";
    57 "M57" driver "I41" "a read runs before its index is applied";
    58 "M58" sim "I37" "reads are served before an own entry is committed";
    59 "M59" core "I39" "a lease counts from the answer's arrival";
    60 "M60" sim "I39" "a lease has no margin for clocks that differ";
    61 "M61" sim "I39" "a lease is kept while leadership is handed over";
    62 "M62" sim "I37" "a lease that was there is not looked at again";
    63 "M63" core "I39" "a voter forgets its promise at a restart";
    64 "M64" core "I40" "who is told to take over does whatever it lacks";
    65 "M65" sim "I40" "who is told to take over an earlier term does";
    66 "M66" driver "I15" "what is being written counts as written";
    67 "M67" driver "I15" "the end of a write completes what gathers behind it";
    68 "M68" driver "I47" "the end of a task wakes nobody";
    69 "M69" driver "I47" "a timer that came too early is not set again";
    70 "M70" driver "I42" "an entry of a later term ends who waits at its index";
    71 "M71" driver "I44" "what may live in a log is proposed again";
    72 "M72" driver "I42" "another member's forward ends who waits for that number";
    73 "M73" driver "I59" "who has had its share of a turn is first again";
    74 "M74" driver "I23" "a batch begins with the last one applied";
    75 "M75" driver "I54" "an ended proposal keeps its share of the budget";
    108 "M108" sim "I05" "votes are asked for before the own one is durable";
    109 "M109" sim "W03" "the late write of an overwritten tail counts";
    110 "M110" sim "I55" "a loss leaves the window open";
    111 "M111" sim "I40" "leadership is handed to a member that is not level";
    112 "M112" sim "I09" "a vote is given although the leader is heard";
    113 "M113" sim "W06" "acks of an earlier membership count";
    114 "M114" sim "I31" "a leader that was removed stays in office";
    115 "M115" sim "I15" "a term that is durable ahead makes the entries before it so";
    116 "M116" sim "I15" "a snapshot is acknowledged before it is durable";
    121 "M121" sim "I40" "a leader goes on appending while it hands over";
    122 "M122" sim "I39" "a suspicion ends a voter's promise";
    123 "M123" sim "I58" "a pre-vote is given although the leader is heard";
    124 "M124" sim "W07" "a leader keeps its office from who should lead rather";
    125 "M125" sim "I58" "an equal of the leader counts as who should lead rather";
    126 "M126" sim "W08" "digests that differ are not noticed";
    130 "M130" sim "W09" "a member that lost entries votes before they are there again";
    131 "M131" sim "W09" "lost entries count as there again with the next write";
    132 "M132" sim "I15" "lost entries are acknowledged before they are there again";
    133 "M133" core "I16" "what a run acknowledged before a loss counts after it";
    134 "M134" core "I16" "who tells its loss keeps its match";
    135 "M135" core "I16" "who knows only a part of its loss counts again";
    136 "M136" core "I47" "a leader goes on appending though no quorum has room";
    137 "M137" core "I56" "members without room are not asked whether they have some again";
    138 "M138" core "I16" "what was said in another life of the group's id is heard";
    139 "M139" core "I09" "another run of the leader's process is taken for the one followed";
    140 "M140" core "I15" "the end of an earlier write completes the one under way";
    141 "M141" core "I37" "an ack confirms the last round that was sent, not its own";
    142 "M142" core "I56" "the round that an append carries is not echoed";
    143 "M143" core "I15" "two hand-overs of entries have one ticket";
    144 "M144" sim "I37" "who was not asked a round counts as if it had answered";
    145 "M145" core "I56" "a round whose voters are silent asks nobody else";
    146 "M146" core "I56" "a start during a refill takes its own term for that of the loss";
    147 "M147" log "I17" "a batch that comes back to a group is written as one of each once";
    148 "M148" log "I17" "a segment gets entries of a group that it does not state";
    149 "M149" log "I17" "an echo that names not all groups says that it does";
    150 "M150" kv "I56" "a request read in one pass is taken before its end is there";
    151 "M151" kv "I56" "a request read in one pass is held to no limit";
    152 "M152" kv "I56" "a batch is lent what another one asks";
    153 "M153" kv "I56" "a question that a read leaves open counts as answered";
    154 "M154" core "I17" "who keeps entries that it was lent keeps one chunk of them";
    160 "M160" driver "I16" "who lost its log with its snapshot votes as if nothing were missing";
    170 "M170" driver "I24" "a machine with durable state is given what its own log may lose";
    171 "M171" driver "I56" "the log is cut behind a snapshot on its way";
    172 "M172" driver "I59" "a transfer whose leader is gone keeps its place";
    173 "M173" driver "I56" "who meets a loss while it runs stays in the term that counts on it";
    174 "M174" driver "I56" "what the machine has is lost with the place where it stood";
    175 "M175" driver "I16" "who meets a loss while it runs says nothing of it";
}

/// The mutants of this build; none in a usual one.
#[must_use]
pub fn built_in() -> &'static [Mutant] {
    #[cfg(mutants)]
    return ALL;
    #[cfg(not(mutants))]
    &[]
}

/// Breaks the core of this process.
///
/// # Errors
/// [`MutantError::Unknown`] when this build has no such mutant.
pub fn activate(id: &str) -> Result<(), MutantError> {
    let known = built_in().iter().find(|mutant| mutant.id == id);
    let mutant = known.ok_or_else(|| MutantError::Unknown { id: id.to_owned() })?;
    activate_number(mutant.number);
    Ok(())
}

/// Starts as the environment says, because tests have no command line of their
/// own: `RAFTLET_MUTANT=M66`.
#[cfg(mutants)]
static ACTIVE: std::sync::LazyLock<std::sync::atomic::AtomicU32> = std::sync::LazyLock::new(|| {
    let asked = std::env::var("RAFTLET_MUTANT").unwrap_or_default();
    let number = ALL.iter().find(|mutant| mutant.id == asked).map(|mutant| mutant.number);
    std::sync::atomic::AtomicU32::new(number.unwrap_or(0))
});

#[cfg(mutants)]
fn activate_number(number: u32) {
    ACTIVE.store(number, std::sync::atomic::Ordering::Relaxed);
}

#[cfg(not(mutants))]
fn activate_number(_: u32) {}

/// Whether this rule is to be broken.
#[cfg(mutants)]
#[doc(hidden)]
#[must_use]
pub fn is_active(number: u32) -> bool {
    ACTIVE.load(std::sync::atomic::Ordering::Relaxed) == number
}

/// Whether this rule is to be broken: never, in a usual build.
#[cfg(not(mutants))]
#[doc(hidden)]
#[must_use]
pub const fn is_active(_: u32) -> bool {
    false
}
