//! The bytes of `SORT`.
//!
//! ```text
//! command  bytes destination, sort
//! query    sort
//! sort     bytes key, u8 by: 0 number, 1 bytes, 2 nothing, direction,
//!          i64 offset, i64 count
//! ```

use crate::operation::codec::DecodeError;
use crate::operation::codec::reader::{Reader, push_bytes, push_i64};
use crate::operation::codec::sorted_set_range::{direction, push_direction};
use crate::operation::sort::{Sort, SortBy, SortStore};

pub(super) fn encode_command<B: AsRef<[u8]>>(command: &SortStore<B>, out: &mut Vec<u8>) {
    push_bytes(out, &command.destination);
    encode_query(&command.sort, out);
}

pub(super) fn decode_command<'a>(
    reader: &mut Reader<'a>,
) -> Result<Box<SortStore<&'a [u8]>>, DecodeError> {
    let destination = reader.bytes()?;
    Ok(Box::new(SortStore { destination, sort: *decode_query(reader)? }))
}

pub(super) fn encode_query<B: AsRef<[u8]>>(sort: &Sort<B>, out: &mut Vec<u8>) {
    push_bytes(out, &sort.key);
    out.push(match sort.by {
        SortBy::Number => 0,
        SortBy::Bytes => 1,
        SortBy::Nothing => 2,
    });
    push_direction(out, sort.direction);
    push_i64(out, sort.limit.0);
    push_i64(out, sort.limit.1);
}

pub(super) fn decode_query<'a>(
    reader: &mut Reader<'a>,
) -> Result<Box<Sort<&'a [u8]>>, DecodeError> {
    let key = reader.bytes()?;
    let by = reader.choice(|byte| match byte {
        0 => Some(SortBy::Number),
        1 => Some(SortBy::Bytes),
        2 => Some(SortBy::Nothing),
        _ => None,
    })?;
    let direction = direction(reader)?;
    Ok(Box::new(Sort { key, by, direction, limit: (reader.i64()?, reader.i64()?) }))
}

/// One of each kind, with its bytes.
#[cfg(test)]
pub(super) fn samples() -> Vec<(crate::Command<&'static [u8]>, &'static str)> {
    use crate::Command;
    use crate::operation::sorted_set::Direction;

    let sort = |by, direction| Sort { key: &b"l"[..], by, direction, limit: (0, -1) };
    let shown = sort(SortBy::Number, Direction::Upwards);
    let by_nothing = sort(SortBy::Nothing, Direction::Upwards);
    let stored =
        SortStore { destination: &b"d"[..], sort: sort(SortBy::Bytes, Direction::Downwards) };
    vec![
        (
            Command::Sort(Box::new(stored)),
            r"\x02\x07\x01\x00\x00\x00d\x01\x00\x00\x00l\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
        (
            Command::Query(crate::Query::Sort(Box::new(shown))),
            r"\x02 \x07\x01\x00\x00\x00l\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
        (
            Command::Query(crate::Query::Sort(Box::new(by_nothing))),
            r"\x02 \x07\x01\x00\x00\x00l\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
    ]
}
