//! What commands on sets do.

use bytes::Bytes;

use crate::operation::collection::{Pick, Scan};
use crate::operation::response::{DataError, Response};
use crate::operation::set::{SetChange, SetCommand, SetMove, SetOperation, SetQuery, SetQuestion};
use crate::resp::reply::Reply;
use crate::store::elements::{bulks, copies, is_shown, picked, walk, walk_len};
use crate::store::view::View;
use crate::store::{Effect, Store};
use crate::value::index_map::IndexMap;
use crate::value::set::Set;
use crate::value::{Collection, Value};

type Result<T = Response> = std::result::Result<T, DataError>;

pub(super) fn answer<B: AsRef<[u8]>>(view: &View<'_>, query: &SetQuery<B>) -> Result {
    match query {
        SetQuery::One { key, question } => answer_one(view.typed(key.as_ref())?, question),
        SetQuery::Combine { operation, keys } => {
            let sets = sets(view, keys)?;
            Ok(Reply::Set(bulks(combined(&sets, *operation, view.seed()))?).into())
        }
        SetQuery::IntersectionLen { keys, limit } => {
            let sets = sets(view, keys)?;
            let limit = usize::try_from(*limit).ok().filter(|limit| *limit > 0);
            let common = intersection(&sets).take(limit.unwrap_or(usize::MAX));
            Ok(Response::count(common.count()))
        }
    }
}

fn answer_one<B: AsRef<[u8]>>(set: Option<&Set>, question: &SetQuestion<B>) -> Result {
    let contains = |member: &B| set.is_some_and(|set| set.contains(member.as_ref()));
    Ok(match question {
        SetQuestion::Members => Reply::Set(bulks(set.into_iter().flat_map(Set::iter))?).into(),
        SetQuestion::Contains(member) => Response::yes_or_no(contains(member)),
        SetQuestion::ContainsEach(members) => {
            let each = members.iter().map(|member| Reply::Integer(i64::from(contains(member))));
            Reply::Array(each.collect()).into()
        }
        SetQuestion::Len => Response::count(set.map_or(0, Set::len)),
        SetQuestion::Random(pick) => random(set, pick)?,
        SetQuestion::Scan(scan) => step(set, scan)?,
    })
}

fn random(set: Option<&Set>, pick: &Pick) -> Result {
    let positions = picked(pick, set.map_or(0, Set::len))?;
    let mut members = positions.iter().filter_map(|position| set?.at(*position));
    if pick.count.is_none() {
        return Ok(Response::Value(members.next().map(Bytes::copy_from_slice)));
    }
    Ok(Reply::Array(bulks(members)?).into())
}

fn step<B: AsRef<[u8]>>(set: Option<&Set>, scan: &Scan<B>) -> Result {
    let Some(set) = set else { return Ok(walk(0, Vec::new())) };
    let (next, members) = set.scan(scan.cursor, walk_len(scan));
    Ok(walk(next, bulks(members.filter(|member| is_shown(scan, member)))?))
}

pub(super) fn apply<B: AsRef<[u8]>>(store: &mut Store, command: &SetCommand<B>) -> Result {
    match command {
        SetCommand::One { key, change } => apply_one(store, key.as_ref(), change),
        SetCommand::Move(moved) => move_member(store, moved),
        SetCommand::Store { destination, operation, keys } => {
            let view = View::of_log_time(store);
            let sets = sets(&view, keys)?;
            let mut result = Set::empty(view.seed());
            for member in combined(&sets, *operation, view.seed()) {
                result.insert(member);
            }
            let len = result.len();
            store.put_or_remove(destination.as_ref(), Value::Set(Box::new(result)), len);
            Ok(Response::count(len))
        }
    }
}

