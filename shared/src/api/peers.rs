//! Other nodes that this one knows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Done, Endpoint, Needs, Scope, Spec, health::Identity};
use crate::{id::NodeId, secret::Secret, time::Millis};

/// Lists the peers, oldest first.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListPeers {}
impl Endpoint for ListPeers {
    type Reply = Peers;
    const SPEC: Spec = Spec::get("peers.list", "/api/v1/peers", Needs::Scope(Scope::Status));
}

/// The peers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Peers {
    /// Oldest first.
    pub peers: Vec<PeerInfo>,
}

/// A node that this one knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerInfo {
    /// Its id; `manual-<address>:<port>` until it answered for the first time.
    pub node_id: NodeId,
    /// Its name.
    pub hostname: String,
    /// Host name or IP address, without brackets.
    pub address: String,
    /// Port.
    pub port: u16,
    /// `linux`, `darwin`, `win32` or `unknown`.
    pub platform: String,
    /// Product version or `unknown`.
    pub version: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Whether it answers.
    pub status: PeerStatus,
    /// When it last answered; 0 for never.
    pub last_seen: Millis,
    /// Health checks failed in a row.
    pub failure_count: u32,
    /// Whether this node holds a key for it.
    pub trusted: bool,
    /// Whether a person added it.
    pub manually_added: bool,
    /// The name of the key with which it calls this node, once it introduced itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub principal: Option<String>,
    /// Why the last check failed, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_error: Option<String>,
    /// Since when it has not answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offline_since: Option<Millis>,
}

/// Whether a peer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PeerStatus {
    /// This very node answered at its address.
    Online,
    /// Three checks failed in a row.
    Offline,
    /// Not known yet.
    Unknown,
}

/// Adds a peer by hand. It is asked for its health at once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddPeer {
    /// Host name or IP address.
    pub address: String,
    /// Port; 19532 when absent.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Its id, when known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub node_id: Option<NodeId>,
    /// A name for it until it tells its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hostname: Option<String>,
}
impl Endpoint for AddPeer {
    type Reply = PeerInfo;
    const SPEC: Spec = Spec::post("peers.add", "/api/v1/peers", Needs::Admin);
}

/// Adds a peer together with the key that it issued for this node, after asking it who it is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectPeer {
    /// Host name or IP address.
    pub address: String,
    /// Port; 19532 when absent.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The key that the peer issued for this node.
    pub key: Secret,
    /// The name of the key that this node issued for the peer, so that both are revoked together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub issued: Option<String>,
}
impl Endpoint for ConnectPeer {
    type Reply = PeerInfo;
    const SPEC: Spec = Spec::post("peers.connect", "/api/v1/peers/connect", Needs::Admin);
}

/// Makes a key with which one peer may call this node. Only its hash is kept. A second call for the same name replaces the first key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MintPeerKey {
    /// Who the key is for: the name under which its requests are recorded, 1 to 63 of `A-Z a-z 0-9 . _ -`.
    pub name: String,
}
impl Endpoint for MintPeerKey {
    type Reply = super::node::NewKey;
    const SPEC: Spec = Spec::post("peers.mint-key", "/api/v1/peers/keys", Needs::Admin);
}

/// Removes a peer and the keys of both directions.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemovePeer {
    /// Its id.
    pub node_id: NodeId,
}
impl Endpoint for RemovePeer {
    type Reply = Done;
    const SPEC: Spec = Spec::delete("peers.remove", "/api/v1/peers/{nodeId}", Needs::Admin);
}

/// A node introduces itself. It can change no record but its own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Handshake {
    /// Its id, not empty.
    pub node_id: NodeId,
    /// Its name, not empty.
    pub hostname: String,
    /// Its platform, not empty.
    pub platform: String,
    /// Its version, not empty.
    pub version: String,
    /// The port it listens on, 1 to 65535.
    pub port: u16,
    /// What it can do.
    pub capabilities: Vec<String>,
}
impl Endpoint for Handshake {
    type Reply = Identity;
    const SPEC: Spec = Spec::post("peers.handshake", "/api/v1/peers/handshake", Needs::Scope(Scope::Status));
}

const fn default_port() -> u16 {
    crate::config::DEFAULT_PORT
}
