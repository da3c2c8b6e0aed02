//! What members say to each other about membership.
//!
//! One kind of message with a form of its own: it is rare, and its bytes are
//! those of a configuration for the most part.
//!
//! ```text
//!  0  what  u8   1 ask, 2 cancel, 3 answer, 4 removed
//!  1  ask:     run u64, ask u64, expected u64, configuration (`membership.rs`)
//!     cancel:  run u64, ask u64
//!     answer:  run u64, ask u64, outcome u8, three numbers u64 each
//!     removed: as of index u64, term u64
//! ```
//!
//! Not here: who may ask (`group/messages.rs`), what is decided
//! (`leader/change.rs`).

use bytes::{Buf, BufMut};

use crate::change::Change;
use crate::error::ChangeError;
use crate::ids::{Index, LogId, NUMBER_MAX, NodeId, Run, Term};
use crate::membership::{ADDRESS_BYTES_MAX, Configuration, ConfigurationError, MEMBERS_MAX};

/// Bytes of the longest such message: an ask for a full set.
pub const MEMBERSHIP_BYTES_MAX: usize = 64 + MEMBERS_MAX * (28 + ADDRESS_BYTES_MAX);

/// About membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// Member to leader: bring this about, or tell how it stands.
    Ask {
        /// The run that asks; echoed.
        run: Run,
        /// The asker's name for it; echoed.
        ask: u64,
        /// The configuration on which it was decided.
        expected: Index,
        /// The members wanted.
        target: Configuration,
    },
    /// Member to leader: give up the change that waits.
    Cancel {
        /// The run that asks; echoed.
        run: Run,
        /// The asker's name for it; echoed.
        ask: u64,
    },
    /// The answer to either. A cancelled change counts as under way.
    Answer {
        /// As asked.
        run: Run,
        /// As asked.
        ask: u64,
        /// How the change stands.
        outcome: Result<Change, ChangeError>,
    },
    /// To one that holds no seat: its removal is committed (rule 22), or what
    /// seated it never came to be.
    Removed {
        /// As of this committed entry. A configuration behind it may seat the
        /// receiver again.
        as_of: LogId,
    },
}

impl Membership {
    /// Appends the encoded form.
    pub fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Ask { run, ask, expected, target } => {
                into.put_u8(1);
                into.put_u64_le(run.get());
                into.put_u64_le(*ask);
                into.put_u64_le(expected.get());
                target.encode(into);
            }
            Self::Cancel { run, ask } => {
                into.put_u8(2);
                into.put_u64_le(run.get());
                into.put_u64_le(*ask);
            }
            Self::Answer { run, ask, outcome } => {
                into.put_u8(3);
                into.put_u64_le(run.get());
                into.put_u64_le(*ask);
                let (outcome, numbers) = numbered(outcome);
                into.put_u8(outcome);
                for number in numbers {
                    into.put_u64_le(number);
                }
            }
            Self::Removed { as_of } => {
                into.put_u8(4);
                into.put_u64_le(as_of.index.get());
                into.put_u64_le(as_of.term.get());
            }
        }
    }

    /// Reads what [`Membership::encode`] wrote; `None` for anything else.
    #[must_use]
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let what = bytes.try_get_u8().ok()?;
        let mut number = || bytes.try_get_u64_le().ok();
        let decoded = match what {
            1 => {
                let (run, ask, expected) = (Run::new(number()?), number()?, index(number()?)?);
                let target = Configuration::decode(bytes).ok()?;
                // One form for each, so that equal messages are equal bytes.
                let mut again = Vec::with_capacity(bytes.len());
                target.encode(&mut again);
                return (again == bytes).then_some(Self::Ask { run, ask, expected, target });
            }
            2 => Self::Cancel { run: Run::new(number()?), ask: number()? },
            3 => {
                let (run, ask) = (Run::new(number()?), number()?);
                let outcome = bytes.try_get_u8().ok()?;
                let mut number = || bytes.try_get_u64_le().ok();
                let numbers = [number()?, number()?, number()?];
                let known = outcome_of(outcome, numbers)?;
                if numbered(&known) != (outcome, numbers) {
                    return None;
                }
                Self::Answer { run, ask, outcome: known }
            }
            4 => {
                let at = index(number()?)?;
                let term = Term::new(index(number()?)?.get());
                Self::Removed { as_of: LogId { term, index: at } }
            }
            _ => return None,
        };
        bytes.is_empty().then_some(decoded)
    }
}

fn index(number: u64) -> Option<Index> {
    (number <= NUMBER_MAX).then_some(Index::new(number))
}

