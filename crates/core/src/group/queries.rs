//! What may be asked of a member without changing it.

use crate::change::CatchUp;
use crate::checkpoint::Diverged;
use crate::counters::Counters;
use crate::entry::{Chunk, Entries};
use crate::group::{Group, RoleState};
use crate::ids::{Index, LogId, NodeId, Term};
use crate::liveness::Liveness;
use crate::membership::Configuration;
use crate::message::VoteKind;
use crate::output::{HardState, Role};
use crate::state::Seat;
use crate::time::Time;

/// One member of the configuration, as this member sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// The node.
    pub node: NodeId,
    /// Whether it counts.
    pub is_voter: bool,
    /// Who should lead rather: the higher.
    pub priority: u8,
    /// Up to here it is known to have the log durably. Known by the leader;
    /// elsewhere only the own one is, others are 0.
    pub match_index: Index,
    /// Whether the detector vouches for it; itself always.
    pub is_alive: bool,
    /// Whether the leader sends it a snapshot: what it needs has left the log.
    pub awaits_snapshot: bool,
    /// Whether it told the leader that its log is short of room.
    pub is_short: bool,
}

/// How a member and its group are doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What this member is.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// Whom it follows, itself if it leads.
    pub leader: Option<NodeId>,
    /// Committed up to here, as far as known.
    pub commit_index: Index,
    /// End of the log.
    pub last_index: Index,
    /// Durable up to here.
    pub durable_index: Index,
    /// Entries up to here have left the log.
    pub base_index: Index,
    /// The current snapshot contains everything up to here.
    pub snapshot_index: Index,
    /// The members of the configuration in effect.
    pub members: Vec<MemberStatus>,
    /// That configuration, both sets of it while joint.
    pub configuration: Configuration,
    /// Where it stands in the log.
    pub configuration_index: Index,
    /// Whom a change of the members waits for. Known by the leader.
    pub catching_up: Vec<CatchUp>,
    /// Whether this member's own removal is committed.
    pub is_removed: bool,
    /// Storage lost entries; this one was the last. Until a leader has sent them
    /// again this member gives no vote (rule 10).
    pub refill_until: Option<Index>,
    /// Members whose digests differed from this one's when last compared.
    pub diverged: Vec<Diverged>,
}

impl Group {
    /// Entries from `first` up to `last` out of memory, contiguous, at least
    /// one, at most `bytes_max` bytes beyond the first. `None`: read storage.
    ///
    /// Read it only up to [`durable_index`](Self::durable_index): behind that
    /// it may still hold what a truncation on its way to the disk removes.
    /// Entries that are not durable are always in memory.
    #[must_use]
    pub fn entries(&self, first: Index, last: Index, bytes_max: usize) -> Option<Entries> {
        self.state.log.slice(first, last, bytes_max)
    }

    /// The chunk that is exactly the entries from `first` to `last`, for who reads
    /// them at once. `None`: ask [`entries`](Self::entries), which may have them
    /// all the same.
    #[must_use]
    #[inline]
    pub fn whole_chunk(&self, first: Index, last: Index) -> Option<&Chunk> {
        self.state.log.whole_chunk(first, last, usize::MAX)
    }

    /// The term of the entry at `index`; `None` behind the end of the log and
    /// before its base.
    #[must_use]
    pub fn term_at(&self, index: Index) -> Option<Term> {
        self.state.log.term_at(index)
    }

    /// Bytes of entries in memory.
    #[must_use]
    pub fn log_bytes(&self) -> usize {
        self.state.log.bytes()
    }

    /// Until when a leader reads without a round; `None` where leases are off or
    /// it has none as of its last input.
    #[must_use]
    pub fn lease_until(&self) -> Option<Time> {
        match &self.role {
            RoleState::Leader(leader) => leader.lease_until(&self.state),
            _ => None,
        }
    }

    /// What this member is.
    #[must_use]
    pub fn role(&self) -> Role {
        match &self.role {
            RoleState::Follower(_) | RoleState::Halted => Role::Follower,
            RoleState::Candidate(candidate) if candidate.kind == VoteKind::Pre => {
                Role::PreCandidate
            }
            RoleState::Candidate(_) => Role::Candidate,
            RoleState::Leader(_) => Role::Leader,
        }
    }

