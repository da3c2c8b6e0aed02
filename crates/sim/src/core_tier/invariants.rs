//! The claims that hold after every step, by name.
//!
//! Numbers are those of the catalogue that mutants refer to; a claim that has
//! no number there is a `W` (this world's own).

use std::fmt;

/// A claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invariant {
    /// Its number.
    pub id: &'static str,
    /// What holds.
    pub claim: &'static str,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.claim)
    }
}

/// A claim that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// What was seen instead.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

macro_rules! claims {
    ($($name:ident = $id:literal $claim:literal;)*) => {
        $(pub(crate) const $name: Invariant = Invariant { id: $id, claim: $claim };)*
    };
}

claims! {
    ONE_LEADER = "I01" "a term has at most one leader, and a quorum voted for it";
    TERM_MONOTONE = "I02" "a durable term never falls, nor a vote within it changes";
    ONE_VOTE = "I03" "a member's votes of one term name one candidate over all restarts";
    VOTE_DURABLE = "I04" "a granted vote leaves only when it is durable";
    CANDIDACY_DURABLE = "I05" "a candidate asks for votes only when its own is durable";
    VOTER_COMPARES_LOGS = "I06" "a vote goes only to a log at least as good";
    TERM_DURABLE = "I07" "no message carries a term that is not durable at its sender";
    PRE_VOTE_HARMLESS = "I08" "a pre-vote changes nothing durable";
    TRUST_REFUSES_VOTES = "I09" "a member that hears its leader gives no vote to others, unless the leader wants it";
    QUORUM_OR_STEP_DOWN = "I10" "a leader that no quorum answers steps down";
    LOG_MATCHING = "I11" "index and term name one entry and all before it, everywhere";
    LEADER_APPENDS_ONLY = "I12" "a leader never truncates its own log";
    LEADER_COMPLETE = "I13" "a leader holds every entry committed in earlier terms";
    COMMITTED_STAYS = "I14" "nobody truncates a committed entry";
    DURABLE_BEFORE_ACK = "I15" "an ack claims only what is durable and equal to the leader's log";
    MATCH_IS_TRUE = "I16" "a match index never passes what the member holds durably";
    CONTIGUOUS = "I17" "a log has no gap and its terms never fall";
    COMMIT_BY_QUORUM = "I19" "the committed prefix grows by an own-term entry on a quorum's disks";
    ONE_HISTORY = "I20" "members apply the same entry at the same index";
    COMMIT_MONOTONE = "I21" "a commit index never falls within a run nor passes the log";
    APPLY_IN_ORDER = "I23" "entries are applied one by one in order";
    COMMIT_IS_PROVEN = "I25" "a member commits only entries that are the group's";
    ONE_CHANGE = "I26" "a leader changes the members only when the last change and an entry of its own are committed";
    QUORUMS_OVERLAP = "I27" "quorums of consecutive configurations meet";
    VOTERS_LEAD = "I28" "only a voter leads";
    CONFIGURATION_OF_THE_LOG = "I29" "the configuration in effect is the last of the log";
    LEAVES_OFFICE = "I31" "a leader that was removed leads only until that is committed";
    SNAPSHOT_IS_TRUE = "I32" "a snapshot is the group's state at its index, with its configuration";
    SNAPSHOT_IS_NEWS = "I33" "a snapshot never takes back what was applied";
    COMPACTION_IS_COVERED = "I35" "a log is compacted only behind a snapshot that is whole";
    READ_SEES_FLOOR = "I37" "a read sees everything acknowledged before it began";
    LEASE_IS_ALONE = "I39" "while a lease holds nobody else is elected";
    HANDS_OVER_WHOLE = "I40" "a leader that hands over appends nothing, and only who holds its whole log takes over";
    READ_IS_COMMITTED = "I41" "a read index never passes the committed prefix";
    DONE_IS_APPLIED = "I42" "a proposal is done only when its own entry was applied";
    REFUSED_STAYS_OUT = "I43" "a proposal that was refused is in no log";
    ONE_ANSWER = "I47" "a read is answered once, and only if it was asked";
    HALTED_IS_SILENT = "I51" "after a failed write a member sends and writes nothing";
    NOT_BUSY = "I55" "an idle group falls silent and no deadline repeats itself";
    HEALS = "I56" "when faults end, one leader, equal logs, and new work succeeds";
    QUORUM_GOES_ON = "I57" "a quorum that can talk goes on, whatever else is cut, under its leader or the next";
    TERMS_SETTLE = "I58" "when faults end, terms stop growing";
    WHOLE_BEFORE_VOTE = "W09" "a member that lost entries gives no vote until they are there again";
    KEEPER_GOES_ON = "W11" "a machine with durable state is given each entry once and in order, none that it has";
    KEEPER_KEEPS = "W12" "a machine with durable state is restored only from what is ahead of it, or in place of a lost log";
    KEEPER_IS_COVERED = "I24" "a machine with durable state has only what is durable in its own log";
    ASKS_WHAT_EXISTS = "W01" "a core asks storage only for what is durable there";
    STATUS_IS_TRUE = "W02" "what a core tells about itself is what it handed out";
    VOTERS_ARE_LEVEL = "W05" "who becomes a voter holds what the log held when that was asked for";
    ACKS_ARE_FENCED = "W06" "acks of an earlier membership move no match index";
    PREFERRED_LEADS = "W07" "when faults end, whoever should lead rather takes over, and it stays so";
    NAMES_WHO_DIFFERS = "W08" "a digest that differs is named within an interval, and no other";
    LEADS_OR_CAMPAIGNS = "W10" "who leads does not campaign";
    NO_PANIC = "W03" "no input makes a core panic";
    STARTS = "W04" "a core starts on whatever survived";
}

/// Fails with `invariant` unless `holds`.
pub(crate) fn ensure(
    holds: bool,
    invariant: Invariant,
    detail: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds {
        return Ok(());
    }
    Err(Violation { invariant, detail: detail() })
}
