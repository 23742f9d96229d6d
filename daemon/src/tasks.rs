//! Tasks: runs of coding agents for somebody. A task is accepted once it is stored; its events, its questions and their answers outlive the daemon, and its
//! agent's session can go on in another run.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use loopsy_shared::{
    api::{
        ai_tasks::{DispatchTask, EndedBy, RequestPermission, TaskInfo, TaskMode, TaskStatus},
        approvals::{Approval, ApprovalKind, DecideApproval, Decision},
        events::Event,
    },
    config::Config,
    id::TaskId,
    text::inert,
    time,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    agents::{Finder, driver::Ask},
    approvals::{ApprovalError, Approvals, canonical, polled},
    events::Events,
    jobs::Jobs,
    store::{Store, Write},
    terminals::Terminals,
    trust::{Caller, Principal, Trust},
};

mod check;
mod error;
mod lines;
pub(crate) mod log;
mod process;
mod retain;
mod run;
mod start;
mod task;
mod worktree;

pub use error::TaskError;
pub(crate) use task::Task;

use run::{Command, Over};
use task::Record;

/// How long a run may take to end once its turn is over: longer than it is waited for before it is ended.
const LEAVING: Duration = Duration::from_secs(20);
/// How long runs may take to end when the daemon stops.
const DRAIN: Duration = Duration::from_secs(4);
/// What a resumed agent is told when nobody says anything.
const GO_ON: &str = "You were interrupted. Look at where you were, and go on.";

/// The tasks of a node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tasks(Arc<Shared>);

/// What the tasks are made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) config: watch::Receiver<Arc<Config>>,
    pub(crate) jobs: Jobs,
    pub(crate) terminals: Terminals,
    pub(crate) agents: Finder,
    pub(crate) approvals: Approvals,
    pub(crate) trust: Trust,
    pub(crate) store: Store,
    pub(crate) events: Events,
    pub(crate) tracker: TaskTracker,
    pub(crate) stopping: CancellationToken,
    /// The data directory.
    pub(crate) data: PathBuf,
    pub(crate) home: PathBuf,
}

pub(crate) struct Shared {
    pub(crate) parts: Parts,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    tasks: HashMap<TaskId, Task>,
    /// Tasks that wait for a place, and what their agents are to be told.
    queue: VecDeque<Turn>,
    /// Tasks that have a place, and the way to their runs.
    running: HashMap<TaskId, mpsc::Sender<Command>>,
}

/// One run that is due.
#[derive(Debug)]
struct Turn {
    task: Task,
    prompt: String,
    /// Whether it goes on with the agent's session.
    resume: bool,
    principal: Arc<Principal>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").finish_non_exhaustive()
    }
}

impl Tasks {
    /// The tasks that the store remembers. Those that ran when the last daemon ended have failed, and can go on; those that waited wait again.
    pub(crate) fn new(parts: Parts, loaded: &[String]) -> (Self, Vec<Write>) {
        let mut table = Table::default();
        let mut writes = Vec::new();
        let mut waiting = Vec::new();
        for json in loaded {
            let mut record: Record = match serde_json::from_str(json) {
                Ok(record) => record,
                Err(error) => {
                    tracing::error!(%error, "a task in the store does not parse and is left alone");
                    continue;
                }
            };
            let id = record.info.task_id.clone();
            let parked = parts.approvals.open().iter().any(|approval| approval.task_id == id);
            match record.info.status {
                TaskStatus::Running | TaskStatus::WaitingApproval if !parked => {
                    record.restarted();
                    writes.extend(record.write());
                }
                _ => {}
            }
            let dir = parts.data.join("tasks").join(id.as_str());
            let task = Task::new(record, dir, parts.config.borrow().agents.max_event_bytes);
            if task.info().status == TaskStatus::Pending {
                waiting.push(task.clone());
            }
            table.tasks.insert(id, task);
        }
        let this = Self(Arc::new(Shared { parts, table: Mutex::new(table) }));
        for task in waiting {
            let (prompt, resume, owner) = task.due();
            // Whose key is gone is found out before it starts.
            let principal = this.0.parts.trust.named(&owner).unwrap_or_else(|| Arc::new(Principal::gone()));
            this.table().queue.push_back(Turn { task, prompt, resume, principal });
        }
        (this, writes)
    }

