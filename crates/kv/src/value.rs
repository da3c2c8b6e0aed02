//! What a key can hold.
//!
//! A string is any bytes. Collections have a file each in `value/`; they keep
//! what the digest and the accounts need to know of them up to date by
//! themselves ([`Contents`]), so that a change of one element costs one
//! element.
//!
//! Invariant: a stored value owns its bytes.
//!
//! Not here: keys and deadlines (`store/entry.rs`).

pub(crate) mod element;
pub(crate) mod hash;
pub(crate) mod index_map;
pub(crate) mod list;
pub(crate) mod moment;
pub(crate) mod pages;
pub(crate) mod random;
pub(crate) mod ranking;
pub(crate) mod score;
pub(crate) mod set;
pub(crate) mod sorted_set;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::decimal;
use crate::value::hash::Hash;
use crate::value::list::List;
use crate::value::moment::Watched;
use crate::value::set::Set;
use crate::value::sorted_set::SortedSet;

/// Up to this a string lies beside its header in Redis.
const EMBEDDED_BYTES_MAX: usize = 44;

/// Up to so many elements, none larger than so many bytes, Redis packs a hash
/// or sorted set; and up to so many integers a set.
const PACKED_LEN_MAX: usize = 128;
const PACKED_BYTES_MAX: usize = 64;
const INTEGERS_LEN_MAX: usize = 512;

/// What the caches take in at once.
const CACHE_LINE_BYTES: usize = 64;
/// Lines of a string that are looked at ahead of its being written over.
const TOUCHED_LINES: usize = 16;

/// What a key can hold. Collections are boxed: most values are strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Any bytes.
    String(Bytes),
    /// Fields with values.
    Hash(Box<Hash>),
    /// Members without repetition.
    Set(Box<Set>),
    /// Elements in order.
    List(Box<List>),
    /// Members with scores.
    SortedSet(Box<SortedSet>),
}

/// A value as the digest and the accounts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    /// A hash of the contents, whatever their history. Of a collection without
    /// order: the wrapping sum of a hash of each element. Of a list it must
    /// know the order, such as the sum of each element's hash times a power of
    /// an odd number, which both ends can be changed of.
    pub(crate) hash: u64,
    /// Roughly the memory it takes.
    pub(crate) bytes: usize,
}

impl Contents {
    /// Those of a string.
    #[inline]
    pub(crate) fn of_string(bytes: &[u8]) -> Self {
        Self { hash: xxh3_64(bytes), bytes: bytes.len() }
    }
}

impl Value {
    /// Looks at what lies behind a pointer, so that it is in the caches.
    #[inline]
    pub(crate) fn touch(&self) -> u64 {
        match self {
            Self::String(bytes) => {
                let lines = bytes.chunks(CACHE_LINE_BYTES).take(TOUCHED_LINES);
                let ends = bytes.last().into_iter().chain(lines.filter_map(<[u8]>::first));
                // How many hold it stands elsewhere, and is asked before it is lent or
                // written over.
                let is_alone = u64::from(bytes.is_unique());
                ends.fold(is_alone, |seen, byte| seen ^ u64::from(*byte))
            }
            _ => 0,
        }
    }

    /// Takes over `bytes` if it is a string of as many that nobody else holds.
    pub(crate) fn overwrite(&mut self, bytes: &[u8]) -> bool {
        let Self::String(held) = self else {
            return false;
        };
        if held.len() != bytes.len() {
            return false;
        }
        match std::mem::take(held).try_into_mut() {
            Ok(mut own) => {
                own.copy_from_slice(bytes);
                *held = own.freeze();
                true
            }
            Err(shared) => {
                *held = shared;
                false
            }
        }
    }

