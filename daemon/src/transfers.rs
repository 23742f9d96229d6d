//! Files and folders that this node itself carries to or from a peer, straight from and to its disk.

use loopsy_shared::{
    api::transfers::{StartTransfer, TransferInfo},
    id::TransferId,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{events::Events, files::Files, peers::Peers};

/// The transfers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Transfers {}

/// Why a transfer cannot be started or found.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// No such transfer.
    #[error("There is no transfer {0}.")]
    NotFound(String),
}

impl Transfers {
    /// No transfers yet.
    pub fn new(_files: Files, _peers: Peers, _events: Events, _tasks: TaskTracker, _stop: CancellationToken) -> Self {
        Self {}
    }

    /// Starts one.
    ///
    /// # Errors
    /// Never.
    pub async fn start(&self, _request: StartTransfer) -> Result<TransferInfo, TransferError> {
        Err(TransferError::NotFound(String::new()))
    }

    /// All.
    pub fn list(&self) -> Vec<TransferInfo> {
        Vec::new()
    }

    /// One.
    ///
    /// # Errors
    /// Not found.
    pub fn get(&self, id: &TransferId) -> Result<TransferInfo, TransferError> {
        Err(TransferError::NotFound(id.to_string()))
    }

    /// Ends one.
    ///
    /// # Errors
    /// Not found.
    pub fn cancel(&self, id: &TransferId) -> Result<(), TransferError> {
        Err(TransferError::NotFound(id.to_string()))
    }
}
