//! Commands run for somebody: jobs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Category, Done, Endpoint, Form, Needs, Scope, Spec};
use crate::{id::JobId, time::Millis};

/// What to run. No shell is involved: `command` is looked up on PATH and gets `args` as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// Program: a name on PATH or a path.
    pub command: String,
    /// Arguments, passed verbatim.
    #[serde(default)]
    pub args: Vec<String>,
    /// Working directory; the home directory when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cwd: Option<String>,
    /// Variables added to the job's environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub env: BTreeMap<String, String>,
    /// Milliseconds until the job is ended; `execution.defaultTimeout` when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timeout: Option<Timeout>,
    /// Text for standard input, which is empty when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stdin: Option<String>,
    /// Leaves standard input open for `POST /execute/jobs/{jobId}/input`.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub pipe_stdin: bool,
    /// Seconds that a streamed job outlives its lost stream, so that the client can come back for the output; 0 when absent, 300 at most.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub linger: Option<u32>,
}

/// A positive number of milliseconds, up to 31 days.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
pub struct Timeout(f64);

impl Timeout {
    const MAX_MS: f64 = 31.0 * 24.0 * 3_600_000.0;

    /// From milliseconds.
    ///
    /// # Errors
    /// When it is not positive or above 31 days.
    pub fn from_millis(ms: f64) -> Result<Self, String> {
        Self::try_from(ms)
    }

    /// As a duration.
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_secs_f64(self.0 / 1000.0)
    }
}

impl TryFrom<f64> for Timeout {
    type Error = String;

    fn try_from(ms: f64) -> Result<Self, String> {
        if ms > 0.0 && ms <= Self::MAX_MS { Ok(Self(ms)) } else { Err(format!("{ms} is not a number of milliseconds above 0 and up to 31 days")) }
    }
}

impl From<Timeout> for f64 {
    fn from(timeout: Timeout) -> Self {
        timeout.0
    }
}

/// Runs a command and answers when it has ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Execute(pub Command);
impl Endpoint for Execute {
    type Reply = JobResult;
    const SPEC: Spec = Spec::post("execute.run", "/api/v1/execute", Needs::Scope(Scope::Execute)).limited(Category::Execute);
}

/// Runs a command and streams what it prints. The job ends when the client goes away, unless `linger` says otherwise.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ExecuteStream(pub Command);
impl Endpoint for ExecuteStream {
    type Reply = ExecuteEvent;
    const SPEC: Spec = Spec::post("execute.stream", "/api/v1/execute/stream", Needs::Scope(Scope::Execute)).limited(Category::Execute).gives(Form::Events);
}

/// How a job ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobExit {
    /// Exit code; null when a signal ended it.
    pub exit_code: Option<i32>,
    /// Whether a signal ended it, whatever the cause.
    #[serde(default)]
    pub killed: bool,
    /// The signal, such as `SIGTERM`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signal: Option<String>,
    /// Whether its time was up.
    #[serde(default)]
    pub timed_out: bool,
    /// Whether somebody cancelled it.
    #[serde(default)]
    pub cancelled: bool,
    /// Milliseconds it ran.
    #[serde(default)]
    pub duration: f64,
    /// Bytes that it printed, both streams together, kept or not.
    #[serde(default)]
    pub total_bytes: u64,
}

impl JobExit {
    /// What a shell would report: the code, or 128 plus the signal's number.
    pub fn shell_code(&self) -> i32 {
        let signal = || self.signal.as_deref().and_then(signal_number).map_or(1, |number| 128 + number);
        self.exit_code.unwrap_or_else(signal)
    }
}

const SIGNALS: [(&str, i32); 15] = [
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGILL", 4),
    ("SIGTRAP", 5),
    ("SIGABRT", 6),
    ("SIGBUS", 7),
    ("SIGFPE", 8),
    ("SIGKILL", 9),
    ("SIGUSR1", 10),
    ("SIGSEGV", 11),
    ("SIGUSR2", 12),
    ("SIGPIPE", 13),
    ("SIGALRM", 14),
    ("SIGTERM", 15),
];

/// The name of a signal: `SIGKILL` for 9 (Linux numbers), `SIG34` for one without a common name.
pub fn signal_name(number: i32) -> String {
    SIGNALS.iter().find(|(_, n)| *n == number).map_or_else(|| format!("SIG{number}"), |(name, _)| (*name).to_owned())
}

fn signal_number(name: &str) -> Option<i32> {
    SIGNALS.iter().find(|(n, _)| *n == name).map(|(_, number)| *number).or_else(|| name.strip_prefix("SIG")?.parse().ok())
}

