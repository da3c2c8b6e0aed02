//! `CLIENT LIST` and `INFO`: how clients are described.
//!
//! The line of a client has the fields of Redis 7.0 in their order, as far as
//! there is something to say, and its library's name and version behind them.
//!
//! Not here: which clients are meant (`command/client_filter.rs`).

use std::fmt::Write;

use crate::command::client_filter::ClientFilter;
use crate::node::ClientInfo;
use crate::resp::reply::Reply;

/// `CLIENT LIST`.
pub(crate) fn list(clients: &[ClientInfo], filter: &ClientFilter) -> Reply {
    let mut text = String::new();
    for client in clients.iter().filter(|client| filter.matches(client, 0)) {
        text.push_str(&line(client));
    }
    Reply::Verbatim(text.into())
}

/// One client, its line end included.
pub(crate) fn line(client: &ClientInfo) -> String {
    let ClientInfo { id, peer_addr, local_addr, age_s, idle_s, state } = client;
    let (flags, multi) = match state.queued_len {
        None => ('N', -1),
        Some(len) => ('x', i64::try_from(len).unwrap_or(i64::MAX)),
    };
    let mut line = String::new();
    write!(
        line,
        "id={id} addr={peer_addr} laddr={local_addr} name={} age={age_s} idle={idle_s} \
         flags={flags} db=0 sub=0 psub=0 ssub=0 multi={multi} cmd={} user=default redir=-1 \
         resp={} lib-name={} lib-ver={}",
        state.name, state.last_command, state.protocol, state.library_name, state.library_version,
    )
    .expect("a String takes everything");
    line.push('\n');
    line
}
