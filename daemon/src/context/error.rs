//! Why a change of the context was refused.

use loopsy_shared::{api::context::MAX_VALUE_BYTES, text};

use crate::store::StoreError;

/// Why a change was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// There is no such entry.
    #[error("There is no entry `{}`.", text::inert(key))]
    NotFound {
        /// The key.
        key: String,
    },
    /// The value is too long.
    #[error("The value of `{}` has {bytes} bytes; at most {MAX_VALUE_BYTES} are possible.", text::inert(key))]
    ValueTooLarge {
        /// The key.
        key: String,
        /// Bytes of the value.
        bytes: usize,
    },
    /// The store is as full as it may be.
    #[error("The context store may have {limit} {of} (`{setting}` in config.yaml), and this would be more. Delete entries or raise the limit.")]
    TooMany {
        /// `entries` or `bytes`.
        of: &'static str,
        /// How many there may be.
        limit: u64,
        /// The config key of the limit.
        setting: &'static str,
    },
    /// The entry is not the one that the caller saw.
    #[error("{}", mismatch(key, *expected, *current))]
    VersionMismatch {
        /// The key.
        key: String,
        /// The version asked for; 0 for no entry.
        expected: u64,
        /// The version it has; 0 for no entry.
        current: u64,
    },
    /// An entry of an import cannot be stored.
    #[error("Entry {position} of the import cannot be stored: {reason}. Nothing was imported.")]
    BadEntry {
        /// Its place in the list, from 1.
        position: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn mismatch(key: &str, expected: u64, current: u64) -> String {
    let key = text::inert(key);
    match (expected, current) {
        (0, current) => format!("There is already an entry `{key}`, with version {current}. Read it, then set it with that `ifVersion`."),
        (expected, 0) => format!("The entry `{key}` with version {expected} is gone. Set it with `ifVersion` 0 to make it again."),
        (expected, current) => format!("The entry `{key}` has version {current}, not {expected}: somebody changed it. Read it, then try again."),
    }
}
