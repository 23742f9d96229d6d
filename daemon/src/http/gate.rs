//! What every request passes before it reaches a route: host, origin, key. And what every answer passes: the audit log.

use std::{
    convert::Infallible,
    future::Future,
    net::IpAddr,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use axum::{Router, body::Body, extract::Extension, response::Response};
use futures_util::FutureExt;
use http::{HeaderMap, Method, Request, Uri, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use loopsy_shared::{
    api::{
        ApiError, Code, Endpoint, JOB_HEADER, ON_BEHALF_HEADER, TRANSFER_HEADER,
        events::WatchEvents,
        node::{Reload, RotateKey},
        peers::LeavePeer,
    },
    config::{self, Config},
    id::JobId,
    text, time,
};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tower::Service;

use super::error;
use crate::{
    app::App,
    audit,
    listen::{Link, Protection},
    trust::{Caller, Principal, Role},
};

/// What the audit log keeps of a path, in bytes.
const LONGEST_PATH: usize = 2048;
/// What the audit log says of a request whose caller hung up before there was an answer.
const HUNG_UP: u16 = 499;

/// Who stands at the door: a caller, or why there is none.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    /// The caller, or the refusal that a route with a gate answers.
    pub caller: Result<Caller, ApiError>,
    /// Where the connection came from.
    pub from: IpAddr,
    /// The transfer that the request says it is part of.
    pub transfer: Option<String>,
}

/// The door of one connection.
#[derive(Debug, Clone)]
pub struct Gate {
    app: App,
    router: Router,
    link: Arc<Link>,
}

impl Gate {
    /// A door for a connection.
    pub fn new(app: App, router: Router, link: Arc<Link>) -> Self {
        Self { app, router, link }
    }

    async fn serve(mut self, mut request: Request<Body>) -> Response {
        let begun = Instant::now();
        let timestamp = time::now();
        let (method, target) = (request.method().clone(), request.uri().clone());
        let transfer = request.headers().get(TRANSFER_HEADER).and_then(|id| id.to_str().ok()).filter(|id| id.len() <= 64).map(str::to_owned);
        let visitor = Visitor { caller: identify(&self.app, request.headers(), &self.link), from: self.link.from, transfer };
        let principal = visitor.caller.as_ref().ok().map(|caller| caller.principal.clone());
        if principal.as_ref().is_some_and(|principal| principal.is_owner()) && shows_a_person(&method, target.path(), request.headers()) {
            self.app.notifier.surface_used();
        }
        let mut record = Record {
            app: &self.app.clone(),
            begun,
            line: Some(audit::Line {
                request_id: request_id(&self.app),
                method: method.as_str().to_owned(),
                path: without_secrets(&target),
                from_ip: self.link.from.to_string(),
                status_code: HUNG_UP,
                duration: 0.0,
                timestamp,
                principal: principal.as_ref().map(|principal| principal.name.clone()),
                key_id: principal.as_ref().map(|principal| principal.key_id.clone()),
            }),
        };
        // Who has a key that is revoked in the middle of a request is cut off there, but for the request that changes its own key.
        let changes_key = method == Method::POST && [RotateKey::SPEC.path, Reload::SPEC.path, LeavePeer::SPEC.path].contains(&target.path());
        let revoked = principal.as_ref().filter(|_| !changes_key).map(|principal| principal.revoked.clone());
        let revoked = async {
            match revoked {
                Some(revoked) => revoked.cancelled_owned().await,
                None => std::future::pending().await,
            }
        };
        let response = match check_origin(&request, &self.app.config()) {
            Err(refusal) => error::response(&refusal),
            Ok(()) => {
                request.extensions_mut().insert(visitor);
                tokio::select! {
                    served = AssertUnwindSafe(self.router.call(request)).catch_unwind() => {
                        let response = served.unwrap_or_else(|_| Ok(error::response(&error::internal(&"a request panicked"))));
                        response.unwrap_or_else(|never: Infallible| match never {})
                    }
                    () = revoked => error::response(&ApiError::new(Code::InvalidKey, "The key was revoked in the middle of the request.")),
                }
            }
        };
        if let Some(line) = record.finish(response.status().as_u16()) {
            self.app.audit.record(line).await;
        }
        match principal {
            // A stream ends with the key that it was asked for with.
            Some(principal) if response.body().size_hint().exact().is_none() => {
                let revoked = Box::pin(principal.revoked.clone().cancelled_owned());
                response.map(|inner| Body::new(UntilRevoked { inner, revoked }))
            }
            _ => response,
        }
    }
}

/// A line of the audit log that is written even when the caller hangs up and the request is dropped.
struct Record<'a> {
    app: &'a App,
    begun: Instant,
    line: Option<audit::Line>,
}

impl Record<'_> {
    fn finish(&mut self, status_code: u16) -> Option<audit::Line> {
        let duration = self.begun.elapsed().as_secs_f64() * 1000.0;
        self.line.take().map(|line| audit::Line { status_code, duration, ..line })
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.finish(HUNG_UP) {
            self.app.audit.record_now(line);
        }
    }
}

