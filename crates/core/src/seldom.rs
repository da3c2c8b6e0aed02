//! What few members have of their state: one place for all of it, so that a
//! member at rest pays a word.
//!
//! Not here: what it is for (`refill.rs`, `leader/preference.rs`).

use crate::refill::Refill;
use crate::time::Time;

/// Seldom there, whatever the role.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seldom {
    /// Entries are lost that it may have acknowledged.
    pub(crate) refill: Option<Refill>,
    /// It gave way to who should lead rather.
    pub(crate) given_way: Option<GivenWay>,
}

/// Hand-overs by preference, kept over a member's offices.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GivenWay {
    /// When it gave way last.
    pub(crate) at: Time,
    /// Hand-overs in a row that did not last.
    pub(crate) strikes: u32,
}
