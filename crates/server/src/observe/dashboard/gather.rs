//! Asks every node of the cluster how it is.

use std::rc::Rc;

use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::http;
use crate::logging::Line;
use crate::observe::dashboard::ANSWER_WITHIN;
use crate::observe::history::Sample;
use crate::observe::inspect::Inspect;
use crate::status::NodeStatus;

/// Lines of a node's log in each picture; what is told twice has a number.
const LINES_LEN: usize = 20;

/// How one node is, as it says.
#[derive(Debug, Serialize)]
pub(crate) struct NodeReport {
    status: NodeStatus,
    /// Oldest first; the last one, or all that are kept.
    samples: Vec<Sample>,
    /// Of its log, oldest first.
    lines: Vec<Line>,
}

/// How every node is, as the asked one could find out.
#[derive(Debug, Serialize)]
pub(crate) struct ClusterReport {
    /// Who was asked for all.
    asked: u64,
    /// In order of node id.
    nodes: Vec<NodeAnswer>,
}

/// What one node answered.
#[derive(Debug, Serialize)]
struct NodeAnswer {
    node_id: u64,
    /// Where it was asked, if that is known.
    admin: Option<String>,
    /// A [`NodeReport`], maybe of another version.
    report: Option<Value>,
    /// Why there is none.
    why: Option<String>,
    /// It may still answer: it was reached and took too long.
    is_late: bool,
}

impl NodeReport {
    /// What `node` knows of itself, lately or now.
    pub(crate) fn of(node: &impl Inspect, has_history: bool) -> Self {
        let mut lines = node.news(0);
        if !has_history {
            lines.drain(..lines.len().saturating_sub(LINES_LEN));
        }
        let samples = node.samples(if has_history { usize::MAX } else { 1 });
        Self { status: node.status(), samples, lines }
    }
}

/// Asks all nodes at once. Takes at most [`ANSWER_WITHIN`].
pub(crate) async fn gather<N: Inspect>(node: &Rc<N>, has_history: bool) -> ClusterReport {
    let own = NodeReport::of(&**node, has_history);
    let asked = own.status.node_id;
    let mut answers = JoinSet::new();
    for peer in &own.status.peers {
        answers.spawn_local(ask(peer.node_id, peer.admin.clone(), has_history));
    }
    // Plain data; should it not serialize, the reason is shown in its place.
    let report = serde_json::to_value(&own).map_err(|error| error.to_string());
    let mut nodes = vec![answer(asked, None, report)];
    while let Some(answered) = answers.join_next().await {
        nodes.extend(answered.ok());
    }
    nodes.sort_by_key(|node| node.node_id);
    ClusterReport { asked, nodes }
}

async fn ask(node_id: u64, admin: Option<String>, has_history: bool) -> NodeAnswer {
    let Some(address) = admin else {
        let why = "it was not met since the asked node started, so its admin port is not known";
        return answer(node_id, None, Err(why.to_owned()));
    };
    let path = if has_history { "/report?history" } else { "/report" };
    let asked = timeout(ANSWER_WITHIN, http::get(&address, path, ANSWER_WITHIN * 2)).await;
    let Ok(asked) = asked else {
        let why = format!("it did not answer within {} ms", ANSWER_WITHIN.as_millis());
        return NodeAnswer { is_late: true, ..answer(node_id, Some(address), Err(why)) };
    };
    let report = match asked {
        Ok((200, body)) => serde_json::from_str(&body).map_err(|error| error.to_string()),
        Ok((code, _)) => Err(format!("its admin port answers {code} to {path}")),
        Err(failure) => Err(failure.message),
    };
    answer(node_id, Some(address), report)
}

fn answer(node_id: u64, admin: Option<String>, report: Result<Value, String>) -> NodeAnswer {
    let (report, why) = match report {
        Ok(report) => (Some(report), None),
        Err(why) => (None, Some(why)),
    };
    NodeAnswer { node_id, admin, report, why, is_late: false }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::task::LocalSet;

    use super::gather;
    use crate::observe::inspect::fake::Fake;
    use crate::status::{NodeStatus, PeerStatus};

    #[tokio::test]
    async fn who_cannot_be_asked_is_named_with_the_reason() {
        let peer = |node_id, admin: Option<&str>| PeerStatus {
            node_id,
            alive: None,
            connected: false,
            rtt_us: 0,
            admin: admin.map(str::to_owned),
        };
        // Nobody listens on port 1 of loopback.
        let peers = vec![peer(1, Some("127.0.0.1:1")), peer(3, None)];
        let status = NodeStatus { node_id: 2, peers, ..NodeStatus::default() };
        let node = Rc::new(Fake { status, ..Fake::default() });
        let report = LocalSet::new().run_until(gather(&node, true)).await;
        let ids: Vec<u64> = report.nodes.iter().map(|node| node.node_id).collect();
        assert_eq!((report.asked, ids), (2, vec![1, 2, 3]));
        assert!(report.nodes[0].why.as_ref().unwrap().contains("127.0.0.1:1"));
        assert_eq!(report.nodes[1].report.as_ref().unwrap()["status"]["node_id"], 2);
        assert!(report.nodes[2].why.as_ref().unwrap().contains("not met"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_too_long_is_late_and_holds_nobody_up() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = Some(silent.local_addr().unwrap().to_string());
        let peer = PeerStatus { node_id: 2, alive: None, connected: true, rtt_us: 0, admin };
        let status = NodeStatus { node_id: 1, peers: vec![peer], ..NodeStatus::default() };
        let node = Rc::new(Fake { status, ..Fake::default() });
        let report = LocalSet::new().run_until(gather(&node, false)).await;
        let late: Vec<bool> = report.nodes.iter().map(|node| node.is_late).collect();
        assert_eq!(late, [false, true]);
        assert!(report.nodes[1].why.as_ref().unwrap().contains("did not answer"));
    }
}
