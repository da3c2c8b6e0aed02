//! Claims about a small cluster of members in one thread, with messages and
//! writes under the test's control. Longer stories are golden scripts in
//! `tests/scripts`; random ones belong to the simulator.

mod time;
mod votes;
mod window;

use std::rc::Rc;

use crate::entry::arena::Arena;
use crate::error::ProposeError;
use crate::group::start::RESTART_SHARE;
use crate::group::{Group, Restored};
use crate::ids::{
    Generation, GroupId, Incarnation, Index, LogId, NUMBER_MAX, NodeId, ReadId, Run, Sender, Term,
};
use crate::liveness::Liveness;
use crate::log::RestoreError;
use crate::membership::{Configuration, Member, Role as MemberRole};
use crate::message::{Body, Message, VoteKind, VoteReply, VoteRequest};
use crate::options::{Options, Settings};
use crate::output::{HardState, Output, Role};
use crate::state::Seat;
use crate::time::{Now, Time, WallMs};

struct Cluster {
    groups: Vec<Group>,
    queue: Vec<(u64, NodeId, Message)>,
    committed: Vec<Index>,
    reads: Vec<(u64, ReadId, Index)>,
    time_ms: u64,
    /// By how much each member's calendar is ahead of the truth.
    calendars_ms: Vec<i64>,
    isolated: Vec<u64>,
    arena: Arena,
}

/// The calendar when the clocks began.
const CALENDAR_MS: u64 = 100_000_000;

fn configuration(nodes: u64) -> Configuration {
    let member = |node| Member {
        node: NodeId::new(node),
        incarnation: Incarnation(u128::from(node)),
        role: MemberRole::Voter,
        priority: crate::membership::PRIORITY_DEFAULT,
        address: format!("n{node}:1"),
    };
    Configuration::new((1..=nodes).map(member).collect()).unwrap()
}

fn seat(node: u64) -> Seat {
    Seat {
        group: GroupId::new(3),
        generation: Generation::new(1),
        node: NodeId::new(node),
        incarnation: Incarnation(u128::from(node)),
        run: Run::new(1),
    }
}

fn sender(node: u64) -> Sender {
    let incarnation = Incarnation(u128::from(node));
    Sender { node: NodeId::new(node), incarnation, run: Run::new(1) }
}

fn fresh(configuration: &Configuration) -> Restored {
    Restored {
        hard_state: HardState { term: Term::BOOTSTRAP, vote: None },
        last: Index::FIRST,
        runs: vec![LogId { term: Term::BOOTSTRAP, index: Index::FIRST }],
        configurations: vec![(Index::FIRST, configuration.clone())],
        ..Restored::default()
    }
}

fn group(node: u64, restored: Restored) -> Group {
    group_with(Options::default(), node, restored)
}

fn group_with(options: Options, node: u64, restored: Restored) -> Group {
    let settings = Rc::new(Settings::try_from(options).unwrap());
    Group::new(settings, seat(node), restored, node, Now::default()).unwrap()
}

impl Cluster {
    fn voters(nodes: u64) -> Self {
        Self::with(&Options::default(), nodes)
    }

    fn with(options: &Options, nodes: u64) -> Self {
        let configuration = configuration(nodes);
        let group = |node| group_with(options.clone(), node, fresh(&configuration));
        let groups = (1..=nodes).map(group).collect();
        Self {
            groups,
            queue: Vec::new(),
            committed: vec![Index::ZERO; usize::try_from(nodes).unwrap()],
            reads: Vec::new(),
            time_ms: 1,
            calendars_ms: vec![0; usize::try_from(nodes).unwrap()],
            isolated: Vec::new(),
            arena: Arena::default(),
        }
    }

    fn now(&self) -> Now {
        Now { time: Time::from_ms(self.time_ms), wall: WallMs(CALENDAR_MS + self.time_ms) }
    }

    /// What a member's clocks show.
    fn now_at(&self, node: u64) -> Now {
        let ahead_ms = self.calendars_ms[usize::try_from(node - 1).unwrap()];
        let Now { time, wall } = self.now();
        Now { time, wall: WallMs(wall.0.saturating_add_signed(ahead_ms)) }
    }

    fn group(&mut self, node: u64) -> &mut Group {
        &mut self.groups[usize::try_from(node - 1).unwrap()]
    }