    /// Begins what waits, and goes on with what was parked and answered; forgets what is too old.
    pub(crate) async fn watch(&self, stop: CancellationToken) {
        let mut config = self.0.parts.config.clone();
        let mut look = tokio::time::interval(retain::EVERY);
        loop {
            self.pump();
            for id in self.0.parts.approvals.answered_parked() {
                self.wake(&id).await;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.parts.approvals.parked_answered() => {}
                Ok(()) = config.changed() => {}
                _ = look.tick() => self.forget_old().await,
            }
        }
    }

    /// Accepts a task: it is stored, and runs or waits for a place.
    ///
    /// # Errors
    /// It may not run as it is asked for, there is no such agent, no place, or it cannot be stored.
    pub async fn dispatch(&self, caller: &Caller, request: DispatchTask) -> Result<TaskInfo, TaskError> {
        let parts = &self.0.parts;
        let config = parts.config.borrow().clone();
        check::request(&config, caller, &request)?;
        let found = start::find(parts, &request.agent.0).await?;
        start::fits(&found, &request)?;
        let (home, data, cwd) = (parts.home.clone(), parts.data.clone(), request.cwd.clone());
        let cwd = {
            let config = Arc::clone(&config);
            aside(move || check::directory(&config, &home, &data, cwd.as_deref())).await??
        };
        let may_wait = request.queue;
        self.room(&config, may_wait)?;
        let id = TaskId::new();
        let (cwd, worktree) = if request.worktree {
            let (cwd, id, data) = (cwd, id.clone(), parts.data.clone());
            let made = aside(move || worktree::make(&cwd, id.as_str(), &data)).await??;
            (made.cwd, Some(made.worktree))
        } else {
            (cwd, None)
        };
        let record = Record::new(id.clone(), caller, request, &found, &cwd, worktree);
        let dir = parts.data.join("tasks").join(id.as_str());
        let task = Task::new(record, dir, config.agents.max_event_bytes);
        task.store(&self.0).await?;
        let (prompt, resume, _) = task.due();
        if let Err(error) = task.append(vec![run::system("prompt", json!({ "text": prompt }))]).await {
            // What was not accepted does not start with the next daemon.
            self.forget(&task).await?;
            return Err(TaskError::Files(error));
        }
        let crowded = {
            let mut table = self.table();
            let full = table.running.len() + table.queue.len() >= config.agents.max_concurrent;
            let crowded = full && (!may_wait || table.queue.len() >= config.agents.max_queued);
            if !crowded {
                table.tasks.insert(id, task.clone());
                table.queue.push_back(Turn { task: task.clone(), prompt, resume, principal: Arc::clone(&caller.principal) });
            }
            crowded
        };
        if crowded {
            // Somebody took the place meanwhile.
            self.forget(&task).await?;
            return Err(if may_wait { TaskError::QueueFull(config.agents.max_queued) } else { TaskError::TooMany(config.agents.max_concurrent) });
        }
        self.pump();
        self.0.publish(&task);
        Ok(task.info())
    }

    /// Whether there is a place, or one to wait in.
    fn room(&self, config: &Config, may_wait: bool) -> Result<(), TaskError> {
        let table = self.table();
        let most = config.agents.max_concurrent;
        let free = table.running.len() + table.queue.len() < most;
        if !free && !may_wait {
            return Err(TaskError::TooMany(most));
        }
        if !free && table.queue.len() >= config.agents.max_queued {
            return Err(TaskError::QueueFull(config.agents.max_queued));
        }
        if self.0.parts.stopping.is_cancelled() {
            return Err(TaskError::Closing);
        }
        Ok(())
    }

