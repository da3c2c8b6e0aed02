//! Keys that reads on their way will ask for (D65).
//!
//! Reads that wait for one round are answered one after the other, each of a key
//! that lies in no cache as a rule: a chain of misses, bucket, item, value. Noted
//! while they wait, their keys are looked for together when the first of them is
//! answered, and the misses overlap.
//!
//! Nothing depends on it but time: a key that is not noted is found all the same.
//!
//! Not here: how keys are looked for together (`store/table/ahead.rs`).

use crate::pipeline::batch::Asked;
use crate::store::Store;

/// Keys that are noted; more are not. What they bring into the caches is to be
/// still there when it is asked for: some 400 bytes a key.
const EXPECTED_KEYS_MAX: usize = 512;
/// Their bytes, likewise.
const EXPECTED_BYTES_MAX: usize = 16 << 10;

/// Keys of one group that reads on their way will ask for.
#[derive(Debug, Default)]
pub struct Expected {
    /// One behind the other, and where each ends.
    keys: Vec<u8>,
    ends: Vec<usize>,
}

impl Expected {
    /// These wait to be answered.
    pub fn note<'a>(&mut self, asked: impl Iterator<Item = Asked<'a>>) {
        for asked in asked {
            if let Asked::Get { key } = asked
                && self.ends.len() < EXPECTED_KEYS_MAX
                && self.keys.len() + key.len() <= EXPECTED_BYTES_MAX
            {
                self.keys.extend_from_slice(key);
                self.ends.push(self.keys.len());
            }
        }
    }

    /// They are about to be: looks where all their keys are, and forgets them.
    pub fn look(&mut self, store: &Store) {
        // One alone would wait here instead of where it is asked for.
        if self.ends.len() > 1 {
            store.warm_for_reads(self.noted());
        }
        self.keys.clear();
        self.ends.clear();
    }

    fn noted(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        self.ends.iter().map(move |&end| {
            let key = self.keys.get(from..end).unwrap_or_default();
            from = end;
            key
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{EXPECTED_BYTES_MAX, EXPECTED_KEYS_MAX, Expected};
    use crate::pipeline::batch::Asked;
    use crate::store::Store;

    fn get(key: &[u8]) -> Asked<'_> {
        Asked::Get { key }
    }

    #[test]
    fn what_was_looked_for_is_forgotten() {
        let store = Store::new(7);
        let keys: Vec<String> = (0..250).map(|number| format!("k{number}")).collect();
        let mut expected = Expected::default();
        for few in keys.chunks(3) {
            expected.note(few.iter().map(|key| get(key.as_bytes())));
        }
        assert!(expected.noted().eq(keys.iter().map(String::as_bytes)));
        expected.look(&store);
        assert_eq!((expected.ends.len(), expected.keys.len()), (0, 0));
    }

    #[test]
    fn reads_that_nobody_answers_leave_few_keys_and_few_bytes() {
        let mut expected = Expected::default();
        for _ in 0..10 * EXPECTED_KEYS_MAX {
            expected.note([get(b"short")].into_iter());
        }
        assert_eq!(expected.ends.len(), EXPECTED_KEYS_MAX);
        let mut expected = Expected::default();
        let long = vec![b'l'; EXPECTED_BYTES_MAX / 3];
        for _ in 0..10 {
            expected.note([get(&long), get(&long)].into_iter());
        }
        assert_eq!((expected.ends.len(), expected.keys.len() <= EXPECTED_BYTES_MAX), (3, true));
        expected.note([get(b"s")].into_iter());
        assert_eq!(expected.ends.len(), 4, "a short one still fits");
    }
}
