//! From files to a database that can be trusted, or to a sentence about why not. Nothing starts empty because a file did not parse.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use loopsy_shared::{
    api::{context::ContextEntry, peers::PeerInfo},
    paths::DataDir,
    text, time,
};
use rusqlite::{Connection, ErrorCode, Row};
use tracing::{info, warn};

use super::{
    Loaded, StoreError,
    damage::{self, COMPANIONS, beside},
    export::sync_directory,
    import, schema,
    tx::{self, Tx},
};

/// What opening found.
pub(super) struct Opened {
    pub(super) conn: Connection,
    pub(super) loaded: Loaded,
    /// The highest version given out.
    pub(super) counter: u64,
    /// Whether the exports may be behind.
    pub(super) doubtful: bool,
}

pub(super) fn open(dir: &DataDir) -> Result<Opened, StoreError> {
    let path = dir.store();
    secure(dir)?;
    if !path.try_exists().map_err(|error| StoreError::unopened(&path, error))? {
        create(dir)?;
    }
    let doubtful = fs::metadata(beside(&path, "-wal")).is_ok_and(|log| log.len() > 0);
    read(&path, doubtful).map_err(|failure| match failure {
        Failure::Damaged(reason) => StoreError::Corrupt {
            kept: damage::keep(&path),
            reason,
            advice: format!(
                "To go on with the last export (`context.json` and `peers.json` beside it), move `{0}`, `{0}-wal` and `{0}-shm` away and start again: the export is imported then.",
                path.display()
            ),
            path: path.clone(),
        },
        Failure::Newer(found) => StoreError::Newer { path: path.clone(), found, known: schema::newest() },
        Failure::Other(error) => StoreError::unopened(&path, error),
    })
}

enum Failure {
    Damaged(String),
    Newer(u32),
    Other(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let unreadable = matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::QueryReturnedNoRows
        );
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => Self::Damaged(plain(&error)),
            None if unreadable => Self::Damaged(plain(&error)),
            _ => Self::Other(error),
        }
    }
}

/// Checks the database and reads all of it. The connection of a damaged one is closed without a change to it.
fn read(path: &Path, doubtful: bool) -> Result<Opened, Failure> {
    let conn = schema::connect(path)?;
    let found = schema::version(&conn)?.ok_or_else(|| Failure::Damaged("it is not a store of Loopsy".to_owned()))?;
    if found > schema::newest() {
        return Err(Failure::Newer(found));
    }
    let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Failure::Damaged(text::inert(verdict.trim()).into_owned()));
    }
    schema::migrate(&conn, found)?;
    schema::tune(&conn)?;
    let entries = all(&conn, "SELECT key, from_node_id, created_at, updated_at, ttl, expires_at, version, value FROM context ORDER BY seq", entry)?;
    let peers = all(&conn, "SELECT json FROM peers ORDER BY seq", |row| row.get::<_, String>(0))?;
    let peers = peers.iter().map(|json| serde_json::from_str(json)).collect::<Result<Vec<PeerInfo>, _>>();
    let peers = peers.map_err(|error| Failure::Damaged(format!("a peer in it does not parse ({error})")))?;
    let kv = all(&conn, "SELECT name, json FROM kv", |row| Ok((row.get(0)?, row.get(1)?)))?;
    let tasks = all(&conn, "SELECT json FROM tasks ORDER BY seq", |row| row.get(0))?;
    let approvals = all(&conn, "SELECT json FROM approvals ORDER BY seq", |row| row.get(0))?;
    let counter = entries.iter().map(|entry| entry.version).max().unwrap_or_default().max(tx::counter(&conn)?);
    let loaded = Loaded { entries, peers, kv: BTreeMap::from_iter(kv), tasks, approvals };
    Ok(Opened { conn, loaded, counter, doubtful })
}

