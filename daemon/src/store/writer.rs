//! The one thread that owns the database. It decides, commits in groups, tells everybody, and now and then moves the log into the database.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::{Connection, config::DbConfig};
use tracing::{error, warn};

use super::{Shared, StoreError, join, queue::Item, tx::Tx};

/// Longest wait for more changes once one is there.
const MAX_PATIENCE: Duration = Duration::from_millis(2);
/// The log is moved into the database when it has grown by about this much. More would make starts after a crash slower, less would sync more often.
const CHECKPOINT_BYTES: u64 = 4 << 20;

/// The writer thread's own state.
pub(super) struct Writer {
    conn: Connection,
    shared: Arc<Shared>,
    batch: u64,
    /// Bytes in the log since it was last moved, roughly.
    logged: u64,
    /// What a commit takes lately.
    commit_time: Duration,
}

impl Writer {
    pub(super) fn new(conn: Connection, shared: Arc<Shared>) -> Self {
        Self { conn, shared, batch: 0, logged: 0, commit_time: Duration::ZERO }
    }

    /// Runs until the queue is closed and empty.
    ///
    /// Writers that were just told come back within a fraction of a millisecond. So as many changes are expected for the next commit as were in the last
    /// one or came during it, and waiting for them, for no longer than a commit takes, costs less than a commit without them. One lone writer never waits.
    pub(super) fn run(mut self) {
        let _fuse = Fuse(Arc::clone(&self.shared));
        let mut expected = 1;
        while let Some(items) = self.shared.queue.take(expected, self.commit_time.min(MAX_PATIENCE)) {
            expected = items.len();
            self.commit(items);
            if self.logged >= CHECKPOINT_BYTES {
                self.checkpoint("PASSIVE");
            }
            expected += self.shared.queue.len();
        }
        self.close();
    }

    fn commit(&mut self, mut items: Vec<Item>) {
        let result = match self.shared.broken() {
            Some(broken) => Err(broken),
            None => self.transact(&mut items),
        };
        match result {
            // One long value may be what did not fit: each gets its own chance.
            Err(StoreError::Full { .. } | StoreError::Failed { .. }) if items.len() > 1 => {
                for item in items {
                    let mut alone = vec![item];
                    let result = match self.shared.broken() {
                        Some(broken) => Err(broken),
                        None => self.transact(&mut alone),
                    };
                    self.tell(alone, &result);
                }
            }
            result => self.tell(items, &result),
        }
    }

    fn tell(&self, items: Vec<Item>, result: &Result<(), StoreError>) {
        if let Err(failure) = result {
            self.shared.note(failure);
        }
        for item in items {
            item.change.end(result.clone());
        }
    }

    fn transact(&mut self, items: &mut [Item]) -> Result<(), StoreError> {
        self.batch += 1;
        let path = &self.shared.path;
        let mut tx = Tx::new(&self.conn, path, self.batch);
        let begun = Instant::now();
        let result = run(&self.conn, "BEGIN IMMEDIATE", path).and_then(|()| {
            for item in items {
                item.change.apply(&mut tx)?;
            }
            let written = tx.finish()?;
            run(&self.conn, "COMMIT", path)?;
            Ok(written)
        });
        let (logged, changed) = (tx.logged, tx.changed);
        match result {
            Ok(written) => {
                self.logged += logged;
                if written {
                    self.commit_time = (self.commit_time * 7 + begun.elapsed()) / 8;
                    self.shared.recovered();
                    self.shared.exporter.changed(changed);
                }
                Ok(())
            }
            Err(failure) => {
                if !self.conn.is_autocommit()
                    && let Err(undo) = run(&self.conn, "ROLLBACK", path)
                {
                    return Err(StoreError::ReadOnly { reason: undo.to_string() });
                }
                Err(failure)
            }
        }
    }

    /// Moves the log into the database. Its failures count, because a sync belongs to it.
    fn checkpoint(&mut self, mode: &str) {
        self.logged = 0;
        let moved = self.conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get::<_, bool>(0));
        match moved {
            Ok(false) => {}
            Ok(true) => warn!(file = %self.shared.path.display(), "another program reads the store for long; its log grows until that ends"),
            Err(failure) => {
                let failure = StoreError::of_write(&self.shared.path, &failure);
                warn!(%failure, "the log could not be moved into the store");
                self.shared.note(&failure);
            }
        }
    }

    /// Exports first: a log that is there at the next start says that the exports may be behind, so it goes only when they are not.
    fn close(mut self) {
        self.shared.exporter.stop();
        join(&self.shared.exporting);
        let exported = self.shared.exporter.failure().is_none();
        if exported && self.shared.broken().is_none() {
            self.checkpoint("TRUNCATE");
        }
        let clean = exported && self.shared.broken().is_none();
        if let Err(failure) = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !clean) {
            warn!(%failure, "the store keeps its log");
        }
        self.conn.flush_prepared_statement_cache();
        if let Err((_conn, failure)) = self.conn.close() {
            warn!(%failure, "the store did not close; its log stays and is read at the next start");
        }
    }
}

fn run(conn: &Connection, sql: &str, path: &std::path::Path) -> Result<(), StoreError> {
    let done = conn.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    done.map(drop).map_err(|error| StoreError::of_write(path, &error))
}

/// Ends the queue and the exporter even if the writer panics, so that nobody waits for ever.
struct Fuse(Arc<Shared>);

impl Drop for Fuse {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!("the store's writer failed");
            self.0.note(&StoreError::ReadOnly { reason: "an internal failure of the store's writer".to_owned() });
        }
        self.0.queue.abandon();
        self.0.exporter.stop();
    }
}
