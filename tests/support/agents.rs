//! A place to run real agents in: a network with nothing in it but a scripted model and a node, and a home with what the agents need to talk to that model.
//!
//! ```ignore
//! let script = Script::new().say("I make it.").shell("echo hi > made.txt", true).say("All done.");
//! let Some(lab) = Lab::new("a task of Claude Code", Agent::Claude, script) else { return };
//! let task = lab.post("/api/v1/ai-tasks", json!({ "prompt": "make the file", "cwd": lab.project() })).ok().json();
//! until("the model's second turn", || (lab.model.turns().len() == 2).then_some(()));
//! lab.stop();
//! ```
//!
//! Where there are no namespaces, or not these agents in just these versions, a test says so on standard error and ends, and fails instead when
//! `LOOPSY_TEST_AGENTS=required`.

mod install;
mod settings;

use std::{
    fs::File,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;

use super::{
    Answer, Home, PATIENCE, Ran, TestDaemon, kill,
    model::{Model, Script},
    netns::{Host, skip},
};

/// How long an agent may run. Reaching it is a failure; several of them on a busy machine take their time.
const LONGEST_RUN: Duration = Duration::from_secs(120);

/// An agent that we have a driver for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agent {
    Claude,
    Codex,
    Gemini,
    OpenCode,
}

impl Agent {
    /// Its program.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::OpenCode => "opencode",
        }
    }
}

/// The place. Everything that runs in it ends with it.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) daemon: TestDaemon,
    pub(crate) model: Model,
    project: PathBuf,
    environment: Vec<(String, String)>,
    host: Host,
}

/// What a place is made of. It can be changed before anything runs.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The node is initialised, and the agents have their settings.
    pub(crate) home: Home,
    /// What daemon and agents have in their environment, logins included.
    pub(crate) environment: Vec<(String, String)>,
    /// The folder to work in, which the agents trust.
    pub(crate) project: PathBuf,
}

impl Setup {
    /// Sets a variable, or sets it anew.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(other, _)| other != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }
}

impl Lab {
    /// A place for one agent. `None`: there cannot be one here, which is said.
    pub(crate) fn new(test: &str, agent: Agent, script: Script) -> Option<Self> {
        Self::with(test, &[agent], script, |_| {})
    }

    /// A place for some agents, and for no others, changed before the node starts.
    pub(crate) fn with(test: &str, agents: &[Agent], script: Script, change: impl FnOnce(&mut Setup)) -> Option<Self> {
        let found: Result<Vec<PathBuf>, String> = agents.iter().map(|agent| agent.find()).collect();
        match found.and_then(|programs| Ok((programs, Host::alone()?))) {
            Ok((programs, host)) => Some(Self::furnish(&programs, agents, script, change, host)),
            Err(why) => {
                skip(test, "LOOPSY_TEST_AGENTS", &why);
                None
            }
        }
    }

    fn furnish(programs: &[PathBuf], agents: &[Agent], script: Script, change: impl FnOnce(&mut Setup), host: Host) -> Self {
        let model = host.inside(|| Model::start(script));
        let mut home = Home::init("leo");
        // Some are started by Node.js, wherever that is.
        home.add_programs(install::node().and_then(|node| Some(node.parent()?.to_owned())).unwrap_or_default());
        let bin = home.root().join("bin");
        std::fs::create_dir(&bin).unwrap();
        for program in programs {
            symlink(program, bin.join(program.file_name().unwrap())).unwrap();
        }
        home.add_programs(bin);
        let project = home.home().join("project");
        std::fs::create_dir(&project).unwrap();
        let mut setup = Setup { home, environment: Vec::new(), project };
        for agent in agents {
            settings::settle(*agent, &mut setup, &model.url());
        }
        change(&mut setup);
        let Setup { home, environment, project } = setup;
        let daemon = host.inside(|| TestDaemon::start_with(home, &borrowed(&environment)));
        Self { daemon, model, project, environment, host }
    }

