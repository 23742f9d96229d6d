//! One job: what callers hold.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use loopsy_shared::{
    api::execute::{self, Command, JobExit, JobInfo, JobOutput, JobResult},
    config::Execution,
    id::JobId,
    time::{self, Millis},
};
use tokio::{io::AsyncWriteExt, net::unix::pipe, sync::SetOnce};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    conduct::Conduct,
    output::{self, Output, OutputReader, pump::Pump},
    spawn::Started,
    sync::Mutex,
};
use crate::trust::Caller;

/// Longest time that a job outlives its stream.
const MAX_LINGER: u32 = 300;
/// How a caller without a name is recorded.
const NAMELESS: &str = "unknown";

/// How the job's output is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// When it has ended. The job never waits for a reader.
    Call,
    /// As it comes. The job waits for readers that are behind, within limits.
    Stream,
}

/// A job that runs, or has ended. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Job(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    id: JobId,
    /// Orders jobs by their start.
    number: u64,
    command: String,
    args: Vec<String>,
    started_at: Millis,
    from_node_id: String,
    principal: String,
    pid: i32,
    kind: JobKind,
    linger: Duration,
    pub(super) output: Arc<Output>,
    pub(super) stdin: Mutex<Option<pipe::Sender>>,
    pub(super) exit: SetOnce<JobExit>,
    pub(super) cancel: CancellationToken,
    /// Fires when the end has begun.
    pub(super) ending: CancellationToken,
    presence: Mutex<Presence>,
    shared: std::sync::Weak<Shared>,
}

/// Who cares for a streamed job.
#[derive(Debug)]
struct Presence {
    watches: usize,
    polls: usize,
    last_used: Instant,
}

/// A streamed job on its way to its caller. Cancels the job if it never gets there.
#[derive(Debug)]
pub(super) struct Unclaimed(Option<Job>);

impl Unclaimed {
    pub(super) const fn new(job: Job) -> Self {
        Self(Some(job))
    }

    pub(super) fn claim(mut self) -> Option<Job> {
        self.0.take()
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(job) = self.0.take().filter(|job| job.0.kind == JobKind::Stream) {
            job.start_cancel();
        }
    }
}

/// Somebody who waits for a part of the output: the job does not count as abandoned meanwhile.
struct Poll<'a>(&'a Inner);

impl<'a> Poll<'a> {
    fn new(job: &'a Inner) -> Self {
        job.presence.lock().polls += 1;
        Self(job)
    }
}

impl Drop for Poll<'_> {
    fn drop(&mut self) {
        let mut presence = self.0.presence.lock();
        presence.polls -= 1;
        presence.last_used = Instant::now();
    }
}

impl Job {
    /// Its id.
    pub fn id(&self) -> &JobId {
        &self.0.id
    }

    pub(super) fn number(&self) -> u64 {
        self.0.number
    }

    pub(super) fn is_running(&self) -> bool {
        self.0.exit.get().is_none()
    }

    /// What it is and how it is.
    pub fn info(&self) -> JobInfo {
        let job = &self.0;
        JobInfo {
            job_id: job.id.clone(),
            command: job.command.clone(),
            args: job.args.clone(),
            started_at: job.started_at,
            from_node_id: job.from_node_id.clone(),
            pid: Some(job.pid),
            principal: job.principal.clone(),
            running: self.is_running(),
            exit: job.exit.get().cloned(),
        }
    }

    /// Waits for its end.
    pub async fn ended(&self) -> JobExit {
        self.0.exit.wait().await.clone()
    }

    /// Waits for its end and says how it was, with the first MiB of each stream.
    pub async fn result(&self) -> JobResult {
        let exit = self.ended().await;
        let [out, err] = self.0.output.heads().await;
        let ((stdout, stdout_encoding), (stderr, stderr_encoding)) = (output::encode(&out), output::encode(&err));
        let truncated = exit.total_bytes > (out.len() + err.len()) as u64;
        JobResult { job_id: self.0.id.clone(), exit, stdout, stderr, stdout_encoding, stderr_encoding, truncated }
    }

    /// Follows what it prints, from a position on. The first reader of a streamed job misses nothing if it begins at 0 and keeps up.
    pub fn reader(&self, since: u64) -> OutputReader {
        self.0.presence.lock().last_used = Instant::now();
        OutputReader::new(Arc::clone(&self.0.output), since)
    }

    /// What it printed from a position on, at most 1 MiB. Waits a while when there is nothing yet.
    pub async fn output(&self, since: u64, wait: Duration) -> JobOutput {
        let _poll = Poll::new(&self.0);
        let part = self.0.output.part(since, wait).await;
        let exit = self.0.exit.get().cloned();
        JobOutput { job_id: self.0.id.clone(), chunks: part.chunks, next: part.next, dropped: part.dropped, end: part.end, exit }
    }

