//! The one file a person edits: `config.yaml`.
//!
//! Parsing is strict. A key that is not known is refused with its line and the nearest known name, because a setting that is silently ignored is worse than an error.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    api::Scope,
    fingerprint::Fingerprint,
    names,
    secret::{self, KeyDigest, Secret},
};

/// The port of a node, unless its config says otherwise.
pub const DEFAULT_PORT: u16 = 19532;

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

mod tui;

pub use tui::{Clipboard, Keys, Pairing, Tui};

section! {
    /// Everything that can be set.
    Config {
        /// Where the node listens and what it is called.
        server: Server = Server::default(),
        /// Who may call.
        auth: Auth = Auth::default(),
        /// Encryption between nodes.
        tls: Tls = Tls::default(),
        /// What may be run.
        execution: Execution = Execution::default(),
        /// What files may be read and written.
        transfer: Transfer = Transfer::default(),
        /// Requests a minute for each peer.
        rate_limits: RateLimits = RateLimits::default(),
        /// Limits of the context store.
        context: Context = Context::default(),
        /// Coding agents.
        agents: Agents = Agents::default(),
        /// What agents may do, and how people are asked.
        approvals: Approvals = Approvals::default(),
        /// Terminals.
        terminals: Terminals = Terminals::default(),
        /// How a person is told that something waits.
        notifications: Notifications = Notifications::default(),
        /// How two people compare when they pair.
        pairing: Pairing = Pairing::default(),
        /// The control centre.
        tui: Tui = Tui::default(),
        /// How other nodes are found.
        discovery: Discovery = Discovery::default(),
        /// What is written down.
        logging: Logging = Logging::default(),
        /// Of another product version: kept, not used.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(skip)]
        relay: Option<serde_yaml::Value> = None,
        /// Of another product version: kept, not used.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(skip)]
        custom_commands: Option<serde_yaml::Value> = None,
    }
}

section! {
    /// `server`.
    Server {
        /// TCP port; 0 takes any free one.
        port: u16 = DEFAULT_PORT,
        /// Address to listen on.
        host: String = "0.0.0.0".to_owned(),
        /// The node's name; that of the machine when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        hostname: Option<String> = None,
        /// Not read from the file; accepted because reference installations write it.
        #[serde(skip_serializing_if = "Option::is_none")]
        data_dir: Option<PathBuf> = None,
        /// Further names under which this node may be addressed (`Host` header), beside its own name, IP addresses and `localhost`.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        allowed_hosts: Vec<String> = Vec::new(),
    }
}

section! {
    /// `auth`.
    Auth {
        /// The owner's key. It may do everything.
        api_key: Option<Secret> = None,
        /// Peers' keys by name: `sha256:<hex>` of a key that this node issued, or a key itself as reference installations have it.
        allowed_keys: BTreeMap<String, AllowedKey> = BTreeMap::new(),
        /// What each peer may do, by the name of its key. One that is not named may do what a peer may by default: all but `approve` and `terminal`.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        scopes: BTreeMap<String, Vec<Scope>> = BTreeMap::new(),
        /// The key of the owner's coding agents on this machine: it can neither approve nor pair, and changes no settings, peers or keys.
        #[serde(skip_serializing_if = "Option::is_none")]
        agent_key: Option<Secret> = None,
    }
}

/// A key that a peer may use: its hash, or, in files of reference installations, the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AllowedKey(Secret);

impl AllowedKey {
    const PREFIX: &str = "sha256:";

    /// The form in which a key issued by this node is written.
    pub fn from_digest(digest: &KeyDigest) -> Self {
        Self(Secret::new(format!("{}{}", Self::PREFIX, secret::hex(digest))))
    }

    /// The digest that a presented key must have.
    pub fn digest(&self) -> Option<KeyDigest> {
        match self.0.reveal().strip_prefix(Self::PREFIX) {
            Some(hex) => secret::parse_digest(hex),
            None => Some(self.0.digest()),
        }
    }

