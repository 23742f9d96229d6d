//! stub
use loopsy_shared::{
    api::{context::ContextEntry, peers::PeerInfo},
    id::NodeId,
    paths::DataDir,
    time::Millis,
};
#[derive(Debug, Clone)]
pub struct Store;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct StoreError;
impl StoreError {
    pub fn is_unusable(&self) -> bool {
        false
    }
}
pub struct Loaded {
    pub entries: Vec<ContextEntry>,
    pub peers: Vec<PeerInfo>,
}
impl Store {
    pub fn open(_d: &DataDir) -> Result<(Self, Loaded), StoreError> {
        Ok((Self, Loaded { entries: vec![], peers: vec![] }))
    }
    pub fn problem(&self) -> Option<(String, Millis)> {
        None
    }
    pub async fn put_peer(&self, _i: PeerInfo) -> Result<(), StoreError> {
        Ok(())
    }
    pub async fn remove_peer(&self, _i: NodeId) -> Result<(), StoreError> {
        Ok(())
    }
    pub async fn shutdown(&self) {}
}
