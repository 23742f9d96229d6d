//! What must survive `kill -9` and a power cut: context entries, peers and small things, in one database, `loopsy.db`.
//!
//! One writer thread owns the database and commits in groups; whoever writes is told once the group is on disk. Nothing is ever read from the database after
//! the start: services keep what they serve in memory and let their changes pass through here. `context.json` and `peers.json` are exports for people.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use loopsy_shared::{
    api::{context::ContextEntry, peers::PeerInfo},
    id::NodeId,
    paths::DataDir,
    time::{self, Millis},
};
use tokio::sync::oneshot;

mod damage;
mod error;
mod export;
mod import;
mod open;
mod queue;
mod schema;
#[cfg(test)]
mod tests;
mod tx;
mod writer;

pub use error::StoreError;
pub(crate) use export::ExportSource;
pub(crate) use tx::Tx;

use export::{Exporter, Peers};
use queue::Queue;
use writer::Writer;

/// The handle of the store. Cheap to clone. When the last one is dropped without [`Store::shutdown`], what was handed in is still committed.
#[derive(Clone)]
pub struct Store(Arc<Owner>);

/// What the store had at the start.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Context entries, oldest first. Some may have expired.
    pub entries: Vec<ContextEntry>,
    /// Peers, oldest first.
    pub peers: Vec<PeerInfo>,
    /// Small things: JSON by name.
    pub kv: BTreeMap<String, String>,
    /// The JSON of tasks, oldest first.
    pub tasks: Vec<String>,
    /// The JSON of approvals, oldest first.
    pub approvals: Vec<String>,
}

/// What has a table of its own with JSON by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Runs of coding agents.
    Task,
    /// Their questions.
    Approval,
}

/// One thing to store.
#[derive(Debug, Clone)]
pub enum Write {
    /// Stores a peer; a new one comes last.
    PutPeer(Box<PeerInfo>),
    /// Removes a peer, if it is there.
    DeletePeer(NodeId),
    /// Stores a small thing as JSON.
    PutKv {
        /// Its name.
        name: String,
        /// Its JSON.
        json: String,
    },
    /// Removes a small thing, if it is there.
    DeleteKv {
        /// Its name.
        name: String,
    },
    /// Stores a task or an approval as JSON; a new one comes last.
    PutRecord {
        /// Which table.
        kind: Kind,
        /// Its id.
        id: String,
        /// Its JSON.
        json: String,
    },
    /// Removes a task or an approval, if it is there.
    DeleteRecord {
        /// Which table.
        kind: Kind,
        /// Its id.
        id: String,
    },
}

impl Write {
    /// Bytes that it holds in the queue, roughly.
    fn weight(&self) -> usize {
        1024 + match self {
            Self::PutKv { json, .. } | Self::PutRecord { json, .. } => json.len(),
            _ => 0,
        }
    }
}

/// Something that is decided on the writer thread, so that the order of decisions is the order of commits.
pub(crate) trait Change: Send {
    /// Decides and writes. What earlier changes of the same [`Tx::batch`] decided is not committed yet but comes before this one. May be called again, with
    /// another batch, when the transaction was undone.
    fn apply(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError>;

    /// Called once, in the order of the commits: everything that was written is on disk, or nothing is.
    fn end(self: Box<Self>, result: Result<(), StoreError>);
}

impl Store {
    /// Opens the store of a data directory, and makes it on the first start, with what `context.json` and `peers.json` of an earlier installation have.
    /// Blocks.
    ///
    /// # Errors
    /// A file is damaged, newer than this program, or cannot be opened. Nothing was replaced or emptied then.
    pub fn open(dir: &DataDir) -> Result<(Self, Loaded), StoreError> {
        let opened = open::open(dir)?;
        let peers = Arc::new(Peers::new(opened.loaded.peers.clone()));
        let exporter = Exporter::new(dir.context_json(), dir.peers_json(), opened.doubtful);
        exporter.set_peers(Arc::clone(&peers) as Arc<dyn ExportSource>);
        let shared = Arc::new(Shared { path: dir.store(), queue: Queue::new(), exporter, exporting: Mutex::default(), peers, problem: Mutex::default() });
        let (writing, exporting) = (Writer::new(opened.conn, Arc::clone(&shared)), Arc::clone(&shared));
        let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(run)
                .map_err(|error| StoreError::unopened(&dir.store(), format!("no thread could be started: {error}")))
        };
        let writer = start("store", Box::new(move || writing.run()))?;
        let owner = Owner { shared, counter: opened.counter, writer: Mutex::new(Some(writer)) };
        *lock(&owner.shared.exporting) = Some(start("export", Box::new(move || exporting.exporter.run()))?);
        Ok((Self(Arc::new(owner)), opened.loaded))
    }

