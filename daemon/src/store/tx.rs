//! What a change may do inside a transaction: one method for each kind of write, each a cached statement.

use std::path::Path;

use loopsy_shared::{
    api::{context::ContextEntry, peers::PeerInfo},
    id::NodeId,
    time::Millis,
};
use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::{Kind, StoreError};

/// What an entry or peer adds to an export beside its key and value, roughly.
const EXPORT_OVERHEAD: u64 = 220;
/// The unit in which the database is written.
const PAGE_BYTES: u64 = 4096;

/// One transaction of the writer.
pub(crate) struct Tx<'a> {
    conn: &'a Connection,
    path: &'a Path,
    batch: u64,
    counter: Option<u64>,
    /// Bytes by which each export is behind afterwards.
    pub(super) changed: Changed,
    /// Bytes that the log grows by, roughly.
    pub(super) logged: u64,
}

/// Bytes changed, for each export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) context: u64,
    pub(super) peers: u64,
}

impl<'a> Tx<'a> {
    pub(super) fn new(conn: &'a Connection, path: &'a Path, batch: u64) -> Self {
        Self { conn, path, batch, counter: None, changed: Changed::default(), logged: 0 }
    }

    /// Which transaction this is. Another number means that whatever was decided before is committed, or undone.
    pub(crate) const fn batch(&self) -> u64 {
        self.batch
    }

    /// Stores an entry. A new key comes last in the order.
    pub(crate) fn put_context(&mut self, entry: &ContextEntry) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO context(key, from_node_id, created_at, updated_at, ttl, expires_at, version, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT(key) DO UPDATE SET from_node_id = ?2, created_at = ?3, updated_at = ?4, ttl = ?5, expires_at = ?6, version = ?7, value = ?8",
            (
                &entry.key,
                &entry.from_node_id,
                stored(entry.created_at),
                stored(entry.updated_at),
                entry.ttl.map(stored),
                entry.expires_at.map(stored),
                stored(entry.version),
                &entry.value,
            ),
            entry.key.len() + entry.value.len(),
        )?;
        self.changed.context += (entry.key.len() + entry.value.len()) as u64 + EXPORT_OVERHEAD;
        Ok(())
    }

    /// Removes an entry of `size` bytes of key and value.
    pub(crate) fn delete_context(&mut self, key: &str, size: u64) -> Result<(), StoreError> {
        self.run("DELETE FROM context WHERE key = ?1", [key], 0)?;
        self.changed.context += size + EXPORT_OVERHEAD;
        Ok(())
    }

    /// Removes all entries, `size` bytes of keys and values together.
    pub(crate) fn clear_context(&mut self, size: u64) -> Result<(), StoreError> {
        self.run("DELETE FROM context", [], 0)?;
        self.changed.context += size;
        Ok(())
    }

    /// Remembers the highest version that was given out, for when the entry that has it is gone.
    pub(crate) const fn set_counter(&mut self, version: u64) {
        self.counter = Some(version);
    }

    pub(super) fn put_peer(&mut self, peer: &PeerInfo) -> Result<(), StoreError> {
        let json = serde_json::to_string(peer).map_err(|error| StoreError::Failed { path: self.path.to_owned(), reason: error.to_string() })?;
        self.run("INSERT INTO peers(node_id, json) VALUES (?1, ?2) ON CONFLICT(node_id) DO UPDATE SET json = ?2", (peer.node_id.as_str(), &json), json.len())?;
        self.changed.peers += json.len() as u64 + EXPORT_OVERHEAD;
        Ok(())
    }

    pub(super) fn delete_peer(&mut self, node_id: &NodeId) -> Result<(), StoreError> {
        self.run("DELETE FROM peers WHERE node_id = ?1", [node_id.as_str()], 0)?;
        self.changed.peers += EXPORT_OVERHEAD;
        Ok(())
    }

    pub(super) fn put_kv(&mut self, name: &str, json: &str) -> Result<(), StoreError> {
        self.run("INSERT INTO kv(name, json) VALUES (?1, ?2) ON CONFLICT(name) DO UPDATE SET json = ?2", (name, json), json.len())
    }

    pub(super) fn delete_kv(&mut self, name: &str) -> Result<(), StoreError> {
        self.run("DELETE FROM kv WHERE name = ?1", [name], 0)
    }

    pub(super) fn put_record(&mut self, kind: Kind, id: &str, json: &str) -> Result<(), StoreError> {
        let sql = match kind {
            Kind::Task => "INSERT INTO tasks(id, json) VALUES (?1, ?2) ON CONFLICT(id) DO UPDATE SET json = ?2",
            Kind::Approval => "INSERT INTO approvals(id, json) VALUES (?1, ?2) ON CONFLICT(id) DO UPDATE SET json = ?2",
        };
        self.run(sql, [id, json], json.len())
    }

    pub(super) fn delete_record(&mut self, kind: Kind, id: &str) -> Result<(), StoreError> {
        let sql = match kind {
            Kind::Task => "DELETE FROM tasks WHERE id = ?1",
            Kind::Approval => "DELETE FROM approvals WHERE id = ?1",
        };
        self.run(sql, [id], 0)
    }

    /// Writes what is left for the end. Returns whether anything was written at all.
    pub(super) fn finish(&mut self) -> Result<bool, StoreError> {
        if let Some(version) = self.counter.take() {
            self.run("UPDATE meta SET value = ?1 WHERE name = 'counter'", [stored(version)], 0)?;
        }
        Ok(self.logged > 0)
    }

    fn run(&mut self, sql: &str, params: impl Params, bytes: usize) -> Result<(), StoreError> {
        let done = self.conn.prepare_cached(sql).and_then(|mut statement| statement.execute(params));
        done.map_err(|error| StoreError::of_write(self.path, &error))?;
        self.logged += PAGE_BYTES * (1 + bytes as u64 / PAGE_BYTES);
        Ok(())
    }
}

/// Reads the highest version given out before entries were deleted.
pub(super) fn counter(conn: &Connection) -> rusqlite::Result<u64> {
    conn.query_row("SELECT value FROM meta WHERE name = 'counter'", [], |row| unsigned(row, 0)).optional().map(|found| found.flatten().unwrap_or_default())
}

/// Reads a number that may be absent and is never negative.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let number: Option<i64> = row.get(column)?;
    number.map(|number| u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))).transpose()
}

/// SQLite's integers are signed; a later time than that means never.
fn stored(number: Millis) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
