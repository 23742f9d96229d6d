//! What nodes say about themselves when they come with a key.

use std::time::Instant;

use loopsy_shared::{
    api::peers::{Handshake, PeerInfo},
    text,
};

use super::{Peer, PeerError, Peers, add::is_node_id, stranger};
use crate::trust::{Caller, Role};

impl Peers {
    /// A node introduces itself. It can add itself; a record that a person made, or that there is a key for, keeps its address.
    ///
    /// # Errors
    /// Values that make no sense, or a store that fails.
    pub async fn handshake(&self, caller: &Caller, hello: Handshake) -> Result<(), PeerError> {
        let words = [("nodeId", hello.node_id.as_str()), ("hostname", &hello.hostname), ("platform", &hello.platform), ("version", &hello.version)];
        if let Some((field, value)) = words.iter().find(|(_, value)| value.is_empty() || value.len() > 253 || value.chars().any(text::is_active)) {
            return Err(PeerError::Invalid(format!("`{field}` cannot be `{}`.", text::inert(value))));
        }
        let strange = |capability: &String| capability.len() > 64 || capability.chars().any(text::is_active);
        if !is_node_id(&hello.node_id) || hello.capabilities.iter().any(strange) {
            return Err(PeerError::Invalid("`nodeId` or `capabilities` are not those of a node.".to_owned()));
        }
        if hello.port == 0 || hello.capabilities.len() > 64 {
            return Err(PeerError::Invalid("The port must be 1 to 65535, with at most 64 capabilities.".to_owned()));
        }
        if hello.node_id == self.0.own {
            return Err(PeerError::Invalid("That is this node itself.".to_owned()));
        }
        let principal = (caller.principal.role == Role::Peer).then(|| caller.principal.name.clone());
        let info = {
            let mut table = self.table();
            // A key belongs to one peer: what introduces itself under another id with the same key is refused, and cannot fill the table.
            let other = principal.is_some() && table.iter().any(|peer| peer.info.principal == principal && peer.info.node_id != hello.node_id);
            if other {
                return Err(PeerError::Invalid("This key belongs to another node.".to_owned()));
            }
            let address = caller.from.to_string();
            let same_place = |info: &PeerInfo| info.address == address && info.port == hello.port && info.node_id.as_str().starts_with("manual-");
            let awaited = table.iter().any(|peer| same_place(&peer.info));
            match table.iter_mut().find(|peer| peer.info.node_id == hello.node_id) {
                Some(peer) => {
                    if !peer.info.trusted && !peer.info.manually_added {
                        (peer.info.address, peer.info.port) = (address, hello.port);
                        peer.doubt();
                    }
                    // A record that there is a key for, or that a person made, is nobody's to claim: only pairing and `connect` tie a key to it.
                    if !peer.info.trusted && !peer.info.manually_added {
                        peer.info.principal = peer.info.principal.take().or(principal);
                    }
                    peer.due = Instant::now();
                    peer.info.clone()
                }
                // A peer that was added by hand and has not answered yet: its health check gives it its id.
                None if awaited => {
                    self.0.wake.notify_one();
                    return Ok(());
                }
                None => {
                    let unknown = stranger(hello.node_id, hello.hostname, address, hello.port);
                    let info = PeerInfo {
                        platform: hello.platform,
                        version: hello.version,
                        capabilities: hello.capabilities,
                        trusted: self.0.credentials.has(&unknown.node_id),
                        principal,
                        ..unknown
                    };
                    table.push(Peer::new(info.clone()));
                    info
                }
            }
        };
        self.save(&info).await?;
        self.0.wake.notify_one();
        Ok(())
    }
}
