//! Indexes and terms on the wire, both ways (rule 24).

use bytes::BufMut;

use super::MessageError;
use crate::fields::Fields;
use raftlet::core::{Index, LogId, NUMBER_MAX, Term};

pub(super) fn put_log_id(id: LogId, into: &mut &mut [u8]) {
    into.put_u64_le(id.index.get());
    into.put_u64_le(id.term.get());
}

#[inline]
pub(super) fn log_id(fields: &mut Fields<'_>, field: &'static str) -> Result<LogId, MessageError> {
    Ok(LogId { index: index(fields, field)?, term: term(fields, field)? })
}

#[inline]
pub(super) fn index(fields: &mut Fields<'_>, field: &'static str) -> Result<Index, MessageError> {
    Ok(Index::new(number(fields, field)?))
}

#[inline]
pub(super) fn term(fields: &mut Fields<'_>, field: &'static str) -> Result<Term, MessageError> {
    Ok(Term::new(number(fields, field)?))
}

#[inline]
fn number(fields: &mut Fields<'_>, field: &'static str) -> Result<u64, MessageError> {
    match fields.u64()? {
        value if value > NUMBER_MAX => Err(MessageError::Number { field, value }),
        value => Ok(value),
    }
}

/// Refuses numbers beyond the largest, with one test for all of them: `all` is
/// each of them or'ed together. Their names are wanted only for an error.
#[inline]
pub(super) fn check<const N: usize>(
    all: u64,
    numbers: impl FnOnce() -> [(&'static str, u64); N],
) -> Result<(), MessageError> {
    const _: () = assert!((NUMBER_MAX + 1).is_power_of_two(), "every larger one has a higher bit");
    if all > NUMBER_MAX { Err(first_beyond(&numbers())) } else { Ok(()) }
}

#[cold]
fn first_beyond(numbers: &[(&'static str, u64)]) -> MessageError {
    let beyond = numbers.iter().find(|(_, number)| *number > NUMBER_MAX);
    let &(field, value) = beyond.expect("some number has a bit above the largest");
    MessageError::Number { field, value }
}

/// A length beyond the format's limit.
pub(super) fn limit(field: &'static str, len: usize) -> MessageError {
    MessageError::Limit { field, value: u64::try_from(len).unwrap_or(u64::MAX) }
}
