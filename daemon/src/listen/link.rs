//! One connection as the gate sees it: where it comes from, what protects it, and whose it turned out to be.

use std::{net::IpAddr, sync::Arc};

use loopsy_shared::fingerprint::Fingerprint;
use tokio::sync::watch;

use super::places::Place;
use crate::trust::{Principal, Role, Trust};

/// A connection.
#[derive(Debug)]
pub struct Link {
    /// Where it comes from.
    pub from: IpAddr,
    /// What protects it.
    pub protection: Protection,
    place: Place,
    principal: watch::Sender<Option<Arc<Principal>>>,
}

/// What protects a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Nothing: plain HTTP.
    None,
    /// TLS. Whoever calls holds the key to this certificate, if it showed one.
    Tls(Option<Fingerprint>),
}

impl Link {
    pub(super) fn new(from: IpAddr, protection: Protection, place: Place) -> Self {
        Self { from: from.to_canonical(), protection, place, principal: watch::Sender::new(None) }
    }

    /// Notes whose key a request on this connection had.
    pub fn belongs_to(&self, principal: &Arc<Principal>) {
        self.place.authenticated((principal.role == Role::Peer).then_some(&principal.name));
        self.principal.send_if_modified(|known| {
            let differs = !known.as_ref().is_some_and(|known| Arc::ptr_eq(known, principal));
            if differs {
                *known = Some(Arc::clone(principal));
            }
            differs
        });
    }

    /// Waits until the key that was last used here opens nothing any more. Other rights for the same key are none of a connection's business.
    pub(super) async fn revoked(&self, trust: &Trust) -> Arc<Principal> {
        let mut principal = self.principal.subscribe();
        let mut known = principal.borrow_and_update().clone();
        loop {
            // The sender is `self`, so there is always another change to wait for.
            known = match known {
                Some(known) => tokio::select! {
                    () = known.revoked.cancelled() => match trust.successor(&known) {
                        Some(next) => Some(next),
                        None => return known,
                    },
                    _ = principal.changed() => principal.borrow_and_update().clone(),
                },
                None => {
                    let _changed = principal.changed().await;
                    principal.borrow_and_update().clone()
                }
            };
        }
    }

    /// Waits until this connection has to make room for another.
    pub(super) async fn evicted(&self) {
        self.place.evicted().cancelled().await;
    }
}
