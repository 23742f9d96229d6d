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
    /// Whether it was paired: its certificate is pinned, and it is never called without encryption again.
    #[serde(default)]
    pub paired: bool,
    /// Whether it was only seen on the local network: nothing is known but what it says of itself.
    #[serde(default)]
    pub candidate: bool,
    /// How calls to it travel.
    #[serde(default)]
    pub encryption: Encryption,
    /// What it may do here; empty when it has no key.
    #[serde(default)]
    pub scopes: Vec<Scope>,
    /// Further addresses at which it may be.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub addresses: Vec<String>,
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

/// How calls to a peer travel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// TLS 1.3 with the certificate that was exchanged when pairing, and with no other.
    Pinned,
    /// TLS 1.3 with whoever answers: safe from listeners, not from impostors.
    Unpinned,
    /// Plain HTTP: anybody on the way can read and change everything.
    #[default]
    None,
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

/// Revokes a key that was made for a peer, by its name. Peers that were paired are removed instead.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevokePeerKey {
    /// The name under which it was made.
    pub name: String,
}
impl Endpoint for RevokePeerKey {
    type Reply = Done;
    const SPEC: Spec = Spec::delete("peers.revoke-key", "/api/v1/peers/keys/{name}", Needs::Admin);
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

/// Changes what a peer may do here. What it does at the moment with other rights ends.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetPeerScopes {
    /// Its id.
    pub node_id: NodeId,
    /// All that it may do from now on.
    pub scopes: Vec<Scope>,
}
impl Endpoint for SetPeerScopes {
    type Reply = PeerInfo;
    const SPEC: Spec = Spec::put("peers.set-scopes", "/api/v1/peers/{nodeId}/scopes", Needs::Admin);
}

/// Says goodbye for good: the caller has removed this node, so that the keys of both directions are of no use any more. Concerns the caller's own record alone.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct LeavePeer {}
impl Endpoint for LeavePeer {
    type Reply = Done;
    const SPEC: Spec = Spec::post("peers.leave", "/api/v1/peers/leave", Needs::Peer);
}

/// Tries the way to a peer step by step, from here. The owner may ask about any peer, a peer only about itself: so both ends can be tried from one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiagnosePeer {
    /// Its id; `me` for the caller, when it is a peer.
    pub node_id: NodeId,
}
impl Endpoint for DiagnosePeer {
    type Reply = Diagnosis;
    const SPEC: Spec = Spec::post("peers.diagnose", "/api/v1/peers/{nodeId}/diagnose", Needs::Scope(Scope::Status));
}

/// The steps of the way to a peer, up to the first that fails.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// In order; every step before the last one succeeded.
    pub steps: Vec<Step>,
}

/// One step of the way to a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// `name`, `address`, `port`, `tls`, `pin`, `node`, `clock`, `key`, `scopes` or `version`.
    pub step: String,
    /// How it went.
    pub verdict: Verdict,
    /// What was seen, in a sentence.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fix: Option<String>,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should.
    Ok,
    /// Works, but look at it.
    Warning,
    /// Here the way ends.
    Failed,
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
    const SPEC: Spec = Spec::post("peers.handshake", "/api/v1/peers/handshake", Needs::Peer);
}

const fn default_port() -> u16 {
    crate::config::DEFAULT_PORT
}
