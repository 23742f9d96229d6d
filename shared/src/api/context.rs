//! Values under keys, shared between machines and agents.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Category, Done, Endpoint, Needs, Scope, Spec};
use crate::time::Millis;

const CONTEXT: Needs = Needs::Scope(Scope::Context);

/// Largest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// Longest key, in characters.
pub const MAX_KEY_CHARS: usize = 256;

/// A key: 1 to 256 characters, any of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct ContextKey(String);

impl ContextKey {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ContextKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.chars().count() {
            0 => Err("the key is empty; it must have 1 to 256 characters".to_owned()),
            1..=MAX_KEY_CHARS => Ok(Self(text)),
            count => Err(format!("the key has {count} characters; at most {MAX_KEY_CHARS} are possible")),
        }
    }
}

impl From<ContextKey> for String {
    fn from(key: ContextKey) -> Self {
        key.0
    }
}

impl fmt::Display for ContextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A whole number of seconds, 1 to 100 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "serde_json::Number", into = "u64")]
pub struct Ttl(u64);

impl Ttl {
    const MAX_SECONDS: u64 = 100 * 366 * 24 * 3600;

    /// From seconds.
    ///
    /// # Errors
    /// When it is 0 or above 100 years.
    pub fn from_seconds(seconds: u64) -> Result<Self, String> {
        if (1..=Self::MAX_SECONDS).contains(&seconds) { Ok(Self(seconds)) } else { Err(Self::complaint(seconds)) }
    }

    /// Seconds.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    fn complaint(given: impl fmt::Display) -> String {
        format!("ttl must be a positive whole number of seconds, at most 100 years, not {given}")
    }
}

impl TryFrom<serde_json::Number> for Ttl {
    type Error = String;

    fn try_from(number: serde_json::Number) -> Result<Self, String> {
        let whole = number.as_u64().or_else(|| number.as_f64().filter(|n| n.fract() == 0.0 && *n >= 1.0 && *n < 1e15).map(|n| n as u64));
        whole.ok_or_else(|| Self::complaint(&number)).and_then(Self::from_seconds)
    }
}

impl From<Ttl> for u64 {
    fn from(ttl: Ttl) -> Self {
        ttl.0
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContextEntry {
    /// The key.
    pub key: String,
    /// The value; may be empty.
    pub value: String,
    /// What the writer called itself (`x-loopsy-node-id`); nobody vouches for it.
    pub from_node_id: String,
    /// When it was first stored.
    pub created_at: Millis,
    /// When it was last stored.
    pub updated_at: Millis,
    /// Seconds it lives after an update.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ttl: Option<u64>,
    /// When it expires.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Millis>,
    /// Grows with every change of any entry of this node; for `ifVersion`.
    #[serde(default)]
    pub version: u64,
}

/// Stores a value under a key. The entry is on disk when the answer comes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetContext {
    /// The key.
    pub key: ContextKey,
    /// The value, at most 1 MiB of UTF-8. May be empty.
    pub value: String,
    /// Seconds until the entry expires; never, when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ttl: Option<Ttl>,
    /// Stores only if the entry has this version; 0 means only if there is none. The header `If-Match` says the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub if_version: Option<u64>,
}
impl Endpoint for SetContext {
    type Reply = ContextEntry;
    const SPEC: Spec = Spec::put("context.set", "/api/v1/context/{key}", CONTEXT).limited(Category::Context);
}

/// Reads one entry.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GetContext {
    /// The key.
    pub key: ContextKey,
}
impl Endpoint for GetContext {
    type Reply = ContextEntry;
    const SPEC: Spec = Spec::get("context.get", "/api/v1/context/{key}", CONTEXT).limited(Category::Context);
}

/// Removes one entry.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeleteContext {
    /// The key.
    pub key: ContextKey,
    /// Removes only if the entry has this version. The header `If-Match` says the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub if_version: Option<u64>,
}
impl Endpoint for DeleteContext {
    type Reply = Done;
    const SPEC: Spec = Spec::delete("context.delete", "/api/v1/context/{key}", CONTEXT).limited(Category::Context);
}

/// Lists entries, oldest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListContext {
    /// Only keys that begin with this.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prefix: Option<String>,
}
impl Endpoint for ListContext {
    type Reply = ContextEntries;
    const SPEC: Spec = Spec::get("context.list", "/api/v1/context", CONTEXT).limited(Category::Context);
}

/// Entries.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ContextEntries {
    /// Oldest first.
    pub entries: Vec<ContextEntry>,
}

/// Stores many entries at once, all or none, as an export wrote them. Expired ones are left out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ImportContext {
    /// The entries.
    pub entries: Vec<ContextEntry>,
    /// Also removes every entry that is not among them.
    #[serde(default)]
    pub replace: bool,
}
impl Endpoint for ImportContext {
    type Reply = Imported;
    const SPEC: Spec = Spec::post("context.import", "/api/v1/context", Needs::Admin);
}

/// What an import did.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// Entries stored.
    pub stored: usize,
    /// Entries removed.
    pub removed: usize,
    /// Entries left out because they had expired.
    pub expired: usize,
}