    /// Drains a member; its writes end at once.
    fn pump(&mut self, node: u64) {
        let now = self.now_at(node);
        let mut out = Output::default();
        loop {
            self.group(node).drain(&mut out);
            if out.is_empty() {
                break;
            }
            for envelope in out.messages.drain(..) {
                self.queue.push((node, envelope.to, envelope.message));
            }
            if let Some(index) = out.committed {
                self.committed[usize::try_from(node - 1).unwrap()] = index;
                self.group(node).on_applied(index);
            }
            let reads = out.reads.drain(..).map(|ready| (node, ready.read, ready.index));
            self.reads.extend(reads);
            if let Some(persist) = out.persist.take() {
                self.group(node).on_persisted(now, persist.ticket);
            }
            self.group(node).check_invariants();
        }
    }

    fn deliver_all(&mut self) {
        self.deliver_all_but(0);
    }

    /// Delivers all messages; `undrained` keeps its output.
    fn deliver_all_but(&mut self, undrained: u64) {
        while !self.queue.is_empty() {
            self.deliver_first_but(undrained);
        }
    }

    fn deliver_first_but(&mut self, undrained: u64) {
        let (from, to, message) = self.queue.remove(0);
        if self.isolated.contains(&from) || self.isolated.contains(&to.get()) {
            return;
        }
        let now = self.now_at(to.get());
        let mut arena = std::mem::take(&mut self.arena);
        self.group(to.get()).step(now, &mut arena, sender(from), &mut { message });
        self.arena = arena;
        if to.get() != undrained {
            self.pump(to.get());
        }
    }

    fn run_ms(&mut self, ms: u64) {
        for _ in 0..ms {
            self.step_ms();
            self.deliver_all();
        }
    }

    /// A millisecond passes; nothing is delivered.
    fn step_ms(&mut self) {
        self.time_ms += 1;
        for node in 1..=u64::try_from(self.groups.len()).unwrap() {
            let now = self.now_at(node);
            if self.group(node).next_deadline().is_some_and(|at| at <= now.time) {
                self.group(node).on_deadline(now);
            }
            self.pump(node);
        }
    }

    fn leaders(&self) -> Vec<u64> {
        let leads = self.groups.iter().filter(|group| group.role() == Role::Leader);
        leads.map(|group| group.seat().node.get()).collect()
    }

    fn propose(&mut self, node: u64, command: &[u8]) -> LogId {
        let now = self.now_at(node);
        let mut arena = std::mem::take(&mut self.arena);
        let id = self.group(node).propose(now, &mut arena, [command].into_iter()).unwrap();
        self.arena = arena;
        self.pump(node);
        id
    }
}

#[test]
fn a_single_voter_leads_without_waiting() {
    let mut cluster = Cluster::voters(1);
    cluster.run_ms(1);
    assert_eq!(cluster.leaders(), [1]);
    assert_eq!(cluster.committed, [Index::new(2)]);
}

#[test]
fn a_fresh_group_elects_the_member_whose_turn_it_is_and_commits_everywhere() {
    let mut cluster = Cluster::voters(3);
    cluster.run_ms(20);
    assert_eq!(cluster.leaders(), [1]);
    let id = cluster.propose(1, b"x");
    cluster.deliver_all();
    cluster.run_ms(150);
    assert_eq!(cluster.committed, [id.index; 3]);
}

#[test]
fn a_read_on_any_member_waits_for_a_round_and_names_what_was_committed() {
    let mut cluster = Cluster::voters(3);
    cluster.run_ms(20);
    let id = cluster.propose(1, b"x");
    cluster.deliver_all();
    for node in 1..=3 {
        let now = cluster.now();
        cluster.group(node).read(now, ReadId::new(node)).unwrap();
        cluster.pump(node);
        assert!(cluster.reads.iter().all(|(at, ..)| *at != node), "confirmed without a round");
        cluster.deliver_all();
        assert!(cluster.reads.contains(&(node, ReadId::new(node), id.index)));
    }
}

#[test]
fn a_leader_cut_off_steps_down_and_the_others_elect_one_of_them() {
    let mut cluster = Cluster::voters(3);
    cluster.run_ms(20);
    cluster.isolated = vec![1];
    cluster.run_ms(2_000);
    let leaders = cluster.leaders();
    assert_eq!(leaders.len(), 1, "{leaders:?}");
    assert_ne!(leaders, [1]);
    cluster.isolated.clear();
    let id = cluster.propose(leaders[0], b"y");
    cluster.run_ms(500);
    assert_eq!(cluster.committed, [id.index; 3]);
}

