//! Who this node is. Made once, kept for life.

use std::{fs, io};

use loopsy_shared::{VERSION, api::health, config::Config, id::NodeId, paths::DataDir};
use serde::{Deserialize, Serialize};

use crate::fsutil;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    node_id: NodeId,
}

/// Reads the node's id, or makes it if there is none yet.
///
/// # Errors
/// When the file cannot be read or written, or does not parse: another id would make this node a stranger to its peers.
pub fn node_id(dir: &DataDir) -> io::Result<NodeId> {
    match fs::read(dir.node_json()) {
        Ok(bytes) => serde_json::from_slice::<File>(&bytes).map(|file| file.node_id).map_err(|e| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} does not hold a node id ({e}); restore it, or remove it to become a new node", dir.node_json().display()),
            )
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let node_id = NodeId::new();
            fsutil::write_atomic(&dir.node_json(), &serde_json::to_vec(&File { node_id: node_id.clone() })?)?;
            Ok(node_id)
        }
        Err(e) => Err(e),
    }
}

/// What the node tells about itself.
pub fn describe(node_id: &NodeId, config: &Config, port: u16) -> health::Identity {
    health::Identity {
        node_id: node_id.clone(),
        hostname: config.hostname(),
        platform: health::platform().to_owned(),
        version: VERSION.to_owned(),
        port,
        capabilities: health::CAPABILITIES.map(str::to_owned).to_vec(),
        scopes: Vec::new(),
    }
}
