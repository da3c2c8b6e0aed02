//! What a member does with messages of others: whom it hears, in which term,
//! and which role takes it from there.
//!
//! Invariants
//! - What cannot be (numbers out of range, gaps, other generations) is kept
//!   out here, so that the roles can assert it.
//! - Only members are heard, appends and vote requests apart: their senders
//!   may be newer than this member's configuration (rules 3, 22).

use crate::entry::arena::Arena;
use crate::group::{Group, RoleState};
use crate::ids::{Generation, Index, LogId, NUMBER_MAX, NodeId, ReadId, Run, Sender, Term};
use crate::leader::reply_to;
use crate::message::{
    Ack, Append, Body, ForwardOutcome, Membership, Message, Shortage, VoteKind, VoteReply,
    VoteRequest,
};
use crate::mutants;
use crate::time::Now;
use crate::votes;

impl Group {
    /// A message arrived. Never fails and never panics, whatever it holds: a
    /// refusal is counted in [`Counters`](crate::Counters) and, where it helps, answered.
    ///
    /// Entries are taken out of the message; what is left of it is of no use.
    pub fn step(&mut self, now: Now, arena: &mut Arena, from: Sender, message: &mut Message) {
        self.state.now = now;
        let &mut Message { generation, term, ref mut body } = message;
        let is_taken = match body {
            Body::Append(append) => self.take_append(&from, (generation, term), append),
            Body::Ack(ack) => self.take_ack(&from, (generation, term), ack),
            _ => false,
        };
        if !is_taken {
            self.step_any(arena, from, message);
        }
    }

    /// As [`step`](Self::step), for an append that has not been made a message:
    /// who reads it off a wire hands it in as it is read.
    #[inline]
    pub fn step_append(
        &mut self,
        now: Now,
        from: &Sender,
        of: (Generation, Term),
        append: &mut Append,
    ) {
        self.state.now = now;
        if !self.take_append(from, of, append) {
            self.step_rare(*from, of, Body::Append(append.clone()));
        }
    }

    /// As [`step`](Self::step), for an ack that has not been made a message.
    #[inline]
    pub fn step_ack(&mut self, now: Now, from: &Sender, of: (Generation, Term), ack: &Ack) {
        self.state.now = now;
        if !self.take_ack(from, of, ack) {
            self.step_rare(*from, of, Body::Ack(ack.clone()));
        }
    }

    #[cold]
    fn step_rare(&mut self, from: Sender, (generation, term): (Generation, Term), body: Body) {
        // Neither kind proposes anything: the arena is for those that do.
        let mut message = Message { generation, term, body };
        self.step_any(&mut Arena::new(0), from, &mut message);
    }

    /// What steady replication consists of, met as it mostly is. Returns whether
    /// it was: anything else is `step_any`'s, which tells why.
    #[inline]
    fn take_append(
        &mut self,
        from: &Sender,
        (generation, term): (Generation, Term),
        append: &mut Append,
    ) -> bool {
        match &mut self.role {
            RoleState::Follower(follower)
                if (generation == self.state.seat.generation || mutants::is_active(138))
                    && term == self.state.term
                    && is_append_in_range(term, append) =>
            {
                follower.on_append(&mut self.state, from, append);
                true
            }
            _ => false,
        }
    }

    /// The same for the answer.
    #[inline]
    fn take_ack(
        &mut self,
        from: &Sender,
        (generation, term): (Generation, Term),
        ack: &Ack,
    ) -> bool {
        match &mut self.role {
            RoleState::Leader(leader)
                if (generation == self.state.seat.generation || mutants::is_active(138))
                    && term == self.state.term
                    && !term.is_exhausted()
                    && self.state.is_member(*from) =>
            {
                leader.on_ack(&mut self.state, from, ack);
                true
            }
            _ => false,
        }
    }

    /// A message in whatever role, term and generation.
    #[inline(never)]
    fn step_any(&mut self, arena: &mut Arena, from: Sender, message: &mut Message) {
        if self.is_halted() || !self.is_for_this_group(message) {
            return;
        }
        self.step_fitting(arena, from, message.term, &mut message.body);
    }

