//! What commands on hashes do.

use bytes::Bytes;

use crate::decimal;
use crate::long_double::LongDouble;
use crate::operation::collection::{Pick, Scan};
use crate::operation::hash::{HashChange, HashCommand, HashPart, HashQuery, HashQuestion};
use crate::operation::response::{DataError, Response};
use crate::resp::reply::Reply;
use crate::store::elements::{bulk_pairs, bulks, is_shown, picked, walk, walk_len};
use crate::store::view::View;
use crate::store::{Effect, Store};
use crate::value::hash::Hash;

type Result = std::result::Result<Response, DataError>;

pub(super) fn answer<B: AsRef<[u8]>>(view: &View<'_>, query: &HashQuery<B>) -> Result {
    let hash = view.typed::<Hash>(query.key.as_ref())?;
    let value = |field: &B| hash.and_then(|hash| hash.get(field.as_ref()));
    Ok(match &query.question {
        HashQuestion::Get(field) => Response::Value(value(field).map(Bytes::copy_from_slice)),
        HashQuestion::GetEach(fields) => {
            let values = fields.iter().map(|field| value(field).map(Bytes::copy_from_slice));
            Response::Values(values.collect())
        }
        HashQuestion::All(part) => all(hash, *part)?.into(),
        HashQuestion::Len => Response::count(hash.map_or(0, Hash::len)),
        HashQuestion::Contains(field) => Response::yes_or_no(value(field).is_some()),
        HashQuestion::ValueLen(field) => Response::count(value(field).map_or(0, <[u8]>::len)),
        HashQuestion::Random(pick) => random(hash, pick)?,
        HashQuestion::Scan(scan) => step(hash, scan)?,
    })
}

fn all(hash: Option<&Hash>, part: HashPart) -> std::result::Result<Reply, DataError> {
    let pairs = hash.into_iter().flat_map(Hash::iter);
    Ok(match part {
        HashPart::Fields => Reply::Array(bulks(pairs.map(|(field, _)| field))?),
        HashPart::Values => Reply::Array(bulks(pairs.map(|(_, value)| value))?),
        HashPart::Both => Reply::Map(bulk_pairs(pairs)?),
    })
}

fn random(hash: Option<&Hash>, pick: &Pick) -> Result {
    let positions = picked(pick, hash.map_or(0, Hash::len))?;
    let pairs = positions.iter().filter_map(|position| hash?.at(*position));
    if pick.count.is_none() {
        let field = pairs.map(|(field, _)| field).next();
        return Ok(Response::Value(field.map(Bytes::copy_from_slice)));
    }
    let reply = if pick.with_values {
        Reply::Pairs(bulk_pairs(pairs)?)
    } else {
        Reply::Array(bulks(pairs.map(|(field, _)| field))?)
    };
    Ok(reply.into())
}

fn step<B: AsRef<[u8]>>(hash: Option<&Hash>, scan: &Scan<B>) -> Result {
    let Some(hash) = hash else { return Ok(walk(0, Vec::new())) };
    let (next, pairs) = hash.scan(scan.cursor, walk_len(scan));
    let shown = pairs.filter(|(field, _)| is_shown(scan, field));
    Ok(walk(next, bulks(shown.flat_map(|(field, value)| [field, value]))?))
}

pub(super) fn apply<B: AsRef<[u8]>>(store: &mut Store, command: &HashCommand<B>) -> Result {
    let key = command.key.as_ref();
    match &command.change {
        HashChange::Set(pairs) => Ok(Response::count(set(store, key, pairs)?)),
        HashChange::SetQuietly(pairs) => set(store, key, pairs).map(|_| Response::Ok),
        HashChange::SetNew(pair) => store.change(key, |hash: &mut Hash| {
            if hash.get(pair.0.as_ref()).is_some() {
                return (Effect::Untouched, Response::yes_or_no(false));
            }
            hash.set(pair.0.as_ref(), pair.1.as_ref());
            (Effect::Changed, Response::yes_or_no(true))
        }),
        HashChange::Remove(fields) => store.change(key, |hash: &mut Hash| {
            let removed_len = fields.iter().filter(|field| hash.remove(field.as_ref())).count();
            (Effect::of(removed_len > 0), Response::count(removed_len))
        }),
        HashChange::IncrBy { field, by } => {
            let field = field.as_ref().as_ref();
            let current = match store.typed::<Hash>(key)?.and_then(|hash| hash.get(field)) {
                None => 0,
                Some(text) => decimal::parse_i64(text).ok_or(DataError::HashValueNotAnInteger)?,
            };
            let sum = current.checked_add(*by).ok_or(DataError::Overflow)?;
            let mut text = Vec::new();
            decimal::push_i64(&mut text, sum);
            set(store, key, &[(field, &text[..])])?;
            Ok(Response::Integer(sum))
        }
        HashChange::IncrByFloat { field, by } => {
            let field = field.as_ref().as_ref();
            let by = LongDouble::parse(by.as_ref().as_ref()).ok_or(DataError::NotFinite)?;
            let current = match store.typed::<Hash>(key)?.and_then(|hash| hash.get(field)) {
                None => LongDouble::ZERO,
                Some(text) => LongDouble::parse(text).ok_or(DataError::HashValueNotAFloat)?,
            };
            let text = current.plus(by).ok_or(DataError::NotFinite)?.text();
            set(store, key, &[(field, &text[..])])?;
            Ok(Response::Value(Some(Bytes::from(text))))
        }
    }
}

/// How many of the fields are new.
fn set<B: AsRef<[u8]>>(
    store: &mut Store,
    key: &[u8],
    pairs: &[(B, B)],
) -> std::result::Result<usize, DataError> {
    store.change(key, |hash: &mut Hash| {
        let mut is_new = |(field, value): &&(B, B)| hash.set(field.as_ref(), value.as_ref());
        (Effect::Changed, pairs.iter().filter(|pair| is_new(pair)).count())
    })
}