    /// Its standard input, once, if it was started with `pipeStdin` and still runs. Dropping it closes the input.
    pub async fn take_stdin(&self) -> Option<pipe::Sender> {
        self.0.stdin.lock().take()
    }

    /// Says that a client watches. When the last such guard is dropped, the job is cancelled: at once, or when nobody came back within its `linger`.
    pub fn watch(self) -> Watch {
        self.0.presence.lock().watches += 1;
        Watch(self)
    }

    /// Begins its end, as [`Jobs::cancel`](super::Jobs::cancel) does.
    pub fn start_cancel(&self) {
        self.0.cancel.cancel();
    }

    pub(super) async fn cancelling(&self) {
        self.0.ending.cancelled().await;
    }

    /// Memory that can move to the disk, other memory, and disk space.
    pub(super) fn footprint(&self) -> (usize, usize, u64) {
        let (movable, fixed, disk) = self.0.output.footprint();
        (movable, fixed + self.0.command.len() + self.0.args.iter().map(|arg| arg.len() + size_of::<String>()).sum::<usize>(), disk)
    }

    pub(super) async fn settle(&self) {
        self.0.output.settle().await;
    }

    /// Waits until nobody has used the job for its linger time; ends early when the job does, or somebody watches again.
    async fn abandoned(&self) -> bool {
        loop {
            let (polls, left) = {
                let presence = self.0.presence.lock();
                if presence.watches > 0 {
                    return false; // that watch decides
                }
                (presence.polls, (presence.last_used + self.0.linger).saturating_duration_since(Instant::now()))
            };
            if left.is_zero() && polls == 0 && !self.0.output.attached() {
                return true;
            }
            tokio::select! {
                _ended = self.0.exit.wait() => return false,
                () = tokio::time::sleep(left.max(Duration::from_millis(100))) => {}
            }
        }
    }
}

/// A client that watches a job. See [`Job::watch`].
#[derive(Debug)]
pub struct Watch(Job);

impl std::ops::Deref for Watch {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.0
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let job = self.0.clone();
        let last = {
            let mut presence = job.0.presence.lock();
            presence.watches -= 1;
            presence.last_used = Instant::now();
            presence.watches == 0
        };
        if !last || !job.is_running() {
            return;
        }
        match job.0.shared.upgrade().filter(|_| !job.0.linger.is_zero()) {
            None => job.start_cancel(),
            Some(shared) => {
                let waiting = async move {
                    if job.abandoned().await {
                        job.start_cancel();
                    }
                };
                shared.tracker.spawn_on(waiting, &shared.handle);
            }
        }
    }
}

/// Makes the job of a process that has just started.
pub(super) fn begin(
    shared: Arc<Shared>,
    id: JobId,
    caller: Caller,
    command: Command,
    kind: JobKind,
    execution: &Execution,
    started: Started,
) -> (Job, Conduct) {
    let Started { running, stdin, stdout, stderr } = started;
    let output = Arc::new(Output::new(shared.spill.join(id.as_str()), kind == JobKind::Stream));
    let pump = Pump::new(Arc::clone(&output), stdout, stderr);
    let number = shared.table.lock().count();
    let (stdin, text) = match command.stdin {
        Some(text) => (None, stdin.map(|stdin| (stdin, text))),
        None => (stdin, None),
    };
    let job = Job(Arc::new(Inner {
        id,
        number,
        command: command.command,
        args: command.args,
        started_at: time::now(),
        from_node_id: caller.from_node_id.unwrap_or_else(|| NAMELESS.to_owned()),
        principal: caller.principal.name.clone(),
        pid: running.pid,
        kind,
        linger: Duration::from_secs(command.linger.unwrap_or_default().min(MAX_LINGER).into()),
        output,
        stdin: Mutex::new(stdin),
        exit: SetOnce::new(),
        cancel: CancellationToken::new(),
        ending: CancellationToken::new(),
        presence: Mutex::new(Presence { watches: 0, polls: 0, last_used: Instant::now() }),
        shared: Arc::downgrade(&shared),
    }));
    if let Some((stdin, text)) = text {
        shared.tracker.spawn(write_input(job.clone(), stdin, text));
    }
    let timeout = command.timeout.map_or(Duration::from_millis(execution.default_timeout), execute::Timeout::duration);
    let grace = Duration::from_millis(execution.grace);
    let conduct = Conduct { shared, job: job.clone(), running, pump, begun: Instant::now(), timeout, grace };
    (job, conduct)
}

/// Writes the whole input, unless the job ends before; then closes it.
async fn write_input(job: Job, mut stdin: pipe::Sender, text: String) {
    tokio::select! {
        _ended = job.0.exit.wait() => {}
        _unread = stdin.write_all(text.as_bytes()) => {}
    }
}
