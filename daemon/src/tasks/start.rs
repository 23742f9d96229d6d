//! The start of a run: the driver, the environment, the process or the terminal.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use loopsy_shared::{
    api::{
        ai_tasks::{DispatchTask, EndedBy, TaskEventKind, TaskMode, TaskStatus},
        terminals::TerminalSize,
    },
    id::TerminalId,
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Shared, Task, TaskError, Turn, aside, environment, now,
    process::Agent,
    run::{self, Command, Over, Parts, Run},
    timeout,
};
use crate::{
    agents::{
        self, Found,
        driver::{NewEvent, Start, Wire},
    },
    fsutil,
    jobs::process::ProcessSpec,
    terminals::Opening,
    trust::Caller,
};

/// The argument that makes this binary the hook of an agent.
pub(super) const HOOK: &str = "__hook";
/// The file in a task's directory that holds its token.
pub(super) const TOKEN: &str = "token";
/// The size of an agent's screen, when nobody says.
const SIZE: TerminalSize = TerminalSize { cols: 120, rows: 40 };

/// The agent of a name, looked for away from the threads that serve.
pub(super) async fn find(parts: &super::Parts, name: &str) -> Result<Found, TaskError> {
    let (agents, name) = (parts.agents.clone(), name.to_owned());
    Ok(aside(move || agents.find(&name)).await??)
}

/// The directory of the repository that a directory is in. Looks at the disk.
fn repository(cwd: &Path) -> Option<PathBuf> {
    cwd.ancestors().find(|dir| dir.join(".git").exists()).map(PathBuf::from)
}

/// Whether an agent can do what is asked for.
pub(super) fn fits(found: &Found, request: &DispatchTask) -> Result<(), TaskError> {
    if request.mode == TaskMode::Interactive && !found.interactive() {
        return Err(TaskError::Invalid(format!(
            "`{}` cannot be watched on its own screen with approvals; run it headless, or in a terminal: loopsy terminal new -- {}",
            found.name, found.name
        )));
    }
    if request.park && !found.parks() {
        return Err(TaskError::Invalid(format!("Approvals of `{}` cannot be parked: only Claude Code can go on with one later.", found.name)));
    }
    Ok(())
}

/// Starts the agent and sees the run to its end.
pub(super) async fn start(shared: &std::sync::Arc<Shared>, turn: Turn, mut commands: mpsc::Receiver<Command>) -> Result<Over, TaskError> {
    let Turn { task, prompt, resume, principal } = turn;
    let (parts, request, info) = (&shared.parts, task.request(), task.info());
    let config = parts.config.borrow().clone();
    let found = find(parts, &info.agent).await?;
    let settling = task.ran_at().filter(|_| resume).map_or(Duration::ZERO, |before| found.settles_in(before, now()));
    if !settling.is_zero()
        && let Some(over) = settle(&task, &found, settling, &mut commands, &principal.revoked, &parts.stopping).await?
    {
        return Ok(over);
    }
    task.begins();
    let hooked = request.park || request.mode == TaskMode::Interactive;
    let hook = if hooked { Some(hook(shared, &task).await.map_err(TaskError::Files)?) } else { None };
    let begin = Start {
        prompt,
        cwd: info.cwd.clone(),
        model: request.model.clone(),
        permission_mode: request.permission_mode,
        allowed_tools: request.allowed_tools.clone(),
        disallowed_tools: request.disallowed_tools.clone(),
        additional_args: request.additional_args.clone(),
        max_budget_usd: request.max_budget_usd.map(|budget| budget - info.cost_usd.unwrap_or_default()),
        resume: info.session_id.clone().filter(|_| resume),
        hook,
        interactive: request.mode == TaskMode::Interactive,
        park: request.park,
    };
    let typed = agents::typed(&found, &begin);
    let (cwd, repository, driver) = {
        let (agents, found, cwd) = (parts.agents.clone(), found.clone(), PathBuf::from(&info.cwd));
        aside(move || {
            let repository = repository(&cwd);
            (cwd, repository, agents.make_driver(&found, begin))
        })
        .await?
    };
    let driver = driver?;
    let launch = driver.launch();
    let program = found.program.to_string_lossy().into_owned();
    let mut env = environment(parts, |name| found.passes(name, |other| parts.jobs.variable(other).is_some()), task.id());
    env.extend(launch.env);
    let agent = match launch.wire {
        Wire::Lines => {
            let spec = ProcessSpec { id: task.id().to_string(), program, args: launch.args, cwd: info.cwd.clone(), env };
            let process = parts.jobs.process(spec).await.map_err(|error| not_started(&found, &error))?;
            Agent::by_pipes(process, &parts.tracker)
        }
        Wire::Screen => {
            let id = TerminalId::new();
            let opening = Opening {
                id: Some(id.clone()),
                name: format!("{} {}", found.name, &task.id().as_str()[..8]),
                program,
                args: launch.args,
                cwd: info.cwd.clone(),
                env,
                size: request.size.map_or(SIZE, |(cols, rows)| TerminalSize { cols, rows }),
                task_id: Some(task.id().clone()),
            };
            let owner =
                Caller { principal: std::sync::Arc::clone(&principal), from_node_id: None, job_id: None, from: [127, 0, 0, 1].into(), for_agent: false };
            let terminal = parts.terminals.open(&owner, opening).await?;
            task.update(shared, |info| info.terminal_id = Some(id)).await;
            Agent::on_screen(terminal)
        }
    };
    let pid = agent.pid();
    task.update(shared, |info| (info.pid, info.agent_version) = (pid, found.version.clone().or(info.agent_version.take()))).await;
    let run = Parts {
        driver,
        agent,
        commands,
        timeout: timeout(&config, &request),
        type_first: typed,
        principal,
        cwd,
        repository,
        peer: task.peer(),
        park: request.park,
    };
    Ok(Run::run(std::sync::Arc::clone(shared), task, run).await)
}

