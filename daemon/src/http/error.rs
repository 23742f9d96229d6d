//! Every failure of a service, as a status, a code and a hint. Services know nothing of HTTP; this file alone does the mapping.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use loopsy_shared::api::{ApiError, Code};

use crate::{context::ContextError, files::FileError, peers::PeerError, settings::SettingsError, store::StoreError, transfers::TransferError};

/// Makes an error response.
pub fn response(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(&error.to_body()).unwrap_or_default();
    let mut response = (status, [(header::CONTENT_TYPE, super::body::JSON)], Body::from(body)).into_response();
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A failure that no caller caused. The cause goes to the log, not to the caller.
pub fn internal(cause: &dyn std::fmt::Display) -> ApiError {
    tracing::error!(%cause, "internal error");
    ApiError::new(Code::Internal, "The node failed to do this.").hint("The node's log (`logs/daemon.log` in its data directory) says why.")
}

impl From<SettingsError> for ApiError {
    fn from(error: SettingsError) -> Self {
        let hint = match &error {
            SettingsError::Invalid { error, .. } => error.hint.clone(),
            SettingsError::Io { .. } => None,
        };
        let refusal = Self::new(Code::ConfigInvalid, error.to_string());
        Self { hint: hint.or(refusal.hint), ..Self::new(refusal.code, refusal.message) }
    }
}

impl From<PeerError> for ApiError {
    fn from(error: PeerError) -> Self {
        let text = error.to_string();
        match error {
            PeerError::NotFound { .. } => Self::new(Code::PeerNotFound, text).hint("`loopsy peers` lists the peers."),
            PeerError::Ambiguous { .. } => Self::new(Code::PeerAmbiguous, text).hint("Use the node id."),
            PeerError::NoKey(name) => Self::new(Code::PeerNoKey, text).hint(format!("Exchange keys with it: loopsy connect {name}")),
            PeerError::Unreachable { .. } => Self::new(Code::PeerUnreachable, text)
                .hint("Is the machine on, and does `loopsy status` there say that its daemon runs? `loopsy peers` shows what was seen last."),
            PeerError::Changed { .. } => Self::new(Code::PeerChanged, text)
                .hint("No key was sent. If the peer moved or was set up anew, remove it and connect again: loopsy peers remove, loopsy connect."),
            PeerError::Refused { error, .. } => Self { code: error.code, message: text, hint: error.hint, retry_after: error.retry_after },
            PeerError::NameTaken(_) => Self::new(Code::PeerNameTaken, text).hint("Give one of the two another server.hostname, or remove the old peer first."),
            PeerError::Invalid(_) => Self::new(Code::InvalidRequest, text),
            PeerError::Save(_) => internal(&text),
        }
    }
}
impl From<crate::context::ContextError> for ApiError {
    fn from(e: crate::context::ContextError) -> Self {
        internal(&e)
    }
}
impl From<crate::files::FileError> for ApiError {
    fn from(e: crate::files::FileError) -> Self {
        internal(&e)
    }
}
impl From<crate::jobs::JobError> for ApiError {
    fn from(e: crate::jobs::JobError) -> Self {
        internal(&e)
    }
}
impl From<crate::transfers::TransferError> for ApiError {
    fn from(e: crate::transfers::TransferError) -> Self {
        internal(&e)
    }
}
