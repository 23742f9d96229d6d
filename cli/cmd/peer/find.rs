//! Which peer a person means.

use loopsy_shared::{
    api::{Code, peers::PeerInfo},
    client::authority,
    names,
    text::inert,
};

use crate::error::Error;

/// Shortest beginning of a node id that stands for it.
const MIN_PREFIX: usize = 4;

/// The one peer with this name, node id, beginning of a node id, or address. Case does not matter. Who was only seen on the local network, and may call itself
/// anything, is meant only where no peer is.
pub(in crate::cmd) fn find<'a>(peers: &'a [PeerInfo], wanted: &str) -> Result<&'a PeerInfo, Error> {
    let same = |text: &str| text.eq_ignore_ascii_case(wanted);
    let begins = |id: &str| wanted.len() >= MIN_PREFIX && id.get(..wanted.len()).is_some_and(same);
    let tests: [&dyn Fn(&PeerInfo) -> bool; 4] =
        [&|peer| same(peer.node_id.as_str()), &|peer| same(&peer.hostname), &|peer| begins(peer.node_id.as_str()), &|peer| {
            same(&peer.address) || same(&authority(&peer.address, peer.port))
        }];
    for (candidate, test) in [false, true].into_iter().flat_map(|candidate| tests.iter().map(move |test| (candidate, test))) {
        let found: Vec<&PeerInfo> = peers.iter().filter(|peer| peer.candidate == candidate && test(peer)).collect();
        match found.as_slice() {
            [] => {}
            [peer] => return Ok(peer),
            several => {
                let ids: Vec<String> = several.iter().map(|peer| format!("`{}`", inert(peer.node_id.as_str()))).collect();
                return Err(refusal(Code::PeerAmbiguous, format!("More than one peer is called `{}`: {}.", inert(wanted), ids.join(", ")), "Use the node id."));
            }
        }
    }
    let near = names::nearest(wanted, peers.iter().map(|peer| peer.hostname.as_str()));
    let near = near.map(|name| format!(" Did you mean `{}`?", inert(name))).unwrap_or_default();
    Err(refusal(Code::PeerNotFound, format!("There is no peer `{}`.{near}", inert(wanted)), "List the peers with `loopsy peers`."))
}

pub(super) fn refusal(code: Code, message: String, hint: &str) -> Error {
    Error::Client(loopsy_shared::client::ClientError::Api(loopsy_shared::api::ApiError::new(code, message).hint(hint)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: &str, name: &str, address: &str) -> PeerInfo {
        let fields = serde_json::json!({
            "nodeId": id, "hostname": name, "address": address, "port": 1, "platform": "linux", "version": "1", "capabilities": [],
            "status": "unknown", "lastSeen": 0, "failureCount": 0, "trusted": false, "manuallyAdded": true,
        });
        serde_json::from_value(fields).expect("a peer")
    }

    #[test]
    fn a_peer_is_found_by_what_people_call_it() {
        let peers = [peer("abcd-1", "Kai", "10.0.0.1"), peer("abcd-2", "leo", "::1"), peer("ffff-3", "leo", "10.0.0.3")];
        let id = |wanted| find(&peers, wanted).map(|peer| peer.node_id.as_str().to_owned());
        assert_eq!(id("kai").expect("by name"), "abcd-1");
        assert_eq!(id("FFFF").expect("by prefix"), "ffff-3");
        assert_eq!(id("[::1]:1").expect("by address"), "abcd-2");
        let stranger = PeerInfo { candidate: true, ..peer("eeee-4", "kai", "10.0.0.4") };
        assert_eq!(find(&[stranger, peer("abcd-1", "Kai", "10.0.0.1")], "kai").expect("the peer").node_id.as_str(), "abcd-1");
        let said = |wanted| crate::error::explain(&id(wanted).expect_err("none"));
        assert_eq!(said("leo").code, Code::PeerAmbiguous.number());
        assert_eq!(said("abc").code, Code::PeerNotFound.number());
        assert!(said("kia").message.contains("`Kai`"));
    }
}
