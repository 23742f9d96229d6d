//! Which coding agents are on this machine: where they are, what version they say they are, and what is wrong with them.
//!
//! Nothing here waits for a program: a version that is not known yet is asked for in the background and kept until the file changes.

#[cfg(test)]
mod tests;
mod variables;
mod version;

use std::{
    collections::HashMap,
    fmt,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use loopsy_shared::{api::ai_tasks::AgentInfo, config::Config, secret::Secret, text::inert, time::Millis};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use self::version::{Probe, Stamp};
use super::{
    acp::{Acp, Profile},
    claude::Claude,
    codex::Codex,
    driver::{Driver, Start},
    opencode,
};
use crate::jobs::Jobs;

/// How an agent is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// The Gemini CLI.
    Gemini,
    /// opencode.
    Opencode,
    /// One of the config that speaks ACP.
    Acp,
}

/// An agent that Loopsy knows by itself.
struct Known {
    name: &'static str,
    kind: Kind,
    driver: &'static str,
    tested: &'static str,
    install: &'static str,
    interactive: bool,
}

/// In the order in which `auto` chooses.
const KNOWN: [Known; 4] = [
    Known {
        name: "claude",
        kind: Kind::Claude,
        driver: "stream-json",
        tested: "2.1.329",
        install: "npm install -g @anthropic-ai/claude-code",
        interactive: true,
    },
    Known { name: "codex", kind: Kind::Codex, driver: "app-server", tested: "0.169.0", install: "npm install -g @openai/codex", interactive: false },
    Known { name: "gemini", kind: Kind::Gemini, driver: "acp", tested: "0.61.0", install: "npm install -g @google/gemini-cli", interactive: false },
    Known { name: "opencode", kind: Kind::Opencode, driver: "acp", tested: "1.18.33", install: "npm install -g opencode-ai", interactive: false },
];

/// An agent that can be started.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    /// Its name.
    pub(crate) name: String,
    /// How it is driven.
    pub(crate) kind: Kind,
    /// The file to run.
    pub(crate) program: PathBuf,
    /// Its version, where it is known already.
    pub(crate) version: Option<String>,
    /// Arguments of the config, for [`Kind::Acp`].
    args: Vec<String>,
}

/// Why an agent cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Nobody knows it.
    #[error("There is no agent `{}`. The agents are {}; further ones that speak ACP can be named in `agents.acp` of the config.", inert(.0), .1)]
    Unknown(String, String),
    /// It is not there.
    #[error("The agent `{name}` is not installed on this machine. {how}")]
    NotInstalled {
        /// Which.
        name: String,
        /// How to get it.
        how: String,
    },
    /// `auto` has found none.
    #[error("No coding agent is installed on this machine. Install one of them: {0}.")]
    None(String),
    /// The config names a file that is not a program.
    #[error("The program of the agent `{}` in the config, `{}`, is not a file that can be run. Correct `{}`.", inert(.0), inert(&.1.to_string_lossy()), .2)]
    NotAProgram(String, PathBuf, &'static str),
    /// The wrapper of opencode's shell could not be written.
    #[error("The shell for opencode could not be written to `{}`: {}.", inert(&.dir.to_string_lossy()), .error)]
    Shell {
        /// Where.
        dir: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

/// Finds agents. Cheap to clone.
#[derive(Clone)]
pub struct Finder(Arc<Inner>);

struct Inner {
    config: watch::Receiver<Arc<Config>>,
    jobs: Jobs,
    tracker: TaskTracker,
    /// A directory of this node's own, for the shell of opencode.
    dir: PathBuf,
    probes: Mutex<HashMap<PathBuf, (Stamp, Probe)>>,
    /// Programs are asked for their version one after another.
    turn: Semaphore,
}

impl fmt::Debug for Finder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finder").finish_non_exhaustive()
    }
}

impl Found {
    /// Whether its own screen can be shown in a terminal, with its questions asked elsewhere too.
    pub(crate) fn interactive(&self) -> bool {
        self.kind == Kind::Claude
    }

    /// How long to wait before a session that was begun at a time can go on. Gemini CLI (0.61.0) names the file of a session by the minute, and begins it anew
    /// when it opens it in that same minute.
    pub(crate) fn settles_in(&self, begun: Millis, now: Millis) -> Duration {
        const MINUTE: Millis = 60_000;
        let same = self.kind == Kind::Gemini && begun / MINUTE == now / MINUTE;
        Duration::from_millis(if same { MINUTE - now % MINUTE } else { 0 })
    }

