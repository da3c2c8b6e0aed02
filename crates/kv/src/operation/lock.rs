//! What lock libraries do by script, as operations of our own.
//!
//! A lock is a key that holds its owner's token and has a deadline. Letting go
//! and holding on must look at the token and act at one place of the log, which
//! is why libraries send scripts for them.
//!
//! Not here: which script is which of these (`scripts.rs`), what they
//! do (`store/lock.rs`).

/// A step of a lock library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockCommand<B> {
    /// What to do.
    pub step: LockStep,
    /// The locks. Where a step is about one, there is one.
    pub keys: Vec<B>,
    /// Whose they must be, or become.
    pub token: B,
    /// Milliseconds from now until they lapse; unused by releases.
    pub lifetime_ms: i64,
}

/// What to do with locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockStep {
    /// Remove it if it is the owner's: 1, else 0.
    Release,
    /// The same, but -1 if nobody holds it.
    ReleaseHeld,
    /// Give it a new lifetime if it is the owner's: 1, else 0.
    Extend,
    /// Add to its lifetime if it is the owner's and has one: 1, else 0.
    Prolong,
    /// Give it a new lifetime if it is the owner's and has one: 1, else 0.
    ExtendMortal,
    /// Take all of them if none is taken: how many, else 0.
    AcquireAll,
    /// Give all of them a new lifetime if all are the owner's: how many, else 0.
    ExtendAll,
    /// Remove those that are the owner's: how many.
    ReleaseAll,
}

impl LockStep {
    /// Its number in the log.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Release => 1,
            Self::ReleaseHeld => 2,
            Self::Extend => 3,
            Self::Prolong => 4,
            Self::AcquireAll => 5,
            Self::ExtendAll => 6,
            Self::ReleaseAll => 7,
            Self::ExtendMortal => 8,
        }
    }

    /// The step of this number.
    pub(crate) fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Release,
            2 => Self::ReleaseHeld,
            3 => Self::Extend,
            4 => Self::Prolong,
            5 => Self::AcquireAll,
            6 => Self::ExtendAll,
            7 => Self::ReleaseAll,
            8 => Self::ExtendMortal,
            _ => return None,
        })
    }
}