impl hyper::service::Service<Request<Incoming>> for Gate {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let serving = self.clone().serve(request.map(Body::new));
        Box::pin(async move { Ok(serving.await) })
    }
}

/// The key of a request. `Bearer` may be left out.
fn identify(app: &App, headers: &HeaderMap, link: &Link) -> Result<Caller, ApiError> {
    let from = link.from;
    let missing =
        || ApiError::new(Code::MissingKey, "This needs a key.").hint("Send it as `Authorization: Bearer <key>`. `loopsy key show` prints the owner's.");
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?.as_bytes().trim_ascii();
    let key = match value.get(..6) {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"bearer") && value.get(6).is_none_or(u8::is_ascii_whitespace) => {
            value.get(6..).unwrap_or_default().trim_ascii()
        }
        _ => value,
    };
    if key.is_empty() {
        return Err(missing());
    }
    let Some(principal) = app.trust.identify(key) else {
        if let Err(seconds) = app.limits.count_wrong_key(from) {
            let mut refusal = ApiError::new(Code::RateLimited, format!("Too many wrong keys came from {from}. The next one is heard in {seconds} s."));
            refusal.retry_after = Some(seconds);
            return Err(refusal);
        }
        return Err(ApiError::new(Code::InvalidKey, "The key is not known here, or no longer.")
            .hint("On the machine itself `loopsy key show` prints the owner's key; `loopsy pair` exchanges keys with a peer."));
    };
    protected(app, &principal, link)?;
    link.belongs_to(&principal);
    if principal.role == Role::Peer {
        app.pairing.key_used(&principal.name);
    }
    let from_node_id = headers.get("x-loopsy-node-id").and_then(|value| value.to_str().ok()).map(|id| id.chars().take(128).collect());
    let job_id = headers.get(JOB_HEADER).and_then(|id| id.to_str().ok()).filter(|id| JobId::is_well_formed(id)).map(JobId::from);
    // Whoever says so has less than the key has, never more.
    let for_agent = principal.role == Role::Agent || headers.contains_key(ON_BEHALF_HEADER);
    Ok(Caller { principal, from_node_id, job_id, from, for_agent })
}

/// Whether a key may travel as this one did. A paired peer's key counts only together with its certificate, so that a stolen key opens nothing; the owner's key
/// never crosses a network in clear, and with `tls.enabled` no key does.
fn protected(app: &App, principal: &Principal, link: &Link) -> Result<(), ApiError> {
    let refuse = |what: String, hint: &str| Err(ApiError::new(Code::NotEncrypted, what).hint(hint));
    if principal.role == Role::Task && !link.from.is_loopback() {
        return refuse("The token of a task is only taken from this machine.".to_owned(), "Nothing but the task's own process may use it.");
    }
    match (principal.pin, link.protection) {
        (Some(pin), Protection::Tls(Some(shown))) if pin == shown => Ok(()),
        (Some(_), Protection::Tls(_)) => refuse(
            format!("The key of `{}` is only taken from the machine that was paired, and this one shows another certificate.", principal.name),
            "If that machine was set up anew, remove it with `loopsy peers remove` on both sides and pair again with `loopsy pair`.",
        ),
        (Some(_), Protection::None) => {
            refuse(format!("The key of `{}` is only taken over TLS, from the machine that was paired.", principal.name), "The port speaks TLS too: use https.")
        }
        (None, Protection::Tls(_)) => Ok(()),
        (None, Protection::None) if link.from.is_loopback() => Ok(()),
        (None, Protection::None) if principal.role != Role::Peer => {
            refuse("The owner's key must not cross a network in clear.".to_owned(), "The port speaks TLS too: use https, or work on the machine itself (ssh).")
        }
        (None, Protection::None) if app.config().tls.enabled => {
            refuse("This node takes keys over TLS only (`tls.enabled`).".to_owned(), "The port speaks TLS too: use https, or pair with `loopsy pair`.")
        }
        (None, Protection::None) => Ok(()),
    }
}

/// Refuses what a web page can send: a foreign `Origin`, a cross-site fetch, a host name that is not this node's (DNS rebinding).
fn check_origin<B>(request: &Request<B>, config: &Config) -> Result<(), ApiError> {
    let refuse = |what: String| {
        Err(ApiError::new(Code::ForeignOrigin, what).hint("Web pages may not talk to a node. For another host name, add it to `server.allowedHosts`."))
    };
    let headers = request.headers();
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or_else(|| request.uri().authority().map(|a| a.as_str())) else {
        return refuse("The request does not say which host it is for.".to_owned());
    };
    if !is_own_host(host, config) {
        return refuse(format!("This node is not `{}`.", text::inert(host)));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let same = origin.to_str().ok().and_then(|origin| origin.split_once("://")).is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
        if !same {
            return refuse("The request came from a web page of another origin.".to_owned());
        }
    }
    match headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => refuse("The request came from a web page of another site.".to_owned()),
    }
}

