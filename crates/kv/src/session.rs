//! What one connection has agreed on with its client, and what it answers by
//! itself.
//!
//! A request comes in parsed; out comes a [`Step`]: a reply that is known
//! already, work for groups, or the end of the connection. With it the protocol
//! version that was in force and whether the client wants the reply at all, so
//! that a later `HELLO` in the same pipeline changes nothing behind it.
//!
//! Not here: the order of replies (`pipeline.rs`) and the parsing of bytes
//! (`connection.rs`).

use bytes::Bytes;

use crate::command::{
    ConnectionRequest, Credentials, Hello, LibraryField, ReplyMode, Request, ScanRequest,
    introspection,
};
use crate::info::{NodeInfo, REDIS_VERSION};
use crate::operation::key::{KeyQuery, Scan};
use crate::operation::{Command, Query};
use crate::pipeline::EveryGroup;
use crate::resp::ProtocolVersion;
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::slot::{GroupIndex, SlotMap};
use crate::{command, errors};

/// Whose connection it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// The connection's number, unique within the run of the node.
    pub id: u64,
    /// The client's address.
    pub peer_addr: String,
    /// The address the client connected to.
    pub local_addr: String,
    /// What random picks on this connection follow from. No secret.
    pub seed: u64,
}

/// What a connection has agreed on with its client.
#[derive(Debug)]
pub(crate) struct Session {
    info: ConnectionInfo,
    slots: SlotMap,
    version: ProtocolVersion,
    reply_mode: ReplyMode,
    name: Bytes,
    library_name: Bytes,
    library_version: Bytes,
    draws: Draws,
}

/// What to do about a request.
#[derive(Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) action: Action,
    /// How the reply is to be written.
    pub(crate) version: ProtocolVersion,
    /// The client asked for silence.
    pub(crate) is_muted: bool,
}

/// What to do about a request, leaving aside how to reply.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    Answer(Reply),
    Read(GroupIndex, Query<Bytes>),
    Write(GroupIndex, Command<Bytes>),
    EveryGroup(EveryGroup),
    /// Answer, then close; what else was pipelined goes unheard.
    Close(Option<Reply>),
}

impl Session {
    pub(crate) fn new(info: ConnectionInfo, slots: SlotMap) -> Self {
        Self {
            draws: Draws(info.seed),
            info,
            slots,
            version: ProtocolVersion::default(),
            reply_mode: ReplyMode::default(),
            name: Bytes::new(),
            library_name: Bytes::new(),
            library_version: Bytes::new(),
        }
    }

    /// Decides about one request. `node` is asked only if `INFO` is.
    pub(crate) fn handle(&mut self, args: &Args, node: &mut dyn FnMut() -> NodeInfo) -> Step {
        let mut is_muted = self.reply_mode != ReplyMode::On;
        if self.reply_mode == ReplyMode::SkipNext {
            self.reply_mode = ReplyMode::On;
        }
        let action = match self.request(args) {
            Err(refusal) => Action::Answer(refusal),
            Ok((_, Request::Connection(ConnectionRequest::ClientReply(mode)))) => {
                is_muted = self.switch_replies(mode);
                Action::Answer(Reply::OK)
            }
            Ok((group, request)) => self.decide(group, request, node),
        };
        Step { action, version: self.version, is_muted }
    }

    /// How a reply that belongs to no request is to be written.
    pub(crate) fn version(&self) -> ProtocolVersion {
        self.version
    }

    fn request(&mut self, args: &Args) -> Result<(GroupIndex, Request), Reply> {
        if is_cross_protocol(args.name()) {
            return Ok((GroupIndex::default(), ConnectionRequest::CrossProtocol.into()));
        }
        let row = command::resolve(args)?;
        let mut request = (row.parse)(args)?;
        if let Request::Read(query) | Request::ReadEveryGroup(query) = &mut request {
            query.draw(|| self.draws.draw());
        }
        Ok((row.group(args, self.slots)?, request))
    }

    fn decide(
        &mut self,
        group: GroupIndex,
        request: Request,
        node: &mut dyn FnMut() -> NodeInfo,
    ) -> Action {
        match request {
            Request::Answered(reply) => Action::Answer(reply),
            Request::Table(request) => Action::Answer(introspection::answer(&request)),
            Request::Connection(request) => self.answer(request),
            Request::Info(sections) => {
                Action::Answer(Reply::Verbatim(node().text(&sections).into()))
            }
            Request::Read(query) => Action::Read(group, query),
            Request::ReadEveryGroup(query) => Action::EveryGroup(EveryGroup::Read(query)),
            Request::Scan(request) => {
                let (group, scan) = self.scan(request);
                Action::Read(group, KeyQuery::Scan(Box::new(scan)).into())
            }
            Request::Write(command) => Action::Write(group, command),
            Request::WriteEveryGroup(command) => Action::EveryGroup(EveryGroup::Write(command)),
        }
    }

