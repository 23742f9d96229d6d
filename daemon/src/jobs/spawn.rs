//! The one way by which a process of a job starts: check what was asked, apply the policy, make the pipes, ask the keeper.

use std::{fs::File, io, os::fd::OwnedFd, path::PathBuf};

use loopsy_shared::{api::execute::Command, config::Execution, id::JobId, text::inert};
use tokio::net::unix::pipe;

use super::{
    JobError,
    environment::Environment,
    keeper::{
        link::{Failure, Keeper, Running},
        protocol::Spawn,
    },
    policy::{self, Search},
};

/// A command that may run, with everything about it decided.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) program: String,
    pub(super) cwd: String,
    pub(super) env: Vec<(String, String)>,
}

/// A process with our ends of its pipes.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) running: Running,
    pub(super) stdin: Option<pipe::Sender>,
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: pipe::Receiver,
}

/// Decides whether and how a command runs. Looks at the file system, so not for an async thread.
pub(super) fn plan(environment: &Environment, execution: &Execution, command: &Command) -> Result<Plan, JobError> {
    let invalid = |what: &str| Err(JobError::Invalid(what.to_owned()));
    if command.command.is_empty() {
        return invalid("The command is empty.");
    }
    if [&command.command].into_iter().chain(&command.args).chain(&command.cwd).any(|text| text.contains('\0')) {
        return invalid("A command, its arguments and its working directory cannot contain a zero byte.");
    }
    if command.pipe_stdin && command.stdin.is_some() {
        return invalid("A command has either `stdin` or `pipeStdin`, not both.");
    }
    let env = environment.job(execution, &command.env)?;
    let cwd = environment.home().join(command.cwd.as_deref().unwrap_or_default()); // whatever HOME the caller sets
    if !cwd.is_absolute() {
        // else policy and keeper would look at different files
        return invalid("The working directory must be absolute, because the home directory here is not known.");
    }
    let search = Search { path: env.get("PATH").cloned().unwrap_or_default(), cwd: cwd.clone() };
    policy::check(execution, &search, &command.command, &command.args)?;
    let failed = |reason: String| JobError::SpawnFailed { command: inert(&command.command).into_owned(), reason };
    match std::fs::metadata(&cwd) {
        Ok(dir) if dir.is_dir() => {}
        Ok(_) => return Err(failed(format!("its working directory `{}` is not a directory", inert(&cwd.to_string_lossy())))),
        Err(error) => return Err(failed(format!("its working directory `{}` cannot be used: {error}", inert(&cwd.to_string_lossy())))),
    }
    let program = search.find(&command.command).ok_or_else(|| {
        failed(if command.command.contains('/') { "there is no such file".to_owned() } else { "there is no such program on PATH".to_owned() })
    })?;
    let text = |path: PathBuf| path.into_os_string().into_string().map_err(|path| failed(format!("the path `{}` is not Unicode", path.to_string_lossy())));
    Ok(Plan { program: text(program)?, cwd: text(cwd)?, env: env.into_iter().collect() })
}

/// Starts the process.
pub(super) async fn start(keeper: &Keeper, id: &JobId, plan: Plan, command: &Command) -> Result<Started, JobError> {
    let failed = |reason: String| JobError::SpawnFailed { command: inert(&command.command).into_owned(), reason };
    let (stdin, stdout, stderr, stdio) =
        pipes(command.pipe_stdin || command.stdin.is_some()).map_err(|error| failed(format!("its input and output cannot be made: {error}")))?;
    let Plan { program, cwd, env } = plan;
    let spawn = Spawn { job: id.to_string(), program, name: command.command.clone(), args: command.args.clone(), cwd, env, tty: false };
    let running = keeper.spawn(spawn, stdio).await.map_err(|failure| match failure {
        Failure::Refused(reason) | Failure::NoKeeper(reason) => failed(reason),
    })?;
    Ok(Started { running, stdin, stdout, stderr })
}

pub(super) type Pipes = (Option<pipe::Sender>, pipe::Receiver, pipe::Receiver, [OwnedFd; 3]);

pub(super) fn pipes(with_input: bool) -> io::Result<Pipes> {
    let (stdout, their_stdout) = io::pipe()?;
    let (stderr, their_stderr) = io::pipe()?;
    let (stdin, their_stdin) = if with_input {
        let (theirs, ours) = io::pipe()?;
        (Some(pipe::Sender::from_owned_fd(ours.into())?), OwnedFd::from(theirs))
    } else {
        (None, OwnedFd::from(File::open("/dev/null")?))
    };
    let receiver = |ours: io::PipeReader| pipe::Receiver::from_owned_fd(ours.into());
    Ok((stdin, receiver(stdout)?, receiver(stderr)?, [their_stdin, their_stdout.into(), their_stderr.into()]))
}
