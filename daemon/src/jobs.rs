//! Commands run for somebody: jobs. All their processes live below one [keeper], so that none outlives the daemon, or a job that was
//! cancelled or took too long. What a job left in the background when it ended by itself runs on, as with ssh: until the daemon ends,
//! or the key that started it is revoked.

mod conduct;
pub(crate) mod environment;
mod job;
pub mod keeper;
mod output;
pub(crate) mod policy;
pub(crate) mod process;
mod spawn;
pub(crate) mod sync;
mod table;

use std::{io, os::unix::fs::DirBuilderExt, path::PathBuf, sync::Arc, time::Duration};

use loopsy_shared::{
    api::{
        events::Event,
        execute::{Command, JobInfo},
        health::JobCounts,
    },
    config::Config,
    id::JobId,
    text::inert,
};
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    environment::Environment,
    job::Unclaimed,
    keeper::link::Keeper,
    sync::Mutex,
    table::{Slot, Table},
};
pub use self::{
    job::{Job, JobKind, Watch},
    keeper::link::KeeperCommand,
    output::{OutputPiece, OutputReader, encode},
    policy::Refusal,
};
use crate::{events::Events, trust::Caller};

/// Time between two looks for jobs that are to be forgotten.
const SWEEP: Duration = Duration::from_secs(30);

/// How long the end of all jobs may take beyond their grace period.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(3);

/// What goes wrong with jobs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// The policy says no.
    #[error(transparent)]
    Denied(#[from] Refusal),
    /// As many run as may.
    #[error("{0} jobs run here already, which is as many as may (`execution.maxConcurrent`).")]
    TooMany(usize),
    /// It cannot be started.
    #[error("The command `{command}` could not be started: {reason}.")]
    SpawnFailed {
        /// As asked for.
        command: String,
        /// A part of a sentence.
        reason: String,
    },
    /// It makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// It is unknown, or has ended.
    #[error("There is no running job `{}`.", inert(.0.as_str()))]
    NotFound(JobId),
    /// The node stops.
    #[error("The node is shutting down and starts no more jobs.")]
    Closing,
}

/// The jobs of a node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Jobs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: watch::Receiver<Arc<Config>>,
    keeper: Keeper,
    events: Events,
    environment: Environment,
    spill: PathBuf,
    table: Mutex<Table>,
    tracker: TaskTracker,
    handle: Handle,
    stopped: CancellationToken,
}

