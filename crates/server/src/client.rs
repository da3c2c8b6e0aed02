//! The client port: accepts Redis clients, each served by a task of its own.
//!
//! Invariants
//! - At most `--clients-max` connections at once; one more is told so and
//!   closed (rule 34).
//! - Until the node serves its groups, whoever connects is told what the node
//!   waits for: nobody hangs.
//!
//! Not here: what a connection does (`session.rs`).

use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::debug;

use crate::keyspace::Keyspace;
use crate::session;
use raftlet_kv::ConnectionInfo;

/// Accepting failed, for want of descriptors as a rule: wait before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves clients until asked to stop, then until all sessions have ended.
pub(crate) async fn serve(
    listener: TcpListener,
    keyspace: Rc<Keyspace>,
    mut stop: watch::Receiver<bool>,
) {
    let mut sessions = JoinSet::new();
    while !*stop.borrow() {
        let stream = tokio::select! {
            stream = accept(&listener) => stream,
            // The sender is gone only when the node is.
            _ = stop.changed() => continue,
            Some(_) = sessions.join_next() => continue,
        };
        let Some(stream) = stream else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if sessions.len() >= keyspace.clients_max() {
            keyspace.count_refused_client();
            refuse(&stream, "ERR max number of clients reached");
            continue;
        }
        // Replies are small and waited for. A socket that cannot is slow only.
        let _ = stream.set_nodelay(true);
        let (id, place) = (keyspace.admit_client(), addresses(&stream));
        let info = ConnectionInfo { id, peer_addr: place.0, local_addr: place.1 };
        let (keyspace, stop) = (Rc::clone(&keyspace), stop.clone());
        sessions.spawn_local(async move {
            if let Err(error) = session::serve(stream, info, Rc::clone(&keyspace), stop).await {
                debug!(client = id, %error, "a client's connection broke");
            }
            keyspace.release_client();
        });
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

/// Tells everybody who connects what the node waits for, until dropped.
pub(crate) async fn refuse_all(listener: &TcpListener, why: impl Fn() -> String) {
    loop {
        match accept(listener).await {
            Some(stream) => refuse(&stream, &format!("CLUSTERDOWN {}", why())),
            None => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            debug!(%error, "the client port cannot accept");
            None
        }
    }
}

/// One line, as much of it as a fresh socket takes: all of it.
fn refuse(stream: &TcpStream, text: &str) {
    let line = format!("-{}\r\n", text.replace(['\r', '\n'], " "));
    // Whoever does not take it would not have waited for it either.
    let _ = stream.try_write(line.as_bytes());
}

fn addresses(stream: &TcpStream) -> (String, String) {
    let text = |address: std::io::Result<std::net::SocketAddr>| {
        address.map_or_else(|_| "?:0".to_owned(), |address| address.to_string())
    };
    (text(stream.peer_addr()), text(stream.local_addr()))
}
