//! Peers whose key a person brought by hand: the way to nodes that cannot be paired. Their certificates are not pinned, and their connections not always encrypted.

use loopsy_shared::{
    api::{
        health::{GetIdentity, Identity},
        peers::{ConnectPeer, Handshake, PeerInfo, PeerStatus},
    },
    client::{Client, ClientError, authority},
    text, time,
};

use super::{Peer, PeerError, Peers, add::clean_address, described, stranger, unreachable_at};

impl Peers {
    /// Adds a peer with the key that it issued for this node: asks who it is, tries the key, and introduces this node.
    ///
    /// # Errors
    /// It does not answer, refuses the key, or has the name of another peer.
    pub async fn connect(&self, request: ConnectPeer, own: Identity) -> Result<PeerInfo, PeerError> {
        let address = clean_address(&request.address)?;
        let at = authority(&address, request.port);
        let greeted = self.greet(&self.ways_to_anyone(), &address, request.port).await;
        let (way, health) = greeted.map_err(|(_, why)| unreachable_at(&at, why.to_string()))?;
        if health.node_id == self.0.own {
            return Err(PeerError::Invalid(format!("{at} is this node itself.")));
        }
        if let Some(paired) = self.get(&health.node_id).filter(|peer| peer.paired) {
            return Err(PeerError::Invalid(format!("`{}` at {at} is paired already, which is more than keys by hand can give.", paired.hostname)));
        }
        let client = Client::new(self.transport_for(way), at.clone(), Some(&request.key)).map_err(|e| PeerError::Invalid(e.to_string()))?;
        let identity = client.ask(GetIdentity {}).await.map_err(|e| match e {
            ClientError::Api(error) => PeerError::Refused { address: at.clone(), error },
            other => unreachable_at(&at, other.to_string()),
        })?;
        if identity.node_id != health.node_id {
            return Err(PeerError::Changed { name: at.clone(), address: at, found: identity.node_id.to_string() });
        }
        let taken = self
            .table()
            .iter()
            .any(|peer| peer.info.hostname.eq_ignore_ascii_case(&identity.hostname) && peer.info.trusted && peer.info.node_id != identity.node_id);
        if taken {
            return Err(PeerError::NameTaken(text::inert(&identity.hostname).into_owned()));
        }
        self.0.credentials.set(&identity.node_id, &request.key).map_err(|e| PeerError::Save(e.to_string()))?;
        let (info, replaced) = {
            let mut table = self.table();
            let (same, others): (Vec<Peer>, Vec<Peer>) = table.drain(..).partition(|peer| {
                peer.info.node_id == identity.node_id || (peer.info.address == address && peer.info.port == request.port && !peer.info.trusted)
            });
            *table = others;
            let old = same.first().map_or_else(|| stranger(identity.node_id.clone(), String::new(), address.clone(), request.port), |peer| peer.info.clone());
            let info = PeerInfo {
                address,
                port: request.port,
                status: PeerStatus::Online,
                last_seen: time::now(),
                failure_count: 0,
                trusted: true,
                encryption: way.encryption(),
                manually_added: true,
                principal: request.issued.or(old.principal.clone()),
                last_error: None,
                offline_since: None,
                ..described(old, &identity)
            };
            table.push(Peer { proven: true, transport: Some((way, self.transport_for(way))), client: Some(client.clone()), ..Peer::new(info.clone()) });
            (info, same.into_iter().map(|peer| peer.info.node_id).filter(|id| *id != identity.node_id).collect::<Vec<_>>())
        };
        for id in replaced {
            self.forget(&id).await?;
        }
        self.revive(&info).await?;
        self.save(&info).await?;
        let hello = Handshake {
            node_id: own.node_id,
            hostname: own.hostname,
            platform: own.platform,
            version: own.version,
            port: own.port,
            capabilities: own.capabilities,
        };
        if let Err(error) = client.ask(hello).await {
            tracing::info!(peer = %info.hostname, %error, "the peer did not take this node's introduction");
        }
        Ok(info)
    }
}
