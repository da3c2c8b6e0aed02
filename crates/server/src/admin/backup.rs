//! `POST /backup`: the state of one group, as frames of a backup.
//!
//! ```text
//! {"group": 3, "backup": "00ff…", "stale": false}
//! ```
//!
//! 200 with the frames (`docs/format-backup.md`), the last of which is the last
//! chunk, or says why there are no more; else 404 or 409 in words.
//!
//! Not here: the work (`backup/give.rs`), who asks (`backup/create.rs`).

use std::rc::Rc;

use crate::admin::Router;
use crate::backup::give::{GivesBackups, Refused};
use crate::http::{Request, Response, Status};

pub(super) fn routes<N: GivesBackups>() -> Router<N> {
    Router::new().post(
        "/backup",
        "gives a group's state away: {\"group\": G, \"backup\": HEX}; asked by `raftlet backup`",
        async |node: Rc<N>, request: Request| match request.json() {
            Ok(order) => match node.give_backup(order).await {
                Ok(pieces) => Response::stream("application/octet-stream", pieces),
                Err(Refused::NoGroup(what)) => Response::text(
                    Status::NOT_FOUND,
                    format!("there is {what} on this node; /status lists them"),
                ),
                Err(Refused::Not(why)) => Response::text(Status::CONFLICT, why),
            },
            Err(refusal) => refusal,
        },
    )
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use bytes::Bytes;
    use tokio::sync::mpsc;

    use super::routes;
    use crate::backup::give::{GivesBackups, Order, Refused};
    use crate::http::{Method, Request};

    /// Has group 1; group 2 has no quorum.
    struct Fake;

    impl GivesBackups for Fake {
        async fn give_backup(&self, order: Order) -> Result<mpsc::Receiver<Bytes>, Refused> {
            match order.group {
                1 => Ok(mpsc::channel(1).1),
                2 => Err(Refused::Not("no majority".to_owned())),
                group => Err(Refused::NoGroup(format!("no group {group}"))),
            }
        }
    }

    #[tokio::test]
    async fn a_group_is_given_or_it_is_said_why_not() {
        for (body, status) in [
            ("{\"group\":1,\"backup\":\"0f\"}", 200),
            ("{\"group\":2,\"backup\":\"0f\"}", 409),
            ("{\"group\":3,\"backup\":\"0f\"}", 404),
            ("{\"backup\":\"0f\"}", 400),
        ] {
            let request = Request::new(Method::Post, "/backup", body);
            let response = routes().answer(&Rc::new(Fake), request).await;
            assert_eq!(response.status.0, status, "{body}");
        }
    }
}
