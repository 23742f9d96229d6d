//! The node itself: its API document, its config, its owner's key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Endpoint, Needs, Scope, Spec};
use crate::secret::Secret;

/// The OpenAPI document of this node, rendered from the same types that serve it.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct GetOpenApi {}
impl Endpoint for GetOpenApi {
    type Reply = OpenApi;
    const SPEC: Spec = Spec::get("openapi.get", "/api/v1/openapi.json", Needs::Scope(Scope::Status));
}

/// An OpenAPI 3.1 document.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct OpenApi(pub serde_json::Map<String, serde_json::Value>);

/// Reads the config file again. A file that is not valid changes nothing and is refused with its line.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Reload {}
impl Endpoint for Reload {
    type Reply = Reloaded;
    const SPEC: Spec = Spec::post("config.reload", "/api/v1/reload", Needs::Admin);
}

/// What a reload did.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reloaded {
    /// Always true; a failure is an error.
    pub success: bool,
    /// Keys whose new value needs a restart.
    pub needs_restart: Vec<String>,
}

/// Replaces the owner's key. The old one stops at once; peers keep their own keys.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RotateKey {}
impl Endpoint for RotateKey {
    type Reply = NewKey;
    const SPEC: Spec = Spec::post("key.rotate", "/api/v1/key", Needs::Admin);
}

/// A key that was just made. It is not shown again by the API.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NewKey {
    /// The key.
    pub key: Secret,
}