    /// What `TYPE` calls it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
            Self::List(_) => "list",
            Self::SortedSet(_) => "zset",
        }
    }

    /// What `OBJECT ENCODING` calls the form in which Redis would keep it.
    pub(crate) fn encoding(&self) -> &'static str {
        match self {
            Self::String(bytes) if decimal::parse_i64(bytes).is_some() => "int",
            Self::String(bytes) if bytes.len() <= EMBEDDED_BYTES_MAX => "embstr",
            Self::String(_) => "raw",
            Self::List(_) => "quicklist",
            Self::Hash(hash) => {
                packed(hash.len(), hash.iter().flat_map(|(field, value)| [field, value]))
                    .unwrap_or("hashtable")
            }
            Self::Set(set) if set.len() <= INTEGERS_LEN_MAX && is_integers(set) => "intset",
            Self::Set(_) => "hashtable",
            Self::SortedSet(set) => {
                packed(set.len(), set.iter().map(|(member, _)| member)).unwrap_or("skiplist")
            }
        }
    }

    /// How many times Redis would share it: small integers without end.
    pub(crate) fn refcount(&self) -> i64 {
        match self {
            Self::String(bytes)
                if decimal::parse_i64(bytes).is_some_and(|n| (0..10_000).contains(&n)) =>
            {
                i32::MAX.into()
            }
            _ => 1,
        }
    }

    /// As something that is read out in pieces; a string is not.
    pub(crate) fn watched(&mut self) -> Option<&mut dyn Watched> {
        Some(match self {
            Self::String(_) => return None,
            Self::Hash(hash) => hash.as_mut(),
            Self::Set(set) => set.as_mut(),
            Self::List(list) => list.as_mut(),
            Self::SortedSet(set) => set.as_mut(),
        })
    }

    /// Elements of a collection; 1 of a string.
    pub(crate) fn elements_len(&self) -> usize {
        match self {
            Self::String(_) => 1,
            Self::Hash(hash) => hash.len(),
            Self::Set(set) => set.len(),
            Self::List(list) => list.len(),
            Self::SortedSet(set) => set.len(),
        }
    }

    /// Costs a hash of a string, and of a collection nothing.
    #[inline]
    pub(crate) fn contents(&self) -> Contents {
        match self {
            Self::String(bytes) => Contents::of_string(bytes),
            Self::Hash(hash) => Contents { hash: hash.digest(), bytes: hash.used_bytes() },
            Self::Set(set) => Contents { hash: set.digest(), bytes: set.used_bytes() },
            Self::List(list) => Contents { hash: list.digest(), bytes: list.used_bytes() },
            Self::SortedSet(set) => Contents { hash: set.digest(), bytes: set.used_bytes() },
        }
    }
}

/// A type of values.
pub(crate) trait Typed {
    /// The value, if it is of this type.
    fn of(value: &Value) -> Option<&Self>;
}

/// A type of values that are changed in place, one element at a time. A key
/// never holds an empty one.
pub(crate) trait Collection: Typed {
    /// Nothing. `seed` scatters elements in memory and shows nowhere.
    fn empty(seed: u64) -> Self;
    /// The value, if it is of this type.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// Itself as a value.
    fn into_value(self) -> Value;
    /// Whether nothing is left in it.
    fn is_empty(&self) -> bool;
}

impl Typed for Bytes {
    fn of(value: &Value) -> Option<&Self> {
        match value {
            Value::String(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl Typed for Hash {
    fn of(value: &Value) -> Option<&Self> {
        match value {
            Value::Hash(hash) => Some(hash),
            _ => None,
        }
    }
}

impl Collection for Hash {
    fn empty(seed: u64) -> Self {
        Self::new(seed)
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        match value {
            Value::Hash(hash) => Some(hash),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::Hash(Box::new(self))
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Typed for Set {
    fn of(value: &Value) -> Option<&Self> {
        match value {
            Value::Set(set) => Some(set),
            _ => None,
        }
    }
}

impl Collection for Set {
    fn empty(seed: u64) -> Self {
        Self::new(seed)
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        match value {
            Value::Set(set) => Some(set),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::Set(Box::new(self))
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Typed for List {
    fn of(value: &Value) -> Option<&Self> {
        match value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }
}

impl Collection for List {
    fn empty(_: u64) -> Self {
        Self::default()
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        match value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::List(Box::new(self))
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Typed for SortedSet {
    fn of(value: &Value) -> Option<&Self> {
        match value {
            Value::SortedSet(set) => Some(set),
            _ => None,
        }
    }
}

impl Collection for SortedSet {
    fn empty(seed: u64) -> Self {
        Self::new(seed)
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        match value {
            Value::SortedSet(set) => Some(set),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::SortedSet(Box::new(self))
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The name of the packed form, if Redis would choose that.
fn packed<'a>(len: usize, mut parts: impl Iterator<Item = &'a [u8]>) -> Option<&'static str> {
    let is_packed = len <= PACKED_LEN_MAX && parts.all(|part| part.len() <= PACKED_BYTES_MAX);
    is_packed.then_some("listpack")
}

fn is_integers(set: &Set) -> bool {
    set.iter().all(|member| decimal::parse_i64(member).is_some())
}
