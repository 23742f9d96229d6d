//! Runs of coding agents: tasks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Endpoint, Form, Needs, Scope, Spec, approvals::Approval};
use crate::{
    id::{ApprovalId, TaskId, TerminalId},
    time::Millis,
};

/// Starts a coding agent on a prompt. Answers 201 as soon as the task is accepted; what the agent does comes as events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DispatchTask {
    /// What the agent is to do, up to 4 MiB.
    pub prompt: String,
    /// Working directory, absolute or below the home directory; the home directory when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cwd: Option<String>,
    /// `claude`, `codex`, `gemini`, `opencode`, a name from `agents.acp` of the config, or `auto`: the first of them that is installed.
    #[serde(default)]
    pub agent: AgentChoice,
    /// How much the agent may do without asking.
    #[serde(default)]
    pub permission_mode: PermissionMode,
    /// Structured, or in a terminal of its own.
    #[serde(default)]
    pub mode: TaskMode,
    /// The agent's name of a model; its own choice when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<String>,
    /// The task ends when it has cost more, in US dollars. Only agents that tell their cost can be held to it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_budget_usd: Option<f64>,
    /// Tools that the agent may use without asking, by the agent's own names (`Bash(git log:*)`).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub allowed_tools: Vec<String>,
    /// Tools that the agent may not use.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub disallowed_tools: Vec<String>,
    /// Further arguments for the agent's program. Only those that widen no rights, and those that `agents.allowedArgs` of the config names.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub additional_args: Vec<String>,
    /// Goes on with this session of the agent's instead of beginning a new one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resume_session_id: Option<String>,
    /// Milliseconds until the task is ended; `agents.timeout` when absent. Time in which only a person is waited for does not count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timeout: Option<super::execute::Timeout>,
    /// Gives the task a git worktree with a branch of its own, made from the repository that `cwd` is in. It lies in the node's data directory.
    #[serde(default)]
    pub worktree: bool,
    /// Whether the task waits when all places are taken; refused with 429 otherwise.
    #[serde(default = "yes")]
    pub queue: bool,
    /// Whether an unanswered approval is parked instead of denied when its time is up or the daemon stops: the agent's process ends, and an answer days later
    /// lets it go on. Claude Code only.
    #[serde(default)]
    pub park: bool,
    /// Columns and rows of the terminal of an interactive task; 120 and 40 when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<(u16, u16)>,
}
impl Endpoint for DispatchTask {
    type Reply = TaskInfo;
    const SPEC: Spec = Spec::post("tasks.dispatch", "/api/v1/ai-tasks", Needs::Scope(Scope::AiTasks)).created();
}

const fn yes() -> bool {
    true
}

/// The name of an agent, or `auto`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AgentChoice(pub String);

impl Default for AgentChoice {
    fn default() -> Self {
        Self("auto".to_owned())
    }
}

/// How much an agent may do without asking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PermissionMode {
    /// It asks before it changes anything.
    #[default]
    Default,
    /// It changes files in its working directory without asking.
    AcceptEdits,
    /// It only plans.
    Plan,
    /// It never asks: what is not allowed beforehand is denied.
    DontAsk,
    /// It asks nothing. From a peer only when `agents.bypassFrom` of the config names that peer.
    BypassPermissions,
}

/// How a task runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskMode {
    /// By the agent's structured protocol, without a screen.
    #[default]
    Headless,
    /// The agent's own screen in a terminal, which people can attach to and type into.
    Interactive,
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Waits for a place.
    Pending,
    /// The agent works.
    Running,
    /// The agent waits for a person, or an approval of it is parked.
    WaitingApproval,
    /// The agent said that it is done. A message begins another turn.
    Completed,
    /// Something went wrong; `error` says what.
    Failed,
    /// Somebody ended it, or its time was up.
    Cancelled,
}

impl TaskStatus {
    /// Whether nothing more comes by itself.
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::WaitingApproval => "waiting_approval",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a task ended as it did, where the status alone does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    /// The agent itself.
    Agent,
    /// Somebody cancelled it.
    Cancel,
    /// Somebody interrupted the turn; the session can go on.
    Interrupt,
    /// Somebody denied an approval and stopped the task.
    Denial,
    /// Its time was up.
    Timeout,
    /// It cost more than it might.
    Budget,
    /// The daemon stopped or died.
    Restart,
    /// The key of who started it was revoked.
    Revoked,
}

