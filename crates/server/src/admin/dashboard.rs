//! `/`: the dashboard. `/report`: what this node tells of itself to others'
//! dashboards; `/cluster`: the reports of all nodes; `/events`: the same, live.
//! With `?history` behind the first two also what was.
//!
//! Not here: asking and feeding (`crate::observe::dashboard`).

use std::rc::Rc;

use crate::admin::Router;
use crate::http::{Request, Response, Status};
use crate::observe::dashboard::{NodeReport, PAGE, Watchers, gather};
use crate::observe::inspect::Inspect;
use raftlet_log::random_incarnation;

pub(super) fn routes<N: Inspect>() -> Router<N> {
    let watchers = Rc::new(Watchers::default());
    Router::new()
        .get("/", "the dashboard", async |_, _| page())
        .get(
            "/report",
            "this node for dashboards; ?history",
            async |node: Rc<N>, request: Request| {
                let report = NodeReport::of(&*node, request.says("history"));
                Response::json(Status::OK, &report)
            },
        )
        .get("/cluster", "all nodes' reports; ?history", async |node, request: Request| {
            let report = gather(&node, request.says("history")).await;
            Response::json(Status::OK, &report)
        })
        .get("/events", "all nodes' reports as server-sent events", move |node, _| {
            let pictures = watchers.watch(&node);
            async move {
                match pictures {
                    Some(pictures) => Response::stream("text/event-stream", pictures),
                    None => Response::text(Status::UNAVAILABLE, "too many pages look already"),
                }
            }
        })
}

/// The page, which the browser holds to its own style and script, and to
/// asking nobody but this node.
fn page() -> Response {
    let Ok(random) = random_incarnation() else {
        return Response::text(Status::INTERNAL_ERROR, "the system gives no random numbers");
    };
    let nonce = format!("{:032x}", random.0);
    let policy = format!(
        "default-src 'none'; connect-src 'self'; style-src 'nonce-{nonce}'; \
         script-src 'nonce-{nonce}'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    Response::new(
        Status::OK,
        "text/html; charset=utf-8",
        PAGE.replace("NONCE", &nonce).into_bytes(),
    )
    .with("Content-Security-Policy", policy)
    .with("Referrer-Policy", "no-referrer")
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{PAGE, routes};
    use crate::http::{Method, Request};
    use crate::observe::inspect::fake::Fake;

    /// Budget of the page: it comes over slow links to tired people.
    const PAGE_BYTES_MAX: usize = 60_000;

    #[test]
    fn the_page_is_small_and_loads_nothing_from_elsewhere() {
        assert!(PAGE.len() <= PAGE_BYTES_MAX, "{} bytes", PAGE.len());
        for word in ["http:", "https:", " src=", "@import", "url(", "innerHTML", " onclick="] {
            // The name of a vocabulary is no address.
            let page = PAGE.replace("http://www.w3.org/2000/svg", "");
            assert!(!page.contains(word), "the page has {word}");
        }
        assert_eq!(PAGE.matches("nonce=\"NONCE\"").count(), 2);
    }

    #[tokio::test]
    async fn each_page_has_a_nonce_of_its_own() {
        let page = async || {
            let request = Request::new(Method::Get, "/", "");
            routes().answer(&Rc::new(Fake::default()), request).await.body_text()
        };
        let (first, second) = (page().await, page().await);
        assert!(!first.contains("NONCE") && first != second);
    }

    #[tokio::test]
    async fn a_report_has_what_was_only_when_asked() {
        let report = async |target| {
            let request = Request::new(Method::Get, target, "");
            let response = routes().answer(&Rc::new(Fake::default()), request).await;
            response.body_text().matches("requests_per_s").count()
        };
        assert_eq!(report("/report").await, 1);
        assert_eq!(report("/report?history").await, 3);
    }
}
