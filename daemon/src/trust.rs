//! Who is asking, and what they may do.

use std::sync::Arc;

use loopsy_shared::api::Scope;
use tokio_util::sync::CancellationToken;

/// Who a credential belongs to. Checked on every request.
#[derive(Debug)]
pub struct Principal {
    /// `admin`, or the peer's name.
    pub name: String,
    /// Whether it is the owner.
    pub admin: bool,
    /// What it may do, unless it is the owner.
    pub scopes: Vec<Scope>,
    /// First eight hex digits of the key's SHA-256: tells keys apart in the audit log.
    pub key_id: String,
    /// Fires when the key is revoked; ends everything that was started with it.
    pub revoked: CancellationToken,
}

/// A principal together with what one request says about itself.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose key it was.
    pub principal: Arc<Principal>,
    /// What the caller calls itself (`x-loopsy-node-id`); nobody vouches for it.
    pub from_node_id: Option<String>,
}
