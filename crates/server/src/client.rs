//! The client port: accepts Redis clients, each served by a task of its own.
//!
//! Invariants
//! - At most `--clients-max` connections at once; one more is told so and
//!   closed (rule 34).
//! - Until the node serves its groups, whoever connects is told what the node
//!   waits for: nobody hangs.
//!
//! Not here: what a connection does (`client/session.rs`).

pub(crate) mod bell;
pub(crate) mod clients;
pub(crate) mod flights;
pub(crate) mod host;
pub(crate) mod keyspace;
pub(crate) mod session;
pub(crate) mod shares;

use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tracing::{debug, error};

use crate::client::keyspace::Keyspace;
use raftlet_kv::ConnectionInfo;

/// Accepting failed, for want of descriptors as a rule: wait before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Who does not take one line in this time is not told why.
const REFUSE_WITHIN: Duration = Duration::from_secs(1);

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
            changed = stop.changed() => match changed {
                Ok(()) => continue,
                // Nobody is left who could ask to stop: the node is gone.
                Err(_) => break,
            },
            Some(ended) = sessions.join_next() => {
                note_broken(ended);
                continue;
            }
        };
        let Some(stream) = stream else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if sessions.len() >= keyspace.clients_max() {
            keyspace.count_refused_client();
            refuse(stream, "ERR max number of clients reached").await;
            continue;
        }
        // Replies are small and waited for. A socket that cannot is slow only.
        let _ = stream.set_nodelay(true);
        let admission = Admission::new(&keyspace);
        let (peer_addr, local_addr) = addresses(&stream);
        let now_ms = keyspace.now_ms();
        let list = keyspace.client_list();
        let seat = list.seat(admission.id, (&peer_addr, &local_addr), now_ms);
        let info = ConnectionInfo {
            id: admission.id,
            peer_addr,
            local_addr,
            seed: keyspace.seed() ^ admission.id,
        };
        let (keyspace, stop) = (Rc::clone(&keyspace), stop.clone());
        sessions.spawn_local(async move {
            // Whole: of its number alone only a copy would live in here.
            let admission = admission;
            if let Err(error) = session::serve(stream, (info, seat), keyspace, stop).await {
                debug!(client = admission.id, %error, "a client's connection broke");
            }
        });
    }
    drop(listener);
    while let Some(ended) = sessions.join_next().await {
        note_broken(ended);
    }
}

/// A client counted in, until dropped.
struct Admission {
    id: u64,
    keyspace: Rc<Keyspace>,
}

impl Admission {
    fn new(keyspace: &Rc<Keyspace>) -> Self {
        Self { id: keyspace.admit_client(), keyspace: Rc::clone(keyspace) }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.keyspace.release_client();
    }
}

/// A session that panicked took its client with it and nobody else.
fn note_broken(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a session broke; its last words are above, please report them");
    }
}

/// Tells everybody who connects what the node waits for, until dropped.
pub(crate) async fn refuse_all(listener: &TcpListener, why: impl Fn() -> String) {
    loop {
        match accept(listener).await {
            Some(stream) => refuse(stream, &format!("CLUSTERDOWN {}", why())).await,
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

/// One line, then the end. A fresh socket takes it at once.
async fn refuse(mut stream: TcpStream, text: &str) {
    let line = format!("-{}\r\n", text.replace(['\r', '\n'], " "));
    // Whoever does not take it would not have waited for it either.
    let _ = tokio::time::timeout(REFUSE_WITHIN, stream.write_all(line.as_bytes())).await;
}

fn addresses(stream: &TcpStream) -> (String, String) {
    let text = |address: std::io::Result<std::net::SocketAddr>| {
        address.map_or_else(|_| "?:0".to_owned(), |address| address.to_string())
    };
    (text(stream.peer_addr()), text(stream.local_addr()))
}
