//! Storing many entries at once, all or none.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use loopsy_shared::api::{
    context::{ContextEntry, ContextKey, Imported, MAX_VALUE_BYTES},
    events::Event,
};
use tokio::sync::oneshot;

use super::{
    Core,
    error::ContextError,
    pending::Pending,
    render::Head,
    table::{Meta, Row, Table, Usage},
};
use crate::store::{Change, StoreError, Tx};

pub(super) struct Import {
    pub(super) core: Arc<Core>,
    pub(super) lines: Vec<Line>,
    pub(super) replace: bool,
    pub(super) outcome: Result<Outcome, ContextError>,
    pub(super) reply: oneshot::Sender<Result<Imported, ContextError>>,
}

/// One entry of the import.
pub(super) struct Line {
    key: Arc<str>,
    entry: ContextEntry,
    head: Head,
    /// Set when it was decided that it is stored.
    meta: Option<Meta>,
}

impl Line {
    /// Bytes of the value.
    pub(super) const fn bytes(&self) -> usize {
        self.entry.value.len()
    }
}

/// What was decided.
#[derive(Default)]
pub(super) struct Outcome {
    removed: Vec<Arc<str>>,
    expired: usize,
    version: u64,
}

/// Checks entries and renders them. Of a key that comes twice, the last value takes the first place.
pub(super) fn prepare(from: &str, entries: Vec<ContextEntry>) -> Result<Vec<Line>, ContextError> {
    let mut places = HashMap::new();
    let mut lines: Vec<Line> = Vec::with_capacity(entries.len());
    for (index, mut entry) in entries.into_iter().enumerate() {
        ContextKey::try_from(entry.key.clone()).map_err(|reason| ContextError::BadEntry { position: index + 1, reason })?;
        if entry.value.len() > MAX_VALUE_BYTES {
            return Err(ContextError::ValueTooLarge { key: entry.key, bytes: entry.value.len() });
        }
        if entry.from_node_id.is_empty() {
            from.clone_into(&mut entry.from_node_id);
        }
        entry.ttl = entry.ttl.filter(|ttl| *ttl > 0);
        let lifetime = entry.ttl.map(|ttl| ttl.saturating_mul(1000));
        entry.expires_at = entry.expires_at.or_else(|| lifetime.map(|lifetime| entry.updated_at.saturating_add(lifetime)));
        let line = Line { key: Arc::from(entry.key.as_str()), head: Head::new(&entry), entry, meta: None };
        let place = *places.entry(Arc::clone(&line.key)).or_insert(lines.len());
        match lines.get_mut(place) {
            Some(known) => *known = line,
            None => lines.push(line),
        }
    }
    Ok(lines)
}

impl Import {
    fn decide(&mut self, pending: &mut Pending, table: &Table) -> Result<(Outcome, Vec<Arc<str>>), ContextError> {
        let now = pending.now;
        let mut after = if self.replace { Usage::default() } else { pending.usage };
        let mut expired = 0;
        for line in &mut self.lines {
            line.meta = None;
            if line.entry.expires_at.is_some_and(|at| at <= now) {
                expired += 1;
                continue;
            }
            if let Some(before) = pending.live(table, &line.key).filter(|_| !self.replace) {
                after.remove(before.size);
            }
            let size = (line.entry.key.len() + line.entry.value.len()) as u64;
            after.add(size);
            line.meta = Some(Meta { seq: 0, created_at: line.entry.created_at, expires_at: line.entry.expires_at, version: 0, size });
        }
        pending.check(&self.core.limits(), after)?;

        let mut outcome = Outcome { removed: Vec::new(), expired, version: 0 };
        if self.replace {
            let kept: HashSet<&str> = self.lines.iter().filter(|line| line.meta.is_some()).map(|line| &*line.key).collect();
            outcome.removed = pending.live_keys(table).into_iter().filter(|key| !kept.contains(&**key)).collect();
            pending.clear();
            outcome.version = pending.next_version();
        }
        // Keys whose expired entry has to go, so that they come last in the order.
        let mut stale = Vec::new();
        for line in &mut self.lines {
            let Some(meta) = &mut line.meta else { continue };
            let stored = pending.stored(table, &line.key);
            let before = stored.filter(|meta| meta.is_live(now));
            if stored.is_some() && before.is_none() {
                stale.push(Arc::clone(&line.key));
            }
            meta.seq = before.map_or_else(|| pending.next_seq(), |before| before.seq);
            meta.version = pending.next_version();
            line.entry.version = meta.version;
            pending.put(Arc::clone(&line.key), *meta, before);
        }
        Ok((outcome, stale))
    }
}

impl Change for Import {
    fn apply(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let core = Arc::clone(&self.core);
        match core.decide(tx, |pending, table| self.decide(pending, table)) {
            Ok((outcome, stale)) => {
                if self.replace {
                    let bytes = core.read().bytes();
                    tx.clear_context(bytes)?;
                    tx.set_counter(outcome.version);
                }
                self.outcome = Ok(outcome);
                stale.iter().try_for_each(|key| tx.delete_context(key, 0))?;
                self.lines.iter().filter(|line| line.meta.is_some()).try_for_each(|line| tx.put_context(&line.entry))
            }
            Err(refusal) => {
                self.outcome = Err(refusal);
                Ok(())
            }
        }
    }

    fn end(self: Box<Self>, result: Result<(), StoreError>) {
        let done = match (result, self.outcome) {
            (Ok(()), Ok(outcome)) => {
                let stored = self.lines.into_iter().filter_map(|line| {
                    let meta = line.meta?;
                    Some((Row { key: line.key, meta, json: line.head.finish(&line.entry) }, line.entry))
                });
                let (rows, entries): (Vec<Row>, Vec<ContextEntry>) = stored.unzip();
                let imported = Imported { stored: rows.len(), removed: outcome.removed.len(), expired: outcome.expired };
                {
                    let mut table = self.core.write();
                    if self.replace {
                        table.clear();
                        table.version = table.version.max(outcome.version);
                    }
                    rows.into_iter().for_each(|row| table.put(row));
                }
                for key in outcome.removed {
                    self.core.events.publish(Event::ContextRemoved { key: key.to_string() });
                }
                for entry in entries {
                    self.core.events.publish(Event::ContextChanged { entry });
                }
                Ok(imported)
            }
            (Ok(()), Err(refusal)) => Err(refusal),
            (Err(failure), _) => Err(failure.into()),
        };
        let _gone = self.reply.send(done);
    }
}
