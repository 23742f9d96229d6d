//! Who was seen on the local network and is not a peer. Hints for addresses, never for identity: nothing here is ever called with a key.

use std::{collections::BTreeMap, net::IpAddr, time::Instant};

use loopsy_shared::{
    api::{
        events::Event,
        peers::{PeerInfo, PeerStatus},
    },
    id::NodeId,
};
use tokio_util::sync::CancellationToken;

use super::{Peers, stranger};
use crate::discovery::Sighting;

impl Peers {
    /// Nodes that were seen, are not known, and were not removed by a person.
    pub(super) fn candidates(&self) -> Vec<PeerInfo> {
        let seen = self.0.sightings.list();
        if seen.is_empty() {
            return Vec::new();
        }
        let table = self.table();
        let tombstones = self.tombstones();
        let unknown =
            |seen: &Sighting| seen.node_id != self.0.own && !tombstones.covers(&seen.node_id) && !table.iter().any(|peer| peer.info.node_id == seen.node_id);
        seen.into_iter().filter(unknown).map(candidate).collect()
    }

    /// Follows what is seen: tells of candidates that come and go, and asks a peer anew that was away and announces itself.
    pub async fn watch_sightings(&self, stop: CancellationToken) {
        let mut sightings = self.0.sightings.watch();
        let mut told: BTreeMap<NodeId, PeerInfo> = BTreeMap::new();
        let mut places: BTreeMap<NodeId, (Vec<IpAddr>, u16)> = BTreeMap::new();
        loop {
            sightings.mark_unchanged();
            let now: BTreeMap<NodeId, PeerInfo> = self.candidates().into_iter().map(|info| (info.node_id.clone(), info)).collect();
            for node_id in told.keys().filter(|id| !now.contains_key(*id)) {
                // One that became a peer is told of as that.
                if self.get(node_id).is_none() {
                    self.0.events.publish(Event::PeerRemoved { node_id: node_id.clone() });
                }
            }
            for (node_id, info) in &now {
                let quiet = |info: &PeerInfo| PeerInfo { last_seen: 0, ..info.clone() };
                if told.get(node_id).is_none_or(|before| quiet(before) != quiet(info)) {
                    self.0.events.publish(Event::PeerChanged { peer: info.clone() });
                }
            }
            told = now;
            let mut back = false;
            let seen: BTreeMap<_, _> = self.0.sightings.list().into_iter().map(|seen| (seen.node_id, (seen.addresses, seen.port))).collect();
            for (node_id, place) in &seen {
                // One that moved may still count as online, until a call to where it was runs into a timeout.
                let moved = places.get(node_id).is_some_and(|before| before != place);
                if let Some(peer) = self.table().iter_mut().find(|peer| peer.info.node_id == *node_id && (moved || peer.info.status != PeerStatus::Online)) {
                    (peer.due, back) = (Instant::now(), true);
                }
            }
            places = seen;
            if back {
                self.0.wake.notify_one();
            }
            tokio::select! {
                _ = sightings.changed() => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

fn candidate(seen: Sighting) -> PeerInfo {
    let mut addresses = seen.addresses.iter().map(ToString::to_string);
    let address = addresses.next().unwrap_or_default();
    PeerInfo {
        platform: seen.platform,
        version: seen.version,
        capabilities: seen.capabilities,
        last_seen: seen.seen_at,
        candidate: true,
        addresses: addresses.collect(),
        ..stranger(seen.node_id, seen.hostname, address, seen.port)
    }
}
