//! Bugs on purpose, to see whether the simulator notices.
//!
//! Each mutant breaks one rule at the rule's own home, where it reads
//! `if mutants::is_active(17) { .. }`. In a usual build that is `if false` and
//! vanishes. With `RUSTFLAGS="--cfg mutants"` one mutant can be chosen for the
//! whole process, so that one build serves them all.
//!
//! The catalogue's numbers are kept; a test of the simulator holds that each
//! is caught by the invariant named here, or by one that sees it sooner.

/// A bug on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// Its name on the command line.
    pub id: &'static str,
    /// What it does wrong.
    pub name: &'static str,
    /// The invariant that it breaks.
    pub invariant: &'static str,
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

macro_rules! mutants {
    ($($number:literal $id:literal $invariant:literal $name:literal;)*) => {
        #[cfg_attr(not(mutants), expect(dead_code, reason = "only a mutants build lists them"))]
        const ALL: &[Mutant] = &[$(
            Mutant { id: $id, name: $name, invariant: $invariant, number: $number },
        )*];
    };
}

mutants! {
    1 "M01" "I04" "the vote is not handed to the disk";
    2 "M02" "I03" "the vote is forgotten at a restart";
    3 "M03" "I03" "a second vote in a term is given";
    4 "M04" "I02" "the term is forgotten at a restart";
    5 "M05" "I06" "a vote is given whatever the candidate's log";
    6 "M06" "I06" "a longer log wins over a later term";
    7 "M07" "I01" "half of the voters are a quorum";
    8 "M08" "I01" "a voter's repeated grant counts again";
    9 "M09" "I01" "a grant of another campaign counts";
    10 "M10" "I08" "a pre-vote raises the term";
    15 "M15" "I56" "a leader ignores higher terms";
    16 "M16" "I10" "a leader without a quorum stays in office";
    17 "M17" "I11" "an append is taken without comparing the term before it";
    18 "M18" "I15" "entries behind an append that matches are truncated";
    19 "M19" "I11" "entries that conflict are kept";
    20 "M20" "I15" "entries are acknowledged before they are durable";
    21 "M21" "I15" "the end of the log is acknowledged, not what was proven";
    22 "M22" "I16" "an ack's match is taken from what was sent";
    25 "M25" "I16" "acks of earlier terms count";
    28 "M28" "I15" "a heartbeat proves the whole log";
    30 "M30" "I19" "entries of earlier terms are committed by counting";
    31 "M31" "I56" "a new leader appends no entry of its own";
    32 "M32" "I16" "the leader counts itself before its disk does";
    33 "M33" "I19" "the quorum is looked up in an unsorted list";
    34 "M34" "I25" "the commit index follows the leader's beyond what is proven";
    35 "M35" "I19" "half of an even number of voters commit";
    36 "M36" "W03" "the commit index falls with a late message";
    37 "M37" "I19" "the incoming majority alone decides while joint";
    38 "M38" "I26" "a change is taken while one is not committed";
    39 "M39" "I29" "truncation leaves the configuration that it removes";
    40 "M40" "I32" "a snapshot's configuration is not taken over";
    42 "M42" "I28" "a leader that was removed counts itself";
    43 "M43" "I26" "a change is taken before an own entry is committed";
    44 "M44" "W05" "a learner votes before it has caught up";
    45 "M45" "I56" "the joint configuration is never left";
    46 "M46" "I32" "a log behind a snapshot is kept whatever its term there";
    47 "M47" "I33" "a snapshot that is no news is installed";
    49 "M49" "I35" "the log is compacted without its snapshot";
    54 "M54" "I37" "reads are served without asking a quorum";
    56 "M56" "I37" "a read is confirmed by a round begun before it";
    58 "M58" "I37" "reads are served before an own entry is committed";
    59 "M59" "I39" "a lease counts from the answer's arrival";
    60 "M60" "I39" "a lease has no margin for clocks that differ";
    61 "M61" "I39" "a lease is kept while leadership is handed over";
    108 "M108" "I05" "votes are asked for before the own one is durable";
    109 "M109" "W03" "the late write of an overwritten tail counts";
    110 "M110" "I55" "a loss leaves the window open";
    111 "M111" "I40" "leadership is handed to a member that is not level";
    112 "M112" "I09" "a vote is given although the leader is heard";
    113 "M113" "W06" "acks of an earlier membership count";
    114 "M114" "I31" "a leader that was removed stays in office";
    115 "M115" "I15" "a term that is durable ahead makes the entries before it so";
    116 "M116" "I15" "a snapshot is acknowledged before it is durable";
    121 "M121" "I40" "a leader goes on appending while it hands over";
    122 "M122" "I39" "a suspicion ends a voter's promise";
    123 "M123" "I58" "a pre-vote is given although the leader is heard";
    124 "M124" "W07" "a leader keeps its office from who should lead rather";
    125 "M125" "I58" "an equal of the leader counts as who should lead rather";
    126 "M126" "W08" "digests that differ are not noticed";
    130 "M130" "W09" "a member that lost entries votes before they are there again";
    131 "M131" "W09" "lost entries count as there again with the next write";
    132 "M132" "I15" "lost entries are acknowledged before they are there again";
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

#[cfg(mutants)]
static ACTIVE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

#[cfg(mutants)]
fn activate_number(number: u32) {
    ACTIVE.store(number, std::sync::atomic::Ordering::Relaxed);
}

#[cfg(not(mutants))]
fn activate_number(_: u32) {}

/// Whether this rule is to be broken.
#[cfg(mutants)]
pub(crate) fn is_active(number: u32) -> bool {
    ACTIVE.load(std::sync::atomic::Ordering::Relaxed) == number
}

/// Whether this rule is to be broken: never, in a usual build.
#[cfg(not(mutants))]
pub(crate) const fn is_active(_: u32) -> bool {
    false
}
