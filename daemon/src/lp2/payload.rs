//! What is inside a seal: a confirmation with everything the other machine needs, or a refusal.

use std::net::IpAddr;

use loopsy_shared::{
    api::Scope,
    id::NodeId,
    secret::{Secret, parse_digest},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Identity, MOST_SEALED, Offer, VERSION};

/// Addresses at most.
const MOST_ADDRS: usize = 16;
/// Bytes that a seal adds.
const TAG: usize = 16;

/// What a machine that confirmed tells the other one.
#[derive(Debug)]
pub struct Payload {
    /// Its id, the same as in the handshake.
    pub node_id: NodeId,
    /// Its name, the same as in the handshake.
    pub hostname: String,
    /// Where it listens.
    pub port: u16,
    /// Its addresses, likeliest first.
    pub addrs: Vec<IpAddr>,
    /// The key that is to be presented to it.
    pub api_key: Secret,
    /// SHA-256 of its certificate, in 64 lower hex digits.
    pub cert_fingerprint: String,
    /// What that key opens there, as far as the words are known here.
    pub scopes: Vec<Scope>,
}

/// What a person's answer became.
#[derive(Debug)]
pub enum Verdict {
    /// Yes.
    Confirmed(Box<Payload>),
    /// No.
    Refused,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    v: u32,
    confirmed: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    node_id: Option<NodeId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    addrs: Option<Vec<IpAddr>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    api_key: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    cert_fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    scopes: Option<Vec<String>>,
}

/// The text of a confirmation; `None` when the other side would not accept it.
pub(super) fn confirmation(me: &Identity, offer: &Offer, minted: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    let text = write(&Wire {
        v: VERSION,
        confirmed: true,
        node_id: Some(me.node_id().clone()),
        hostname: Some(me.hostname().to_owned()),
        port: Some(offer.port),
        addrs: Some(offer.addrs.iter().take(MOST_ADDRS).copied().collect()),
        api_key: Some(minted.clone()),
        cert_fingerprint: Some(offer.cert_fingerprint.clone()),
        scopes: Some(offer.scopes.iter().map(|scope| scope.as_str().to_owned()).collect()),
    })?;
    matches!(parse(&text, me), Some(Verdict::Confirmed(_))).then_some(text)
}

/// The text of a refusal.
pub(super) fn refusal() -> Option<Zeroizing<Vec<u8>>> {
    write(&Wire { v: VERSION, ..Wire::default() })
}

/// Whether a text is a refusal.
pub(super) fn is_refusal(text: &[u8]) -> bool {
    text.len() + TAG <= MOST_SEALED && serde_json::from_slice::<Wire>(text).is_ok_and(|wire| wire.v == VERSION && !wire.confirmed)
}

fn write(wire: &Wire) -> Option<Zeroizing<Vec<u8>>> {
    // Room for the largest, so that it never moves and leaves a copy of the key behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MOST_SEALED));
    serde_json::to_writer(&mut *text, wire).ok()?;
    (text.len() + TAG <= MOST_SEALED).then_some(text)
}

/// Reads what was in a seal of the machine that the handshake knows as `peer`. `None` for anything an honest machine does not send.
pub fn parse(text: &[u8], peer: &Identity) -> Option<Verdict> {
    if text.len() + TAG > MOST_SEALED {
        return None;
    }
    let wire: Wire = serde_json::from_slice(text).ok()?;
    if wire.v != VERSION {
        return None;
    }
    if !wire.confirmed {
        return Some(Verdict::Refused);
    }
    let payload = Payload {
        node_id: wire.node_id.filter(|id| id == peer.node_id())?,
        hostname: wire.hostname.filter(|name| name == peer.hostname())?,
        port: wire.port.filter(|port| *port != 0)?,
        addrs: wire.addrs.filter(|addrs| addrs.len() <= MOST_ADDRS)?,
        api_key: wire.api_key.filter(is_key)?,
        cert_fingerprint: wire.cert_fingerprint.filter(|text| parse_digest(text).is_some_and(|digest| loopsy_shared::secret::hex(&digest) == *text))?,
        scopes: known(&wire.scopes?),
    };
    Some(Verdict::Confirmed(Box::new(payload)))
}

fn is_key(key: &Secret) -> bool {
    let text = key.reveal();
    text.starts_with("lpk_") && (20..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Words of a later version are passed over.
fn known(words: &[String]) -> Vec<Scope> {
    Scope::ALL.into_iter().filter(|scope| words.iter().any(|word| word == scope.as_str())).collect()
}
