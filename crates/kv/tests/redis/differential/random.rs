//! A small generator, so that a case is its number.

use bytes::Bytes;

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Any number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Yes, once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let len = u64::try_from(choices.len()).expect("small");
        choices[usize::try_from(self.below(len)).expect("small")]
    }

    /// One of a few keys, so that commands meet.
    pub fn key(&mut self) -> Bytes {
        Bytes::from(format!("k{}", self.below(6)))
    }

    /// Several keys, some of them the same.
    pub fn keys(&mut self) -> Vec<Bytes> {
        (0..=self.below(3)).map(|_| self.key()).collect()
    }

    pub fn word(&mut self, choices: &[&'static str]) -> Bytes {
        let word = self.one_of(choices);
        // Names and options are told apart by letters, not by their case.
        if self.once_in(4) { word.to_uppercase().into() } else { word.into() }
    }

    /// An integer as text: small, large, at the edges, or none.
    pub fn integer(&mut self) -> Bytes {
        const EDGES: &[&str] = &[
            "0",
            "1",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "-9223372036854775809",
            "9223372036854775",
            "9223372036854776",
            "+1",
            "01",
            "1.0",
            "",
            " 1",
            "x",
        ];
        match self.below(4) {
            0 => self.one_of(EDGES).into(),
            1 => self.below(1 << 40).to_string().into(),
            _ => (i64::try_from(self.below(21)).expect("small") - 10).to_string().into(),
        }
    }

    /// A number as text, or something near to one.
    pub fn number(&mut self) -> Bytes {
        const EDGES: &[&str] = &[
            "0",
            "-0",
            "0.1",
            "-1.1",
            "3.0e3",
            "1e17",
            "1e-5",
            "inf",
            "-inf",
            "nan",
            "1e400",
            "x",
            "",
            "1.",
            ".5",
            "1e",
            "0.30000000000000004",
            "123456789.125",
        ];
        match self.below(3) {
            0 => self.one_of(EDGES).into(),
            1 => self.integer(),
            _ => format!("{}.{}", self.below(100), self.below(1_000)).into(),
        }
    }

    /// Any value: a number, a few bytes, many, or bytes that are no text.
    pub fn value(&mut self) -> Bytes {
        match self.below(6) {
            0 | 1 => self.integer(),
            2 => self.number(),
            3 => b"\0\r\n\xff\"".as_slice().into(),
            4 => {
                let len = self.one_of(&[0, 3, 20, 21, 43, 44, 45, 46, 300]);
                "abcde".chars().cycle().take(len).collect::<String>().into()
            }
            _ => self.one_of(&["foo", "bar", "hello world", "k1"]).into(),
        }
    }

    /// A deadline in seconds or milliseconds: past, far away, or none at all.
    pub fn deadline(&mut self, is_relative: bool, in_ms: bool) -> Bytes {
        const WRONG: &[&str] = &[
            "0",
            "-1",
            "x",
            "",
            "9223372036854775807",
            "9223372036854775",
            "-9223372036854775808",
        ];
        if self.once_in(4) {
            return self.one_of(WRONG).into();
        }
        let unit: u64 = if in_ms { 1_000 } else { 1 };
        // No two alike, or it would depend on the moment which is the later.
        let seconds = if is_relative {
            1_000 + self.below(1_000_000_000)
        } else if self.once_in(4) {
            1_000_000_000 + self.below(100_000_000)
        } else {
            4_000_000_000 + self.below(100_000_000)
        };
        (seconds * unit + self.below(unit)).to_string().into()
    }
}

/// A request of these words.
pub fn words(words: impl IntoIterator<Item = Bytes>) -> Vec<Bytes> {
    words.into_iter().collect()
}
