//! What a machine says about itself, and what both know of each other in the end.

use std::net::IpAddr;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use loopsy_shared::{api::Scope, config::is_name, id::NodeId, secret::Secret};
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{Role, hidden::Hidden, payload::Payload};

/// Who a machine is. Both texts are safe to print: anything else is not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    node_id: NodeId,
    hostname: String,
}

impl Identity {
    /// Checks the two: an id of 8 to 64 letters, digits and `-`, and a name that a peer may have in the config.
    pub fn new(node_id: &str, hostname: &str) -> Option<Self> {
        let id_fits = (8..=64).contains(&node_id.len()) && node_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (id_fits && is_name(hostname)).then(|| Self { node_id: node_id.into(), hostname: hostname.to_owned() })
    }

    /// The node's id.
    pub fn node_id(&self) -> &NodeId {
        &self.node_id
    }

    /// The machine's name.
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// `I:<nodeId>:<hostname>` or `R:<nodeId>:<hostname>`.
    pub(super) fn wire(&self, role: Role) -> String {
        format!("{}:{}:{}", letter(role), self.node_id, self.hostname)
    }

    /// Reads what [`Identity::wire`] writes.
    pub(super) fn parse(role: Role, text: &str) -> Option<Self> {
        let (node_id, hostname) = text.strip_prefix(letter(role))?.strip_prefix(':')?.split_once(':')?;
        Self::new(node_id, hostname)
    }
}

const fn letter(role: Role) -> &'static str {
    match role {
        Role::Initiator => "I",
        Role::Responder => "R",
    }
}

/// What this machine tells the other one once both people said yes.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Where it listens.
    pub port: u16,
    /// Its addresses, likeliest first; at most 16 are sent.
    pub addrs: Vec<IpAddr>,
    /// SHA-256 of its certificate, in 64 lower hex digits.
    pub cert_fingerprint: String,
    /// What the other machine may do here.
    pub scopes: Vec<Scope>,
}

/// What is stored when two machines are paired.
#[derive(Debug)]
pub struct Pairing {
    /// The other machine: where it is, its certificate, and the key that is to be presented to it.
    pub peer: Payload,
    /// The key that the other machine presents here. Only its digest is to be kept.
    pub minted: Secret,
}

/// Makes the key that the other machine will present here.
pub(super) fn mint(rng: &mut dyn CryptoRng) -> Secret {
    let bytes = Hidden::<[u8; 32]>::random(rng);
    let text = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(bytes.as_slice()));
    Secret::new(format!("lpk_{}", text.as_str()))
}
