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

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::decimal;

/// Up to this a string lies beside its header in Redis.
const EMBEDDED_BYTES_MAX: usize = 44;

/// What a key can hold. Collections are boxed: most values are strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Any bytes.
    String(Bytes),
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

impl Value {
    /// What `TYPE` calls it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
        }
    }

    /// What `OBJECT ENCODING` calls the form in which Redis would keep it.
    pub(crate) fn encoding(&self) -> &'static str {
        match self {
            Self::String(bytes) if decimal::parse_i64(bytes).is_some() => "int",
            Self::String(bytes) if bytes.len() <= EMBEDDED_BYTES_MAX => "embstr",
            Self::String(_) => "raw",
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
            Self::String(_) => 1,
        }
    }

    /// Costs a hash of a string, and of a collection nothing.
    pub(crate) fn contents(&self) -> Contents {
        match self {
            Self::String(bytes) => Contents { hash: xxh3_64(bytes), bytes: bytes.len() },
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
pub(crate) trait Collection: Typed + Default {
    /// The value, if it is of this type.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// Itself as a value.
    fn into_value(self) -> Value;
    /// Whether nothing is left in it.
    fn is_empty(&self) -> bool;
}

impl Typed for Bytes {
    fn of(value: &Value) -> Option<&Self> {
        let Value::String(bytes) = value;
        Some(bytes)
    }
}
