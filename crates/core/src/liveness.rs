//! What a failure detector says about another node (D7).
//!
//! It influences when somebody campaigns or asks again, never what is safe.

use crate::ids::Run;

/// How a node is doing, as seen from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Liveness {
    /// Nobody vouches for it: only its group messages tell.
    #[default]
    Unknown,
    /// Messages go both ways and its shards turn.
    Alive {
        /// The run that answers.
        run: Run,
    },
    /// Silent, or its connection was reset and does not reopen.
    Suspected,
}

/// What a detector says, if it says anything, in one word: members of thousands
/// of groups each keep it of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told(Run);

impl Told {
    /// No process starts so often.
    const SUSPECTED: Self = Self(Run::new(u64::MAX));

    pub(crate) fn of(liveness: Liveness) -> Option<Self> {
        match liveness {
            Liveness::Unknown => None,
            Liveness::Alive { run } => Some(Self(run)),
            Liveness::Suspected => Some(Self::SUSPECTED),
        }
    }

    pub(crate) fn liveness(self) -> Liveness {
        if self == Self::SUSPECTED { Liveness::Suspected } else { Liveness::Alive { run: self.0 } }
    }
}