    /// Whether a question of it can wait without its process.
    pub(crate) fn parks(&self) -> bool {
        self.kind == Kind::Claude
    }

    /// Whether it gets this variable of the daemon's environment beside the usual ones. `is_set` tells whether another variable is there.
    pub(crate) fn passes(&self, name: &str, is_set: impl Fn(&str) -> bool) -> bool {
        variables::passes(self.kind, name, is_set)
    }
}

impl Finder {
    /// Finds agents by the daemon's `PATH` and the config. `dir` is a directory that only the owner can read.
    pub(crate) fn new(config: watch::Receiver<Arc<Config>>, jobs: Jobs, tracker: TaskTracker, dir: PathBuf) -> Self {
        Self(Arc::new(Inner { config, jobs, tracker, dir, probes: Mutex::default(), turn: Semaphore::new(1) }))
    }

    /// The agent of this name; `auto` is the first that is installed.
    pub(crate) fn find(&self, name: &str) -> Result<Found, AgentError> {
        if name == "auto" {
            return self.auto();
        }
        let config = Arc::clone(&self.0.config.borrow());
        let (kind, args) = match (KNOWN.iter().find(|known| known.name == name), config.agents.acp.get(name)) {
            (Some(known), _) => (known.kind, Vec::new()),
            (None, Some(command)) => (Kind::Acp, command.iter().skip(1).cloned().collect()),
            (None, None) => {
                let names: Vec<String> = names(&config).iter().map(|name| format!("`{}`", inert(name))).collect();
                return Err(AgentError::Unknown(name.to_owned(), names.join(", ")));
            }
        };
        let program = self.program(&config, name)?;
        let version = match self.probe(&program) {
            Some(Probe::Version(version)) => Some(version),
            _ => None,
        };
        Ok(Found { name: name.to_owned(), kind, program, version, args })
    }

    /// The first agent that is installed.
    pub(crate) fn auto(&self) -> Result<Found, AgentError> {
        let config = Arc::clone(&self.0.config.borrow());
        let found = names(&config).into_iter().find_map(|name| self.find(&name).ok());
        found.ok_or_else(|| AgentError::None(KNOWN.map(|known| format!("{} (`{}`)", known.name, known.install)).join(", ")))
    }

    /// All agents that are known, in the order in which `auto` chooses, with what is known of them now.
    pub(crate) fn list(&self) -> Vec<AgentInfo> {
        let config = Arc::clone(&self.0.config.borrow());
        names(&config).into_iter().map(|name| self.info(&config, name)).collect()
    }

    fn info(&self, config: &Config, name: String) -> AgentInfo {
        let known = KNOWN.iter().find(|known| known.name == name);
        let mut info = AgentInfo {
            driver: known.map_or("acp", |known| known.driver).to_owned(),
            path: None,
            version: None,
            tested: known.map(|known| known.tested.to_owned()),
            interactive: known.is_some_and(|known| known.interactive),
            problem: None,
            name,
        };
        match self.program(config, &info.name) {
            Ok(program) => {
                info.path = Some(program.to_string_lossy().into_owned());
                match self.probe(&program) {
                    Some(Probe::Version(version)) => info.version = Some(version),
                    Some(Probe::Failed(why)) => info.problem = Some(why),
                    Some(Probe::Running) | None => {}
                }
            }
            Err(error) => info.problem = Some(error.to_string()),
        }
        info
    }

    /// The program of an agent: what the config says, or what is first on `PATH`.
    fn program(&self, config: &Config, name: &str) -> Result<PathBuf, AgentError> {
        if let Some(path) = config.agents.paths.get(name) {
            return if is_program(path) { Ok(path.clone()) } else { Err(AgentError::NotAProgram(name.to_owned(), path.clone(), "agents.paths")) };
        }
        let known = KNOWN.iter().find(|known| known.name == name);
        let command = match known {
            Some(_) => name,
            None => config.agents.acp.get(name).and_then(|command| command.first()).map_or("", String::as_str),
        };
        if command.contains('/') {
            let path = PathBuf::from(command);
            let good = path.is_absolute() && is_program(&path);
            return if good { Ok(path) } else { Err(AgentError::NotAProgram(name.to_owned(), path, "agents.acp")) };
        }
        let path = self.0.jobs.variable("PATH").unwrap_or_default();
        on_path(path, command).ok_or_else(|| {
            let how = match known {
                Some(known) => format!("Install it with `{}`, or name its program in `agents.paths` of the config.", known.install),
                None => format!("`{}` is not on `PATH`: install it, or correct `agents.acp` in the config.", inert(command)),
            };
            AgentError::NotInstalled { name: inert(name).into_owned(), how }
        })
    }

