//! Asks every peer for its health, for ever: every 10 seconds while it answers, with a growing pause while it does not.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream, stream::FuturesUnordered};
use loopsy_shared::{
    api::{
        Code,
        health::{GetHealth, GetIdentity, Health, Identity},
        peers::{PeerInfo, PeerStatus},
    },
    client::{Client, ClientError, PinMismatch, Transport, authority},
    id::NodeId,
    secret::Secret,
    text, time,
};
use rand::RngExt;
use tokio_util::sync::CancellationToken;

use crate::discovery::Sighting;

use super::{PATIENCE, PeerError, Peers, Way, described, error, unreachable};

/// Between two checks of a peer that answers. Short enough to keep its connection from falling idle, so that no call has to shake hands first.
const INTERVAL: Duration = Duration::from_secs(10);
/// After the first failure; doubles up to [`INTERVAL`], so that a peer is back within seconds of returning.
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// Failures in a row after which a peer counts as offline.
const FAILURES_TO_OFFLINE: u32 = 3;
/// Further addresses that are remembered of a peer.
const MOST_KEPT: usize = 8;
/// Peers asked at the same time.
const AT_ONCE: usize = 32;

/// A peer that answered.
struct Found {
    address: String,
    port: u16,
    way: Way,
    transport: Transport,
    health: Health,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwell {
    /// Another certificate than the pinned one.
    #[error("{0}")]
    Certificate(PinMismatch),
    /// Anything else, in words.
    #[error("{0}")]
    Silent(String),
}

impl Peers {
    /// Checks peers when they are due, until told to stop.
    pub async fn watch_health(&self, stop: CancellationToken) {
        loop {
            let now = Instant::now();
            let due: Vec<PeerInfo> = self.table().iter().filter(|peer| peer.due <= now).map(|peer| peer.info.clone()).collect();
            let checks = stream::iter(due).for_each_concurrent(AT_ONCE, |info| async move {
                if let Err(error) = self.check(&info).await {
                    tracing::debug!(peer = %info.hostname, %error, "health check");
                }
            });
            tokio::select! {
                () = checks => {}
                () = stop.cancelled() => return,
            }
            let next = self.table().iter().map(|peer| peer.due).min().unwrap_or_else(|| Instant::now() + INTERVAL);
            tokio::select! {
                () = tokio::time::sleep_until(next.into()) => {}
                () = self.0.wake.notified() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Asks one peer who it is, now. The answer decides about its state and its name.
    ///
    /// # Errors
    /// It does not answer, or is somebody else.
    pub(super) async fn check(&self, info: &PeerInfo) -> Result<PeerInfo, PeerError> {
        let outcome = match self.find(info).await {
            Err(error) => Err(error),
            Ok(found) if found.health.node_id == info.node_id || info.node_id.as_str().starts_with("manual-") => Ok(found),
            Ok(found) => Err(PeerError::Changed {
                name: info.hostname.clone(),
                address: authority(&found.address, found.port),
                found: text::inert(found.health.node_id.as_str()).into_owned(),
            }),
        };
        match outcome {
            Ok(found) => self.answered(info, found).await,
            Err(error) => {
                self.failed(info, &error).await?;
                Err(error)
            }
        }
    }

    /// Looks for a peer everywhere it may be, in every way that is right for it.
    async fn find(&self, info: &PeerInfo) -> Result<Found, PeerError> {
        let mut last = None;
        for way in self.ways(info)? {
            let transport = {
                let mut table = self.table();
                match table.iter_mut().find(|peer| is_same(&peer.info, info)) {
                    // The pool that calls will use, so that the connection is warm when one comes.
                    Some(peer) => match self.transport(peer)? {
                        kept if peer.transport.as_ref().is_some_and(|(kept, _)| *kept == way) => kept,
                        _ => self.transport_for(way),
                    },
                    None => self.transport_for(way),
                }
            };
            let mut asked: FuturesUnordered<_> = self
                .addresses(info)
                .into_iter()
                .map(|(address, port)| {
                    let transport = transport.clone();
                    async move {
                        let asked = self.ask_health(&transport, &address, port).await;
                        (address, port, asked)
                    }
                })
                .collect();
            while let Some((address, port, answer)) = asked.next().await {
                match answer {
                    Ok(health) => return Ok(Found { address, port, way, transport, health }),
                    Err(why) => {
                        // What the usual address says matters most.
                        if last.is_none() || (address == info.address && port == info.port) {
                            last = Some(why);
                        }
                    }
                }
            }
        }
        Err(match last {
            Some(Unwell::Certificate(mismatch)) => error::certificate(info, mismatch),
            Some(Unwell::Silent(cause)) => unreachable(info, cause),
            None => unreachable(info, "it has no address".to_owned()),
        })
    }

    /// Asks who is at an address, in the first of these ways that is answered. The error is that of the last one.
    pub(super) async fn greet(&self, ways: &[Way], address: &str, port: u16) -> Result<(Way, Health), (Way, Unwell)> {
        let mut last = (Way::Plain, Unwell::Silent("there is no way to it".to_owned()));
        for way in ways {
            match self.ask_health(&self.transport_for(*way), address, port).await {
                Ok(health) => return Ok((*way, health)),
                Err(why) => last = (*way, why),
            }
        }
        Err(last)
    }

    async fn ask_health(&self, transport: &Transport, address: &str, port: u16) -> Result<Health, Unwell> {
        let client = Client::new(transport.clone(), authority(address, port), None).map_err(|e| Unwell::Silent(e.to_string()))?.wary();
        let silent = |cause: String| Err(Unwell::Silent(cause));
        match tokio::time::timeout(PATIENCE, client.call(GetHealth {})).await {
            Ok(Ok(health)) => Ok(health),
            Ok(Err(ClientError::Certificate { mismatch, .. })) => Err(Unwell::Certificate(mismatch)),
            Ok(Err(ClientError::Unreachable { cause, .. })) => silent(cause),
            Ok(Err(ClientError::Api(error))) if error.code == Code::ForeignOrigin => {
                silent(format!("{} Add the name to `server.allowedHosts` there", text::inert(&error.message)))
            }
            Ok(Err(other)) => silent(format!("something else than a Loopsy node is there ({})", text::inert(&other.to_string()))),
            Err(_) => silent(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    async fn answered(&self, asked: &PeerInfo, found: Found) -> Result<PeerInfo, PeerError> {
        let Found { address, port, way, transport, health } = found;
        if health.node_id == self.0.own {
            tracing::info!(address = %asked.address, port = asked.port, "a peer turned out to be this node itself and is removed");
            self.drop_record(&asked.node_id).await?;
            return Err(PeerError::Invalid(format!("{} is this node itself.", authority(&asked.address, asked.port))));
        }
        // A known id at an address that somebody made up proves nothing: no key goes there, and the known peer keeps its own address.
        let claimed = asked.node_id != health.node_id;
        if claimed && (self.0.credentials.has(&health.node_id) || self.table().iter().any(|peer| peer.info.node_id == health.node_id)) {
            tracing::info!(address = %asked.address, port = asked.port, node = %text::inert(health.node_id.as_str()), "found again; the record that it has stays");
            self.drop_record(&asked.node_id).await?;
            return Err(PeerError::Invalid(format!("{} is a peer that is known already.", authority(&asked.address, asked.port))));
        }
        let sighted = |seen: Sighting| seen.port == port && seen.addresses.iter().any(|ip| ip.to_string() == address);
        if matches!(way, Way::Pinned(_)) && self.0.sightings.get(&health.node_id).is_some_and(sighted) {
            self.0.sightings.confirm(&health.node_id);
        }
        // The key goes out only now that the node has said who it is.
        let told = match self.0.credentials.get(&health.node_id) {
            // Each time, because a key may have been revoked there since.
            Some(key) => Some(self.ask_identity(&transport, authority(&address, port), &key).await),
            None => None,
        };
        let (before, after) = {
            let mut table = self.table();
            let taken: Vec<String> = table.iter().filter(|peer| !is_same(&peer.info, asked)).map(|peer| peer.info.hostname.to_lowercase()).collect();
            let known = table.iter_mut().find(|peer| is_same(&peer.info, asked));
            let Some(peer) = known else { return Err(PeerError::NotFound { name: asked.hostname.clone(), near: None }) };
            let before = peer.info.clone();
            let mut info = PeerInfo {
                node_id: health.node_id.clone(),
                version: text::inert(&health.version).chars().take(64).collect(),
                status: PeerStatus::Online,
                last_seen: time::now(),
                failure_count: 0,
                trusted: self.0.credentials.has(&health.node_id),
                encryption: way.encryption(),
                last_error: None,
                offline_since: None,
                ..before.clone()
            };
            if (&info.address, info.port) != (&address, port) {
                // It moved. Where it was is where it may be again.
                info.addresses.retain(|other| *other != address);
                info.addresses.insert(0, std::mem::replace(&mut info.address, address));
                info.addresses.truncate(MOST_KEPT);
                info.port = port;
                peer.client = None;
            }
            match told {
                Some(Ok(identity)) if identity.node_id == health.node_id => {
                    let named = described(info.clone(), &identity);
                    // A name is taken on, not taken away: not another peer's, and not one that is an address.
                    let free = named.hostname.eq_ignore_ascii_case(&info.hostname)
                        || (!taken.contains(&named.hostname.to_lowercase())
                            && named.hostname.parse::<std::net::IpAddr>().is_err()
                            && !named.hostname.is_empty());
                    if !free {
                        tracing::warn!(peer = %info.hostname, wanted = %named.hostname, "a peer has a name now that another one has, and keeps its old one here");
                    }
                    let hostname = if free { named.hostname } else { info.hostname };
                    info = PeerInfo { hostname, ..named };
                }
                Some(Ok(_)) => info.last_error = Some("It tells different ids in its health and its identity.".to_owned()),
                Some(Err(error)) => info.last_error = Some(error),
                None => {}
            }
            if peer.transport.as_ref().is_none_or(|(kept, _)| *kept != way) {
                (peer.client, peer.transport) = (None, Some((way, transport)));
            }
            (peer.info, peer.proven, peer.due) = (info.clone(), true, Instant::now() + jitter(INTERVAL));
            (before, info)
        };
        if before.node_id != after.node_id {
            self.forget(&asked.node_id).await?;
        }
        self.save_if_changed(&before, &after).await?;
        Ok(after)
    }

    async fn ask_identity(&self, transport: &Transport, at: String, key: &Secret) -> Result<Identity, String> {
        let client = Client::new(transport.clone(), at, Some(key)).map_err(|e| e.to_string())?.wary();
        match tokio::time::timeout(PATIENCE, client.call(GetIdentity {})).await {
            Ok(Ok(identity)) => Ok(identity),
            Ok(Err(error)) => Err(text::inert(&error.to_string()).into_owned()),
            Err(_) => Err("It did not tell its name in time.".to_owned()),
        }
    }

    async fn failed(&self, asked: &PeerInfo, error: &PeerError) -> Result<(), PeerError> {
        let changed = {
            let mut table = self.table();
            let Some(peer) = table.iter_mut().find(|peer| is_same(&peer.info, asked)) else { return Ok(()) };
            let before = peer.info.clone();
            let surely = matches!(error, PeerError::Certificate { .. } | PeerError::PinMissing(_));
            let failures = before.failure_count.saturating_add(if surely { FAILURES_TO_OFFLINE } else { 1 });
            let offline = failures >= FAILURES_TO_OFFLINE;
            // By a new connection, because one that has been open since this machine or that one moved leads nowhere.
            peer.doubt();
            peer.due = Instant::now() + jitter((FIRST_RETRY * 2u32.saturating_pow(failures.min(8) - 1)).min(INTERVAL));
            peer.info = PeerInfo {
                failure_count: failures,
                status: if offline { PeerStatus::Offline } else { before.status },
                last_error: Some(error.to_string()),
                offline_since: before.offline_since.or_else(|| offline.then(time::now)),
                ..before.clone()
            };
            (before, peer.info.clone())
        };
        self.save_if_changed(&changed.0, &changed.1).await
    }

    /// What only counts upwards is not worth a write and an event every 10 seconds.
    async fn save_if_changed(&self, before: &PeerInfo, after: &PeerInfo) -> Result<(), PeerError> {
        let quiet = |info: &PeerInfo| PeerInfo { last_seen: 0, failure_count: 0, ..info.clone() };
        if quiet(before) == quiet(after) { Ok(()) } else { self.save(after).await }
    }

    async fn drop_record(&self, node_id: &NodeId) -> Result<(), PeerError> {
        self.table().retain(|peer| peer.info.node_id != *node_id);
        self.forget(node_id).await
    }
}

/// Whether a record is still the one that was asked: a check of an address that was changed meanwhile says nothing.
fn is_same(now: &PeerInfo, asked: &PeerInfo) -> bool {
    (&now.node_id, &now.address, now.port) == (&asked.node_id, &asked.address, asked.port)
}

/// Up to a tenth more or less, so that a fleet does not ask in step.
fn jitter(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.9..1.1))
}
