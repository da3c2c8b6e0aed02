//! Which commands are there, and what does a request ask for?
//!
//! One [`Row`] per command in `command/table/` says everything about it: name,
//! arity, flags, where its keys are, its documentation, and the function that
//! turns its arguments into a [`Request`]. Rows of subcommands hang below
//! their container. To add a command is to add a row, a parse function
//! (`command/parse/`) and, if it touches data, a variant in `operation/` with
//! its bytes and its effect (`store/`), each in the file of its family.
//!
//! Invariant: a parse function sees only requests whose arity fits its row.
//!
//! Not here: what connection commands do (`session.rs`), what data commands do
//! (`store.rs`), what `COMMAND` tells of the table (`command/introspection.rs`).

pub(crate) mod client_filter;
pub(crate) mod introspection;
pub(crate) mod parse;
pub(crate) mod table;
pub(crate) mod unsupported;

use bytes::Bytes;

use crate::command::client_filter::ClientFilter;
use crate::operation::{Command, Query};
use crate::resp::ProtocolVersion;
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::scripts::Script;
use crate::slot::{GroupIndex, Slot, SlotMap};
use crate::{decimal, errors};

/// What a request asks for, its arguments checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// Nothing that isn't known already.
    Answered(Reply),
    /// Something about the table of commands.
    Table(TableRequest),
    /// Something about the connection; the session answers.
    Connection(ConnectionRequest),
    /// Something about scripts.
    Script(ScriptRequest),
    /// Something about the node's settings.
    Config(ConfigRequest),
    /// Something about the transaction the connection is in.
    Transaction(TransactionRequest),
    /// Something about the clients of the node.
    Clients(ClientsRequest),
    /// Something about the cluster.
    Cluster(ClusterRequest),
    /// What the node's calendar says.
    Time,
    /// How many more disks every acknowledged write is on.
    Wait,
    /// The same, and how many of the asked node's.
    WaitAof,
    /// `INFO`, with lower-case names of sections; none means all.
    Info(Vec<String>),
    /// A question to the group that holds the keys.
    Read(Query<Bytes>),
    /// A question to all groups, whose answers become one.
    ReadEveryGroup(Query<Bytes>),
    /// A step of a walk over all keys of all groups.
    Scan(ScanRequest),
    /// A question to the group that has a slot.
    InSlot(Slot, Query<Bytes>),
    /// A change in the group that holds the keys.
    Write(Command<Bytes>),
    /// A change in all groups.
    WriteEveryGroup(Command<Bytes>),
}

/// What `SCAN` carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScanRequest {
    pub(crate) cursor: u64,
    pub(crate) count: u64,
    pub(crate) pattern: Option<Bytes>,
    pub(crate) type_name: Option<Bytes>,
}

impl Request {
    /// Whether all groups are asked, whatever its arguments.
    pub(crate) fn is_for_every_group(&self) -> bool {
        matches!(self, Self::ReadEveryGroup(_) | Self::WriteEveryGroup(_) | Self::Scan(_))
    }
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

/// Something about scripts. Those that are known by their text are commands
/// already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ScriptRequest {
    EvalSha {
        digest: [u8; 20],
        keys: Vec<Bytes>,
        arguments: Vec<Bytes>,
    },
    Load {
        digest: [u8; 20],
        script: Script,
    },
    /// Which of these are there; `None` is no digest.
    Exist(Vec<Option<[u8; 20]>>),
    Flush,
}

/// Something about the node's settings (`session/settings.rs`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConfigRequest {
    /// Patterns.
    Get(Vec<Bytes>),
    /// Names and values.
    Set(Vec<(Bytes, Bytes)>),
    ResetStat,
}

/// What a client asks of its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TransactionRequest {
    Multi,
    Exec,
    Discard,
    /// The transaction is to be executed only if these have not changed.
    Watch(Vec<Bytes>),
    Unwatch,
}

/// Something about the clients of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientsRequest {
    List(ClientFilter),
    /// The answer is how many there were.
    Kill(ClientFilter),
    /// The form from before there were filters: one address, or an error.
    KillAt(Bytes),
}

/// A question about the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClusterRequest {
    Info,
    MyId,
    Nodes,
    Shards,
    Slots,
    KeySlot(Bytes),
    Links,
}

/// Requests that read or change the state of the connection they came on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionRequest {
    Hello(Hello),
    Auth(Credentials),
    Quit,
    Reset,
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

