//! The door to peers: `/api/v1/at/{peer}/...` is the same path on that peer, bodies, streams and upgrades included.

use axum::{
    body::Body,
    extract::{Extension, RawPathParams, Request, State, rejection::RawPathParamsRejection},
    response::Response,
};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt, Collected, Limited};
use loopsy_shared::{
    api::{
        ApiError, Code, Endpoint, JOB_HEADER, Needs, ON_BEHALF_HEADER, REGISTRY,
        events::WatchEvents,
        execute::{Execute, ExecuteStream},
        wire,
    },
    client,
    id::JobId,
};

use super::{error, gate::Visitor, routes::events};
use crate::{
    app::App,
    peers::{PeerError, Reached},
    trust::Caller,
};

mod lifetime;

use lifetime::{UntilGone, ask_anew, end_with_key, join};

/// An answer of this many bytes is here before anybody could remove the peer.
const SMALL: u64 = 64 << 10;
/// Longest refusal that is read whole, in bytes.
const LONGEST_REFUSAL: usize = 64 << 10;

/// Headers that belong to one connection, or to the caller alone. Everything else travels.
const STAYS_HERE: [HeaderName; 13] = [
    HeaderName::from_static(ON_BEHALF_HEADER),
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

/// Passes a request on. Only the owner and the owner's agents may: a peer's key opens this node, not the nodes that it knows.
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
    let target = agents_may(&caller, request.method(), target(request.uri())?)?;
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
    if caller.for_agent {
        // The peer decides by this node's key, which may do more than an agent.
        headers.insert(ON_BEHALF_HEADER, HeaderValue::from_static("agent"));
    }
    // The length, where it is known, travels as a header.
    let body = if body.is_end_stream() { client::Body::default() } else { client::Body::wrap_stream(body.into_data_stream()) };
    // What runs there for a key of this machine must end with it: also where nothing streams back, and before anything is known of it but the id that it gets here.
    let runs = (parts.method == Method::POST && [Execute::SPEC.path, ExecuteStream::SPEC.path].contains(&target.as_str())).then(|| {
        let job = headers.get(JOB_HEADER).and_then(|id| id.to_str().ok()).filter(|id| JobId::is_well_formed(id)).map_or_else(JobId::new, JobId::from);
        headers.extend(HeaderValue::from_str(job.as_str()).map(|id| (HeaderName::from_static(JOB_HEADER), id)));
        end_with_key(app, &caller, &peer, job)
    });
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
            app.tracker.spawn(join(here, there, [caller.principal.revoked.clone(), peer.gone.clone(), app.stopping.clone()]));
        }
    }
    let status = answer.status();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return refused(&peer, status, headers, answer.into_body()).await;
    }
    let streams = answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let body = answer.into_body();
    // A stream has no end of its own, so it ends with this node, and with the peer's removal. Other answers are cut only by the latter.
    let gone = peer.gone.clone().cancelled_owned();
    let body = if let Some(over) = runs.filter(|_| streams) {
        let body = body.into_data_stream().take_until(app.stopping.clone().cancelled_owned()).take_until(gone);
        Body::from_stream(body.inspect(move |_| {
            let _held_until_the_end = &over;
        }))
    } else if streams {
        Body::from_stream(body.into_data_stream().take_until(app.stopping.clone().cancelled_owned()).take_until(gone))
    } else if body.size_hint().exact().is_some_and(|size| size <= SMALL) {
        Body::new(body)
    } else {
        Body::new(UntilGone::new(body, gone))
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// An agent may ask of a peer what it may ask here, and no more, although the key that this node has for the peer could.
fn agents_may(caller: &Caller, method: &Method, target: String) -> Result<String, ApiError> {
    if caller.principal.is_owner() && !caller.for_agent {
        return Ok(target);
    }
    let (path, query) = target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
    match REGISTRY.iter().find(|entry| entry.spec.matches(method.as_str(), path)) {
        Some(entry) if entry.spec.name == WatchEvents::SPEC.name && caller.may(entry.spec.needs) => {
            Ok(wire::split(&events::at_peer(caller, wire::join(&[], query, b"")?)?)?.target)
        }
        Some(entry) if caller.may(entry.spec.needs) => Ok(target),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use loopsy_shared::api::Scope;

    use super::*;
    use crate::trust::{Principal, Role};

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
    fn an_agent_watches_of_a_peer_what_it_may_watch_here() {
        let caller = |role, scopes: &[_]| Caller {
            principal: Arc::new(Principal { role, scopes: scopes.to_vec(), ..Principal::nobody() }),
            from_node_id: None,
            job_id: None,
            from: [127, 0, 0, 1].into(),
            for_agent: role == Role::Agent,
        };
        let agent = caller(Role::Agent, &Scope::PEER_DEFAULT);
        let asked = |caller: &Caller, query: &str| agents_may(caller, &Method::GET, format!("/api/v1/events{query}"));
        let all = "topics=peers%2Cjobs%2Ccontext%2Ctasks";
        for query in ["", "?", "?prefix="] {
            assert!(asked(&agent, query).is_ok_and(|target| target.contains(all)), "{query}: {:?}", asked(&agent, query));
        }
        let target = asked(&agent, "?since=1-2&topics=tasks,%20jobs").expect("allowed");
        assert!(target.contains("topics=tasks%2Cjobs") && target.contains("since=1-2"), "{target}");
        for refused in ["?topics=approvals", "?topics=peers,terminals", "?topics=p%65ers,terminal%73", "?topics=pairing", "?fleet=true"] {
            assert_eq!(asked(&agent, refused).expect_err(refused).code, Code::ScopeMissing);
        }
        assert_eq!(asked(&agent, "?topics=peers&topics=approvals").expect_err("twice").code, Code::InvalidRequest);
        assert_eq!(agents_may(&agent, &Method::GET, "/api/v1/%65vents".to_owned()).expect_err("another spelling").code, Code::ScopeMissing);
        assert_eq!(asked(&caller(Role::Owner, &[]), "?topics=approvals").as_deref(), Ok("/api/v1/events?topics=approvals"));
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
            (ON_BEHALF_HEADER, "agent"),
            ("sec-fetch-site", "none"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let left = travelling(&headers);
        assert_eq!(left.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-type", "range"]);
    }
}
