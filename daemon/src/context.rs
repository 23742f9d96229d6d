//! The context service: values under keys, shared between machines and agents.
//!
//! Reads come from memory and never touch the disk. Changes are decided by the store's writer, one after the other, and become visible once they are on disk:
//! what a reader saw is never lost, and what a writer was told is never undone. Events follow the order of the commits.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use bytes::Bytes;
use loopsy_shared::{
    api::context::{ContextEntry, ContextKey, Imported, MAX_VALUE_BYTES, SetContext},
    config::{self, Config},
    time,
};
use tokio::sync::{oneshot, watch};

mod error;
mod import;
mod pending;
mod remove;
mod render;
mod set;
mod table;
#[cfg(test)]
mod tests;

pub use error::ContextError;

use import::Import;
use pending::Pending;
use remove::{Remove, What};
use render::{Head, Rendered};
use set::Set;
use table::{Meta, Row, Table};

use crate::{
    events::Events,
    store::{Change, ExportSource, Store, StoreError, Tx},
};

/// Expired entries removed in one change: few enough that others hardly wait behind them.
const REAP_KEYS: usize = 500;
/// What the indentation of an export adds to an entry, roughly.
const INDENT_BYTES: u64 = 50;

/// The handle of the context service. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    core: Arc<Core>,
    store: Store,
}

/// What readers and the writer share.
struct Core {
    table: RwLock<Table>,
    /// Only the writer locks it.
    pending: Mutex<Pending>,
    config: watch::Receiver<Arc<Config>>,
    events: Events,
}

impl Context {
    /// A service with the entries that the store had at the start.
    pub fn new(store: Store, entries: Vec<ContextEntry>, config: watch::Receiver<Arc<Config>>, events: Events) -> Self {
        let mut table = Table::default();
        table.version = store.last_version();
        for entry in entries {
            let size = (entry.key.len() + entry.value.len()) as u64;
            let meta = Meta { seq: table.next_seq, created_at: entry.created_at, expires_at: entry.expires_at, version: entry.version, size };
            table.put(Row { key: Arc::from(entry.key.as_str()), meta, json: Rendered::new(&entry) });
        }
        let core = Arc::new(Core { table: RwLock::new(table), pending: Mutex::default(), config, events });
        store.export_context(Arc::clone(&core) as Arc<dyn ExportSource>);
        Self { core, store }
    }

    /// The JSON of an entry that has not expired.
    pub fn get(&self, key: &str) -> Option<Bytes> {
        let now = time::now();
        self.core.read().find(key).filter(|row| row.meta.is_live(now)).map(|row| row.json.bytes())
    }

    /// An entry that has not expired.
    pub fn entry(&self, key: &str) -> Option<ContextEntry> {
        self.get(key).and_then(|json| parse(&json))
    }

    /// The JSON of [`ContextEntries`](loopsy_shared::api::context::ContextEntries): all whose keys begin with `prefix`, oldest first.
    pub fn list(&self, prefix: &str) -> Bytes {
        let entries = self.core.read().list(prefix, time::now());
        render::list(&entries)
    }

    /// The entries whose keys begin with `prefix`, oldest first.
    pub fn entries(&self, prefix: &str) -> Vec<ContextEntry> {
        let entries = self.core.read().list(prefix, time::now());
        entries.iter().filter_map(|json| parse(json)).collect()
    }

    /// Stores an entry and returns its JSON. It is on disk then. If the caller goes away meanwhile, it is stored all the same.
    ///
    /// # Errors
    /// The value is too long, a limit is reached, the entry has another version than asked for, or the store failed.
    pub async fn set(&self, from: &str, request: SetContext) -> Result<Bytes, ContextError> {
        let SetContext { key, value, ttl, if_version } = request;
        if value.len() > MAX_VALUE_BYTES {
            return Err(ContextError::ValueTooLarge { key: key.into(), bytes: value.len() });
        }
        let entry = ContextEntry {
            key: key.into(),
            value,
            from_node_id: from.to_owned(),
            created_at: 0,
            updated_at: 0,
            ttl: ttl.map(|ttl| ttl.seconds()),
            expires_at: None,
            version: 0,
        };
        let (reply, answer) = oneshot::channel();
        let bytes = entry.value.len();
        let head = Head::new(&entry);
        let core = Arc::clone(&self.core);
        let change = Set { core, key: Arc::from(entry.key.as_str()), entry, head, if_version, outcome: Ok(None), reply };
        self.submit(Box::new(change), bytes, answer).await
    }

    /// Removes an entry. That is on disk when it returns.
    ///
    /// # Errors
    /// There is no such entry, it has another version than asked for, or the store failed.
    pub async fn delete(&self, key: &ContextKey, if_version: Option<u64>) -> Result<(), ContextError> {
        self.remove(What::One { key: Arc::from(key.as_str()), if_version }).await
    }

    /// Stores many entries as an export wrote them, all or none. Expired ones are left out. With `replace`, every other entry goes.
    ///
    /// # Errors
    /// An entry cannot be stored, a limit is reached, or the store failed.
    pub async fn import(&self, from: &str, entries: Vec<ContextEntry>, replace: bool) -> Result<Imported, ContextError> {
        let from = from.to_owned();
        let lines = tokio::task::spawn_blocking(move || import::prepare(&from, entries)).await.map_err(|_| StoreError::Closed)??;
        let (reply, answer) = oneshot::channel();
        let bytes = lines.iter().map(import::Line::bytes).sum();
        let change = Import { core: Arc::clone(&self.core), lines, replace, outcome: Ok(import::Outcome::default()), reply };
        self.submit(Box::new(change), bytes, answer).await
    }

    /// How many entries have not expired.
    pub fn len(&self) -> usize {
        self.core.read().usage(time::now()).entries
    }

    /// Whether there is no entry that has not expired.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes expired entries from memory and disk.
    pub async fn reap(&self) {
        loop {
            let expired = self.core.read().expired(time::now(), REAP_KEYS);
            let count = expired.len();
            if count == 0 {
                return;
            }
            if let Err(error) = self.remove(What::Expired(expired)).await {
                tracing::warn!(%error, "expired entries could not be removed");
                return;
            }
            if count < REAP_KEYS {
                return;
            }
        }
    }

    async fn remove(&self, what: What) -> Result<(), ContextError> {
        let (reply, answer) = oneshot::channel();
        let change = Remove { core: Arc::clone(&self.core), what, outcome: Ok((Vec::new(), 0)), reply };
        self.submit(Box::new(change), 0, answer).await
    }

    async fn submit<T>(&self, change: Box<dyn Change>, bytes: usize, answer: oneshot::Receiver<Result<T, ContextError>>) -> Result<T, ContextError> {
        self.store.submit(change, bytes).await?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Core {
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> config::Context {
        self.config.borrow().context.clone()
    }

    /// Decides a change with what is committed and what is pending in its transaction.
    fn decide<T>(&self, tx: &Tx<'_>, decide: impl FnOnce(&mut Pending, &Table) -> Result<T, ContextError>) -> Result<T, ContextError> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.read();
        pending.begin(tx.batch(), &table);
        decide(&mut pending, &table)
    }
}

impl ExportSource for Core {
    fn size(&self) -> u64 {
        self.read().export_size(INDENT_BYTES)
    }

    fn write_to(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let entries = self.read().list("", time::now());
        render::pretty(&entries, out)
    }
}

/// The JSON was made here, so it parses.
fn parse(json: &[u8]) -> Option<ContextEntry> {
    serde_json::from_slice(json).ok()
}