    /// Stores all of it or nothing; on disk when it returns. If the caller goes away meanwhile, it is stored all the same.
    ///
    /// # Errors
    /// The disk is full or failed, or the store is closed.
    pub async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        let bytes = writes.iter().map(Write::weight).sum();
        self.submit(Box::new(Writes { writes, peers: Arc::clone(&self.0.shared.peers), reply }), bytes).await?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Hands in a change of about `bytes`; waits for room, not for the disk.
    pub(crate) async fn submit(&self, change: Box<dyn Change>, bytes: usize) -> Result<(), StoreError> {
        self.0.shared.queue.push(change, bytes).await
    }

    /// The highest version that was given out before this start.
    pub(crate) fn last_version(&self) -> u64 {
        self.0.counter
    }

    /// Says what `context.json` is made of.
    pub(crate) fn export_context(&self, source: Arc<dyn ExportSource>) {
        self.0.shared.exporter.set_context(source);
    }

    /// What is wrong with the store, and since when: one sentence for `status`. `None` when all is well.
    pub fn problem(&self) -> Option<(String, Millis)> {
        let main = lock(&self.0.shared.problem).as_ref().map(|(error, since)| (error.to_string(), *since));
        main.or_else(|| self.0.shared.exporter.failure())
    }

    /// Commits what was handed in, writes the exports, moves the log into the database and ends both threads. Refuses everything afterwards. A second call
    /// does nothing.
    pub async fn shutdown(&self) {
        let owner = Arc::clone(&self.0);
        if let Err(error) = tokio::task::spawn_blocking(move || owner.stop()).await {
            tracing::error!(%error, "the store did not stop well");
        }
    }

    /// Like [`Store::shutdown`], for callers without a runtime. Blocks.
    pub fn shutdown_blocking(&self) {
        self.0.stop();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.0.shared.path).finish()
    }
}

/// The threads and their end.
struct Owner {
    shared: Arc<Shared>,
    counter: u64,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Owner {
    fn stop(&self) {
        self.shared.queue.close();
        join(&self.writer); // which ends the exporter
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Not joined: a drop does not wait. The writer ends by itself, and the exporter with it.
        self.shared.queue.close();
    }
}

fn join(thread: &Mutex<Option<JoinHandle<()>>>) {
    let mut slot = lock(thread);
    if let Some(thread) = slot.take()
        && thread.join().is_err()
    {
        tracing::error!("a thread of the store ended with a failure");
    }
}

/// What handles and threads share.
struct Shared {
    path: PathBuf,
    queue: Queue,
    exporter: Exporter,
    /// The exporter's thread; the writer waits for it at the end.
    exporting: Mutex<Option<JoinHandle<()>>>,
    peers: Arc<Peers>,
    problem: Mutex<Option<(StoreError, Millis)>>,
}

impl Shared {
    /// Why nothing is written any more.
    fn broken(&self) -> Option<StoreError> {
        lock(&self.problem).as_ref().map(|(error, _)| error).filter(|error| matches!(error, StoreError::ReadOnly { .. })).cloned()
    }

    fn note(&self, failure: &StoreError) {
        let mut problem = lock(&self.problem);
        match (&*problem, failure) {
            (Some((StoreError::ReadOnly { .. }, _)), _) | (Some((StoreError::Full { .. }, _)), StoreError::Full { .. }) => {}
            _ => {
                tracing::error!(%failure, "the store has a problem");
                *problem = Some((failure.clone(), time::now()));
            }
        }
    }

    /// A commit succeeded, so a full disk has room again.
    fn recovered(&self) {
        let mut problem = lock(&self.problem);
        if problem.as_ref().is_some_and(|(error, _)| !matches!(error, StoreError::ReadOnly { .. })) {
            tracing::info!("the store works again");
            *problem = None;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writes {
    writes: Vec<Write>,
    peers: Arc<Peers>,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

impl Change for Writes {
    fn apply(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        self.writes.iter().try_for_each(|write| match write {
            Write::PutPeer(peer) => tx.put_peer(peer),
            Write::DeletePeer(node_id) => tx.delete_peer(node_id),
            Write::PutKv { name, json } => tx.put_kv(name, json),
            Write::DeleteKv { name } => tx.delete_kv(name),
            Write::PutRecord { kind, id, json } => tx.put_record(*kind, id, json),
            Write::DeleteRecord { kind, id } => tx.delete_record(*kind, id),
        })
    }

    fn end(self: Box<Self>, result: Result<(), StoreError>) {
        if result.is_ok() {
            let mut peers = lock(&self.peers);
            for write in self.writes {
                match write {
                    Write::PutPeer(peer) => match peers.iter_mut().find(|known| known.node_id == peer.node_id) {
                        Some(known) => *known = *peer,
                        None => peers.push(*peer),
                    },
                    Write::DeletePeer(node_id) => peers.retain(|known| known.node_id != node_id),
                    Write::PutKv { .. } | Write::DeleteKv { .. } | Write::PutRecord { .. } | Write::DeleteRecord { .. } => {}
                }
            }
        }
        let _gone = self.reply.send(result);
    }
}

/// Lets a test be another program that changes the database.
#[cfg(test)]
pub(crate) fn meddle(path: &std::path::Path, sql: &str) {
    rusqlite::Connection::open(path).and_then(|conn| conn.execute_batch(sql)).expect("the meddling works");
}
