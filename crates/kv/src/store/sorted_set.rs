//! What commands on sorted sets do.
//!
//! Not here: which members a range has (`store/sorted_set_range.rs`), what
//! several sets make together (`store/combination.rs`).

use bytes::Bytes;

use crate::operation::collection::{Pick, Scan};
use crate::operation::response::{DataError, Response};
use crate::operation::sorted_set::{
    AddIf, AddReply, AddRule, AddTo, Direction, Range, SortedSetChange, SortedSetCommand,
    SortedSetQuery, SortedSetQuestion, StoreRange,
};
use crate::resp::reply::Reply;
use crate::store::combination;
use crate::store::elements::{bulks, copies, is_shown, members, picked, walk, walk_len};
use crate::store::sorted_set_range::{ranks, requested, walked};
use crate::store::view::View;
use crate::store::{Effect, Store};
use crate::value::score::Score;
use crate::value::sorted_set::SortedSet;
use crate::value::{Collection, Value};
use crate::{decimal, double};

type Result<T = Response> = std::result::Result<T, DataError>;

pub(super) fn answer<B: AsRef<[u8]>>(view: &View<'_>, query: &SortedSetQuery<B>) -> Result {
    match query {
        SortedSetQuery::One { key, question } => answer_one(view.typed(key.as_ref())?, question),
        SortedSetQuery::Combine { combination, with_scores } => {
            let made = combination::make(view, combination)?;
            let all: Vec<_> = made.range(0..made.len()).collect();
            Ok(members(&all, *with_scores)?.into())
        }
        SortedSetQuery::IntersectionLen { keys, limit } => {
            combination::intersection_len(view, keys, *limit).map(Response::count)
        }
    }
}

fn answer_one<B: AsRef<[u8]>>(set: Option<&SortedSet>, question: &SortedSetQuestion<B>) -> Result {
    let score = |member: &B| {
        let score = set.and_then(|set| set.score(member.as_ref()));
        score.map_or(Reply::Null, |score| Reply::Double(score.value()))
    };
    Ok(match question {
        SortedSetQuestion::Score(member) => score(member).into(),
        SortedSetQuestion::ScoreEach(members) => {
            Reply::Array(members.iter().map(score).collect()).into()
        }
        SortedSetQuestion::Len => Response::count(set.map_or(0, SortedSet::len)),
        SortedSetQuestion::Count(range) => {
            Response::count(set.map_or(0, |set| ranks(set, range, Direction::Upwards).len()))
        }
        SortedSetQuestion::Rank { member, direction } => {
            let rank = set.and_then(|set| {
                let rank = set.rank(member.as_ref())?;
                Some(match direction {
                    Direction::Upwards => rank,
                    Direction::Downwards => set.len() - 1 - rank,
                })
            });
            rank.map_or(Response::Value(None), Response::count)
        }
        SortedSetQuestion::Range { request, with_scores } => {
            let shown = set.map_or(Vec::new(), |set| requested(set, request));
            members(&shown, *with_scores)?.into()
        }
        SortedSetQuestion::Random(pick) => random(set, pick)?,
        SortedSetQuestion::Scan(scan) => step(set, scan)?,
    })
}

fn random(set: Option<&SortedSet>, pick: &Pick) -> Result {
    let positions = picked(pick, set.map_or(0, SortedSet::len))?;
    let picks: Vec<_> = positions.iter().filter_map(|position| set?.at(*position)).collect();
    if pick.count.is_none() {
        let member = picks.first().map(|(member, _)| Bytes::copy_from_slice(member));
        return Ok(Response::Value(member));
    }
    Ok(members(&picks, pick.with_values)?.into())
}

fn step<B: AsRef<[u8]>>(set: Option<&SortedSet>, scan: &Scan<B>) -> Result {
    let Some(set) = set else { return Ok(walk(0, Vec::new())) };
    let (next, mut shown) = set.scan(scan.cursor, walk_len(scan));
    shown.retain(|(member, _)| is_shown(scan, member));
    let scores = shown.iter().map(|(_, score)| Reply::Bulk(scanned_score(*score).into()));
    let members = bulks(shown.iter().map(|(member, _)| *member))?;
    let pairs = members.into_iter().zip(scores).flat_map(|(member, score)| [member, score]);
    Ok(walk(next, pairs.collect()))
}

/// A score as `ZSCAN` of Redis shows it: whole numbers without an exponent as
/// long as they fit 62 bits.
fn scanned_score(score: Score) -> Vec<u8> {
    /// 2^62, which Redis holds as a whole number in a small sorted set.
    const WHOLE_MAX: f64 = 4_611_686_018_427_387_904.0;
    let value = score.value();
    let mut text = Vec::new();
    if value.fract() == 0.0 && value.abs() <= WHOLE_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 62 bits")]
        decimal::push_i64(&mut text, value as i64);
    } else {
        text.extend_from_slice(double::text(value).as_bytes());
    }
    text
}

