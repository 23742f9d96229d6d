//! The API over HTTP: the only place where axum meets the shared types.

mod body;
mod endpoint;
mod error;
mod form;
mod forward;
mod gate;
mod openapi;
mod quote;
mod routes;
mod sse;

pub use error::internal;
pub(crate) use form::PushForm;
pub use gate::Gate;
pub use routes::router;
