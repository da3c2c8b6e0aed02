//! Tells whoever started the node how far it is: systemd and its like.
//!
//! The protocol is `sd_notify`'s: lines in a datagram to the socket that
//! `NOTIFY_SOCKET` names, `@` at its start meaning the abstract namespace.
//! Nothing is told where nobody asked, and nobody is waited for: a supervisor
//! that does not listen changes nothing for the node.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tracing::debug;

/// The variable that names the socket.
const SOCKET: &str = "NOTIFY_SOCKET";

/// The node serves clients.
pub(crate) fn ready() {
    tell("READY=1\nSTATUS=serving\n");
}

/// What the node waits for before it serves.
pub(crate) fn waiting(what: &str) {
    tell(&format!("STATUS={}\n", what.replace('\n', " ")));
}

/// The node is on its way out.
pub(crate) fn stopping() {
    tell("STOPPING=1\nSTATUS=stopping\n");
}

fn tell(state: &str) {
    let Some(socket) = std::env::var_os(SOCKET).filter(|name| !name.is_empty()) else {
        return;
    };
    let told = address(socket.as_encoded_bytes()).and_then(|address| {
        let from = UnixDatagram::unbound()?;
        from.set_nonblocking(true)?;
        from.send_to_addr(state.as_bytes(), &address)
    });
    if let Err(error) = told {
        debug!(%error, "the supervisor cannot be told");
    }
}

fn address(name: &[u8]) -> std::io::Result<SocketAddr> {
    match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(String::from_utf8_lossy(name).as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn both_kinds_of_sockets_are_understood() {
        assert!(address(b"/run/notify").unwrap().as_pathname().is_some());
        assert!(address(b"@notify").unwrap().as_pathname().is_none());
        assert!(address(&[b'x'; 300]).is_err());
    }
}
