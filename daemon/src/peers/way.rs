//! In which way a peer is called: where it may be, and what protects the connection.

use std::sync::Arc;

use loopsy_shared::{
    api::peers::{Encryption, PeerInfo},
    client::Transport,
    fingerprint::Fingerprint,
};

use super::{Peer, PeerError, Peers};

/// Addresses that are tried for one peer.
const MOST_ADDRESSES: usize = 10;
/// Of these, what it said itself. The rest is for what is announced.
const MOST_TOLD: usize = 5;

/// What protects the connections to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// TLS with this certificate and no other.
    Pinned(Fingerprint),
    /// TLS with whoever answers.
    Encrypted,
    /// Plain HTTP.
    Plain,
}

impl Way {
    /// The word for people and programs.
    pub(super) const fn encryption(self) -> Encryption {
        match self {
            Self::Pinned(_) => Encryption::Pinned,
            Self::Encrypted => Encryption::Unpinned,
            Self::Plain => Encryption::None,
        }
    }
}

impl Peers {
    /// The ways in which a peer may be called, best first. A paired one has exactly one: it is never called without its pin again.
    ///
    /// # Errors
    /// It was paired, and its pin is gone from the config.
    pub(super) fn ways(&self, info: &PeerInfo) -> Result<Vec<Way>, PeerError> {
        let pin = info.principal.as_deref().and_then(|name| self.0.trust.pin(name));
        match pin {
            Some(pin) => Ok(vec![Way::Pinned(pin)]),
            None if info.paired => Err(PeerError::PinMissing(info.hostname.clone())),
            // One that could encrypt once is not talked out of it.
            None if self.0.config.borrow().tls.enabled && info.encryption == Encryption::Unpinned => Ok(vec![Way::Encrypted]),
            None => Ok(self.ways_to_anyone()),
        }
    }

    /// The ways in which a node may be called that nothing is known of, best first.
    pub(super) fn ways_to_anyone(&self) -> Vec<Way> {
        if self.0.config.borrow().tls.enabled { vec![Way::Encrypted, Way::Plain] } else { vec![Way::Plain] }
    }

    /// The pool for a peer in the way that is right for it now. Another pin means another pool: no old connection outlives it.
    ///
    /// # Errors
    /// As [`Peers::ways`].
    pub(super) fn transport(&self, peer: &mut Peer) -> Result<Transport, PeerError> {
        let ways = self.ways(&peer.info)?;
        match &peer.transport {
            Some((way, transport)) if ways.contains(way) => Ok(transport.clone()),
            _ => {
                let way = ways.first().copied().unwrap_or(Way::Plain);
                let transport = self.transport_for(way);
                (peer.client, peer.transport) = (None, Some((way, transport.clone())));
                Ok(transport)
            }
        }
    }

    /// A pool for connections of one kind.
    pub(super) fn transport_for(&self, way: Way) -> Transport {
        match way {
            Way::Pinned(pin) => Transport::pinned(Arc::clone(&self.0.tls), pin),
            Way::Encrypted => self.0.encrypted.clone(),
            Way::Plain => self.0.plain.clone(),
        }
    }

    /// Where a peer may be: where it was last, where it said that it can be, and where something with its id announces itself. Only for a paired one can the rest
    /// be tried, because only its certificate tells it from an impostor.
    pub(super) fn addresses(&self, info: &PeerInfo) -> Vec<(String, u16)> {
        let mut all = vec![(info.address.clone(), info.port)];
        if info.paired {
            // What it said itself comes first: anybody can announce anything.
            all.extend(info.addresses.iter().take(MOST_TOLD).map(|address| (address.clone(), info.port)));
            all.extend(self.0.sightings.get(&info.node_id).into_iter().flat_map(|seen| seen.addresses.into_iter().map(move |ip| (ip.to_string(), seen.port))));
        }
        let mut once = Vec::with_capacity(all.len());
        for place in all {
            if !once.contains(&place) {
                once.push(place);
            }
        }
        once.truncate(MOST_ADDRESSES);
        once
    }
}
