//! Where things lie in a data directory.

use std::path::{Path, PathBuf};

/// The data directory of one node and the names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir(PathBuf);

macro_rules! entries {
    ($($(#[$doc:meta])* $name:ident = $path:literal;)*) => {
        $($(#[$doc])* pub fn $name(&self) -> PathBuf { self.0.join($path) })*
    };
}

impl DataDir {
    /// A data directory at this path, made absolute.
    ///
    /// # Errors
    /// When the path is empty or the current directory is gone.
    pub fn new(path: impl AsRef<Path>) -> std::io::Result<Self> {
        std::path::absolute(path).map(Self)
    }

    /// `~/.loopsy`.
    ///
    /// # Errors
    /// When the home directory is not known.
    pub fn default_location() -> std::io::Result<Self> {
        Ok(Self(home()?.join(".loopsy")))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    entries! {
        /// The file a person edits.
        config = "config.yaml";
        /// The store.
        store = "loopsy.db";
        /// Export of the context entries.
        context_json = "context.json";
        /// Export of the peers.
        peers_json = "peers.json";
        /// This node's id, made once.
        node_json = "node.json";
        /// Keys that other nodes gave to this one; mode 0600.
        credentials = "credentials.json";
        /// The process id of the running daemon, decimal.
        pid = "daemon.pid";
        /// Held for as long as a daemon lives.
        lock = "daemon.lock";
        /// Address, process and node of the running daemon.
        runtime = "daemon.json";
        /// Logs.
        logs = "logs";
        /// One line a request.
        audit = "logs/audit.jsonl";
        /// What the daemon says about itself.
        log = "logs/daemon.log";
        /// Output of jobs beyond what is kept in memory.
        spill = "spill";
        /// What terminals printed, in files without names.
        terminals = "terminals";
        /// Certificate and key.
        tls = "tls";
        /// Extra nodes on this machine.
        sessions = "sessions";
    }
}

/// The person's home directory.
///
/// # Errors
/// When it is not known; the message says so.
pub fn home() -> std::io::Result<PathBuf> {
    std::env::home_dir()
        .filter(|home| home.is_absolute())
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::NotFound, "the home directory is not known: set HOME or pass --data-dir"))
}