    /// A message that is for this group, in whatever role and term.
    fn step_fitting(&mut self, arena: &mut Arena, from: Sender, term: Term, body: &mut Body) {
        // True in any term, and needed by those whose own has run ahead.
        if let Body::Membership(said) = body
            && let Membership::Removed { as_of } = **said
        {
            return self.on_removed(as_of);
        }
        match body {
            Body::VoteRequest(request) => self.on_vote_request(from, term, request),
            Body::Append(_) | Body::Snapshot(_) => self.step_in_term(arena, from, term, body),
            // Whoever leads may be a stranger to an old configuration. Anybody
            // else must hold a seat to be heard (rules 3, 22).
            _ if self.is_heard(from) => self.step_in_term(arena, from, term, body),
            body => self.on_stranger(from, term, body),
        }
    }

    /// Entries or proposals arrived for which the driver has no room. An append is
    /// heard, and answered without them. A forward is refused, if this member leads
    /// its term so that it will not be done in that term whatever else arrives
    /// (rule 33). Other messages are passed over.
    pub fn refuse(&mut self, now: Now, from: Sender, message: &Message, shortage: Shortage) {
        self.state.now = now;
        if self.is_halted() || !self.is_for_this_group(message) {
            return;
        }
        if let (Body::Append(append), RoleState::Follower(follower)) =
            (&message.body, &mut self.role)
            && message.term == self.state.term
        {
            follower.refuse_append(&mut self.state, &from, append);
        }
        let Body::Forward(forward) = &message.body else { return };
        if !self.is_heard(from) {
            return;
        }
        let leader = self.leader();
        match &mut self.role {
            RoleState::Leader(role) if message.term == self.state.term => {
                role.refuse_forward(&mut self.state, from, forward, shortage);
            }
            _ => self.decline(from, leader, &message.body),
        }
    }

    /// Whether a sender holds a seat, or is being told that it lost it.
    fn is_heard(&self, from: Sender) -> bool {
        self.state.is_member(from)
            || matches!(&self.role, RoleState::Leader(leader) if leader.is_telling(from.node))
    }

    fn is_for_this_group(&mut self, message: &Message) -> bool {
        if message.generation != self.state.seat.generation {
            self.state.counters.other_generation += 1;
            return false;
        }
        if message.term.is_exhausted() || !numbers_in_range(message.term, &message.body) {
            self.state.counters.impossible += 1;
            return false;
        }
        true
    }

    fn on_vote_request(&mut self, from: Sender, term: Term, request: &VoteRequest) {
        self.tell_unseated(from.node);
        if self.state.was_removed(from) {
            self.state.counters.stranger += 1;
            return;
        }
        if term > self.state.term {
            self.on_leaderless_word(from);
        }
        let trusts_leader = self.trusts_leader();
        if request.kind == VoteKind::Pre {
            if mutants::is_active(10) && term > self.state.term {
                self.adopt(term);
            }
            let sticks = trusts_leader && !mutants::is_active(123);
            votes::answer_pre_vote(&mut self.state, from, term, request, sticks);
            // Somebody misses the leader: make sure that it is there.
            if trusts_leader && term > self.state.term {
                self.question_leader();
            }
            return;
        }
        // Only the leader's own wish overrides trust, for one who has its log.
        let is_wished = request.kind == VoteKind::Transfer
            && votes::is_log_good_enough(request.last, self.state.log.last());
        let is_refused = trusts_leader && !is_wished && !mutants::is_active(112);
        if term < self.state.term || is_refused {
            self.state.counters.stale_term += u64::from(term < self.state.term);
            votes::refuse(&mut self.state, from, request);
            return;
        }
        if term > self.state.term {
            self.adopt(term);
        }
        let owed = votes::decide(&mut self.state, from, request);
        if owed.is_some() {
            // Who gave a vote is patient with its candidate (§3.4).
            let patience = self.state.draw_patience_ns();
            self.become_follower(patience);
        }
        if let Some(owed) = owed {
            self.owed_vote = owed.settle(&mut self.state).map(Box::new);
        }
    }

    /// Said by one who does not lead the present term, and never will again: a
    /// leader neither asks who leads nor for votes. So a follower that the
    /// detector keeps with a leader that stepped down is freed (rule 20).
    pub(super) fn on_leaderless_word(&mut self, from: Sender) {
        if let RoleState::Follower(follower) = &mut self.role {
            follower.on_not_leader(&mut self.state, from.node);
        }
    }

    /// Somebody misses the leader: it must show that it is there.
    fn question_leader(&mut self) {
        match &mut self.role {
            RoleState::Follower(follower) => follower.question(&mut self.state),
            RoleState::Leader(leader) => leader.doubt(),
            RoleState::Candidate(_) | RoleState::Halted => {}
        }
    }

