//! The other nodes that this one knows: who they are, whether they answer, and the way to each.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use loopsy_shared::{
    api::{
        events::Event,
        health::{GetIdentity, Identity, PeerCounts},
        peers::{AddPeer, ConnectPeer, Handshake, PeerInfo, PeerStatus},
    },
    client::{Client, ClientError, Transport, authority},
    config::ManualPeer,
    id::NodeId,
    names, text, time,
};

use crate::{
    events::Events,
    store::{Store, Write},
    trust::Caller,
};

mod credentials;
mod error;
mod health;

pub use credentials::Credentials;
pub use error::PeerError;
use error::{unreachable, unreachable_at};

/// Shortest prefix of a node id that names a peer.
const SHORTEST_PREFIX: usize = 4;
/// How long a peer may take to answer a question about itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// The peers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Peers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    own: NodeId,
    table: Mutex<Vec<Peer>>,
    credentials: Credentials,
    transport: Transport,
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
    client: Option<Client>,
}

/// A peer, ready to be called.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The peer.
    pub info: PeerInfo,
    /// A client that presents this node's key for it.
    pub client: Client,
}

impl Peers {
    /// The peers that the store remembers. None has proven itself yet.
    pub fn new(own: NodeId, known: Vec<PeerInfo>, credentials: Credentials, transport: Transport, store: Store, events: Events) -> Self {
        let table = known.into_iter().filter(|info| info.node_id != own).map(|info| Peer::new(PeerInfo { trusted: credentials.has(&info.node_id), ..info }));
        let table = Mutex::new(table.collect());
        Self(Arc::new(Shared { own, table, credentials, transport, store, events, wake: tokio::sync::Notify::new(), saving: tokio::sync::Mutex::default() }))
    }

    /// All peers, oldest first.
    pub fn list(&self) -> Vec<PeerInfo> {
        self.table().iter().map(|peer| peer.info.clone()).collect()
    }

    /// Peers by state.
    pub fn counts(&self) -> PeerCounts {
        let table = self.table();
        let of = |status| table.iter().filter(|peer| peer.info.status == status).count();
        PeerCounts { total: table.len(), online: of(PeerStatus::Online), offline: of(PeerStatus::Offline), unknown: of(PeerStatus::Unknown) }
    }

    /// The one peer that a name means: hostname in any case, node id, address, or the beginning of a node id.
    ///
    /// # Errors
    /// None fits, or more than one.
    pub fn require(&self, name: &str) -> Result<PeerInfo, PeerError> {
        let table = self.table();
        let by = |fits: &dyn Fn(&PeerInfo) -> bool| table.iter().map(|peer| &peer.info).filter(|info| fits(info)).collect::<Vec<_>>();
        let address = |info: &PeerInfo| info.address.eq_ignore_ascii_case(name) || authority(&info.address, info.port).eq_ignore_ascii_case(name);
        let ways: [&dyn Fn(&PeerInfo) -> bool; 4] =
            [&|info| info.node_id.as_str() == name, &|info| info.hostname.eq_ignore_ascii_case(name), &address, &|info| {
                name.len() >= SHORTEST_PREFIX && info.node_id.as_str().starts_with(name)
            }];
        for way in ways {
            match by(way).as_slice() {
                [] => {}
                [one] => return Ok((*one).clone()),
                many => {
                    let candidates = many.iter().map(|info| format!("`{}` ({})", info.hostname, info.node_id)).collect();
                    return Err(PeerError::Ambiguous { name: name.to_owned(), candidates });
                }
            }
        }
        let near = names::nearest(name, table.iter().map(|peer| peer.info.hostname.as_str())).map(str::to_owned);
        Err(PeerError::NotFound { name: text::inert(name).into_owned(), near })
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
        let client = match &peer.client {
            Some(client) => client.clone(),
            None => {
                let address = authority(&peer.info.address, peer.info.port);
                let client = Client::new(self.0.transport.clone(), address, Some(&key)).map_err(|e| PeerError::Invalid(e.to_string()))?;
                peer.client.insert(client).clone()
            }
        };
        Ok(Reached { info: peer.info.clone(), client })
    }

    /// Notes that a call to a peer failed, and says so in words for the caller. It has to prove itself again before the next call.
    pub fn lost(&self, peer: &Reached, error: &ClientError) -> PeerError {
        let cause = match error {
            ClientError::Unreachable { cause, .. } => cause.clone(),
            other => other.to_string(),
        };
        if let Some(peer) = self.table().iter_mut().find(|p| p.info.node_id == peer.info.node_id) {
            peer.proven = false;
            peer.due = Instant::now();
        }
        self.0.wake.notify_one();
        unreachable(&peer.info, cause)
    }

