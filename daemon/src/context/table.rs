//! The entries in memory: ordered by key and by age, each with its JSON ready to be sent. Plain data; nothing here waits or locks.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use bytes::Bytes;
use loopsy_shared::time::Millis;

use super::render::Rendered;

/// What is known of an entry beside its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    /// Its place in the order of age.
    pub(super) seq: u64,
    pub(super) created_at: Millis,
    pub(super) expires_at: Option<Millis>,
    pub(super) version: u64,
    /// Bytes of key and value.
    pub(super) size: u64,
}

impl Meta {
    pub(super) fn is_live(&self, now: Millis) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

/// An entry.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: Arc<str>,
    pub(super) meta: Meta,
    pub(super) json: Rendered,
}

/// How much there is that has not expired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) entries: usize,
    pub(super) bytes: u64,
}

impl Usage {
    pub(super) fn add(&mut self, size: u64) {
        self.entries += 1;
        self.bytes += size;
    }

    pub(super) fn remove(&mut self, size: u64) {
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
    }
}

/// All committed entries.
#[derive(Debug, Default)]
pub(super) struct Table {
    keys: BTreeMap<Arc<str>, Arc<Row>>,
    order: BTreeMap<u64, Arc<Row>>,
    expiry: BTreeSet<(Millis, u64)>,
    /// Bytes of keys and values.
    bytes: u64,
    /// Bytes of all JSON.
    rendered: u64,
    /// The highest version given out.
    pub(super) version: u64,
    /// The place of the next new key.
    pub(super) next_seq: u64,
}

impl Table {
    /// Puts a row in, in place of the one with its key.
    pub(super) fn put(&mut self, row: Row) {
        let row = Arc::new(row);
        self.remove(&row.key);
        self.bytes += row.meta.size;
        self.rendered += row.json.len() as u64;
        self.version = self.version.max(row.meta.version);
        self.next_seq = self.next_seq.max(row.meta.seq + 1);
        if let Some(at) = row.meta.expires_at {
            self.expiry.insert((at, row.meta.seq));
        }
        self.order.insert(row.meta.seq, Arc::clone(&row));
        self.keys.insert(Arc::clone(&row.key), row);
    }

    /// Takes a row out.
    pub(super) fn remove(&mut self, key: &str) -> Option<Arc<Row>> {
        let row = self.keys.remove(key)?;
        self.order.remove(&row.meta.seq);
        if let Some(at) = row.meta.expires_at {
            self.expiry.remove(&(at, row.meta.seq));
        }
        self.bytes = self.bytes.saturating_sub(row.meta.size);
        self.rendered = self.rendered.saturating_sub(row.json.len() as u64);
        Some(row)
    }

    /// Takes all rows out. Versions and places go on.
    pub(super) fn clear(&mut self) {
        *self = Self { version: self.version, next_seq: self.next_seq, ..Self::default() };
    }

    /// The row with a key, expired or not.
    pub(super) fn find(&self, key: &str) -> Option<&Arc<Row>> {
        self.keys.get(key)
    }

    /// The JSON of the live entries whose keys begin with `prefix`, oldest first.
    pub(super) fn list(&self, prefix: &str, now: Millis) -> Vec<Bytes> {
        let live = |row: &&Arc<Row>| row.meta.is_live(now);
        if prefix.is_empty() {
            return self.order.values().filter(live).map(|row| row.json.bytes()).collect();
        }
        let from = self.keys.range::<str, _>((Bound::Included(prefix), Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix));
        let mut rows: Vec<&Arc<Row>> = from.map(|(_, row)| row).filter(live).collect();
        rows.sort_unstable_by_key(|row| row.meta.seq);
        rows.into_iter().map(|row| row.json.bytes()).collect()
    }

    /// Keys of live entries.
    pub(super) fn live_keys(&self, now: Millis) -> impl Iterator<Item = &Arc<str>> {
        self.order.values().filter(move |row| row.meta.is_live(now)).map(|row| &row.key)
    }

    /// Keys of expired entries, at most `limit`.
    pub(super) fn expired(&self, now: Millis, limit: usize) -> Vec<Arc<str>> {
        self.expired_rows(now).take(limit).map(|row| Arc::clone(&row.key)).collect()
    }

    /// What has not expired.
    pub(super) fn usage(&self, now: Millis) -> Usage {
        let mut usage = Usage { entries: self.order.len(), bytes: self.bytes };
        self.expired_rows(now).for_each(|row| usage.remove(row.meta.size));
        usage
    }

    /// Bytes of all JSON and what an export adds.
    pub(super) fn export_size(&self, overhead: u64) -> u64 {
        self.rendered + self.order.len() as u64 * overhead
    }

    /// Bytes of all keys and values, expired or not.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn expired_rows(&self, now: Millis) -> impl Iterator<Item = &Arc<Row>> {
        self.expiry.range(..=(now, u64::MAX)).filter_map(|(_, seq)| self.order.get(seq))
    }
}