    fn trusts_leader(&self) -> bool {
        if self.state.is_promised() {
            return true;
        }
        match &self.role {
            RoleState::Follower(follower) => follower.trusts_leader(&self.state),
            RoleState::Leader(_) => true,
            RoleState::Candidate(_) | RoleState::Halted => false,
        }
    }

    /// Takes over a higher term, as follower of nobody in it. Who waited for a
    /// leader before goes on waiting: a term is no sign of one (§3.4).
    fn adopt(&mut self, term: Term) {
        self.state.adopt_term(term);
        let waited = match &self.role {
            RoleState::Follower(follower) => follower.patience_left_ns(&self.state),
            _ => None,
        };
        let patience = waited.unwrap_or_else(|| self.state.draw_patience_ns());
        self.become_follower(patience);
    }

    fn step_in_term(&mut self, arena: &mut Arena, from: Sender, term: Term, body: &mut Body) {
        if let Body::VoteReply(reply) = body {
            // A grant of a pre-vote speaks of a term that nobody is in yet.
            if reply.kind == VoteKind::Pre && reply.granted {
                self.on_vote_reply(from, term, reply);
                return;
            }
        }
        let is_late = match body {
            Body::Ack(_) => mutants::is_active(25),
            Body::TakeOver { .. } => mutants::is_active(65),
            Body::VoteReply(reply) if term > self.state.term => {
                if reply.kind == VoteKind::Pre && mutants::is_active(12) {
                    return;
                }
                false
            }
            _ => false,
        };
        if term > self.state.term {
            if mutants::is_active(15) && matches!(self.role, RoleState::Leader(_)) {
                return;
            }
            self.adopt(term);
        } else if term < self.state.term && !is_late {
            self.state.counters.stale_term += 1;
            self.answer_stale(from, body);
            return;
        }
        match body {
            Body::Append(append) => {
                self.yield_to_leader();
                match &mut self.role {
                    RoleState::Follower(follower) => {
                        follower.on_append(&mut self.state, &from, append);
                    }
                    // Two leaders in one term: the other's word proves nothing.
                    _ => self.state.counters.impossible += 1,
                }
            }
            Body::Snapshot(_) => {
                self.yield_to_leader();
                match &mut self.role {
                    RoleState::Follower(follower) => follower.hear(&mut self.state, &from),
                    _ => self.state.counters.impossible += 1,
                }
            }
            // The driver counts what arrived; the acks tell what it came to.
            Body::SnapshotAck(_) => {}
            Body::Checkpoint(checkpoint) => self.on_others_checkpoint(from, *checkpoint),
            Body::Ack(ack) => match &mut self.role {
                RoleState::Leader(leader) => leader.on_ack(&mut self.state, &from, ack),
                _ => self.state.counters.stale += 1,
            },
            Body::VoteReply(reply) => self.on_vote_reply(from, term, reply),
            Body::NotLeader { .. } => self.on_leaderless_word(from),
            Body::TakeOver { last } => self.on_take_over(from, *last),
            Body::ReadReply { run, read, index } => self.on_read_reply(from, *run, *read, *index),
            Body::Probe | Body::Read { .. } | Body::Forward(_) => {
                self.on_request(arena, from, body);
            }
            // The driver keeps what it forwarded; here it is a sign of life.
            Body::ForwardReply(reply) => {
                if let (RoleState::Follower(follower), ForwardOutcome::Appended { .. }) =
                    (&mut self.role, reply.outcome)
                {
                    follower.hear(&mut self.state, &from);
                }
            }
            Body::Membership(said) => self.on_membership(from, said),
            Body::VoteRequest(_) => unreachable!("dispatched by step"),
        }
    }

    /// Somebody leads this term: who campaigned in it gives up.
    fn yield_to_leader(&mut self) {
        if let RoleState::Candidate(_) = &self.role {
            let patience = self.state.draw_patience_ns();
            self.become_follower(patience);
        }
    }

    /// Another member asks for something that only a leader can give.
    fn on_request(&mut self, arena: &mut Arena, from: Sender, body: &Body) {
        self.on_leaderless_word(from);
        let leader = self.leader();
        match (&mut self.role, body) {
            (RoleState::Leader(role), Body::Probe) => role.on_probe(from.node),
            (RoleState::Leader(role), Body::Read { run, read }) => {
                role.on_read(&self.state, from, *run, *read);
            }
            (RoleState::Leader(role), Body::Forward(forward)) => {
                role.on_forward(&mut self.state, arena, from, forward);
            }
            (_, body) => self.decline(from, leader, body),
        }
    }

