//! Questions about keys, whatever they hold, and their changes.
//!
//! Not here: what they do (`store/key.rs`), their bytes in the log
//! (`operation/codec/key.rs`).

/// A question about keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyQuery<B> {
    /// How many of the keys exist; one named twice counts twice.
    Exists {
        /// Those keys.
        keys: Vec<B>,
    },
    /// How many keys there are.
    DbSize,
    /// Of which type a key's value is.
    Type {
        /// That key.
        key: B,
    },
    /// When a key lapses.
    Deadline {
        /// That key.
        key: B,
        /// In which terms.
        form: DeadlineForm,
    },
    /// Any key.
    RandomKey {
        /// What it is picked by.
        seed: u64,
    },
    /// All keys of a pattern.
    Keys {
        /// That pattern.
        pattern: B,
    },
    /// Some keys, and where to go on.
    Scan(Box<KeyScan<B>>),
    /// How many keys a slot has, or some of them.
    InSlot {
        /// Of the slots this group has.
        slot: u16,
        /// So many keys at most; `None`: only how many there are.
        len_max: Option<u64>,
    },
    /// How a value would be stored in Redis.
    Encoding {
        /// Its key.
        key: B,
    },
    /// How many times a value is shared.
    RefCount {
        /// Its key.
        key: B,
    },
    /// How long a value has not been used, which isn't counted here.
    IdleTime {
        /// Its key.
        key: B,
    },
    /// How often a value is used, which isn't counted.
    Frequency {
        /// Its key.
        key: B,
    },
    /// Roughly what a key takes in memory.
    MemoryUsage {
        /// That key.
        key: B,
    },
    /// The versions of keys: what a later transaction compares with.
    Versions {
        /// Those keys.
        keys: Vec<B>,
    },
}

/// How to tell a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadlineForm {
    /// What is left until then, not the time itself.
    pub is_relative: bool,
    /// In milliseconds, not in seconds.
    pub in_ms: bool,
}

/// One step of a walk over all keys of all groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyScan<B> {
    /// Where in this group it goes on; 0 at its beginning.
    pub position: u64,
    /// Which group this is, for the cursor that is answered.
    pub group: u16,
    /// How many groups there are.
    pub groups_len: u16,
    /// How many keys to look at, roughly.
    pub count: u64,
    /// What keys must look like.
    pub pattern: Option<B>,
    /// What type their values must be of, in lower case.
    pub type_name: Option<B>,
}

/// A change of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyCommand<B> {
    /// Removes keys.
    Del {
        /// Those keys.
        keys: Vec<B>,
    },
    /// Gives a key a deadline.
    Expire {
        /// That key.
        key: B,
        /// When.
        when: When,
        /// When it does so.
        condition: ExpireCondition,
    },
    /// Takes the deadline off a key.
    Persist {
        /// That key.
        key: B,
    },
    /// Moves a value with its deadline to another key.
    Rename {
        /// From this key.
        from: B,
        /// To this one.
        to: B,
        /// Whether only to a key that isn't there.
        if_missing: bool,
    },
    /// Gives a key what another holds, with its deadline.
    Copy {
        /// This other one.
        from: B,
        /// That key.
        to: B,
        /// Whether it may hold something already.
        replaces: bool,
    },
    /// Removes all keys.
    Flush,
}

/// A deadline to be, in milliseconds; one in the past removes the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after the log's time.
    In(i64),
    /// At this time.
    At(i64),
}

/// When a key is given a deadline. All that are set must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpireCondition(u8);

impl ExpireCondition {
    /// It has none.
    pub const NONE_YET: Self = Self(1);
    /// It has one.
    pub const HAS_ONE: Self = Self(2);
    /// It has an earlier one.
    pub const LATER: Self = Self(4);
    /// It has a later one, or none.
    pub const EARLIER: Self = Self(8);

    /// Both conditions.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether this includes `other`.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn from_bits(bits: u8) -> Option<Self> {
        (bits < 16).then_some(Self(bits))
    }

    pub(crate) fn bits(self) -> u8 {
        self.0
    }
}

impl<B> KeyQuery<B> {
    /// As [`crate::Query`]'s.
    pub(crate) fn draw(&mut self, draw: impl FnOnce() -> u64) {
        if let Self::RandomKey { seed } = self {
            *seed = draw();
        }
    }
}