    /// What is known of a program's version. Asks for it in the background when nothing is, or when the file is another one now.
    fn probe(&self, program: &Path) -> Option<Probe> {
        let stamp = Stamp::of(program)?;
        {
            let mut probes = self.0.probes.lock().unwrap_or_else(PoisonError::into_inner);
            match probes.get(program) {
                Some((known, probe)) if *known == stamp => return Some(probe.clone()),
                _ => probes.insert(program.to_owned(), (stamp, Probe::Running)),
            };
        }
        let (this, program) = (self.clone(), program.to_owned());
        self.0.tracker.spawn(async move {
            let Ok(_turn) = this.0.turn.acquire().await else { return };
            let probe = version::ask(&this.0.jobs, &program).await;
            this.0.probes.lock().unwrap_or_else(PoisonError::into_inner).insert(program, (stamp, probe));
        });
        Some(Probe::Running)
    }

    /// The driver for a run of an agent.
    pub(crate) fn make_driver(&self, found: &Found, start: Start) -> Result<Box<dyn Driver>, AgentError> {
        Ok(match found.kind {
            Kind::Claude => Box::new(Claude::new(start)),
            Kind::Codex => Box::new(Codex::new(start)),
            Kind::Gemini => Box::new(Acp::new(Profile::gemini(), start)),
            Kind::Acp => Box::new(Acp::new(Profile::other(&found.name, &found.args), start)),
            Kind::Opencode => {
                let shell = self.guarded_shell().map_err(|error| AgentError::Shell { dir: self.0.dir.clone(), error })?;
                Box::new(opencode::driver(start, opencode::Guard { password: Secret::generate(), shell }))
            }
        })
    }

    /// A shell for opencode that keeps nothing of what opencode must keep for itself. Its file has the name of the real one: that tells opencode how to use it.
    fn guarded_shell(&self) -> io::Result<String> {
        let usual = self.0.jobs.variable("SHELL").map(PathBuf::from);
        let takes = |shell: &PathBuf| {
            shell.is_absolute() && is_program(shell) && matches!(shell.file_name().and_then(|name| name.to_str()), Some("bash" | "zsh" | "sh"))
        };
        let shell = usual.filter(takes).or_else(|| Some(PathBuf::from("/bin/bash")).filter(takes)).unwrap_or_else(|| PathBuf::from("/bin/sh"));
        let name = shell.file_name().map_or_else(|| "sh".into(), ToOwned::to_owned);
        let text = shell.to_str().ok_or_else(|| io::Error::other("the path of the shell is not text"))?;
        let dir = self.0.dir.join("opencode-shell");
        std::fs::create_dir_all(&dir)?;
        let path = dir.join(name);
        let script = opencode::wrapper(text);
        if std::fs::read_to_string(&path).ok().as_deref() != Some(script.as_str()) || !is_program(&path) {
            // Another run may use it now: it is replaced as a whole.
            let new = dir.join(format!(".new-{}", uuid::Uuid::new_v4()));
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o700).open(&new)?.write_all(script.as_bytes())?;
            std::fs::rename(&new, &path)?;
        }
        path.into_os_string().into_string().map_err(|_| io::Error::other("the path is not text"))
    }
}

/// All names, in the order in which `auto` chooses.
fn names(config: &Config) -> Vec<String> {
    let others = config.agents.acp.keys().filter(|name| KNOWN.iter().all(|known| known.name != name.as_str()) && *name != "auto");
    KNOWN.iter().map(|known| known.name.to_owned()).chain(others.cloned()).collect()
}

/// The first program of this name in the directories of `PATH`. Relative directories do not count: they are another one for every task.
pub(crate) fn on_path(path: &str, name: &str) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    std::env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(|file| is_program(file))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|data| data.is_file() && data.mode() & 0o111 != 0) && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}