    /// The text for the file.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

section! {
    /// `tls`.
    Tls {
        /// Whether others than paired nodes must speak TLS too. Paired nodes always do.
        enabled: bool = false,
        /// Fingerprints (SHA-256) of paired nodes' certificates by the name of their key.
        pinned_certs: BTreeMap<String, Fingerprint> = BTreeMap::new(),
        /// Accepted because reference installations may have it; not used.
        #[serde(skip_serializing_if = "Option::is_none")]
        cert_path: Option<PathBuf> = None,
        /// Accepted because reference installations may have it; not used.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_path: Option<PathBuf> = None,
    }
}

section! {
    /// `execution`.
    Execution {
        /// Programs that are refused, also behind wrappers such as `env`, `sudo` or `sh -c`. A seat belt, not a wall.
        denylist: Vec<String> = ["rm", "rmdir", "format", "mkfs", "dd", "shutdown", "reboot"].map(str::to_owned).to_vec(),
        /// When present, only these programs run.
        #[serde(skip_serializing_if = "Option::is_none")]
        allowlist: Option<Vec<String>> = None,
        /// Jobs at the same time.
        max_concurrent: usize = 10,
        /// Milliseconds until a job is ended, where the request does not say.
        default_timeout: u64 = 300_000,
        /// Milliseconds between asking a job to end and ending it.
        grace: u64 = 2_000,
        /// Names of variables of the daemon's environment that jobs get, beside the usual ones. `*` at the end matches any rest.
        env_pass: Vec<String> = Vec::new(),
    }
}

section! {
    /// `transfer`.
    Transfer {
        /// Directories that may be read and written; empty means all.
        allowed_paths: Vec<PathBuf> = crate::paths::home().into_iter().collect(),
        /// Directories and files that may not, whatever `allowedPaths` says. The data directory and a built-in list of sensitive paths always belong to them.
        denied_paths: Vec<PathBuf> = crate::paths::home().into_iter().flat_map(|home| [home.join(".ssh"), home.join(".gnupg")]).collect(),
        /// Largest file, in bytes.
        max_file_size: u64 = 1 << 30,
    }
}

section! {
    /// `rateLimits`: requests a minute for each principal. The owner on this machine is not limited.
    RateLimits {
        /// Commands.
        execute: u32 = 30,
        /// Files.
        transfer: u32 = 10,
        /// Context entries.
        context: u32 = 60,
    }
}

section! {
    /// `context`.
    Context {
        /// Most entries.
        max_entries: usize = 100_000,
        /// Most bytes of keys and values together.
        max_bytes: u64 = 256 << 20,
    }
}

section! {
    /// `agents`: runs of coding agents.
    Agents {
        /// Tasks at the same time.
        max_concurrent: usize = 3,
        /// Tasks that may wait for a place.
        max_queued: usize = 100,
        /// Milliseconds until a task is ended, where the request does not say.
        timeout: u64 = 1_800_000,
        /// Directories in which tasks may work; empty means `transfer.allowedPaths`.
        allowed_paths: Vec<PathBuf> = Vec::new(),
        /// Arguments that `additionalArgs` may have, beside those that widen no rights. A star at the end matches any rest.
        allowed_args: Vec<String> = Vec::new(),
        /// Peers, by the name of their key, whose tasks may run with `bypassPermissions`.
        bypass_from: Vec<String> = Vec::new(),
        /// Names of variables of the daemon's environment that agents get, beside the usual ones and those of their own login. A star at the end matches any rest.
        env_pass: Vec<String> = Vec::new(),
        /// Programs of agents that are not found on PATH, by the agent's name.
        paths: BTreeMap<String, PathBuf> = BTreeMap::new(),
        /// Further agents that speak ACP, by a name of your own: program and arguments.
        acp: BTreeMap<String, Vec<String>> = BTreeMap::new(),
        /// Days for which a task that has ended is kept.
        keep_days: u64 = 30,
        /// Bytes of all tasks' events together; the oldest tasks that have ended go first.
        keep_bytes: u64 = 1 << 30,
        /// Bytes of one task's events; the oldest of them go first.
        max_event_bytes: u64 = 256 << 20,
    }
}

section! {
    /// `approvals`.
    Approvals {
        /// Milliseconds until an approval that nobody answers is denied.
        timeout: u64 = 600_000,
        /// Milliseconds until an unanswered approval of a task with `park` is parked.
        park_after: u64 = 60_000,
        /// Days for which a parked approval waits.
        parked_days: u64 = 14,
        /// What agents may do without asking, and what they may never do. Deny beats ask, and ask beats allow; where no rule fits, a person is asked.
        rules: Vec<Rule> = Vec::new(),
    }
}

/// A rule of `approvals.rules`. It fits when everything that it names fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// What happens.
    #[serde(rename = "do")]
    pub verdict: RuleVerdict,
    /// The agent, such as `claude`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agent: Option<String>,
    /// The tool, by the agent's name of it or by its kind: `shell`, `edit`, `read`, `fetch`. `*` stands for any text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tool: Option<String>,
    /// A command with its first arguments, such as `git log`, `cargo test --*` or `rm`. Every command of a command line must fit a rule that allows; one that fits is
    /// enough for a rule that denies or asks. `*` stands for any text within a word, `;` at the end says that no more words may follow. Where a command only may fit a
    /// rule that denies, or a tool that nobody knows may run it, a person is asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command: Option<String>,
    /// A file or directory with all below it, absolute, below `~`, or `.` for the working directory. Every path of an input must fit a rule that allows.
    /// Without `tool`, a rule that allows is for tools that read and change files only. Where an input only may lead to a path that a rule denies, a person is asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// Who started the task: a peer by the name of its key, or `owner`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peer: Option<String>,
    /// The repository that the task works in: its directory, absolute or below `~`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repository: Option<String>,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleVerdict {
    /// It may, without asking.
    Allow,
    /// It may not.
    Deny,
    /// A person is asked.
    Ask,
}