    /// Adds a peer that a person named. It is asked for its health at once.
    ///
    /// # Errors
    /// Values that make no sense, or a store that fails.
    pub async fn add(&self, request: AddPeer) -> Result<PeerInfo, PeerError> {
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
                    (peer.proven, peer.client, peer.info.status) = (false, None, PeerStatus::Unknown);
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

    /// Adds a peer with the key that it issued for this node: asks who it is, tries the key, and introduces this node.
    ///
    /// # Errors
    /// It does not answer, refuses the key, or has the name of another peer.
    pub async fn connect(&self, request: ConnectPeer, own: Identity) -> Result<PeerInfo, PeerError> {
        let address = clean_address(&request.address)?;
        let at = authority(&address, request.port);
        let health = self.ask_health(&address, request.port).await.map_err(|cause| unreachable_at(&at, cause))?;
        if health.node_id == self.0.own {
            return Err(PeerError::Invalid(format!("{at} is this node itself.")));
        }
        let client = Client::new(self.0.transport.clone(), at.clone(), Some(&request.key)).map_err(|e| PeerError::Invalid(e.to_string()))?;
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
                manually_added: true,
                principal: request.issued.or(old.principal.clone()),
                last_error: None,
                offline_since: None,
                ..described(old, &identity)
            };
            table.push(Peer { proven: true, client: Some(client.clone()), ..Peer::new(info.clone()) });
            (info, same.into_iter().map(|peer| peer.info.node_id).filter(|id| *id != identity.node_id).collect::<Vec<_>>())
        };
        for id in replaced {
            self.forget(&id).await?;
        }
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
        let principal = (!caller.principal.admin).then(|| caller.principal.name.clone());
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
                        (peer.info.address, peer.info.port, peer.proven, peer.client) = (address, hello.port, false, None);
                    }
                    peer.info.principal = peer.info.principal.take().or(principal);
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

    /// Forgets a peer and the key for it. Returns what was known, so that its key here can be revoked too.
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
            table.remove(at).info
        };
        self.0.credentials.remove(node_id).map_err(|e| PeerError::Save(e.to_string()))?;
        self.forget(node_id).await?;
        Ok(removed)
    }

    /// Adds the peers that the config names. One that makes no sense is left out, and the log says so.
    pub async fn add_manual(&self, peers: &[ManualPeer]) {
        for peer in peers {
            let request = AddPeer { address: peer.address.clone(), port: peer.port, node_id: None, hostname: peer.hostname.clone() };
            let address = clean_address(&peer.address).unwrap_or_default();
            let known = self.table().iter().any(|known| known.info.address == address && known.info.port == peer.port);
            if !known && let Err(error) = self.add(request).await {
                tracing::warn!(address = %text::inert(&peer.address), %error, "a peer of the config was left out");
            }
        }
    }

    /// Stores and tells what a peer is now; one that was removed meanwhile stays removed.
    async fn save(&self, info: &PeerInfo) -> Result<(), PeerError> {
        let _in_order = self.0.saving.lock().await;
        let now = self.table().iter().find(|peer| peer.info.node_id == info.node_id).map(|peer| peer.info.clone());
        let Some(info) = &now else { return Ok(()) };
        self.0.store.write(vec![Write::PutPeer(info.clone())]).await.map_err(|e| PeerError::Save(e.to_string()))?;
        self.0.events.publish(Event::PeerChanged { peer: info.clone() });
        Ok(())
    }

    async fn forget(&self, node_id: &NodeId) -> Result<(), PeerError> {
        let _in_order = self.0.saving.lock().await;
        self.0.store.write(vec![Write::DeletePeer(node_id.clone())]).await.map_err(|e| PeerError::Save(e.to_string()))?;
        self.0.events.publish(Event::PeerRemoved { node_id: node_id.clone() });
        Ok(())
    }

    fn table(&self) -> MutexGuard<'_, Vec<Peer>> {
        // Every change under the lock is a plain assignment, so a panic elsewhere leaves the table whole.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    fn new(info: PeerInfo) -> Self {
        Self { info, proven: false, due: Instant::now(), client: None }
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

/// Whether an id is one that a node makes for itself. Made-up ids of peers that have not answered yet (`manual-..`) are nobody's to claim.
fn is_node_id(id: &NodeId) -> bool {
    (8..=64).contains(&id.as_str().len()) && id.as_str().chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !id.as_str().starts_with("manual")
}

/// A host name or IP address, without brackets, scheme, path or user.
fn clean_address(address: &str) -> Result<String, PeerError> {
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
