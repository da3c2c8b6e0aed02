//! What may be done to the keys of one group, as values.
//!
//! A [`Query`] reads, a [`Command`] goes through the log, a [`Response`] is
//! what either yields. Both come in families, one a kind of data, each with a
//! file of its own here. All are generic over who owns the bytes: a request
//! carries shares of the frame it came in, an entry being applied borrows from
//! the log, and neither copies.
//!
//! Invariant: a command has at most [`COMMAND_BYTES_MAX`] in itself. It moves
//! through the pipeline by value; what is rare and large is boxed.
//!
//! Not here: the bytes of a command in the log (`operation/codec.rs`), what it
//! does (`store.rs`), and the names clients call these by (`command.rs`).

pub(crate) mod codec;
pub(crate) mod collection;
pub(crate) mod every_group;
pub(crate) mod hash;
pub(crate) mod key;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod response;
pub(crate) mod set;
pub(crate) mod sort;
pub(crate) mod sorted_set;
pub(crate) mod string;
pub(crate) mod transaction;

use bytes::Bytes;

use crate::operation::hash::{HashCommand, HashQuery};
use crate::operation::key::{KeyCommand, KeyQuery};
use crate::operation::list::{ListCommand, ListQuery};
use crate::operation::lock::LockCommand;
use crate::operation::set::{SetCommand, SetQuery};
use crate::operation::sort::{Sort, SortStore};
use crate::operation::sorted_set::{SortedSetCommand, SortedSetQuery};
use crate::operation::string::{StringCommand, StringQuery};
use crate::operation::transaction::Transaction;

/// Two shares of a frame and two tags: `SET key value`, `HGET key field`. One
/// tag says which family, for those as large as this, and one what of it.
const COMMAND_BYTES_MAX: usize = 2 * size_of::<Bytes>() + 16;
const _: () = assert!(size_of::<Command<Bytes>>() <= COMMAND_BYTES_MAX);

/// A question about the keys of one group. Changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query<B> {
    /// About strings.
    String(StringQuery<B>),
    /// About keys, whatever they hold.
    Key(KeyQuery<B>),
    /// About hashes.
    Hash(HashQuery<B>),
    /// About sets.
    Set(SetQuery<B>),
    /// About lists.
    List(ListQuery<B>),
    /// About sorted sets.
    SortedSet(SortedSetQuery<B>),
    /// About a collection's elements in another order.
    Sort(Box<Sort<B>>),
}

/// What is proposed to one group, to be applied on every member in log order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<B> {
    /// A change of strings.
    String(StringCommand<B>),
    /// A change of keys, whatever they hold.
    Key(KeyCommand<B>),
    /// A change of hashes.
    Hash(HashCommand<B>),
    /// A change of sets.
    Set(SetCommand<B>),
    /// A change of lists.
    List(ListCommand<B>),
    /// A change of sorted sets.
    SortedSet(SortedSetCommand<B>),
    /// Makes a list of a collection's elements.
    Sort(Box<SortStore<B>>),
    /// A step of a lock library.
    Lock(Box<LockCommand<B>>),
    /// Asks a question at exactly this place of the log: how a pipelined read
    /// sees the writes before it and none behind it (`pipeline.rs`).
    Query(Query<B>),
    /// Nothing but the time that the leader stamps on it (rule 31).
    Tick,
    /// What all members hash keys by from here on, so that a walk over all keys
    /// can go on at another member. Drawn once in the life of a group.
    Seed(u64),
    /// Several commands as one, if nothing watched has changed.
    Transaction(Box<Transaction<B>>),
}

impl<B> From<StringQuery<B>> for Query<B> {
    fn from(query: StringQuery<B>) -> Self {
        Self::String(query)
    }
}

impl<B> From<KeyQuery<B>> for Query<B> {
    fn from(query: KeyQuery<B>) -> Self {
        Self::Key(query)
    }
}

impl<B> From<StringCommand<B>> for Command<B> {
    fn from(command: StringCommand<B>) -> Self {
        Self::String(command)
    }
}

impl<B> From<KeyCommand<B>> for Command<B> {
    fn from(command: KeyCommand<B>) -> Self {
        Self::Key(command)
    }
}

impl<B> From<HashQuery<B>> for Query<B> {
    fn from(query: HashQuery<B>) -> Self {
        Self::Hash(query)
    }
}

impl<B> From<HashCommand<B>> for Command<B> {
    fn from(command: HashCommand<B>) -> Self {
        Self::Hash(command)
    }
}

impl<B> From<SetQuery<B>> for Query<B> {
    fn from(query: SetQuery<B>) -> Self {
        Self::Set(query)
    }
}

impl<B> From<SetCommand<B>> for Command<B> {
    fn from(command: SetCommand<B>) -> Self {
        Self::Set(command)
    }
}

impl<B> From<ListQuery<B>> for Query<B> {
    fn from(query: ListQuery<B>) -> Self {
        Self::List(query)
    }
}

impl<B> From<ListCommand<B>> for Command<B> {
    fn from(command: ListCommand<B>) -> Self {
        Self::List(command)
    }
}

impl<B> From<SortedSetQuery<B>> for Query<B> {
    fn from(query: SortedSetQuery<B>) -> Self {
        Self::SortedSet(query)
    }
}

impl<B> From<SortedSetCommand<B>> for Command<B> {
    fn from(command: SortedSetCommand<B>) -> Self {
        Self::SortedSet(command)
    }
}

impl<B> Query<B> {
    /// Gives a question that picks at random what it picks by. Drawn once for
    /// each request, before it goes anywhere, so that every member that
    /// answers would pick alike.
    pub(crate) fn draw(&mut self, draw: impl FnOnce() -> u64) {
        match self {
            Self::Key(query) => query.draw(draw),
            Self::Hash(query) => query.draw(draw),
            Self::Set(query) => query.draw(draw),
            Self::SortedSet(query) => query.draw(draw),
            Self::String(_) | Self::List(_) | Self::Sort(_) => {}
        }
    }
}

impl<B: Copy> Command<B> {
    /// The key of a command that writes one string: the most there are.
    pub(crate) fn first_key(&self) -> Option<B> {
        match self {
            Self::String(
                StringCommand::Set { key, .. }
                | StringCommand::SetWith { key, .. }
                | StringCommand::IncrBy { key, .. }
                | StringCommand::Append { key, .. },
            ) => Some(*key),
            _ => None,
        }
    }
}

impl<B> Command<B> {
    /// As [`Query::draw`]: what is popped at random is decided where the
    /// command is proposed.
    pub(crate) fn draw(&mut self, draw: impl FnOnce() -> u64) {
        if let Self::Set(command) = self {
            command.draw(draw);
        }
    }
}
