//! The third phase: links are cut for good, and a quorum that can talk must go
//! on.
//!
//! The cuts are those that stop clusters in practice: a leader apart from one
//! follower only, one way or both; a leader that hears nobody, or that nobody
//! hears; two halves that meet in one member. Failure detectors need a round
//! trip: where there are any, both ends of a cut suspect each other.
//!
//! What is demanded: fresh commands commit; a leader that keeps a quorum keeps
//! its office, or loses it once; and in the end nobody is elected any more.

use super::event::Event;
use super::invariants::{self, Violation, ensure};
use super::judge::is_leader;
use super::plan::Healing;
use super::roster::node_at;
use super::world::World;
use crate::random::Random;
use crate::tally::Mark;
use raftlet::core::{Liveness, Term};

/// Election timeouts that a fresh command may take, leaders' falls included.
const COMMIT_TIMEOUTS: u64 = 40;
/// How long leadership is watched when all should be said.
const WATCHED_TIMEOUTS: u64 = 10;
/// Leaders that may follow one that lost its quorum: candidates that had their
/// pre-votes when the first of them won may win a later term.
const SUCCESSORS_MAX: usize = 3;

/// Leaders that may follow for the sake of preferences.
const PREFERRED_MAX: usize = 2;
/// Terms that a cut which leaves the leader a quorum may cost.
const TERMS_MAX: u64 = 2;

/// What is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Leader and one follower, both ways.
    Apart,
    /// What the leader tells one follower.
    DeafFollower,
    /// What one follower tells the leader.
    MuteFollower,
    /// Everything that is told to the leader.
    DeafLeader,
    /// Everything that the leader tells.
    MuteLeader,
    /// Two halves, but for one member.
    Bridge,
}

impl Cut {
    fn draw(random: &mut Random, members: usize) -> Self {
        match random.below(if members >= 5 { 7 } else { 5 }) {
            0 => Self::Apart,
            1 => Self::DeafFollower,
            2 => Self::MuteFollower,
            3 => Self::DeafLeader,
            4 => Self::MuteLeader,
            _ => Self::Bridge,
        }
    }

    /// Whether the leader still talks with a quorum both ways.
    fn leaves_the_leader_a_quorum(self) -> bool {
        !matches!(self, Self::DeafLeader | Self::MuteLeader)
    }
}

impl World {
    /// Cuts links for good and demands that work goes on.
    pub(super) fn run_severed(&mut self) -> Result<(), Violation> {
        let Some((leader, others)) = self.leader_and_others() else {
            return Ok(());
        };
        for seat in others.iter().copied() {
            ensure(!self.members[seat].durable.is_harmed(), invariants::HEALS, || {
                format!("node {} lost entries and is not refilled", node_at(seat))
            })?;
        }
        let cut = Cut::draw(&mut self.random.mischief, others.len() + 1);
        self.judge.tally.mark(Mark::Severed);
        self.tell(leader, || format!("leads, and this is cut for good: {cut:?}"));
        let term = self.members[leader].view.term;
        for (from, to) in self.links(cut, leader, &others) {
            self.network.sever_link(from, to);
            self.suspect_each_other(from, to);
        }
        if self.random.mischief.coin() {
            // Nothing is appended: who is cut off has a log as good as any.
            self.pass(WATCHED_TIMEOUTS * self.plan.timeout_ns())?;
        }
        for _ in 0..2 {
            self.commit_somehow(cut)?;
        }
        let elected = self.judge.elected_after(term);
        // Who should lead rather gets the office back; one that reaches the
        // leader and no quorum may try for it now and then.
        let preferred = if self.plan.priorities.is_empty() { 0 } else { PREFERRED_MAX };
        let allowed = if cut.leaves_the_leader_a_quorum() { 1 } else { SUCCESSORS_MAX };
        let allowed = allowed + preferred;
        ensure(elected <= allowed, invariants::QUORUM_GOES_ON, || {
            format!("{elected} leaders after that of term {term}, {cut:?}")
        })?;
        let grown = self.highest_term().get() - term.get();
        let tries = 2 * u64::try_from(preferred).expect("a small number");
        let is_quiet = !cut.leaves_the_leader_a_quorum() || grown <= TERMS_MAX + tries;
        ensure(is_quiet, invariants::TERMS_SETTLE, || format!("{grown} terms later, {cut:?}"))?;
        let before = self.highest_term();
        self.pass(WATCHED_TIMEOUTS * self.plan.timeout_ns())?;
        let (later, after) = (self.judge.elected_after(term) - elected, self.highest_term());
        let is_settled = later <= preferred && after.get() - before.get() <= tries;
        ensure(is_settled, invariants::TERMS_SETTLE, || {
            format!("{later} more leaders, and term {before} became {after}, {cut:?}")
        })
    }

