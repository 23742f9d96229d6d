//! Peers that go: because a person said so here, or because they said goodbye themselves.

use loopsy_shared::{
    api::peers::{Encryption, PeerInfo},
    client::{Client, authority},
    id::NodeId,
    text,
};

use super::{PeerError, Peers, Way};

impl Peers {
    /// Forgets a peer and the key for it, ends every call to it, and keeps it from coming back by itself. Its key here is the caller's to revoke, before.
    ///
    /// # Errors
    /// No such peer, or a store that fails.
    pub async fn remove(&self, node_id: &NodeId) -> Result<PeerInfo, PeerError> {
        let removed = {
            let mut table = self.table();
            let at = table
                .iter()
                .position(|peer| peer.info.node_id == *node_id)
                .ok_or_else(|| PeerError::NotFound { name: text::inert(node_id.as_str()).into_owned(), near: None })?;
            table.remove(at)
        };
        // The pool goes with the record, and with it every idle connection.
        removed.gone.cancel();
        self.0.credentials.remove(node_id).map_err(|e| PeerError::Save(e.to_string()))?;
        self.bury(&removed.info).await?;
        self.forget(node_id).await?;
        Ok(removed.info)
    }

    /// Forgets a peer whose pairing was not completed. Nothing keeps it from being paired anew.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn unpair(&self, node_id: &NodeId) -> Result<(), PeerError> {
        self.table().retain(|peer| {
            let other = peer.info.node_id != *node_id;
            if !other {
                peer.gone.cancel();
            }
            other
        });
        self.0.credentials.remove(node_id).map_err(|e| PeerError::Save(e.to_string()))?;
        self.forget(node_id).await
    }

    /// A client to say goodbye with: only for a peer that answers now, so that nobody else hears it. On a connection of its own, because one that has been idle
    /// may lead nowhere any more, and there is one try.
    pub fn farewell(&self, node_id: &NodeId) -> Option<Client> {
        let table = self.table();
        let peer = table.iter().find(|peer| peer.info.node_id == *node_id && peer.proven && peer.info.trusted)?;
        let (way, _) = peer.transport.as_ref()?;
        let transport = match way {
            Way::Pinned(_) => self.transport_for(*way),
            // These share one pool among all peers.
            Way::Encrypted | Way::Plain => return peer.client.clone(),
        };
        Client::new(transport, authority(&peer.info.address, peer.info.port), Some(&self.0.credentials.get(node_id)?)).ok()
    }

    /// The peer whose key has this name.
    pub fn of_principal(&self, name: &str) -> Option<PeerInfo> {
        self.table().iter().find(|peer| peer.info.principal.as_deref() == Some(name)).map(|peer| peer.info.clone())
    }

    /// A peer has removed this node: the key for it is worth nothing any more. Its record stays, so that people see why it does not work.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn left(&self, node_id: &NodeId) -> Result<(), PeerError> {
        let info = {
            let mut table = self.table();
            let Some(peer) = table.iter_mut().find(|peer| peer.info.node_id == *node_id) else { return Ok(()) };
            peer.gone.cancel();
            peer.gone = tokio_util::sync::CancellationToken::new();
            peer.doubt();
            peer.info.trusted = false;
            peer.info.paired = false;
            peer.info.encryption = Encryption::None;
            peer.info.principal = None;
            peer.info.last_error = Some("It has removed this node.".to_owned());
            peer.info.clone()
        };
        self.0.credentials.remove(node_id).map_err(|e| PeerError::Save(e.to_string()))?;
        self.save(&info).await
    }
}