/// One run of a coding agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskInfo {
    /// The task.
    pub task_id: TaskId,
    /// What the agent was told first.
    pub prompt: String,
    /// How it stands.
    pub status: TaskStatus,
    /// When it was accepted.
    pub started_at: Millis,
    /// When anything about it changed.
    pub updated_at: Millis,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub completed_at: Option<Millis>,
    /// Who asked for it.
    pub from_node_id: String,
    /// The agent's process while it runs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<i32>,
    /// How the agent's process ended; null when a signal ended it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit_code: Option<i32>,
    /// What went wrong, for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// The model, as asked for or as the agent says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<String>,
    /// The oldest approval that waits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pending_approval: Option<PendingApproval>,
    /// The agent's own id of the conversation: what a later run goes on with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session_id: Option<String>,
    /// `claude`, `codex`, `gemini`, `opencode`, or a name from the config.
    pub agent: String,
    /// Version of the agent's program.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agent_version: Option<String>,
    /// How much it may do without asking.
    #[serde(default)]
    pub permission_mode: PermissionMode,
    /// Structured, or in a terminal.
    #[serde(default)]
    pub mode: TaskMode,
    /// The working directory.
    #[serde(default)]
    pub cwd: String,
    /// The worktree that was made for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub worktree: Option<Worktree>,
    /// The terminal of an interactive task.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub terminal_id: Option<TerminalId>,
    /// All approvals that wait, oldest first.
    #[serde(default)]
    pub approvals: Vec<ApprovalId>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_by: Option<EndedBy>,
    /// US dollars, as the agent says; all turns together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cost_usd: Option<f64>,
    /// Tokens, as the agent says; all turns together.
    #[serde(default)]
    pub usage: Usage,
    /// Turns that ended.
    #[serde(default)]
    pub turns: u32,
    /// Number of the newest event; 0 before the first.
    #[serde(default)]
    pub last_event: u64,
    /// Whether a message or `resume` can let it go on.
    #[serde(default)]
    pub resumable: bool,
}

/// Tokens that a model took in and gave out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Taken in, those from the cache not counted.
    #[serde(default)]
    pub input_tokens: u64,
    /// Given out.
    #[serde(default)]
    pub output_tokens: u64,
    /// Taken in from the cache.
    #[serde(default)]
    pub cached_tokens: u64,
}

/// A git worktree of a task's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Worktree {
    /// The repository that it belongs to.
    pub repository: String,
    /// Where it is.
    pub path: String,
    /// The branch that was made for it.
    pub branch: String,
    /// The commit that it began with.
    #[serde(default)]
    pub base: String,
}

/// An approval as the seed's clients know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingApproval {
    /// The tool.
    pub tool_name: String,
    /// Its input.
    pub tool_input: Value,
    /// What `approve` has to name: the approval's id.
    pub request_id: String,
    /// When it was asked.
    pub timestamp: Millis,
    /// What the agent says about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// SHA-256 of the canonical input: what an answer should name.
    pub sha256: String,
}

impl From<&Approval> for PendingApproval {
    fn from(approval: &Approval) -> Self {
        Self {
            tool_name: approval.tool.clone(),
            tool_input: approval.input.clone(),
            request_id: approval.id.to_string(),
            timestamp: approval.asked_at,
            description: approval.description.clone(),
            sha256: approval.sha256.clone(),
        }
    }
}

/// Lists tasks, newest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListTasks {}
impl Endpoint for ListTasks {
    type Reply = Tasks;
    const SPEC: Spec = Spec::get("tasks.list", "/api/v1/ai-tasks", Needs::Scope(Scope::AiTasks));
}

/// Tasks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Tasks {
    /// Newest first.
    pub tasks: Vec<TaskInfo>,
}

macro_rules! of_one_task {
    ($($(#[$doc:meta])* $name:ident -> $reply:ty = $spec:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            /// The task.
            pub task_id: TaskId,
        }
        impl Endpoint for $name {
            type Reply = $reply;
            const SPEC: Spec = $spec;
        }
    )*};
}

