//! What `SORT` does.

use crate::operation::response::{DataError, Response};
use crate::operation::sort::{Sort, SortBy, SortStore};
use crate::operation::sorted_set::Direction;
use crate::resp::reply::Reply;
use crate::store::Store;
use crate::store::elements::bulks;
use crate::store::view::View;
use crate::value::list::{End, List};
use crate::value::score::Score;
use crate::value::{Collection, Value};

type Result<T = Response> = std::result::Result<T, DataError>;

pub(super) fn answer<B: AsRef<[u8]>>(view: &View<'_>, sort: &Sort<B>) -> Result {
    Ok(Reply::Array(bulks(sorted(view, sort, sort.by)?)?).into())
}

pub(super) fn apply<B: AsRef<[u8]>>(store: &mut Store, command: &SortStore<B>) -> Result {
    let view = View::of_log_time(store);
    let sort = &command.sort;
    let value = view.live(sort.key.as_ref()).map(|entry| &entry.value);
    // A set has no order to keep, so Redis stores it in that of its bytes.
    let by = match (value, sort.by) {
        (Some(Value::Set(_)), SortBy::Nothing) => SortBy::Bytes,
        (_, by) => by,
    };
    let mut list = List::empty(view.seed());
    for element in sorted(&view, sort, by)? {
        list.push(End::Back, element.into());
    }
    let len = list.len();
    store.put_or_remove(command.destination.as_ref(), Value::List(Box::new(list)), len);
    Ok(Response::count(len))
}

fn sorted<'a, B: AsRef<[u8]>>(
    view: &View<'a>,
    sort: &Sort<B>,
    by: SortBy,
) -> Result<Vec<&'a [u8]>> {
    let mut elements: Vec<&[u8]> = match view.live(sort.key.as_ref()).map(|entry| &entry.value) {
        None => Vec::new(),
        Some(Value::List(list)) => list.iter().collect(),
        Some(Value::Set(set)) => set.iter().collect(),
        Some(Value::SortedSet(set)) => set.range(0..set.len()).map(|(member, _)| member).collect(),
        Some(_) => return Err(DataError::WrongType),
    };
    match by {
        SortBy::Nothing => {}
        SortBy::Bytes => elements.sort_unstable(),
        SortBy::Number => {
            let number = |element: &&'a [u8]| {
                let number = Score::parse_number(element).ok_or(DataError::SortNotANumber)?;
                Ok((number, *element))
            };
            let mut numbers: Vec<_> = elements.iter().map(number).collect::<Result<_>>()?;
            numbers.sort_unstable();
            elements = numbers.into_iter().map(|(_, element)| element).collect();
        }
    }
    let is_set = matches!(view.live(sort.key.as_ref()).map(|it| &it.value), Some(Value::Set(_)));
    // A set that isn't sorted has no other side to begin at.
    if sort.direction == Direction::Downwards && !(is_set && by == SortBy::Nothing) {
        elements.reverse();
    }
    let (offset, count) = sort.limit;
    let skipped = usize::try_from(offset.max(0)).unwrap_or(usize::MAX);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    Ok(elements.into_iter().skip(skipped).take(count).collect())
}