/// Where a command's keys are among its arguments; the name is at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    None,
    /// Every `step`-th argument from `first` to `last`, which counts from the
    /// end when it is negative. As `COMMAND` tells it.
    Span {
        first: usize,
        last: isize,
        step: usize,
    },
    /// A number stands at `at`, and behind it as many keys; before it, where
    /// the result goes, if that is stored.
    Counted {
        at: usize,
        stores: bool,
    },
    /// The first argument, and the one behind a last word `STORE` from the third
    /// on.
    Sort,
}

impl Keys {
    /// The first argument.
    pub(crate) const ONE: Self = Self::Span { first: 1, last: 1, step: 1 };
    /// The first two arguments.
    pub(crate) const PAIR: Self = Self::Span { first: 1, last: 2, step: 1 };
    /// All arguments.
    pub(crate) const ALL: Self = Self::Span { first: 1, last: -1, step: 1 };
    /// The first argument, the third, and so on.
    pub(crate) const EVERY_OTHER: Self = Self::Span { first: 1, last: -1, step: 2 };

    /// Where the keys are among `len` arguments, the name included, that
    /// `argument` tells by position.
    pub(crate) fn positions<'a>(
        self,
        len: usize,
        argument: impl Fn(usize) -> Option<&'a [u8]>,
    ) -> impl Iterator<Item = usize> {
        let (other, first, end, step) = match self {
            Self::None => (None, 0, 0, 1),
            Self::Span { first, last, step } => {
                let end = match usize::try_from(last) {
                    Ok(last) => last + 1,
                    Err(_) => (len + 1).saturating_sub(last.unsigned_abs()),
                };
                (None, first, end.min(len), step)
            }
            Self::Counted { at, stores } => {
                let keys_len = argument(at).and_then(decimal::parse_u64).unwrap_or_default();
                let keys_len = usize::try_from(keys_len).unwrap_or(usize::MAX);
                let end = (at + 1).saturating_add(keys_len).min(len);
                (stores.then_some(1), at + 1, end, 1)
            }
            Self::Sort => {
                let is_store = |at: &usize| {
                    argument(*at).is_some_and(|word| word.eq_ignore_ascii_case(b"store"))
                };
                let stored = (2..len.saturating_sub(1)).rev().find(is_store).map(|at| at + 1);
                // The key comes first, so it is the other one here.
                (Some(1), stored.unwrap_or(len), len.min(stored.map_or(len, |at| at + 1)), 1)
            }
        };
        other.into_iter().chain((first..end).step_by(step))
    }
}

impl Row {
    /// A row without flags, keys, categories, documentation and subcommands.
    pub(crate) const fn new(
        name: &'static str,
        arity: i8,
        parse: fn(&Args) -> Result<Request, Reply>,
    ) -> Self {
        Self {
            name,
            arity,
            flags: &[],
            keys: Keys::None,
            categories: &[],
            doc: Doc { summary: "", since: "", group: "" },
            parse,
            subcommands: &[],
        }
    }

    pub(crate) const fn flags(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }

    pub(crate) const fn keys(self, keys: Keys) -> Self {
        Self { keys, ..self }
    }

    pub(crate) const fn categories(self, categories: &'static [&'static str]) -> Self {
        Self { categories, ..self }
    }

    pub(crate) const fn doc(
        self,
        group: &'static str,
        since: &'static str,
        summary: &'static str,
    ) -> Self {
        Self { doc: Doc { summary, since, group }, ..self }
    }

    pub(crate) const fn subcommands(self, subcommands: &'static [Self]) -> Self {
        Self { subcommands, ..self }
    }

    /// Whether `len` arguments, the name included, fit the command.
    fn takes(&self, len: usize) -> bool {
        let wanted = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 { len >= wanted } else { len == wanted }
    }

    /// The name without its container.
    pub(crate) fn own_name(&self) -> &'static str {
        self.name.rsplit_once('|').map_or(self.name, |(_, own)| own)
    }

    /// The group that holds all the keys; the first if there are none.
    ///
    /// # Errors
    /// `CROSSSLOT`, if no one group holds them all.
    pub(crate) fn group(&self, args: &Args, map: SlotMap) -> Result<GroupIndex, Reply> {
        // One group holds everything; don't look at a million keys for it.
        if map.groups_len() == 1 {
            return Ok(GroupIndex::default());
        }
        let keys = self.keys.positions(args.len(), |at| args.get(at));
        let keys = keys.filter_map(|at| args.get(at));
        let mut groups = keys.map(|key| map.group_of_key(key));
        let first = groups.next().unwrap_or_default();
        if groups.any(|group| group != first) {
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
