//! Mounts endpoints: method, path, gate, limits and body all come from the handler's argument type.

use std::future::Future;

use axum::{
    Router,
    body::Body,
    extract::{Extension, RawPathParams, Request, State, rejection::RawPathParamsRejection},
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use loopsy_shared::api::{ApiError, Category, Code, Endpoint, Method, Needs, Spec, wire};

use super::{
    body::{self, JSON},
    error,
    gate::Visitor,
};
use crate::{
    app::App,
    trust::{Caller, Role},
};

/// What somebody without a key may send: more than any message of a pairing.
const MOST_OF_A_STRANGER: usize = 16 << 10;

/// The JSON of a reply that was rendered before.
#[derive(Debug)]
pub(super) struct Rendered(pub Bytes);

/// What a handler may answer with: the reply, or its JSON.
pub(super) trait Answer<R> {
    /// The JSON.
    ///
    /// # Errors
    /// When it has none.
    fn render(self) -> Result<Bytes, ApiError>;
}

impl<R: serde::Serialize> Answer<R> for R {
    fn render(self) -> Result<Bytes, ApiError> {
        wire::to_json(&self).map(Bytes::from)
    }
}

impl<R> Answer<R> for Rendered {
    fn render(self) -> Result<Bytes, ApiError> {
        Ok(self.0)
    }
}

/// A router under construction, with the names of what it has.
#[derive(Debug, Default)]
pub(super) struct Routes {
    router: Router<App>,
    mounted: Vec<&'static str>,
}

impl Routes {
    /// Mounts an endpoint with a JSON reply.
    pub(super) fn endpoint<E, A, F, Fut>(self, handler: F) -> Self
    where
        E: Endpoint,
        A: Answer<E::Reply>,
        F: Fn(App, Caller, E) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<A, ApiError>> + Send,
    {
        self.raw::<E, _, _>(move |app, caller, request: E, _| {
            let handler = handler.clone();
            async move {
                let bytes = handler(app, caller, request).await?.render()?;
                let status = if E::SPEC.creates { StatusCode::CREATED } else { StatusCode::OK };
                Ok((status, [(header::CONTENT_TYPE, JSON)], Body::from(bytes)).into_response())
            }
        })
    }

    /// Mounts an endpoint whose handler makes the response itself: streams and files.
    pub(super) fn response<E, F, Fut>(self, handler: F) -> Self
    where
        E: Endpoint,
        F: Fn(App, Caller, E, HeaderMap) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, ApiError>> + Send,
    {
        self.raw::<E, _, _>(move |app, caller, request: E, rest: Request| handler(app, caller, request, rest.into_parts().0.headers))
    }

    /// Mounts an endpoint whose connection becomes something else: its handler gets the request without its body.
    pub(super) fn upgrade<E, F, Fut>(self, handler: F) -> Self
    where
        E: Endpoint,
        F: Fn(App, Caller, E, Request) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, ApiError>> + Send,
    {
        self.raw(handler)
    }

    /// Mounts an endpoint that reads the body itself: uploads. A multipart endpoint's own fields are in that body, so only the path's are given.
    pub(super) fn upload<E, A, F, Fut>(self, handler: F) -> Self
    where
        E: Endpoint,
        A: Answer<E::Reply>,
        F: Fn(App, Caller, Option<E>, Request) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<A, ApiError>> + Send,
    {
        self.mount(E::SPEC, move |app, caller, path, request| {
            let handler = handler.clone();
            async move {
                let fields = if E::SPEC.path.contains('{') { Some(wire::join::<E>(&pairs(&path), None, b"")?) } else { None };
                let bytes = handler(app, caller, fields, request).await?.render()?;
                Ok(([(header::CONTENT_TYPE, JSON)], Body::from(bytes)).into_response())
            }
        })
    }

    /// The finished router and the names of its endpoints.
    pub(super) fn finish(self) -> (Router<App>, Vec<&'static str>) {
        (self.router, self.mounted)
    }

    fn raw<E, F, Fut>(self, handler: F) -> Self
    where
        E: Endpoint,
        F: Fn(App, Caller, E, Request) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, ApiError>> + Send,
    {
        self.mount(E::SPEC, move |app, caller, path, request| {
            let handler = handler.clone();
            async move {
                let (parts, body) = request.into_parts();
                let bytes = if E::SPEC.method.has_body() { body::json(&parts.headers, body, most(&E::SPEC)).await? } else { Bytes::new() };
                let typed = wire::join::<E>(&pairs(&path), parts.uri.query(), &bytes)?;
                handler(app, caller, typed, Request::from_parts(parts, Body::empty())).await
            }
        })
    }

    fn mount<F, Fut>(mut self, spec: Spec, handler: F) -> Self
    where
        F: Fn(App, Caller, RawPathParams, Request) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, ApiError>> + Send,
    {
        let serve =
            move |State(app): State<App>, Extension(visitor): Extension<Visitor>, path: Result<RawPathParams, RawPathParamsRejection>, request: Request| {
                let handler = handler.clone();
                async move {
                    let outcome = match (admit(&app, &visitor, &spec), path) {
                        (Ok(caller), Ok(path)) => handler(app, caller, path, request).await,
                        (Ok(_), Err(_)) => Err(not_utf8()),
                        (Err(refusal), _) => Err(refusal),
                    };
                    outcome.unwrap_or_else(|e| error::response(&e))
                }
            };
        let filter = match spec.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Put => MethodFilter::PUT,
            Method::Delete => MethodFilter::DELETE,
        };
        self.router = self.router.route(spec.path, on(filter, serve));
        self.mounted.push(spec.name);
        self
    }
}

