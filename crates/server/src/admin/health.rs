//! `/livez` and `/readyz`: what supervisors and balancers branch on.
//!
//! `/livez` says that the shard turns and its storage is whole; it never
//! depends on a quorum, or a supervisor would restart a cluster that merely
//! waits. `/readyz` says that every group here knows a leader and its machine
//! is there and keeps up, and that the node is not on its way out.
//!
//! Both answer 200 or 503, and name every check that failed, one a line as
//! `[-]name failed: why`; with `?verbose` also those that hold, as `[+]name ok`.

use crate::admin::Router;
use crate::http::{Request, Response, Status};
use crate::observe::inspect::Inspect;

/// One condition: its name, and why it fails if it does.
type Check = (&'static str, Option<String>);

pub(super) fn routes<N: Inspect>() -> Router<N> {
    Router::new()
        .get("/livez", "whether the process works: 200 or 503; ?verbose", async |node, request| {
            judge(&request, "alive", &live(&*node))
        })
        .get(
            "/readyz",
            "whether to send it clients: 200 or 503; ?verbose",
            async |node, request| judge(&request, "ready", &ready(&*node)),
        )
}

fn live(node: &impl Inspect) -> Vec<Check> {
    vec![("storage", node.broken())]
}

fn ready(node: &impl Inspect) -> Vec<Check> {
    let stopping = node.is_stopping().then(|| "the node is stopping".to_owned());
    let mut checks = vec![("storage", node.broken()), ("stopping", stopping)];
    checks.extend(node.status().readiness());
    checks
}

fn judge(request: &Request, well: &str, checks: &[Check]) -> Response {
    let is_well = checks.iter().all(|(_, failed)| failed.is_none());
    let mut lines: Vec<String> = Vec::new();
    for (name, failed) in checks {
        match failed {
            Some(why) => lines.push(format!("[-]{name} failed: {why}")),
            None if request.says("verbose") => lines.push(format!("[+]{name} ok")),
            None => {}
        }
    }
    lines.push(if is_well { well.to_owned() } else { format!("not {well}") });
    let status = if is_well { Status::OK } else { Status::UNAVAILABLE };
    Response::text(status, lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::routes;
    use crate::http::{Method, Request};
    use crate::observe::inspect::fake::Fake;

    async fn answer(node: Fake, target: &str) -> (u16, String) {
        let request = Request::new(Method::Get, target, "");
        let response = routes().answer(&Rc::new(node), request).await;
        (response.status.0, response.body_text())
    }

    #[tokio::test]
    async fn a_node_without_groups_lives_and_is_not_ready() {
        assert_eq!(answer(Fake::default(), "/livez").await, (200, "alive\n".to_owned()));
        let (status, text) = answer(Fake::default(), "/readyz").await;
        assert_eq!(status, 503);
        assert!(
            text.starts_with("[-]groups failed: ") && text.ends_with("\nnot ready\n"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn verbose_names_what_holds_beside_what_does_not() {
        let node = Fake { is_stopping: true, ..Fake::default() };
        let (status, text) = answer(node, "/readyz?verbose").await;
        assert_eq!(status, 503);
        assert!(text.contains("[+]storage ok\n[-]stopping failed: "), "{text}");
    }

    #[tokio::test]
    async fn a_broken_node_says_why() {
        let node = || Fake { broken: Some("storage is poisoned".to_owned()), ..Fake::default() };
        for target in ["/livez", "/readyz"] {
            let (status, text) = answer(node(), target).await;
            assert!(status == 503 && text.contains("poisoned"), "{target}: {text}");
        }
    }
}