fn is_own_host(host: &str, config: &Config) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    if name.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let own = |known: &str| {
        let known = known.to_ascii_lowercase();
        name == known || name.strip_suffix(".local").is_some_and(|bare| bare == known.strip_suffix(".local").unwrap_or(&known))
    };
    name == "localhost"
        || name.ends_with(".localhost")
        || own(&config.hostname())
        || own(&config::machine_name())
        || config.server.allowed_hosts.iter().any(|host| own(host))
}

/// What answers when no route does: the refusal of the key first, so that a stranger learns nothing.
pub(super) async fn no_route(Extension(visitor): Extension<Visitor>, method: Method, uri: Uri) -> Response {
    error::response(&visitor.caller.err().unwrap_or_else(|| {
        let path = text::inert(uri.path()).into_owned();
        if path.ends_with("/context/") {
            return ApiError::new(Code::InvalidRequest, format!("The path {path} ends in an empty name.")).hint("A context key has 1 to 256 characters.");
        }
        ApiError::new(Code::RouteNotFound, format!("There is no route {method} {path}.")).hint("GET /api/v1/openapi.json lists all routes.")
    }))
}

/// What answers when a route exists, but not for this method.
pub(super) async fn no_method(Extension(visitor): Extension<Visitor>, method: Method, uri: Uri) -> Response {
    error::response(&visitor.caller.err().unwrap_or_else(|| {
        ApiError::new(Code::MethodNotAllowed, format!("{} does not take {method}.", text::inert(uri.path())))
            .hint("GET /api/v1/openapi.json lists all routes and methods.")
    }))
}

fn request_id(app: &App) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    format!("{:x}-{}", app.started_at, COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Whether a request with the owner's key is a sign that somebody is there: what changes something, and what begins to watch (a stream, a terminal). Other
/// questions are no sign, because surfaces ask them by themselves again and again. What is typed into a terminal never passes here: who carries it says so itself.
fn shows_a_person(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    let watches = || path.ends_with("/stream") || path.ends_with(WatchEvents::SPEC.path) || headers.contains_key(header::UPGRADE);
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || watches()
}

/// Path and query, without the values of parameters that could be secret.
fn without_secrets(uri: &Uri) -> String {
    let mut path = without_secret_values(uri);
    if path.len() > LONGEST_PATH {
        path.truncate((0..=LONGEST_PATH).rev().find(|at| path.is_char_boundary(*at)).unwrap_or(0));
        path.push('…');
    }
    path
}

fn without_secret_values(uri: &Uri) -> String {
    const SECRET: [&str; 6] = ["key", "token", "secret", "code", "password", "auth"];
    let Some(query) = uri.query() else { return uri.path().to_owned() };
    let kept = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if SECRET.iter().any(|secret| name.to_ascii_lowercase().contains(secret)) => format!("{name}=…"),
        _ => pair.to_owned(),
    });
    format!("{}?{}", uri.path(), kept.collect::<Vec<_>>().join("&"))
}

/// A body that breaks off when the key behind it is revoked.
struct UntilRevoked {
    inner: Body,
    revoked: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl http_body::Body for UntilRevoked {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.revoked.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other("the key was revoked")))));
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_nodes_names_are_hosts() {
        let mut config = Config::default();
        config.server.hostname = Some("Leo".to_owned());
        config.server.allowed_hosts = vec!["leo.example.org".to_owned()];
        for own in [
            "127.0.0.1:19532",
            "[::1]:19532",
            "[fe80::1]",
            "localhost",
            "a.localhost:1",
            "leo",
            "LEO.local:1",
            "leo.local.",
            "leo.example.org:19532",
            "192.168.1.5",
        ] {
            assert!(is_own_host(own, &config), "{own}");
        }
        for foreign in ["evil.example", "leo.evil.example", "localhost.evil.example:19532", "", "127.0.0.1.nip.io", "local"] {
            assert!(!is_own_host(foreign, &config), "{foreign}");
        }
    }

    #[test]
    fn who_changes_something_or_begins_to_watch_is_there() {
        let (none, mut upgrade) = (HeaderMap::new(), HeaderMap::new());
        upgrade.insert(header::UPGRADE, http::HeaderValue::from_static("websocket"));
        for (method, path, headers, is) in [
            (Method::POST, "/api/v1/approvals/1", &none, true),
            (Method::DELETE, "/api/v1/at/kai/ai-tasks/1", &none, true),
            (Method::GET, "/api/v1/events", &none, true),
            (Method::GET, "/api/v1/at/kai/ai-tasks/1/stream", &none, true),
            (Method::GET, "/api/v1/terminals/1/attach", &upgrade, true),
            (Method::GET, "/api/v1/status", &none, false),
            (Method::GET, "/api/v1/ai-tasks/1/events", &none, false),
            (Method::HEAD, "/api/v1/health", &none, false),
        ] {
            assert_eq!(shows_a_person(&method, path, headers), is, "{method} {path}");
        }
    }

    #[test]
    fn the_audit_log_holds_no_secret_of_a_query() {
        let uri: Uri = "/api/v1/x?apiKey=abc&since=5&access_token=t".parse().expect("valid");
        assert_eq!(without_secrets(&uri), "/api/v1/x?apiKey=…&since=5&access_token=…");
    }
}
