//! Runs of coding agents.

use std::{io, time::Duration};

use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use loopsy_shared::{
    api::{
        ApiError, Code,
        ai_tasks::{
            Agents, ApproveTask, CancelTask, DispatchTask, GetPermission, GetTask, HookAnswer, InterruptTask, ListAgents, ListTaskEvents, ListTasks,
            Permission, PermissionRequested, RequestPermission, ResumeTask, SendToTask, TaskDone, TaskEvent, TaskEventKind, TaskEvents, TaskHook, TaskInfo,
            Tasks, WatchTask,
        },
        approvals::Decided,
    },
    id::TaskId,
    time,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    app::App,
    http::{endpoint::Routes, sse},
    tasks::{
        Task,
        log::{self, Log, Piece, Place},
    },
    trust::{Caller, Role},
};

/// Events of one answer, when the request does not say.
const EVENTS: usize = 1_000;
/// The most events of one answer.
const MOST_EVENTS: usize = 10_000;
/// Longest wait of `GET ../permission-response`.
const LONGEST_WAIT: u32 = 60;

pub(super) fn mount(routes: Routes) -> Routes {
    let routes = routes.endpoint(dispatch).endpoint(list).endpoint(get).response(watch).endpoint(events).endpoint(send).endpoint(interrupt).endpoint(resume);
    routes.endpoint(cancel).endpoint(approve).endpoint(request_permission).endpoint(permission).endpoint(hook).endpoint(agents)
}

async fn dispatch(app: App, caller: Caller, request: DispatchTask) -> Result<TaskInfo, ApiError> {
    let tasks = app.tasks.clone();
    app.lasting(async move { Ok(tasks.dispatch(&caller, request).await?) }).await
}

async fn list(app: App, _caller: Caller, _request: ListTasks) -> Result<Tasks, ApiError> {
    Ok(Tasks { tasks: app.tasks.list() })
}

async fn get(app: App, _caller: Caller, request: GetTask) -> Result<TaskInfo, ApiError> {
    Ok(app.tasks.require(&request.task_id)?.info())
}

async fn send(app: App, caller: Caller, request: SendToTask) -> Result<TaskInfo, ApiError> {
    let tasks = app.tasks.clone();
    app.lasting(async move { Ok(tasks.send(&caller, &request.task_id, request.text).await?) }).await
}

async fn interrupt(app: App, _caller: Caller, request: InterruptTask) -> Result<TaskInfo, ApiError> {
    Ok(app.tasks.interrupt(&request.task_id).await?)
}

async fn resume(app: App, caller: Caller, request: ResumeTask) -> Result<TaskInfo, ApiError> {
    let tasks = app.tasks.clone();
    app.lasting(async move { Ok(tasks.resume(&caller, &request.task_id, request.prompt).await?) }).await
}

async fn cancel(app: App, _caller: Caller, request: CancelTask) -> Result<TaskDone, ApiError> {
    let tasks = app.tasks.clone();
    let task_id = request.task_id.clone();
    let deleted = app.lasting(async move { Ok(tasks.cancel(&request.task_id).await?) }).await?;
    Ok(TaskDone { deleted, ..task_id.into() })
}

async fn approve(app: App, caller: Caller, request: ApproveTask) -> Result<TaskDone, ApiError> {
    let ApproveTask { task_id, request_id, approved, message, sha256 } = request;
    let (tasks, id, by) = (app.tasks.clone(), task_id.clone(), caller.principal);
    app.lasting(async move { Ok(tasks.approve(&by, &id, &request_id, approved, message, sha256).await?) }).await?;
    Ok(task_id.into())
}

async fn request_permission(app: App, caller: Caller, request: RequestPermission) -> Result<PermissionRequested, ApiError> {
    own(&caller, &request.task_id)?;
    let (tasks, request_id) = (app.tasks.clone(), request.request_id.clone());
    app.lasting(async move { Ok(tasks.request_permission(request).await?) }).await?;
    Ok(PermissionRequested { success: true, request_id })
}

async fn permission(app: App, caller: Caller, request: GetPermission) -> Result<Permission, ApiError> {
    own(&caller, &request.task_id)?;
    let asked = app.tasks.question(&request.task_id, &request.request_id)?;
    let wait = Duration::from_secs(u64::from(request.wait.min(LONGEST_WAIT)));
    // When the time is up, it is looked at as it is.
    let _late = tokio::time::timeout(wait, app.approvals.closed(&asked.id)).await;
    let now = app.tasks.question(&request.task_id, &request.request_id)?;
    let Some(Decided { decision, reason, .. }) = now.decision.filter(|_| !now.state.is_open()) else { return Ok(Permission::default()) };
    Ok(Permission { resolved: true, approved: Some(decision.is_yes()), message: Some(reason.unwrap_or_default()) })
}

async fn hook(app: App, caller: Caller, request: TaskHook) -> Result<HookAnswer, ApiError> {
    own(&caller, &request.task_id)?;
    Ok(HookAnswer { output: app.tasks.hook(&request.task_id, request.event).await? })
}