fn numbered(outcome: &Result<Change, ChangeError>) -> (u8, [u64; 3]) {
    match *outcome {
        Ok(Change::Done { index }) => (1, [index.get(), 0, 0]),
        Ok(Change::UnderWay { index }) => (2, [index.get(), 0, 0]),
        Err(ChangeError::NotLeader { leader, term }) => {
            (3, [leader.map_or(0, NodeId::get), term.get(), 0])
        }
        Err(ChangeError::NotReady) => (4, [0; 3]),
        Err(ChangeError::InProgress { index }) => (5, [index.get(), 0, 0]),
        Err(ChangeError::Version { expected, current }) => (6, [expected.get(), current.get(), 0]),
        Err(ChangeError::Invalid(error)) => {
            let (what, node) = match error {
                ConfigurationError::NoVoter => (1, 0),
                ConfigurationError::NilNode => (2, 0),
                ConfigurationError::Duplicate(node) => (3, node.get()),
                ConfigurationError::TooLarge => (4, 0),
                ConfigurationError::Malformed => (5, 0),
            };
            (7, [what, node, 0])
        }
        Err(ChangeError::Incarnation { node }) => (8, [node.get(), 0, 0]),
        Err(ChangeError::NotCaughtUp { node, matched, goal }) => {
            (9, [node.get(), matched.get(), goal.get()])
        }
        Err(ChangeError::Cancelled) => (10, [0; 3]),
        Err(ChangeError::TooLate { index }) => (11, [index.get(), 0, 0]),
        Err(ChangeError::NoChange) => (12, [0; 3]),
        Err(ChangeError::Exhausted) => (13, [0; 3]),
        Err(ChangeError::Transferring) => (14, [0; 3]),
    }
}

fn outcome_of(outcome: u8, [a, b, c]: [u64; 3]) -> Option<Result<Change, ChangeError>> {
    let node = NodeId::new(a);
    Some(match outcome {
        1 => Ok(Change::Done { index: index(a)? }),
        2 => Ok(Change::UnderWay { index: index(a)? }),
        3 => {
            let leader = (a != 0).then_some(node);
            Err(ChangeError::NotLeader { leader, term: Term::new(index(b)?.get()) })
        }
        4 => Err(ChangeError::NotReady),
        5 => Err(ChangeError::InProgress { index: index(a)? }),
        6 => Err(ChangeError::Version { expected: index(a)?, current: index(b)? }),
        7 => Err(ChangeError::Invalid(match a {
            1 => ConfigurationError::NoVoter,
            2 => ConfigurationError::NilNode,
            3 => ConfigurationError::Duplicate(NodeId::new(b)),
            4 => ConfigurationError::TooLarge,
            5 => ConfigurationError::Malformed,
            _ => return None,
        })),
        8 => Err(ChangeError::Incarnation { node }),
        9 => Err(ChangeError::NotCaughtUp { node, matched: index(b)?, goal: index(c)? }),
        10 => Err(ChangeError::Cancelled),
        11 => Err(ChangeError::TooLate { index: index(a)? }),
        12 => Err(ChangeError::NoChange),
        13 => Err(ChangeError::Exhausted),
        14 => Err(ChangeError::Transferring),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{MEMBERSHIP_BYTES_MAX, Membership, outcome_of};
    use crate::ids::{Incarnation, Index, LogId, NodeId, Run, Term};
    use crate::membership::{ADDRESS_BYTES_MAX, Configuration, MEMBERS_MAX, Member, Role};

    fn survives(message: &Membership) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        assert!(bytes.len() <= MEMBERSHIP_BYTES_MAX, "{message:?}");
        assert_eq!(Membership::decode(&bytes).as_ref(), Some(message));
        for cut in 0..bytes.len() {
            assert_eq!(Membership::decode(&bytes[..cut]), None, "{message:?} cut at {cut}");
        }
        bytes.push(0);
        assert_eq!(Membership::decode(&bytes), None, "{message:?} and a byte");
    }

    #[test]
    fn every_message_survives_its_encoding_and_no_prefix_of_it_passes() {
        let (run, ask, expected) = (Run::new(3), 9, Index::new(7));
        let member = |node| Member {
            node: NodeId::new(node),
            incarnation: Incarnation(u128::from(node)),
            role: Role::Voter,
            priority: u8::MAX,
            address: "a".repeat(ADDRESS_BYTES_MAX),
        };
        let full = (1..=u64::try_from(MEMBERS_MAX).unwrap()).map(member).collect();
        let target = Configuration::new(full).unwrap();
        survives(&Membership::Ask { run, ask, expected, target });
        survives(&Membership::Cancel { run, ask });
        survives(&Membership::Removed { as_of: LogId { term: Term::new(5), index: expected } });
        let numbers = [[2, 5, 0], [1, 5, 6], [3, 5, 0]];
        let outcomes = (0..=u8::MAX).flat_map(|code| numbers.map(|n| outcome_of(code, n)));
        let outcomes: Vec<_> = outcomes.flatten().collect();
        assert!(outcomes.len() >= 3 * 14, "an outcome is missing");
        for outcome in outcomes {
            survives(&Membership::Answer { run, ask, outcome });
        }
    }
}
