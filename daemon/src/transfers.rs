//! Files and folders that this node itself carries to or from a peer, straight from and to its disk.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use loopsy_shared::{
    api::{
        ApiError, Code,
        events::Event,
        transfers::{LeftOut, StartTransfer, TransferInfo, TransferState},
    },
    client::ClientError,
    id::TransferId,
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    events::Events,
    files::{FileError, Files},
    peers::{PeerError, Peers},
};

mod copy;
mod plan;

/// Ended transfers that are shown.
const MOST_ENDED: usize = 200;
/// How long an ended one is shown.
const KEEP_ENDED: Duration = Duration::from_secs(3600);
/// Between two progress events of one transfer.
const PROGRESS: Duration = Duration::from_millis(100);
/// Names that are listed one by one.
const MOST_LEFT_OUT: usize = 100;

/// The transfers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Transfers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: Files,
    peers: Peers,
    events: Events,
    tasks: TaskTracker,
    stop: CancellationToken,
    table: Mutex<VecDeque<Transfer>>,
}

#[derive(Debug)]
struct Transfer {
    info: TransferInfo,
    cancel: CancellationToken,
    told: Instant,
}

/// Why a transfer cannot be started, or broke.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// No such transfer.
    #[error("There is no transfer {0}.")]
    NotFound(String),
    /// Something about a file here.
    #[error(transparent)]
    Here(#[from] FileError),
    /// The peer cannot be found or called.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The peer refused.
    #[error("{0}")]
    There(ApiError),
    /// The connection to the peer broke.
    #[error("{0}")]
    Connection(ClientError),
    /// The file there is not the one that was looked at any more.
    #[error("The file was changed while it was copied.")]
    Changed,
    /// It makes no sense as asked.
    #[error("{0}")]
    Invalid(String),
    /// Somebody cancelled it.
    #[error("The transfer was cancelled.")]
    Cancelled,
}

impl From<ClientError> for TransferError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Api(error) if error.code != Code::ShuttingDown => Self::There(error),
            other => Self::Connection(other),
        }
    }
}

impl TransferError {
    /// Whether trying again may help: the other side is away, not unwilling.
    fn passes(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Peer(PeerError::Unreachable { .. }) => true,
            Self::There(error) => matches!(error.code, Code::RateLimited | Code::RequestTimeout),
            // The file was changed while it was read: read it anew.
            Self::Here(FileError::Changed { .. }) | Self::Changed => true,
            _ => false,
        }
    }
}

impl Transfers {
    /// No transfers yet.
    pub fn new(files: Files, peers: Peers, events: Events, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self(Arc::new(Shared { files, peers, events, tasks, stop, table: Mutex::default() }))
    }