    /// A cursor is a position in a group and the group's number.
    fn scan(&self, request: ScanRequest) -> (GroupIndex, Scan<Bytes>) {
        let groups_len = self.slots.groups_len();
        let number = request.cursor % u64::from(groups_len);
        // Below `groups_len`, so it is there.
        let group = self.slots.groups().find(|group| u64::from(group.number()) == number);
        let group = group.unwrap_or_default();
        let scan = Scan {
            position: request.cursor / u64::from(groups_len),
            group: group.number(),
            groups_len,
            count: request.count,
            pattern: request.pattern,
            type_name: request.type_name,
        };
        (group, scan)
    }

    fn answer(&mut self, request: ConnectionRequest) -> Action {
        Action::Answer(match request {
            ConnectionRequest::Quit => return Action::Close(Some(Reply::OK)),
            ConnectionRequest::CrossProtocol => return Action::Close(None),
            ConnectionRequest::Hello(hello) => self.hello(hello),
            ConnectionRequest::Auth(credentials) => auth(&credentials),
            ConnectionRequest::ClientId => Reply::Integer(self.id()),
            ConnectionRequest::ClientInfo => Reply::Verbatim(self.line().into()),
            ConnectionRequest::ClientGetName if self.name.is_empty() => Reply::Null,
            ConnectionRequest::ClientGetName => Reply::Bulk(self.name.clone()),
            ConnectionRequest::ClientSetName(name) => {
                self.name = owned(&name);
                Reply::OK
            }
            ConnectionRequest::ClientSetInfo(field, value) => {
                match field {
                    LibraryField::Name => self.library_name = owned(&value),
                    LibraryField::Version => self.library_version = owned(&value),
                }
                Reply::OK
            }
            ConnectionRequest::ClientReply(mode) => {
                self.switch_replies(mode);
                Reply::OK
            }
        })
    }

    /// Whether the answer to the switch itself stays unsaid.
    fn switch_replies(&mut self, mode: ReplyMode) -> bool {
        // To skip one reply of none changes nothing.
        if !(mode == ReplyMode::SkipNext && self.reply_mode == ReplyMode::Off) {
            self.reply_mode = mode;
        }
        mode != ReplyMode::On
    }

    /// Takes effect as a whole or not at all.
    fn hello(&mut self, hello: Hello) -> Reply {
        if let Some(credentials) = &hello.credentials
            && let refusal @ Reply::Error(_) = auth(credentials)
        {
            return refusal;
        }
        if let Some(name) = hello.name {
            self.name = owned(&name);
        }
        self.version = hello.version.unwrap_or(self.version);
        let text = Reply::bulk_static;
        Reply::Map(vec![
            (text("server"), text("redis")),
            (text("version"), text(REDIS_VERSION)),
            (text("proto"), Reply::Integer(self.version.number())),
            (text("id"), Reply::Integer(self.id())),
            (text("mode"), text("standalone")),
            (text("role"), text("master")),
            (text("modules"), Reply::Array(Vec::new())),
        ])
    }

    fn id(&self) -> i64 {
        i64::try_from(self.info.id).unwrap_or(i64::MAX)
    }

    /// The connection as `CLIENT INFO` describes it.
    fn line(&self) -> String {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        format!(
            "id={} addr={} laddr={} name={} flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 \
             cmd=client|info user=default redir=-1 resp={} lib-name={} lib-ver={}\n",
            self.info.id,
            self.info.peer_addr,
            self.info.local_addr,
            text(&self.name),
            self.version.number(),
            text(&self.library_name),
            text(&self.library_version),
        )
    }
}

/// Numbers for random picks, all different and evenly spread: `SplitMix64`.
#[derive(Clone, Copy, Debug)]
struct Draws(u64);

impl Draws {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// There are no users and no passwords: the default user may enter with any,
/// as in Redis, and the old form of `AUTH` is told that it is mistaken.
fn auth(credentials: &Credentials) -> Reply {
    match credentials.user.as_deref() {
        None => Reply::error(errors::NO_PASSWORD_CONFIGURED),
        Some(b"default") => Reply::OK,
        Some(_) => Reply::error(errors::WRONG_PASSWORD),
    }
}

/// How an HTTP request begins that a browser was tricked into sending here.
fn is_cross_protocol(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// A copy that doesn't keep the request's frame alive.
fn owned(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
