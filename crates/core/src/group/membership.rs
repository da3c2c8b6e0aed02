//! Membership as a member's caller and other members see it: changes asked
//! for, a leader that hands its office on because it left, and what one who
//! was removed is told (§4.2.2, §4.2.3, rules 18, 22).
//!
//! Not here: the steps of a change (`leader/change.rs`).

use crate::change::Change;
use crate::error::ChangeError;
use crate::group::{Group, RoleState};
use crate::ids::{Index, LogId, NodeId, Sender, Term};
use crate::membership::{Configuration, Member};
use crate::message::{Body, Membership};
use crate::output::Event;
use crate::time::Now;

impl Group {
    /// Asks the leader, which this member must be, for other members: any set
    /// to any set, by joint consensus where more than one voter differs (§4.3).
    /// `expected` is where the configuration stands on which the wish rests.
    ///
    /// Begins the change, or tells how it stands: ask again with the same
    /// arguments until it is done or refused, here or at a later leader. New
    /// voters catch up first, as learners.
    ///
    /// # Errors
    /// [`ChangeError`]. Where it says that the change did not begin, nothing
    /// was appended.
    pub fn change_members(
        &mut self,
        now: Now,
        expected: Index,
        members: Vec<Member>,
    ) -> Result<Change, ChangeError> {
        self.state.now = now;
        let target = Configuration::new(members)?;
        let leader = self.leader();
        let RoleState::Leader(role) = &mut self.role else {
            return Err(ChangeError::NotLeader { leader, term: self.state.term });
        };
        role.change(&mut self.state, expected, target)
    }

    /// Gives up a change that still waits for members to catch up; those that
    /// it seated stay learners.
    ///
    /// # Errors
    /// [`ChangeError::TooLate`] once its first voting entry is in the log,
    /// [`ChangeError::NoChange`] when none is under way.
    pub fn cancel_change(&mut self, now: Now) -> Result<(), ChangeError> {
        self.state.now = now;
        let leader = self.leader();
        let RoleState::Leader(role) = &mut self.role else {
            return Err(ChangeError::NotLeader { leader, term: self.state.term });
        };
        role.cancel_change(&self.state)
    }

    /// A member asks on behalf of its callers.
    pub(super) fn on_membership(&mut self, from: Sender, said: &Membership) {
        let (run, ask, outcome) = match said {
            Membership::Ask { run, ask, expected, target } => {
                self.on_leaderless_word(from);
                let members = target.members().to_vec();
                (*run, *ask, self.change_members(self.state.now, *expected, members))
            }
            Membership::Cancel { run, ask } => {
                self.on_leaderless_word(from);
                let index = self.state.log.configuration().0;
                let cancelled = self.cancel_change(self.state.now);
                (*run, *ask, cancelled.map(|()| Change::UnderWay { index }))
            }
            Membership::Answer { outcome: Err(ChangeError::NotLeader { .. }), .. } => {
                self.on_leaderless_word(from);
                return;
            }
            // The driver keeps what it asked; here it is a sign of life.
            Membership::Answer { outcome, .. } => {
                if let (RoleState::Follower(follower), Ok(_)) = (&mut self.role, outcome) {
                    follower.hear(&mut self.state, &from);
                }
                return;
            }
            // Taken in any term, before all else.
            Membership::Removed { .. } => return,
        };
        let answer = Membership::Answer { run, ask, outcome };
        self.state.send(from.node, Body::Membership(Box::new(answer)));
    }

    /// A message of one who holds no seat here. Nothing that it says counts,
    /// with one exception: a leader's own word that it leads no more.
    pub(super) fn on_stranger(&mut self, from: Sender, term: Term, body: &Body) {
        let is_leaderless = matches!(body, Body::NotLeader { .. } | Body::Probe);
        if is_leaderless && term == self.state.term {
            self.on_leaderless_word(from);
        }
        self.state.counters.stranger += 1;
        // One that goes on asking knows no better.
        if matches!(body, Body::Probe | Body::Read { .. } | Body::Forward(_)) {
            self.tell_unseated(from.node);
        }
    }

    /// Tells a node that it holds no seat as of what is committed here. One
    /// whose seat came later knows better, and takes no notice.
    pub(super) fn tell_unseated(&mut self, node: NodeId) {
        if self.state.is_unseated(node) {
            let removed = Membership::Removed { as_of: self.state.committed() };
            self.state.send(node, Body::Membership(Box::new(removed)));
        }
    }

    /// Somebody says that this member holds no seat as of an entry that is
    /// committed there. It asks and campaigns no more; a leader that seats it
    /// again revives it.
    pub(super) fn on_removed(&mut self, as_of: LogId) {
        let (index, _) = self.state.log.configuration();
        // An earlier seat was lost since, or never came to be: what is committed
        // in a later term proves that, as in the log. A later one may be the one
        // that counts; and one who has a later configuration, with or without a
        // seat, may be the only one who can be elected (§4.2.2).
        let seated = match self.state.log.term_at(index) {
            Some(term) => LogId { term, index },
            None => self.state.log.base(),
        };
        let is_news = as_of >= seated;
        if !is_news || self.state.is_dismissed || matches!(self.role, RoleState::Leader(_)) {
            self.state.counters.stale += 1;
            return;
        }
        self.state.is_dismissed = true;
        self.state.event(Event::Removed { as_of });
        let patience = self.state.draw_patience_ns();
        self.become_follower(patience);
    }

    /// The configuration without this leader is committed: hands its office to
    /// the best of those who stay, or tells all that it leads no more.
    ///
    /// Both may be lost: then it goes on saying so by asking who leads, until
    /// somebody does or tells it that it was removed.
    pub(super) fn retire(&mut self) {
        let RoleState::Leader(leader) = &self.role else {
            return;
        };
        let last = self.state.log.last();
        let successor = leader.successor(&self.state, None);
        if let Some(successor) = successor {
            self.state.send(successor, Body::TakeOver { last });
        }
        // Those who stay would get into the successor's way.
        for peer in leader.peers() {
            if successor.is_none() || peer.farewell().is_some() {
                self.state.send(peer.node, Body::NotLeader { leader: None });
            }
        }
        self.step_down();
    }
}
