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

pub(crate) mod access;
pub(crate) mod clients;
pub(crate) mod cluster;
pub(crate) mod draws;
pub(crate) mod password;
pub(crate) mod refusals;
pub(crate) mod scripting;
pub(crate) mod settings;
pub(crate) mod transaction;

use std::sync::Arc;

use bytes::Bytes;

use crate::command::{
    ClientsRequest, ConfigRequest, ConnectionRequest, LibraryField, ReplyMode, Request, Row,
    ScanRequest, ScriptRequest, TransactionRequest, introspection,
};
use crate::errors::Failure;
use crate::limits::Limits;
use crate::node::{ClientInfo, ClientState, Node};
use crate::operation::every_group::EveryGroup;
use crate::operation::key::{KeyQuery, KeyScan};
use crate::operation::transaction::Transaction as TransactionCommand;
use crate::operation::{Command, Query};
use crate::resp::ProtocolVersion;
use crate::resp::args::Args;
use crate::resp::reply::Reply;
use crate::resp::request::{ProtocolError, RequestParser};
use crate::session::draws::Draws;
use crate::session::password::Password;
use crate::session::refusals::Refusals;
use crate::session::transaction::{Taken, Transaction};
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
    limits: Limits,
    version: ProtocolVersion,
    reply_mode: ReplyMode,
    name: Bytes,
    library_name: Bytes,
    library_version: Bytes,
    transaction: Transaction,
    password: Option<Arc<Password>>,
    is_authenticated: bool,
    wrong_passwords: u32,
    /// Writes that grow the data are refused.
    is_out_of_memory: bool,
    refusals: Refusals,
    draws: Draws,
    /// The command the client last sent.
    last_command: &'static str,
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
    /// Ask for versions; accept nothing more until they have come.
    Watch(GroupIndex, Query<Bytes>),
    Execute(Box<Execution>),
    /// Answer, then close; what else was pipelined goes unheard.
    Close(Option<Reply>),
}

/// A transaction on its way.
#[derive(Debug, PartialEq)]
pub(crate) struct Execution {
    pub(crate) group: GroupIndex,
    pub(crate) command: Command<Bytes>,
    /// Answers that need no group, by their positions among all.
    pub(crate) local: Vec<(usize, Reply)>,
    pub(crate) held_bytes: usize,
}

impl Session {
    pub(crate) fn new(info: ConnectionInfo, slots: SlotMap, limits: Limits) -> Self {
        Self {
            draws: Draws(info.seed),
            info,
            slots,
            limits,
            version: ProtocolVersion::default(),
            reply_mode: ReplyMode::default(),
            name: Bytes::new(),
            library_name: Bytes::new(),
            library_version: Bytes::new(),
            transaction: Transaction::default(),
            password: None,
            is_authenticated: true,
            wrong_passwords: 0,
            is_out_of_memory: false,
            refusals: Refusals::default(),
            last_command: "NULL",
        }
    }

    /// Roughly what is kept for a transaction in the making.
    pub(crate) fn held_bytes(&self) -> usize {
        self.transaction.held_bytes()
    }

    /// How many commands are queued, and what they keep.
    pub(crate) fn transaction_fill(&self) -> (usize, usize) {
        (self.transaction.queued_len().unwrap_or_default(), self.transaction.held_bytes())
    }

    /// Refuses writes that grow the data from now on, or no longer.
    pub(crate) fn set_out_of_memory(&mut self, is_out_of_memory: bool) {
        self.is_out_of_memory = is_out_of_memory;
    }

    /// The input can't be read any further.
    pub(crate) fn count_unreadable(&mut self, error: ProtocolError) {
        if RequestParser::is_too_big(error) {
            self.refusals.requests_too_big += 1;
        } else {
            self.refusals.protocol_errors += 1;
        }
    }

    /// What was refused since it was last asked.
    pub(crate) fn take_refusals(&mut self) -> Refusals {
        std::mem::take(&mut self.refusals)
    }

    /// Whether a plain request may skip [`Self::handle`], which would send it to
    /// its group.
    #[inline]
    pub(crate) fn takes_plain(&self) -> bool {
        self.is_authenticated
            && self.reply_mode == ReplyMode::On
            && !self.is_out_of_memory
            && !self.transaction.is_queueing()
    }

    /// A plain request skipped it.
    #[inline]
    pub(crate) fn note_plain(&mut self, name: &'static str) {
        self.last_command = name;
    }

