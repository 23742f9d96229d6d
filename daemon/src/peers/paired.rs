//! Peers that two people have paired.

use std::time::{Duration, Instant};

use loopsy_shared::{
    api::peers::{Encryption, PeerInfo, PeerStatus},
    id::NodeId,
    secret::Secret,
};

use super::{Peer, PeerError, Peers, stranger};

/// What a pairing tells about the other node. Its pin and the key issued for it are in the config by then, under the name of its principal.
#[derive(Debug)]
pub struct NewPeer {
    /// Its id.
    pub node_id: NodeId,
    /// Its name.
    pub hostname: String,
    /// Where it may be, likeliest first; not empty.
    pub addresses: Vec<String>,
    /// Its port.
    pub port: u16,
    /// The key that it issued for this node.
    pub key: Secret,
    /// The name of the key that this node issued for it.
    pub principal: String,
    /// Whether it takes its key already. Otherwise it is not called before [`Peers::ready`], or for some seconds.
    pub ready: bool,
}

/// How long a peer that may not take its key yet is left alone.
const NOT_YET: Duration = Duration::from_secs(5);

/// A peer as it was before it was paired again.
#[derive(Debug)]
pub struct Earlier {
    info: PeerInfo,
    key: Secret,
}

impl Peers {
    /// What there is of a peer now, so that it can be restored.
    pub fn earlier(&self, node_id: &NodeId) -> Option<Earlier> {
        let info = self.table().iter().find(|peer| peer.info.node_id == *node_id && peer.info.trusted).map(|peer| peer.info.clone())?;
        Some(Earlier { info, key: self.0.credentials.get(node_id)? })
    }

    /// Puts a peer back as it was.
    ///
    /// # Errors
    /// Files or a store that cannot be written.
    pub async fn restore(&self, earlier: Earlier) -> Result<(), PeerError> {
        let Earlier { info, key } = earlier;
        self.0.credentials.set(&info.node_id, &key).map_err(|e| PeerError::Save(e.to_string()))?;
        {
            let mut table = self.table();
            table.iter().filter(|peer| peer.info.node_id == info.node_id).for_each(|peer| peer.gone.cancel());
            table.retain(|peer| peer.info.node_id != info.node_id);
            table.push(Peer::new(info.clone()));
        }
        self.save(&info).await?;
        self.0.wake.notify_one();
        Ok(())
    }

    /// The name under which a key of a node is kept here: the one that it has, else its hostname.
    ///
    /// # Errors
    /// Another node with a key has that hostname: it is not taken over.
    pub fn principal_for(&self, node_id: &NodeId, hostname: &str) -> Result<String, PeerError> {
        let table = self.table();
        let same_name =
            |info: &PeerInfo| info.hostname.eq_ignore_ascii_case(hostname) || info.principal.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(hostname));
        if table.iter().any(|peer| peer.info.node_id != *node_id && (peer.info.trusted || peer.info.principal.is_some()) && same_name(&peer.info)) {
            return Err(PeerError::NameTaken(hostname.to_owned()));
        }
        // What it introduced itself with, under whatever id, is not taken for its own.
        let own = |peer: &&Peer| peer.info.node_id == *node_id && (peer.info.paired || peer.info.trusted);
        let known = table.iter().find(own).and_then(|peer| peer.info.principal.clone());
        Ok(known.unwrap_or_else(|| hostname.to_owned()))
    }

    /// Takes a paired node in. What was known of it before is replaced; what runs to it under the old key ends.
    ///
    /// # Errors
    /// Files or a store that cannot be written.
    pub async fn pair(&self, new: NewPeer) -> Result<PeerInfo, PeerError> {
        self.0.credentials.set(&new.node_id, &new.key).map_err(|e| PeerError::Save(e.to_string()))?;
        let mut addresses = new.addresses.into_iter();
        let address = addresses.next().unwrap_or_default();
        let (info, replaced) = {
            let mut table = self.table();
            let awaited = |info: &PeerInfo| !info.trusted && info.address == address && info.port == new.port;
            let (same, others): (Vec<Peer>, Vec<Peer>) = table.drain(..).partition(|peer| peer.info.node_id == new.node_id || awaited(&peer.info));
            *table = others;
            same.iter().for_each(|peer| peer.gone.cancel());
            let old = same.iter().find(|peer| peer.info.node_id == new.node_id).map(|peer| peer.info.clone());
            let old = old.unwrap_or_else(|| stranger(new.node_id.clone(), String::new(), address.clone(), new.port));
            let info = PeerInfo {
                hostname: new.hostname,
                address,
                port: new.port,
                addresses: addresses.collect(),
                trusted: true,
                paired: true,
                encryption: Encryption::Pinned,
                principal: Some(new.principal),
                status: PeerStatus::Unknown,
                failure_count: 0,
                last_error: None,
                offline_since: None,
                ..old
            };
            let due = Instant::now() + if new.ready { Duration::ZERO } else { NOT_YET };
            table.push(Peer { due, ..Peer::new(info.clone()) });
            (info, same.into_iter().map(|peer| peer.info.node_id).filter(|id| *id != new.node_id).collect::<Vec<_>>())
        };
        for id in replaced {
            self.forget(&id).await?;
        }
        self.revive(&info).await?;
        self.save(&info).await?;
        self.0.wake.notify_one();
        Ok(self.told(&info))
    }

    /// A peer takes its key now: it is asked who it is.
    pub fn ready(&self, principal: &str) {
        if let Some(peer) = self.table().iter_mut().find(|peer| peer.info.principal.as_deref() == Some(principal)) {
            peer.due = Instant::now();
        }
        self.0.wake.notify_one();
    }

    /// Tells what is known of a peer anew, after its rights changed.
    pub fn tell(&self, node_id: &NodeId) -> Option<PeerInfo> {
        let peer = self.get(node_id)?;
        self.0.events.publish(loopsy_shared::api::events::Event::PeerChanged { peer: peer.clone() });
        Some(peer)
    }
}
