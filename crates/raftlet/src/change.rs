//! Changes of the members that callers of a shard wait for.
//!
//! A change is asked of whoever leads, here or by message, again and again
//! until the answer is final: asking is idempotent (`raftlet_core::Change`), so
//! nothing has to be remembered but the question. They are rare: the shard
//! holds them in one place and a group pays nothing.
//!
//! Invariants
//! - Every asking ends once, and only with what a leader has said, or for want
//!   of one.
//! - A wish that names one member is worked out anew when the members changed
//!   meanwhile; a wish for a whole set is refused then.
//! - At most [`CHANGES_MAX`] wait on a shard (rule 42).
//!
//! Not here: turns (`shard/changes.rs`), the steps of a change (the core).

use crate::answer::Answer;
use crate::error::ChangeError;
use crate::timers::Slot;
use raftlet_core::{
    self as core, Configuration, Index, Member, MemberRole, Membership, NodeId, Run, Time,
};

/// Changes of one shard that have not ended. Operators ask for a few.
pub(crate) const CHANGES_MAX: usize = 1_024;

pub(crate) type Answering = Answer<Result<Index, ChangeError>>;

/// What somebody wants of the members.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// These and no others, decided on the configuration at this index.
    Set(Index, Vec<Member>),
    /// This member, unless it is one.
    Add(Member),
    /// This member counts, or not.
    Role(NodeId, MemberRole),
    /// This member no more.
    Remove(NodeId),
    /// This member at another address, or of another priority, or both.
    Update(NodeId, Option<String>, Option<u8>),
    /// No change after all.
    Cancel,
}

impl Wish {
    /// The question for a leader, as the members stand here.
    pub(crate) fn question(
        &self,
        index: Index,
        current: &Configuration,
    ) -> Result<(Index, Vec<Member>), ChangeError> {
        let mut members = current.members().to_vec();
        match self {
            Self::Set(expected, wanted) => return Ok((*expected, wanted.clone())),
            Self::Role(node, role) => seat_of(&mut members, *node)?.role = *role,
            Self::Update(node, address, priority) => {
                let seat = seat_of(&mut members, *node)?;
                address.iter().for_each(|address| seat.address.clone_from(address));
                seat.priority = priority.unwrap_or(seat.priority);
            }
            Self::Remove(node) => members.retain(|member| member.node != *node),
            Self::Add(member) => match seat_of(&mut members, member.node) {
                Ok(seated) if seated.incarnation == member.incarnation => {}
                // Another life of it: the leader says what to do.
                Ok(seated) => *seated = member.clone(),
                Err(_) => members.push(member.clone()),
            },
            Self::Cancel => {}
        }
        Ok((index, members))
    }
}

fn seat_of(members: &mut [Member], node: NodeId) -> Result<&mut Member, ChangeError> {
    let seat = members.iter_mut().find(|member| member.node == node);
    seat.ok_or(ChangeError::NoMember { node })
}

/// A change that ended, to be told outside of the shard's state.
pub(crate) struct EndedChange {
    pub(crate) answer: Answering,
    pub(crate) outcome: Result<Index, ChangeError>,
}

/// A change that somebody waits for.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) id: u64,
    pub(crate) slot: Slot,
    pub(crate) wish: Wish,
    /// As asked last, until it is refused as out of date.
    pub(crate) question: Option<(Index, Vec<Member>)>,
    pub(crate) ask_at: Time,
    /// Without a word of a leader until then it ends; set by the first turn.
    pub(crate) ends_at: Option<Time>,
    /// Whether a leader may have heard of it.
    pub(crate) is_asked: bool,
    answer: Answering,
}

/// What a leader's word means for who waits.
pub(crate) enum Verdict {
    /// Over.
    Ended(Result<Index, ChangeError>),
    /// The leader works on it.
    GoesOn,
    /// Nobody to decide at the moment.
    AskAgain,
    /// The members changed since it was worked out.
    WorkOutAnew,
}

/// Judges a leader's answer to `wish`.
pub(crate) fn judge(wish: &Wish, outcome: Result<core::Change, core::ChangeError>) -> Verdict {
    use core::{Change, ChangeError as Refusal};
    match outcome {
        Ok(Change::Done { index } | Change::UnderWay { index }) if matches!(wish, Wish::Cancel) => {
            Verdict::Ended(Ok(index))
        }
        Ok(Change::Done { index }) => Verdict::Ended(Ok(index)),
        Ok(Change::UnderWay { .. }) => Verdict::GoesOn,
        Err(Refusal::NotLeader { .. } | Refusal::NotReady | Refusal::Transferring) => {
            Verdict::AskAgain
        }
        Err(Refusal::Version { .. }) if !matches!(wish, Wish::Set(..)) => Verdict::WorkOutAnew,
        Err(refusal) => Verdict::Ended(Err(ChangeError::Refused(refusal))),
    }
}

/// The changes of one shard.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) waiting: Vec<Waiting>,
    /// Arrived in this turn.
    answers: Vec<LeadersAnswer>,
    ids: u64,
}

/// A leader's answer to a question of this run, or of an earlier one.
#[derive(Debug)]
pub(crate) struct LeadersAnswer {
    pub(crate) slot: Slot,
    pub(crate) run: Run,
    pub(crate) ask: u64,
    pub(crate) outcome: Result<core::Change, core::ChangeError>,
}

