//! Removing entries: one on request, many when they have expired.

use std::sync::Arc;

use loopsy_shared::api::events::Event;
use tokio::sync::oneshot;

use super::{
    Core,
    error::ContextError,
    pending::Pending,
    table::{Meta, Table},
};
use crate::store::{Change, StoreError, Tx};

/// Which entries to remove.
pub(super) enum What {
    /// One that a reader would find, if it has this version.
    One { key: Arc<str>, if_version: Option<u64> },
    /// Those of these that have expired.
    Expired(Vec<Arc<str>>),
}

pub(super) struct Remove {
    pub(super) core: Arc<Core>,
    pub(super) what: What,
    /// What is removed, and the version of the last removal.
    pub(super) outcome: Result<(Vec<Arc<str>>, u64), ContextError>,
    pub(super) reply: oneshot::Sender<Result<(), ContextError>>,
}

impl Remove {
    fn decide(&self, pending: &mut Pending, table: &Table) -> Result<Vec<(Arc<str>, Meta)>, ContextError> {
        match &self.what {
            What::One { key, if_version } => {
                let meta = pending.live(table, key).ok_or_else(|| ContextError::NotFound { key: key.to_string() })?;
                if let Some(expected) = if_version.filter(|expected| *expected != meta.version) {
                    return Err(ContextError::VersionMismatch { key: key.to_string(), expected, current: meta.version });
                }
                Ok(vec![(Arc::clone(key), meta)])
            }
            What::Expired(keys) => {
                let expired = keys.iter().filter_map(|key| Some((Arc::clone(key), pending.stored(table, key)?)));
                Ok(expired.filter(|(_, meta)| !meta.is_live(pending.now)).collect())
            }
        }
    }
}

impl Change for Remove {
    fn apply(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let core = Arc::clone(&self.core);
        let decided = core.decide(tx, |pending, table| {
            let gone = self.decide(pending, table)?;
            let mut version = 0;
            for (key, meta) in &gone {
                pending.remove(Arc::clone(key), *meta);
                version = pending.next_version();
            }
            Ok((gone, version))
        });
        match decided {
            Ok((gone, version)) => {
                if !gone.is_empty() {
                    tx.set_counter(version);
                }
                gone.iter().try_for_each(|(key, meta)| tx.delete_context(key, meta.size))?;
                self.outcome = Ok((gone.into_iter().map(|(key, _)| key).collect(), version));
            }
            Err(refusal) => self.outcome = Err(refusal),
        }
        Ok(())
    }

    fn end(self: Box<Self>, result: Result<(), StoreError>) {
        let done = match (result, self.outcome) {
            (Ok(()), Ok((gone, version))) => {
                {
                    let mut table = self.core.write();
                    gone.iter().for_each(|key| drop(table.remove(key)));
                    table.version = table.version.max(version);
                }
                for key in gone {
                    self.core.events.publish(Event::ContextRemoved { key: key.to_string() });
                }
                Ok(())
            }
            (Ok(()), Err(refusal)) => Err(refusal),
            (Err(failure), _) => Err(failure.into()),
        };
        let _gone = self.reply.send(done);
    }
}