    /// Answers a request as one who does not lead.
    fn decline(&mut self, from: Sender, leader: Option<NodeId>, body: &Body) {
        let answer = match body {
            &Body::Read { run, read } => Body::ReadReply { run, read, index: None },
            Body::Forward(forward) => {
                let outcome = ForwardOutcome::Refused { leader };
                Body::ForwardReply(reply_to(from, forward, outcome))
            }
            _ => Body::NotLeader { leader },
        };
        self.state.send(from.node, answer);
    }

    /// A message of a past term: the answer's term is what helps (rule 19).
    fn answer_stale(&mut self, from: Sender, body: &Body) {
        let leader = self.leader();
        match body {
            Body::Append(_)
            | Body::Snapshot(_)
            | Body::Probe
            | Body::Read { .. }
            | Body::Forward(_) => {
                self.decline(from, leader, body);
            }
            Body::Membership(said)
                if matches!(**said, Membership::Ask { .. } | Membership::Cancel { .. }) =>
            {
                self.on_membership(from, said);
            }
            _ => {}
        }
    }

    fn on_vote_reply(&mut self, from: Sender, term: Term, reply: &VoteReply) {
        if let RoleState::Candidate(candidate) = &mut self.role {
            candidate.on_vote_reply(&mut self.state, from.node, term, reply);
            self.count_votes();
            return;
        }
        if mutants::is_active(11) && reply.granted && matches!(self.role, RoleState::Leader(_)) {
            self.stand_for_election(VoteKind::Real);
        }
        self.state.counters.stale += 1;
    }

    fn on_read_reply(&mut self, from: Sender, run: Run, read: ReadId, index: Option<Index>) {
        let RoleState::Follower(follower) = &mut self.role else {
            self.state.counters.stale += 1;
            return;
        };
        match index {
            Some(index) => {
                if self.reads.on_reply(&mut self.state, run, read, index) {
                    follower.hear(&mut self.state, &from);
                }
            }
            None => follower.on_not_leader(&mut self.state, from.node),
        }
    }
}

/// Whether every index and term of a message leaves room for arithmetic
/// (rule 24).
fn numbers_in_range(term: Term, body: &Body) -> bool {
    let fine = |id: LogId| id.index.get() < NUMBER_MAX && id.term.get() < NUMBER_MAX;
    match body {
        Body::Append(append) => is_append_in_range_any(term, append),
        Body::VoteRequest(request) => fine(request.last),
        &Body::TakeOver { last } => fine(last),
        Body::Snapshot(part) => fine(part.last),
        Body::SnapshotAck(ack) => fine(ack.last),
        Body::ReadReply { index, .. } => index.is_none_or(|index| index.get() < NUMBER_MAX),
        _ => true,
    }
}

/// The same of an append of term `term`, mostly by one test of all numbers.
#[inline]
fn is_append_in_range(term: Term, append: &Append) -> bool {
    let Append { previous, commit, configuration, .. } = append;
    let Some((first, last)) = append.entries.one_span() else {
        return !term.is_exhausted() && is_append_in_range_any(term, append);
    };
    // Where a bit above those of the largest number is set, one of them is too
    // large; where none is, each is at most the largest.
    let all = previous.index.get() | previous.term.get() | commit.get();
    let all = all | configuration.get() | term.get() | last.index.get();
    let fits = all < NUMBER_MAX
        && first.index.get() == previous.index.get() + 1
        && first.term >= previous.term
        && last.term <= term;
    fits || (!term.is_exhausted() && is_append_in_range_any(term, append))
}

#[inline(never)]
fn is_append_in_range_any(term: Term, append: &Append) -> bool {
    let fine = |id: LogId| id.index.get() < NUMBER_MAX && id.term.get() < NUMBER_MAX;
    fine(append.previous)
        && append.commit.get() < NUMBER_MAX
        && append.configuration.get() < NUMBER_MAX
        && entries_follow(term, append)
}

/// Whether entries begin right behind `previous`, in no lower term, and end in
/// no higher one than their message's.
fn entries_follow(term: Term, append: &Append) -> bool {
    let (Some(first), Some(last)) = (append.entries.chunks().next(), append.entries.last()) else {
        return true;
    };
    first.first() == append.previous.index.next()
        && first.term() >= append.previous.term
        && last.term <= term
        && last.index.get() < NUMBER_MAX
}
