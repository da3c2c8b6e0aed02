//! A replay that begins behind a group's first entries knows of them only what is
//! stated, and learns the rest where it was moved to: in the end it believes what
//! the run before believed, whatever came between.

use crate::index::{FrameAt, GroupIndex};
use raftlet::core::{
    Arena, Chunk, EntryKind, Generation, GroupId, Index, LogId, NewEntry, Seal, Term,
};

const GENERATION: Generation = Generation::new(1);

/// What a log does to a group.
#[derive(Clone, Copy, Debug)]
enum Event {
    Append { first: u64, len: u64, term: u64 },
    Compact { base: LogId },
    Truncate { from: u64 },
    Move { first: u64, last: u64, term: u64 },
}

fn chunk(first: u64, len: u64, term: u64) -> Chunk {
    let seal = Seal::new(GroupId::new(1), GENERATION);
    let first = LogId { term: Term::new(term), index: Index::new(first) };
    let entries = (0..len).map(|_| NewEntry {
        kind: EntryKind::Command,
        log_time_ms: term,
        origin: None,
        payload: b"x",
    });
    Chunk::encode(&mut Arena::default(), seal, first, entries)
}

fn follow(index: &mut GroupIndex, event: Event, at: &FrameAt) {
    match event {
        Event::Append { first, len, term } => {
            index.append(&(&chunk(first, len, term)).into(), at).unwrap();
        }
        Event::Compact { base } => index.compact(base).unwrap(),
        Event::Truncate { from } => index.truncate(Index::new(from)).unwrap(),
        Event::Move { first, last, term } => {
            index.relocate(&chunk(first, last + 1 - first, term), at).unwrap();
        }
    }
}

/// A log that is written, and one that is replayed from a statement on.
struct Both {
    written: GroupIndex,
    replayed: Option<GroupIndex>,
    at: FrameAt,
}

impl Both {
    fn new() -> Self {
        let mut written = GroupIndex::default();
        written.begin(GENERATION).unwrap();
        Self { written, replayed: None, at: FrameAt { segment: 1, frame: 1, block: 2, end: 3 } }
    }

    fn event(&mut self, event: Event) {
        self.at = FrameAt {
            frame: self.at.frame + 1,
            block: self.at.end,
            end: self.at.end + 1,
            ..self.at
        };
        follow(&mut self.written, event, &self.at);
        if let Some(replayed) = &mut self.replayed {
            follow(replayed, event, &self.at);
        }
    }

    /// What is before this is gone: the group is stated, and its entries are not known.
    fn begin_replay(&mut self) {
        let mut replayed = GroupIndex::default();
        replayed.restate(&self.written.state()).unwrap();
        replayed.state_segment = 2;
        self.at.segment = 2;
        self.replayed = Some(replayed);
    }

    fn append(&mut self, len: u64, term: u64) {
        let first = self.written.last.next().get();
        self.event(Event::Append { first, len, term });
    }

    fn compact(&mut self, to: u64) {
        let index = Index::new(to);
        let term = self.written.term_at(index).unwrap();
        self.event(Event::Compact { base: LogId { term, index } });
    }

    /// Moves up to `len` entries from `first` on, as far as they are of one term.
    fn relocate(&mut self, first: u64, len: u64) {
        let term = self.written.term_at(Index::new(first)).unwrap();
        let ends = (first..first + len).take_while(|index| {
            let index = Index::new(*index);
            index <= self.written.last && self.written.term_at(index) == Some(term)
        });
        let last = ends.last().unwrap();
        self.event(Event::Move { first, last, term: term.get() });
    }

    /// The first entry that the replay does not know.
    fn unknown(&self) -> Option<Index> {
        let replayed = self.replayed.as_ref().unwrap();
        replayed.spans.hole(self.written.base.index.next(), self.written.last)
    }

    /// Moves what the replay still lacks, and compares.
    fn finish(mut self) {
        while let Some(first) = self.unknown() {
            let replayed = self.replayed.as_ref().unwrap();
            let len = (first.get()..).take_while(|index| !replayed.spans.holds(Index::new(*index)));
            let len = u64::try_from(len.take(5).count()).unwrap();
            self.relocate(first.get(), len);
        }
        let mut replayed = self.replayed.unwrap();
        assert_eq!(replayed.complete(), None);
        let (last, base) = (self.written.last, self.written.base);
        assert_eq!((replayed.last, replayed.base), (last, base));
        assert_eq!(replayed.runs, self.written.runs);
        // An entry's log time is its term here.
        let term = self.written.runs.last().map(|run| run.term.get());
        let told = replayed.last_log_time_ms;
        assert!(told.is_none() || last == base.index || told == term, "{told:?} {term:?}");
    }
}

#[test]
fn entries_behind_a_gap_keep_their_run_when_the_log_is_cut_in_the_gap() {
    let mut both = Both::new();
    both.append(20, 3);
    both.begin_replay();
    both.relocate(1, 5);
    both.append(10, 3);
    both.compact(10);
    both.compact(25);
    both.append(4, 3);
    both.finish();
}

#[test]
fn a_replay_from_midway_believes_what_was_written_whatever_comes_between() {
    for seed in 1..=4000u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut draw = |bound: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) % bound
        };
        let (mut both, mut term) = (Both::new(), 1);
        let begins = draw(12);
        for step in 0..begins + 14 {
            if step == begins {
                both.begin_replay();
            }
            let (base, last) = (both.written.base.index.get(), both.written.last.get());
            let held = last - base;
            match draw(10) {
                0..4 => {
                    term += u64::from(draw(4) == 0);
                    both.append(1 + draw(5), term);
                }
                4 | 5 if held > 0 => both.compact(base + 1 + draw(held)),
                6 if held > 0 && draw(3) == 0 => {
                    both.event(Event::Truncate { from: base + 1 + draw(held) });
                    term += 1;
                }
                7..10 if both.replayed.is_some() => {
                    if let Some(first) = both.unknown() {
                        let replayed = both.replayed.as_ref().unwrap();
                        let lacks = |index: &u64| !replayed.spans.holds(Index::new(*index));
                        let lacking = (first.get()..=last).take_while(lacks).count();
                        let len = 1 + draw(u64::try_from(lacking).unwrap());
                        both.relocate(first.get(), len);
                    }
                }
                _ => {}
            }
        }
        both.finish();
    }
}
