//! Terminals: programs on a screen that outlive whoever looks at them.
//!
//! The program runs below the keeper, as a job does. What it prints is filtered, logged and drawn; each viewer follows the log at its
//! own pace, from a snapshot of the screen on, and the program never waits for one.

mod conduct;
mod error;
mod filter;
mod flow;
mod log;
mod pty;
mod screen;
mod terminal;
mod viewer;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use loopsy_shared::{
    api::{
        events::Event,
        execute::Command,
        terminals::{OpenTerminal, TerminalInfo, TerminalSize},
    },
    config::Config,
    id::{TaskId, TerminalId},
    time,
};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    conduct::Conduct,
    flow::Flow,
    log::Log,
    terminal::{About, INPUTS, Inner, Shown},
};
pub use self::{
    error::TerminalError,
    terminal::Terminal,
    viewer::{Hands, Looking, Step, Viewer},
};
use crate::{
    events::Events,
    jobs::{Jobs, process::ProcessSpec, sync::Mutex},
    trust::Caller,
};

/// Ended terminals that are kept. The oldest go first.
const MOST_ENDED: usize = 64;
/// Longest name, in characters.
const LONGEST_NAME: usize = 100;
/// Never passed on from the daemon's own environment: what is true of the terminal that the daemon was started in, not of this one.
const OUTER: [&str; 6] = ["TMUX", "ZELLIJ", "SSH_", "COLUMNS", "LINES", "TERM_PROGRAM"];

/// A terminal to open, with everything decided: nothing is looked up, and no policy is asked.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// The id that it is to have.
    pub id: Option<TerminalId>,
    /// What people call it.
    pub name: String,
    /// The file to run.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its working directory, absolute.
    pub cwd: String,
    /// Its whole environment, but for what every terminal has (`TERM`, `COLORTERM`).
    pub env: Vec<(String, String)>,
    /// The screen.
    pub size: TerminalSize,
    /// The task whose agent runs in it.
    pub task_id: Option<TaskId>,
}

/// What the service is made of.
#[derive(Debug)]
pub struct Parts {
    /// The live config.
    pub config: watch::Receiver<Arc<Config>>,
    /// Starts processes.
    pub jobs: Jobs,
    /// What changes.
    pub events: Events,
    /// The directory for logs.
    pub dir: PathBuf,
    /// Owns the tasks.
    pub tasks: TaskTracker,
    /// Fires when the node begins to stop.
    pub stopping: CancellationToken,
}

/// The terminals of a node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Terminals(Arc<Shared>);

#[derive(Debug)]
pub(in crate::terminals) struct Shared {
    parts: Parts,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    terminals: HashMap<TerminalId, Terminal>,
    /// Those that are being opened.
    opening: usize,
}

