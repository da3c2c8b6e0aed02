//! What commands on lists do.

use bytes::Bytes;

use crate::operation::list::{Find, ListChange, ListCommand, ListMove, ListQuery, ListQuestion};
use crate::operation::response::{DataError, Response};
use crate::resp::reply::Reply;
use crate::store::elements::{bulks, copies, span};
use crate::store::view::View;
use crate::store::{Effect, Store};
use crate::value::list::{End, List};

type Result<T = Response> = std::result::Result<T, DataError>;

pub(super) fn answer<B: AsRef<[u8]>>(view: &View<'_>, query: &ListQuery<B>) -> Result {
    let list = view.typed::<List>(query.key.as_ref())?;
    let len = list.map_or(0, List::len);
    Ok(match &query.question {
        ListQuestion::Len => Response::count(len),
        ListQuestion::At(at) => {
            let element = position(*at, len).and_then(|position| list?.get(position));
            Response::Value(element.map(Bytes::copy_from_slice))
        }
        ListQuestion::Range { start, stop } => {
            let span = span(*start, *stop, len);
            let elements = list.into_iter().flat_map(|list| list.range(span.start, span.len()));
            Reply::Array(bulks(elements)?).into()
        }
        ListQuestion::Find(find) => found(list, find),
    })
}

fn found<B: AsRef<[u8]>>(list: Option<&List>, find: &Find<B>) -> Response {
    let wanted = find.element.as_ref();
    let elements = list.into_iter().flat_map(List::iter).enumerate();
    let looked_at = if find.len_max == 0 { usize::MAX } else { as_len(find.len_max) };
    let skipped = as_len(find.rank.unsigned_abs().saturating_sub(1));
    let count = match find.count {
        None => 1,
        Some(0) => usize::MAX,
        Some(count) => as_len(count),
    };
    let is_it = |(_, element): &(usize, &[u8])| *element == wanted;
    let positions: Vec<usize> = if find.rank > 0 {
        let elements = elements.take(looked_at).filter(is_it);
        elements.skip(skipped).take(count).map(|(position, _)| position).collect()
    } else {
        let len = list.map_or(0, List::len);
        let elements = list.into_iter().flat_map(|list| list.iter().rev()).enumerate();
        let elements = elements.take(looked_at).filter(is_it).skip(skipped).take(count);
        elements.map(|(from_back, _)| len - 1 - from_back).collect()
    };
    let mut integers = positions
        .into_iter()
        .map(|position| Reply::Integer(i64::try_from(position).unwrap_or(i64::MAX)));
    match find.count {
        None => Response::Reply(integers.next().unwrap_or(Reply::Null)),
        Some(_) => Response::Reply(Reply::Array(integers.collect())),
    }
}

pub(super) fn apply<B: AsRef<[u8]>>(store: &mut Store, command: &ListCommand<B>) -> Result {
    match command {
        ListCommand::One { key, change } => apply_one(store, key.as_ref(), change),
        ListCommand::Move(moved) => move_element(store, moved),
        ListCommand::PopFirst { keys, end, count } => {
            for key in keys {
                let key = key.as_ref();
                if store.typed::<List>(key)?.is_none() {
                    continue;
                }
                let popped = pop(store, key, *end, *count)?;
                let elements = popped.into_iter().map(Reply::Bulk).collect();
                let key = Reply::Bulk(Bytes::copy_from_slice(key));
                return Ok(Reply::Array(vec![key, Reply::Array(elements)]).into());
            }
            Ok(Reply::NullArray.into())
        }
    }
}

