//! One task: what is known of it, what is stored of it, and its events.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use loopsy_shared::{
    api::{
        ai_tasks::{DispatchTask, EndedBy, TaskInfo, TaskStatus, Usage, Worktree},
        approvals::Approval,
    },
    id::{ApprovalId, TaskId},
    time::Millis,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{OnceCell, watch};

use super::{Shared, log::Log, now, run, run::Over};
use crate::{
    agents::{Found, driver::NewEvent},
    store::{Kind, StoreError, Write},
    trust::Caller,
};

/// A task. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Task(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: TaskId,
    record: Mutex<Record>,
    dir: PathBuf,
    most: u64,
    /// Opened when somebody first needs it: most tasks that have ended are never looked at again.
    log: OnceCell<Log>,
    /// Whether it runs or waits for a place.
    busy: watch::Sender<bool>,
    /// Held while a record is on its way to the store, so that the newest comes last.
    storing: tokio::sync::Mutex<()>,
}

/// What is stored of a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) info: TaskInfo,
    pub(super) request: DispatchTask,
    /// The name of the key that it was started with.
    owner: String,
    /// Whether that is a peer's.
    peer: bool,
    /// What the agent is to be told in the run that is due.
    next: String,
    /// When its last run began.
    #[serde(default)]
    ran_at: Option<Millis>,
}

impl Record {
    pub(super) fn new(id: TaskId, caller: &Caller, request: DispatchTask, found: &Found, cwd: &std::path::Path, worktree: Option<Worktree>) -> Self {
        let at = now();
        let info = TaskInfo {
            task_id: id,
            prompt: request.prompt.clone(),
            status: TaskStatus::Pending,
            started_at: at,
            updated_at: at,
            completed_at: None,
            from_node_id: caller.from_node_id.clone().unwrap_or_else(|| caller.principal.name.clone()),
            pid: None,
            exit_code: None,
            error: None,
            model: request.model.clone(),
            pending_approval: None,
            session_id: request.resume_session_id.clone(),
            agent: found.name.clone(),
            agent_version: found.version.clone(),
            permission_mode: request.permission_mode,
            mode: request.mode,
            cwd: cwd.to_string_lossy().into_owned(),
            worktree,
            terminal_id: None,
            approvals: Vec::new(),
            ended_by: None,
            cost_usd: None,
            usage: Usage::default(),
            turns: 0,
            last_event: 0,
            resumable: false,
        };
        let peer = caller.principal.role == crate::trust::Role::Peer;
        Self { info, owner: caller.principal.name.clone(), peer, next: request.prompt.clone(), ran_at: None, request }
    }

    /// The daemon was restarted while it ran.
    pub(super) fn restarted(&mut self) {
        let info = &mut self.info;
        (info.status, info.ended_by, info.completed_at, info.pid) = (TaskStatus::Failed, Some(EndedBy::Restart), Some(now()), None);
        info.error = Some("The daemon was restarted while it ran. It can go on: loopsy task resume".to_owned());
        (info.pending_approval, info.approvals) = (None, Vec::new());
        info.resumable = info.session_id.is_some();
    }

    pub(super) fn write(&self) -> Option<Write> {
        match serde_json::to_string(self) {
            Ok(json) => Some(Write::PutRecord { kind: Kind::Task, id: self.info.task_id.to_string(), json }),
            Err(error) => {
                tracing::error!(%error, "a task cannot be written");
                None
            }
        }
    }
}

impl Task {
    pub(super) fn new(record: Record, dir: PathBuf, most: u64) -> Self {
        let busy = watch::Sender::new(record.info.status == TaskStatus::Pending);
        let id = record.info.task_id.clone();
        Self(Arc::new(Inner { id, record: Mutex::new(record), dir, most, log: OnceCell::new(), busy, storing: tokio::sync::Mutex::default() }))
    }

    pub(crate) fn id(&self) -> &TaskId {
        &self.0.id
    }

    /// How it stands.
    pub(crate) fn info(&self) -> TaskInfo {
        let mut info = self.record().info.clone();
        if let Some(log) = self.0.log.get() {
            info.last_event = log.last();
        }
        info
    }

    pub(super) fn request(&self) -> DispatchTask {
        self.record().request.clone()
    }

    /// What the agent is to be told next, whether with its session, and whose key it runs with.
    pub(super) fn due(&self) -> (String, bool, String) {
        let record = self.record();
        (record.next.clone(), record.info.session_id.is_some(), record.owner.clone())
    }

    /// The peer that started it.
    pub(super) fn peer(&self) -> Option<String> {
        let record = self.record();
        record.peer.then(|| record.owner.clone())
    }

    /// Says what the agent is to be told in the next run, and who says it.
    pub(super) fn next(&self, prompt: &str, caller: Option<&Caller>) {
        let mut record = self.record();
        prompt.clone_into(&mut record.next);
        if let Some(caller) = caller {
            record.owner.clone_from(&caller.principal.name);
            record.peer = caller.principal.role == crate::trust::Role::Peer;
        }
    }

    pub(super) fn budget(&self) -> Option<f64> {
        self.record().request.max_budget_usd
    }

    /// The directory of its files.
    pub(super) fn dir(&self) -> &std::path::Path {
        &self.0.dir
    }

