//! `credentials.json`: the keys that other nodes issued for this one, by node id. Mode 0600; never in the store, the exports or the logs.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use loopsy_shared::{id::NodeId, paths::DataDir, secret::Secret};

use crate::fsutil;

/// The keys. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Credentials(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    keys: Mutex<BTreeMap<NodeId, Secret>>,
}

impl Credentials {
    /// Reads the file; none is fine.
    ///
    /// # Errors
    /// A file that cannot be read or does not parse.
    pub fn open(dir: &DataDir) -> io::Result<Self> {
        let path = dir.credentials();
        let keys = match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("{} does not parse ({e})", path.display())))?
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => return Err(e),
        };
        Ok(Self(Arc::new(Shared { path, keys: Mutex::new(keys) })))
    }

    /// Whether there is a key for a node.
    pub fn has(&self, node_id: &NodeId) -> bool {
        self.keys().contains_key(node_id)
    }

    /// The key for a node.
    pub fn get(&self, node_id: &NodeId) -> Option<Secret> {
        self.keys().get(node_id).cloned()
    }

    /// Stores a key; on disk when this returns.
    ///
    /// # Errors
    /// When the file cannot be written; then nothing changed.
    pub fn set(&self, node_id: &NodeId, key: &Secret) -> io::Result<()> {
        self.change(|keys| {
            keys.insert(node_id.clone(), key.clone());
        })
    }

    /// Forgets a key.
    ///
    /// # Errors
    /// When the file cannot be written; then nothing changed.
    pub fn remove(&self, node_id: &NodeId) -> io::Result<()> {
        if !self.has(node_id) {
            return Ok(());
        }
        self.change(|keys| {
            keys.remove(node_id);
        })
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<NodeId, Secret>)) -> io::Result<()> {
        let mut keys = self.keys();
        let mut changed = keys.clone();
        change(&mut changed);
        fsutil::write_atomic(&self.0.path, &serde_json::to_vec_pretty(&changed)?)?;
        *keys = changed;
        Ok(())
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<NodeId, Secret>> {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
