//! Counts connections by source and knows which to give up first.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

/// Connections that may be open at the same time.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// From everywhere.
    all: usize,
    /// From one other machine.
    far: Share,
    /// From one address of this machine itself.
    near: Share,
    /// That have shown the key of one and the same peer.
    peer: usize,
    /// That have shown any peer's key. The rest is the owner's, who must always get in to remove one.
    peers: usize,
}

/// What one source may hold.
#[derive(Debug, Clone, Copy)]
struct Share {
    /// Those that have not shown a key yet.
    unknown: usize,
    /// Those that have.
    known: usize,
    /// Both.
    all: usize,
}

/// What counts unless a test says otherwise. This machine's own share leaves places for others.
const LIMITS: Limits =
    Limits { all: 512, far: Share { unknown: 32, known: 64, all: 96 }, near: Share { unknown: 256, known: 448, all: 448 }, peer: 64, peers: 384 };

impl Limits {
    fn share(&self, source: IpAddr) -> Share {
        if source.is_loopback() { self.near } else { self.far }
    }
}

/// All places for connections. Cheap to clone.
///
/// A newcomer that finds no room takes the place of the connection that has waited longest without showing a key, because an honest request shows its key
/// within a millisecond and a flood never does.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Mutex<Book>>);

impl Default for Places {
    fn default() -> Self {
        Self::within(LIMITS)
    }
}

impl Places {
    fn within(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(Book { limits, next: 0, count: 0, sources: HashMap::new(), peers: HashMap::new() })))
    }

    /// A place for a connection from this address; `None` when all are held by connections that showed a key.
    pub(super) fn admit(&self, from: IpAddr) -> Option<Place> {
        let source = source(from);
        let evicted = CancellationToken::new();
        let (number, gone) = self.book().admit(source, &evicted)?;
        // Outside the lock: it wakes a task.
        if let Some(gone) = gone {
            gone.cancel();
        }
        Some(Place { places: self.clone(), source, number, evicted, known: AtomicBool::new(false), peer: OnceLock::new() })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A counted connection; dropping it makes room.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    source: IpAddr,
    number: u64,
    evicted: CancellationToken,
    /// Only changed with the book open.
    known: AtomicBool,
    /// Whose key it showed, when it was a peer's.
    peer: OnceLock<String>,
}

impl Place {
    /// Fires when this connection must make room. It is not counted any more by then.
    pub(super) fn evicted(&self) -> CancellationToken {
        self.evicted.clone()
    }

    /// Notes that the connection has shown a key, so that it is not given up for others. `peer` says whose, unless it is the owner's.
    ///
    /// Where a source or a peer has as many of those as it may, the connection goes on counting as one without; calling this again on its next request tries again.
    pub(super) fn authenticated(&self, peer: Option<&str>) {
        if self.known.load(Ordering::Relaxed) {
            return;
        }
        let mut book = self.places.book();
        if book.authenticate(self.source, self.number, peer) {
            if let Some(peer) = peer {
                // It is set once, where `known` becomes true, with the book open.
                let _only_here = self.peer.set(peer.to_owned());
            }
            self.known.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let known = *self.known.get_mut();
        self.places.book().release(self.source, self.number, known, self.peer.get().map(String::as_str));
    }
}

/// Who counts as one: an address; of IPv6 a network of 2^64, because anybody can have that many.
fn source(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(far) if !far.is_loopback() => Ipv6Addr::from_bits(far.to_bits() & !u128::from(u64::MAX)).into(),
        near => near,
    }
}

#[derive(Debug)]
struct Book {
    limits: Limits,
    /// Number of the next connection: the smaller, the older.
    next: u64,
    count: usize,
    sources: HashMap<IpAddr, Held>,
    /// Connections that showed the key of each peer.
    peers: HashMap<String, usize>,
}

/// What a source holds.
#[derive(Debug, Default)]
struct Held {
    unknown: BTreeMap<u64, CancellationToken>,
    known: usize,
}

impl Book {
    /// The number of the new connection, and the token of the one that it replaces.
    fn admit(&mut self, source: IpAddr, token: &CancellationToken) -> Option<(u64, Option<CancellationToken>)> {
        let share = self.limits.share(source);
        let (unknown, known) = self.sources.get(&source).map_or((0, 0), |held| (held.unknown.len(), held.known));
        let gone = if unknown >= share.unknown || unknown + known >= share.all {
            Some(self.evict(source)?)
        } else if self.count >= self.limits.all {
            Some(self.evict(self.most_crowded()?)?)
        } else {
            None
        };
        let number = self.next;
        self.next += 1;
        self.count += 1;
        self.sources.entry(source).or_default().unknown.insert(number, token.clone());
        Some((number, gone))
    }

    /// The source with the most connections without a key; of equals the one whose oldest is the oldest. Looks at 512 at most, in some microseconds.
    fn most_crowded(&self) -> Option<IpAddr> {
        let waiting = self.sources.iter().filter_map(|(source, held)| Some((source, held.unknown.len(), held.unknown.first_key_value()?.0)));
        waiting.max_by_key(|(_, count, oldest)| (*count, Reverse(*oldest))).map(|(source, ..)| *source)
    }

    fn evict(&mut self, source: IpAddr) -> Option<CancellationToken> {
        let (_, token) = self.sources.get_mut(&source)?.unknown.pop_first()?;
        self.left(source);
        Some(token)
    }

    /// False where the connection has been given up, or its source has too many.
    fn authenticate(&mut self, source: IpAddr, number: u64, peer: Option<&str>) -> bool {
        let most = self.limits.share(source).known;
        let of_peers: usize = self.peers.values().sum();
        let full = |peer: &str| of_peers >= self.limits.peers || self.peers.get(peer).is_some_and(|held| *held >= self.limits.peer);
        if peer.is_some_and(full) {
            return false;
        }
        let Some(held) = self.sources.get_mut(&source) else { return false };
        if held.known >= most || held.unknown.remove(&number).is_none() {
            return false;
        }
        held.known += 1;
        if let Some(peer) = peer {
            *self.peers.entry(peer.to_owned()).or_default() += 1;
        }
        true
    }

    fn release(&mut self, source: IpAddr, number: u64, known: bool, peer: Option<&str>) {
        if let Some(held) = peer.filter(|_| known).and_then(|peer| self.peers.get_mut(peer)) {
            *held -= 1;
        }
        self.peers.retain(|_, held| *held > 0);
        let Some(held) = self.sources.get_mut(&source) else { return };
        if known {
            held.known -= 1;
        } else if held.unknown.remove(&number).is_none() {
            return;
        }
        self.left(source);
    }

    /// One of this source is gone; the last takes the source along, so that the book stays small.
    fn left(&mut self, source: IpAddr) {
        self.count -= 1;
        if self.sources.get(&source).is_some_and(|held| held.unknown.is_empty() && held.known == 0) {
            self.sources.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests;