#[test]
fn votes_that_come_before_they_were_asked_for_elect_nobody() {
    let mut cluster = Cluster::voters(3);
    let (now, mut arena, mut out) = (cluster.now(), Arena::default(), Output::default());
    let candidate = cluster.group(1);
    candidate.on_deadline(now);
    for kind in [VoteKind::Pre, VoteKind::Real] {
        for node in [2, 3] {
            let reply = VoteReply { kind, campaign: 1, granted: true };
            let generation = Generation::new(1);
            let message = Message { generation, term: Term::new(2), body: Body::VoteReply(reply) };
            candidate.step(now, &mut arena, sender(node), &mut { message });
        }
        candidate.drain(&mut out);
    }
    assert_eq!(candidate.role(), Role::Candidate);
    candidate.check_invariants();
}

#[test]
fn nobody_campaigns_where_term_or_index_leaves_no_room() {
    let (max, two) = (NUMBER_MAX, Index::new(2));
    let cases = [
        (Term::new(max - 1), two, Role::Follower),
        (Term::new(max - 2), two, Role::Leader),
        (Term::new(2), Index::new(max - 1), Role::Follower),
        (Term::new(2), Index::new(max - 2), Role::Leader),
        (Term::new(u64::MAX), two, Role::Follower),
    ];
    for (term, last, expected) in cases {
        let restored = Restored {
            hard_state: HardState { term, vote: None },
            last,
            ..fresh(&configuration(1))
        };
        let mut cluster = Cluster::voters(1);
        cluster.groups = vec![group(1, restored)];
        cluster.run_ms(2_000);
        let group = cluster.group(1);
        assert_eq!(group.role(), expected, "{term} {last}");
        assert!(group.last_index().get() < max, "an entry that no decoder takes");
        assert!(term.is_exhausted() || !group.term().is_exhausted());
    }
}

#[test]
fn a_second_halt_forgets_no_reader() {
    let mut cluster = Cluster::voters(3);
    let (now, mut out) = (cluster.now(), Output::default());
    let group = cluster.group(1);
    group.read(now, ReadId::new(7)).unwrap();
    group.halt(now);
    group.halt(now);
    group.drain(&mut out);
    assert_eq!(out.reads_refused, [ReadId::new(7)]);
}

#[test]
fn one_call_proposes_no_more_than_may_wait_for_a_quorum() {
    let mut cluster = Cluster::voters(1);
    cluster.run_ms(1);
    let command = vec![0; 1 << 20];
    let (now, mut arena) = (cluster.now(), Arena::default());
    let propose = |group: &mut Group, arena: &mut Arena, len| {
        group.propose(now, arena, std::iter::repeat_n(&command[..], len))
    };
    let refused = propose(cluster.group(1), &mut arena, 17);
    assert!(matches!(refused, Err(ProposeError::TooLarge { .. })), "{refused:?}");
    assert!(propose(cluster.group(1), &mut arena, 16).is_ok());
}

#[test]
fn a_storage_that_answers_with_nothing_is_not_asked_again_at_once() {
    let mut cluster = Cluster::voters(3);
    cluster.run_ms(20);
    cluster.isolated = vec![3];
    let first = cluster.propose(1, b"x").index;
    cluster.propose(1, b"y");
    cluster.run_ms(200);
    let mut given = cluster.group(1).entries(first, first, usize::MAX);
    cluster.group(1).release_memory(0);
    cluster.isolated.clear();
    // A new run of the member is probed from what it had acknowledged. The
    // first answer gets it into the pipeline, then storage gives nothing.
    let (now, mut out, mut asked) = (cluster.now(), Output::default(), 0);
    cluster.group(1).on_liveness(now, NodeId::new(3), Liveness::Alive { run: Run::new(2) });
    for _ in 0..50 {
        cluster.group(1).drain(&mut out);
        for envelope in out.messages.drain(..) {
            cluster.queue.push((1, envelope.to, envelope.message));
        }
        for fetch in out.fetches.drain(..) {
            asked += 1;
            let entries = given.take().unwrap_or_default();
            cluster.group(1).on_fetched(now, fetch.id, Some(entries));
        }
        cluster.deliver_all_but(1);
    }
    assert_eq!(asked, 2);
}

