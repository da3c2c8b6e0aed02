//! Which commands are there, and what does a request ask for?
//!
//! One [`Row`] per command in `command/table.rs` says everything about it:
//! name, arity, flags, where its keys are, its documentation, and the function
//! that turns its arguments into a [`Request`]. Rows of subcommands hang below
//! their container. To add a command is to add a row, a parse function
//! (`command/parse.rs`) and, if it touches data, a variant in `operation.rs`.
//!
//! Invariant: a parse function sees only requests whose arity fits its row.
//!
//! Not here: what connection commands do (`session.rs`), what data commands do
//! (`store.rs`), what `COMMAND` tells of the table (`command/introspection.rs`).

pub(crate) mod introspection;
pub(crate) mod parse;
pub(crate) mod table;
pub(crate) mod unsupported;

use bytes::Bytes;

use crate::errors;
use crate::operation::{Command, Query};
use crate::resp::ProtocolVersion;
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::slot::{GroupIndex, SlotMap};

/// What a request asks for, its arguments checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// Nothing that isn't known already.
    Answered(Reply),
    /// Something about the table of commands.
    Table(TableRequest),
    /// Something about the connection; the session answers.
    Connection(ConnectionRequest),
    /// `INFO`, with lower-case names of sections; none means all.
    Info(Vec<String>),
    /// A question to the group that holds the keys.
    Read(Query<Bytes>),
    /// A question to all groups; the integers they answer are added up.
    ReadEveryGroup(Query<Bytes>),
    /// A change in the group that holds the keys.
    Write(Command<Bytes>),
}

/// What `COMMAND` and the `HELP` subcommands ask (`command/introspection.rs`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TableRequest {
    All,
    Count,
    Names,
    Details(Vec<Bytes>),
    /// Of the commands named; of all, if none is.
    Docs(Vec<Bytes>),
    /// Where the keys of this request are.
    KeysOf(Vec<Bytes>),
    /// What subcommands this container has.
    Help(&'static str),
}

/// Requests that read or change the state of the connection they came on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionRequest {
    Hello(Hello),
    Auth(Credentials),
    Quit,
    /// A browser was tricked into talking to this port: close without a word.
    CrossProtocol,
    ClientId,
    ClientInfo,
    ClientGetName,
    ClientSetName(Bytes),
    ClientSetInfo(LibraryField, Bytes),
    ClientReply(ReplyMode),
}

impl From<ConnectionRequest> for Request {
    fn from(request: ConnectionRequest) -> Self {
        Self::Connection(request)
    }
}

/// What `HELLO` carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) version: Option<ProtocolVersion>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) name: Option<Bytes>,
}

/// Who a client says it is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// `None`: the form of `AUTH` from before there were users.
    pub(crate) user: Option<Bytes>,
    pub(crate) password: Bytes,
}

impl std::fmt::Debug for Credentials {
    // A password never reaches a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What `CLIENT SETINFO` can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LibraryField {
    Name,
    Version,
}

/// What `CLIENT REPLY` switches to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReplyMode {
    #[default]
    On,
    Off,
    /// Not for the next request.
    SkipNext,
}

/// Everything about one command.
#[derive(Debug)]
pub(crate) struct Row {
    /// In lower case; of a subcommand with its container: `client|id`.
    pub(crate) name: &'static str,
    /// Arguments with the name; negative: at least so many.
    pub(crate) arity: i8,
    /// As `COMMAND` lists them.
    pub(crate) flags: &'static [&'static str],
    pub(crate) keys: Keys,
    /// Categories of access control, without their `@`.
    pub(crate) categories: &'static [&'static str],
    pub(crate) doc: Doc,
    /// For a container: what it does without a subcommand.
    pub(crate) parse: fn(&Args) -> Result<Request, Reply>,
    pub(crate) subcommands: &'static [Self],
}

/// What `COMMAND DOCS` tells people.
#[derive(Debug)]
pub(crate) struct Doc {
    pub(crate) summary: &'static str,
    /// The version of Redis that brought it.
    pub(crate) since: &'static str,
    pub(crate) group: &'static str,
}

/// Where a command's keys are among its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    None,
    /// The first argument.
    One,
    /// Every `step`-th argument from the first to the last.
    All {
        step: u8,
    },
}

impl Row {
    /// Whether `len` arguments, the name included, fit the command.
    fn takes(&self, len: usize) -> bool {
        let wanted = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 { len >= wanted } else { len == wanted }
    }

    /// The name without its container.
    pub(crate) fn own_name(&self) -> &'static str {
        self.name.rsplit_once('|').map_or(self.name, |(_, own)| own)
    }

    /// The keys among the arguments behind the name.
    pub(crate) fn keys_among<T>(
        &self,
        arguments: impl Iterator<Item = T>,
    ) -> impl Iterator<Item = T> {
        let (len, step) = match self.keys {
            Keys::None => (0, 1),
            Keys::One => (1, 1),
            Keys::All { step } => (usize::MAX, usize::from(step)),
        };
        arguments.step_by(step).take(len)
    }

    /// The group that holds all the keys; the first if there are none.
    ///
    /// # Errors
    /// `CROSSSLOT`, if no one group holds them all.
    pub(crate) fn group(&self, args: &Args, map: SlotMap) -> Result<GroupIndex, Reply> {
        let mut groups = self.keys_among(args.iter_from(1)).map(|key| map.group_of_key(key));
        let first = groups.next().unwrap_or_default();
        // One group holds everything; don't look at a million keys for it.
        if map.groups_len() > 1 && groups.any(|group| group != first) {
            return Err(errors::crossslot());
        }
        Ok(first)
    }
}

/// The row that answers a request.
///
/// # Errors
/// Redis's texts for unknown names and wrong arity; for commands that Redis
/// has and raftlet hasn't, what to use instead.
pub(crate) fn resolve(args: &Args) -> Result<&'static Row, Reply> {
    let row = table::find(args.name()).ok_or_else(|| unsupported::refusal(args))?;
    let row = match args.get(1) {
        Some(name) if !row.subcommands.is_empty() => table::find_subcommand(row, name)
            .ok_or_else(|| unsupported::subcommand_refusal(row, name))?,
        _ => row,
    };
    if !row.takes(args.len()) {
        return Err(errors::wrong_arity(row.name));
    }
    Ok(row)
}
