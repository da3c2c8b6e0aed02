//! Every error text a client can see, in one place.
//!
//! Texts are Redis 7.0's, byte for byte, wherever Redis has the case. What is
//! raftlet's own: [`Failure`], and the form for commands that aren't supported.
//! Errors of the protocol and of the data are next to their types
//! (`resp/request.rs`, `operation/response.rs`).

pub(crate) mod collection;

use crate::resp::args::Args;
use crate::resp::reply::Reply;

pub(crate) const SYNTAX: &str = "ERR syntax error";
pub(crate) const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
pub(crate) const SELECT_IN_CLUSTER: &str = "ERR SELECT is not allowed in cluster mode";
pub(crate) const UNSUPPORTED_PROTOCOL: &str = "NOPROTO unsupported protocol version";
pub(crate) const PROTOCOL_NOT_AN_INTEGER: &str =
    "ERR Protocol version is not an integer or out of range";
pub(crate) const CLIENT_NAME: &str =
    "ERR Client names cannot contain spaces, newlines or special characters.";
pub(crate) const NOT_AUTHENTICATED: &str = "NOAUTH Authentication required.";
pub(crate) const HELLO_WITHOUT_AUTH: &str = "NOAUTH HELLO must be called with the client already \
     authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the \
     client and select the RESP protocol version at the same time";
pub(crate) const WRONG_PASSWORD: &str =
    "WRONGPASS invalid username-password pair or user is disabled.";
pub(crate) const NO_PASSWORD_CONFIGURED: &str = "ERR AUTH <password> called without any password \
     configured for the default user. Are you sure your configuration is correct?";
pub(crate) const TIMEOUT_NOT_AN_INTEGER: &str = "ERR timeout is not an integer or out of range";
pub(crate) const NEGATIVE_TIMEOUT: &str = "ERR timeout is negative";
pub(crate) const OUT_OF_POSITIVE_RANGE: &str = "ERR value is out of range, must be positive";
pub(crate) const INVALID_SLOT: &str = "ERR Invalid slot";
pub(crate) const INVALID_SLOT_OR_LEN: &str = "ERR Invalid slot or number of keys";
pub(crate) const NO_SUCH_CLIENT: &str = "ERR No such client";
pub(crate) const INVALID_CLIENT_ID: &str = "ERR Invalid client ID";
pub(crate) const CLIENT_ID_NOT_POSITIVE: &str = "ERR client-id should be greater than 0";
pub(crate) const CACHING_WITHOUT_TRACKING: &str = "ERR CLIENT CACHING can be called only when the \
     client is in tracking mode with OPTIN or OPTOUT mode enabled";
pub(crate) const NO_SUCH_SCRIPT: &str = "NOSCRIPT No matching script. Please use EVAL.";
pub(crate) const NO_SCRIPT_RUNS: &str = "NOTBUSY No scripts in execution right now.";
pub(crate) const SCRIPT_FLUSH_MODE: &str = "ERR SCRIPT FLUSH only support SYNC|ASYNC option";
pub(crate) const NEGATIVE_KEYS_LEN: &str = "ERR Number of keys can't be negative";
pub(crate) const TOO_MANY_KEYS: &str = "ERR Number of keys can't be greater than number of args";
pub(crate) const SCRIPT_ARGUMENTS: &str =
    "ERR this script of a lock library takes other keys or arguments";
pub(crate) const SCRIPT_LIFETIME: &str = "ERR invalid expire time in 'set' command";
pub(crate) const NESTED_MULTI: &str = "ERR MULTI calls can not be nested";
pub(crate) const EXEC_WITHOUT_MULTI: &str = "ERR EXEC without MULTI";
pub(crate) const DISCARD_WITHOUT_MULTI: &str = "ERR DISCARD without MULTI";
pub(crate) const WATCH_IN_MULTI: &str = "ERR WATCH inside MULTI is not allowed";
pub(crate) const NOT_IN_TRANSACTION: &str = "ERR Command not allowed inside a transaction";
pub(crate) const EXEC_ABORTED: &str = "EXECABORT Transaction discarded because of previous errors.";
pub(crate) const INVALID_COMMAND: &str = "ERR Invalid command specified";
pub(crate) const NO_KEY_ARGUMENTS: &str = "ERR The command has no key arguments";
pub(crate) const INVALID_ARGUMENTS_LEN: &str =
    "ERR Invalid number of arguments specified for command";

pub(crate) const DECREMENT_OVERFLOW: &str = "ERR decrement would overflow";
pub(crate) const DATABASE_OUT_OF_RANGE: &str = "ERR DB index is out of range";
pub(crate) const OFFSET_OUT_OF_RANGE: &str = "ERR offset is out of range";
pub(crate) const CURSOR: &str = "ERR invalid cursor";
pub(crate) const SAME_OBJECT: &str = "ERR source and destination objects are the same";
pub(crate) const NX_WITH_OTHERS: &str =
    "ERR NX and XX, GT or LT options at the same time are not compatible";
pub(crate) const GT_WITH_LT: &str = "ERR GT and LT options at the same time are not compatible";
pub(crate) const LCS_LEN_WITH_IDX: &str =
    "ERR If you want both the length and indexes, please just use IDX.";

