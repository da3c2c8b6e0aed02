//! Ports for nodes and proxies.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// A port of loopback that is free and given out once in this process. Below
/// the range that the system gives to connections, of which there are many.
pub(crate) fn free_port() -> u16 {
    free_door().1
}

/// Such a port, listened on: nobody else can take it meanwhile.
pub(crate) fn free_door() -> (TcpListener, u16) {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let place = std::process::id().wrapping_mul(409) + TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(10_000 + place % 22_000).unwrap();
        if let Ok(door) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return (door, port);
        }
    }
}