impl Rule {
    /// Checks what types alone cannot.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence.
    pub fn check(&self) -> Result<(), String> {
        let fields = [
            ("agent", &self.agent),
            ("tool", &self.tool),
            ("command", &self.command),
            ("path", &self.path),
            ("peer", &self.peer),
            ("repository", &self.repository),
        ];
        if let Some((name, _)) = fields.iter().find(|(_, value)| value.as_ref().is_some_and(|value| value.trim().is_empty())) {
            return Err(format!("`{name}` is empty; leave it out where anything fits"));
        }
        let what = self.tool.is_some() || self.command.is_some() || self.path.is_some();
        if self.verdict == RuleVerdict::Allow && !what {
            return Err("it allows everything; name a `tool`, a `command` or a `path`, or write `tool: \"*\"` if everything is meant".to_owned());
        }
        if fields.iter().all(|(_, value)| value.is_none()) {
            return Err("it names nothing; write `tool: \"*\"` if everything is meant".to_owned());
        }
        if self.command.as_deref().is_some_and(|command| command.trim() == ";" || command.contains(['\n', '\0'])) {
            return Err("`command` is one command on one line, such as `git log`".to_owned());
        }
        let placed = |path: &str, cwd: bool| path.starts_with('/') || path == "~" || path.starts_with("~/") || cwd && (path == "." || path.starts_with("./"));
        if let Some(path) = self.path.as_ref().filter(|path| !placed(path, true)) {
            return Err(format!("`{}` is neither an absolute path, nor one below `~`, nor `.`", crate::text::inert(path)));
        }
        if let Some(path) = self.repository.as_ref().filter(|path| !placed(path, false)) {
            return Err(format!("the repository `{}` is neither an absolute path nor one below `~`", crate::text::inert(path)));
        }
        Ok(())
    }
}

/// Reads `22:00-07:30`: minutes since midnight at which it begins and ends.
pub fn quiet_hours(text: &str) -> Option<(u16, u16)> {
    let time = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let number = |text: &str, most: u16| {
            let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|number| digits && *number < most)
        };
        Some(number(hour, 24)? * 60 + number(minute, 60).filter(|_| minute.len() == 2)?)
    };
    let (begin, end) = text.split_once('-')?;
    Some((time(begin)?, time(end)?))
}

section! {
    /// `terminals`.
    Terminals {
        /// Terminals at the same time.
        max_open: usize = 32,
        /// Bytes of output that are kept of each.
        log_bytes: u64 = 16 << 20,
        /// Lines above the screen that a viewer gets when it attaches.
        scrollback: usize = 2_000,
        /// The program of a terminal, where the request does not say; `SHELL` when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        shell: Option<String> = None,
    }
}