    /// Its events.
    pub(crate) async fn log(&self) -> io::Result<Log> {
        let open = || {
            let (id, dir, most) = (self.0.id.clone(), self.0.dir.clone(), self.0.most);
            async move { tokio::task::spawn_blocking(move || Log::open(&id, &dir, most)).await.map_err(io::Error::other)? }
        };
        self.0.log.get_or_try_init(open).await.cloned()
    }

    /// Stores events.
    pub(super) async fn append(&self, events: Vec<NewEvent>) -> io::Result<()> {
        self.log().await?.append(events).await.map(drop)
    }

    /// Whether it has neither a run nor waits for one.
    pub(crate) fn is_idle(&self) -> bool {
        !*self.0.busy.borrow()
    }

    /// Waits until it has neither a run nor waits for one.
    pub(crate) async fn ended(&self) {
        let mut busy = self.0.busy.subscribe();
        // The sender lives as long as `self`, so this cannot fail while we wait.
        let _always_ok = busy.wait_for(|busy| !busy).await;
    }

    /// When its last run began.
    pub(super) fn ran_at(&self) -> Option<Millis> {
        self.record().ran_at
    }

    /// A run of it begins.
    pub(super) fn begins(&self) {
        self.record().ran_at = Some(now());
    }

    /// Changes what is known of it, stores that and tells everybody.
    pub(super) async fn update(&self, shared: &Shared, change: impl FnOnce(&mut TaskInfo)) {
        self.turn(shared, None, change).await;
    }

    /// Another run of it is due, if it stands so that one may be. Says whether it is.
    pub(super) fn is_due(&self, may: impl Fn(TaskStatus) -> bool) -> bool {
        let mut record = self.record();
        let info = &mut record.info;
        if !may(info.status) {
            return false;
        }
        (info.status, info.completed_at, info.error, info.ended_by) = (TaskStatus::Pending, None, None, None);
        (info.updated_at, info.resumable) = (now(), false);
        self.0.busy.send_replace(true);
        true
    }

    /// Changes what is known of it, and whether it has or waits for a run, in one moment.
    async fn turn(&self, shared: &Shared, busy: Option<bool>, change: impl FnOnce(&mut TaskInfo)) {
        {
            let mut record = self.record();
            change(&mut record.info);
            record.info.updated_at = now();
            record.info.resumable = record.info.status.is_ended() && record.info.session_id.is_some();
            if let Some(busy) = busy {
                self.0.busy.send_replace(busy);
            }
        }
        if let Err(error) = self.store(shared).await {
            tracing::error!(%error, task = %self.0.id, "a task's state cannot be stored");
        }
        shared.publish(self);
    }

    pub(super) async fn store(&self, shared: &Shared) -> Result<(), StoreError> {
        let _in_order = self.0.storing.lock().await;
        let write = self.record().write();
        shared.parts.store.write(write.into_iter().collect()).await
    }

    /// What the agent said about itself.
    pub(super) async fn known(&self, shared: &Shared, session: Option<String>, model: Option<String>, version: Option<String>) {
        let new = {
            let info = &self.record().info;
            let differs = |new: &Option<String>, old: &Option<String>| new.is_some() && new != old;
            differs(&session, &info.session_id) || differs(&model, &info.model) || differs(&version, &info.agent_version)
        };
        if new {
            let change = |info: &mut TaskInfo| {
                info.session_id = session.or(info.session_id.take());
                info.model = model.or(info.model.take());
                info.agent_version = version.or(info.agent_version.take());
            };
            self.update(shared, change).await;
        }
    }

    /// Shows which questions are open.
    pub(super) async fn show_open(&self, shared: &Shared, open: &[Approval]) {
        let ids: Vec<ApprovalId> = open.iter().map(|approval| approval.id.clone()).collect();
        let change = |info: &mut TaskInfo| {
            info.status = if ids.is_empty() { TaskStatus::Running } else { TaskStatus::WaitingApproval };
            info.pending_approval = open.first().map(Into::into);
            info.approvals = ids;
        };
        self.update(shared, change).await;
    }

    /// A run has come to its end.
    pub(super) async fn over(&self, shared: &Shared, over: Over) {
        let Over { status, ended_by, error, exit } = over;
        let parked: Vec<Approval> = shared.parts.approvals.open().into_iter().filter(|approval| approval.task_id == self.0.id).collect();
        let mut data = json!({ "status": status, "endedBy": ended_by });
        if let Some(error) = &error {
            data["error"] = json!(error);
        }
        if let Err(error) = self.append(vec![run::status(data)]).await {
            tracing::error!(%error, task = %self.0.id, "the end of a task cannot be stored with its events");
        }
        let last = self.0.log.get().map_or(0, Log::last);
        let change = |info: &mut TaskInfo| {
            info.status = status;
            (info.pid, info.error, info.last_event) = (None, error, last);
            info.exit_code = exit.and_then(|exit| exit.code);
            info.ended_by = status.is_ended().then_some(ended_by);
            info.completed_at = status.is_ended().then(now);
            info.pending_approval = parked.first().map(Into::into);
            info.approvals = parked.iter().map(|approval| approval.id.clone()).collect();
        };
        self.turn(shared, Some(false), change).await;
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // Every change under the lock is a plain assignment, so a panic elsewhere leaves the record whole.
        self.0.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
