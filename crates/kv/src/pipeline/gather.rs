//! One request to every group, whose answers become one.
//!
//! The groups answer at different moments: nothing about the whole is atomic,
//! and the documentation says so.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::errors::Failure;
use crate::operation::Query;
use crate::operation::every_group::EveryGroup;
use crate::operation::key::KeyQuery;
use crate::operation::response::Response;

/// A request to every group with the answers so far.
#[derive(Debug)]
pub(super) struct Gather {
    pub(super) work: EveryGroup,
    missing_len: usize,
    response: Option<Response>,
    failure: Option<Failure>,
}

impl Gather {
    pub(super) fn new(work: EveryGroup, groups_len: usize) -> Self {
        Self { work, missing_len: groups_len, response: None, failure: None }
    }

    pub(super) fn is_write(&self) -> bool {
        matches!(self.work, EveryGroup::Write(_))
    }

    /// Takes one group's answer; that of all, if this was the last.
    pub(super) fn add(
        &mut self,
        result: Result<Response, Failure>,
    ) -> Option<Result<Response, Failure>> {
        match result {
            // An unknown outcome of one part is one of the whole.
            Err(failure) if self.failure.is_none_or(Failure::is_surely_not_done) => {
                self.failure = Some(failure);
            }
            Err(_) => {}
            Ok(response) => {
                self.response = Some(match self.response.take() {
                    None => response,
                    Some(others) => self.merged(others, response),
                });
            }
        }
        self.missing_len = self.missing_len.saturating_sub(1);
        if self.missing_len > 0 {
            return None;
        }
        let is_partly_done = self.is_write() && self.response.is_some();
        Some(match (self.failure, self.response.take()) {
            // Some groups have done it: it can't be said that nothing was.
            (Some(_), _) if is_partly_done => Err(Failure::Unknown),
            (Some(failure), _) => Err(failure),
            (None, response) => Ok(response.unwrap_or(Response::Ok)),
        })
    }

    fn merged(&self, left: Response, right: Response) -> Response {
        match (left, right) {
            (Response::Integer(left), Response::Integer(right)) => {
                Response::Integer(left.saturating_add(right))
            }
            (Response::Values(mut left), Response::Values(right)) => {
                left.extend(right);
                Response::Values(left)
            }
            (Response::Value(Some(left)), Response::Value(Some(right))) => {
                Response::Value(Some(self.picked(left, right)))
            }
            (Response::Value(None), response) | (response, _) => response,
        }
    }

    /// One of two keys that were picked at random, each as likely as the other
    /// whatever group it comes from.
    fn picked(&self, left: Bytes, right: Bytes) -> Bytes {
        let seed = match &self.work {
            EveryGroup::Read(Query::Key(KeyQuery::RandomKey { seed })) => *seed,
            _ => 0,
        };
        let rank = |key: &Bytes| xxh3_64_with_seed(key, seed);
        if rank(&left) < rank(&right) { left } else { right }
    }
}
