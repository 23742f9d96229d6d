//! Values that must not be printed: API keys, mostly.

use std::fmt;

use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// A credential. `Debug` and `Display` say `[redacted]`; [`Secret::reveal`] is the one way to the text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

/// SHA-256 of a credential: what the issuer keeps, and what a presented key is looked up by.
pub type KeyDigest = [u8; 32];

impl Secret {
    /// Wraps a text that somebody presented or typed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Makes a fresh key: `lpk_` and 32 random bytes in hex. The prefix keeps it a string in YAML and findable by scanners.
    pub fn generate() -> Self {
        let bytes: [u8; 32] = rand::rng().random();
        Self(format!("lpk_{}", hex(&bytes)))
    }

    /// The text itself. Only for the file or header it belongs to.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The digest under which the issuer knows this key.
    pub fn digest(&self) -> KeyDigest {
        digest(self.0.as_bytes())
    }
}

/// SHA-256 of a presented key.
pub fn digest(presented: &[u8]) -> KeyDigest {
    Sha256::digest(presented).into()
}

/// Lower-case hex of any bytes.
pub fn hex(bytes: &[u8]) -> String {
    // A table, because every request's line in the audit log passes here.
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Reads 64 hex digits; `None` when it is anything else.
pub fn parse_digest(text: &str) -> Option<KeyDigest> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut out = [0; 32];
    for (index, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(out)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_itself() {
        let key = Secret::generate();
        assert_eq!(format!("{key:?} {key}"), "[redacted] [redacted]");
        assert_eq!(key.reveal().len(), 68);
        assert_ne!(key, Secret::generate());
    }

    #[test]
    fn a_digest_survives_its_hex_form() {
        let digest = Secret::new("x").digest();
        assert_eq!(parse_digest(&hex(&digest)), Some(digest));
        assert_eq!(parse_digest("zz"), None);
    }
}