    /// Gives free places to those who wait.
    fn pump(&self) {
        let most = self.0.parts.config.borrow().agents.max_concurrent;
        loop {
            let (turn, commands) = {
                let mut table = self.table();
                if table.running.len() >= most || self.0.parts.stopping.is_cancelled() {
                    return;
                }
                // One task has one run at a time.
                let Some(at) = table.queue.iter().position(|turn| !table.running.contains_key(turn.task.id())) else { return };
                let Some(turn) = table.queue.remove(at) else { return };
                let (send, commands) = mpsc::channel(run::COMMANDS);
                table.running.insert(turn.task.id().clone(), send);
                (turn, commands)
            };
            let this = self.clone();
            self.0.parts.tracker.spawn(async move { this.conduct(turn, commands).await });
        }
    }

    /// One run of a task, from its place to its end.
    async fn conduct(&self, turn: Turn, commands: mpsc::Receiver<Command>) {
        let task = turn.task.clone();
        let Some(principal) = run::holder(&self.0, &turn.principal) else {
            self.table().running.remove(task.id());
            self.0.parts.approvals.task_over(task.id(), "the key of who started the task is gone").await;
            task.over(&self.0, Over { status: TaskStatus::Cancelled, ended_by: EndedBy::Revoked, error: None, exit: None }).await;
            return self.pump();
        };
        let turn = Turn { principal, ..turn };
        task.update(&self.0, |info| info.status = TaskStatus::Running).await;
        let begun = task.append(vec![run::status(json!({ "status": TaskStatus::Running }))]).await;
        let over = match begun {
            Ok(()) => match start::start(&self.0, turn, commands).await {
                Ok(over) => over,
                Err(error) => start::failed(&task, &error).await,
            },
            Err(error) => Over { status: TaskStatus::Failed, ended_by: EndedBy::Agent, error: Some(TaskError::Files(error).to_string()), exit: None },
        };
        self.0.parts.trust.revoke_task(task.id());
        if task.info().agent_version.is_none() {
            // What was not known at the start may be by now.
            let version = start::find(&self.0.parts, &task.info().agent).await.ok().and_then(|found| found.version);
            task.known(&self.0, None, None, version).await;
        }
        task.over(&self.0, over).await;
        self.table().running.remove(task.id());
        self.0.publish(&task);
        self.pump();
    }

    /// Waits until no run is left, but not for long: what does not end by itself is ended with all processes.
    pub(crate) async fn drained(&self) {
        let begun = tokio::time::Instant::now();
        let tasks: Vec<Task> = {
            let table = self.table();
            table.running.keys().filter_map(|id| table.tasks.get(id).cloned()).collect()
        };
        for task in tasks {
            let _late = tokio::time::timeout_at(begun + DRAIN, task.ended()).await;
        }
    }

    /// Tasks, newest first.
    pub fn list(&self) -> Vec<TaskInfo> {
        let mut tasks: Vec<TaskInfo> = self.table().tasks.values().map(Task::info).collect();
        tasks.sort_by(|a, b| (b.started_at, &b.task_id).cmp(&(a.started_at, &a.task_id)));
        tasks
    }

    /// Tasks by state: running, waiting for a place, all.
    pub fn counts(&self) -> (usize, usize, usize) {
        let table = self.table();
        (table.running.len(), table.queue.len(), table.tasks.len())
    }