    /// Decides about one request. `node` is asked only if the request is about
    /// it.
    pub(crate) fn handle(&mut self, args: &Args, node: &mut dyn Node) -> Step {
        let mut is_muted = self.reply_mode != ReplyMode::On;
        if self.reply_mode == ReplyMode::SkipNext {
            self.reply_mode = ReplyMode::On;
        }
        let action = match self.request(args, node) {
            Err(refusal) => Action::Answer(self.refuse(args, refusal)),
            // What nearly all are; `decide` would say the same.
            Ok((group, Request::Write(command))) if !self.transaction.is_queueing() => {
                Action::Write(group, command)
            }
            Ok((group, Request::Read(query))) if !self.transaction.is_queueing() => {
                Action::Read(group, query)
            }
            Ok((group, request)) if self.transaction.is_queueing() => {
                self.decide_in_transaction(group, request, args.held_bytes(), node)
            }
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

    /// Whether no request may be handled before [`Self::on_versions`].
    pub(crate) fn awaits_versions(&self) -> bool {
        self.transaction.awaits_versions()
    }

    /// The versions that an [`Action::Watch`] asked for; `None`: they won't
    /// come.
    pub(crate) fn on_versions(&mut self, versions: Option<Vec<u64>>) {
        self.transaction.on_versions(versions);
    }

    fn request(
        &mut self,
        args: &Args,
        node: &mut dyn Node,
    ) -> Result<(GroupIndex, Request), Reply> {
        if is_cross_protocol(args.name()) {
            return Ok((GroupIndex::default(), ConnectionRequest::CrossProtocol.into()));
        }
        let row = command::resolve(args)?;
        self.last_command = row.name;
        if !self.is_authenticated && !row.flags.contains(&"no_auth") {
            return Err(Reply::error(errors::NOT_AUTHENTICATED));
        }
        if self.is_out_of_memory && self.may_grow(row) {
            self.refusals.out_of_memory += 1;
            return Err(Failure::OutOfMemory.reply());
        }
        let mut request = match (row.parse)(args) {
            // Arguments are looked at when a transaction is executed.
            Err(refusal) if self.transaction.is_queueing() => Request::Answered(refusal),
            parsed => parsed?,
        };
        match &mut request {
            Request::Read(query) | Request::ReadEveryGroup(query) => {
                query.draw(|| self.draws.draw());
            }
            Request::Write(command) => command.draw(|| self.draws.draw()),
            _ => {}
        }
        if let Request::Script(ScriptRequest::EvalSha { digest, keys, arguments }) = request {
            request = scripting::evaluated(&digest, keys, &arguments, node);
        }
        let mut group = row.group(args, self.slots)?;
        if let Request::InSlot(slot, query) = request {
            group = self.slots.group_of(slot);
            request = Request::Read(query);
        }
        if self.transaction.is_queueing() && row.flags.contains(&"denyoom") {
            self.transaction.set_may_grow();
        }
        Ok((group, request))
    }

    /// Whether a request may make the data grow, by itself or by what is queued.
    fn may_grow(&self, row: &Row) -> bool {
        row.flags.contains(&"denyoom") || (row.name == "exec" && self.transaction.may_grow())
    }

    /// A request that isn't even queued spoils the transaction it stands in.
    fn refuse(&mut self, args: &Args, refusal: Reply) -> Reply {
        if args.name().eq_ignore_ascii_case(b"exec") {
            self.transaction.reset();
            return errors::exec_aborted_because(&refusal);
        }
        let is_banned = self.transaction.is_queueing() && command::unsupported::is_banned(args);
        self.transaction.doom();
        if is_banned { Reply::error(errors::NOT_IN_TRANSACTION) } else { refusal }
    }

    fn decide_in_transaction(
        &mut self,
        group: GroupIndex,
        request: Request,
        held_bytes: usize,
        node: &mut dyn Node,
    ) -> Action {
        let is_at_once = matches!(
            request,
            Request::Transaction(
                TransactionRequest::Multi
                    | TransactionRequest::Exec
                    | TransactionRequest::Discard
                    | TransactionRequest::Watch(_)
            ) | Request::Connection(
                ConnectionRequest::Quit
                    | ConnectionRequest::Reset
                    | ConnectionRequest::CrossProtocol
            )
        );
        if is_at_once {
            return self.decide(group, request, node);
        }
        let bounds = (self.slots, &self.limits);
        let reply = self.transaction.enqueue((group, request), held_bytes, bounds);
        self.refusals.transactions_too_big += u64::from(self.transaction.take_is_too_big());
        Action::Answer(reply)
    }

    fn decide(&mut self, group: GroupIndex, request: Request, node: &mut dyn Node) -> Action {
        match request {
            Request::Connection(request) => self.answer(request),
            Request::Transaction(request) => self.transact(group, request, node),
            Request::Clients(ClientsRequest::Kill(filter)) => {
                let ids = filter.ids_among(&self.clients(node), self.info.id);
                self.kill(&ids, Reply::Integer(i64::try_from(ids.len()).unwrap_or(0)), node)
            }
            Request::Clients(ClientsRequest::KillAt(addr)) => {
                let clients = self.clients(node);
                match clients.iter().find(|client| client.peer_addr.as_bytes() == addr) {
                    None => Action::Answer(Reply::error(errors::NO_SUCH_CLIENT)),
                    Some(client) => self.kill(&[client.id], Reply::OK, node),
                }
            }
            Request::Read(query) => Action::Read(group, query),
            Request::ReadEveryGroup(query) => Action::EveryGroup(EveryGroup::Read(query)),
            Request::Scan(request) => {
                let (group, scan) = self.scan(request);
                Action::Read(group, KeyQuery::Scan(Box::new(scan)).into())
            }
            Request::Write(command) => Action::Write(group, command),
            Request::WriteEveryGroup(command) => Action::EveryGroup(EveryGroup::Write(command)),
            local => Action::Answer(self.answer_locally(local, node)),
        }
    }

    /// A cursor is a position in a group and the group's number.
    fn scan(&self, request: ScanRequest) -> (GroupIndex, KeyScan<Bytes>) {
        let groups_len = self.slots.groups_len();
        let number = request.cursor % u64::from(groups_len);
        // Below `groups_len`, so it is there.
        let group = self.slots.groups().find(|group| u64::from(group.number()) == number);
        let group = group.unwrap_or_default();
        let scan = KeyScan {
            position: request.cursor / u64::from(groups_len),
            group: group.number(),
            groups_len,
            count: request.count,
            pattern: request.pattern,
            type_name: request.type_name,
        };
        (group, scan)
    }

    /// Answers what neither needs a group nor changes anything here.
    fn answer_locally(&self, request: Request, node: &mut dyn Node) -> Reply {
        match request {
            Request::Answered(reply) => reply,
            Request::Table(request) => introspection::answer(&request),
            Request::Info(sections) => Reply::Verbatim(node.info().text(&sections).into()),
            Request::Time => time(node.wall_us()),
            Request::Config(ConfigRequest::Get(patterns)) => {
                settings::get(&patterns, &self.limits, node)
            }
            Request::Config(ConfigRequest::Set(pairs)) => settings::set(&pairs, node),
            Request::Config(ConfigRequest::ResetStat) => {
                node.reset_stats();
                Reply::OK
            }
            Request::Script(request) => scripting::answer(request, node),
            // On a majority's disks, of which one is not a replica.
            Request::Wait => replicas(node),
            Request::WaitAof => Reply::Array(vec![Reply::Integer(1), replicas(node)]),
            Request::Cluster(request) => cluster::answer(&request, &node.cluster(), self.slots),
            Request::Clients(ClientsRequest::List(filter)) => {
                clients::list(&self.clients(node), &filter)
            }
            Request::Transaction(TransactionRequest::Unwatch) => Reply::OK,
            Request::Connection(ConnectionRequest::ClientId) => Reply::Integer(self.id()),
            Request::Connection(ConnectionRequest::ClientInfo) => {
                Reply::Verbatim(clients::line(&self.described()).into())
            }
            Request::Connection(ConnectionRequest::ClientGetName) => self.own_name(),
            Request::Clients(_)
            | Request::Connection(_)
            | Request::Transaction(_)
            | Request::Read(_)
            | Request::ReadEveryGroup(_)
            | Request::Scan(_)
            | Request::InSlot(..)
            | Request::Write(_)
            | Request::WriteEveryGroup(_) => Reply::error(errors::NOT_IN_TRANSACTION),
        }
    }

    fn transact(
        &mut self,
        group: GroupIndex,
        request: TransactionRequest,
        node: &mut dyn Node,
    ) -> Action {
        match request {
            TransactionRequest::Multi => Action::Answer(self.transaction.begin()),
            TransactionRequest::Discard => Action::Answer(self.transaction.discard()),
            TransactionRequest::Unwatch => {
                self.transaction.unwatch();
                Action::Answer(Reply::OK)
            }
            TransactionRequest::Watch(keys) => {
                match self.transaction.watch(group, &keys, &self.limits) {
                    Ok(None) => Action::Answer(Reply::OK),
                    Ok(Some(query)) => Action::Watch(group, query),
                    Err(refusal) => {
                        self.refusals.transactions_too_big +=
                            u64::from(self.transaction.take_is_too_big());
                        Action::Answer(refusal)
                    }
                }
            }
            TransactionRequest::Exec => match self.transaction.take() {
                Ok(taken) => self.execute(taken, node),
                Err(refusal) => Action::Answer(refusal),
            },
        }
    }

    /// Parts a transaction into what its group does and what is answered here.
    fn execute(&self, taken: Taken, node: &mut dyn Node) -> Action {
        let Taken { group, watched, requests, held_bytes } = taken;
        let (mut commands, mut local) = (Vec::new(), Vec::new());
        let mut local_bytes: usize = 0;
        for (position, request) in requests.into_iter().enumerate() {
            match request {
                Request::Read(query) | Request::ReadEveryGroup(query) => {
                    commands.push(Command::Query(query));
                }
                Request::Scan(request) => {
                    let (_, scan) = self.scan(request);
                    commands.push(Command::Query(KeyQuery::Scan(Box::new(scan)).into()));
                }
                Request::Write(command) | Request::WriteEveryGroup(command) => {
                    commands.push(command);
                }
                request => {
                    // What a request asks for may be far larger than itself.
                    let reply = if local_bytes <= self.limits.pipeline_bytes_max {
                        self.answer_locally(request, node)
                    } else {
                        errors::reply_too_big(local_bytes, self.limits.pipeline_bytes_max)
                    };
                    local_bytes = local_bytes.saturating_add(reply.held_bytes());
                    local.push((position, reply));
                }
            }
        }
        if commands.is_empty() && watched.is_empty() {
            return Action::Answer(Reply::Array(
                local.into_iter().map(|(_, reply)| reply).collect(),
            ));
        }
        let command = Command::Transaction(Box::new(TransactionCommand { watched, commands }));
        let held_bytes = held_bytes.saturating_add(local_bytes);
        Action::Execute(Box::new(Execution { group, command, local, held_bytes }))
    }

    fn answer(&mut self, request: ConnectionRequest) -> Action {
        Action::Answer(match request {
            ConnectionRequest::Quit => return Action::Close(Some(Reply::OK)),
            ConnectionRequest::CrossProtocol => return Action::Close(None),
            ConnectionRequest::Reset => self.reset(),
            ConnectionRequest::Hello(hello) => match self.hello(hello) {
                Ok(reply) => reply,
                Err(refusal) => return self.on_wrong_password(refusal),
            },
            ConnectionRequest::Auth(credentials) => match self.auth(&credentials) {
                Ok(()) => Reply::OK,
                Err(refusal) => return self.on_wrong_password(refusal),
            },
            ConnectionRequest::ClientId => Reply::Integer(self.id()),
            ConnectionRequest::ClientInfo => {
                Reply::Verbatim(clients::line(&self.described()).into())
            }
            ConnectionRequest::ClientGetName => self.own_name(),
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

    /// As if the client had just connected.
    fn reset(&mut self) -> Reply {
        self.transaction.reset();
        self.version = ProtocolVersion::default();
        self.reply_mode = ReplyMode::default();
        self.name = Bytes::new();
        self.is_authenticated = self.password.is_none();
        Reply::simple_static("RESET")
    }

    fn id(&self) -> i64 {
        i64::try_from(self.info.id).unwrap_or(i64::MAX)
    }

    fn own_name(&self) -> Reply {
        if self.name.is_empty() { Reply::Null } else { Reply::Bulk(self.name.clone()) }
    }

    /// What `CLIENT LIST` on another connection tells of this one.
    pub(crate) fn state(&self) -> ClientState {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        ClientState {
            name: text(&self.name),
            library_name: text(&self.library_name),
            library_version: text(&self.library_version),
            protocol: u8::try_from(self.version.number()).unwrap_or_default(),
            queued_len: self.transaction.queued_len(),
            last_command: self.last_command,
        }
    }

    fn described(&self) -> ClientInfo {
        ClientInfo {
            id: self.info.id,
            peer_addr: self.info.peer_addr.clone(),
            local_addr: self.info.local_addr.clone(),
            state: self.state(),
            ..ClientInfo::default()
        }
    }

    /// All clients of the node, this one as it is now.
    fn clients(&self, node: &mut dyn Node) -> Vec<ClientInfo> {
        let mut clients = node.clients();
        match clients.iter_mut().find(|client| client.id == self.info.id) {
            Some(me) => me.state = self.state(),
            None => clients.push(self.described()),
        }
        clients
    }

    fn kill(&self, ids: &[u64], reply: Reply, node: &mut dyn Node) -> Action {
        let (mine, others): (Vec<u64>, Vec<u64>) = ids.iter().partition(|id| **id == self.info.id);
        node.kill_clients(&others);
        if mine.is_empty() { Action::Answer(reply) } else { Action::Close(Some(reply)) }
    }
}

/// How many disks besides one have what was acknowledged.
fn replicas(node: &mut dyn Node) -> Reply {
    Reply::Integer(i64::try_from(node.cluster().nodes.len() / 2).unwrap_or(i64::MAX))
}

/// Seconds and microseconds.
fn time(wall_us: u64) -> Reply {
    let (seconds, rest_us) = (wall_us / 1_000_000, wall_us % 1_000_000);
    Reply::Array(vec![
        Reply::Bulk(seconds.to_string().into()),
        Reply::Bulk(rest_us.to_string().into()),
    ])
}

/// How an HTTP request begins that a browser was tricked into sending here.
fn is_cross_protocol(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// A copy that doesn't keep the request's frame alive.
fn owned(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