/// Imports carry a whole store; everything else is small.
fn most(spec: &Spec) -> usize {
    match spec.needs {
        Needs::Admin if spec.name == "context.import" => 512 << 20,
        Needs::Nothing => MOST_OF_A_STRANGER,
        _ => body::MOST_JSON,
    }
}

/// The path decodes to bytes that are no text.
pub(super) fn not_utf8() -> ApiError {
    ApiError::new(Code::InvalidRequest, "The path is not UTF-8 once it is decoded.").hint("Percent-encode the UTF-8 bytes of a name: `ä` is `%C3%A4`.")
}

fn pairs(path: &RawPathParams) -> Vec<(&str, &str)> {
    path.iter().collect()
}

/// Asks for key, scope and rate: in this order, before anything of the body is read.
fn admit(app: &App, visitor: &Visitor, spec: &Spec) -> Result<Caller, ApiError> {
    let caller = match (&visitor.caller, spec.needs) {
        (Ok(caller), _) => caller.clone(),
        (Err(_), Needs::Nothing) => app.stranger(visitor.from),
        (Err(refusal), _) => return Err(refusal.clone()),
    };
    if !caller.may(spec.needs) {
        if caller.principal.may(spec.needs) {
            return Err(ApiError::new(Code::ScopeMissing, "This was asked for a coding agent, and agents may not do it, whatever the key may."));
        }
        let missing = match spec.needs {
            Needs::Scope(scope) => format!("the scope `{}`", scope.as_str()),
            Needs::Peer => "the key of another machine".to_owned(),
            Needs::Task => "the token of the task".to_owned(),
            Needs::Local | Needs::Admin | Needs::Nothing => "the owner's key".to_owned(),
        };
        let refusal = ApiError::new(Code::ScopeMissing, format!("The key of `{}` may not do this: it needs {missing}.", caller.principal.name));
        return Err(match spec.needs {
            Needs::Scope(scope) if caller.principal.role == Role::Peer => {
                refusal.hint(format!("The owner of `{}` can give it: loopsy peers allow {} {}", app.config().hostname(), caller.principal.name, scope.as_str()))
            }
            _ => refusal,
        });
    }
    let Some(category) = spec.limit.filter(|_| !(caller.principal.may(Needs::Local) && caller.from.is_loopback())) else { return Ok(caller) };
    let (principal, limits) = (&caller.principal.name, &app.config().rate_limits);
    let counted = match (category, &visitor.transfer) {
        (Category::Transfer, Some(transfer)) => app.limits.count_transfer(principal, transfer, limits),
        _ => app.limits.count(principal, category, limits),
    };
    if let Err(seconds) = counted {
        let mut error = ApiError::new(Code::RateLimited, format!("`{}` asks too often. The next request passes in {seconds} s.", caller.principal.name))
            .hint("The limits are `rateLimits` in that node's config.yaml.");
        error.retry_after = Some(seconds);
        return Err(error);
    }
    Ok(caller)
}
