//! The keys of one group with their values.
//!
//! Changed only by [`Store::apply`], asked by [`Store::query`]. Equal commands
//! in equal order make equal contents and equal responses on every member.
//!
//! Invariants
//! - The map is never iterated in an order that reaches a response or the
//!   digest; its hash seed may differ from member to member.
//! - The digest depends on the contents alone, not on how they came about
//!   (`store/digest.rs`).
//! - A stored key or value owns its bytes: it never keeps a log entry or a
//!   client's buffer alive.
//!
//! Not here: expiry, types other than strings, snapshots, and a limit on
//! memory, for which [`Store::used_bytes`] counts.

mod digest;
mod key_map;

use bytes::Bytes;

use crate::decimal;
use crate::operation::{Command, DataError, Query, Response};
use crate::store::digest::Digest;
use crate::store::key_map::KeyMap;

/// What an entry takes beyond the bytes of its key and value: the map's slot
/// and spare room, and two allocations' headers. An estimate.
const ENTRY_OVERHEAD_BYTES: u64 = 104;

/// The keys of one group with their values.
#[derive(Debug)]
pub struct Store {
    values: KeyMap<Held>,
    digest: Digest,
    used_bytes: u64,
}

/// A value with its entry's part in the digest, so that replacing it neither
/// hashes nor touches the bytes that go.
#[derive(Debug)]
struct Held {
    value: Value,
    part: u64,
}

/// What a key can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// Any bytes.
    String(Bytes),
}

impl Value {
    /// Its contents as the digest and the accounts see them.
    fn content(&self) -> &[u8] {
        match self {
            Self::String(bytes) => bytes,
        }
    }
}

impl Store {
    /// An empty store. `hash_seed` scatters keys in memory and shows nowhere
    /// else; a server draws it, so that no client knows which keys collide.
    #[must_use]
    pub fn new(hash_seed: u64) -> Self {
        Self {
            values: KeyMap::with_hasher(key_map::Seeded(hash_seed)),
            digest: Digest::default(),
            used_bytes: 0,
        }
    }

    /// Executes one command of the log.
    pub fn apply<B: AsRef<[u8]>>(&mut self, command: &Command<B>) -> Response {
        match command {
            Command::Set { key, value } => {
                self.put(key.as_ref(), Bytes::copy_from_slice(value.as_ref()));
                Response::Ok
            }
            Command::MSet { pairs } => {
                for (key, value) in pairs {
                    self.put(key.as_ref(), Bytes::copy_from_slice(value.as_ref()));
                }
                Response::Ok
            }
            Command::Del { keys } => {
                count(keys.iter().filter(|key| self.remove(key.as_ref())).count())
            }
            Command::IncrBy { key, by } => self.increment(key.as_ref(), *by),
            Command::Query(query) => self.query(query),
        }
    }

    /// Answers one question.
    #[must_use]
    pub fn query<B: AsRef<[u8]>>(&self, query: &Query<B>) -> Response {
        match query {
            Query::Get { key } => Response::Value(self.string(key.as_ref()).cloned()),
            Query::MGet { keys } => {
                let values = keys.iter().map(|key| self.string(key.as_ref()).cloned());
                Response::Values(values.collect())
            }
            Query::Exists { keys } => {
                count(keys.iter().filter(|key| self.values.contains_key(key.as_ref())).count())
            }
            Query::DbSize => count(self.values.len()),
        }
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys_len(&self) -> usize {
        self.values.len()
    }

    /// Roughly the memory that keys and values take.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Equal for equal contents, and for different contents almost surely
    /// different. Kept up to date by every write; asking is free.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    fn string(&self, key: &[u8]) -> Option<&Bytes> {
        self.values.get(key).map(|Held { value: Value::String(bytes), .. }| bytes)
    }

    fn increment(&mut self, key: &[u8], by: i64) -> Response {
        let current = match self.string(key) {
            None => 0,
            Some(text) => match decimal::parse_i64(text) {
                Some(current) => current,
                None => return Response::Refused(DataError::NotAnInteger),
            },
        };
        let Some(sum) = current.checked_add(by) else {
            return Response::Refused(DataError::Overflow);
        };
        let mut text = Vec::new();
        decimal::push_i64(&mut text, sum);
        self.put(key, Bytes::copy_from_slice(&text));
        Response::Integer(sum)
    }

    fn put(&mut self, key: &[u8], bytes: Bytes) {
        let value = Value::String(bytes);
        let part = digest::part(key, value.content());
        let held = Held { value, part };
        self.count_in(key, &held);
        let old = match self.values.get_mut(key) {
            Some(slot) => Some(std::mem::replace(slot, held)),
            None => self.values.insert(key.into(), held),
        };
        if let Some(old) = old {
            self.count_out(key, &old);
        }
    }

    fn remove(&mut self, key: &[u8]) -> bool {
        let Some(old) = self.values.remove(key) else {
            return false;
        };
        self.count_out(key, &old);
        true
    }

    fn count_in(&mut self, key: &[u8], held: &Held) {
        self.digest.add(held.part);
        self.used_bytes = self.used_bytes.saturating_add(entry_bytes(key, &held.value));
    }

    fn count_out(&mut self, key: &[u8], held: &Held) {
        self.digest.remove(held.part);
        self.used_bytes = self.used_bytes.saturating_sub(entry_bytes(key, &held.value));
    }
}

fn entry_bytes(key: &[u8], value: &Value) -> u64 {
    let content = key.len().saturating_add(value.content().len());
    u64::try_from(content).unwrap_or(u64::MAX).saturating_add(ENTRY_OVERHEAD_BYTES)
}

fn count(len: usize) -> Response {
    Response::Integer(i64::try_from(len).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
