//! Values under keys.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use loopsy_shared::api::{
    ApiError, Code, Done,
    context::{DeleteContext, GetContext, ImportContext, Imported, ListContext, SetContext},
};

use crate::{
    app::App,
    http::{
        body::JSON,
        endpoint::{Rendered, Routes},
    },
    trust::Caller,
};

/// How a writer without a name is recorded.
const LOCAL: &str = "local";

pub(super) fn mount(routes: Routes) -> Routes {
    routes.response(set).endpoint(get).response(delete).endpoint(list).endpoint(import)
}

async fn set(app: App, caller: Caller, mut request: SetContext, headers: HeaderMap) -> Result<Response, ApiError> {
    request.if_version = if_match(&headers)?.or(request.if_version);
    let entry = app.context.set(caller.from_node_id.as_deref().unwrap_or(LOCAL), request).await?;
    Ok(([(header::CONTENT_TYPE, JSON)], entry).into_response())
}

async fn get(app: App, _caller: Caller, request: GetContext) -> Result<Rendered, ApiError> {
    app.context.get(request.key.as_str()).map(Rendered).ok_or_else(|| not_found(request.key.as_str()))
}

async fn delete(app: App, _caller: Caller, request: DeleteContext, headers: HeaderMap) -> Result<Response, ApiError> {
    app.context.delete(&request.key, if_match(&headers)?.or(request.if_version)).await?;
    let done = Done { key: Some(request.key.into()), ..Done::OK };
    Ok(([(header::CONTENT_TYPE, JSON)], loopsy_shared::api::wire::to_json(&done)?).into_response())
}

async fn list(app: App, _caller: Caller, request: ListContext) -> Result<Rendered, ApiError> {
    Ok(Rendered(app.context.list(request.prefix.as_deref().unwrap_or_default())))
}

async fn import(app: App, caller: Caller, request: ImportContext) -> Result<Imported, ApiError> {
    Ok(app.context.import(caller.from_node_id.as_deref().unwrap_or(LOCAL), request.entries, request.replace).await?)
}

fn not_found(key: &str) -> ApiError {
    ApiError::new(Code::KeyNotFound, format!("There is no context entry `{}`.", loopsy_shared::text::inert(key)))
        .hint("`loopsy context list` shows what there is.")
}

/// `If-Match: 7` or `"7"`: the version that the entry must have.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let version = value.to_str().ok().and_then(|text| text.trim().trim_matches('"').parse().ok());
    version.map(Some).ok_or_else(|| ApiError::new(Code::InvalidRequest, "The header `If-Match` must hold one version, a whole number."))
}
