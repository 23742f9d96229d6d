//! What the changes of one transaction decided so far, on top of what is committed. Only the store's writer looks at it; readers see committed entries only.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use loopsy_shared::{
    config,
    time::{self, Millis},
};

use super::{
    error::ContextError,
    table::{Meta, Table, Usage},
};

/// The state after the changes of one transaction.
#[derive(Debug, Default)]
pub(super) struct Pending {
    batch: u64,
    /// One moment for the whole transaction, so that nothing expires between two decisions.
    pub(super) now: Millis,
    rows: HashMap<Arc<str>, Option<Meta>>,
    /// Whether all that is committed is to go.
    cleared: bool,
    pub(super) usage: Usage,
    version: u64,
    next_seq: u64,
}

impl Pending {
    /// Begins again with what is committed, if this is another transaction than the last time.
    pub(super) fn begin(&mut self, batch: u64, table: &Table) {
        if self.batch == batch {
            return;
        }
        let now = time::now();
        *self = Self { batch, now, usage: table.usage(now), version: table.version, next_seq: table.next_seq, ..Self::default() };
    }

    /// What is stored under a key, expired or not.
    pub(super) fn stored(&self, table: &Table, key: &str) -> Option<Meta> {
        match self.rows.get(key) {
            Some(decided) => *decided,
            None if self.cleared => None,
            None => table.find(key).map(|row| row.meta),
        }
    }

    /// What a reader would find under a key.
    pub(super) fn live(&self, table: &Table, key: &str) -> Option<Meta> {
        self.stored(table, key).filter(|meta| meta.is_live(self.now))
    }

    /// The next version.
    pub(super) fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// The place of a key that is new.
    pub(super) fn next_seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq - 1
    }

    /// Counts an entry in, in place of `before`.
    pub(super) fn put(&mut self, key: Arc<str>, meta: Meta, before: Option<Meta>) {
        if let Some(before) = before {
            self.usage.remove(before.size);
        }
        self.usage.add(meta.size);
        self.rows.insert(key, Some(meta));
    }

    /// Counts an entry out.
    pub(super) fn remove(&mut self, key: Arc<str>, was: Meta) {
        if was.is_live(self.now) {
            self.usage.remove(was.size);
        }
        self.rows.insert(key, None);
    }

    /// Counts everything out.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.cleared = true;
        self.usage = Usage::default();
    }

    /// Every key that a reader would find, in no order.
    pub(super) fn live_keys(&self, table: &Table) -> HashSet<Arc<str>> {
        let decided = self.rows.iter().filter(|(_, meta)| meta.is_some_and(|meta| meta.is_live(self.now))).map(|(key, _)| Arc::clone(key));
        let committed = table.live_keys(self.now).filter(|key| !self.cleared && !self.rows.contains_key(*key)).map(Arc::clone);
        decided.chain(committed).collect()
    }

    /// Whether there may be as much as `after`. What is above a limit that was lowered may still shrink.
    pub(super) fn check(&self, limits: &config::Context, after: Usage) -> Result<(), ContextError> {
        if after.entries > limits.max_entries && after.entries > self.usage.entries {
            return Err(ContextError::TooMany { of: "entries", limit: limits.max_entries as u64, setting: "context.maxEntries" });
        }
        if after.bytes > limits.max_bytes && after.bytes > self.usage.bytes {
            return Err(ContextError::TooMany { of: "bytes", limit: limits.max_bytes, setting: "context.maxBytes" });
        }
        Ok(())
    }
}
