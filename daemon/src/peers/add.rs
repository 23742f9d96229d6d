//! Peers that a person or the config names.

use std::time::Instant;

use loopsy_shared::{
    api::peers::{AddPeer, PeerInfo, PeerStatus},
    config::ManualPeer,
    id::NodeId,
    text,
};

use super::{Peer, PeerError, Peers, stranger};

impl Peers {
    /// Adds a peer that a person named. It is asked for its health at once.
    ///
    /// # Errors
    /// Values that make no sense, or a store that fails.
    pub async fn add(&self, request: AddPeer) -> Result<PeerInfo, PeerError> {
        let info = self.add_record(request).await?;
        self.revive(&info).await?;
        Ok(info)
    }

    async fn add_record(&self, request: AddPeer) -> Result<PeerInfo, PeerError> {
        let address = clean_address(&request.address)?;
        if request.port == 0 {
            return Err(PeerError::Invalid("The port must be 1 to 65535.".to_owned()));
        }
        if let Some(name) = request.hostname.as_deref().filter(|name| name.is_empty() || name.chars().count() > 253 || name.chars().any(text::is_active)) {
            return Err(PeerError::Invalid(format!("`{}` cannot be a peer's name.", text::inert(name))));
        }
        if request.node_id.as_ref() == Some(&self.0.own) {
            return Err(PeerError::Invalid("That is this node itself.".to_owned()));
        }
        if request.node_id.as_ref().is_some_and(|id| !is_node_id(id)) {
            return Err(PeerError::Invalid("`nodeId` is not the id of a node.".to_owned()));
        }
        let info = {
            let mut table = self.table();
            let same = |peer: &&mut Peer| match &request.node_id {
                Some(id) => peer.info.node_id == *id,
                None => peer.info.address == address && peer.info.port == request.port,
            };
            if let Some(peer) = table.iter_mut().find(same) {
                let moved = peer.info.address != address || peer.info.port != request.port;
                peer.info = PeerInfo { address, port: request.port, manually_added: true, ..peer.info.clone() };
                peer.info.hostname = request.hostname.unwrap_or_else(|| peer.info.hostname.clone());
                if moved {
                    peer.info.status = PeerStatus::Unknown;
                    peer.doubt();
                }
                peer.due = Instant::now();
                peer.info.clone()
            } else {
                let node_id = request.node_id.unwrap_or_else(|| NodeId::from(format!("manual-{address}:{}", request.port)));
                let hostname = request.hostname.unwrap_or_else(|| address.clone());
                let trusted = self.0.credentials.has(&node_id);
                let info = PeerInfo { trusted, manually_added: true, ..stranger(node_id, hostname, address, request.port) };
                table.push(Peer::new(info.clone()));
                info
            }
        };
        self.save(&info).await?;
        self.0.wake.notify_one();
        Ok(info)
    }

    /// Adds the peers that the config names. One that makes no sense is left out, and the log says so.
    pub async fn add_manual(&self, peers: &[ManualPeer]) {
        for peer in peers {
            let request = AddPeer { address: peer.address.clone(), port: peer.port, node_id: None, hostname: peer.hostname.clone() };
            let address = clean_address(&peer.address).unwrap_or_default();
            let known = self.table().iter().any(|known| known.info.address == address && known.info.port == peer.port);
            let removed = self.tombstones().covers_place(&address, peer.port);
            if removed {
                tracing::info!(address = %text::inert(&peer.address), "a peer of the config was removed by hand and stays away; `loopsy peers add` brings it back");
            } else if !known && let Err(error) = self.add_record(request).await {
                tracing::warn!(address = %text::inert(&peer.address), %error, "a peer of the config was left out");
            }
        }
    }
}

/// Whether an id is one that a node makes for itself. Made-up ids of peers that have not answered yet (`manual-..`) are nobody's to claim.
pub(super) fn is_node_id(id: &NodeId) -> bool {
    (8..=64).contains(&id.as_str().len()) && id.as_str().chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !id.as_str().starts_with("manual")
}

/// A host name or IP address, without brackets, scheme, path or user.
///
/// # Errors
/// It is neither.
pub fn clean_address(address: &str) -> Result<String, PeerError> {
    let bare = address.trim().trim_start_matches('[').trim_end_matches(']');
    let is_ip = bare.parse::<std::net::IpAddr>().is_ok();
    let is_name = (1..=253).contains(&bare.len()) && bare.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if is_ip || is_name {
        return Ok(bare.to_owned());
    }
    Err(PeerError::Invalid(format!("`{}` is neither a host name nor an IP address.", text::inert(address))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_nothing_else() {
        for (given, clean) in [("10.0.0.1", "10.0.0.1"), ("[::1]", "::1"), (" kai.local ", "kai.local")] {
            assert_eq!(clean_address(given).expect(given), clean);
        }
        for bad in ["", "kai/../..", "user@kai", "http://kai", "kai:80", "a b", "kai\u{1b}[m"] {
            assert!(clean_address(bad).is_err(), "{bad}");
        }
    }
}