section! {
    /// `notifications`.
    Notifications {
        /// Seconds without anybody at any surface until a person is told.
        idle: u64 = 30,
        /// Whether the desktop shows it.
        desktop: bool = false,
        /// Program and arguments that get it as JSON on standard input.
        command: Vec<String> = Vec::new(),
        /// An address that gets it as JSON by POST; as text where it begins with `ntfy://` (HTTPS) or `ntfy+http://`.
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<Secret> = None,
        /// No notices between these times of the day: `22:00-07:30`.
        #[serde(skip_serializing_if = "Option::is_none")]
        quiet: Option<String> = None,
    }
}

section! {
    /// `discovery`.
    Discovery {
        /// Whether nodes on the local network are found by mDNS.
        enabled: bool = true,
        /// Peers that are always known.
        manual_peers: Vec<ManualPeer> = Vec::new(),
    }
}

/// An entry of `discovery.manualPeers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManualPeer {
    /// Host name or IP address.
    pub address: String,
    /// Port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// A name for it until it tells its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hostname: Option<String>,
}

const fn default_port() -> u16 {
    DEFAULT_PORT
}

section! {
    /// `logging`.
    Logging {
        /// `error`, `warn`, `info`, `debug` or `trace`.
        level: Level = Level::Info,
        /// Where the daemon's own log goes; `logs/daemon.log` when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<PathBuf> = None,
        /// The audit log is rotated at this size, in bytes.
        audit_max_bytes: u64 = 64 << 20,
        /// Rotated audit logs that are kept.
        audit_files: usize = 4,
    }
}

/// How much the daemon's own log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    #[serde(alias = "fatal")]
    Silent,
    /// Failures.
    Error,
    /// And what looks wrong.
    #[serde(alias = "warning")]
    Warn,
    /// And what happens.
    Info,
    /// And how.
    Debug,
    /// And everything.
    Trace,
}

impl Level {
    /// The word for a log filter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Why a config text is refused. The sentence has line and column where there are any.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// What is wrong.
    pub message: String,
    /// Line, from 1.
    pub line: Option<usize>,
    /// Column, from 1.
    pub column: Option<usize>,
    /// What to do.
    pub hint: Option<String>,
}

impl ConfigError {
    /// What the YAML library says, with its place, a hint where one can be given, and without the value: it could be a key.
    pub fn from_yaml(error: &serde_yaml::Error) -> Self {
        let text = error.to_string();
        let hint = unknown_key(&text);
        Self { line: error.location().map(|at| at.line()), column: error.location().map(|at| at.column()), hint, message: without_value(&text) }
    }

    fn value(message: impl Into<String>) -> Self {
        Self { message: message.into(), line: None, column: None, hint: None }
    }
}

