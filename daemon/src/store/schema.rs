//! The tables of `loopsy.db`, how they came to be, and how a connection is set up.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

/// Statements that make version n+1 from version n. Only ever appended to.
pub(super) const MIGRATIONS: &[&str] = &[
    // 1: `value` comes last, so that the rest of a row is read without the pages of a long value. `seq` is the order of insertion.
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE context(
         seq INTEGER PRIMARY KEY,
         key TEXT NOT NULL UNIQUE,
         from_node_id TEXT NOT NULL,
         created_at INTEGER NOT NULL,
         updated_at INTEGER NOT NULL,
         ttl INTEGER,
         expires_at INTEGER,
         version INTEGER NOT NULL,
         value TEXT NOT NULL
     ) STRICT;
     CREATE TABLE peers(seq INTEGER PRIMARY KEY, node_id TEXT NOT NULL UNIQUE, json TEXT NOT NULL) STRICT;
     CREATE TABLE kv(name TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT, WITHOUT ROWID;
     INSERT INTO meta(name, value) VALUES ('schema', 0), ('counter', 0);",
    // 2: what agents did and asked.
    "CREATE TABLE tasks(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, json TEXT NOT NULL) STRICT;
     CREATE TABLE approvals(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, json TEXT NOT NULL) STRICT;",
];

/// How long another program (`sqlite3`, a backup) may hold a lock before a write gives up.
const BUSY: Duration = Duration::from_secs(2);

/// The version that this program writes.
pub(super) fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Opens a database file that exists.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY)?;
    // Closing after a failure must not write a doubtful log into the database.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(conn)
}

/// Settings of the writer's connection. Checkpoints are made by the writer itself, because SQLite hides their failures when it makes them. The log is
/// reused at a size that a checkpoint leaves behind, since overwriting is cheaper to sync than growing.
pub(super) fn tune(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update(None, "cache_size", -1024)?;
    conn.pragma_update(None, "mmap_size", 0)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(None, "journal_size_limit", 8 << 20)?;
    Ok(())
}

/// The version of the database; `None` when it is not one of ours.
pub(super) fn version(conn: &Connection) -> rusqlite::Result<Option<u32>> {
    let ours: bool = conn.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'meta'", [], |row| row.get(0))?;
    if !ours {
        return Ok(None);
    }
    conn.query_row("SELECT value FROM meta WHERE name = 'schema'", [], |row| row.get(0)).map(Some)
}

/// Brings the database from `found` to the newest version, all or nothing.
pub(super) fn migrate(conn: &Connection, found: u32) -> rusqlite::Result<()> {
    if found >= newest() {
        return Ok(());
    }
    let transaction = conn.unchecked_transaction()?;
    for statements in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        transaction.execute_batch(statements)?;
    }
    transaction.execute("UPDATE meta SET value = ?1 WHERE name = 'schema'", [newest()])?;
    transaction.commit()
}
