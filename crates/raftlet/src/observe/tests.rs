//! Claims about which events become lines, and how many.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event as Line, Metadata, Subscriber};

use super::{Alarms, GaveUp, LEADER_LINES_MAX, Note, Observer, passed_power_of_two, tell};
use crate::error::SnapshotError;
use crate::port::Shortage;
use crate::snapshot::hold::End;
use raftlet_core::{Counters, Event, GroupId, Index, NodeId, Role, Term};

/// Keeps lines as text: level, message, fields.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, line: &Line<'_>) {
        let mut text = Text(line.metadata().level().to_string());
        line.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn told(mut notes: Vec<Note>) -> Vec<String> {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || tell(&mut notes));
    assert!(notes.is_empty());
    lines.0.lock().unwrap().clone()
}

fn office(group: u64, role: Role, leader: Option<u64>) -> Note {
    let (group, term) = (GroupId::new(group), Term::new(7));
    Note::Office { group, role, term, leader: leader.map(NodeId::new) }
}

#[test]
fn a_leader_is_told_with_group_and_term() {
    let lines = told(vec![
        office(3, Role::Candidate, None),
        office(3, Role::Leader, Some(1)),
        office(4, Role::Follower, Some(2)),
    ]);
    assert_eq!(
        lines,
        [
            "DEBUG message=asks for votes group=3 term=7",
            "INFO message=leads group=3 term=7",
            "INFO message=follows group=4 term=7 leader=2",
        ]
    );
}

#[test]
fn a_group_that_is_not_written_down_says_so_with_the_cause() {
    let why = SnapshotError::Failed { detail: "too slow".to_owned() };
    let lines = told(vec![Note::NotTaken { group: GroupId::new(3), why, times: 2 }]);
    assert_eq!(
        lines,
        ["WARN message=not written down: its log grows until it is group=3 times=2 \
          why=the snapshot was not taken: too slow"]
    );
}

#[test]
fn many_leaders_at_once_are_one_line() {
    let many = u64::try_from(LEADER_LINES_MAX).unwrap() + 1;
    let lines = told((1..=many).map(|group| office(group, Role::Leader, Some(1))).collect());
    let news: Vec<&String> = lines.iter().filter(|line| line.starts_with("INFO")).collect();
    assert_eq!(news, ["INFO message=leaders changed groups=9 led=9"]);
    assert_eq!(lines.len(), LEADER_LINES_MAX + 2);
}

#[test]
fn leadership_given_up_says_why_and_a_deposed_leader_does_not() {
    let mut observer = Observer::default();
    let mut notes = Vec::new();
    let step_down = Event::Office { role: Role::Follower, term: Term::new(2), leader: None };
    let of = (0, GroupId::new(1));
    let mut counters = Counters { quorum_lost: 1, ..Counters::default() };
    observer.note(of, true, &counters, &step_down, &mut notes);
    counters.stalls = 1;
    observer.note(of, true, &counters, &step_down, &mut notes);
    observer.note(of, true, &counters, &step_down, &mut notes);
    counters.quorum_lost = 2;
    observer.note(of, false, &counters, &step_down, &mut notes);
    let reasons: Vec<GaveUp> = notes
        .iter()
        .filter_map(|note| match note {
            Note::GaveUp { why, .. } => Some(*why),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [GaveUp::QuorumLost, GaveUp::Stalled]);
}

#[test]
fn what_a_peer_can_repeat_is_told_ever_more_rarely() {
    let told: Vec<u64> = (0..100).filter(|count| passed_power_of_two(*count, count + 1)).collect();
    assert_eq!(told, [0, 1, 3, 7, 15, 31, 63]);
    assert!(passed_power_of_two(0, 5) && passed_power_of_two(3, 9) && !passed_power_of_two(4, 4));
    let mut notes = Vec::new();
    let none = Alarms::of(&Counters::default());
    let some = Alarms::of(&Counters { lost_tails: 1, ..Counters::default() });
    some.note_since(none, GroupId::new(1), &mut notes);
    some.note_since(some, GroupId::new(1), &mut notes);
    assert_eq!(notes, [Note::LostTail { group: GroupId::new(1), times: 1 }]);
}

#[test]
fn a_full_disk_is_told_when_it_fills_and_when_it_has_room() {
    let (mut observer, mut notes) = (Observer::default(), Vec::new());
    let (none, full, limited) = (None, Some(Shortage::Device), Some(Shortage::Limit));
    for shortage in [none, full, full, limited, none, none] {
        observer.note_space(shortage, &mut notes);
    }
    assert_eq!(notes, [full, limited, none].map(Note::Full));
}

#[test]
fn a_member_that_needs_another_snapshot_is_told_with_the_limit_that_took_its_log() {
    let (group, node, entry) = (GroupId::new(3), NodeId::new(4), Index::new(50));
    let note = |end| Note::NotHeld { group, node, entry, end, times: 2 };
    let lines = told(vec![note(None), note(Some(End::Full))]);
    let why = ["the log is too near its limit on disk", "more was written than may be held for it"];
    assert_eq!(lines.len(), 2);
    for (line, why) in lines.iter().zip(why) {
        assert!(line.starts_with("WARN message=the log behind its snapshot is gone"), "{line}");
        assert!(
            line.contains("raise that limit or the rate of snapshots, or write less"),
            "{line}"
        );
        let fields = format!("group=3 node=4 entry=50 why=\"{why}\" times=2");
        assert!(line.ends_with(&fields), "{line}");
    }
}