impl Config {
    /// Reads a config text and checks its values.
    ///
    /// # Errors
    /// Bad YAML, unknown keys, wrong types and impossible values.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        // Read as plain values first: this is what refuses a key that is there twice.
        let plain: serde_yaml::Value = serde_yaml::from_str(text).map_err(|error| ConfigError::from_yaml(&error))?;
        drop(plain);
        let config: Option<Self> = serde_yaml::from_str(text).map_err(|error| ConfigError::from_yaml(&error))?;
        let config = config.unwrap_or_default();
        config.validate()?;
        Ok(config)
    }

    /// Checks what types alone cannot.
    ///
    /// # Errors
    /// The first impossible value, by name.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if let Some(name) = &self.server.hostname
            && !is_name(name)
        {
            return Err(ConfigError::value(format!(
                "server.hostname: `{}` is not a name; use 1 to 63 letters, digits, `.`, `_` or `-`, beginning with a letter or digit",
                crate::text::inert(name)
            )));
        }
        if self.server.host.parse::<std::net::IpAddr>().is_err() && self.server.host != "localhost" {
            return Err(ConfigError::value(format!(
                "server.host: `{}` is not an IP address; use 0.0.0.0 for all, 127.0.0.1 for this machine only",
                self.server.host
            )));
        }
        if self.auth.api_key.as_ref().is_some_and(|key| key.reveal().len() < 16) {
            return Err(ConfigError::value("auth.apiKey: the key is shorter than 16 characters; make one with `loopsy key generate`"));
        }
        if self.auth.agent_key.as_ref().is_some_and(|key| key.reveal().len() < 16) {
            return Err(ConfigError::value("auth.agentKey: the key is shorter than 16 characters; remove the line and `loopsy init` makes one"));
        }
        for (name, key) in &self.auth.allowed_keys {
            if key.digest().is_none() || key.reveal().is_empty() {
                return Err(ConfigError::value(format!("auth.allowedKeys.{}: neither a key nor `sha256:` and 64 hex digits", crate::text::inert(name))));
            }
        }
        for (name, zero) in [
            ("execution.maxConcurrent", self.execution.max_concurrent == 0),
            ("execution.defaultTimeout", self.execution.default_timeout == 0),
            ("transfer.maxFileSize", self.transfer.max_file_size == 0),
            ("context.maxEntries", self.context.max_entries == 0),
            ("agents.maxConcurrent", self.agents.max_concurrent == 0),
            ("agents.timeout", self.agents.timeout == 0),
            ("agents.maxEventBytes", self.agents.max_event_bytes < 64 << 10),
            ("approvals.timeout", self.approvals.timeout == 0),
            ("terminals.maxOpen", self.terminals.max_open == 0),
            ("terminals.logBytes", self.terminals.log_bytes < 64 << 10),
            ("tui.toastSeconds", self.tui.toast_seconds == 0),
            ("logging.auditMaxBytes", self.logging.audit_max_bytes < 4096),
        ] {
            if zero {
                return Err(ConfigError::value(format!("{name}: the value is too small")));
            }
        }
        for path in self.transfer.allowed_paths.iter().chain(&self.transfer.denied_paths) {
            if !path.is_absolute() {
                return Err(ConfigError::value(format!("transfer: `{}` is not an absolute path", path.display())));
            }
        }
        for (at, rule) in self.approvals.rules.iter().enumerate() {
            rule.check().map_err(|what| ConfigError::value(format!("approvals.rules[{at}]: {what}")))?;
        }
        if let Some(quiet) = &self.notifications.quiet
            && quiet_hours(quiet).is_none()
        {
            return Err(ConfigError::value(format!("notifications.quiet: `{}` is not a time of day; write it as `22:00-07:30`", crate::text::inert(quiet))));
        }
        if self.notifications.command.first().is_some_and(String::is_empty) {
            return Err(ConfigError::value("notifications.command: the program has no name"));
        }
        let known = |url: &Secret| ["http://", "https://", "ntfy://", "ntfy+http://"].iter().any(|scheme| url.reveal().starts_with(scheme));
        if self.notifications.url.as_ref().is_some_and(|url| !known(url)) {
            return Err(ConfigError::value("notifications.url: the address does not begin with `https://`, `http://`, `ntfy://` or `ntfy+http://`"));
        }
        Ok(())
    }

    /// Keys that differ from `other` and are only read at the start.
    pub fn needs_restart(&self, other: &Self) -> Vec<String> {
        let (now, before) = (self, other);
        [
            ("server.port", now.server.port != before.server.port),
            ("server.host", now.server.host != before.server.host),
            ("logging.file", now.logging.file != before.logging.file),
        ]
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name.to_owned())
        .collect()
    }

    /// The node's name: as configured, or the machine's.
    pub fn hostname(&self) -> String {
        self.server.hostname.clone().unwrap_or_else(machine_name)
    }
}

/// The machine's own name, cut to what a node may be called.
pub fn machine_name() -> String {
    let uname = rustix::system::uname();
    let name: String =
        uname.nodename().to_string_lossy().chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }).take(63).collect();
    if is_name(&name) { name } else { "node".to_owned() }
}

/// Whether a text may name a node or peer: `^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`.
pub fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// `invalid type: string "lpk_..", expected a map` becomes `invalid type: string, expected a map`.
fn without_value(message: &str) -> String {
    let Some((before, rest)) = message.split_once(" string \"") else { return message.to_owned() };
    match rest.rfind("\", expected") {
        Some(end) => format!("{before} string{}", &rest[end + 1..]),
        None => format!("{before} string"),
    }
}

