//! Which peers there are, and which one a name means.

use loopsy_shared::{
    api::{
        health::PeerCounts,
        peers::{PeerInfo, PeerStatus},
    },
    client::authority,
    id::NodeId,
    names, text,
};

use super::{PeerError, Peers};

/// Shortest prefix of a node id that names a peer.
const SHORTEST_PREFIX: usize = 4;

impl Peers {
    /// All peers, oldest first, then who was only seen on the local network.
    pub fn list(&self) -> Vec<PeerInfo> {
        let mut all: Vec<PeerInfo> = self.table().iter().map(|peer| self.told(&peer.info)).collect();
        all.extend(self.candidates());
        all
    }

    /// One peer.
    pub fn get(&self, node_id: &NodeId) -> Option<PeerInfo> {
        self.table().iter().find(|peer| peer.info.node_id == *node_id).map(|peer| self.told(&peer.info))
    }

    /// Peers by state.
    pub fn counts(&self) -> PeerCounts {
        let candidates = self.candidates().len();
        let table = self.table();
        let of = |status| table.iter().filter(|peer| peer.info.status == status).count();
        PeerCounts { total: table.len(), candidates, online: of(PeerStatus::Online), offline: of(PeerStatus::Offline), unknown: of(PeerStatus::Unknown) }
    }

    /// The one peer that a name means: hostname in any case, node id, address, or the beginning of a node id. Where several have a name, the one that there is a
    /// key for is meant: nobody takes the name of a trusted peer by claiming it.
    ///
    /// # Errors
    /// None fits, or more than one.
    pub fn require(&self, name: &str) -> Result<PeerInfo, PeerError> {
        let all: Vec<PeerInfo> = self.table().iter().map(|peer| peer.info.clone()).collect();
        let address = |info: &PeerInfo| info.address.eq_ignore_ascii_case(name) || authority(&info.address, info.port).eq_ignore_ascii_case(name);
        let ways: [&dyn Fn(&PeerInfo) -> bool; 4] =
            [&|info| info.node_id.as_str() == name, &|info| info.hostname.eq_ignore_ascii_case(name), &address, &|info| {
                name.len() >= SHORTEST_PREFIX && info.node_id.as_str().starts_with(name)
            }];
        for way in ways {
            let fits: Vec<&PeerInfo> = all.iter().filter(|info| way(info)).collect();
            let trusted: Vec<&PeerInfo> = fits.iter().copied().filter(|info| info.trusted).collect();
            match (fits.as_slice(), trusted.as_slice()) {
                ([], _) => {}
                ([one], _) | (_, [one]) => return Ok((*one).clone()),
                (many, _) => {
                    let candidates = many.iter().map(|info| format!("`{}` ({})", info.hostname, info.node_id)).collect();
                    return Err(PeerError::Ambiguous { name: name.to_owned(), candidates });
                }
            }
        }
        if let [seen, ..] = self.0.sightings.find(name).as_slice() {
            return Err(PeerError::NotPaired(seen.hostname.clone()));
        }
        let near = names::nearest(name, all.iter().map(|info| info.hostname.as_str())).map(str::to_owned);
        Err(PeerError::NotFound { name: text::inert(name).into_owned(), near })
    }
}