of_one_task! {
    /// Tells how one task stands.
    GetTask -> TaskInfo = Spec::get("tasks.get", "/api/v1/ai-tasks/{taskId}", Needs::Scope(Scope::AiTasks));
    /// Ends what the agent is doing now, and keeps its session: a message lets it go on.
    InterruptTask -> TaskInfo = Spec::post("tasks.interrupt", "/api/v1/ai-tasks/{taskId}/interrupt", Needs::Scope(Scope::AiTasks));
    /// Cancels a task that runs or waits; deletes one that has ended, with its events. A worktree with changes stays.
    CancelTask -> TaskDone = Spec::delete("tasks.cancel", "/api/v1/ai-tasks/{taskId}", Needs::Scope(Scope::AiTasks));
}

/// What came of a task.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskDone {
    /// Always true; a failure is an error.
    pub success: bool,
    /// The task.
    pub task_id: TaskId,
    /// Whether it is gone.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub deleted: bool,
}

/// Says something to the agent: at once where it can listen while it works, else as its next turn. A task that has ended goes on with its session.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendToTask {
    /// The task.
    pub task_id: TaskId,
    /// What to say, up to 4 MiB.
    pub text: String,
}
impl Endpoint for SendToTask {
    type Reply = TaskInfo;
    const SPEC: Spec = Spec::post("tasks.send", "/api/v1/ai-tasks/{taskId}/message", Needs::Scope(Scope::AiTasks));
}

/// Lets a task go on that was interrupted, cancelled, or ended by a restart of the daemon.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResumeTask {
    /// The task.
    pub task_id: TaskId,
    /// What to say; that it was interrupted, and is to go on, when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prompt: Option<String>,
}
impl Endpoint for ResumeTask {
    type Reply = TaskInfo;
    const SPEC: Spec = Spec::post("tasks.resume", "/api/v1/ai-tasks/{taskId}/resume", Needs::Scope(Scope::AiTasks));
}

/// Streams what a task does: first what is stored, then what comes. Every event has its number as id; `Last-Event-ID` or `after` goes on behind it. When the
/// task has ended and all was sent, a last `status` event comes and the stream ends.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatchTask {
    /// The task.
    pub task_id: TaskId,
    /// Only events after this time, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Millis>,
    /// Only events after this number, for clients that cannot send `Last-Event-ID`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<u64>,
}
impl Endpoint for WatchTask {
    type Reply = TaskEvent;
    const SPEC: Spec = Spec::get("tasks.watch", "/api/v1/ai-tasks/{taskId}/stream", Needs::Scope(Scope::AiTasks)).gives(Form::Events);
}

/// Reads stored events of a task.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListTaskEvents {
    /// The task.
    pub task_id: TaskId,
    /// Only events after this number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<u64>,
    /// At most so many; 1,000 when absent, 10,000 at most.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit: Option<usize>,
}
impl Endpoint for ListTaskEvents {
    type Reply = TaskEvents;
    const SPEC: Spec = Spec::get("tasks.events", "/api/v1/ai-tasks/{taskId}/events", Needs::Scope(Scope::AiTasks));
}

/// Stored events.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TaskEvents {
    /// Oldest first.
    pub events: Vec<TaskEvent>,
    /// How many these are.
    pub count: usize,
}

/// Something that happened in a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskEvent {
    /// Its number in the task, from 1. 0 for what is not stored: the last word of a stream, and gaps.
    #[serde(default)]
    pub seq: u64,
    /// What kind of thing.
    #[serde(rename = "type")]
    pub kind: TaskEventKind,
    /// The task.
    pub task_id: TaskId,
    /// When.
    pub timestamp: Millis,
    /// The rest; see the kinds.
    pub data: Value,
    /// Pieces of text with the same number belong together without a break in between.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub block: Option<u64>,
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskEventKind {
    /// The agent says something: a text, as it is. Pieces of one block follow each other.
    Text,
    /// The agent thinks: a text.
    Thinking,
    /// The agent uses a tool: `{"id","name","input","diff"?,"path"?}`, `diff` being a unified one.
    ToolUse,
    /// What came of it: `{"id","name"?,"content","isError","exitCode"?}`.
    ToolResult,
    /// The agent asks a person: the approval.
    PermissionRequest,
    /// The task is in another state: `{"status", ..}`; after an answer also `{"approvalId","approved","decision","by","reason"?}`.
    Status,
    /// Something went wrong: a text, or `{"message", ..}`.
    Error,
    /// A turn ended: `{"text","cost","duration","sessionId","usage","turns"}`.
    Result,
    /// The process ended: `{"exitCode","signal"}`.
    Exit,
    /// The rest, by `subtype`: `prompt` (what was said to the agent), `init`, `plan`, `usage`, `retry`, `rate_limit`, `compact`, `stderr`, `raw` (what is not
    /// understood), `gap`.
    System,
}