pub(super) fn apply<B: AsRef<[u8]>>(store: &mut Store, command: &SortedSetCommand<B>) -> Result {
    match command {
        SortedSetCommand::One { key, change } => apply_one(store, key.as_ref(), change),
        SortedSetCommand::PopFirst { keys, direction, count } => {
            for key in keys {
                let key = key.as_ref();
                if store.typed::<SortedSet>(key)?.is_none() {
                    continue;
                }
                let popped = pop(store, key, *direction, *count)?;
                let pair = |(member, score)| Reply::Array(vec![member, score]);
                let popped = popped.into_iter().map(pair).collect();
                let key = Reply::Bulk(Bytes::copy_from_slice(key));
                return Ok(Reply::Array(vec![key, Reply::Array(popped)]).into());
            }
            Ok(Reply::NullArray.into())
        }
        SortedSetCommand::Store { destination, combination } => {
            let made = combination::make(&View::of_log_time(store), combination)?;
            Ok(put(store, destination.as_ref(), made))
        }
        SortedSetCommand::StoreRange(stored) => store_range(store, stored),
    }
}

fn apply_one<B: AsRef<[u8]>>(store: &mut Store, key: &[u8], change: &SortedSetChange<B>) -> Result {
    match change {
        SortedSetChange::Add { rule, members } => store.change(key, |set: &mut SortedSet| {
            let added = add(set, *rule, members);
            (Effect::Changed, added)
        })?,
        SortedSetChange::Remove(members) => store.change(key, |set: &mut SortedSet| {
            let is_removed = |member: &&B| set.remove(member.as_ref()).is_some();
            let removed_len = members.iter().filter(is_removed).count();
            (Effect::of(removed_len > 0), Response::count(removed_len))
        }),
        SortedSetChange::RemoveRange(range) => remove_range(store, key, range),
        SortedSetChange::Pop { direction, count } => {
            let popped = pop(store, key, *direction, count.unwrap_or(1))?;
            Ok(match count {
                // One by itself is never told as a pair.
                None => {
                    let flat = popped.into_iter().flat_map(|(member, score)| [member, score]);
                    Reply::Array(flat.collect()).into()
                }
                Some(_) => Reply::Pairs(popped).into(),
            })
        }
    }
}

fn add<B: AsRef<[u8]>>(set: &mut SortedSet, rule: AddRule, members: &[(Score, B)]) -> Result {
    let (mut added_len, mut changed_len) = (0, 0);
    let mut sum = None;
    for (score, member) in members {
        let member = member.as_ref();
        let current = set.score(member);
        let score = match current {
            Some(current) if rule.reply == AddReply::Sum && rule.members != AddTo::New => {
                current.plus(*score).ok_or(DataError::ScoreNotANumber)?
            }
            _ => *score,
        };
        let is_wanted = match current {
            None => rule.members != AddTo::Existing,
            Some(current) => {
                rule.members != AddTo::New
                    && match rule.scores {
                        AddIf::Any => true,
                        AddIf::Greater => score > current,
                        AddIf::Less => score < current,
                    }
            }
        };
        if is_wanted {
            set.set(member, score);
            added_len += usize::from(current.is_none());
            changed_len += usize::from(current.is_some_and(|current| current != score));
            sum = Some(score);
        }
    }
    Ok(match rule.reply {
        AddReply::Added => Response::count(added_len),
        AddReply::Changed => Response::count(added_len + changed_len),
        AddReply::Sum => sum.map_or(Reply::Null, |sum| Reply::Double(sum.value())).into(),
    })
}

fn remove_range<B: AsRef<[u8]>>(store: &mut Store, key: &[u8], range: &Range<B>) -> Result {
    store.change(key, |set: &mut SortedSet| {
        let ranks = ranks(set, range, Direction::Upwards);
        let removed_len = ranks.len();
        let members: Vec<Box<[u8]>> = set.range(ranks).map(|(member, _)| member.into()).collect();
        for member in members {
            set.remove(&member);
        }
        (Effect::of(removed_len > 0), Response::count(removed_len))
    })
}

/// Takes at most `count` members off an end, or none if they don't fit a
/// reply.
fn pop(
    store: &mut Store,
    key: &[u8],
    direction: Direction,
    count: u64,
) -> Result<Vec<(Reply, Reply)>> {
    store.change(key, |set: &mut SortedSet| {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(set.len());
        let ranks = match direction {
            Direction::Upwards => 0..count,
            Direction::Downwards => set.len() - count..set.len(),
        };
        let wanted = walked(set, ranks, direction);
        let scores: Vec<Score> = wanted.iter().map(|(_, score)| *score).collect();
        let popped = match copies(wanted.iter().map(|(member, _)| *member)) {
            Ok(popped) => popped,
            Err(error) => return (Effect::Untouched, Err(error)),
        };
        for member in &popped {
            set.remove(member);
        }
        let scores = scores.into_iter().map(|score| Reply::Double(score.value()));
        let pairs = popped.into_iter().map(Reply::Bulk).zip(scores).collect();
        (Effect::of(count > 0), Ok(pairs))
    })?
}

fn store_range<B: AsRef<[u8]>>(store: &mut Store, stored: &StoreRange<B>) -> Result {
    let mut made = SortedSet::empty(store.seed());
    if let Some(source) = store.typed::<SortedSet>(stored.source.as_ref())? {
        for (member, score) in requested(source, &stored.request) {
            made.set(member, score);
        }
    }
    Ok(put(store, stored.destination.as_ref(), made))
}

fn put(store: &mut Store, key: &[u8], made: SortedSet) -> Response {
    let len = made.len();
    store.put_or_remove(key, Value::SortedSet(Box::new(made)), len);
    Response::count(len)
}
