//! Processes that are no jobs but live and die like one: agents and terminals. Whoever starts one decides its environment and what it may be.

use std::{collections::BTreeMap, io, os::fd::OwnedFd, sync::Arc, time::Duration};

use loopsy_shared::api::execute::Command;
use tokio::net::unix::pipe;

use super::{
    JobError, Jobs,
    keeper::{
        link::{Failure, Running},
        protocol::{Exit, Spawn},
    },
    spawn::{Plan, pipes, plan},
};

/// What to start. Nothing is looked up.
#[derive(Debug, Clone)]
pub(crate) struct ProcessSpec {
    /// Marks everything that it starts.
    pub(crate) id: String,
    /// The file to run.
    pub(crate) program: String,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Its working directory, absolute.
    pub(crate) cwd: String,
    /// Its whole environment.
    pub(crate) env: Vec<(String, String)>,
}

/// A command that may run.
#[derive(Debug)]
pub(crate) struct Planned {
    /// The file to run.
    pub(crate) program: String,
    /// Its working directory, absolute.
    pub(crate) cwd: String,
    /// Its whole environment.
    pub(crate) env: Vec<(String, String)>,
}

/// A process with our ends of its pipes.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its process id.
    pub(crate) pid: i32,
    /// To its standard input.
    pub(crate) stdin: pipe::Sender,
    /// From its standard output.
    pub(crate) stdout: pipe::Receiver,
    /// From its standard error.
    pub(crate) stderr: pipe::Receiver,
    /// Its life.
    pub(crate) life: Life,
}

/// The life of a process and of everything that it started.
#[derive(Debug)]
pub(crate) struct Life(Running);

impl Life {
    /// Waits for the end of the first process.
    pub(crate) async fn ended(&mut self) -> Ended {
        match (&mut self.0.exit).await.unwrap_or(Exit::Lost) {
            Exit::Code(code) => Ended { code: Some(code), signal: None },
            Exit::Signal(signal) => Ended { code: None, signal: Some(signal) },
            Exit::Lost => Ended { code: None, signal: Some(rustix::process::Signal::KILL.as_raw()) },
        }
    }

    /// Ends the process and all that it started: asks now, forces after the grace period. Returns when that has begun.
    pub(crate) async fn kill(&self, grace: Duration) {
        self.0.kill(grace).await;
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// With this code,
    pub(crate) code: Option<i32>,
    /// or by this signal.
    pub(crate) signal: Option<i32>,
}

impl Jobs {
    /// Starts a process with pipes, below the keeper: it does not outlive the daemon.
    pub(crate) async fn process(&self, spec: ProcessSpec) -> io::Result<Process> {
        let (stdin, stdout, stderr, stdio) = pipes(true)?;
        let stdin = stdin.ok_or_else(|| io::Error::other("a pipe is missing"))?;
        let life = self.below_keeper(spec, stdio, false).await?;
        Ok(Process { pid: life.0.pid, stdin, stdout, stderr, life })
    }

    /// Starts a process that leads a session on a terminal, below the keeper. It gets the three handles of the terminal's other side.
    pub(crate) async fn tty_process(&self, spec: ProcessSpec, terminal: [OwnedFd; 3]) -> io::Result<(i32, Life)> {
        let life = self.below_keeper(spec, terminal, true).await?;
        Ok((life.0.pid, life))
    }

    /// Decides whether and how a command runs that somebody asked for: environment, policy, working directory, the program's file. One policy for every way in.
    pub(crate) async fn planned(&self, command: Command) -> Result<Planned, JobError> {
        let shared = Arc::clone(&self.0);
        let config = shared.config.borrow().clone();
        // a directory may be on a disk that does not answer
        let planned = tokio::task::spawn_blocking(move || plan(&shared.environment, &config.execution, &command));
        let Plan { program, cwd, env } = planned.await.map_err(|error| JobError::Invalid(format!("The command could not be checked: {error}.")))??;
        Ok(Planned { program, cwd, env })
    }

    /// Starts a process with these as its standard input, output and error.
    async fn below_keeper(&self, spec: ProcessSpec, stdio: [OwnedFd; 3], tty: bool) -> io::Result<Life> {
        let ProcessSpec { id, program, args, cwd, env } = spec;
        let spawn = Spawn { job: id, name: program.clone(), program, args, cwd, env, tty };
        self.0.keeper.spawn(spawn, stdio).await.map(Life).map_err(|failure| match failure {
            Failure::Refused(reason) | Failure::NoKeeper(reason) => io::Error::other(reason),
        })
    }

    /// The environment of an agent: the usual variables, those that the config names, and those of the daemon's that pass.
    pub(crate) fn agent_environment(&self, named: &[String], passes: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
        self.0.environment.agent(named, passes)
    }

    /// A variable of the daemon's environment as it was at the start.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.0.environment.get(name)
    }
}
