//! One of each kind of the family of sorted sets, with its bytes.

use crate::Command;
use crate::operation::collection::{Pick, Scan};
use crate::operation::set::SetOperation;
use crate::operation::sorted_set::{
    AddIf, AddReply, AddRule, AddTo, Aggregate, Combination, Direction, LexBound, Range,
    RangeRequest, ScoreBound, SortedSetChange, SortedSetCommand, SortedSetQuery, SortedSetQuestion,
    StoreRange,
};
use crate::value::score::Score;

const KEY: &[u8] = b"z";
const MEMBER: &[u8] = b"m";

pub(super) fn samples() -> Vec<(Command<&'static [u8]>, &'static str)> {
    let commands = commands().into_iter().map(Command::from);
    let queries = queries().into_iter().map(|query| Command::Query(query.into()));
    let samples: Vec<_> = commands.chain(queries).collect();
    assert_eq!(samples.len(), GOLDEN.len());
    samples.into_iter().zip(GOLDEN.iter().copied()).collect()
}

fn score(value: f64) -> Score {
    Score::new(value).expect("a number")
}

fn ranges() -> [Range<&'static [u8]>; 3] {
    let bound = |value, is_included| ScoreBound { score: score(value), is_included };
    [
        Range::Rank { start: 0, stop: -1 },
        Range::Score { min: bound(f64::NEG_INFINITY, true), max: bound(1.5, false) },
        Range::Lex { min: LexBound::Lowest, max: LexBound::Excluded(MEMBER) },
    ]
}

fn commands() -> Vec<SortedSetCommand<&'static [u8]>> {
    let [rank, by_score, lex] = ranges();
    let one = |change| SortedSetCommand::One { key: KEY, change };
    let add = |rule| one(SortedSetChange::Add { rule, members: vec![(score(2.5), MEMBER)] });
    let rule = AddRule { members: AddTo::Existing, scores: AddIf::Greater, reply: AddReply::Sum };
    let upper = Range::Lex { min: LexBound::Included(MEMBER), max: LexBound::Highest };
    let combination = Combination {
        operation: SetOperation::Union,
        sources: vec![(score(2.0), KEY)],
        aggregate: Aggregate::Max,
    };
    let request =
        RangeRequest { range: rank, direction: Direction::Downwards, limit: Some((1, 2)) };
    let stored = StoreRange { destination: &b"d"[..], source: KEY, request };
    vec![
        add(AddRule::default()),
        add(rule),
        one(SortedSetChange::Remove(vec![MEMBER])),
        one(SortedSetChange::RemoveRange(Box::new(by_score))),
        one(SortedSetChange::RemoveRange(Box::new(lex))),
        one(SortedSetChange::RemoveRange(Box::new(upper))),
        one(SortedSetChange::Pop { direction: Direction::Upwards, count: Some(2) }),
        SortedSetCommand::PopFirst { keys: vec![KEY], direction: Direction::Downwards, count: 3 },
        SortedSetCommand::Store { destination: KEY, combination: Box::new(combination) },
        SortedSetCommand::StoreRange(Box::new(stored)),
    ]
}

fn queries() -> Vec<SortedSetQuery<&'static [u8]>> {
    let [rank, by_score, _] = ranges();
    let one = |question| SortedSetQuery::One { key: KEY, question };
    let combination = Combination {
        operation: SetOperation::Difference,
        sources: vec![(score(1.0), KEY)],
        aggregate: Aggregate::Sum,
    };
    let request = RangeRequest { range: rank, direction: Direction::Upwards, limit: None };
    let scan = Scan { cursor: 1, count: 10, pattern: None };
    vec![
        one(SortedSetQuestion::Score(MEMBER)),
        one(SortedSetQuestion::ScoreEach(vec![MEMBER])),
        one(SortedSetQuestion::Len),
        one(SortedSetQuestion::Count(Box::new(by_score))),
        one(SortedSetQuestion::Rank { member: MEMBER, direction: Direction::Upwards }),
        one(SortedSetQuestion::Range { request: Box::new(request), with_scores: true }),
        one(SortedSetQuestion::Random(Pick { count: Some(1), with_values: true, seed: 7 })),
        one(SortedSetQuestion::Scan(Box::new(scan))),
        SortedSetQuery::Combine { combination: Box::new(combination), with_scores: true },
        SortedSetQuery::IntersectionLen { keys: vec![KEY], limit: 3 },
    ]
}

/// In the order of the samples.
const GOLDEN: &[&str] = &[
    r"\x02\x06\x01\x01\x00\x00\x00z\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04@\x01\x00\x00\x00m",
    r"\x02\x06\x01\x01\x00\x00\x00z\x02\x01\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04@\x01\x00\x00\x00m",
    r"\x02\x06\x02\x01\x00\x00\x00z\x01\x00\x00\x00\x01\x00\x00\x00m",
    r"\x02\x06\x03\x01\x00\x00\x00z\x01\x00\x00\x00\x00\x00\x00\xf0\xff\x01\x00\x00\x00\x00\x00\x00\xf8?\x00",
    r"\x02\x06\x03\x01\x00\x00\x00z\x02\x00\x03\x01\x00\x00\x00m",
    r"\x02\x06\x03\x01\x00\x00\x00z\x02\x02\x01\x00\x00\x00m\x01",
    r"\x02\x06\x04\x01\x00\x00\x00z\x00\x01\x02\x00\x00\x00\x00\x00\x00\x00",
    r"\x02\x06\x07\x01\x03\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00z",
    r"\x02\x06\x05\x01\x00\x00\x00z\x00\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00@\x01\x00\x00\x00z",
    r"\x02\x06\x06\x01\x00\x00\x00d\x01\x00\x00\x00z\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00",
    r"\x02 \x06\x01\x01\x00\x00\x00z\x01\x00\x00\x00m",
    r"\x02 \x06\x02\x01\x00\x00\x00z\x01\x00\x00\x00\x01\x00\x00\x00m",
    r"\x02 \x06\x03\x01\x00\x00\x00z",
    r"\x02 \x06\x04\x01\x00\x00\x00z\x01\x00\x00\x00\x00\x00\x00\xf0\xff\x01\x00\x00\x00\x00\x00\x00\xf8?\x00",
    r"\x02 \x06\x05\x01\x00\x00\x00z\x01\x00\x00\x00m\x00",
    r"\x02 \x06\x06\x01\x00\x00\x00z\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x01",
    r"\x02 \x06\x07\x01\x00\x00\x00z\x01\x01\x00\x00\x00\x00\x00\x00\x00\x01\x07\x00\x00\x00\x00\x00\x00\x00",
    r"\x02 \x06\x08\x01\x00\x00\x00z\x01\x00\x00\x00\x00\x00\x00\x00\n\x00\x00\x00\x00\x00\x00\x00\x00",
    r"\x02 \x06\t\x02\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0?\x01\x00\x00\x00z\x01",
    r"\x02 \x06\n\x01\x00\x00\x00\x01\x00\x00\x00z\x03\x00\x00\x00\x00\x00\x00\x00",
];
