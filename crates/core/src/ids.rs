//! Names and numbers of the protocol, one type each.
//!
//! A number that means something has a type of its own, so that an index is
//! never handed in where a term belongs. Only the arithmetic that means
//! something exists, and it is checked: indexes and terms near their maximum
//! are refused by their users (`is_exhausted`), never wrapped (rule 24).
//!
//! Not here: what a node's address is (`membership.rs`), what a group's
//! settings are (`options.rs`).

use std::fmt;
use std::ops::Sub;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// Wraps a number.
            #[must_use]
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            /// The number itself, for encoding and display.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Position of an entry in one group's log. The first entry is 1; 0 means
    /// "before the first" and never names an entry.
    Index
}

number! {
    /// A leader's period of office (§3.3). 0 comes before every election; the
    /// bootstrap entry has term 1.
    Term
}

number! {
    /// A process that hosts members. 0 names nobody.
    NodeId
}

number! {
    /// One replicated log.
    GroupId
}

number! {
    /// The life of a group id: a group removed and made anew under its id is a
    /// stranger to messages and records of the former.
    Generation
}

number! {
    /// How often a process has been started on its data directory; the name of
    /// one run of it (rule 4).
    Run
}

number! {
    /// Names one hand-over of things to make durable. Later tickets are larger.
    Ticket
}

number! {
    /// A round of messages that confirms reads; unique within a leader's term.
    Round
}

number! {
    /// Names one read that a local caller waits for; unique within a run.
    ReadId
}

/// One thread's share of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// The life of a data directory: random, made once (rule 3).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u128);

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A cluster's identity: nodes of different clusters never talk (rule 2).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u128);

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Who sent a message: vouched for by the transport's handshake, not by the
/// message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The node.
    pub node: NodeId,
    /// The life of its data directory.
    pub incarnation: Incarnation,
    /// Its start counter.
    pub run: Run,
}

/// Names an entry: no two entries of a group share a log id (§3.3).
///
/// Ordered as elections compare logs: by term, then by index (§3.6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The term in which a leader made the entry.
    pub term: Term,
    /// Its position.
    pub index: Index,
}

impl LogId {
    /// Whether index or term is beyond what may be used (rule 24).
    #[must_use]
    pub const fn is_exhausted(self) -> bool {
        self.index.is_exhausted() || self.term.is_exhausted()
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// The largest index and term that are used. What would pass it is refused by
/// name; the room above is for arithmetic without overflow (rule 24).
pub const NUMBER_MAX: u64 = u64::MAX >> 2;

impl Index {
    /// Before the first entry.
    pub const ZERO: Self = Self(0);
    /// The first entry's index.
    pub const FIRST: Self = Self(1);

    /// The index behind this one.
    ///
    /// # Panics
    /// At the end of `u64`, which refusals at [`NUMBER_MAX`] keep out of reach.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("index beyond NUMBER_MAX"))
    }

    /// The index before this one; that of 0 is 0.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The index `entries` further on.
    ///
    /// # Panics
    /// At the end of `u64`, which refusals at [`NUMBER_MAX`] keep out of reach.
    #[must_use]
    pub const fn plus(self, entries: u64) -> Self {
        Self(self.0.checked_add(entries).expect("index beyond NUMBER_MAX"))
    }

    /// Whether no entry may be appended behind this index (rule 24).
    #[must_use]
    pub const fn is_exhausted(self) -> bool {
        self.0 >= NUMBER_MAX
    }
}

impl Sub for Index {
    type Output = u64;

    /// How many entries lie between; 0 where `other` is further on.
    fn sub(self, other: Self) -> u64 {
        self.0.saturating_sub(other.0)
    }
}

impl Term {
    /// Before every election.
    pub const ZERO: Self = Self(0);
    /// The term of the bootstrap entry; the first election is for the next.
    pub const BOOTSTRAP: Self = Self(1);

    /// The term behind this one.
    ///
    /// # Panics
    /// At the end of `u64`, which refusals at [`NUMBER_MAX`] keep out of reach.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("term beyond NUMBER_MAX"))
    }

    /// Whether nobody may campaign beyond this term (rule 24).
    #[must_use]
    pub const fn is_exhausted(self) -> bool {
        self.0 >= NUMBER_MAX
    }
}

impl Ticket {
    /// The ticket behind this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl Round {
    /// The round behind this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl ReadId {
    /// The id behind this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}