#[test]
fn log_time_leans_towards_the_calendar_under_steady_load_too() {
    let mut cluster = Cluster::voters(1);
    cluster.run_ms(1);
    let stamp = |cluster: &mut Cluster, wall: u64| {
        let now = Now { time: Time::from_ms(cluster.time_ms), wall: WallMs(wall) };
        let mut arena = Arena::default();
        let group = cluster.group(1);
        let id = group.propose(now, &mut arena, [&b"x"[..]].into_iter()).unwrap();
        let entries = group.entries(id.index, id.index, 0).unwrap();
        entries.iter().next().unwrap().log_time_ms
    };
    let (start, ahead) = (cluster.time_ms, 500);
    let first = stamp(&mut cluster, 200_000_000);
    assert_eq!(first, 200_000_000);
    for _ in 0..1_000 {
        cluster.time_ms += 1;
        let wall = first + (cluster.time_ms - start) + ahead;
        stamp(&mut cluster, wall);
    }
    let wall = first + 1_000 + ahead;
    assert_eq!(stamp(&mut cluster, wall), wall - ahead + 100, "a tenth of the time that passed");
}

/// Expiry waits for a deadline by it (rule 31).
#[test]
fn the_leaders_clock_tells_what_it_would_stamp_and_asking_changes_nothing() {
    let mut cluster = Cluster::voters(1);
    assert_eq!(cluster.group(1).log_time_ms(Now::default()), None, "nobody leads yet");
    cluster.run_ms(1);
    let start = cluster.time_ms;
    let now = |ms: u64| Now { time: Time::from_ms(start + ms), wall: WallMs(200_000_000 + ms) };
    let mut asked = Vec::new();
    let mut stamped = Vec::new();
    for ms in [0, 7, 50, 3_000] {
        // Asked for a later moment first, and twice.
        let group = cluster.group(1);
        assert!(group.log_time_ms(now(ms + 60_000)) > group.log_time_ms(now(ms)));
        asked.push(group.log_time_ms(now(ms)));
        let mut arena = Arena::default();
        let id = group.propose(now(ms), &mut arena, [&b"x"[..]].into_iter()).unwrap();
        let entries = group.entries(id.index, id.index, 0).unwrap();
        stamped.push(entries.iter().next().map(|entry| entry.log_time_ms));
    }
    assert_eq!(asked, stamped);
    assert_eq!(stamped.last(), Some(&Some(200_003_000)));
}

#[test]
fn only_a_vote_given_restarts_the_patience_of_who_waits_for_a_leader() {
    let mut cluster = Cluster::voters(3);
    cluster.time_ms = 100;
    let (now, mut arena) = (cluster.now(), Arena::default());
    let request = |term, last_term| {
        let last = LogId { term: Term::new(last_term), index: Index::FIRST };
        let (kind, address) = (VoteKind::Real, String::new());
        let request = VoteRequest { kind, campaign: 1, last, address };
        let (generation, term) = (Generation::new(1), Term::new(term));
        Message { generation, term, body: Body::VoteRequest(request) }
    };
    let voter = cluster.group(3);
    let campaign_at = |voter: &mut Group| {
        // Probes come first: pass them until the campaign is what is due.
        let mut at = Now::default();
        while voter.role() == Role::Follower {
            at.time = voter.next_deadline().unwrap();
            voter.on_deadline(at);
        }
        at.time
    };
    let mut undisturbed = group(3, fresh(&configuration(3)));
    let due = campaign_at(&mut undisturbed);
    voter.step(now, &mut arena, sender(1), &mut request(5, 0));
    assert_eq!((voter.term(), voter.hard_state().vote), (Term::new(5), None));
    assert_eq!(campaign_at(voter), due);

    let mut voter = group(3, fresh(&configuration(3)));
    voter.step(now, &mut arena, sender(1), &mut request(5, 1));
    assert_eq!(voter.hard_state().vote, Some(NodeId::new(1)));
    assert!(campaign_at(&mut voter) > due);
}

