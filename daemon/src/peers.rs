//! The other nodes that this one knows: who they are, whether they answer, and the way to each.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use loopsy_shared::{
    api::{
        events::Event,
        health::Identity,
        peers::{Encryption, PeerInfo, PeerStatus},
    },
    client::{Client, ClientError, TlsIdentity, Transport, authority},
    config::Config,
    id::NodeId,
    text,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    discovery::Sightings,
    events::Events,
    store::{Store, Write},
    trust::Trust,
};

mod add;
mod candidates;
mod connect;
mod credentials;
mod diagnose;
mod error;
mod handshake;
mod health;
mod list;
mod paired;
mod remove;
mod tombstones;
mod way;

pub use add::clean_address;
pub use credentials::Credentials;
pub use error::PeerError;
use error::{unreachable, unreachable_at};
pub use paired::{Earlier, NewPeer};
pub use tombstones::Tombstones;
use way::Way;

/// How long a peer may take to answer a question about itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// The peers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Peers(Arc<Shared>);

/// What the peers are made of.
#[derive(Debug)]
pub struct Parts {
    /// This node.
    pub own: NodeId,
    /// What the store remembers.
    pub known: Vec<PeerInfo>,
    /// The keys that peers issued for this node.
    pub credentials: Credentials,
    /// Peers that were removed.
    pub tombstones: Tombstones,
    /// Pins and scopes.
    pub trust: Trust,
    /// This node's certificate.
    pub tls: Arc<TlsIdentity>,
    /// Who was seen on the local network.
    pub sightings: Sightings,
    /// The live config.
    pub config: watch::Receiver<Arc<Config>>,
    /// Where peers are kept.
    pub store: Store,
    /// Where changes are told.
    pub events: Events,
}

#[derive(Debug)]
struct Shared {
    own: NodeId,
    table: Mutex<Vec<Peer>>,
    credentials: Credentials,
    tombstones: Mutex<Tombstones>,
    trust: Trust,
    tls: Arc<TlsIdentity>,
    sightings: Sightings,
    config: watch::Receiver<Arc<Config>>,
    plain: Transport,
    encrypted: Transport,
    store: Store,
    events: Events,
    /// Wakes the health checks when there is something to check now.
    wake: tokio::sync::Notify,
    /// Held while a change goes to the store and into the events, so that both see the changes of a peer in their order.
    saving: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct Peer {
    info: PeerInfo,
    /// Whether this very node answered at this very address in this run. No credential goes out before.
    proven: bool,
    /// When to ask for its health next.
    due: Instant,
    /// The pool of connections to it, and in which way they are made.
    transport: Option<(Way, Transport)>,
    client: Option<Client>,
    /// Fires when the peer is removed: ends every call to it.
    gone: CancellationToken,
}

/// A peer, ready to be called.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The peer.
    pub info: PeerInfo,
    /// A client that presents this node's key for it.
    pub client: Client,
    /// Fires when the peer is removed.
    pub gone: CancellationToken,
}