fn all<T>(conn: &Connection, sql: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> rusqlite::Result<Vec<T>> {
    conn.prepare(sql)?.query_map([], read)?.collect()
}

fn entry(row: &Row<'_>) -> rusqlite::Result<ContextEntry> {
    Ok(ContextEntry {
        key: row.get(0)?,
        from_node_id: row.get(1)?,
        created_at: tx::unsigned(row, 2)?.unwrap_or_default(),
        updated_at: tx::unsigned(row, 3)?.unwrap_or_default(),
        ttl: tx::unsigned(row, 4)?,
        expires_at: tx::unsigned(row, 5)?,
        version: tx::unsigned(row, 6)?.unwrap_or_default(),
        value: row.get(7)?,
    })
}

/// Makes the database under another name, with what earlier exports have, and gives it its name once all of it is on disk.
fn create(dir: &DataDir) -> Result<(), StoreError> {
    let path = dir.store();
    let entries = import::context(&dir.context_json())?;
    let peers = import::peers(&dir.peers_json())?;
    let fresh = beside(&path, ".new");
    let clear = || COMPANIONS.iter().for_each(|suffix| drop(fs::remove_file(beside(&fresh, suffix))));
    clear();
    let io = |error: io::Error| StoreError::unopened(&path, error);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).map_err(io).and_then(|file| {
        fill(&fresh, &path, &entries, &peers)?;
        file.sync_all().map_err(io)?;
        set_aside_stale_log(&path).map_err(io)?;
        fs::rename(&fresh, &path).and_then(|()| sync_directory(&path)).map_err(io)
    });
    if made.is_err() {
        clear();
    } else if !entries.is_empty() || !peers.is_empty() {
        info!(entries = entries.len(), peers = peers.len(), "imported an earlier data directory");
    }
    made
}

fn fill(fresh: &Path, path: &Path, entries: &[ContextEntry], peers: &[PeerInfo]) -> Result<(), StoreError> {
    let sql = |error: rusqlite::Error| StoreError::of_write(path, &error);
    let conn = Connection::open(fresh).map_err(sql)?;
    conn.pragma_update(None, "page_size", 4096).map_err(sql)?;
    conn.pragma_update(None, "synchronous", "OFF").map_err(sql)?;
    conn.pragma_update(None, "journal_mode", "MEMORY").map_err(sql)?;
    conn.execute_batch("BEGIN").map_err(sql)?;
    for statements in schema::MIGRATIONS {
        conn.execute_batch(statements).map_err(sql)?;
    }
    conn.execute("UPDATE meta SET value = ?1 WHERE name = 'schema'", [schema::newest()]).map_err(sql)?;
    let mut tx = Tx::new(&conn, path, 0);
    entries.iter().try_for_each(|entry| tx.put_context(entry))?;
    peers.iter().try_for_each(|peer| tx.put_peer(peer))?;
    conn.execute_batch("COMMIT").map_err(sql)?;
    conn.pragma_update(None, "journal_mode", "WAL").map_err(sql)?;
    conn.flush_prepared_statement_cache();
    conn.close().map_err(|(_conn, error)| sql(error))
}

/// A log whose database is gone must not be replayed into another one.
fn set_aside_stale_log(path: &Path) -> io::Result<()> {
    let log = beside(path, "-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let kept = beside(path, &format!(".corrupt-{}-wal", time::now()));
        warn!(file = %log.display(), kept = %kept.display(), "a log without its database was set aside");
        fs::rename(&log, &kept)?;
    }
    for suffix in ["-wal", "-shm"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Makes the directory, and takes from others what they may have been allowed.
fn secure(dir: &DataDir) -> Result<(), StoreError> {
    let path = dir.path();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| StoreError::unopened(path, error))?;
    restrict(path, 0o700)?;
    for file in [dir.context_json(), dir.peers_json()] {
        restrict(&file, 0o600)?;
    }
    COMPANIONS.iter().try_for_each(|suffix| restrict(&beside(&dir.store(), suffix), 0o600))
}

fn restrict(path: &Path, mode: u32) -> Result<(), StoreError> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::unopened(path, error)),
    };
    if found.permissions().mode() & 0o777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|error| StoreError::unopened(path, error))
}

fn plain(error: &rusqlite::Error) -> String {
    text::inert(&error.to_string()).into_owned()
}