    /// Starts a transfer. What can be known at once (peer, source, destination) is checked before this returns. It ends when the peer is removed, and when
    /// `revoked` says that the key is gone which it was asked for with.
    ///
    /// # Errors
    /// Peer or source cannot be used.
    pub async fn start(&self, request: StartTransfer, revoked: CancellationToken) -> Result<TransferInfo, TransferError> {
        let transfer_id = TransferId::new();
        let peer = self.0.peers.reach(&request.peer).await?;
        let plan = plan::plan(&self.0.files, &peer.client.for_transfer(&transfer_id), &request).await?;
        let info = TransferInfo {
            transfer_id: transfer_id.clone(),
            peer: peer.info.hostname.clone(),
            direction: request.direction,
            source: request.source.clone(),
            destination: plan.root.clone(),
            state: TransferState::Running,
            dry_run: request.dry_run,
            files: plan.files.len() as u64,
            files_done: 0,
            files_skipped: 0,
            bytes: plan.files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size)),
            bytes_done: 0,
            bytes_resumed: 0,
            current: None,
            sha256: None,
            left_out: plan.left_out.iter().take(MOST_LEFT_OUT).cloned().collect(),
            planned: Vec::new(),
            started_at: time::now(),
            ended_at: None,
            error: None,
        };
        let cancel = self.0.stop.child_token();
        self.insert(Transfer { info: info.clone(), cancel: cancel.clone(), told: Instant::now() });
        let this = self.clone();
        let (node_id, hostname, gone) = (peer.info.node_id.clone(), peer.info.hostname.clone(), peer.gone.clone());
        self.0.tasks.spawn(async move {
            let job = copy::Copy::new(&this, transfer_id.clone(), node_id, request.direction, plan, request.dry_run);
            let carried = AssertUnwindSafe(async {
                tokio::select! {
                    outcome = job.run() => outcome,
                    () = cancel.cancelled() => Err(TransferError::Cancelled),
                    () = revoked.cancelled() => Err(TransferError::Cancelled),
                    () = gone.cancelled() => Err(TransferError::Peer(PeerError::Removed(hostname))),
                }
            });
            let outcome = carried.catch_unwind().await;
            this.end(&transfer_id, outcome.unwrap_or_else(|_| Err(TransferError::Invalid("The transfer crashed; the node's log says where.".to_owned()))));
        });
        Ok(info)
    }

    /// Running and lately ended ones, oldest first.
    pub fn list(&self) -> Vec<TransferInfo> {
        self.table().iter().map(|transfer| transfer.info.clone()).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// No such transfer.
    pub fn get(&self, id: &TransferId) -> Result<TransferInfo, TransferError> {
        self.table().iter().find(|transfer| transfer.info.transfer_id == *id).map(|transfer| transfer.info.clone()).ok_or_else(|| not_found(id))
    }

    /// Ends one. Files that are complete stay.
    ///
    /// # Errors
    /// No such transfer, or it has ended.
    pub fn cancel(&self, id: &TransferId) -> Result<(), TransferError> {
        let table = self.table();
        let running = table.iter().find(|transfer| transfer.info.transfer_id == *id && transfer.info.state == TransferState::Running);
        running.map(|transfer| transfer.cancel.cancel()).ok_or_else(|| not_found(id))
    }

    fn insert(&self, transfer: Transfer) {
        let mut table = self.table();
        let old = time::now().saturating_sub(KEEP_ENDED.as_millis() as u64);
        let ended = table.iter().filter(|transfer| transfer.info.ended_at.is_some()).count();
        let mut surplus = (ended + 1).saturating_sub(MOST_ENDED);
        table.retain(|transfer| {
            let Some(at) = transfer.info.ended_at else { return true };
            let forget = at < old || surplus > 0;
            surplus = surplus.saturating_sub(1);
            if forget {
                self.0.events.publish(Event::TransferRemoved { transfer_id: transfer.info.transfer_id.clone() });
            }
            !forget
        });
        self.0.events.publish(Event::TransferChanged { transfer: transfer.info.clone() });
        table.push_back(transfer);
    }

    /// Changes what is shown of a transfer, and tells it when it is worth telling.
    fn update(&self, id: &TransferId, now: bool, change: impl FnOnce(&mut TransferInfo)) {
        let mut table = self.table();
        let Some(transfer) = table.iter_mut().find(|transfer| transfer.info.transfer_id == *id) else { return };
        change(&mut transfer.info);
        if now || transfer.told.elapsed() >= PROGRESS {
            transfer.told = Instant::now();
            self.0.events.publish(Event::TransferChanged { transfer: transfer.info.clone() });
        }
    }

    fn end(&self, id: &TransferId, outcome: Result<(), TransferError>) {
        self.update(id, true, |info| {
            info.ended_at = Some(time::now());
            info.current = None;
            match outcome {
                Ok(()) => info.state = TransferState::Done,
                Err(TransferError::Cancelled) => info.state = TransferState::Cancelled,
                Err(error) => {
                    info.state = TransferState::Failed;
                    info.error = Some(ApiError::from(error).to_body().error);
                }
            }
        });
    }

    fn leave_out(&self, id: &TransferId, left: LeftOut) {
        self.update(id, false, |info| {
            if info.left_out.len() < MOST_LEFT_OUT {
                info.left_out.push(left);
            }
        });
    }

    fn table(&self) -> MutexGuard<'_, VecDeque<Transfer>> {
        // Every change under the lock is complete in itself.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found(id: &TransferId) -> TransferError {
    TransferError::NotFound(loopsy_shared::text::inert(id.as_str()).into_owned())
}