    /// The seats of the leader and of the other voters, where there are two at
    /// least and no change of the members is under way. One that lost a longer log
    /// than the leader has gives no vote until that has grown, or a later term has
    /// begun (D29): with it a quorum may be unable to elect.
    fn leader_and_others(&self) -> Option<(usize, Vec<usize>)> {
        let leads = self.members.iter().enumerate().filter(|(_, member)| is_leader(member));
        let (leader, member) = leads.max_by_key(|(_, member)| member.view.term)?;
        let configuration = member.group.as_ref()?.configuration();
        let is_other = |seat: &usize| *seat != leader && configuration.is_voter(node_at(*seat));
        let others: Vec<usize> = (0..self.members.len()).filter(is_other).collect();
        let last = member.durable.last();
        let may_be_whole = |seat: &usize| self.members[*seat].durable.would_be_whole_at(last);
        let is_settled = !configuration.is_joint()
            && configuration.is_voter(member.node)
            && others.iter().all(may_be_whole);
        (is_settled && self.lost.is_empty() && others.len() >= 2).then_some((leader, others))
    }

    /// The directed links of a cut.
    fn links(&mut self, cut: Cut, leader: usize, others: &[usize]) -> Vec<(usize, usize)> {
        let other = others[self.random.mischief.index(others.len())];
        let to = |seat| (leader, seat);
        let from = |seat| (seat, leader);
        match cut {
            Cut::Apart => vec![to(other), from(other)],
            Cut::DeafFollower => vec![to(other)],
            Cut::MuteFollower => vec![from(other)],
            Cut::DeafLeader => others.iter().copied().map(from).collect(),
            Cut::MuteLeader => others.iter().copied().map(to).collect(),
            Cut::Bridge => {
                // Halves of the seats in a random order, the last the bridge.
                let mut seats: Vec<usize> = others.iter().copied().chain([leader]).collect();
                for at in (1..seats.len()).rev() {
                    seats.swap(at, self.random.mischief.index(at + 1));
                }
                seats.pop();
                let (one, other) = seats.split_at(seats.len() / 2);
                let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (*a, *b)));
                pairs.flat_map(|(a, b)| [(a, b), (b, a)]).collect()
            }
        }
    }

    /// Detectors, where there are any, see that no round trip works any more.
    fn suspect_each_other(&mut self, one: usize, other: usize) {
        if self.plan.healing != Healing::AllVouched {
            return;
        }
        for (seat, about) in [(one, other), (other, one)] {
            let about = self.members[about].node;
            let delay = self.plan.timeout_ns() + self.random.mischief.below(self.plan.timeout_ns());
            self.after(delay, Event::Rumour { seat, about, says: Liveness::Suspected });
        }
    }

    fn highest_term(&self) -> Term {
        self.members.iter().map(|member| member.view.term).max().unwrap_or_default()
    }

    /// A command commits, asked again while it does not.
    fn commit_somehow(&mut self, cut: Cut) -> Result<(), Violation> {
        let fresh = self.judge.committed_len().next();
        for _ in 0..COMMIT_TIMEOUTS / 4 {
            // Of those that believe to lead, the latest is right.
            let leads = self.members.iter().enumerate().filter(|(_, member)| is_leader(member));
            let latest = leads.max_by_key(|(_, member)| member.view.term);
            if let Some(seat) = latest.map(|(seat, _)| seat) {
                self.propose_on(seat, 1)?;
            }
            self.pass(4 * self.plan.timeout_ns())?;
            if self.judge.committed_len() >= fresh {
                return Ok(());
            }
        }
        let views = || -> Vec<(Option<_>, Term)> {
            self.members.iter().map(|member| (member.view.role, member.view.term)).collect()
        };
        ensure(false, invariants::QUORUM_GOES_ON, || {
            format!(
                "nothing commits in {COMMIT_TIMEOUTS} election timeouts, {cut:?}: {:?}",
                views()
            )
        })
    }
}
