//! What clients asked, when, and what they were told.
//!
//! An operation has one of three outcomes, as every proposal has (D9): *done*
//! with a reply, *not done and never will be*, or *unknown*. They are judged
//! differently:
//! - done: it took effect once, between its invocation and its return;
//! - not done: it never took effect; nobody may ever see it;
//! - unknown: it took effect once at any moment after its invocation, however
//!   late, or never.
//!
//! Invariants
//! - A return is never before its invocation, and a reply fits its call:
//!   [`History::push`] refuses anything else.
//! - Two operations whose times touch count as concurrent. Coarse clocks make
//!   the judgement weaker, never wrong.
//!
//! A client may have several operations in flight (a pipeline): only times
//! order operations, client ids are for the reader.
//!
//! Not here: what an operation does to an object (`model.rs`).

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Most operations one history holds. At about 150 bytes each that is 2.4 GiB,
/// eighty times the largest demo run; [`History::push`] refuses more.
pub const HISTORY_OPERATIONS_MAX: usize = 1 << 24;

/// Latest time an operation may carry; what is above is kept for final reads.
pub const TIME_NS_MAX: u64 = u64::MAX - 2;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

impl ClientId {
    /// Who reads every key once more when all is over.
    pub const FINAL_READER: Self = Self(u64::MAX);
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::FINAL_READER => write!(f, "final reader"),
            Self(number) => write!(f, "client {number}"),
        }
    }
}

/// Position of an operation in its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(u32);

impl OpId {
    /// The position as an index into [`History::operations`].
    pub fn position(self) -> usize {
        // Lossless on every target with pointers of at least 32 bits.
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Name of one object. Objects are independent: each key is judged alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<[u8]>);

/// What a write stores and a read returns. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(Arc<[u8]>);

impl Key {
    /// The bytes of the key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Value {
    /// The bytes of the value.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<B: AsRef<[u8]>> From<B> for Key {
    fn from(bytes: B) -> Self {
        Self(bytes.as_ref().into())
    }
}

impl<B: AsRef<[u8]>> From<B> for Value {
    fn from(bytes: B) -> Self {
        Self(bytes.as_ref().into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quoted(f, &self.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quoted(f, &self.0)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quoted(f, &self.0)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quoted(f, &self.0)
    }
}

/// What was asked of one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// Return the value.
    Read,
    /// Store this value.
    Write(Value),
    /// Add to the decimal number stored (nothing stored is 0).
    Incr(i64),
    /// Remove the value.
    Delete,
}

/// What a completed call was told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reply {
    /// To a read: the value, or that there is none.
    Value(Option<Value>),
    /// To a write.
    Written,
    /// To an increment: the number after it.
    Number(i64),
    /// To a delete: whether there was a value.
    Existed(bool),
}

impl Reply {
    pub(crate) fn answers(&self, call: &Call) -> bool {
        matches!(
            (call, self),
            (Call::Read, Self::Value(_))
                | (Call::Write(_), Self::Written)
                | (Call::Incr(_), Self::Number(_))
                | (Call::Delete, Self::Existed(_))
        )
    }
}

/// How an operation ended for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect and this is the answer.
    Done {
        /// What the client was told.
        reply: Reply,
        /// When the client was told, in nanoseconds.
        return_ns: u64,
    },
    /// It did not take effect and never will.
    NotDone,
    /// The client does not know: no answer, or one that says so.
    Unknown,
}

/// Where in a group's log an operation took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Certificate {
    /// The group whose log it is.
    pub group: u64,
    /// For a change: the index of its entry. For a read: the applied index it
    /// was served at.
    pub index: u64,
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "index {} of group {}", self.index, self.group)
    }
}

/// One request of one client to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who asked.
    pub client: ClientId,
    /// The object asked.
    pub key: Key,
    /// What was asked.
    pub call: Call,
    /// When, in nanoseconds of one clock shared by all clients.
    pub invoke_ns: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Where it took effect, if somebody knows: from the reply, or for an
    /// unknown outcome looked up in the committed log.
    pub certificate: Option<Certificate>,
}

impl Operation {
    /// The reply and the time it came, of an operation that is done.
    pub fn done(&self) -> Option<(&Reply, u64)> {
        match &self.outcome {
            Outcome::Done { reply, return_ns } => Some((reply, *return_ns)),
            Outcome::NotDone | Outcome::Unknown => None,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.client)?;
        match &self.call {
            Call::Read => write!(f, "read {}", self.key)?,
            Call::Write(value) => write!(f, "write {} = {value}", self.key)?,
            Call::Incr(delta) => write!(f, "incr {} by {delta}", self.key)?,
            Call::Delete => write!(f, "delete {}", self.key)?,
        }
        match &self.outcome {
            Outcome::NotDone => write!(f, " -> not done"),
            Outcome::Unknown => write!(f, " -> unknown [{} ns .. ]", self.invoke_ns),
            Outcome::Done { reply, return_ns } => {
                match reply {
                    Reply::Value(Some(value)) => write!(f, " -> {value}")?,
                    Reply::Value(None) => write!(f, " -> nothing")?,
                    Reply::Written => write!(f, " -> ok")?,
                    Reply::Number(number) => write!(f, " -> {number}")?,
                    Reply::Existed(existed) => write!(f, " -> existed: {existed}")?,
                }
                if self.client == ClientId::FINAL_READER {
                    return Ok(());
                }
                write!(f, " [{} ns .. {return_ns} ns]", self.invoke_ns)
            }
        }
    }
}

/// All operations of one run, in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    operations: Vec<Operation>,
}