/// Finds the nearest known key for serde's "unknown field `x`, expected one of `a`, `b`".
fn unknown_key(message: &str) -> Option<String> {
    let mut quoted = message.split_once("unknown field ")?.1.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    Some(match names::nearest(unknown, known.iter().copied()) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Known keys here: {}.", known.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_example_is_valid() {
        let text = "server:\n  port: 19532\n  host: 0.0.0.0\n  hostname: leo\nauth:\n  apiKey: 0123456789abcdef0123456789abcdefx\n  allowedKeys:\n    peer-name: abcdefabcdefabcdef\ntls:\n  enabled: false\n  pinnedCerts:\n    peer-name: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\nexecution:\n  denylist: [rm, rmdir]\n  maxConcurrent: 10\n  defaultTimeout: 300000\ntransfer:\n  allowedPaths: [/Users/you]\n  deniedPaths: [/Users/you/.ssh]\n  maxFileSize: 1073741824\nrateLimits:\n  execute: 30\n  transfer: 10\n  context: 60\ndiscovery:\n  enabled: true\n  manualPeers:\n    - address: 192.168.1.75\n      port: 19532\nlogging:\n  level: info\n";
        let config = Config::parse(text).expect("valid");
        assert_eq!(config.server.hostname.as_deref(), Some("leo"));
        assert_eq!(config.auth.allowed_keys["peer-name"].digest(), Some(Secret::new("abcdefabcdefabcdef").digest()));
    }

    #[test]
    fn an_unknown_key_is_refused_with_line_and_nearest_name() {
        let error = Config::parse("server:\n  prot: 1\n").expect_err("refused");
        assert_eq!(error.line, Some(2));
        assert_eq!(error.hint.as_deref(), Some("Did you mean `port`?"));
    }

    #[test]
    fn a_key_of_digits_stays_the_text_that_was_typed() {
        let config = Config::parse("auth:\n  apiKey: 00345678901234567890\n").expect("valid");
        assert_eq!(config.auth.api_key.expect("set").reveal(), "00345678901234567890");
    }

    #[test]
    fn an_error_never_holds_a_value_that_could_be_a_key() {
        let error = Config::parse("auth:\n  allowedKeys: lpk_secret\n").expect_err("no map");
        assert!(!error.message.contains("lpk_secret") && error.message.contains("allowedKeys"), "{}", error.message);
    }

    #[test]
    fn impossible_values_are_named() {
        for (text, name) in [
            ("server: {port: 70000}", "server.port"),
            ("server: {hostname: \"a b\"}", "server.hostname"),
            ("server: {host: nowhere}", "server.host"),
            ("execution: {maxConcurrent: 0}", "execution.maxConcurrent"),
            ("auth: {allowedKeys: {kai: \"sha256:12\"}}", "auth.allowedKeys.kai"),
            ("transfer: {allowedPaths: [here]}", "`here`"),
            ("approvals: {rules: [{do: allow}]}", "approvals.rules[0]: it allows everything"),
            ("approvals: {rules: [{do: allow, agent: claude}]}", "it allows everything"),
            ("approvals: {rules: [{do: deny}]}", "it names nothing"),
            ("approvals: {rules: [{do: allow, tool: '*'}, {do: maybe, tool: x}]}", "maybe"),
            ("approvals: {rules: [{do: deny, command: ' '}]}", "`command` is empty"),
            ("approvals: {rules: [{do: deny, path: src}]}", "`src`"),
            ("approvals: {rules: [{do: deny, tool: x, repository: .}]}", "the repository `.`"),
            ("notifications: {quiet: '22-7'}", "notifications.quiet"),
            ("notifications: {url: 'ftp://x'}", "notifications.url"),
            ("notifications: {command: ['']}", "notifications.command"),
        ] {
            let error = Config::parse(text).expect_err(text);
            assert!(error.message.contains(name), "{text}: {}", error.message);
        }
    }

    #[test]
    fn quiet_hours_are_times_of_the_day() {
        assert_eq!(quiet_hours("22:00-07:30"), Some((22 * 60, 7 * 60 + 30)));
        assert_eq!(quiet_hours("0:00 - 23:59"), Some((0, 23 * 60 + 59)));
        for text in ["24:00-07:00", "22:60-07:00", "22:0-7:00", "22:00", "", "-", "a:00-07:00", "+1:00-07:00"] {
            assert_eq!(quiet_hours(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let config = Config::parse("").expect("empty is fine");
        assert_eq!(config.server.port, DEFAULT_PORT);
        assert_eq!(config.execution.denylist.len(), 7);
    }
}
