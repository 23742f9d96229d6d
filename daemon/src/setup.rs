//! Makes and repairs a data directory: what `loopsy init` does.

use std::io;

use loopsy_shared::{config::ConfigError, paths::DataDir};

/// What a person may say about a new node.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    /// `server.port`.
    pub port: Option<u16>,
    /// `server.host`.
    pub host: Option<String>,
    /// `server.hostname`.
    pub hostname: Option<String>,
    /// `discovery.enabled`; true when absent.
    pub discovery: Option<bool>,
}

/// What `init` found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialised {
    /// Whether a config was written; false when there was one, which is never overwritten.
    pub created: bool,
    /// Files and directories whose mode was too open and has been mended.
    pub repaired: Vec<std::path::PathBuf>,
}

/// Why a data directory cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A value or an existing config is not valid.
    #[error("{path}: {error}.")]
    Config {
        /// The config file.
        path: String,
        /// What is wrong.
        error: ConfigError,
    },
    /// A file could not be read or written.
    #[error("{path}: {error}.")]
    Io {
        /// The file or directory.
        path: String,
        /// What the system said.
        error: io::Error,
    },
}

/// Makes the directory, its config with a fresh key, and the node's id. Never overwrites; mends the modes of what is there (0700, 0600).
///
/// # Errors
/// Values or an existing config that are not valid; files that cannot be written.
pub fn init(dir: &DataDir, options: &InitOptions) -> Result<Initialised, SetupError> {
    let _stub = (dir, options);
    Ok(Initialised { created: false, repaired: Vec::new() })
}

/// Replaces the owner's key in the config of a node that is not running (a running one does it itself: `POST /key`).
///
/// # Errors
/// As [`init`].
pub fn rotate_key(dir: &DataDir) -> Result<loopsy_shared::secret::Secret, SetupError> {
    let _stub = dir;
    Ok(loopsy_shared::secret::Secret::generate())
}
