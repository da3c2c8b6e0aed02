//! Counting votes, against a list of who said what first: every sequence of
//! answers, as long as they are few.

use super::{fresh, group, sender};
use crate::entry::arena::Arena;
use crate::group::Group;
use crate::ids::{Generation, Incarnation, NodeId, Term};
use crate::membership::{Configuration, Member, PRIORITY_DEFAULT, Role as MemberRole};
use crate::message::{Body, Message, VoteKind, VoteReply};
use crate::output::{HardState, Output, Role};
use crate::time::{Now, WallMs};

/// Somebody who holds no seat.
const STRANGER: u64 = 9;

/// One answer on its way to node 1.
#[derive(Clone, Copy, Debug)]
struct Answer {
    from: u64,
    granted: bool,
    /// Of the campaign that is under way.
    is_current: bool,
}

/// Voters 1 to `voters`, and one learner behind them.
fn members(voters: u64) -> Configuration {
    let member = |node| Member {
        node: NodeId::new(node),
        incarnation: Incarnation(u128::from(node)),
        role: if node > voters { MemberRole::Learner } else { MemberRole::Voter },
        priority: PRIORITY_DEFAULT,
        address: String::new(),
    };
    Configuration::new((1..=voters + 1).map(member).collect()).unwrap()
}

/// Node 1, its clock and its output.
struct Campaign {
    group: Group,
    now: Now,
    out: Output,
    /// The number of the campaign, as its requests say.
    number: u64,
}

impl Campaign {
    /// Node 1 asks for pre-votes.
    fn pre(configuration: &Configuration) -> Self {
        let mut known = fresh(configuration);
        // One that has taken part before.
        known.hard_state = HardState { term: Term::new(4), vote: None };
        let group = group(1, known);
        let mut campaign = Self { group, now: Now::default(), out: Output::default(), number: 0 };
        while campaign.group.role() == Role::Follower {
            let time = campaign.group.next_deadline().unwrap();
            campaign.now = Now { time, wall: WallMs(0) };
            campaign.group.on_deadline(campaign.now);
        }
        campaign.drain();
        campaign
    }

    /// Node 1 asks for votes: a quorum would give them.
    fn real(configuration: &Configuration, voters: u64) -> Self {
        let mut campaign = Self::pre(configuration);
        for from in 2..=voters / 2 + 1 {
            campaign.answer(VoteKind::Pre, Answer { from, granted: true, is_current: true });
        }
        assert_eq!(campaign.group.role(), Role::Candidate);
        campaign.drain();
        campaign
    }

    /// Obeys the output; writes end at once.
    fn drain(&mut self) {
        loop {
            self.group.drain(&mut self.out);
            for envelope in self.out.messages.drain(..) {
                if let Body::VoteRequest(request) = envelope.message.body {
                    self.number = request.campaign;
                }
            }
            let Some(persist) = self.out.persist.take() else {
                return;
            };
            self.group.on_persisted(self.now, persist.ticket);
        }
    }

    fn answer(&mut self, kind: VoteKind, answer: Answer) {
        let Answer { from, granted, is_current } = answer;
        let campaign = if is_current { self.number } else { self.number + 1 };
        // A granted pre-vote echoes the term that was asked for.
        let term = self.group.term();
        let term = if kind == VoteKind::Pre && granted { term.next() } else { term };
        let body = Body::VoteReply(VoteReply { kind, campaign, granted });
        let mut message = Message { generation: Generation::new(1), term, body };
        self.group.step(self.now, &mut Arena::default(), sender(from), &mut message);
    }
}

/// What counting by hand says after these answers: won, lost, or neither.
fn by_hand(voters: u64, answers: &[Answer]) -> Option<bool> {
    let first = |node: u64| {
        let of_node = |answer: &&Answer| answer.from == node && answer.is_current;
        answers.iter().find(of_node).map(|answer| answer.granted)
    };
    let said = |what: bool| {
        let said = (2..=voters).filter(|node| first(*node) == Some(what)).count();
        u64::try_from(said).unwrap()
    };
    if (1 + said(true)) * 2 > voters {
        return Some(true);
    }
    ((voters - said(false)) * 2 <= voters).then_some(false)
}

/// Plays every sequence of up to `len` answers; returns how many.
fn play(voters: u64, kind: VoteKind, len: usize, campaigns: &[bool]) -> usize {
    let configuration = members(voters);
    let from = (2..=voters + 1).chain([STRANGER]);
    let answers: Vec<Answer> = from
        .flat_map(|from| [true, false].map(|granted| (from, granted)))
        .flat_map(|(from, granted)| {
            campaigns.iter().map(move |is_current| Answer {
                from,
                granted,
                is_current: *is_current,
            })
        })
        .collect();
    let mut histories: Vec<Vec<Answer>> = vec![Vec::new()];
    let mut played = 0;
    for _ in 0..len {
        // Nothing counts any more where it was decided before.
        histories.retain(|history| by_hand(voters, history).is_none());
        let longer = histories.iter().flat_map(|history| {
            answers.iter().map(move |answer| [history.as_slice(), &[*answer]].concat())
        });
        histories = longer.collect();
        for history in &histories {
            judge(voters, kind, &configuration, history);
        }
        played += histories.len();
    }
    played
}

fn judge(voters: u64, kind: VoteKind, configuration: &Configuration, history: &[Answer]) {
    let (mut campaign, open, won) = match kind {
        VoteKind::Pre => (Campaign::pre(configuration), Role::PreCandidate, Role::Candidate),
        _ => (Campaign::real(configuration, voters), Role::Candidate, Role::Leader),
    };
    for answer in history {
        campaign.answer(kind, *answer);
    }
    let expected = match by_hand(voters, history) {
        None => open,
        Some(true) => won,
        Some(false) => Role::Follower,
    };
    assert_eq!(campaign.group.role(), expected, "{voters} voters, {kind:?}: {history:?}");
}

#[test]
fn every_sequence_of_answers_to_a_pre_vote_is_counted_as_by_hand() {
    let played = play(2, VoteKind::Pre, 3, &[true, false])
        + play(3, VoteKind::Pre, 3, &[true, false])
        + play(4, VoteKind::Pre, 3, &[true])
        + play(5, VoteKind::Pre, 4, &[true]);
    assert!(played > 5_000, "{played}");
}

#[test]
fn every_sequence_of_answers_to_a_vote_is_counted_as_by_hand() {
    let played = play(2, VoteKind::Real, 3, &[true, false])
        + play(3, VoteKind::Real, 3, &[true, false])
        + play(4, VoteKind::Real, 3, &[true])
        + play(5, VoteKind::Real, 4, &[true]);
    assert!(played > 5_000, "{played}");
}