/// Waits until the agent can go on with its session; or says how the run ends, when somebody wants that first.
async fn settle(
    task: &Task,
    found: &Found,
    time: Duration,
    commands: &mut mpsc::Receiver<Command>,
    revoked: &CancellationToken,
    stopping: &CancellationToken,
) -> Result<Option<Over>, TaskError> {
    let message = format!("`{}` can go on with this session in {} s.", found.name, time.as_secs() + 1);
    task.append(vec![run::system("notice", json!({ "message": message }))]).await.map_err(TaskError::Files)?;
    let deadline = tokio::time::Instant::now() + time;
    let ended_by = loop {
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => return Ok(None),
            () = revoked.cancelled() => break EndedBy::Revoked,
            () = stopping.cancelled() => break EndedBy::Restart,
            command = commands.recv() => match command {
                Some(Command::End(by)) => break by,
                Some(Command::Interrupt) | None => break EndedBy::Interrupt,
                // Nothing else can be done with an agent that does not run: whoever wanted it is told so.
                Some(_) => {}
            },
        }
    };
    let status = if ended_by == EndedBy::Restart { TaskStatus::Failed } else { TaskStatus::Cancelled };
    Ok(Some(Over { status, ended_by, error: None, exit: None }))
}

/// What an agent's hook runs: this binary, which finds the task's token in a file that only its owner can read.
async fn hook(shared: &Shared, task: &Task) -> io::Result<Vec<String>> {
    let token = shared.parts.trust.issue_task(task.id());
    let (dir, data) = (task.dir().to_owned(), shared.parts.data.clone());
    let writing = tokio::task::spawn_blocking(move || -> io::Result<String> {
        std::fs::create_dir_all(&dir)?;
        fsutil::write_atomic(&dir.join(TOKEN), token.reveal().as_bytes())?;
        let program = std::env::current_exe()?;
        program.into_os_string().into_string().map_err(|path| io::Error::other(format!("the path `{}` is not Unicode", path.to_string_lossy())))
    });
    let program = writing.await.map_err(io::Error::other)??;
    Ok(vec![program, HOOK.to_owned(), data.to_string_lossy().into_owned(), task.id().to_string()])
}

fn not_started(found: &Found, error: &io::Error) -> TaskError {
    TaskError::Invalid(format!("`{}` ({}) could not be started: {error}.", found.name, found.program.display()))
}

/// A run that never began.
pub(super) async fn failed(task: &Task, error: &TaskError) -> Over {
    let text = error.to_string();
    let event = NewEvent { kind: TaskEventKind::Error, data: json!(text), block: None };
    if let Err(error) = task.append(vec![event]).await {
        tracing::error!(%error, "the events of a task cannot be stored");
    }
    Over { status: TaskStatus::Failed, ended_by: EndedBy::Agent, error: Some(text), exit: None }
}
