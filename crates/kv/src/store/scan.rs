//! Walks over all keys of a group.
//!
//! A walk goes by position (`store/table.rs`): it meets every key that is there
//! all the while, on whatever members its steps are answered, as long as they
//! hash alike. Lapsed keys are passed over.

use bytes::Bytes;

use crate::decimal;
use crate::glob;
use crate::operation::key::KeyScan;
use crate::resp::reply::Reply;
use crate::slot::Slot;
use crate::store::entry::Entry;
use crate::store::table::POSITION_BITS;
use crate::store::view::View;

/// Buckets that one step of a scan looks at for each key it is asked to look
/// at, as in Redis: most are not empty, but many in a row may be.
const BUCKETS_PER_KEY: u64 = 10;

/// All live keys of a pattern.
pub(super) fn keys(view: &View<'_>, pattern: &[u8]) -> Vec<Option<Bytes>> {
    let mut found = Keys::default();
    let mut met = Vec::new();
    let mut position = Some(0);
    while let Some(from) = position {
        position = view.store.entries.walk(from, &mut met);
        let fits = |(key, entry): &(&[u8], &Entry)| {
            glob::matches(pattern, key) && !entry.has_lapsed(view.store.log_time_ms)
        };
        found.extend(met.drain(..).filter(fits).map(|(key, _)| key));
    }
    found.into_values().into_iter().map(Some).collect()
}

/// Live keys of a slot, as many as there are up to `len_max`. There is no list
/// of them: it looks at all keys of the group.
pub(super) fn in_slot(view: &View<'_>, slot: u16, len_max: usize) -> Vec<Bytes> {
    let mut found = Keys::default();
    let mut met = Vec::new();
    let mut position = Some(0);
    while let Some(from) = position
        && found.len() < len_max
    {
        position = view.store.entries.walk(from, &mut met);
        let fits = |(key, entry): &(&[u8], &Entry)| {
            Slot::of(key).number() == slot && !entry.has_lapsed(view.store.log_time_ms)
        };
        let room = len_max - found.len();
        found.extend(met.drain(..).filter(fits).map(|(key, _)| key).take(room));
    }
    found.into_values()
}

/// One step of a walk: the next cursor, and keys.
pub(super) fn scan<B: AsRef<[u8]>>(view: &View<'_>, scan: &KeyScan<B>) -> Reply {
    let mut found = Keys::default();
    let mut met = Vec::new();
    let mut next = Some(scan.position);
    let mut looked_at = 0;
    let mut buckets = scan.count.saturating_mul(BUCKETS_PER_KEY);
    while let Some(from) = next
        && looked_at < scan.count
        && buckets > 0
    {
        next = view.store.entries.walk(from, &mut met);
        looked_at += u64::try_from(met.len()).unwrap_or(u64::MAX);
        buckets -= 1;
        let fits = |(key, entry): &(&[u8], &Entry)| {
            let pattern_fits =
                scan.pattern.as_ref().is_none_or(|pattern| glob::matches(pattern.as_ref(), key));
            let name = entry.value.type_name().as_bytes();
            let type_fits = scan.type_name.as_ref().is_none_or(|wanted| wanted.as_ref() == name);
            pattern_fits && type_fits && !entry.has_lapsed(view.store.log_time_ms)
        };
        found.extend(met.drain(..).filter(fits).map(|(key, _)| key));
    }
    let groups_len = u64::from(scan.groups_len.max(1));
    let group = u64::from(scan.group);
    let cursor = match next {
        Some(position) => position.saturating_mul(groups_len).saturating_add(group),
        // Behind the last group is nothing, and 0 says so.
        None => (group + 1) % groups_len,
    };
    let mut text = Vec::new();
    decimal::push_u64(&mut text, cursor);
    let keys = found.into_values().into_iter().map(Reply::Bulk).collect();
    Reply::Array(vec![Reply::Bulk(text.into()), Reply::Array(keys)])
}

/// A live key, if there is one.
pub(super) fn random_key(view: &View<'_>, seed: u64) -> Option<Bytes> {
    let start = seed >> (u64::BITS - POSITION_BITS);
    // From there to the end, then from the beginning: all is met.
    from_bucket_at(view, start, seed).or_else(|| from_bucket_at(view, 0, seed))
}

fn from_bucket_at(view: &View<'_>, start: u64, seed: u64) -> Option<Bytes> {
    let mut met = Vec::new();
    let mut position = Some(start);
    while let Some(from) = position {
        position = view.store.entries.walk(from, &mut met);
        met.retain(|(_, entry)| !entry.has_lapsed(view.store.log_time_ms));
        let len = u64::try_from(met.len()).unwrap_or(u64::MAX);
        let pick = seed.checked_rem(len).and_then(|at| usize::try_from(at).ok());
        if let Some((key, _)) = pick.and_then(|at| met.get(at)) {
            return Some(Bytes::copy_from_slice(key));
        }
        met.clear();
    }
    None
}

/// Keys that are copied together: one allocation for all.
#[derive(Default)]
struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn extend<'a>(&mut self, keys: impl Iterator<Item = &'a [u8]>) {
        for key in keys {
            self.bytes.extend_from_slice(key);
            self.ends.push(self.bytes.len());
        }
    }

    fn into_values(self) -> Vec<Bytes> {
        let bytes = Bytes::from(self.bytes);
        let mut start = 0;
        let ends = self.ends.into_iter();
        ends.map(|end| bytes.slice(std::mem::replace(&mut start, end)..end)).collect()
    }
}