impl Terminals {
    /// A node without terminals.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Shared { parts, table: Mutex::default() }))
    }

    /// Opens a terminal that somebody asked for: the same policy as for commands.
    ///
    /// # Errors
    /// When the program may not run, cannot be found, or too many are open.
    pub async fn request(&self, caller: &Caller, request: OpenTerminal) -> Result<Terminal, TerminalError> {
        let shell = self.0.parts.config.borrow().terminals.shell.clone();
        let command = request.command.or(shell).unwrap_or_else(|| self.0.shell());
        let asked = Command { command: command.clone(), args: request.args.clone(), cwd: request.cwd, env: request.env.clone(), ..Command::default() };
        let planned = self.0.parts.jobs.planned(asked).await?;
        let outer =
            |name: &str| !request.env.contains_key(name) && OUTER.iter().any(|outer| name == *outer || (outer.ends_with('_') && name.starts_with(outer)));
        let env = planned.env.into_iter().filter(|(name, _)| !outer(name)).collect();
        let base = command.rsplit('/').next().unwrap_or(&command);
        let default = TerminalSize::default();
        let opening = Opening {
            id: None,
            name: request.name.as_deref().filter(|name| !name.trim().is_empty()).unwrap_or(base).chars().take(LONGEST_NAME).collect(),
            program: planned.program,
            args: request.args,
            cwd: planned.cwd,
            env,
            size: TerminalSize { cols: request.cols.unwrap_or(default.cols), rows: request.rows.unwrap_or(default.rows) },
            task_id: None,
        };
        self.open_as(caller, opening, command).await
    }

    /// Opens a terminal. It ends with the key of its owner.
    ///
    /// # Errors
    /// When the process cannot be started, the id is taken, or too many are open.
    pub async fn open(&self, owner: &Caller, opening: Opening) -> Result<Terminal, TerminalError> {
        let command = opening.program.clone();
        self.open_as(owner, opening, command).await
    }

    async fn open_as(&self, owner: &Caller, opening: Opening, command: String) -> Result<Terminal, TerminalError> {
        let id = opening.id.clone().unwrap_or_else(TerminalId::new);
        let place = Place::take(&self.0, &id)?;
        let (shared, principal) = (Arc::clone(&self.0), Arc::clone(&owner.principal));
        // In a task of its own, so that a caller who goes away cannot leave a process without an owner.
        let opened = self.0.parts.tasks.spawn(async move {
            let size = opening.size.clamped();
            let failed = |error: std::io::Error| TerminalError::Failed(error.to_string());
            let (log_bytes, scrollback, grace) = {
                let config = shared.parts.config.borrow();
                (config.terminals.log_bytes, config.terminals.scrollback, config.execution.grace)
            };
            let dir = shared.parts.dir.clone();
            let made = tokio::task::spawn_blocking(move || Ok((Log::new(&dir, log_bytes)?, pty::open(size)?)));
            let (log, pty) = made.await.map_err(|error| TerminalError::Failed(error.to_string()))?.map_err(failed)?;
            let mut env = opening.env;
            env.retain(|(name, _)| !matches!(name.as_str(), "TERM" | "COLORTERM"));
            env.extend([("TERM".to_owned(), "xterm-256color".to_owned()), ("COLORTERM".to_owned(), "truecolor".to_owned())]);
            let spec = ProcessSpec { id: id.to_string(), program: opening.program, args: opening.args.clone(), cwd: opening.cwd.clone(), env };
            let (pid, life) = shared.parts.jobs.tty_process(spec, pty.theirs).await.map_err(failed)?;
            let about = About {
                id: id.clone(),
                name: opening.name,
                command,
                args: opening.args,
                cwd: opening.cwd,
                pid,
                created_at: time::now(),
                task_id: opening.task_id,
                principal: principal.name.clone(),
            };
            let (input, typed) = mpsc::channel(INPUTS);
            let inner = Arc::new(Inner {
                about,
                flow: Mutex::new(Flow::new(log, size)),
                bell: std::sync::Condvar::new(),
                changes: watch::Sender::new(0),
                shown: Mutex::new(Shown { screen: Inner::fresh(size, scrollback), offset: 0, resized: 0 }),
                input,
                ours: pty.ours.into(),
                viewers: Mutex::default(),
                stirred: Notify::new(),
                closing: CancellationToken::new(),
                forgotten: CancellationToken::new(),
                over: CancellationToken::new(),
                scrollback,
                events: shared.parts.events.clone(),
            });
            let terminal = Terminal(Arc::clone(&inner));
            place.fill(terminal.clone());
            let conduct = Conduct { shared: Arc::clone(&shared), terminal: terminal.clone(), life, revoked: principal.revoked.clone(), grace };
            shared.parts.tasks.spawn(conduct.run(typed));
            inner.publish();
            Ok(terminal)
        });
        opened.await.unwrap_or(Err(TerminalError::Closing))
    }

    /// All that are open or were lately, oldest first.
    pub fn list(&self) -> Vec<TerminalInfo> {
        let mut terminals: Vec<Terminal> = self.0.table.lock().terminals.values().cloned().collect();
        terminals.sort_by_key(|terminal| terminal.0.about.created_at);
        terminals.iter().map(Terminal::info).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// When it is unknown.
    pub fn get(&self, id: &TerminalId) -> Result<Terminal, TerminalError> {
        self.0.table.lock().terminals.get(id).cloned().ok_or_else(|| TerminalError::NotFound(id.clone()))
    }

    /// Ends a terminal and everything in it, and waits for that; one that has ended is forgotten.
    ///
    /// # Errors
    /// When it is unknown.
    pub async fn close(&self, id: &TerminalId) -> Result<(), TerminalError> {
        let terminal = self.get(id)?;
        if terminal.is_running() {
            terminal.close().await;
        } else {
            self.0.forget(&terminal);
        }
        Ok(())
    }

    /// Begins to look at a terminal.
    ///
    /// # Errors
    /// When it is unknown, or too many look already.
    pub fn attach(&self, id: &TerminalId, looking: Looking) -> Result<(Terminal, Viewer), TerminalError> {
        let terminal = self.get(id)?;
        let viewer = Viewer::new(terminal.clone(), looking)?;
        Ok((terminal, viewer))
    }
}

impl Shared {
    fn shell(&self) -> String {
        self.parts.jobs.variable("SHELL").filter(|shell| shell.starts_with('/')).unwrap_or("/bin/sh").to_owned()
    }

    /// Forgets a terminal with its log.
    fn forget(&self, terminal: &Terminal) {
        if self.table.lock().terminals.remove(terminal.id()).is_some() {
            terminal.0.forgotten.cancel();
            self.parts.events.publish(Event::TerminalRemoved { terminal_id: terminal.id().clone() });
        }
    }

    /// Forgets those that ended first, when too many have.
    fn sweep(&self) {
        let mut ended: Vec<(loopsy_shared::time::Millis, Terminal)> =
            self.table.lock().terminals.values().filter_map(|terminal| Some((terminal.0.flow.lock().exit.as_ref()?.1, terminal.clone()))).collect();
        ended.sort_by_key(|(at, _)| *at);
        let over = ended.len().saturating_sub(MOST_ENDED);
        ended.iter().take(over).for_each(|(_, terminal)| self.forget(terminal));
    }
}

/// Room for one more terminal, given back when it is not filled.
struct Place(Option<Arc<Shared>>);

impl Place {
    fn take(shared: &Arc<Shared>, id: &TerminalId) -> Result<Self, TerminalError> {
        if shared.parts.stopping.is_cancelled() {
            return Err(TerminalError::Closing);
        }
        let most = shared.parts.config.borrow().terminals.max_open;
        let mut table = shared.table.lock();
        if table.terminals.contains_key(id) {
            return Err(TerminalError::Taken(id.clone()));
        }
        let open = table.opening + table.terminals.values().filter(|terminal| terminal.is_running()).count();
        if open >= most {
            return Err(TerminalError::TooMany(open));
        }
        table.opening += 1;
        Ok(Self(Some(Arc::clone(shared))))
    }

    fn fill(mut self, terminal: Terminal) {
        if let Some(shared) = self.0.take() {
            let mut table = shared.table.lock();
            table.opening -= 1;
            table.terminals.insert(terminal.id().clone(), terminal);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.table.lock().opening -= 1;
        }
    }
}