/// A job that has ended, with what it printed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobResult {
    /// The job.
    pub job_id: JobId,
    /// How it ended.
    #[serde(flatten)]
    pub exit: JobExit,
    /// The first MiB of standard output.
    pub stdout: String,
    /// The first MiB of standard error.
    pub stderr: String,
    /// `base64` when `stdout` is not UTF-8 and is sent that way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stdout_encoding: Option<Encoding>,
    /// `base64` when `stderr` is not UTF-8 and is sent that way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stderr_encoding: Option<Encoding>,
    /// Whether it printed more than `stdout` and `stderr` hold. The rest is at `GET /execute/jobs/{jobId}/output`.
    #[serde(default)]
    pub truncated: bool,
}

/// How bytes are written in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Base64 with padding.
    Base64,
}

/// One event of a stream. The last is `exit` or `error`; everything printed comes before it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecuteEvent {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ExecuteEventKind,
    /// What was printed; the exit code (128 plus signal) for `exit`; a sentence for `error`.
    pub data: String,
    /// `base64` when `data` is not UTF-8 and is sent that way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encoding: Option<Encoding>,
    /// The job.
    pub job_id: JobId,
    /// When.
    pub timestamp: Millis,
    /// Where in the job's whole output this chunk ends, in bytes: the `since` with which to read on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<u64>,
    /// How it ended, with `exit`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit: Option<JobExit>,
}

/// Kind of an [`ExecuteEvent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExecuteEventKind {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// It ended.
    Exit,
    /// It could not be run to its end.
    Error,
}

/// Lists the jobs that run now.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListJobs {}
impl Endpoint for ListJobs {
    type Reply = Jobs;
    const SPEC: Spec = Spec::get("execute.jobs", "/api/v1/execute/jobs", Needs::Scope(Scope::Execute));
}

/// Jobs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Jobs {
    /// Oldest first.
    pub jobs: Vec<JobInfo>,
}

/// A job, running or ended within the last hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobInfo {
    /// The job.
    pub job_id: JobId,
    /// Program.
    pub command: String,
    /// Arguments.
    pub args: Vec<String>,
    /// When it started.
    pub started_at: Millis,
    /// What the caller called itself (`x-loopsy-node-id`); nobody vouches for it.
    pub from_node_id: String,
    /// Process id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<i32>,
    /// Who ran it: `admin`, or the peer's name.
    pub principal: String,
    /// Whether it still runs.
    pub running: bool,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit: Option<JobExit>,
}

/// Shows one job: running, or ended within the last hour.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GetJob {
    /// The job.
    pub job_id: JobId,
}
impl Endpoint for GetJob {
    type Reply = JobInfo;
    const SPEC: Spec = Spec::get("execute.job", "/api/v1/execute/jobs/{jobId}", Needs::Scope(Scope::Execute));
}

/// Reads what a job printed, from a position on. Waits for more when there is none yet.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GetJobOutput {
    /// The job.
    pub job_id: JobId,
    /// Position in the whole output, in bytes: `next` of the part before; 0 when absent.
    #[serde(default)]
    pub since: u64,
    /// Seconds to wait for more while the job runs; 0 when absent, 60 at most.
    #[serde(default)]
    pub wait: u32,
}
impl Endpoint for GetJobOutput {
    type Reply = JobOutput;
    const SPEC: Spec = Spec::get("execute.output", "/api/v1/execute/jobs/{jobId}/output", Needs::Scope(Scope::Execute));
}

/// A part of what a job printed, at most 1 MiB.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobOutput {
    /// The job.
    pub job_id: JobId,
    /// In the order in which it was printed.
    pub chunks: Vec<OutputChunk>,
    /// The position to read on from.
    pub next: u64,
    /// Bytes at this position that were not kept because the job printed more than 64 MiB.
    #[serde(default)]
    pub dropped: u64,
    /// Whether nothing will come after `next`.
    pub end: bool,
    /// How the job ended, once it has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit: Option<JobExit>,
}

/// A piece of one stream.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OutputChunk {
    /// `stdout` or `stderr`.
    pub stream: OutputStream,
    /// What was printed.
    pub data: String,
    /// `base64` when `data` is not UTF-8 and is sent that way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encoding: Option<Encoding>,
}

/// Where a job printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Feeds a job's standard input with the request's body and closes it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WriteJobInput {
    /// The job, started with `pipeStdin`.
    pub job_id: JobId,
}
impl Endpoint for WriteJobInput {
    type Reply = Done;
    const SPEC: Spec = Spec::post("execute.input", "/api/v1/execute/jobs/{jobId}/input", Needs::Scope(Scope::Execute)).takes(Form::Bytes);
}

/// Ends a job and everything that it started.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancelJob {
    /// The job.
    pub job_id: JobId,
}
impl Endpoint for CancelJob {
    type Reply = Done;
    const SPEC: Spec = Spec::delete("execute.cancel", "/api/v1/execute/{jobId}", Needs::Scope(Scope::Execute));
}
