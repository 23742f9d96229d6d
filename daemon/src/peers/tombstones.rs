//! Peers that a person removed: they do not come back by themselves, whatever announces itself on the network or stands in the config.

use std::collections::BTreeMap;

use loopsy_shared::{
    id::NodeId,
    time::{self, Millis},
};
use serde::{Deserialize, Serialize};

use super::{PeerError, PeerInfo, Peers};
use crate::store::Write;

/// Where the store keeps them.
const NAME: &str = "tombstones";
/// Tombstones kept; the oldest go first.
const MOST: usize = 1000;

/// Removed peers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tombstones(BTreeMap<NodeId, Tombstone>);

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tombstone {
    address: String,
    port: u16,
    removed_at: Millis,
}

impl Tombstones {
    /// Reads what the store kept.
    ///
    /// # Errors
    /// Text that is none of ours.
    pub fn read(kept: &BTreeMap<String, String>) -> Result<Self, serde_json::Error> {
        kept.get(NAME).map_or_else(|| Ok(Self::default()), |json| serde_json::from_str(json))
    }

    /// Whether a node was removed.
    pub(super) fn covers(&self, node_id: &NodeId) -> bool {
        self.0.contains_key(node_id)
    }

    /// Whether what was at an address was removed.
    pub(super) fn covers_place(&self, address: &str, port: u16) -> bool {
        self.0.values().any(|stone| stone.address == address && stone.port == port)
    }

    fn set(&mut self, info: &PeerInfo) {
        let stone = Tombstone { address: info.address.clone(), port: info.port, removed_at: time::now() };
        self.0.insert(info.node_id.clone(), stone);
        while self.0.len() > MOST {
            let oldest = self.0.iter().min_by_key(|(_, stone)| stone.removed_at).map(|(id, _)| id.clone());
            oldest.map(|id| self.0.remove(&id));
        }
    }

    fn clear(&mut self, info: &PeerInfo) -> bool {
        let before = self.0.len();
        self.0.retain(|id, stone| *id != info.node_id && !(stone.address == info.address && stone.port == info.port));
        self.0.len() != before
    }
}

impl Peers {
    /// Sets a tombstone for a peer that a person removed.
    pub(super) async fn bury(&self, info: &PeerInfo) -> Result<(), PeerError> {
        self.tombstones().set(info);
        self.save_tombstones().await
    }

    /// Takes the tombstone of a peer away that a person wants back.
    pub(super) async fn revive(&self, info: &PeerInfo) -> Result<(), PeerError> {
        let changed = self.tombstones().clear(info);
        if changed { self.save_tombstones().await } else { Ok(()) }
    }

    async fn save_tombstones(&self) -> Result<(), PeerError> {
        let _in_order = self.0.saving.lock().await;
        let json = serde_json::to_string(&*self.tombstones()).map_err(|e| PeerError::Save(e.to_string()))?;
        self.0.store.write(vec![Write::PutKv { name: NAME.to_owned(), json }]).await.map_err(|e| PeerError::Save(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tombstones_are_kept_and_bounded() {
        let mut stones = Tombstones::default();
        let info = |n: usize| {
            super::super::stranger(NodeId::from(format!("{n:08}-0000")), String::new(), "10.0.0.1".to_owned(), u16::try_from(n % 60_000).unwrap_or(1))
        };
        (0..MOST + 5).for_each(|n| stones.set(&info(n)));
        assert_eq!(stones.0.len(), MOST);
        let json = serde_json::to_string(&stones).expect("json");
        let mut read = Tombstones::read(&BTreeMap::from([(NAME.to_owned(), json)])).expect("ours");
        let last = info(MOST + 4);
        assert!(read.covers(&last.node_id) && read.covers_place("10.0.0.1", last.port));
        assert!(read.clear(&last) && !read.covers(&last.node_id));
        assert!(Tombstones::read(&BTreeMap::from([(NAME.to_owned(), "x".to_owned())])).is_err());
    }
}
