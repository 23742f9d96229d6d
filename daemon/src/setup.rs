//! Makes and repairs a data directory: what `loopsy init` does.

use std::{
    io,
    path::{Path, PathBuf},
};

use loopsy_shared::{
    config::{self, Config, ConfigError},
    paths::{self, DataDir},
    secret::Secret,
};

use crate::{
    fsutil, identity,
    settings::{self, Edit, SettingsError},
    tls,
};

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
    pub repaired: Vec<PathBuf>,
}

/// Why a data directory cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A value for the new config is not valid.
    #[error("{0}.")]
    Value(ConfigError),
    /// The config that is there is not valid, or cannot be written.
    #[error(transparent)]
    Settings(#[from] SettingsError),
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
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |error| SetupError::Io { path, error }
    };
    let text = template(options);
    let created = std::fs::symlink_metadata(dir.config()).is_err();
    if created {
        Config::parse(&text).map_err(SetupError::Value)?;
    }
    for path in [dir.path().to_owned(), dir.logs()] {
        fsutil::private_dir(&path).map_err(at(&path))?;
    }
    if created {
        fsutil::write_atomic(&dir.config(), text.as_bytes()).map_err(at(&dir.config()))?;
    }
    let repaired = repair(dir).map_err(at(dir.path()))?;
    identity::node_id(dir).map_err(at(&dir.node_json()))?;
    let settings = settings::Settings::load(dir)?;
    tls::identity(dir, &settings.now().hostname()).map_err(at(&dir.tls()))?;
    if settings.now().auth.agent_key.is_none() {
        settings.edit(&[Edit::Set(&["auth"], "agentKey", Secret::generate().reveal())])?;
    }
    Ok(Initialised { created, repaired })
}

/// Mends the modes of the data directory, of the files that are a node's own, and of what is in its directories. Nothing else is touched, and links are left alone.
///
/// # Errors
/// What the system says about the first path that cannot be mended.
pub fn repair(dir: &DataDir) -> io::Result<Vec<PathBuf>> {
    let files = [dir.config(), dir.store(), dir.context_json(), dir.peers_json(), dir.node_json(), dir.credentials(), dir.pid(), dir.lock(), dir.runtime()];
    let beside = ["-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", dir.store().display())));
    let directories = [dir.logs(), dir.spill(), dir.tls(), dir.sessions()];
    let inside = directories.iter().filter_map(|path| std::fs::read_dir(path).ok()).flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let all = [dir.path().to_owned()].into_iter().chain(files).chain(beside).chain(directories.iter().cloned()).chain(inside);
    let mut repaired = Vec::new();
    for path in all {
        match fsutil::make_private(&path) {
            Ok(true) => repaired.push(path),
            Ok(false) => {}
            // Not made yet, or gone meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(repaired)
}

/// Replaces the owner's key in the config of a node that is not running (a running one does it itself: `POST /key`).
///
/// # Errors
/// A config that is not valid or cannot be written.
pub fn rotate_key(dir: &DataDir) -> Result<Secret, SetupError> {
    let key = Secret::generate();
    settings::edit_offline(dir, &[Edit::Set(&["auth"], "apiKey", key.reveal())])?;
    Ok(key)
}

fn template(options: &InitOptions) -> String {
    let defaults = Config::default();
    let home = paths::home().unwrap_or_else(|_| PathBuf::from("/"));
    let quote = |path: &Path| serde_json::Value::String(path.display().to_string()).to_string();
    format!(
        "# Settings of this Loopsy node. Changes take effect at once, except those marked (restart).\n\
         # Every key is explained in docs/HOWTO.md.\n\
         server:\n  port: {port} # (restart)\n  host: {host} # (restart) 127.0.0.1 is reachable from this machine only\n  hostname: {hostname}\n\
         auth:\n  apiKey: \"{key}\" # yours alone; `loopsy key generate` makes another\n  agentKey: \"{agent}\" # of your coding agents: it can neither approve nor pair, and changes no settings\n  allowedKeys: {{}} # what peers may present, as hashes; `loopsy pair` adds them\n\
         tls: # paired nodes always use TLS; this is about all others\n  enabled: false\n\
         execution:\n  denylist: [{denylist}] # a seat belt, not a wall\n  maxConcurrent: {concurrent}\n  defaultTimeout: {timeout} # milliseconds\n\
         transfer:\n  allowedPaths: [{home}]\n  deniedPaths: [{ssh}, {gnupg}]\n  maxFileSize: {size} # bytes\n\
         rateLimits: # requests a minute for each peer\n  execute: {execute}\n  transfer: {transfer}\n  context: {context}\n\
         discovery:\n  enabled: {discovery}\n  manualPeers: []\n\
         logging:\n  level: info\n",
        port = options.port.unwrap_or(config::DEFAULT_PORT),
        host = options.host.as_deref().unwrap_or(&defaults.server.host),
        hostname = serde_json::Value::String(options.hostname.clone().unwrap_or_else(config::machine_name)),
        key = Secret::generate().reveal(),
        agent = Secret::generate().reveal(),
        denylist = defaults.execution.denylist.join(", "),
        concurrent = defaults.execution.max_concurrent,
        timeout = defaults.execution.default_timeout,
        home = quote(&home),
        ssh = quote(&home.join(".ssh")),
        gnupg = quote(&home.join(".gnupg")),
        size = defaults.transfer.max_file_size,
        execute = defaults.rate_limits.execute,
        transfer = defaults.rate_limits.transfer,
        context = defaults.rate_limits.context,
        discovery = options.discovery.unwrap_or(true),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_directory_is_private_valid_and_never_overwritten() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = DataDir::new(temp.path().join("node")).expect("absolute");
        assert!(init(&dir, &InitOptions { port: Some(1234), ..InitOptions::default() }).expect("made").created);
        let (text, id) = (std::fs::read_to_string(dir.config()).expect("there"), identity::node_id(&dir).expect("there"));
        assert_eq!(Config::parse(&text).expect("valid").server.port, 1234);
        std::fs::set_permissions(dir.config(), std::fs::Permissions::from_mode(0o644)).expect("opened");
        let again = init(&dir, &InitOptions { port: Some(4321), ..InitOptions::default() }).expect("fine");
        assert_eq!((again.created, again.repaired), (false, vec![dir.config()]));
        assert_eq!(std::fs::read_to_string(dir.config()).expect("there"), text);
        assert_eq!(identity::node_id(&dir).expect("there"), id);
    }

    #[test]
    fn a_bad_value_makes_nothing() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = DataDir::new(temp.path().join("node")).expect("absolute");
        assert!(init(&dir, &InitOptions { hostname: Some("a b".to_owned()), ..InitOptions::default() }).is_err());
        assert!(!dir.path().exists());
    }
}
