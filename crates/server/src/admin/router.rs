//! Which path is answered by what.
//!
//! A route is a method, an exact path, a line about it, which stands in every
//! answer 404, and an async function of node and request.
//! Routers are made per topic and joined, so that a topic is one file.
//!
//! Invariants
//! - No two routes share method and path.
//! - A POST that a browser sent for a page is refused whatever it asks: a site
//!   that an operator visits must not reach through to loopback.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use crate::http::{Method, Request, Response, Status};

/// An answer on its way.
type Answering = Pin<Box<dyn Future<Output = Response>>>;

struct Route<N> {
    method: Method,
    path: &'static str,
    about: &'static str,
    handler: Box<dyn Fn(Rc<N>, Request) -> Answering>,
}

/// Routes on a node of type `N`.
pub(crate) struct Router<N> {
    routes: Vec<Route<N>>,
}

impl<N: 'static> Router<N> {
    pub(crate) const fn new() -> Self {
        Self { routes: Vec::new() }
    }

    /// Answers `GET path`, and `HEAD`.
    pub(crate) fn get<F: Future<Output = Response> + 'static>(
        self,
        path: &'static str,
        about: &'static str,
        handler: impl Fn(Rc<N>, Request) -> F + 'static,
    ) -> Self {
        self.route(Method::Get, path, about, handler)
    }

    /// Answers `POST path`: something changes.
    pub(crate) fn post<F: Future<Output = Response> + 'static>(
        self,
        path: &'static str,
        about: &'static str,
        handler: impl Fn(Rc<N>, Request) -> F + 'static,
    ) -> Self {
        self.route(Method::Post, path, about, handler)
    }

    /// Both routers' routes.
    pub(crate) fn and(self, other: Self) -> Self {
        other.routes.into_iter().fold(self, Self::with)
    }

    /// Answers one request. Takes as long as its route does.
    pub(crate) async fn answer(&self, node: &Rc<N>, request: Request) -> Response {
        let here = || self.routes.iter().filter(|route| route.path == request.path);
        match here().find(|route| route.method == request.method) {
            Some(_) if request.method == Method::Post && request.has_origin => Response::text(
                Status::FORBIDDEN,
                "a web page may not change anything here; use the command line",
            ),
            Some(route) => (route.handler)(Rc::clone(node), request).await,
            None => match here().map(|route| name(route.method)).collect::<Vec<_>>() {
                allowed if allowed.is_empty() => self.not_found(&request.path),
                allowed => {
                    let allowed = allowed.join(", ");
                    let text = format!("{} answers {allowed}", request.path);
                    Response::text(Status::METHOD_NOT_ALLOWED, text).with("Allow", allowed)
                }
            },
        }
    }

    fn route<F: Future<Output = Response> + 'static>(
        self,
        method: Method,
        path: &'static str,
        about: &'static str,
        handler: impl Fn(Rc<N>, Request) -> F + 'static,
    ) -> Self {
        let handler =
            Box::new(move |node, request| -> Answering { Box::pin(handler(node, request)) });
        self.with(Route { method, path, about, handler })
    }

    fn with(mut self, route: Route<N>) -> Self {
        let is_double =
            self.routes.iter().any(|it| (it.method, it.path) == (route.method, route.path));
        assert!(!is_double, "two routes answer {} {}", name(route.method), route.path);
        self.routes.push(route);
        self
    }

    fn not_found(&self, path: &str) -> Response {
        let mut text = format!("there is no {}; there are", path.escape_debug());
        for route in &self.routes {
            text.push_str(&format!(
                "\n{:<5}{:<12} {}",
                name(route.method),
                route.path,
                route.about
            ));
        }
        Response::text(Status::NOT_FOUND, text)
    }
}

fn name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Other => "?",
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::Router;
    use crate::http::{Method, Request, Response, Status};

    fn router() -> Router<u64> {
        Router::new()
            .get("/number", "the number", async |node: Rc<u64>, _| {
                Response::text(Status::OK, node.to_string())
            })
            .post("/number", "another number", async |_, _| Response::text(Status::OK, "set"))
            .and(Router::new().get("/", "all", async |_, _| Response::text(Status::OK, "all")))
    }

    async fn answer(method: Method, target: &str) -> (u16, String) {
        let response = router().answer(&Rc::new(7), Request::new(method, target, "")).await;
        (response.status.0, response.body_text())
    }

    #[tokio::test]
    async fn a_route_is_found_by_method_and_path_and_nothing_else() {
        assert_eq!(answer(Method::Get, "/number?x").await, (200, "7\n".to_owned()));
        assert_eq!(answer(Method::Post, "/number").await, (200, "set\n".to_owned()));
        assert_eq!(answer(Method::Other, "/number").await.0, 405);
        assert_eq!(answer(Method::Post, "/").await.0, 405);
        let (status, text) = answer(Method::Get, "/numbers").await;
        assert!(status == 404 && text.contains("the number"), "{text}");
    }

    #[tokio::test]
    async fn a_page_may_ask_and_not_change() {
        let sent = |method| Request::new(method, "/number", "").of_a_page();
        for (method, status) in [(Method::Get, Status::OK), (Method::Post, Status::FORBIDDEN)] {
            let response = router().answer(&Rc::new(7), sent(method)).await;
            assert_eq!(response.status, status);
        }
    }
}