impl Peers {
    /// The peers that the store remembers. None has proven itself yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { own, known, credentials, tombstones, trust, tls, sightings, config, store, events } = parts;
        let table = known.into_iter().filter(|info| info.node_id != own && !info.candidate);
        let table = table.map(|info| Peer::new(PeerInfo { trusted: credentials.has(&info.node_id), ..info }));
        Self(Arc::new(Shared {
            table: Mutex::new(table.collect()),
            tombstones: Mutex::new(tombstones),
            plain: Transport::default(),
            encrypted: Transport::encrypted(Arc::clone(&tls)),
            wake: tokio::sync::Notify::new(),
            saving: tokio::sync::Mutex::default(),
            own,
            credentials,
            trust,
            tls,
            sightings,
            config,
            store,
            events,
        }))
    }

    /// Makes a peer ready to be called: it is known, there is a key for it, and it is itself that answers at its address.
    ///
    /// # Errors
    /// One of these does not hold.
    pub async fn reach(&self, name: &str) -> Result<Reached, PeerError> {
        let mut info = self.require(name)?;
        if !self.0.credentials.has(&info.node_id) && !info.node_id.as_str().starts_with("manual-") {
            return Err(PeerError::NoKey(info.hostname));
        }
        let proven = |info: &PeerInfo| self.table().iter().any(|peer| peer.info.node_id == info.node_id && peer.proven);
        if !proven(&info) {
            info = self.check(&info).await?;
        }
        let key = self.0.credentials.get(&info.node_id).ok_or_else(|| PeerError::NoKey(info.hostname.clone()))?;
        let mut table = self.table();
        // Proof, address and client are looked at together: a key never goes to an address that was put there meanwhile.
        let found = table.iter_mut().find(|peer| peer.info.node_id == info.node_id && peer.proven);
        let peer = found.ok_or_else(|| unreachable(&info, "its address has just changed".to_owned()))?;
        let transport = self.transport(peer)?;
        let client = match &peer.client {
            Some(client) => client.clone(),
            None => {
                let address = authority(&peer.info.address, peer.info.port);
                let client = Client::new(transport, address, Some(&key)).map_err(|e| PeerError::Invalid(e.to_string()))?;
                peer.client.insert(client).clone()
            }
        };
        Ok(Reached { info: peer.info.clone(), client, gone: peer.gone.clone() })
    }

    /// Makes a peer ready to be called by new connections, because those that there are may lead nowhere: nobody says so when a machine has moved.
    ///
    /// # Errors
    /// As [`Peers::reach`].
    pub async fn reach_anew(&self, peer: &Reached) -> Result<Reached, PeerError> {
        if let Some(peer) = self.table().iter_mut().find(|p| p.info.node_id == peer.info.node_id) {
            peer.doubt();
        }
        self.reach(peer.info.node_id.as_str()).await
    }

    /// Notes that a call to a peer failed, and says so in words for the caller. It has to prove itself again before the next call.
    pub fn lost(&self, peer: &Reached, error: &ClientError) -> PeerError {
        if let Some(peer) = self.table().iter_mut().find(|p| p.info.node_id == peer.info.node_id) {
            peer.doubt();
        }
        self.0.wake.notify_one();
        match error {
            ClientError::Certificate { mismatch, .. } => error::certificate(&peer.info, *mismatch),
            ClientError::Unreachable { cause, .. } => unreachable(&peer.info, cause.clone()),
            other => unreachable(&peer.info, other.to_string()),
        }
    }

    /// Stores and tells what a peer is now; one that was removed meanwhile stays removed.
    async fn save(&self, info: &PeerInfo) -> Result<(), PeerError> {
        let _in_order = self.0.saving.lock().await;
        let now = self.table().iter().find(|peer| peer.info.node_id == info.node_id).map(|peer| peer.info.clone());
        let Some(info) = &now else { return Ok(()) };
        self.0.store.write(vec![Write::PutPeer(Box::new(info.clone()))]).await.map_err(|e| PeerError::Save(e.to_string()))?;
        self.0.events.publish(Event::PeerChanged { peer: self.told(info) });
        Ok(())
    }

    async fn forget(&self, node_id: &NodeId) -> Result<(), PeerError> {
        let _in_order = self.0.saving.lock().await;
        self.0.store.write(vec![Write::DeletePeer(node_id.clone())]).await.map_err(|e| PeerError::Save(e.to_string()))?;
        self.0.events.publish(Event::PeerRemoved { node_id: node_id.clone() });
        Ok(())
    }

    /// A record with what the config says of it.
    fn told(&self, info: &PeerInfo) -> PeerInfo {
        let scopes = info.principal.as_deref().map(|name| self.0.trust.scopes(name)).unwrap_or_default();
        let pinned = info.principal.as_deref().is_some_and(|name| self.0.trust.pin(name).is_some());
        let encryption = if info.encryption == Encryption::Pinned && !pinned { Encryption::None } else { info.encryption };
        PeerInfo { scopes, encryption, ..info.clone() }
    }

    fn tombstones(&self) -> MutexGuard<'_, Tombstones> {
        self.0.tombstones.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&self) -> MutexGuard<'_, Vec<Peer>> {
        // Every change under the lock is a plain assignment, so a panic elsewhere leaves the table whole.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    fn new(info: PeerInfo) -> Self {
        Self { info, proven: false, due: Instant::now(), transport: None, client: None, gone: CancellationToken::new() }
    }

    /// Makes the next call prove anew who is there, and by a new connection.
    fn doubt(&mut self) {
        (self.proven, self.client, self.transport) = (false, None, None);
        self.due = Instant::now();
    }
}

fn stranger(node_id: NodeId, hostname: String, address: String, port: u16) -> PeerInfo {
    PeerInfo {
        node_id,
        hostname,
        address,
        port,
        platform: "unknown".to_owned(),
        version: "unknown".to_owned(),
        capabilities: Vec::new(),
        status: PeerStatus::Unknown,
        last_seen: 0,
        failure_count: 0,
        trusted: false,
        manually_added: false,
        paired: false,
        candidate: false,
        encryption: Encryption::None,
        scopes: Vec::new(),
        addresses: Vec::new(),
        principal: None,
        last_error: None,
        offline_since: None,
    }
}

fn described(info: PeerInfo, identity: &Identity) -> PeerInfo {
    let bounded = |text: &str| text::inert(text).chars().take(253).collect::<String>();
    PeerInfo {
        node_id: identity.node_id.clone(),
        hostname: bounded(&identity.hostname),
        platform: bounded(&identity.platform),
        version: bounded(&identity.version),
        capabilities: identity.capabilities.iter().take(64).map(|capability| bounded(capability)).collect(),
        ..info
    }
}
