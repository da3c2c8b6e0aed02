//! `/log`: the last lines of the log that were news, as JSON, with `?after=N`
//! those behind number N. `/log-level`: what is logged from now on, without a
//! restart.
//!
//! Not here: the log (`logging.rs`).

use std::rc::Rc;

use serde::Deserialize;

use crate::admin::Router;
use crate::cli::logging::LogLevel;
use crate::http::{Request, Response, Status};
use crate::observe::inspect::Inspect;

/// `{"level": "debug"}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    level: LogLevel,
}

pub(super) fn routes<N: Inspect>() -> Router<N> {
    let about = "log from another level on: {\"level\": \"debug\"}";
    Router::new()
        .get("/log", "the last lines of the log as JSON; ?after=N", async |node: Rc<N>, request| {
            let after: Option<Result<u64, _>> = request.value("after").map(str::parse);
            match after.unwrap_or(Ok(0)) {
                Ok(after) => Response::json(Status::OK, &node.news(after)),
                Err(_) => Response::text(Status::BAD_REQUEST, "after is the number of a line"),
            }
        })
        .post("/log-level", about, async |node: Rc<N>, request| set_level(&*node, &request))
}

fn set_level(node: &impl Inspect, request: &Request) -> Response {
    match request.json::<Wanted>() {
        Ok(wanted) => {
            node.set_log_level(wanted.level);
            Response::text(Status::OK, "done")
        }
        Err(refusal) => refusal,
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::routes;
    use crate::cli::logging::LogLevel;
    use crate::http::{Method, Request, Status};
    use crate::observe::inspect::fake::Fake;

    #[tokio::test]
    async fn a_level_is_set_by_its_name_and_nothing_else_is_taken() {
        let node = Rc::new(Fake::default());
        for (body, status, level) in [
            ("{\"level\": \"loud\"}", Status::BAD_REQUEST, None),
            ("{\"level\": \"debug\", \"x\": 1}", Status::BAD_REQUEST, None),
            ("{\"level\": \"debug\"}", Status::OK, Some(LogLevel::Debug)),
        ] {
            let request = Request::new(Method::Post, "/log-level", body);
            assert_eq!(routes().answer(&node, request).await.status, status, "{body}");
            assert_eq!(node.log_level.get(), level, "{body}");
        }
    }

    #[tokio::test]
    async fn lines_are_told_from_a_number_on() {
        for (target, status, lines) in
            [("/log", 200, 3), ("/log?after=1", 200, 2), ("/log?after=x", 400, 0)]
        {
            let node = Rc::new(Fake::default());
            let response = routes().answer(&node, Request::new(Method::Get, target, "")).await;
            assert_eq!(response.status.0, status, "{target}");
            assert_eq!(response.body_text().matches("number\":").count(), lines, "{target}");
        }
    }
}
