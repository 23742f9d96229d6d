//! Finds the daemon of a data directory, and the owner's key for it.

use std::io;

use serde::{Deserialize, Serialize};

use super::{Client, ClientError, Transport, authority};
use crate::{
    config::{Config, ConfigError},
    id::NodeId,
    paths::DataDir,
    time::Millis,
};

/// What a running daemon writes into `daemon.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Runtime {
    /// Process id.
    pub pid: i32,
    /// Address for callers on this machine.
    pub host: String,
    /// Port, also when the config says 0.
    pub port: u16,
    /// The node.
    pub node_id: NodeId,
    /// When it started.
    pub started_at: Millis,
}

/// A data directory as a surface sees it.
#[derive(Debug, Clone)]
pub struct Local {
    /// The directory.
    pub dir: DataDir,
    /// Its config.
    pub config: Config,
    /// What the running daemon wrote, if there is one or one was killed.
    pub runtime: Option<Runtime>,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// There is no config yet.
    #[error("There is no Loopsy node in {0}.")]
    NotInitialised(String),
    /// The config is not valid.
    #[error("The config file {path} is not valid: {error}.")]
    Config {
        /// The file.
        path: String,
        /// What is wrong.
        error: ConfigError,
    },
    /// A file could not be read.
    #[error("{path} cannot be read: {error}.")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
}

impl Local {
    /// Reads config and runtime file.
    ///
    /// # Errors
    /// No config, a config that is not valid, or files that cannot be read.
    pub fn load(dir: DataDir) -> Result<Self, LocalError> {
        let path = dir.config();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(LocalError::NotInitialised(dir.path().display().to_string())),
            Err(error) => return Err(LocalError::Io { path: path.display().to_string(), error }),
        };
        let config = Config::parse(&text).map_err(|error| LocalError::Config { path: path.display().to_string(), error })?;
        let runtime = match std::fs::read(dir.runtime()) {
            Ok(bytes) => serde_json::from_slice(&bytes).ok(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(LocalError::Io { path: dir.runtime().display().to_string(), error }),
        };
        Ok(Self { dir, config, runtime })
    }

    /// Whether a daemon holds this data directory.
    pub fn is_running(&self) -> bool {
        let lock = std::fs::File::open(self.dir.lock());
        lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
    }

    /// `host:port` of the daemon: where the running one said it is, else where the config puts it.
    pub fn address(&self) -> String {
        match &self.runtime {
            Some(runtime) => authority(&runtime.host, runtime.port),
            None => authority(&loopback_for(&self.config.server.host), self.config.server.port),
        }
    }

    /// A client for the daemon, with the owner's key. Where no daemon lives it has none: somebody else may listen where one used to be.
    ///
    /// # Errors
    /// When no client can be built.
    pub fn client(&self) -> Result<Client, ClientError> {
        let key = self.config.auth.api_key.as_ref().filter(|_| self.is_running());
        Client::new(Transport::default(), self.address(), key)
    }
}

/// The address at which a listener bound to `host` is reached from this machine.
pub fn loopback_for(host: &str) -> String {
    match host.parse::<std::net::IpAddr>() {
        Ok(ip) if !ip.is_unspecified() => ip.to_string(),
        Ok(std::net::IpAddr::V6(_)) => "::1".to_owned(),
        _ => "127.0.0.1".to_owned(),
    }
}
