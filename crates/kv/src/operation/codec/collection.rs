//! The bytes of what the families of collections have in common.
//!
//! ```text
//! optional  boolean, and if it is 1 what it is about
//! pick      optional i64 count, boolean with_values, u64 seed
//! scan      u64 cursor, u64 count, optional bytes pattern
//! end       u8: 0 front, 1 back
//! ```

use crate::operation::codec::DecodeError;
use crate::operation::codec::reader::{Reader, push_bytes, push_i64, push_u64};
use crate::operation::collection::{Pick, Scan};
use crate::value::list::End;

pub(super) fn push_optional<T>(
    out: &mut Vec<u8>,
    value: Option<&T>,
    push: impl FnOnce(&mut Vec<u8>, &T),
) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        push(out, value);
    }
}

pub(super) fn optional<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    if reader.boolean()? { read(reader).map(Some) } else { Ok(None) }
}

pub(super) fn push_count(out: &mut Vec<u8>, count: Option<u64>) {
    push_optional(out, count.as_ref(), |out, count| push_u64(out, *count));
}

pub(super) fn count(reader: &mut Reader<'_>) -> Result<Option<u64>, DecodeError> {
    optional(reader, Reader::u64)
}

pub(super) fn push_pick(out: &mut Vec<u8>, pick: &Pick) {
    push_optional(out, pick.count.as_ref(), |out, count| push_i64(out, *count));
    out.push(u8::from(pick.with_values));
    push_u64(out, pick.seed);
}

pub(super) fn pick(reader: &mut Reader<'_>) -> Result<Pick, DecodeError> {
    let count = optional(reader, Reader::i64)?;
    Ok(Pick { count, with_values: reader.boolean()?, seed: reader.u64()? })
}

pub(super) fn push_scan<B: AsRef<[u8]>>(out: &mut Vec<u8>, scan: &Scan<B>) {
    push_u64(out, scan.cursor);
    push_u64(out, scan.count);
    push_optional(out, scan.pattern.as_ref(), |out, pattern| push_bytes(out, pattern));
}

pub(super) fn scan<'a>(reader: &mut Reader<'a>) -> Result<Box<Scan<&'a [u8]>>, DecodeError> {
    let (cursor, count) = (reader.u64()?, reader.u64()?);
    Ok(Box::new(Scan { cursor, count, pattern: optional(reader, Reader::bytes)? }))
}

pub(super) fn push_end(out: &mut Vec<u8>, end: End) {
    out.push(u8::from(end == End::Back));
}

pub(super) fn end(reader: &mut Reader<'_>) -> Result<End, DecodeError> {
    Ok(if reader.boolean()? { End::Back } else { End::Front })
}
