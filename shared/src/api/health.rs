//! Is it there, who is it, how is it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Endpoint, Needs, Scope, Spec};
use crate::{id::NodeId, time::Millis};

/// What a node can do, as it tells others.
pub const CAPABILITIES: [&str; 5] = ["execute", "transfer", "context", "ai-tasks", "terminal"];

/// Says that the node is up. The only endpoint without a key.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct GetHealth {}
impl Endpoint for GetHealth {
    type Reply = Health;
    const SPEC: Spec = Spec::get("health.get", "/api/v1/health", Needs::Nothing);
}

/// A node that is up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Always `ok`.
    pub status: String,
    /// Who answered.
    pub node_id: NodeId,
    /// Milliseconds since the daemon started.
    pub uptime: u64,
    /// Product version.
    pub version: String,
    /// The node's clock.
    #[serde(default)]
    pub now: Millis,
}

/// Counts what the node is doing, and says what is wrong with it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct GetStatus {}
impl Endpoint for GetStatus {
    type Reply = Status;
    const SPEC: Spec = Spec::get("status.get", "/api/v1/status", Needs::Scope(Scope::Status));
}

/// The state of a node.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The node.
    pub node_id: NodeId,
    /// Its name.
    pub hostname: String,
    /// `linux`, `darwin` or `win32`.
    pub platform: String,
    /// Product version.
    pub version: String,
    /// Milliseconds since the daemon started.
    pub uptime: u64,
    /// Peers by state.
    pub peers: PeerCounts,
    /// Jobs.
    pub jobs: JobCounts,
    /// Context entries that have not expired.
    pub context: ContextCounts,
    /// Tasks.
    #[serde(default)]
    pub tasks: TaskCounts,
    /// Approvals that wait for a person.
    #[serde(default)]
    pub approvals: usize,
    /// Coding agents that are installed here.
    #[serde(default)]
    pub agents: Vec<super::ai_tasks::AgentInfo>,
    /// What is not well, each in one sentence. Empty when all is.
    #[serde(default)]
    pub problems: Vec<Problem>,
}

/// Peers by state.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct PeerCounts {
    /// All of them.
    pub total: usize,
    /// Seen on the local network and not a peer yet; not in `total`.
    #[serde(default)]
    pub candidates: usize,
    /// Answered the last health check.
    pub online: usize,
    /// Did not answer three times.
    pub offline: usize,
    /// Not asked yet.
    #[serde(default)]
    pub unknown: usize,
}

/// Jobs, streams included.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct JobCounts {
    /// Running now.
    pub active: usize,
    /// Started since the daemon started.
    pub total: u64,
}

/// Tasks by state.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct TaskCounts {
    /// Have a place: their agents run, or wait for a person.
    pub running: usize,
    /// Wait for a place.
    pub queued: usize,
    /// All that are kept.
    pub total: usize,
}

/// Context entries.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ContextCounts {
    /// Entries that have not expired.
    pub entries: usize,
}

/// Something that is not well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The part concerned: `config`, `store`, `audit`, `jobs`, or a service's name.
    pub part: String,
    /// What is wrong and what to do.
    pub message: String,
    /// Since when.
    pub since: Millis,
}

/// Says who the node is and what it can do.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct GetIdentity {}
impl Endpoint for GetIdentity {
    type Reply = Identity;
    const SPEC: Spec = Spec::get("identity.get", "/api/v1/identity", Needs::Scope(Scope::Status));
}

/// Who a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Made once, kept for life.
    pub node_id: NodeId,
    /// Its name.
    pub hostname: String,
    /// `linux`, `darwin` or `win32`.
    pub platform: String,
    /// Product version.
    pub version: String,
    /// The port it listens on.
    pub port: u16,
    /// `execute`, `transfer`, `context`, ...
    pub capabilities: Vec<String>,
    /// What the caller may do here.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub scopes: Vec<Scope>,
}

/// The platform's name as the wire has it (Node's names).
pub fn platform() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    }
}