#[test]
fn patience_is_spread_as_wide_as_it_is_long_and_a_quarter_of_that_at_a_start() {
    let settings = Rc::new(Settings::try_from(Options::default()).unwrap());
    let timeout_ns = settings.election_timeout_ns;
    let configuration = configuration(3);
    let deadline_ns = |seed| {
        let mut known = fresh(&configuration);
        // One that has taken part before.
        known.hard_state.term = Term::new(7);
        let mut group = Group::new(Rc::clone(&settings), seat(1), known, seed, Now::default());
        let group = group.as_mut().unwrap();
        // Until then it asks now and then who leads; the last deadline is patience.
        while group.role() == Role::Follower {
            let time = group.next_deadline().unwrap();
            group.on_deadline(Now { time, wall: WallMs(0) });
            if group.role() != Role::Follower {
                return time.ns();
            }
        }
        unreachable!("it was a follower")
    };
    let mut eighths = [0; 8];
    for seed in 0..800 {
        let whole_ns = deadline_ns(seed) * RESTART_SHARE;
        let ahead_ns = whole_ns.checked_sub(timeout_ns).expect("patient for a quarter");
        let eighth = usize::try_from(ahead_ns * 8 / timeout_ns).unwrap();
        eighths[eighth] += 1;
    }
    assert!(eighths.iter().all(|count| *count > 50), "{eighths:?}");
}

#[test]
fn a_member_whose_term_and_vote_are_lost_does_not_start() {
    let fresh = fresh(&configuration(3));
    let restored = Restored { hard_state: HardState::default(), ..fresh };
    let settings = Rc::new(Settings::try_from(Options::default()).unwrap());
    let refused = Group::new(settings, seat(1), restored, 1, Now::default()).unwrap_err();
    let expected = RestoreError::HardState {
        recorded: Term::ZERO,
        last: LogId { term: Term::new(1), index: Index::FIRST },
    };
    assert_eq!(refused, expected);
}

#[test]
fn a_confirmed_read_is_not_served_when_office_is_lost_in_the_same_turn() {
    let mut cluster = Cluster::voters(3);
    cluster.run_ms(20);
    let (now, mut arena, mut out) = (cluster.now(), Arena::default(), Output::default());
    cluster.group(1).read(now, ReadId::new(7)).unwrap();
    cluster.group(1).drain(&mut out);
    for envelope in out.messages.drain(..) {
        cluster.queue.push((1, envelope.to, envelope.message));
    }
    cluster.deliver_all_but(1);
    let body = Body::NotLeader { leader: None };
    let message = Message { generation: Generation::new(1), term: Term::new(9), body };
    let leader = cluster.group(1);
    leader.step(now, &mut arena, sender(2), &mut { message });
    leader.drain(&mut out);
    assert!(out.reads.is_empty() && leader.role() == Role::Follower, "served by no leader");
    leader.on_persisted(now, out.persist.take().unwrap().ticket);
    cluster.run_ms(2_000);
    assert!(cluster.reads.iter().any(|(node, read, _)| (*node, read.get()) == (1, 7)));
}

#[test]
fn messages_for_another_life_of_the_group_change_nothing() {
    let mut cluster = Cluster::voters(3);
    cluster.run_ms(20);
    let (now, mut arena) = (cluster.now(), Arena::default());
    let message = Message { generation: Generation::new(2), term: Term::new(9), body: Body::Probe };
    let group = cluster.group(1);
    group.step(now, &mut arena, sender(2), &mut { message });
    assert_eq!((group.role(), group.term()), (Role::Leader, Term::new(2)));
    assert_eq!(group.counters().other_generation, 1);
}

#[test]
fn a_member_that_halts_refuses_every_read_that_it_has_not_handed_out() {
    let mut cluster = Cluster::voters(3);
    cluster.run_ms(20);
    let now = cluster.now();
    cluster.group(2).read(now, ReadId::new(7)).unwrap();
    cluster.pump(2);
    // The leader's answer arrives, and before the next drain the disk fails.
    let reply =
        Body::ReadReply { run: Run::new(1), read: ReadId::new(7), index: Some(Index::FIRST) };
    let generation = Generation::new(1);
    let message = Message { generation, term: cluster.group(1).term(), body: reply };
    let leader = Sender { node: NodeId::new(1), incarnation: Incarnation(1), run: Run::new(1) };
    cluster.group(2).step(now, &mut Arena::default(), leader, &mut { message });
    cluster.group(2).halt(now);
    let mut out = Output::default();
    cluster.group(2).drain(&mut out);
    assert!(out.reads.is_empty());
    assert_eq!(out.reads_refused, [ReadId::new(7)]);
}