    /// Whether its removal is committed: it asks nobody and campaigns no more,
    /// until a leader seats it again.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.state.is_dismissed
    }

    /// Whether it takes no part any more.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        matches!(self.role, RoleState::Halted)
    }

    /// Its term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.state.term
    }

    /// Term and vote, durable or not.
    #[must_use]
    pub fn hard_state(&self) -> HardState {
        self.state.hard_state()
    }

    /// Whom it follows, itself if it leads.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            RoleState::Follower(follower) => follower.leader,
            RoleState::Leader(_) => Some(self.state.seat.node),
            RoleState::Candidate(_) | RoleState::Halted => None,
        }
    }

    /// Which seat of which group this is.
    #[must_use]
    pub fn seat(&self) -> Seat {
        self.state.seat
    }

    /// Committed up to here, as far as known.
    #[must_use]
    pub fn commit_index(&self) -> Index {
        self.state.commit
    }

    /// Applied up to here.
    #[must_use]
    pub fn applied_index(&self) -> Index {
        self.state.applied
    }

    /// The log id of the last entry.
    #[must_use]
    pub fn last(&self) -> LogId {
        self.state.log.last()
    }

    /// End of the log.
    #[must_use]
    pub fn last_index(&self) -> Index {
        self.state.log.last().index
    }

    /// Durable up to here.
    #[must_use]
    pub fn durable_index(&self) -> Index {
        self.state.durability.index()
    }

    /// The configuration in effect.
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        self.state.configuration()
    }

    /// Where the configuration in effect stands in the log; 0 when there is
    /// none. Committed or not: compare it with the commit index.
    #[must_use]
    pub fn configuration_index(&self) -> Index {
        self.state.log.configuration().0
    }

    /// Whom a change of the members waits for, as the leader knows it.
    #[must_use]
    pub fn catching_up(&self) -> Vec<CatchUp> {
        match &self.role {
            RoleState::Leader(leader) => leader.catching_up(),
            _ => Vec::new(),
        }
    }

    /// What happened so far in this run.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.state.counters
    }

    /// How this member and its group are doing. Allocates; not for hot paths.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            role: self.role(),
            term: self.term(),
            leader: self.leader(),
            commit_index: self.commit_index(),
            last_index: self.last_index(),
            durable_index: self.durable_index(),
            base_index: self.base().index,
            snapshot_index: self.snapshot().index,
            members: self.members(),
            configuration: self.configuration().clone(),
            configuration_index: self.configuration_index(),
            catching_up: self.catching_up(),
            is_removed: self.is_removed(),
            refill_until: self.state.refill().map(|refill| refill.until),
            diverged: self.diverged().to_vec(),
        }
    }

    /// Whether it leads members that are short of room: then no more than
    /// [`UNCOMMITTED_SHORT_BYTES_MAX`](crate::UNCOMMITTED_SHORT_BYTES_MAX) should
    /// be proposed at once.
    #[must_use]
    pub fn has_short_members(&self) -> bool {
        matches!(&self.role, RoleState::Leader(leader) if leader.has_short_members())
    }

    fn members(&self) -> Vec<MemberStatus> {
        let configuration = self.configuration();
        let status = |node| MemberStatus {
            node,
            is_voter: configuration.is_voter(node),
            priority: configuration.priority(node),
            match_index: self.match_index(node),
            is_alive: node == self.state.seat.node
                || matches!(self.state.liveness_of(node), Liveness::Alive { .. }),
            awaits_snapshot: self.awaits_snapshot(node),
            is_short: matches!(&self.role, RoleState::Leader(leader) if leader.is_short(node)),
        };
        configuration.nodes().map(|member| status(member.node)).collect()
    }

    fn match_index(&self, node: NodeId) -> Index {
        if node == self.state.seat.node {
            return self.durable_index();
        }
        match &self.role {
            RoleState::Leader(leader) => {
                let peer = leader.peers().iter().find(|peer| peer.node == node);
                peer.map_or(Index::ZERO, |peer| peer.matched)
            }
            _ => Index::ZERO,
        }
    }

    /// Structure that every input must leave behind. For simulations and
    /// tests: it costs a walk over what the member holds.
    ///
    /// # Panics
    /// When the member broke one of its own rules.
    pub fn check_invariants(&self) {
        let state = &self.state;
        assert!(state.applied <= state.commit, "applied beyond the commit index");
        assert!(state.commit <= self.last_index(), "committed beyond the log");
        assert!(self.durable_index() <= self.last_index(), "durable beyond the log");
        assert!(self.last().term <= state.term, "the log has a term of the future");
        let memory_first = state.log.memory_first();
        let held = self.durable_index().max(state.log.base().index);
        assert!(memory_first <= held.next(), "lost what is not durable");
        assert!(state.log.base().index <= state.commit, "compacted beyond the commit index");
        if let RoleState::Leader(leader) = &self.role {
            assert!(state.is_term_durable(), "leads a term that a crash would undo");
            let peers = leader.peers();
            for (at, peer) in peers.iter().enumerate() {
                let is_alone = !peers.iter().skip(at + 1).any(|other| other.node == peer.node);
                assert!(is_alone, "two seats of one node");
            }
            for peer in peers {
                assert!(peer.matched <= self.last_index(), "a match beyond the leader's log");
            }
        }
    }
}
