//! What members of one group say to each other.
//!
//! A message carries the generation of its group and a term; who sent it
//! comes from the transport ([`Sender`](crate::Sender)). All of them may be
//! lost, repeated, delayed for minutes or overtake one another; what makes
//! late ones harmless stands with each field (rule 22).
//!
//! Not here: bytes on the wire (the `net` crate), who may say what when
//! (`follower.rs`, `candidate.rs`, `leader.rs`).

use bytes::Bytes;

use crate::checkpoint::Checkpoint;
use crate::entry::Entries;
use crate::ids::{Generation, Index, LogId, NodeId, ReadId, Round, Run, Term};
use crate::snapshot::{SnapshotAck, SnapshotPart};
use crate::time::WallMs;

pub(crate) mod membership;

pub(crate) use membership::Membership;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The life of the group id that is meant.
    pub generation: Generation,
    /// The sender's term, except in a pre-vote request and its grant: there
    /// the term that is asked for.
    pub term: Term,
    /// The rest, by kind.
    pub body: Body,
}

impl Message {
    /// Lets an ack say that the sender's log is short of room; others stay as
    /// they are. A leader without a quorum that has room refuses proposals.
    pub fn tell_shortage(&mut self) {
        if let Body::Ack(Ack { outcome: AckOutcome::Matches { is_short, .. }, .. }) = &mut self.body
        {
            *is_short = true;
        }
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Leader to member: entries, commit index, a round to confirm (§3.5).
    Append(Append),
    /// The answer, derived from durable state (rule 7).
    Ack(Ack),
    /// Candidate to voter (§3.4, §9.6).
    VoteRequest(VoteRequest),
    /// The answer; a grant leaves only when the vote is durable (rule 6).
    VoteReply(VoteReply),
    /// Member to member: whoever leads, answer with an append; others say
    /// whom they follow (rule 20).
    Probe,
    /// The answer of one who does not lead.
    NotLeader {
        /// Whom it follows, in the message's term.
        leader: Option<NodeId>,
    },
    /// Leader to voter: campaign at once (§3.10). Late ones are harmless: they
    /// cost an election at most.
    TakeOver {
        /// The end of the leader's log; who has less does nothing.
        last: LogId,
    },
    /// Member to leader: a read index, please (§6.4).
    Read {
        /// The run that asks; echoed.
        run: Run,
        /// The asker's name for it; echoed.
        read: ReadId,
    },
    /// The answer.
    ReadReply {
        /// As asked.
        run: Run,
        /// As asked.
        read: ReadId,
        /// The read index; `None` when the asked one cannot tell.
        index: Option<Index>,
    },
    /// Member to leader: append these, in exactly the message's term
    /// (rule 33). The sender is the origin.
    Forward(Forward),
    /// The answer.
    ForwardReply(ForwardReply),
    /// About who belongs to the group. Rare and large.
    Membership(Box<Membership>),
    /// Leader to member: a piece of a snapshot (§5). The core hears its leader
    /// in it; the piece is the driver's.
    Snapshot(SnapshotPart),
    /// The answer, which is the driver's too.
    SnapshotAck(SnapshotAck),
    /// Member to leader, and back where it differs: what it holds at an index.
    /// Late ones are compared or fall out, like any.
    Checkpoint(Checkpoint),
}

/// Entries for a follower, or none: then it is a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// What stands before the entries in the leader's log.
    pub previous: LogId,
    /// The leader's commit index. Proves nothing about the receiver's log:
    /// it commits only what this message has shown to match.
    pub commit: Index,
    /// Confirms reads when echoed; 0 before the first read of a term.
    pub round: Round,
    /// Where the leader's configuration entry stands: fences acks of an
    /// earlier membership.
    pub configuration: Index,
    /// Window units sent to this member in this term up to and with this
    /// message (`leader/progress.rs`).
    pub position: u64,
    /// What follows `previous`.
    pub entries: Entries,
}

/// What a follower has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The highest round seen from this leader.
    pub round: Round,
    /// The leader's configuration index as last told.
    pub configuration: Index,
    /// The highest window position whose entries are durable.
    pub position: u64,
    /// The follower's commit index, so that a leader sees who must still learn.
    pub commit: Index,
    /// The follower's calendar (D12).
    pub wall: WallMs,
    /// Whether the logs met.
    pub outcome: AckOutcome,
}

/// Whether a follower's log met the leader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckOutcome {
    /// They match.
    Matches {
        /// Up to here they are known to be equal, on disk or not.
        verified: Index,
        /// Up to here the equal part is durable; at most `verified`.
        durable: Index,
        /// The follower's log is short of room: new entries should wait. The driver
        /// says so ([`Message::tell_shortage`]).
        is_short: bool,
    },
    /// The follower has another entry, or none, at `previous`.
    Rejects {
        /// The `previous.index` that was refused.
        previous: Index,
        /// The follower's last entry at or before `previous` whose term is at
        /// most the refused one: the logs can meet only there or earlier
        /// (one round trip per distinct term, §3.5).
        hint: LogId,
        /// Up to here it held entries, of which it knows that some are lost and
        /// not there again (D39); 0 while it knows of none.
        held: Index,
    },
}

/// Why somebody campaigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteKind {
    /// Asks what would happen; changes nothing durable (§9.6).
    Pre,
    /// A candidacy.
    Real,
    /// A candidacy that the leader asked for (§3.10).
    Transfer,
}

/// A campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoteRequest {
    /// Which kind.
    pub kind: VoteKind,
    /// The campaign's number in this run; echoed, so that answers to an
    /// earlier one fall out.
    pub campaign: u64,
    /// The candidate's last entry.
    pub last: LogId,
    /// Where to answer one who is not in the receiver's configuration.
    pub address: String,
}

/// An answer to a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoteReply {
    /// As asked.
    pub kind: VoteKind,
    /// As asked.
    pub campaign: u64,
    /// Whether the vote is given.
    pub granted: bool,
}

/// Proposals that another member was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Sequence of the first command; the others follow.
    pub first_sequence: u64,
    /// The commands.
    pub commands: Vec<Bytes>,
}

/// What became of a forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardReply {
    /// The run that forwarded; echoed.
    pub run: Run,
    /// As sent.
    pub first_sequence: u64,
    /// How many commands are meant.
    pub len: u32,
    /// What became of them.
    pub outcome: ForwardOutcome,
}

/// What became of a forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardOutcome {
    /// Appended in the message's term, the first of them at this index. They
    /// take effect if that term's entries commit.
    Appended {
        /// Index of the first.
        first: Index,
    },
    /// Not appended by this copy. Proves nothing about other copies.
    Refused {
        /// Whom to ask instead, in the message's term.
        leader: Option<NodeId>,
    },
    /// No copy was appended, and none will be in the message's term: the leader
    /// has no room, or no quorum has, and it remembers (rule 33).
    NoRoom(Shortage),
}

/// Why a log takes no new entries for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// The device has no room.
    Device,
    /// The log is close to the limit that it was given.
    Limit,
    /// Those of too many other members are short: no quorum has room. A leader
    /// says so, storage never does.
    Quorum,
}