/// A task's token is for that task alone. To it, others do not exist.
fn own(caller: &Caller, task: &TaskId) -> Result<(), ApiError> {
    if caller.principal.role == Role::Task && caller.principal.name != task.as_str() {
        return Err(ApiError::new(Code::TaskNotFound, "There is no such task."));
    }
    Ok(())
}

async fn agents(app: App, _caller: Caller, _request: ListAgents) -> Result<Agents, ApiError> {
    Ok(Agents { agents: app.blocking(|app| app.agents.list()).await? })
}

async fn events(app: App, _caller: Caller, request: ListTaskEvents) -> Result<TaskEvents, ApiError> {
    // The seed answers with nothing where there is no such task.
    let Ok(task) = app.tasks.require(&request.task_id) else { return Ok(TaskEvents { events: Vec::new(), count: 0 }) };
    let limit = request.limit.unwrap_or(EVENTS).min(MOST_EVENTS);
    let log = task.log().await.map_err(|e| crate::http::internal(&e))?;
    let mut place = log.after(request.after.unwrap_or_default()).await.map_err(|e| crate::http::internal(&e))?;
    let mut events = Vec::new();
    while events.len() < limit {
        match log.read(&mut place).await.map_err(|e| crate::http::internal(&e))? {
            Piece::Frames(frames) => events.extend(log::parse(&frames).take(limit - events.len())),
            Piece::Gap(from, to) => events.push(gap(&request.task_id, from, to)),
            Piece::End => break,
        }
    }
    Ok(TaskEvents { count: events.len(), events })
}

async fn watch(app: App, caller: Caller, request: WatchTask, headers: HeaderMap) -> Result<Response, ApiError> {
    let Ok(task) = app.tasks.require(&request.task_id) else {
        let error = TaskEvent {
            seq: 0,
            kind: TaskEventKind::Error,
            data: Value::String("There is no such task.".to_owned()),
            timestamp: time::now(),
            task_id: request.task_id,
            block: None,
        };
        let frame = sse::frame(None, &error).map_err(io::Error::from);
        return Ok(sse::response(stream::iter([frame])));
    };
    let broken = |e: io::Error| crate::http::internal(&e);
    let log = task.log().await.map_err(broken)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok()).or(request.after);
    let place = match (last, request.since) {
        (Some(seen), _) => log.after(seen).await,
        (None, Some(since)) => log.since(since).await,
        (None, None) => log.after(0).await,
    };
    let watcher = Watcher { app, caller, task, log, place: place.map_err(broken)?, over: false, beat: Instant::now() + sse::HEARTBEAT };
    Ok(sse::response(stream::unfold(watcher, |mut watcher| async { watcher.next().await.map(|frame| (frame, watcher)) })))
}

struct Watcher {
    app: App,
    caller: Caller,
    task: Task,
    log: Log,
    place: Place,
    over: bool,
    beat: Instant,
}

impl Watcher {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if self.over {
                return None;
            }
            // Looked at first: what is written before the end is read after it.
            let idle = self.task.is_idle();
            match self.log.read(&mut self.place).await {
                Ok(Piece::Frames(frames)) => {
                    self.beat = Instant::now() + sse::HEARTBEAT;
                    return Some(Ok(frames));
                }
                Ok(Piece::Gap(from, to)) => return Some(sse::frame(None, &gap(self.task.id(), from, to)).map_err(io::Error::from)),
                Ok(Piece::End) if idle => {
                    self.over = true;
                    let info = self.task.info();
                    return Some(self.last_word(json!({ "status": info.status, "endedBy": info.ended_by, "error": info.error })));
                }
                Ok(Piece::End) => {}
                Err(error) => return Some(Err(error)),
            }
            if Instant::now() >= self.beat {
                self.beat = Instant::now() + sse::HEARTBEAT;
                return Some(Ok(sse::BEAT));
            }
            tokio::select! {
                () = self.log.changed_since(self.place) => {}
                () = self.task.ended() => {}
                () = tokio::time::sleep_until(self.beat) => {}
                () = self.app.stopping.cancelled() => {
                    // The run ends now, too; its last events are for the next connection.
                    self.over = true;
                    return Some(self.last_word(json!({ "status": self.task.info().status, "closing": true })));
                }
                () = self.caller.principal.revoked.cancelled() => return None,
            }
        }
    }

    fn last_word(&self, data: Value) -> io::Result<Bytes> {
        let event = TaskEvent { seq: 0, kind: TaskEventKind::Status, data, timestamp: time::now(), task_id: self.task.id().clone(), block: None };
        sse::frame(None, &event).map_err(io::Error::from)
    }
}

fn gap(task: &TaskId, from: u64, to: u64) -> TaskEvent {
    let data = json!({ "subtype": "gap", "from": from, "to": to });
    TaskEvent { seq: 0, kind: TaskEventKind::System, data, timestamp: time::now(), task_id: task.clone(), block: None }
}