/// Answers a question of a task's agent, in the seed's way.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApproveTask {
    /// The task.
    pub task_id: TaskId,
    /// Which question: `pendingApproval.requestId`.
    pub request_id: String,
    /// Yes or no.
    pub approved: bool,
    /// What to tell the agent with a no.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// `pendingApproval.sha256`: refused when it is another one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
}
impl Endpoint for ApproveTask {
    type Reply = TaskDone;
    const SPEC: Spec = Spec::post("tasks.approve", "/api/v1/ai-tasks/{taskId}/approve", Needs::Scope(Scope::Approve));
}

/// Asks a person, from inside a task. The task's own token may do this.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestPermission {
    /// The task.
    pub task_id: TaskId,
    /// The asker's name for the question.
    pub request_id: String,
    /// The tool.
    pub tool_name: String,
    /// Its input.
    #[serde(default)]
    pub tool_input: Value,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
}
impl Endpoint for RequestPermission {
    type Reply = PermissionRequested;
    const SPEC: Spec = Spec::post("tasks.permission-request", "/api/v1/ai-tasks/{taskId}/permission-request", Needs::Task);
}

/// A question that is stored and shown.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionRequested {
    /// Always true.
    pub success: bool,
    /// As it was given.
    pub request_id: String,
}

/// Asks whether a question was answered.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GetPermission {
    /// The task.
    pub task_id: TaskId,
    /// The asker's name for the question.
    pub request_id: String,
    /// Seconds to wait for an answer, 60 at most.
    #[serde(default)]
    pub wait: u32,
}
impl Endpoint for GetPermission {
    type Reply = Permission;
    const SPEC: Spec = Spec::get("tasks.permission-response", "/api/v1/ai-tasks/{taskId}/permission-response", Needs::Task);
}

/// An answer, or that there is none yet.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Permission {
    /// Whether it was answered.
    pub resolved: bool,
    /// Yes or no.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approved: Option<bool>,
    /// What was said with it; empty when nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
}

/// Tells the node what a hook of an agent was called with, and what the hook is to answer. The task's own token may do this. Waits while a person is asked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskHook {
    /// The task.
    pub task_id: TaskId,
    /// What the agent gave to the hook.
    pub event: Value,
}
impl Endpoint for TaskHook {
    type Reply = HookAnswer;
    const SPEC: Spec = Spec::post("tasks.hook", "/api/v1/ai-tasks/{taskId}/hook", Needs::Task);
}

/// What a hook is to print.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HookAnswer {
    /// JSON for the agent.
    pub output: Value,
}

/// Lists the coding agents of this machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListAgents {}
impl Endpoint for ListAgents {
    type Reply = Agents;
    const SPEC: Spec = Spec::get("agents.list", "/api/v1/agents", Needs::Scope(Scope::AiTasks));
}

/// Coding agents.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Agents {
    /// In the order in which `auto` chooses.
    pub agents: Vec<AgentInfo>,
}

/// A coding agent that this node knows how to drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentInfo {
    /// `claude`, `codex`, `gemini`, `opencode`, or a name from the config.
    pub name: String,
    /// The protocol that drives it: `stream-json`, `app-server`, `http` or `acp`.
    pub driver: String,
    /// Its program; absent when it is not installed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// As it says itself; absent when it does not, or is not known yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// The version that was tested with this version of Loopsy.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tested: Option<String>,
    /// Whether it has a screen of its own that Loopsy can show in a terminal.
    #[serde(default)]
    pub interactive: bool,
    /// What is wrong with it, for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub problem: Option<String>,
}

impl From<TaskId> for TaskDone {
    fn from(task_id: TaskId) -> Self {
        Self { success: true, task_id, deleted: false }
    }
}
