//! What a run did, folded into one number, and on request told line by line.
//!
//! Two runs of one seed must end in the same number; every decision and every
//! effect goes in, in order.

/// Folds `word` into `digest`. Order counts; one multiplication.
#[must_use]
pub fn mix(digest: u64, word: u64) -> u64 {
    let a = digest ^ 0x9e37_79b9_7f4a_7c15;
    let b = word ^ 0xe703_7ed1_a0b4_28db;
    let wide = u128::from(a.rotate_left(29).wrapping_add(b)) * 0xa076_1d64_78bd_642f_u128;
    let low = u64::try_from(wide & u128::from(u64::MAX)).expect("the lower half of 128 bits");
    let high = u64::try_from(wide >> 64).expect("the upper half of 128 bits");
    low ^ high ^ digest.rotate_left(17)
}

/// Folds `bytes` into `digest`.
#[must_use]
pub fn mix_bytes(digest: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut digest = mix(digest, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    for word in words {
        digest = mix(digest, u64::from_le_bytes(*word));
    }
    rest.iter().fold(digest, |digest, byte| mix(digest, u64::from(*byte)))
}

/// The rolling digest, and the lines when they are wanted.
#[derive(Debug, Default)]
pub struct Trace {
    digest: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// One that keeps lines.
    #[must_use]
    pub fn telling() -> Self {
        Self { digest: 0, lines: Some(Vec::new()) }
    }

    /// Folds words in.
    pub fn fold(&mut self, words: &[u64]) {
        for word in words {
            self.digest = mix(self.digest, *word);
        }
    }

    /// Keeps a line; `line` is only made when somebody wants it.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(line());
        }
    }

    /// The digest of everything so far.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The lines, if they were kept.
    #[must_use]
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
