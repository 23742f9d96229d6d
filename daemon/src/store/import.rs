//! Reads `context.json` and `peers.json` of an earlier installation, forgiving what the reference writes and refusing what does not parse.

use std::{collections::HashMap, fs, io, path::Path};

use loopsy_shared::{
    api::{
        context::ContextEntry,
        peers::{Encryption, PeerInfo, PeerStatus},
    },
    id::NodeId,
    text,
    time::Millis,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::{StoreError, damage};

/// A version above this was not given out by anybody, and numbers of JSON are not exact there.
const MAX_VERSION: u64 = 1 << 53;

/// Reads the entries of `context.json`; none when there is no such file. A key that comes twice has its last value in its first place.
pub(super) fn context(path: &Path) -> Result<Vec<ContextEntry>, StoreError> {
    let mut found: Vec<Entry> = array(path)?;
    found.iter_mut().filter(|entry| entry.version > MAX_VERSION).for_each(|entry| entry.version = 0);
    let mut highest = found.iter().map(|entry| entry.version).max().unwrap_or_default();
    let entries = found.into_iter().map(|entry| {
        let version = if entry.version > 0 {
            entry.version
        } else {
            highest += 1;
            highest
        };
        let ttl = entry.ttl.filter(|ttl| *ttl > 0);
        ContextEntry {
            key: entry.key,
            value: entry.value.unwrap_or_default(),
            from_node_id: entry.from_node_id,
            created_at: entry.created_at,
            updated_at: entry.updated_at,
            ttl,
            expires_at: entry.expires_at.or_else(|| ttl.map(|ttl| entry.updated_at.saturating_add(ttl.saturating_mul(1000)))),
            version,
        }
    });
    Ok(last_in_first_place(entries, |entry| entry.key.clone()))
}

/// Reads the peers of `peers.json`; none when there is no such file.
pub(super) fn peers(path: &Path) -> Result<Vec<PeerInfo>, StoreError> {
    let found: Vec<Peer> = array(path)?;
    let peers = found.into_iter().map(|peer| PeerInfo {
        hostname: peer.hostname.unwrap_or_else(|| peer.address.clone()),
        platform: peer.platform.unwrap_or_else(|| "unknown".to_owned()),
        version: peer.version.unwrap_or_else(|| "unknown".to_owned()),
        capabilities: peer.capabilities.unwrap_or_default(),
        status: match peer.status.as_deref() {
            Some("online") => PeerStatus::Online,
            Some("offline") => PeerStatus::Offline,
            _ => PeerStatus::Unknown,
        },
        last_seen: peer.last_seen,
        failure_count: u32::try_from(peer.failure_count).unwrap_or(u32::MAX),
        trusted: peer.trusted.unwrap_or_default(),
        manually_added: peer.manually_added.unwrap_or_default(),
        // A peer that was paired stays paired, so that it is never called without its pin.
        paired: peer.paired,
        candidate: false,
        encryption: Encryption::None,
        scopes: Vec::new(),
        addresses: peer.addresses,
        principal: peer.principal,
        last_error: peer.last_error,
        offline_since: peer.offline_since,
        node_id: peer.node_id,
        address: peer.address,
        port: peer.port,
    });
    Ok(last_in_first_place(peers, |peer| peer.node_id.to_string()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    key: String,
    #[serde(default, deserialize_with = "any_text")]
    value: Option<String>,
    #[serde(default)]
    from_node_id: String,
    #[serde(default, deserialize_with = "number")]
    created_at: Millis,
    #[serde(default, deserialize_with = "number")]
    updated_at: Millis,
    #[serde(default, deserialize_with = "maybe_number")]
    ttl: Option<u64>,
    #[serde(default, deserialize_with = "maybe_number")]
    expires_at: Option<Millis>,
    #[serde(default, deserialize_with = "number")]
    version: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Peer {
    node_id: NodeId,
    address: String,
    port: u16,
    hostname: Option<String>,
    platform: Option<String>,
    version: Option<String>,
    capabilities: Option<Vec<String>>,
    status: Option<String>,
    #[serde(default, deserialize_with = "number")]
    last_seen: Millis,
    #[serde(default, deserialize_with = "number")]
    failure_count: u64,
    trusted: Option<bool>,
    manually_added: Option<bool>,
    principal: Option<String>,
    last_error: Option<String>,
    #[serde(default, deserialize_with = "maybe_number")]
    offline_since: Option<Millis>,
    #[serde(default)]
    paired: bool,
    #[serde(default)]
    addresses: Vec<String>,
}

/// The reference stores whatever it is sent: a value that is not text becomes its JSON.
fn any_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => Some(text),
        Value::Null => None,
        other => Some(other.to_string()),
    })
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    maybe_number(from).map(Option::unwrap_or_default)
}

/// Fractions are rounded up; what is no number, or negative, counts as absent.
fn maybe_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(from)?;
    Ok(value.as_u64().or_else(|| value.as_f64().filter(|number| *number >= 0.0).map(|number| number.ceil() as u64)))
}

fn array<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, StoreError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::unopened(path, error)),
    };
    serde_json::from_slice(&bytes).map_err(|error| StoreError::Corrupt {
        path: path.to_owned(),
        reason: text::inert(&error.to_string()).into_owned(),
        kept: damage::keep(path),
        advice: "Nothing was imported. Correct the file, or move it away to start without it, then start again.".to_owned(),
    })
}

fn last_in_first_place<T>(all: impl Iterator<Item = T>, name: impl Fn(&T) -> String) -> Vec<T> {
    let mut places = HashMap::new();
    let mut kept: Vec<T> = Vec::new();
    for one in all {
        let place = *places.entry(name(&one)).or_insert(kept.len());
        match kept.get_mut(place) {
            Some(old) => *old = one,
            None => kept.push(one),
        }
    }
    kept
}
