//! What can be asked of a Loopsy node, and how to ask it.
//!
//! [`api`] holds the typed endpoints, [`api::REGISTRY`] lists them all, [`config`] is the one file a person edits, and the
//! `client` feature adds the typed HTTP client that every surface and every daemon uses.

pub mod api;
#[cfg(feature = "client")]
pub mod client;
pub mod config;
pub mod fingerprint;
#[cfg(feature = "client")]
#[doc(hidden)]
pub mod fuzzing;
pub mod id;
pub mod names;
pub mod paths;
pub mod secret;
pub mod text;
pub mod time;

/// The product's version, as `/health` and `--version` say it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