fn apply_one<B: AsRef<[u8]>>(store: &mut Store, key: &[u8], change: &SetChange<B>) -> Result {
    match change {
        SetChange::Add(members) => store.change(key, |set: &mut Set| {
            let added_len = members.iter().filter(|member| set.insert(member.as_ref())).count();
            (Effect::of(added_len > 0), Response::count(added_len))
        }),
        SetChange::Remove(members) => store.change(key, |set: &mut Set| {
            let removed_len = members.iter().filter(|member| set.remove(member.as_ref())).count();
            (Effect::of(removed_len > 0), Response::count(removed_len))
        }),
        SetChange::Pop { count, seed } => {
            let count_max = count.unwrap_or(1);
            let popped = store.change(key, |set: &mut Set| {
                let popped = pop(set, count_max, *seed);
                (Effect::of(popped.as_ref().is_ok_and(|popped| !popped.is_empty())), popped)
            })??;
            Ok(match count {
                None => Response::Value(popped.into_iter().next()),
                Some(_) => Reply::Set(popped.into_iter().map(Reply::Bulk).collect()).into(),
            })
        }
    }
}

/// Takes out at most `count` members, or none if they don't fit a reply.
fn pop(set: &mut Set, count: u64, seed: u64) -> Result<Vec<Bytes>> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let pick = Pick { count: Some(count), with_values: false, seed };
    let mut positions = picked(&pick, set.len())?;
    let popped = copies(positions.iter().filter_map(|position| set.at(*position)))?;
    // From the last on: what a removal moves is no longer wanted.
    positions.sort_unstable_by(|one, other| other.cmp(one));
    for position in positions {
        set.remove_at(position);
    }
    Ok(popped)
}

fn move_member<B: AsRef<[u8]>>(store: &mut Store, moved: &SetMove<B>) -> Result {
    let (from, to) = (moved.from.as_ref(), moved.to.as_ref());
    let member = moved.member.as_ref();
    let Some(source) = store.typed::<Set>(from)? else {
        return Ok(Response::yes_or_no(false));
    };
    let is_there = source.contains(member);
    store.typed::<Set>(to)?;
    if is_there && from != to {
        store.change(from, |set: &mut Set| (Effect::Changed, set.remove(member)))?;
        store.change(to, |set: &mut Set| {
            let is_new = set.insert(member);
            (Effect::of(is_new), ())
        })?;
    }
    Ok(Response::yes_or_no(is_there))
}

/// The sets of all keys, where there are any.
fn sets<'a, B: AsRef<[u8]>>(view: &View<'a>, keys: &[B]) -> Result<Vec<Option<&'a Set>>> {
    keys.iter().map(|key| view.typed::<Set>(key.as_ref())).collect()
}

fn combined<'a>(sets: &[Option<&'a Set>], operation: SetOperation, seed: u64) -> Vec<&'a [u8]> {
    match operation {
        SetOperation::Intersection => intersection(sets).collect(),
        SetOperation::Union => {
            let mut union = IndexMap::new(seed);
            for member in sets.iter().flatten().flat_map(|set| set.iter()) {
                if !union.contains(member) {
                    union.push_new(member, ());
                }
            }
            union.iter().map(|(member, ())| *member).collect()
        }
        SetOperation::Difference => {
            let (first, others) = sets.split_first().unwrap_or((&None, &[]));
            let members = first.iter().flat_map(|set| set.iter());
            let is_elsewhere =
                |member: &[u8]| others.iter().flatten().any(|set| set.contains(member));
            members.filter(|member| !is_elsewhere(member)).collect()
        }
    }
}

/// What all have, in the order of the smallest.
fn intersection<'a>(sets: &[Option<&'a Set>]) -> impl Iterator<Item = &'a [u8]> {
    // One that isn't there has nothing in common with any.
    let mut sets: Vec<&Set> = sets.iter().copied().collect::<Option<_>>().unwrap_or_default();
    sets.sort_by_key(|set| set.len());
    let smallest = sets.first().copied();
    let members = smallest.into_iter().flat_map(Set::iter);
    members.filter(move |member| sets.iter().skip(1).all(|set| set.contains(member)))
}
