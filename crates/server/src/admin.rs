//! The admin port: `GET /status`, `/livez`, `/readyz` over HTTP/1.1.
//!
//! `/livez` says that the shard turns and its storage is whole; it never
//! depends on a quorum, or a supervisor would restart a cluster that merely
//! waits. `/readyz` says that every group here knows a leader and its machine
//! keeps up. `?…` behind a path is ignored.
//!
//! Invariants
//! - One request a connection, within [`REQUEST_WITHIN`]; at most
//!   [`CONNECTIONS_MAX`] at once, one more is closed unanswered (rule 34).
//! - Answering asks nobody: a status is what this node knows now.
//!
//! Not here: the schema (`status.rs`), the bytes of HTTP (`http.rs`).

use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

use crate::http;
use crate::status::NodeStatus;

/// Admin connections at once: a dashboard, probes, and a person.
const CONNECTIONS_MAX: usize = 64;
/// From connect to the last byte of the answer.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Accepting failed, for want of descriptors as a rule: wait before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the admin port asks of the node.
pub(crate) trait Inspect: 'static {
    /// How the node is now.
    fn status(&self) -> NodeStatus;
    /// Why the node does not live, if it doesn't.
    fn broken(&self) -> Option<String>;
    /// Whether the node is on its way out.
    fn is_stopping(&self) -> bool;
}

/// Serves the port until dropped.
pub(crate) async fn serve<I: Inspect>(listener: TcpListener, node: Rc<I>) {
    let slot = Rc::new(());
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "the admin port cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Every connection holds the slot, and so does this loop.
        if Rc::strong_count(&slot) > CONNECTIONS_MAX {
            continue;
        }
        let (node, slot) = (Rc::clone(&node), Rc::clone(&slot));
        tokio::task::spawn_local(async move {
            // Whoever is too slow, or goes away, has no answer coming.
            let _ = tokio::time::timeout(REQUEST_WITHIN, answer(stream, &*node)).await;
            drop(slot);
        });
    }
}

async fn answer(mut stream: TcpStream, node: &impl Inspect) -> std::io::Result<()> {
    let mut head = Vec::new();
    let bytes = loop {
        let room = http::HEAD_BYTES_MAX.saturating_sub(head.len());
        let limit = u64::try_from(room).unwrap_or(0);
        if (&mut stream).take(limit).read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        if let Some(path) = http::request_path(&head) {
            break match path {
                Ok(path) => respond(path, node),
                Err(refusal) => http::answer(refusal, "text/plain", "only GET is understood\n"),
            };
        }
    };
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}

fn respond(path: &str, node: &impl Inspect) -> Vec<u8> {
    const OK: &str = "200 OK";
    const NOT_NOW: &str = "503 Service Unavailable";
    match path {
        "/status" => match serde_json::to_string(&node.status()) {
            Ok(body) => http::answer(OK, "application/json", &body),
            Err(error) => {
                http::answer("500 Internal Server Error", "text/plain", &format!("{error}\n"))
            }
        },
        "/livez" => match node.broken() {
            None => http::answer(OK, "text/plain", "alive\n"),
            Some(why) => http::answer(NOT_NOW, "text/plain", &format!("{why}\n")),
        },
        "/readyz" if node.is_stopping() => http::answer(NOT_NOW, "text/plain", "stopping\n"),
        "/readyz" if node.status().is_ready() => http::answer(OK, "text/plain", "ready\n"),
        "/readyz" => http::answer(
            NOT_NOW,
            "text/plain",
            "not every group knows a leader and has caught up\n",
        ),
        _ => http::answer("404 Not Found", "text/plain", "there are /status, /livez and /readyz\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Inspect, respond};
    use crate::status::{ClientsStatus, LogStatus, NodeStatus};

    struct Fake {
        broken: Option<String>,
    }

    impl Inspect for Fake {
        fn status(&self) -> NodeStatus {
            NodeStatus {
                node_id: 9,
                cluster_id: String::new(),
                uptime_ms: 0,
                disk_mode: String::new(),
                log: LogStatus::default(),
                clients: ClientsStatus::default(),
                waiting: None,
                groups: Vec::new(),
            }
        }

        fn broken(&self) -> Option<String> {
            self.broken.clone()
        }

        fn is_stopping(&self) -> bool {
            false
        }
    }

    fn answer(path: &str, broken: Option<&str>) -> String {
        let node = Fake { broken: broken.map(str::to_owned) };
        String::from_utf8(respond(path, &node)).unwrap()
    }

    #[test]
    fn a_node_without_groups_lives_and_is_not_ready() {
        assert!(answer("/livez", None).starts_with("HTTP/1.1 200"));
        assert!(answer("/readyz", None).starts_with("HTTP/1.1 503"));
        assert!(answer("/status", None).contains("\"node_id\":9"));
        assert!(answer("/nothing", None).starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn a_broken_node_says_why() {
        let text = answer("/livez", Some("storage is poisoned"));
        assert!(text.starts_with("HTTP/1.1 503") && text.contains("poisoned"));
    }
}
