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

/// A length beyond the format's limit.
pub(super) fn limit(field: &'static str, len: usize) -> MessageError {
    MessageError::Limit { field, value: u64::try_from(len).unwrap_or(u64::MAX) }
}