    /// One task.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn require(&self, id: &TaskId) -> Result<Task, TaskError> {
        self.table().tasks.get(id).cloned().ok_or_else(|| TaskError::NotFound(id.clone()))
    }

    /// Says something to the agent: now, or as the next turn of its session.
    ///
    /// # Errors
    /// There is no such task, or nothing to go on with.
    pub async fn send(&self, caller: &Caller, id: &TaskId, text: String) -> Result<TaskInfo, TaskError> {
        if text.trim().is_empty() {
            return Err(TaskError::Invalid("There is nothing to say: the text is empty.".to_owned()));
        }
        check::prompt(&text)?;
        let task = self.require(id)?;
        // Who says what an agent is to do next must be allowed to have that done as the task does it.
        check::request(&self.0.parts.config.borrow().clone(), caller, &DispatchTask { prompt: text.clone(), ..task.request() })?;
        if self.queued_say(id, &text) {
            return Ok(task.info());
        }
        if let Some(run) = self.run(id) {
            let (taken, takes) = oneshot::channel();
            if run.send(Command::Say(text.clone(), taken)).await.is_ok() && takes.await.is_ok() {
                return Ok(task.info());
            }
            // Its turn is over and the agent is on its way out: what is said begins the next run.
            if tokio::time::timeout(LEAVING, task.ended()).await.is_err() {
                return Err(TaskError::State(format!("The agent of task {id} is ending, and takes its time. Try again in a moment.")));
            }
        }
        self.go_on(caller, &task, text).await
    }

    /// Adds to what a task that waits for a place will be told.
    fn queued_say(&self, id: &TaskId, text: &str) -> bool {
        let mut table = self.table();
        if table.running.contains_key(id) {
            return false;
        }
        let Some(turn) = table.queue.iter_mut().find(|turn| turn.task.id() == id) else { return false };
        turn.prompt.push_str("\n\n");
        turn.prompt.push_str(text);
        turn.task.next(&turn.prompt, None);
        true
    }

    /// Lets a task go on that has ended.
    ///
    /// # Errors
    /// It runs, or has no session.
    pub async fn resume(&self, caller: &Caller, id: &TaskId, prompt: Option<String>) -> Result<TaskInfo, TaskError> {
        let task = self.require(id)?;
        if let Some(prompt) = &prompt {
            check::prompt(prompt)?;
        }
        let info = task.info();
        if !info.status.is_ended() {
            return Err(TaskError::State(format!("The task {id} is {}; only one that has ended can be resumed.", info.status.as_str())));
        }
        self.go_on(caller, &task, prompt.unwrap_or_else(|| GO_ON.to_owned())).await
    }

    /// Another run of a task, with its agent's session.
    async fn go_on(&self, caller: &Caller, task: &Task, text: String) -> Result<TaskInfo, TaskError> {
        let config = self.0.parts.config.borrow().clone();
        check::request(&config, caller, &DispatchTask { prompt: text.clone(), ..task.request() })?;
        match task.info().status {
            TaskStatus::WaitingApproval => {
                return Err(TaskError::State(format!("The task {} waits for an answer to a parked approval: answer that first.", task.id())));
            }
            status if !status.is_ended() => return Err(TaskError::State(format!("The task {} is {} just now.", task.id(), status.as_str()))),
            _ => {}
        }
        if task.info().session_id.is_none() {
            return Err(TaskError::State(format!(
                "The agent of task {} had not begun a session, so there is nothing to go on with. Start it anew.",
                task.id()
            )));
        }
        if !Path::new(&task.info().cwd).is_dir() {
            return Err(TaskError::Path(format!("The working directory of task {} is gone.", task.id())));
        }
        self.room(&config, true)?;
        task.append(vec![run::system("prompt", json!({ "text": text }))]).await.map_err(TaskError::Files)?;
        let due = {
            let mut table = self.table();
            // Somebody may have deleted it, or let it go on, meanwhile.
            let due = table.tasks.contains_key(task.id()) && task.is_due(TaskStatus::is_ended);
            if due {
                task.next(&text, Some(caller));
                table.queue.push_back(Turn { task: task.clone(), prompt: text, resume: true, principal: Arc::clone(&caller.principal) });
            }
            due
        };
        if !due {
            return Err(TaskError::State(format!("The task {} went on, or was deleted, just now.", task.id())));
        }
        task.store(&self.0).await?;
        self.0.publish(task);
        self.pump();
        Ok(task.info())
    }

    /// A parked question of a task was answered: its session goes on, and asks again.
    async fn wake(&self, id: &TaskId) {
        let Ok(task) = self.require(id) else { return };
        {
            let table = self.table();
            if table.running.contains_key(id) || table.queue.iter().any(|turn| turn.task.id() == id) {
                return;
            }
        }
        let (_, _, owner) = task.due();
        let Some(principal) = self.0.parts.trust.named(&owner) else {
            self.0.parts.approvals.task_over(id, "the key of who started the task is gone").await;
            return;
        };
        if task.info().session_id.is_none() {
            tracing::error!(task = %id, "a parked question was answered, but the task has no session");
            return;
        }
        {
            let mut table = self.table();
            // A task that was cancelled, or has ended, does not come back by itself.
            if !table.tasks.contains_key(id) || !task.is_due(|status| status == TaskStatus::WaitingApproval) {
                return;
            }
            table.queue.push_back(Turn { task: task.clone(), prompt: String::new(), resume: true, principal });
        }
        self.0.publish(&task);
        self.pump();
    }

    /// Ends what the agent does now; its session stays.
    ///
    /// # Errors
    /// There is no such task, or it does not run.
    pub async fn interrupt(&self, id: &TaskId) -> Result<TaskInfo, TaskError> {
        let task = self.require(id)?;
        let idle = || TaskError::State(format!("The task {id} does not run now: it is {}.", task.info().status.as_str()));
        let run = self.run(id).ok_or_else(idle)?;
        run.send(Command::Interrupt).await.map_err(|_| idle())?;
        task.ended().await;
        Ok(task.info())
    }

    /// Cancels a task that runs or waits; deletes one that has ended. Says whether it was deleted.
    ///
    /// # Errors
    /// There is no such task.
    pub async fn cancel(&self, id: &TaskId) -> Result<bool, TaskError> {
        let task = self.require(id)?;
        if let Some(run) = self.run(id)
            && run.send(Command::End(EndedBy::Cancel)).await.is_ok()
        {
            return Ok(false);
        }
        let waited = {
            let mut table = self.table();
            let before = table.queue.len();
            table.queue.retain(|turn| turn.task.id() != id);
            table.queue.len() < before
        };
        let info = task.info();
        if waited || !info.status.is_ended() {
            self.0.parts.approvals.task_over(id, "the task was cancelled").await;
            task.over(&self.0, Over { status: TaskStatus::Cancelled, ended_by: EndedBy::Cancel, error: None, exit: None }).await;
            self.0.publish(&task);
            return Ok(false);
        }
        self.forget(&task).await?;
        Ok(true)
    }

    /// A hook of a task's agent was called. Answers what the hook prints.
    ///
    /// # Errors
    /// The task does not run: whatever the agent wants is denied by the hook's failure.
    pub(crate) async fn hook(&self, id: &TaskId, event: Value) -> Result<Value, TaskError> {
        let idle = || TaskError::State(format!("The task {id} does not run now."));
        let run = self.run(id).ok_or_else(idle)?;
        let (reply, answer) = oneshot::channel();
        run.send(Command::Hook(event, reply)).await.map_err(|_| idle())?;
        answer.await.map_err(|_| idle())
    }

    /// Stores a question that something inside the task asks in the seed's way.
    ///
    /// # Errors
    /// The task does not run, or the question cannot be stored.
    pub(crate) async fn request_permission(&self, request: RequestPermission) -> Result<(), TaskError> {
        let id = request.task_id.clone();
        let idle = || TaskError::NotFound(id.clone());
        if request.request_id.is_empty() || request.tool_name.is_empty() {
            return Err(TaskError::Invalid("A question has a `requestId` and a `toolName`.".to_owned()));
        }
        if let Some(known) = self.0.parts.approvals.named(&id, &request.request_id) {
            // A name stands for one question. With another input it would get the answer to what somebody else saw.
            if known.sha256 == canonical::sha256(&request.tool_name, &request.tool_input) {
                return Ok(());
            }
            return Err(TaskError::State(format!("The question `{}` was asked already, with another tool or input.", inert(&request.request_id))));
        }
        let ask = Ask { description: request.description, ..Ask::tool(polled(&request.request_id), request.tool_name, request.tool_input) };
        let run = self.run(&id).ok_or_else(idle)?;
        let (stored, stores) = oneshot::channel();
        run.send(Command::Poll(Box::new(ask), stored)).await.map_err(|_| idle())?;
        stores.await.map_err(|_| idle())??;
        Ok(())
    }

    /// The question that somebody means who asks in the seed's way.
    ///
    /// # Errors
    /// There is none of that name.
    pub(crate) fn question(&self, id: &TaskId, request: &str) -> Result<Approval, TaskError> {
        let none = || TaskError::NoQuestion { task: id.clone(), request: request.to_owned() };
        self.0.parts.approvals.named(id, request).ok_or_else(none)
    }

    /// Answers a question in the seed's way: the hash may be left out.
    ///
    /// # Errors
    /// As [`Approvals::decide`]; one that is not open counts as not there.
    pub(crate) async fn approve(
        &self,
        by: &Principal,
        id: &TaskId,
        request: &str,
        yes: bool,
        reason: Option<String>,
        sha256: Option<String>,
    ) -> Result<(), TaskError> {
        let approval = self.question(id, request)?;
        if approval.kind == ApprovalKind::Question && yes {
            return Err(TaskError::Invalid("This is a question with answers to choose from: answer it by POST /approvals/{id}.".to_owned()));
        }
        let decision = if yes { Decision::Allow } else { Decision::Deny };
        let sha256 = sha256.unwrap_or_else(|| approval.sha256.clone());
        let answer = DecideApproval { id: approval.id, sha256, decision, reason, input: None, suggestion: None, answers: BTreeMap::new() };
        match self.0.parts.approvals.decide(by, answer).await {
            Ok(_) => Ok(()),
            Err(ApprovalError::NotFound(_)) => Err(TaskError::NoQuestion { task: id.clone(), request: request.to_owned() }),
            Err(error) => Err(error.into()),
        }
    }

    fn run(&self, id: &TaskId) -> Option<mpsc::Sender<Command>> {
        self.table().running.get(id).cloned()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table()
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        // Every change under the lock is a plain assignment, so a panic elsewhere leaves the table whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, task: &Task) {
        self.parts.events.publish(Event::TaskChanged { task: task.info() });
    }
}

/// Does what waits for the disk away from the threads that serve.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TaskError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| TaskError::Files(io::Error::other(error)))
}

/// The environment of an agent: the usual of a job, its own login, and what the config names.
fn environment(parts: &Parts, passes: impl Fn(&str) -> bool, task: &TaskId) -> Vec<(String, String)> {
    let config = parts.config.borrow().clone();
    let mut env: BTreeMap<String, String> = parts.jobs.agent_environment(&config.agents.env_pass, passes);
    env.insert("LOOPSY_TASK_ID".to_owned(), task.to_string());
    env.insert("LOOPSY_DATA_DIR".to_owned(), parts.data.to_string_lossy().into_owned());
    env.into_iter().collect()
}

/// A task's own time, or the config's; none in a terminal, where a person looks.
fn timeout(config: &Config, request: &DispatchTask) -> Option<Duration> {
    let asked = request.timeout.map(|timeout| timeout.duration());
    asked.or_else(|| (request.mode == TaskMode::Headless).then(|| Duration::from_millis(config.agents.timeout)))
}

fn now() -> time::Millis {
    time::now()
}
