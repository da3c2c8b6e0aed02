//! What a handle can do about the group's members.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Group;
use crate::answer::{Waiting, answer};
use crate::change::Wish;
use crate::error::ChangeError;
use crate::port::Ports;
use raftlet_core::{Configuration, Index, Member, MemberRole, NodeId};

/// Members, on any member: the leader is asked (D8). Each of the changes is
/// taken in by the call, not by the first poll, and waits until a
/// configuration with the members asked for is committed; its index is the
/// answer. One change at a time: another is refused meanwhile, by name.
///
/// # Errors
/// [`ChangeError`] tells *not done* from *unknown*. Either way the same may be
/// asked again: what is there already succeeds without an entry.
///
/// # Cancel safety
/// Dropping the future stops waiting and nothing else: the change goes on.
impl<P: Ports> Group<P> {
    /// The configuration in effect as this member has it, committed or not,
    /// and where it stands in the log.
    #[must_use]
    pub fn members(&self) -> (Index, Configuration) {
        let members = self.shared.state.with(|state| state.members_of(self.slot));
        members.expect("a handle's slot is a group's")
    }

    /// Any set to any set: by joint consensus where more than one voter
    /// differs (§4.3). New voters catch up as learners first, which may take as
    /// long as their logs are short and can be watched in
    /// [`status`](Self::status) and [cancelled](Self::cancel_change).
    ///
    /// `expected` is the index of the configuration on which the wish rests
    /// ([`members`](Self::members)): where another is in effect by now the
    /// change is refused.
    pub fn change_members(&self, expected: Index, members: Vec<Member>) -> Changing {
        self.change(Wish::Set(expected, members))
    }

    /// Adds a member that receives the log and counts nowhere (§4.2.1).
    /// Whatever `member` says of its role, it is a learner.
    pub fn add_learner(&self, member: Member) -> Changing {
        self.change(Wish::Add(Member { role: MemberRole::Learner, ..member }))
    }

    /// Makes a member a voter, once it has caught up.
    pub fn promote(&self, node: NodeId) -> Changing {
        self.change(Wish::Role(node, MemberRole::Voter))
    }

    /// Makes a voter a learner. Where it leads, it leads until that is
    /// committed, then hands over.
    pub fn demote(&self, node: NodeId) -> Changing {
        self.change(Wish::Role(node, MemberRole::Learner))
    }

    /// Removes a member. Where it leads, it leads until that is committed, then
    /// hands over.
    pub fn remove(&self, node: NodeId) -> Changing {
        self.change(Wish::Remove(node))
    }

    /// Says where a member is reached from now on, under its id.
    pub fn update_address(&self, node: NodeId, address: String) -> Changing {
        self.update_member(node, Some(address), None)
    }

    /// Says whether a voter should lead rather than others: the higher, the
    /// rather; [`PRIORITY_DEFAULT`](crate::core::PRIORITY_DEFAULT) where nothing
    /// was said. A preference and no condition: whoever can be elected leads, and
    /// gives way to a better one that keeps up, after four election timeouts in
    /// office at least. So a transfer to a voter of lower priority does not last;
    /// change the priority first. All members alike know it, from the log.
    pub fn set_priority(&self, node: NodeId, priority: u8) -> Changing {
        self.update_member(node, None, Some(priority))
    }

    /// [`update_address`](Self::update_address) and
    /// [`set_priority`](Self::set_priority) in one change; what is `None` stays.
    pub fn update_member(
        &self,
        node: NodeId,
        address: Option<String>,
        priority: Option<u8>,
    ) -> Changing {
        self.change(Wish::Update(node, address, priority))
    }

    /// Gives up the change that waits for members to catch up; those that it
    /// added stay learners. Too late once its first voting entry is in the log.
    pub fn cancel_change(&self) -> Changing {
        self.change(Wish::Cancel)
    }

    fn change(&self, wish: Wish) -> Changing {
        let (give, waiting) = answer();
        match self.shared.state.with(|state| state.accept_change(self.slot, wish, give)) {
            Some((give, reason)) => give.give(Err(reason)),
            None => self.shared.signal.raise(),
        }
        Changing(waiting)
    }
}

/// A change of the members on its way. Awaiting it gives the index of the
/// committed configuration.
#[derive(Debug)]
#[must_use = "whether the members changed is known only to who awaits it"]
pub struct Changing(Waiting<Result<Index, ChangeError>>);

impl Future for Changing {
    type Output = Result<Index, ChangeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = Pin::new(&mut self.0).poll(cx);
        ended.map(|outcome| outcome.unwrap_or(Err(ChangeError::Stopped)))
    }
}