/// Redis shows at most this much of an unknown name, and of its arguments.
const ECHO_BYTES_MAX: usize = 128;

pub(crate) fn crossslot() -> Reply {
    Reply::error("CROSSSLOT Keys in request don't hash to the same slot")
}

pub(crate) fn wrong_arity(name: &str) -> Reply {
    Reply::error(format!("ERR wrong number of arguments for '{name}' command"))
}

pub(crate) fn unsupported(name: &str, instead: &str) -> Reply {
    Reply::error(format!("ERR {name} is not supported by raftlet: {instead}"))
}

pub(crate) fn unknown_command(args: &Args) -> Reply {
    let mut shown = Vec::new();
    for arg in args.iter_from(1) {
        if shown.len() >= ECHO_BYTES_MAX {
            break;
        }
        let room = ECHO_BYTES_MAX - shown.len();
        shown.extend_from_slice(b"'");
        shown.extend_from_slice(shortened(arg, room));
        shown.extend_from_slice(b"' ");
    }
    let name = shortened(args.name(), ECHO_BYTES_MAX);
    error_of(&[b"ERR unknown command '", name, b"', with args beginning with: ", &shown])
}

pub(crate) fn unknown_subcommand(container: &str, name: &[u8]) -> Reply {
    let name = shortened(name, ECHO_BYTES_MAX);
    let container = container.to_uppercase();
    error_of(&[b"ERR unknown subcommand '", name, b"'. Try ", container.as_bytes(), b" HELP."])
}

pub(crate) fn hello_option(option: &[u8]) -> Reply {
    error_of(&[b"ERR Syntax error in HELLO option '", shortened(option, ECHO_BYTES_MAX), b"'"])
}

pub(crate) fn unknown_setting(name: &[u8]) -> Reply {
    let name = shortened(name, ECHO_BYTES_MAX);
    error_of(&[b"ERR Unknown option or number of arguments for CONFIG SET - '", name, b"'"])
}

pub(crate) fn config_set_failed(name: &str, why: &str) -> Reply {
    Reply::error(format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}"))
}

pub(crate) fn unknown_client_type(name: &[u8]) -> Reply {
    error_of(&[b"ERR Unknown client type '", shortened(name, ECHO_BYTES_MAX), b"'"])
}

pub(crate) fn no_such_user(name: &[u8]) -> Reply {
    error_of(&[b"ERR No such user '", shortened(name, ECHO_BYTES_MAX), b"'"])
}

pub(crate) fn unrecognized_option(option: &[u8]) -> Reply {
    error_of(&[b"ERR Unrecognized option '", shortened(option, ECHO_BYTES_MAX), b"'"])
}

pub(crate) fn unsupported_option(option: &[u8]) -> Reply {
    error_of(&[b"ERR Unsupported option ", shortened(option, ECHO_BYTES_MAX)])
}

pub(crate) fn invalid_expire_time(name: &[u8]) -> Reply {
    let name = name.to_ascii_lowercase();
    error_of(&[b"ERR invalid expire time in '", &name, b"' command"])
}

pub(crate) fn library_field(name: &str) -> Reply {
    Reply::error(format!("ERR {name} cannot contain spaces, newlines or special characters."))
}

pub(crate) fn reply_too_big(bytes: usize, bytes_max: usize) -> Reply {
    Reply::error(format!(
        "ERR the reply would have {bytes} bytes, this node's limit is {bytes_max}; ask for fewer keys at once"
    ))
}

/// What `EXEC` says when it is itself refused.
pub(crate) fn exec_aborted_because(refusal: &Reply) -> Reply {
    let Reply::Error(text) = refusal else { return Reply::error(EXEC_ABORTED) };
    let why = text.strip_prefix(b"ERR ").unwrap_or(text);
    error_of(&[b"EXECABORT Transaction discarded because of: ", why])
}

pub(crate) fn too_big_transaction(len_max: usize, bytes_max: usize) -> Reply {
    Reply::error(format!(
        "ERR a transaction has at most {len_max} commands and {bytes_max} bytes on this node; nothing of it was executed, send less at once"
    ))
}

pub(crate) fn too_many_watched(len_max: usize, bytes_max: usize) -> Reply {
    Reply::error(format!(
        "ERR at most {len_max} keys of {bytes_max} bytes can be watched at once on this node; watch fewer"
    ))
}

pub(crate) fn too_many_names(len: usize, len_max: usize) -> Reply {
    Reply::error(format!("ERR {len} names at once are too many, at most {len_max} are taken"))
}

pub(crate) fn too_long_name(bytes: usize, bytes_max: usize) -> Reply {
    Reply::error(format!("ERR a name of {bytes} bytes is too long, at most {bytes_max} are kept"))
}