    /// The folder to work in. Files that a script names without a folder are there.
    pub(crate) fn project(&self) -> &Path {
        &self.project
    }

    /// A file in the folder to work in, if it is there.
    pub(crate) fn made(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.project.join(name)).ok()
    }

    /// Does something on the network of this place. Connections that are made there can be used from anywhere.
    pub(crate) fn at<T: Send>(&self, work: impl FnOnce(&TestDaemon) -> T + Send) -> T {
        self.host.inside(|| work(&self.daemon))
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.at(|daemon| daemon.get(target))
    }

    pub(crate) fn post(&self, target: &str, body: Value) -> Answer {
        self.at(|daemon| daemon.post(target, body))
    }

    pub(crate) fn loopsy(&self, args: &[&str]) -> Ran {
        self.at(|daemon| daemon.loopsy(args))
    }

    /// Starts the node again after a stop or a kill.
    pub(crate) fn launch(&mut self) {
        let (daemon, environment) = (&mut self.daemon, &self.environment);
        self.host.inside(|| daemon.launch(&borrowed(environment)));
    }

    /// Stops the node, and asserts that nothing which it had started goes on.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.daemon.stop();
        let begun = Instant::now();
        while let Some(left) = self.processes().first() {
            assert!(begun.elapsed() < PATIENCE, "a stop of the node leaves `{left}`");
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    /// What runs here, the daemon included: the command lines.
    pub(crate) fn processes(&self) -> Vec<String> {
        let line = |pid| std::fs::read(format!("/proc/{pid}/cmdline")).map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        self.host.processes().into_iter().filter_map(|pid| line(pid).ok()).filter(|line| !line.is_empty()).collect()
    }

    /// A program as the daemon would start it: here, in the folder to work in, with the same environment.
    pub(crate) fn command(&self, line: &[&str]) -> Command {
        let home = &self.daemon.home;
        let mut command = Command::new(line[0]);
        command
            .args(&line[1..])
            .env_clear()
            .envs(borrowed(&self.environment))
            .env("PATH", home.path())
            .env("HOME", home.home())
            .env("TMPDIR", home.root().join("tmp"))
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb")
            .current_dir(&self.project)
            .stdin(Stdio::null());
        command
    }

    /// Runs an agent by hand, to its end.
    pub(crate) fn run(&self, line: &[&str]) -> Ran {
        // Not pipes: what the agent leaves behind would hold them.
        let root = self.daemon.home.root();
        let (out, err) = (root.join("run.out"), root.join("run.err"));
        let mut command = self.command(line);
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let mut child = self.host.inside(|| command.spawn()).unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if begun.elapsed() > LONGEST_RUN {
                self.end_all();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(15));
        };
        let (out, err) = (std::fs::read(out).unwrap(), String::from_utf8_lossy(&std::fs::read(err).unwrap()).into_owned());
        let status = status.unwrap_or_else(|| panic!("{line:?} did not end: {}\n{err}", String::from_utf8_lossy(&out)));
        let code = status.code().unwrap_or_else(|| 128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0));
        Ran { code, out, err }
    }

    /// Ends whatever runs here. The namespace is ours alone, so everything in it is ours.
    fn end_all(&self) {
        let begun = Instant::now();
        loop {
            let left = self.host.processes();
            if left.is_empty() || begun.elapsed() > PATIENCE {
                break;
            }
            left.into_iter().for_each(|pid| kill(pid, Signal::KILL));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.end_all();
        if std::thread::panicking() {
            for asked in self.model.requests() {
                eprintln!("--- the model was asked by {}: turn {:?}, {}, {:?}, calls {:?}", asked.dialect, asked.turn, asked.status, asked.end(), asked.calls);
            }
        }
    }
}

fn borrowed(environment: &[(String, String)]) -> Vec<(&str, &str)> {
    environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
