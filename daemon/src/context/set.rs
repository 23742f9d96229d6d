//! Storing one entry.

use std::sync::Arc;

use bytes::Bytes;
use loopsy_shared::api::{context::ContextEntry, events::Event};
use tokio::sync::oneshot;

use super::{
    Core,
    error::ContextError,
    pending::Pending,
    render::Head,
    table::{Meta, Row, Table},
};
use crate::store::{Change, StoreError, Tx};

pub(super) struct Set {
    pub(super) core: Arc<Core>,
    pub(super) key: Arc<str>,
    /// Complete but for times and version.
    pub(super) entry: ContextEntry,
    pub(super) head: Head,
    pub(super) if_version: Option<u64>,
    pub(super) outcome: Result<Option<Meta>, ContextError>,
    pub(super) reply: oneshot::Sender<Result<Bytes, ContextError>>,
}

impl Set {
    /// Decides. Returns what the key has now, and whether an expired entry has to go first.
    fn decide(&mut self, pending: &mut Pending, table: &Table) -> Result<(Meta, Option<Meta>), ContextError> {
        let stored = pending.stored(table, &self.key);
        let before = stored.filter(|meta| meta.is_live(pending.now));
        let current = before.map_or(0, |meta| meta.version);
        if let Some(expected) = self.if_version.filter(|expected| *expected != current) {
            return Err(ContextError::VersionMismatch { key: self.entry.key.clone(), expected, current });
        }
        let size = (self.entry.key.len() + self.entry.value.len()) as u64;
        let mut after = pending.usage;
        if let Some(before) = before {
            after.remove(before.size);
        }
        after.add(size);
        pending.check(&self.core.limits(), after)?;
        let meta = Meta {
            seq: before.map_or_else(|| pending.next_seq(), |meta| meta.seq),
            created_at: before.map_or(pending.now, |meta| meta.created_at),
            expires_at: self.entry.ttl.map(|ttl| pending.now.saturating_add(ttl.saturating_mul(1000))),
            version: pending.next_version(),
            size,
        };
        pending.put(Arc::clone(&self.key), meta, before);
        self.entry.created_at = meta.created_at;
        self.entry.updated_at = pending.now;
        self.entry.expires_at = meta.expires_at;
        self.entry.version = meta.version;
        Ok((meta, stored.filter(|_| before.is_none())))
    }
}

impl Change for Set {
    fn apply(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let core = Arc::clone(&self.core);
        match core.decide(tx, |pending, table| self.decide(pending, table)) {
            Ok((meta, expired)) => {
                self.outcome = Ok(Some(meta));
                if let Some(expired) = expired {
                    tx.delete_context(&self.entry.key, expired.size)?;
                }
                tx.put_context(&self.entry)
            }
            Err(refusal) => {
                self.outcome = Err(refusal);
                Ok(())
            }
        }
    }

    fn end(self: Box<Self>, result: Result<(), StoreError>) {
        let done = match (result, self.outcome) {
            (Ok(()), Ok(Some(meta))) => {
                let json = self.head.finish(&self.entry);
                let bytes = json.bytes();
                self.core.write().put(Row { key: self.key, meta, json });
                self.core.events.publish(Event::ContextChanged { entry: self.entry });
                Ok(bytes)
            }
            (Ok(()), Err(refusal)) => Err(refusal),
            (Ok(()), Ok(None)) => Err(StoreError::Closed.into()),
            (Err(failure), _) => Err(failure.into()),
        };
        let _gone = self.reply.send(done);
    }
}
