//! The door to peers: `/api/v1/at/{peer}/...` is the same path on that peer, bodies, streams and upgrades included.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Extension, RawPathParams, Request, State, rejection::RawPathParamsRejection},
    response::Response,
};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Collected, Limited};
use hyper_util::rt::TokioIo;
use loopsy_shared::{
    api::{ApiError, Code, JOB_HEADER, Needs, REGISTRY, execute::CancelJob, wire},
    client::{self, ClientError},
    id::JobId,
};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::{error, gate::Visitor};
use crate::{
    app::App,
    peers::{PeerError, Reached},
    trust::{Caller, Principal},
};

/// A question that had no answer for this long may have been lost on its way.
const SLOW: Duration = Duration::from_secs(5);
/// An answer of this many bytes is here before anybody could remove the peer.
const SMALL: u64 = 64 << 10;
/// Longest refusal that is read whole, in bytes.
const LONGEST_REFUSAL: usize = 64 << 10;

/// Headers that belong to one connection, or to the caller alone. Everything else travels.
const STAYS_HERE: [HeaderName; 12] = [
    header::CONNECTION,
    header::HOST,
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    header::COOKIE,
    header::ORIGIN,
    header::REFERER,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Passes a request on. Only the owner may: a peer's key opens this node, not the nodes that it knows.
pub(super) async fn forward(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    match pass(&app, &visitor, path.as_ref().ok(), request).await {
        Ok(response) => response,
        Err(refusal) => error::response(&refusal),
    }
}

async fn pass(app: &App, visitor: &Visitor, path: Option<&RawPathParams>, mut request: Request) -> Result<Response, ApiError> {
    let caller = visitor.caller.clone()?;
    if !caller.principal.may(Needs::Local) {
        return Err(ApiError::new(Code::ScopeMissing, "Only the owner may reach other nodes through this one."));
    }
    let target = target(request.uri())?;
    agents_may(&caller.principal, request.method(), &target)?;
    let name = path.ok_or_else(super::endpoint::not_utf8)?.iter().find_map(|(field, value)| (field == "peer").then_some(value)).unwrap_or_default();
    let mut peer = app.peers.reach(name).await?;

    let wants_upgrade = request.headers().contains_key(header::UPGRADE);
    let upgrade = wants_upgrade.then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let mut headers = travelling(&parts.headers);
    if let (true, Some(protocol)) = (wants_upgrade, parts.headers.get(header::UPGRADE)) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol.clone());
    }
    if let Ok(own) = HeaderValue::from_str(app.node_id.as_str()) {
        headers.entry("x-loopsy-node-id").or_insert(own);
    }
    // The length, where it is known, travels as a header.
    let body = if body.is_end_stream() { client::Body::default() } else { client::Body::wrap_stream(body.into_data_stream()) };
    let again = (matches!(parts.method, Method::GET | Method::HEAD) && !wants_upgrade).then(|| (parts.method.clone(), headers.clone()));
    let answer = tokio::select! {
        answer = peer.client.forward(parts.method, &target, headers, body) => answer,
        (anew, answer) = ask_anew(app, &peer, &target, again) => {
            peer = anew;
            answer
        }
        () = peer.gone.cancelled() => return Err(PeerError::Removed(peer.info.hostname.clone()).into()),
    };
    let mut answer = answer.map_err(|e| app.peers.lost(&peer, &e))?;

    let mut headers = travelling(answer.headers());
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.extend(answer.headers().get(header::UPGRADE).map(|protocol| (header::UPGRADE, protocol.clone())));
        if let Some(here) = upgrade {
            let there = hyper::upgrade::on(&mut answer);
            app.tasks.spawn(join(here, there, [caller.principal.revoked.clone(), peer.gone.clone(), app.stopping.clone()]));
        }
    }
    let status = answer.status();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return refused(&peer, status, headers, answer.into_body()).await;
    }
    let job = answer.headers().get(JOB_HEADER).and_then(|id| id.to_str().ok()).map(JobId::from);
    let streams = answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let body = answer.into_body();
    // A stream has no end of its own, so it ends with this node, and with the peer's removal. Other answers are cut only by the latter.
    let gone = peer.gone.clone().cancelled_owned();
    let body = if let Some(job) = job.filter(|_| streams) {
        let over = end_with_key(app, &caller, &peer, job);
        let body = body.into_data_stream().take_until(app.stopping.clone().cancelled_owned()).take_until(gone);
        Body::from_stream(body.inspect(move |_| {
            let _held_until_the_end = &over;
        }))
    } else if streams {
        Body::from_stream(body.into_data_stream().take_until(app.stopping.clone().cancelled_owned()).take_until(gone))
    } else if body.size_hint().exact().is_some_and(|size| size <= SMALL) {
        Body::new(body)
    } else {
        Body::new(UntilGone { inner: body, gone: Box::pin(gone) })
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// A job at a peer ends with the key that it was started with here: the peer knows only this node's key, and would wait for its owner to come back. The guard is held
/// by the stream; when the stream ends by itself there is nothing to do.
fn end_with_key(app: &App, caller: &Caller, peer: &Reached, job_id: JobId) -> DropGuard {
    let (over, revoked, client) = (CancellationToken::new(), caller.principal.revoked.clone(), peer.client.clone());
    let guard = over.clone().drop_guard();
    app.tasks.spawn(async move {
        tokio::select! {
            biased;
            () = revoked.cancelled() => {
                if let Err(error) = client.ask(CancelJob { job_id }).await {
                    tracing::info!(%error, "a job of a revoked key could not be ended at the peer");
                }
            }
            () = over.cancelled() => {}
        }
    });
    guard
}

/// A connection may lead nowhere since this machine or that one has moved, and nobody says so. What can be asked twice is asked once more after some time, over a new
/// connection; whichever answers first counts. Never ends when there is nothing to ask, or nobody to be reached.
async fn ask_anew(app: &App, peer: &Reached, target: &str, again: Option<(Method, HeaderMap)>) -> (Reached, Result<http::Response<client::Body>, ClientError>) {
    if let Some((method, headers)) = again {
        tokio::time::sleep(SLOW).await;
        if let Ok(peer) = app.peers.reach_anew(peer).await {
            let answer = peer.client.forward(method, target, headers, client::Body::default()).await;
            return (peer, answer);
        }
    }
    std::future::pending().await
}

/// An agent may ask of a peer what it may ask here, and no more, although the key that this node has for the peer could.
fn agents_may(principal: &Principal, method: &Method, target: &str) -> Result<(), ApiError> {
    if principal.is_owner() {
        return Ok(());
    }
    let path = target.split('?').next().unwrap_or(target);
    match REGISTRY.iter().find(|entry| entry.spec.matches(method.as_str(), path)) {
        Some(entry) if principal.may(entry.spec.needs) => Ok(()),
        _ => Err(ApiError::new(Code::ScopeMissing, "The agents' key may not do this, on a peer no more than here.")),
    }
}

/// A peer that does not know this node's key is another matter than a caller without one: the answer says whose key it is.
async fn refused(peer: &Reached, status: StatusCode, headers: HeaderMap, body: client::Body) -> Result<Response, ApiError> {
    let body = Limited::new(body, LONGEST_REFUSAL).collect().await.map(Collected::to_bytes).unwrap_or_default();
    if matches!(ApiError::from_body(status.as_u16(), &body).code, Code::InvalidKey | Code::MissingKey) {
        return Err(PeerError::KeyRefused(peer.info.hostname.clone()).into());
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// `/api/v1/at/kai/context/a%2Fb?x=1` becomes `/api/v1/context/a%2Fb?x=1`, byte for byte.
fn target(uri: &http::Uri) -> Result<String, ApiError> {
    let rest = uri.path().strip_prefix("/api/v1/at/").and_then(|path| path.split_once('/'));
    let (_, rest) = rest.ok_or_else(|| ApiError::new(Code::RouteNotFound, "The path names a peer, but nothing on it."))?;
    // The way out resolves these, which would make another path of it.
    if rest.split('/').any(|segment| wire::is_direction(&segment.to_ascii_lowercase().replace("%2e", "."))) {
        return Err(ApiError::new(
            Code::InvalidRequest,
            "A path to a peer cannot have `.` or `..` in it: URLs take them for directions, however they are written.",
        )
        .hint("Choose another name."));
    }
    Ok(match uri.query() {
        Some(query) => format!("/api/v1/{rest}?{query}"),
        None => format!("/api/v1/{rest}"),
    })
}

fn travelling(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<&str> =
        headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim).collect();
    let stays =
        |name: &HeaderName| STAYS_HERE.contains(name) || name.as_str().starts_with("sec-fetch-") || named.iter().any(|n| n.eq_ignore_ascii_case(name.as_str()));
    headers.iter().filter(|(name, _)| !stays(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Carries bytes both ways until one side ends, the caller's key is revoked, the peer is removed or the node stops.
async fn join(here: hyper::upgrade::OnUpgrade, there: hyper::upgrade::OnUpgrade, [revoked, gone, stopping]: [CancellationToken; 3]) {
    let (Ok(here), Ok(there)) = (here.await, there.await) else {
        tracing::debug!("an upgrade was announced and did not happen");
        return;
    };
    let (mut here, mut there) = (TokioIo::new(here), TokioIo::new(there));
    tokio::select! {
        outcome = tokio::io::copy_bidirectional(&mut here, &mut there) => {
            if let Err(error) = outcome {
                tracing::debug!(%error, "a forwarded connection broke");
            }
        }
        () = revoked.cancelled() => {}
        () = gone.cancelled() => {}
        () = stopping.cancelled() => {}
    }
}

/// An answer that breaks off when the peer is removed.
struct UntilGone {
    inner: client::Body,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl http_body::Body for UntilGone {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.gone.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other("the peer was removed")))));
        }
        Pin::new(&mut self.inner).poll_frame(cx).map_err(axum::Error::new)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_path_travels_byte_for_byte() {
        let uri = "/api/v1/at/k%2Fai/context/a%2Fb%20c?prefix=%2F&x".parse().expect("valid");
        assert_eq!(target(&uri).as_deref(), Ok("/api/v1/context/a%2Fb%20c?prefix=%2F&x"));
        assert_eq!(target(&"/api/v1/at/kai".parse().expect("valid")).expect_err("nothing").code, Code::RouteNotFound);
        for other_path in ["/api/v1/at/kai/context/..", "/api/v1/at/kai/context/%2E%2e/execute", "/api/v1/at/kai/./x", "/api/v1/at/kai/context/.%2e"] {
            assert_eq!(target(&other_path.parse().expect("valid")).expect_err(other_path).code, Code::InvalidRequest);
        }
        assert!(target(&"/api/v1/at/kai/context/...".parse().expect("valid")).is_ok());
    }

    #[test]
    fn credentials_and_connection_headers_stay() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("cookie", "a"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("content-type", "a/b"),
            ("range", "0"),
            ("sec-fetch-site", "none"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let left = travelling(&headers);
        assert_eq!(left.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-type", "range"]);
    }
}