impl Jobs {
    /// Starts the keeper. `spill` becomes a private directory for output beyond memory; what is in it is removed.
    ///
    /// # Errors
    /// When the directory cannot be made or the keeper cannot be started.
    pub async fn start(config: watch::Receiver<Arc<Config>>, spill: PathBuf, keeper: KeeperCommand, events: Events) -> io::Result<Self> {
        let directory = spill.clone();
        tokio::task::spawn_blocking(move || empty_directory(&directory)).await??;
        let tracker = TaskTracker::new();
        let shared = Arc::new(Shared {
            config,
            keeper: Keeper::start(keeper, tracker.clone())?,
            events,
            environment: Environment::capture(),
            spill,
            table: Mutex::new(Table::default()),
            tracker,
            handle: Handle::current(),
            stopped: CancellationToken::new(),
        });
        let (weak, stopped) = (Arc::downgrade(&shared), shared.stopped.clone());
        shared.tracker.spawn(async move {
            while stopped.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
                let Some(shared) = weak.upgrade() else { return };
                shared.sweep().await;
            }
        });
        Ok(Self(shared))
    }

    /// Checks the policy and the limits, then starts a command. Waits until it runs, or cannot.
    ///
    /// A caller that stops waiting leaves a job of kind [`JobKind::Call`] behind; one of kind [`JobKind::Stream`] is cancelled.
    ///
    /// # Errors
    /// All of [`JobError`] but `NotFound`.
    pub async fn spawn(&self, caller: &Caller, command: Command, kind: JobKind) -> Result<Job, JobError> {
        let shared = Arc::clone(&self.0);
        let config = shared.config.borrow().clone();
        let planned = {
            let (shared, config) = (Arc::clone(&shared), Arc::clone(&config));
            // a directory may be on a disk that does not answer
            tokio::task::spawn_blocking(move || spawn::plan(&shared.environment, &config.execution, &command).map(|plan| (plan, command)))
        };
        let (plan, command) = planned.await.map_err(|error| JobError::Invalid(format!("The command could not be checked: {error}.")))??;
        let slot = Slot::take(&shared, config.execution.max_concurrent)?;
        let (answer, answered) = oneshot::channel();
        let caller = caller.clone();
        // in a task of its own, so that a caller who goes away cannot leave a process without an owner
        self.0.tracker.spawn(async move {
            let wanted = caller.job_id.clone().filter(|id| !shared.table.lock().jobs.contains_key(id));
            let id = wanted.unwrap_or_else(JobId::new);
            let started = match spawn::start(&shared.keeper, &id, plan, &command).await {
                Ok(started) => started,
                Err(error) => {
                    drop(slot);
                    let _gone = answer.send(Err(error));
                    return;
                }
            };
            let revoked = caller.principal.revoked.clone();
            let (job, conduct) = job::begin(Arc::clone(&shared), id, caller, command, kind, &config.execution, started);
            shared.insert(&job);
            let _gone = answer.send(Ok(Unclaimed::new(job)));
            let (stopped, leftovers) = (shared.stopped.clone(), conduct.run(slot, revoked.clone()).await);
            drop(shared);
            if let Some(leftovers) = leftovers {
                tokio::select! {
                    () = revoked.cancelled() => leftovers.end().await,
                    () = leftovers.forgotten.cancelled() => {}
                    () = stopped.cancelled() => {}
                }
            }
        });
        answered.await.unwrap_or(Err(JobError::Closing))?.claim().ok_or(JobError::Closing)
    }

    /// A job that runs, or ended within the last hour.
    pub fn get(&self, id: &JobId) -> Option<Job> {
        self.0.table.lock().jobs.get(id).cloned()
    }

    /// Jobs that run, oldest first.
    pub fn running(&self) -> Vec<JobInfo> {
        self.list(Job::is_running)
    }

    /// Jobs that run or ended within the last hour, oldest first.
    pub fn all(&self) -> Vec<JobInfo> {
        self.list(|_| true)
    }

    fn list(&self, wanted: impl Fn(&Job) -> bool) -> Vec<JobInfo> {
        let mut jobs: Vec<Job> = self.0.table.lock().jobs.values().filter(|job| wanted(job)).cloned().collect();
        jobs.sort_by_key(Job::number);
        jobs.iter().map(Job::info).collect()
    }

    /// How many run, and how many were started.
    pub fn counts(&self) -> JobCounts {
        let table = self.0.table.lock();
        JobCounts { active: table.running(), total: table.started }
    }

    /// Ends a job and everything that it started. Returns when that has begun.
    ///
    /// # Errors
    /// `NotFound` when the job is unknown or has ended.
    pub async fn cancel(&self, id: &JobId) -> Result<(), JobError> {
        let job = self.get(id).filter(Job::is_running).ok_or_else(|| JobError::NotFound(id.clone()))?;
        job.start_cancel();
        job.cancelling().await;
        Ok(())
    }

    /// Refuses new jobs and ends all that run. Returns when nothing of them is left, or cannot be ended.
    pub async fn shutdown(&self) {
        let running: Vec<Job> = {
            let mut table = self.0.table.lock();
            table.closing = true;
            table.jobs.values().cloned().collect()
        };
        running.iter().for_each(Job::start_cancel);
        let grace = Duration::from_millis(self.0.config.borrow().execution.grace);
        self.0.keeper.end(grace, grace + SHUTDOWN_PATIENCE).await;
        self.0.stopped.cancel();
        self.0.tracker.close();
        if tokio::time::timeout(SHUTDOWN_PATIENCE, self.0.tracker.wait()).await.is_err() {
            tracing::warn!("some jobs did not come to their end");
        }
    }
}

impl Shared {
    fn insert(&self, job: &Job) {
        let closing = {
            let mut table = self.table.lock();
            table.insert(job.clone());
            table.closing
        };
        self.events.publish(Event::JobChanged { job: job.info() });
        if closing {
            job.start_cancel();
        }
    }

    /// Forgets jobs that are too old or too many, and moves output to the disk.
    async fn sweep(&self) {
        let (forgotten, settling) = self.table.lock().sweep();
        for job in forgotten {
            self.events.publish(Event::JobRemoved { job_id: job.id().clone() });
        }
        for job in settling {
            if !job.settle().await && self.table.lock().give_up(job.id()).is_some() {
                self.events.publish(Event::JobRemoved { job_id: job.id().clone() });
            }
        }
    }
}

fn empty_directory(path: &std::path::Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests;