fn apply_one<B: AsRef<[u8]>>(store: &mut Store, key: &[u8], change: &ListChange<B>) -> Result {
    match change {
        ListChange::Push { end, only_existing, elements } => {
            store.change(key, |list: &mut List| {
                if *only_existing && list.len() == 0 {
                    return (Effect::Untouched, Response::count(0));
                }
                for element in elements {
                    list.push(*end, element.as_ref().into());
                }
                (Effect::Changed, Response::count(list.len()))
            })
        }
        ListChange::Pop { end, count: None } => {
            let popped = pop(store, key, *end, 1)?;
            Ok(Response::Value(popped.into_iter().next()))
        }
        ListChange::Pop { end, count: Some(count) } => {
            if store.typed::<List>(key)?.is_none() {
                return Ok(Reply::NullArray.into());
            }
            let popped = pop(store, key, *end, *count)?;
            Ok(Reply::Array(popped.into_iter().map(Reply::Bulk).collect()).into())
        }
        ListChange::Set { position, element } => {
            set(store, key, *position, element.as_ref().as_ref())
        }
        ListChange::Insert { side, pivot_and_element } => {
            let (pivot, element) = pivot_and_element.as_ref();
            insert(store, key, *side, (pivot.as_ref(), element.as_ref()))
        }
        ListChange::Remove { count, element } => store.change(key, |list: &mut List| {
            let from = if *count < 0 { End::Back } else { End::Front };
            let len_max = if *count == 0 { usize::MAX } else { as_len(count.unsigned_abs()) };
            let removed_len = list.remove(element.as_ref().as_ref(), from, len_max);
            (Effect::of(removed_len > 0), Response::count(removed_len))
        }),
        ListChange::Trim { start, stop } => store.change(key, |list: &mut List| {
            let kept = span(*start, *stop, list.len());
            let effect = Effect::of(kept.len() < list.len());
            list.keep(kept.start, kept.len());
            (effect, Response::Ok)
        }),
    }
}

/// Takes at most `count` elements off an end, or none if they don't fit a
/// reply.
fn pop(store: &mut Store, key: &[u8], end: End, count: u64) -> Result<Vec<Bytes>> {
    let count = as_len(count);
    store.change(key, |list: &mut List| {
        let popped = match end {
            End::Front => copies(list.iter().take(count)),
            End::Back => copies(list.iter().rev().take(count)),
        };
        let popped_len = popped.as_ref().map_or(0, Vec::len);
        for _ in 0..popped_len {
            list.pop(end);
        }
        (Effect::of(popped_len > 0), popped)
    })?
}

fn set(store: &mut Store, key: &[u8], at: i64, element: &[u8]) -> Result {
    if store.typed::<List>(key)?.is_none() {
        return Err(DataError::NoSuchKey);
    }
    store.change(key, |list: &mut List| {
        let is_set = position(at, list.len()).is_some_and(|position| list.set(position, element));
        let result = if is_set { Ok(Response::Ok) } else { Err(DataError::IndexOutOfRange) };
        (Effect::of(is_set), result)
    })?
}

fn insert(store: &mut Store, key: &[u8], side: End, (pivot, element): (&[u8], &[u8])) -> Result {
    store.change(key, |list: &mut List| {
        if list.len() == 0 {
            return (Effect::Untouched, Response::count(0));
        }
        let Some(at) = list.iter().position(|held| held == pivot) else {
            return (Effect::Untouched, Response::Integer(-1));
        };
        list.insert(if side == End::Front { at } else { at + 1 }, element);
        (Effect::Changed, Response::count(list.len()))
    })
}

fn move_element<B: AsRef<[u8]>>(store: &mut Store, moved: &ListMove<B>) -> Result {
    let (from, to) = (moved.from.as_ref(), moved.to.as_ref());
    if store.typed::<List>(from)?.is_none() {
        return Ok(Response::Value(None));
    }
    store.typed::<List>(to)?;
    if from == to {
        return store.change(from, |list: &mut List| {
            let element = list.pop(moved.from_end);
            let shown = element.as_deref().map(Bytes::copy_from_slice);
            if let Some(element) = element {
                list.push(moved.to_end, element);
            }
            (Effect::Changed, Response::Value(shown))
        });
    }
    let element = store.change(from, |list: &mut List| {
        let element = list.pop(moved.from_end);
        (Effect::of(element.is_some()), element)
    })?;
    let shown = element.as_deref().map(Bytes::copy_from_slice);
    store.change(to, |list: &mut List| {
        let effect = Effect::of(element.is_some());
        if let Some(element) = element {
            list.push(moved.to_end, element);
        }
        (effect, ())
    })?;
    Ok(Response::Value(shown))
}

/// Where in a list of `len` a position of a client is.
fn position(at: i64, len: usize) -> Option<usize> {
    let from_front = if at < 0 { at.checked_add(i64::try_from(len).ok()?)? } else { at };
    usize::try_from(from_front).ok().filter(|position| *position < len)
}

fn as_len(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