impl History {
    /// An empty history.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one operation.
    ///
    /// # Errors
    /// [`HistoryError`] when the operation contradicts itself or the history
    /// is full. The history is unchanged then.
    pub fn push(&mut self, operation: Operation) -> Result<OpId, HistoryError> {
        let latest_ns = operation.done().map_or(operation.invoke_ns, |(_, return_ns)| return_ns);
        if latest_ns.max(operation.invoke_ns) > TIME_NS_MAX {
            return Err(HistoryError::TimeTooLarge { operation: Box::new(operation) });
        }
        if latest_ns < operation.invoke_ns {
            return Err(HistoryError::ReturnBeforeInvoke { operation: Box::new(operation) });
        }
        if operation.done().is_some_and(|(reply, _)| !reply.answers(&operation.call)) {
            return Err(HistoryError::ReplyDoesNotFit { operation: Box::new(operation) });
        }
        self.append(operation)
    }

    /// Adds a read that began after everything recorded.
    pub(crate) fn push_final_read(
        &mut self,
        key: &Key,
        value: Option<&Value>,
    ) -> Result<OpId, HistoryError> {
        let reply = Reply::Value(value.cloned());
        self.append(Operation {
            client: ClientId::FINAL_READER,
            key: key.clone(),
            call: Call::Read,
            invoke_ns: TIME_NS_MAX + 1,
            outcome: Outcome::Done { reply, return_ns: TIME_NS_MAX + 2 },
            certificate: None,
        })
    }

    /// The operations, in the order they were pushed.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation with this id, if it is of this history.
    pub fn get(&self, id: OpId) -> Option<&Operation> {
        self.operations.get(id.position())
    }

    /// The operations with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (OpId, &Operation)> {
        (0_u32..).map(OpId).zip(&self.operations)
    }

    fn append(&mut self, operation: Operation) -> Result<OpId, HistoryError> {
        if self.operations.len() >= HISTORY_OPERATIONS_MAX {
            return Err(HistoryError::Full);
        }
        let id = u32::try_from(self.operations.len()).map_err(|_| HistoryError::Full)?;
        self.operations.push(operation);
        Ok(OpId(id))
    }

    /// The operations of each key, keys in order.
    pub(crate) fn by_key(&self) -> BTreeMap<&Key, Vec<(OpId, &Operation)>> {
        let mut keys: BTreeMap<&Key, Vec<(OpId, &Operation)>> = BTreeMap::new();
        for (id, operation) in self.iter() {
            keys.entry(&operation.key).or_default().push((id, operation));
        }
        keys
    }
}

/// Why an operation cannot be part of a history. The recorder is wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum HistoryError {
    /// [`HISTORY_OPERATIONS_MAX`] operations are there already.
    Full,
    /// A time is above [`TIME_NS_MAX`].
    TimeTooLarge {
        /// What was pushed.
        operation: Box<Operation>,
    },
    /// The reply came before the request.
    ReturnBeforeInvoke {
        /// What was pushed.
        operation: Box<Operation>,
    },
    /// The reply is of another kind of call.
    ReplyDoesNotFit {
        /// What was pushed.
        operation: Box<Operation>,
    },
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(
                f,
                "the history holds {HISTORY_OPERATIONS_MAX} operations already; judge it and begin another"
            ),
            Self::TimeTooLarge { operation } => {
                write!(
                    f,
                    "{operation}: times end at {TIME_NS_MAX} ns; use a clock that starts near 0"
                )
            }
            Self::ReturnBeforeInvoke { operation } => {
                write!(f, "{operation}: returned before it was invoked; use one monotonic clock")
            }
            Self::ReplyDoesNotFit { operation } => {
                write!(
                    f,
                    "{operation}: the reply is of another kind of call; the recorder mixed up two replies"
                )
            }
        }
    }
}

impl Error for HistoryError {}

/// Longest piece of a key or value that a message shows.
const SHOWN_BYTES_MAX: usize = 48;

fn write_quoted(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    match bytes.split_at_checked(SHOWN_BYTES_MAX) {
        None => write!(f, "\"{}\"", bytes.escape_ascii()),
        Some((shown, rest)) => {
            write!(f, "\"{}\"(+{} bytes)", shown.escape_ascii(), rest.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_at(invoke_ns: u64, return_ns: u64) -> Operation {
        Operation {
            client: ClientId(1),
            key: Key::from("k"),
            call: Call::Read,
            invoke_ns,
            outcome: Outcome::Done { reply: Reply::Value(None), return_ns },
            certificate: None,
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused_and_leaves_no_trace() {
        let mut history = History::new();
        assert!(matches!(
            history.push(read_at(5, 4)),
            Err(HistoryError::ReturnBeforeInvoke { .. })
        ));
        assert!(matches!(
            history.push(read_at(5, u64::MAX)),
            Err(HistoryError::TimeTooLarge { .. })
        ));
        let written = Outcome::Done { reply: Reply::Written, return_ns: 6 };
        let mixed_up = Operation { outcome: written, ..read_at(5, 6) };
        let error = history.push(mixed_up).unwrap_err();
        assert!(matches!(error, HistoryError::ReplyDoesNotFit { .. }));
        assert!(error.to_string().contains("client 1 read \"k\""), "{error}");
        assert!(history.operations().is_empty());
        let id = history.push(read_at(5, 5)).unwrap();
        assert_eq!(history.get(id), Some(&read_at(5, 5)));
    }

    #[test]
    fn hostile_bytes_are_shown_escaped_and_cut() {
        let key = Key::from([b'\x1b'; 60]);
        assert_eq!(key.to_string(), format!("\"{}\"(+12 bytes)", "\\x1b".repeat(48)));
        assert_eq!(Value::from("a\nb").to_string(), "\"a\\nb\"");
    }
}