impl Changes {
    /// Takes one in, or gives the answer back: too many wait.
    pub(crate) fn ask(&mut self, slot: Slot, wish: Wish, answer: Answering) -> Option<Answering> {
        if self.waiting.len() >= CHANGES_MAX {
            return Some(answer);
        }
        self.ids += 1;
        self.waiting.push(Waiting {
            id: self.ids,
            slot,
            wish,
            question: None,
            ask_at: Time::ZERO,
            ends_at: None,
            is_asked: false,
            answer,
        });
        None
    }

    /// Keeps a leader's answer for later in the turn, if somebody waits.
    pub(crate) fn note_answer(&mut self, slot: Slot, said: &Membership) {
        if let Membership::Answer { run, ask, outcome } = said
            && self.waiting.iter().any(|waiting| waiting.slot == slot && waiting.id == *ask)
        {
            self.answers.push(LeadersAnswer { slot, run: *run, ask: *ask, outcome: *outcome });
        }
    }

    pub(crate) fn take_answers(&mut self) -> Vec<LeadersAnswer> {
        std::mem::take(&mut self.answers)
    }

    /// Whether some have not been asked yet.
    pub(crate) fn is_asked(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.ends_at.is_none())
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.waiting.iter().map(|waiting| waiting.ask_at).min()
    }

    /// Ends the one at a place.
    pub(crate) fn end(&mut self, at: usize, outcome: Result<Index, ChangeError>) -> EndedChange {
        EndedChange { answer: self.waiting.remove(at).answer, outcome }
    }

    /// The group takes no part any more, or the whole shard.
    pub(crate) fn on_halt(
        &mut self,
        halted: Option<Slot>,
        error: &ChangeError,
    ) -> Vec<EndedChange> {
        let is_meant = move |waiting: &mut Waiting| halted.is_none_or(|slot| slot == waiting.slot);
        let ended = self.waiting.extract_if(.., is_meant);
        ended
            .map(|waiting| EndedChange { answer: waiting.answer, outcome: Err(error.clone()) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, Wish, judge};
    use crate::error::ChangeError;
    use raftlet_core::{
        self as core, Configuration, Incarnation, Index, Member, MemberRole, NodeId,
        PRIORITY_DEFAULT,
    };

    fn member(node: u64, role: MemberRole) -> Member {
        Member {
            node: NodeId::new(node),
            incarnation: Incarnation(u128::from(node)),
            role,
            priority: PRIORITY_DEFAULT,
            address: format!("n{node}:1"),
        }
    }

    #[test]
    fn a_wish_for_one_member_leaves_the_others_as_they_are() {
        let voters = vec![member(1, MemberRole::Voter), member(2, MemberRole::Voter)];
        let current = Configuration::new(voters).unwrap();
        let set = |wish: Wish| {
            let (index, members) = wish.question(Index::new(4), &current).unwrap();
            assert_eq!(index, Index::new(4));
            let one = |m: Member| (m.node.get(), m.role == MemberRole::Voter, m.address);
            members.into_iter().map(one).collect::<Vec<_>>()
        };
        let at = |node: u64, votes| (node, votes, format!("n{node}:1"));
        let third = member(3, MemberRole::Learner);
        assert_eq!(set(Wish::Add(third)), [at(1, true), at(2, true), at(3, false)]);
        let demoted = Wish::Role(NodeId::new(2), MemberRole::Learner);
        assert_eq!(set(demoted), [at(1, true), at(2, false)]);
        assert_eq!(set(Wish::Remove(NodeId::new(2))), [at(1, true)]);
        assert_eq!(set(Wish::Remove(NodeId::new(9))), [at(1, true), at(2, true)]);
        let first = NodeId::new(1);
        let moved = set(Wish::Update(first, Some("else:2".to_owned()), None));
        assert_eq!(moved, [(1, true, "else:2".to_owned()), at(2, true)]);
        let rather = Wish::Update(first, None, Some(7)).question(Index::new(4), &current).unwrap();
        assert_eq!((rather.1[0].priority, &*rather.1[0].address), (7, "n1:1"));
        // Adding who is there changes nothing, not even its role.
        assert_eq!(set(Wish::Add(member(2, MemberRole::Learner))), [at(1, true), at(2, true)]);
        let node = NodeId::new(9);
        let nobody = Wish::Role(node, MemberRole::Voter).question(Index::ZERO, &current);
        assert_eq!(nobody, Err(ChangeError::NoMember { node }));
    }

    #[test]
    fn a_set_is_refused_where_the_members_changed_and_a_wish_for_one_is_not() {
        let moved =
            || Err(core::ChangeError::Version { expected: Index::new(1), current: Index::new(2) });
        let set = Wish::Set(Index::new(1), Vec::new());
        assert!(matches!(judge(&set, moved()), Verdict::Ended(Err(ChangeError::Refused(_)))));
        assert!(matches!(judge(&Wish::Remove(NodeId::new(1)), moved()), Verdict::WorkOutAnew));
        let under_way = Ok(core::Change::UnderWay { index: Index::new(2) });
        assert!(matches!(judge(&set, under_way), Verdict::GoesOn));
        assert!(matches!(judge(&set, Err(core::ChangeError::NotReady)), Verdict::AskAgain));
    }
}