/// The start of a text, as C sees it: up to a zero byte.
fn shortened(text: &[u8], bytes_max: usize) -> &[u8] {
    let text = text.get(..bytes_max).unwrap_or(text);
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn error_of(parts: &[&[u8]]) -> Reply {
    Reply::Error(parts.concat().into())
}

/// Why a request to a group has no response.
///
/// Clients act on the prefix. `CLUSTERDOWN` and `TRYAGAIN` say that surely
/// nothing was done, and some clients then try again by themselves. `UNKNOWN`
/// is no prefix any client knows, so none does (rule 33).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Not done: no leader was found within the time to wait.
    #[error(
        "CLUSTERDOWN no leader of the key's group was found in time; nothing was executed, try again"
    )]
    NoLeader,
    /// Not done: the leader could not commit it, or lost its office first.
    #[error("CLUSTERDOWN the leader of the key's group changed; nothing was executed, try again")]
    NotCommitted,
    /// Not done: a queue on the way is full.
    #[error("TRYAGAIN this node is overloaded; nothing was executed")]
    Overloaded,
    /// Not done: this node is stopping.
    #[error("CLUSTERDOWN this node is shutting down; nothing was executed, use another")]
    ShuttingDown,
    /// Not done: this node's member of the group is halted or damaged.
    #[error(
        "CLUSTERDOWN this node's member of the key's group is halted, `raftlet status` tells why; nothing was executed, use another node"
    )]
    Halted,
    /// Not done: this node holds no seat in the key's group any more.
    #[error(
        "CLUSTERDOWN this node was removed from the cluster; nothing was executed, use another node, CLUSTER NODES names them"
    )]
    Removed,
    /// Not done: one entry of the log can't hold it.
    #[error(
        "ERR the command takes {bytes} bytes, an entry of the log at most {bytes_max}; nothing was executed, send less at once"
    )]
    TooLarge {
        /// What the command takes.
        bytes: usize,
        /// What an entry may take.
        bytes_max: usize,
    },
    /// Not done: the disk of the log is full.
    #[error("TRYAGAIN the disk that holds the log is full; nothing was executed, free space on it")]
    DiskFull,
    /// Not done: the log on disk is at its limit.
    #[error(
        "TRYAGAIN the log is at --log-disk-max-mib; nothing was executed, snapshots let it go by themselves, else raise the limit"
    )]
    LogFull,
    /// Not done: so many members' logs have no room that no majority has any.
    #[error(
        "TRYAGAIN the disks that hold the logs of too many nodes are full, no majority has room; nothing was executed, free space on them"
    )]
    QuorumFull,
    /// Not done: the disk of the leader's log is full.
    #[error(
        "TRYAGAIN the disk that holds the log of node {node}, which leads, is full; nothing was executed, free space on it"
    )]
    LeaderDiskFull {
        /// Who leads.
        node: u64,
    },
    /// Not done: the leader's log on disk is at its limit.
    #[error(
        "TRYAGAIN the log of node {node}, which leads, is at --log-disk-max-mib; nothing was executed, snapshots let it go by themselves, else raise the limit"
    )]
    LeaderLogFull {
        /// Who leads.
        node: u64,
    },
    /// Not done: the group's log has come to the end of its numbers.
    #[error(
        "ERR the log of the key's group is at its end; nothing was executed, move the data to a new cluster"
    )]
    Exhausted,
    /// Not done: it would grow the data, and memory is at its limit.
    #[error("OOM command not allowed when used memory > 'maxmemory'.")]
    OutOfMemory,
    /// Perhaps done, perhaps not, perhaps later.
    #[error(
        "UNKNOWN the outcome is not known: the command may or may not have been executed, or may yet be; read before you repeat it"
    )]
    Unknown,
}

impl Failure {
    /// Whether nothing was done and nothing will be.
    #[must_use]
    pub fn is_surely_not_done(self) -> bool {
        !matches!(self, Self::Unknown)
    }

    /// The error reply for a client.
    #[must_use]
    pub fn reply(self) -> Reply {
        Reply::error(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Failure] = &[
        Failure::NoLeader,
        Failure::NotCommitted,
        Failure::Overloaded,
        Failure::ShuttingDown,
        Failure::Halted,
        Failure::Removed,
        Failure::TooLarge { bytes: 2, bytes_max: 1 },
        Failure::DiskFull,
        Failure::LogFull,
        Failure::QuorumFull,
        Failure::LeaderDiskFull { node: 3 },
        Failure::LeaderLogFull { node: 3 },
        Failure::Exhausted,
        Failure::OutOfMemory,
        Failure::Unknown,
    ];

    /// Rule 33: clients repeat `CLUSTERDOWN` and `TRYAGAIN` by themselves.
    #[test]
    fn only_an_unknown_outcome_is_told_with_a_prefix_of_its_own() {
        for failure in ALL {
            let text = failure.to_string();
            let prefix = text.split(' ').next().expect("a first word");
            if failure.is_surely_not_done() {
                assert!(["CLUSTERDOWN", "TRYAGAIN", "ERR", "OOM"].contains(&prefix), "{text}");
            } else {
                assert_eq!(prefix, "UNKNOWN");
            }
        }
    }

    #[test]
    fn no_failure_text_breaks_its_line() {
        for failure in ALL {
            assert!(!failure.to_string().contains(['\r', '\n']), "{failure:?}");
        }
    }
}
